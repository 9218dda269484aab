"""Where seals are published: a folder that the database's owner can't rewrite, such as one with object lock.

Another place plugs in here: whatever can `publish` under a number once and for ever, and `read` it again.
"""

import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from typing import Protocol

from application.shared.records import Position
from infrastructure.durable_files import flush
from infrastructure.seals import SEALED_BYTES_MAX, Sealed, SealInvalid

IN_A_FOLDER = 10_000
MARKS_BYTES_MAX = 4_000_000
MARK_BYTES = 4
_MARK = Struct(">IQ4s")
_SEAL = re.compile(r"(\d{10})\.json")

Mark = tuple[Position, bytes]
"""An event's position and the first four bytes of its leaf: so that the very event can be named."""


class SealsUnreachable(Exception):
    """The place where seals are published can't be used."""


class SealsDiffer(Exception):
    """What is published contradicts what the database holds: nothing is sealed until somebody looks."""


class PublishedSeals(Protocol):
    def newest(self) -> int:
        """The highest number that is published, 0 when there is none. Raise SealsUnreachable."""

    def read(self, number: int) -> Sealed | None:
        """Raise SealsUnreachable or SealInvalid."""

    def marks(self, number: int) -> Sequence[Mark] | None:
        """Those of the seal's stretch; None where they were not kept or can't be read."""

    def publish(self, sealed: Sealed, marks: bytes) -> None:
        """For ever; again is no fault. A mark is packed in 16 bytes: epoch in 4, position in 8, leaf in 4.

        Raise SealsUnreachable, or SealsDiffer where another is there.
        """


class SealFolder:
    """`<number / 10,000>/<number>.json`; the `.marks` beside it may be taken away when they grow too many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> int:
        try:
            for folder in sorted(self._listed(self._folder), reverse=True):
                if folder.isdigit():
                    found = [
                        int(m[1])
                        for name in self._listed(self._folder / folder)
                        if (m := _SEAL.fullmatch(name))
                    ]
                    if found:
                        return max(found)
        except OSError as error:
            raise SealsUnreachable(f"{self._folder}: {error.strerror}") from error
        return 0

    def read(self, number: int) -> Sealed | None:
        try:
            with self._place(number).open("rb") as file:
                content = file.read(SEALED_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SealsUnreachable(f"{self._folder}: {error.strerror}") from error
        if len(content) > SEALED_BYTES_MAX:
            raise SealInvalid(f"seal {number} is too long")
        sealed = Sealed.of_content(content)
        if sealed.seal.number != number:
            raise SealInvalid(f"seal {sealed.seal.number} lies in the place of {number}")
        return sealed

    def marks(self, number: int) -> Sequence[Mark] | None:
        try:
            reader = zlib.decompressobj()
            packed = reader.decompress(
                self._place(number).with_suffix(".marks").read_bytes(), MARKS_BYTES_MAX
            )
        except (OSError, zlib.error):
            return None
        if len(packed) % _MARK.size or reader.unconsumed_tail:
            return None
        return [(Position(epoch, offset), leaf) for epoch, offset, leaf in _MARK.iter_unpack(packed)]

    def publish(self, sealed: Sealed, marks: bytes) -> None:
        place = self._place(sealed.seal.number)
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._put(place.with_suffix(".marks"), zlib.compress(marks, 1))
            if not self._put(place, sealed.content()) and place.read_bytes() != sealed.content():
                raise SealsDiffer(f"another seal {sealed.seal.number} is published at {place}")
        except OSError as error:
            raise SealsUnreachable(f"{self._folder}: {error.strerror}") from error

    def _put(self, place: Path, content: bytes) -> bool:
        """Put the file there whole; False when one is there."""
        beside = place.with_name(f".{place.name}.{os.getpid()}")
        beside.write_bytes(content)
        flush(beside)
        try:
            os.link(beside, place)
        except FileExistsError:
            return False
        finally:
            beside.unlink()
        flush(place.parent)
        return True

    def _place(self, number: int) -> Path:
        return self._folder / f"{number // IN_A_FOLDER:06}" / f"{number:010}.json"

    def _listed(self, folder: Path) -> list[str]:
        try:
            return os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
