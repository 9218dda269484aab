"""Erasures done again after a restore: in a database, keys or files that came back, nobody else does.

The list of erasures is kept twice, by the keys' file and by the log, and a restore may have set back either:
who stands in one of them is erased.
"""

from dataclasses import dataclass
from uuid import UUID

from application.shared.person_traces import PersonTraces, Swept
from domain.erasures import ErasureCompleted, ErasureRequested
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.person_keys import PersonKeys

STREAMS = b"select stream_id from log.heads where stream_type = 'erasure' order by stream_id"
ABOUT = b"""
    select distinct on (stream_id) stream_id, stream_type from log.events
    where personal_key_id = any(%s) order by stream_id"""


@dataclass(frozen=True, slots=True)
class Replayed:
    persons: int
    swept: Swept


def replay(url: str, keys: PersonKeys, traces: PersonTraces) -> Replayed:
    """Destroy every key that was destroyed, sweep, and fold anew what told of these persons."""
    with pool(url, 1) as connections:
        log = EventLog(connections)
        with connections.connection() as connection:
            streams = [stream for (stream,) in connection.execute(STREAMS)]
        for stream in streams:
            _replay_one(log, keys, traces, stream)
        gone = keys.erased_keys()
        with connections.connection() as connection:
            about = connection.execute(ABOUT, [list(gone)]).fetchall()
    swept = traces.sweep() if gone else Swept()
    for stream_id, stream_type in about:
        traces.fold_anew(stream_type, stream_id)
    return Replayed(len(gone), swept)


def _replay_one(log: EventLog, keys: PersonKeys, traces: PersonTraces, stream: UUID) -> None:
    """What the log says is done, where the keys come from before it."""
    asked: ErasureRequested | None = None
    for record in log.records(stream):
        if isinstance(record.event, ErasureRequested):
            asked = record.event
        if isinstance(record.event, ErasureCompleted) and asked is not None and asked.person:
            if asked.user is None:
                keys.erase(asked.key, traces.names(asked.person))
            else:
                traces.forget_user(asked.person)
                keys.erase(asked.key, ())
