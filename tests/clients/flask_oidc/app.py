"""An app that signs its users in with Flask-OIDC, as that package's own documentation sets it up.

    ISSUER=https://connect.example.org CLIENT_ID=portal CLIENT_SECRET=… APP_URL=http://127.0.0.1:3000 python app.py
"""

import json
import os
import secrets
from urllib.parse import urlsplit

from flask import Flask, render_template_string, session
from flask_oidc import OpenIDConnect

app = Flask(__name__)
app.config.update(
    SECRET_KEY=secrets.token_hex(32),
    OIDC_CLIENT_SECRETS={
        "web": {
            "client_id": os.environ["CLIENT_ID"],
            "client_secret": os.environ["CLIENT_SECRET"],
            "issuer": os.environ["ISSUER"],
        }
    },
    OIDC_SCOPES="openid profile email",
)
oidc = OpenIDConnect(app)

PAGE = """<!doctype html><html lang="en"><title>Flask-OIDC</title><body>
{% if who %}<pre id="who">{{ who }}</pre><a id="sign-out" href="/logout">Sign out</a>
{% else %}<a id="sign-in" href="/login">Sign in</a>{% endif %}
<a id="private" href="/private">Private</a></body></html>"""


@app.route("/")
def index():
    who = json.dumps(session["oidc_auth_profile"]) if oidc.user_loggedin else None
    return render_template_string(PAGE, who=who)


@app.route("/private")
@oidc.require_login
def private():
    return render_template_string(PAGE, who=json.dumps(session["oidc_auth_profile"]))


@app.route("/api/me")
@oidc.accept_token()
def me():
    return {"active": True}


if __name__ == "__main__":
    app.run("127.0.0.1", urlsplit(os.environ["APP_URL"]).port)
