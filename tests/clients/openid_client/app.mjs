// An app that signs its users in through Therap Connect with `openid-client`, see docs/relying-party.md.
//
//   ISSUER=https://connect.example.org CLIENT_ID=portal CLIENT_SECRET=… APP_URL=http://127.0.0.1:3000 node app.mjs
//
// Register the client with a secret; token_endpoint_auth_method may be left out, or be "client_secret_post".
// --- shown in docs/relying-party.md ---
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import * as client from 'openid-client';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, APP_URL } = process.env;
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET);
const sessions = new Map(); // by the cookie; a real app keeps them in its database

const routes = {
  async 'GET /'({ session }) {
    if (!session?.tokens) return page('<a id="sign-in" href="/sign-in">Sign in</a>');
    const shown = { id_token: session.claims, userinfo: session.userinfo, refreshes: session.refreshes };
    return page(`<pre id="who">${escape(JSON.stringify(shown, null, 2))}</pre>
      <form method="post" action="/refresh"><button id="refresh">Refresh</button></form>
      <form method="post" action="/sign-out"><button id="sign-out">Sign out</button></form>`);
  },

  async 'GET /sign-in'() {
    const [verifier, state, nonce] = [client.randomPKCECodeVerifier(), client.randomState(), client.randomNonce()];
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: `${APP_URL}/callback`,
      scope: 'openid profile email provider',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    });
    return { to: url.href, session: { verifier, state, nonce } };
  },

  async 'GET /callback'({ url, session }) {
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
  },

  async 'POST /refresh'({ session }) {
    const { refresh_token } = session.tokens;
    const tokens = await client.refreshTokenGrant(config, refresh_token); // throws: signed out over there
    const claims = tokens.claims();
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, session.claims.sub);
    // Without a new refresh token the old one stays.
    session = { tokens: { refresh_token, ...tokens }, claims, userinfo, refreshes: session.refreshes + 1 };
    return { to: '/', session };
  },

  async 'POST /sign-out'({ session }) {
    const url = client.buildEndSessionUrl(config, {
      id_token_hint: session.tokens.id_token,
      post_logout_redirect_uri: `${APP_URL}/`,
    });
    return { to: url.href, session: null };
  },
};

createServer(async (request, response) => {
  const url = new URL(request.url, APP_URL);
  const cookie = request.headers.cookie?.match(/(?:^|; )session=([^;]+)/)?.[1];
  try {
    const route = routes[`${request.method} ${url.pathname}`];
    if (!route) return response.writeHead(404).end();
    const answer = await route({ url, session: sessions.get(cookie) });
    if (answer.session !== undefined) {
      sessions.delete(cookie);
      const id = randomUUID();
      if (answer.session) sessions.set(id, answer.session);
      const secure = url.protocol === 'https:' ? '; Secure' : '';
      response.setHeader('Set-Cookie', `session=${id}; Path=/; HttpOnly; SameSite=Lax${secure}`);
    }
    if (answer.to) return response.writeHead(303, { Location: answer.to }).end();
    return response.setHeader('Content-Type', 'text/html; charset=utf-8').end(answer.html);
  } catch (error) {
    console.error(error);
    return response.writeHead(500).end(`Signing in failed: ${error.message}`);
  }
}).listen(new URL(APP_URL).port, '127.0.0.1');

const page = (html) => ({ html: `<!doctype html><html lang="en"><title>Node app</title><body>${html}</body></html>` });
const escape = (text) => text.replace(/[&<]/g, (c) => `&#${c.codePointAt(0)};`);
// --- end ---
