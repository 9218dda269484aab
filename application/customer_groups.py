"""The use cases of customer groups: kept, chosen by activities, compiled to a query, looked at beforehand."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from uuid import UUID

from application.access import CUSTOMER, HEAD_OFFICE, visible
from application.group_sql import CUSTOMER_ID, Extraction, compiled
from application.shared.engines import Engine, Query
from application.shared.identifiers import uuid7
from application.shared.records import Log
from application.shared.work import Work
from domain import activities, work_orders
from domain.activity_plans import Choice, GroupRole
from domain.customer_groups import (
    DECIDER,
    CustomerGroup,
    CustomerGroupDefined,
    CustomerGroupRevised,
    DefineCustomerGroup,
    Definition,
    DeleteCustomerGroup,
    Purpose,
    RetireCustomerGroup,
    ReviseCustomerGroup,
    Status,
    membership_faults,
)
from domain.group_rules import Rule
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, Release, claim_id
from domain.shared.references import Reference, User
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.work_order_statuses import Status as WorkOrderStatus

USERS_MAX = 1_000
SAMPLE_MAX = 20
USERS_NAMED_MAX = 20
CLEAR_FROM_CHARACTERS = 8
_OVER = (activities.Status.ENDED, activities.Status.CANCELLED, activities.Status.DELETED)
_DONE = (WorkOrderStatus.COMPLETED, WorkOrderStatus.CANCELLED)


def _is_activity_over(work: Work, activity_id: UUID) -> bool:
    return work.state(activities.DECIDER, activity_id).status in _OVER


def _is_work_order_over(work: Work, work_order_id: UUID) -> bool:
    return work.state(work_orders.DECIDER, work_order_id).status in _DONE


IS_OVER: Mapping[str, Callable[[Work, UUID], bool]] = {
    "activity": _is_activity_over,
    "work_order": _is_work_order_over,
}
"""By kind of user, whether it needs its groups no more. Whatever is not named here needs them for ever."""


def define(work: Work, code: str, purpose: Purpose | None, definition: Definition) -> UUID:
    """A new group of the principal's own unit, ready to be chosen."""
    group_id = uuid7()
    claim = _claim(code)
    command = DefineCustomerGroup(
        code=code,
        org_unit=work.principal.org_unit,
        purpose=purpose,
        definition=definition,
        by=work.principal.user,
        is_code_free=work.state(CLAIM, claim).is_free_for(group_id),
    )
    work.begin(DECIDER, group_id, command)
    work.decide(CLAIM, claim, Claim(group_id))
    return group_id


def revise(work: Work, group_id: UUID, purpose: Purpose | None, definition: Definition) -> UUID:
    """The whole definition anew; who refers to an earlier revision goes on with that one.

    None for `purpose` leaves it as it is.
    """
    group = _subject(work, group_id)
    users = work.users(group_id) if purpose not in (None, group.purpose) else ()
    command = ReviseCustomerGroup(purpose, definition, work.principal.user, users)
    work.decide(DECIDER, group_id, command)
    return group_id


def retire(work: Work, group_id: UUID) -> UUID:
    """It can't be chosen any more; refused while an activity needs it that is not over."""
    _subject(work, group_id)
    work.decide(DECIDER, group_id, RetireCustomerGroup(work.principal.user, _needing(work, group_id)))
    return group_id


def delete(work: Work, group_id: UUID) -> UUID:
    """Gone from lists, still in the log; refused while an activity needs it. Its code is free again."""
    group = _subject(work, group_id)
    command = DeleteCustomerGroup(work.principal.user, _needing(work, group_id))
    if work.decide(DECIDER, group_id, command):
        work.decide(CLAIM, _claim(group.code), Release(group_id))
    return group_id


def choice(work: Work, group_id: UUID, revision_seen: int | None = None) -> Choice:
    """The group as the subject of the work chooses it: of the subject's own unit, for head office any.

    So no unit reaches customers that it does not see, and the answer is the same whoever asks again.
    """
    group = work.state(DECIDER, group_id)
    if not group.is_known or work.org_unit not in (group.org_unit, HEAD_OFFICE):
        return Choice(None)
    reference, is_active = Reference(group_id, group.revision), group.status is Status.ACTIVE
    return Choice(reference, is_active, revision_seen, role=GroupRole(group.purpose))


# --- What a group consists of ---------------------------------------------


def definition_of(log: Log, group: Reference) -> Definition:
    """What the group was in that revision: for ever the same. Refuse what never was."""
    for record in log.records(group.id):
        match record.event:
            case CustomerGroupDefined(definition=definition) if group.revision == 1:
                return definition
            case CustomerGroupRevised(revision=group.revision, definition=definition):
                return definition
    raise Refused.because(CommonRefusal.NOT_FOUND, "revision")


def query_of(
    work: Work, group: Reference, units: frozenset[str], extraction: Extraction, prefix: str = "p"
) -> Query:
    """The query of one revision of a group, over the customers that the group's unit reaches.

    `units` are all there are: head office's groups reach every unit, a branch's its own. The names of its
    parameters begin with `prefix`.
    """
    org_unit = work.state(DECIDER, group.id).org_unit
    definition = definition_of(work.log, group)
    reached = units if org_unit == HEAD_OFFICE else units & {org_unit}
    return compiled(definition.rule, definition.members, reached, extraction, prefix)


# --- Looking at it beforehand ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """How many customers there are, and some of them: what is in the middle of an id is not shown."""

    count: int
    sample: tuple[str, ...]


def recorded_query(work: Work, group_id: UUID, revision: int | None, extraction: Extraction) -> Query:
    """The query of a group in sight, in one of its revisions or (None) the newest."""
    refuse_any(_timeframe_faults(extraction))
    newest = work.subject(DECIDER, group_id, lambda group: group.org_unit, looks_only=True).revision
    group = Reference(group_id, newest if revision is None else revision)
    return query_of(work, group, visible(CUSTOMER, work.principal), extraction)


def draft_query(
    work: Work, rule: Rule | None, members: tuple[str, ...] | None, extraction: Extraction
) -> Query:
    """The query of a rule or list that is not recorded, over the customers of the principal's units.

    Refuse all that is wrong with it.
    """
    refuse_any([*membership_faults(rule, members), *_timeframe_faults(extraction)])
    return compiled(rule, members, visible(CUSTOMER, work.principal), extraction)


def is_customer(engine: Engine, customer: str, units: frozenset[str], today: date) -> bool:
    """Whether the warehouse has the customer in one of these units. Raise RunFailed."""
    return engine.count(compiled(None, (customer,), units, Extraction(today))) == 1


def preview(engine: Engine, query: Query) -> Preview:
    """Count the customers and take the first ones by id. Raise RunFailed.

    The count is that of a run on the same data, for it is the same query.
    """
    count = engine.count(query)
    run_id = uuid7()
    some = replace(query, sql=f"{query.sql}\norder by {CUSTOMER_ID}\nlimit {SAMPLE_MAX}")
    engine.run(run_id, some, lambda _: None, lambda: False)
    return Preview(count, tuple(masked(id_) for (id_,) in engine.rows(run_id, (CUSTOMER_ID,))))


def masked(customer_id: str) -> str:
    """The first character and the last three; of a short id nothing."""
    if len(customer_id) < CLEAR_FROM_CHARACTERS:
        return "*" * len(customer_id)
    return f"{customer_id[0]}{'*' * (len(customer_id) - 4)}{customer_id[-3:]}"


# --- What decisions have to know ------------------------------------------


def _subject(work: Work, group_id: UUID) -> CustomerGroup:
    return work.subject(DECIDER, group_id, lambda group: group.org_unit)


def _claim(code: str) -> UUID:
    return claim_id("customer_group.code", code)


def _needing(work: Work, group_id: UUID) -> tuple[User, ...]:
    """Who refers to the group and is not over; at most 20 are named.

    Whoever begins to refer to it meanwhile has read its stream, so one of the two appends conflicts.
    """
    users = work.users(group_id, USERS_MAX)
    needing = (user for user in users if user.kind not in IS_OVER or not IS_OVER[user.kind](work, user.id))
    named = tuple(islice(needing, USERS_NAMED_MAX))
    # Behind so many there may be more that nobody has looked at.
    return named or (users[-1:] if len(users) == USERS_MAX else ())


def _timeframe_faults(extraction: Extraction) -> Iterator[Fault]:
    starts, ends = extraction.data_from, extraction.data_to
    if starts is None and ends is not None:
        yield Fault(CommonRefusal.REQUIRED, ("data_from",))
    elif starts is not None and ends is None:
        yield Fault(CommonRefusal.REQUIRED, ("data_to",))
    elif starts is not None and ends is not None and ends <= starts:
        yield Fault(CommonRefusal.END_NOT_AFTER_START, ("data_to",))
