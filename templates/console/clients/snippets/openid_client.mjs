// npm install openid-client
import * as client from 'openid-client';

{% if pinned_to == "client_secret_basic" %}const method = client.ClientSecretBasic(process.env.CLIENT_SECRET); // this client is pinned to it
const config = await client.discovery(new URL({{ is.issuer }}), {{ is.client_id }}, undefined, method);
{% else %}const config = await client.discovery(new URL({{ is.issuer }}), {{ is.client_id }}, process.env.CLIENT_SECRET);
{% endif %}
export async function signIn() {
  const [verifier, state, nonce] = [client.randomPKCECodeVerifier(), client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: {{ is.redirect_uri }},
    scope: {{ is.scope }},
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  });
  return { to: url.href, session: { verifier, state, nonce } };
}

// At the redirect URI: its whole address as a URL, and what signIn() kept in the browser's session.
export async function callback({ url, session }) {
  if (url.searchParams.get('error') === 'access_denied') return { to: '/' }; // the user pressed Cancel
  const tokens = await client.authorizationCodeGrant(config, url, {
    pkceCodeVerifier: session?.verifier,
    expectedState: session?.state,
    expectedNonce: session?.nonce,
    idTokenExpected: true,
  });
  const claims = tokens.claims(); // of the ID token, whose signature and claims were checked
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  return { to: '/', session: { tokens, claims, userinfo, refreshes: 0 } }; // a new session: not the one before
}
