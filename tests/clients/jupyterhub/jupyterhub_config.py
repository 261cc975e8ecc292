"""JupyterHub's configuration for a sign-in with oauthenticator's GenericOAuthenticator, as its documentation has it: every
endpoint by hand, the secret in the form, and a logout that names the client and the way back, without a hint.

In capitals: from the test.
"""

import os
from urllib.parse import urlencode

c = get_config()  # noqa: F821

ISSUER, APP_URL = os.environ["ISSUER"], os.environ["APP_URL"]
CLIENT_ID = os.environ["CLIENT_ID"]

c.JupyterHub.authenticator_class = "generic-oauth"
c.GenericOAuthenticator.client_id = CLIENT_ID
c.GenericOAuthenticator.client_secret = os.environ["CLIENT_SECRET"]
c.GenericOAuthenticator.oauth_callback_url = f"{APP_URL}/hub/oauth_callback"
c.GenericOAuthenticator.authorize_url = f"{ISSUER}/oauth2/authorize"
c.GenericOAuthenticator.token_url = f"{ISSUER}/oauth2/token"
c.GenericOAuthenticator.userdata_url = f"{ISSUER}/oauth2/userinfo"
c.GenericOAuthenticator.scope = ["openid", "profile", "email"]
c.GenericOAuthenticator.username_claim = "preferred_username"
c.GenericOAuthenticator.login_service = "Therap Connect"
c.GenericOAuthenticator.allow_all = True
LOGOUT = urlencode({"client_id": CLIENT_ID, "post_logout_redirect_uri": f"{APP_URL}/"})
c.GenericOAuthenticator.logout_redirect_url = f"{ISSUER}/oauth2/end_session?{LOGOUT}"

# Nobody's notebook is started: who signed in sees the page where it would be.
c.JupyterHub.default_url = "/hub/home"
c.JupyterHub.spawner_class = "simple"

# All that it keeps and listens on is this test's.
c.JupyterHub.bind_url = APP_URL
c.JupyterHub.hub_port = int(os.environ["HUB_PORT"])
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['PROXY_PORT']}"
c.ConfigurableHTTPProxy.command = [os.environ["PROXY"]]
