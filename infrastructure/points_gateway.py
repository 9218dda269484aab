"""The way to the points system: an exchange folder, or whatever else a setting names."""

import errno
import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from application.shared.gateways import (
    ACKNOWLEDGEMENT_BYTES_MAX,
    FILE_BYTES_MAX,
    AcknowledgementInvalid,
    DuplicateFile,
    FileNotTaken,
    GatewayFull,
    GatewayUnavailable,
    PointsGateway,
)
from infrastructure import exchange_folder as exchange
from infrastructure.exchange_folder import ACKNOWLEDGEMENT, FOLDERS, READY, TAKEN, WITHDRAWN, Marker
from infrastructure.settings import Settings, SettingsFault

SENT = "sent"
LOCK_WAIT_S = 30.0
LOCK_POLL_S = 0.01
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class State(StrEnum):
    OFFERED = "offered"
    DELIVERED = "delivered"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a name, for ever: `sent/<name>.json`. A withdrawn name may have no checksum.

    `sending` counts how often it was handed over; `was_taken` tells that an earlier copy was.
    """

    sha256: str | None
    state: State
    sending: int = 1
    was_taken: bool = False


class DirectoryGateway:
    """Hands over by an exchange folder (see exchange_folder); several processes may use one at once.

    A name belongs to the content that it was first offered with, and that content to this name; both are
    kept in `sent/`, under a lock that ends with its process. A call that was killed at any point is completed
    by the same call: the name is remembered before the file can be seen, and the file is complete before its
    marker is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._outbox, self._inbox, self._archive = (folder / name for name in FOLDERS)
        self._sent = folder / SENT

    def deliver(self, file: Path, name: str, sha256: str, sending: int = 1) -> None:
        exchange.require_name(name)
        if not exchange.is_sha256(sha256):
            raise ValueError("sha256 must be 64 hex digits in lower case")
        with file.open("rb") as source, self._faults(), self._prepared(), exchange.part(self._outbox) as part:
            partial, to = part
            marker = _copied(source, to, sha256)
            with self._lock():
                exchange.sweep(self._outbox, self._sent)
                sent = self._claim(name, sha256)
                if sent.state is State.OFFERED and not sent.was_taken:
                    if not self._is_visible(name):
                        self._publish(name, partial, marker)
                    self._remember(name, Sent(sha256, State.DELIVERED, sending))
                elif sent.state is State.OFFERED or sent.sending < sending:
                    self._deliver_again(name, partial, marker, sent.was_taken, sending)

    def _deliver_again(self, name: str, partial: Path, marker: Marker, was_taken: bool, sending: int) -> None:
        """Unless it waits to be taken or is being answered: then it is as good as handed over anew.

        That it was taken is remembered before the next copy can be seen: it can't be withdrawn any more.
        """
        is_waiting, is_begun = (self._outbox / (name + end) for end in (READY, TAKEN))
        is_taken = was_taken or not is_waiting.exists()
        if not (is_waiting.exists() or is_begun.exists()):
            self._remember(name, Sent(marker.sha256, State.OFFERED, sending, was_taken=True))
            self._put_answer_away(name, sending)
            self._publish(name, partial, marker)
        self._remember(name, Sent(marker.sha256, State.DELIVERED, sending, is_taken))

    def _put_answer_away(self, name: str, sending: int) -> None:
        """What could not be believed makes room; its marker goes first, so nobody reads it half-way."""
        path = self._inbox / (name + ACKNOWLEDGEMENT)
        for each in (path.with_name(path.name + READY), path):
            exchange.move(each, self._sent / f"{each.name}.before-{sending}")

    def acknowledgement(self, name: str) -> bytes | None:
        path = self._inbox / (exchange.require_name(name) + ACKNOWLEDGEMENT)
        with self._faults():
            try:
                marker = Marker.read(path.with_name(path.name + READY))
            except FileNotFoundError:
                self._require_folders()
                return None
            except exchange.MarkerInvalid as error:
                raise AcknowledgementInvalid(f"{error}; ask its sender for a new one") from None
            try:
                data = exchange.read_limited(path, ACKNOWLEDGEMENT_BYTES_MAX)
            except FileNotFoundError:
                raise AcknowledgementInvalid(f"{path.name} is announced, but not there") from None
        if data is None or Marker.of(data) != marker:
            raise AcknowledgementInvalid(f"{path.name} is not what its marker says; ask its sender for it")
        return data

    def receive(self, name: str, acknowledgement: bytes) -> None:
        path = self._inbox / (exchange.require_name(name) + ACKNOWLEDGEMENT)
        if not acknowledgement:
            raise ValueError("an empty acknowledgement says nothing")
        with self._faults(), self._prepared(), self._lock():
            sent = self._recall(name)
            if sent is None or sent.state is not State.DELIVERED or (self._outbox / (name + READY)).exists():
                raise FileNotTaken(f"{name} was not handed over, or waits to be taken")
            with exchange.part(self._inbox) as (partial, file):
                file.write(acknowledgement)
                exchange.flush(file)
                try:
                    exchange.announce(partial, path, Marker.of(acknowledgement))
                except FileExistsError:
                    raise DuplicateFile(f"{name} was acknowledged before, otherwise") from None

    def withdraw(self, name: str) -> bool:
        exchange.require_name(name)
        with self._faults(), self._prepared(), self._lock():
            sent = self._recall(name)
            if sent is None or sent.state is not State.WITHDRAWN:
                ready = self._outbox / (name + READY)
                if sent is not None and sent.was_taken:
                    return False
                if not exchange.move(ready, ready.with_suffix(WITHDRAWN)) and self._was_taken(name, sent):
                    return False
            self._remember(name, Sent(sent.sha256 if sent else None, State.WITHDRAWN))
            # The file holds card tokens: nothing of it stays behind.
            for path in (self._outbox / name, self._outbox / (name + WITHDRAWN)):
                path.unlink(missing_ok=True)
            exchange.sync(self._outbox)
            return True

    def _was_taken(self, name: str, sent: Sent | None) -> bool:
        """A marker that is gone was renamed by the other side, wherever that has put it since."""
        is_delivered = sent is not None and sent.state is State.DELIVERED
        answer = self._inbox / (name + ACKNOWLEDGEMENT + READY)
        return is_delivered or self._is_visible(name) or answer.exists()

    def _claim(self, name: str, sha256: str) -> Sent:
        """How far this name's delivery is; raise DuplicateFile where name or content belong to another."""
        sent = self._recall(name)
        if sent is not None:
            if sent.state is State.WITHDRAWN:
                raise DuplicateFile(f"{name} was withdrawn; deliver under a new name")
            if sent.sha256 != sha256:
                raise DuplicateFile(f"{name} was handed over before, with other content")
            return sent
        index = self._sent / f"{sha256}.name"
        with suppress(FileNotFoundError):
            other = index.read_text()
            holder = self._recall(other) if other != name else None
            if holder is not None and holder.sha256 == sha256 and holder.state is not State.WITHDRAWN:
                raise DuplicateFile(f"the content of {name} was handed over before, as {other}")
        # The record is the truth, the index says where to look: left alone by a crash, it binds nobody.
        exchange.replace(index, name.encode())
        offered = Sent(sha256, State.OFFERED)
        self._remember(name, offered)
        return offered

    def _publish(self, name: str, partial: Path, marker: Marker) -> None:
        try:
            exchange.announce(partial, self._outbox / name, marker)
        except FileExistsError:
            raise DuplicateFile(f"outbox/{name} is there already, with other content") from None

    def _is_visible(self, name: str) -> bool:
        """Whether the other side could see the file; looked for in the order in which it wanders."""
        wandering = (self._outbox / (name + READY), self._outbox / (name + TAKEN), self._archive / name)
        return any(path.exists() for path in wandering)

    def _recall(self, name: str) -> Sent | None:
        try:
            given = json.loads((self._sent / f"{name}.json").read_bytes())
        except FileNotFoundError:
            return None
        # A withdrawal that was killed before it was remembered is one nevertheless.
        is_back = (self._outbox / (name + WITHDRAWN)).exists()
        state = State.WITHDRAWN if is_back else State(given["state"])
        return Sent(given["sha256"], state, given.get("sending", 1), given.get("was_taken", False))

    def _remember(self, name: str, sent: Sent) -> None:
        exchange.replace(self._sent / f"{name}.json", json.dumps(asdict(sent)).encode() + b"\n")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self._sent / ".lock").open("ab") as file:
            deadline_s = time.monotonic() + LOCK_WAIT_S
            while not _locked(file):
                if time.monotonic() > deadline_s:
                    raise GatewayUnavailable(f"somebody holds {file.name}: find out who hangs, and end it")
                time.sleep(LOCK_POLL_S)
            yield

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        self._require_folders()
        self._sent.mkdir(exist_ok=True)
        yield

    def _require_folders(self) -> None:
        for path in (self._outbox, self._inbox, self._archive):
            if not path.is_dir():
                raise GatewayUnavailable(f"the folder {path} is missing: mount or make it (POINTS_GATEWAY)")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What went wrong, for an operator. Nothing was announced to the other side."""
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise GatewayFull(f"{self._folder} has no room: {error.strerror}. Make some.") from error
            what = f"{error.filename or self._folder} can't be used: {error.strerror}"
            raise GatewayUnavailable(f"{what}. See to its rights and its mount.") from error


def _copied(source: BinaryIO, to: BinaryIO, sha256: str) -> Marker:
    marker = exchange.copy(source, to, FILE_BYTES_MAX)
    if marker.size == 0:
        raise ValueError("an empty file is not delivered")
    if marker.sha256 != sha256:
        raise ValueError("the file is not what its checksum says")
    return marker


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _directory(place: str, settings: Settings) -> PointsGateway:
    del settings
    if not Path(place).is_absolute():
        raise ValueError("an absolute path is needed")
    return DirectoryGateway(Path(place))


ADAPTERS: dict[str, Callable[[str, Settings], PointsGateway]] = {"directory": _directory}
"""By the scheme of POINTS_GATEWAY: makes the gateway of what stands after the colon, or raises ValueError.
The one place for others.
"""


def gateway_of(settings: Settings) -> PointsGateway:
    """The gateway that POINTS_GATEWAY names; none: a folder in CARDINAL_HOME, which is made here. Raise
    SettingsFault.
    """
    if settings.points_gateway is None:
        folder = settings.home / "gateway"
        exchange.make(folder)
        return DirectoryGateway(folder)
    scheme, _, place = settings.points_gateway.partition(":")
    try:
        return ADAPTERS[scheme](place, settings)
    except KeyError:
        raise SettingsFault(f"POINTS_GATEWAY must begin with one of {', '.join(sorted(ADAPTERS))}") from None
    except ValueError as error:
        raise SettingsFault(f"POINTS_GATEWAY is no {scheme}: {error}") from None
