"""Tampering with the stored log is found, and the first bad position named."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from application.shared.records import Position
from infrastructure import log_verification
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.log_verification import verify
from tests.infrastructure.log_writing import append, context, next_write, write


@pytest.fixture
def filled(log: EventLog, cardinal_url: str) -> str:
    dice = random.Random(3)
    streams = [uuid4() for _ in range(12)]
    for stream in streams:
        log.append(append(write(stream, events=2)))
    for _ in range(40):
        log.append(append(*[next_write(log, stream) for stream in sorted(dice.sample(streams, 2))]))
    return cardinal_url


def test_a_log_as_it_was_written_has_no_fault(filled: str) -> None:
    report = verify(filled)
    assert (report.events, report.streams, report.faults) == (104, 12, [])


TAMPERS = {
    "data": 'update log.events set data = \'{"owner":"0"}\' where event_id = %s',
    "actor": "update log.events set actor = 'someone else' where event_id = %s",
    "time": "update log.events set recorded_at = recorded_at + interval '1 microsecond' where event_id = %s",
    "type": "update log.events set event_type = 'claim.taken', data = data where event_id = %s",
    "reason": "update log.events set reason = '' where event_id = %s",
    "personal": "update log.events set personal = '\\x00' where event_id = %s",
    "hash": "update log.events set hash = sha256('x') where event_id = %s",
    "link": "update log.events set previous_hash = sha256('x') where event_id = %s",
    "delete": "delete from log.events where event_id = %s",
    "number": "update log.events set version = version + 100000 where event_id = %s",
}


@pytest.mark.parametrize("tamper", TAMPERS)
def test_every_tampering_is_found_at_or_before_its_successor(filled: str, tamper: str) -> None:
    """The owner of the database changes one event; nothing before it is blamed."""
    dice = random.Random(tamper)
    with psycopg.connect(filled) as owner:
        events = owner.execute(
            "select event_id, stream_id, version from log.events where event_type = 'claim.released'"
            " order by epoch, position"
        ).fetchall()
        event_id, stream_id, version = dice.choice(events)
        owner.execute(TAMPERS[tamper], [event_id])
    faults = verify(filled).faults
    assert faults
    assert {fault.stream_id for fault in faults} == {stream_id}
    assert min(fault.version for fault in faults) in (version - 1, version, version + 1)


def test_a_stream_cut_at_its_end_is_found_by_its_head(filled: str) -> None:
    with psycopg.connect(filled) as owner:
        owner.execute(
            "delete from log.events where (stream_id, version) in"
            " (select stream_id, max(version) from log.events group by 1 order by 1 limit 1)"
        )
    [fault] = verify(filled).faults
    assert "the head says" in fault.problem


def test_a_stream_that_vanished_is_found_by_its_head(filled: str) -> None:
    with psycopg.connect(filled) as owner:
        owner.execute(
            "delete from log.events where stream_id = (select min(stream_id::text)::uuid from log.events)"
        )
    [fault] = verify(filled).faults
    assert fault.version == 0


def test_events_that_changed_places_are_found(filled: str) -> None:
    with psycopg.connect(filled) as owner:
        owner.execute(
            "with two as (select stream_id, version, position from log.events"
            " where stream_id = (select stream_id from log.heads limit 1) and version <= 2)"
            " update log.events e set position = t.position + 1e6::bigint * (3 - 2 * e.version) from two t"
            " where t.stream_id = e.stream_id and t.version = 3 - e.version"
        )
    assert any("below" in fault.problem for fault in verify(filled).faults)


def test_an_event_without_a_place_is_told(filled: str) -> None:
    """Whoever loads its stream would read it."""
    with psycopg.connect(filled) as owner:
        owner.execute("alter table log.events alter position drop not null")
        owner.execute(
            "update log.events set position = null where event_id ="
            " (select event_id from log.events order by position desc limit 1)"
        )
    assert "1 events have no place in the log" in {fault.problem for fault in verify(filled).faults}


def test_a_hash_of_another_length_is_told(filled: str) -> None:
    with psycopg.connect(filled) as owner:
        row = owner.execute(
            "update log.events set hash = hash || '\\x00' where event_id ="
            " (select event_id from log.events order by position offset 20 limit 1)"
            " returning epoch, position"
        ).fetchone()
        assert row is not None
    fault = verify(filled).faults[0]
    assert (fault.position, fault.problem) == (str(Position(*row)), "its content is not what was hashed")


def test_values_at_their_edges_are_hashed_as_they_were_written(filled: str) -> None:
    """PostgreSQL writes the canonical form of what Python has hashed."""
    moments = [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)]
    moments += [datetime(2041, 7, 8, 9, 10, 11, 123_457, UTC), datetime.max.replace(tzinfo=UTC)]
    with pool(filled, 2) as connections:
        for moment in moments:
            about = replace(
                context(), effective_at=moment, reason="", on_behalf_of="张三 ☂", causation_id=uuid4()
            )
            EventLog(connections).append_bulk([write(uuid4())], about)
    report = verify(filled)
    assert (report.events, report.faults) == (108, [])


def test_what_somebody_put_beside_postgresqls_own_functions_is_not_asked(filled: str) -> None:
    """The owner may say that names are looked up among his own first."""
    with psycopg.connect(filled) as owner:
        owner.execute(TAMPERS["time"].replace("event_id = %s", "version = 2"))
        owner.execute(
            "create function public.trunc(numeric) returns numeric language sql as"
            " 'select pg_catalog.trunc($1) - (select count(*) from log.events where version = 2"
            " and effective_at <> recorded_at and $1 = extract(epoch from recorded_at) * 1000000)'"
        )
        owner.execute(
            "do $$ begin execute 'alter database ' || current_database() ||"
            " ' set search_path = public, pg_catalog'; end $$"
        )
    assert verify(filled).faults


@pytest.mark.parametrize("tamper", [None, "data", "delete", "number", "link"])
def test_several_processes_find_what_one_finds(
    filled: str, monkeypatch: pytest.MonkeyPatch, tamper: str | None
) -> None:
    with psycopg.connect(filled) as owner:
        if tamper:
            owner.execute(TAMPERS[tamper].replace("event_id = %s", "version = 3"))
    alone, counts = verify(filled), list[int]()
    monkeypatch.setattr(log_verification, "LARGE_BYTES", 0)
    monkeypatch.setattr(log_verification, "SAMPLED_OF_100", 100)
    monkeypatch.setattr(log_verification, "STRETCH_EVENTS", 20)
    together = verify(filled, counts.append)
    assert together == alone
    assert counts[-1] == alone.events
