"""Which events are owed to which endpoints: each endpoint follows the log from a position of its own.

One leader at a time. It moves an endpoint's position in the transaction that queues what it passed, so
nothing is left out and nothing is queued twice; an endpoint that is switched off, or is owed too much, stands
still.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import psycopg

from application.access import Principal
from application.shared.records import Position, Record
from application.webhook_endpoints import gets, recipient
from domain.webhook_contents import selects
from domain.webhook_endpoints import (
    DECIDER,
    WebhookEndpoint,
    WebhookEndpointApproved,
    WebhookEndpointDeleted,
    WebhookEndpointEnabled,
    WebhookReplayRequested,
    WebhookResendRequested,
)
from infrastructure.event_log import EventLog
from infrastructure.process_runner import FOLLOWED

BATCH_MAX = 500
FOLLOWED_MAX = 5_000
OWED_MAX = 10_000
NAME = "webhooks"

LEAD = "select pg_try_advisory_lock(hashtextextended('webhooks', 0))"
START = "insert into webhook.checkpoint (name) values (%s) on conflict do nothing"
RESUME = "select epoch, position from webhook.checkpoint where name = %s"
ADVANCE = (
    "update webhook.checkpoint set epoch = %s, position = %s where name = %s and (epoch, position) = (%s, %s)"
)
KNOW = """
insert into webhook.endpoints (id, org_unit, is_on, epoch, position) values (%s, %s, %s, %s, %s)
on conflict (id) do update set is_on = excluded.is_on
"""
SWITCH = "update webhook.endpoints set is_on = %s where id = %s"
GO_BACK = """
update webhook.endpoints set epoch = %(epoch)s, position = %(position)s
where id = %(id)s and (epoch, position) > (%(epoch)s, %(position)s)
"""
ALL_DUE = "update webhook.lines set due_at = now(), failures = 0 where endpoint_id = %s and lease is null"
NONE_DUE = "update webhook.lines set due_at = 'infinity' where endpoint_id = %s and lease is null"
DROP = """
update webhook.deliveries set status = 'dropped', ended_at = now()
where endpoint_id = %s and status = 'pending'
"""
DROP_LINES = "delete from webhook.lines where endpoint_id = %s and lease is null"
AGAIN = """
update webhook.deliveries set status = 'pending', ended_at = null, retry_at = null
where endpoint_id = %s and event_id = %s returning stream_id
"""
DUE = """
insert into webhook.lines as l (endpoint_id, stream_id) values (%s, %s)
on conflict (endpoint_id, stream_id) do update
set due_at = case when l.lease is null then now() else l.due_at end, failures = 0
"""
READERS = """
select epoch, position, array_agg(id) from webhook.endpoints where is_on group by 1, 2 order by 1, 2
"""
OWED = """
select count(*) from (
    select from webhook.deliveries where endpoint_id = %s and status = 'pending' limit %s) owed
"""
QUEUE = """
insert into webhook.deliveries
    (id, endpoint_id, org_unit, event_id, stream_id, version, epoch, position, event_type)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (endpoint_id, event_id) do update set status = 'pending', ended_at = null
"""
# The update that changes nothing waits for whoever is about to delete the line.
LINE = """
insert into webhook.lines as l (endpoint_id, stream_id) values (%s, %s)
on conflict (endpoint_id, stream_id) do update set due_at = l.due_at
"""
PASS = """
update webhook.endpoints set epoch = %s, position = %s where id = %s and (epoch, position) = (%s, %s)
"""

TypeOf = Callable[[Record[Any]], str | None]
"""The public type of an event; None for what is never sent."""


class Superseded(Exception):
    """Another leader moved the checkpoint: start over from there."""


@dataclass(frozen=True, slots=True)
class Reader:
    id: UUID
    endpoint: WebhookEndpoint
    principal: Principal


class WebhookQueue:
    """In one session. Not thread-safe."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        log: EventLog,
        type_of: TypeOf,
        units: frozenset[str],
        owed_max: int = OWED_MAX,
    ) -> None:
        self._connection, self._log, self._type_of, self._units = connection, log, type_of, units
        self._owed_max = owed_max
        self._followed = Position(0, 0)

    def lead(self) -> bool:
        """Take the lead, which lasts as long as the session; False while somebody else has it."""
        if self._connection.execute(LEAD).fetchone() != (True,):
            return False
        self._connection.execute(START, [NAME])
        self.resume()
        return True

    def resume(self) -> None:
        row = self._connection.execute(RESUME, [NAME]).fetchone()
        assert row is not None
        self._followed = Position(*row)

    def step(self) -> bool:
        """Follow one batch, for endpoints themselves and then for those who read. Raise Superseded,
        psycopg.Error, UnknownEvent.
        """
        followed = self._follow_endpoints()
        readers = self._connection.execute(READERS).fetchall()
        queued = [self._read(Position(epoch, offset), ids) for epoch, offset, ids in readers]
        return followed or any(queued)

    # --- What is said of endpoints ---

    def _follow_endpoints(self) -> bool:
        rows = self._connection.execute(FOLLOWED, [*self._followed, FOLLOWED_MAX]).fetchall()
        if not rows:
            return False
        end = Position(*rows[-1][3:])
        with self._connection.transaction():
            moved = self._connection.execute(ADVANCE, [*end, NAME, *self._followed])
            if moved.rowcount != 1:
                raise Superseded
            for stream_id, stream_type, version, _, _ in rows:
                if stream_type == DECIDER.stream_type:
                    *_, record = self._log.records(stream_id, version)
                    self._heed(record)
        self._followed = end
        return True

    def _heed(self, record: Record[Any]) -> None:
        """Whether it is on is read off the state as it is now, which may be further than the record."""
        id_, execute = record.stream_id, self._connection.execute
        endpoint = self._log.load(DECIDER, id_).state
        match record.event:
            case WebhookEndpointApproved():
                execute(KNOW, [id_, endpoint.org_unit, endpoint.is_sent_to, *record.position])
            case WebhookReplayRequested(after=after):
                position = Position.parse(after)
                execute(GO_BACK, {"id": id_, "epoch": position.epoch, "position": position.offset})
            case WebhookResendRequested(event=event):
                for (stream_id,) in execute(AGAIN, [id_, event]).fetchall():
                    execute(DUE, [id_, stream_id])
            case WebhookEndpointDeleted():
                execute(DROP, [id_])
                execute(DROP_LINES, [id_])
            case WebhookEndpointEnabled():
                execute(ALL_DUE, [id_])
        execute(SWITCH, [endpoint.is_sent_to, id_])
        if not endpoint.is_sent_to:
            execute(NONE_DUE, [id_])

    # --- What endpoints are owed ---

    def _read(self, after: Position, ids: Sequence[UUID]) -> bool:
        """One batch for the endpoints that stand at the same position."""
        records = self._log.follow(after, BATCH_MAX)
        if not records:
            return False
        types = [(record, self._type_of(record)) for record in records]
        passed = [self._pass(self._reader(id_), after, types) for id_ in ids]
        return any(passed)

    def _reader(self, id_: UUID) -> Reader:
        endpoint = self._log.load(DECIDER, id_).state
        return Reader(id_, endpoint, recipient(endpoint, self._units))

    def _pass(
        self, reader: Reader, after: Position, records: Sequence[tuple[Record[Any], str | None]]
    ) -> bool:
        """Queue what the endpoint gets, as far as it has room; False where it stands still."""
        content = reader.endpoint.approved
        if content is None or not reader.endpoint.is_sent_to:
            return False
        row = self._connection.execute(OWED, [reader.id, self._owed_max]).fetchone()
        assert row is not None
        room, end, owed = self._owed_max - row[0], after, list[tuple[Record[Any], str]]()
        for record, type_ in records:
            is_seen = gets(reader.principal, record.stream_type, record.context.org_unit)
            if type_ is not None and is_seen and selects(content, type_):
                if len(owed) >= room:
                    break
                owed.append((record, type_))
            end = record.position
        if end == after:
            return False
        with self._connection.transaction():
            moved = self._connection.execute(PASS, [*end, reader.id, *after])
            if moved.rowcount == 1:  # else it was sent back meanwhile
                self._queue(reader, owed)
        return True

    def _queue(self, reader: Reader, owed: Sequence[tuple[Record[Any], str]]) -> None:
        rows = [
            (
                uuid5(reader.id, str(record.event_id)),
                reader.id,
                reader.endpoint.org_unit,
                record.event_id,
                record.stream_id,
                record.version,
                *record.position,
                type_,
            )
            for record, type_ in owed
        ]
        lines = sorted({record.stream_id for record, _ in owed})
        if rows:
            with self._connection.cursor() as cursor:
                cursor.executemany(QUEUE, rows)
                cursor.executemany(LINE, [(reader.id, stream_id) for stream_id in lines])
