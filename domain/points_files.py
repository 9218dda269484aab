"""Points files: what is sent to the points system and what it acknowledges, byte for byte.

Both are UTF-8 text with LF line ends and fields parted by `|`; memory stays flat however long they are.

    H|POINTS|1|<programme>|<YYYYMMDD>|<sequence>|<job, 32 hexadecimal digits>
    D|<line number>|<customer>|<masked card>|<signed points>|<business type>
    T|<count of D>|<signed total>|<SHA-256 of every byte before this line>

    H|ACK|1|<name of the points file>|<SHA-256 of the whole points file>
    D|<line number>|<code>|<text>            code 00: accepted; any other: rejected, for that reason
    T|<count of D>|<accepted>|<rejected>|<SHA-256 of every byte before this line>

Line numbers count the D lines of the points file from 1, ascending in both. Source: the interface is assumed,
for the points system's own description is not public.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from domain.shared.text import holds_card_number

Part = TypeVar("Part")

# --- Values ---------------------------------------------------------------

LAYOUT = "1"
LINES_MAX = 10_000_000
LINE_BYTES_MAX = 512
SEQUENCE_MAX = 9_999
POINTS_MAX = 1_000_000_000
TEXT_CHARACTERS_MAX = 200
FAULTS_MAX = 100
ACCEPTED = "00"

PROGRAMME = re.compile(r"[A-Z0-9]{1,16}")
CUSTOMER = re.compile(r"[A-Za-z0-9_-]{1,32}")
CARD = re.compile(r"[0-9]{0,6}\*{4,12}[0-9]{0,4}")
BUSINESS_TYPE = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
CODE = re.compile(r"[A-Z0-9]{2,8}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_SIGNED = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BARRED = re.compile(r"[\x00-\x1f\x7f-\x9f|]")


@dataclass(frozen=True, slots=True)
class PointsHeader:
    """`sequence` counts a programme's files of one business date from 1."""

    programme: str
    business_date: date
    sequence: int
    job: UUID

    @property
    def file_name(self) -> str:
        return f"POINTS_{self.programme}_{self.business_date:%Y%m%d}_{self.sequence:04d}.txt"


@dataclass(frozen=True, slots=True)
class PointsLine:
    """One adjustment. `points` is signed and never 0; `card` is masked: 622588********1234, or empty."""

    number: int
    customer: str
    card: str
    points: int
    business_type: str


@dataclass(frozen=True, slots=True)
class PointsTrailer:
    """`checksum` is that of the bytes before the trailer."""

    count: int
    total: int
    checksum: str


@dataclass(frozen=True, slots=True)
class AcknowledgementHeader:
    """Which points file is answered: `checksum` is that of the whole of it."""

    file_name: str
    checksum: str


@dataclass(frozen=True, slots=True)
class AcknowledgementLine:
    number: int
    code: str
    text: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.code == ACCEPTED


@dataclass(frozen=True, slots=True)
class AcknowledgementTrailer:
    count: int
    accepted: int
    rejected: int
    checksum: str


class FileRefusal(StrEnum):
    NO_HEADER = "no_header"
    BAD_HEADER = "bad_header"
    WRONG_FILE = "wrong_file"
    WRONG_FILE_CHECKSUM = "wrong_file_checksum"
    BAD_ENCODING = "bad_encoding"
    BAD_CONTROL = "bad_control_character"
    LINE_TOO_LONG = "line_too_long"
    RAGGED = "ragged_line"
    BAD_FIELD = "bad_field"
    OUT_OF_ORDER = "out_of_order"
    TWICE = "line_twice"
    UNKNOWN_LINE = "unknown_line"
    TOO_MANY_LINES = "too_many_lines"
    NO_TRAILER = "no_trailer"
    AFTER_TRAILER = "after_trailer"
    WRONG_COUNT = "wrong_count"
    WRONG_TOTAL = "wrong_total"
    WRONG_CHECKSUM = "wrong_checksum"
    CUT_OFF = "cut_off"


@dataclass(frozen=True, slots=True)
class FileFault:
    """What is wrong in which line of the file, counted from 1; `field` is the part of the line, if one is."""

    code: FileRefusal
    line: int
    field: str = ""


PointsPart = PointsHeader | PointsLine | PointsTrailer | FileFault
AcknowledgementPart = AcknowledgementHeader | AcknowledgementLine | AcknowledgementTrailer | FileFault


class Faulty(Exception):
    """What was to be written or read has faults: at most `FAULTS_MAX` are named."""

    def __init__(self, faults: Sequence[FileFault]) -> None:
        super().__init__("; ".join(f"{f.code} in line {f.line} {f.field}".strip() for f in faults))
        self.faults = tuple(faults)


# --- Writing --------------------------------------------------------------


def points_file(header: PointsHeader, lines: Iterable[PointsLine]) -> Iterator[bytes]:
    """The file piece by piece, the trailer last. Raise Faulty at the first line that is not sound."""
    faults = [*_header_faults(header)]
    if faults:
        raise Faulty(faults)
    digest, count, total = sha256(), 0, 0
    day = f"{header.business_date:%Y%m%d}"
    first = _joined("H", "POINTS", LAYOUT, header.programme, day, header.sequence, header.job.hex)
    digest.update(first)
    yield first
    for line in lines:
        count += 1
        fault = line_fault(line, count)
        if fault is not None:
            raise Faulty([FileFault(fault[0], count + 1, fault[1])])
        total += line.points
        piece = _joined("D", line.number, line.customer, line.card, line.points, line.business_type)
        digest.update(piece)
        yield piece
    yield _joined("T", count, total, digest.hexdigest())


def acknowledgement_file(
    header: AcknowledgementHeader, lines: Iterable[AcknowledgementLine]
) -> Iterator[bytes]:
    """The file piece by piece, the trailer last; the texts of codes are made fit for a field."""
    digest, count, accepted = sha256(), 0, 0
    first = _joined("H", "ACK", LAYOUT, header.file_name, header.checksum)
    digest.update(first)
    yield first
    for line in lines:
        count, accepted = count + 1, accepted + line.is_accepted
        text = _BARRED.sub(" ", line.text)[:TEXT_CHARACTERS_MAX]
        piece = _joined("D", line.number, line.code, text)
        digest.update(piece)
        yield piece
    yield _joined("T", count, accepted, count - accepted, digest.hexdigest())


def line_fault(line: PointsLine, number: int) -> tuple[FileRefusal, str] | None:
    """Why the line can't stand as the file's `number`th; the fault and the field."""
    if number > LINES_MAX:
        return FileRefusal.TOO_MANY_LINES, ""
    if line.number != number:
        return FileRefusal.OUT_OF_ORDER, "number"
    if not CUSTOMER.fullmatch(line.customer) or holds_card_number(line.customer):
        return FileRefusal.BAD_FIELD, "customer"
    if line.card and not CARD.fullmatch(line.card):
        return FileRefusal.BAD_FIELD, "card"
    if not 0 < abs(line.points) <= POINTS_MAX:
        return FileRefusal.BAD_FIELD, "points"
    if not BUSINESS_TYPE.fullmatch(line.business_type):
        return FileRefusal.BAD_FIELD, "business_type"
    return None


def _header_faults(header: PointsHeader) -> Iterator[FileFault]:
    if not PROGRAMME.fullmatch(header.programme):
        yield FileFault(FileRefusal.BAD_HEADER, 1, "programme")
    if not 0 < header.sequence <= SEQUENCE_MAX:
        yield FileFault(FileRefusal.BAD_HEADER, 1, "sequence")


def _joined(*fields: object) -> bytes:
    return ("|".join(map(str, fields)) + "\n").encode()


# --- Reading --------------------------------------------------------------


def read_points_file(pieces: Iterable[bytes]) -> Iterator[PointsPart]:
    """What stands in the file, in its order; a fault in the place of what is wrong, `FAULTS_MAX` at most."""
    return _limited(_read_points_file(pieces))


def read_acknowledgement(
    pieces: Iterable[bytes], file_name: str, checksum: str, count: int
) -> Iterator[AcknowledgementPart]:
    """The same of the acknowledgement of the points file that has this name, SHA-256 and count of lines."""
    return _limited(_read_acknowledgement(pieces, file_name, checksum, count))


def sound(parts: Iterable[Part | FileFault]) -> Iterator[Part]:
    """The parts of a file without faults. Raise Faulty at the end of one that has some."""
    faults = []
    for part in parts:
        if isinstance(part, FileFault):
            faults.append(part)
        else:
            yield part
    if faults:
        raise Faulty(faults)


def _read_points_file(pieces: Iterable[bytes]) -> Iterator[PointsPart]:
    digest, count, total, ended, number = sha256(), 0, 0, False, 0
    for number, raw in enumerate(_lines(pieces), start=1):
        fields = _fields(raw)
        if isinstance(fields, FileRefusal):
            yield FileFault(fields, number)
        elif ended:
            yield FileFault(FileRefusal.AFTER_TRAILER, number)
        elif number == 1:
            yield _points_header(fields)
        elif fields[0] == "T":
            ended = True
            yield from _points_trailer(fields, number, count, total, digest.hexdigest())
        else:
            count += 1
            line = _points_line(fields, number, count)
            total += line.points if isinstance(line, PointsLine) else 0
            yield line
        digest.update(raw)
    if not ended:
        yield FileFault(FileRefusal.NO_TRAILER if number else FileRefusal.NO_HEADER, number + 1)


def _read_acknowledgement(
    pieces: Iterable[bytes], file_name: str, checksum: str, lines: int
) -> Iterator[AcknowledgementPart]:
    digest, count, accepted, ended, number, before = sha256(), 0, 0, False, 0, 0
    for number, raw in enumerate(_lines(pieces), start=1):
        fields = _fields(raw)
        if isinstance(fields, FileRefusal):
            yield FileFault(fields, number)
        elif ended:
            yield FileFault(FileRefusal.AFTER_TRAILER, number)
        elif number == 1:
            yield from _acknowledgement_header(fields, file_name, checksum)
        elif fields[0] == "T":
            ended = True
            yield from _acknowledgement_trailer(fields, number, count, accepted, digest.hexdigest())
        else:
            count += 1
            line = _acknowledgement_line(fields, number, before, lines)
            if isinstance(line, AcknowledgementLine):
                before, accepted = line.number, accepted + line.is_accepted
            yield line
        digest.update(raw)
    if not ended:
        yield FileFault(FileRefusal.NO_TRAILER if number else FileRefusal.NO_HEADER, number + 1)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their ends; one that is too long is cut into lines that are too long as well."""
    rest = b""
    for piece in pieces:
        rest += piece
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield line + b"\n"
        while len(rest) > 2 * LINE_BYTES_MAX:
            yield rest[: LINE_BYTES_MAX + 1]
            rest = rest[LINE_BYTES_MAX + 1 :]
    if rest:
        yield rest


def _fields(raw: bytes) -> list[str] | FileRefusal:
    if len(raw) > LINE_BYTES_MAX:
        return FileRefusal.LINE_TOO_LONG
    if not raw.endswith(b"\n"):
        return FileRefusal.CUT_OFF
    try:
        fields = raw[:-1].decode().split("|")
    except UnicodeDecodeError:
        return FileRefusal.BAD_ENCODING
    return FileRefusal.BAD_CONTROL if any(map(_BARRED.search, fields)) else fields


def _points_header(fields: list[str]) -> PointsHeader | FileFault:
    if fields[:3] != ["H", "POINTS", LAYOUT] or len(fields) != 7:
        return FileFault(FileRefusal.BAD_HEADER, 1)
    _, _, _, programme, day, sequence, job = fields
    try:
        header = PointsHeader(programme, _day(day), int(sequence), UUID(hex=job))
    except ValueError:
        return FileFault(FileRefusal.BAD_HEADER, 1)
    return next(_header_faults(header), header)


def _day(text: str) -> date:
    if not re.fullmatch(r"[0-9]{8}", text):
        raise ValueError("a day has eight digits")
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _points_line(fields: list[str], at: int, number: int) -> PointsLine | FileFault:
    if len(fields) != 6 or fields[0] != "D":
        return FileFault(FileRefusal.RAGGED, at)
    _, given, customer, card, points, business_type = fields
    if not _NUMBER.fullmatch(given):
        return FileFault(FileRefusal.BAD_FIELD, at, "number")
    if not _SIGNED.fullmatch(points):
        return FileFault(FileRefusal.BAD_FIELD, at, "points")
    line = PointsLine(int(given), customer, card, int(points), business_type)
    fault = line_fault(line, number)
    if fault is None:
        return line
    code = FileRefusal.TWICE if fault[1] == "number" and line.number == number - 1 else fault[0]
    return FileFault(code, at, fault[1])


def _points_trailer(
    fields: list[str], at: int, count: int, total: int, checksum: str
) -> Iterator[PointsTrailer | FileFault]:
    if len(fields) != 4:
        yield FileFault(FileRefusal.RAGGED, at)
        return
    if fields[1] != str(count):
        yield FileFault(FileRefusal.WRONG_COUNT, at)
    if fields[2] != str(total):
        yield FileFault(FileRefusal.WRONG_TOTAL, at)
    if fields[3] != checksum:
        yield FileFault(FileRefusal.WRONG_CHECKSUM, at)
    yield PointsTrailer(count, total, checksum)


def _acknowledgement_header(
    fields: list[str], file_name: str, checksum: str
) -> Iterator[AcknowledgementHeader | FileFault]:
    if len(fields) != 5 or fields[:3] != ["H", "ACK", LAYOUT] or not _DIGEST.fullmatch(fields[4]):
        yield FileFault(FileRefusal.BAD_HEADER, 1)
        return
    if fields[3] != file_name:
        yield FileFault(FileRefusal.WRONG_FILE, 1)
    if fields[4] != checksum:
        yield FileFault(FileRefusal.WRONG_FILE_CHECKSUM, 1)
    yield AcknowledgementHeader(fields[3], fields[4])


def _acknowledgement_line(
    fields: list[str], at: int, before: int, lines: int
) -> AcknowledgementLine | FileFault:
    if len(fields) != 4 or fields[0] != "D":
        return FileFault(FileRefusal.RAGGED, at)
    _, given, code, text = fields
    if not _NUMBER.fullmatch(given):
        return FileFault(FileRefusal.BAD_FIELD, at, "number")
    number = int(given)
    if not 0 < number <= lines:
        return FileFault(FileRefusal.UNKNOWN_LINE, at, given)
    if number <= before:
        return FileFault(FileRefusal.TWICE if number == before else FileRefusal.OUT_OF_ORDER, at, given)
    if not CODE.fullmatch(code):
        return FileFault(FileRefusal.BAD_FIELD, at, "code")
    return AcknowledgementLine(number, code, text)


def _acknowledgement_trailer(
    fields: list[str], at: int, count: int, accepted: int, checksum: str
) -> Iterator[AcknowledgementTrailer | FileFault]:
    if len(fields) != 5:
        yield FileFault(FileRefusal.RAGGED, at)
        return
    if fields[1:4] != [str(count), str(accepted), str(count - accepted)]:
        yield FileFault(FileRefusal.WRONG_COUNT, at)
    if fields[4] != checksum:
        yield FileFault(FileRefusal.WRONG_CHECKSUM, at)
    yield AcknowledgementTrailer(count, accepted, count - accepted, checksum)


def _limited(parts: Iterable[Part]) -> Iterator[Part]:
    faults = 0
    for part in parts:
        yield part
        faults += isinstance(part, FileFault)
        if faults == FAULTS_MAX:
            return
