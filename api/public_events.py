"""What integrators see of an event: a mapping of its own, versioned apart from what is stored.

A public type keeps its name and fields within a version; a field may be added. Claims of codes and names
are the log's own bookkeeping and are not shown.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.public_access import ACCESS_MAPPINGS
from api.public_figures import FIGURES_MAPPINGS
from api.public_mappings import MAPPINGS as _MAPPINGS
from api.public_mappings import Data
from api.public_mappings import Mapping as _Mapping
from api.public_mappings import maps as _maps
from api.public_mappings import public_id as _id
from api.public_mappings import reference as _reference
from api.public_points import POINTS_MAPPINGS
from api.public_schedules import SCHEDULE_MAPPINGS, public_frequency, public_timeframe
from api.public_segments import SEGMENT_MAPPINGS
from api.public_stocks import STOCK_MAPPINGS
from api.public_webhooks import WEBHOOK_MAPPINGS
from api.public_work_orders import WORK_ORDER_MAPPINGS
from application.shared.records import Record
from domain import activities as a
from domain import approvals as ap
from domain import catalogues as c
from domain import customer_groups as g
from domain import downloads as d
from domain.activity_plans import GroupLink, Plan
from domain.reward_details import Reward
from domain.shared.money import MINOR_DIGITS, Money
from domain.shared.period import Period
from projections.customer_groups import membership, shown_rule
from projections.shared.ids import PREFIXES


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
        "department": plan.department and _reference("department", plan.department),
        "coDepartments": [_reference("department", each) for each in plan.co_departments],
        "responsible": plan.responsible,
        "goal": plan.goal and plan.goal.name,
        "rewards": [_reward(reward) for reward in plan.rewards],
        "groups": [_link(link) for link in plan.groups],
        "exclusions": [exclusion.name for exclusion in plan.exclusions],
    }


def _reward(reward: Reward) -> Data:
    return {
        "rewardType": _reference("reward_type", reward.reward_type),
        "value": reward.value,
        "capPerCustomer": reward.cap_per_customer,
        "capTotal": reward.cap_total,
        "remark": reward.remark,
        "fieldValues": dict(reward.field_values),
    }


def _link(link: GroupLink) -> Data:
    return {
        "customerGroup": _reference("customer_group", link.group),
        "role": link.role.name,
        "frequency": public_frequency(link.frequency),
        "timeframe": public_timeframe(link.timeframe),
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


def _period(period: Period) -> Data:
    return {"startsAt": _instant(period.starts_at), "endsAt": _instant(period.ends_at)}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _money(money: Money) -> Data:
    digits = MINOR_DIGITS[money.currency]
    whole, rest = divmod(money.amount_minor, 10**digits)
    return {"amount": f"{whole}.{rest:0{digits}d}" if digits else str(whole), "currency": money.currency}


_MAPPINGS.update(SEGMENT_MAPPINGS)
_MAPPINGS.update(SCHEDULE_MAPPINGS)
_MAPPINGS.update(WORK_ORDER_MAPPINGS)
_MAPPINGS.update(POINTS_MAPPINGS)
_MAPPINGS.update(ACCESS_MAPPINGS)
_MAPPINGS.update(STOCK_MAPPINGS)
_MAPPINGS.update(FIGURES_MAPPINGS)
_MAPPINGS.update(WEBHOOK_MAPPINGS)

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
    d.DownloadRecorded,
    "recorded",
    lambda e: {
        "subject": e.subject,
        "filter": e.filter,
        "rows": e.rows,
        "address": e.address,
        "orgUnit": e.org_unit,
        "by": e.by,
    },
)

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

_maps(g.CustomerGroupDefined, "defined", lambda e: {"code": e.code, "orgUnit": e.org_unit, **_group(e)})
_maps(g.CustomerGroupRevised, "revised", lambda e: {"revision": e.revision, **_group(e)})
_maps(g.CustomerGroupRetired, "retired", lambda _: {})
_maps(g.CustomerGroupDeleted, "deleted", lambda _: {})
