"""The desk at which people and programs come in: passwords, sessions that renew themselves, secrets.

Implements `application.accounts`: `Login` and `Accounts`.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from application.access import HEAD_OFFICE, Principal
from application.accounts import LoginCode, LoginRefused, Origin, Tokens
from application.shared.handler import system_clock
from application.shared.records import Log
from domain.service_accounts import DECIDER as SERVICE_ACCOUNT
from domain.service_accounts import service_account_id
from domain.users import DECIDER as USER
from domain.users import Status as UserStatus
from domain.users import User, user_id
from infrastructure import passwords
from infrastructure.access_state import AccessState
from infrastructure.access_store import AccessStore, Session, digest
from infrastructure.own_tokens import ACCESS_LIFE_S, CLIENT_PREFIX, OwnTokens
from infrastructure.signing_keys import SigningKeys

SESSION_LIFE = timedelta(hours=12)
SESSION_IDLE = timedelta(minutes=30)
REFRESH_GRACE = timedelta(seconds=10)
"""For who asks again because the answer was lost, or asks twice at once from two tabs."""
USERNAME_CHARACTERS_MAX = 255
TOKEN_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class LoginDesk:
    """Safe to share between threads. Every attempt is written down before it is answered."""

    log: Log
    store: AccessStore
    state: AccessState
    tokens: OwnTokens
    keys: SigningKeys
    clock: Callable[[], datetime] = system_clock

    # --- People ---

    def login(self, username: str, password: str, origin: Origin) -> Tokens:
        user, must_change = self._proven(username, password, origin, "login")
        if must_change:
            self._write_down("change_required", username, user, origin)
            raise LoginRefused(LoginCode.PASSWORD_CHANGE_REQUIRED)
        now, refresh = self.clock(), secrets.token_urlsafe(32)
        session = Session(uuid4(), username, now, now, now + SESSION_LIFE, None)
        self.store.begin_session(session, user.org_unit, refresh, origin)
        self._write_down("login", username, user, origin, session.id)
        return self._tokens(session, refresh)

    def refresh(self, token: str, origin: Origin) -> Tokens:
        """New tokens for one that is used up by this; one that comes again ends its session, unless within
        the grace, from the same address, and before its successor was used: then the answer is the same.
        """
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise LoginRefused(LoginCode.SESSION_OVER)
        now, salt, address = self.clock(), secrets.token_bytes(32), origin.address
        found = self.store.renew(token, salt, address, now)
        found = found or self.store.renewed_again(token, address, now - REFRESH_GRACE)
        if found is None:
            if (family := self.store.family(token)) is not None:
                id_, username = family
                self.end_session(id_, "reuse")
                self._write_down("refresh_reused", username, self._user(username), origin, id_)
            raise LoginRefused(LoginCode.SESSION_OVER)
        session, fresh = found
        user = self._user(session.username)
        is_over = session.ended_at is not None or now >= session.expires_at
        is_over |= now - session.renewed_at > SESSION_IDLE
        if is_over or user.status is not UserStatus.ACTIVE or self._is_revoked(session):
            self.end_session(session.id, "expired")
            self._write_down("refresh_refused", session.username, user, origin, session.id)
            raise LoginRefused(LoginCode.SESSION_OVER)
        return self._tokens(session, fresh)

    def logout(self, principal: Principal, origin: Origin) -> None:
        credential = principal.credential
        if credential is None or credential.session is None:
            return
        self.end_session(UUID(credential.session), "logout")
        user = self._user(principal.user)
        self._write_down("logout", principal.user, user, origin, UUID(credential.session))

    def change_password(self, username: str, password: str, new: str, origin: Origin) -> None:
        """Also where the change is required; all sessions end."""
        user, _ = self._proven(username, password, origin, "password_change")
        stored = self.store.password(username)
        assert stored is not None, "the password was proven just now"
        earlier = (stored.hash, *stored.earlier)
        faults = passwords.faults(new, (username, user.profile.name), earlier)
        if faults:
            raise LoginRefused(LoginCode.PASSWORD_REFUSED, faults=faults)
        self.store.set_password(username, passwords.hashed(new), False, self.clock())
        self.end_sessions(username, "password changed")
        self._write_down("password_changed", username, user, origin)

    # --- Programs ---

    def client_token(
        self, client_id: str, secret: str, scopes: frozenset[str] | None, origin: Origin
    ) -> Tokens:
        """OAuth 2.0 client credentials (RFC 6749, section 4.4): all of its scopes, or those it asks for."""
        if not (client_id.isascii() and client_id.isprintable()):
            raise LoginRefused(LoginCode.CLIENT_REFUSED)
        account = self.log.load(SERVICE_ACCOUNT, service_account_id(client_id)).state
        given = digest(secret)
        known = self.store.secrets(account.secrets)
        is_known = any(secrets.compare_digest(given, hash_) for hash_ in known)
        if not is_known or not account.is_good(self.clock()):
            self.store.write_down("client_refused", client_id, account.org_unit or HEAD_OFFICE, origin)
            raise LoginRefused(LoginCode.CLIENT_REFUSED)
        allowed = frozenset(account.terms.scopes)
        chosen = allowed if scopes is None else scopes
        if not chosen <= allowed:
            raise LoginRefused(LoginCode.SCOPE_REFUSED)
        self.store.write_down("client_token", client_id, account.org_unit, origin)
        token = self.tokens.issue(f"{CLIENT_PREFIX}{client_id}", scopes=chosen)
        return Tokens(token, ACCESS_LIFE_S, scope=" ".join(sorted(chosen)))

    def published_keys(self) -> dict[str, object]:
        self.keys.newest()
        return self.keys.published()

    # --- What goes with commands on accounts ---

    def new_password(self, username: str) -> str:
        made = passwords.random_password()
        now = self.clock()
        self.store.set_password(username, passwords.hashed(made), True, now)
        self.forget_failures(username)
        self.end_sessions(username, "password reset")
        return made

    def set_password(self, username: str, password: str) -> None:
        """A password that a person chose himself: the first administrator's. Raise LoginRefused."""
        faults = passwords.faults(password, (username,), ())
        if faults:
            raise LoginRefused(LoginCode.PASSWORD_REFUSED, faults=faults)
        self.store.set_password(username, passwords.hashed(password), False, self.clock())

    def forget_failures(self, username: str) -> None:
        self.store.forget_failures(username, self.clock())

    def new_secret(self, secret: UUID) -> str:
        made = secrets.token_urlsafe(32)
        self.store.keep_secret(secret, made, self.clock())
        return made

    def end_sessions(self, username: str, reason: str) -> None:
        self.store.end_sessions(self.clock(), reason, username=username)
        self.changed()

    def end_session(self, session: UUID, reason: str) -> None:
        self.store.end_sessions(self.clock(), reason, session=session)
        self.changed()

    def changed(self) -> None:
        self.state.tell()

    # --- Parts ---

    def _proven(self, username: str, password: str, origin: Origin, kind: str) -> tuple[User, bool]:
        """The user whose password it is, and whether he must change it. Unknown users take the same way."""
        is_name = (
            username.isascii() and username.isprintable() and 0 < len(username) <= USERNAME_CHARACTERS_MAX
        )
        if not is_name or len(password) > passwords.CHARACTERS_MAX:
            raise LoginRefused(LoginCode.LOGIN_REFUSED)
        now = self.clock()
        user = self._user(username)
        if (until := self.store.begin_attempt(username, now)) is not None:
            self._write_down(f"{kind}_locked_out", username, user, origin)
            wait_s = max(1, int((until - now).total_seconds()) + 1)
            raise LoginRefused(LoginCode.LOCKED_OUT, retry_after_s=wait_s)
        stored = self.store.password(username)
        is_right = passwords.matches(password, None if stored is None else stored.hash)
        if not is_right or stored is None or user.status is UserStatus.UNKNOWN:
            self._write_down(f"{kind}_failed", username, user, origin)
            raise LoginRefused(LoginCode.LOGIN_REFUSED)
        if user.status is not UserStatus.ACTIVE:
            self._write_down(f"{kind}_closed", username, user, origin)
            raise LoginRefused(LoginCode.ACCOUNT_CLOSED)
        self.forget_failures(username)
        if passwords.is_outdated(stored.hash):
            self.store.set_password(username, passwords.hashed(password), stored.must_change, now)
        return user, stored.must_change

    def _user(self, username: str) -> User:
        return self.log.load(USER, user_id(username)).state

    def _is_revoked(self, session: Session) -> bool:
        directory = self.state.directory
        if directory is None:
            return True
        until_s = directory.subjects.get(session.username, float("-inf"))
        return str(session.id) in directory.sessions or session.started_at.timestamp() <= until_s

    def _tokens(self, session: Session, refresh: str) -> Tokens:
        return Tokens(self.tokens.issue(session.username, str(session.id)), ACCESS_LIFE_S, refresh)

    def _write_down(
        self, kind: str, username: str, user: User, origin: Origin, session: UUID | None = None
    ) -> None:
        self.store.write_down(kind, username, user.org_unit or HEAD_OFFICE, origin, session)
