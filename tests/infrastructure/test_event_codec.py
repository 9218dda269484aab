"""Every event that was ever stored is read for ever; what is written today is written the same tomorrow.

tests/golden holds the stored bytes of one full example of each event type in each schema version. To add
one: put its example into `GOLDEN`, run `python -m tests.infrastructure.test_event_codec`, and look at the
file. A file that is there never changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain import (
    activities,
    approvals,
    cancellations,
    catalogues,
    customer_groups,
    downloads,
    result_retention,
    segment_definitions,
    segment_runs,
    source_grants,
    work_order_executions,
    work_orders,
)
from domain.activity_figures import Exclusion
from domain.activity_plans import Channel, CostLine, Goal, GroupLink, GroupRole, Plan
from domain.approvals import Level, Subject
from domain.catalogues import Details
from domain.group_rules import Comparison, Condition, Dimension, Rule, Transactions, Window
from domain.reward_details import Reward
from domain.run_parameters import RunParameter
from domain.segment_contents import (
    DeclaredParameter,
    FieldFormat,
    MappedColumn,
    Mask,
    Output,
    ParameterType,
    SegmentContent,
)
from domain.segment_definitions import DefinitionKind
from domain.shared import claims
from domain.shared.field_rules import FieldRule, FieldType
from domain.shared.money import Money
from domain.shared.period import Period
from domain.shared.references import Reference
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind
from domain.work_order_contents import Content, DataTimeframe, Priority
from domain.work_order_contents import Kind as WorkOrderKind
from domain.work_order_statuses import Status as WorkOrderStatus
from infrastructure import event_codec
from infrastructure.event_codec import DATA_BYTES_MAX, UnknownEvent, decode, encode
from infrastructure.event_types import EVENT_TYPES, EventType
from tests.infrastructure import (
    access_examples,
    figures_examples,
    points_examples,
    schedule_examples,
    webhook_examples,
)

FOLDER = Path(__file__).parents[1] / "golden"

NOON = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
OWNER = UUID("0195505a-0000-7000-8000-000000000001")
PARENT = UUID("0195505a-0000-7000-8000-000000000002")
APPROVAL = UUID("0195505a-0000-7000-8000-000000000003")
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MEAL = FieldRule("meal", "餐 Meal", FieldType.CHOICE, True, "1", "9", ("午餐", "dinner"))
DETAILS = Details(
    "短信费 SMS fee",
    'a "quoted" line\nand another',
    10,
    {"accounting_subject": "6601", "unit": "CNY"},
    (MEAL,),
)
PLAN = Plan(
    name="春节满减 Spring dining",
    description="5% back\nat restaurants 🍜",
    activity_type=Reference(PARENT, 3),
    period=Period(NOON, NOON + 30 * DAY),
    registration=Period(NOON - 5 * DAY, NOON + 20 * DAY),
    award=Period(NOON + 2 * DAY, NOON + 60 * DAY),
    channels=(Channel.APP, Channel.WECHAT, Channel.SMS, Channel.EMAIL, Channel.BRANCH, Channel.CALL_CENTRE),
    budget=Money(1_000_000_000_000_000, "CNY"),
    cost_lines=(CostLine(Reference(OWNER, 1), Money(25_050, "CNY"), "two waves"),),
    form=Reference(OWNER, 4),
    form_values={"meal": "午餐"},
)
OWNED_PLAN = replace(
    PLAN,
    department=Reference(OWNER, 5),
    co_departments=(Reference(PARENT, 6),),
    responsible="wu",
    goal=Goal.INSTALMENT,
    rewards=(Reward(Reference(OWNER, 7), "8.5", "5000", "1000000", "每户 each", {"meal": "午餐"}),),
    groups=(
        GroupLink(
            Reference(OWNER, 8),
            GroupRole.TARGET,
            Frequency(FrequencyKind.CRON, "0 6 * * 1"),
            Timeframe(TimeframeKind.FIXED, date(2026, 3, 1), date(2026, 3, 31), 1),
        ),
    ),
)
TIMED_PLAN = replace(
    OWNED_PLAN,
    groups=(
        replace(
            OWNED_PLAN.groups[0], frequency=Frequency(FrequencyKind.DAILY, "30 2 * * *", "02:30", PARENT)
        ),
    ),
)
EXCLUDING_PLAN = replace(TIMED_PLAN, exclusions=(Exclusion.OVERDUE, Exclusion.NO_ACTIVE_CARD))
NIGHTLY = replace(TIMED_PLAN.groups[0].frequency, off_peak="20:00-08:00")
OFF_PEAK_PLAN = replace(EXCLUDING_PLAN, groups=(replace(TIMED_PLAN.groups[0], frequency=NIGHTLY),))
BARE_PLAN = Plan("x", "", Reference(OWNER, 1), Period(NOON, NOON + DAY), None, None, (), Money(1, "CNY"), ())
SPENT = Rule(
    condition=Condition(
        Dimension.TRANSACTION_SUM,
        Comparison.AT_LEAST,
        ("5000.00",),
        Transactions(Window(30, date(2026, 1, 1), date(2026, 2, 1)), ("餐饮",), ("pos",), "CNY"),
    )
)
GROUP = customer_groups.Definition(
    "高端客群 Premium",
    "who spends",
    Rule((SPENT,), (SPENT,), Rule(negated=SPENT), SPENT.condition),
    ("C00000001", "C00000002"),
)
SUBJECT = Subject("activity", OWNER, 2, HASH, "SPRING-26", "HO")
SEGMENT = SegmentContent(
    name="高端 Premium diners",
    description="Spent at restaurants",
    sql="select customer_id, mobile\nfrom customers where level = :level -- 高端",
    source="bank",
    primary_index=("customer_id",),
    outputs=(Output("customer_id", True), Output("mobile", True)),
    parameters=(DeclaredParameter("level", ParameterType.TEXT),),
    mapping=(
        MappedColumn(
            target="CUSTNO",
            source="customer_id",
            constant="C",
            format=FieldFormat.DATE_COMPACT,
            width=10,
            is_zero_padded=True,
            mask=Mask.CLEAR,
            translation={"M": "男"},
            exemption="sent to the mailing house",
        ),
    ),
)

WANTED = Content(
    name="三月餐饮客户 Diners of March",
    activity=Reference(PARENT, 2),
    customer_group=Reference(OWNER, 3),
    segmentation_rules="Spent over 500\non dining last month",
    execution_at=NOON + DAY,
    requester="lin",
    department=Reference(OWNER, 1),
    output_fields=("CUSTOMER", "POINTS"),
    priority=Priority.URGENT,
    data_timeframe=DataTimeframe(date(2026, 2, 1), date(2026, 3, 1)),
    remark="急 urgent",
)
CANCELLATION = UUID("0195505a-0000-7000-8000-00000000000c")

GOLDEN: dict[tuple[str, int], Any] = {
    ("claim.taken", 1): claims.TextClaimed(OWNER),
    ("claim.released", 1): claims.TextReleased(OWNER),
    ("entry.added", 1): catalogues.EntryAdded("SMS_FEE", DETAILS, PARENT),
    ("entry.revised", 1): catalogues.EntryRevised(2, DETAILS),
    ("entry.moved", 1): catalogues.EntryMoved(3, PARENT),
    ("entry.enabled", 1): catalogues.EntryEnabled(),
    ("entry.disabled", 1): catalogues.EntryDisabled(),
    ("entry.removed", 1): catalogues.EntryRemoved(),
    ("activity.drafted", 1): activities.ActivityDrafted("SPRING-26", "HO", PLAN, "lin"),
    ("activity.revised", 1): activities.ActivityRevised(2, PLAN, "lin"),
    ("activity.drafted", 5): activities.ActivityDrafted("SPRING-26", "HO", OFF_PEAK_PLAN, "lin"),
    ("activity.revised", 5): activities.ActivityRevised(2, OFF_PEAK_PLAN, "lin"),
    ("activity.drafted", 4): activities.ActivityDrafted("SPRING-26", "HO", EXCLUDING_PLAN, "lin"),
    ("activity.revised", 4): activities.ActivityRevised(2, EXCLUDING_PLAN, "lin"),
    ("activity.drafted", 2): activities.ActivityDrafted("SPRING-26", "HO", OWNED_PLAN, "lin"),
    ("activity.revised", 2): activities.ActivityRevised(2, OWNED_PLAN, "lin"),
    ("activity.drafted", 3): activities.ActivityDrafted("SPRING-26", "HO", TIMED_PLAN, "lin"),
    ("activity.revised", 3): activities.ActivityRevised(2, TIMED_PLAN, "lin"),
    ("activity.submitted", 1): activities.ActivitySubmitted(2, APPROVAL, HASH, "lin", "research"),
    ("activity.withdrawn", 1): activities.ActivityWithdrawn(2, APPROVAL, "lin"),
    ("activity.approved", 1): activities.ActivityApproved(2, APPROVAL),
    ("activity.rejected", 1): activities.ActivityRejected(2, APPROVAL, "research", "太贵 too dear"),
    ("activity.launched", 1): activities.ActivityLaunched("lin"),
    ("activity.paused", 1): activities.ActivityPaused("stock is short", "lin"),
    ("activity.resumed", 1): activities.ActivityResumed("lin"),
    ("activity.ended", 1): activities.ActivityEnded(),
    ("activity.cancelled", 1): activities.ActivityCancelled("no budget", "lin"),
    ("activity.deleted", 1): activities.ActivityDeleted("lin"),
    ("approval.opened", 1): approvals.ApprovalOpened(
        SUBJECT, approvals.TWO_LEVELS, NOON + 14 * DAY, "lin", ("lin",)
    ),
    ("approval.passed", 1): approvals.ApprovalPassed(
        SUBJECT, Level.RESEARCH, Level.TECHNOLOGY, "合理 fits", "rao"
    ),
    ("approval.granted", 1): approvals.ApprovalGranted(SUBJECT),
    ("approval.rejected", 1): approvals.ApprovalRejected(SUBJECT, Level.TECHNOLOGY, "no staff", "tan"),
    ("approval.voided", 1): approvals.ApprovalVoided(SUBJECT, "subject_revised"),
    ("segment_definition.drafted", 1): segment_definitions.DefinitionDrafted(
        "PREMIUM", "HO", DefinitionKind.ACTIVITY, OWNER, SEGMENT, "lin"
    ),
    ("segment_definition.drafted", 2): segment_definitions.DefinitionDrafted(
        "PREMIUM", "HO", DefinitionKind.ACTIVITY, OWNER, SEGMENT, "lin", Reference(PARENT, 3)
    ),
    ("segment_definition.revised", 1): segment_definitions.DefinitionRevised(2, SEGMENT, "lin"),
    ("segment_definition.submitted", 1): segment_definitions.DefinitionSubmitted(
        2, APPROVAL, HASH, (Reference(OWNER, 3),), "lin", "research"
    ),
    ("segment_definition.withdrawn", 1): segment_definitions.DefinitionWithdrawn(2, APPROVAL, "lin"),
    ("segment_definition.approved", 1): segment_definitions.DefinitionApproved(2, APPROVAL, HASH),
    ("segment_definition.superseded", 1): segment_definitions.DefinitionSuperseded(1, 2),
    ("segment_definition.rejected", 1): segment_definitions.DefinitionRejected(
        2, APPROVAL, "technology", "too slow"
    ),
    ("segment_definition.deleted", 1): segment_definitions.DefinitionDeleted("lin"),
    ("source_grant.granted", 1): source_grants.SourceGranted(
        1, "SH", "bank", "customers", ("customer_id", "level"), "admin"
    ),
    ("source_grant.revoked", 1): source_grants.SourceRevoked(2, "admin"),
    ("segment_run.requested", 1): segment_runs.SegmentRunRequested(
        code="SR-0195505A0001",
        org_unit="HO",
        definition=Reference(OWNER, 2),
        content_hash=HASH,
        work_order=PARENT,
        parameters=(RunParameter("data_from", ParameterType.DATE, "2026-02-01"),),
        is_trial=True,
        row_limit=100,
        retention=result_retention.Retention.TRIAL,
        by="lin",
    ),
    ("segment_run.started", 1): segment_runs.SegmentRunStarted(1),
    ("segment_run.progressed", 1): segment_runs.SegmentRunProgressed(1, 40),
    ("segment_run.succeeded", 1): segment_runs.SegmentRunSucceeded(
        attempt=1,
        rows=1_400_000,
        columns=(segment_runs.ResultColumn("customer_id", "VARCHAR", True),),
        bytes=12_345_678_901,
        duration_ms=4_321,
        content_hash=HASH,
        snapshot="2026-02-28-1",
    ),
    ("segment_run.failed", 1): segment_runs.SegmentRunFailed(
        1, "primary_index_duplicate", {"offenders": "3"}
    ),
    ("segment_run.terminated", 1): segment_runs.SegmentRunTerminated("wrong timeframe", "lin"),
    ("segment_run.retried", 1): segment_runs.SegmentRunRetried(1, "lin"),
    ("segment_run.cleaned_up", 1): segment_runs.SegmentRunCleanedUp(1, ("spill",)),
    ("segment_run.result_deleted", 1): result_retention.SegmentRunResultDeleted(
        result_retention.Retention.TRIAL
    ),
    ("segment_run.handed_over", 1): segment_runs.SegmentRunHandedOver(UUID(int=9)),
    ("customer_group.defined", 1): customer_groups.CustomerGroupDefined(
        "PREMIUM", "HO", customer_groups.Purpose.REWARDED, GROUP, HASH, "lin"
    ),
    ("customer_group.revised", 1): customer_groups.CustomerGroupRevised(
        2, customer_groups.Purpose.TARGET, GROUP, HASH, "lin"
    ),
    ("customer_group.retired", 1): customer_groups.CustomerGroupRetired("lin"),
    ("customer_group.deleted", 1): customer_groups.CustomerGroupDeleted("lin"),
    **points_examples.EXAMPLES,
    **access_examples.GOLDEN,
    **figures_examples.EXAMPLES,
    **schedule_examples.EXAMPLES,
    **webhook_examples.EXAMPLES,
    ("work_order.drafted", 1): work_orders.WorkOrderDrafted(
        "WO-2026-000001", WorkOrderKind.EVALUATION, "HO", WANTED, "lin"
    ),
    ("work_order.revised", 1): work_orders.WorkOrderRevised(2, WANTED, "lin"),
    ("work_order.submitted", 1): work_orders.WorkOrderSubmitted(2, APPROVAL, HASH, "research", "lin"),
    ("work_order.withdrawn", 1): work_orders.WorkOrderWithdrawn(2, APPROVAL, "lin"),
    ("work_order.approved", 1): work_orders.WorkOrderApproved(2, APPROVAL),
    ("work_order.rejected", 1): work_orders.WorkOrderRejected(2, APPROVAL, "research", "太宽 too broad"),
    ("work_order.scheduled", 1): work_order_executions.WorkOrderScheduled(Reference(OWNER, 4), "tan"),
    ("work_order.scheduled", 2): work_order_executions.WorkOrderScheduled(Reference(OWNER, 4), "tan", HASH),
    ("work_order.execution_started", 1): work_order_executions.ExecutionStarted(OWNER, 1),
    ("work_order.points_job_linked", 1): work_order_executions.PointsJobLinked(PARENT, OWNER),
    ("work_order.completed", 1): work_order_executions.WorkOrderCompleted(OWNER),
    ("work_order.execution_failed", 1): work_order_executions.ExecutionFailed(OWNER, "timed_out"),
    ("work_order.retried", 1): work_order_executions.WorkOrderRetried("lin"),
    ("work_order.cancellation_requested", 1): work_orders.WorkOrderCancellationRequested(
        CANCELLATION, WorkOrderStatus.EXECUTING, "预算取消 no budget", "lin"
    ),
    ("work_order.cancelled", 1): work_orders.WorkOrderCancelled(CANCELLATION),
    ("work_order.restored", 1): work_orders.WorkOrderRestored(CANCELLATION, WorkOrderStatus.EXECUTING),
    ("cancellation.requested", 1): cancellations.CancellationRequested(
        cancellations.OrderedWork(OWNER, "WO-2026-000001", 2, "executing"),
        "HO",
        "预算取消 no budget",
        APPROVAL,
        HASH,
        "technology",
        "lin",
    ),
    ("cancellation.approved", 1): cancellations.CancellationApproved(OWNER, APPROVAL, "tan"),
    ("cancellation.recall_begun", 1): cancellations.CancellationRecallBegun(
        OWNER, APPROVAL, "POINTS_CC_20260301_0007.txt", "tan"
    ),
    ("cancellation.refused", 1): cancellations.CancellationRefused(
        OWNER, APPROVAL, "points_file_taken", "POINTS_CC_20260301_0007.txt"
    ),
    ("cancellation.rejected", 1): cancellations.CancellationRejected(
        OWNER, APPROVAL, "technology", "快完成了 nearly done", "tan"
    ),
    ("cancellation.withdrawn", 1): cancellations.CancellationWithdrawn(OWNER, "lin"),
    ("download.recorded", 1): downloads.DownloadRecorded(
        "activities", '{"code":{"eq":"SPRING-26"}}', 37, "203.0.113.9", "HO", "lin"
    ),
}
"""Each as today's code reads it: after an upcaster was added, the old version's example is the upcast one."""

CURRENT = {(type_.name, type_.schema_version): type_ for type_ in EVENT_TYPES}


def path_of(name: str, schema_version: int) -> Path:
    return FOLDER / f"{name}.v{schema_version}.json"


def write_missing() -> None:
    """Write the files that are not there yet; never touch one that is."""
    for (name, schema_version), event in GOLDEN.items():
        path = path_of(name, schema_version)
        if (name, schema_version) in CURRENT and not path.exists():
            path.write_bytes(encode(event).data)


def empty_parts(value: object, path: str) -> Iterator[str]:
    """Where in the value something is absent or empty."""
    if is_dataclass(value) and not isinstance(value, type):
        # The parts of a rule exclude each other below the one that shows all.
        for field in fields(value) if value is not SPENT and value != GROUP.rule.negated else ():
            yield from empty_parts(getattr(value, field.name), f"{path}.{field.name}")
    elif value in (None, "", (), {}, 0):
        yield path
    elif isinstance(value, tuple):
        for index, member in enumerate(value):
            yield from empty_parts(member, f"{path}[{index}]")


def test_every_event_type_in_every_version_has_its_golden_file() -> None:
    """A new event type or schema version comes with its file, and none is ever taken away."""
    wanted = {
        (type_.name, version) for type_ in EVENT_TYPES for version in range(1, type_.schema_version + 1)
    }
    assert set(GOLDEN) == wanted
    assert {path.name for path in FOLDER.iterdir()} == {path_of(*key).name for key in wanted}


def test_upcasters_start_from_versions_that_were_written() -> None:
    """A version without one differs by fields with defaults alone: its golden file shows that it is read."""
    for type_ in EVENT_TYPES:
        assert set(type_.upcasters) <= set(range(1, type_.schema_version)), type_.name


@pytest.mark.parametrize(("name", "schema_version"), GOLDEN, ids=str)
def test_what_was_stored_is_read_as_it_was_meant(name: str, schema_version: int) -> None:
    """ES-03: history is read for ever."""
    stored = path_of(name, schema_version).read_bytes()
    meant = GOLDEN[name, schema_version]
    for data in (stored, stored.decode()):
        read = decode(name, schema_version, data)
        assert read == meant
        assert repr(normalised(read)) == repr(normalised(meant))


def normalised(event: Any) -> Any:
    """Instants compare equal whatever library made their zone; their repr should too."""
    if is_dataclass(event) and not isinstance(event, type):
        return (
            type(event),
            [(field.name, normalised(getattr(event, field.name))) for field in fields(event)],
        )
    if isinstance(event, tuple):
        return tuple(normalised(member) for member in event)
    return event.astimezone(UTC) if isinstance(event, datetime) else event


@pytest.mark.parametrize(("name", "schema_version"), CURRENT, ids=str)
def test_what_is_written_has_not_changed_within_its_version(name: str, schema_version: int) -> None:
    """Bytes are hashed and integrators read them: a change of form is a new schema version."""
    encoded = encode(GOLDEN[name, schema_version])
    assert (encoded.event_type, encoded.schema_version) == (name, schema_version)
    assert encoded.data == path_of(name, schema_version).read_bytes()


@pytest.mark.parametrize(("name", "schema_version"), CURRENT, ids=str)
def test_a_golden_example_leaves_nothing_out(name: str, schema_version: int) -> None:
    assert list(empty_parts(GOLDEN[name, schema_version], name)) == []


@pytest.mark.parametrize(
    "event",
    [
        catalogues.EntryAdded("SMS", Details("SMS"), None),
        catalogues.EntryMoved(2, None),
        activities.ActivityDrafted("A", "HO", BARE_PLAN, "lin"),
        approvals.ApprovalPassed(SUBJECT, Level.TECHNOLOGY, None, "", "tan"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_is_absent_stays_absent(event: Any) -> None:
    encoded = encode(event)
    assert decode(encoded.event_type, encoded.schema_version, encoded.data) == event


def test_an_event_of_a_later_version_of_the_code_is_not_guessed_at() -> None:
    with pytest.raises(UnknownEvent):
        decode("activity.archived", 1, b"{}")
    with pytest.raises(UnknownEvent):
        decode("activity.ended", 2, b"{}")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"owner":1}', b'{"owner":"x"}', b"{}"])
def test_damaged_data_is_no_event(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode("claim.taken", 1, data)


def test_an_event_has_a_limit() -> None:
    with pytest.raises(AssertionError):
        encode(activities.ActivityPaused("x" * DATA_BYTES_MAX, "lin"))


# --- Upcasters ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TeaServed:
    """In version 1 it had `sugar`, as yes or no; version 2 counted it in `lumps`; version 3 names the cup."""

    lumps: int
    cup: str
    remark: str = ""


TEA = EventType(
    "tea.served",
    TeaServed,
    schema_version=3,
    upcasters={
        1: lambda data: {"lumps": 2 if data["sugar"] else 0},
        2: lambda data: {**data, "cup": "white"},
    },
)


@pytest.fixture
def tea_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_codec, "BY_NAME", {TEA.name: TEA})
    monkeypatch.setattr(event_codec, "BY_CLASS", {TeaServed: TEA})


@pytest.mark.usefixtures("tea_is_known")
@pytest.mark.parametrize(
    ("schema_version", "data", "meant"),
    [
        (1, b'{"sugar":true}', TeaServed(2, "white")),
        (1, b'{"sugar":false}', TeaServed(0, "white")),
        (2, b'{"lumps":5}', TeaServed(5, "white")),
        (3, b'{"lumps":1,"cup":"blue"}', TeaServed(1, "blue")),
        (3, b'{"lumps":1,"cup":"blue","remark":"hot"}', TeaServed(1, "blue", "hot")),
    ],
)
def test_every_old_version_is_brought_forward_step_by_step(
    schema_version: int, data: bytes, meant: TeaServed
) -> None:
    assert decode("tea.served", schema_version, data) == meant
    assert decode("tea.served", schema_version, data.decode()) == meant


@pytest.mark.usefixtures("tea_is_known")
def test_only_the_newest_version_is_written() -> None:
    assert encode(TeaServed(1, "blue")) == event_codec.Encoded(
        "tea.served", 3, b'{"lumps":1,"cup":"blue","remark":""}'
    )


if __name__ == "__main__":
    write_missing()
