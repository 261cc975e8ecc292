"""The alerts and the dashboard in deploy/: they hold, they ask for what is there, and each alert is explained."""

import json
import re
import shutil
import time
import urllib.request

import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic
from service import Service
from support import ROOT, program, succeed

RULES = ROOT / "deploy/prometheus/connect-idp.yaml"
DASHBOARD = ROOT / "deploy/grafana/connect-idp.json"
PAGE = ROOT / "docs/operations/metrics.md"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


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


def told():
    """The series of docs/operations/metrics.md, which a test of the program holds to what `/metrics` says: their labels' values."""
    series = {}
    for line in PAGE.read_text().splitlines():
        if not line.startswith("| `"):
            continue
        name, kind, _, labels, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        values = {}
        for label in filter(None, labels.split("; ")):
            names, _, listed = label.partition(": ")
            for one in names.split(", "):
                values[one.strip("`")] = set(re.findall(r"`([^`]*)`", listed))
        if kind == "histogram":
            series |= {name.strip("`") + end: values | {"le": set()} for end in ("_bucket", "_sum", "_count")}
        else:
            series[name.strip("`")] = values
    return series


def dashboard():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def queries():
    yield from (alert["expr"] for alert in alerts())
    yield from (target["expr"] for panel in dashboard() for target in panel["targets"])


def test_every_series_that_is_asked_for_is_one_of_the_program():
    known, found = told(), set()
    for query in queries():
        assert "connect_idp_" in query
        for name, selector in re.findall(r"\b((?:connect_idp|process)_\w+)(?:{([^}]*)})?", query):
            assert name in known, f"{name} is none of docs/operations/metrics.md: {query}"
            found.add(name)
            for label, how, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selector):
                assert label in known[name], f"{name} has no label {label}: {query}"
                for one in value.split("|"):
                    assert one in known[name][label], f"{name} has no {label} {one}: {query}"
        labels = set().union(*(known[name] for name in re.findall(r"\b(?:connect_idp|process)_\w+", query)))
        for by in re.findall(r"\bby \(([^)]*)\)", query):
            assert set(by.split(", ")) <= labels, query
    assert len(found) > 40


def test_every_alert_has_a_panel_or_is_of_all_and_every_panel_names_alerts_that_are():
    named = set(re.findall(r"ConnectIdp\w+", DASHBOARD.read_text()))
    assert named <= {alert["alert"] for alert in alerts()}
    assert len(named) > 20


def test_every_family_is_asked_for_by_the_dashboard_or_an_alert():
    asked = " ".join(queries())
    missing = {name for name in told() if name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") not in asked}
    # For who wants to know more of a process.
    assert missing == {"process_start_time_seconds", "process_virtual_memory_bytes"}


def test_the_dashboard_is_in_order():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == [
        "What people see",
        "Sign-in",
        "Handoff",
        "Tokens and logouts",
        "Machine",
    ]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels), "no panel covers another"


def test_what_a_running_program_says_is_valid_in_both_forms(tmp_path):
    def scrape(accept):
        request = urllib.request.Request(f"http://127.0.0.1:{service.internal_port}/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    with Service(tmp_path) as service:
        form, classic = scrape("text/plain;version=0.0.4")
        assert form == "text/plain; version=0.0.4; charset=utf-8"
        succeed(program("promtool"), "check", "metrics", input=classic)
        form, openmetrics = scrape(PROMETHEUS_3)
        assert form == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    classics = list(parse_classic(classic))
    opens = list(parse_openmetrics(openmetrics))
    assert len(classics) == len(opens) > 40
    started = {sample.name: sample.value for family in opens for sample in family.samples}["process_start_time_seconds"]
    assert abs(time.time() - started) < 60
