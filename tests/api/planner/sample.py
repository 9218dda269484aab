"""A small bank for the planner's tests: read types, their tables, and rows full of hostile text."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from random import Random
from typing import Annotated, Any, Optional
from uuid import UUID

import psycopg
import strawberry
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from api.planner import ids
from api.planner.positions import Position
from api.planner.reads import SharedDocuments
from api.planner.values import SCALARS, Int64, Points
from api.planner.views import (
    Connection,
    Money,
    Node,
    choice,
    column,
    computed,
    listed,
    many,
    masked,
    money,
    one,
    payload,
    ref,
    struct,
    view,
)

OPEN_END = (2_147_483_647, 9_223_372_036_854_775_807)


@strawberry.enum
class ActivityStatus(StrEnum):
    DRAFT = "draft"
    IN_APPROVAL = "in_approval"
    APPROVED = "approved"


@strawberry.enum
class Channel(StrEnum):
    SMS = "SMS"
    APP = "APP"


@strawberry.enum
class ApprovalState(StrEnum):
    PENDING = "pending"
    GRANTED = "granted"


@strawberry.enum
class InboxBox(Enum):
    TO_DO = "to_do"
    DONE = "done"
    IN_MY_UNITS = "in_my_units"


@view("read.departments", prefix="dep", scope=None, order=("code",))
class Department(Node):
    code: str
    name: str


@view("read.cost_types", prefix="ct", scope=None, order=("rank desc", "code"))
class CostType(Node):
    code: str
    name: str
    rank: int


@view("read.events", prefix="ev", scope=None, order=("epoch", "sequence"), position=("epoch", "position"))
class Event(Node):
    epoch: int
    sequence: Int64 = column("position")


@struct
class CostLine:
    note: str | None
    cost_type_id: strawberry.ID | None = ref("costTypeId", CostType)
    cost_type: CostType | None = one("costTypeId")
    amount: Money | None = money("amountMinor", "row.currency")
    channels: list[Channel] | None
    agreed_at: datetime | None


@struct
class Rule:
    threshold: Decimal | None
    is_capped: bool | None
    cap: Int64 | None
    until: date | None
    lines: list[CostLine] | None


@view(
    "read.activities",
    prefix="act",
    scope="unit",
    order=("created_at desc",),
    versions="read.activity_versions",
)
class Activity(Node):
    code: str
    title: str
    unit: str
    status: ActivityStatus
    channels: list[Channel]
    tags: list[str] | None
    points: Points
    version: int
    is_active: bool
    rate: Decimal | None
    budget: Money | None = money("budget_minor", "currency", permission="budget.read")
    price: Money = money("price_minor", "currency")
    phone: str | None = masked("phone.read", "contact_phone")
    starts_on: date | None
    created_at: datetime
    extra: JSON | None
    rule: Rule | None
    cost_lines: list[CostLine]
    parent_id: strawberry.ID | None = ref("parent_id", "act")
    parent: Optional["Activity"] = one("parent_id")
    department: Department | None = one("department_code", key="code")
    children: Connection["Activity"] = many("parent_id")
    descendants: Connection["Activity"] = many(array="ancestor_ids")
    work_orders: Connection["WorkOrder"] = many("activity_id")
    events: Connection[Event] = many("activity_id")


@view("read.work_orders", prefix="wo", scope="unit", order=("number",))
class WorkOrder(Node):
    number: str
    name: str = column("display_name", description="As people call it.")
    priority: int
    is_urgent: bool
    amount: Decimal
    execute_on: date | None
    created_at: datetime
    activity_id: strawberry.ID | None = ref(
        "activity_id", Activity, within=("read.activity_closure", "ancestor_id", "descendant_id")
    )
    activity: Activity | None = one("activity_id")
    similar_ids: list[strawberry.ID] | None = ref("similar_ids", Activity)
    is_mine: bool = computed(
        "{row}.priority > 0 and {row}.unit = any({viewer.units}) and {viewer.user} = 'lin'"
    )
    approvals: Connection["Approval"] = many("subject_id")

    @strawberry.field
    def label(self) -> str:
        return f"{self.number}/{self.priority}/{self.created_at.year}/{self.amount + 1}"


Subject = Annotated[WorkOrder | Activity, strawberry.union("Subject")]


@view("read.approvals", prefix="apr", scope="unit", scope_nullable=True, order=("level", "opened_at"))
class Approval(Node):
    level: str
    state: ApprovalState
    actor: str | None
    opened_at: datetime
    remark: str | None
    subject: Subject | None = one("subject_id", kind="subject_kind")


BOXES = choice(
    InboxBox,
    {
        InboxBox.TO_DO: "{row}.state = 'pending' and {row}.level = any({viewer.levels})",
        InboxBox.DONE: "{row}.actor = {viewer.user}",
        InboxBox.IN_MY_UNITS: "{row}.unit = any({viewer.units})",
    },
)


@strawberry.type
class Query:
    activity: Activity | None = one()
    activities: Connection[Activity] = many()
    work_order: WorkOrder | None = one()
    work_orders: Connection[WorkOrder] = many()
    approval_inbox: Connection[Approval] = many(box=BOXES)
    cost_types: Connection[CostType] = many()
    node: Node | None = one()
    nodes: list[Node | None] = listed()

    @strawberry.field
    def server_name(self) -> str:
        return "cardinal"


@dataclass
class Touched:
    ok: bool
    activity_id: UUID | None
    price: Money
    position: Position


@strawberry.type
class TouchPayload:
    ok: bool
    price: Money
    position: Position
    activity: Activity | None = payload("activity_id")


def touched(id: strawberry.ID) -> Touched:
    known = ids.decode(id)[1] if "_" in id else None
    return Touched(known is not None, known, Money(amount=Decimal("1.50"), currency="CNY"), Position(1, 10))


@strawberry.type
class Mutation:
    @strawberry.mutation
    def touch(self, id: strawberry.ID) -> TouchPayload:
        return touched(id)  # type: ignore[return-value]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def touches(self, ids: list[strawberry.ID]) -> AsyncIterator[TouchPayload]:
        for id in ids:
            yield touched(id)  # type: ignore[misc]


def make_schema() -> strawberry.Schema:
    return strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        extensions=[SharedDocuments],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


TABLES = """
create schema read;
create table read.departments (id uuid primary key, code text not null unique, name text not null);
create table read.cost_types (id uuid primary key, code text not null, name text not null,
    rank int not null);
create table read.activities (
    id uuid primary key, code text not null, title text not null, unit text not null,
    status text not null,
    channels text[] not null, tags text[], points bigint not null, version bigint not null,
    is_active boolean not null,
    rate numeric(20, 4), budget_minor bigint, price_minor bigint not null, currency text not null,
    contact_phone text,
    starts_on date, created_at timestamptz not null, extra jsonb, rule jsonb, cost_lines jsonb not null,
    parent_id uuid, department_code text, ancestor_ids uuid[] not null);
create table read.activity_versions (
    like read.activities, recorded_at timestamptz not null,
    epoch_from int not null, position_from bigint not null, epoch_to int not null,
    position_to bigint not null);
create table read.events (id uuid primary key, epoch int not null, position bigint not null,
    activity_id uuid not null);
create table read.timeline (epoch int not null, position bigint not null,
    recorded_at timestamptz not null);
create table read.work_orders (
    id uuid primary key, number text not null, display_name text not null, unit text not null,
    priority int not null,
    is_urgent boolean not null, amount numeric(14, 2) not null, execute_on date,
    created_at timestamptz not null,
    activity_id uuid, similar_ids uuid[]);
create table read.activity_closure (ancestor_id uuid not null, descendant_id uuid not null);
create table read.approvals (
    id uuid primary key, level text not null, state text not null, actor text,
    opened_at timestamptz not null,
    remark text, unit text, subject_id uuid not null, subject_kind text not null);
"""
UNITS, LEVELS, CURRENCIES = (
    ["north", "south", 'o"dd\\,{}'],
    ["research", "technology"],
    ["CNY", "JPY", "KWD", "CLF"],
)
HOSTILE = [
    'quote " and \\" back\\slash',
    "tab\tnewline\nreturn\rbell\x07escape\x1b",
    "\x7f\x80\u2028\u2029",
    "🎉 emoji 👩‍👩‍👧 flag 🇨🇳",
    "信用卡中心 营销活动 积分",
    "100%_sure \\% \\_",
    "'; drop table read.activities; --",
    "{{}} {row} $1 \\u0000 %s \x01",
    "long " * 2_000,
    "",
    "null",
    '"}],"injected":true',
    "Ünïcödé ß İ",
]
Rows = dict[str, list[dict[str, Any]]]


def make_rows(seed: int = 7) -> Rows:
    """Every table's rows, as Python values; the same for the same seed."""
    rng = Random(seed)
    uuid = lambda: UUID(int=rng.getrandbits(128))  # noqa: E731
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows: Rows = {
        "departments": [
            {"id": uuid(), "code": code, "name": text} for code, text in zip("abc", HOSTILE[:3], strict=True)
        ],
        "cost_types": [{"id": uuid(), "code": f"C{i}", "name": HOSTILE[i], "rank": i % 3} for i in range(6)],
    }
    rows["timeline"] = [
        {"epoch": 1 + i // 20, "position": i * 7 << 20, "recorded_at": start + timedelta(minutes=i // 2)}
        for i in range(40)
    ]
    rows["activity_versions"] = _activity_versions(rng, rows)
    rows["activities"] = [
        {k: v for k, v in row.items() if not k.endswith(("_from", "_to")) and k != "recorded_at"}
        for row in rows["activity_versions"]
        if (row["epoch_to"], row["position_to"]) == OPEN_END
    ]
    rows["activity_closure"] = [
        {"ancestor_id": ancestor, "descendant_id": row["id"]}
        for row in rows["activities"]
        for ancestor in [*row["ancestor_ids"], row["id"]]
    ]
    rows["events"] = [
        {
            "id": UUID(int=i),
            "epoch": row["epoch_from"],
            "position": row["position_from"],
            "activity_id": row["id"],
        }
        for i, row in enumerate(rows["activity_versions"])
    ]
    activities = [row["id"] for row in rows["activities"]] + [None, uuid()]
    rows["work_orders"] = [
        {
            "id": uuid(),
            "number": f"WO-{i // 3:03}",
            "display_name": rng.choice(HOSTILE),
            "unit": rng.choice(UNITS),
            "priority": rng.randrange(-2, 3),
            "is_urgent": rng.random() < 0.4,
            "amount": Decimal(rng.randrange(-10_000, 10**9)).scaleb(-2),
            "execute_on": rng.choice([None, date(2026, 2, 1) + timedelta(days=rng.randrange(60))]),
            "created_at": start
            + timedelta(seconds=rng.randrange(50), microseconds=rng.choice([0, 250_000, 1])),
            "activity_id": rng.choice(activities),
            "similar_ids": None if i % 9 == 0 else [activities[i * k % 45] for k in range(1, i % 4 + 1)],
        }
        for i in range(90)
    ]
    subjects = [(row["id"], "work_order") for row in rows["work_orders"]]
    subjects += [(row["id"], "activity") for row in rows["activities"]] + [(uuid(), "segment")]
    rows["approvals"] = [_approval(rng, uuid(), *rng.choice(subjects), start) for _ in range(160)]
    return rows


def _approval(rng: Random, id: UUID, subject_id: UUID, kind: str, start: datetime) -> dict[str, Any]:
    return {
        "id": id,
        "level": rng.choice(LEVELS),
        "state": rng.choice(list(ApprovalState)).value,
        "actor": rng.choice([None, "lin", "rao"]),
        "opened_at": start + timedelta(hours=rng.randrange(5)),
        "remark": rng.choice([None, *HOSTILE]),
        "unit": rng.choice([None, *UNITS]),
        "subject_id": subject_id,
        "subject_kind": kind,
    }


def _activity_versions(rng: Random, rows: Rows) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    keys = [UUID(int=rng.getrandbits(128)) for _ in range(45)]
    ancestors: dict[UUID, list[UUID]] = {}
    for i, key in enumerate(keys):
        parent = rng.choice(keys[:i]) if i and rng.random() < 0.7 else None
        ancestors[key] = [*ancestors[parent], parent] if parent else []
        moments = sorted(
            rng.sample(rows["timeline"], rng.randrange(1, 5)), key=lambda m: (m["epoch"], m["position"])
        )
        ends = [(m["epoch"], m["position"]) for m in moments[1:]] + [OPEN_END]
        for version, (moment, end) in enumerate(zip(moments, ends, strict=True), start=1):
            row = _activity(rng, rows, key, i, parent, ancestors[key])
            row |= {"version": version * 2, "recorded_at": moment["recorded_at"]}
            row |= {"epoch_from": moment["epoch"], "position_from": moment["position"]}
            found.append(row | {"epoch_to": end[0], "position_to": end[1]})
    return found


def _activity(
    rng: Random, rows: Rows, key: UUID, i: int, parent: UUID | None, ancestors: list[UUID]
) -> dict[str, Any]:
    return {
        "id": key,
        "code": f"A{i // 2:02}",
        "title": rng.choice(HOSTILE),
        "unit": rng.choice(UNITS),
        "status": rng.choice(list(ActivityStatus)).value,
        "channels": rng.sample(["SMS", "APP"], rng.randrange(3)),
        "tags": rng.choice([None, [], rng.sample(HOSTILE, 2)]),
        "points": rng.choice([0, -(2**63), 2**63 - 1, rng.randrange(10**6)]),
        "is_active": rng.random() < 0.5,
        "rate": rng.choice([None, Decimal("0.0000"), Decimal(rng.randrange(10**15)).scaleb(-4)]),
        "budget_minor": rng.choice([None, 0, -5, 10**17 + 1, rng.randrange(10**6)]),
        "price_minor": rng.choice([0, -5, 99, rng.randrange(10**6)]),
        "currency": rng.choice(CURRENCIES),
        "contact_phone": rng.choice([None, "13800001234", *HOSTILE]),
        "starts_on": rng.choice(
            [None, date(1999, 12, 31), date(2026, 3, 1) + timedelta(days=rng.randrange(9))]
        ),
        "created_at": datetime(2026, 1, 1, tzinfo=UTC)
        + timedelta(seconds=i // 3, microseconds=rng.choice([0, 7])),
        "extra": rng.choice(
            [None, {"a": HOSTILE[0], "$type": "Trap", "n": [1, None, 2.5]}, [1, "x"], "text", 0]
        ),
        "rule": rng.choice([None, "not an object", _rule(rng, rows)]),
        "cost_lines": rng.choice([[], [_line(rng, rows) for _ in range(rng.randrange(1, 4))]]),
        "parent_id": parent,
        "department_code": rng.choice([None, "a", "b", "zzz"]),
        "ancestor_ids": ancestors,
    }


def _rule(rng: Random, rows: Rows) -> dict[str, Any]:
    whole = {
        "threshold": "12.50",
        "isCapped": rng.random() < 0.5,
        "cap": 2**40,
        "until": "2026-12-31",
        "lines": rng.choice([None, "no array", [_line(rng, rows)]]),
    }
    return {key: whole[key] for key in rng.sample(sorted(whole), rng.randrange(6))}


def _line(rng: Random, rows: Rows) -> dict[str, Any]:
    whole = {
        "note": rng.choice([None, *HOSTILE]),
        "costTypeId": str(rng.choice(rows["cost_types"])["id"] if rng.random() < 0.8 else UUID(int=5)),
        "amountMinor": rng.randrange(-(10**6), 10**6),
        "channels": rng.sample(["SMS", "APP"], rng.randrange(3)),
        "agreedAt": "2026-05-01T08:00:00+08:00",
    }
    return {key: whole[key] for key in rng.sample(sorted(whole), rng.randrange(6))} | {
        "channels": whole["channels"]
    }


def load(database_url: str, rows: Rows) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLES)
        for table, records in rows.items():
            names = list(records[0])
            columns, slots = ", ".join(f'"{name}"' for name in names), ", ".join(["%s"] * len(names))
            connection.cursor().executemany(
                f"insert into read.{table} ({columns}) values ({slots})",
                [[_stored(name, record[name]) for name in names] for record in records],
            )


def _stored(name: str, value: Any) -> Any:
    return json.dumps(value) if name in ("extra", "rule", "cost_lines") and value is not None else value
