// An OpenID provider of a bank: `node openid_provider.mjs <port>`. POST /rotate changes the key that signs.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const RESOURCE = 'https://cardinal.example';
const PEOPLE = { 'wang.li': [['CC_PLANNERS', 'STAFF'], '3100'], 'zhao.min': [['STAFF'], '9999'] };

let number = 0;
let keys = [];
const fresh = () => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  kid: `bank-${(number += 1)}`,
  alg: 'RS256',
  use: 'sig',
});

function provider() {
  return new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['of the tests'] },
    clients: [
      {
        client_id: 'page',
        token_endpoint_auth_method: 'none',
        redirect_uris: [`${RESOURCE}/callback`],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
      {
        client_id: 'ledger',
        client_secret: 'of-the-ledger',
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      },
    ],
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          audience: 'cardinal',
          scope: 'cardinal',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    extraTokenClaims: (_, token) => {
      const [groups, branch] = PEOPLE[token.accountId] ?? [['CC_LEDGERS'], '3100'];
      return { groups, branch };
    },
  });
}

function rotate() {
  keys = [fresh(), ...keys.slice(0, 1)];
  return provider().callback();
}

let answer = rotate();
createServer((request, response) => {
  if (request.url === '/rotate') {
    answer = rotate();
    response.end();
  } else {
    answer(request, response);
  }
}).listen(port, '127.0.0.1', () => console.log('listening'));
