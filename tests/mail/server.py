"""A real SMTP server for the tests: keeps what it is sent as lines of JSON in FOLDER/mails, prints its port, and ends with
its standard input. While there is a FOLDER/refuse, every recipient is answered what stands in it."""

import argparse
import asyncio
import email
import email.policy
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Keeper:
    def __init__(self, folder):
        self.folder = folder

    async def handle_RCPT(self, server, session, envelope, address, options):
        refuse = self.folder / "refuse"
        if refuse.exists():
            return refuse.read_text()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        kept = {
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "body": message.get_content(),
            "tls": session.ssl is not None,
            "signed_in": bool(session.authenticated),
        }
        with (self.folder / "mails").open("a") as file:
            file.write(json.dumps(kept) + "\n")
        return "250 OK"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--certificate", help="a PEM file with key and certificate: STARTTLS is required")
    parser.add_argument("--sign-in", help="name:password, required")
    args = parser.parse_args()
    tls = None
    if args.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(args.certificate)

    def knows(server, session, envelope, mechanism, data):
        given = b":".join([data.login, data.password]).decode()
        return AuthResult(success=given == args.sign_in, handled=False)

    def smtp():
        return SMTP(
            Keeper(args.folder),
            hostname="mail.test",
            tls_context=tls,
            require_starttls=tls is not None,
            authenticator=knows,
            auth_required=bool(args.sign_in),
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(smtp, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
