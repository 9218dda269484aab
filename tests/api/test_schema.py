"""The schema as clients compile it: committed, described throughout, and in two languages."""

import re
from pathlib import Path
from string import Formatter

import pytest
from graphql import GraphQLEnumType, build_schema, get_named_type, is_specified_scalar_type
from strawberry.schema.config import StrawberryConfig

from api.descriptions import Words, describe
from api.events import EventSubscription
from api.messages import MESSAGES, language_of, message
from api.planner.values import SCALARS
from api.public_events import _MAPPINGS
from api.refusals import REFUSALS
from api.schema import Mutation, Query, Schema, Subscription, schema
from application.access import OPERATIONS
from infrastructure.event_types import EVENT_TYPES
from projections.shared.ids import PREFIXES

COMMITTED = Path(__file__).parents[2] / "docs" / "schema.graphql"
INTERNAL = {"endActivity", "exportActivities", "exportReplay", "exportWorkOrder",
            "startWorkOrder", "completeWorkOrder",
            "failWorkOrder", "executeSegmentRun", "deleteSegmentResult", "exportSegmentRun",
            "advancePointsJob",
            "expireBudget", "closeBudget", "exportPointsFile", "expireStock", "fireRunSchedule",
            "extractGroup", "moveSchedules", "executeActivityCount", "listActivityCustomers",
            "listGroupMembers",
            "suspendWebhookEndpoint", "completeErasure"}  # fmt: skip
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


def test_every_mutation_takes_one_input_and_answers_with_errors_and_a_position() -> None:
    """api.md 3"""
    mutations = schema._schema.mutation_type
    assert mutations is not None
    for name, field in mutations.fields.items():
        assert set(field.args) == {"input"}, name
        assert {"userErrors", "position"} < get_named_type(field.type).fields.keys(), name
        assert f"Asks for {OPERATIONS[name]}." in (field.description or ""), "api.md 11"


MAKES = {
    *("addActivityType", "addCostType", "addActivityForm", "addDepartment", "addRewardType"),
    *("draftActivity", "draftWorkOrder", "defineCustomerGroup", "addBusinessCalendar", "openPointsJob"),
    *("draftSegmentDefinition", "reuseSegmentDefinition", "draftWebhookEndpoint"),
    *("createUser", "createServiceAccount", "delegate", "revokeTokens", "requestErasure"),
}
"""What makes something new: of that nobody has seen a version."""


def test_every_change_takes_the_version_that_was_seen() -> None:
    """api.md 4"""
    mutations = schema._schema.mutation_type
    assert mutations is not None
    inputs = {name: get_named_type(field.args["input"].type) for name, field in mutations.fields.items()}
    without = {name for name, type_ in inputs.items() if "expectedVersion" not in type_.fields}
    assert without == MAKES


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


@pytest.fixture(scope="module")
def words() -> Words:
    """What the descriptions are made of, applied to the schema as strawberry alone makes it."""
    return describe(
        Schema(Query, Mutation, Subscription, config=StrawberryConfig(scalar_map=SCALARS))._schema
    )


def test_every_type_field_argument_and_value_is_described() -> None:
    """INT-09: in the text that front ends are built with. Descriptions are sentences, not names again."""
    texts: dict[str, str | None] = {}
    for name, type_ in build_schema(COMMITTED.read_text()).type_map.items():
        if name.startswith("__") or is_specified_scalar_type(type_):
            continue
        texts[name] = type_.description
        for part, of in (getattr(type_, "fields", None) or getattr(type_, "values", None) or {}).items():
            texts[f"{name}.{part}"] = of.description
            texts |= {
                f"{name}.{part}({arg})": of_.description for arg, of_ in getattr(of, "args", {}).items()
            }
    assert len(texts) > 5_000
    assert [name for name, text in texts.items() if not text] == []
    assert [name for name, text in texts.items() if text and plain(text) == plain(name)] == []


def plain(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.split(".", 1)[-1].lower() or text.lower())


def test_no_description_is_left_over(words: Words) -> None:
    """Of something that is gone, or that describes itself."""
    assert words.known - words.used == set()


def test_a_code_is_described_by_what_it_says_in_both_languages() -> None:
    codes = schema._schema.type_map["RefusalCode"]
    assert isinstance(codes, GraphQLEnumType)
    assert codes.values["TOO_MANY"].description == "At most {most} items. 最多 {most} 项。"
