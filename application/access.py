"""Who may do what, and whose rows they see: roles, permissions, organisation units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.approvals import Level
from domain.delegations import Task

HEAD_OFFICE = "HO"


class Role(StrEnum):
    OPERATOR = "operator"
    RESEARCHER = "researcher"
    TECHNOLOGIST = "technologist"
    AUDITOR = "auditor"
    INTEGRATOR = "integrator"
    ADMINISTRATOR = "administrator"


class Permission(StrEnum):
    """What an operation, a kind of thing that is read, or a masked field asks for."""

    RECORDS_READ = "records.read"
    POINTS_READ = "points.read"
    PARAMETERS_MAINTAIN = "parameters.maintain"
    ACTIVITIES_PLAN = "activities.plan"
    ACTIVITIES_RUN = "activities.run"
    ACTIVITIES_EXPORT = "activities.export"
    GROUPS_MAINTAIN = "groups.maintain"
    GROUPS_PREVIEW = "groups.preview"
    APPROVALS_DECIDE = "approvals.decide"
    BUDGET_READ = "budget.read"
    EVENTS_READ = "events.read"
    AUDIT_REPLAY = "audit.replay"
    SCHEMA_READ = "schema.read"
    APPROVALS_EXPIRE = "approvals.expire"
    ACTIVITIES_END = "activities.end"
    POINTS_RUN = "points.run"
    POINTS_ADJUST = "points.adjust"
    POINTS_EXPORT = "points.export"
    POINTS_DELIVER = "points.deliver"
    BUDGETS_EXPIRE = "budgets.expire"
    BUDGETS_CLOSE = "budgets.close"
    STOCKS_AWARD = "stocks.award"
    STOCKS_EXPIRE = "stocks.expire"
    FIGURES_COUNT = "figures.count"
    CUSTOMERS_READ = "customers.read"
    WORK_ORDERS_PLAN = "work_orders.plan"
    WORK_ORDERS_SCHEDULE = "work_orders.schedule"
    WORK_ORDERS_EXECUTE = "work_orders.execute"
    WORK_ORDERS_EXPORT = "work_orders.export"
    SEGMENTS_DEFINE = "segments.define"
    SEGMENTS_RUN = "segments.run"
    SEGMENTS_EXPORT = "segments.export"
    SEGMENTS_EXECUTE = "segments.execute"
    SOURCES_GRANT = "sources.grant"
    ACCOUNTS_READ = "accounts.read"
    ACCOUNTS_MAINTAIN = "accounts.maintain"
    WORK_DELEGATE = "work.delegate"
    SCHEDULES_PERFORM = "schedules.perform"
    WEBHOOKS_MAINTAIN = "webhooks.maintain"
    WEBHOOKS_DELIVER = "webhooks.deliver"
    PERSONS_READ = "persons.read"
    PERSONS_ERASE = "persons.erase"
    PERSONS_FORGET = "persons.forget"


_STAFF = frozenset(
    {
        Permission.RECORDS_READ,
        Permission.ACTIVITIES_EXPORT,
        Permission.WORK_ORDERS_EXPORT,
        Permission.BUDGET_READ,
        Permission.EVENTS_READ,
        Permission.SCHEMA_READ,
    }
)
_WORK_ORDERS = frozenset({Permission.WORK_ORDERS_PLAN, Permission.WORK_ORDERS_SCHEDULE})
_SEGMENTS = frozenset({Permission.SEGMENTS_DEFINE, Permission.SEGMENTS_RUN, Permission.SEGMENTS_EXPORT})
_POINTS = frozenset(
    {Permission.POINTS_READ, Permission.POINTS_RUN, Permission.POINTS_ADJUST, Permission.POINTS_EXPORT}
)
_ACCOUNTS = frozenset({Permission.ACCOUNTS_READ, Permission.ACCOUNTS_MAINTAIN})
_HEAD_OFFICE_ONLY = (
    _ACCOUNTS
    | {Permission.PARAMETERS_MAINTAIN, Permission.SOURCES_GRANT}
    | {Permission.PERSONS_READ, Permission.PERSONS_ERASE}
)

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OPERATOR: _STAFF
    | _POINTS
    | _WORK_ORDERS
    | _SEGMENTS
    | {Permission.PARAMETERS_MAINTAIN, Permission.ACTIVITIES_PLAN, Permission.ACTIVITIES_RUN}
    | {Permission.STOCKS_AWARD, Permission.CUSTOMERS_READ, Permission.WEBHOOKS_MAINTAIN}
    | {Permission.GROUPS_MAINTAIN, Permission.GROUPS_PREVIEW},
    Role.RESEARCHER: _STAFF | {Permission.APPROVALS_DECIDE, Permission.GROUPS_PREVIEW},
    Role.TECHNOLOGIST: _STAFF
    | _SEGMENTS
    | {Permission.APPROVALS_DECIDE, Permission.GROUPS_PREVIEW, Permission.WORK_ORDERS_SCHEDULE}
    | {Permission.PERSONS_READ},
    Role.AUDITOR: _STAFF
    | {Permission.ACCOUNTS_READ, Permission.POINTS_READ, Permission.POINTS_EXPORT, Permission.AUDIT_REPLAY}
    | {Permission.PERSONS_READ},
    Role.INTEGRATOR: frozenset({Permission.RECORDS_READ, Permission.EVENTS_READ, Permission.SCHEMA_READ})
    | {Permission.STOCKS_AWARD, Permission.WEBHOOKS_MAINTAIN},
    Role.ADMINISTRATOR: _STAFF
    | _ACCOUNTS
    | {Permission.PARAMETERS_MAINTAIN, Permission.SOURCES_GRANT, Permission.WORK_DELEGATE}
    | {Permission.WEBHOOKS_MAINTAIN, Permission.PERSONS_READ, Permission.PERSONS_ERASE},
}

GRANTABLE = (
    frozenset().union(*PERMISSIONS.values())
    - _ACCOUNTS
    - {
        Permission.APPROVALS_DECIDE,
        Permission.WORK_DELEGATE,
        Permission.PERSONS_READ,
        Permission.PERSONS_ERASE,
    }
)
"""What a program can be given: nothing that decides for people, nothing that makes accounts."""

DELEGABLE: Mapping[Task, frozenset[Permission]] = {
    Task.ACTIVITIES: frozenset({Permission.ACTIVITIES_PLAN, Permission.ACTIVITIES_RUN}),
    Task.CUSTOMER_GROUPS: frozenset({Permission.GROUPS_MAINTAIN, Permission.GROUPS_PREVIEW}),
    Task.WORK_ORDERS: _WORK_ORDERS,
    Task.SEGMENTS: _SEGMENTS,
    Task.POINTS: _POINTS,
    Task.ACCOUNTS: _ACCOUNTS,
}
"""What somebody may do who acts for another unit."""

MOVES_HOLDINGS = frozenset({Permission.POINTS_RUN, Permission.POINTS_ADJUST, Permission.STOCKS_AWARD})
"""What moves points, and by them budgets, or stocks: such a command has a key, so that it is done once,
however often it is sent."""

OPERATIONS: Mapping[str, Permission] = {
    **{
        f"{verb}{kind}": Permission.PARAMETERS_MAINTAIN
        for verb in ("add", "revise", "enable", "disable", "remove")
        for kind in ("ActivityType", "CostType", "ActivityForm", "Department")
    },
    **{
        f"{verb}RewardType": Permission.PARAMETERS_MAINTAIN  # without remove: what was given must stay known
        for verb in ("add", "revise", "enable", "disable")
    },
    "exportActivities": Permission.ACTIVITIES_EXPORT,
    "exportReplay": Permission.AUDIT_REPLAY,
    "draftActivity": Permission.ACTIVITIES_PLAN,
    "reviseActivity": Permission.ACTIVITIES_PLAN,
    "submitActivity": Permission.ACTIVITIES_PLAN,
    "withdrawActivity": Permission.ACTIVITIES_PLAN,
    "deleteActivity": Permission.ACTIVITIES_PLAN,
    "launchActivity": Permission.ACTIVITIES_RUN,
    "pauseActivity": Permission.ACTIVITIES_RUN,
    "resumeActivity": Permission.ACTIVITIES_RUN,
    "cancelActivity": Permission.ACTIVITIES_RUN,
    "defineCustomerGroup": Permission.GROUPS_MAINTAIN,
    "reviseCustomerGroup": Permission.GROUPS_MAINTAIN,
    "retireCustomerGroup": Permission.GROUPS_MAINTAIN,
    "deleteCustomerGroup": Permission.GROUPS_MAINTAIN,
    "approve": Permission.APPROVALS_DECIDE,
    "reject": Permission.APPROVALS_DECIDE,
    "endActivity": Permission.ACTIVITIES_END,
    "openPointsJob": Permission.POINTS_RUN,
    "retryPointsJob": Permission.POINTS_RUN,
    "withdrawPointsJob": Permission.POINTS_RUN,
    "acceptPointsJobDifferences": Permission.POINTS_RUN,
    "resendPointsFile": Permission.POINTS_RUN,
    "recallPointsFile": Permission.POINTS_RUN,
    "exportPointsFile": Permission.POINTS_EXPORT,
    "advancePointsJob": Permission.POINTS_DELIVER,
    "adjustPoints": Permission.POINTS_ADJUST,
    "reversePointsEntry": Permission.POINTS_ADJUST,
    "closePointsAccount": Permission.POINTS_ADJUST,
    "expireBudget": Permission.BUDGETS_EXPIRE,
    "closeBudget": Permission.BUDGETS_CLOSE,
    **{f"{verb}Stock": Permission.STOCKS_AWARD for verb in ("reserve", "consume", "release", "return")},
    "expireStock": Permission.STOCKS_EXPIRE,
    "countActivity": Permission.GROUPS_PREVIEW,
    "executeActivityCount": Permission.FIGURES_COUNT,
    **dict.fromkeys(("listActivityCustomers", "listGroupMembers"), Permission.CUSTOMERS_READ),
    **{f"{verb}WorkOrder": Permission.WORK_ORDERS_PLAN for verb in ("draft", "revise", "submit", "withdraw")},
    "requestCancellation": Permission.WORK_ORDERS_PLAN,
    "withdrawCancellation": Permission.WORK_ORDERS_PLAN,
    "exportWorkOrder": Permission.WORK_ORDERS_EXPORT,
    "scheduleWorkOrder": Permission.WORK_ORDERS_SCHEDULE,
    "retryWorkOrder": Permission.WORK_ORDERS_SCHEDULE,
    **{f"{verb}WorkOrder": Permission.WORK_ORDERS_EXECUTE for verb in ("start", "complete", "fail")},
    **{
        f"{verb}SegmentDefinition": Permission.SEGMENTS_DEFINE
        for verb in ("draft", "reuse", "revise", "submit", "withdraw", "delete")
    },
    "trySegmentDefinition": Permission.SEGMENTS_RUN,
    "requestSegmentRun": Permission.SEGMENTS_RUN,
    "terminateSegmentRun": Permission.SEGMENTS_RUN,
    "retrySegmentRun": Permission.SEGMENTS_RUN,
    "exportSegmentRun": Permission.SEGMENTS_EXPORT,
    "executeSegmentRun": Permission.SEGMENTS_EXECUTE,
    "deleteSegmentResult": Permission.SEGMENTS_EXECUTE,
    **{f"{verb}SegmentSchedule": Permission.SEGMENTS_RUN for verb in ("set", "withdraw")},
    **{f"{verb}BusinessCalendar": Permission.PARAMETERS_MAINTAIN for verb in ("add", "revise")},
    **dict.fromkeys(("fireRunSchedule", "extractGroup", "moveSchedules"), Permission.SCHEDULES_PERFORM),
    "grantSource": Permission.SOURCES_GRANT,
    "revokeSource": Permission.SOURCES_GRANT,
    **{
        f"{verb}User": Permission.ACCOUNTS_MAINTAIN
        for verb in ("create", "revise", "disable", "enable", "lock", "unlock")
    },
    "resetPassword": Permission.ACCOUNTS_MAINTAIN,
    **{
        f"{verb}ServiceAccount": Permission.ACCOUNTS_MAINTAIN
        for verb in ("create", "revise", "disable", "enable")
    },
    "rotateSecret": Permission.ACCOUNTS_MAINTAIN,
    "endOldSecret": Permission.ACCOUNTS_MAINTAIN,
    "revokeTokens": Permission.ACCOUNTS_MAINTAIN,
    "delegate": Permission.WORK_DELEGATE,
    "endDelegation": Permission.WORK_DELEGATE,
    **{
        f"{verb}WebhookEndpoint": Permission.WEBHOOKS_MAINTAIN
        for verb in ("draft", "revise", "submit", "withdraw", "disable", "enable", "replay", "delete")
    },
    "rotateWebhookSecret": Permission.WEBHOOKS_MAINTAIN,
    "endOldWebhookSecret": Permission.WEBHOOKS_MAINTAIN,
    "resendWebhookDelivery": Permission.WEBHOOKS_MAINTAIN,
    "suspendWebhookEndpoint": Permission.WEBHOOKS_DELIVER,
    **{f"{verb}Erasure": Permission.PERSONS_ERASE for verb in ("request", "withdraw")},
    "completeErasure": Permission.PERSONS_FORGET,
}
"""Every operation that changes anything, and the permission it asks for. What is not here is forbidden."""

LEVELS: Mapping[Role, Level] = {
    Role.RESEARCHER: Level.RESEARCH,
    Role.TECHNOLOGIST: Level.TECHNOLOGY,
}


@dataclass(frozen=True, slots=True)
class Credential:
    """What a token says of itself: by it a token that was revoked is found. `session` is that of a login;
    `revision` that of the account in which the principal's rights were read.
    """

    token_id: str
    issued_at_s: float
    session: str | None = None
    subject: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: verified, never guessed. `units` are the organisation units whose activities and work he
    sees, `data_units` those whose customers' data, `acts_in` those whose things he changes (None: as
    `units`); from `expires_at_s` on (Unix seconds) he must prove again who he is.
    """

    user: str
    roles: frozenset[Role]
    org_unit: str
    units: frozenset[str]
    on_behalf_of: str | None = None
    system_permissions: frozenset[Permission] = field(default_factory=frozenset)
    expires_at_s: float | None = field(default=None, compare=False)
    data_units: frozenset[str] | None = None
    acts_in: frozenset[str] | None = None
    credential: Credential | None = field(default=None, compare=False)

    @property
    def permissions(self) -> frozenset[Permission]:
        """What his roles allow; parameters belong to the whole bank, so head office alone keeps them, and
        grants what units may use of the warehouse.
        """
        allowed = self.system_permissions.union(*(PERMISSIONS[role] for role in self.roles))
        return allowed if self.org_unit == HEAD_OFFICE else allowed - _HEAD_OFFICE_ONLY

    @property
    def levels(self) -> frozenset[Level]:
        """The approval levels that he may decide."""
        return frozenset(LEVELS[role] for role in self.roles if role in LEVELS)

    def sees(self, org_unit: str) -> bool:
        return org_unit in self.units

    def changes(self, org_unit: str) -> bool:
        """Whether he may change what belongs to the unit; to see it is less."""
        return org_unit in (self.units if self.acts_in is None else self.acts_in)


class Forbidden(Exception):
    """The principal lacks the permission that the operation asks for."""

    def __init__(self, operation: str, permission: Permission | None) -> None:
        super().__init__(f"{operation} asks for {permission}")
        self.operation = operation
        self.permission = permission


def who_may(permission: Permission | None) -> list[str]:
    """The roles with a permission, and where they must be: whom to ask who lacks it."""
    place = f" ({HEAD_OFFICE})" if permission in _HEAD_OFFICE_ONLY else ""
    return [f"{role}{place}" for role, permissions in PERMISSIONS.items() if permission in permissions]


def authorise(principal: Principal, operation: str) -> None:
    """Raise Forbidden unless the principal may do this; an operation that nobody listed is forbidden."""
    permission = OPERATIONS.get(operation)
    if permission is None or permission not in principal.permissions:
        raise Forbidden(operation, permission)


def units_of(org_unit: str, all_units: frozenset[str]) -> frozenset[str]:
    """Head office sees every unit, a branch itself; an unknown unit sees nothing."""
    if org_unit not in all_units:
        return frozenset()
    return all_units if org_unit == HEAD_OFFICE else frozenset({org_unit})


CUSTOMER = "customer"
DATA_KINDS = frozenset({"points_ledger", "points_account", "points_entry", "points_contra_account", CUSTOMER})
"""Kinds of rows and streams that hold customers' data."""

ACCOUNT_KINDS = frozenset({"user", "service_account", "revocation", "session", "access_entry"})
"""Kinds that tell of accounts."""


def to_read(kind: str) -> Permission:
    """What reading things of a kind asks for."""
    if kind in ACCOUNT_KINDS:
        return Permission.ACCOUNTS_READ
    if kind == "erasure":
        return Permission.PERSONS_READ
    return Permission.POINTS_READ if kind in DATA_KINDS else Permission.RECORDS_READ


def visible(kind: str, principal: Principal) -> frozenset[str]:
    """The units whose rows of this kind the principal sees: for lists, single rows, subscriptions and files.

    A kind is the name of a stream's type or of a view's row.
    """
    if kind in DATA_KINDS:
        return principal.units if principal.data_units is None else principal.data_units
    if kind in ACCOUNT_KINDS and not principal.permissions & _ACCOUNTS:
        return frozenset()
    return principal.units


def queries_customers(principal: Principal, org_unit: str) -> bool:
    """Whether he may see customers that the unit selected: head office selects among those of all units."""
    seen = visible(CUSTOMER, principal)
    if org_unit != HEAD_OFFICE:
        return org_unit in seen
    all_units = principal.units if principal.acts_in is None else principal.acts_in
    return principal.org_unit == HEAD_OFFICE and all_units <= seen
