"""Tells those who follow the log that something was appended: many appends, one notice."""

import threading
import time
from contextlib import suppress

import psycopg

from infrastructure import database

CHANNEL = "cardinal_appended"
GAP_S = 0.005
RECONNECT_S = 0.5


class AppendNotices:
    """Call it after each append. It never waits and never fails: who follows looks by himself besides.

    The notice goes out on a connection of its own, because a NOTIFY in the append's transaction makes
    commits wait for each other.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._wanted, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._send, name="append-notices", daemon=True)

    def __call__(self) -> None:
        self._wanted.set()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._wanted.set()
        self._thread.join(RECONNECT_S)

    def _send(self) -> None:
        while not self._stopped.is_set():
            with suppress(psycopg.Error), database.connect(self._url) as connection:
                while self._wanted.wait() and not self._stopped.is_set():
                    self._wanted.clear()
                    connection.execute(f"notify {CHANNEL}".encode())
                    time.sleep(GAP_S)
            self._stopped.wait(RECONNECT_S)
