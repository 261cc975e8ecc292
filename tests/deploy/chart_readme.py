#!/usr/bin/env python3
"""Makes charts/connect-idp/README.md of README.md.in and the comments of values.yaml that begin with `# --`.

    tests/deploy/chart_readme.py --write
"""

import json
import sys
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parents[2] / "charts/connect-idp"
PLACE = "{{values}}\n"


def comments(text):
    """Each value's path with its comment: the lines above its key, of which the first begins with `# --`."""
    found, path, words = {}, [], []
    for line in text.splitlines():
        indent, content = len(line) - len(line.lstrip()), line.strip()
        if content.startswith("# --"):
            words = [content.removeprefix("# --").strip()]
        elif content.startswith("#") and words:
            words.append(content.removeprefix("#").strip())
        elif content and not content.startswith(("#", "-")):
            path = [*path[: indent // 2], content.split(":")[0]]
            if words:
                found[".".join(path)] = " ".join(words)
            words = []
    return found


def value_of(values, path):
    for key in path.split("."):
        values = values[key]
    return values


def readme():
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for path, words in comments(text).items():
        default = json.dumps(value_of(values, path), ensure_ascii=False)
        rows.append(f"| `{path}` | `{default}` | {words.replace('|', chr(92) + '|')} |")
    return (CHART / "README.md.in").read_text().replace(PLACE, "\n".join(rows) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    (CHART / "README.md").write_text(readme())
