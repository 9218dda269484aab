"""The use cases of points ledgers: adjustments and reversals by hand; the old year's balance goes along."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from application import points_jobs
from application.access import visible
from application.shared.engines import RunFailed
from application.shared.identifiers import uuid7
from application.shared.work import Work
from domain.points_ledgers import (
    DECIDER,
    Account,
    CarryForward,
    CloseLedger,
    Holder,
    LedgerRefusal,
    Origin,
    PointsPosted,
    Post,
    Reverse,
    Status,
    ledger_id,
    reversal_key,
    years_before,
)
from domain.shared.refusal import CommonRefusal, Refused

SEALING_DAYS = 7
"""So long into a year, a customer's ledger of the year before is sealed also where it is empty, so that
nobody who began before midnight opens it after its successor."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """General points by hand: signed, against `contra`."""

    programme: str
    customer: str
    points: int
    business_type: str
    name: str
    reason: str = ""
    card: str = ""
    contra: Account = Account.ISSUANCE


Knows = Callable[[str], bool]
"""Whether the warehouse has the customer among those that the principal reaches. Raises RunFailed."""


def adjust(work: Work, given: Adjustment, knows: Knows | None = None) -> UUID:
    """One posting of general points; the ledger of this year that holds it.

    The first one of a holder opens his account, for a customer that the warehouse `knows`: a slip of the pen
    must not make another. Without a warehouse nobody can tell.
    """
    holder, today = Holder(given.programme, given.customer), work.today
    ledger = ledger_id(holder, today.year)
    is_new = not _require_sight(work, holder, today)
    work.require_version(DECIDER, ledger)
    command = Post(
        posting_key=f"adjustment {uuid7().hex}",
        holder=holder,
        year=today.year,
        points=given.points,
        contra=given.contra,
        card=given.card,
        lot=f"{today.year}",
        value_date=today,
        business_type=given.business_type,
        name=given.name,
        origin=Origin.GENERAL,
        by=work.principal.user,
        reason=given.reason,
        opening=_opening(work, holder, today),
    )
    work.decide(DECIDER, ledger, command)
    if is_new and knows is not None:
        _require_customer(given.customer, knows)
    return ledger


def _require_customer(customer: str, knows: Knows) -> None:
    try:
        is_known = knows(customer)
    except RunFailed:
        raise Refused.because(LedgerRefusal.CUSTOMERS_UNAVAILABLE, "customer") from None
    if not is_known:
        raise Refused.because(LedgerRefusal.NO_SUCH_CUSTOMER, "customer")


def reverse(work: Work, ledger: UUID, entry: UUID, reason: str) -> UUID:
    """The counter-entry of one posting, in this year's ledger; the ledger that holds it.

    What a campaign paid for comes back to its budget in the same append.
    """
    original = _original(work, ledger, entry)
    holder, today = Holder(original.programme, original.customer), work.today
    now = ledger_id(holder, today.year)
    work.require_version(DECIDER, now)
    others = [ledger_id(holder, year) for year in range(original.year, today.year)]
    key = reversal_key(original.posting_key)
    command = Reverse(
        entry=entry,
        original=original,
        year=today.year,
        value_date=today,
        reason=reason,
        by=work.principal.user,
        opening=_opening(work, holder, today),
        is_of_earlier_year=now != ledger,
        is_reversed_elsewhere=any(work.state(DECIDER, other).has(key) for other in others),
    )
    work.decide(DECIDER, now, command)
    if original.job is not None:
        points_jobs.give_back(work, original.job, entry, original.points)
    return now


def close(work: Work, ledger: UUID, reason: str) -> UUID:
    """The customer has left: no job and nobody posts to the ledger any more."""
    unit = _unit_of(work, ledger)
    if unit is None or unit not in visible(DECIDER.stream_type, work.principal):
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if not work.principal.changes(unit):
        raise Refused.because(CommonRefusal.OTHER_UNITS, "id", unit=unit)
    work.org_unit = unit
    work.require_version(DECIDER, ledger)
    work.decide(DECIDER, ledger, CloseLedger(reason, work.principal.user))
    return ledger


def _unit_of(work: Work, ledger: UUID) -> str | None:
    """The unit whose posting opened the ledger: it sees the account. None when there is no ledger."""
    if work.state(DECIDER, ledger).status is Status.UNKNOWN:
        return None
    return next(iter(work.log.records(ledger, up_to=1))).context.org_unit


def _require_sight(work: Work, holder: Holder, today: date) -> bool:
    """Whether the holder has an account. Refuse one that the principal does not see: he could take its points
    or probe its balance.
    """
    for year in (today.year, *years_before(today.year)):
        unit = _unit_of(work, ledger_id(holder, year))
        if unit is not None:
            if unit not in visible(DECIDER.stream_type, work.principal):
                raise Refused.because(CommonRefusal.NOT_FOUND, "customer")
            return True
    return False


def _original(work: Work, ledger: UUID, entry: UUID) -> PointsPosted:
    """The posting that bears the id, if the principal sees the unit that made it."""
    work.state(DECIDER, ledger)
    for record in work.log.records(ledger):
        if record.event_id == entry and isinstance(record.event, PointsPosted):
            unit = record.context.org_unit
            if unit not in visible(DECIDER.stream_type, work.principal) or not work.principal.changes(unit):
                break
            work.org_unit = unit
            return record.event
    raise Refused.because(LedgerRefusal.NO_SUCH_ENTRY, "id")


def _opening(work: Work, holder: Holder, today: date) -> int:
    """What the ledger of an earlier year carries into this one, decided in the same append."""
    if work.state(DECIDER, ledger_id(holder, today.year)).status is not Status.UNKNOWN:
        return 0
    for year in years_before(today.year):
        before = ledger_id(holder, year)
        state = work.state(DECIDER, before)
        seals = year == today.year - 1 and is_sealing(today)
        if work.decide(DECIDER, before, CarryForward(today.year, seals)) and state.balance:
            return state.balance
    return 0


def is_sealing(today: date) -> bool:
    """Whether empty ledgers of the year before are sealed."""
    return today.timetuple().tm_yday <= SEALING_DAYS
