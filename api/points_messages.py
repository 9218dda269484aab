"""What people read of the refusals of budgets, stocks, points jobs and points ledgers."""

from collections.abc import Mapping

POINTS_MESSAGES: Mapping[str, tuple[str, str]] = {
    # Budgets.
    "budget_too_small": (
        "预算不足：需要 {needed}，可用 {free}（最小单位）。",
        "The budget has {free} left of the {needed} needed.",
    ),
    "budget_committed": (
        "预算不得低于已占用金额 {used}。",
        "The budget can't be less than what is used, {used}.",
    ),
    "budget_closed": ("预算已关闭。", "The budget is closed."),
    # Stocks.
    "out_of_stock": (
        "库存不足：需要 {needed}，可用 {free}。",
        "It is out of stock: {free} left of the {needed} needed.",
    ),
    "stock_committed": ("总量不得低于已占用 {used}。", "The cap can't be less than what is used, {used}."),
    "key_of_jobs": ("该名称保留给积分任务。", "Such names are those of points jobs: choose another."),
    "stock_closed": ("库存已关闭。", "The stock is closed."),
    "bad_quantity": (
        "数量须为正数，最多 {digits} 位小数。",
        "The quantity must be a positive number with at most {digits} decimal places.",
    ),
    "bad_expiry": (
        "到期时间须晚于现在，且在 {days} 天之内。",
        "It must end later than now, and within {days} days.",
    ),
    # Reservations, of budgets and of stocks.
    "too_many_reservations": ("预留最多 {most} 项。", "There are at most {most} reservations."),
    "too_many_refunds": ("退回最多 {most} 次。", "There are at most {most} refunds."),
    "reservation_gone": ("预留 {key} 已失效。", "The reservation {key} is gone."),
    "reservation_differs": ("{key} 已以其他内容登记。", "{key} was recorded otherwise."),
    "more_than_reserved": ("超出 {key} 的预留。", "It is more than was reserved for {key}."),
    "more_than_consumed": ("超出 {key} 的已使用。", "It is more than was consumed for {key}."),
    # Points.
    "not_at_this_step": (
        "任务当前为 {status}，不能执行此步骤。",
        "The job is {status}: this step is not its next.",
    ),
    "already_released": ("文件已放行（{status}），不能撤回。", "Its file has been released: it is {status}."),
    "job_not_failed": ("任务未失败（{status}）。", "The job has not failed but is {status}."),
    "recall_not_tried": (
        "请先撤回文件：只有对方已取走文件时，才需要其确认。",
        "Recall the file first: a confirmation is for one that is found to be taken.",
    ),
    "second_person_needed": (
        "撤回由 {user} 发起，须由另一人提交对方的确认。",
        "{user} asked for the recall: somebody else gives the confirmation.",
    ),
    "no_points_file": (
        "没有可下载的积分文件（{status}）。",
        "There is no such file to be had: it is {status}.",
    ),
    "no_such_customer": (
        "没有该客户，或不在您的范围内。",
        "There is no such customer, or he is not of your units.",
    ),
    "customers_unavailable": (
        "暂时无法核对客户，请稍后再试。",
        "Customers can't be looked up for the moment: try again.",
    ),
    "nothing_to_accept": ("没有待确认的差异。", "There are no differences to accept."),
    "work_order_held": ("工单已取消或正在申请取消。", "The work order is cancelled, or about to be."),
    "activity_cancelled": ("活动已取消。", "The activity is cancelled."),
    "bad_unit_cost": (
        "单位成本须为最多 {digits} 位小数的数字。",
        "The unit cost is a number with up to {digits} decimals.",
    ),
    "bad_business_type": (
        "业务类型为 1 到 32 个大写字母、数字或“_”。",
        "A business type has 1 to 32 of A-Z, 0-9 and _.",
    ),
    "bad_programme": (
        "积分计划代码为 1 到 16 个大写字母或数字。",
        "A programme's code has 1 to 16 of A-Z and 0-9.",
    ),
    "run_without_result": ("该次执行没有可用结果。", "The run has no result to make points of."),
    "run_without_work_order": ("该次执行不属于任何工单。", "The run belongs to no work order."),
    "run_replaced": (
        "工单的执行已由另一次运行代替。",
        "The work order is executed by another run than this one.",
    ),
    "columns_missing": ("结果中缺少列：{columns}。", "The result lacks one of the columns {columns}."),
    "ledger_closed": ("积分账户已关闭。", "The points account is closed."),
    "ledger_full": ("积分账户一年最多 {most} 笔。", "A points account has at most {most} postings a year."),
    "overdrawn": ("积分不足：余额为 {balance}。", "There are not enough points: the balance is {balance}."),
    "no_such_entry": ("没有这笔积分。", "There is no such entry, or it is a reversal itself."),
    "already_reversed": ("该笔积分已冲正。", "The entry has been reversed already."),
    "zero_points": ("积分不能为零。", "The points can't be zero."),
    "bad_posting": (
        "格式不正确：客户号为 1 到 32 个字母、数字、“_”或“-”；积分计划为 1 到 16 个大写字母或数字；"
        "业务类型为 1 到 32 个大写字母、数字或“_”，以字母开头；卡号须掩码，如 622588********1234。",
        "A customer has 1 to 32 of A-Z, a-z, 0-9, _ and -, and is no card number; a programme 1 to 16"
        " of A-Z and 0-9; a business type 1 to 32 of A-Z, 0-9 and _, a letter first; a card is masked:"
        " 622588********1234.",
    ),
    "bad_contra": (
        "对方账户不能是客户账户，请选择 ISSUANCE、EXPIRY 或 REDEMPTION。",
        "The customer's account can't stand against itself: take ISSUANCE, EXPIRY or REDEMPTION.",
    ),
}
