"""The bank in simulated time: its processes, broker and scheduler over a log in memory, and faults by dice.

Every choice comes from one generator, so the same seed gives the same log, byte for byte. Tasks come late,
out of order and twice; workers die before and after any commit, while others commit in between; the points
system is away, answers late, and rejects lines; people ask for cancellations at any moment.
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, cast
from unittest import mock
from uuid import UUID, uuid5

from application import points_jobs
from application.access import Role
from application.points_pipeline import PointsDesk
from application.processes import expired_reservations, points_delivery, work_order_execution
from application.processes.process import UNHEARD_MAX, Process, Step
from application.processes.work_order_execution import ExecutionDesk
from application.segment_runs import execute
from application.shared.engines import Column, Engine, ResultSet, RunFailed, RunFailure
from application.shared.gateways import GatewayError, GatewayUnavailable
from application.shared.handler import Handler
from application.shared.identifiers import uuid7
from application.shared.records import Conflict
from application.shared.turns import Turns
from application.shared.work import Work
from domain.approvals import DECIDER as APPROVAL
from domain.budgets import DECIDER as BUDGET
from domain.budgets import budget_id
from domain.points_job_statuses import Status as JobStatus
from domain.points_jobs import DECIDER as JOB
from domain.points_jobs import PointsJob
from domain.segment_contents import Output, SegmentContent
from domain.segment_definitions import DECIDER as DEFINITION
from domain.segment_definitions import (
    DefinitionKind,
    DraftDefinition,
    RecordApproval,
    SubmitDefinition,
    WorkOrderChoice,
)
from domain.segment_runs import DECIDER as RUN
from domain.shared.money import Amount
from domain.shared.refusal import Refused
from domain.stocks import DECIDER as STOCK
from domain.work_order_statuses import Status
from domain.work_orders import DECIDER as ORDER
from tests.application.bank import ALL_UNITS, LIN, NOW, RAO, TAN, Bank, person
from tests.application.orders import ADULTS, Orders
from tests.application.points_world import MAPPING, Counterpart
from tests.simulation.invariants import LINES, check, check_end, rejected
from tests.simulation.memory_log import MemoryLog

ORDERS = 3
POINTS = 500
ACTIONS_MAX = 260
"""With faults; what is left is done in calm."""
CALM_MAX = 600
RETRIES_MAX = 8
NESTED_MAX = 2
LEASE = timedelta(minutes=5)
RESERVED_FOR = timedelta(hours=2)
SEEDED = UUID(int=0)
OLD_HAND = person("old", *Role)


class Crash(BaseException):
    """The process is gone: nothing catches this but the broker, which delivers again."""


class Stuck(AssertionError):
    """In calm, with everybody at work, something is owed for ever."""


@dataclass
class Task:
    due_at: datetime
    name: str
    stream: UUID
    tries: int = 0


@dataclass
class MemoryFolder:
    """Files by name. `path` is where it would be; the counterpart reads through `read`."""

    files: dict[str, bytes] = field(default_factory=dict)

    def write(self, name: str, pieces: Any) -> Any:
        from application.shared.file_folders import StoredFile

        content = b"".join(pieces)
        self.files[name] = content
        return StoredFile(Path(name), len(content), sha256(content).hexdigest())

    def read(self, name: str) -> Iterator[bytes]:
        if name not in self.files:
            raise FileNotFoundError(name)
        yield self.files[name]

    def path(self, name: str) -> Path:
        return Path(name)


@dataclass
class NothingPending:
    def keep(self, job_id: UUID, lines: Any) -> None:
        del job_id
        for _ in lines:
            pass

    def forget(self, job_id: UUID) -> None:
        del job_id


@dataclass
class Base:
    """What every simulation begins with: an activity that runs, and work orders that are scheduled."""

    log: MemoryLog
    numbers: Any
    now: datetime
    activity: UUID
    orders: tuple[UUID, ...]


@contextmanager
def by_dice(dice: Random, now: Callable[[], datetime]) -> Iterator[None]:
    """Within the block nothing comes from outside: no time, no chance."""

    def time_ns() -> int:
        return int(now().timestamp() * 1_000_000_000)

    with (
        mock.patch.object(os, "urandom", dice.randbytes),
        mock.patch.object(time, "time_ns", time_ns),
        mock.patch.object(time, "sleep", return_value=None),
        mock.patch.object(random, "uniform", dice.uniform),
    ):
        yield


def made() -> Base:
    dice = Random(1)
    bank = Bank(cast(Any, MemoryLog(lambda: NOW, uuid7)), NOW)
    with by_dice(dice, lambda: NOW):
        plan = bank.plan(bank.add_type("Dining"), budget=Amount(Decimal(1_000), "CNY"))
        activity = bank.running(bank.draft(plan))
        orders = Orders(bank, activity, _group(bank), bank.department())
        made_ = [_scheduled(bank, orders, NOW + timedelta(hours=1 + n)) for n in range(ORDERS)]
    return Base(cast(MemoryLog, bank.log), bank.numbers, NOW, activity, tuple(made_))


def _group(bank: Bank) -> UUID:
    from application import customer_groups
    from domain.customer_groups import Purpose

    given = f"G{next(bank.numbers)}", Purpose.TARGET, ADULTS
    return bank.send(LIN, "defineCustomerGroup", {}, customer_groups.define, *given).subject


def _scheduled(bank: Bank, orders: Orders, at: datetime) -> UUID:
    order = orders.approved(execution_at=at)
    content = SegmentContent(
        "Diners",
        "",
        "select customer_id, card_masked as card, 500 as points from cards",
        "bank",
        ("customer_id",),
        tuple(Output(name, False) for name in ("customer_id", "card", "points")),
        mapping=MAPPING,
    )
    definition, approval = uuid7(), uuid7()
    chosen = WorkOrderChoice(order, is_open=True)

    def make(work: Work) -> UUID:
        code = f"D{next(bank.numbers)}"
        kind = DefinitionKind.ACTIVITY
        command = DraftDefinition(code, "HO", kind, chosen, content, "mao", is_code_free=True)
        work.begin(DEFINITION, definition, command)
        submit = SubmitDefinition(approval, (), "mao", "research", chosen)
        work.decide(DEFINITION, definition, submit)
        work.decide(DEFINITION, definition, RecordApproval(approval))
        return definition

    bank.send(LIN, "draftSegmentDefinition", {}, make)
    orders.schedule(order, definition)
    return order


PROCESSES = {process.name: process for process in (work_order_execution.PROCESS, points_delivery.PROCESS)}


class _Engine:
    """The engine's part of the simulation, under the names that the contract gives."""

    def __init__(self, simulation: "Simulation") -> None:
        self.run, self.discard = simulation.run_query, simulation.discard


class Simulation:
    """One seed. `crashes` and `nests` are chances of each commit, `repeats` and `outages` of each call."""

    crashes, nests, repeats, outages = 0.04, 0.15, 0.1, 0.15

    def __init__(self, base: Base, seed: int) -> None:
        self.dice, self.base = Random(seed), base
        self.log = base.log.fork(
            clock=lambda: self.bank.now,
            new_id=uuid7,
            before_commit=self._before_commit,
            after_commit=self._after_commit,
        )
        self.bank = Bank(cast(Any, self.log), base.now, copy(base.numbers), owned={})
        self.orders = Orders(self.bank, base.activity, SEEDED, SEEDED)
        self.memories: list[dict[Any, Any]] = [base.log.folded.copy() for _ in range(2)]
        self.tasks: list[Task] = []
        self.enqueued: set[UUID] = set()
        self.followed = dict.fromkeys(PROCESSES, 0)
        self.owed: dict[tuple[str, UUID], tuple[int, datetime, int]] = {}
        self.folder, self.system = MemoryFolder(), Counterpart()
        self.results: dict[UUID, list[tuple[str, str, int]]] = {}
        self.is_calm, self.depth, self.trace = False, 0, list[str]()

    # --- one run --------------------------------------------------------------

    def run(self) -> bytes:
        """Play it to its end and check what must hold; the log's digest."""
        with by_dice(self.dice, lambda: self.bank.now):
            for _ in range(ACTIONS_MAX):
                self._act()
                check(self)
            self._calm_down()
            check_end(self)
        return self.log.digest()

    def _act(self) -> None:
        actions: list[tuple[float, Callable[[], object]]] = [
            (4, self._deliver),
            (4, self._follow),
            (2, self._tick),
            (1, self._answer),
            (0.2, self._ask_for_cancellation),
            (1.2, self._decide_a_cancellation),
            (0.4, self._retry),
            (0.4, self._mend_a_job),
            (0.5, self._watch),
            (0.3, self._expire),
        ]
        # Another process: what it remembers, and turns that nobody else waits for.
        self.log.folded, self.bank.turns = self.dice.choice(self.memories), Turns()
        [(_, action)] = self.dice.choices(actions, [weight for weight, _ in actions])
        action()

    def _calm_down(self) -> None:
        """No more faults, and everybody does his part: what is owed must be done within some days."""
        self.is_calm = True
        for _ in range(CALM_MAX):
            while self._follow():
                pass
            for name in list(self.system.files):
                self._answer_one(name)
            self._decide_all()
            if not self._deliver():
                upcoming = [task.due_at for task in self.tasks]
                upcoming += [look_at for _, look_at, _ in self.owed.values()]
                if not upcoming:
                    return
                if min(upcoming) > self.base.now + timedelta(days=60):
                    break
                self.bank.now = max(self.bank.now, min(upcoming))
                self._watch()
                self._expire()
        raise Stuck(f"still owed: {self.owed}, {self.tasks}; {self.trace[-20:]}")

    # --- faults ---------------------------------------------------------------

    def _before_commit(self) -> None:
        if self.is_calm:
            return
        if self.depth < NESTED_MAX and self.dice.random() < self.nests:
            memory = self.log.folded
            self.depth += 1
            try:
                self._act()  # another process commits first
            finally:
                self.depth -= 1
                self.log.folded = memory
        self._perhaps_crash()

    def _after_commit(self) -> None:
        if not self.is_calm:
            self._perhaps_crash()

    def _perhaps_crash(self) -> None:
        if self.dice.random() < self.crashes:
            raise Crash

    # --- the broker and its workers -------------------------------------------

    def _deliver(self) -> bool:
        """Any task that is due, in no order. One whose worker dies comes again when its lease is over."""
        due = [task for task in self.tasks if task.due_at <= self.bank.now]
        if not due:
            return False
        task = self.dice.choice(due)
        self.tasks.remove(task)
        self.trace.append(f"{task.name} {task.stream}")
        try:
            again = self._perform(task)
        except Crash:
            self.log.folded.clear()
            self.tasks.append(Task(self.bank.now + LEASE, task.name, task.stream, task.tries))
        except (Refused, Conflict, GatewayError) as error:
            self.trace.append(f"  {error}"[:120])
            if task.tries < RETRIES_MAX:
                pause = timedelta(seconds=2 ** (task.tries + 1))
                self.tasks.append(Task(self.bank.now + pause, task.name, task.stream, task.tries + 1))
        else:
            if again is not None:
                self.tasks.append(Task(self.bank.now + again, task.name, task.stream))
            elif not self.is_calm and self.dice.random() < self.repeats:
                self.tasks.append(task)  # nobody heard that it was done
        return True

    def _perform(self, task: Task) -> timedelta | None:
        desk = ExecutionDesk(self.handler, ALL_UNITS)
        match task.name:
            case work_order_execution.START_WORK_ORDER:
                desk.start(task.stream)
            case work_order_execution.EXECUTE_RUN:
                execute(self.handler, cast(Engine, _Engine(self)), task.stream, ALL_UNITS)
            case work_order_execution.HAND_RUN_OVER:
                desk.hand_over(task.stream)
            case points_delivery.DELIVER_POINTS:
                return points_delivery.advance(self.points, task.stream)
            case _:
                raise AssertionError(task.name)
        return None

    @property
    def handler(self) -> Handler:
        return self.bank.handler

    @property
    def points(self) -> PointsDesk:
        shelf = cast(Any, (self, self, self.folder, NothingPending()))
        return PointsDesk(self.handler, *shelf, ALL_UNITS, reserve_for=RESERVED_FOR)

    # --- the runner of processes, and the scheduler ---------------------------

    def _follow(self) -> bool:
        """Checkpoint and tasks come together, as in one transaction."""
        name = self.dice.choice(list(PROCESSES))
        if self.is_calm:
            name = next((n for n in PROCESSES if self.followed[n] < len(self.log.events)), name)
        process, begun = PROCESSES[name], self.followed[name]
        end = min(len(self.log.events), begun + (50 if self.is_calm else self.dice.randrange(1, 20)))
        moved = dict.fromkeys(
            record.originator_id
            for record, _ in self.log.events[begun:end]
            if record.stream_type in process.deciders
        )
        for stream in moved:
            self._drive(process, cast(UUID, stream), 1)
        self.followed[name] = end
        return end > begun

    def _drive(self, process: Process, stream: UUID, driven: int) -> None:
        decider = process.deciders[self.log.streams[stream][0][0].stream_type]
        loaded = self.log.load(decider, stream)
        step = process.next_step(loaded.state)
        if step is None:
            self.owed.pop((process.name, stream), None)
            return
        due_at = step.due_at or self.bank.now
        patience = UNHEARD_MAX if step.is_begun else timedelta(minutes=5)
        look_at = max(due_at, self.bank.now) + patience * min(2**driven, 64)
        self.owed[process.name, stream] = loaded.version, look_at, driven
        if driven > 1 or not step.is_begun:
            self._enqueue(process, stream, loaded.version, step, driven)

    def _enqueue(self, process: Process, stream: UUID, version: int, step: Step, driven: int) -> None:
        message_id = uuid5(stream, f"{process.name}:{version}:{step.task}:{driven}")
        if message_id in self.enqueued:
            return
        self.enqueued.add(message_id)
        late = timedelta(0) if self.is_calm else timedelta(seconds=self.dice.choice([0, 0, 0, 1, 30, 900]))
        self.tasks.append(Task((step.due_at or self.bank.now) + late, step.task, stream))

    def _watch(self) -> None:
        for (name, stream), (_, look_at, driven) in list(self.owed.items()):
            if look_at <= self.bank.now:
                self._drive(PROCESSES[name], stream, driven + 1)

    def _expire(self) -> None:
        def holders(_: datetime, __: int) -> Sequence[tuple[str, UUID]]:
            types = {BUDGET.stream_type: "budget", STOCK.stream_type: "stock"}
            return [
                (types[records[0][0].stream_type], id_)
                for id_, records in self.log.streams.items()
                if records[0][0].stream_type in types
            ]

        with suppress(Crash):
            expired_reservations.expire_due(self.handler, holders, ALL_UNITS)

    def _tick(self) -> None:
        self.bank.now += timedelta(seconds=self.dice.choice([1, 20, 300, 1_800, 4_000]))

    # --- people ---------------------------------------------------------------

    def _by_person(self, act: Callable[[], object]) -> None:
        """Whose request is lost, or refused, goes away."""
        with suppress(Crash, Refused):
            act()

    def _ask_for_cancellation(self) -> None:
        order = self.dice.choice(self.base.orders)
        self._by_person(lambda: self.orders.request_cancellation(order))

    def _decide_a_cancellation(self) -> None:
        pending = self._pending()
        if pending:
            self._decide(self.dice.choice(pending), self.dice.random() < 0.6)

    def _decide_all(self) -> None:
        for approval in self._pending():
            self._decide(approval, True)
            self._decide(approval, True)
        for approval in self._pending():  # what can't be granted any more is rejected
            self._decide(approval, False)
        for job_id, job in self.jobs().items():
            if job.status is JobStatus.FAILED:
                self._by_person(lambda id_=job_id: self._tell_job("withdraw", id_, "nobody mends it"))

    def _decide(self, approval: UUID, is_granted: bool) -> None:
        level = self.log.load(APPROVAL, approval).state.level
        if level is None:
            return
        by = RAO if level == "research" else TAN
        if is_granted:
            self._by_person(lambda: self.bank.approve(approval, by=by))
        else:
            self._by_person(lambda: self.bank.reject(approval, by=by))

    def _pending(self) -> list[UUID]:
        return [
            id_
            for id_, records in self.log.streams.items()
            if records[0][0].stream_type == APPROVAL.stream_type
            and self.log.load(APPROVAL, id_).state.level is not None
        ]

    def _retry(self) -> None:
        order = self.dice.choice(self.base.orders)
        if self.log.load(ORDER, order).state.status is Status.FAILED:
            self._by_person(lambda: self.orders.retry(order))

    def _mend_a_job(self) -> None:
        """What an operator may do with a job that is out or has failed."""
        jobs = self.jobs()
        if jobs:
            job = self.dice.choice(list(jobs))
            verb, *given = self.dice.choice([("retry",), ("withdraw", "x"), ("resend", "x"), ("recall", "x")])
            self._by_person(lambda: self._tell_job(verb, job, *given))

    def _tell_job(self, verb: str, *given: object) -> None:
        operation = f"{verb}PointsFile" if verb in ("resend", "recall") else f"{verb}PointsJob"
        self.bank.send(OLD_HAND, operation, {}, getattr(points_jobs, verb), *given)

    # --- the engine -----------------------------------------------------------

    def run_query(self, run_id: UUID, *_: object) -> ResultSet:
        if run_id not in self.results:
            if not self.is_calm:
                self._perhaps_crash()
                if self.dice.random() < 0.05:
                    raise RunFailed(RunFailure.TIME_LIMIT)
            order = self.log.load(RUN, run_id).state.work_order
            assert order is not None
            first = self.base.orders.index(order) * 2
            customers = range(first, first + LINES)  # orders share customers
            self.results[run_id] = [(f"C{n:08}", f"622588********{n:04}", POINTS) for n in customers]
        columns = tuple(Column(name, "VARCHAR", False) for name in ("customer_id", "card", "points"))
        content = sha256(repr(self.results[run_id]).encode()).hexdigest()
        return ResultSet(run_id, LINES, columns, content, "S1", 900, 40)

    def rows(self, run_id: UUID, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        assert list(columns) == ["customer_id", "card", "points"]
        return iter(self.results[run_id])

    def discard(self, run_id: UUID) -> None:
        self.results.pop(run_id, None)

    # --- the points system ----------------------------------------------------

    def deliver(self, file: Path, name: str, checksum: str, sending: int = 1) -> None:
        self._perhaps_away()
        if sending > 1:
            self.system.answers.pop(name, None)
        content = self.folder.files[str(file)]
        assert sha256(content).hexdigest() == checksum
        if name in self.system.withdrawn:
            raise GatewayUnavailable("withdrawn")
        assert self.system.files.setdefault(name, content) == content, "a name has one content for ever"
        if self.dice.random() < 0.5:
            self.system.waiting.add(name)
        self._perhaps_away()

    def acknowledgement(self, name: str) -> bytes | None:
        self._perhaps_away()
        return self.system.answers.get(name)

    def withdraw(self, name: str) -> bool:
        self._perhaps_away()
        found = self.system.withdraw(name)
        self._perhaps_away()
        return found

    def _perhaps_away(self) -> None:
        if self.is_calm:
            return
        if self.dice.random() < self.outages:
            raise GatewayUnavailable("away")
        self._perhaps_crash()

    def _answer(self) -> None:
        if self.system.files:
            self._answer_one(self.dice.choice(list(self.system.files)))

    def _answer_one(self, name: str) -> None:
        """What it takes it keeps; the answer to a file is always the same."""
        self.system.waiting.discard(name)
        if name not in self.system.answers:
            self.system.answer(name, rejected(name))

    # --- what came of it ------------------------------------------------------

    def jobs(self) -> dict[UUID, PointsJob]:
        return {
            id_: self.log.load(JOB, id_).state
            for id_, records in self.log.streams.items()
            if records[0][0].stream_type == JOB.stream_type
        }

    def budget(self) -> Any:
        return self.log.load(BUDGET, budget_id(self.base.activity)).state
