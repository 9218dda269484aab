"""What plans refer to, for systems that send plans: types of activities, costs and rewards, departments."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.responses import Response

from api.catalogues import EntryStatus
from api.planner.masks import MaskReason
from api.rest.lists import Listing, Reading, page
from api.rest.operations import Asked, Operation, selection
from api.rest.values import Instant, Shown, choice
from application.access import Permission
from domain.catalogues import DepartmentRole
from domain.reward_details import Route
from domain.shared.field_rules import FieldType

Status = Annotated[EntryStatus, choice(EntryStatus)]
READS = (Permission.RECORDS_READ,)


class CatalogueQuery(Listing):
    status: list[Status] = Field([], max_length=len(EntryStatus), description="Any of these.")


class _Entry(Shown):
    id: str
    version: int
    revision: int = Field(description="Give it with the id in a plan: refused if there is a newer.")
    code: str
    name: str
    description: str
    sort_order: int
    status: Status
    changed_at: Instant
    changed_by: str


class _Node(_Entry):
    """`effective_status` is DISABLED below one that is disabled: no plan can choose it."""

    effective_status: Status
    path: str = Field(description="The names from the root down, with / between them.")
    depth: int
    parent_id: str | None


class ActivityType(_Node):
    """A node of the tree by which activities are classified."""


class Department(_Node):
    """A department of the bank."""

    role: Annotated[DepartmentRole, choice(DepartmentRole)]


class CostType(_Entry):
    """A kind of cost."""

    accounting_subject: str
    unit: str


class RewardField(Shown):
    """What reward details fill in besides. Bounds are inclusive, in the canonical text of the type."""

    name: str
    label: str
    type: Annotated[FieldType, choice(FieldType)]
    is_required: bool
    least: str | None
    most: str | None
    choices: list[str]


class RewardType(_Entry):
    """What an activity may give, and the rules that every reward of the type obeys. Numbers are decimals."""

    unit: str
    minimum: str
    maximum: str
    cap_per_customer: str | None
    cap_per_activity: str | None
    route: Annotated[Route, choice(Route)]
    cost_type_id: str
    unit_cost: str | None
    unit_cost_masked: Annotated[MaskReason, choice(MaskReason)] | None = Field(
        description="Why unitCost is null; null where it is shown."
    )
    currency: str
    fields: list[RewardField]


class ActivityTypePage(Shown):
    """In their order; where there are more, the header Link has `rel="next"`."""

    items: list[ActivityType]


class DepartmentPage(Shown):
    """In their order; where there are more, the header Link has `rel="next"`."""

    items: list[Department]


class CostTypePage(Shown):
    """In their order; where there are more, the header Link has `rel="next"`."""

    items: list[CostType]


class RewardTypePage(Shown):
    """In their order; where there are more, the header Link has `rel="next"`."""

    items: list[RewardType]


def _operations(
    path: str, one: type[BaseModel], several: type[BaseModel], words: tuple[str, str]
) -> Iterator[Operation]:
    """The list and the single one; the root fields of GraphQL are called by the models' names."""
    name, roots = one.__name__, f"{one.__name__}s"
    root, listed = (text[0].lower() + text[1:] for text in (name, roots))
    document = f"query ($id: ID!) {{ {root}(id: $id) {{ {selection(one)} }} }}"
    pages = f"""query ($filter: {name}Filter, $first: Int!, $after: Cursor) {{
        {listed}(filter: $filter, first: $first, after: $after) {{
            nodes {{ {selection(one)} }} pageInfo {{ hasNextPage endCursor }} }} }}"""

    async def list_(asked: Asked) -> Response:
        return await page(asked, pages, path, asked.query.status)

    async def show(asked: Asked) -> Response:
        return await asked.shown(document)

    summary, single = words
    yield Operation(f"list{roots}", "GET", path, summary, list_, several, READS, query=CatalogueQuery)
    yield Operation(f"get{name}", "GET", f"{path}/{{id}}", single, show, one, READS, query=Reading)


OPERATIONS = (
    *_operations(
        "/v1/activity-types", ActivityType, ActivityTypePage,
        ("The types of activities, the tree flat.", "One type of activities."),
    ),
    *_operations(
        "/v1/departments", Department, DepartmentPage,
        ("The departments, the tree flat.", "One department."),
    ),
    *_operations(
        "/v1/cost-types", CostType, CostTypePage, ("The kinds of costs.", "One kind of costs."),
    ),
    *_operations(
        "/v1/reward-types", RewardType, RewardTypePage,
        ("What activities may give, with its frame of rules.", "One type of rewards."),
    ),
)  # fmt: skip
