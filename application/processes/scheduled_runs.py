"""Scheduled runs: what is due is fired, groups are extracted, a changed calendar moves what goes by it."""

from dataclasses import dataclass
from uuid import UUID

from application import business_calendars, group_extractions, run_schedules
from application.access import HEAD_OFFICE, Permission, Principal
from application.processes.process import Process, Step
from application.shared.engines import Engine
from application.shared.handler import Handler, Request
from domain import business_calendars as calendars
from domain import group_extractions as extractions
from domain import run_schedules as schedules
from domain.business_calendars import BusinessCalendar
from domain.group_extractions import GroupExtraction
from domain.run_schedules import RunSchedule

FIRE_SCHEDULE = "fire_run_schedule"
EXTRACT_GROUP = "extract_group"
MOVE_SCHEDULES = "move_schedules"
SYSTEM_USER = "system:scheduler"
SCHEDULES_MAX = 100_000


def next_step(state: RunSchedule | GroupExtraction | BusinessCalendar) -> Step | None:
    """An extraction that a worker has begun is that worker's."""
    match state:
        case RunSchedule():
            return None if state.next_at is None else Step(FIRE_SCHEDULE, state.next_at)
        case GroupExtraction(status=extractions.Status.QUEUED):
            return Step(EXTRACT_GROUP)
        case GroupExtraction():
            is_begun = state.status is extractions.Status.RUNNING
            return Step(EXTRACT_GROUP, is_begun=True) if is_begun else None
        case BusinessCalendar():
            return Step(MOVE_SCHEDULES) if state.moved < state.revision else None


PROCESS = Process(
    "scheduled_runs",
    {each.stream_type: each for each in (schedules.DECIDER, extractions.DECIDER, calendars.DECIDER)},
    next_step,
)


@dataclass(frozen=True, slots=True)
class ScheduleDesk:
    """What the steps work with: they see every unit, and do what nobody's role allows."""

    handler: Handler
    engine: Engine
    units: frozenset[str]

    def principal(self) -> Principal:
        allowed = frozenset({Permission.SCHEDULES_PERFORM})
        return Principal(SYSTEM_USER, frozenset(), HEAD_OFFICE, self.units, system_permissions=allowed)

    def fire(self, schedule_id: UUID) -> None:
        """Use up the time that is due; before it, or when another did, nothing. Raise Refused to wait."""
        request = Request(self.principal(), "fireRunSchedule", {"id": str(schedule_id)})
        self.handler(request, lambda work: run_schedules.fire(work, schedule_id))

    def extract(self, extraction_id: UUID) -> None:
        """Perform an extraction."""
        group_extractions.execute(self.handler, self.engine, extraction_id, self.units)

    def move(self, calendar_id: UUID) -> None:
        """Move all schedules that go by the calendar; what is set meanwhile has read it as it is now."""
        revision = self.handler.log.load(calendars.DECIDER, calendar_id).state.revision
        for user in self.handler.log.users(calendar_id, SCHEDULES_MAX):
            if user.kind == schedules.DECIDER.stream_type:
                self._move(user.id)
        request = Request(self.principal(), "moveSchedules", {"id": str(calendar_id)})
        self.handler(request, lambda work: business_calendars.record_moves(work, calendar_id, revision))

    def _move(self, schedule_id: UUID) -> None:
        request = Request(self.principal(), "moveSchedules", {"id": str(schedule_id)})
        self.handler(request, lambda work: run_schedules.move(work, schedule_id))
