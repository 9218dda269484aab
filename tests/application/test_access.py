"""Who may do what: denied unless granted, and denied before anything is looked at."""

from uuid import UUID

import pytest

from application.access import (
    HEAD_OFFICE,
    LEVELS,
    OPERATIONS,
    PERMISSIONS,
    Forbidden,
    Permission,
    Principal,
    Role,
    authorise,
    units_of,
)
from application.shared.handler import Request
from application.shared.work import Work
from domain.approvals import Level
from tests.application.bank import LIN, SCHEDULER, Bank, person
from tests.given import grid

MAY = grid("""
                    operator researcher technologist auditor integrator administrator
addActivityType     yes      no         no           no      no         yes
reviseActivityType  yes      no         no           no      no         yes
enableActivityType  yes      no         no           no      no         yes
disableActivityType yes      no         no           no      no         yes
removeActivityType  yes      no         no           no      no         yes
addCostType         yes      no         no           no      no         yes
reviseCostType      yes      no         no           no      no         yes
enableCostType      yes      no         no           no      no         yes
disableCostType     yes      no         no           no      no         yes
removeCostType      yes      no         no           no      no         yes
addActivityForm     yes      no         no           no      no         yes
reviseActivityForm  yes      no         no           no      no         yes
enableActivityForm  yes      no         no           no      no         yes
disableActivityForm yes      no         no           no      no         yes
removeActivityForm  yes      no         no           no      no         yes
addDepartment       yes      no         no           no      no         yes
reviseDepartment    yes      no         no           no      no         yes
enableDepartment    yes      no         no           no      no         yes
disableDepartment   yes      no         no           no      no         yes
removeDepartment    yes      no         no           no      no         yes
addRewardType       yes      no         no           no      no         yes
reviseRewardType    yes      no         no           no      no         yes
enableRewardType    yes      no         no           no      no         yes
disableRewardType   yes      no         no           no      no         yes
exportActivities    yes      yes        yes          yes     no         yes
exportReplay        no       no         no           yes     no         no
draftActivity       yes      no         no           no      no         no
reviseActivity      yes      no         no           no      no         no
submitActivity      yes      no         no           no      no         no
withdrawActivity    yes      no         no           no      no         no
deleteActivity      yes      no         no           no      no         no
launchActivity      yes      no         no           no      no         no
pauseActivity       yes      no         no           no      no         no
resumeActivity      yes      no         no           no      no         no
cancelActivity      yes      no         no           no      no         no
defineCustomerGroup yes      no         no           no      no         no
reviseCustomerGroup yes      no         no           no      no         no
retireCustomerGroup yes      no         no           no      no         no
deleteCustomerGroup yes      no         no           no      no         no
approve             no       yes        yes          no      no         no
reject              no       yes        yes          no      no         no
endActivity         no       no         no           no      no         no

                          operator researcher technologist auditor integrator administrator
draftSegmentDefinition    yes      no         yes          no      no         no
reuseSegmentDefinition    yes      no         yes          no      no         no
reviseSegmentDefinition   yes      no         yes          no      no         no
submitSegmentDefinition   yes      no         yes          no      no         no
withdrawSegmentDefinition yes      no         yes          no      no         no
deleteSegmentDefinition   yes      no         yes          no      no         no
trySegmentDefinition      yes      no         yes          no      no         no
requestSegmentRun         yes      no         yes          no      no         no
terminateSegmentRun       yes      no         yes          no      no         no
retrySegmentRun           yes      no         yes          no      no         no
exportSegmentRun          yes      no         yes          no      no         no
exportPointsFile          yes      no         no           yes     no         no
executeSegmentRun         no       no         no           no      no         no
deleteSegmentResult       no       no         no           no      no         no
setSegmentSchedule        yes      no         yes          no      no         no
withdrawSegmentSchedule   yes      no         yes          no      no         no
fireRunSchedule           no       no         no           no      no         no
extractGroup              no       no         no           no      no         no
moveSchedules             no       no         no           no      no         no
addBusinessCalendar       yes      no         no           no      no         yes
reviseBusinessCalendar    yes      no         no           no      no         yes
grantSource               no       no         no           no      no         yes
revokeSource              no       no         no           no      no         yes

                           operator researcher technologist auditor integrator administrator
openPointsJob              yes      no         no           no      no         no
retryPointsJob             yes      no         no           no      no         no
withdrawPointsJob          yes      no         no           no      no         no
acceptPointsJobDifferences yes      no         no           no      no         no
resendPointsFile           yes      no         no           no      no         no
recallPointsFile           yes      no         no           no      no         no
advancePointsJob           no       no         no           no      no         no
adjustPoints               yes      no         no           no      no         no
reversePointsEntry         yes      no         no           no      no         no
closePointsAccount         yes      no         no           no      no         no
expireBudget               no       no         no           no      no         no
closeBudget                no       no         no           no      no         no
reserveStock               yes      no         no           no      yes        no
consumeStock               yes      no         no           no      yes        no
releaseStock               yes      no         no           no      yes        no
returnStock                yes      no         no           no      yes        no
expireStock                no       no         no           no      no         no
countActivity              yes      yes        yes          no      no         no
executeActivityCount       no       no         no           no      no         no
listActivityCustomers      yes      no         no           no      no         no
listGroupMembers           yes      no         no           no      no         no

                     operator researcher technologist auditor integrator administrator
draftWorkOrder       yes      no         no           no      no         no
reviseWorkOrder      yes      no         no           no      no         no
submitWorkOrder      yes      no         no           no      no         no
withdrawWorkOrder    yes      no         no           no      no         no
requestCancellation  yes      no         no           no      no         no
withdrawCancellation yes      no         no           no      no         no
scheduleWorkOrder    yes      no         yes          no      no         no
retryWorkOrder       yes      no         yes          no      no         no
exportWorkOrder      yes      yes        yes          yes     no         yes
startWorkOrder       no       no         no           no      no         no
completeWorkOrder    no       no         no           no      no         no
failWorkOrder        no       no         no           no      no         no

                      operator researcher technologist auditor integrator administrator
createUser            no       no         no           no      no         yes
reviseUser            no       no         no           no      no         yes
disableUser           no       no         no           no      no         yes
enableUser            no       no         no           no      no         yes
lockUser              no       no         no           no      no         yes
unlockUser            no       no         no           no      no         yes
resetPassword         no       no         no           no      no         yes
createServiceAccount  no       no         no           no      no         yes
reviseServiceAccount  no       no         no           no      no         yes
disableServiceAccount no       no         no           no      no         yes
enableServiceAccount  no       no         no           no      no         yes
rotateSecret          no       no         no           no      no         yes
endOldSecret          no       no         no           no      no         yes
revokeTokens          no       no         no           no      no         yes
delegate              no       no         no           no      no         yes
endDelegation         no       no         no           no      no         yes

                        operator researcher technologist auditor integrator administrator
draftWebhookEndpoint    yes      no         no           no      yes        yes
reviseWebhookEndpoint   yes      no         no           no      yes        yes
submitWebhookEndpoint   yes      no         no           no      yes        yes
withdrawWebhookEndpoint yes      no         no           no      yes        yes
disableWebhookEndpoint  yes      no         no           no      yes        yes
enableWebhookEndpoint   yes      no         no           no      yes        yes
replayWebhookEndpoint   yes      no         no           no      yes        yes
deleteWebhookEndpoint   yes      no         no           no      yes        yes
rotateWebhookSecret     yes      no         no           no      yes        yes
endOldWebhookSecret     yes      no         no           no      yes        yes
resendWebhookDelivery   yes      no         no           no      yes        yes
suspendWebhookEndpoint  no       no         no           no      no         no

                operator researcher technologist auditor integrator administrator
requestErasure  no       no         no           no      no         yes
withdrawErasure no       no         no           no      no         yes
completeErasure no       no         no           no      no         no
""")


def test_the_table_of_permissions_is_whole() -> None:
    """SEC-03: a new operation or role is decided upon here, on purpose."""
    assert set(MAY) == {(operation, str(role)) for operation in OPERATIONS for role in Role}
    assert set(PERMISSIONS) == set(Role)


@pytest.mark.parametrize(("operation", "role"), MAY, ids=str)
def test_every_role_may_do_what_the_table_says(operation: str, role: str) -> None:
    """SEC-03"""
    principal = person("x", Role(role))
    if MAY[operation, role] == "yes":
        authorise(principal, operation)
    else:
        with pytest.raises(Forbidden) as caught:
            authorise(principal, operation)
        assert (caught.value.operation, caught.value.permission) == (operation, OPERATIONS[operation])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_has_no_role_may_do_nothing(operation: str) -> None:
    """SEC-03: deny by default."""
    with pytest.raises(Forbidden):
        authorise(person("x"), operation)


def test_an_operation_that_nobody_listed_is_forbidden_to_all() -> None:
    """SEC-03: deny by default."""
    everything = Principal("x", frozenset(Role), "HO", frozenset(), None, frozenset(Permission))
    for operation in ("", "draftactivity", "dropEverything"):
        with pytest.raises(Forbidden):
            authorise(everything, operation)


def test_only_the_scheduler_ends_activities() -> None:
    authorise(SCHEDULER, "endActivity")
    with pytest.raises(Forbidden):
        authorise(person("x", *Role), "endActivity")
    with pytest.raises(Forbidden):
        authorise(SCHEDULER, "cancelActivity")


def test_rights_of_several_roles_add_up() -> None:
    both = person("x", Role.OPERATOR, Role.RESEARCHER)
    authorise(both, "draftActivity")
    authorise(both, "approve")


def test_each_department_decides_its_own_level() -> None:
    """APR-01, APR-02"""
    assert {role: person("x", role).levels for role in Role} == {
        **dict.fromkeys(Role, frozenset()),
        Role.RESEARCHER: {Level.RESEARCH},
        Role.TECHNOLOGIST: {Level.TECHNOLOGY},
    }
    assert set(LEVELS.values()) == set(Level)


def test_head_office_sees_all_units_a_branch_itself_and_a_stranger_none() -> None:
    units = frozenset({HEAD_OFFICE, "SH", "BJ"})
    assert units_of(HEAD_OFFICE, units) == units
    assert units_of("SH", units) == {"SH"}
    assert units_of("XX", units) == frozenset()


def test_what_is_forbidden_is_not_even_begun(bank: Bank) -> None:
    """SEC-03: no state is read, no key is looked up, nothing is recorded."""

    def use_case(_: Work) -> UUID:
        raise AssertionError("reached")

    for operation in OPERATIONS:
        with pytest.raises(Forbidden):
            bank.handler(Request(person("x"), operation, None, key="k" * 999), use_case)
    with pytest.raises(Forbidden):
        bank.handler(Request(LIN, "approve", None), use_case)
    assert bank.count_events() == 0
