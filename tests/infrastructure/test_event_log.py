"""The log's contract, kept for ever: atomic, chained, idempotent, and no reader ever misses an event."""

import random
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from application.shared.records import (
    BEGINNING,
    AlreadyAnswered,
    Conflict,
    Context,
    Guard,
    InUse,
    Links,
    Position,
    Record,
)
from domain.shared.claims import DECIDER, TextClaimed
from domain.shared.references import User
from infrastructure.database import connect
from infrastructure.event_codec import UnknownEvent
from infrastructure.event_log import EventLog
from infrastructure.log_recorder import append_request
from infrastructure.log_verification import verify
from infrastructure.migrate import migrate
from infrastructure.stored_records import chained
from tests.infrastructure.log_writing import OWNER, append, command, context, next_write, write

WRITERS = 16


def everything(log: EventLog, after: Position = BEGINNING) -> list[Record]:
    found: list[Record] = []
    while batch := log.follow(found[-1].position if found else after, 1_000):
        found += batch
    return found


def test_what_was_appended_is_read_back_with_its_envelope(log: EventLog) -> None:
    """ES-02: every event names actor, time, cause and command."""
    stream, about = (
        uuid4(),
        Context("lin", "boss", "SH", uuid4(), uuid4(), uuid4(), context().effective_at, "asked"),
    )
    made = append(write(stream, events=2))
    receipt = log.append(type(made)(made.command, about, stream, 2, made.writes))
    first, second = log.records(stream)
    assert first.context == second.context == about
    assert [first.version, second.version] == [1, 2]
    assert first.event_type == "claim.released"
    assert second.event == TextClaimed(OWNER)
    assert second.position == receipt.position > first.position
    assert second.recorded_at.utcoffset() is not None


def test_streams_of_one_append_are_written_together_or_not_at_all(log: EventLog) -> None:
    one, other = uuid4(), uuid4()
    log.append(append(write(other)))
    with pytest.raises(Conflict):
        log.append(append(write(one), write(other)))
    assert log.load(DECIDER, one).version == 0


def test_a_guard_that_moved_stops_the_append(log: EventLog) -> None:
    guarded, stream = uuid4(), uuid4()
    log.append(append(write(guarded)))
    log.append(append(write(stream), guards=(Guard(guarded, "claim", 1),)))
    log.append(append(next_write(log, guarded)))
    with pytest.raises(Conflict):
        log.append(append(next_write(log, stream), guards=(Guard(guarded, "claim", 1),)))


def test_a_stream_that_must_not_exist_can_be_guarded(log: EventLog) -> None:
    absent, stream = uuid4(), uuid4()
    log.append(append(write(stream), guards=(Guard(absent, "claim", 0),)))
    log.append(append(write(absent)))
    with pytest.raises(Conflict):
        log.append(append(next_write(log, stream), guards=(Guard(absent, "claim", 0),)))


def test_a_stream_in_use_is_known_and_the_last_links_count(log: EventLog) -> None:
    """PAR-17: "in use" is answered in the same transaction that makes it so."""
    used, user = uuid4(), User(uuid4(), "activity", "SPRING")
    log.append(append(write(user.id), links=(Links(user, frozenset({used})),)))
    assert log.users(used) == (user,)
    with pytest.raises(InUse):
        log.append(append(write(used), unused=(used,)))
    log.append(append(next_write(log, user.id), links=(Links(user, frozenset()),)))
    log.append(append(write(used), unused=(used,)))
    assert log.users(used) == ()


def test_a_command_is_answered_once(log: EventLog) -> None:
    first = append(write(uuid4()), key="k")
    receipt = log.append(first)
    with pytest.raises(AlreadyAnswered):
        log.append(append(write(uuid4()), key="k"))
    answer = log.answer(first.command)
    assert answer is not None
    assert answer.receipt == receipt
    assert log.answer(command("other")) is None


def test_a_command_that_changes_nothing_is_answered_where_its_subject_stands(log: EventLog) -> None:
    stream = uuid4()
    written = log.append(append(write(stream)))
    empty = append(write(stream, events=0), key="nothing")
    still = type(empty)(empty.command, empty.context, stream, 1, (), (Guard(stream, "claim", 1),))
    assert log.append(still).position == written.position
    assert len(everything(log)) == 1


def test_exactly_one_of_racing_appends_wins(log: EventLog) -> None:
    """ES-08, 30 rounds of 16 writers that all saw the same version."""
    stream = uuid4()
    with ThreadPoolExecutor(WRITERS) as threads:
        for round_ in range(30):
            seen = next_write(log, stream)
            barrier = threading.Barrier(WRITERS)

            def race(_: int, seen=seen, barrier=barrier) -> bool:
                barrier.wait()
                try:
                    log.append(append(seen))
                except Conflict:
                    return False
                return True

            assert sum(threads.map(race, range(WRITERS))) == 1
            assert log.load(DECIDER, stream).version == round_ + 1


def test_a_tailing_reader_misses_nothing_and_sees_no_stream_backwards(
    log: EventLog, cardinal_url: str
) -> None:
    """16 writers, transactions that linger after taking an id, and rollbacks; the reader tails meanwhile."""
    appended, done = 200, threading.Event()
    streams = [uuid4() for _ in range(40)]

    def write_on(seed: int) -> int:
        dice, count = random.Random(seed), 0
        while count < appended:
            chosen = sorted(dice.sample(streams, dice.randint(1, 3)))
            try:
                log.append(append(*[next_write(log, stream, dice.randint(1, 3)) for stream in chosen]))
            except Conflict:
                continue
            count += 1
        return count

    def linger(seed: int) -> None:
        dice = random.Random(seed)
        with connect(cardinal_url) as connection:
            while not done.is_set():
                with connection.transaction() as transaction:
                    stream = uuid4()
                    records = chained(write(stream), context(), context().effective_at)
                    connection.execute(
                        "select log.append(%s::jsonb)", [append_request(append(write(stream)), records)]
                    )
                    done.wait(dice.uniform(0, 0.05))
                    if dice.random() < 0.5:
                        raise psycopg.Rollback(transaction)

    def tail() -> list[Record]:
        found: list[Record] = []
        while len(found) != len(stored):
            found += log.follow(found[-1].position if found else BEGINNING, dice.randint(1, 500))
        return found

    dice, stored = random.Random(7), [(UUID(int=0), 0)] * 10_000_000
    with ThreadPoolExecutor(WRITERS + 5) as threads:
        reader = threads.submit(tail)
        lingering = [threads.submit(linger, seed) for seed in range(4)]
        for writer in [threads.submit(write_on, seed) for seed in range(WRITERS)]:
            writer.result()
        done.set()
        for each in lingering:
            each.result()
        with connect(cardinal_url) as connection:
            rows = connection.execute("select stream_id, version from log.events order by epoch, position")
            stored = rows.fetchall()
        seen = reader.result(timeout=60)
    assert [(record.stream_id, record.version) for record in seen] == stored
    versions: dict[UUID, int] = defaultdict(int)
    for record in seen:
        assert record.version == versions[record.stream_id] + 1
        versions[record.stream_id] = record.version
    assert sum(versions.values()) >= WRITERS * appended


def test_an_append_below_its_streams_head_is_sent_back(log: EventLog, cardinal_url: str) -> None:
    """A transaction that took its id before loading: its position would contradict the stream's order."""
    stream = uuid4()
    log.append(append(write(stream)))
    with connect(cardinal_url) as early, early.transaction():
        early.execute("select pg_current_xact_id()")
        log.append(append(next_write(log, stream)))
        late = next_write(log, stream)
        request = append_request(append(late), chained(late, context(), context().effective_at))
        with pytest.raises(psycopg.DatabaseError) as caught:
            early.execute("select log.append(%s::jsonb)", [request])
        assert caught.value.sqlstate == "CA003"
    log.append(append(late))


def test_a_transaction_held_open_holds_readers_back_and_loses_nothing(
    log: EventLog, cardinal_url: str
) -> None:
    with connect(cardinal_url) as held, held.transaction():
        held.execute("select pg_current_xact_id()")
        log.append(append(write(uuid4())))
        assert everything(log) == []
    assert len(everything(log)) == 1


def test_the_running_role_can_neither_change_nor_delete_an_event(log: EventLog, cardinal_url: str) -> None:
    log.append(append(write(uuid4())))
    with connect(cardinal_url) as connection:
        for sql in (
            "update log.events set actor = 'x'",
            "delete from log.events",
            "truncate log.events",
            "drop table log.events",
            "delete from log.commands",
            "update log.commands set version = 9",
            "delete from log.heads",
            "insert into log.epochs (epoch, reason) values (9, 'x')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql)


def test_what_the_database_has_lost_is_folded_anew(log: EventLog, cardinal_url: str) -> None:
    """A promotion with loss: what this process remembers was never, as far as the database knows."""
    stream = uuid4()
    log.append(append(write(stream)))
    log.append(append(next_write(log, stream)))
    assert log.load(DECIDER, stream).version == 2
    with psycopg.connect(cardinal_url, autocommit=True) as owner:
        owner.execute("delete from log.events where version = 2")
        owner.execute("update log.heads set version = 1, hash = (select hash from log.events)")
    with pytest.raises(Conflict):
        log.append(append(next_write(log, stream)))
    log.append(append(next_write(log, stream)))
    assert log.load(DECIDER, stream).version == 2
    assert not verify(cardinal_url).faults


def test_a_restored_cluster_goes_on_in_a_new_epoch(log: EventLog, cardinal_url: str) -> None:
    """Its transaction ids begin below the positions that were published."""
    before = log.append(append(write(uuid4()))).position
    with psycopg.connect(cardinal_url, autocommit=True) as owner:
        owner.execute("update log.events set position = position + (1::bigint << 60)")
    assert migrate(cardinal_url) == []
    assert migrate(cardinal_url) == []
    after = log.append(append(write(uuid4()))).position
    assert after.epoch == before.epoch + 1
    assert len(everything(log)) == 2


def test_readers_get_what_they_can_read_and_stop_before_what_they_can_not(
    log: EventLog, cardinal_url: str
) -> None:
    """A later version of the code has written an event: nothing before it is held back."""
    for _ in range(3):
        log.append(append(write(uuid4())))
    last = everything(log)[-1]
    with psycopg.connect(cardinal_url, autocommit=True) as owner:
        owner.execute(
            "update log.events set event_type = 'future.thing' where event_id = %s", [last.event_id]
        )
    seen = log.follow(BEGINNING, 100)
    assert len(seen) == 2
    with pytest.raises(UnknownEvent):
        log.follow(seen[-1].position, 100)


def test_a_new_epoch_lies_above_all_positions_before(log: EventLog, cardinal_url: str) -> None:
    before = log.append(append(write(uuid4()))).position
    with psycopg.connect(cardinal_url, autocommit=True) as owner:
        owner.execute("insert into log.epochs (epoch, reason) values (2, 'restored')")
    stream = uuid4()
    after = log.append(append(write(stream))).position
    assert after.epoch == 2
    assert str(after) > str(before)
    assert [record.stream_id for record in everything(log, before)] == [stream]


@pytest.mark.parametrize("text", ["", "x" * 24, "0" * 23, "F" * 24, "f" * 24, "00000001" + "8" + "0" * 15])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)


def test_a_position_reads_back_and_sorts_as_text() -> None:
    positions = [Position(1, 5), Position(1, 2**40), Position(2, 0), BEGINNING]
    assert [Position.parse(str(position)) for position in positions] == positions
    assert sorted(map(str, positions)) == list(map(str, sorted(positions)))
