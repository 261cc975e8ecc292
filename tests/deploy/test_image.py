"""The image's recipe, and what it brings along. Nothing is built here: docs/operations/image.md says what was tried by hand."""

import os
import re
import sys

import yaml
from support import ROOT, binary, clean_environment, run, succeed

HEALTHCHECK = ROOT / "deploy/healthcheck"


def test_the_recipe_has_no_fault_that_a_linter_knows():
    hadolint = os.path.join(os.path.dirname(sys.executable), "hadolint")
    succeed(hadolint, ROOT / "Dockerfile")


def test_the_recipe_ends_as_nobody_in_particular():
    last = (ROOT / "Dockerfile").read_text().split("\nFROM ")[-1]
    assert re.search(r"^USER 10001:10001$", last, re.M)
    assert "libssl.so.3" in (ROOT / "Dockerfile").read_text(), "the build proves whose OpenSSL it links"


def test_what_the_recipe_copies_is_let_through():
    """A file that .dockerignore holds back breaks the build, which is not run here."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in re.findall(r"^COPY (deploy/\S+)", (ROOT / "Dockerfile").read_text(), re.M):
        assert (ROOT / source).exists() and f"!{source}" in ignored, source


def test_the_compiler_is_the_one_that_the_crate_asks_for():
    wanted = re.search(r'^rust-version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    offered = re.search(r"^ARG RUST=(.+)$", (ROOT / "Dockerfile").read_text(), re.M)[1]
    as_numbers = lambda version: [int(part) for part in version.split(".")]
    assert as_numbers(offered) >= as_numbers(wanted)


def test_the_settings_of_the_image_are_valid():
    environment = clean_environment(CONNECT_IDP_CONFIG=str(ROOT / "deploy/image.toml"))
    assert "valid" in succeed(binary(), "config", "check", env=environment)


def test_the_health_check_tells_well_from_ill(service):
    port = str(service.internal_port)
    succeed(HEALTHCHECK, "127.0.0.1", port)
    succeed(HEALTHCHECK, "127.0.0.1", port, "/health/ready", "ready")
    for ill in [(port, "/health/ready", "other words"), (port, "/nothing"), ("1",)]:
        assert run(HEALTHCHECK, "127.0.0.1", *ill).returncode != 0, ill


def test_the_replicas_of_compose_may_do_nothing_that_they_need_not():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    replicas = [services[name] for name in services if name.startswith("connect-")]
    assert len(replicas) == 2
    for own in [*replicas, services["migrate"], services["keys"], services["own-keys"]]:
        assert own["read_only"] and own["cap_drop"] == ["ALL"]
        assert own["security_opt"] == ["no-new-privileges:true"]
    for replica in replicas:
        assert "ports" not in replica, "whoever reaches a replica past the proxy is believed about addresses"
        assert all(volume.endswith(":ro") for volume in replica["volumes"])
        assert not any("PASSWORD" in name or "@" in value for name, value in replica["environment"].items())


def test_the_program_takes_the_settings_of_compose(tmp_path):
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    (tmp_path / "url").write_text("postgres://connect_idp:secret@postgres/connect_idp")
    settings = compose["services"]["connect-1"]["environment"] | {"CONNECT_IDP__ISSUER": "https://localhost"}
    settings |= {name: str(tmp_path / "url") for name in settings if name.endswith("__URL_FILE")}
    succeed(binary(), "config", "check", env=clean_environment(**settings))
