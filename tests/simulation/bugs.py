"""Bugs that people make, as patches of the real code or of what stands for the broker: each must be found."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from application import points_pipeline
from application.processes import points_delivery, work_order_execution
from application.shared.handler import Handler
from domain import segment_runs
from domain.points_job_statuses import Status as JobStatus
from tests.application.points_world import Counterpart
from tests.simulation.memory_log import MemoryLog
from tests.simulation.world import Simulation, Task

Bug = Callable[[], AbstractContextManager[Any]]


def _no_lease(self: Simulation) -> bool:
    """A task is acknowledged when it is fetched, not when it is done."""
    kept = self.tasks.copy()
    found = deliver(self)
    fetched = [task for task in kept if task not in self.tasks]
    self.tasks = [task for task in self.tasks if task.name not in {f.name for f in fetched} or task in kept]
    return found


deliver = Simulation._deliver
follow = Simulation._follow


def _forgetful(self: Simulation) -> bool:
    """The checkpoint is kept, and the tasks are lost when the process dies in between."""
    before, owed = self.tasks.copy(), self.owed.copy()
    found = follow(self)
    if not self.is_calm and self.dice.random() < 0.1:
        self.tasks, self.owed = before, owed
    return found


def _posted_blindly(self: MemoryLog, *_: object) -> frozenset[Any]:
    del self
    return frozenset()


def _said_again(handler: Handler, *_: object) -> None:
    del handler


def _next_step_too_early(job: Any) -> Any:
    """A reconciliation that waits for the answer is not waited for: the file is sent, and that is that."""
    return None if job.status is JobStatus.SENT else points_delivery_step(job)


points_delivery_step = points_delivery.next_step

BUGS: dict[str, Bug] = {
    "what is posted is not looked for": lambda: mock.patch.object(MemoryLog, "recorded", _posted_blindly),
    "a file goes out whatever becomes of the order": lambda: mock.patch.object(
        points_pipeline, "may_release", return_value=True
    ),
    "a reservation is not confirmed": lambda: mock.patch.object(points_pipeline, "_confirm"),
    "a file that was taken counts as withdrawn": lambda: mock.patch.object(
        Counterpart, "withdraw", lambda self, name: self.withdrawn.add(name) or True
    ),
    "the watchdog sleeps": lambda: mock.patch.object(Simulation, "_watch"),
    "the checkpoint comes before the tasks": lambda: mock.patch.object(Simulation, "_follow", _forgetful),
    "a task is acknowledged when it is fetched": lambda: mock.patch.object(Simulation, "_deliver", _no_lease),
    "the log does not compare versions": lambda: mock.patch.object(MemoryLog, "_require"),
    "a hand-over is not repeated": lambda: mock.patch.object(
        segment_runs, "OVER", (segment_runs.Status.SUCCEEDED,)
    ),
    "a job is settled by what was reserved": lambda: mock.patch.object(
        points_pipeline, "cost_of", lambda points, terms: cost_of(points + 1, terms)
    ),
    "an order is handed over while its cancellation waits": lambda: mock.patch.object(
        work_order_execution, "may_hand_over", return_value=True, create=True
    ),
}
cost_of = points_pipeline.cost_of
del Task, _said_again
