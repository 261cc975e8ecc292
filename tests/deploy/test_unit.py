"""The unit file, read by systemd's own tools. No service is started: a test has no systemd of its own."""

import configparser
import subprocess
import time
import urllib.error
import urllib.request

from service import Service, free_port
from support import ROOT, binary, program, succeed

UNIT = ROOT / "deploy/connect-idp.service"
SOCKET = ROOT / "deploy/connect-idp.socket"


def test_the_unit_is_sound_and_closed(tmp_path):
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/usr/local/bin/connect-idp", binary()))
    socket = tmp_path / SOCKET.name
    socket.write_text(SOCKET.read_text())
    analyze = program("systemd-analyze")
    assert succeed(analyze, "verify", here) == ""
    assert succeed(analyze, "verify", here, socket) == ""
    # 1.5 of 10, of which its network is most.
    succeed(analyze, "security", "--no-pager", "--offline=true", "--threshold=15", here)


def test_it_is_stopped_later_than_answers_under_way_may_take():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(UNIT)
    assert int(unit["Service"]["TimeoutStopSec"]) > 5 + 35
    assert (unit["Service"]["Type"], unit["Service"]["DynamicUser"]) == ("notify", "yes")
    assert int(unit["Service"]["WatchdogSec"]) > 0


def test_the_socket_has_a_name_that_the_service_knows():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(SOCKET)
    assert (unit["Socket"]["FileDescriptorName"], unit["Socket"]["SocketMode"]) == ("http", "0660")


def test_systemd_hands_its_socket_over(tmp_path):
    """By the program that stands in for systemd: it listens, and becomes the service when somebody comes."""
    port, activate = free_port(), program("systemd-socket-activate")
    # What the configuration names is nobody's address, and is left alone.
    environment = Service(tmp_path, CONNECT_IDP__LISTEN="192.0.2.1:1").environment
    settings = [f"--setenv={name}" for name in environment if name.startswith("CONNECT_IDP__")]
    command = [activate, "--fdname=http", f"--listen=127.0.0.1:{port}", *settings, binary(), "serve"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stderr=log)
    try:
        for _ in range(100):
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=30)
                break
            except urllib.error.URLError as error:
                assert isinstance(error.reason, ConnectionRefusedError), f"{error}\n{(tmp_path / 'log').read_text()}"
                time.sleep(0.1)
        assert page.status == 200
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0, (tmp_path / "log").read_text()
