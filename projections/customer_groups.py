"""Customer groups as lists and pages show them: one row each; of a list its length and its hash."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.customer_groups import (
    DECIDER,
    CustomerGroupDefined,
    CustomerGroupDeleted,
    CustomerGroupRetired,
    CustomerGroupRevised,
    Definition,
    Event,
)
from domain.group_rules import Condition, Rule, Transactions
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class CustomerGroupRow:
    """`membership` is rule or list. `rule` has the form of the API's input (`shown_rule`), None for a list;
    `member_count` is None for a rule. `content_hash` covers purpose, name, description and members.
    """

    id: UUID
    version: int
    revision: int
    code: str
    org_unit: str
    status: str
    purpose: str
    name: str
    description: str
    membership: str
    rule: dict[str, Any] | None
    member_count: int | None
    content_hash: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: CustomerGroupRow | None, record: Record[Event]) -> CustomerGroupRow | None:
    event = record.event
    match event:
        case CustomerGroupDefined():
            return CustomerGroupRow(
                id=record.stream_id,
                version=record.version,
                revision=1,
                code=event.code,
                org_unit=event.org_unit,
                status="active",
                **_defined(event),
                **created(record),
                **changed(record),
            )
        case CustomerGroupRevised(revision=revision):
            return _changed(row, record, revision=revision, **_defined(event))
        case CustomerGroupRetired():
            return _changed(row, record, status="retired")
        case CustomerGroupDeleted():
            return None
        case _:
            assert_never(event)


def _changed(row: CustomerGroupRow | None, record: Record[Event], **columns: Any) -> CustomerGroupRow:
    return altered(given(row), version=record.version, **changed(record), **columns)


def _defined(event: CustomerGroupDefined | CustomerGroupRevised) -> dict[str, Any]:
    definition = event.definition
    return {
        "purpose": event.purpose.value,
        "name": definition.name,
        "description": definition.description,
        "membership": membership(definition),
        "rule": None if definition.rule is None else shown_rule(definition.rule),
        "member_count": None if definition.members is None else len(definition.members),
        "content_hash": event.content_hash,
    }


def membership(definition: Definition) -> str:
    """How it is told who belongs to the group."""
    return "rule" if definition.members is None else "list"


def shown_rule(rule: Rule) -> dict[str, Any]:
    """A rule in the form of the API's input, without the parts that say nothing."""
    shown: dict[str, Any] = {}
    if rule.all_of is not None:
        shown["allOf"] = [shown_rule(one) for one in rule.all_of]
    if rule.any_of is not None:
        shown["anyOf"] = [shown_rule(one) for one in rule.any_of]
    if rule.negated is not None:
        shown["not"] = shown_rule(rule.negated)
    if rule.condition is not None:
        shown["condition"] = _shown_condition(rule.condition)
    return shown


def _shown_condition(condition: Condition) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "dimension": condition.dimension.name,
        "comparison": condition.comparison.name,
        "values": list(condition.values),
    }
    if condition.transactions is not None:
        shown["transactions"] = _shown_transactions(condition.transactions)
    return shown


def _shown_transactions(chosen: Transactions) -> dict[str, Any]:
    window = {
        "days": chosen.window.days,
        "startsOn": chosen.window.starts_on and chosen.window.starts_on.isoformat(),
        "endsOn": chosen.window.ends_on and chosen.window.ends_on.isoformat(),
    }
    parts = {
        "window": {name: value for name, value in window.items() if value is not None},
        "categoryIn": list(chosen.category_in),
        "channelIn": list(chosen.channel_in),
        "currency": chosen.currency,
    }
    return {name: value for name, value in parts.items() if value}


CUSTOMER_GROUPS = RowProjection(
    name="customer_groups",
    table="customer_groups",
    row=CustomerGroupRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
    versions="customer_group_versions",
)
