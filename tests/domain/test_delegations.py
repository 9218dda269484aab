"""Delegations: whose work, for how long, and when it is over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.delegations import (
    DECIDER,
    Delegate,
    DelegationEnded,
    DelegationRefusal,
    EndDelegation,
    Task,
    WorkDelegated,
)
from domain.shared.refusal import CommonRefusal
from tests.given import Given

delegation = Given(DECIDER)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
END = NOW + timedelta(days=30)
TASKS = (Task.WORK_ORDERS, Task.SEGMENTS)
delegate = Delegate(
    "SH", "analyst", "HO", (Task.SEGMENTS, Task.WORK_ORDERS), END, "help", NOW, "hu", True, False
)
delegated = WorkDelegated("SH", "analyst", TASKS, NOW, END, "help", "hu")


def test_a_delegation_holds_from_now_until_its_end() -> None:
    """SYS-09: it ends by itself."""
    delegation.given().when(delegate).then(delegated)
    state = DECIDER.fold([delegated])
    assert [state.holds(NOW + timedelta(days=days)) for days in (-1, 0, 29, 30, 31)] == [
        False, True, True, False, False,
    ]  # fmt: skip


def test_a_delegation_can_be_ended_before_its_time() -> None:
    """SYS-09"""
    at = NOW + timedelta(days=2)
    ended = DelegationEnded(at, "", "hu")
    delegation.given(delegated).when(EndDelegation(at, "", "hu")).then(ended)
    delegation.given(delegated, ended).when(EndDelegation(at, "", "hu")).then_nothing()
    assert not DECIDER.fold([delegated, ended]).holds(at)
    delegation.given(delegated).when(EndDelegation(END, "", "hu")).then_refused(
        (DelegationRefusal.DELEGATION_ENDED, "id")
    )
    delegation.given().when(EndDelegation(at, "", "hu")).then_refused((CommonRefusal.NOT_FOUND, "id"))


def test_all_that_is_wrong_with_a_delegation_is_told() -> None:
    """SYS-09"""
    wrong = replace(
        delegate, delegate="", delegate_unit="SH", tasks=(), reason="", ends_at=NOW, is_unit_own=False
    )
    delegation.given().when(wrong).then_refused(
        (DelegationRefusal.DELEGATION_UNIT_NOT_YOURS, "org_unit"),
        (CommonRefusal.REQUIRED, "delegate"),
        (DelegationRefusal.DELEGATE_SAME_UNIT, "delegate"),
        (CommonRefusal.REQUIRED, "reason"),
        (CommonRefusal.REQUIRED, "tasks"),
        (CommonRefusal.END_NOT_AFTER_START, "ends_at"),
    )
    late = replace(delegate, ends_at=NOW + timedelta(days=366, seconds=1), tasks=(Task.SEGMENTS,) * 2)
    delegation.given().when(late).then_refused(
        (CommonRefusal.DUPLICATE, "tasks"), (DelegationRefusal.DELEGATION_TOO_LONG, "ends_at")
    )


def test_only_head_office_delegates_accounts() -> None:
    """SYS-07"""
    accounts = replace(delegate, tasks=(Task.ACCOUNTS,))
    delegation.given().when(accounts).then_refused((DelegationRefusal.ACCOUNTS_ARE_HEAD_OFFICES, "tasks"))
    central = replace(accounts, org_unit="HO", delegate_unit="SH", is_unit_central=True)
    delegation.given().when(central).then(replace(delegated, org_unit="HO", tasks=(Task.ACCOUNTS,)))
