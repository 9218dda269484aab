"""Parking: an event that can't be taken in holds its own stream back, in sight, until a retry goes well."""

import itertools
import threading
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from application.shared.records import Record
from infrastructure import projection_parking, projection_runner
from infrastructure.event_log import EventLog
from infrastructure.projection_parking import PARK, SUPERSEDE, ParkedStream, ParkedTooMany, parked, retry
from infrastructure.projection_registry import ALL
from infrastructure.projection_status import status
from infrastructure.projection_tables import RowTables
from projections.activities import ACTIVITIES, ActivityRow
from projections.approval_inbox import APPROVALS
from projections.registry import NAMES
from tests.application.bank import RAO, TAN, Bank
from tests.infrastructure.projection_histories import (
    ACTIVITY_TABLES,
    TIMELINE_TABLES,
    all_records,
    assert_as_folded,
    catch_up,
    life,
    rows_of,
    timeline_of,
)
from tests.infrastructure.projection_processes import projector, until


class Damage:
    """Damages the data of one event beyond reading, as the database's owner could, and mends it again."""

    def __init__(self, url: str, record: Record[Any]) -> None:
        self._url, self._where = url, [record.stream_id, record.version]
        self._data = self._set("{}")

    def mend(self) -> None:
        self._set(self._data)

    def _set(self, data: str) -> str:
        with psycopg.connect(self._url) as connection:
            row = connection.execute(
                "select data::text from log.events where stream_id = %s and version = %s", self._where
            ).fetchone()
            assert row is not None
            connection.execute(
                "update log.events set data = %s where stream_id = %s and version = %s", [data, *self._where]
            )
        return str(row[0])


def a_record(log: EventLog, event_type: str) -> Record[Any]:
    """One in the middle of the log."""
    found = [record for record in all_records(log) if record.event_type == event_type]
    return found[len(found) // 2]


def parked_by(url: str, projection: str) -> list[ParkedStream]:
    return [stream for stream in parked(url) if stream.projection == projection]


@pytest.mark.parametrize(
    "event_type", ["activity.revised", "activity.drafted", "approval.opened", "approval.passed"]
)
def test_an_unreadable_event_holds_back_its_stream_alone_until_it_can_be_read(
    cardinal_url: str, log: EventLog, event_type: str
) -> None:
    lived = life(log, 150, seed=11)
    records = all_records(log)
    poison = a_record(log, event_type)
    damage = Damage(cardinal_url, poison)
    catch_up(cardinal_url, log)
    concerned = {poison.stream_id, getattr(getattr(poison.event, "subject", None), "id", poison.stream_id)}
    assert_as_folded(cardinal_url, records, but=concerned)
    found = parked(cardinal_url)
    expected = {tables.name for tables in ALL if poison.stream_type in tables.stream_types}
    assert {stream.projection for stream in found} == expected
    assert {(stream.stream_id, stream.position) for stream in found} == {(poison.stream_id, poison.position)}
    assert not retry(cardinal_url, found[0].projection, poison.stream_id)
    assert {stream.projection: stream.attempts for stream in parked(cardinal_url)} == {
        name: 1 + (name == found[0].projection) for name in expected
    }
    lived.goes_on(30)
    catch_up(cardinal_url, log)
    damage.mend()
    for stream in found:
        assert retry(cardinal_url, stream.projection, stream.stream_id)
    assert parked(cardinal_url) == []
    lived.goes_on(30)
    catch_up(cardinal_url, log)
    assert_as_folded(cardinal_url, all_records(log))


@pytest.mark.parametrize("batch", [1, 1_000])
def test_what_came_before_the_poison_is_kept_and_what_comes_after_is_held_back(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """In the same batch or in later ones."""
    monkeypatch.setattr(projection_runner, "BATCH_RECORDS_MAX", batch)
    bank = Bank(log)
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    bank.revise(activity, bank.plan(bank.add_type("Fuel"), name="Second"))
    bank.submit(activity)
    damage = Damage(cardinal_url, list(log.records(activity))[1])
    catch_up(cardinal_url, log, ACTIVITY_TABLES)
    row: ActivityRow = rows_of(cardinal_url, ACTIVITIES)[activity]
    assert (row.version, row.name, row.status) == (1, "Spring dining", "draft")
    damage.mend()
    assert retry(cardinal_url, "activities", activity)
    row = rows_of(cardinal_url, ACTIVITIES)[activity]
    assert (row.version, row.name, row.status) == (3, "Second", "pending_research")


def test_a_row_that_the_table_refuses_is_found_among_a_thousand_and_parked(
    cardinal_url: str, log: EventLog
) -> None:
    """The database refuses the whole batch and doesn't say whose fault it is."""
    life(log, 150, seed=12)
    bank = Bank(log)
    kind = bank.add_type("Bakery")
    refused = [bank.draft(bank.plan(kind, name="unlucky"), f"X{n}") for n in range(2)]
    life(log, 40, seed=13)
    with psycopg.connect(cardinal_url) as connection:
        connection.execute("alter table read.activities add constraint luck check (name <> 'unlucky')")
    catch_up(cardinal_url, log)
    assert {stream.stream_id for stream in parked_by(cardinal_url, "activities")} == set(refused)
    assert all("luck" in stream.error for stream in parked(cardinal_url))
    with psycopg.connect(cardinal_url) as connection:
        connection.execute("alter table read.activities drop constraint luck")
    assert all(retry(cardinal_url, "activities", activity) for activity in refused)
    assert_as_folded(cardinal_url, all_records(log))


def test_a_projection_that_raises_parks_the_stream_and_a_mended_one_takes_it_in(
    cardinal_url: str, log: EventLog
) -> None:
    life(log, 80, seed=14)
    poison = a_record(log, "activity.submitted")

    def failing(row: Any, record: Record[Any]) -> Any:
        if record.event_id == poison.event_id:
            raise ZeroDivisionError("a defect")
        return ACTIVITIES.project(row, record)

    catch_up(cardinal_url, log, RowTables(replace(ACTIVITIES, project=failing)))
    (found,) = parked(cardinal_url)
    assert (found.projection, found.stream_id) == ("activities", poison.stream_id)
    assert found.error == "ZeroDivisionError: a defect"
    assert (found.position, found.attempts) == (poison.position, 1)
    with projector(cardinal_url):
        until(lambda: parked(cardinal_url) == [], "the leader tries again when it begins")
        until(lambda: all(each.lag_events == 0 for each in status(cardinal_url)), "all is taken in")
    assert_as_folded(cardinal_url, all_records(log))


def test_a_held_back_approval_holds_the_activitys_status_and_its_timeline_and_both_are_mended(
    cardinal_url: str, log: EventLog
) -> None:
    """A row and a change on the timeline may hang on two streams."""
    bank = Bank(log)
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    approval = bank.submit(activity)
    bank.approve(approval, by=RAO)
    bank.approve(approval, by=TAN)
    damage = Damage(cardinal_url, next(iter(log.records(approval))))
    catch_up(cardinal_url, log)
    assert rows_of(cardinal_url, ACTIVITIES)[activity].status == "approved"
    assert rows_of(cardinal_url, APPROVALS) == {}

    def told() -> list[Any]:
        [*_, last] = [row for row in timeline_of(cardinal_url) if row.stream_id == activity]
        changes = last.changes
        return [change["before"] for change in changes if change["field"] == "status"]

    assert told() == ["PENDING_RESEARCH"]
    damage.mend()
    for stream in parked(cardinal_url):
        assert retry(cardinal_url, stream.projection, stream.stream_id)
    assert_as_folded(cardinal_url, all_records(log))


def until_revised(bank: Bank, activity: UUID) -> None:
    version = bank.version(activity)
    until(lambda: bank.version(activity) > version, "it has one more event")


def test_a_retry_beside_a_working_leader_loses_nothing_that_came_meanwhile(
    cardinal_url: str, log: EventLog
) -> None:
    """The stream that is parked gets events all the while, and again and again it is parked anew."""
    life(log, 60, seed=15)
    bank = Bank(log)
    bakery = bank.add_type("Bakery")
    plans = [bank.plan(bakery, name=f"Plan {n}") for n in range(2)]
    activity = bank.draft(plans[0])
    ended = threading.Event()

    def revise() -> None:
        for turn in itertools.count(1):
            bank.revise(activity, plans[turn % 2])
            if ended.is_set():
                return

    writer = threading.Thread(target=revise)
    with projector(cardinal_url):
        writer.start()
        for _ in range(10):
            with psycopg.connect(cardinal_url) as connection:
                connection.execute(SUPERSEDE, ["activities"])
                connection.execute(PARK, ["activities", activity, 1, 1, "nothing really"])
            until_revised(bank, activity)
            assert retry(cardinal_url, "activities", activity)
            until_revised(bank, activity)
        ended.set()
        writer.join(30)
        until(lambda: all(each.lag_events == 0 for each in status(cardinal_url)), "all is taken in")
    assert_as_folded(cardinal_url, all_records(log))


def test_what_is_not_parked_needs_no_retry_and_an_unknown_projection_is_an_error(
    cardinal_url: str, log: EventLog
) -> None:
    life(log, 10, seed=16)
    catch_up(cardinal_url, log)
    assert retry(cardinal_url, "activities", uuid4())
    with pytest.raises(KeyError):
        retry(cardinal_url, "nothing", uuid4())
    assert set(NAMES) == {each.name for each in status(cardinal_url)}


def test_a_projection_that_would_park_everything_stands_still_instead(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection_runner, "PARKED_MAX", 3)
    assert projection_parking.PARKED_MAX > 3
    life(log, 100, seed=17)

    def defective(*_: object) -> Any:
        raise ZeroDivisionError("a defect in the code and not in the events")

    with pytest.raises(ParkedTooMany):
        catch_up(cardinal_url, log, RowTables(replace(ACTIVITIES, project=defective)))
    assert parked(cardinal_url) == []
    catch_up(cardinal_url, log, ACTIVITY_TABLES, TIMELINE_TABLES)
    assert parked(cardinal_url) == []
