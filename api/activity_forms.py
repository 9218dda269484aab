"""Activity forms in GraphQL: kinds of promotion as data, each with the fields that a plan fills in."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from api.catalogues import EntryInput, EntryStatus
from api.commands import Payload, execute, given, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, computed, many, payload, struct, view
from application import catalogues
from application.shared.work import Work
from domain.catalogues import Details, Kind
from domain.shared.field_rules import FieldRule
from domain.shared.field_rules import FieldType as DomainFieldType

PROJECTIONS = ("activity_forms", "timeline")
FORM = Kind.ACTIVITY_FORM

FieldType = strawberry.enum(DomainFieldType, name="FieldType", description="What a field's value is.")


@struct
class FormField:
    """One field of a form. Bounds are inclusive, in the canonical text of the type."""

    name: str
    label: str
    type: FieldType  # type: ignore[valid-type]
    is_required: bool
    least: str | None
    most: str | None
    choices: list[str]


@view(
    "read.activity_forms",
    versions="read.activity_form_versions",
    prefix="af",
    scope=None,
    permission="records.read",
    order=("sort_order", "name"),
    description="A kind of promotion, such as spend-and-get or sign-in, and the fields that a plan fills in.",
)
class ActivityForm(Node):
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: EntryStatus
    fields: list[FormField]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    activity_count: int = computed(
        "(select count(*) from {rows[read.activities]} a where a.form_id = {row}.id"
        " and a.org_unit = any({viewer.units}))",
        description="Activities of this form, as far as the viewer sees them.",
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.input(description="One field of a form. Bounds are inclusive, in the canonical text of the type.")
class FormFieldInput:
    name: str
    label: str
    type: FieldType  # type: ignore[valid-type]
    is_required: bool = False
    least: str | None = None
    most: str | None = None
    choices: list[str] = strawberry.field(default_factory=list)


@strawberry.input(description="A new form, with its fields.")
class AddActivityFormInput:
    code: str
    name: str
    description: str = ""
    sort_order: int = 0
    fields: list[FormFieldInput] = strawberry.field(default_factory=list)


@strawberry.input(description="What is left out stays as it is; fields are given as a whole.")
class ReviseActivityFormInput:
    id: strawberry.ID
    expected_version: int | None = None
    name: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    sort_order: int | None = strawberry.UNSET
    fields: list[FormFieldInput] | None = strawberry.UNSET


@strawberry.type
class ActivityFormPayload(Payload):
    activity_form: ActivityForm | None = payload("subject")


async def _on_form(
    info: Info, verb: str, input: Any, use_case: Callable[[Work], UUID]
) -> ActivityFormPayload:
    return await execute(info, ActivityFormPayload, f"{verb}ActivityForm", input, use_case, PROJECTIONS)


@strawberry.type
class ActivityFormMutations:
    @strawberry.mutation(description="Define a new form of promotion.")
    async def add_activity_form(self, info: Info, input: AddActivityFormInput) -> ActivityFormPayload:
        details = Details(
            input.name.strip(), input.description, input.sort_order, {}, field_rules(input.fields)
        )
        return await _on_form(
            info, "add", input, lambda work: catalogues.add(work, FORM, input.code, details, None)
        )

    @strawberry.mutation(description="Edit a form; activities keep the revision that they were planned with.")
    async def revise_activity_form(self, info: Info, input: ReviseActivityFormInput) -> ActivityFormPayload:
        fields, name = given(input.fields), given(input.name)
        change = catalogues.Change(
            None if name is None else name.strip(),
            given(input.description),
            given(input.sort_order),
            fields=None if fields is None else field_rules(fields),
        )
        key = key_of("af", input.id)
        return await _on_form(info, "revise", input, lambda work: catalogues.revise(work, FORM, key, change))

    @strawberry.mutation(description="Enable a form.")
    async def enable_activity_form(self, info: Info, input: EntryInput) -> ActivityFormPayload:
        key = key_of("af", input.id)
        return await _on_form(info, "enable", input, lambda work: catalogues.enable(work, FORM, key))

    @strawberry.mutation(description="Disable a form: no plan can choose it any more.")
    async def disable_activity_form(self, info: Info, input: EntryInput) -> ActivityFormPayload:
        key = key_of("af", input.id)
        return await _on_form(info, "disable", input, lambda work: catalogues.disable(work, FORM, key))

    @strawberry.mutation(description="Remove a form that no activity uses.")
    async def remove_activity_form(self, info: Info, input: EntryInput) -> ActivityFormPayload:
        key = key_of("af", input.id)
        return await _on_form(info, "remove", input, lambda work: catalogues.remove(work, FORM, key))


def field_rules(fields: list[FormFieldInput]) -> tuple[FieldRule, ...]:
    """The fields of a form as they were defined, not yet judged."""
    return tuple(
        FieldRule(
            each.name,
            each.label,
            each.type,
            each.is_required,
            each.least,
            each.most,
            tuple(each.choices),
        )
        for each in fields
    )
