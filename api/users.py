"""Users in GraphQL: who may come in, in which roles, and whose rows he sees; kept by head office."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import strawberry
from anyio import to_thread

from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, column, many, payload, view
from application import users
from application.access import Role
from application.shared.work import Work
from domain.users import Profile

PROJECTIONS = ("users", "timeline")

strawberry.enum(Role, name="Role", description="What somebody may do, as a whole.")


@strawberry.enum(description="Only who is ACTIVE is let in.")
class UserStatus(StrEnum):
    ACTIVE = "active"
    LOCKED = "locked"
    DISABLED = "disabled"


@view(
    "read.users",
    versions="read.user_versions",
    prefix="us",
    scope="org_unit",
    permission="accounts.read",
    order=("org_unit", "username"),
    description="Somebody who may come in.",
)
class User(Node):
    version: int
    revision: int
    username: str
    name: str | None = column(description="What people call him; null once he was erased.")
    org_unit: str
    roles: list[str] = column(description="As tokens and settings write them: operator, auditor …")
    data_units: list[str] | None = column(
        description="The units whose customers' data he may query; null where it follows from his unit."
    )
    activity_units: list[str] | None = column(
        description="The units whose activities and work he may query; null where it follows from his unit."
    )
    status: UserStatus
    reason: str | None = column(description="Why he is locked or disabled.")
    password_reset_at: datetime | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    erased_at: datetime | None = column(description="Since when nobody can tell his name any more.")
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.input(description="What a user is from now on: what is left out is taken.")
class ProfileInput:
    name: str
    org_unit: str
    roles: list[Role]
    data_units: list[str] | None = strawberry.field(
        default=None, description="Left out: head office sees all units, a branch itself."
    )
    activity_units: list[str] | None = strawberry.field(
        default=None, description="Left out: head office sees all units, a branch itself."
    )


@strawberry.input(description="Somebody new.")
class CreateUserInput:
    username: str = strawberry.field(
        description="At most 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter; never given again."
    )
    profile: ProfileInput


@strawberry.input(description="The user who is meant, and what he is from now on.")
class ReviseUserInput:
    id: strawberry.ID
    profile: ProfileInput
    expected_version: int | None = None


@strawberry.input(description="The user who is meant.")
class UserInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.input(description="The user who is meant, and why.")
class UserReasonInput:
    id: strawberry.ID
    reason: str
    expected_version: int | None = None


@strawberry.type
class UserPayload(Payload):
    user: User | None = payload("subject")


@strawberry.type
class UserPasswordPayload(UserPayload):
    initial_password: str | None = strawberry.field(
        default=None,
        description="Told once, to be changed at the first login. Null for a command that was sent before.",
    )


def profile_of(given: ProfileInput) -> Profile:
    def listed(units: list[str] | None) -> tuple[str, ...] | None:
        return None if units is None else tuple(units)

    return Profile(
        given.name.strip(),
        given.org_unit,
        tuple(role.value for role in given.roles),
        listed(given.data_units),
        listed(given.activity_units),
    )


async def _on_user(info: Info, operation: str, input: Any, use_case: Callable[[Work], UUID]) -> UserPayload:
    answered = await execute(info, UserPayload, operation, input, use_case, PROJECTIONS)
    await told(info, answered)
    return answered


async def told(info: Info, answered: Payload) -> None:
    """What was recorded holds at the next call, in every process."""
    if (accounts := info.context.accounts) is not None and answered.position is not None:
        await to_thread.run_sync(accounts.changed)


async def _with_password(
    info: Info, operation: str, input: Any, use_case: Callable[[Work], UUID], username: Callable[[Work], str]
) -> UserPasswordPayload:
    """A command sent again under its key makes no second password: the use case does not run then."""
    names: list[str] = []

    def noted(work: Work) -> UUID:
        subject = use_case(work)
        names[:] = [username(work)]
        return subject

    answered = await execute(info, UserPasswordPayload, operation, input, noted, PROJECTIONS)
    accounts = info.context.accounts
    if answered.position is not None and names and accounts is not None:
        answered.initial_password = await to_thread.run_sync(accounts.new_password, names[0])
    return answered


@strawberry.type
class UserMutations:
    @strawberry.mutation(description="Let somebody in, with a password that he changes at the first login.")
    async def create_user(self, info: Info, input: CreateUserInput) -> UserPasswordPayload:
        profile = profile_of(input.profile)
        return await _with_password(
            info,
            "createUser",
            input,
            lambda work: users.create(work, input.username, profile),
            lambda _: input.username,
        )

    @strawberry.mutation(description="Another name, unit, roles or rights to see: from the next call on.")
    async def revise_user(self, info: Info, input: ReviseUserInput) -> UserPayload:
        key, profile = key_of("us", input.id), profile_of(input.profile)
        return await _on_user(info, "reviseUser", input, lambda work: users.revise(work, key, profile))

    @strawberry.mutation(description="Let him in no more; his tokens are refused at the next call.")
    async def disable_user(self, info: Info, input: UserReasonInput) -> UserPayload:
        key = key_of("us", input.id)
        return await _on_user(info, "disableUser", input, lambda work: users.disable(work, key, input.reason))

    @strawberry.mutation(description="Let him in again.")
    async def enable_user(self, info: Info, input: UserInput) -> UserPayload:
        key = key_of("us", input.id)
        return await _on_user(info, "enableUser", input, lambda work: users.enable(work, key))

    @strawberry.mutation(description="Let him in no more until he is unlocked.")
    async def lock_user(self, info: Info, input: UserReasonInput) -> UserPayload:
        key = key_of("us", input.id)
        return await _on_user(info, "lockUser", input, lambda work: users.lock(work, key, input.reason))

    @strawberry.mutation(description="Let him in again, and forget his failed attempts.")
    async def unlock_user(self, info: Info, input: UserInput) -> UserPayload:
        key, names = key_of("us", input.id), list[str]()

        def unlocked(work: Work) -> UUID:
            names[:] = [users.subject(work, key).username]
            return users.unlock(work, key)

        answered = await _on_user(info, "unlockUser", input, unlocked)
        if (accounts := info.context.accounts) is not None and names and answered.position is not None:
            await to_thread.run_sync(accounts.forget_failures, names[0])
        return answered

    @strawberry.mutation(
        description="A new password, to be changed at the next login; all sessions of the user end."
    )
    async def reset_password(self, info: Info, input: UserInput) -> UserPasswordPayload:
        key = key_of("us", input.id)
        return await _with_password(
            info,
            "resetPassword",
            input,
            lambda work: users.reset_password(work, key),
            lambda work: users.subject(work, key).username,
        )
