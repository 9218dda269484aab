"""A log between whose reads something else happens: the rare moment of a race, every time."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from application.shared.records import Loaded
from domain.shared.decider import Decider
from infrastructure.event_log import EventLog


class Interrupted:
    """The log as it is; but once, right after `stream_id` was read, somebody else does something."""

    def __init__(self, log: EventLog, stream_id: UUID, meanwhile: Callable[[], object]) -> None:
        self._log, self._stream_id = log, stream_id
        self._meanwhile: Callable[[], object] | None = meanwhile

    def load(self, decider: Decider[Any, Any, Any], stream_id: UUID) -> Loaded[Any]:
        loaded = self._log.load(decider, stream_id)
        if stream_id == self._stream_id and self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return loaded

    def recall(self, *_: object) -> None:
        """Everything is read, for what is remembered can't be interrupted."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)
