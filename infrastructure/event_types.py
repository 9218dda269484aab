"""Every event type that was ever stored: its stable name, its schema version, the class that it is now.

A name is never changed or given to another event. Any change of what is written raises the schema version,
for the bytes are hashed and read by others; a field added with a default then needs nothing more, any other
change needs an upcaster from the version before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain import activities, approvals, catalogues, segment_definitions, segment_runs, source_grants
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
    EventType("activity.drafted", activities.ActivityDrafted),
    EventType("activity.revised", activities.ActivityRevised),
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
    EventType("segment_definition.drafted", segment_definitions.DefinitionDrafted),
    EventType("segment_definition.revised", segment_definitions.DefinitionRevised),
    EventType("segment_definition.submitted", segment_definitions.DefinitionSubmitted),
    EventType("segment_definition.withdrawn", segment_definitions.DefinitionWithdrawn),
    EventType("segment_definition.approved", segment_definitions.DefinitionApproved),
    EventType("segment_definition.superseded", segment_definitions.DefinitionSuperseded),
    EventType("segment_definition.rejected", segment_definitions.DefinitionRejected),
    EventType("segment_definition.deleted", segment_definitions.DefinitionDeleted),
    EventType("source_grant.granted", source_grants.SourceGranted),
    EventType("source_grant.revoked", source_grants.SourceRevoked),
    EventType("segment_run.requested", segment_runs.SegmentRunRequested),
    EventType("segment_run.started", segment_runs.SegmentRunStarted),
    EventType("segment_run.progressed", segment_runs.SegmentRunProgressed),
    EventType("segment_run.succeeded", segment_runs.SegmentRunSucceeded),
    EventType("segment_run.failed", segment_runs.SegmentRunFailed),
    EventType("segment_run.terminated", segment_runs.SegmentRunTerminated),
    EventType("segment_run.retried", segment_runs.SegmentRunRetried),
    EventType("segment_run.cleaned_up", segment_runs.SegmentRunCleanedUp),
)

BY_NAME: Mapping[str, EventType] = {type_.name: type_ for type_ in EVENT_TYPES}
BY_CLASS: Mapping[type, EventType] = {type_.event: type_ for type_ in EVENT_TYPES}
assert len(BY_NAME) == len(BY_CLASS) == len(EVENT_TYPES), "an event type has one name and one class"
