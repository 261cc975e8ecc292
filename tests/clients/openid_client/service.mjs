// A service that asks for tokens for itself, and an API that checks them, with `openid-client` and `jose`, which it brings:
// the pages of clients of these kinds show its parts. PINNED_ID is a client that is pinned to client_secret_basic.
import * as client from 'openid-client';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PINNED_ID, API_ID, API_SECRET, RESOURCE, SCOPE } = process.env;

const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET);
const tokens = await client.clientCredentialsGrant(config, { scope: SCOPE, resource: RESOURCE });

const method = client.ClientSecretBasic(CLIENT_SECRET); // this client is pinned to it
const pinned = await client.discovery(new URL(ISSUER), PINNED_ID, undefined, method);
const pinnedTokens = await client.clientCredentialsGrant(pinned, { scope: SCOPE });
const otherMethod = await client.discovery(new URL(ISSUER), PINNED_ID, CLIENT_SECRET);
const refused = await client.clientCredentialsGrant(otherMethod, { scope: SCOPE }).catch((error) => error.error);

const api = await client.discovery(new URL(ISSUER), API_ID, API_SECRET);

async function introspect(token) {
  const answer = await client.tokenIntrospection(api, token);
  if (!answer.active) throw new Error('the token is worth nothing here');
  return answer;
}

const keys = createRemoteJWKSet(new URL(api.serverMetadata().jwks_uri));
async function read(token) {
  const expected = { issuer: ISSUER, audience: RESOURCE, typ: 'at+jwt' };
  const { payload } = await jwtVerify(token, keys, expected);
  return payload;
}

const foreign = await introspect(pinnedTokens.access_token).catch((error) => error.message);
const [introspected, seen] = [await introspect(tokens.access_token), await read(tokens.access_token)];
console.log(JSON.stringify({ introspected, read: seen, refused, foreign, lives: tokens.expiresIn() }));
