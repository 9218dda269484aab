"""Points files and acknowledgements: byte for byte, read back line by line, every fault named in its line."""

import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.points_files import (
    FAULTS_MAX,
    AcknowledgementHeader,
    AcknowledgementLine,
    AcknowledgementTrailer,
    Faulty,
    FileFault,
    FileRefusal,
    PointsHeader,
    PointsLine,
    PointsTrailer,
    acknowledgement_file,
    points_file,
    read_acknowledgement,
    read_points_file,
    sound,
)
from tests.domain.points_file_reader import seen
from tests.given import PROPERTY

FOLDER = Path(__file__).parents[1] / "golden_files"
JOB = UUID("0195505a-0000-7000-8000-00000000000a")
HEADER = PointsHeader("CC", date(2026, 3, 1), 7, JOB)
LINES = (
    PointsLine(1, "C00000001", "622588********1234", 500, "CAMPAIGN_REWARD"),
    PointsLine(2, "C00000002", "", -20, "CORRECTION"),
    PointsLine(3, "C00000003", "622588********0003", 1_000_000_000, "CAMPAIGN_REWARD"),
)
CONTENT = b"".join(points_file(HEADER, LINES))
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
ANSWERS = (
    AcknowledgementLine(1, "00"),
    AcknowledgementLine(2, "E104", "account closed"),
    AcknowledgementLine(3, "00", "booked"),
)
ANSWER = b"".join(acknowledgement_file(AcknowledgementHeader(HEADER.file_name, CHECKSUM), ANSWERS))


def test_the_name_tells_programme_date_and_sequence() -> None:
    """PTS-08"""
    assert HEADER.file_name == "POINTS_CC_20260301_0007.txt"


@pytest.mark.parametrize(
    ("name", "content"), [(HEADER.file_name, CONTENT), (f"ACK_{HEADER.file_name}", ANSWER)]
)
def test_the_layout_is_the_committed_one_byte_for_byte(name: str, content: bytes) -> None:
    """PTS-08"""
    assert content == (FOLDER / name).read_bytes()


def test_an_independent_reader_finds_the_same_lines_count_and_total() -> None:
    """PTS-08: trailer count and signed total equal the detail rows."""
    found = seen(CONTENT)
    assert (found.programme, found.business_date, found.sequence, found.job) == ("CC", "20260301", 7, JOB.hex)
    assert found.rows == [
        (line.number, line.customer, line.card, line.points, line.business_type) for line in LINES
    ]
    assert (found.count, found.total) == (3, 1_000_000_480)


@PROPERTY
@given(
    st.lists(
        st.tuples(st.integers(-(10**9), 10**9).filter(bool), st.sampled_from(["", "622588********1234"]))
    ),
    st.integers(1, 200),
)
def test_what_was_written_is_read_back_however_it_is_cut_into_pieces(
    drawn: list[tuple[int, str]], size: int
) -> None:
    """PTS-08, PTS-10"""
    lines = [PointsLine(n, f"C{n}", card, points, "X") for n, (points, card) in enumerate(drawn, start=1)]
    content = b"".join(points_file(HEADER, lines))
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    head, *found, trailer = read_points_file(pieces)
    assert (head, found) == (HEADER, lines)
    assert isinstance(trailer, PointsTrailer)
    assert (trailer.count, trailer.total) == (len(lines), sum(line.points for line in lines))
    assert seen(content).total == trailer.total


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (replace(LINES[0], number=2), (FileRefusal.OUT_OF_ORDER, "number")),
        (replace(LINES[0], customer=""), (FileRefusal.BAD_FIELD, "customer")),
        (replace(LINES[0], customer="C|1"), (FileRefusal.BAD_FIELD, "customer")),
        (replace(LINES[0], customer="4111111111111111"), (FileRefusal.BAD_FIELD, "customer")),
        (replace(LINES[0], card="6225881234561234"), (FileRefusal.BAD_FIELD, "card")),
        (replace(LINES[0], points=0), (FileRefusal.BAD_FIELD, "points")),
        (replace(LINES[0], points=10**9 + 1), (FileRefusal.BAD_FIELD, "points")),
        (replace(LINES[0], business_type="x"), (FileRefusal.BAD_FIELD, "business_type")),
    ],
)
def test_nothing_that_is_not_sound_is_written(line: PointsLine, fault: tuple[FileRefusal, str]) -> None:
    """PTS-08, PTS-03: no full card number gets into a file."""
    with pytest.raises(Faulty) as caught:
        b"".join(points_file(HEADER, [line]))
    assert [(f.code, f.field) for f in caught.value.faults] == [fault]


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def without_line(number: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        return b"".join(lines[: number - 1] + lines[number:])

    return change


def doubled_line(number: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        return b"".join(lines[:number] + lines[number - 1 :])

    return change


def faults(parts: Iterator[object]) -> list[tuple[str, int]]:
    return [(fault.code.name, fault.line) for fault in parts if isinstance(fault, FileFault)]


POINTS_FAULTS = [
    (lambda _: b"", [("NO_HEADER", 1)]),
    (swapped(b"H|POINTS|1|", b"H|POINTS|2|"), [("BAD_HEADER", 1), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"|20260301|", b"|20260231|"), [("BAD_HEADER", 1), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"|7|", b"|0|"), [("BAD_HEADER", 1), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"|500|", b"|501|"), [("WRONG_TOTAL", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"|500|", b"|0500|"), [("BAD_FIELD", 2), ("WRONG_TOTAL", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"C00000001", b"C0000\x00001"), [("BAD_CONTROL", 2), ("WRONG_COUNT", 5),
        ("WRONG_TOTAL", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"C00000001", b"C000\xff0001"), [("BAD_ENCODING", 2), ("WRONG_COUNT", 5),
        ("WRONG_TOTAL", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"|CORRECTION\n", b"|CORRECTION|\n"), [("RAGGED", 3), ("WRONG_TOTAL", 5),
        ("WRONG_CHECKSUM", 5)]),
    (swapped(b"D|2|", b"X|2|"), [("RAGGED", 3), ("WRONG_TOTAL", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"\nT|3|", b"\nT|4|"), [("WRONG_COUNT", 5)]),
    (without_line(3), [("OUT_OF_ORDER", 3), ("WRONG_COUNT", 4), ("WRONG_TOTAL", 4), ("WRONG_CHECKSUM", 4)]),
    (doubled_line(2), [("TWICE", 3), ("WRONG_COUNT", 6), ("WRONG_CHECKSUM", 6)]),
    (without_line(5), [("NO_TRAILER", 5)]),
    (lambda content: content[:-1], [("CUT_OFF", 5), ("NO_TRAILER", 6)]),
    (lambda content: content + b"D|4|C1||1|X\n", [("AFTER_TRAILER", 6)]),
    (lambda content: content.replace(b"\n", b"\r\n"),
        [*(("BAD_CONTROL", line) for line in range(1, 6)), ("NO_TRAILER", 6)]),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "expected"), POINTS_FAULTS)
def test_every_damage_is_named_in_its_line(
    damage: Callable[[bytes], bytes], expected: list[tuple[str, int]]
) -> None:
    """PTS-10"""
    assert faults(read_points_file([damage(CONTENT)])) == expected
    with pytest.raises(Faulty):
        list(sound(read_points_file([damage(CONTENT)])))


ACKNOWLEDGEMENT_FAULTS = [
    (lambda _: b"", [("NO_HEADER", 1)]),
    (swapped(b"_0007", b"_0008"), [("WRONG_FILE", 1), ("WRONG_CHECKSUM", 5)]),
    (swapped(CHECKSUM.encode(), b"0" * 64), [("WRONG_FILE_CHECKSUM", 1), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"H|ACK|1|", b"H|NAK|1|"), [("BAD_HEADER", 1), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"D|3|", b"D|4|"), [("UNKNOWN_LINE", 4), ("WRONG_COUNT", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"D|3|", b"D|0|"), [("UNKNOWN_LINE", 4), ("WRONG_COUNT", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"D|3|", b"D|2|"), [("TWICE", 4), ("WRONG_COUNT", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"D|3|", b"D|1|"), [("OUT_OF_ORDER", 4), ("WRONG_COUNT", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"D|3|", b"D|x|"), [("BAD_FIELD", 4), ("WRONG_COUNT", 5), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"|E104|", b"|e|"), [("BAD_FIELD", 3), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"|account closed\n", b"\n"), [("RAGGED", 3), ("WRONG_CHECKSUM", 5)]),
    (swapped(b"T|3|2|1|", b"T|3|1|2|"), [("WRONG_COUNT", 5)]),
    (without_line(3), [("WRONG_COUNT", 4), ("WRONG_CHECKSUM", 4)]),
    (lambda content: content[:-1], [("CUT_OFF", 5), ("NO_TRAILER", 6)]),
    (lambda content: content + b"\n", [("AFTER_TRAILER", 6)]),
]


@pytest.mark.parametrize(("damage", "expected"), ACKNOWLEDGEMENT_FAULTS)
def test_an_acknowledgement_that_is_not_of_this_file_or_not_whole_is_not_believed(
    damage: Callable[[bytes], bytes], expected: list[tuple[str, int]]
) -> None:
    """PTS-10: unknown lines, wrong counts, twice, wrong file, wrong checksum, ragged."""
    assert faults(read_acknowledgement([damage(ANSWER)], HEADER.file_name, CHECKSUM, 3)) == expected


def test_a_sound_acknowledgement_is_read_as_it_was_meant() -> None:
    """PTS-09"""
    head, *found, trailer = read_acknowledgement([ANSWER], HEADER.file_name, CHECKSUM, 3)
    assert head == AcknowledgementHeader(HEADER.file_name, CHECKSUM)
    assert tuple(found) == ANSWERS
    assert isinstance(trailer, AcknowledgementTrailer)
    assert (trailer.count, trailer.accepted, trailer.rejected) == (3, 2, 1)


def test_the_text_of_a_rejection_can_not_break_the_layout() -> None:
    header = AcknowledgementHeader(HEADER.file_name, CHECKSUM)
    nasty = AcknowledgementLine(1, "E1", "a|b\nD|2|00|\x00" + "x" * 500)
    content = b"".join(acknowledgement_file(header, [nasty]))
    assert faults(read_acknowledgement([content], HEADER.file_name, CHECKSUM, 3)) == []


def test_faults_are_bounded_and_so_is_a_line() -> None:
    nonsense = b"x\n" * 10_000
    assert len(faults(read_points_file([nonsense]))) == FAULTS_MAX
    endless = (b"D|1|" + b"x" * 100_000 for _ in range(100))
    assert {code for code, _ in faults(read_points_file(endless))} == {"LINE_TOO_LONG"}


def test_memory_does_not_grow_with_the_file() -> None:
    """PTS-08: streaming, both ways."""

    def peak(count: int) -> int:
        lines = (PointsLine(n, f"C{n:08d}", "622588********1234", 5, "X") for n in range(1, count + 1))
        tracemalloc.start()
        total = sum(isinstance(part, PointsLine) for part in read_points_file(points_file(HEADER, lines)))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == count
        return most

    small = peak(1_000)
    assert peak(20_000) < 2 * small + 100_000
