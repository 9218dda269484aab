"""Erasing: what two people have decided is done by a worker, step by step, each of which may come again."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from application import erasures
from application.access import HEAD_OFFICE, Permission, Principal
from application.processes.process import Process, Step
from application.shared.handler import Handler, Request
from application.shared.key_keepers import PersonKeeper
from application.shared.person_traces import PersonTraces
from domain.erasures import DECIDER, Erasure, PersonKind, Status
from domain.shared.persons import ERASED

ERASE_PERSON = "erase_person"
SYSTEM_USER = "system:worker"
LOOK_AGAIN = timedelta(minutes=1)


def next_step(erasure: Erasure) -> Step | None:
    """It is owed from the yes until it is done."""
    return Step(ERASE_PERSON) if erasure.status is Status.APPROVED else None


PROCESS = Process("erasing", {DECIDER.stream_type: DECIDER}, next_step)


@dataclass(frozen=True, slots=True)
class ErasureDesk:
    """What an erasure works with."""

    handler: Handler
    keeper: PersonKeeper
    traces: PersonTraces
    units: frozenset[str]

    def erase(self, id_: UUID) -> timedelta | None:
        """Erase the person, and report it; when to look again, where his points must arrive first.

        From the moment that his key is gone the list of erasures names him, so whoever comes after a crash
        needs not know who he was to finish.
        """
        erasure = self.handler.log.load(DECIDER, id_).state
        if erasure.status is not Status.APPROVED:
            return None
        assert erasure.key is not None
        also: tuple[str, ...] = ()
        if erasure.kind is PersonKind.CUSTOMER and erasure.person != ERASED:
            if self.traces.is_under_way(erasure.person):
                return LOOK_AGAIN
            also = tuple(self.traces.names(erasure.person))
        if erasure.kind is PersonKind.USER and erasure.person != ERASED:
            self.traces.forget_user(erasure.person)
        self.keeper.erase(erasure.key, also)
        swept = self.traces.sweep()
        self.traces.fold_anew(DECIDER.stream_type, id_)
        if erasure.user is not None:
            self.traces.fold_anew("user", erasure.user)
        request = Request(_system(self.units), "completeErasure", {"id": str(id_)})
        self.handler(request, partial(erasures.complete, id_=id_, rows=swept.rows, files=swept.files))
        return None


def _system(units: frozenset[str]) -> Principal:
    allowed = frozenset({Permission.PERSONS_FORGET})
    return Principal(SYSTEM_USER, frozenset(), HEAD_OFFICE, units, system_permissions=allowed)
