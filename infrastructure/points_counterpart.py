"""The other side of the exchange folder: a points system for drills, which may be told to misbehave.

It reads points files by the layout's description alone, with nothing of ours that writes them. What it has
taken it knows for ever, in `counterpart/ledger.sqlite` of the folder: a name or a content that comes again is
a duplicate. Killed at any point, it goes on where it was: each file is answered once.

    faults of a whole file reject each of its lines: F1 layout, F2 marker, F3 duplicate content
"""

import fcntl
import hashlib
import itertools
import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import structlog

from infrastructure import exchange_folder as exchange
from infrastructure.exchange_folder import ACKNOWLEDGEMENT, READY, TAKEN, Marker

POLL_S = 0.2
LINE_BYTES_MAX = 512
ACCEPTED, BAD_LAYOUT, BAD_MARKER, BAD_DUPLICATE = "00", "F1", "F2", "F3"

HEADER = re.compile(rb"H\|POINTS\|1\|[A-Z0-9]{1,16}\|\d{8}\|[1-9]\d{0,3}\|[0-9a-f]{32}\n")
DETAIL = re.compile(rb"D\|([1-9]\d*)\|[\w-]{1,32}\|[\d*]{0,22}\|(-?[1-9]\d*)\|[A-Z][A-Z0-9_]{0,31}\n")
TRAILER = re.compile(rb"T\|(0|[1-9]\d*)\|(0|-?[1-9]\d*)\|([0-9a-f]{64})\n")

SCHEMA = """
create table if not exists taken (
    name     text primary key,
    sha256   text not null,
    lines    integer not null,
    fault    text not null,
    text     text not null,
    ordinal  integer not null,
    rules    text not null,
    accepted integer,
    points   integer
) strict
"""

logger = structlog.get_logger("cardinal.counterpart")


class CounterpartBusy(Exception):
    """Another counterpart works on this folder."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How it behaves. Kept with each file when it is taken, so that a restart gives the same answer.

    Each `reject_every`th line is rejected with `reject_code`; the answer passes over line `drop_line`; each
    `lose_every`th file is never answered; 0 means never.
    """

    reject_every: int = 0
    reject_code: str = "51"
    drop_line: int = 0
    lose_every: int = 0

    def __post_init__(self) -> None:
        if min(self.reject_every, self.drop_line, self.lose_every) < 0:
            raise ValueError("a count can't be negative")
        if not re.fullmatch(r"[A-Z0-9]{2,8}", self.reject_code) or self.reject_code == ACCEPTED:
            raise ValueError("a code of rejection is 2 to 8 capitals and digits, and not 00")


@dataclass(frozen=True, slots=True)
class Taken:
    """A file in the ledger. `fault` rejects all of it; `accepted` lines and `points` are known at the end."""

    name: str
    sha256: str
    lines: int
    fault: str
    text: str
    ordinal: int
    rules: str
    accepted: int | None = None
    points: int | None = None

    @property
    def is_lost(self) -> bool:
        """Whether its acknowledgement gets lost."""
        every = Rules(**json.loads(self.rules)).lose_every
        return every > 0 and self.ordinal % every == 0

    def answers(self) -> Callable[[int], str | None]:
        """Tells the code that a line is answered with; None when nothing is said of it."""
        rules, fault = Rules(**json.loads(self.rules)), self.fault

        def code(number: int) -> str | None:
            if number == rules.drop_line:
                return None
            is_rejected = rules.reject_every > 0 and number % rules.reject_every == 0
            return fault or (rules.reject_code if is_rejected else ACCEPTED)

        return code


class Counterpart:
    """Works on one folder, which is made; use it as a context, for nobody else may work there meanwhile."""

    def __init__(self, folder: Path, rules: Rules = Rules(), answer_after_s: float = 0.0) -> None:
        self._rules, self._answer_after_s = rules, answer_after_s
        self._outbox, self._inbox, self._archive = (folder / name for name in exchange.FOLDERS)
        self._own = folder / "counterpart"

    @contextmanager
    def at_work(self) -> Iterator["Counterpart"]:
        """Raise CounterpartBusy."""
        exchange.make(self._own.parent)
        self._own.mkdir(exist_ok=True)
        with (self._own / ".lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CounterpartBusy(f"another counterpart works on {self._own.parent}") from None
            exchange.sweep(self._inbox)
            with closing(
                sqlite3.connect(self._own / "ledger.sqlite", isolation_level=None, check_same_thread=False)
            ) as self._ledger:
                self._ledger.execute("pragma synchronous = full")
                self._ledger.execute(SCHEMA)
                yield self

    def run(self, stop: threading.Event) -> None:
        """Answer what comes until `stop` is set."""
        while not stop.is_set():
            try:
                is_idle = not self.tick()
            except (OSError, sqlite3.OperationalError) as error:
                logger.warning("nothing is answered until the folder can be used", why=str(error))
                is_idle = True
            if is_idle:
                stop.wait(POLL_S)

    def tick(self) -> int:
        """Answer what is there; return how many files. Those that an earlier process began come first."""
        begun = self._resume()
        for marker in sorted(self._outbox.glob(f"*{READY}")):
            name = marker.name.removesuffix(READY)
            if _is_name(name) and exchange.move(marker, marker.with_name(name + TAKEN)):
                self._process(name)
                begun += 1
        return begun

    def answer_lost(self) -> int:
        """Answer after all what was taken and never answered; return how many files."""
        answered = 0
        for taken in self.known():
            path = self._inbox / (taken.name + ACKNOWLEDGEMENT + READY)
            if taken.accepted is not None and not path.exists():
                self._answer(taken)
                answered += 1
        return answered

    def _resume(self) -> int:
        names = [marker.name.removesuffix(TAKEN) for marker in self._outbox.glob(f"*{TAKEN}")]
        begun = sorted(filter(_is_name, names))
        for name in begun:
            self._process(name)
        return len(begun)

    def _process(self, name: str) -> None:
        """Each step leaves a trace by which the next process sees that it was done."""
        path, taken = self._outbox / name, next(self.known(name), None)
        if path.exists() and taken is not None and taken.accepted is not None:
            logger.warning("a name came again", file=name)
            if not (self._inbox / (name + ACKNOWLEDGEMENT + READY)).exists():
                self._answer(taken)
            name = self._free_name(name)
            exchange.move(path, self._archive / name)
        elif path.exists():
            taken = taken or self._take(name)
            if not taken.is_lost:
                time.sleep(self._answer_after_s)
                self._answer(taken)
            exchange.move(path, self._archive / name)
        if taken is None:
            logger.error("a marker came without its file", file=name)
        elif taken.accepted is None:
            self._settle(taken)
        exchange.move(path.with_name(path.name + TAKEN), self._archive / (name + TAKEN))

    def _free_name(self, name: str) -> str:
        names = (f"{name}.duplicate-{number}" for number in itertools.count(1))
        return next(name for name in names if not (self._archive / name).exists())

    def _take(self, name: str) -> Taken:
        """Judge a file and put it into the ledger."""
        path = self._outbox / name
        with path.open("rb") as file:
            marker = exchange.measured(file)
        lines, fault = _judged(path)
        code, text = (BAD_LAYOUT, fault) if fault else ("", "")
        try:
            is_announced = Marker.read(path.with_name(name + TAKEN)) == marker
        except exchange.MarkerInvalid:
            is_announced = False
        if not is_announced:
            code, text = BAD_MARKER, "not what its marker says"
        first = self._ledger.execute("select name from taken where sha256 = ?", [marker.sha256]).fetchone()
        if first is not None:
            code, text = BAD_DUPLICATE, f"the content came before as {first[0]}"
        (ordinal,) = self._ledger.execute("select count(*) + 1 from taken").fetchone()
        taken = Taken(name, marker.sha256, lines, code, text, ordinal, json.dumps(asdict(self._rules)))
        self._ledger.execute(f"insert into taken values ({', '.join('?' * 9)})", astuple(taken))
        return taken

    def _answer(self, taken: Taken) -> None:
        with exchange.part(self._inbox) as (partial, file):
            size, digest = 0, hashlib.sha256()
            for piece in _acknowledgement(taken):
                size += file.write(piece)
                digest.update(piece)
            exchange.flush(file)
            path = self._inbox / (taken.name + ACKNOWLEDGEMENT)
            exchange.announce(partial, path, Marker(size, digest.hexdigest()))
        logger.info("a points file was answered", file=taken.name, lines=taken.lines, fault=taken.fault)

    def _settle(self, taken: Taken) -> None:
        """Enter what was accepted: from then on this name is a duplicate."""
        code_of, accepted, points = taken.answers(), 0, 0
        with (self._archive / taken.name).open("rb") as file:
            for detail in filter(None, map(DETAIL.fullmatch, file)):
                if code_of(int(detail[1])) == ACCEPTED:
                    accepted, points = accepted + 1, points + int(detail[2])
        settled = [accepted, points, taken.name]
        self._ledger.execute("update taken set accepted = ?, points = ? where name = ?", settled)

    def known(self, name: str | None = None) -> Iterator[Taken]:
        rows = self._ledger.execute(
            "select * from taken where ?1 is null or name = ?1 order by ordinal", [name]
        )
        return (Taken(*row) for row in rows.fetchall())


def _acknowledgement(taken: Taken) -> Iterator[bytes]:
    digest, count, accepted, code_of = hashlib.sha256(), 0, 0, taken.answers()
    piece = f"H|ACK|1|{taken.name}|{taken.sha256}\n".encode()
    digest.update(piece)
    yield piece
    for number in range(1, taken.lines + 1):
        code = code_of(number)
        if code is None:
            continue
        count, accepted = count + 1, accepted + (code == ACCEPTED)
        text = "" if code == ACCEPTED else taken.text or "rejected"
        piece = f"D|{number}|{code}|{text}\n".encode()
        digest.update(piece)
        yield piece
    yield f"T|{count}|{accepted}|{count - accepted}|{digest.hexdigest()}\n".encode()


def _judged(path: Path) -> tuple[int, str]:
    """How many detail lines a points file has, and what is wrong with it first: "" when nothing is."""
    digest, lines, total, fault, is_ended = hashlib.sha256(), 0, 0, "", False
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX + 1), b""), start=1):
            detail, trailer = DETAIL.fullmatch(line), TRAILER.fullmatch(line)
            lines += line.startswith(b"D|")
            if is_ended:
                fault = fault or f"line {number} is after the trailer"
            elif trailer and number > 1:
                is_ended = True
                said = (int(trailer[1]), int(trailer[2]), trailer[3].decode())
                if said != (lines, total, digest.hexdigest()):
                    fault = fault or "the trailer does not fit"
            elif number == 1 and not HEADER.fullmatch(line):
                fault = "no header"
            elif number > 1 and (detail is None or int(detail[1]) != lines):
                fault = fault or f"line {number} is no detail line {lines}"
            elif detail:
                total += int(detail[2])
            digest.update(line)
    return lines, fault or ("" if is_ended else "no trailer")


def _is_name(name: str) -> bool:
    try:
        return exchange.require_name(name) == name
    except ValueError:
        return False
