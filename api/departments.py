"""Departments in GraphQL: the tree of who answers for activities, and its maintenance."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from api.catalogues import EntryInput, EntryStatus
from api.commands import Payload, execute, given, key_of
from api.context import Info
from api.history import HistoryEntry
from api.pasts import closure, tree
from api.planner.views import Connection, Node, computed, many, one, payload, ref, view
from application import catalogues
from application.shared.work import Work
from domain.catalogues import DepartmentRole, Details, Kind

PROJECTIONS = ("departments", "timeline")
DEPARTMENT = Kind.DEPARTMENT

strawberry.enum(DepartmentRole, name="DepartmentRole", description="What part a department takes.")


@view(
    "read.departments",
    versions="read.department_versions",
    past=tree("read.department_versions"),
    beside=closure("read.department_closure", "read.department_versions"),
    prefix="dp",
    scope=None,
    permission="records.read",
    order=("sort_order", "name"),
    description="A department of the bank. Each activity is owned by exactly one; others may take part.",
)
class Department(Node):
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: EntryStatus
    effective_status: EntryStatus
    path: str
    depth: int
    contact: str
    role: DepartmentRole
    parent_id: strawberry.ID | None = ref("parent_id", "dp")
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    parent: Annotated["Department", strawberry.lazy("api.departments")] | None = one("parent_id")
    children: Connection[Annotated["Department", strawberry.lazy("api.departments")]] = many("parent_id")
    subtree: Connection[Annotated["Department", strawberry.lazy("api.departments")]] = many(
        array="ancestor_ids", description="This department and everything below it."
    )
    activities: Connection[Annotated["Activity", strawberry.lazy("api.activities")]] = many(  # type: ignore[name-defined]  # noqa: F821
        "department_id",
        description="Activities that it owns itself; those of its subtree: activities(filter: {departmentId:"
        " {within: id}}).",
    )
    activity_count: int = computed(
        "(select count(*) from {rows[read.activities]} a join {rows[read.department_closure]} c"
        " on c.descendant_id = a.department_id where c.ancestor_id = {row}.id"
        " and a.org_unit = any({viewer.units}))",
        description="Activities owned here and below, as far as the viewer sees them.",
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.input(description="A new node of the tree of departments.")
class AddDepartmentInput:
    code: str
    name: str
    description: str = ""
    sort_order: int = 0
    parent_id: strawberry.ID | None = None
    contact: str = ""
    role: DepartmentRole = DepartmentRole.BUSINESS


@strawberry.input(description="What is left out stays as it is; parentId null moves to the root.")
class ReviseDepartmentInput:
    id: strawberry.ID
    expected_version: int | None = None
    name: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    sort_order: int | None = strawberry.UNSET
    parent_id: strawberry.ID | None = strawberry.UNSET
    contact: str | None = strawberry.UNSET
    role: DepartmentRole | None = strawberry.UNSET


@strawberry.type
class DepartmentPayload(Payload):
    department: Department | None = payload("subject")


async def _on_department(
    info: Info, verb: str, input: Any, use_case: Callable[[Work], UUID]
) -> DepartmentPayload:
    return await execute(info, DepartmentPayload, f"{verb}Department", input, use_case, PROJECTIONS)


@strawberry.type
class DepartmentMutations:
    @strawberry.mutation(description="Add a department under a parent, or as a root.")
    async def add_department(self, info: Info, input: AddDepartmentInput) -> DepartmentPayload:
        attributes = {"contact": input.contact, "role": input.role.value}
        details = Details(input.name.strip(), input.description, input.sort_order, attributes)
        parent = None if input.parent_id is None else key_of("dp", input.parent_id)
        return await _on_department(
            info, "add", input, lambda work: catalogues.add(work, DEPARTMENT, input.code, details, parent)
        )

    @strawberry.mutation(description="Edit a department or move it; activities keep pointing to it.")
    async def revise_department(self, info: Info, input: ReviseDepartmentInput) -> DepartmentPayload:
        name, role = given(input.name), given(input.role)
        named = {"contact": given(input.contact), "role": None if role is None else role.value}
        moves = input.parent_id is not strawberry.UNSET
        change = catalogues.Change(
            None if name is None else name.strip(),
            given(input.description),
            given(input.sort_order),
            {name: value for name, value in named.items() if value is not None},
            moves=moves,
            parent=key_of("dp", input.parent_id) if moves and input.parent_id is not None else None,
        )
        key = key_of("dp", input.id)
        return await _on_department(
            info, "revise", input, lambda work: catalogues.revise(work, DEPARTMENT, key, change)
        )

    @strawberry.mutation(description="Enable it; refused while an ancestor is disabled.")
    async def enable_department(self, info: Info, input: EntryInput) -> DepartmentPayload:
        key = key_of("dp", input.id)
        return await _on_department(
            info, "enable", input, lambda work: catalogues.enable(work, DEPARTMENT, key)
        )

    @strawberry.mutation(description="Disable it and all below: they own no new activities, and keep theirs.")
    async def disable_department(self, info: Info, input: EntryInput) -> DepartmentPayload:
        key = key_of("dp", input.id)
        return await _on_department(
            info, "disable", input, lambda work: catalogues.disable(work, DEPARTMENT, key)
        )

    @strawberry.mutation(description="Remove it; refused while it has children or activities.")
    async def remove_department(self, info: Info, input: EntryInput) -> DepartmentPayload:
        key = key_of("dp", input.id)
        return await _on_department(
            info, "remove", input, lambda work: catalogues.remove(work, DEPARTMENT, key)
        )
