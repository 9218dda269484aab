"""What people read of the refusals of work orders and of requests to cancel them."""

from collections.abc import Mapping

WORK_ORDER_MESSAGES: Mapping[str, tuple[str, str]] = {
    "activity_over": ("活动已结束或取消（{status}）。", "The activity is over: it is {status}."),
    "activity_not_ready": (
        "活动尚未批准或不在进行中（{status}）。",
        "The activity must be approved or running, but it is {status}.",
    ),
    "group_not_linked": (
        "该客群不在活动所关联的客群之中。",
        "The activity is linked to other customer groups than this one.",
    ),
    "work_order_not_editable": (
        "当前状态（{status}）不可修改工单。",
        "A work order can't be edited while it is {status}.",
    ),
    "work_order_not_submittable": (
        "当前状态（{status}）不可提交工单。",
        "A work order can't be submitted while it is {status}.",
    ),
    "work_order_not_in_approval": ("工单不在审批中（{status}）。", "It is not in approval but {status}."),
    "work_order_not_approved": (
        "工单尚未批准（{status}），不能排程。",
        "Only an approved work order is scheduled; it is {status}.",
    ),
    "work_order_not_scheduled": ("工单未排程（{status}）。", "It is not scheduled but {status}."),
    "work_order_not_due": ("执行时间未到：{at}。", "It is not due before {at}."),
    "work_order_not_executing": ("工单不在执行中（{status}）。", "It is not executing but {status}."),
    "work_order_not_failed": (
        "工单未失败（{status}），无需重试。",
        "Only a failed work order is tried again; it is {status}.",
    ),
    "work_order_not_releasable": (
        "当前状态（{status}）不可发放结果。",
        "Nothing of it may go out while it is {status}.",
    ),
    "work_order_not_cancellable": (
        "当前状态（{status}）不可申请撤销。",
        "Its cancellation can't be asked for while it is {status}.",
    ),
    "cancellation_open": ("已有待处理的撤销申请。", "A request for its cancellation is open already."),
    "too_many_executions": ("最多执行 {most} 次。", "It is executed at most {most} times."),
    "definition_not_approved": (
        "该细分定义尚未批准：请先提交，并由研发、科技两级批准。",
        "This segment definition is not approved: submit it, and have both levels approve it.",
    ),
    "definition_of_another": (
        "该细分定义不属于此工单。",
        "This segment definition was not made for this work order.",
    ),
    "cancellation_not_pending": ("撤销申请已处理（{status}）。", "The request is closed: it is {status}."),
    "points_file_taken": (
        "积分文件 {file} 已由积分系统接收，不能撤销。",
        "It is too late: the points system has taken the file {file}.",
    ),
    "not_your_request": ("只有申请人可以撤回。", "Only who asked for it may take it back."),
}
"""Code in lower case to (zh, en), as in `messages`."""
