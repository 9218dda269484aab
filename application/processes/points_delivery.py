"""Points delivery: a points job goes from step to step until its budget is settled, or somebody must look."""

from application.processes.process import Process, Step
from domain import points_jobs
from domain.points_jobs import PointsJob, Status

DELIVER_POINTS = "deliver_points"

OWED = (
    Status.OPENED,
    Status.RESERVED,
    Status.FILED,
    Status.RELEASED,
    Status.SENT,
    Status.ACKNOWLEDGED,
    Status.POSTED,
    Status.RECONCILED,
)


def next_step(job: PointsJob) -> Step | None:
    """One task takes whatever step comes next. A reconciliation that differs waits for a person."""
    if job.status not in OWED or job.differing is not None:
        return None
    return Step(DELIVER_POINTS)


PROCESS = Process("points_delivery", {points_jobs.DECIDER.stream_type: points_jobs.DECIDER}, next_step)
