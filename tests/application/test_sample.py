"""The sample bank: whole at the first start, and no more of it at any later one."""

from typing import Any

import pytest

from application import sample
from application.shared.handler import Handler
from application.shared.records import BEGINNING, Append, Receipt, Record
from domain.activities import ActivityDrafted
from domain.catalogues import EntryAdded, Kind
from domain.reward_details import Route
from domain.source_grants import SourceGranted
from domain.warehouse_schema import TABLES
from infrastructure.event_log import EventLog
from tests.application.bank import Bank

UNITS = frozenset({"HO", "SH"})
ENTRIES = (*sample.TYPES, *sample.COSTS, *sample.DEPARTMENTS, *sample.REWARDS)


def added(bank: Bank, kind: type) -> list[Record[Any]]:
    return [record for record in bank.log.follow(BEGINNING, 1_000) if type(record.event) is kind]


def loaded(bank: Bank, kind: type) -> list[str]:
    return sorted(record.event.code for record in added(bank, kind))


def test_the_sample_is_loaded_once(bank: Bank) -> None:
    sample.load(bank.handler, UNITS)
    assert loaded(bank, EntryAdded) == sorted(code for code, *_ in ENTRIES)
    assert loaded(bank, ActivityDrafted) == sorted(campaign.code for campaign in sample.CAMPAIGNS)
    before = bank.count_events()
    sample.load(bank.handler, UNITS)
    assert bank.count_events() == before


class DyingLog:
    """Five appends reach the log; with the sixth the process is told to stop."""

    def __init__(self, log: EventLog) -> None:
        self._log, self._left = log, 5

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, append: Append) -> Receipt:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return self._log.append(append)


def test_a_load_that_was_broken_off_is_completed(bank: Bank) -> None:
    """A process may die between any two of its commands."""
    handler = Handler(DyingLog(bank.log), lambda: bank.now)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        sample.load(handler, UNITS)
    assert len(loaded(bank, EntryAdded)) == 5
    sample.load(bank.handler, UNITS)
    assert len(loaded(bank, EntryAdded)) == len(ENTRIES)
    assert len(loaded(bank, ActivityDrafted)) == len(sample.CAMPAIGNS)


def test_every_route_of_rewards_has_its_type_in_the_sample(bank: Bank) -> None:
    """PAR-19, PAR-24: points, coupon, cash-back, gift, benefit, lottery."""
    sample.load(bank.handler, UNITS)
    routes = {
        record.event.details.attributes["route"]
        for record in added(bank, EntryAdded)
        if record.stream_type == Kind.REWARD_TYPE
    }
    assert routes == set(Route)


def test_activities_of_units_that_the_bank_does_not_have_are_left_out(bank: Bank) -> None:
    sample.load(bank.handler, frozenset({"HO"}))
    assert loaded(bank, ActivityDrafted) == ["DINING-SPRING", "WELCOME-2027"]


def test_units_may_use_what_is_not_personal(bank: Bank) -> None:
    """LOG-05: head office every table, branches three, and nobody a personal column."""
    sample.load(bank.handler, UNITS)
    granted = {
        (record.event.org_unit, record.event.table): record.event.columns
        for record in added(bank, SourceGranted)
    }
    assert {table for unit, table in granted if unit == "HO"} == set(TABLES)
    assert {table for unit, table in granted if unit == "SH"} == {"customers", "cards", "transactions"}
    assert not {"mobile", "name"} & set(granted["SH", "customers"] + granted["HO", "customers"])
    assert "customer_id" in granted["SH", "customers"]


def test_what_people_did_with_the_sample_stays(bank: Bank) -> None:
    """A second start restores nothing that was renamed or deleted meanwhile."""
    sample.load(bank.handler, UNITS)
    found = {record.event.code: record.stream_id for record in added(bank, EntryAdded)}
    drafted = {record.event.code: record.stream_id for record in added(bank, ActivityDrafted)}
    bank.rename(Kind.ACTIVITY_TYPE, found["USE"], "Mine")
    bank.disable(Kind.ACTIVITY_TYPE, found["USE"])
    bank.delete(drafted["SH-METRO"])
    before = bank.count_events()
    sample.load(bank.handler, UNITS)
    assert bank.count_events() == before
