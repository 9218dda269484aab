// The state of the page and what changes it: people, answers, and what is followed.
import { render } from "lit-html";
import * as api from "./api.js";
import * as documents from "./documents.js";
import { dialog, loginPage, page } from "./views.js";
import { formats, speaker } from "./words.js";

const PAGE = 20;
const LIVE_MAX = 50;
const POSITION = "cardinal.position"; // up to where this tab has seen changes: a reload goes on behind it
const ZONE = "+08:00"; // days of the form are days of the bank

const emptyList = { nodes: [], total: null, hasMore: false, after: null };
const signedOut = {
  viewer: null, error: null, busy: false, toast: "", faults: [], socket: "waiting",
  list: emptyList, filter: { name: "", status: "" }, shown: null, draft: null, inbox: [], live: [], runs: new Map(),
};
let state = {
  ...signedOut,
  language: localStorage.getItem("cardinal.language") ?? (navigator.language.startsWith("zh") ? "zh" : "en"),
  theme: localStorage.getItem("cardinal.theme") ?? "auto",
};
let sockets = null;
let asked = 0;
let patience = 0;

function set(changes) {
  state = { ...state, ...changes };
  document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
  document.documentElement.dataset.theme = state.theme;
  api.speak(state.language);
  const say = speaker(state.language);
  const may = (permission) => state.viewer?.permissions.includes(permission) ?? false;
  const shown = { ...state, act, say, may, format: formats(state.language), tab: tab() };
  document.title = state.viewer ? `${say(shown.tab)} · Cardinal` : "Cardinal";
  render(state.viewer ? page(shown) : loginPage(shown), document.getElementById("app"));
}

function tab() {
  const named = location.hash.slice(1);
  return ["activities", "inbox", "live"].includes(named) ? named : "activities";
}

/** Do something that may be refused as a whole; what was refused is shown, and a session that is over ends. */
async function trying(work) {
  set({ busy: true, error: null });
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof api.Refused)) throw error;
    if (state.viewer && !api.wasHere()) leave();
    set({ error });
  } finally {
    set({ busy: false });
  }
}

function tell(key) {
  set({ toast: speaker(state.language)(key) });
  setTimeout(() => set({ toast: "" }), 4_000);
}

// --- Coming and going ---------------------------------------------------------

async function enter() {
  const { viewer } = await api.ask(documents.Viewer);
  set({ viewer });
  sockets = api.open((socket) => set({ socket }));
  const seen = sessionStorage.getItem(POSITION) ?? undefined;
  sockets.follow(documents.ActivityChanged, "activityChanged", seen, changed);
  sockets.follow(documents.SegmentRunChanged, "segmentRunChanged", undefined, ran);
  await Promise.all([load(), loadInbox()]);
}

function leave() {
  sockets?.close();
  sessionStorage.removeItem(POSITION);
  set(signedOut);
}

// --- What is read -------------------------------------------------------------

async function load({ more = false, minPosition } = {}) {
  const mine = ++asked;
  const { name, status } = state.filter;
  const filter = { ...(name && { name: { contains: name } }), ...(status && { status: { eq: status } }) };
  const after = more ? state.list.after : null;
  const { activities } = await api.ask(documents.Activities, { first: PAGE, after, filter }, minPosition);
  if (mine !== asked) return; // another question was asked since
  const nodes = more ? [...state.list.nodes, ...activities.nodes] : activities.nodes;
  const { hasNextPage, endCursor } = activities.pageInfo;
  set({ list: { nodes, total: activities.totalCount, hasMore: hasNextPage, after: endCursor } });
}

async function loadInbox(minPosition) {
  if (!state.viewer.permissions.includes("approvals.decide")) return;
  const { approvalInbox } = await api.ask(documents.Inbox, { box: "TODO" }, minPosition);
  set({ inbox: approvalInbox.nodes });
}

async function show(id, minPosition) {
  const { activity } = await api.ask(documents.Activity, { id }, minPosition);
  if (activity === null) return act.close();
  set({ shown: activity, draft: null });
  if (!dialog.value.open) dialog.value.showModal();
}

// --- What is followed ---------------------------------------------------------

function changed(change) {
  sessionStorage.setItem(POSITION, change.position);
  const live = [change, ...state.live].slice(0, LIVE_MAX);
  const isListed = state.list.nodes.some((node) => node.id === change.id);
  const nodes = state.list.nodes.flatMap((node) =>
    node.id !== change.id ? [node] : change.node ? [{ ...change.node, fresh: true }] : [],
  );
  set({ live, list: { ...state.list, nodes } });
  const again = [loadInbox(change.position)];
  if (!isListed) again.push(load({ minPosition: change.position }));
  if (state.shown?.id === change.id) again.push(show(change.id, change.position));
  Promise.all(again).catch((error) => set({ error }));
}

function ran({ id, node }) {
  const runs = new Map(state.runs);
  if (node) runs.set(id, node);
  else runs.delete(id);
  set({ runs });
}

// --- What people do -----------------------------------------------------------

/** Each fault at the field that it is about: the same path, else one inside it, else one around it. */
function placed(userErrors, prefix, form) {
  const names = [...form.elements].map((element) => element.name).filter(Boolean);
  const fields = names.map((name) => (name.startsWith("input.") ? name : `${prefix}.${name}`));
  return userErrors.map(({ path, ...fault }) => {
    const at = path.join(".").replace(/^input(?=\.|$)/, prefix);
    const found =
      fields.find((each) => each === at) ??
      fields.find((each) => each.startsWith(`${at}.`)) ??
      fields.find((each) => at.startsWith(`${each}.`));
    return { ...fault, path: found ?? at, isElsewhere: found === undefined };
  });
}

function showFaults(faults) {
  set({ faults });
  document.querySelector('[aria-invalid="true"]')?.focus();
  return faults.length === 0;
}

function draftOf(form) {
  const given = (name) => form.elements[`input.${name}`].value.trim();
  const money = (amount) => (amount ? { amount, currency: "CNY" } : null);
  const day = (text) => (text ? `${text}T00:00:00${ZONE}` : null);
  const costTypeId = given("costLines.0.costTypeId");
  const rewardTypeId = given("rewards.0.rewardTypeId");
  return {
    code: given("code"),
    name: given("name"),
    activityTypeId: given("activityTypeId") || null,
    departmentId: given("departmentId") || null,
    startsAt: day(given("startsAt")),
    endsAt: day(given("endsAt")),
    budget: money(given("budget.amount")),
    goal: given("goal") || null,
    costLines: costTypeId ? [{ costTypeId, amount: money(given("costLines.0.amount.amount")) }] : [],
    rewards: rewardTypeId ? [{ rewardTypeId, value: given("rewards.0.value") }] : [],
  };
}

const act = {
  async login(event) {
    event.preventDefault();
    const { username, password } = event.target.elements;
    await trying(async () => {
      await api.login(username.value.trim(), password.value);
      await enter();
    });
  },
  fill(name) {
    const { username, password } = document.querySelector("form").elements;
    username.value = name;
    password.value = `${name}-tries-cardinal`;
    password.focus();
  },
  async logout() {
    sockets?.close();
    await api.logout();
    leave();
  },
  switchLanguage() {
    const language = state.language === "zh" ? "en" : "zh";
    localStorage.setItem("cardinal.language", language);
    set({ language, faults: [], error: null }); // what the API said was in the other one
  },
  setTheme(theme) {
    localStorage.setItem("cardinal.theme", theme);
    set({ theme });
  },
  search(event) {
    set({ filter: { ...state.filter, name: event.target.value.trim() } });
    clearTimeout(patience);
    patience = setTimeout(() => trying(() => load()), 250);
  },
  pickStatus(event) {
    set({ filter: { ...state.filter, status: event.target.value } });
    trying(() => load());
  },
  more: () => trying(() => load({ more: true })),
  show: (id) => trying(() => show(id)),
  close: () => dialog.value.close(),
  closed: () => set({ shown: null, draft: null, faults: [] }),
  newDraft: () =>
    trying(async () => {
      set({ draft: await api.ask(documents.Parameters), faults: [] });
      dialog.value.showModal();
    }),
  async saveDraft(event) {
    event.preventDefault();
    const form = event.target;
    await trying(async () => {
      const { draftActivity } = await api.ask(documents.Draft, { input: draftOf(form) });
      if (!showFaults(placed(draftActivity.userErrors, "input", form))) return;
      tell("done");
      form.reset();
      set({ draft: null });
      await Promise.all([show(draftActivity.activity.id), load({ minPosition: draftActivity.position })]);
    });
  },
  async step(verb, needsReason, form) {
    const { id, version } = state.shown;
    const reason = needsReason ? { reason: form.elements.reason.value } : {};
    await trying(async () => {
      const input = { id, expectedVersion: version, ...reason };
      const { done } = await api.ask(documents.steps[verb], { input });
      if (!showFaults(placed(done.userErrors, "step", form))) return;
      tell("done");
      if (verb === "delete") act.close();
      else await show(id, done.position);
      await load({ minPosition: done.position });
    });
  },
  async decide(approval, isYes, form) {
    const { id, awaiting: level, subjectRevision: revision, contentHash } = approval;
    const said = form.elements.comment.value;
    const input = { id, level, revision, contentHash, [isYes ? "comment" : "reason"]: said };
    await trying(async () => {
      const { done } = await api.ask(isYes ? documents.Approve : documents.Reject, { input });
      const told = done.userErrors.map((fault) => ({
        ...fault,
        path: fault.path.map((part) => (part === "reason" ? "comment" : part)),
      }));
      if (!showFaults(placed(told, `verdict.${id}`, form))) return;
      tell("done");
      await Promise.all([loadInbox(done.position), load({ minPosition: done.position })]);
    });
  },
};

addEventListener("hashchange", () => {
  set({ error: null });
  document.getElementById("content")?.focus({ preventScroll: true });
  scrollTo(0, 0);
});
globalThis.cardinal = { drop: () => sockets?.drop() }; // for who wants to see it connect anew

set({});
if (api.wasHere()) trying(() => api.renew().then(enter));
