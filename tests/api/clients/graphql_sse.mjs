// The public client of graphql-sse: `node graphql_sse.mjs <url> <token> <document> <after> <count>`.
import { createClient } from 'graphql-sse';

const [url, token, query, after, count] = process.argv.slice(2);
const client = createClient({ url, headers: { authorization: `Bearer ${token}` }, retryAttempts: 0 });

for await (const answer of client.iterate({ query: '{ __typename }' })) console.log(JSON.stringify(answer));
for await (const answer of client.iterate({ query: 'subscription { nothing }' })) console.log(JSON.stringify(answer));

let seen = 0;
for await (const result of client.iterate({ query, variables: { after } })) {
  console.log(JSON.stringify(result));
  seen += 1;
  if (seen === Number(count)) break;
}
client.dispose();
