"""How every mutation goes: input to command, receipt or refusal, and the reader gets to see what he wrote."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import strawberry
from anyio import CapacityLimiter, to_thread
from graphql import FieldNode
from opentelemetry import trace

from api.context import Context, Info
from api.graphql_errors import refused
from api.planner import ids
from api.planner.idempotency import key_given
from api.planner.positions import Position
from api.refusals import UserError, forbidden, user_error
from application.access import MOVES_HOLDINGS, OPERATIONS, Forbidden, authorise
from application.shared.handler import Request, UseCase
from application.shared.records import Receipt
from application.shared.work import Work
from domain.shared.refusal import Refused

READ_OWN_WRITE_S = 5.0
tracer = trace.get_tracer("cardinal")
_COMMANDS_AT_ONCE = 32
_limiter: CapacityLimiter | None = None


@strawberry.type(description="What every mutation answers.")
class Payload:
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Everything that is wrong with the input; empty on success."
    )
    position: Position | None = strawberry.field(
        default=None, description="Where in the log the change stands: give it as minPosition or after."
    )
    subject: strawberry.Private[UUID | None] = None


P = TypeVar("P", bound=Payload)


async def execute(
    info: Info,
    answer: type[P],
    operation: str,
    given: Any,
    use_case: Callable[[Work], UUID],
    projections: Sequence[str],
    *,
    turn: UUID | None = None,
) -> P:
    """Handle one command and wait, bounded, until the projections that the answer reads show it.

    `turn` is the stream that many write to at once, if the command is about one.
    """
    context = info.context
    try:
        authorise(context.principal, operation)
    except Forbidden as lacking:
        raise forbidden(lacking.permission, context.language) from None
    key = _command_key(info)
    if key is None and OPERATIONS[operation] in MOVES_HOLDINGS:
        raise refused("KEY_REQUIRED", context.language)
    request = Request(
        principal=context.principal,
        operation=operation,
        input=_plain(given),
        key=key,
        expected_version=_seen(given),
        turn=turn,
    )
    try:
        receipt = await handled(context, request, use_case)
    except Refused as declined:
        return answer(user_errors=[user_error(fault, context.language) for fault in declined.faults])
    position = Position(*receipt.position)
    await context.progress.reached(receipt.position, projections, READ_OWN_WRITE_S)
    return answer(position=position, subject=receipt.subject)


async def handled(context: Context, request: Request, use_case: UseCase) -> Receipt:
    """Let a thread handle the command, and trace it. Raise what the handler raises."""
    attributes = {"cardinal.user": request.principal.user}
    with tracer.start_as_current_span(request.operation, attributes=attributes):
        return await to_thread.run_sync(context.handler, request, use_case, limiter=_threads())


NOWHERE = UUID(int=0)
"""The key of nothing: the domain will say that it does not exist, along with all other faults."""


def key_of(prefix: str, id_: str | None) -> UUID:
    """The key behind a global id; `NOWHERE` for an id of another kind and for what is none."""
    try:
        found, key = ids.decode(id_ or "")
    except ValueError:
        return NOWHERE
    return key if found == prefix else NOWHERE


def given(value: Any) -> Any:
    """None for what the client left out."""
    return None if value is strawberry.UNSET else value


def _command_key(info: Info) -> str | None:
    """The key of the request's header or of the mutation's directive. Raise GraphQLError where they differ.

    One mutation may stand in a document several times, where it is one answer that is asked for.
    """
    context = info.context
    raw: Any = info._raw_info
    found = {key_given(node, raw.variable_values) for node in raw.field_nodes}
    if context.idempotency_key is not None:
        if not _is_alone(info):
            raise refused("KEY_FOR_ONE", context.language)
        found.add(context.idempotency_key)
    found.discard(None)
    if len(found) > 1:
        raise refused("KEYS_DIFFER", context.language)
    return next(iter(found), None)


def _seen(input: Any) -> int | None:
    """The version that the client saw. A member of an input that comes after its first keys has the default
    UNSET: what is left out changes no key's input.
    """
    version = getattr(input, "expected_version", None)
    return None if version is strawberry.UNSET else version


def _is_alone(info: Info) -> bool:
    """Whether the document holds this one mutation and nothing else, so that a key can only mean it."""
    selections = info._raw_info.operation.selection_set.selections
    return len(selections) == 1 and isinstance(selections[0], FieldNode)


def _plain(value: Any) -> Any:
    """An input as plain data, for the hash that tells one input from another; what was left out stays out."""
    if dataclasses.is_dataclass(value):
        members = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {name: _plain(member) for name, member in members.items() if member is not strawberry.UNSET}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value


def _threads() -> CapacityLimiter:
    global _limiter
    if _limiter is None:
        _limiter = CapacityLimiter(_COMMANDS_AT_ONCE)
    return _limiter
