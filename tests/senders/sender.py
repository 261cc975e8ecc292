"""Mints one handoff assertion with PyJWT and prints it. The sending side of Unified Login, see docs/handoff.md.

    python sender.py --key private.jwk.json --issuer https://secure.example.net --audience https://connect.example.org \\
        --provider-code SUNRISE-IL --login-name amina --sub person-4711 [--target /activity] [--amr pwd,otp]

The private JWK (with `kid` and `alg`) is read from the file that --key or the variable HANDOFF_KEY_FILE names.
"""

import argparse
import json
import os
import pathlib
import sys
# --- shown in docs/handoff.md ---
import secrets
import time

import jwt


def assertion(*, key, issuer, audience, provider_code, login_name, sub, target=None, amr=None, clicked_at=None):
    """One handoff assertion. Call it at the click, on your server; `key` is your private JWK with `kid` and `alg`."""
    iat = int(time.time() if clicked_at is None else clicked_at)  # whole seconds
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": sub,
        "provider_code": provider_code,
        "login_name": login_name,
        "iat": iat,
        "exp": iat + 30,
        "jti": secrets.token_urlsafe(16),  # 128 random bits in 22 characters, new each time
    }
    optional = {"target": target, "amr": amr}
    claims |= {name: value for name, value in optional.items() if value is not None}
    header = {"typ": "therap-handoff+jwt", "kid": key["kid"]}
    return jwt.encode(claims, jwt.PyJWK(key).key, algorithm=key["alg"], headers=header)
# --- end ---


def main():
    parser = argparse.ArgumentParser(description="Mints one handoff assertion and prints it.")
    parser.add_argument("--key", default=os.environ.get("HANDOFF_KEY_FILE"), help="file with the private JWK")
    for name in ("--issuer", "--audience", "--provider-code", "--login-name", "--sub"):
        parser.add_argument(name, required=True)
    parser.add_argument("--target")
    parser.add_argument("--amr", help="comma-separated", type=lambda text: text.split(","))
    given = vars(parser.parse_args())
    path = given.pop("key")
    if path is None:
        parser.error("give --key")
    print(assertion(key=json.loads(pathlib.Path(path).read_text(encoding="utf-8")), **given))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, KeyError, jwt.PyJWTError) as error:
        sys.exit(f"sender.py: {error!r}")
