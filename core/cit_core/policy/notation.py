"""Policies as text, as the command line, `cit.toml` and configs write them; and policy files, which hold one.

A text is a policy and its options: `cost:0.02,risk:1`, `budget:20/day,risk:1`, `share:gpt-5=20%,cost:0.02`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy.goals import Budget, Goal, Latency, Share
from cit_core.policy.rules import Best, CostAware, FunctionPolicy, Policy, Quality, Threshold

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["HELP", "as_policy", "parse_policy", "read_policy_file"]

HELP = (
    "best, threshold:TAU (0..1), cost:VALUE (USD), quality:SHARE (0..1), budget:USD/day or USD/1k, share:MODEL=20%, "
    "latency:SECONDS, or file:PATH"
)
OPTION = re.compile(r",(?=(?:risk|time|value|cost):)")
FILE = "file:"
SUFFIXES = (".json", ".toml")
LARGEST_FILE = 1_000_000
"""Bytes of a policy file."""


def parse_policy(text: str, *, files: bool = True) -> Policy:
    """Read a policy as the command line writes it: `best`, `threshold:0.7`, `cost:0.02`, `budget:20/day` ...

    Args:
        text: The policy.
        files: Read a policy file that it names; not where the text comes from a caller elsewhere.

    Raises:
        InvalidInput: If it is none of these.
    """
    if not isinstance(text, str) or len(text) > 2_000:
        raise InvalidInput(f"no policy {shown(text)}; use {HELP}")
    if text.startswith(FILE) and files:
        return read_policy_file(text.removeprefix(FILE))
    head, *parts = OPTION.split(text)
    options = dict(part.split(":", 1) for part in parts)
    kind, _, rest = head.partition(":")
    if kind not in KINDS or bool(rest) != (kind != "best") or len(options) != len(parts):
        raise InvalidInput(f"no policy {shown(text)}; use {HELP}")
    try:
        return KINDS[kind](rest, {name: float(value) for name, value in options.items()})
    except InvalidInput:
        raise
    except TypeError:
        raise InvalidInput(
            f"no policy {shown(text)}: {kind} has no option {', '.join(options)}; risk goes with best, cost:, budget:, "
            "share: and latency:, time with a cost, cost with share: and latency:"
        ) from None
    except (ValueError, KeyError):
        raise InvalidInput(f"no policy {shown(text)}; use {HELP}") from None


def _base(options: dict[str, float]) -> Best | CostAware:
    """Return what a limit is kept with, of the options."""
    if "cost" in options:
        return CostAware(options.pop("cost"), **options)
    return Best(**options)


def _budget(rest: str, options: dict[str, float]) -> Goal:
    usd, per, *each = rest.split("/")
    if len(each) > 1:
        raise ValueError
    each = ["tenant"] if each == ["key"] else each
    return Budget(usd=float(usd), per=per.lower(), each=each[0] if each else None, base=_base(options))


def _share(rest: str, options: dict[str, float]) -> Goal:
    model, sign, share = rest.rpartition("=")
    if not sign:
        raise ValueError
    part = float(share.removesuffix("%")) / (100.0 if share.endswith("%") else 1.0)
    return Share(model=model, share=part, base=_base(options))


KINDS: Mapping[str, Callable[[str, dict[str, float]], Policy]] = {
    "best": lambda _, options: Best(**options),
    "threshold": lambda rest, options: Threshold(float(rest), **options),
    "cost": lambda rest, options: CostAware(float(rest), **options),
    "quality": lambda rest, options: Quality(float(rest), **options),
    "budget": _budget,
    "share": _share,
    "latency": lambda rest, options: Latency(seconds=float(rest), base=_base(options)),
}


def read_policy_file(path: str | Path) -> Policy:
    """Read the policy in a file that `cit calibrate` wrote: JSON or TOML with `policy = "..."`.

    Raises:
        InvalidInput: If there is none; nothing of the content is shown.
    """
    file = Path(path)
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise InvalidInput(f"the policy file {shown(str(file), 512)} has more than {LARGEST_FILE:,} bytes")
        text = file.read_text(encoding="utf-8")
        table: Any = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise InvalidInput(
            f"the policy file {shown(str(file), 512)} cannot be read: {error.strerror}; `cit calibrate --quality 0.98 "
            "--input queries.jsonl --output policy.json` writes one"
        ) from None
    except (ValueError, RecursionError):
        raise InvalidInput(f"the policy file {shown(str(file), 512)} is neither JSON nor TOML in UTF-8") from None
    policy = table.get("policy") if isinstance(table, dict) else None
    if not isinstance(policy, str) or policy.startswith(FILE):
        raise InvalidInput(f'the policy file {shown(str(file), 512)} holds no policy; it needs "policy": "cost:0.02"')
    return parse_policy(policy)


def as_policy(given: object) -> Policy:
    """Return a policy, whether it came as one, as the command line writes it, as a policy file, or as a function.

    Raises:
        InvalidInput: If it is none of these.
    """
    if isinstance(given, Path):
        return read_policy_file(given)
    if isinstance(given, str):
        return read_policy_file(given) if given.endswith(SUFFIXES) and FILE not in given else parse_policy(given)
    if isinstance(given, Policy) and not isinstance(given, type):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionPolicy(given, bool(getattr(given, "needs_prices", False)))
    raise InvalidInput(
        f"policy is {shown(given)}; use 'best', 'threshold:TAU' (0..1), 'cost:VALUE' (USD), a text such as "
        "'budget:20/day' (docs/money.md), a function of Scored, or an object with a name, needs_prices and "
        "utility(scored)"
    )
