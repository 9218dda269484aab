"""Public events have a contract: generated, committed, and guarded against changes that break readers."""

from typing import Any, get_args
from uuid import UUID

import jsonschema_rs
import pytest

from api.event_document import ENVELOPE_SCHEMA, document
from api.public_disclosures import NEVER_SENT
from api.public_mappings import MAPPINGS
from api.public_schemas import both, breaking_changes, data_schemas, schema_of
from api.webhook_events import KNOWN_TYPES, SENT, body, cloud_event, type_of
from application.shared.records import BANK_WIDE, Context, Position, Record
from domain.webhook_contents import Disclosure, WebhookContent
from infrastructure.event_types import BY_NAME, EVENT_TYPES
from projections.shared.ids import PREFIXES
from tests.event_document import PAGE, committed, generated
from tests.infrastructure.test_event_codec import CURRENT, GOLDEN, NOON

DOCUMENT = document()
ID = UUID("0195505a-0000-7000-8000-000000000001")
ALL = WebhookContent("all", "https://hooks.example.com/", ("activity.*",), tuple(Disclosure))
LITTLE = WebhookContent("little", "https://hooks.example.com/", ("activity.*",))
EXAMPLES = {name: event for (name, version), event in GOLDEN.items() if (name, version) in CURRENT}


def recorded(name: str, kind: str, org_unit: str = "SH") -> Record[Any]:
    context = Context("lin", None, org_unit, ID, ID, ID, NOON)
    return Record(ID, kind, 3, Position(1, 7), name, 1, ID, NOON, context, EXAMPLES[name])


def kinds_of(event: type) -> list[str]:
    return [kind for kind, union in SENT.items() if event in (get_args(union) or (union,))]


CASES = [
    (type_.name, kind) for type_ in EVENT_TYPES if type_.event in MAPPINGS for kind in kinds_of(type_.event)
]


def test_the_committed_document_is_what_is_sent() -> None:
    """INT-05: run `python -m tests.event_document` after an addition."""
    assert breaking_changes(committed(), document()["components"]["schemas"]) == []
    assert PAGE.read_text() == generated()


def test_every_event_is_sent_or_kept_on_purpose() -> None:
    """INT-10"""
    known = {event for union in SENT.values() for event in get_args(union) or (union,)}
    kept = {type_.name.split(".")[0] for type_ in EVENT_TYPES if type_.event not in known}
    assert kept == {*NEVER_SENT, "claim"}
    assert not NEVER_SENT & SENT.keys()
    assert SENT.keys() | NEVER_SENT == set(PREFIXES)


@pytest.mark.parametrize(("name", "kind"), CASES)
@pytest.mark.parametrize("content", [ALL, LITTLE], ids=["all", "little"])
def test_what_is_sent_fits_its_schema(name: str, kind: str, content: WebhookContent) -> None:
    """INT-05: each example that was ever stored, with and without what is told only to some."""
    event = cloud_event(recorded(name, kind), content)
    assert event is not None
    assert event["type"] in KNOWN_TYPES
    name = f"{event['type']}.{event['dataschema'].rpartition(':')[2]}"
    jsonschema_rs.validate(data_schemas()[name], event["data"])
    jsonschema_rs.validate(ENVELOPE_SCHEMA, event)
    consts = DOCUMENT["components"]["messages"][name]["payload"]["properties"]
    assert (consts["type"]["const"], consts["dataschema"]["const"]) == (event["type"], event["dataschema"])


def test_an_event_is_a_cloud_event() -> None:
    """INT-10: one id for ever, and a sequence that sorts."""
    event = cloud_event(recorded("activity.approved", "activity"), LITTLE)
    assert event is not None
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": f"ev_{ID.hex}",
        "source": "urn:cardinal",
        "type": "activity.approved",
        "subject": f"act_{ID.hex}",
        "time": "2026-03-01T12:30:15.123456Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:cardinal:event:activity.approved:v1",
        "sequence": "000000010000000000000007",
        "subjectversion": 3,
        "effectivetime": "2026-03-01T12:30:15.123456Z",
        "correlationid": str(ID),
        "causationid": str(ID),
        "orgunit": "SH",
    }
    assert data["revision"] == 2
    assert "orgunit" not in (cloud_event(recorded("entry.added", "cost_type", BANK_WIDE), LITTLE) or {})


def test_customers_and_budgets_are_told_where_that_was_approved() -> None:
    """SEC-03, INT-10"""
    posted = recorded("points.posted", "points_ledger")
    told, kept = cloud_event(posted, ALL), cloud_event(posted, LITTLE)
    assert told is not None
    assert kept is not None
    assert told["data"]["customer"] == posted.event.customer
    assert {kept["data"][name] for name in ("customer", "card", "postingKey", "lot")} == {None}
    assert kept["data"]["points"] == posted.event.points
    drafted = recorded("activity.drafted", "activity")
    assert (cloud_event(drafted, LITTLE) or {})["data"]["plan"]["budget"] is None
    assert (cloud_event(drafted, ALL) or {})["data"]["plan"]["budget"] is not None


def test_queries_and_accounts_leave_for_nobody() -> None:
    """SEC-03, INT-10"""
    drafted = recorded("segment_definition.drafted", "segment_definition")
    assert (cloud_event(drafted, ALL) or {})["data"]["sql"] is None
    assert drafted.event.content.sql.encode() not in (body(drafted, ALL) or b"")
    for name, kind in (("user.created", "user"), ("webhook_endpoint.drafted", "webhook_endpoint")):
        assert name in BY_NAME
        assert type_of(recorded(name, kind)) is None
        assert body(recorded(name, kind), ALL) is None


OLD = {"it.v1": schema_of({"a": "x", "b": None, "on": "2026-03-01", "list": [{"c": 1}], "deep": {"d": 1}})}


@pytest.mark.parametrize(
    ("new", "found"),
    [
        ({"a": "x", "b": None, "on": "2026-03-01", "list": [{"c": 1}], "deep": {"d": 1}, "more": 1}, []),
        ({"b": None, "on": "2026-03-01", "list": [{"c": 1}], "deep": {"d": 1}}, ["it.v1.a may be missing"]),
        (
            {"a": 1, "b": None, "on": "2026-03-01", "list": [{"c": 1}], "deep": {"d": 1}},
            ["it.v1.a may be integer"],
        ),
        ({"a": "x", "b": None, "on": "soon", "list": [{"c": 1}], "deep": {"d": 1}}, ["it.v1.on is no date"]),
        (
            {"a": "x", "b": None, "on": "2026-03-01", "list": [{}], "deep": {"d": None}},
            ["it.v1.list[].c may be missing", "it.v1.deep.d may be null"],
        ),
    ],
)
def test_a_breaking_change_is_found(new: dict[str, Any], found: list[str]) -> None:
    """INT-05: what goes, may be missing, or is of another type; what is added breaks nobody."""
    assert breaking_changes(OLD, {"it.v1": schema_of(new)}) == found
    assert breaking_changes(OLD, {"it.v2": schema_of(new)}) == ["it.v1 is gone"]


def test_an_option_that_is_there_and_not_is_nullable() -> None:
    both_ = both([schema_of({"a": "2026-03-01"}), schema_of({"a": None})])
    assert both_["properties"]["a"] == {"type": ["null", "string"], "format": "date"}
    assert both_["required"] == ["a"]
