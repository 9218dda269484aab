"""What the API asks of those who keep passwords, sessions and secrets, and how they say no."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from application.access import Principal


class LoginCode(StrEnum):
    """A closed list. LOGIN_REFUSED says nothing of what was wrong, nor whether there is such a user."""

    LOGIN_REFUSED = "LOGIN_REFUSED"
    LOCKED_OUT = "LOCKED_OUT"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    PASSWORD_CHANGE_REQUIRED = "PASSWORD_CHANGE_REQUIRED"
    PASSWORD_REFUSED = "PASSWORD_REFUSED"
    SESSION_OVER = "SESSION_OVER"
    CLIENT_REFUSED = "CLIENT_REFUSED"
    SCOPE_REFUSED = "SCOPE_REFUSED"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"


class PasswordFault(StrEnum):
    """Why a new password is not taken."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_WEAK = "too_weak"
    USED_BEFORE = "used_before"
    SAME_AS_NAME = "same_as_name"


class LoginRefused(Exception):
    """Nobody is let in; `retry_after_s` where waiting helps, `faults` of a new password."""

    def __init__(
        self, code: LoginCode, *, retry_after_s: int | None = None, faults: tuple[PasswordFault, ...] = ()
    ) -> None:
        super().__init__(code)
        self.code, self.retry_after_s, self.faults = code, retry_after_s, faults


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: kept beside each login."""

    address: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token for `expires_in_s` seconds, and where there is a session the token that renews it."""

    access: str
    expires_in_s: int
    refresh: str | None = None
    scope: str | None = None


class Login(Protocol):
    """The way in. Each of them raises LoginRefused, takes its time, and is written down with its origin."""

    def login(self, username: str, password: str, origin: Origin) -> Tokens: ...

    def refresh(self, token: str, origin: Origin) -> Tokens: ...

    def logout(self, principal: Principal, origin: Origin) -> None: ...

    def change_password(self, username: str, password: str, new: str, origin: Origin) -> None: ...

    def client_token(
        self, client_id: str, secret: str, scopes: frozenset[str] | None, origin: Origin
    ) -> Tokens: ...

    def published_keys(self) -> dict[str, object]: ...


class Accounts(Protocol):
    """What goes with commands on accounts. What it makes is told once; only hashes are kept."""

    def new_password(self, username: str) -> str:
        """A password that must be changed at the first login; the one before is good no more."""
        ...

    def forget_failures(self, username: str) -> None: ...

    def new_secret(self, secret: UUID) -> str: ...

    def end_sessions(self, username: str, reason: str) -> None: ...

    def end_session(self, session: UUID, reason: str) -> None: ...

    def changed(self) -> None:
        """Something of accounts was recorded: every process looks at once."""
        ...
