"""The commands of docs/operations: each block that says `run` is run, in order, page by page; any other has to say why not.

    ```sh run            in a shell of the page, beside a service on SQLite with the people of examples/seed.toml
    ```sh run postgres   the same, with the service's settings leading to a database of PostgreSQL
    ```sql run           by a superuser of that PostgreSQL
    ```toml config       a configuration file: `config check` takes it; `config-only` where its files are another machine's
"""

import os
import re
import secrets
import shutil

import pytest
from service import Service, free_port
from support import PATH, ROOT, binary, clean_environment, needed, program, run, succeed

PAGES = sorted((ROOT / "docs/operations").glob("*.md"))
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
NOT_RUN = "# Not run by the tests: "
SHELLS = {"sh", "bash", "shell", "console", "sql", ""}


def blocks(page):
    for found in FENCE.finditer(page.read_text()):
        text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.M)
        yield found["info"].strip(), text


def test_the_pages_are_found():
    assert len(PAGES) > 10 and sum(len(list(blocks(page))) for page in PAGES) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_run_or_says_why_not(page):
    for info, text in blocks(page):
        language = info.split(" ")[0]
        if language in SHELLS:
            assert info in ("sh run", "sh run postgres", "sql run") or (info == "sh" and text.startswith(NOT_RUN)), text
            assert info == "sh" or NOT_RUN not in text, text
        elif language == "toml":
            assert info in ("toml config", "toml config-only"), text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", page.read_text()):
        file = (page.parent / target[0]).resolve() if target[0] else page
        assert file.exists(), target
        if target[1] and file.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.M)
            anchors = {"#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert target[1] in anchors, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_configuration_is_valid(page, tmp_path):
    for info, text in blocks(page):
        if info.startswith("toml"):
            (tmp_path / "connect.toml").write_text(text)
            verb = "check" if info == "toml config" else "show"
            succeed(binary(), "config", verb, env=clean_environment(CONNECT_IDP_CONFIG=str(tmp_path / "connect.toml")))


class Machine:
    """What a page's commands find: the folders and addresses that it names, each in another place."""

    def __init__(self, folder):
        self.folder, self.settings, self.other_port = folder, {}, free_port()
        (folder / "bin").mkdir()
        (folder / "bin/connect-idp").symlink_to(binary())
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("demo"))
        for name in ("etc", "var", "backups"):
            (folder / name).mkdir()
        self.service = Service(folder / "var")
        self.service.command("apply", folder / "examples/seed.toml")
        settings = self.service.environment
        (folder / "etc/connect.toml").write_text(
            f'issuer = "{settings["CONNECT_IDP__ISSUER"]}"\n'
            f'listen = "{settings["CONNECT_IDP__LISTEN"]}"\ninternal_listen = "{settings["CONNECT_IDP__INTERNAL_LISTEN"]}"\n'
            f'database.url = "{settings["CONNECT_IDP__DATABASE__URL"]}"\nkeys.dir = "{settings["CONNECT_IDP__KEYS__DIR"]}"\n'
        )

    def here(self, text):
        for there, here in [
            ("/etc/connect-idp", str(self.folder / "etc")),
            ("/var/lib/connect-idp", str(self.folder / "var")),
            ("/var/backups/connect", str(self.folder / "backups")),
            ("-p 5433", f"-p {self.other_port}"),
            ("127.0.0.1:9000", f"127.0.0.1:{self.service.internal_port}"),
        ]:
            text = text.replace(there, here)
        return text

    def may_run_servers(self):
        """PostgreSQL does not run as root: `pg_ctl` works as somebody else, who owns what it works on."""
        if os.geteuid() != 0:
            return
        for folder in (self.folder, *self.folder.parents):
            folder.chmod(folder.stat().st_mode | 0o011)
        programs, shim = os.environ.get("CONNECT_IDP_TEST_POSTGRES_PROGRAMS", ""), self.folder / "bin/pg_ctl"
        real = needed(shutil.which("pg_ctl", path=f"{programs}:{PATH}"), "pg_ctl")
        user = "postgres" if run("id", "-u", "postgres").returncode == 0 else "nobody"
        shim.write_text(f'#!/bin/sh\nchown -R {user} "{self.folder}/backups"\nexec runuser -u {user} -- {real} "$@"\n')
        shim.chmod(0o755)

    def execute(self, script, **more):
        file = self.folder / "script"
        file.write_text(script)
        folders = [str(self.folder / "bin"), os.environ.get("CONNECT_IDP_TEST_POSTGRES_PROGRAMS", ""), PATH]
        environment = clean_environment(CONNECT_IDP_CONFIG=str(self.folder / "etc/connect.toml"), **more)
        environment["PATH"] = ":".join(filter(None, folders))
        done = run("bash", "-eux", "-o", "pipefail", file, cwd=self.folder, env=environment, stdin=-3)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", [p for p in PAGES if any(i == "sh run" for i, _ in blocks(p))], ids=lambda p: p.stem)
def test_its_commands_run(page, tmp_path):
    machine = Machine(tmp_path)
    script = "\n".join(machine.here(text) for info, text in blocks(page) if info == "sh run")
    with machine.service:
        machine.execute(script)


@pytest.mark.parametrize("page", [p for p in PAGES if any("postgres" in i for i, _ in blocks(p))], ids=lambda p: p.stem)
def test_its_commands_run_on_postgres(page, tmp_path):
    superuser = needed(os.environ.get("CONNECT_IDP_TEST_POSTGRES"), "CONNECT_IDP_TEST_POSTGRES, the address of a PostgreSQL")
    machine, name = Machine(tmp_path), f"docs_{secrets.token_hex(6)}"
    server = re.sub(r"^postgres(ql)?://([^@/]*@)?", "", superuser).split("/")[0]
    addresses = {
        "DATABASE_URL": f"postgres://{name}@{server}/{name}",
        "RESTORED_URL": f"postgres://{name}@{server}/{name}_restored",
        "REPLICATION_URL": f"postgres://connect_backup@{server}/postgres",
        "RECOVERED_URL": f"postgres://{name}@127.0.0.1:{machine.other_port}/{name}",
    }
    settings = {"CONNECT_IDP__DATABASE__URL": addresses["DATABASE_URL"], "CONNECT_IDP__KEYS__DIR": str(tmp_path / "shared-keys")}
    if "connect-idp move" in page.read_text():
        # It begins on SQLite.
        settings = {}

    def as_superuser(sql):
        return f"psql --quiet --set ON_ERROR_STOP=1 '{superuser}' <<'SQL'\n{sql}SQL\n"

    parts = [
        machine.here(text) if info.startswith("sh") else as_superuser(text)
        for info, text in blocks(page)
        if info in ("sh run postgres", "sql run")
    ]
    if not any("CREATE DATABASE connect_idp " in part for part in parts):
        made = "CREATE ROLE connect_idp LOGIN;\nCREATE DATABASE connect_idp OWNER connect_idp;\n"
        parts.insert(0, as_superuser(made) + "connect-idp key init\nconnect-idp migrate\nconnect-idp apply examples/seed.toml\n")
    program("psql"), program("pg_dump")
    machine.may_run_servers()
    try:
        machine.execute(re.sub(r"\bconnect_idp(?=\b|_restored)", name, "\n".join(parts)), **addresses, **settings)
    finally:
        if (tmp_path / "backups/recovered/postmaster.pid").exists():
            machine.execute(f'pg_ctl --pgdata="{tmp_path}/backups/recovered" --mode=immediate --wait stop\n')
        # Ends who receives the log, where a page broke off.
        slots = "FROM pg_replication_slots WHERE slot_name = 'connect_backup'"
        machine.execute(as_superuser(f"SELECT pg_terminate_backend(active_pid) {slots} AND active;\n"))
        machine.execute(as_superuser(f"SELECT pg_drop_replication_slot(slot_name) {slots};\nDROP ROLE IF EXISTS connect_backup;\n"))
        undo = f'DROP DATABASE IF EXISTS {name};\nDROP DATABASE IF EXISTS {name}_restored;\nDROP ROLE IF EXISTS {name};\n'
        machine.execute(as_superuser(undo))
