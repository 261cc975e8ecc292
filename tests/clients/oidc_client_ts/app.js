// An app in the browser that signs its users in through Therap Connect with `oidc-client-ts`, see docs/relying-party.md.
// settings.js holds the issuer and the client's id; the client has no secret: token_endpoint_auth_method = "none".
// --- shown in docs/relying-party.md ---
import { UserManager } from 'oidc-client-ts';
import { settings } from './settings.js';

const here = new URL('.', location).href;
const users = new UserManager({
  authority: settings.issuer,
  client_id: settings.clientId,
  redirect_uri: `${here}signed-in.html`,
  popup_post_logout_redirect_uri: `${here}signed-out.html`,
  scope: 'openid profile email provider',
  loadUserInfo: true,
});
const button = (id) => document.getElementById(id);

if (location.pathname.endsWith('/signed-in.html')) {
  await users.signinPopupCallback(); // in the pop-up: tells the page that opened it, and closes
} else if (location.pathname.endsWith('/signed-out.html')) {
  await users.signoutPopupCallback();
} else {
  button('sign-in').onclick = () => act(() => users.signinPopup());
  button('refresh').onclick = () => act(() => users.signinSilent()); // by the refresh token, as the automatic renewal is
  button('sign-out').onclick = () => act(() => users.signoutPopup());
  await act(() => users.getUser());
}

async function act(what) {
  button('error').textContent = '';
  try {
    await what();
  } catch (error) {
    button('error').textContent = error.message; // also when the user closed the pop-up
  }
  show(await users.getUser());
}

function show(user) {
  button('sign-in').hidden = user !== null;
  button('refresh').hidden = button('sign-out').hidden = user === null;
  button('who').textContent = user ? JSON.stringify(user.profile, null, 2) : '';
}
// --- end ---
