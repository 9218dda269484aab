"""Every event type that was ever stored: its stable name, its schema version, the class that it is now.

A name is never changed or given to another event. Any change of what is written raises the schema version,
for the bytes are hashed and read by others; a field added with a default then needs nothing more, any other
change needs an upcaster from the version before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain import (
    activities,
    approvals,
    budgets,
    cancellations,
    catalogues,
    customer_groups,
    delegations,
    downloads,
    points_job_answers,
    points_jobs,
    points_ledgers,
    revocations,
    segment_definitions,
    segment_runs,
    service_accounts,
    source_grants,
    users,
    work_orders,
)
from domain import work_order_executions as executions
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
    EventType("budget.encumbered", budgets.BudgetEncumbered),
    EventType("budget.reserved", budgets.BudgetReserved),
    EventType("budget.confirmed", budgets.ReservationConfirmed),
    EventType("budget.consumed", budgets.BudgetConsumed),
    EventType("budget.released", budgets.ReservationReleased),
    EventType("budget.refunded", budgets.BudgetRefunded),
    EventType("budget.threshold_reached", budgets.BudgetThresholdReached),
    EventType("budget.closed", budgets.BudgetClosed),
    EventType("points_job.opened", points_jobs.PointsJobOpened),
    EventType("points_job.reserved", points_jobs.PointsJobReserved),
    EventType("points_job.filed", points_jobs.PointsJobFiled),
    EventType("points_job.released", points_jobs.PointsJobReleased),
    EventType("points_job.sent", points_jobs.PointsJobSent),
    EventType("points_job.acknowledged", points_job_answers.PointsJobAcknowledged),
    EventType("points_job.acknowledgement_faulted", points_job_answers.PointsJobAcknowledgementFaulted),
    EventType("points_job.answer_overdue", points_job_answers.PointsJobAnswerOverdue),
    EventType("points_job.posted", points_job_answers.PointsJobPosted),
    EventType("points_job.reconciled", points_job_answers.PointsJobReconciled),
    EventType("points_job.differed", points_job_answers.PointsJobDiffered),
    EventType("points_job.differences_accepted", points_job_answers.PointsJobDifferencesAccepted),
    EventType("points_job.settled", points_jobs.PointsJobSettled),
    EventType("points_job.failed", points_jobs.PointsJobFailed),
    EventType("points_job.retried", points_jobs.PointsJobRetried),
    EventType("points_job.withdrawn", points_jobs.PointsJobWithdrawn),
    EventType("points.posted", points_ledgers.PointsPosted),
    EventType("points.reversed", points_ledgers.PointsReversed),
    EventType("points.carried_forward", points_ledgers.PointsCarriedForward),
    EventType("points.ledger_closed", points_ledgers.PointsLedgerClosed),
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
    EventType("segment_run.handed_over", segment_runs.SegmentRunHandedOver),
    EventType("download.recorded", downloads.DownloadRecorded),
    EventType("customer_group.defined", customer_groups.CustomerGroupDefined),
    EventType("customer_group.revised", customer_groups.CustomerGroupRevised),
    EventType("customer_group.retired", customer_groups.CustomerGroupRetired),
    EventType("customer_group.deleted", customer_groups.CustomerGroupDeleted),
    EventType("work_order.drafted", work_orders.WorkOrderDrafted),
    EventType("work_order.revised", work_orders.WorkOrderRevised),
    EventType("work_order.submitted", work_orders.WorkOrderSubmitted),
    EventType("work_order.withdrawn", work_orders.WorkOrderWithdrawn),
    EventType("work_order.approved", work_orders.WorkOrderApproved),
    EventType("work_order.rejected", work_orders.WorkOrderRejected),
    EventType("work_order.scheduled", executions.WorkOrderScheduled),
    EventType("work_order.execution_started", executions.ExecutionStarted),
    EventType("work_order.points_job_linked", executions.PointsJobLinked),
    EventType("work_order.completed", executions.WorkOrderCompleted),
    EventType("work_order.execution_failed", executions.ExecutionFailed),
    EventType("work_order.retried", executions.WorkOrderRetried),
    EventType("work_order.cancellation_requested", work_orders.WorkOrderCancellationRequested),
    EventType("work_order.cancelled", work_orders.WorkOrderCancelled),
    EventType("work_order.restored", work_orders.WorkOrderRestored),
    EventType("cancellation.requested", cancellations.CancellationRequested),
    EventType("cancellation.approved", cancellations.CancellationApproved),
    EventType("cancellation.rejected", cancellations.CancellationRejected),
    EventType("cancellation.withdrawn", cancellations.CancellationWithdrawn),
    EventType("user.created", users.UserCreated),
    EventType("user.revised", users.UserRevised),
    EventType("user.disabled", users.UserDisabled),
    EventType("user.enabled", users.UserEnabled),
    EventType("user.locked", users.UserLocked),
    EventType("user.unlocked", users.UserUnlocked),
    EventType("user.password_reset", users.UserPasswordReset),
    EventType("service_account.created", service_accounts.ServiceAccountCreated),
    EventType("service_account.revised", service_accounts.ServiceAccountRevised),
    EventType("service_account.disabled", service_accounts.ServiceAccountDisabled),
    EventType("service_account.enabled", service_accounts.ServiceAccountEnabled),
    EventType("service_account.secret_rotated", service_accounts.ServiceSecretRotated),
    EventType("service_account.old_secret_ended", service_accounts.OldServiceSecretEnded),
    EventType("delegation.granted", delegations.WorkDelegated),
    EventType("delegation.ended", delegations.DelegationEnded),
    EventType("revocation.made", revocations.TokensRevoked),
)

BY_NAME: Mapping[str, EventType] = {type_.name: type_ for type_ in EVENT_TYPES}
BY_CLASS: Mapping[type, EventType] = {type_.event: type_ for type_ in EVENT_TYPES}
assert len(BY_NAME) == len(BY_CLASS) == len(EVENT_TYPES), "an event type has one name and one class"
