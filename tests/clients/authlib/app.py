"""An app that signs its users in through Therap Connect with Authlib, see docs/relying-party.md.

    ISSUER=https://connect.example.org CLIENT_ID=portal CLIENT_SECRET=… APP_URL=http://127.0.0.1:3000 python app.py

Register the client with a secret; token_endpoint_auth_method may be left out, or be "client_secret_basic".
"""
# --- shown in docs/relying-party.md ---
import json
import os
import secrets
from urllib.parse import urlsplit

from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Flask, redirect, render_template_string, session

APP_URL = os.environ["APP_URL"]
app = Flask(__name__)
app.secret_key = secrets.token_bytes(32)
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
app.config["SESSION_COOKIE_SECURE"] = APP_URL.startswith("https:")
connect = OAuth(app).register(
    "connect",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=os.environ["ISSUER"] + "/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile email provider", "code_challenge_method": "S256"},
)
signed_in = {}  # by the id in the cookie; a real app keeps it in its database

PAGE = """<!doctype html><html lang="en"><title>Python app</title><body>
{% if shown %}<pre id="who">{{ shown }}</pre>
<form method="post" action="/refresh"><button id="refresh">Refresh</button></form>
<form method="post" action="/sign-out"><button id="sign-out">Sign out</button></form>
{% else %}<a id="sign-in" href="/sign-in">Sign in</a>{% endif %}</body></html>"""


@app.get("/")
def index():
    user = signed_in.get(session.get("id"))
    shown = user and {name: user[name] for name in ("id_token", "userinfo", "refreshes")}
    return render_template_string(PAGE, shown=shown and json.dumps(shown, indent=2))


@app.get("/sign-in")
def sign_in():
    return connect.authorize_redirect(APP_URL + "/callback")


@app.get("/callback")
def callback():
    try:
        tokens = connect.authorize_access_token()  # checks state, exchanges the code, checks the ID token
    except OAuthError as error:
        if error.error == "access_denied":  # the user pressed Cancel
            return redirect("/")
        raise
    session.clear()
    session["id"] = secrets.token_urlsafe()
    signed_in[session["id"]] = {
        "tokens": tokens,
        "id_token": tokens["userinfo"],  # Authlib's name for the claims of the ID token
        "userinfo": connect.userinfo(token=tokens),
        "refreshes": 0,
    }
    return redirect("/", 303)


@app.post("/refresh")
def refresh():
    user = signed_in[session["id"]]
    old = user["tokens"]
    new = connect.fetch_access_token(grant_type="refresh_token", refresh_token=old["refresh_token"])
    user["id_token"] = connect.parse_id_token(new, nonce=None)
    user["tokens"] = {**old, **new}  # without a new refresh token the old one stays
    user["userinfo"] = connect.userinfo(token=user["tokens"])
    user["refreshes"] += 1
    return redirect("/", 303)


@app.post("/sign-out")
def sign_out():
    tokens = signed_in.pop(session.pop("id"))["tokens"]
    return connect.logout_redirect(post_logout_redirect_uri=APP_URL + "/signed-out", id_token_hint=tokens["id_token"])


@app.get("/signed-out")
def signed_out():
    connect.validate_logout_response()  # Authlib sent a state along
    return redirect("/")


app.run("127.0.0.1", urlsplit(APP_URL).port)
# --- end ---
