// People in a browser: the page of examples/web in two windows, one of them a phone's, then GraphiQL.
// node browser.mjs <page> <api> <token> <folder for pictures>
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [page_, api, token, pictures] = process.argv.slice(2);
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const PARTS = new URL("node_modules/", import.meta.url);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });

async function window_(options) {
  const opened = await (await browser.newContext(options)).newPage();
  opened.setDefaultTimeout(15_000);
  opened.on("pageerror", (error) => faults.push(String(error)));
  opened.on("console", (said) => said.type() === "error" && !said.text().includes("status of 40") && faults.push(said.text()));
  return opened;
}

/** Nobody must scroll sideways, and no rule of accessibility that a program can judge is broken. */
async function looksWell(seen, name) {
  const wide = await seen.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
  await seen.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished)));
  await seen.evaluate(axe);
  const { violations } = await seen.evaluate(() => axe.run());
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, [], name);
  await seen.screenshot({ path: `${pictures}/${name}.png` });
}

async function login(seen, name) {
  await seen.locator("[name=username]").fill(name);
  await seen.locator("[name=password]").fill(`${name}-tries-cardinal`);
  await seen.keyboard.press("Enter");
  await seen.locator(".state[data-state=live]").waitFor();
}

/** The sentence stands beside the control, which names it as its description. */
const says = (seen, name, sentence) =>
  seen
    .locator(`.field:has([name="${name}"][aria-invalid=true][aria-describedby$="-fault"]) .fault`)
    .getByText(sentence)
    .waitFor();

// --- A desk: English, light, by keyboard where that tells something -----------

const desk = await window_({ viewport: { width: 1280, height: 800 }, locale: "en-GB", colorScheme: "light" });
await desk.goto(page_);
await looksWell(desk, "login");
await desk.locator("[name=username]").fill("operator");
await desk.locator("[name=password]").fill("wrong");
await desk.keyboard.press("Enter");
assert.equal(await desk.getByRole("alert").innerText().then((text) => text.split("\n")[0]),
  "The user name or the password is wrong.");
await login(desk, "operator");

const rows = desk.locator(".activities li");
await desk.getByText("21 in all").waitFor();
assert.equal(await rows.count(), 20);
await desk.getByRole("button", { name: "Show more" }).click();
await desk.waitForFunction(() => document.querySelectorAll(".activities li").length === 21);
await desk.getByPlaceholder("Search by name").fill("Spring dining");
await desk.getByText("1 in all").waitFor();
await desk.getByLabel("Status").selectOption("RUNNING");
await desk.getByText("No activity is like this.").waitFor();
await desk.getByLabel("Status").selectOption("");
await desk.getByPlaceholder("Search by name").fill("");
await desk.getByText("21 in all").waitFor();
await looksWell(desk, "list");

await desk.getByRole("button", { name: "New activity" }).press("Enter");
await desk.getByRole("button", { name: "Save draft" }).press("Enter");
await desk.getByRole("alert").waitFor();
await says(desk, "input.name", "This is required.");
assert.equal(await desk.evaluate(() => document.activeElement.name), "input.code", "the first fault has the focus");
await looksWell(desk, "faults");
const fill = (name, text) => desk.locator(`[name="${name}"]`).fill(text);
const pick = (name, label) => desk.locator(`[name="${name}"]`).selectOption({ label });
await fill("input.code", "FROM-THE-PAGE");
await fill("input.name", "秋季出行 Autumn travel");
await pick("input.activityTypeId", "用卡 Card usage/餐饮 Dining");
await pick("input.departmentId", "信用卡中心 Card centre/营销部 Marketing/存量经营 Retention");
await fill("input.startsAt", "2027-09-01");
await fill("input.endsAt", "2027-09-01");
await fill("input.budget.amount", "20,000");
await pick("input.costLines.0.costTypeId", "积分 Points");
await fill("input.costLines.0.amount.amount", "12000");
await desk.locator('[name="input.rewards.0.rewardTypeId"]').selectOption({ index: 1 });
await fill("input.rewards.0.value", "5");
await desk.keyboard.press("Enter");
await says(desk, "input.endsAt", "The end must come after the start.");
await says(desk, "input.budget.amount", "must be a number");
await fill("input.endsAt", "2027-12-01");
await fill("input.budget.amount", "20000");
await desk.keyboard.press("Enter");
await desk.locator("dialog .timeline").waitFor();
await looksWell(desk, "details");
await desk.getByRole("button", { name: "Submit" }).click();
await desk.locator('dialog .badge[data-status="PENDING_RESEARCH"]').waitFor();
await desk.keyboard.press("Escape");
const mine = rows.filter({ hasText: "FROM-THE-PAGE" }).locator(".badge");

// --- A phone: Chinese, dark; the desk sees what it does without asking --------

const phone = await window_({
  viewport: { width: 375, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true,
  locale: "zh-CN", colorScheme: "dark",
});
await phone.goto(page_);
await login(phone, "researcher");
await phone.getByRole("link", { name: "待我审批" }).tap();
await phone.getByRole("button", { name: "驳回" }).tap();
await says(phone, "comment", "必填。");
await looksWell(phone, "phone-inbox");
await phone.locator("[name=comment]").fill("按计划执行");
await phone.getByRole("button", { name: "同意" }).tap();
await phone.getByText("没有待您审批的事项。").waitFor();
await mine.filter({ hasText: "At Technology" }).waitFor();

// --- The desk is away while it is approved, and goes on where it was ----------

await desk.goto("about:blank");
await phone.getByRole("button", { name: "退出" }).tap();
await login(phone, "technologist");
await phone.getByRole("link", { name: "待我审批" }).tap();
await phone.getByRole("button", { name: "同意" }).tap();
await phone.getByText("没有待您审批的事项。").waitFor();
await desk.goto(`${page_}#live`);
await desk.locator(".live li", { hasText: "activity.approved" }).first().waitFor();
assert.equal(await desk.locator(".live li", { hasText: "activity.drafted" }).count(), 0, "what was seen comes no more");
await desk.evaluate(() => cardinal.drop());
await desk.locator(".state[data-state=waiting]").waitFor();
await desk.locator(".state[data-state=live]").waitFor();
await desk.getByRole("link", { name: "Activities" }).click();
await rows.filter({ hasText: "FROM-THE-PAGE" }).getByRole("button").click();
await desk.getByRole("button", { name: "Launch" }).click();
await desk.locator('dialog .badge[data-status="RUNNING"]').waitFor();
await desk.getByRole("button", { name: "Close" }).click();
await mine.filter({ hasText: "Running" }).waitFor();
await desk.getByRole("link", { name: "Live" }).click();
for (const type of ["activity.approved", "activity.launched"]) {
  await desk.locator(".live li", { hasText: type }).waitFor(); // strictly one: nothing came twice
}

// --- A run shows how far it is ------------------------------------------------

async function done(field, selection, input) {
  const type = `${field[0].toUpperCase()}${field.slice(1)}Input`;
  const query = `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { code path } } }`;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const body = JSON.stringify({ query, variables: { input } });
  const { data } = await (await fetch(`${api}/graphql`, { method: "POST", headers, body })).json();
  assert.deepEqual(data[field].userErrors, []);
  return data[field];
}
const { segmentDefinition } = await done("draftSegmentDefinition", "segmentDefinition { id }", {
  code: "TRIED", name: "Tried", source: "bank", primaryIndex: ["customer_id"],
  sql: "select customer_id from customers", outputs: [{ name: "customer_id", isPersonal: false }],
});
await done("trySegmentDefinition", "segmentRun { id }", { definitionId: segmentDefinition.id, rowLimit: 10 });
await desk.locator(".card", { hasText: "Tried" }).locator('.badge[data-status="SUCCEEDED"]').waitFor();
assert.equal(await desk.getByRole("progressbar").getAttribute("value"), "100");
await looksWell(desk, "live");
await phone.getByRole("link", { name: "动态" }).tap();
await phone.locator(".live li", { hasText: "activity.launched" }).waitFor();
await phone.getByRole("button", { name: "English" }).tap();
await phone.getByLabel("Theme").selectOption("light");
await phone.getByRole("heading", { name: "Live" }).waitFor();
await looksWell(phone, "phone-light");
await desk.getByLabel("Theme").selectOption("dark");
await desk.getByRole("button", { name: "中文" }).click();
await desk.getByRole("link", { name: "活动" }).click();
await looksWell(desk, "dark");
await desk.getByRole("button", { name: "English" }).click();
await desk.getByRole("button", { name: "Log out" }).click();
await desk.locator("[name=username]").waitFor();
assert.deepEqual(faults, []);

// --- GraphiQL, with the very files that its page names, from npm's packages ---

const tool = await window_({ viewport: { width: 1280, height: 800 } });
await tool.route("https://unpkg.com/**", (route) => {
  const file = new URL(route.request().url()).pathname.slice(1).replace(/(?<=.)@[\d.]+(?=\/)/, "");
  return route.fulfill({ path: new URL(file, PARTS).pathname, headers: { "access-control-allow-origin": "*" } });
});
await tool.goto(`${api}/graphql`);
await tool.getByRole("button", { name: "Headers" }).click();
const write = (where, text) =>
  tool.locator(`${where} .CodeMirror`).last().evaluate((editor, value) => editor.CodeMirror.setValue(value), text);
await write(".graphiql-editor-tool", JSON.stringify({ Authorization: `Bearer ${token}` }));
await write(".graphiql-query-editor", "{ viewer { user } }");
await tool.getByRole("button", { name: /^Execute query/ }).click();
await tool.locator(".result-window").getByText('"operator"').waitFor();
await tool.screenshot({ path: `${pictures}/graphiql.png` });

await browser.close();
console.log("done");
