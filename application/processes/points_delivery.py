"""Points delivery: a points job goes from step to step until its budget is settled, or somebody must look."""

from datetime import timedelta
from uuid import UUID

from application.points_pipeline import STEPS, PointsDesk
from application.processes.process import Process, Step
from domain import points_jobs
from domain.points_job_statuses import Status
from domain.points_jobs import PointsJob

DELIVER_POINTS = "deliver_points"
LOOK_AFTER_MIN = timedelta(seconds=0.25)
LOOK_AFTER_MAX = timedelta(minutes=1)


def next_step(job: PointsJob) -> Step | None:
    """One task takes whatever step comes next. A reconciliation that differs waits for a person.

    What he accepted still differs, and goes on.
    """
    waits = job.status is Status.POSTED and job.differing is not None
    return Step(DELIVER_POINTS) if job.status in STEPS and not waits else None


PROCESS = Process("points_delivery", {points_jobs.DECIDER.stream_type: points_jobs.DECIDER}, next_step)


def advance(desk: PointsDesk, job_id: UUID) -> timedelta | None:
    """Take the step that the job is at; when to look again, where the other side has not answered yet.

    Raise GatewayError, Conflict or Refused when the step can't be taken now.
    """
    job = desk.job(job_id)
    if next_step(job) is None:
        return None
    STEPS[job.status](desk, job_id)
    after = desk.job(job_id)
    if after.status is not Status.SENT or after.answer_by is None:
        return None
    waited = desk.handler.clock() - (after.answer_by - desk.answer_within)
    return min(max(waited / 10, LOOK_AFTER_MIN), LOOK_AFTER_MAX)
