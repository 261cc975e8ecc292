"""The unit file, read by systemd's own tools. No service is started: a test has no systemd of its own."""

import configparser

from support import ROOT, binary, program, succeed

UNIT = ROOT / "deploy/connect-idp.service"


def test_the_unit_is_sound_and_closed(tmp_path):
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/usr/local/bin/connect-idp", binary()))
    analyze = program("systemd-analyze")
    assert succeed(analyze, "verify", here) == ""
    # 1.5 of 10, of which its network is most.
    succeed(analyze, "security", "--no-pager", "--offline=true", "--threshold=15", here)


def test_it_is_stopped_later_than_answers_under_way_may_take():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(UNIT)
    assert int(unit["Service"]["TimeoutStopSec"]) > 5 + 35
    assert (unit["Service"]["Type"], unit["Service"]["DynamicUser"]) == ("notify", "yes")
    assert int(unit["Service"]["WatchdogSec"]) > 0
