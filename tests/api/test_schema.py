"""The schema as clients compile it: committed, described throughout, and in two languages."""

import re
from pathlib import Path
from string import Formatter

import pytest
from graphql import is_scalar_type

from api.events import EventSubscription
from api.messages import MESSAGES, language_of, message
from api.public_events import _MAPPINGS
from api.refusals import REFUSALS
from api.schema import schema
from application.access import OPERATIONS
from infrastructure.event_types import EVENT_TYPES
from projections.shared.ids import PREFIXES

COMMITTED = Path(__file__).parents[2] / "docs" / "schema.graphql"
INTERNAL = {"endActivity", "exportActivities", "exportWorkOrder", "startWorkOrder", "completeWorkOrder",
            "failWorkOrder", "executeSegmentRun", "deleteSegmentResult", "exportSegmentRun",
            "advancePointsJob",
            "expireBudget", "closeBudget", "exportPointsFile", "expireStock", "fireRunSchedule",
            "extractGroup", "moveSchedules", "executeActivityCount", "listActivityCustomers",
            "suspendWebhookEndpoint"}  # fmt: skip
"""Of the scheduler and the worker, and of files."""


def test_the_committed_schema_is_the_one_that_is_served() -> None:
    """A change of the schema shows in the diff: `.venv/bin/cardinal schema > docs/schema.graphql`."""
    assert COMMITTED.read_text() == schema.as_str() + "\n"


def test_every_operation_has_a_mutation_and_every_mutation_asks_for_a_permission() -> None:
    """SEC-03: deny by default"""
    mutations = schema.get_type_by_name("Mutation")
    assert mutations is not None
    assert {field.graphql_name or camel(field.python_name) for field in mutations.fields} == (  # type: ignore[union-attr]
        set(OPERATIONS) - INTERNAL
    )


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize("code", [member for refusal in REFUSALS for member in refusal])
def test_every_refusal_speaks_chinese_and_english(code: str) -> None:
    chinese, english = MESSAGES[code]
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert not re.search(r"[\u4e00-\u9fff]", english)
    named = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (chinese, english)]
    assert named[0] >= named[1] or named[1] >= named[0]
    assert message(code, dict.fromkeys(named[0] | named[1], "x"), "zh")


@pytest.mark.parametrize(
    ("accept", "language"),
    [(None, "en"), ("", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB,zh", "en"),
     ("fr,zh;q=0.1", "zh"), ("x" * 9_000, "en")],
)  # fmt: skip
def test_the_reader_gets_his_language_and_english_otherwise(accept: str | None, language: str) -> None:
    assert language_of(accept) == language


def test_every_event_that_concerns_outsiders_has_a_public_form() -> None:
    """INT-10: what is the log's own bookkeeping stays inside."""
    inside = {type_.event for type_ in EVENT_TYPES if type_.name.startswith("claim.")}
    assert {type_.event for type_ in EVENT_TYPES} - inside == set(_MAPPINGS)
    assert len(set(PREFIXES.values())) == len(PREFIXES)
    assert EventSubscription.events


def test_each_type_input_and_mutation_is_described() -> None:
    """But for what the planner makes of a type: its connection, filter, order and payload."""
    made = ("Connection", "Edge", "Filter", "Order", "Compare", "Payload")
    shown = [
        type_
        for name, type_ in schema._schema.type_map.items()  # strawberry shows it nowhere else
        if not name.startswith("__") and not name.endswith(made) and not is_scalar_type(type_)
    ]
    roots = {"Query", "Mutation", "Subscription"}
    assert [type_.name for type_ in shown if not type_.description and type_.name not in roots] == []
    mutations = schema._schema.mutation_type
    assert mutations is not None
    assert [name for name, field in mutations.fields.items() if not field.description] == []
