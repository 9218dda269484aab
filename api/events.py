"""Events in GraphQL: the log as integrators and auditors follow it, live and from any position."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any

import strawberry
from anyio import to_thread
from graphql import GraphQLError
from strawberry.scalars import JSON

from api.activities import Activity
from api.approvals import Approval
from api.context import Context, Info
from api.messages import Language, message
from api.planner import ids
from api.planner.positions import Position
from api.planner.views import payload
from api.public_disclosures import OF_CUSTOMERS, without, without_budget
from api.public_events import PublicEvent, public_event
from api.refusals import require
from application.access import Permission
from application.shared import records
from projections.shared.ids import PREFIXES

BATCH = 200
PAGE_MAX = 500
SCANNED_MAX = 5_000
TYPES_MAX = 50
PROJECTED_WAIT_S = 2.0
SHOWN_IN = {"activity": "activities", "approval": "approvals"}
"""The projection of what an event shows of its subject."""


@strawberry.type(description="One fact of the log, in the form that integrators may rely on.")
class Event:
    position: Position = strawberry.field(description="Give it as `after` to go on behind this event.")
    id: strawberry.ID = strawberry.field(description="The same event always has the same id.")
    type: str = strawberry.field(description="Kind of subject and what happened to it: activity.approved.")
    schema_version: int = strawberry.field(description="The version of `data` for this type.")
    subject_id: strawberry.ID
    subject_kind: str
    version: int = strawberry.field(description="The subject's version after this event.")
    org_unit: str | None = strawberry.field(description="The unit whose business it is; null if bank-wide.")
    recorded_at: datetime
    effective_at: datetime
    actor: str
    on_behalf_of: str | None
    correlation_id: strawberry.ID
    causation_id: strawberry.ID | None
    reason: str | None
    data: JSON
    activity: Activity | None = payload("activity_key", description="The activity as it stands now.")
    approval: Approval | None = payload("approval_key", description="The approval as it stands now.")
    key: strawberry.Private[Any] = None

    @property
    def activity_key(self) -> Any:
        return self.key if self.subject_kind == "activity" else None

    @property
    def approval_key(self) -> Any:
        return self.key if self.subject_kind == "approval" else None


@strawberry.type(description="A stretch of the log.")
class EventPage:
    events: list[Event]
    position: Position = strawberry.field(description="Everything up to here was looked at: go on after it.")
    has_more: bool = strawberry.field(description="Whether more was recorded after `position` already.")


@strawberry.input(description="Which events: all that are given must hold.")
class EventSelection:
    types: list[str] | None = strawberry.field(default=None, description="At most 50 types.")
    subject: strawberry.ID | None = strawberry.field(default=None, description="Events of one subject.")


@strawberry.type
class EventQueries:
    @strawberry.field(description="Events after a position, oldest first, as far as the viewer sees them.")
    async def events(
        self,
        info: Info,
        after: Position | None = None,
        first: int = 100,
        select: EventSelection | None = None,
    ) -> EventPage:
        context = info.context
        _require_permitted(context, select)
        if not 0 < first <= PAGE_MAX:
            raise _refused(context, "BAD_PAGE_SIZE", "out_of_range", least="1", most=str(PAGE_MAX))
        found: list[Event] = []
        at, scanned, batch = _start(after), 0, BATCH
        if await to_thread.run_sync(context.log.is_abandoned, at):
            raise abandoned(context.language)
        while batch == BATCH and len(found) < first and scanned < SCANNED_MAX:
            records_ = await to_thread.run_sync(context.log.follow, at, BATCH)
            batch = len(records_)
            for record in records_:
                scanned, at = scanned + 1, record.position
                found += _visible(context, record, select)
                if len(found) == first:
                    break
        has_more = bool(await to_thread.run_sync(context.log.follow, at, 1))
        return EventPage(events=found, position=Position(*at), has_more=has_more)


@strawberry.type(description="What is pushed as it is recorded.")
class EventSubscription:
    @strawberry.subscription(
        description="Events as they are recorded, gap-free and in order, at least once. With `after`, first"
        " all that came since that position; without, from now on."
    )
    async def events(
        self,
        info: Info,
        after: Position | None = None,  # noqa: ARG002
        select: EventSelection | None = None,
    ) -> AsyncGenerator[Event, None]:
        context = info.context
        _require_permitted(context, select)
        assert context.stream is not None, "a subscription has a stream, which begins at `after`"

        def tell(record: records.Record[Any]) -> Event | None:
            return next(iter(_visible(context, record, select)), None)

        def needed(event: Event) -> tuple[str, ...]:
            return (SHOWN_IN[event.subject_kind],) if event.subject_kind in SHOWN_IN else ()

        async for event in context.stream.told(tell, needed, PROJECTED_WAIT_S):
            yield event


def abandoned(language: Language) -> GraphQLError:
    """A restore has lost what stood at the position that was given."""
    text = message("position_abandoned", {}, language)
    return GraphQLError(text, extensions={"code": "POSITION_ABANDONED"})


def _start(after: Position | None) -> records.Position:
    return records.Position(*after) if after else records.BEGINNING


def _require_permitted(context: Context, select: EventSelection | None) -> None:
    require(Permission.EVENTS_READ, context)
    if select and select.types is not None and len(select.types) > TYPES_MAX:
        raise _refused(context, "LIMIT_EXCEEDED", "too_many", most=str(TYPES_MAX))


def _refused(context: Context, code: str, sentence: str, **values: str) -> GraphQLError:
    return GraphQLError(message(sentence, values, context.language), extensions={"code": code})


def _visible(context: Context, record: records.Record[Any], select: EventSelection | None) -> Sequence[Event]:
    """The event, if the viewer sees its unit and asked for it."""
    if not context.sees(record):
        return ()
    shown = public_event(record)
    if shown is None or (select and not _selected(shown, record, select)):
        return ()
    return (_event(record, shown, context.principal.permissions),)


def _selected(shown: PublicEvent, record: records.Record[Any], select: EventSelection) -> bool:
    if select.types is not None and shown.type not in select.types:
        return False
    subject = ids.encode(PREFIXES[record.stream_type], record.stream_id)
    return select.subject is None or select.subject in (subject, shown.data.get("subjectId"))


def _event(record: records.Record[Any], shown: PublicEvent, permissions: frozenset[Permission]) -> Event:
    context, data = record.context, shown.data
    if Permission.BUDGET_READ not in permissions:
        data = without_budget(record.stream_type, data)
    if Permission.CUSTOMERS_READ not in permissions:
        data = without(OF_CUSTOMERS.get(record.stream_type, ()), data)
    return Event(
        position=Position(*record.position),
        id=strawberry.ID(ids.encode("ev", record.event_id)),
        type=shown.type,
        schema_version=shown.schema_version,
        subject_id=strawberry.ID(ids.encode(PREFIXES[record.stream_type], record.stream_id)),
        subject_kind=record.stream_type,
        version=record.version,
        org_unit=None if context.org_unit == records.BANK_WIDE else context.org_unit,
        recorded_at=record.recorded_at,
        effective_at=context.effective_at,
        actor=context.actor,
        on_behalf_of=context.on_behalf_of,
        correlation_id=strawberry.ID(str(context.correlation_id)),
        causation_id=None if context.causation_id is None else strawberry.ID(str(context.causation_id)),
        reason=context.reason,
        data=data,  # type: ignore[arg-type]
        key=record.stream_id,
    )
