"""Activities end when their time is over, whoever comes late, early or twice."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from application.processes.ended_activities import AT_ONCE_MAX, SYSTEM_USER, Ended, end_due
from domain.activities import ActivityEnded, Status
from tests.application.bank import ALL_UNITS, DAY, IN_SHANGHAI, NOW, Bank

OVER = NOW + 30 * DAY


def test_what_is_over_is_ended_and_nothing_else(bank: Bank) -> None:
    """Running or paused; what is not over yet, not running, or ended already stays as it is."""
    type_ = bank.add_type("Dining")
    running, paused, approved = (bank.draft(bank.plan(type_)) for _ in range(3))
    longer = bank.draft(bank.plan(type_, ends_at=OVER + DAY))
    for activity in (running, paused, longer):
        bank.running(activity)
    bank.pause(paused)
    bank.approved(approved)
    bank.now = OVER
    due = [running, paused, longer, approved, running]
    assert end_due(bank.handler, lambda *_: due, ALL_UNITS) == Ended(5, ())
    assert [bank.activity(activity).status for activity in due[:4]] == [
        Status.ENDED,
        Status.ENDED,
        Status.RUNNING,
        Status.APPROVED,
    ]
    before = bank.count_events()
    assert end_due(bank.handler, lambda *_: due, ALL_UNITS).told == 5
    assert bank.count_events() == before


def test_what_came_too_early_is_ended_when_it_comes_again(bank: Bank) -> None:
    """No answer is kept for ever under a key."""
    activity = bank.running(bank.draft(bank.plan(bank.add_type("Dining"))))
    bank.now = OVER - DAY
    end_due(bank.handler, lambda *_: [activity], ALL_UNITS)
    assert bank.activity(activity).status is Status.RUNNING
    bank.now = OVER
    end_due(bank.handler, lambda *_: [activity], ALL_UNITS)
    assert bank.activity(activity).status is Status.ENDED


def test_who_is_due_is_asked_by_business_time_and_within_a_limit(bank: Bank) -> None:
    asked: list[tuple[datetime, int]] = []

    def due_ids(at: datetime, limit: int) -> Sequence[UUID]:
        asked.append((at, limit))
        return []

    bank.now = OVER
    assert end_due(bank.handler, due_ids, ALL_UNITS) == Ended(0, ())
    assert asked == [(OVER, AT_ONCE_MAX)]


def test_one_that_declines_does_not_keep_the_others_from_ending(bank: Bank) -> None:
    """SEC-03: the scheduler too sees only the units that it was given."""
    type_ = bank.add_type("Dining")
    elsewhere = bank.draft(bank.plan(type_), by=IN_SHANGHAI)
    here = bank.draft(bank.plan(type_))
    for activity in (elsewhere, here):
        bank.running(activity)
    bank.now = OVER
    ended = end_due(bank.handler, lambda *_: [elsewhere, here], frozenset({"HO"}))
    assert ended.told == 1
    [(refused, why)] = ended.refused
    assert (refused, why.split()[0]) == (elsewhere, "not_found")
    assert bank.activity(here).status is Status.ENDED
    assert bank.activity(elsewhere).status is Status.RUNNING


def test_an_end_is_the_schedulers_deed_in_the_activitys_unit(bank: Bank) -> None:
    """ES-02"""
    activity = bank.draft(bank.plan(bank.add_type("Dining")), by=IN_SHANGHAI)
    bank.running(activity)
    bank.now = OVER
    end_due(bank.handler, lambda *_: [activity], ALL_UNITS)
    record = list(bank.log.records(activity))[-1]
    assert record.event == ActivityEnded()
    assert (record.context.actor, record.context.org_unit) == (SYSTEM_USER, "SH")
