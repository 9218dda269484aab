// How the page comes in, asks and follows. It knows no element of the page.
import { Client, createRequest, fetchExchange, stringifyDocument } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";
import { createClient } from "graphql-ws";

const KEPT = "cardinal.refresh"; // for this tab alone; the access token is in memory only
const EARLY_MS = 30_000;

let language = "en";
let access = null; // { token, until }
let renewing = null;

export const speak = (wanted) => (language = wanted);
export const wasHere = () => sessionStorage.getItem(KEPT) !== null;

/** What the API says against a request as a whole: its code, and a sentence to show. */
export class Refused extends Error {
  constructor(error, fallback) {
    super(error?.message ?? fallback);
    this.code = error?.extensions?.code ?? "UNREACHABLE";
    this.requestId = error?.extensions?.requestId;
  }
}

async function post(path, body, headers = {}) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "accept-language": language, ...headers },
    body: JSON.stringify(body),
  }).catch((error) => {
    throw new Refused(null, error.message);
  });
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(told.errors?.[0], `${answer.status}`);
  return told;
}

function keep({ accessToken, expiresIn, refreshToken }) {
  access = { token: accessToken, until: Date.now() + expiresIn * 1000 };
  sessionStorage.setItem(KEPT, refreshToken);
}

export async function login(username, password) {
  keep(await post("/login", { username, password }));
}

/** A refresh token is good once: whoever needs it meanwhile waits for the same answer. */
export function renew() {
  renewing ??= post("/refresh", { refreshToken: sessionStorage.getItem(KEPT) ?? "-" })
    .then(keep)
    .catch((refused) => {
      if (refused.code !== "UNREACHABLE") forget();
      throw refused;
    })
    .finally(() => (renewing = null));
  return renewing;
}

const isOld = () => access === null || access.until - Date.now() < EARLY_MS;
const bearer = () => ({ authorization: `Bearer ${access?.token}` });

function forget() {
  access = null;
  sessionStorage.removeItem(KEPT);
}

export async function logout() {
  await post("/logout", undefined, bearer()).catch(() => {});
  forget();
}

const auth = authExchange(async (utilities) => ({
  addAuthToOperation: (operation) =>
    utilities.appendHeaders(operation, { ...bearer(), "accept-language": language }),
  willAuthError: isOld,
  didAuthError: (error) => error.response?.status === 401,
  refreshAuth: () => renew().catch(() => {}),
}));

const client = new Client({
  url: "/graphql",
  exchanges: [auth, fetchExchange],
  requestPolicy: "network-only",
  preferGetMethod: false,
});

/** Data, or Refused. With `minPosition` the answer shows at least what was recorded up to there. */
export async function ask(document, variables = {}, minPosition) {
  const request = createRequest(document, variables, minPosition && { minPosition });
  const run = document.definitions[0].operation === "mutation" ? "executeMutation" : "executeQuery";
  const { data, error } = await client[run](request).toPromise();
  if (error) throw new Refused(error.graphQLErrors[0], error.networkError?.message ?? error.message);
  return data;
}

/**
 * One WebSocket for all that is followed. It connects anew by itself when it breaks, with a new token when that is
 * old; `state` hears "live" and "waiting". `follow(document, field, after, seen)` gives each change to `seen`; the
 * last position stands in the variables that are sent again, so nothing is lost in between and nothing comes twice.
 */
export function open(state) {
  const sockets = createClient({
    url: `${location.protocol.replace("http", "ws")}//${location.host}/graphql`,
    connectionParams: async () => {
      if (isOld()) await renew();
      return bearer();
    },
    retryAttempts: Infinity,
    shouldRetry: wasHere,
    retryWait: (tries) => new Promise((go) => setTimeout(go, Math.min(500 * 2 ** tries, 10_000))),
    keepAlive: 20_000,
    on: { connected: () => state("live"), closed: () => state("waiting") },
  });
  return {
    follow(document, field, after, seen) {
      const variables = after ? { after } : {};
      sockets.subscribe(
        { query: stringifyDocument(document), variables },
        {
          next({ data }) {
            if (!data) return;
            variables.after = data[field].position;
            seen(data[field]);
          },
          error: () => state("waiting"),
          complete: () => {},
        },
      );
    },
    drop: () => sockets.terminate(),
    close: () => sockets.dispose(),
  };
}
