"""What holds after every action, and what must have come about in the end."""

from collections import Counter
from typing import TYPE_CHECKING

from domain.points_job_statuses import Status as JobStatus
from domain.points_job_terms import cost_of
from domain.points_jobs import PointsJobReleased
from domain.points_ledgers import DECIDER as LEDGER
from domain.points_ledgers import PointsPosted
from domain.work_order_statuses import Status
from domain.work_orders import DECIDER as ORDER

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

LINES = 5


def rejected(name: str) -> list[int]:
    """The lines of a file that the points system rejects."""
    return [number for number in range(1, LINES + 1) if (int(name[-5]) + number) % 7 == 0]


OVER = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


def check(sim: "Simulation") -> None:
    """Never, not even for a moment, is more given than there is, or anything given twice."""
    amounts = sim.budget().amounts
    assert amounts.consumed >= 0, amounts
    assert amounts.consumed + amounts.reserved <= amounts.total, amounts
    assert amounts.free >= 0, amounts


def check_end(sim: "Simulation") -> None:
    """In the end each order is over, and ledgers, budget, files and answers say the same."""
    check(sim)
    orders = {id_: sim.log.load(ORDER, id_).state for id_ in sim.base.orders}
    assert all(order.status in OVER for order in orders.values()), [o.status for o in orders.values()]
    jobs = sim.jobs()
    settled = {id_: job for id_, job in jobs.items() if job.status is JobStatus.SETTLED}
    over = (JobStatus.SETTLED, JobStatus.FAILED, JobStatus.WITHDRAWN)
    assert all(job.status in over for job in jobs.values()), [job.status for job in jobs.values()]
    postings = [
        event
        for records in sim.log.streams.values()
        for _, event in records
        if isinstance(event, PointsPosted)
    ]
    assert max(Counter(event.posting_key for event in postings).values(), default=1) == 1, "posted twice"
    accepted = Counter[str]()
    for job in settled.values():
        name = job.has.header.file_name
        refused = rejected(name)
        accepted.update(
            {line.customer: line.points for line in sim.system.lines(name) if line.number not in refused}
        )
    posted = Counter[str]()
    for event in postings:
        posted[event.customer] += event.points
    assert posted == accepted, "the ledgers have what was accepted, and nothing else"
    assert sim.system.files.keys() >= {job.has.header.file_name for job in settled.values()}
    budget = sim.budget().amounts
    costs = [cost_of(job.posted.points, job.has.terms) for job in settled.values() if job.posted]
    assert budget.consumed == sum(cost.amount_minor for cost in costs if cost), budget
    assert budget.reserved == 0, budget
    _check_orders(sim, orders, jobs)
    _check_releases(sim)
    _check_streams(sim)


def _check_orders(sim: "Simulation", orders: dict, jobs: dict) -> None:  # type: ignore[type-arg]
    by_order = Counter(job.has.cause.work_order for job in jobs.values() if job.status is JobStatus.SETTLED)
    for id_, order in orders.items():
        assert by_order[id_] == (order.status is Status.COMPLETED), (order.status, by_order[id_])
    files = {job.has.header.file_name: job for job in jobs.values()}
    taken = [name for name in sim.system.files if name not in sim.system.withdrawn]
    assert all(files[name].status is JobStatus.SETTLED for name in taken), "who took a file has been paid"


def _check_releases(sim: "Simulation") -> None:
    """When its file was released, the work order stood."""
    for records in sim.log.streams.values():
        for record, event in records:
            if isinstance(event, PointsJobReleased):
                opened = records[0][1]
                assert record.position is not None
                assert opened.cause.work_order is not None
                before = (
                    told
                    for other, told in sim.log.streams[opened.cause.work_order]
                    if other.position is not None and other.position < record.position
                )
                order = ORDER.fold(before, ORDER.initial)
                assert order.status is Status.EXECUTING, order.status


def _check_streams(sim: "Simulation") -> None:
    """No holes, chains whole, and a state is what its events say."""
    for records in sim.log.streams.values():
        previous = bytes(32)
        for version, (record, _) in enumerate(records, start=1):
            assert (record.originator_version, record.previous_hash) == (version, previous)
            assert record.recomputed_hash() == record.hash
            previous = record.hash
        if records[0][0].stream_type == LEDGER.stream_type:
            state = LEDGER.fold((event for _, event in records), LEDGER.initial)
            assert state.balance == sum(event.points for _, event in records)
