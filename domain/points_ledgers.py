"""Points ledgers: what a customer got and gave of one programme's points, one stream for each calendar year.

Double entry: each posting debits one account and credits another with the same points. Of these accounts only
the customer's is kept here; issuance, expiry and redemption are summed by projections, for they would be hot.
A stream ends with its year: its balance is carried into the next year's stream by the first posting there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.points_files import BUSINESS_TYPE, CARD, CUSTOMER, POINTS_MAX, PROGRAMME
from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import holds_card_number, name_faults, text_faults

# --- Values ---------------------------------------------------------------

LEDGERS = UUID("5b0b0c1e-3f5c-5c53-9a1e-0f9d5d0a7b21")
"""The namespace of ledger ids: for ever."""

FIRST_YEAR = 2026
"""There are no ledgers of earlier years."""

YEARS_BACK_MAX = 10
"""How many years may pass without a posting before a balance would be out of reach; expiry comes sooner."""

POSTINGS_MAX = 10_000
BALANCE_MAX = 10**15
KEYS_IN_BLOCK = 128
NAME_CHARACTERS_MAX = 120
REASON_CHARACTERS_MAX = 1_000


class Account(StrEnum):
    CUSTOMER = "customer"
    ISSUANCE = "issuance"
    EXPIRY = "expiry"
    REDEMPTION = "redemption"


class Origin(StrEnum):
    """SEGMENTATION: from the result of a segmentation. GENERAL: from anything else."""

    SEGMENTATION = "segmentation"
    GENERAL = "general"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose points of which programme: the account belongs to these two, not to a card."""

    programme: str
    customer: str


def ledger_name(programme: str, customer: str, year: int) -> str:
    """What the ledger's id is made of; none of the three holds a stroke."""
    return f"{programme}/{customer}/{year}"


def ledger_id(holder: Holder, year: int) -> UUID:
    """The stream of one holder and year."""
    return uuid5(LEDGERS, ledger_name(holder.programme, holder.customer, year))


def years_before(year: int) -> range:
    """The years whose ledgers may hold a balance to carry, the newest first."""
    return range(year - 1, max(FIRST_YEAR, year - YEARS_BACK_MAX) - 1, -1)


class LedgerRefusal(StrEnum):
    LEDGER_CLOSED = "ledger_closed"
    LEDGER_FULL = "ledger_full"
    OVERDRAWN = "overdrawn"
    NO_SUCH_ENTRY = "no_such_entry"
    ALREADY_REVERSED = "already_reversed"
    ZERO_POINTS = "zero_points"
    BAD_POSTING = "bad_posting"
    BAD_CONTRA = "bad_contra"
    NO_SUCH_CUSTOMER = "no_such_customer"
    CUSTOMERS_UNAVAILABLE = "customers_unavailable"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Post:
    """Signed `points` for the holder in `year`, by hand; `contra` is the other account.

    `opening` is what `Close` carried out of the year before, read in the same append.
    """

    posting_key: str
    holder: Holder
    year: int
    points: int
    contra: Account
    card: str
    lot: str
    value_date: date
    business_type: str
    name: str
    origin: Origin
    by: str = ""
    reason: str = ""
    opening: int = 0


@dataclass(frozen=True, slots=True)
class Reverse:
    """Post the counter-entry of `entry`, which is the posting `original`.

    It may stand in the ledger of an earlier year; then `is_reversed_elsewhere` tells whether the ledger of
    any year but this one holds its reversal already.
    """

    entry: UUID
    original: "PointsPosted"
    year: int
    value_date: date
    reason: str
    by: str
    opening: int = 0
    is_of_earlier_year: bool = False
    is_reversed_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class CarryForward:
    """The year is over: its balance goes to the ledger of `into`. `seals`: an empty one is ended as well."""

    into: int
    seals: bool = False


@dataclass(frozen=True, slots=True)
class CloseLedger:
    """The customer has left: nothing is posted any more."""

    reason: str
    by: str


Command = Post | Reverse | CarryForward | CloseLedger

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class PointsPosted:
    """One posting. `points` is positive: `debit` gives it, `credit` gets it. `balance` is the holder's after.

    `opening` is what the first posting of a year carries over. `posting_key` names the posting once for ever.
    """

    posting_key: str
    debit: Account
    credit: Account
    programme: str
    customer: str
    year: int
    points: int
    balance: int
    opening: int
    card: str
    lot: str
    value_date: date
    business_type: str
    name: str
    origin: Origin
    job: UUID | None = None
    line_number: int = 0
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PointsReversed:
    """The counter-entry of `entry`, whose posting key was `reversed_key`; the rest as in `PointsPosted`."""

    posting_key: str
    entry: UUID
    reversed_key: str
    debit: Account
    credit: Account
    programme: str
    customer: str
    year: int
    points: int
    balance: int
    opening: int
    card: str
    lot: str
    value_date: date
    business_type: str
    name: str
    origin: Origin
    job: UUID | None
    line_number: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class PointsCarriedForward:
    balance: int
    into: int


@dataclass(frozen=True, slots=True)
class PointsLedgerClosed:
    balance: int
    reason: str
    by: str


Event = PointsPosted | PointsReversed | PointsCarriedForward | PointsLedgerClosed


def signed_points(event: PointsPosted | PointsReversed) -> int:
    """What the posting adds to the customer's account."""
    return event.points if event.credit is Account.CUSTOMER else -event.points


# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    OPEN = "open"
    CARRIED = "carried"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PointsLedger:
    """`keys` are all posting keys of the stream, in blocks, so that a new one copies only the last block."""

    status: Status = Status.UNKNOWN
    holder: Holder | None = None
    balance: int = 0
    postings: int = 0
    keys: tuple[frozenset[str], ...] = ()

    def has(self, posting_key: str) -> bool:
        return any(posting_key in block for block in self.keys)


def evolve(ledger: PointsLedger, event: Event) -> PointsLedger:
    match event:
        case PointsPosted() | PointsReversed():
            return _posted(ledger, event)
        case PointsCarriedForward():
            return replace(ledger, status=Status.CARRIED)
        case PointsLedgerClosed():
            return replace(ledger, status=Status.CLOSED)
        case _:
            assert_never(event)


def _posted(ledger: PointsLedger, event: PointsPosted | PointsReversed) -> PointsLedger:
    *full, last = ledger.keys or (frozenset(),)
    if len(last) >= KEYS_IN_BLOCK:
        full, last = [*full, last], frozenset()
    keys = (*full, last | {event.posting_key})
    holder = Holder(event.programme, event.customer)
    return PointsLedger(Status.OPEN, holder, event.balance, ledger.postings + 1, keys)


def ledger_after(event: Event, version: int) -> PointsLedger:
    """The ledger whose newest event, the `version`th, this is; its holder and keys are left out.

    For bulk posting, which asks the log itself which of its lines are there.
    """
    match event:
        case PointsPosted() | PointsReversed():
            return PointsLedger(Status.OPEN, None, event.balance, version)
        case PointsCarriedForward() | PointsLedgerClosed():
            return evolve(PointsLedger(balance=event.balance, postings=version), event)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, ledger: PointsLedger) -> Sequence[Event]:
    match command:
        case Post():
            return _post(command, ledger)
        case Reverse():
            return _reverse(command, ledger)
        case CarryForward():
            return _carry_forward(command, ledger)
        case CloseLedger():
            return _close(command, ledger)
        case _:
            assert_never(command)


def _post(command: Post, ledger: PointsLedger) -> Sequence[Event]:
    if ledger.has(command.posting_key):
        return []
    assert ledger.status is Status.UNKNOWN or command.opening == 0, "only a first posting carries over"
    refuse_any([*_posting_faults(command), *room_faults(ledger, command.points, command.opening)])
    gets = command.points > 0
    return [
        PointsPosted(
            posting_key=command.posting_key,
            debit=command.contra if gets else Account.CUSTOMER,
            credit=Account.CUSTOMER if gets else command.contra,
            programme=command.holder.programme,
            customer=command.holder.customer,
            year=command.year,
            points=abs(command.points),
            balance=ledger.balance + command.opening + command.points,
            opening=command.opening,
            card=command.card,
            lot=command.lot,
            value_date=command.value_date,
            business_type=command.business_type,
            name=command.name,
            origin=command.origin,
            by=command.by,
            reason=command.reason,
        )
    ]


def reversal_key(posting_key: str) -> str:
    """A posting is reversed once, so its reversal's key follows from its own."""
    return f"reversal of {posting_key}"


def _reverse(command: Reverse, ledger: PointsLedger) -> Sequence[Event]:
    original, key = command.original, reversal_key(command.original.posting_key)
    if ledger.has(key) or command.is_reversed_elsewhere:
        raise Refused.because(LedgerRefusal.ALREADY_REVERSED, "id")
    if not (ledger.has(original.posting_key) or command.is_of_earlier_year):
        raise Refused.because(LedgerRefusal.NO_SUCH_ENTRY, "id")
    points = -signed_points(original)
    faults = [*name_faults(command.reason, REASON_CHARACTERS_MAX, "reason")]
    refuse_any([*faults, *room_faults(ledger, points, command.opening)])
    return [
        PointsReversed(
            posting_key=key,
            entry=command.entry,
            reversed_key=original.posting_key,
            debit=original.credit,
            credit=original.debit,
            programme=original.programme,
            customer=original.customer,
            year=command.year,
            points=original.points,
            balance=ledger.balance + command.opening + points,
            opening=command.opening,
            card=original.card,
            lot=original.lot,
            value_date=command.value_date,
            business_type=original.business_type,
            name=original.name,
            origin=original.origin,
            job=original.job,
            line_number=original.line_number,
            by=command.by,
            reason=command.reason,
        )
    ]


def _carry_forward(command: CarryForward, ledger: PointsLedger) -> Sequence[Event]:
    if ledger.status is Status.CARRIED or (ledger.status is Status.UNKNOWN and not command.seals):
        return []
    if ledger.status is Status.CLOSED:
        raise Refused.because(LedgerRefusal.LEDGER_CLOSED)
    return [PointsCarriedForward(ledger.balance, command.into)]


def _close(command: CloseLedger, ledger: PointsLedger) -> Sequence[Event]:
    if ledger.status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if ledger.status is not Status.OPEN:
        return []
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    return [PointsLedgerClosed(ledger.balance, command.reason, command.by)]


# --- Rules ----------------------------------------------------------------


def _posting_faults(command: Post) -> list[Fault]:
    faults = []
    if not CUSTOMER.fullmatch(command.holder.customer) or holds_card_number(command.holder.customer):
        faults.append(Fault(LedgerRefusal.BAD_POSTING, ("customer",)))
    if not PROGRAMME.fullmatch(command.holder.programme):
        faults.append(Fault(LedgerRefusal.BAD_POSTING, ("programme",)))
    if command.card and not CARD.fullmatch(command.card):
        faults.append(Fault(LedgerRefusal.BAD_POSTING, ("card",)))
    if not BUSINESS_TYPE.fullmatch(command.business_type):
        faults.append(Fault(LedgerRefusal.BAD_POSTING, ("business_type",)))
    if command.contra is Account.CUSTOMER:
        faults.append(Fault(LedgerRefusal.BAD_CONTRA, ("contra",)))
    if command.points == 0:
        faults.append(Fault(LedgerRefusal.ZERO_POINTS, ("points",)))
    elif abs(command.points) > POINTS_MAX:
        limits = {"least": str(-POINTS_MAX), "most": str(POINTS_MAX)}
        faults.append(Fault(CommonRefusal.OUT_OF_RANGE, ("points",), limits))
    if command.year < FIRST_YEAR:
        faults.append(Fault(CommonRefusal.OUT_OF_RANGE, ("year",), {"least": str(FIRST_YEAR), "most": "…"}))
    faults += name_faults(command.name, NAME_CHARACTERS_MAX, "name")
    judged = name_faults if command.origin is Origin.GENERAL else text_faults
    faults += judged(command.reason, REASON_CHARACTERS_MAX, "reason")  # by hand, nothing else tells why
    return faults


def room_faults(ledger: PointsLedger, points: int, opening: int = 0) -> list[Fault]:
    """Why the ledger has no room for so many signed points, with what is carried into it."""
    if ledger.status in (Status.CARRIED, Status.CLOSED):
        return [Fault(LedgerRefusal.LEDGER_CLOSED)]
    if ledger.postings >= POSTINGS_MAX:
        return [Fault(LedgerRefusal.LEDGER_FULL, (), {"most": str(POSTINGS_MAX)})]
    balance = ledger.balance + opening
    if balance + points < 0:
        return [Fault(LedgerRefusal.OVERDRAWN, ("points",), {"balance": str(balance)})]
    if balance + points > BALANCE_MAX:
        return [Fault(CommonRefusal.OUT_OF_RANGE, ("points",), {"least": "0", "most": str(BALANCE_MAX)})]
    return []


DECIDER: Decider[Command, PointsLedger, Event] = Decider("points_ledger", PointsLedger(), decide, evolve)
