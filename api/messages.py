"""What people read of a code, in Chinese and English. Codes are stable, sentences may be mended."""

from collections.abc import Mapping
from typing import Literal

from api.access_messages import ACCESS_MESSAGES
from api.message_words import in_words
from api.points_messages import POINTS_MESSAGES
from api.webhook_messages import WEBHOOK_MESSAGES
from api.work_order_messages import WORK_ORDER_MESSAGES

Language = Literal["zh", "en"]

MESSAGES: Mapping[str, tuple[str, str]] = {
    **ACCESS_MESSAGES,
    # What every capability says.
    "not_found": ("不存在，或您无权查看。", "It does not exist, or you may not see it."),
    "required": ("必填。", "This is required."),
    "too_long": ("最多 {most} 个字符。", "At most {most} characters."),
    "too_many": ("最多 {most} 项。", "At most {most} items."),
    "too_many_subscriptions": ("同时最多 {most} 个订阅。", "At most {most} subscriptions at a time."),
    "slow_subscriber": (
        "接收过慢，订阅已中断；请以 after 从该位置继续。",
        "You took what came too slowly: go on with `after` at this position.",
    ),
    "not_of_kind": ("该编号不属于此类对象。", "This id is not of such a thing."),
    "rights_changed": ("您的权限已变更，请重新连接。", "Your rights have changed: connect again."),
    "duplicate": ("同一项出现了不止一次。", "The same item is given more than once."),
    "bad_characters": ("含有不允许的字符。", "It holds characters that are not allowed."),
    "bad_code": (
        "代码为 1 到 32 个大写字母、数字、“_”或“-”，以字母或数字开头。",
        "A code has 1 to 32 of A-Z, 0-9, _ and -, and begins with a letter or digit.",
    ),
    "code_taken": ("代码 {code} 已被使用。", "The code {code} is taken."),
    "name_taken": ("同级中已有名称“{name}”。", "A sibling already has the name {name}."),
    "position_abandoned": (
        "该位置之后的事件在数据恢复中已丢失：请从头或从更早的位置重新读取。",
        "A restore has lost what stood at this position: begin anew, or from an earlier position.",
    ),
    "two_instants": ("请给出版本或时点之一。", "Give a version or an instant, not both."),
    "history_too_long": (
        "历史过长，请用 cardinal audit replay。",
        "Too long here: use cardinal audit replay.",
    ),
    "out_of_range": ("应在 {least} 到 {most} 之间。", "It must be from {least} to {most}."),
    "end_not_after_start": ("结束时间必须晚于开始时间。", "The end must come after the start."),
    "amount_not_finite": (
        "金额须为数字，如 123.45（无千分位）。",
        "The amount must be a number such as 123.45, without separators.",
    ),
    "amount_not_positive": ("金额必须大于零。", "The amount must be greater than zero."),
    "amount_too_large": ("金额过大。", "The amount is too large."),
    "amount_too_precise": ("该币种最多 {digits} 位小数。", "This currency has {digits} decimal places."),
    "unknown_currency": ("未知币种；可用：{known}。", "Unknown currency; there are {known}."),
    "currency_mismatch": (
        "币种必须与预算相同（{currency}）。",
        "The currency must be the budget's, {currency}.",
    ),
    "card_number_in_text": ("不得填写银行卡号。", "Card numbers must not be entered here."),
    "version_conflict": (
        "内容已被他人更改，请重新查看后再试。",
        "It has been changed in the meantime: look again, then decide.",
    ),
    "key_reused": (
        "该幂等键已用于不同的内容。",
        "This idempotency key was used with another input.",
    ),
    "bad_key": (
        "幂等键为 1 到 {most} 个可见 ASCII 字符。",
        "An idempotency key has 1 to {most} printable ASCII characters.",
    ),
    "key_required": (
        "此操作须带幂等键：Idempotency-Key 请求头或 @idempotent(key:) 指令。",
        "This needs an idempotency key: the header Idempotency-Key, or the directive @idempotent(key:).",
    ),
    "key_for_one": (
        "使用 Idempotency-Key 请求头时，一次请求只能包含一个变更；多个变更请各用 @idempotent(key:) 指令。",
        "With the header Idempotency-Key a request holds one mutation only: give several @idempotent(key:).",
    ),
    "keys_differ": (
        "同一变更的幂等键不一致（Idempotency-Key 请求头与 @idempotent 指令）。",
        "One mutation has two idempotency keys: the header's and the directive's must be the same.",
    ),
    # Catalogues.
    "parent_not_found": ("上级不存在。", "The parent does not exist."),
    "not_a_tree": ("该目录没有层级。", "This catalogue has no hierarchy."),
    "cycle": ("不能移到自己的下级之下。", "It can't be moved below itself."),
    "too_deep": ("层级最多 {most} 层。", "The tree has at most {most} levels."),
    "has_children": ("仍有下级：{children}。", "It still has children: {children}."),
    "in_use": ("正在使用：{users}。", "It is in use by {users}."),
    "ancestor_disabled": ("上级“{ancestor}”已停用。", "Its ancestor {ancestor} is disabled."),
    "unknown_attribute": ("未知属性 {name}。", "There is no attribute {name}."),
    "not_removable": (
        "该目录项不能删除，请改为停用。",
        "Entries of this catalogue are not removed: disable it.",
    ),
    # Reward types and reward details.
    "bad_number": ("须为数字，如 1.5（无千分位）。", "It must be a number such as 1.5, without separators."),
    "minimum_above_maximum": (
        "最小值大于最大值 {maximum}。",
        "The minimum is above the maximum of {maximum}.",
    ),
    "customer_cap_above_activity_cap": (
        "每户上限大于活动上限 {cap}。",
        "The cap per customer is above the activity's cap of {cap}.",
    ),
    "below_minimum": (
        "低于奖励类型的最小值 {minimum} {unit}。",
        "It is below the reward type's minimum of {minimum} {unit}.",
    ),
    "above_maximum": (
        "高于奖励类型的最大值 {maximum} {unit}。",
        "It is above the reward type's maximum of {maximum} {unit}.",
    ),
    "above_customer_cap": (
        "超出奖励类型的每户上限 {cap}。",
        "It exceeds the reward type's cap per customer of {cap}.",
    ),
    "above_activity_cap": (
        "超出奖励类型的活动上限 {cap}。",
        "It exceeds the reward type's cap per activity of {cap}.",
    ),
    # Links to customer groups.
    "not_of_this_kind": ("类型 {kind} 不用填写此项。", "This does not go with the kind {kind}."),
    "bad_hours": (
        "时段应为 20:00-08:00 的形式，起止不同。",
        "Hours are written as 20:00-08:00, and do not end when they begin.",
    ),
    "bad_time_of_day": ("时间应为 02:30 的形式。", "A time of day is written as 02:30."),
    "no_time_comes": (
        "一年之内没有到期时间。",
        "No time comes by this within a year.",
    ),
    "no_such_day": (
        "没有这样的日期，永远不会执行，如 2 月 30 日。",
        "There is no such day, so it would never be done: February 30th is one.",
    ),
    "bad_cron": (
        "须为五段的 cron 表达式，如“0 6 * * 1”。",
        "It must be a schedule of five fields, such as 0 6 * * 1.",
    ),
    # Forms that people fill in.
    "bad_field_name": (
        "字段名为小写字母开头的 1 到 40 个小写字母、数字或“_”。",
        "A field's name has 1 to 40 of a-z, 0-9 and _, and begins with a letter.",
    ),
    "bad_bound": ("该界限不适用于类型 {type}。", "This is no bound of the type {type}."),
    "choices_needed": (
        "选择类型需要选项，其他类型不能有选项。",
        "A choice needs choices; other types have none.",
    ),
    "unknown_field": ("表单中没有字段 {name}。", "The form has no field {name}."),
    "unknown_member": ("没有名为 {name} 的成员。", "There is no member {name}."),
    "bad_value": ("值不符合类型 {type}。", "This is no value of the type {type}."),
    "not_a_choice": ("可选值：{choices}。", "Choose one of {choices}."),
    # Activities and their plans.
    "reference_changed": (
        "所选项已变更为第 {revision} 版，请重新查看。",
        "What you chose has changed to revision {revision}: look again.",
    ),
    "reference_disabled": ("所选项已停用。", "What you chose is disabled."),
    "outside_period": ("超出活动时间。", "It lies outside the activity's period."),
    "award_before_start": ("奖励时间不得早于活动开始。", "Awards can't begin before the activity does."),
    "role_not_of_group": (
        "该客群的用途为 {purpose}，与所选角色不符。",
        "The group is for another role: its purpose is {purpose}.",
    ),
    "costs_exceed_budget": ("成本合计 {total} 超出预算。", "The costs of {total} exceed the budget."),
    "not_editable": ("当前状态（{status}）不可修改。", "It can't be edited while it is {status}."),
    "not_deletable": ("当前状态（{status}）不可删除。", "It can't be deleted while it is {status}."),
    "cancel_instead": ("当前状态（{status}）请改为取消。", "While it is {status}, cancel it instead."),
    "not_submittable": ("当前状态（{status}）不可提交。", "It can't be submitted while it is {status}."),
    "not_in_approval": ("不在审批中（{status}）。", "It is not in approval but {status}."),
    "not_approved": (
        "只有两级均已批准的活动可以上线（当前：{status}）。",
        "Only what both levels have approved is launched; it is {status}.",
    ),
    "not_running": ("不在进行中（{status}）。", "It is not running but {status}."),
    "not_paused": ("未暂停（{status}）。", "It is not paused but {status}."),
    "not_cancellable": ("当前状态（{status}）不可取消。", "It can't be cancelled while it is {status}."),
    "already_over": ("活动时间已过。", "Its period is over."),
    **POINTS_MESSAGES,
    **WEBHOOK_MESSAGES,
    # Approvals.
    "wrong_level": ("当前等待的是 {awaited}。", "The level awaited now is {awaited}."),
    "not_your_level": ("您不能代表 {level} 审批。", "You do not decide for {level}."),
    "not_pending": ("已不在审批中（{status}）。", "There is nothing to decide: it is {status}."),
    "separation_of_duties": (
        "职责分离：不得审批自己的内容，也不得审批两级。",
        "Separation of duties: nobody decides on his own item, nor at both levels.",
    ),
    "stale_revision": (
        "当前为第 {revision} 版，请重新查看。",
        "It is at revision {revision} now: look again.",
    ),
    "stale_content": ("内容与您所见不一致，请重新查看。", "It is not what you saw: look again."),
    "subject_moved": (
        "所引用的参数在提交后已变更，须重新提交。",
        "Something that it refers to has changed since: it must be submitted anew.",
    ),
    "deadline_passed": ("审批期限已过，须重新提交。", "The deadline has passed: it must be submitted anew."),
    **WORK_ORDER_MESSAGES,
    # Customer groups and their rules.
    "membership_unclear": (
        "客群由规则或名单定义，二者选一。",
        "A group has a rule or a list of members: one of the two.",
    ),
    "bad_customer_id": (
        "客户号为 1 到 20 个字母、数字、“_”或“-”。",
        "A customer id has 1 to 20 of A-Z, a-z, 0-9, _ and -.",
    ),
    "purpose_fixed": (
        "已被引用，用途不可更改：{users}。",
        "The purpose can't change any more: {users} refers to the group.",
    ),
    "group_retired": ("客群已停用，不可修改。", "The group is retired and can't be edited."),
    "rule_unclear": (
        "每个节点须且只须有 allOf、anyOf、not、condition 之一。",
        "A node has exactly one of allOf, anyOf, not and condition.",
    ),
    "rule_too_deep": ("规则最多 {most} 层。", "A rule has at most {most} levels."),
    "rule_too_large": ("规则过大：{what} 最多 {most}。", "The rule is too large: at most {most} {what}."),
    "comparison_unfit": (
        "比较方式 {comparison} 不适用于类型 {type}。",
        "{comparison} does not compare values of the type {type}.",
    ),
    "value_count": ("值的个数应在 {least} 到 {most} 之间。", "It takes from {least} to {most} values."),
    "range_reversed": ("区间的下限大于上限。", "The range ends before it begins."),
    "transactions_unfit": (
        "只有交易类指标才能限定交易。",
        "Only dimensions of transactions say of which transactions.",
    ),
    "window_unclear": (
        "时间窗口为最近天数，或起止日期，二者选一。",
        "A window is a number of days, or a first day and an end: one of the two.",
    ),
    "nothing_to_count": (
        "没有可统计的内容：活动无目标客群，也无已成功的执行。",
        "There is nothing to count: no target group, and no run that has succeeded.",
    ),
    "not_counted": ("该指标尚未统计。", "This figure has not been counted."),
    "list_unusable": ("名单不可用（{reason}）。", "The list can't be used: {reason}."),
    "bad_page_size": ("每页条数超出范围。", "Pages are not of this size."),
    "bad_cursor": ("游标不属于该名单。", "The cursor does not belong to this list."),
    "preview_failed": ("预览失败（{reason}）。", "The preview failed: {reason}."),
    # Segment definitions, their runs, and what units may use of the warehouse.
    "bad_column_name": (
        "字段名为字母或“_”开头的 1 到 63 个字母、数字或“_”。",
        "A column's name has 1 to 63 of A-Z, a-z, 0-9 and _, and does not begin with a digit.",
    ),
    "bad_parameter_name": (
        "参数名为小写字母开头的 1 到 40 个小写字母、数字或“_”。",
        "A parameter's name has 1 to 40 of a-z, 0-9 and _, and begins with a letter.",
    ),
    "standard_parameter": ("参数 {name} 为标准参数，无需声明。", "{name} is there without being declared."),
    "primary_index_not_output": (
        "主索引字段 {column} 不在输出字段中。",
        "The primary-index column {column} is not among the outputs.",
    ),
    "output_unclassified": (
        "须说明该字段是否为个人信息。",
        "Say of this column whether it is personal.",
    ),
    "personal_unmasked": (
        "个人信息字段 {column} 须脱敏，或说明豁免理由。",
        "{column} is personal: mask it, or give the reason for an exemption.",
    ),
    "source_or_constant": ("来源字段与常量须且只能填一项。", "Give either a source or a constant."),
    "not_an_output": ("{column} 不在输出字段中。", "{column} is not among the outputs."),
    "exemption_unused": ("此处无需豁免。", "Nothing here needs an exemption."),
    "work_order_not_open": (
        "工单不存在，或当前状态不可建立细分定义。",
        "There is no such work order, or it may get no definition any more.",
    ),
    "general_has_no_work_order": (
        "通用细分不属于任何工单。",
        "A general definition belongs to no work order.",
    ),
    "withdraw_first": ("审批中（{status}），请先撤回。", "It is {status}: withdraw it first."),
    "unknown_source": ("没有数据源 {source}。", "There is no source {source}."),
    "unknown_table": ("没有表 {table}。", "There is no table {table}."),
    "unknown_column": ("没有字段 {column}。", "There is no column {column}."),
    "source_not_granted": (
        "数据源 {source} 未授权给本机构。",
        "Nothing of the source {source} is granted to this unit.",
    ),
    "nothing_approved": (
        "尚无已批准的版本，只能试运行。",
        "Nothing of it is approved: it can only be tried.",
    ),
    "run_already_live": (
        "该定义已有执行在排队或运行中，请待其结束。",
        "A run of this definition is queued or running: wait until it is over.",
    ),
    "run_over": ("执行已结束（{status}）。", "The run is over: {status}."),
    "run_not_failed": (
        "只有失败的执行可以重试（{status}）。",
        "Only a failed run is retried; it is {status}.",
    ),
    "too_many_retries": ("最多重试 {most} 次。", "A run is retried {most} times at most."),
    "no_result": ("没有结果（{status}）。", "There is no result: the run is {status}."),
    "previews_busy": (
        "已有 {most} 个预览在进行，请稍后再试。",
        "{most} previews are under way already: try again in a moment.",
    ),
    "result_kept": ("结果须保存到 {until}。", "The result is kept until {until}."),
    "unknown_parameter": ("没有参数 {name}。", "There is no parameter {name}."),
    # Analysts' SQL, at the gate.
    "sql_too_long": ("SQL 最多 {most} 字节。", "The SQL has at most {most} bytes."),
    "sql_syntax": (
        "第 {line} 行第 {column} 列有语法错误：{snippet}",
        "There is a syntax error in line {line}, column {column}: {snippet}",
    ),
    "sql_too_complex": (
        "第 {line} 行第 {column} 列过于复杂（上限：{name}）。",
        "It is too complex in line {line}, column {column} (limit: {name}).",
    ),
    "sql_not_one_select": (
        "只能有一条 SELECT 语句（第 {line} 行第 {column} 列）。",
        "There must be one SELECT and nothing else (line {line}, column {column}).",
    ),
    "sql_construct_forbidden": (
        "第 {line} 行第 {column} 列不允许使用 {name}：{snippet}",
        "{name} is not allowed in line {line}, column {column}: {snippet}",
    ),
    "sql_function_forbidden": (
        "第 {line} 行第 {column} 列不允许使用函数 {name}。",
        "The function {name} is not allowed in line {line}, column {column}.",
    ),
    "sql_not_deterministic": (
        "第 {line} 行第 {column} 列的 {name} 结果不确定：请用 :business_date 并指定排序。",
        "{name} in line {line}, column {column} may answer differently each time: use :business_date and"
        " an order.",
    ),
    "sql_table_not_granted": (
        "第 {line} 行第 {column} 列的表 {name} 不存在或未授权。",
        "The table {name} in line {line}, column {column} does not exist or is not granted.",
    ),
    "sql_column_not_granted": (
        "第 {line} 行第 {column} 列的字段 {name} 不存在或未授权。",
        "The column {name} in line {line}, column {column} does not exist or is not granted.",
    ),
    "sql_column_ambiguous": (
        "第 {line} 行第 {column} 列的名称 {name} 有歧义。",
        "The name {name} in line {line}, column {column} is ambiguous.",
    ),
    "sql_all_columns": (
        "第 {line} 行第 {column} 列请逐一列出字段（{name}）。",
        "Name the columns one by one in line {line}, column {column} ({name}).",
    ),
    "sql_parameter_unknown": (
        "第 {line} 行第 {column} 列的参数 {name} 未声明。",
        "The parameter {name} in line {line}, column {column} is not declared.",
    ),
    "sql_parameter_bad": (
        "参数 {name} 的名称或值无效。",
        "The name or value of the parameter {name} is no good.",
    ),
    "sql_output_unnamed": (
        "第 {line} 行第 {column} 列的输出需要名称（1 到 63 个可见字符）。",
        "The output in line {line}, column {column} needs a name of 1 to 63 printable characters.",
    ),
    "sql_output_duplicate": ("输出 {name} 出现了不止一次。", "The output {name} is given more than once."),
    "sql_output_undeclared": ("输出 {name} 未声明。", "The output {name} is not declared."),
    "sql_output_missing": (
        "SQL 中没有已声明的输出 {name}。",
        "The SQL does not give the declared output {name}.",
    ),
    "sql_output_personal": (
        "输出 {name} 含个人信息，必须声明为个人信息字段。",
        "The output {name} is made of personal columns and must be declared as personal.",
    ),
    "sql_output_type": ("输出 {name} 的类型不能保存。", "The output {name} has a type that can't be stored."),
    "sql_primary_index_missing": (
        "主索引字段“{name}”不在输出中。",
        "The primary-index column “{name}” is not among the outputs.",
    ),
    "sql_source_unknown": ("没有数据源 {name}。", "There is no source {name}."),
    "sql_does_not_bind": ("SQL 无法执行：{name}", "The SQL can't be run: {name}"),
    # Runs of segments, and loading the user's files.
    "sql_refused": ("SQL 未通过检查（{reason}）。", "The SQL did not pass the gate ({reason})."),
    "primary_index_null": ("{offenders} 行的主索引为空。", "{offenders} rows have no primary index."),
    "primary_index_duplicate": (
        "{offenders} 行的主索引不唯一。",
        "{offenders} rows do not have a primary index of their own.",
    ),
    "time_limit": ("运行超过 {seconds} 秒。", "The run took more than {seconds} seconds."),
    "memory_limit": ("运行所需内存超出限制。", "The run needs more memory than it may have."),
    "disk_full": ("磁盘空间不足。", "There is not enough space on the disk."),
    "result_too_large": ("结果超过 {most} 行。", "The result has more than {most} rows."),
    "warehouse_missing": ("数据源 {name} 尚无数据。", "There is no data in the source {name} yet."),
    "engine_died": (
        "查询进程意外终止，多半因为机器内存不足。",
        "The query's process ended unexpectedly, most likely because the machine ran out of memory.",
    ),
    "sql_failed": ("SQL 执行出错（{detail}）。", "The SQL failed on the data ({detail})."),
    "result_missing": ("没有运行 {run} 的结果。", "There is no result of the run {run}."),
    "result_damaged": ("运行 {run} 的结果文件已损坏。", "The result of the run {run} is damaged."),
    "bad_mapping": (
        "字段 {name} 的映射无效：{detail}（{offenders} 行）。",
        "The mapping of the field {name} is no good: {detail} ({offenders} rows).",
    ),
    "load_folder_missing": ("没有文件夹 {folder}。", "There is no folder {folder}."),
    "load_file_missing": ("文件夹中没有 {file}。", "The folder has no {file}."),
    "load_too_many_files": ("文件夹最多 {most} 个文件。", "The folder has at most {most} files."),
    "load_file_too_large": ("{file} 超过 {most} 字节。", "{file} has more than {most} bytes."),
    "load_too_many_rows": ("{file} 超过 {most} 行。", "{file} has more than {most} rows."),
    "load_bad_mapping": ("映射文件无效：{detail}", "The mapping is no good: {detail}"),
    "load_columns_missing": ("{file} 缺少字段：{columns}。", "{file} lacks the columns {columns}."),
    "load_bad_encoding": (
        "{file} 第 {line} 行不是 {encoding} 编码。",
        "Line {line} of {file} is not in the encoding {encoding}.",
    ),
    "load_no_good_rows": ("{file} 没有可用的行：{reasons}", "{file} has no good row: {reasons}"),
    # The way in.
    "unauthenticated": ("请先登录：缺少有效令牌。", "Sign in first: there is no valid token."),
    "forbidden": (
        "您没有此操作的权限；有权的角色：{roles}。",
        "You have no permission for this; these roles do: {roles}.",
    ),
    "bad_input": ("请求格式不正确。", "The request is malformed."),
    "bad_as_of": ("列表不能按版本查看。", "A list has no version: give a position or a time."),
    "limit_exceeded": ("请求超出限制。", "The request exceeds a limit."),
    "internal": ("系统内部错误，请凭请求号联系管理员。", "An internal fault: quote the request id."),
    "unavailable": ("服务暂不可用，请稍后再试。", "The service is unavailable for the moment: try again."),
}
"""Code in lower case to (zh, en); the names in braces are the fault's values."""


def message(code: str, values: Mapping[str, str], language: Language) -> str:
    """The sentence for a code. A code without one is a defect that the tests find."""
    chinese, english = MESSAGES[code.lower()]
    return (chinese if language == "zh" else english).format_map(in_words(values, language))


def language_of(accept_language: str | None) -> Language:
    """Chinese or English by the first of the two that is named; English when neither is."""
    for part in (accept_language or "").lower().split(",")[:20]:
        tag = part.split(";")[0].strip()
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "en"
