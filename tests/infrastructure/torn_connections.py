"""A proxy before PostgreSQL's unix socket that tears connections in the middle of an append."""

import random
import socket
import threading
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path


class Cut(Enum):
    NEVER = auto()
    BEFORE_SERVER_HEARS = auto()
    AFTER_SERVER_HEARS = auto()
    BEFORE_CLIENT_HEARS = auto()


class TornConnections:
    """Listens in `directory` as libpq expects; `marker` tells which of the client's messages may be cut."""

    def __init__(self, directory: Path, server: Path, marker: bytes, seed: int, share: float) -> None:
        self._server, self._marker, self._share = server, marker, share
        self._dice = random.Random(seed)
        self.cuts: list[Cut] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / ".s.PGSQL.5432"))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            torn = threading.Event()
            for pump in (self._to_server, self._to_client):
                threading.Thread(target=pump, args=(client, server, torn), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, torn: threading.Event) -> None:
        while data := _received(client):
            cut = self._chosen() if self._marker in data else Cut.NEVER
            if cut is Cut.BEFORE_CLIENT_HEARS:
                torn.set()
            if cut is not Cut.BEFORE_SERVER_HEARS:
                server.sendall(data)
            if cut in (Cut.BEFORE_SERVER_HEARS, Cut.AFTER_SERVER_HEARS):
                break
        _close(client, server)

    def _to_client(self, client: socket.socket, server: socket.socket, torn: threading.Event) -> None:
        while data := _received(server):
            if torn.is_set():
                break
            try:
                client.sendall(data)
            except OSError:
                break
        _close(client, server)

    def _chosen(self) -> Cut:
        if self._dice.random() > self._share:
            return Cut.NEVER
        cut = self._dice.choice([cut for cut in Cut if cut is not Cut.NEVER])
        self.cuts.append(cut)
        return cut


def _received(from_: socket.socket) -> bytes:
    try:
        return from_.recv(1 << 20)
    except OSError:
        return b""


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
