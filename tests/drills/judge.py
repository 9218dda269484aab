"""The judge: after a fault, whatever was acknowledged is there exactly once, and everything fits together."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg

from api.public_events import public_event
from application.shared.records import Position
from domain.budgets import DECIDER as BUDGET
from domain.budgets import budget_id
from domain.points_job_statuses import Status as JobStatus
from domain.points_jobs import DECIDER as JOB
from domain.segment_runs import DECIDER as RUN
from domain.stocks import DECIDER as STOCK
from domain.work_order_statuses import Status
from domain.work_orders import DECIDER as WORK_ORDER
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.log_verification import verify
from infrastructure.projection_parking import parked
from infrastructure.projection_rebuild import rebuild
from infrastructure.projection_status import status
from projections.registry import NAMES
from projections.shared.ids import shown_id
from tests.drills.load import Command, Load
from tests.drills.product import Product, until
from tests.drills.subscribers import Subscriber
from tests.drills.world import CUSTOMERS, POINTS, REJECTED
from tests.drills.world import STOCK as STOCK_TOTAL

Connection = psycopg.Connection[Any]
UNIT = 10**6
"""A stock counts in millionths."""
MOVEMENTS = {
    "reserveStock": "stock.reserved",
    "consumeStock": "stock.consumed",
    "releaseStock": "stock.released",
}

SETTLED_S = 240.0
STALLED_S = 3.0
LEASES_END = """
update tasks.message set leased_until = now() - interval '1 s'
where state = 'leased' and split_part(worker, ':', 2)::integer <> all(%s)
"""
LOOK_NOW = "update process.owed set look_at = now() where due_at <= now()"
ANSWERS = "select principal, operation, key, epoch, position from log.commands where key like 'key:%'"
CODES = "select data->>'code' from log.events where event_type = 'entry.added'"
AWARDS = (
    "select event_type, data->>'key' from log.events where stream_id = %s and event_type <> 'stock.opened'"
)
ENTRIES = """
select data->>'customer', (data->>'points')::bigint, data->>'job', data->>'name' from log.events
where event_type = 'points.posted'
"""
ACCOUNTS = "select customer, balance from read.points_accounts"
CONTRA = "select sum(credited - debited)::bigint from read.points_contra_accounts"
HAPPENED = "select event_type, stream_id from log.events where event_type = any(%s)"
LAST = "select epoch, position from log.events order by epoch desc, position desc limit 1"
ORPHANS = """
select 'head without events', h.stream_id::text from log.heads h
where h.version > 0 and not exists (select from log.events e where e.stream_id = h.stream_id)
union all
select 'use of nothing', u.used_id::text from log.uses u
where not exists (select from log.events e where e.stream_id = u.used_id)
union all
select 'answer without events', c.subject_id::text from log.commands c
where not exists (select from log.events e where e.stream_id = c.subject_id)
"""


@dataclass
class Judge:
    """`url` leads to the database where no fault is put in; `subscribers` have followed since `began`."""

    product: Product
    url: str
    load: Load
    subscribers: Sequence[Subscriber]
    began: Position

    def judge(self, *, with_rebuild: bool = False) -> None:
        """Nothing is under way but what the product still owes; that is awaited."""
        with pool(self.url, 4) as connections, psycopg.connect(self.url, autocommit=True) as connection:
            log = EventLog(connections)
            self._await_orders(log, connection)
            self._await_readers()
            self._require_acknowledged_once(connection)
            self._require_ledgers(log, connection)
            self._require_told()
            assert connection.execute(ORPHANS).fetchall() == []
        assert verify(self.url).faults == []
        assert parked(self.url) == []
        if with_rebuild:
            reports = [rebuild(self.url, name) for name in NAMES]
            assert [report for report in reports if not report.is_equal] == []

    def ask_again(self, commands: int) -> None:
        """The same commands under the same keys get the answers that they had."""
        asker = self.load.asker()
        try:
            for done in random.sample(self.load.tallies.acknowledged, commands):
                assert asker.sent(done.command).position == done.position
        finally:
            asker.close()

    # --- What is awaited ---

    def _await_orders(self, log: EventLog, connection: Connection) -> None:
        """Each scheduled order is completed. What failed is tried again by an operator; the time that leases
        of the dead and the watchdog's next look take is let pass at once, where nothing moves.
        """
        deadline_s, moved_s, last = time.monotonic() + SETTLED_S, time.monotonic(), None
        while waiting := [order for order in self._orders() if not self._is_completed(log, order)]:
            assert time.monotonic() < deadline_s, [self._standing(log, order) for order in waiting]
            if (now := connection.execute(LAST).fetchone()) != last:
                last, moved_s = now, time.monotonic()
            elif time.monotonic() - moved_s > STALLED_S:
                alive = [process.number for process in self.product.running]
                connection.execute(LEASES_END, [alive])
                connection.execute(LOOK_NOW)
                moved_s = time.monotonic()
            time.sleep(0.1)

    def _orders(self) -> list[UUID]:
        shown = {shown_id("work_order", order): order for order, _ in self.load.world.orders}
        return [shown[each.command.given["id"]] for each in self.load.tallies.of("scheduleWorkOrder")]

    def _is_completed(self, log: EventLog, id_: UUID) -> bool:
        order = log.load(WORK_ORDER, id_).state
        if order.status is Status.FAILED:
            self._retried("technologist", "retryWorkOrder", shown_id("work_order", id_))
        elif (
            order.points_job is not None and log.load(JOB, order.points_job).state.status is JobStatus.FAILED
        ):
            self._retried("operator", "retryPointsJob", shown_id("points_job", order.points_job))
        return order.status is Status.COMPLETED

    def _retried(self, user: str, mutation: str, id_: str) -> None:
        asker = self.load.asker()
        try:
            asker.sent(Command(user, mutation, f"{mutation} {uuid4().hex}", {"id": id_}))
        finally:
            asker.close()

    def _standing(self, log: EventLog, id_: UUID) -> str:
        order = log.load(WORK_ORDER, id_).state
        run = None if order.run is None else log.load(RUN, order.run).state
        job = None if order.points_job is None else log.load(JOB, order.points_job).state
        return f"{id_}: {order.status}, run {run and run.status}, job {job and job.status}"

    def _await_readers(self) -> None:
        until(lambda: all(each.lag_events == 0 for each in status(self.url)), "all is taken in")
        last = self._public()[-1][0]
        until(lambda: all(each.at >= last for each in self.subscribers), "all subscribers have heard of all")

    # --- What is asserted ---

    def _require_acknowledged_once(self, connection: Connection) -> None:
        """One answer for each key, the one that the client has; and one effect."""
        done = self.load.tallies.acknowledged
        rows = connection.execute(ANSWERS).fetchall()
        stored = {(user, operation, key): Position(*at) for user, operation, key, *at in rows}
        told = {(each.command.user, each.command.mutation, f"key:{each.command.key}"): each for each in done}
        assert len(told) == len(done)
        assert {key: stored.get(key) for key in told} == {key: each.position for key, each in told.items()}
        unknown = {key for key in stored.keys() - told.keys() if not key[1].startswith("retry")}
        assert unknown == set(), "all that was recorded under a key was acknowledged in the end"
        codes = Counter(code for (code,) in connection.execute(CODES).fetchall())
        ours = Counter(each.command.given["code"] for each in self.load.tallies.of("addCostType"))
        assert {code: codes[code] for code in ours} == dict(ours)
        awards = Counter(
            (kind, key) for kind, key in connection.execute(AWARDS, [self.load.world.stock]).fetchall()
        )
        assert awards == Counter(
            (event, each.command.given["key"])
            for mutation, event in MOVEMENTS.items()
            for each in self.load.tallies.of(mutation)
        )
        scheduled = Counter(self._orders())
        happened = Counter(connection.execute(HAPPENED, [["work_order.completed"]]).fetchall())
        assert happened == Counter({("work_order.completed", order): 1 for order in scheduled})

    def _require_ledgers(self, log: EventLog, connection: Connection) -> None:
        """Stock, budget and accounts: what is there is the sum of what was told."""
        stock = log.load(STOCK, self.load.world.stock).state.amounts
        quantity = {each.command.given["key"]: int(each.command.given["quantity"])
                    for each in self.load.tallies.of("reserveStock")}  # fmt: skip
        consumed = sum(quantity[each.command.given["key"]] for each in self.load.tallies.of("consumeStock"))
        released = sum(quantity[each.command.given["key"]] for each in self.load.tallies.of("releaseStock"))
        assert stock.consumed == consumed * UNIT
        assert stock.reserved == (sum(quantity.values()) - consumed - released) * UNIT
        assert stock.free == STOCK_TOTAL * UNIT - stock.consumed - stock.reserved
        entries = connection.execute(ENTRIES).fetchall()
        adjusted = Counter({each.command.key: 1 for each in self.load.tallies.of("adjustPoints")})
        assert Counter(name for _, _, job, name in entries if job is None) == adjusted
        posted = [(customer, points) for customer, points, job, _ in entries if job is not None]
        assert len(posted) == len(self._orders()) * (CUSTOMERS - REJECTED)
        assert {points for _, points in posted} <= {POINTS}
        balances: Counter[str] = Counter()
        for customer, points, *_ in entries:
            balances[customer] += points
        assert dict(connection.execute(ACCOUNTS).fetchall()) == dict(balances)
        budget = log.load(BUDGET, budget_id(self.load.world.activity)).state.amounts
        assert budget.total == budget.free + budget.reserved + budget.consumed
        assert budget.reserved == 0

    def _require_told(self) -> None:
        """Each subscriber was told of every event in the log's order, and of none twice."""
        expected = self._public()
        for each in self.subscribers:
            assert each.wrong == []
            assert [(told.position, told.version) for told in each.told] == expected

    def _public(self) -> list[tuple[Position, int]]:
        """All that subscribers may know of, by the log."""
        found, at = [], self.began
        with pool(self.url, 1) as connections:
            log = EventLog(connections)
            while records := log.follow(at, 1_000):
                found += [(each.position, each.version) for each in records if public_event(each) is not None]
                at = records[-1].position
        return found


def row_of(connection: Connection, sql: LiteralString) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row
