"""Rebuild: new tables beside the live ones, equal to them, swapped in while everything goes on."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from infrastructure import projection_rebuild
from infrastructure.event_log import EventLog
from infrastructure.projection_parking import parked
from infrastructure.projection_rebuild import RebuildProgress, RebuildRefused, rebuild
from infrastructure.projection_status import status
from projections.activities import ACTIVITIES
from projections.registry import NAMES
from tests.application.bank import Bank
from tests.infrastructure.projection_histories import all_records, assert_as_folded, catch_up, life, rows_of
from tests.infrastructure.projection_processes import positions, projector, rebuild_slowly, start, until
from tests.infrastructure.test_projection_parking import Damage, a_record

SHAPE = """
select c.relname, pg_get_userbyid(c.relowner), c.reloptions::text,
       array(select pg_get_indexdef(i.indexrelid) from pg_index i where i.indrelid = c.oid order by 1),
       array(select format('%s %s %s %s', a.attname, a.atttypid::regtype, a.attnotnull,
                           pg_get_expr(d.adbin, d.adrelid))
             from pg_attribute a left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
             where a.attrelid = c.oid and a.attnum > 0 order by a.attnum),
       array(select pg_get_constraintdef(k.oid) from pg_constraint k where k.conrelid = c.oid order by 1)
from pg_class c where c.relnamespace = 'read'::regnamespace and c.relkind = 'r' order by 1
"""


def shape(url: str) -> list[Any]:
    """Everything about the read tables but their rows."""
    with psycopg.connect(url) as connection:
        return connection.execute(SHAPE).fetchall()


def left_behind(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select count(*) from pg_class where relnamespace = 'rebuild'::regnamespace"
        ).fetchone()
    assert row is not None
    return int(row[0])


def all_taken_in(url: str) -> bool:
    return all(each.lag_events == 0 for each in status(url))


def test_rebuilt_under_commands_and_reads_every_projection_equals_the_live_one(
    cardinal_url: str, log: EventLog
) -> None:
    """ES-05. Readers see a whole table at every moment."""
    lived, ended = life(log, 150, seed=21), threading.Event()
    catch_up(cardinal_url, log)
    faults: list[object] = []

    def write() -> None:
        while not ended.is_set():
            lived.goes_on(3)

    def read() -> None:
        with psycopg.connect(cardinal_url, autocommit=True) as connection:
            seen = (0,)
            while not ended.is_set():
                row = connection.execute("select count(*) from read.timeline", prepare=True).fetchone()
                if row is None or row < seen:
                    faults.append((row, seen))
                seen = row or seen

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    before = shape(cardinal_url)
    with projector(cardinal_url):
        for thread in threads:
            thread.start()
        try:
            reports = [rebuild(cardinal_url, name) for name in (*NAMES, *NAMES)]
        finally:
            ended.set()
            for thread in threads:
                thread.join(60)
        until(lambda: all_taken_in(cardinal_url), "all is taken in")
    assert faults == []
    assert all(report.is_equal for report in reports), reports
    assert all(table.rows_live == table.rows_rebuilt for report in reports for table in report.tables)
    assert shape(cardinal_url) == before
    assert left_behind(cardinal_url) == 0
    assert_as_folded(cardinal_url, all_records(log))


def test_what_differs_is_reported_by_its_ids_and_is_right_afterwards(
    cardinal_url: str, log: EventLog
) -> None:
    life(log, 80, seed=22)
    catch_up(cardinal_url, log)
    wrong, lost, *_ = sorted(rows_of(cardinal_url, ACTIVITIES))
    with psycopg.connect(cardinal_url) as connection:
        connection.execute("update read.activities set name = 'Wrong' where id = %s", [wrong])
        connection.execute("delete from read.activities where id = %s", [lost])
    told: list[RebuildProgress] = []
    report = rebuild(cardinal_url, "activities", told.append)
    activities, versions = report.tables
    assert (activities.table, activities.differing) == ("activities", 2)
    assert activities.first_ids == (wrong, lost)
    assert activities.rows_rebuilt - activities.rows_live == 1
    assert (versions.table, versions.differing, versions.first_ids) == ("activity_versions", 0, ())
    assert not report.is_equal
    assert {each.phase for each in told} == {"fold"}
    assert told[-1].position == told[-1].target == report.position
    assert_as_folded(cardinal_url, all_records(log))


def test_a_rebuild_goes_no_further_than_the_live_tables_and_the_runner_goes_on_from_there(
    cardinal_url: str, log: EventLog
) -> None:
    lived = life(log, 40, seed=23)
    catch_up(cardinal_url, log)
    reached = positions(cardinal_url)["activities"]
    lived.goes_on(40)
    report = rebuild(cardinal_url, "activities")
    assert report.position == reached == positions(cardinal_url)["activities"]
    assert report.is_equal
    catch_up(cardinal_url, log)
    assert_as_folded(cardinal_url, all_records(log))


def test_what_is_rebuilt_before_it_ever_ran_is_empty_and_begins_at_the_beginning(
    cardinal_url: str, log: EventLog
) -> None:
    life(log, 20, seed=24)
    report = rebuild(cardinal_url, "timeline")
    assert (report.position, report.is_equal) == ((0, 0), True)
    catch_up(cardinal_url, log)
    assert_as_folded(cardinal_url, all_records(log))


def test_a_rebuild_that_is_killed_leaves_the_live_tables_alone_and_the_next_one_begins_anew(
    cardinal_url: str, log: EventLog
) -> None:
    life(log, 150, seed=25)
    catch_up(cardinal_url, log)
    before = shape(cardinal_url)
    process = start(rebuild_slowly, cardinal_url, "activities")
    beside = "activities:rebuild"
    until(lambda: positions(cardinal_url).get(beside, (0, 0)) > (0, 0), "it has come some way")
    with pytest.raises(RebuildRefused, match="elsewhere"):
        rebuild(cardinal_url, "activities")
    process.kill()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert shape(cardinal_url) == before
    assert left_behind(cardinal_url) > 0
    assert_as_folded(cardinal_url, all_records(log))
    until(lambda: _rebuilt(cardinal_url), "the killed one's lock is free")
    assert left_behind(cardinal_url) == 0
    assert beside not in positions(cardinal_url)
    assert_as_folded(cardinal_url, all_records(log))


def _rebuilt(url: str) -> bool:
    try:
        return rebuild(url, "activities").is_equal
    except RebuildRefused:
        return False


def test_what_can_be_read_again_is_no_longer_parked_after_a_rebuild_and_what_cannot_stays_so(
    cardinal_url: str, log: EventLog
) -> None:
    life(log, 80, seed=26)
    records = all_records(log)
    mended, lasting = a_record(log, "activity.submitted"), a_record(log, "activity.revised")
    assert mended.stream_id != lasting.stream_id
    damages = [Damage(cardinal_url, record) for record in (mended, lasting)]
    catch_up(cardinal_url, log)
    damages[0].mend()
    report = rebuild(cardinal_url, "activities")
    waiting = [each.stream_id for each in parked(cardinal_url) if each.projection == "activities"]
    assert waiting == [lasting.stream_id]
    assert report.parked == 1
    assert mended.stream_id in report.tables[0].first_ids
    damages[1].mend()
    for name in ("activities", "timeline"):
        assert rebuild(cardinal_url, name).parked == 0
    assert parked(cardinal_url) == []
    assert_as_folded(cardinal_url, records)


def test_a_leader_takes_in_again_what_a_rebuild_under_it_could_read(cardinal_url: str, log: EventLog) -> None:
    bank = Bank(log)
    bakery = bank.add_type("Bakery")
    activity = bank.draft(bank.plan(bakery))
    bank.revise(activity, bank.plan(bakery, name="Second"))
    damage = Damage(cardinal_url, list(log.records(activity))[1])
    with projector(cardinal_url):
        until(lambda: len(parked(cardinal_url)) == 2, "both projections parked it")
        damage.mend()
        assert [rebuild(cardinal_url, name).parked for name in ("activities", "timeline")] == [0, 0]
        bank.revise(activity, bank.plan(bakery, name="Third"))
        until(lambda: all_taken_in(cardinal_url), "all is taken in")
    assert rows_of(cardinal_url, ACTIVITIES)[activity].name == "Third"
    assert_as_folded(cardinal_url, all_records(log))


def test_a_swap_waits_for_readers_without_making_others_wait(cardinal_url: str, log: EventLog) -> None:
    bank = Bank(log)
    bank.add_cost_type("SMS")
    catch_up(cardinal_url, log)
    with psycopg.connect(cardinal_url) as reader:
        reader.execute("select from read.cost_types")
        thread = threading.Thread(target=rebuild, args=(cardinal_url, "cost_types"))
        thread.start()
        for _ in range(20):
            with psycopg.connect(cardinal_url, options="-c lock_timeout=2s") as other:
                other.execute("select from read.cost_types")
            time.sleep(0.02)
        assert thread.is_alive()
        reader.rollback()
    thread.join(30)
    assert not thread.is_alive()
    assert left_behind(cardinal_url) == 0


def test_a_rebuild_waits_for_a_batch_of_the_leader_that_takes_long(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ES-05. Longer than readers may be kept waiting at the swap: nobody but the rebuild waits for it."""
    monkeypatch.setattr(projection_rebuild, "SWAP_LOCK_TIMEOUT", "100ms")
    Bank(log).add_cost_type("SMS")
    catch_up(cardinal_url, log)
    with ThreadPoolExecutor(1) as threads, psycopg.connect(cardinal_url) as leader:
        leader.execute("select from projection.checkpoints where name = 'cost_types' for update")
        report = threads.submit(rebuild, cardinal_url, "cost_types")
        time.sleep(0.8)
        leader.rollback()
        assert report.result(30).is_equal
    assert left_behind(cardinal_url) == 0


def test_a_rebuild_under_a_batch_that_never_ends_is_refused(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection_rebuild, "BATCH_TIMEOUT", "100ms")
    catch_up(cardinal_url, log)
    with psycopg.connect(cardinal_url) as leader:
        leader.execute("select from projection.checkpoints where name = 'cost_types' for update")
        with pytest.raises(RebuildRefused, match="does not pause"):
            rebuild(cardinal_url, "cost_types")


def test_only_a_known_projection_can_be_rebuilt(cardinal_url: str) -> None:
    with pytest.raises(KeyError):
        rebuild(cardinal_url, "nothing")
