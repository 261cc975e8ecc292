"""What the chart makes of kinds that Kubernetes itself does not know, as far as the chart uses them. Written from their
references (Gateway API v1, Prometheus Operator v1); strict, so that a misspelt member is found."""


def _object(required, optional=None):
    properties = required | (optional or {})
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items):
    return {"type": "array", "items": items, "minItems": 1}


_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}


def _resource(version, kind, spec):
    metadata = _object({"name": _TEXT, "labels": _TEXTS}, {"annotations": _TEXTS})
    return _object({"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": metadata, "spec": spec})


_PARENT = _object(
    {"name": _TEXT}, {"group": _TEXT, "kind": _TEXT, "namespace": _TEXT, "sectionName": _TEXT, "port": _PORT}
)
_PATH = _object({"type": {"enum": ["Exact", "PathPrefix"]}, "value": _TEXT})
_ROUTE = _object({"matches": _list(_object({"path": _PATH})), "backendRefs": _list(_object({"name": _TEXT, "port": _PORT}))})
_DURATION = {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"}
_ALERT = _object(
    {"alert": _TEXT, "expr": _TEXT, "labels": _TEXTS, "annotations": _TEXTS},
    {"for": _DURATION, "keep_firing_for": _DURATION},
)
_RULE = {"anyOf": [_ALERT, _object({"record": _TEXT, "expr": _TEXT}, {"labels": _TEXTS})]}

SCHEMAS = {
    "HTTPRoute": _resource(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        _object({"parentRefs": _list(_PARENT), "hostnames": _list(_TEXT), "rules": _list(_ROUTE)}),
    ),
    "ServiceMonitor": _resource(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        _object(
            {
                "selector": _object({"matchLabels": _TEXTS}),
                "endpoints": _list(_object({"port": _TEXT, "path": _TEXT, "interval": _DURATION})),
            }
        ),
    ),
    "PrometheusRule": _resource(
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        _object({"groups": _list(_object({"name": _TEXT, "rules": _list(_RULE)}, {"interval": _DURATION}))}),
    ),
}
