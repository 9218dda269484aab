"""Authorise, load, decide, append: the only way a command takes."""

import hashlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from application.access import Principal, authorise
from application.shared.approvable import ApprovalPolicy
from application.shared.business_time import DEFAULT_ZONE
from application.shared.identifiers import uuid7
from application.shared.records import AlreadyAnswered, CommandKey, Conflict, Context, Log, Receipt
from application.shared.turns import Turns
from application.shared.work import Work, version_conflict
from domain.shared.refusal import CommonRefusal, Refused, refuse_any
from domain.shared.text import holds_card_number, text_faults

UseCase = Callable[[Work], UUID]
"""Reads and decides through the work; returns the id of the stream that the command is about."""

ATTEMPTS_MAX = 8
TURN_ATTEMPTS_MAX = 100
PAUSE_MAX_S = 0.02
"""With turns only other processes come first: they are met soon again, and everybody is served."""
KEY_CHARACTERS_MAX = 255
REASON_CHARACTERS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Request:
    """One command as it came in. `input` is plain data; with `key`, the same input is answered once. `turn`
    is the stream that it waits its turn for, where many write to one at once.
    """

    principal: Principal
    operation: str
    input: object
    key: str | None = None
    expected_version: int | None = None
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    reason: str | None = None
    turn: UUID | None = None


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Handler:
    """`clock` is business time; a test moves it, recorded times stay the system's. `zone` is the bank's: it
    tells on which business date an instant falls.
    """

    log: Log
    clock: Callable[[], datetime] = system_clock
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    turns: Turns = field(default_factory=Turns)
    zone: ZoneInfo = DEFAULT_ZONE

    def look(self, principal: Principal) -> Work:
        """A work to read with, of which nothing is appended."""
        return Work(self.log, principal, self.clock(), self.policy, zone=self.zone)

    def __call__(self, request: Request, use_case: UseCase) -> Receipt:
        """Raise Forbidden, or Refused with all faults; nothing is recorded then."""
        authorise(request.principal, request.operation)
        refuse_any(text_faults(request.reason or "", REASON_CHARACTERS_MAX, "reason"))
        command_id = uuid7()
        command = _command_key(request, command_id)
        if request.key is not None and (receipt := self._repeated(command)):
            return receipt
        try:
            with self.turns.at(request.turn):
                return self._decided(request, command, command_id, use_case)
        except AlreadyAnswered:
            receipt = self._repeated(command)
            assert receipt is not None, "the log said that it has the answer"
            return receipt
        except Refused:
            # The same command may have been answered between the look-up and the decision.
            if request.key is not None and (receipt := self._repeated(command)):
                return receipt
            raise

    def _decided(self, request: Request, command: CommandKey, command_id: UUID, use_case: UseCase) -> Receipt:
        seen = request.expected_version
        most = ATTEMPTS_MAX if request.turn is None else TURN_ATTEMPTS_MAX
        for attempt in range(1, most + 1):
            work = replace(
                self.look(request.principal),
                expected_version=seen,
                is_fresh=attempt > 1 or seen is not None,
            )
            try:
                subject = use_case(work)
                assert seen is None or work.is_version_judged, f"{request.operation} overlooks the version"
                append = work.append(command, _context(request, command_id, work), subject)
                return self.log.append(append)
            except (Conflict, Refused) as declined:
                if work.recalled:
                    continue  # It rested on what this process remembered: look, then decide.
                if isinstance(declined, Refused):
                    raise
                # Who decided upon a version that he saw must look again; nobody decides for him.
                if seen is not None or attempt == most:
                    raise version_conflict() from None
                time.sleep(random.uniform(0, _pause_s(request, attempt)))
        raise AssertionError("unreachable")

    def _repeated(self, command: CommandKey) -> Receipt | None:
        answer = self.log.answer(command)
        if answer is None:
            return None
        if answer.input_hash != command.input_hash:
            raise Refused.because(CommonRefusal.KEY_REUSED)
        return answer.receipt


def _pause_s(request: Request, attempt: int) -> float:
    pause_s = 0.002 * 2.0 ** min(attempt, ATTEMPTS_MAX)
    return pause_s if request.turn is None else min(pause_s, PAUSE_MAX_S)


def _command_key(request: Request, command_id: UUID) -> CommandKey:
    key = request.key
    if key is not None and not (0 < len(key) <= KEY_CHARACTERS_MAX and key.isascii() and key.isprintable()):
        raise Refused.because(CommonRefusal.BAD_KEY, most=KEY_CHARACTERS_MAX)
    if key is not None and holds_card_number(key):
        # A client may make its keys of anything; a card number is kept nowhere.
        key = f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    given = json.dumps([request.input, request.expected_version], default=str, sort_keys=True)
    return CommandKey(
        principal=request.principal.user,
        operation=request.operation,
        key=str(command_id) if key is None else f"key:{key}",
        input_hash=hashlib.sha256(given.encode()).digest(),
    )


def _context(request: Request, command_id: UUID, work: Work) -> Context:
    return Context(
        actor=request.principal.user,
        on_behalf_of=request.principal.on_behalf_of,
        org_unit=work.org_unit,
        command_id=command_id,
        correlation_id=request.correlation_id or command_id,
        causation_id=request.causation_id,
        effective_at=work.now,
        reason=request.reason,
    )
