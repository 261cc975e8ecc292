// npm install oidc-client-ts
import { UserManager } from 'oidc-client-ts';

const users = new UserManager({
  authority: {{ is.issuer }},
  client_id: {{ is.client_id }},
  redirect_uri: {{ is.redirect_uri }},
{% if has_post_logout %}  popup_post_logout_redirect_uri: {{ is.post_logout }},
{% endif %}  scope: {{ is.scope }},
  loadUserInfo: true,
});
const button = (id) => document.getElementById(id);

if (location.pathname.endsWith({{ is.callback_path }})) {
  await users.signinPopupCallback(); // in the pop-up: tells the page that opened it, and closes
{% if has_post_logout %}} else if (location.pathname.endsWith({{ is.post_logout_path }})) {
  await users.signoutPopupCallback();
{% endif %}} else {
  button('sign-in').onclick = () => act(() => users.signinPopup());
{% if has_post_logout %}  button('sign-out').onclick = () => act(() => users.signoutPopup());
{% endif %}  await act(() => users.getUser());
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
  button('who').textContent = user ? JSON.stringify(user.profile, null, 2) : '';
}
