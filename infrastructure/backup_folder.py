"""Where backups lie: `base/<time>` as pg_basebackup made them, `wal/` as pg_receivewal writes it on.

`<time>` is when the backup was whole. What is being taken bears another name until it is.
"""

import json
import re
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infrastructure.durable_files import flush, held, write_whole

SEGMENT_BYTES = 16 * 1024 * 1024
UNFINISHED = "unfinished"
_TIME = "%Y%m%dT%H%M%SZ"
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")
_START = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)$", re.M)
# The long header of a segment's first page: magic, info, timeline, address, rest, (padding,) system, size.
_HEADER = struct.Struct("=HHIQI4xQI")


class BackupUnusable(Exception):
    """The backups can't be used for what was asked; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the write-ahead log; `number` counts them from the cluster's beginning."""

    path: Path
    timeline: int
    number: int
    is_partial: bool

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(".partial")

    def require_of(self, system: int) -> None:
        """Raise BackupUnusable when it is another cluster's, or not what its name says."""
        with self.path.open("rb") as file:
            header = file.read(_HEADER.size)
        if self.is_partial and not any(header):
            return  # made before its first page came
        if len(header) < _HEADER.size or self.path.stat().st_size != SEGMENT_BYTES:
            raise BackupUnusable(f"{self.path} is cut off")
        _, _, _, address, _, of, size = _HEADER.unpack(header)
        if of != system and size == SEGMENT_BYTES and address == self.number * SEGMENT_BYTES:
            raise BackupUnusable(f"{self.path} is of another database cluster")
        if (of, address, size) != (system, self.number * SEGMENT_BYTES, SEGMENT_BYTES):
            raise BackupUnusable(f"{self.path} is damaged")


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole base backup."""

    path: Path
    taken_at: datetime

    @property
    def system(self) -> int:
        """What tells its cluster from every other. Raise BackupUnusable."""
        try:
            manifest = json.loads((self.path / "backup_manifest").read_bytes())
            return int(manifest["System-Identifier"])
        except (OSError, ValueError, KeyError, TypeError):
            raise BackupUnusable(f"the manifest of {self.path} is damaged") from None

    @property
    def first_segment(self) -> str:
        """The file of the write-ahead log where its recovery begins. Raise BackupUnusable."""
        try:
            found = _START.search((self.path / "backup_label").read_text())
        except (OSError, ValueError):
            found = None
        if found is None:
            raise BackupUnusable(f"{self.path} has no label")
        return found[1]


class BackupFolder:
    def __init__(self, folder: Path) -> None:
        self.path, self.wal, self._base = folder, folder / "wal", folder / "base"

    def claim(self, system: int) -> None:
        """Make it the folder of this cluster. Raise BackupUnusable where it is another's."""
        for folder in (self._base, self.wal):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = self.path / "cluster"
        with held(self.path / "claim.lock"):
            if not owner.exists():
                write_whole(owner, f"{system}\n".encode())
        if (other := owner.read_text().strip()) != str(system):
            raise BackupUnusable(f"{self.path} keeps the backups of another database cluster ({other})")

    def backups(self) -> list[Backup]:
        """The oldest first."""
        if not self._base.is_dir():
            return []
        return sorted(self._whole(), key=lambda backup: backup.taken_at)

    def _whole(self) -> Iterator[Backup]:
        for path in self._base.iterdir():
            if path.name != UNFINISHED:
                try:
                    yield Backup(path, datetime.strptime(path.name, _TIME).replace(tzinfo=UTC))
                except ValueError:
                    continue

    def fresh(self) -> Path:
        """A place to take a backup in; what an interrupted one left is removed."""
        place = self._base / UNFINISHED
        shutil.rmtree(place, ignore_errors=True)
        return place

    def keep(self) -> Backup:
        """What was taken in the fresh place is whole."""
        now = datetime.now(UTC).replace(microsecond=0)
        path = self._base / now.strftime(_TIME)
        (self._base / UNFINISHED).rename(path)
        flush(self._base)
        return Backup(path, now)

    def segments(self) -> list[Segment]:
        """By number, then timeline; a whole file comes in the place of a partial one."""
        found: dict[tuple[int, int], Segment] = {}
        for path in sorted(self.wal.iterdir(), reverse=True) if self.wal.is_dir() else ():
            if match := _SEGMENT.fullmatch(path.name):
                segment = Segment(path, int(match[1], 16), number_of(path.name), bool(match[4]))
                found[segment.number, segment.timeline] = segment
        return [found[key] for key in sorted(found)]

    def histories(self) -> list[Path]:
        """Where timelines branched off."""
        return sorted(self.wal.glob("*.history"))


def number_of(segment: str) -> int:
    """The count of a segment from its file's name."""
    return int(segment[8:16], 16) * (2**32 // SEGMENT_BYTES) + int(segment[16:24], 16)
