"""What integrators see of an event: a mapping of its own, versioned apart from what is stored.

A public type keeps its name and fields within a version; a field may be added. Claims of codes and names
are the log's own bookkeeping and are not shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from api import public_points, public_work_orders
from api.planner.ids import encode
from application.shared.records import Record
from domain import activities as a
from domain import approvals as ap
from domain import catalogues as c
from domain import customer_groups as g
from domain import segment_definitions as sd
from domain import segment_runs as sr
from domain import source_grants as sg
from domain.activity_plans import Plan
from domain.segment_contents import SegmentContent
from domain.shared.money import MINOR_DIGITS, Money
from domain.shared.period import Period
from domain.shared.references import Reference
from projections.customer_groups import membership, shown_rule
from projections.shared.ids import PREFIXES

E = TypeVar("E")
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PublicEvent:
    type: str
    schema_version: int
    data: Data


def public_event(record: Record[Any]) -> PublicEvent | None:
    """The event as integrators may rely on it; None for what is not theirs to see."""
    mapping = _MAPPINGS.get(type(record.event))
    if mapping is None or record.stream_type not in PREFIXES:
        return None
    return PublicEvent(f"{record.stream_type}.{mapping.verb}", mapping.version, mapping.data(record))


@dataclass(frozen=True, slots=True)
class _Mapping:
    verb: str
    data: Callable[[Record[Any]], Data]
    version: int = 1


_MAPPINGS: dict[type, _Mapping] = {}


def _maps(event: type[E], verb: str, data: Callable[[E], Data]) -> None:
    _MAPPINGS[event] = _Mapping(verb, lambda record: data(record.event))


def _entry(details: c.Details) -> Data:
    return {
        "name": details.name,
        "description": details.description,
        "sortOrder": details.sort_order,
        "attributes": dict(details.attributes),
        "fields": [
            {
                "name": rule.name,
                "label": rule.label,
                "type": rule.type.name,
                "isRequired": rule.is_required,
                "least": rule.least,
                "most": rule.most,
                "choices": list(rule.choices),
            }
            for rule in details.fields
        ],
    }


def _moved(record: Record[Any]) -> Data:
    moved: c.EntryMoved = record.event
    return {"revision": moved.revision, "parentId": _id(record.stream_type, moved.parent)}


def _added(record: Record[Any]) -> Data:
    added: c.EntryAdded = record.event
    return {"code": added.code, "parentId": _id(record.stream_type, added.parent), **_entry(added.details)}


def _subject(subject: ap.Subject) -> Data:
    return {
        "subjectKind": subject.kind,
        "subjectId": _id(subject.kind, subject.id),
        "subjectRevision": subject.revision,
        "subjectLabel": subject.label,
        "contentHash": subject.content_hash,
    }


def _plan(plan: Plan) -> Data:
    return {
        "name": plan.name,
        "description": plan.description,
        "activityType": _reference("activity_type", plan.activity_type),
        "period": _period(plan.period),
        "registration": plan.registration and _period(plan.registration),
        "award": plan.award and _period(plan.award),
        "form": plan.form and _reference("activity_form", plan.form),
        "formValues": dict(plan.form_values),
        "channels": [channel.name for channel in plan.channels],
        "budget": _money(plan.budget),
        "costLines": [
            {
                "costType": _reference("cost_type", line.cost_type),
                "amount": _money(line.amount),
                "remark": line.remark,
            }
            for line in plan.cost_lines
        ],
    }


def _segment(content: SegmentContent) -> Data:
    return {
        "name": content.name,
        "description": content.description,
        "sql": content.sql,
        "source": content.source,
        "primaryIndex": list(content.primary_index),
        "outputs": [{"name": each.name, "isPersonal": each.is_personal} for each in content.outputs],
        "parameters": [{"name": each.name, "type": each.type.name} for each in content.parameters],
        "mapping": [
            {
                "target": each.target,
                "source": each.source,
                "constant": each.constant,
                "format": each.format.name,
                "width": each.width,
                "isZeroPadded": each.is_zero_padded,
                "mask": each.mask.name,
                "translation": dict(each.translation),
                "exemption": each.exemption,
            }
            for each in content.mapping
        ],
    }


def _definition_drafted(drafted: sd.DefinitionDrafted) -> Data:
    # The prefix of work orders is for ever, whether or not this reads it from the list.
    work_order = drafted.work_order and encode("wo", drafted.work_order)
    return {
        "code": drafted.code,
        "orgUnit": drafted.org_unit,
        "kind": drafted.kind.name,
        "workOrderId": work_order,
        **_segment(drafted.content),
    }


def _run_requested(requested: sr.SegmentRunRequested) -> Data:
    return {
        "code": requested.code,
        "orgUnit": requested.org_unit,
        "definition": _reference("segment_definition", requested.definition),
        "contentHash": requested.content_hash,
        "workOrderId": requested.work_order and encode("wo", requested.work_order),
        "parameters": {each.name: each.text for each in requested.parameters},
        "isTrial": requested.is_trial,
        "rowLimit": requested.row_limit,
        "retention": requested.retention.name,
    }


def _run_succeeded(succeeded: sr.SegmentRunSucceeded) -> Data:
    return {
        "attempt": succeeded.attempt,
        "rows": succeeded.rows,
        "bytes": str(succeeded.bytes),
        "durationMs": succeeded.duration_ms,
        "contentHash": succeeded.content_hash,
        "snapshot": succeeded.snapshot,
        "columns": [
            {"name": each.name, "type": each.type, "isPersonal": each.is_personal}
            for each in succeeded.columns
        ],
    }


def _group(event: g.CustomerGroupDefined | g.CustomerGroupRevised) -> Data:
    """Of a list its length alone: whose ids are on it is not for every integrator."""
    definition = event.definition
    return {
        "purpose": event.purpose.name,
        "name": definition.name,
        "description": definition.description,
        "membership": membership(definition).upper(),
        "rule": definition.rule and shown_rule(definition.rule),
        "memberCount": None if definition.members is None else len(definition.members),
        "contentHash": event.content_hash,
    }


def _id(kind: str, key: UUID | None) -> str | None:
    return None if key is None else encode(PREFIXES[kind], key)


def _reference(kind: str, reference: Reference) -> Data:
    return {"id": _id(kind, reference.id), "revision": reference.revision}


def _period(period: Period) -> Data:
    return {"startsAt": _instant(period.starts_at), "endsAt": _instant(period.ends_at)}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _money(money: Money) -> Data:
    digits = MINOR_DIGITS[money.currency]
    whole, rest = divmod(money.amount_minor, 10**digits)
    return {"amount": f"{whole}.{rest:0{digits}d}" if digits else str(whole), "currency": money.currency}


_MAPPINGS[c.EntryAdded] = _Mapping("added", _added)
_MAPPINGS[c.EntryMoved] = _Mapping("moved", _moved)
_maps(c.EntryRevised, "revised", lambda e: {"revision": e.revision, **_entry(e.details)})
_maps(c.EntryEnabled, "enabled", lambda _: {})
_maps(c.EntryDisabled, "disabled", lambda _: {})
_maps(c.EntryRemoved, "removed", lambda _: {})

_maps(a.ActivityDrafted, "drafted", lambda e: {"code": e.code, "orgUnit": e.org_unit, "plan": _plan(e.plan)})
_maps(a.ActivityRevised, "revised", lambda e: {"revision": e.revision, "plan": _plan(e.plan)})
_maps(
    a.ActivitySubmitted,
    "submitted",
    lambda e: {
        "revision": e.revision,
        "approvalId": _id("approval", e.approval),
        "contentHash": e.content_hash,
    },
)
_maps(
    a.ActivityWithdrawn,
    "withdrawn",
    lambda e: {"revision": e.revision, "approvalId": _id("approval", e.approval)},
)
_maps(
    a.ActivityApproved,
    "approved",
    lambda e: {"revision": e.revision, "approvalId": _id("approval", e.approval)},
)
_maps(
    a.ActivityRejected,
    "rejected",
    lambda e: {
        "revision": e.revision,
        "approvalId": _id("approval", e.approval),
        "level": e.level.upper(),
        "reason": e.reason,
    },
)
_maps(a.ActivityLaunched, "launched", lambda _: {})
_maps(a.ActivityPaused, "paused", lambda e: {"reason": e.reason})
_maps(a.ActivityResumed, "resumed", lambda _: {})
_maps(a.ActivityEnded, "ended", lambda _: {})
_maps(a.ActivityCancelled, "cancelled", lambda e: {"reason": e.reason})
_maps(a.ActivityDeleted, "deleted", lambda _: {})

_maps(
    ap.ApprovalOpened,
    "opened",
    lambda e: {
        **_subject(e.subject),
        "levels": [level.name for level in e.levels],
        "decideBy": _instant(e.decide_by),
    },
)
_maps(
    ap.ApprovalPassed,
    "passed",
    lambda e: {
        **_subject(e.subject),
        "level": e.level.name,
        "nextLevel": e.next_level and e.next_level.name,
        "comment": e.comment,
    },
)
_maps(ap.ApprovalGranted, "granted", lambda e: _subject(e.subject))
_maps(
    ap.ApprovalRejected,
    "rejected",
    lambda e: {**_subject(e.subject), "level": e.level.name, "reason": e.reason},
)
_maps(ap.ApprovalVoided, "voided", lambda e: {**_subject(e.subject), "reason": e.reason})

_maps(sd.DefinitionDrafted, "drafted", _definition_drafted)
_maps(sd.DefinitionRevised, "revised", lambda e: {"revision": e.revision, **_segment(e.content)})
_maps(
    sd.DefinitionSubmitted,
    "submitted",
    lambda e: {
        "revision": e.revision,
        "approvalId": _id("approval", e.approval),
        "contentHash": e.content_hash,
        "grants": [_reference("source_grant", grant) for grant in e.grants],
    },
)
_maps(
    sd.DefinitionWithdrawn,
    "withdrawn",
    lambda e: {"revision": e.revision, "approvalId": _id("approval", e.approval)},
)
_maps(
    sd.DefinitionApproved,
    "approved",
    lambda e: {
        "revision": e.revision,
        "approvalId": _id("approval", e.approval),
        "contentHash": e.content_hash,
    },
)
_maps(
    sd.DefinitionSuperseded,
    "superseded",
    lambda e: {"revision": e.revision, "byRevision": e.by_revision},
)
_maps(
    sd.DefinitionRejected,
    "rejected",
    lambda e: {
        "revision": e.revision,
        "approvalId": _id("approval", e.approval),
        "level": e.level.upper(),
        "reason": e.reason,
    },
)
_maps(sd.DefinitionDeleted, "deleted", lambda _: {})

_maps(
    sg.SourceGranted,
    "granted",
    lambda e: {
        "revision": e.revision,
        "orgUnit": e.org_unit,
        "source": e.source,
        "table": e.table,
        "columns": list(e.columns),
    },
)
_maps(sg.SourceRevoked, "revoked", lambda e: {"revision": e.revision})

_maps(sr.SegmentRunRequested, "requested", _run_requested)
_maps(sr.SegmentRunStarted, "started", lambda e: {"attempt": e.attempt})
_maps(sr.SegmentRunProgressed, "progressed", lambda e: {"attempt": e.attempt, "percent": e.percent})
_maps(sr.SegmentRunSucceeded, "succeeded", _run_succeeded)
_maps(
    sr.SegmentRunFailed,
    "failed",
    lambda e: {"attempt": e.attempt, "code": e.code.upper(), "values": dict(e.values)},
)
_maps(sr.SegmentRunTerminated, "terminated", lambda e: {"reason": e.reason})
_maps(sr.SegmentRunRetried, "retried", lambda e: {"retry": e.retry})
_maps(sr.SegmentRunCleanedUp, "cleaned_up", lambda e: {"attempt": e.attempt, "dropped": list(e.dropped)})

for _event, (_verb, _data) in {**public_work_orders.FORMS, **public_points.FORMS}.items():
    _maps(_event, _verb, _data)
_maps(g.CustomerGroupDefined, "defined", lambda e: {"code": e.code, "orgUnit": e.org_unit, **_group(e)})
_maps(g.CustomerGroupRevised, "revised", lambda e: {"revision": e.revision, **_group(e)})
_maps(g.CustomerGroupRetired, "retired", lambda _: {})
_maps(g.CustomerGroupDeleted, "deleted", lambda _: {})
