// urql's own HTTP exchange, also for subscriptions: `node urql.mjs <url> <token> <document> <after> <count>`.
import { Client, fetchExchange } from '@urql/core';

const [url, token, query, after, count] = process.argv.slice(2);
const client = new Client({
  url,
  exchanges: [fetchExchange],
  fetchSubscriptions: true,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization: `Bearer ${token}` } },
});

const answer = await client.query('{ __typename }', {}).toPromise();
console.log(JSON.stringify({ data: answer.data }));
const failure = await client.query('{ nothing }', {}).toPromise();
console.log(JSON.stringify({ errors: failure.error.graphQLErrors }));

let seen = 0;
await new Promise((resolve, reject) => {
  client.subscription(query, { after }).subscribe((result) => {
    if (result.error) return reject(result.error);
    console.log(JSON.stringify({ data: result.data }));
    seen += 1;
    if (seen === Number(count)) resolve();
  });
});
process.exit(0); // to unsubscribe aborts the request, which Node.js takes for an error that nobody caught
