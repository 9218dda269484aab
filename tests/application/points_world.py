"""A bank with a run that has found customers, a folder, and a points system that answers when told to."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from application import points_jobs, points_pipeline
from application.points_jobs import PointsTerms
from application.points_pipeline import PointsDesk
from application.shared.gateways import DuplicateFile, GatewayUnavailable, PointsGateway
from application.shared.records import GENESIS, Append, CommandKey, Context, Write
from domain.budgets import DECIDER as BUDGET
from domain.budgets import Budget, budget_id
from domain.points_files import (
    ACCEPTED,
    AcknowledgementHeader,
    AcknowledgementLine,
    PointsLine,
    acknowledgement_file,
    read_points_file,
)
from domain.points_jobs import DECIDER as JOB
from domain.points_jobs import PointsJob
from domain.points_ledgers import DECIDER as LEDGER
from domain.points_ledgers import Holder, PointsLedger, ledger_id
from domain.segment_contents import MappedColumn, Output, SegmentContent
from domain.segment_definitions import (
    DefinitionApproved,
    DefinitionDrafted,
    DefinitionKind,
    DefinitionSubmitted,
)
from domain.segment_runs import (
    ResultColumn,
    Retention,
    SegmentRunRequested,
    SegmentRunStarted,
    SegmentRunSucceeded,
)
from domain.shared.money import Amount
from domain.shared.references import Reference
from domain.work_order_contents import Content, Kind
from domain.work_order_executions import ExecutionStarted, WorkOrderScheduled
from domain.work_orders import WorkOrderApproved, WorkOrderDrafted, WorkOrderSubmitted
from infrastructure.event_log import EventLog
from infrastructure.file_folder import DirectoryFolder
from infrastructure.pending_points import PendingTable
from tests.application.bank import ALL_UNITS, LIN, NOW, Bank

MAPPING = (
    MappedColumn("CUSTOMER", "customer_id"),
    MappedColumn("CARD", "card"),
    MappedColumn("POINTS", "points"),
)
HASH = hashlib.sha256(b"result").hexdigest()
TERMS = PointsTerms("CC", "CAMPAIGN_REWARD", "0.01", "CNY")
Rows = Sequence[tuple[str, str, int]]


def rows(count: int, points: int = 500, start: int = 1) -> Rows:
    """So many customers, one card each."""
    return [
        (f"C{number:08d}", f"622588********{number % 10_000:04d}", points)
        for number in range(start, start + count)
    ]


@dataclass
class StoredResults:
    """What runs have found, by run."""

    found: dict[UUID, Rows] = field(default_factory=dict)

    def rows(self, run_id: UUID, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        assert list(columns) == ["customer_id", "card", "points"]
        return iter(self.found[run_id])


@dataclass
class Counterpart:
    """The points system behind a gateway that keeps its promises. `is_down`: it can't be reached.

    It takes a file at once, unless it is told to leave it `waiting`.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    is_down: bool = False
    deliveries: int = 0
    waiting: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)

    def deliver(self, file: Path, name: str, sha256: str, sending: int = 1) -> None:
        if self.is_down:
            raise GatewayUnavailable("down")
        if name in self.withdrawn:
            raise DuplicateFile("withdrawn")
        if sending > 1:
            self.answers.pop(name, None)
        content = file.read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
        assert self.files.setdefault(name, content) == content
        self.deliveries += 1

    def acknowledgement(self, name: str) -> bytes | None:
        return self.answers.get(name)

    def withdraw(self, name: str) -> bool:
        if name in self.files and name not in self.waiting:
            return False
        self.files.pop(name, None)
        self.withdrawn.add(name)
        return True

    def lines(self, name: str) -> list[PointsLine]:
        return [part for part in read_points_file([self.files[name]]) if isinstance(part, PointsLine)]

    def answer(self, name: str, rejected: Iterable[int] = (), left_out: Iterable[int] = ()) -> None:
        """Acknowledge every line of the file, some with a rejection, some not at all."""
        header = AcknowledgementHeader(name, hashlib.sha256(self.files[name]).hexdigest())
        answered = (
            AcknowledgementLine(line.number, "E1" if line.number in set(rejected) else ACCEPTED)
            for line in self.lines(name)
            if line.number not in set(left_out)
        )
        self.answers[name] = b"".join(acknowledgement_file(header, answered))


@dataclass
class PointsWorld:
    bank: Bank
    folder: Path
    results: StoredResults = field(default_factory=StoredResults)
    system: Counterpart = field(default_factory=Counterpart)
    gateway: PointsGateway | None = None
    """Another way than to `system`."""

    @property
    def desk(self) -> PointsDesk:
        folder, gateway = DirectoryFolder(self.folder), self.gateway or self.system
        pending = PendingTable(self.bank.log.log_recorder.pool)
        return PointsDesk(self.bank.handler, self.results, gateway, folder, pending, ALL_UNITS)

    # --- What comes before ---

    def activity(self, budget: str = "1000") -> UUID:
        plan = self.bank.plan(
            self.bank.add_type(f"Dining {next(self.bank.numbers)}"), budget=Amount(Decimal(budget), "CNY")
        )
        return self.bank.running(self.bank.draft(plan))

    def work_order(self, activity: UUID, run: UUID, definition: UUID) -> UUID:
        content = Content(
            "Diners", Reference(activity, 1), Reference(uuid4(), 1), "all", NOW, "chen", Reference(uuid4(), 1)
        )
        return self.happened(
            "work_order",
            WorkOrderDrafted("WO-2026-000001", Kind.ACTIVITY, "HO", content, "lin"),
            WorkOrderSubmitted(1, uuid4(), HASH, "research", "lin"),
            WorkOrderApproved(1, uuid4()),
            WorkOrderScheduled(Reference(definition, 1), "tan"),
            ExecutionStarted(run, 1),
        )

    def run(self, found: Rows, activity: UUID | None = None, lacks: str = "") -> UUID:
        """A run that succeeded for a work order of the activity; its result has all columns but `lacks`."""
        run = uuid4()
        outputs = tuple(name for name in ("customer_id", "card", "points") if name != lacks)
        content = SegmentContent(
            "Diners",
            "",
            "select customer_id, card_masked as card, 500 as points from cards",
            "bank",
            ("customer_id",),
            tuple(Output(name, False) for name in outputs),
            mapping=tuple(column for column in MAPPING if column.source != lacks),
        )
        definition = self.happened(
            "segment_definition",
            DefinitionDrafted("DINERS", "HO", DefinitionKind.ACTIVITY, None, content, "lin"),
            DefinitionSubmitted(1, uuid4(), HASH, (), "lin", "research"),
            DefinitionApproved(1, uuid4(), HASH),
        )
        order = self.work_order(activity or self.activity(), run, definition)
        columns = tuple(ResultColumn(name, "VARCHAR", False) for name in outputs)
        self.happened(
            "segment_run",
            SegmentRunRequested(
                "DINERS",
                "HO",
                Reference(definition, 1),
                HASH,
                order,
                (),
                False,
                None,
                Retention.RESULT,
                "lin",
            ),
            SegmentRunStarted(1),
            SegmentRunSucceeded(1, len(found), columns, 1_000, 10, HASH, "snapshot"),
            stream=run,
        )
        self.results.found[run] = found
        return run

    def happened(self, stream_type: str, *events: Any, stream: UUID | None = None) -> UUID:
        """Facts of a capability that is told of elsewhere."""
        stream, id_ = stream or uuid4(), uuid4()
        write = Write(stream, stream_type, 0, GENESIS, events)
        context = Context("tester", None, "HO", id_, id_, None, self.bank.now)
        key = CommandKey("tester", "happened", str(id_), b"")
        self.bank.log.append(Append(key, context, stream, len(events), [write]))
        return stream

    def extend(self, stream: UUID, decider: Any, *events: Any, log: EventLog | None = None) -> None:
        """More facts of such a stream."""
        log = log or self.bank.log
        loaded, id_ = log.load(decider, stream), uuid4()
        write = Write(stream, decider.stream_type, loaded.version, loaded.hash, events)
        context = Context("tester", None, "HO", id_, id_, None, self.bank.now)
        key = CommandKey("tester", "extend", str(id_), b"")
        log.append(Append(key, context, stream, loaded.version + len(events), [write]))

    # --- Jobs ---

    def open(self, run: UUID, terms: PointsTerms = TERMS, **request: Any) -> UUID:
        return self.bank.send(LIN, "openPointsJob", request, points_jobs.open_job, run, terms).subject

    def opened(self, found: Rows, activity: UUID | None = None, terms: PointsTerms = TERMS) -> UUID:
        return self.open(self.run(found, activity), terms)

    def step(self, job: UUID, times: int = 1) -> PointsJob:
        """Take the next step, so many times."""
        for _ in range(times):
            points_pipeline.STEPS[self.job(job).status](self.desk, job)
        return self.job(job)

    def sent(self, found: Rows, activity: UUID | None = None) -> UUID:
        job = self.opened(found, activity)
        self.step(job, 3)
        return job

    def settled(self, found: Rows, activity: UUID | None = None, rejected: Iterable[int] = ()) -> UUID:
        job = self.sent(found, activity)
        self.system.answer(self.name(job), rejected)
        self.step(job, 4)
        return job

    # --- What came of it ---

    def job(self, id: UUID) -> PointsJob:
        return self.bank.log.load(JOB, id).state

    def name(self, job: UUID) -> str:
        return self.job(job).has.header.file_name

    def budget(self, activity: UUID) -> Budget:
        return self.bank.log.load(BUDGET, budget_id(activity)).state

    def budget_of(self, job: UUID) -> Budget:
        return self.budget(self.job(job).has.cause.activity.id)

    def ledger(self, customer: str, year: int = 2026) -> PointsLedger:
        return self.bank.log.load(LEDGER, ledger_id(Holder("CC", customer), year)).state
