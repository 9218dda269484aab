"""Bulk posting: the accepted lines of a points job into customers' ledgers, each exactly once.

A chunk of lines is one transaction. Before it is made, the log is asked how the chunk's ledgers end and which
of its lines stand there already: a line's event has an id that follows from job and line number. Whoever was
killed, or came second on a ledger, asks again and posts what is missing.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from uuid import UUID, uuid5

from application.points_ledgers import is_sealing
from application.shared.business_time import business_date
from application.shared.records import GENESIS, Conflict, Context, Log, Tail, Write
from domain.points_files import PointsLine
from domain.points_job_terms import LINES_NAMED_MAX, RefusedLine
from domain.points_jobs import PointsJobOpened
from domain.points_ledgers import (
    DECIDER,
    Account,
    CarryForward,
    Holder,
    PointsCarriedForward,
    PointsLedger,
    PointsPosted,
    Post,
    Source,
    Status,
    judged_posting,
    ledger_after,
    ledger_id,
    room_faults,
    years_before,
)
from domain.shared.refusal import Refused, refuse_any

CHUNK_LINES = 4_000
ATTEMPTS_MAX = 40
NOTHING = Tail(0, GENESIS, None)


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


@dataclass(frozen=True, slots=True)
class Posting:
    """One job's posting. `clock` is business time: it tells the year whose ledgers are open."""

    log: Log
    job: UUID
    opened: PointsJobOpened
    context_of: ContextOf
    clock: Callable[[], datetime]

    def post(self, lines: Iterable[PointsLine]) -> Postings:
        """Post what is not posted yet; memory stays flat. Raise Conflict when others keep coming first."""
        total, rest = Postings(), iter(lines)
        while chunk := list(islice(rest, CHUNK_LINES)):
            total.take(self._post_chunk(chunk))
        return total

    def _post_chunk(self, lines: Sequence[PointsLine]) -> Postings:
        job = self.job
        command_id = uuid5(job, f"lines {lines[0].number} to {lines[-1].number}")
        for attempt in range(ATTEMPTS_MAX):
            chunk = _Chunk(self, lines, business_date(self.clock()))
            try:
                writes = list(chunk.writes())
                if writes:
                    self.log.append_bulk(writes, self.context_of(command_id))
            except Conflict:
                time.sleep(random.uniform(0, min(0.002 * 2**attempt, 0.5)))
            else:
                return chunk.done
        raise Conflict("other postings to the same customers kept coming first")


def posting_key(job: UUID, line_number: int) -> str:
    """The key of a job's line, in whatever ledger it comes to stand."""
    return f"{job.hex}:{line_number}"


def entry_id(job: UUID, line_number: int) -> UUID:
    """The id of the event that posts a job's line."""
    return uuid5(job, str(line_number))


@dataclass(slots=True)
class _Open:
    """A ledger that the chunk extends."""

    tail: Tail
    state: PointsLedger
    events: list[PointsPosted | PointsCarriedForward] = field(default_factory=list)
    event_ids: list[UUID] = field(default_factory=list)

    def take(self, event: PointsPosted | PointsCarriedForward, event_id: UUID) -> None:
        self.events.append(event)
        self.event_ids.append(event_id)
        self.state = ledger_after(event, self.state.postings + 1)


class _Chunk:
    """One attempt at one chunk of lines."""

    def __init__(self, posting: Posting, lines: Sequence[PointsLine], today: date) -> None:
        self._posting, self._lines, self._today = posting, lines, today
        programme = posting.opened.header.programme
        self._lot = f"{today.year}"
        self._years = (today.year, *years_before(today.year))
        self._holders = {line.customer: Holder(programme, line.customer) for line in lines}
        self._ids = {
            (customer, year): ledger_id(holder, year)
            for customer, holder in self._holders.items()
            for year in self._years
        }
        self._tails = posting.log.tails(list(self._ids.values()))
        self._entries = [entry_id(posting.job, line.number) for line in lines]
        there = list(self._tails)
        self._standing = posting.log.recorded(there, self._entries) if there else frozenset()
        self._open: dict[UUID, _Open] = {}
        self.done = Postings()

    def writes(self) -> Iterator[Write]:
        """What is missing, in the order of stream ids; afterwards `done` tells of all the lines."""
        for line, entry in zip(self._lines, self._entries, strict=True):
            if entry in self._standing:
                self.done.posted += 1
                self.done.points += line.points
            else:
                self._post(line, entry)
        for stream_id in sorted(self._open, key=_bytes_of):
            ledger = self._open[stream_id]
            if ledger.events:
                tail = ledger.tail
                yield Write(
                    stream_id,
                    DECIDER.stream_type,
                    tail.version,
                    tail.hash,
                    ledger.events,
                    event_ids=ledger.event_ids,
                )

    def _post(self, line: PointsLine, entry: UUID) -> None:
        ledger = self._ledger(line.customer, self._today.year)
        if ledger.state.status is Status.CARRIED:
            raise Conflict("the year has ended meanwhile")
        try:
            carried = self._carried(line.customer) if ledger.state.status is Status.UNKNOWN else []
            opening = sum(event.balance for _, event in carried)
            refuse_any(room_faults(ledger.state, line.points, opening))
        except Refused as no:
            self.done.refused += 1
            if len(self.done.refused_lines) < LINES_NAMED_MAX:
                self.done.refused_lines.append(RefusedLine(line.number, no.faults[0].code))
            return
        for before, event in carried:
            before.take(event, uuid5(entry, str(event.into)))
        ledger.take(judged_posting(self._command(line, opening), ledger.state), entry)
        self.done.posted += 1
        self.done.points += line.points

    def _ledger(self, customer: str, year: int) -> "_Open":
        stream_id = self._ids[customer, year]
        found = self._open.get(stream_id)
        if found is None:
            tail = self._tails.get(stream_id, NOTHING)
            state = ledger_after(tail.event, tail.version) if tail.version else PointsLedger()
            found = self._open[stream_id] = _Open(tail, state)
        return found

    def _carried(self, customer: str) -> list[tuple["_Open", PointsCarriedForward]]:
        """What is carried out of earlier years by the first posting of this one. Raise Refused."""
        found: list[tuple[_Open, PointsCarriedForward]] = []
        for year in self._years[1:]:
            seals = year == self._today.year - 1 and is_sealing(self._today)
            before = self._ledger(customer, year)
            if not found or not found[-1][1].balance:
                events = DECIDER.decide(CarryForward(self._today.year, seals), before.state)
                found += [(before, event) for event in events if isinstance(event, PointsCarriedForward)]
        return found

    def _command(self, line: PointsLine, opening: int) -> Post:
        terms = self._posting.opened.terms
        job = self._posting.job
        return Post(
            posting_key=posting_key(job, line.number),
            holder=self._holders[line.customer],
            year=self._today.year,
            points=line.points,
            contra=Account.ISSUANCE,
            card=line.card,
            lot=self._lot,
            value_date=self._posting.opened.header.business_date,
            business_type=line.business_type,
            name=terms.name,
            origin=terms.origin,
            source=Source(job, line.number),
            opening=opening,
        )


def _bytes_of(stream_id: UUID) -> bytes:
    return stream_id.bytes
