"""What is personal in events: enciphered in the log, read as it was, gone with its key; proofs hold."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from application.shared.identifiers import uuid7
from application.shared.key_keepers import KeysUnavailable
from application.shared.records import GENESIS, Append, CommandKey, Context, Write
from domain import users as u
from infrastructure import event_codec, personal_parts
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.log_verification import verify
from infrastructure.person_keys import PersonKeys
from infrastructure.seal_folder import SealFolder

PROFILE = u.Profile("林小雨 Lin", "SH", ("operator",))
LIN = u.user_id("lin")


def record(log: EventLog, *events: object, stream: UUID = LIN) -> None:
    loaded = log.load(u.DECIDER, stream)
    command_id = uuid7()
    context = Context("admin", None, "HO", command_id, command_id, None, datetime.now(UTC))
    write = Write(stream, "user", loaded.version, loaded.hash if loaded.version else GENESIS, events, None)
    key = CommandKey("admin", "test", str(uuid4()), b"\0" * 32)
    log.append(Append(key, context, stream, loaded.version + len(events), [write], [], [], []))


def name_of(url: str, stream: UUID = LIN) -> str:
    with pool(url, 1) as connections:
        return EventLog(connections).load(u.DECIDER, stream).state.profile.name


def dump(url: str) -> str:
    with psycopg.connect(url) as connection:
        rows = connection.execute("select data::text, encode(personal, 'escape'), reason from log.events")
        return repr(rows.fetchall())


def test_a_users_name_is_in_no_stored_event_and_read_as_it_was(log: EventLog, cardinal_url: str) -> None:
    """SEC-02: in no event in clear"""
    record(log, u.UserCreated("lin", PROFILE, "admin"))
    record(log, u.UserRevised(2, u.Profile("林大雨", "SH", ("auditor",)), "admin"))
    assert name_of(cardinal_url) == "林大雨"
    assert [each.event.profile.name for each in log.records(LIN)] == ["林小雨 Lin", "林大雨"]
    stored = dump(cardinal_url)
    assert "林" not in stored
    assert "Lin" not in stored
    assert "auditor" in stored


def test_after_an_erasure_the_name_is_empty_and_every_hash_still_verifies(
    log: EventLog, cardinal_url: str, persons: PersonKeys, tmp_path: Path
) -> None:
    """SEC-02: hashes are over ciphertext"""
    erased, other = u.user_id("erased"), u.user_id("other")
    for stream in (erased, other):
        record(log, u.UserCreated("x", PROFILE, "admin"), stream=stream)
    before = dump(cardinal_url)
    persons.erase(persons.key_id("user", str(erased)), ())
    assert name_of(cardinal_url, erased) == ""
    assert name_of(cardinal_url, other) == PROFILE.name
    assert dump(cardinal_url) == before
    assert verify(cardinal_url, lambda _: None, SealFolder(tmp_path)).faults == []


def test_an_event_from_before_without_a_personal_part_is_read_as_it_is(
    log: EventLog, cardinal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as old:
        old.setattr(personal_parts, "PERSONAL", {})
        record(log, u.UserCreated("lin", PROFILE, "admin"))
    assert "Lin" in dump(cardinal_url)
    record(log, u.UserLocked("left", "admin"))
    assert name_of(cardinal_url) == PROFILE.name


def test_without_keys_nothing_personal_is_stored_or_guessed(
    log: EventLog, cardinal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(log, u.UserCreated("lin", PROFILE, "admin"))
    monkeypatch.setattr(personal_parts, "_keys", None)
    with pytest.raises(KeysUnavailable):
        record(log, u.UserCreated("hu", PROFILE, "admin"), stream=u.user_id("hu"))
    with pytest.raises(KeysUnavailable):
        name_of(cardinal_url)
    with psycopg.connect(cardinal_url) as connection:
        assert connection.execute("select count(*) from log.events").fetchone() == (1,)


def test_every_declared_field_is_text_of_its_event() -> None:
    """Else it would be left in the data."""
    for event, declared in personal_parts.PERSONAL.items():
        assert event in event_codec.BY_CLASS
        for path in declared.fields:
            head, _, _ = path.partition(".")
            assert head in event.__dataclass_fields__  # type: ignore[attr-defined]
