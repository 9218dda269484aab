"""One full example of each event of budgets, points jobs and points ledgers, for the golden files."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain import budgets as b
from domain import points_job_answers as back
from domain import points_job_recalls as recalls
from domain import points_jobs as j
from domain import points_ledgers as p
from domain import stocks as s
from domain.points_files import FileFault, FileRefusal, PointsHeader
from domain.points_job_terms import Cause as JobCause
from domain.points_job_terms import Columns, RefusedLine, Terms
from domain.points_ledgers import Account, Origin
from domain.reconciliation import Difference, DifferenceKind, Reconciliation
from domain.shared.holdings import Cause
from domain.shared.money import Money
from domain.shared.references import Reference

NOON = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
DAY = date(2026, 3, 1)
JOB = UUID("0195505a-0000-7000-8000-00000000000a")
ACTIVITY = UUID("0195505a-0000-7000-8000-00000000000b")
RUN = UUID("0195505a-0000-7000-8000-00000000000c")
ORDER = UUID("0195505a-0000-7000-8000-00000000000d")
ENTRY = UUID("0195505a-0000-7000-8000-00000000000e")
STOCK = UUID("0195505a-0000-7000-8000-00000000000f")
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
TEN = Money(1_000, "CNY")
KEY = f"{JOB.hex}:1"
EVEN = Reconciliation(
    extracted=9, filed=9, accepted=7, rejected=1, posted=6, extracted_points=4_500, filed_points=4_500,
    accepted_points=3_500, rejected_points=500, posted_points=3_000, differing=2,
    differences=(Difference(8, DifferenceKind.NOT_ACKNOWLEDGED), Difference(9, DifferenceKind.NOT_POSTED)),
)  # fmt: skip
CAUSE = JobCause(RUN, HASH, Reference(ENTRY, 3), HASH, ORDER, Reference(ACTIVITY, 2), (ENTRY, ORDER))
TERMS = Terms(
    "春节积分 Spring points",
    "CAMPAIGN_REWARD",
    "0.002",
    "CNY",
    Columns("customer_id", "card_masked", "points", 500),
    Origin.SEGMENTATION,
)

EXAMPLES: dict[tuple[str, int], Any] = {
    ("budget.encumbered", 1): b.BudgetEncumbered(ACTIVITY, "HO", "SPRING-26", Money(100_000, "CNY")),
    ("budget.reserved", 1): b.BudgetReserved(KEY, TEN, NOON, JOB),
    ("budget.confirmed", 1): b.ReservationConfirmed(KEY),
    ("budget.consumed", 1): b.BudgetConsumed(KEY, TEN, Money(5, "CNY"), JOB),
    ("budget.released", 1): b.ReservationReleased(KEY, TEN, Cause.EXPIRED, JOB),
    ("budget.refunded", 1): b.BudgetRefunded(KEY, "wrong customer", Money(5, "CNY"), JOB),
    ("budget.threshold_reached", 1): b.BudgetThresholdReached(
        80, Money(80_000, "CNY"), Money(100_000, "CNY")
    ),
    ("budget.closed", 1): b.BudgetClosed(Money(20_000, "CNY")),
    ("stock.opened", 1): s.StockOpened(
        ACTIVITY, "HO", "SPRING-26", 1, Reference(ENTRY, 3), "张 coupon", Decimal("1000.5")
    ),
    ("stock.reserved", 1): s.StockReserved(KEY, Decimal(10), NOON, "lin", JOB),
    ("stock.confirmed", 1): s.StockConfirmed(KEY, Decimal(10), JOB),
    ("stock.consumed", 1): s.StockConsumed(KEY, Decimal("9.5"), Decimal("0.5"), JOB),
    ("stock.released", 1): s.StockReleased(KEY, Decimal(10), Cause.EXPIRED, JOB),
    ("stock.returned", 1): s.StockReturned(KEY, "R-1", Decimal("1.5"), JOB),
    ("stock.closed", 1): s.StockClosed(Decimal(90)),
    ("points_job.opened", 1): j.PointsJobOpened("HO", PointsHeader("CC", DAY, 7, JOB), CAUSE, TERMS, "lin"),
    ("points_job.reserved", 1): j.PointsJobReserved(9, 4_500, TEN, KEY),
    ("points_job.reserved", 2): j.PointsJobReserved(9, 4_500, TEN, KEY, STOCK),
    ("points_job.filed", 1): j.PointsJobFiled(9, 4_500, 512, HASH),
    ("points_job.released", 1): j.PointsJobReleased(),
    ("points_job.sent", 1): j.PointsJobSent(NOON),
    ("points_job.acknowledged", 1): back.PointsJobAcknowledged(7, 1, 3_500, 500, HASH),
    ("points_job.acknowledgement_faulted", 1): back.PointsJobAcknowledgementFaulted(
        1, (FileFault(FileRefusal.TWICE, 4, "number"),), HASH
    ),
    ("points_job.answer_overdue", 1): back.PointsJobAnswerOverdue(NOON),
    ("points_job.posted", 1): back.PointsJobPosted(6, 3_000, 1, (RefusedLine(9, "ledger_closed"),)),
    ("points_job.reconciled", 1): back.PointsJobReconciled(EVEN),
    ("points_job.differed", 1): back.PointsJobDiffered(EVEN),
    ("points_job.differences_accepted", 1): back.PointsJobDifferencesAccepted("asked them", "lin"),
    ("points_job.settled", 1): j.PointsJobSettled(TEN),
    ("points_job.failed", 1): j.PointsJobFailed("budget_too_small", {"free": "5", "needed": "1000"}),
    ("points_job.retried", 1): j.PointsJobRetried(2, "lin"),
    ("points_job.withdrawn", 1): j.PointsJobWithdrawn("wrong group", "lin"),
    ("points_job.resent", 1): recalls.PointsJobResent(2, "回执丢失 answer lost", "lin"),
    ("points_job.recall_begun", 1): recalls.PointsJobRecallBegun("wrong group", "lin", "3S-2026-17", ORDER),
    ("points_job.recalled", 1): recalls.PointsJobRecalled("wrong group", "lin", "3S-2026-17"),
    ("points_job.recall_failed", 1): recalls.PointsJobRecallFailed("POINTS_CC_20260301_0007.txt"),
    ("points_job.points_reversed", 1): recalls.PointsJobPointsReversed(ENTRY, 500, TEN),
    ("points.posted", 1): p.PointsPosted(
        posting_key=f"{JOB.hex}:4",
        debit=Account.ISSUANCE,
        credit=Account.CUSTOMER,
        programme="CC",
        customer="C00000001",
        year=2026,
        points=500,
        balance=1_250,
        opening=750,
        card="622588********1234",
        lot="2026",
        value_date=DAY,
        business_type="CAMPAIGN_REWARD",
        name="春节积分 Spring points",
        origin=Origin.SEGMENTATION,
        job=JOB,
        line_number=4,
        by="lin",
        reason="campaign",
    ),
    ("points.reversed", 1): p.PointsReversed(
        posting_key=f"reversal of {JOB.hex}:4",
        entry=ENTRY,
        reversed_key=f"{JOB.hex}:4",
        debit=Account.CUSTOMER,
        credit=Account.ISSUANCE,
        programme="CC",
        customer="C00000001",
        year=2026,
        points=500,
        balance=750,
        opening=750,
        card="622588********1234",
        lot="2026",
        value_date=DAY,
        business_type="CAMPAIGN_REWARD",
        name="春节积分 Spring points",
        origin=Origin.GENERAL,
        job=JOB,
        line_number=4,
        by="lin",
        reason="wrong customer",
    ),
    ("points.carried_forward", 1): p.PointsCarriedForward(1_250, 2027),
    ("points.ledger_closed", 1): p.PointsLedgerClosed(1_250, "the customer has left", "lin"),
}
