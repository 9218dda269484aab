"""Who is let in by which token: keys that rotate, forged tokens, revocation in every process."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import jwt
import pytest
from psycopg_pool import ConnectionPool

from application import delegations, revocations, users
from application.access import Credential, Permission, Principal, Role
from application.accounts import LoginCode, LoginRefused, Origin, Tokens
from application.authentication import TokenCode, TokenRefused
from application.shared.handler import Handler, Request, UseCase
from domain.delegations import Task
from domain.revocations import Kind
from domain.users import Profile, user_id
from infrastructure import access_state
from infrastructure.access_state import AccessState
from infrastructure.access_store import AccessStore
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.login_desk import LoginDesk
from infrastructure.own_tokens import OwnTokens
from infrastructure.signing_keys import OVERLAP_S, SigningKeys
from infrastructure.token_gate import TokenGate
from infrastructure.token_keys import KeysUnavailable
from tests.application.bank import at_once

UNITS = frozenset({"HO", "SH", "BJ"})
ADMIN = Principal("admin", frozenset({Role.ADMINISTRATOR}), "HO", UNITS)
PASSWORD = "meadow-lantern-quartz"
HERE = Origin("192.0.2.7", "tests")


class Way:
    """One process's way in, on a log that others may share."""

    def __init__(self, url: str, connections: ConnectionPool[Any], folder: Path) -> None:
        self.log = EventLog(connections)
        self.store = AccessStore(connections)
        self.state = AccessState(url, connections, self.log, period_s=0.5)
        self.state.refresh()
        self.keys = SigningKeys(folder)
        self.tokens = OwnTokens(self.keys, "cardinal")
        self.now = time.time()
        self.gate = TokenGate(self.tokens, self.foreign, self.state, UNITS, lambda: self.now)
        self.desk = LoginDesk(self.log, self.store, self.state, self.tokens, self.keys)

    def foreign(self, token: str | None) -> Principal:
        """The bank's issuer: its tokens are "name issued-at"."""
        if token is None or token.count(".") > 1:
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED)
        name, _, issued = token.partition(" ")
        credential = Credential(f"jti-{token}", float(issued or time.time()), subject=name)
        return Principal(name, frozenset({Role.OPERATOR}), "SH", frozenset({"SH"}), credential=credential)

    def send(self, operation: str, use_case: UseCase) -> None:
        Handler(self.log)(Request(ADMIN, operation, None), use_case)
        self.desk.changed()

    def user(self, profile: Profile) -> str:
        name = f"u{uuid4().hex[:10]}"
        self.send("createUser", lambda work: users.create(work, name, profile))
        self.desk.set_password(name, PASSWORD)
        return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def way(cardinal_url: str, folder: Path) -> Iterator[Way]:
    with pool(cardinal_url, 24) as connections:
        yield Way(cardinal_url, connections, folder)


LIN = Profile("Lin", "SH", ("operator",))


def refused(way: Way, token: str) -> TokenCode:
    with pytest.raises(TokenRefused) as caught:
        way.gate.verify(token)
    return caught.value.code


# --- Revocation ---------------------------------------------------------------


def test_a_revoked_subject_of_another_issuer_is_refused_until_he_signs_in_anew(way: Way) -> None:
    """SEC-03: revocation holds for tokens that we did not issue."""
    before = f"wu {time.time() - 5}"
    assert way.gate.verify(before).user == "wu"
    way.send("revokeTokens", lambda work: revocations.revoke(work, Kind.SUBJECT, "wu", "lost phone"))
    assert refused(way, before) is TokenCode.TOKEN_REVOKED
    assert way.gate.verify(f"wu {time.time() + 1}").user == "wu"
    assert way.gate.verify("zhu 1").user == "zhu"


def test_every_other_process_hears_of_a_revocation(way: Way, cardinal_url: str, folder: Path) -> None:
    """SEC-03: it is told at once, and looks by itself besides."""
    with pool(cardinal_url, 4) as connections:
        other = Way(cardinal_url, connections, folder)
        other.state.start()
        try:
            name = way.user(LIN)
            token = way.desk.login(name, PASSWORD, HERE).access
            deadline = time.monotonic() + 10
            while name not in other.state.directory.users:  # type: ignore[union-attr]
                assert time.monotonic() < deadline
                time.sleep(0.02)
            principal = other.gate.verify(token)
            assert principal.user == name
            assert other.gate.still(principal)
            way.send("disableUser", lambda work: users.disable(work, user_id(name), "has left"))
            while other.gate.still(principal):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert refused(other, token) is TokenCode.ACCOUNT_CLOSED
        finally:
            other.state.close()


def test_who_can_not_look_up_revocations_lets_nobody_in(cardinal_url: str, way: Way) -> None:
    """SEC-03: revocation within a minute, also when the database is away."""
    clock = [0.0]
    with pool(cardinal_url, 2) as connections:
        state = AccessState(cardinal_url, connections, way.log, monotonic=lambda: clock[0])
        state.refresh()
        gate = TokenGate(None, way.foreign, state, UNITS)
        assert gate.verify("wu 1").user == "wu"
        clock[0] = access_state.UNCONFIRMED_MAX_S + 1
        with pytest.raises(TokenRefused, match="UNAVAILABLE"):
            gate.verify("wu 1")
        assert access_state.UNCONFIRMED_MAX_S < 60


def test_an_open_connection_is_told_when_rights_change(way: Way) -> None:
    """SYS-03"""
    name = way.user(LIN)
    principal = way.gate.verify(way.desk.login(name, PASSWORD, HERE).access)
    assert way.gate.still(principal)
    way.send("reviseUser", lambda work: users.revise(work, user_id(name), replace(LIN, roles=("auditor",))))
    assert not way.gate.still(principal)


def test_an_open_connection_of_a_delegate_ends_with_the_delegation(way: Way) -> None:
    """SYS-09"""
    ends = datetime.now(UTC) + timedelta(days=30)
    way.send(
        "delegate",
        lambda work: delegations.delegate(work, "BJ", "wu", (Task.SEGMENTS,), ends, "help"),
    )
    way.now = time.time()
    acting = way.gate.acting(way.gate.verify(f"wu {time.time()}"), "BJ")
    assert acting.on_behalf_of == "BJ"
    assert acting.permissions == {
        Permission.SEGMENTS_DEFINE, Permission.SEGMENTS_RUN, Permission.SEGMENTS_EXPORT,
        Permission.RECORDS_READ,
    }  # fmt: skip
    assert (acting.org_unit, acting.units, acting.levels) == ("BJ", {"BJ"}, frozenset())
    assert acting.expires_at_s == ends.timestamp()
    assert way.gate.still(acting)
    way.now += timedelta(days=31).total_seconds()
    assert not way.gate.still(acting)


def test_the_rights_to_see_that_are_set_here_narrow_another_issuers_token(way: Way) -> None:
    """SYS-08"""
    way.send(
        "createUser",
        lambda work: users.create(work, "wu", replace(LIN, data_units=(), activity_units=("SH", "HO"))),
    )
    principal = way.gate.verify("wu 1")
    assert (principal.units, principal.data_units) == ({"SH", "HO"}, frozenset())
    assert [unit for unit in sorted(UNITS) if principal.changes(unit)] == ["SH"]


# --- Tokens of our own ----------------------------------------------------------


def forged(
    way: Way,
    header: Mapping[str, Any] = MappingProxyType({}),
    key: Any = None,
    algorithm: str = "EdDSA",
    **claims: Any,
) -> str:
    newest = way.keys.newest()
    now = time.time()
    body = {
        "iss": "cardinal",
        "aud": "cardinal",
        "sub": "lin",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "jti": "1",
    }
    body = {name: value for name, value in {**body, **claims}.items() if value is not None}
    sent = {"kid": newest.kid, "typ": "at+jwt", **header}
    return jwt.encode(body, newest.private if key is None else key, algorithm, headers=sent)


@pytest.mark.parametrize(
    ("header", "claims", "code"),
    [
        ({"typ": "JWT"}, {}, TokenCode.TOKEN_UNTRUSTED),
        ({"crit": ["exp"]}, {}, TokenCode.TOKEN_UNTRUSTED),
        ({}, {"iss": "other"}, TokenCode.TOKEN_UNTRUSTED),
        ({}, {"aud": "other"}, TokenCode.TOKEN_UNTRUSTED),
        ({}, {"exp": 1}, TokenCode.TOKEN_EXPIRED),
        ({}, {"exp": None}, TokenCode.TOKEN_UNTRUSTED),
        ({}, {"jti": None}, TokenCode.TOKEN_UNTRUSTED),
        ({"kid": "own-20200101T000000Z-00000000"}, {}, TokenCode.TOKEN_UNTRUSTED),
    ],
)
def test_a_token_that_is_not_as_we_make_them_is_refused(
    way: Way, header: dict[str, Any], claims: dict[str, Any], code: TokenCode
) -> None:
    """SEC-07: signed by our key, and still not believed."""
    assert refused(way, forged(way, header, **claims)) is code


def test_a_token_signed_by_anything_but_our_key_is_refused(way: Way, tmp_path: Path) -> None:
    """SEC-07: another key, the public key as a secret, no signature."""
    other = SigningKeys(tmp_path / "other").newest().private
    assert refused(way, forged(way, key=other)) is TokenCode.TOKEN_UNTRUSTED
    published = str(way.keys.published()["keys"])
    assert refused(way, forged(way, key=published * 2, algorithm="HS256")) is TokenCode.TOKEN_UNTRUSTED
    assert refused(way, forged(way, key="", algorithm="none")) is TokenCode.TOKEN_UNTRUSTED


def test_a_foreign_token_can_not_name_one_of_our_programs(way: Way) -> None:
    """SEC-07"""
    assert refused(way, "client:MOBILE") is TokenCode.TOKEN_UNTRUSTED


# --- Keys -----------------------------------------------------------------------


def test_a_key_verifies_until_its_tokens_are_over_and_is_then_deleted(folder: Path) -> None:
    """SEC-02"""
    now = [time.time()]
    keys = SigningKeys(folder, lambda: now[0])
    first = keys.newest().kid
    now[0] += 60
    second = keys.rotate()
    assert keys.newest().kid == second
    assert keys.find(first) is not None
    now[0] += OVERLAP_S + 60
    third = keys.rotate()
    assert [keys.find(kid) is not None for kid in (first, second, third)] == [False, True, True]
    assert sorted(path.stem for path in folder.iterdir()) == sorted([second, third])


def test_a_key_that_others_can_read_is_not_used(folder: Path) -> None:
    """SEC-06"""
    kid = SigningKeys(folder).rotate()
    path = folder / f"{kid}.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(KeysUnavailable, match="can be read by others"):
        SigningKeys(folder).newest()


# --- Passwords --------------------------------------------------------------------


def test_guesses_at_once_are_counted_each(way: Way) -> None:
    """SEC-06: twenty wrong passwords at the same moment are five tries, not twenty."""
    name = way.user(LIN)

    def guess() -> LoginCode:
        try:
            way.desk.login(name, "wrong-wrong-wrong", HERE)
        except LoginRefused as no:
            return no.code
        raise AssertionError("let in")

    answers = at_once([guess] * 20)
    assert answers.count(LoginCode.LOGIN_REFUSED) <= 6
    assert answers.count(LoginCode.LOCKED_OUT) >= 14


def test_a_lock_out_doubles_with_each_further_try(way: Way) -> None:
    """SEC-06"""
    clock = [datetime(2026, 3, 1, tzinfo=UTC)]
    desk = replace(way.desk, clock=lambda: clock[0])
    waits = []
    for _ in range(16):
        try:
            desk.login("nobody", "wrong-wrong-wrong", HERE)
        except LoginRefused as no:
            waits.append(no.retry_after_s)
            clock[0] += timedelta(seconds=no.retry_after_s or 0)
    found = [wait for wait in waits if wait is not None]
    assert found[:4] == [31, 61, 121, 241]
    assert len(found) == 5


def test_one_refresh_token_used_by_two_at_once_has_one_successor_at_one_address_alone(way: Way) -> None:
    """SEC-06: two tabs go on together; of two places one is a thief's, and the session ends."""

    def renew(tokens: Tokens, origin: Origin) -> str | None:
        try:
            return way.desk.refresh(str(tokens.refresh), origin).refresh
        except LoginRefused as no:
            return no.code

    tokens = way.desk.login(way.user(LIN), PASSWORD, HERE)
    tabs = at_once([partial(renew, tokens, HERE)] * 2)
    assert tabs[0] == tabs[1] != LoginCode.SESSION_OVER
    assert way.gate.verify(tokens.access).user
    places = at_once([partial(renew, Tokens("", 0, tabs[0]), each) for each in (HERE, Origin("10.9.9.9"))])
    assert places.count(LoginCode.SESSION_OVER) == 1
    assert refused(way, tokens.access) is TokenCode.TOKEN_REVOKED


def test_a_refresh_is_answered_again_for_ten_seconds(way: Way) -> None:
    """SEC-06"""
    for wait_s, is_good in ((0, True), (9.9, True), (10.1, False)):
        clock = [datetime.now(UTC)]
        desk = replace(way.desk, clock=lambda clock=clock: clock[0])
        tokens = desk.login(way.user(LIN), PASSWORD, HERE)
        first = desk.refresh(str(tokens.refresh), HERE)
        clock[0] += timedelta(seconds=wait_s)
        with nullcontext() if is_good else pytest.raises(LoginRefused, match="SESSION_OVER"):
            assert desk.refresh(str(tokens.refresh), HERE).refresh == first.refresh


def test_an_idle_session_and_an_old_one_are_over(way: Way) -> None:
    """SEC-06: session timeout."""
    clock = [datetime.now(UTC)]
    desk = replace(way.desk, clock=lambda: clock[0])
    name = way.user(LIN)
    tokens = desk.login(name, PASSWORD, HERE)
    for _ in range(24):
        clock[0] += timedelta(minutes=29)
        tokens = desk.refresh(str(tokens.refresh), HERE)
    clock[0] += timedelta(minutes=29)
    with pytest.raises(LoginRefused, match="SESSION_OVER"):
        desk.refresh(str(tokens.refresh), HERE)
    tokens = desk.login(name, PASSWORD, HERE)
    clock[0] += timedelta(minutes=31)
    with pytest.raises(LoginRefused, match="SESSION_OVER"):
        desk.refresh(str(tokens.refresh), HERE)


def test_hashes_of_passwords_and_secrets_are_in_no_event(way: Way) -> None:
    """SEC-02, SEC-08: argon2id in a table of its own."""
    name = way.user(LIN)
    made = way.desk.new_password(name)
    with way.store.pool.connection() as connection:
        (hash_,) = connection.execute(
            "select hash from access.passwords where username = %s", [name]
        ).fetchone()  # type: ignore[misc]
        assert hash_.startswith("$argon2id$")
        told = connection.execute("select string_agg(data::text, '') from log.events").fetchone()
    assert made not in str(told)
    assert "argon2" not in str(told)


def test_what_was_written_down_at_the_way_in_can_not_be_changed(way: Way) -> None:
    """SYS-04"""
    way.desk.login(way.user(LIN), PASSWORD, HERE)
    with way.store.pool.connection() as connection:
        for statement in (b"update access.entries set kind = 'x'", b"delete from access.entries"):
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(statement)
        found = connection.execute("select kind, address, agent from access.entries").fetchall()
    assert found == [("login", "192.0.2.7", "tests")]


def test_unknown_and_known_users_take_the_same_time(way: Way) -> None:
    """SEC-06: both compare one argon2id hash; counted, not measured."""
    counted: list[str | None] = []
    from infrastructure import passwords

    matches, lock = passwords.matches, threading.Lock()

    def counting(password: str, hash_: str | None) -> bool:
        with lock:
            counted.append(hash_)
        return matches(password, hash_)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(passwords, "matches", counting)
        for name in (way.user(LIN), "nobody"):
            with pytest.raises(LoginRefused, match="LOGIN_REFUSED"):
                way.desk.login(name, "wrong-wrong-wrong", HERE)
    assert [hash_ is None for hash_ in counted] == [False, True]
