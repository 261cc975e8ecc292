# pip install authlib flask requests
import os
import secrets

from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Flask, redirect, session

app = Flask(__name__)
app.secret_key = secrets.token_bytes(32)
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
app.config["SESSION_COOKIE_SECURE"] = True
connect = OAuth(app).register(
    "connect",
    client_id={{ is.client_id }},
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url={{ is.discovery }},
    client_kwargs={"scope": {{ is.scope }}, "code_challenge_method": "S256"{% if pinned_to == "client_secret_post" %}, "token_endpoint_auth_method": "client_secret_post"{% endif %}},
)


@app.get("/sign-in")
def sign_in():
    return connect.authorize_redirect({{ is.redirect_uri }})


@app.get({{ is.callback_path }})
def callback():
    try:
        tokens = connect.authorize_access_token()  # checks state, exchanges the code, checks the ID token
    except OAuthError as error:
        if error.error == "access_denied":  # the user pressed Cancel
            return redirect("/")
        raise
    session.clear()
    session["sub"] = tokens["userinfo"]["sub"]  # Authlib's name for the claims of the ID token
    return redirect("/", 303)
