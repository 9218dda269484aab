"""Files between two parties in one folder: whole or not at all, announced by a marker, never overwritten.

    outbox/<name>         a points file, complete; nobody may read it before its marker is there
    outbox/<name>.ready   its marker: {"size": …, "sha256": "…"}, 1 line of JSON
    outbox/<name>.taken   the marker, renamed by the other side when it begins; .withdrawn, by this side
    archive/<name>        the points file and, with .taken, its marker, when the other side is done
    inbox/<name>.ack      the acknowledgement, with <name>.ack.ready as its marker
    sent/                 what this side has handed over, see points_gateway
    .<anything>.part      being written; nobody's business

A rename of a marker is what decides between two who want the same file: it works for exactly one of them.
Nothing depends on times of files or on clocks.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from application.shared.gateways import NAME_CHARS_MAX

FOLDERS = ("outbox", "inbox", "archive")
READY, TAKEN, WITHDRAWN = ".ready", ".taken", ".withdrawn"
ACKNOWLEDGEMENT = ".ack"
MARKER_BYTES_MAX = 4 * 1024
CHUNK_BYTES = 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RESERVED = (READY, TAKEN, WITHDRAWN, ACKNOWLEDGEMENT)


class MarkerInvalid(Exception):
    """A marker that doesn't say what a marker says."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What a file must be: its bytes and their SHA-256 in hex."""

    size: int
    sha256: str

    def encoded(self) -> bytes:
        return json.dumps({"size": self.size, "sha256": self.sha256}).encode() + b"\n"

    @classmethod
    def of(cls, data: bytes) -> "Marker":
        return cls(len(data), hashlib.sha256(data).hexdigest())

    @classmethod
    def read(cls, path: Path) -> "Marker":
        """Raise FileNotFoundError, MarkerInvalid."""
        data = read_limited(path, MARKER_BYTES_MAX)
        try:
            given = json.loads(data or b"")
            size, sha256 = given["size"], given["sha256"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise MarkerInvalid(f"{path.name} is no marker") from None
        if type(size) is not int or size < 0 or not isinstance(sha256, str) or not is_sha256(sha256):
            raise MarkerInvalid(f"{path.name} is no marker")
        return cls(size, sha256)


def require_name(name: str) -> str:
    """The name, when it can be a file's in an exchange folder; else ValueError."""
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name) or name.endswith((".", *_RESERVED)):
        raise ValueError(f"{name[:120]!r} can't be the name of an exchanged file")
    return name


def is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def make(folder: Path) -> None:
    """Make an exchange folder, or what is missing of one."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)


def read_limited(path: Path, bytes_max: int) -> bytes | None:
    """A file's bytes; None when there are more than `bytes_max`."""
    with path.open("rb") as file:
        data = file.read(bytes_max + 1)
    return None if len(data) > bytes_max else data


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def part(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A file to write that nobody sees, locked as long as its writer lives, gone after the block."""
    path, file = _locked_part(folder)
    with file:
        try:
            yield path, file
        finally:
            path.unlink(missing_ok=True)


def _locked_part(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        path = folder / f".{uuid4().hex}.part"
        file = path.open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():
            return path, file
        file.close()  # swept in the moment before it was locked


def appear(path: Path, data: bytes) -> None:
    """Let a file appear with all its bytes, durably. Raise FileExistsError; nothing is overwritten."""
    with part(path.parent) as (partial, file):
        file.write(data)
        flush(file)
        link(partial, path)


def replace(path: Path, data: bytes) -> None:
    """Let a file of one's own have other bytes: readers see the old ones or the new ones."""
    with part(path.parent) as (partial, file):
        file.write(data)
        flush(file)
        partial.rename(path)
        sync(path.parent)


def flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def link(existing: Path, path: Path) -> None:
    """Give a file a name that must be free (FileExistsError), durably."""
    os.link(existing, path)
    sync(path.parent)


def announce(partial: Path, path: Path, marker: Marker) -> None:
    """Give a finished part its name, then its marker; what is there already with the same bytes is completed.

    Raise FileExistsError when the name is another file's, which stays as it is.
    """
    try:
        link(partial, path)
    except FileExistsError:
        with path.open("rb") as file:
            if measured(file) != marker:
                raise
    with suppress(FileExistsError):
        appear(path.with_name(path.name + READY), marker.encoded())


def move(path: Path, to: Path) -> bool:
    """Rename, durably; False when somebody else has moved it away already."""
    try:
        path.rename(to)
    except FileNotFoundError:
        return False
    sync(to.parent)
    if path.parent != to.parent:
        sync(path.parent)
    return True


def sweep(*folders: Path) -> None:
    """Remove what writers that died have left: the parts that nobody holds a lock on."""
    for path in (path for folder in folders for path in folder.glob(".*.part")):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def copy(source: BinaryIO, to: BinaryIO, bytes_max: int) -> Marker:
    """Copy all bytes, durably. Raise ValueError when there are more than `bytes_max`."""

    def write(chunk: bytes) -> None:
        if source.tell() > bytes_max:
            raise ValueError(f"the file is larger than {bytes_max} bytes")
        to.write(chunk)

    marker = measured(source, write)
    flush(to)
    return marker


def measured(source: BinaryIO, each: Callable[[bytes], object] = len) -> Marker:
    """The marker of what is read from `source` to its end; `each` is given its chunks."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        size += len(chunk)
        digest.update(chunk)
        each(chunk)
    return Marker(size, digest.hexdigest())
