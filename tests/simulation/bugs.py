"""Bugs that people make, as patches of the real code or of what stands for the broker: each must be found."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock
from uuid import UUID

from application import points_pipeline
from application.processes.process import Process, Step
from domain import segment_runs
from tests.application.points_world import Counterpart
from tests.simulation.memory_log import MemoryLog
from tests.simulation.world import Simulation

Bug = Callable[[], AbstractContextManager[Any]]


deliver, follow, cost_of = Simulation._deliver, Simulation._follow, points_pipeline.cost_of
enqueue = Simulation._enqueue


def _no_lease(self: Simulation) -> bool:
    """A task is acknowledged when it is fetched, not when it is done: the watchdog's to make good."""
    before = self.tasks.copy()
    found = deliver(self)
    self.tasks = [task for task in self.tasks if task in before or task.tries or self.is_calm]
    return found


def _unheeded(
    self: Simulation, process: Process, stream: UUID, version: int, step: Step, driven: int
) -> None:
    if not step.is_begun:
        enqueue(self, process, stream, version, step, driven)


@contextmanager
def _begun_and_lost() -> Iterator[None]:
    """Who has begun dies with his task, and nobody misses him."""
    with (
        mock.patch.object(Simulation, "_deliver", _no_lease),
        mock.patch.object(Simulation, "_enqueue", _unheeded),
    ):
        yield


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


BUGS: dict[str, Bug] = {
    "what is posted is not looked for": lambda: mock.patch.object(MemoryLog, "recorded", _posted_blindly),
    "a file goes out whatever becomes of the order": lambda: mock.patch.object(
        points_pipeline, "may_release", return_value=True
    ),
    "a reservation is not confirmed": lambda: mock.patch.object(points_pipeline, "_confirm"),
    "a file that was taken counts as withdrawn": lambda: mock.patch.object(
        Counterpart, "withdraw", return_value=True
    ),
    "the watchdog sleeps": lambda: mock.patch.object(Simulation, "_watch"),
    "the checkpoint comes before the tasks": lambda: mock.patch.object(Simulation, "_follow", _forgetful),
    "what is begun and lost is not driven again": _begun_and_lost,
    "the log does not compare versions": lambda: mock.patch.object(MemoryLog, "_require"),
    "a hand-over is not repeated": lambda: mock.patch.object(
        segment_runs, "OVER", (segment_runs.Status.SUCCEEDED,)
    ),
    "a job is settled by more than was posted": lambda: mock.patch.object(
        points_pipeline, "cost_of", lambda points, terms: cost_of(points + 100, terms)
    ),
}
