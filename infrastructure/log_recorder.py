"""The log's table behind the recorder contract of the `eventsourcing` library."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
import psycopg
from eventsourcing.persistence import ApplicationRecorder, ListenNotifySubscription, Notification, StoredEvent
from eventsourcing.persistence import IntegrityError as RecorderIntegrityError
from psycopg_pool import ConnectionPool

from application.shared.records import AlreadyAnswered, Append, Conflict, InUse, Position
from infrastructure.stored_records import RECORDED, SELECTED, StoredRecord, stored

APPENDED = "select epoch, position from log.append(%s::jsonb)"
# A writing transaction that is still open may yet commit below later ones: readers stop beneath it.
HORIZON = """(epoch, position) < ((select max(epoch) from log.epochs),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 20)"""
FOLLOWED = (
    "select {columns} from log.events where (epoch, position) > (%s, %s) and {horizon}"
    " order by epoch, position limit %s"
)
STORED_AFTER = FOLLOWED.format(columns=SELECTED, horizon=HORIZON).encode()
RECORDED_AFTER = FOLLOWED.format(columns=RECORDED, horizon=HORIZON).encode()
NEWEST = f"select epoch, position from log.events where {HORIZON} order by epoch desc, position desc limit 1"
EPOCH_BITS = 63


class PositionInverted(Exception):
    """Another append took its position later but committed first: this one must be sent again."""


class LogRecorder(ApplicationRecorder):
    """Notification ids are positions as one number: epoch << 63 | offset."""

    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self.pool = pool

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """`append` among the keywords is the whole extension: command, guards, links."""
        records = [event for event in stored_events if isinstance(event, StoredRecord)]
        try:
            first = self.append(append_request(kwargs["append"], records))
        except Conflict as conflict:
            raise RecorderIntegrityError(str(conflict)) from conflict
        return [notification_id(first) + ordinal for ordinal in range(len(records))]

    def append(self, request: str) -> Position:
        """Raise Conflict, InUse, AlreadyAnswered or PositionInverted; nothing is recorded then."""
        try:
            with self.pool.connection() as connection:
                row = connection.execute(APPENDED, [request], prepare=True).fetchone()
        except psycopg.DatabaseError as error:
            refused = REFUSED.get(error.sqlstate or "")
            if refused is None:
                raise
            raise refused(str(error).split("\n", 1)[0]) from None
        assert row is not None
        return Position(*row)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        order = "desc" if desc else "asc"
        sql = (
            f"select {SELECTED} from log.events where stream_id = %s and version > %s and version <= %s"
            f" order by version {order} limit %s"
        )
        with self.pool.connection() as connection, connection.cursor(binary=True) as cursor:
            cursor.execute(sql.encode(), [originator_id, gt or 0, 2**31 - 1 if lte is None else lte, limit])
            return [stored(row) for row in cursor]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = position_of((start or 0) - (1 if inclusive_of_start else 0)) if start else Position(0, 0)
        found = [_notification(stored(row)) for row in self._after(STORED_AFTER, after, limit)]
        return [n for n in found if (not topics or n.topic in topics) and (stop is None or n.id <= stop)]

    def max_notification_id(self) -> int | None:
        with self.pool.connection() as connection:
            row = connection.execute(NEWEST.encode()).fetchone()
        return notification_id(Position(*row)) if row else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Any:
        return ListenNotifySubscription(self, gt=gt, topics=topics)

    def recorded_after(self, position: Position, limit: int) -> list[tuple[Any, ...]]:
        """Rows of `RECORDED` after a position, in position order, up to the horizon."""
        return self._after(RECORDED_AFTER, position, limit)

    def _after(self, sql: bytes, position: Position, limit: int) -> list[tuple[Any, ...]]:
        with self.pool.connection() as connection, connection.cursor(binary=True) as cursor:
            return cursor.execute(sql, [*position, limit], prepare=True).fetchall()


REFUSED: dict[str, type[Exception]] = {
    "CA001": Conflict,
    "CA002": AlreadyAnswered,
    "CA003": PositionInverted,
    "CA004": InUse,
}
"""What the errors that log.append raises on purpose mean."""


def notification_id(position: Position) -> int:
    return position.epoch << EPOCH_BITS | position.offset


def position_of(id_: int) -> Position:
    return Position(id_ >> EPOCH_BITS, id_ & (1 << EPOCH_BITS) - 1)


def append_request(append: Append, records: Sequence[StoredRecord]) -> str:
    """The one argument of log.append; streams in the order of their ids, so that no two appends deadlock."""
    last = {record.originator_id: (ordinal, record) for ordinal, record in enumerate(records)}
    streams = [
        {
            "id": write.stream_id,
            "type": write.stream_type,
            "version": write.version,
            "events": len(write.events),
            "last": last[write.stream_id][0],
            "previous_hash": write.previous_hash.hex(),
            "hash": last[write.stream_id][1].hash.hex(),
        }
        for write in append.writes
    ] + [
        {"id": guard.stream_id, "type": guard.stream_type, "version": guard.version, "events": 0}
        for guard in append.guards
    ]
    command = append.command
    request: dict[str, object] = {
        "command": {
            "principal": command.principal,
            "operation": command.operation,
            "key": command.key,
            "input_hash": command.input_hash.hex(),
            "command_id": append.context.command_id,
            "subject_id": append.subject,
            "version": append.subject_version,
        },
        "streams": sorted(streams, key=_id_of),
        "events": [record.members(ordinal) for ordinal, record in enumerate(records)],
    }
    if append.links:
        request["links"] = [
            {
                "user_id": links.user.id,
                "user_kind": links.user.kind,
                "user_label": links.user.label,
                "user_unit": links.user.org_unit,
                "used": f"{{{','.join(sorted(map(str, links.used)))}}}",
            }
            for links in append.links
        ]
    if append.unused:
        request["unused"] = list(append.unused)
    return orjson.dumps(request).decode()


def _id_of(stream: dict[str, Any]) -> bytes:
    id_: UUID = stream["id"]
    return id_.bytes


def _notification(event: StoredRecord) -> Notification:
    assert event.position is not None
    return Notification(
        event.originator_id,
        event.originator_version,
        event.topic,
        event.state,
        notification_id(event.position),
    )
