"""A small bank to test use cases in: its people, a clock that stands still, a short verb for each command."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from application import activities, approvals, catalogues
from application.access import Permission, Principal, Role
from application.activities import Chosen, CostLineEntry, PlanEntry, RewardLineEntry
from application.approvals import Seen
from application.catalogues import Change
from application.shared.business_time import DEFAULT_ZONE
from application.shared.handler import Handler, Request
from application.shared.records import Receipt
from application.shared.turns import Turns
from domain.activities import DECIDER as ACTIVITY
from domain.activities import Activity
from domain.approvals import DECIDER as APPROVAL
from domain.approvals import Approval, Level
from domain.catalogues import DECIDERS, Details, Entry, Kind
from domain.reward_details import RewardEntry
from domain.shared.money import Amount
from domain.shared.refusal import Refused
from infrastructure.event_log import EventLog

T = TypeVar("T")

NOW = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
DAY = timedelta(days=1)
ALL_UNITS = frozenset({"HO", "SH", "BJ"})


def person(user: str, *roles: Role, org_unit: str = "HO", units: frozenset[str] = ALL_UNITS) -> Principal:
    return Principal(user, frozenset(roles), org_unit, units)


LIN = person("lin", Role.OPERATOR)
WU = person("wu", Role.OPERATOR)
RAO = person("rao", Role.RESEARCHER)
TAN = person("tan", Role.TECHNOLOGIST)
MAO = person("mao", Role.OPERATOR, Role.RESEARCHER, Role.TECHNOLOGIST)
"""Who holds every role, and still decides nothing of his own and no item twice."""
IN_SHANGHAI = person("hu", Role.OPERATOR, Role.RESEARCHER, org_unit="SH", units=frozenset({"SH"}))
SCHEDULER = Principal(
    "scheduler", frozenset(), "HO", ALL_UNITS, system_permissions=frozenset({Permission.ACTIVITIES_END})
)

IN_WORDS = {
    Kind.ACTIVITY_TYPE: "ActivityType",
    Kind.COST_TYPE: "CostType",
    Kind.DEPARTMENT: "Department",
    Kind.REWARD_TYPE: "RewardType",
}
SMS_ATTRIBUTES = {"accounting_subject": "6601", "unit": "CNY"}
TIMES_POINTS = {"unit": "times", "minimum": "1", "maximum": "10", "route": "points", "unit_cost": "0.002",
                "currency": "CNY"}  # fmt: skip


def _unheard(name: str) -> str:
    """A name or code that no other bank on the same log has given."""
    return f"{name}-{uuid4().hex[:8].upper()}"


@dataclass
class Bank:
    """Every verb sends one command; keywords such as `key` and `expected_version` go into its request."""

    log: EventLog
    now: datetime = NOW
    numbers: Any = field(default_factory=lambda: count(1))
    zone: ZoneInfo = DEFAULT_ZONE
    owned: dict[str, UUID] = field(default_factory=dict)
    """The department and the reward type of plans that name none, made when the first is asked for."""
    turns: Turns = field(default_factory=Turns)

    @property
    def handler(self) -> Handler:
        return Handler(self.log, clock=lambda: self.now, turns=self.turns, zone=self.zone)

    def send(
        self,
        by: Principal,
        operation: str,
        request: dict[str, Any],
        use_case: Callable[..., UUID],
        *given: Any,
    ) -> Receipt:
        """What the use case is given, besides the work, is the request's input."""
        return self.handler(Request(by, operation, given, **request), lambda work: use_case(work, *given))

    def another_process(self) -> "Bank":
        """The same bank, served by a process that remembers nothing of what this one does."""
        return Bank(EventLog(self.log.log_recorder.pool), self.now, self.numbers, self.zone, self.owned)

    # --- Catalogues ---

    def add(
        self,
        kind: Kind,
        name: str,
        *,
        code: str | None = None,
        parent: UUID | None = None,
        attributes: dict[str, str] | None = None,
        by: Principal = LIN,
        **request: Any,
    ) -> UUID:
        known = {Kind.COST_TYPE: SMS_ATTRIBUTES, Kind.DEPARTMENT: {"role": "business"}}
        details = Details(name, attributes=attributes or known.get(kind, {}))
        code = f"C{next(self.numbers)}" if code is None else code
        return self.send(
            by, f"add{IN_WORDS[kind]}", request, catalogues.add, kind, code, details, parent
        ).subject

    def add_type(self, name: str, **more: Any) -> UUID:
        return self.add(Kind.ACTIVITY_TYPE, name, **more)

    def add_cost_type(self, name: str, **more: Any) -> UUID:
        return self.add(Kind.COST_TYPE, name, **more)

    def add_department(self, name: str, **more: Any) -> UUID:
        return self.add(Kind.DEPARTMENT, name, **more)

    def add_reward_type(self, name: str, cost_type: UUID | None = None, **rules: str) -> UUID:
        """Points times N, 1 to 10, but for what the rules say."""
        cost_type = cost_type or self.add_cost_type(f"{name} cost")
        attributes = {**TIMES_POINTS, "cost_type": str(cost_type), **rules}
        return self.add(Kind.REWARD_TYPE, name, attributes=attributes)

    def furnished(self) -> "Bank":
        """With the department and reward type of plans made already: for tests that count or race."""
        self.department()
        self.reward_type()
        return self

    def department(self) -> UUID:
        if "department" not in self.owned:
            self.owned["department"] = self.add_department(_unheard("Marketing"), code=_unheard("D"))
        return self.owned["department"]

    def reward_type(self) -> UUID:
        if "reward_type" not in self.owned:
            fee = self.add_cost_type(_unheard("Points"), code=_unheard("P"))
            attributes = {**TIMES_POINTS, "cost_type": str(fee)}
            self.owned["reward_type"] = self.add(
                Kind.REWARD_TYPE, _unheard("Points times N"), code=_unheard("R"), attributes=attributes
            )
        return self.owned["reward_type"]

    def revise_entry(
        self, kind: Kind, entry: UUID, change: Change, *, by: Principal = LIN, **request: Any
    ) -> Receipt:
        return self.send(by, f"revise{IN_WORDS[kind]}", request, catalogues.revise, kind, entry, change)

    def rename(self, kind: Kind, entry: UUID, name: str, **request: Any) -> Receipt:
        return self.revise_entry(kind, entry, Change(name=name), **request)

    def move(self, entry: UUID, parent: UUID | None, **request: Any) -> Receipt:
        return self.revise_entry(Kind.ACTIVITY_TYPE, entry, Change(moves=True, parent=parent), **request)

    def enable(self, kind: Kind, entry: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, f"enable{IN_WORDS[kind]}", request, catalogues.enable, kind, entry)

    def disable(self, kind: Kind, entry: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, f"disable{IN_WORDS[kind]}", request, catalogues.disable, kind, entry)

    def remove(self, kind: Kind, entry: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, f"remove{IN_WORDS[kind]}", request, catalogues.remove, kind, entry)

    # --- Activities ---

    def plan(self, type_: UUID, *cost_types: UUID, **changes: Any) -> PlanEntry:
        """A sound plan with one cost line of 10 CNY for each cost type, and twofold points as reward."""
        lines = (CostLineEntry(Chosen(id), Amount(Decimal(10), "CNY")) for id in cost_types)
        plan = PlanEntry(
            name="Spring dining",
            activity_type=Chosen(type_),
            starts_at=NOW,
            ends_at=NOW + 30 * DAY,
            budget=Amount(Decimal(1000), "CNY"),
            cost_lines=tuple(lines),
        )
        if "department" not in changes:
            changes["department"] = Chosen(self.department())
        if "rewards" not in changes:
            changes["rewards"] = (self.reward("2"),)
        return replace(plan, **changes)

    def reward(
        self, value: str, reward_type: UUID | None = None, cap_total: str | None = None
    ) -> RewardLineEntry:
        entry = RewardEntry(value, cap_total=cap_total)
        return RewardLineEntry(Chosen(reward_type or self.reward_type()), entry)

    def draft(self, plan: PlanEntry, code: str | None = None, *, by: Principal = LIN, **request: Any) -> UUID:
        code = f"A{next(self.numbers)}" if code is None else code
        return self.send(by, "draftActivity", request, activities.draft, code, plan).subject

    def revise(self, activity: UUID, plan: PlanEntry, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, "reviseActivity", request, activities.revise, activity, plan)

    def submit(self, activity: UUID, *, by: Principal = LIN, **request: Any) -> UUID:
        """The approval that was opened."""
        self.send(by, "submitActivity", request, activities.submit, activity)
        approval = self.activity(activity).approval
        assert approval is not None
        return approval

    def withdraw(self, activity: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, "withdrawActivity", request, activities.withdraw, activity)

    def delete(self, activity: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, "deleteActivity", request, activities.delete, activity)

    def launch(self, activity: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, "launchActivity", request, activities.launch, activity)

    def pause(self, activity: UUID, reason: str = "stock", *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, "pauseActivity", request, activities.pause, activity, reason)

    def resume(self, activity: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.send(by, "resumeActivity", request, activities.resume, activity)

    def cancel(
        self, activity: UUID, reason: str = "budget", *, by: Principal = LIN, **request: Any
    ) -> Receipt:
        return self.send(by, "cancelActivity", request, activities.cancel, activity, reason)

    def end(self, activity: UUID, *, by: Principal = SCHEDULER, **request: Any) -> Receipt:
        return self.send(by, "endActivity", request, activities.end, activity)

    # --- Approvals ---

    def seen(self, approval: UUID, level: Level | None = None) -> Seen:
        """What an approver reads who looks now, at the level that is awaited unless another is named."""
        state = self.approval(approval)
        assert state.subject is not None
        level = level or state.level or Level.TECHNOLOGY
        return Seen(level, state.subject.revision, state.subject.content_hash)

    def approve(
        self,
        approval: UUID,
        *,
        by: Principal,
        seen: Seen | None = None,
        comment: str = "",
        **request: Any,
    ) -> Receipt:
        read = seen or self.seen(approval)
        return self.send(by, "approve", request, approvals.approve, approval, read, comment)

    def reject(
        self,
        approval: UUID,
        *,
        by: Principal,
        seen: Seen | None = None,
        reason: str = "too dear",
        **request: Any,
    ) -> Receipt:
        read = seen or self.seen(approval)
        return self.send(by, "reject", request, approvals.reject, approval, read, reason)

    # --- What came of it ---

    def activity(self, id: UUID) -> Activity:
        return self.log.load(ACTIVITY, id).state

    def approval(self, id: UUID) -> Approval:
        return self.log.load(APPROVAL, id).state

    def entry(self, kind: Kind, id: UUID) -> Entry:
        return self.log.load(DECIDERS[kind], id).state

    def version(self, id: UUID) -> int:
        return len(self.events(id))

    def events(self, id: UUID) -> list[Any]:
        return [record.event for record in self.log.records(id)]

    def count_events(self) -> int:
        """How many events the whole log holds."""
        with self.log.log_recorder.pool.connection() as connection:
            row = connection.execute("select count(*) from log.events").fetchone()
        assert row is not None
        return int(row[0])

    # --- Ready-made ---

    def approved(self, activity: UUID) -> UUID:
        """Submit the activity and approve it at both levels; the approval."""
        approval = self.submit(activity)
        self.approve(approval, by=RAO)
        self.approve(approval, by=TAN)
        return approval

    def running(self, activity: UUID) -> UUID:
        self.approved(activity)
        self.launch(activity)
        return activity


def answered(call: Callable[[], T]) -> T | Refused:
    """What the call returns; a refusal is an answer too."""
    try:
        return call()
    except Refused as refusal:
        return refusal


def at_once(calls: Sequence[Callable[[], T]]) -> list[T | Refused]:
    """The answers; each call runs in a thread of its own, all let go at the same moment."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Refused:
        gate.wait(timeout=60)
        return answered(call)

    with ThreadPoolExecutor(len(calls)) as threads:
        return [answer.result(timeout=120) for answer in [threads.submit(run, call) for call in calls]]


def codes(answer: object) -> list[str]:
    """The codes of a refusal; empty for anything else."""
    return [str(fault.code) for fault in answer.faults] if isinstance(answer, Refused) else []
