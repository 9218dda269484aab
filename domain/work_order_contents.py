"""What a work order asks for: which customers, by which rules, when, for which activity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from domain.activities import Status as ActivityStatus
from domain.activity_plans import Choice, PlanRefusal
from domain.shared.period import YEAR_LEAST, YEAR_MOST, instant_faults
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault, refuse_any
from domain.shared.text import name_faults, text_faults

T = TypeVar("T")

# --- Values ---------------------------------------------------------------

NAME_CHARACTERS_MAX = 120
RULES_CHARACTERS_MAX = 4_000
PERSON_CHARACTERS_MAX = 120
REMARK_CHARACTERS_MAX = 1_000
OUTPUT_FIELDS_MAX = 50
OUTPUT_FIELD_CHARACTERS_MAX = 64


class Kind(StrEnum):
    """For whom the customers are picked: for an activity itself, or for the evaluation of one."""

    ACTIVITY = "activity"
    EVALUATION = "evaluation"


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


@dataclass(frozen=True, slots=True)
class DataTimeframe:
    """The days whose data is looked at: `data_from` is the first, `data_to` the day after the last."""

    data_from: date
    data_to: date


@dataclass(frozen=True, slots=True)
class Content:
    """What people write, diff and approve. `requester` is who in the department wants the customers."""

    name: str
    activity: Reference
    customer_group: Reference
    segmentation_rules: str
    execution_at: datetime
    requester: str
    department: Reference
    output_fields: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    data_timeframe: DataTimeframe | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ActivityChoice:
    """An activity that a person chose: None when there is none in his sight, and how it stands now.

    `customer_groups` are the ones that its plan is linked to; with none, any group will do.
    """

    reference: Reference | None
    status: ActivityStatus = ActivityStatus.UNKNOWN
    revision_seen: int | None = None
    customer_groups: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentDraft:
    """A content as it was entered: anything may be missing or wrong. `sound_content` judges it."""

    name: str = ""
    activity: ActivityChoice | None = None
    customer_group: Choice | None = None
    segmentation_rules: str = ""
    execution_at: datetime | None = None
    requester: str = ""
    department: Choice | None = None
    output_fields: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    data_timeframe: DataTimeframe | None = None
    remark: str = ""


class ContentRefusal(StrEnum):
    ACTIVITY_OVER = "activity_over"
    ACTIVITY_NOT_READY = "activity_not_ready"
    GROUP_NOT_LINKED = "group_not_linked"


OVER = {
    Kind.ACTIVITY: (ActivityStatus.ENDED, ActivityStatus.CANCELLED),
    Kind.EVALUATION: (ActivityStatus.CANCELLED,),
}
READY = {
    Kind.ACTIVITY: (ActivityStatus.APPROVED, ActivityStatus.RUNNING),
    Kind.EVALUATION: (
        ActivityStatus.APPROVED,
        ActivityStatus.RUNNING,
        ActivityStatus.PAUSED,
        ActivityStatus.ENDED,
    ),
}
"""How an activity must stand for a work order of each kind to be submitted: what has ended is evaluated."""


# --- Rules ----------------------------------------------------------------


def sound_content(kind: Kind, draft: ContentDraft) -> Content:
    """The content that was entered, or `Refused` with everything that is wrong with it."""
    refuse_any(_content_faults(kind, draft))
    return Content(
        name=draft.name,
        activity=_given(_given(draft.activity).reference),
        customer_group=_given(_given(draft.customer_group).reference),
        segmentation_rules=draft.segmentation_rules,
        execution_at=_given(draft.execution_at),
        requester=draft.requester,
        department=_given(_given(draft.department).reference),
        output_fields=draft.output_fields,
        priority=draft.priority,
        data_timeframe=draft.data_timeframe,
        remark=draft.remark,
    )


def reference_faults(
    kind: Kind, activity: ActivityChoice, customer_group: Choice, department: Choice
) -> Iterator[Fault]:
    """Whether a work order may be submitted with what it refers to, as that stands now."""
    yield from _activity_faults(kind, activity)
    if activity.reference and activity.status not in (*OVER[kind], *READY[kind]):
        yield Fault(ContentRefusal.ACTIVITY_NOT_READY, ("activity",), {"status": activity.status})
    yield from customer_group.faults("customer_group")
    yield from _link_faults(activity, customer_group)
    yield from department.faults("department")


def _given(value: T | None) -> T:
    assert value is not None, "a content without faults has all its parts"
    return value


def _content_faults(kind: Kind, draft: ContentDraft) -> Iterator[Fault]:
    yield from name_faults(draft.name, NAME_CHARACTERS_MAX, "name")
    if draft.activity is None:
        yield Fault(CommonRefusal.REQUIRED, ("activity",))
    else:
        yield from _activity_faults(kind, draft.activity)
    yield from _choice_faults(draft.customer_group, "customer_group")
    if draft.activity is not None and draft.customer_group is not None:
        yield from _link_faults(draft.activity, draft.customer_group)
    yield from name_faults(draft.segmentation_rules, RULES_CHARACTERS_MAX, "segmentation_rules")
    if draft.execution_at is None:
        yield Fault(CommonRefusal.REQUIRED, ("execution_at",))
    else:
        yield from instant_faults(draft.execution_at, "execution_at")
    yield from name_faults(draft.requester, PERSON_CHARACTERS_MAX, "requester")
    yield from _choice_faults(draft.department, "department")
    yield from _field_faults(draft.output_fields)
    yield from _timeframe_faults(draft.data_timeframe)
    yield from text_faults(draft.remark, REMARK_CHARACTERS_MAX, "remark")


def _activity_faults(kind: Kind, chosen: ActivityChoice) -> Iterator[Fault]:
    if chosen.reference is None:
        yield Fault(CommonRefusal.NOT_FOUND, ("activity",))
    elif chosen.revision_seen not in (None, chosen.reference.revision):
        current = {"revision": str(chosen.reference.revision)}
        yield Fault(PlanRefusal.REFERENCE_CHANGED, ("activity",), current)
    elif chosen.status in OVER[kind]:
        yield Fault(ContentRefusal.ACTIVITY_OVER, ("activity",), {"status": chosen.status})


def _choice_faults(choice: Choice | None, name: str) -> Iterator[Fault]:
    if choice is None:
        yield Fault(CommonRefusal.REQUIRED, (name,))
    else:
        yield from choice.faults(name)


def _link_faults(activity: ActivityChoice, customer_group: Choice) -> Iterator[Fault]:
    """An activity that names its groups has its customers picked from those alone."""
    group, linked = customer_group.reference, activity.customer_groups
    if group is not None and linked and group.id not in linked:
        yield Fault(ContentRefusal.GROUP_NOT_LINKED, ("customer_group",))


def _field_faults(names: Sequence[str]) -> Iterator[Fault]:
    if len(names) > OUTPUT_FIELDS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("output_fields",), {"most": str(OUTPUT_FIELDS_MAX)})
    if len(set(names)) < len(names):
        yield Fault(CommonRefusal.DUPLICATE, ("output_fields",))
    for index, name in enumerate(names[:OUTPUT_FIELDS_MAX]):
        yield from name_faults(name, OUTPUT_FIELD_CHARACTERS_MAX, "output_fields", index)


def _timeframe_faults(timeframe: DataTimeframe | None) -> Iterator[Fault]:
    if timeframe is None:
        return
    for name in ("data_from", "data_to"):
        if not YEAR_LEAST < getattr(timeframe, name).year < YEAR_MOST:
            limits = {"least": str(YEAR_LEAST), "most": str(YEAR_MOST)}
            yield Fault(CommonRefusal.OUT_OF_RANGE, ("data_timeframe", name), limits)
    if timeframe.data_to <= timeframe.data_from:
        yield Fault(CommonRefusal.END_NOT_AFTER_START, ("data_timeframe", "data_to"))
