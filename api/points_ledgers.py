"""Points in GraphQL: every posting with why it was made, customers' accounts, adjustments and reversals."""

from datetime import date, datetime
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import strawberry

from api.commands import NOWHERE, Payload, execute, key_of
from api.context import Info
from api.pasts import EVENTS, POINTS_ACCOUNTS, recorded
from api.planner.requests import require_storable
from api.planner.values import Points
from api.planner.views import (
    Connection,
    Node,
    column,
    composed,
    computed,
    many,
    one,
    payload,
    ref,
    struct,
    view,
)
from api.points_jobs import PointsJob, PointsOrigin
from api.refusals import require
from application import points_ledgers
from application.access import CUSTOMER, Permission, visible
from application.customer_groups import is_customer
from application.points_ledgers import Adjustment
from application.shared.work import Work
from domain.budgets import LIMITS
from domain.points_ledgers import Account

PROJECTIONS = ("points_entries", "points_accounts")
LEDGER_OF = "select coalesce((select ledger_id::text from read.points_entries where id = $1::text::uuid), '')"

# A line stands in the balance once it has an entry.
UNDER_WAY = """
from points.under_way u join read.points_jobs j on j.id = u.job_id
where j.status in ('reserved', 'filed', 'released', 'sent', 'recalling', 'awaiting_acknowledgement',
'acknowledgement_faulty', 'acknowledged') and not exists (
select from read.points_entries e where e.job_id = u.job_id and e.line_number = u.line)"""
# What comes is posted to the year that is open.
PENDING = f"""
(select coalesce(sum(u.points), 0)::bigint {UNDER_WAY}
and u.customer = {{row}}.customer and j.programme = {{row}}.programme and {{row}}.status = 'open')"""
PENDING_OF = f"""
select coalesce(json_agg(found order by found.programme), '[]')::text from (
select j.programme, sum(u.points)::bigint as points, count(distinct u.job_id)::integer as jobs {UNDER_WAY}
and u.customer = $1 and j.org_unit = any($2) group by j.programme) found"""

PointsContra = strawberry.enum(
    Account, name="PointsLedgerAccount", description="The accounts of the double entry."
)


@strawberry.enum(description="CARRIED: the year is over, its balance stands in the next one.")
class PointsAccountStatus(StrEnum):
    OPEN = "open"
    CARRIED = "carried"
    CLOSED = "closed"


@struct
class PointsWhy:
    """Why the entry was made: the line of the file, the job, and by it the definition's revision and hash,
    its run, the work order, the activity and the approvals.
    """

    posting_key: str
    line_number: int
    job_id: strawberry.ID = ref("jobId", "pj")
    job: PointsJob | None = one("jobId")


@view(
    "read.points_entries",
    past=recorded("read.points_entries", "ledger_id"),
    prefix="pe",
    scope="org_unit",
    permission="points.read",
    units="data_units",
    order=("created_at", "version"),
    description="One posting; it never changes. A correction is a reversal of its own.",
)
class PointsEntry(Node):
    account_id: strawberry.ID = ref("ledger_id", "pa")
    version: int
    org_unit: str
    programme: str
    customer: str
    year: int
    points: Points = column(description="Signed: what the customer's account got.")
    debit: PointsContra  # type: ignore[valid-type]
    credit: PointsContra  # type: ignore[valid-type]
    balance: Points = column(description="The customer's balance after it.")
    card: str = column("card_masked")
    lot: str
    value_date: date
    business_type: str
    name: str
    origin: PointsOrigin  # type: ignore[valid-type]
    job_id: strawberry.ID | None = ref("job_id", "pj")
    line_number: int
    reverses_id: strawberry.ID | None = ref("reverses_id", "pe")
    is_reversed: bool = computed(
        "exists (select from {rows[read.points_entries]} r where r.reverses_id = {row}.id)",
        description="Whether a later entry takes it back.",
    )
    reason: str
    created_at: datetime
    created_by: str
    why: PointsWhy | None = composed(
        "job_id",
        {"posting_key": "posting_key", "line_number": "line_number", "job_id": "job_id"},
        description="Null for what was posted by hand: there createdBy and reason tell.",
    )


@view(
    "read.points_accounts",
    versions=EVENTS,
    past=POINTS_ACCOUNTS,
    prefix="pa",
    scope="org_unit",
    permission="points.read",
    units="data_units",
    order=("created_at",),
    description="One customer's points of one programme in one year:"
    " balance = opening + earned - used - expired.",
)
class PointsAccount(Node):
    version: int
    org_unit: str
    programme: str
    customer: str
    year: int
    status: PointsAccountStatus
    opening: Points = column(description="What the year before left.")
    earned: Points
    used: Points
    expired: Points
    balance: Points
    pending: Points = computed(
        PENDING,
        description="On its way by jobs that have reserved it and are not posted: not in the balance yet."
        " Always as of now: what was on its way once is not kept.",
    )
    postings: int
    entries: Connection[PointsEntry] = many("ledger_id", description="Its postings, oldest first.")
    created_at: datetime
    changed_at: datetime


@view(
    "read.points_contra_accounts",
    prefix="pc",
    scope=None,
    permission="points.read",
    order=("programme", "year", "account"),
    description="The sum of what an account against the customers' got in a year. It has no past: it is not"
    " event-sourced but the sum of all postings, and those of an instant are in pointsEntries.",
)
class PointsContraAccount(Node):
    programme: str
    year: int
    account: PointsContra  # type: ignore[valid-type]
    balance: Points


@strawberry.type(description="What a customer will get of one programme, by jobs that are not posted yet.")
class PendingPoints:
    programme: str
    points: Points
    jobs: int = strawberry.field(description="How many jobs these come by.")


@strawberry.type
class PendingPointsQueries:
    @strawberry.field(
        description="What is on its way to a customer, by programme, also where he has no account yet."
    )
    async def pending_points(self, info: Info, customer: str) -> list[PendingPoints]:
        require(Permission.POINTS_READ, info.context)
        require_storable(customer)
        units = sorted(visible("points_account", info.context.principal))
        found = await info.context.reads.one(PENDING_OF, [customer, units])
        return [PendingPoints(**each) for each in orjson.loads(found)]


# --- Mutations ------------------------------------------------------------


ACCOUNTS_VERSION = "The version that you saw of the customer's account of this year; 0 for none."


@strawberry.input(description="General points by hand: signed, against the contra account.")
class AdjustPointsInput:
    programme: str
    customer: str
    points: Points
    business_type: str
    name: str
    reason: str
    card: str = ""
    contra: PointsContra = Account.ISSUANCE  # type: ignore[valid-type]
    expected_version: int | None = strawberry.field(default=strawberry.UNSET, description=ACCOUNTS_VERSION)


@strawberry.input(description="The entry, and why it is reversed.")
class ReversePointsEntryInput:
    id: strawberry.ID
    reason: str
    expected_version: int | None = strawberry.field(default=strawberry.UNSET, description=ACCOUNTS_VERSION)


@strawberry.input(description="The customer has left: nothing is posted any more.")
class ClosePointsAccountInput:
    id: strawberry.ID
    reason: str
    expected_version: int | None = None


@strawberry.type
class PointsAccountPayload(Payload):
    points_account: PointsAccount | None = payload(
        "subject", description="The account of this year, with the new entry."
    )


@strawberry.type
class PointsLedgerMutations:
    @strawberry.mutation(description="Post general points to a customer, or take them.")
    async def adjust_points(self, info: Info, input: AdjustPointsInput) -> PointsAccountPayload:
        given = Adjustment(
            programme=input.programme,
            customer=input.customer,
            points=int(input.points),
            business_type=input.business_type,
            name=input.name,
            reason=input.reason,
            card=input.card,
            contra=input.contra,
        )
        engine = info.context.engine
        units = visible(CUSTOMER, info.context.principal)

        def use_case(work: Work) -> UUID:
            if engine is None:
                return points_ledgers.adjust(work, given)
            knows = partial(is_customer, engine, units=units, today=work.today)
            return points_ledgers.adjust(work, given, knows)

        return await _on_ledger(info, "adjustPoints", input, use_case)

    @strawberry.mutation(
        description="Post the counter-entry of an entry, which is reversed once. Of one job"
        f" at most {LIMITS.refunds:,} entries are reversed: each is refunded to its budget."
    )
    async def reverse_points_entry(self, info: Info, input: ReversePointsEntryInput) -> PointsAccountPayload:
        entry = key_of("pe", input.id)
        ledger = await _ledger_of(info, entry)
        return await _on_ledger(
            info,
            "reversePointsEntry",
            input,
            lambda work: points_ledgers.reverse(work, ledger, entry, input.reason),
        )

    @strawberry.mutation(description="Close a customer's account for good.")
    async def close_points_account(self, info: Info, input: ClosePointsAccountInput) -> PointsAccountPayload:
        key = key_of("pa", input.id)
        return await _on_ledger(
            info,
            "closePointsAccount",
            input,
            lambda work: points_ledgers.close(work, key, input.reason),
        )


async def _on_ledger(info: Info, operation: str, input: Any, use_case: Any) -> PointsAccountPayload:
    return await execute(info, PointsAccountPayload, operation, input, use_case, PROJECTIONS)


async def _ledger_of(info: Info, entry: UUID) -> UUID:
    """The ledger that holds an entry; the use case looks there for itself."""
    found = await info.context.reads.one(LEDGER_OF, [str(entry)])
    return UUID(found.decode()) if found else NOWHERE
