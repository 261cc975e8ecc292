// npm install openid-client jose
import * as client from 'openid-client';
import { createRemoteJWKSet, jwtVerify } from 'jose';

{% if pinned_to == "client_secret_basic" %}const method = client.ClientSecretBasic(process.env.CLIENT_SECRET); // this client is pinned to it
const api = await client.discovery(new URL({{ is.issuer }}), {{ is.client_id }}, undefined, method);
{% else %}const api = await client.discovery(new URL({{ is.issuer }}), {{ is.client_id }}, process.env.CLIENT_SECRET);
{% endif %}
// Any access token: by asking, so that it is known at once when one was ended.
export async function introspect(token) {
  const answer = await client.tokenIntrospection(api, token);
  if (!answer.active) throw new Error('the token is worth nothing here');
  return answer;
}

// A JWT access token (RFC 9068), without asking. Its typ is at+jwt: an ID token is never taken for one.
const keys = createRemoteJWKSet(new URL(api.serverMetadata().jwks_uri));
export async function read(token) {
  const expected = { issuer: {{ is.issuer }}, audience: {{ is.resource }}, typ: 'at+jwt' };
  const { payload } = await jwtVerify(token, keys, expected);
  return payload;
}
