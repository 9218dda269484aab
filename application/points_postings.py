"""Bulk posting: the accepted lines of a points job into customers' ledgers, each exactly once.

A chunk of lines is one transaction. Before it is made, the log is asked how the chunk's ledgers end and which
of its lines stand there already: a line's event has an id that follows from job and line number. Whoever was
killed, or came second on a ledger, asks again and posts what is missing.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from application.points_ledgers import is_sealing
from application.shared.business_time import business_date
from application.shared.identifiers import named_uuid
from application.shared.records import GENESIS, Conflict, Context, Log, Tail, Write
from domain.points_files import PointsLine
from domain.points_job_terms import LINES_NAMED_MAX, RefusedLine, posting_of
from domain.points_jobs import PointsJobOpened
from domain.points_ledgers import (
    DECIDER,
    LEDGERS,
    CarryForward,
    PointsCarriedForward,
    PointsLedger,
    PointsPosted,
    Status,
    ledger_after,
    ledger_name,
    room_faults,
    years_before,
)
from domain.shared.refusal import Refused

CHUNK_LINES = 3_000
"""At most three events a line, for a year and an empty one before it end with it: a chunk fits into one
transaction of the bulk."""

STORED_AT_ONCE = 2
"""One is being encoded while the server writes the other."""

ATTEMPTS_MAX = 40
NOTHING, EMPTY = Tail(0, GENESIS, None), PointsLedger()


@dataclass(slots=True)
class Postings:
    """What became of the lines: those that stand in ledgers, and the first of those that no ledger took."""

    posted: int = 0
    points: int = 0
    refused: int = 0
    refused_lines: list[RefusedLine] = field(default_factory=list)

    def take(self, other: "Postings") -> None:
        """Add what became of another chunk."""
        self.posted += other.posted
        self.points += other.points
        self.refused += other.refused
        self.refused_lines += other.refused_lines[: LINES_NAMED_MAX - len(self.refused_lines)]


ContextOf = Callable[[UUID], Context]
"""The context of one chunk's postings, under this command id."""


def entry_id(job: UUID, line_number: int) -> UUID:
    """The id of the event that posts a job's line: UUID version 5."""
    return named_uuid(job.bytes, str(line_number))


@dataclass(frozen=True, slots=True)
class Posting:
    """One job's posting. `clock` is business time and `zone` the bank's: they tell whose year is open."""

    log: Log
    job: UUID
    opened: PointsJobOpened
    context_of: ContextOf
    clock: Callable[[], datetime]
    zone: ZoneInfo

    def post(self, lines: Iterable[PointsLine]) -> Postings:
        """Post what is not posted yet; memory stays flat. Raise Conflict when others keep coming first.

        The next chunk is made while those before it are stored, unless they have a customer in common.
        """
        total, rest = Postings(), iter(lines)
        under_way: deque[tuple[_Chunk, Future[None]]] = deque()
        with ThreadPoolExecutor(STORED_AT_ONCE) as storing:
            while taken := list(islice(rest, CHUNK_LINES)):
                while any(chunk.shares_a_customer_with(taken) for chunk, _ in under_way):
                    total.take(self._stored(*under_way.popleft()))
                chunk = self._chunk(taken)
                if len(under_way) == STORED_AT_ONCE:
                    total.take(self._stored(*under_way.popleft()))
                under_way.append((chunk, storing.submit(self._store, chunk)))
            while under_way:
                total.take(self._stored(*under_way.popleft()))
        return total

    def _chunk(self, lines: Sequence[PointsLine]) -> "_Chunk":
        return _Chunk(self, lines, business_date(self.clock(), self.zone))

    def _store(self, chunk: "_Chunk") -> None:
        if chunk.is_late:
            raise Conflict("the year has ended meanwhile")
        writes = chunk.writes()
        if writes:
            first, last = chunk.lines[0].number, chunk.lines[-1].number
            self.log.append_bulk(writes, self.context_of(uuid5(self.job, f"lines {first} to {last}")))

    def _stored(self, chunk: "_Chunk", stored: "Future[None]") -> Postings:
        """What became of a chunk; where another came first, it is made and stored anew."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                if attempt == 0:
                    stored.result()
                else:
                    self._store(chunk)
            except Conflict:
                time.sleep(random.uniform(0, min(0.002 * 2**attempt, 0.5)))
                chunk = self._chunk(chunk.lines)
            else:
                return chunk.done
        raise Conflict("other postings to the same customers kept coming first")


@dataclass(slots=True)
class _Ledger:
    """A ledger that the chunk looks at, and what it adds to it. `standing` is the state before that."""

    stream_id: UUID
    tail: Tail
    standing: PointsLedger
    events: list[PointsPosted | PointsCarriedForward] = field(default_factory=list)
    event_ids: list[UUID] = field(default_factory=list)

    @property
    def state(self) -> PointsLedger:
        """Made when it is asked for: few ledgers take a second event of a chunk."""
        if not self.events:
            return self.standing
        return ledger_after(self.events[-1], self.standing.postings + len(self.events))

    def take(self, event: PointsPosted | PointsCarriedForward, event_id: UUID) -> None:
        self.events.append(event)
        self.event_ids.append(event_id)


class _Chunk:
    """One attempt at some lines: what is missing of them, and in `done` what becomes of all.

    `is_late`: the ledgers have gone into the next year since the chunk began.
    """

    def __init__(self, posting: Posting, lines: Sequence[PointsLine], today: date) -> None:
        self.lines, self.done, self.is_late = lines, Postings(), False
        self._opened, self._today = posting.opened, today
        self._years = years_before(today.year)
        self._customers = {line.customer for line in lines}
        self._ledgers = self._looked_up(posting.log, today.year)
        self._before = {year: self._looked_up(posting.log, year) for year in self._years}
        for line, entry in self._missing(posting):
            self._post(line, entry)

    def shares_a_customer_with(self, lines: Sequence[PointsLine]) -> bool:
        return not self._customers.isdisjoint([line.customer for line in lines])

    def writes(self) -> list[Write]:
        """What is missing, in the order of stream ids."""
        years = (self._ledgers, *self._before.values())
        extended = [ledger for year in years for ledger in year.values() if ledger.events]
        extended.sort(key=lambda ledger: ledger.stream_id.int)
        return [
            Write(
                ledger.stream_id,
                DECIDER.stream_type,
                ledger.tail.version,
                ledger.tail.hash,
                ledger.events,
                None,
                ledger.event_ids,
            )
            for ledger in extended
        ]

    def _looked_up(self, log: Log, year: int) -> dict[str, _Ledger]:
        """The customers' ledgers of a year, as they end."""
        namespace, programme = LEDGERS.bytes, self._opened.header.programme
        ids = {c: named_uuid(namespace, ledger_name(programme, c, year)) for c in self._customers}
        tails = log.tails(list(ids.values()))
        found = {}
        for customer, stream_id in ids.items():
            tail = tails.get(stream_id, NOTHING) if tails else NOTHING
            state = ledger_after(tail.event, tail.version) if tail.version else EMPTY
            found[customer] = _Ledger(stream_id, tail, state)
        return found

    def _missing(self, posting: Posting) -> Iterator[tuple[PointsLine, UUID]]:
        """The lines that stand in no ledger yet, with the ids of their entries; the others are counted."""
        job = posting.job.bytes
        entries = [named_uuid(job, str(line.number)) for line in self.lines]  # as `entry_id` makes them
        years = (self._ledgers, *self._before.values())
        there = [ledger.stream_id for year in years for ledger in year.values() if ledger.tail.version]
        standing = posting.log.recorded(there, entries) if there else frozenset()
        for line, entry in zip(self.lines, entries, strict=True):
            if standing and entry in standing:
                self.done.posted += 1
                self.done.points += line.points
            else:
                yield line, entry

    def _post(self, line: PointsLine, entry: UUID) -> None:
        ledger = self._ledgers[line.customer]
        state, opening = ledger.state, 0
        status = state.status
        self.is_late |= status is Status.CARRIED
        carried: list[tuple[_Ledger, PointsCarriedForward]] = []
        try:
            if status is Status.UNKNOWN and self._years:
                carried = self._carried(line.customer)
                opening = sum(event.balance for _, event in carried)
        except Refused as no:
            self._refuse(line, no.faults[0].code)
            return
        if faults := room_faults(state, line.points, opening):
            self._refuse(line, faults[0].code)
            return
        for before, event in carried:
            before.take(event, named_uuid(entry.bytes, f"carried {before.stream_id}"))
        header, terms, year = self._opened.header, self._opened.terms, self._today.year
        ledger.take(posting_of(line, header, terms, state, year, opening), entry)
        self.done.posted += 1
        self.done.points += line.points

    def _refuse(self, line: PointsLine, code: str) -> None:
        self.done.refused += 1
        if len(self.done.refused_lines) < LINES_NAMED_MAX:
            self.done.refused_lines.append(RefusedLine(line.number, code))

    def _carried(self, customer: str) -> list[tuple[_Ledger, PointsCarriedForward]]:
        """What is carried out of earlier years by the first posting of this one. Raise Refused."""
        found: list[tuple[_Ledger, PointsCarriedForward]] = []
        for year in self._years:
            seals = year == self._today.year - 1 and is_sealing(self._today)
            before = self._before[year][customer]
            events = DECIDER.decide(CarryForward(self._today.year, seals), before.state)
            found += [(before, event) for event in events if isinstance(event, PointsCarriedForward)]
            if before.state.status is not Status.UNKNOWN:
                break
        return found
