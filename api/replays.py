"""Replay in GraphQL: what happened to one thing, step by step, with its state after each.

Also who may see what of it: differences and the files of replays keep to the same.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from anyio import to_thread
from graphql import GraphQLError, GraphQLObjectType, GraphQLSchema
from strawberry.scalars import JSON

from api.context import Context, Info
from api.history import FieldChange
from api.messages import message
from api.planner import ids
from api.planner.declared import origin, read_fields, view_of
from api.planner.positions import Position
from api.planner.views import Column, Composed
from api.refusals import require
from application.access import Permission, Principal, to_read, visible
from application.shared import records
from projections.replays import REPLAYED, Chosen, HistoryTooLong, Replay, line, replay
from projections.shared.ids import PREFIXES
from projections.timeline import camel

STEPS_MAX = 100
TYPES_MAX = 50

BUDGET = frozenset(
    {
        "budgetMinor", "costTotalMinor", "costLines", "currency", "unitCost", "faults",
        *(f"{amount}Minor" for amount in ("total", "free", "reserved", "consumed", "amount", "refunded")),
        "thresholdPercent",
    }
)  # fmt: skip
"""Fields that are left out for who may not see budgets."""


@strawberry.input(description="Which steps to show; what is left out chooses all. The period is half-open.")
class ReplayChoice:
    types: list[str] | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@strawberry.type(description="One event of a replay: what it changed, and how the thing stood after it.")
class ReplayStep:
    position: Position = strawberry.field(description="Where in the log it stands: give it to asOf.")
    version: int = strawberry.field(description="The thing's, after the event.")
    event_id: strawberry.ID
    event_type: str
    subject_id: strawberry.ID = strawberry.field(
        description="What it happened to: the thing, or another that concerns it, such as its approval."
    )
    recorded_at: datetime
    effective_at: datetime
    actor: str
    on_behalf_of: str | None
    reason: str | None
    command_id: strawberry.ID
    changes: list[FieldChange]
    state: JSON | None = strawberry.field(description="Null when it is gone.")


@strawberry.type(name="Replay", description="A stretch of one thing's history, folded anew from the log.")
class ReplayPage:
    steps: list[ReplayStep]
    total_count: int = strawberry.field(description="How many steps the filter chooses.")
    has_next_page: bool
    end_cursor: Position | None = strawberry.field(description="Give it as `after` to go on.")


@strawberry.type
class ReplayQueries:
    @strawberry.field(
        description="The history of one thing, step by step, for auditors: each event with who, when and why,"
        " what it changed, and the state after it. Null when it is unknown or not visible."
    )
    async def replay(
        self,
        info: Info,
        id: strawberry.ID,
        first: int = 20,
        after: Position | None = None,
        filter: ReplayChoice | None = None,
    ) -> ReplayPage | None:
        context = info.context
        require(Permission.AUDIT_REPLAY, context)
        if not 1 <= first <= STEPS_MAX or len((filter and filter.types) or ()) > TYPES_MAX:
            text = message("out_of_range", {"least": "1", "most": str(STEPS_MAX)}, context.language)
            raise GraphQLError(text, extensions={"code": "OUT_OF_RANGE"})
        kind, key = kind_and_key(id)
        require(to_read(kind), context)
        found = None if key is None else await replay_in_sight(context, kind, key)
        if found is None:
            return None
        chosen = _chosen(filter)
        steps = [step for step in found.steps if chosen.includes(step.record)]
        rest = steps if after is None else [s for s in steps if s.record.position > records.Position(*after)]
        shown = shows(info, kind)
        lines = [line(found, step, shown) for step in rest[:first]]
        return ReplayPage(
            steps=[_step(each, step.record) for each, step in zip(lines, rest, strict=False)],
            total_count=len(steps),
            has_next_page=len(rest) > first,
            end_cursor=Position(*rest[:first][-1].record.position) if rest else None,
        )


def _chosen(given: ReplayChoice | None) -> Chosen:
    if given is None:
        return Chosen()
    return Chosen(frozenset(given.types or ()), given.actor, given.since, given.until)


def _step(told: dict[str, Any], record: records.Record[Any]) -> ReplayStep:
    return ReplayStep(
        position=Position(*record.position),
        version=told["version"],
        event_id=told["eventId"],
        event_type=record.event_type,
        subject_id=told["subjectId"],
        recorded_at=record.recorded_at,
        effective_at=record.context.effective_at,
        actor=record.context.actor,
        on_behalf_of=record.context.on_behalf_of,
        reason=record.context.reason,
        command_id=told["commandId"],
        changes=[FieldChange(**each) for each in told["changes"]],
        state=told["state"],
    )


# --- Who sees what --------------------------------------------------------


def kind_and_key(id_: str) -> tuple[str, UUID | None]:
    """The kind of stream that the id's prefix stands for, and the key; no key for what is not replayed."""
    kind = next((kind for kind, prefix in PREFIXES.items() if id_.startswith(f"{prefix}_")), "")
    try:
        return kind, ids.decode(id_)[1] if kind in REPLAYED else None
    except ValueError:
        return kind, None


async def replay_in_sight(context: Context, kind: str, key: UUID) -> Replay | None:
    """The replay of what the viewer sees; None for another. Raise GraphQLError for a history too long."""
    try:
        found = await to_thread.run_sync(replay, context.log, kind, key)
    except HistoryTooLong:
        text = message("history_too_long", {}, context.language)
        raise GraphQLError(text, extensions={"code": "LIMIT_EXCEEDED"}) from None
    return found if found.steps and is_in_sight(found, kind, context.principal) else None


def is_in_sight(found: Replay, kind: str, principal: Principal) -> bool:
    unit = found.org_unit
    return unit is None or unit in visible(kind, principal)


def shows(info: Info, kind: str) -> Callable[[str], bool]:
    """Whether a field of a thing of this kind may be told to the viewer."""
    return shows_to(info.context.principal, info.schema._schema, kind)


def shows_to(principal: Principal, schema: GraphQLSchema, kind: str) -> Callable[[str], bool]:
    held = {permission.value for permission in principal.permissions}
    hidden = {field for field, permission in _masked(schema, kind) if permission not in held}
    if Permission.BUDGET_READ not in principal.permissions:
        hidden |= BUDGET
    return lambda field: field not in hidden


def _masked(schema: GraphQLSchema, kind: str) -> set[tuple[str, str]]:
    """The columns of the kind's view that ask for a permission, as changes speak of them."""
    found = set()
    for type_ in schema.type_map.values():
        if not (
            isinstance(type_, GraphQLObjectType) and type_.extensions and hasattr(origin(type_), "__view__")
        ):
            continue
        if view_of(type_).prefix == PREFIXES.get(kind):
            for declared in read_fields(type_).values():
                read = declared.read
                if isinstance(read, Column | Composed) and read.permission is not None:
                    columns = read.columns.values() if isinstance(read, Composed) else (declared.column,)
                    found |= {(camel(column), read.permission) for column in columns}
    return found
