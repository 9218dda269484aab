// The public client of graphql-transport-ws: `node graphql_ws.mjs <url> <token> <document> <after> <count>`.
// It prints each result as a line, has its socket cut after the third, and goes on behind the last position.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const [url, token, query, after, count] = process.argv.slice(2);
let socket;
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: () => ({ authorization: `Bearer ${token}` }),
  retryAttempts: 3,
  retryWait: async () => undefined,
  on: { opened: (opened) => { socket = opened; } },
});

const answer = await new Promise((resolve, reject) => {
  let found;
  client.subscribe({ query: '{ __typename }' }, { next: (result) => { found = result; }, error: reject, complete: () => resolve(found) });
});
console.log(JSON.stringify(answer));

const failure = await new Promise((resolve, reject) => {
  client.subscribe({ query: 'subscription { nothing }' }, { next: reject, error: resolve, complete: reject });
});
console.log(JSON.stringify(failure));

const variables = { after };
let seen = 0;
await new Promise((resolve, reject) => {
  const stop = client.subscribe(
    { query, variables },
    {
      next: (result) => {
        console.log(JSON.stringify(result));
        variables.after = Object.values(result.data)[0].position;
        seen += 1;
        if (seen === 3) socket.terminate();
        if (seen === Number(count)) { stop(); resolve(); }
      },
      error: reject,
      complete: () => undefined,
    },
  );
});
await client.dispose();
