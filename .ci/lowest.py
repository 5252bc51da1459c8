"""Print the lowest declared version of every dependency as pip constraints: python .ci/lowest.py EXTRA,EXTRA."""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def lowest(project: dict, extras: set[str]) -> dict[str, str]:
    """Return name to lower bound, over the dependencies and those of the extras."""
    texts = list(project["dependencies"])
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    found: dict[str, str] = {}
    for text in texts:
        requirement = Requirement(text)
        bounds = [specifier.version for specifier in requirement.specifier if specifier.operator in (">=", "==", "~=")]
        if bounds:
            found[requirement.name] = bounds[0]
        elif requirement.name != project["name"]:
            sys.exit(f"{text}: every dependency needs a lower bound")
    return found


if __name__ == "__main__":
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    for name, version in sorted(lowest(pyproject["project"], set(sys.argv[1].split(","))).items()):
        print(f"{name}=={version}")
