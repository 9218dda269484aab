"""What people read of refusals about users, programs and delegations."""

from collections.abc import Mapping

ACCESS_MESSAGES: Mapping[str, tuple[str, str]] = {
    "other_units": (
        "属于机构 {unit}，您只能查看。",
        "It belongs to the unit {unit}: you may look at it only.",
    ),
    "bad_username": (
        "用户名最多 {most} 个小写字母、数字、“.”、“_”或“-”，以字母开头。",
        "A user name has at most {most} of a-z, 0-9, '.', '_' and '-', and begins with a letter.",
    ),
    "username_taken": (
        "用户名 {username} 已被使用；用户名不会再次分配。",
        "The user name {username} is taken; a name is never given twice.",
    ),
    "unknown_role": ("没有角色 {role}。", "There is no role {role}."),
    "unit_not_yours": (
        "没有机构 {unit}，或不归您管理。",
        "There is no unit {unit}, or you do not answer for it.",
    ),
    "own_account": (
        "不能更改自己的账户，请由另一位管理员办理。",
        "Nobody changes his own account: ask another administrator.",
    ),
    "user_erased": (
        "该用户的个人信息已删除，账户不再启用。",
        "The user was erased: his account is closed for good.",
    ),
    "erasure_under_way": (
        "此人的删除申请已存在（{status}）。",
        "The person is being erased already, or was: it is {status}.",
    ),
    "erasure_not_pending": ("删除申请已处理（{status}）。", "The request is closed: it is {status}."),
    "not_your_erasure": (
        "只有申请人才能撤回删除申请。",
        "Only who asked for an erasure can take it back.",
    ),
    "bad_person": (
        "客户号为 1 至 32 个字母、数字、“_”或“-”。",
        "A customer's number has 1 to 32 letters, digits, '_' or '-'.",
    ),
    "user_not_disabled": (
        "请先停用该用户，再申请删除。",
        "Disable the user first, then ask that he be erased.",
    ),
    "user_disabled": ("该用户已停用，请先启用。", "The user is disabled: enable him first."),
    "unknown_scope": ("没有可授予的权限 {scope}。", "There is no permission {scope} to be given."),
    "service_unit_not_yours": (
        "没有机构 {unit}，或不归您管理。",
        "There is no unit {unit}, or you do not answer for it.",
    ),
    "service_account_disabled": (
        "该服务账户已停用，请先启用。",
        "The service account is disabled: enable it first.",
    ),
    "already_expired": ("到期时间必须晚于现在。", "The end must lie ahead."),
    "delegation_ended": ("该委托已到期。", "The delegation is over already."),
    "delegation_too_long": ("委托最长 {days} 天。", "A delegation lasts at most {days} days."),
    "delegation_unit_not_yours": (
        "您不能委托机构 {unit} 的工作。",
        "You can't delegate the work of the unit {unit}.",
    ),
    "delegate_same_unit": (
        "受托人已属于该机构，请改为授予角色。",
        "The delegate belongs to that unit already: give him a role.",
    ),
    "accounts_are_head_offices": (
        "账户由总行管理，只有总行可以委托。",
        "Head office keeps the accounts: only it can delegate that.",
    ),
}
"""Code to (zh, en)."""
