"""Declarations that contradict each other, or the tables, are found at the start, all at once."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any, Union

import psycopg
import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from api.planner.checks import ViewMismatch, check_views, declaration_faults
from api.planner.values import SCALARS
from api.planner.views import (
    Connection,
    Money,
    Node,
    choice,
    composed,
    computed,
    many,
    masked,
    one,
    struct,
    view,
)
from tests.api.planner.sample import TABLES, InboxBox, make_schema


def faults(database_url: str, *changes: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLES)
        for change in changes:
            connection.execute(change)  # type: ignore[arg-type]

    async def check() -> list[str]:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            try:
                await check_views(make_schema(), connection, timeline="read.timeline")
            except ViewMismatch as mismatch:
                return mismatch.faults
        return []

    return asyncio.run(check())


def test_tables_as_declared_have_no_fault(database_url: str) -> None:
    assert faults(database_url) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("drop table read.departments", "Department: there is no table read.departments"),
        (
            "alter table read.work_orders drop column display_name",
            "WorkOrder: there is no column read.work_orders.display_name",
        ),
        (
            "alter table read.work_orders alter number drop not null",
            "WorkOrder: read.work_orders.number may be null, the field may not",
        ),
        (
            "alter table read.work_orders alter amount type double precision",
            "WorkOrder: read.work_orders.amount is float8, not one of ['numeric']",
        ),
        (
            "alter table read.work_orders alter created_at type timestamp",
            "WorkOrder: read.work_orders.created_at is timestamp, not one of ['timestamptz']",
        ),
        (
            "alter table read.activities alter department_code type uuid using null",
            "Activity: read.activities.department_code is uuid, not one of ['text', 'varchar']",
        ),
        (
            "alter table read.work_orders alter unit drop not null",
            "WorkOrder: read.work_orders.unit may be null, the field may not",
        ),
        (
            "alter table read.activity_versions drop column position_to",
            "Activity: there is no column read.activity_versions.position_to",
        ),
        (
            "alter table read.activity_versions drop column title",
            "Activity: there is no column read.activity_versions.title",
        ),
        (
            "alter table read.activities alter ancestor_ids type text[]",
            "Activity.descendants: read.activities.ancestor_ids is _text, not one of ['_uuid']",
        ),
        (
            "alter table read.activities alter price_minor drop not null",
            "Activity: read.activities.price_minor may be null, the field may not",
        ),
        (
            "alter table read.activities alter channels type text using 'x'",
            "Activity: read.activities.channels is text, not one of ['_bpchar', '_text', '_varchar']",
        ),
        (
            "alter table read.approvals drop column subject_kind",
            "Approval: there is no column read.approvals.subject_kind",
        ),
        (
            "alter table read.timeline drop column recorded_at",
            "asOf: there is no column read.timeline.recorded_at",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_found(database_url: str, change: str, fault: str) -> None:
    assert faults(database_url, change) == [fault]


def test_every_fault_is_listed(database_url: str) -> None:
    changes = [
        "drop table read.departments",
        "alter table read.cost_types drop column rank, alter code drop not null",
    ]
    found = faults(database_url, *changes)
    assert len(found) == 3
    assert "there is no table read.departments" in "\n".join(found)


# --- Declarations ---------------------------------------------------------


@strawberry.enum
class Level(StrEnum):
    ONE = "one"


@strawberry.enum
class Odd(StrEnum):
    ONE = "first"


@struct
class Period:
    begins: str
    ends: str


@view("read.a", prefix="a", scope=None, order=("maybe",))
class Faulty(Node):
    maybe: str | None
    hidden: str = masked("see")
    other: "Faulty" = one("other_id")
    either: Annotated[Union["Faulty", "Twin"], strawberry.union("Either")] | None = one("either_id")
    period: Period | None = composed("begins", {"begins": "begins"})


@view("read.b", prefix="a", scope=None)
class Twin(Node):
    name: str


@strawberry.type
class FaultyQuery:
    faulty: Connection[Faulty] = many()
    twin: Twin | None = one()


def test_contradictory_declarations_are_found_without_a_database() -> None:
    schema = strawberry.Schema(FaultyQuery, config=StrawberryConfig(scalar_map=SCALARS))
    assert sorted(declaration_faults(schema)) == [
        "Faulty.either: several types are possible: name the column of the kind",
        "Faulty.hidden: what is masked must be nullable",
        "Faulty.other: a row may be missing or not visible, so this must be nullable",
        "Faulty.period: no column for ['ends']",
        "Faulty: can't order by ['maybe']: null, masked or no column",
        "Twin: the prefix a is Faulty's",
    ]


def built(annotation: Any) -> strawberry.Schema:
    row = view("read.x", prefix="x", scope=None)(
        type("Row", (Node,), {"__annotations__": {"value": annotation}, "__module__": __name__})
    )
    query = strawberry.type(
        type("Query", (), {"__annotations__": {"rows": Connection[row]}, "rows": many()})  # type: ignore[valid-type]
    )
    return strawberry.Schema(query, config=StrawberryConfig(scalar_map=SCALARS))


def test_an_enum_whose_names_are_not_its_values_in_capitals_is_refused() -> None:
    assert "ONE" in built(Level).as_str()
    with pytest.raises(TypeError, match="may differ from its names in case only"):
        built(Odd)


@pytest.mark.parametrize("annotation", [float, bytes, strawberry.ID, Twin])
def test_a_type_that_no_column_has_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError, match="is no type of a column"):
        built(annotation)
    assert "Money" in built(Money | None).as_str()


@pytest.mark.parametrize(
    "conditions",
    [
        {InboxBox.TO_DO: "true"},
        dict.fromkeys(InboxBox, "{viewer.permissions} = 1"),
        dict.fromkeys(InboxBox, "{row.__class__} = 1"),
        dict.fromkeys(InboxBox, "{} = 1"),
    ],
)
def test_a_choice_has_a_condition_for_each_value_and_no_other_slots(conditions: Any) -> None:
    with pytest.raises(TypeError, match="slots"):
        choice(InboxBox, conditions)


def test_a_computed_field_has_no_other_slots() -> None:
    with pytest.raises(TypeError, match="slots"):
        computed("{viewer.permissions}")
