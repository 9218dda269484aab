// What the page says, in Chinese and in English. Sentences of refusals come from the API.
const words = {
  app: ["活动决策平台", "Campaign decisions"],
  skip: ["跳到内容", "Skip to content"],
  user: ["用户名", "User name"],
  password: ["密码", "Password"],
  login: ["登录", "Log in"],
  logout: ["退出", "Log out"],
  sample: ["样例用户（仅限开发环境）", "Sample users (in development only)"],
  activities: ["活动", "Activities"],
  inbox: ["待我审批", "Inbox"],
  live: ["动态", "Live"],
  search: ["按名称查找", "Search by name"],
  anyStatus: ["全部状态", "Any status"],
  status: ["状态", "Status"],
  count: ["共 {n} 项", "{n} in all"],
  more: ["更多", "Show more"],
  none: ["没有符合条件的活动。", "No activity is like this."],
  nothing: ["没有待您审批的事项。", "Nothing waits for you."],
  quiet: ["有变化时会显示在这里。", "Changes show here as they happen."],
  new: ["新建活动", "New activity"],
  code: ["代码", "Code"],
  codeHint: ["大写字母、数字、“-”，以后不能更改", "A-Z, 0-9 and -; it never changes"],
  name: ["名称", "Name"],
  type: ["活动类型", "Type"],
  department: ["所属部门", "Department"],
  goal: ["目标", "Goal"],
  starts: ["开始", "Starts"],
  ends: ["结束（不含当日）", "Ends (day after the last)"],
  budget: ["预算（元）", "Budget (CNY)"],
  costType: ["成本类型", "Kind of cost"],
  cost: ["成本（元）", "Cost (CNY)"],
  reward: ["奖励", "Reward"],
  value: ["数值", "Value"],
  save: ["保存草稿", "Save draft"],
  cancelled: ["取消", "Cancel"],
  close: ["关闭", "Close"],
  faults: ["请更正 {n} 处", "To be corrected: {n}"],
  choose: ["请选择", "Choose"],
  period: ["期间", "Period"],
  responsible: ["负责人", "Responsible"],
  history: ["经过", "History"],
  reason: ["原因", "Reason"],
  approve: ["同意", "Approve"],
  reject: ["驳回", "Reject"],
  comment: ["意见（驳回时必填）", "Comment (needed to reject)"],
  asksFor: ["{who} 提请审批第 {n} 版", "{who} asks for revision {n}"],
  deadline: ["截止", "Decide by"],
  connected: ["已连接", "Live"],
  waiting: ["重新连接中…", "Reconnecting …"],
  runs: ["执行进度", "Runs"],
  done: ["已完成。", "Done."],
  theme: ["外观", "Theme"],
  auto: ["自动", "Auto"],
  light: ["浅色", "Light"],
  dark: ["深色", "Dark"],
  other: ["English", "中文"],
  loading: ["载入中…", "Loading …"],
  requestId: ["请求号", "Request"],
  withoutBudget: ["无权查看", "not shown to you"],
  submit: ["提交审批", "Submit"],
  withdraw: ["撤回", "Withdraw"],
  launch: ["启动", "Launch"],
  pause: ["暂停", "Pause"],
  resume: ["恢复", "Resume"],
  cancel: ["取消活动", "Cancel activity"],
  delete: ["删除", "Delete"],
  DRAFT: ["草稿", "Draft"],
  PENDING_RESEARCH: ["待研发审批", "At Research"],
  PENDING_TECHNOLOGY: ["待科技审批", "At Technology"],
  RESEARCH_REJECTED: ["研发驳回", "Rejected by Research"],
  TECHNOLOGY_REJECTED: ["科技驳回", "Rejected by Technology"],
  APPROVED: ["已批准", "Approved"],
  RUNNING: ["进行中", "Running"],
  PAUSED: ["已暂停", "Paused"],
  ENDED: ["已结束", "Ended"],
  CANCELLED: ["已取消", "Cancelled"],
  QUEUED: ["排队中", "Queued"],
  SUCCEEDED: ["已成功", "Succeeded"],
  FAILED: ["失败", "Failed"],
  TERMINATED: ["已终止", "Terminated"],
  ACQUIRE: ["获客", "New cards"],
  USE: ["用卡", "Use of cards"],
  INSTALMENT: ["分期", "Instalments"],
};

export const STATUSES = [
  "DRAFT", "PENDING_RESEARCH", "PENDING_TECHNOLOGY", "RESEARCH_REJECTED", "TECHNOLOGY_REJECTED",
  "APPROVED", "RUNNING", "PAUSED", "ENDED", "CANCELLED",
];

/** A function that says a word in the language, with what stands in braces filled in. */
export const speaker = (language) => (key, values = {}) =>
  (words[key]?.[language === "zh" ? 0 : 1] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);

export function formats(language) {
  const locale = language === "zh" ? "zh-CN" : "en-GB";
  const timeZone = "Asia/Shanghai"; // days are the bank's, wherever somebody reads them
  const date = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone });
  const time = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", timeZone });
  return {
    date: (text) => date.format(new Date(text)),
    time: (text) => time.format(new Date(text)),
    period: (from, to) => date.formatRange(new Date(from), new Date(to)),
    // A string keeps every digit of the decimal; a Number would not.
    money: (money) =>
      new Intl.NumberFormat(locale, {
        style: "currency",
        currency: money.currency,
        currencyDisplay: "narrowSymbol",
      }).format(money.amount),
  };
}
