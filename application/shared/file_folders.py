"""Where the house keeps the files that it makes: whole or not at all, found again by name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`sha256` is of all its bytes, in lower-case hexadecimal digits."""

    path: Path
    bytes: int
    sha256: str


class FileFolder(Protocol):
    """A folder of one kind of file. A name is 1 to 100 of `A-Z a-z 0-9 . _ -`; else ValueError."""

    def write(self, name: str, pieces: Iterable[bytes]) -> StoredFile:
        """Write the file durably under its name, in place of one that is there; what `pieces` raises leaves
        that one as it is.
        """
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """The file in pieces of bounded size. Raise FileNotFoundError."""
        ...

    def path(self, name: str) -> Path:
        """Where the file of that name is, or would be."""
        ...
