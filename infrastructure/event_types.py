"""Every event type that was ever stored: its stable name, its schema version, the class that it is now.

A name is never changed or given to another event. Any change of what is written raises the schema version,
for the bytes are hashed and read by others; a field added with a default then needs nothing more, any other
change needs an upcaster from the version before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain import activities, approvals, catalogues, customer_groups, downloads
from domain.shared import claims

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the JSON object of one schema version into that of the next."""


@dataclass(frozen=True, slots=True)
class EventType:
    name: str
    event: type
    schema_version: int = 1
    upcasters: Mapping[int, Upcaster] = field(default_factory=dict)


EVENT_TYPES = (
    EventType("claim.taken", claims.TextClaimed),
    EventType("claim.released", claims.TextReleased),
    EventType("entry.added", catalogues.EntryAdded),
    EventType("entry.revised", catalogues.EntryRevised),
    EventType("entry.moved", catalogues.EntryMoved),
    EventType("entry.enabled", catalogues.EntryEnabled),
    EventType("entry.disabled", catalogues.EntryDisabled),
    EventType("entry.removed", catalogues.EntryRemoved),
    EventType("activity.drafted", activities.ActivityDrafted, schema_version=2),
    EventType("activity.revised", activities.ActivityRevised, schema_version=2),
    EventType("activity.submitted", activities.ActivitySubmitted),
    EventType("activity.withdrawn", activities.ActivityWithdrawn),
    EventType("activity.approved", activities.ActivityApproved),
    EventType("activity.rejected", activities.ActivityRejected),
    EventType("activity.launched", activities.ActivityLaunched),
    EventType("activity.paused", activities.ActivityPaused),
    EventType("activity.resumed", activities.ActivityResumed),
    EventType("activity.ended", activities.ActivityEnded),
    EventType("activity.cancelled", activities.ActivityCancelled),
    EventType("activity.deleted", activities.ActivityDeleted),
    EventType("approval.opened", approvals.ApprovalOpened),
    EventType("approval.passed", approvals.ApprovalPassed),
    EventType("approval.granted", approvals.ApprovalGranted),
    EventType("approval.rejected", approvals.ApprovalRejected),
    EventType("approval.voided", approvals.ApprovalVoided),
    EventType("customer_group.defined", customer_groups.CustomerGroupDefined),
    EventType("customer_group.revised", customer_groups.CustomerGroupRevised),
    EventType("customer_group.retired", customer_groups.CustomerGroupRetired),
    EventType("customer_group.deleted", customer_groups.CustomerGroupDeleted),
    EventType("download.recorded", downloads.DownloadRecorded),
)

BY_NAME: Mapping[str, EventType] = {type_.name: type_ for type_ in EVENT_TYPES}
BY_CLASS: Mapping[type, EventType] = {type_.event: type_ for type_ in EVENT_TYPES}
assert len(BY_NAME) == len(BY_CLASS) == len(EVENT_TYPES), "an event type has one name and one class"
