"""Progress and status: who waits is told in time, and what lags or is parked is seen."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from application.shared.records import Position
from infrastructure.event_log import EventLog
from infrastructure.projection_progress import Progress
from infrastructure.projection_status import horizon_age_s, status
from projections.registry import NAMES
from tests.application.bank import Bank
from tests.infrastructure.projection_histories import all_records, catch_up, life
from tests.infrastructure.projection_processes import positions, projector, until
from tests.infrastructure.test_projection_parking import Damage, a_record

LONG_S = 30.0


def run(url: str, talk: Callable[[Progress], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Progress(url) as progress:
            await talk(progress)

    asyncio.run(main())


def test_what_was_just_recorded_can_be_read_when_the_wait_is_over(cardinal_url: str, log: EventLog) -> None:
    bank = Bank(log)

    async def talk(progress: Progress) -> None:
        for number in range(30):
            entry = await asyncio.to_thread(bank.add_type, f"Type {number}")
            position = list(log.records(entry))[-1].position
            assert await progress.reached(position, ["activity_types", "timeline"], LONG_S)
            with psycopg.connect(cardinal_url) as connection:
                row = connection.execute("select from read.activity_types where id = %s", [entry]).fetchone()
            assert row is not None

    with projector(cardinal_url):
        run(cardinal_url, talk)


def test_a_wait_is_bounded_and_only_the_named_projections_count(cardinal_url: str, log: EventLog) -> None:
    Bank(log).add_type("New")
    last = all_records(log)[-1].position
    catch_up(cardinal_url, log, *[])
    with psycopg.connect(cardinal_url) as connection:
        connection.execute("update projection.checkpoints set position = 0 where name = 'timeline'")

    async def talk(progress: Progress) -> None:
        assert await progress.reached(last, ["activities", "approvals"], LONG_S)
        assert not await progress.reached(last, ["activities", "timeline"], 0.1)
        assert not await progress.reached(last, ["nothing"], 0.05)
        assert await progress.reached(last, [], 0.0)
        assert progress.positions()["timeline"] == Position(last.epoch, 0)
        assert progress.positions()["activities"] >= last
        lowest, lag_ms = progress.standing()
        assert lowest == Position(last.epoch, 0), "that of the last one"
        assert lag_ms > 100, "as old as the first event that it has not taken in"
        await asyncio.to_thread(catch_up, cardinal_url, log)
        assert await progress.reached(last, NAMES, LONG_S)
        assert progress.standing() == (last, 0)

    run(cardinal_url, talk)


def test_many_wait_at_once_and_all_are_told(cardinal_url: str, log: EventLog) -> None:
    bank = Bank(log)

    async def talk(progress: Progress) -> None:
        bank.add_type("New")
        last = all_records(log)[-1].position
        waits = [asyncio.create_task(progress.reached(last, [name], LONG_S)) for name in NAMES * 20]
        await asyncio.to_thread(catch_up, cardinal_url, log)
        assert all(await asyncio.gather(*waits))

    run(cardinal_url, talk)


def test_progress_is_known_again_after_its_connection_is_lost(cardinal_url: str, log: EventLog) -> None:
    bank = Bank(log)

    async def talk(progress: Progress) -> None:
        await asyncio.to_thread(catch_up, cardinal_url, log)
        with psycopg.connect(cardinal_url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                " and datname = current_database() and query like '%checkpoints%'"
            )
        bank.add_type("New")
        await asyncio.to_thread(catch_up, cardinal_url, log)
        assert await progress.reached(all_records(log)[-1].position, NAMES, LONG_S)

    run(cardinal_url, talk)


def test_a_cancelled_wait_is_forgotten(cardinal_url: str) -> None:
    async def talk(progress: Progress) -> None:
        wait = asyncio.create_task(progress.reached(Position(9, 9), NAMES, LONG_S))
        await asyncio.sleep(0.05)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert not progress._waiting

    run(cardinal_url, talk)


def test_status_tells_how_far_each_is_behind_and_what_it_parked(cardinal_url: str, log: EventLog) -> None:
    assert [(each.name, each.lag_events, each.lag_s) for each in status(cardinal_url)] == [
        (name, 0, 0.0) for name in NAMES
    ]
    life(log, 60, seed=31)
    behind = {each.name: each for each in status(cardinal_url)}
    number = len(all_records(log))
    assert {each.lag_events for each in behind.values()} == {number}
    assert all(each.lag_s > 0 and each.rows == 0 for each in behind.values())
    assert behind["activities"].position == "0" * 24
    Damage(cardinal_url, a_record(log, "activity.submitted"))
    catch_up(cardinal_url, log)
    abreast = {each.name: each for each in status(cardinal_url)}
    assert {name: each.parked for name, each in abreast.items() if each.parked} == {
        "activities": 1,
        "timeline": 1,
    }
    assert all((each.lag_events, each.lag_s) == (0, 0.0) for each in abreast.values())
    assert abreast["activities"].position == str(positions(cardinal_url)["activities"])
    assert abreast["activities"].rows > 5


def test_lag_is_counted_up_to_a_limit(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    life(log, 20, seed=32)
    limited = (
        "select count(*) from (select from log.events where (epoch, position) > (%s, %s) limit 5) behind"
    )
    monkeypatch.setattr("infrastructure.projection_status.LAG_EVENTS", limited)
    assert {each.lag_events for each in status(cardinal_url)} == {5}


def test_the_horizons_age_is_that_of_the_oldest_transaction_that_writes(cardinal_url: str) -> None:
    with psycopg.connect(cardinal_url) as reader, psycopg.connect(cardinal_url) as writer:
        reader.execute("select 1")
        until(lambda: horizon_age_s(cardinal_url) == 0.0, "nobody else writes")
        writer.execute("select pg_current_xact_id()")
        until(lambda: horizon_age_s(cardinal_url) > 0.2, "the age grows")
        writer.rollback()
        until(lambda: horizon_age_s(cardinal_url) < 0.2, "the horizon is free")
