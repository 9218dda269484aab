// The page as a function of its state. `act` holds what the elements do; nothing here asks the API.
import { html, nothing } from "lit-html";
import { ref, createRef } from "lit-html/directives/ref.js";
import { repeat } from "lit-html/directives/repeat.js";
import { STATUSES } from "./words.js";

export const dialog = createRef();
const SAMPLES = ["operator", "researcher", "technologist", "auditor", "branch"];

const badge = (say, status) => html`<span class="badge" data-status=${status}>${say(status)}</span>`;

const alarm = (say, error) =>
  error &&
  html`<p class="alarm" role="alert">
    ${error.message}
    ${error.requestId ? html`<small>${say("requestId")} ${error.requestId}</small>` : nothing}
  </p>`;

const preferences = ({ say, act, theme }) => html`
  <div class="preferences">
    <button type="button" class="quiet" lang=${say("other") === "中文" ? "zh" : "en"} @click=${act.switchLanguage}>
      ${say("other")}
    </button>
    <label class="quiet">
      <span class="hidden">${say("theme")}</span>
      <select @change=${(event) => act.setTheme(event.target.value)}>
        ${["auto", "light", "dark"].map(
          (each) => html`<option value=${each} ?selected=${each === theme}>${say(each)}</option>`,
        )}
      </select>
    </label>
  </div>
`;

export const loginPage = (state) => html`
  <main class="login">
    <form class="card" @submit=${state.act.login}>
      <p class="mark" aria-hidden="true">◆</p>
      <h1>Cardinal</h1>
      <p class="about">${state.say("app")}</p>
      ${alarm(state.say, state.error) || nothing}
      <label>${state.say("user")}
        <input name="username" autocomplete="username" required autocapitalize="none" spellcheck="false" />
      </label>
      <label>${state.say("password")}
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      <button class="primary" ?disabled=${state.busy}>${state.say("login")}</button>
      <details>
        <summary>${state.say("sample")}</summary>
        <p class="chips">
          ${SAMPLES.map(
            (name) => html`<button type="button" class="chip" @click=${() => state.act.fill(name)}>${name}</button>`,
          )}
        </p>
      </details>
      ${preferences(state)}
    </form>
  </main>
`;

const TABS = ["activities", "inbox", "live"];

export const page = (state) => html`
  <a class="skip" href="#content">${state.say("skip")}</a>
  <header>
    <p class="brand"><span aria-hidden="true">◆</span> Cardinal</p>
    <nav aria-label="Cardinal">
      ${TABS.filter((tab) => tab !== "inbox" || state.may("approvals.decide")).map(
        (tab) => html`<a href="#${tab}" aria-current=${state.tab === tab ? "page" : nothing}>
          ${state.say(tab)}
          ${tab === "inbox" && state.inbox.length ? html`<span class="dot">${state.inbox.length}</span>` : nothing}
        </a>`,
      )}
    </nav>
    <div class="who">
      <span class="state" data-state=${state.socket} role="status">
        ${state.say(state.socket === "live" ? "connected" : "waiting")}
      </span>
      <span class="name">${state.viewer.user} · ${state.viewer.orgUnit}</span>
      ${preferences(state)}
      <button type="button" class="quiet" @click=${state.act.logout}>${state.say("logout")}</button>
    </div>
  </header>
  <main id="content" tabindex="-1">
    ${alarm(state.say, state.error) || nothing}
    ${{ activities: activitiesTab, inbox: inboxTab, live: liveTab }[state.tab](state)}
  </main>
  <p class="toast" role="status" ?hidden=${!state.toast}>${state.toast}</p>
  <dialog ${ref(dialog)} aria-labelledby="dialog-title" @close=${state.act.closed}>
    ${state.draft ? draftForm(state) : state.shown ? details(state) : nothing}
  </dialog>
`;

const activitiesTab = ({ say, act, list, filter, format, may }) => html`
  <div class="bar">
    <h1>${say("activities")}</h1>
    ${may("activities.plan")
      ? html`<button type="button" class="primary" @click=${act.newDraft}>${say("new")}</button>`
      : nothing}
  </div>
  <search class="filters">
    <label><span class="hidden">${say("search")}</span>
      <input type="search" placeholder=${say("search")} .value=${filter.name} @input=${act.search} />
    </label>
    <label><span class="hidden">${say("status")}</span>
      <select @change=${act.pickStatus}>
        <option value="">${say("anyStatus")}</option>
        ${STATUSES.map((each) => html`<option value=${each} ?selected=${each === filter.status}>${say(each)}</option>`)}
      </select>
    </label>
    <p role="status">${list.total === null ? say("loading") : say("count", { n: list.total })}</p>
  </search>
  <ul class="activities">
    ${repeat(
      list.nodes,
      (node) => node.id,
      (node) => html`<li class=${node.fresh ? "fresh" : ""}>
        <button type="button" class="row" @click=${() => act.show(node.id)}>
          <span class="title"><strong>${node.name}</strong><code>${node.code}</code></span>
          ${badge(say, node.status)}
          <span class="when">${format.period(node.startsAt, node.endsAt)}</span>
          <span class="money">${node.budget ? format.money(node.budget) : say("withoutBudget")}</span>
        </button>
      </li>`,
    )}
  </ul>
  ${list.total === 0 ? html`<p class="empty">${say("none")}</p>` : nothing}
  ${list.hasMore
    ? html`<button type="button" class="more" @click=${act.more}>${say("more")}</button>`
    : nothing}
`;

const plan = ({ say, format }, activity) => html`
  <dl>
    <dt>${say("period")}</dt><dd>${format.period(activity.startsAt, activity.endsAt)}</dd>
    <dt>${say("budget")}</dt><dd>${activity.budget ? format.money(activity.budget) : say("withoutBudget")}</dd>
    ${(activity.costLines ?? []).map(
      (line) => html`<dt>${line.costType?.name}</dt><dd>${format.money(line.amount)}</dd>`,
    )}
    ${activity.rewards.map(
      (reward) => html`<dt>${reward.rewardType?.name}</dt><dd>${reward.value} ${reward.rewardType?.unit}</dd>`,
    )}
    <dt>${say("responsible")}</dt><dd>${activity.responsible}</dd>
  </dl>
`;

const inboxTab = (state) => html`
  <h1>${state.say("inbox")}</h1>
  ${state.inbox.length === 0 ? html`<p class="empty">${state.say("nothing")}</p>` : nothing}
  <div class="cards">
    ${repeat(
      state.inbox,
      (approval) => approval.id,
      (approval) => html`<form class="card" @submit=${(event) => event.preventDefault()}>
        <h2>${approval.activity?.name ?? approval.subjectLabel}</h2>
        <p>${badge(state.say, approval.status)}
          ${state.say("asksFor", { who: approval.requestedBy, n: approval.subjectRevision })}</p>
        ${approval.activity ? plan(state, approval.activity) : nothing}
        <p class="about">${state.say("deadline")} ${state.format.time(approval.decideBy)}</p>
        ${field(state, `verdict.${approval.id}.comment`, "comment", (attributes) => html`
          <textarea name="comment" rows="2" id=${attributes.id} aria-invalid=${attributes.invalid}
            aria-describedby=${attributes.describedBy}></textarea>`)}
        ${othersOf(state, `verdict.${approval.id}`)}
        <p class="actions">
          <button class="primary" @click=${(event) => state.act.decide(approval, true, event.target.form)}>
            ${state.say("approve")}</button>
          <button class="danger" @click=${(event) => state.act.decide(approval, false, event.target.form)}>
            ${state.say("reject")}</button>
        </p>
      </form>`,
    )}
  </div>
`;

const liveTab = ({ say, live, runs }) => html`
  <h1>${say("live")}</h1>
  ${runs.size
    ? html`<section aria-label=${say("runs")} class="cards">
        ${[...runs.values()].map(
          (run) => html`<div class="card">
            <p><strong>${run.definition?.name}</strong> <code>${run.code}</code> ${badge(say, run.status)}</p>
            <progress max="100" value=${run.percent} aria-label="${run.code} ${run.percent} %"></progress>
          </div>`,
        )}
      </section>`
    : nothing}
  ${live.length === 0 ? html`<p class="empty">${say("quiet")}</p>` : nothing}
  <ol class="live" aria-live="polite">
    ${repeat(
      live,
      (each) => each.position,
      (each) => html`<li>
        <span><strong>${each.node?.name ?? each.id}</strong> <code>${each.type}</code></span>
        ${each.node ? badge(say, each.node.status) : nothing}
      </li>`,
    )}
  </ol>
`;

const ACTIONS = {
  DRAFT: ["submit", "delete"],
  RESEARCH_REJECTED: ["submit", "delete"],
  TECHNOLOGY_REJECTED: ["submit", "delete"],
  PENDING_RESEARCH: ["withdraw"],
  PENDING_TECHNOLOGY: ["withdraw"],
  APPROVED: ["launch", "cancel"],
  RUNNING: ["pause", "cancel"],
  PAUSED: ["resume", "cancel"],
};
const PERMISSION = { submit: "plan", withdraw: "plan", delete: "plan" };
const NEED_REASON = ["pause", "cancel"];

const details = (state) => {
  const { say, act, shown, format, may } = state;
  const open = (ACTIONS[shown.status] ?? []).filter((verb) => may(`activities.${PERMISSION[verb] ?? "run"}`));
  return html`
    <div class="bar">
      <h2 id="dialog-title">${shown.name}</h2>
      <button type="button" class="quiet" @click=${act.close} aria-label=${say("close")}>✕</button>
    </div>
    <p><code>${shown.code}</code> ${badge(say, shown.status)}</p>
    ${shown.reason ? html`<p class="about">${shown.reason}</p>` : nothing}
    ${plan(state, shown)}
    <form @submit=${(event) => event.preventDefault()}>
      ${open.some((verb) => NEED_REASON.includes(verb))
        ? field(state, "step.reason", "reason", (attributes) => html`
            <input name="reason" id=${attributes.id} aria-invalid=${attributes.invalid}
              aria-describedby=${attributes.describedBy} />`)
        : nothing}
      ${othersOf(state, "step")}
      <p class="actions">
        ${open.map(
          (verb, index) => html`<button class=${index === 0 ? "primary" : "danger"} ?disabled=${state.busy}
            @click=${(event) => act.step(verb, NEED_REASON.includes(verb), event.target.form)}>${say(verb)}</button>`,
        )}
      </p>
    </form>
    <h3>${say("history")}</h3>
    <ol class="timeline">
      ${shown.timeline.nodes.map(
        (entry) => html`<li>
          <time>${format.time(entry.recordedAt)}</time> <code>${entry.eventType}</code> ${entry.actor}
          ${entry.reason ? html`<q>${entry.reason}</q>` : nothing}
        </li>`,
      )}
    </ol>
  `;
};

/** A labelled control with the faults of its path beside it. `control` is given what ties them together. */
function field(state, path, label, control, hint) {
  const found = state.faults.filter((fault) => fault.path === path);
  const id = `field-${path}`;
  const about = [hint && `${id}-hint`, found.length && `${id}-fault`].filter(Boolean).join(" ");
  const attributes = { id, invalid: found.length ? "true" : "false", describedBy: about || nothing };
  return html`<div class="field">
    <label for=${id}>${state.say(label)}</label>
    ${control(attributes)}
    ${hint ? html`<small id="${id}-hint">${state.say(hint)}</small>` : nothing}
    ${found.length
      ? html`<small class="fault" id="${id}-fault">${found.map((fault) => fault.message).join(" ")}</small>`
      : nothing}
  </div>`;
}

/** Faults below the path that no field of the page shows. */
function othersOf(state, prefix) {
  const others = state.faults.filter((fault) => fault.path.startsWith(prefix) && fault.isElsewhere);
  return others.length
    ? html`<ul class="alarm" role="alert">${others.map((fault) => html`<li>${fault.message}</li>`)}</ul>`
    : nothing;
}

const text = (state, path, label, { type = "text", hint, ...more } = {}) =>
  field(state, path, label, (attributes) => html`<input name=${path} type=${type} id=${attributes.id}
    inputmode=${more.inputmode ?? nothing} aria-invalid=${attributes.invalid}
    aria-describedby=${attributes.describedBy} autocomplete="off" />`, hint);

const choice = (state, path, label, options) =>
  field(state, path, label, (attributes) => html`<select name=${path} id=${attributes.id}
    aria-invalid=${attributes.invalid} aria-describedby=${attributes.describedBy}>
    <option value="">${state.say("choose")}</option>
    ${options.map(([value, shown]) => html`<option value=${value}>${shown}</option>`)}
  </select>`);

const draftForm = (state) => {
  const { say, act, draft: parameters, faults } = state;
  const named = (nodes, name) => nodes.map((node) => [node.id, node[name]]);
  return html`
    <form novalidate @submit=${act.saveDraft}>
      <div class="bar">
        <h2 id="dialog-title">${say("new")}</h2>
        <button type="button" class="quiet" @click=${act.close} aria-label=${say("close")}>✕</button>
      </div>
      ${faults.length ? html`<p class="alarm" role="alert">${say("faults", { n: faults.length })}</p>` : nothing}
      ${othersOf(state, "input")}
      <div class="grid">
        ${text(state, "input.code", "code", { hint: "codeHint" })}
        ${text(state, "input.name", "name")}
        ${choice(state, "input.activityTypeId", "type", named(parameters.activityTypes.nodes, "path"))}
        ${choice(state, "input.departmentId", "department", named(parameters.departments.nodes, "path"))}
        ${text(state, "input.startsAt", "starts", { type: "date" })}
        ${text(state, "input.endsAt", "ends", { type: "date" })}
        ${text(state, "input.budget.amount", "budget", { inputmode: "decimal" })}
        ${choice(state, "input.goal", "goal", ["ACQUIRE", "USE", "INSTALMENT"].map((goal) => [goal, say(goal)]))}
        ${choice(state, "input.costLines.0.costTypeId", "costType", named(parameters.costTypes.nodes, "name"))}
        ${text(state, "input.costLines.0.amount.amount", "cost", { inputmode: "decimal" })}
        ${choice(
          state,
          "input.rewards.0.rewardTypeId",
          "reward",
          parameters.rewardTypes.nodes.map((each) => [
            each.id,
            `${each.name} (${each.minimum}–${each.maximum} ${each.unit})`,
          ]),
        )}
        ${text(state, "input.rewards.0.value", "value", { inputmode: "decimal" })}
      </div>
      <p class="actions">
        <button class="primary" ?disabled=${state.busy}>${say("save")}</button>
        <button type="button" class="quiet" @click=${act.close}>${say("cancelled")}</button>
      </p>
    </form>
  `;
};
