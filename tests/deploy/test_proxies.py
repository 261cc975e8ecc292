"""The samples of proxies in deploy/, each before the real program: with TLS, and with the visitor's own address in the record."""

import json
import os
import re
import subprocess
import time

import pytest
from service import Service, free_port
from support import ROOT, clean_environment, program, succeed

VISITOR = "127.0.0.5"
"""Whence the visitor comes: an address of this machine that no server here has."""


def certificate(folder):
    openssl = program("openssl")
    succeed(
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem",
    )  # fmt: skip
    (folder / "connect.pem").write_text((folder / "fullchain.pem").read_text() + (folder / "privkey.pem").read_text())


def replaced(sample, way, *changes):
    """The sample with what is another site's in place of its placeholders, each of which must be there."""
    text = other_way(way, (ROOT / "deploy" / sample).read_text())
    for old, new in changes:
        assert old in text, f"{sample} has no {old!r} any more"
        text = text.replace(old, new)
    return text


def other_way(way, text):
    """The sample with the line in force that its comment names for this way."""
    if way == "tcp":
        return text
    begins = {"unix": "# By the Unix socket of deploy/connect-idp.socket: ", "h2": "# By HTTP/2, many requests on few connections: "}[way]
    [line] = [line.split(begins)[1] for line in text.splitlines() if begins in line]
    [usual] = [
        usual for usual in text.splitlines()
        if usual.split()[:1] == line.split()[:1] and not usual.strip().startswith("#") and "replica-2" not in usual
        and not usual.endswith(("connect.example.org;", "server {"))
    ]  # fmt: skip
    return text.replace(usual, line)


def socket_of(folder):
    """Beside the folder of a test: HAProxy takes no path of more than 97 bytes."""
    return f"{folder.parent}/{folder.name[-12:]}.sock"


def at(way, usual, folder, service):
    """Where the service is, in the place of where the sample has it."""
    if way == "unix":
        return "/run/connect-idp/http.sock", socket_of(folder)
    return usual, f"127.0.0.1:{service.port}"


def nginx(folder, service, port, way):
    server = replaced(
        "nginx.conf", way,
        at(way, "127.0.0.1:8080", folder, service),
        ("connect.example.org", "localhost"),
        ("/etc/ssl/connect/", f"{folder}/"),
        ("/var/log/nginx/", f"{folder}/"),
        ("    listen 80;\n    listen [::]:80;\n", f"    listen 127.0.0.1:{free_port()};\n"),
        ("    listen 443 ssl http2;\n    listen [::]:443 ssl http2;\n", f"    listen 127.0.0.1:{port} ssl http2;\n"),
    )
    paths = "".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if way == "unix" and os.geteuid() == 0 else ""  # whoever may open the socket
    around = f"{user} pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{ {paths} {server} }}"
    (folder / "nginx.conf").write_text(around)
    command = [program("nginx"), "-c", folder / "nginx.conf", "-e", folder / "error.log"]
    succeed(*command, "-t")
    return [*command, "-g", "daemon off;"]


def haproxy(folder, service, port, way):
    text = replaced(
        "haproxy.cfg", way,
        ("bind :80\n", f"bind 127.0.0.1:{free_port()}\n"),
        ("bind :443 ", f"bind 127.0.0.1:{port} "),
        ("/etc/haproxy/", f"{folder}/"),
        at(way, "10.0.0.11:8080", folder, service),
        ("10.0.0.12:8080", "127.0.0.1:1"),
        ("check port 9000", f"check port {service.internal_port}"),
        ("log /dev/log local0 info", "log stdout format raw local0 info"),
    )
    (folder / "haproxy.cfg").write_text(text)
    succeed(program("haproxy"), "-c", "-f", folder / "haproxy.cfg")
    return [program("haproxy"), "-db", "-f", folder / "haproxy.cfg"]


def caddy(folder, service, port, way):
    text = replaced(
        "Caddyfile", way,
        ("connect.example.org {", f"https://localhost:{port} {{\n\ttls {folder}/fullchain.pem {folder}/privkey.pem\n"),
        at(way, "127.0.0.1:8080", folder, service),
        ("health_port 9000", f"health_port {service.internal_port}"),
    )
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{text}")
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"]


def asked(folder, port, path, *options):
    """What curl says of one request by the proxy; it trusts the certificate of this test alone."""
    return succeed(
        "curl", "--silent", "--show-error", "--cacert", folder / "fullchain.pem", "--interface", VISITOR,
        *options, f"https://localhost:{port}{path}",
    )  # fmt: skip


def until_it_serves(folder, port, process, output):
    for _ in range(100):
        assert process.poll() is None, output.read_text()
        try:
            if asked(folder, port, "/login", "--output", "/dev/null", "--write-out", "%{http_code}") == "200":
                return
        except AssertionError:
            pass
        time.sleep(0.1)
    raise AssertionError(output.read_text())


def try_to_sign_in(folder, port):
    """A wrong password, by a visitor who claims to be somebody else."""
    claims = ("--header", "X-Forwarded-For: 203.0.113.9", "--header", "Forwarded: for=203.0.113.9")
    jar = ("--cookie", folder / "jar", "--cookie-jar", folder / "jar")
    page = asked(folder, port, "/login", *jar)
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    fields = {**dict(hidden), "login_name": "amina", "password": "Wrong-Horse-9", "provider_code": "SUNRISE-IL"}
    form = [part for name, value in fields.items() for part in ("--data-urlencode", f"{name}={value}")]
    origin = ("--header", f"Origin: https://localhost:{port}")
    return asked(folder, port, "/login", *jar, *claims, *origin, *form, "--output", "/dev/null", "--write-out", "%{http_code}")


WAYS = [(nginx, "tcp"), (haproxy, "tcp"), (caddy, "tcp"), (haproxy, "h2"), (caddy, "h2"), (nginx, "unix"), (haproxy, "unix"), (caddy, "unix")]


@pytest.mark.parametrize(("proxy", "way"), WAYS, ids=[f"{proxy.__name__}-{way}" for proxy, way in WAYS])
def test_a_sample_serves_with_tls_and_says_who_the_visitor_is(proxy, way, tmp_path):
    certificate(tmp_path)
    port = free_port()
    # Whoever may open the socket needs no entry.
    place = {"CONNECT_IDP__LISTEN": f"unix:{socket_of(tmp_path)}"} if way == "unix" else {"CONNECT_IDP__TRUSTED_PROXIES": "127.0.0.1"}
    site = Service(tmp_path, issuer=f"https://localhost:{port}", **place)
    site.command("apply", ROOT / "examples/seed.toml")
    output = tmp_path / "proxy.log"
    with site as service, output.open("w") as log:
        process = subprocess.Popen(
            proxy(tmp_path, service, port, way), stdout=log, stderr=log, env=clean_environment(HOME=str(tmp_path))
        )
        try:
            until_it_serves(tmp_path, port, process, output)
            assert try_to_sign_in(tmp_path, port) == "403"
            [record] = json.loads(service.command("activity", "list", "--outcome", "refused", "--output", "json"))
            assert record["address"] == VISITOR
            large = ("--cookie", "a=" + "x" * 24_000, "--output", "/dev/null", "--write-out", "%{http_code}")
            assert asked(tmp_path, port, "/login?state=a-query", *large) == "200"
            asked(tmp_path, port, "/password/reset/a-secret?state=a-query", "--output", "/dev/null")
        finally:
            process.terminate()
            process.wait(timeout=30)
    logs = output.read_text() + "".join(file.read_text() for file in tmp_path.glob("connect-idp.log"))
    assert "a-secret" not in logs and "a-query" not in logs


def test_the_proxy_of_compose_is_configured_well():
    file = ROOT / "deploy/compose/Caddyfile"
    environment = clean_environment(ISSUER="https://localhost")
    succeed(program("caddy"), "validate", "--adapter", "caddyfile", "--config", file, env=environment)


