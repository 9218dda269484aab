"""Users: who keeps them, what is refused, and what becomes of a state."""

from dataclasses import replace

import pytest

from domain.shared.refusal import CommonRefusal
from domain.users import (
    DECIDER,
    CreateUser,
    DisableUser,
    EnableUser,
    Grantable,
    LockUser,
    Profile,
    ResetPassword,
    ReviseUser,
    Status,
    UnlockUser,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserLocked,
    UserPasswordReset,
    UserRefusal,
    UserRevised,
    UserUnlocked,
    user_id,
)
from tests.given import Given

user = Given(DECIDER)

MAY = Grantable(frozenset({"operator", "auditor"}), frozenset({"HO", "SH"}))
LIN = Profile("Lin", "SH", ("operator",), ("SH",), ("SH", "HO"))
create = CreateUser("lin", LIN, MAY, by="admin")
created = UserCreated("lin", LIN, by="admin")
disabled = UserDisabled("has left", by="admin")
locked = UserLocked("lost his badge", by="admin")


def test_a_user_is_created_once() -> None:
    """SYS-02: a name is never given twice, not even that of somebody who has left."""
    user.given().when(create).then(created)
    for before in ((created,), (created, disabled)):
        user.given(*before).when(create).then_refused((UserRefusal.USERNAME_TAKEN, "username"))


@pytest.mark.parametrize("name", ["", "Lin", "1lin", "lin-", "li n", "client:x", "system:x", "l" * 65, "林"])
def test_a_user_name_is_plain(name: str) -> None:
    """So it can't be taken for a program's or the system's."""
    user.given().when(replace(create, username=name)).then_refused((UserRefusal.BAD_USERNAME, "username"))


def test_nobody_gives_what_he_does_not_answer_for() -> None:
    """SYS-03, SYS-07: every fault at once."""
    wrong = Profile(" ", "BJ", ("operator", "operator", "king"), ("SH", "SH"), ("BJ",))
    user.given().when(replace(create, profile=wrong)).then_refused(
        (CommonRefusal.REQUIRED, "name"),
        (UserRefusal.UNIT_NOT_YOURS, "org_unit"),
        (CommonRefusal.DUPLICATE, "roles", 1),
        (UserRefusal.UNKNOWN_ROLE, "roles", 2),
        (CommonRefusal.DUPLICATE, "data_units", 1),
        (UserRefusal.UNIT_NOT_YOURS, "activity_units", 0),
    )
    none = replace(LIN, roles=())
    user.given(created).when(ReviseUser(none, MAY, "admin")).then_refused((CommonRefusal.REQUIRED, "roles"))


def test_a_profile_is_revised_as_a_whole() -> None:
    """SYS-03"""
    auditor = replace(LIN, roles=("auditor",), data_units=None)
    user.given(created).when(ReviseUser(auditor, MAY, "admin")).then(UserRevised(2, auditor, "admin"))
    user.given(created).when(ReviseUser(LIN, MAY, "admin")).then_nothing()


@pytest.mark.parametrize(
    "command",
    [
        ReviseUser(replace(LIN, roles=("auditor",)), MAY, "lin"),
        DisableUser("x", "lin"),
        LockUser("x", "lin"),
    ],
)
def test_nobody_gives_himself_rights_or_shuts_himself_out(command: object) -> None:
    """SEC-03"""
    user.given(created).when(command).then_refused((UserRefusal.OWN_ACCOUNT, "id"))


def test_who_is_disabled_comes_back_as_he_was() -> None:
    """SYS-02"""
    user.given(created).when(DisableUser("has left", "admin")).then(disabled)
    user.given(created, disabled).when(DisableUser("again", "admin")).then_nothing()
    user.given(created, disabled).when(EnableUser("admin")).then(UserEnabled("admin"))
    user.given(created).when(EnableUser("admin")).then_nothing()
    assert DECIDER.fold([created, locked, disabled, UserEnabled("admin")]).status is Status.LOCKED
    assert DECIDER.fold([created, disabled, UserEnabled("admin")]).status is Status.ACTIVE


def test_a_lock_is_taken_off_by_unlocking() -> None:
    """SYS-02"""
    user.given(created).when(LockUser("lost his badge", "admin")).then(locked)
    user.given(created, locked).when(LockUser("again", "admin")).then_nothing()
    user.given(created, locked).when(UnlockUser("admin")).then(UserUnlocked("admin"))
    assert DECIDER.fold([created, locked, UserUnlocked("admin")]).status is Status.ACTIVE
    assert DECIDER.fold([created, locked, disabled, UserUnlocked("admin")]).status is Status.DISABLED


def test_what_a_disabled_user_is_refused() -> None:
    """SYS-02"""
    for command in (ResetPassword("admin"), LockUser("x", "admin")):
        user.given(created, disabled).when(command).then_refused((UserRefusal.USER_DISABLED, "id"))
    user.given(created).when(ResetPassword("admin")).then(UserPasswordReset("admin"))


@pytest.mark.parametrize(
    "command", [ReviseUser(LIN, MAY, "a"), DisableUser("x", "a"), EnableUser("a"), UnlockUser("a")]
)
def test_who_is_not_there_is_not_found(command: object) -> None:
    user.given().when(command).then_refused((CommonRefusal.NOT_FOUND, "id"))


def test_reasons_must_be_given() -> None:
    for command in (DisableUser(" ", "admin"), LockUser("", "admin")):
        user.given(created).when(command).then_refused((CommonRefusal.REQUIRED, "reason"))


def test_the_id_of_a_user_follows_from_his_name_for_ever() -> None:
    assert str(user_id("lin")) == "6f4ebf29-cfb8-5a2a-ac83-81aa19ccd480"
