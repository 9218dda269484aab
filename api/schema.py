"""The GraphQL schema: every capability's types put together."""

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types.execution import ExecutionContext

from api.activities import Activity, ActivityMutations
from api.activity_figures import ActivityFigures, ActivityFiguresMutations, ActivityFiguresQueries
from api.activity_forms import ActivityForm, ActivityFormMutations
from api.admission import Unsuggesting
from api.approvals import INBOX, Approval, ApprovalMutations
from api.budgets import Budget
from api.business_calendars import BusinessCalendar, BusinessCalendarMutations
from api.cancellations import CancellationMutations, CancellationRequest
from api.catalogues import ActivityType, CatalogueMutations, CostType
from api.changes import ChangeSubscription
from api.customer_groups import CustomerGroup, CustomerGroupMutations, CustomerGroupQueries
from api.delegations import Delegation, DelegationMutations
from api.departments import Department, DepartmentMutations
from api.descriptions import describe
from api.differences import DifferenceQueries
from api.downloads import Download
from api.erasures import Erasure, ErasureMutations
from api.events import EventQueries, EventSubscription
from api.graphql_errors import log_faults
from api.group_extractions import GroupExtraction, GroupExtractionQueries
from api.history import HistoryEntry
from api.planner.idempotency import IDEMPOTENT
from api.planner.reads import SharedDocuments
from api.planner.values import SCALARS
from api.planner.views import Connection, Node, listed, many, one
from api.points_jobs import PointsJob, PointsJobMutations
from api.points_ledgers import (
    PendingPointsQueries,
    PointsAccount,
    PointsContraAccount,
    PointsEntry,
    PointsLedgerMutations,
)
from api.replays import ReplayQueries
from api.revocations import AccessEntry, Revocation, RevocationMutations, Session
from api.reward_types import RewardType, RewardTypeMutations
from api.run_schedules import RunSchedule, RunScheduleMutations
from api.segment_definitions import SegmentDefinition, SegmentDefinitionMutations
from api.segment_runs import SegmentRun, SegmentRunMutations
from api.service_accounts import ServiceAccount, ServiceAccountMutations
from api.source_grants import SourceGrant, SourceGrantMutations, SourceQueries
from api.stocks import Stock, StockMutations
from api.users import User, UserMutations
from api.viewer import ViewerQueries
from api.webhook_endpoints import BOX, WebhookEndpoint, WebhookEndpointMutations
from api.work_orders import WorkOrder, WorkOrderMutations


@strawberry.type
class ReadQueries:
    node: Node | None = one(description="Anything by its id; null when it is unknown or not visible.")
    nodes: list[Node | None] = listed(description="Up to 100 things by their ids, null for each not found.")
    activity_type: ActivityType | None = one()
    activity_types: Connection[ActivityType] = many(
        description="The tree flat; filter depth 0 for its roots."
    )
    cost_type: CostType | None = one()
    cost_types: Connection[CostType] = many()
    activity_form: ActivityForm | None = one()
    activity_forms: Connection[ActivityForm] = many(description="The forms of promotion that are defined.")
    department: Department | None = one()
    departments: Connection[Department] = many(description="The tree flat; filter depth 0 for its roots.")
    reward_type: RewardType | None = one()
    reward_types: Connection[RewardType] = many(description="The types of rewards with their frames.")
    download: Download | None = one()
    downloads: Connection[Download] = many(description="What was taken out as files, oldest first.")
    activity: Activity | None = one(description="One activity, with asOf as it was then.")
    activities: Connection[Activity] = many(
        description="The activities in sight, with asOf as they were then."
    )
    activity_figures: ActivityFigures | None = one(
        description="By the id of the figures, not of the activity."
    )
    work_order: WorkOrder | None = one(description="One work order, with asOf as it was then.")
    work_orders: Connection[WorkOrder] = many(
        description="The work orders in sight, for activities and for evaluations; with asOf as then."
    )
    cancellation_request: CancellationRequest | None = one()
    cancellation_requests: Connection[CancellationRequest] = many(
        description="All requests to cancel work orders in sight."
    )
    customer_group: CustomerGroup | None = one(description="One group, with asOf as it was then.")
    customer_groups: Connection[CustomerGroup] = many(
        description="The customer groups in sight, with asOf as they were then."
    )
    budget: Budget | None = one()
    budgets: Connection[Budget] = many(description="The budgets of approved activities in sight.")
    stock: Stock | None = one()
    stocks: Connection[Stock] = many(description="What approved activities in sight may give, and gave.")
    points_job: PointsJob | None = one()
    points_jobs: Connection[PointsJob] = many(description="The points jobs in sight.")
    points_entry: PointsEntry | None = one()
    points_entries: Connection[PointsEntry] = many(
        description="Every posting in sight, of segmentations and general ones."
    )
    points_account: PointsAccount | None = one()
    points_accounts: Connection[PointsAccount] = many(
        description="Customers' points by programme and year; one that is not carried is current."
    )
    points_contra_accounts: Connection[PointsContraAccount] = many(
        description="What stands against the customers' accounts, by programme, year and account."
    )
    segment_definition: SegmentDefinition | None = one(description="One, with asOf as it was then.")
    segment_definitions: Connection[SegmentDefinition] = many(
        description="The segment definitions in sight, with asOf as they were then."
    )
    segment_run: SegmentRun | None = one()
    segment_runs: Connection[SegmentRun] = many(description="The runs in sight, the newest first.")
    business_calendar: BusinessCalendar | None = one()
    business_calendars: Connection[BusinessCalendar] = many(description="The bank's calendars.")
    run_schedule: RunSchedule | None = one()
    run_schedules: Connection[RunSchedule] = many(description="What runs by itself, and when next.")
    group_extraction: GroupExtraction | None = one()
    group_extractions: Connection[GroupExtraction] = many(
        description="The extractions of customer groups in sight, the latest first."
    )
    source_grant: SourceGrant | None = one()
    source_grants: Connection[SourceGrant] = many(description="What units in sight may use.")
    user: User | None = one()
    users: Connection[User] = many(description="The users in sight, for who reads accounts.")
    service_account: ServiceAccount | None = one()
    service_accounts: Connection[ServiceAccount] = many(
        description="The programs in sight, for who reads accounts."
    )
    delegation: Delegation | None = one()
    delegations: Connection[Delegation] = many(description="What units in sight have delegated.")
    revocations: Connection[Revocation] = many(description="What was revoked, the newest first.")
    sessions: Connection[Session] = many(
        description="Logins, the newest first; they have no past, for they are not event-sourced."
    )
    access_entries: Connection[AccessEntry] = many(
        description="Who came in, or tried to, newest first; not event-sourced, but never changed either."
    )
    erasure: Erasure | None = one(description="One request, with asOf as it was then.")
    erasures: Connection[Erasure] = many(description="Who is to be forgotten, and that some were.")
    webhook_endpoint: WebhookEndpoint | None = one()
    webhook_endpoints: Connection[WebhookEndpoint] = many(
        box=BOX, description="The endpoints in sight; DISABLED are those that could not be delivered to."
    )
    approval: Approval | None = one()
    approvals: Connection[Approval] = many(description="All approvals in sight.")
    approval_inbox: Connection[Approval] = many(
        box=INBOX, description="The viewer's approvals across all departments and subjects."
    )
    history_entry: HistoryEntry | None = one()
    timeline: Connection[HistoryEntry] = many(description="Everything that happened, oldest first.")


Query = merge_types(
    "Query",
    (
        ReadQueries,
        EventQueries,
        DifferenceQueries,
        ReplayQueries,
        PendingPointsQueries,
        CustomerGroupQueries,
        ActivityFiguresQueries,
        GroupExtractionQueries,
        SourceQueries,
        ViewerQueries,
    ),
)
Mutation = merge_types(
    "Mutation",
    (
        CatalogueMutations,
        ActivityFormMutations,
        DepartmentMutations,
        RewardTypeMutations,
        ActivityMutations,
        ActivityFiguresMutations,
        ApprovalMutations,
        WorkOrderMutations,
        CancellationMutations,
        CustomerGroupMutations,
        PointsJobMutations,
        StockMutations,
        PointsLedgerMutations,
        SegmentDefinitionMutations,
        SegmentRunMutations,
        SourceGrantMutations,
        UserMutations,
        ServiceAccountMutations,
        DelegationMutations,
        RevocationMutations,
        BusinessCalendarMutations,
        RunScheduleMutations,
        WebhookEndpointMutations,
        ErasureMutations,
    ),
)

Subscription = merge_types("Subscription", (EventSubscription, ChangeSubscription))


class Schema(strawberry.Schema):
    """Strawberry's, but that logs get faults of ours only: documents may hold what logs must not."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        context = execution_context.context if execution_context else None
        log_faults(errors, getattr(context, "request_id", ""))


schema = Schema(
    Query,
    Mutation,
    Subscription,
    extensions=[SharedDocuments, Unsuggesting],
    config=StrawberryConfig(scalar_map=SCALARS),
)
schema._schema.directives += (IDEMPOTENT,)  # strawberry's own would look at every field of every answer
describe(schema._schema)  # strawberry shows it nowhere else
