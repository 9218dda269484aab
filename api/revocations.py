"""Sessions, revocations and who came in, in GraphQL: what is good no more, and who was where when."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import strawberry
from anyio import to_thread

from api.commands import Payload, execute
from api.context import Info
from api.history import HistoryEntry
from api.pasts import EVENTS, recorded
from api.planner import ids
from api.planner.views import Connection, Node, column, computed, many, payload, view
from api.users import told
from application import revocations
from domain.revocations import Kind

PROJECTIONS = ("revocations", "timeline")

strawberry.enum(Kind, name="RevocationKind", description="What a revocation's value names.")


@strawberry.enum(description="What happened at the way in.")
class AccessKind(StrEnum):
    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGIN_LOCKED_OUT = "login_locked_out"
    LOGIN_CLOSED = "login_closed"
    CHANGE_REQUIRED = "change_required"
    REFRESH_REUSED = "refresh_reused"
    REFRESH_REFUSED = "refresh_refused"
    LOGOUT = "logout"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_CHANGE_FAILED = "password_change_failed"
    PASSWORD_CHANGE_LOCKED_OUT = "password_change_locked_out"
    PASSWORD_CHANGE_CLOSED = "password_change_closed"
    CLIENT_TOKEN = "client_token"
    CLIENT_REFUSED = "client_refused"


@view(
    "access.sessions",
    prefix="se",
    scope="org_unit",
    permission="accounts.read",
    order=("started_at desc",),
    description="A login, from its start until it ends or runs out.",
)
class Session(Node):
    username: str
    org_unit: str
    started_at: datetime
    renewed_at: datetime
    expires_at: datetime = column(description="When it runs out at the latest; 30 idle minutes end it too.")
    ended_at: datetime | None
    end_reason: str | None
    is_open: bool = computed("{row}.ended_at is null and now() < {row}.expires_at")
    address: str
    agent: str


@view(
    "access.entries",
    prefix="ae",
    scope="org_unit",
    permission="accounts.read",
    order=("occurred_at desc",),
    description="Somebody came in, or tried to. Nothing of it is ever changed.",
)
class AccessEntry(Node):
    occurred_at: datetime
    kind: AccessKind
    subject: str = column(description="The name that was given; there need be no such user.")
    org_unit: str
    address: str
    agent: str


@view(
    "read.revocations",
    versions=EVENTS,
    past=recorded("read.revocations", "id"),
    prefix="rv",
    scope="org_unit",
    permission="accounts.read",
    order=("revoked_at desc",),
    description="Tokens that are good no more before their time.",
)
class Revocation(Node):
    version: int
    org_unit: str
    kind: Kind
    value: str
    revoked_at: datetime
    reason: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.input(description="Whose tokens, or which.")
class RevokeTokensInput:
    kind: Kind
    value: str = strawberry.field(
        description="SUBJECT: a user's name, or client:CODE. SESSION: a session's id. TOKEN: its jti."
    )
    reason: str


@strawberry.type
class RevocationPayload(Payload):
    revocation: Revocation | None = payload("subject")


@strawberry.type
class RevocationMutations:
    @strawberry.mutation(
        description="Refuse tokens before their time, also those of the bank's own issuer: at the next call"
        " here, within seconds in every process. Connections that they opened are closed."
    )
    async def revoke_tokens(self, info: Info, input: RevokeTokensInput) -> RevocationPayload:
        kind, session = Kind(input.kind), None
        value = input.value
        if kind is Kind.SESSION and (session := _session(value)) is not None:
            value = str(session)
        answered = await execute(
            info,
            RevocationPayload,
            "revokeTokens",
            input,
            lambda work: revocations.revoke(work, kind, value, input.reason),
            PROJECTIONS,
        )
        accounts = info.context.accounts
        if accounts is not None and answered.position is not None:
            if session is not None:
                await to_thread.run_sync(accounts.end_session, session, "revoked")
            if kind is Kind.SUBJECT:
                await to_thread.run_sync(accounts.end_sessions, value, "revoked")
        await told(info, answered)
        return answered


def _session(value: str) -> UUID | None:
    """The session of a global id or of a token's `sid`."""
    try:
        prefix, key = ids.decode(value)
        return key if prefix == "se" else None
    except ValueError:
        pass
    try:
        return UUID(value)
    except ValueError:
        return None
