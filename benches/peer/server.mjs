// Another OpenID Provider with the apps that the journeys are measured with: node's oidc-provider and its in-memory adapter.
// `node server.mjs PORT SECRET REDIRECT_URI ALGORITHM`, the last being what access tokens in JWT form are signed with.

import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';
import LRU from 'oidc-provider/lib/helpers/lru.js';

const [port, secret, redirectUri, algorithm] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;

const key = async (alg) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: alg };
};

const app = (clientId, more) => ({
  client_id: clientId,
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  scope: 'openid profile email',
  ...more,
});
const machine = (clientId) => ({
  client_id: clientId,
  client_secret: secret,
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
});

// As its own store, which forgets all but a thousand things: more are alive at once here.
const store = new LRU({ maxSize: 10_000_000 });

const provider = new Provider(issuer, {
  adapter: (model) => new MemoryAdapter(model, store, 0),
  clients: [
    app('RS256', { client_secret: secret }),
    app('ES256', { client_secret: secret, id_token_signed_response_alg: 'ES256' }),
    app('public-RS256', { token_endpoint_auth_method: 'none' }),
    app('public-ES256', { token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256' }),
    machine('machine'),
    machine('machine-jwt'),
  ],
  jwks: { keys: [await key('RS256'), await key('ES256')] },
  cookies: { keys: [secret] },
  claims: { profile: ['name'], email: ['email'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: 'Bench User', email: `${id}@example.org` }) }),
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  // Nobody is asked for consent.
  async loadExistingGrant({ oidc }) {
    const known = oidc.session.grantIdFor(oidc.client.clientId);
    if (known) return provider.Grant.find(known);
    const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid profile email');
    await grant.save();
    return grant;
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  ttl: {
    AccessToken: 3600, AuthorizationCode: 300, ClientCredentials: 3600, Grant: 86400, IdToken: 3600, Interaction: 3600,
    RefreshToken: 86400, Session: 86400,
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: ({ oidc }) => (oidc.client.clientId === 'machine-jwt' ? issuer : undefined),
      getResourceServerInfo: () => ({ scope: '', accessTokenFormat: 'jwt', jwt: { sign: { alg: algorithm } } }),
      useGrantedResource: () => true,
    },
  },
});

let users = 0;
const answer = provider.callback();
const server = createServer(async (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  // Whoever has to sign in is the next user.
  return provider.interactionFinished(request, response, { login: { accountId: `user${(users += 1)}` } });
});
server.keepAliveTimeout = 600_000;
server.listen(Number(port), '127.0.0.1');
