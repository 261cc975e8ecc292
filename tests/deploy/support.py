"""What the tests of the deployment files share."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"  # servers' folders are not everybody's PATH's


def needed(found, what):
    """What was found; without it the test is left out, or fails where all must run."""
    if found:
        return found
    if os.environ.get("CONNECT_IDP_TEST_ALL"):
        pytest.fail(f"{what} is needed here: tests/run installs it")
    pytest.skip(f"{what} is not there")


def program(name):
    return needed(shutil.which(name, path=PATH), name)


def binary():
    path = os.environ.get("CONNECT_IDP_TEST_BINARY", ROOT / "target/debug/connect-idp")
    return needed(os.path.exists(path) and str(path), "the program connect-idp (cargo build)")


def run(*command, **more):
    """A command to its end; what it printed, on both ways."""
    settings = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 120} | more
    return subprocess.run([str(part) for part in command], check=False, **settings)


def succeed(*command, **more):
    done = run(*command, **more)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def clean_environment(**more):
    """An environment without settings of the program."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("CONNECT_IDP")}
    return own | {"PATH": PATH} | more
