"""What tests of scheduled runs need of a bank: groups that are extracted, a clock that is moved."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from application import business_calendars, customer_groups, group_schedules, run_schedules
from application.access import Principal
from application.activities import Chosen, GroupLinkEntry
from application.processes.process import Step
from application.processes.scheduled_runs import EXTRACT_GROUP, FIRE_SCHEDULE, ScheduleDesk, next_step
from domain.activity_plans import GroupRole
from domain.business_calendars import CalendarDay, DayKind
from domain.customer_groups import Definition, Purpose
from domain.group_extractions import DECIDER as EXTRACTION
from domain.group_extractions import GroupExtraction
from domain.group_rules import Comparison, Condition, Dimension, Rule, Transactions, Window
from domain.run_schedules import DECIDER as SCHEDULE
from domain.run_schedules import BlockingStrategy, RunSchedule, RunScheduleFired
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind
from tests.application.bank import ALL_UNITS, LIN, Bank
from tests.application.small_warehouse import SmallEngine

LAST_30_DAYS = Timeframe(TimeframeKind.ROLLING, days=30)
DAILY = Frequency(FrequencyKind.DAILY, at="02:30")
SPENT_100 = Rule(
    condition=Condition(
        Dimension.TRANSACTION_SUM,
        Comparison.AT_LEAST,
        ("100.00",),
        Transactions(Window(), currency="CNY"),
    )
)
"""Spent at least 100 CNY on the days of the extraction's timeframe."""


@dataclass
class ScheduledWorld:
    bank: Bank
    engine: SmallEngine
    groups: dict[str, UUID] = field(default_factory=dict)

    @property
    def desk(self) -> ScheduleDesk:
        return ScheduleDesk(self.bank.handler, self.engine, ALL_UNITS)

    def group(self, rule: Rule = SPENT_100) -> UUID:
        given = f"G{next(self.bank.numbers)}", Purpose.REWARDED, Definition("Spenders", rule=rule)
        return self.bank.send(LIN, "defineCustomerGroup", {}, customer_groups.define, *given).subject

    def revise_group(self, group: UUID, rule: Rule) -> None:
        given = group, None, Definition("Spenders", rule=rule)
        self.bank.send(LIN, "reviseCustomerGroup", {}, customer_groups.revise, *given)

    def planned(
        self,
        frequency: Frequency = DAILY,
        group: UUID | None = None,
        timeframe: Timeframe = LAST_30_DAYS,
        **changes: Any,
    ) -> UUID:
        """An approved activity that rewards one group."""
        link = GroupLinkEntry(Chosen(group or self.group()), GroupRole.REWARDED, frequency, timeframe)
        type_ = self.bank.add_type(f"T{next(self.bank.numbers)}")
        activity = self.bank.draft(self.bank.plan(type_, groups=(link,), **changes))
        self.bank.approved(activity)
        return activity

    def launched(self, frequency: Frequency = DAILY, group: UUID | None = None, **changes: Any) -> UUID:
        activity = self.planned(frequency, group, **changes)
        self.bank.launch(activity)
        return activity

    def calendar(self, *days: CalendarDay) -> UUID:
        given = f"BC{next(self.bank.numbers)}", "Calendar", days
        return self.bank.send(LIN, "addBusinessCalendar", {}, business_calendars.add, *given).subject

    def mark(self, calendar: UUID, *days: CalendarDay, clear: Iterable[date] = ()) -> None:
        """The days are said anew, and the process does what it owes."""
        given = calendar, None, days, tuple(clear)
        self.bank.send(LIN, "reviseBusinessCalendar", {}, business_calendars.revise, *given)
        self.desk.move(calendar)

    def set_schedule(
        self,
        definition: UUID,
        frequency: Frequency = DAILY,
        strategy: BlockingStrategy = BlockingStrategy.DISCARD_LATER,
        timeframe: Timeframe | None = LAST_30_DAYS,
        values: Any = {},  # noqa: B006
    ) -> UUID:
        given = definition, frequency, strategy, timeframe, values
        use_case = run_schedules.set_for_definition
        return self.bank.send(LIN, "setSegmentSchedule", {}, use_case, *given).subject

    def withdraw_schedule(self, definition: UUID, *, by: Principal = LIN) -> None:
        use_case = run_schedules.withdraw_for_definition
        self.bank.send(by, "withdrawSegmentSchedule", {}, use_case, definition)

    # --- What the process does ---

    def schedule_of(self, activity: UUID) -> UUID:
        plan = self.bank.activity(activity).plan
        assert plan is not None
        return group_schedules.group_schedule(activity, plan.groups[0])

    def owed(self, schedule: UUID) -> Step | None:
        return next_step(self.schedule(schedule))

    def work_off(self, schedule: UUID) -> None:
        """Take every step that is owed by now, as the worker does."""
        while (step := self.owed(schedule)) is not None:
            assert step.task == FIRE_SCHEDULE
            if step.due_at is None or step.due_at > self.bank.now:
                return
            self.desk.fire(schedule)
            live = self.schedule(schedule).live
            if live is not None:
                assert next_step(self.extraction(live)) == Step(EXTRACT_GROUP)
                self.desk.extract(live)

    def until(self, schedule: UUID, now: datetime) -> None:
        """Move the clock, and let the process work."""
        self.bank.now = now
        self.work_off(schedule)

    # --- What came of it ---

    def schedule(self, id_: UUID) -> RunSchedule:
        return self.bank.log.load(SCHEDULE, id_).state

    def extraction(self, id_: UUID) -> GroupExtraction:
        return self.bank.log.load(EXTRACTION, id_).state

    def fired(self, schedule: UUID) -> list[RunScheduleFired]:
        return [event for event in self.bank.events(schedule) if isinstance(event, RunScheduleFired)]

    def extractions(self, schedule: UUID) -> list[UUID]:
        return [event.run for event in self.fired(schedule)]


def holiday(*day: int) -> CalendarDay:
    return CalendarDay(date(*day), DayKind.HOLIDAY, "holiday")


def workday(*day: int) -> CalendarDay:
    return CalendarDay(date(*day), DayKind.WORKDAY, "made up")
