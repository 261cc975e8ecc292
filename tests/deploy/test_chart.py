"""The chart, rendered by Helm's own engine: what it makes is valid, closed and runs; what cannot work is refused."""

import copy
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import chart_readme
import helm_python as helm
import jsonschema
import kubernetes_validate
import pytest
import yaml
from custom_resources import SCHEMAS
from support import ROOT, binary, clean_environment, needed, run, succeed

CHART = ROOT / "charts/connect-idp"
REFUSED = sorted((CHART / "refused").glob("*.yaml"))


def values(name):
    return yaml.safe_load((CHART / name).read_text())


def with_values(base, **more):
    """Another set of values: `a__b` is the value b of a."""
    made = copy.deepcopy(base)
    for path, value in more.items():
        *sections, last = path.split("__")
        section = made
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return made


SQLITE, POSTGRES = values("values-sqlite.yaml"), values("values-postgres.yaml")
ACCEPTED = {
    "sqlite": SQLITE,
    "postgres": POSTGRES,
    "sqlite, a claim that is there": with_values(SQLITE, persistence__existingClaim="mine"),
    "sqlite, a storage class": with_values(SQLITE, persistence__storageClass="fast"),
    "a number of replicas": with_values(POSTGRES, autoscaling={"enabled": False}, replicaCount=3),
    "one replica": with_values(POSTGRES, autoscaling={"enabled": False}, replicaCount=1),
    "an Ingress without TLS of its own": with_values(POSTGRES, httpRoute={}, ingress={"enabled": True}),
    "nothing leads in": with_values(POSTGRES, httpRoute={"enabled": False}),
    "no network policy": with_values(POSTGRES, networkPolicy={"enabled": False}),
    "mail without a password": with_values(POSTGRES, mail__existingSecret="", mail__port=2525),
    "no Redis": with_values(POSTGRES, redis={}),
    "no mail": with_values(POSTGRES, mail={}),
    "no migration": with_values(POSTGRES, migration__enabled=False),
    "a digest": with_values(POSTGRES, image__digest="sha256:" + "0" * 64),
    "a port in the issuer": with_values(POSTGRES, issuer="https://connect.example.org:8443"),
    "everything of a pod": with_values(
        POSTGRES,
        imagePullSecrets=[{"name": "registry"}],
        podAnnotations={"a": "b"},
        podLabels={"c": "d"},
        nodeSelector={"e": "f"},
        tolerations=[{"key": "g", "operator": "Exists"}],
        affinity={"nodeAffinity": {}},
        topologySpreadConstraints=[],
        priorityClassName="high",
        extraEnv=[{"name": "RUST_BACKTRACE", "value": "1"}],
        extraVolumes=[{"name": "authority", "configMap": {"name": "authority"}}],
        extraVolumeMounts=[{"name": "authority", "mountPath": "/etc/connect-idp/authority"}],
        service={"port": 8080, "annotations": {"h": "i"}},
        serviceAccount__annotations={"j": "k"},
    ),
}


def render(given, name="connect"):
    with helm.Chart.load(str(CHART)) as chart:
        texts = chart.render(given, name=name, namespace="idp")
    documents = []
    for path, text in texts.items():
        if not path.endswith(".txt"):
            documents += [document for document in yaml.safe_load_all(text) if document]
    return documents


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def pods(documents):
    """Each pod that comes of these: its metadata and its spec."""
    for document in documents:
        if document["kind"] in ("Deployment", "Job"):
            yield document["spec"]["template"]["metadata"], document["spec"]["template"]["spec"]
        elif document["kind"] == "Pod":
            yield document["metadata"], document["spec"]


def newest_three():
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    known = {tuple(map(int, re.findall(r"\d+", found.name))) for found in folder.glob("v*-strict")}
    newest = {version[:2]: version for version in sorted(known)}
    return [".".join(map(str, newest[minor])) for minor in sorted(newest)[-3:]]


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_is_made_is_valid(case):
    documents = render(ACCEPTED[case])
    versions = newest_three()
    assert len(versions) == 3
    for document in documents:
        if schema := SCHEMAS.get(document["kind"]):
            jsonschema.validate(document, schema)
            continue
        for version in versions:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_member_is_found():
    """The check itself: it must not pass everything."""
    [deployment] = of_kind(render(POSTGRES), "Deployment")
    deployment["spec"]["template"]["spec"]["automountServiceAccountTokens"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, newest_three()[-1], strict=True)


@pytest.mark.parametrize("given", [SQLITE, POSTGRES], ids=["sqlite", "postgres"])
def test_helm_finds_nothing_to_complain_of(given):
    found = helm.lint(str(CHART), values=given, strict=True)
    assert not [message for message in found["messages"] if message["severity"] in ("ERROR", "WARNING")], found


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_what_cannot_work_is_refused_for_its_own_reason(file):
    text = file.read_text()
    given, place = yaml.safe_load(text), re.search(r"^# Refused at: (\S+)$", text, re.M)[1]
    with pytest.raises(helm.HelmValuesError) as refused:
        render(given)
    faults = [line for line in str(refused.value).splitlines() if " at '" in line and "'allOf' failed" not in line]
    assert faults and all(f"at '{place}'" in line or f"'{place}' not allowed" in line for line in faults), faults
    # The schema alone refuses it, whatever the chart's own defaults are.
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert not jsonschema.Draft7Validator(schema).is_valid(given)


def test_every_rule_of_the_schema_has_an_example_that_it_refuses():
    schema = json.loads((CHART / "values.schema.json").read_text())
    whole = jsonschema.Draft7Validator(schema)
    defaults = values("values.yaml")

    def merged(one, other):
        both = lambda key: merged(one[key], other[key]) if isinstance(one.get(key), dict) and isinstance(other.get(key), dict) else other.get(key, one.get(key))
        return {key: both(key) for key in {*one, *other}}

    examples = [merged(defaults, yaml.safe_load(file.read_text())) for file in REFUSED]
    for rule in schema["allOf"]:
        only = jsonschema.Draft7Validator(rule)
        assert any(not only.is_valid(example) for example in examples), rule["$comment"]
    assert all(not whole.is_valid(example) for example in examples)


def test_a_pod_has_time_for_what_is_under_way():
    with pytest.raises(helm.HelmError, match="terminationGracePeriodSeconds"):
        render(with_values(POSTGRES, drainSeconds=30))
    render(with_values(POSTGRES, drainSeconds=30, terminationGracePeriodSeconds=70))


def test_the_fewest_replicas_are_not_more_than_the_most():
    with pytest.raises(helm.HelmError, match="minReplicas"):
        render(with_values(POSTGRES, autoscaling={"enabled": True, "minReplicas": 7, "maxReplicas": 6}))


@pytest.mark.parametrize("case", ACCEPTED)
def test_no_secret_is_made_and_nothing_runs_as_root(case):
    documents = render(ACCEPTED[case])
    assert not of_kind(documents, "Secret")
    for _, pod in pods(documents):
        assert pod["automountServiceAccountToken"] is False
        security = pod["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] and security["seccompProfile"]["type"] == "RuntimeDefault"
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"]
            assert own["capabilities"] == {"drop": ["ALL"]}
        for volume in pod.get("volumes", []):
            assert volume.get("secret", {}).get("defaultMode", 0o400) == 0o400


def test_replicas_are_replaced_without_a_gap_and_a_file_is_never_shared():
    [many], [one] = (of_kind(render(given), "Deployment") for given in (POSTGRES, SQLITE))
    assert many["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert one["spec"]["strategy"] == {"type": "Recreate"} and one["spec"]["replicas"] == 1
    assert "replicas" not in many["spec"], "the autoscaler's number is not undone by an upgrade"
    assert of_kind(render(POSTGRES), "PodDisruptionBudget") and not of_kind(render(SQLITE), "PodDisruptionBudget")


def test_what_leads_in_leads_to_the_pods_and_never_to_metrics():
    for given in (POSTGRES, SQLITE):
        documents = render(given)
        [deployment] = of_kind(documents, "Deployment")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        services = {service["metadata"]["name"]: service for service in of_kind(documents, "Service")}
        for service in services.values():
            assert service["spec"]["selector"].items() <= labels.items()
        for _, pod in pods(of_kind(documents, "Job")):
            assert not any(s["spec"]["selector"].items() <= _["labels"].items() for s in services.values())
        text = json.dumps(of_kind(documents, "Ingress") + of_kind(documents, "HTTPRoute"))
        assert "connect-connect-idp" in text and "internal" not in text and "connect.example.org" in text


def test_the_network_is_closed_but_for_what_was_listed():
    [policy] = of_kind(render(POSTGRES), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    ports = sorted({port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]})
    assert ports == [53, 443, 587, 5432, 6379]
    assert all(rule["to"] for rule in policy["spec"]["egress"]), "a rule without `to` opens every address"
    inside = [rule for rule in policy["spec"]["ingress"] if rule["ports"] == [{"port": "internal"}]]
    assert inside and all(rule["from"] for rule in inside)
    [alone] = of_kind(render(SQLITE), "NetworkPolicy")
    assert [port["port"] for rule in alone["spec"]["egress"] for port in rule["ports"]] == [53, 53]


@pytest.mark.parametrize("case", ACCEPTED)
def test_the_program_takes_its_settings(case, tmp_path):
    address = {"DATABASE": "postgres://idp:secret@db.example.org/connect?sslmode=verify-full", "REDIS": "rediss://idp:secret@redis.example.org/0", "MAIL": "secret"}
    for section, secret in address.items():
        (tmp_path / section).write_text(secret)
    for _, pod in pods(of_kind(render(ACCEPTED[case]), "Deployment") + of_kind(render(ACCEPTED[case]), "Job")):
        settings = {}
        for one in pod["containers"][0]["env"]:
            value = one.get("value", "a-name")
            section = "".join(one["name"].split("__")[1:2])
            settings[one["name"]] = str(tmp_path / section) if one["name"].endswith("_FILE") else value
        shown = json.loads(succeed(binary(), "config", "show", "--output", "json", env=clean_environment(**settings)))
        shown = {row["key"]: row["value"] for row in shown}
        assert shown["issuer"] == f'"{ACCEPTED[case]["issuer"]}"' and shown["trusted_proxies"] == '["10.0.0.0/8"]'
        assert shown["log.format"] == '"json"' and shown["keys.dir"] == '"/etc/connect-idp/keys"'


def test_values_of_every_type_reach_the_program(tmp_path):
    given = with_values(
        SQLITE,
        config__operator_code="AB-47",
        config__site="beta",
        config__throttle={"enabled": False, "address_per_minute": 1000000},
        config__outbound__internal_hosts=["keys.internal", "x<y>&z"],
    )
    [(_, pod)] = pods(of_kind(render(given), "Deployment"))
    settings = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    shown = json.loads(succeed(binary(), "config", "show", "--output", "json", env=clean_environment(**settings)))
    shown = {row["key"]: row["value"] for row in shown}
    assert (shown["operator_code"], shown["throttle.enabled"]) == ('"AB-47"', "false")
    assert shown["throttle.address_per_minute"] == "1000000"
    assert shown["outbound.internal_hosts"] == '["keys.internal", "x<y>&z"]'


def test_probes_and_helm_test_ask_for_what_is_there(service):
    healthcheck = ROOT / "deploy/healthcheck"
    documents = render(with_values(POSTGRES, issuer="https://connect.example.org"))
    [deployment] = of_kind(documents, "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == "internal"
        succeed(healthcheck, "127.0.0.1", service.internal_port, asked["path"])
    [test] = of_kind(documents, "Pod")
    names = {document["metadata"]["name"] for document in of_kind(documents, "Service")}
    ports = {"ready": service.internal_port, "discovery": service.port}
    for container in test["spec"]["containers"]:
        host, _, path, words = container["args"]
        assert host in names
        words = words.replace("https://connect.example.org", f"http://localhost:{service.port}")
        succeed(healthcheck, "localhost", ports[container["name"]], path, words)


def test_monitoring_has_what_deploy_has():
    documents = render(POSTGRES)
    [rule] = of_kind(documents, "PrometheusRule")
    files = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "deploy/prometheus").glob("*.yaml"))]
    groups = [group for file in files for group in file.get("groups", [])]
    assert rule["spec"]["groups"] == groups and groups
    [dashboards] = of_kind(documents, "ConfigMap")
    files = {file.name: json.loads(file.read_text()) for file in (ROOT / "deploy/grafana").glob("*.json")}
    assert {name: json.loads(text) for name, text in dashboards["data"].items()} == files and files


def test_a_package_has_everything_that_the_folder_has(tmp_path):
    packed = helm.package(str(CHART), destination=str(tmp_path))
    with helm.Chart.load(packed) as chart:
        assert len(chart.render(POSTGRES, name="connect", namespace="idp")) == len(list((CHART / "templates").rglob("*.yaml"))) + 1
        assert not [file for file in chart.files if file["name"].startswith("refused/")]
        assert [file for file in chart.files if file["name"].startswith("files/prometheus/")]


def test_the_readme_is_made_of_the_values():
    assert (CHART / "README.md").read_text() == chart_readme.readme(), "run tests/deploy/chart_readme.py --write"


def test_every_value_is_explained_and_known_to_the_schema():
    explained = set(chart_readme.comments((CHART / "values.yaml").read_text()))
    schema = json.loads((CHART / "values.schema.json").read_text())

    def leaves(tree, path=()):
        for key, value in tree.items():
            here = (*path, key)
            if ".".join(here) in explained or not isinstance(value, dict) or not value:
                yield ".".join(here)
            else:
                yield from leaves(value, here)

    assert set(leaves(values("values.yaml"))) <= explained
    assert set(values("values.yaml")) == set(schema["properties"]) - {"global"}


AS_THE_KUBELET = """
set -eu
mount -t tmpfs -o mode=3777,gid=10001 none "$1/keys"
install --owner 0 --group 10001 --mode 440 "$1/made/keys/kek-0001" "$1/keys/"
mount -o remount,ro,bind "$1/keys" 2>/dev/null || mount -o remount,ro "$1/keys"
install --directory --owner 10001 --group 10001 "$1/data"
export CONNECT_IDP__KEYS__DIR=$1/keys CONNECT_IDP__DATABASE__URL=sqlite://$1/data/connect.db
setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs "$1/connect-idp" migrate
setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs "$1/connect-idp" doctor
"""


def test_the_program_takes_a_key_as_a_cluster_mounts_it():
    """For root and the pod's group, in a folder that its mode calls open and its mount read-only."""
    needed(os.geteuid() == 0 and run("unshare", "--mount", "true").returncode == 0, "a mount namespace, which takes root,")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        shutil.copy(binary(), place / "connect-idp")
        for name in ("made", "keys"):
            (place / name).mkdir()
        succeed(binary(), "key", "init", cwd=place / "made", env=clean_environment())
        said = succeed("unshare", "--mount", "bash", "-c", AS_THE_KUBELET, "-", folder, env=clean_environment())
        assert "WRONG" not in said and f"keys folder: {folder}/keys, 1 key(s)" in said
