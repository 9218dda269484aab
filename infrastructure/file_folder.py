"""Files of the house in a directory: written aside, brought to disk, renamed into place."""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from application.shared.file_folders import StoredFile

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PIECE_BYTES = 64 * 1024


class DirectoryFolder:
    """One directory, made when it is first written to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, name: str, pieces: Iterable[bytes]) -> StoredFile:
        path, digest, size = self.path(name), sha256(), 0
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(prefix=".writing-", dir=self._directory)
        try:
            with open(descriptor, "wb") as file:
                for piece in pieces:
                    size += file.write(piece)
                    digest.update(piece)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        _to_disk(self._directory)
        return StoredFile(path, size, digest.hexdigest())

    def read(self, name: str) -> Iterator[bytes]:
        with self.path(name).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    def path(self, name: str) -> Path:
        if not NAME.fullmatch(name) or ".." in name:
            raise ValueError(f"{name!r} is no name of a file")
        return self._directory / name


def points_folder(home: Path) -> DirectoryFolder:
    """Where the house keeps its points files and what was answered to them."""
    return DirectoryFolder(home / "points")


def _to_disk(directory: Path) -> None:
    """A rename is durable once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
