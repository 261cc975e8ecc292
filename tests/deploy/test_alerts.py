"""The alerts and the dashboard in deploy/: they hold, they ask for what is there, and each alert is explained."""

import json
import re
import shutil

import yaml
from support import ROOT, program, succeed

RULES = ROOT / "deploy/prometheus/connect-idp.yaml"
DASHBOARD = ROOT / "deploy/grafana/connect-idp.json"


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_the_rules_are_sound_and_fire_when_they_should(tmp_path):
    shutil.copy(RULES, tmp_path)
    shutil.copy(ROOT / "tests/deploy/alerts.yaml", tmp_path)
    succeed(program("promtool"), "check", "rules", tmp_path / RULES.name)
    succeed(program("promtool"), "test", "rules", tmp_path / "alerts.yaml")
    tested = (tmp_path / "alerts.yaml").read_text()
    assert all(f"alertname: {alert['alert']}\n        exp_alerts" in tested for alert in alerts())


def test_each_alert_says_where_it_is_explained_and_is_explained_there():
    pages = ROOT / "docs/operations/alerts.md"
    headings = re.findall(r"^## (\S+)$", pages.read_text(), re.M)
    assert headings == [alert["alert"] for alert in alerts()]
    for alert in alerts():
        assert alert["annotations"]["runbook"] == f"docs/operations/alerts.md#{alert['alert'].lower()}"


def test_every_series_that_is_asked_for_is_one_of_the_program():
    source = (ROOT / "src/metrics.rs").read_text()
    registered = set(re.findall(r'r\.register\(\s*"([a-z_]+)"', source))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [alert["expr"] for alert in alerts()] + [target["expr"] for panel in panels for target in panel["targets"]]
    for name in re.findall(r"connect_idp_(\w+)", " ".join(asked)):
        assert name.removesuffix("_total") in registered, name
    assert all("connect_idp_" in expression for expression in asked)
