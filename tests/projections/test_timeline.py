"""The timeline: who did what when and why, and which fields it changed from what to what."""

from dataclasses import replace

from domain.activities import ActivityApproved, ActivityDeleted, ActivityRevised, ActivityWithdrawn
from domain.activity_plans import Channel
from domain.catalogues import Details, EntryAdded, EntryDisabled, EntryRemoved, EntryRevised
from domain.shared.claims import TextClaimed
from projections.timeline import TimelineRow
from tests.projections.folding import History, entries, id_of
from tests.projections.test_activities import (
    APPROVAL,
    DRAFTED,
    PASSED,
    PLAN,
    activity,
    approval,
    approved,
    submitted,
)

ADDED = EntryAdded("DIN", Details("Dining"), None)


def told(history: History) -> dict[str, tuple[object, object]]:
    """What the last event changed: by field, before and after."""
    return {change["field"]: (change["before"], change["after"]) for change in last(history).changes}


def last(history: History) -> TimelineRow:
    return entries(history.records)[-1]


def test_an_entry_has_the_whole_envelope_of_its_event() -> None:
    history = History().happens("activity_type", "entry", ADDED, by="wu")
    record = history.records[-1]
    assert replace(last(history), changes=[]) == TimelineRow(
        id=record.event_id,
        epoch=1,
        position=1,
        stream_id=id_of("entry"),
        stream_type="activity_type",
        subject_id=f"at_{id_of('entry').hex}",
        version=1,
        event_type="entry.added",
        recorded_at=record.recorded_at,
        effective_at=record.context.effective_at,
        actor="wu",
        on_behalf_of=None,
        org_unit=None,
        command_id=record.context.command_id,
        correlation_id=record.context.correlation_id,
        causation_id=None,
        reason=None,
        revision=1,
        related_ids=(id_of("entry"),),
        changes=[],
    )


def test_the_life_of_a_parameter_is_told_with_every_value_before_and_after() -> None:
    """PAR-25."""
    history = History().happens("activity_type", "entry", ADDED)
    assert told(history)["name"] == (None, "Dining")
    history.happens("activity_type", "entry", EntryRevised(2, Details("Meals")))
    assert told(history) == {"name": ("Dining", "Meals"), "revision": (1, 2)}
    history.happens("activity_type", "entry", EntryDisabled())
    assert told(history) == {"status": ("ENABLED", "DISABLED")}
    history.happens("activity_type", "entry", EntryRemoved())
    assert told(history)["name"] == ("Meals", None)
    assert (last(history).revision, last(history).version) == (2, 4)


def test_bookkeeping_and_what_did_not_change_are_not_told() -> None:
    fields = {change["field"] for entry in entries(approved().records) for change in entry.changes}
    assert not fields & {"id", "version", "createdAt", "createdBy", "changedAt", "changedBy"}
    assert "registrationStartsAt" not in fields


def test_values_are_told_in_json() -> None:
    plan = replace(PLAN, channels=(Channel.EMAIL,), activity_type=replace(PLAN.activity_type, id=id_of("x")))
    assert told(activity(ActivityRevised(2, plan, "wu"), history=activity(DRAFTED))) == {
        "revision": (1, 2),
        "channels": (["SMS", "APP"], ["EMAIL"]),
        "activityTypeId": (f"at_{id_of('dining').hex}", f"at_{id_of('x').hex}"),
    }
    times = told(activity(DRAFTED))
    assert times["startsAt"] == (None, "2026-03-01T08:00:00.000000Z")
    assert times["costLines"][1] == [
        {
            "costTypeId": f"ct_{id_of(name).hex}",
            "costTypeRevision": revision,
            "amountMinor": amount,
            "currency": "CNY",
            "remark": remark,
        }
        for name, revision, amount, remark in [("sms", 1, 2_500, "one each"), ("gifts", 2, 40_000, "")]
    ]


def test_an_approval_tells_its_own_row_and_moves_its_subject() -> None:
    """The activity's next event starts from the status that the approval had brought about."""
    history = approval(submitted(), PASSED)
    assert told(history)["status"] == ("PENDING_RESEARCH", "PENDING_TECHNOLOGY")
    assert told(history)["decidedBy"] == ([], ["rao"])
    activity(ActivityApproved(1, APPROVAL), history=history)
    assert told(history)["status"] == ("PENDING_TECHNOLOGY", "APPROVED")


def test_a_timeline_of_an_activity_finds_its_approvals_and_theirs_finds_it() -> None:
    """ACT-06."""
    history = activity(ActivityWithdrawn(1, APPROVAL, "wu"), history=submitted())
    drafted, sent, opened, withdrawn = entries(history.records)
    assert drafted.related_ids == (id_of("activity"),)
    assert sent.related_ids == withdrawn.related_ids == (id_of("activity"), APPROVAL)
    assert opened.related_ids == (APPROVAL, id_of("activity"))


def test_the_unit_is_the_subjects_and_not_the_actors() -> None:
    history = approval(submitted(), PASSED)
    assert {record.context.org_unit for record in history.records} == {"HO"}
    assert {entry.org_unit for entry in entries(history.records)} == {"SH"}


def test_a_deleted_activity_is_told_with_the_unit_it_had() -> None:
    history = activity(DRAFTED, ActivityDeleted("wu"))
    assert (last(history).org_unit, last(history).revision) == ("SH", 1)
    assert told(history)["status"] == ("DRAFT", None)


def test_claims_are_left_out() -> None:
    history = History().happens("claim", "code", TextClaimed(id_of("activity")))
    assert entries(history.records) == []
