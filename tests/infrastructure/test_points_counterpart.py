"""The points system for drills: what it makes of files; it answers each once, however it is killed."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import date
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from domain.points_files import (
    AcknowledgementLine,
    AcknowledgementTrailer,
    PointsHeader,
    PointsLine,
    points_file,
    read_acknowledgement,
    sound,
)
from infrastructure import exchange_folder as exchange
from infrastructure.exchange_folder import Marker
from infrastructure.points_counterpart import Counterpart, CounterpartBusy, Rules
from infrastructure.points_gateway import DirectoryGateway
from tests.repeats import repeats

ROOT = Path(__file__).parents[2]
KILLS = repeats(25)
PLAIN = Rules()


def content(sequence: int = 1, lines: int = 10) -> bytes:
    header = PointsHeader("CARD", date(2026, 3, 1), sequence, UUID(int=sequence))
    details = (
        PointsLine(number, f"C{number:08}", "622588********1234", 100 + number, "CAMPAIGN_REWARD")
        for number in range(1, lines + 1)
    )
    return b"".join(points_file(header, details))


def resealed(text: bytes) -> bytes:
    """The same with a trailer whose checksum fits."""
    *lines, trailer = text.splitlines(keepends=True)
    fields = trailer.split(b"|")
    body = b"".join(lines)
    return body + b"|".join([*fields[:3], sha256(body).hexdigest().encode() + b"\n"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    exchange.make(tmp_path / "exchange")
    return tmp_path / "exchange"


def deliver(folder: Path, name: str, text: bytes) -> None:
    source = folder.parent / name
    source.write_bytes(text)
    DirectoryGateway(folder).deliver(source, name, sha256(text).hexdigest())


def place(folder: Path, name: str, text: bytes, marker: bytes | None = None) -> None:
    """What a partner could do that does not go through our gateway."""
    (folder / "outbox" / name).write_bytes(text)
    (folder / "outbox" / f"{name}.ready").write_bytes(marker or Marker.of(text).encoded())


def work(folder: Path, rules: Rules = PLAIN) -> None:
    with Counterpart(folder, rules).at_work() as counterpart:
        counterpart.tick()


def answer(folder: Path, name: str, text: bytes) -> dict[int, str]:
    """The codes by line, read with our reader, which finds no fault."""
    given = DirectoryGateway(folder).acknowledgement(name)
    assert given is not None
    parts = list(sound(read_acknowledgement([given], name, sha256(text).hexdigest(), text.count(b"\nD|"))))
    assert isinstance(parts[-1], AcknowledgementTrailer)
    return {part.number: part.code for part in parts if isinstance(part, AcknowledgementLine)}


def texts(folder: Path, name: str) -> set[str]:
    given = DirectoryGateway(folder).acknowledgement(name)
    assert given is not None
    return {line.split("|")[3] for line in given.decode().splitlines() if line.startswith("D|")}


def ledger(folder: Path) -> list[tuple[str, int | None, int | None]]:
    with Counterpart(folder).at_work() as counterpart:
        return [(taken.name, taken.accepted, taken.points) for taken in counterpart.known()]


def test_a_sound_file_is_accepted_answered_and_put_away(folder: Path) -> None:
    """PTS-09: against a stub: accepted lines."""
    text = content()
    deliver(folder, "a.txt", text)
    work(folder)
    assert answer(folder, "a.txt", text) == dict.fromkeys(range(1, 11), "00")
    assert (folder / "archive" / "a.txt").read_bytes() == text
    assert list((folder / "outbox").iterdir()) == []
    assert ledger(folder) == [("a.txt", 10, 1055)]


def test_it_rejects_and_drops_lines_as_it_is_told(folder: Path) -> None:
    """PTS-09, PTS-10: rejected lines with a code; one line that nothing is said of."""
    text = content()
    deliver(folder, "a.txt", text)
    work(folder, Rules(reject_every=4, reject_code="61", drop_line=7))
    assert answer(folder, "a.txt", text) == {
        number: "61" if number in (4, 8) else "00" for number in range(1, 11) if number != 7
    }
    assert ledger(folder) == [("a.txt", 7, 1055 - 104 - 108 - 107)]


def test_an_answer_that_got_lost_can_be_given_later(folder: Path) -> None:
    """PTS-09: missing acknowledgement."""
    names = [f"{number}.txt" for number in range(1, 5)]
    for number, name in enumerate(names, start=1):
        deliver(folder, name, content(number))
    work(folder, Rules(reject_every=5, lose_every=2))
    answered = [name for name in names if DirectoryGateway(folder).acknowledgement(name) is not None]
    assert answered == ["1.txt", "3.txt"]
    with Counterpart(folder).at_work() as counterpart:
        assert counterpart.answer_lost() == 2
        assert counterpart.answer_lost() == 0
    assert answer(folder, "2.txt", content(2))[5] == "51", "by the rules with which it was taken"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda t: t.replace(b"|101|", b"|102|", 1), "trailer"),
        (lambda t: resealed(t.replace(b"|101|", b"|102|", 1)), "trailer"),
        (lambda t: resealed(re.sub(rb"D\|5\|.*\n", b"", t)), "line 6"),
        (lambda t: resealed(t.replace(b"D|10|", b"D|9|")), "line 11"),
        (lambda t: resealed(t.replace(b"POINTS|1", b"POINTS|2")), "header"),
        (lambda t: t[: t.rindex(b"T|")], "no trailer"),
        (lambda t: t[:-1], "line 12"),
        (lambda t: t + b"D|11|C1||1|X\n", "after the trailer"),
        (lambda t: resealed(t.replace(b"622588********1234", b"6225881234561234" * 40, 1)), "line"),
    ],
)  # fmt: skip
def test_a_file_with_a_fault_is_rejected_line_for_line(
    folder: Path, spoil: Callable[[bytes], bytes], text: str
) -> None:
    """PTS-08: header, trailer, counts, total and checksum are checked by a reader of its own."""
    spoiled = spoil(content())
    place(folder, "a.txt", spoiled)
    work(folder)
    codes = answer(folder, "a.txt", spoiled)
    assert set(codes.values()) == {"F1"}
    assert list(codes) == list(range(1, spoiled.count(b"\nD|") + 1))
    assert all(text in said for said in texts(folder, "a.txt"))
    assert ledger(folder) == [("a.txt", 0, 0)]


@pytest.mark.parametrize(
    "marker", [Marker(1, "0" * 64).encoded(), Marker(len(content()), "0" * 64).encoded(), b"{}"]
)
def test_a_file_that_is_not_what_its_marker_says_is_rejected(folder: Path, marker: bytes) -> None:
    """PTS-10."""
    place(folder, "a.txt", content(), marker)
    work(folder)
    assert set(answer(folder, "a.txt", content()).values()) == {"F2"}


def test_a_content_that_came_before_is_rejected_for_ever(folder: Path) -> None:
    """PTS-10: send the same file twice: the second is refused as a duplicate."""
    place(folder, "a.txt", content())
    work(folder)
    (folder / "archive" / "a.txt").unlink()
    place(folder, "b.txt", content())
    work(folder)
    assert set(answer(folder, "b.txt", content()).values()) == {"F3"}
    assert texts(folder, "b.txt") == {"the content came before as a.txt"}
    assert ledger(folder) == [("a.txt", 10, 1055), ("b.txt", 0, 0)]


def test_a_name_that_comes_again_changes_no_answer(folder: Path) -> None:
    """PTS-10."""
    place(folder, "a.txt", content())
    work(folder)
    before = DirectoryGateway(folder).acknowledgement("a.txt")
    for number in (1, 2):
        place(folder, "a.txt", content(number + 1))
        work(folder)
        assert (folder / "archive" / f"a.txt.duplicate-{number}").read_bytes() == content(number + 1)
    assert DirectoryGateway(folder).acknowledgement("a.txt") == before
    assert (folder / "archive" / "a.txt").read_bytes() == content()
    assert ledger(folder) == [("a.txt", 10, 1055)]
    assert list((folder / "outbox").iterdir()) == []


def test_what_is_not_announced_or_ill_named_is_left_alone(folder: Path) -> None:
    """PTS-10."""
    (folder / "outbox" / "a.txt").write_bytes(content())
    place(folder, ".hidden", content())
    place(folder, "a b", content())
    before = sorted((folder / "outbox").iterdir())
    work(folder)
    assert sorted((folder / "outbox").iterdir()) == before
    assert ledger(folder) == []


def test_a_marker_without_a_file_holds_nothing_up(folder: Path) -> None:
    """PTS-10."""
    place(folder, "a.txt", content())
    (folder / "outbox" / "a.txt").unlink()
    deliver(folder, "b.txt", content(2))
    work(folder)
    assert ledger(folder) == [("b.txt", 10, 1055)]


def test_one_counterpart_works_on_a_folder(folder: Path) -> None:
    """PTS-10."""
    with Counterpart(folder).at_work(), pytest.raises(CounterpartBusy), Counterpart(folder).at_work():
        pass


@pytest.mark.parametrize(
    "rules", [{"reject_every": -1}, {"reject_code": "00"}, {"reject_code": "x"}, {"drop_line": -1}]
)
def test_rules_are_judged(rules: dict[str, object]) -> None:
    """PTS-09."""
    with pytest.raises(ValueError):
        Rules(**rules)  # type: ignore[arg-type]


# --- As a process ---------------------------------------------------------------


def start(folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "api.main", "counterpart", "--folder", str(folder), *options],
        cwd=ROOT,
        env={**os.environ, "CARDINAL_HOME": str(folder.parent)},
        stderr=subprocess.DEVNULL,
    )


def eventually(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to hold"
        time.sleep(0.005)


def answers(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """What our side may read: each of it must be whole."""
    gateway = DirectoryGateway(folder)
    return {name: given for name in names if (given := gateway.acknowledgement(name)) is not None}


def test_the_command_answers_once_or_until_it_is_stopped(folder: Path) -> None:
    """PTS-09."""
    deliver(folder, "a.txt", content())
    assert start(folder, "--reject-every", "3", "--reject-code", "77", "--once").wait(60) == 0
    assert [number for number, code in answer(folder, "a.txt", content()).items() if code == "77"] == [
        3,
        6,
        9,
    ]
    process = start(folder)
    try:
        deliver(folder, "b.txt", content(2))
        eventually(lambda: bool(answers(folder, ["b.txt"])))
        assert start(folder, "--once").wait(60) == 1, "another one is at work"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert start(folder, "--reject-code", "00", "--once").wait(60) == 2


@pytest.mark.drill
def test_killed_anywhere_each_file_is_taken_once_and_answered_once(folder: Path) -> None:
    """PTS-10: kill -9 of the counterpart at random moments, with files coming all the time."""
    chance = random.Random(20260301)
    lines, rules = 3_000, ("--reject-every", "7")
    names = [f"f{number:03}.txt" for number in range(1, 4 * KILLS + 1)]
    first: dict[str, bytes] = {}
    delivered, interrupted = 0, 0
    for _ in range(KILLS):
        for name in names[delivered : delivered + 4]:
            delivered += 1
            deliver(folder, name, content(delivered, lines))
        before = len(answers(folder, names))
        process = start(folder, *rules)
        eventually(lambda before=before: len(answers(folder, names)) > before)  # type: ignore[misc]
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.wait()
        interrupted += any((folder / "outbox").glob("*.taken"))
        for name, given in answers(folder, names).items():
            assert first.setdefault(name, given) == given, "an answer was changed"
    assert start(folder, *rules, "--once").wait(60) == 0

    assert interrupted >= KILLS // 5, "the kills came too late to mean anything"
    for number, name in enumerate(names, start=1):
        codes = answer(folder, name, content(number, lines))
        assert first.get(name, answers(folder, [name])[name]) == answers(folder, [name])[name]
        assert sum(code == "00" for code in codes.values()) == lines - lines // 7
    assert [(name, accepted) for name, accepted, _ in ledger(folder)] == [
        (name, lines - lines // 7) for name in names
    ]
    assert not list((folder / "archive").glob("*.duplicate-*"))
    assert not [path for path in folder.rglob(".*") if path.suffix == ".part"]


@pytest.mark.drill
def test_both_sides_killed_nothing_is_lost_or_doubled(folder: Path) -> None:
    """PTS-10: kill -9 of the deliverer and of the counterpart at once."""
    chance = random.Random(7)
    files = {f"both-{number}.txt": content(number, 1_000) for number in range(1, KILLS + 1)}
    for name, text in files.items():
        (folder.parent / name).write_bytes(text)
    plan = folder.parent / "plan.json"
    plan.write_text(json.dumps({name: sha256(text).hexdigest() for name, text in files.items()}))
    for _ in range(12):
        sides = [
            subprocess.Popen(
                [sys.executable, __file__, str(folder), str(plan)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            ),
            start(folder),
        ]
        eventually(lambda sides=sides: all(map(is_at_work, sides)))  # type: ignore[misc]
        for side in chance.sample(sides, 2):
            time.sleep(chance.random() * 0.1)
            side.kill()
        for side in sides:
            side.wait()
        answers(folder, files)
    assert subprocess.run(
        [sys.executable, __file__, str(folder), str(plan)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert start(folder, "--once").wait(60) == 0
    assert set(answers(folder, files)) == set(files)
    assert sorted(ledger(folder)) == sorted((name, 1_000, 1_000 * 100 + 500_500) for name in files)
    assert not list((folder / "archive").glob("*.duplicate-*"))
    assert list((folder / "outbox").glob("[!.]*")) == []


def is_at_work(process: "subprocess.Popen[bytes]") -> bool:
    """Whether it holds a file of the folder open, or has ended."""
    try:
        held = {os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
    except OSError:
        return process.poll() is not None
    return process.poll() is not None or any(path.endswith((".lock", ".part", ".txt")) for path in held)


def deliver_all(folder: Path, plan: Path) -> None:
    """The process that is killed."""
    gateway = DirectoryGateway(folder)
    for name, checksum in json.loads(plan.read_text()).items():
        gateway.deliver(folder.parent / name, name, checksum)


if __name__ == "__main__":
    deliver_all(Path(sys.argv[1]), Path(sys.argv[2]))
