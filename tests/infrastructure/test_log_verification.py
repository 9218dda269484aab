"""Tampering with the stored log is found, and the first bad position named."""

import random
from uuid import uuid4

import psycopg
import pytest

from infrastructure.event_log import EventLog
from infrastructure.log_verification import verify
from tests.infrastructure.log_writing import append, next_write, write


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
