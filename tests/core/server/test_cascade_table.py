"""The table [cascade]: what it makes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gateway_process import settings_file

from cit_core import Candidate
from cit_core.errors import InvalidInput
from cit_core.router import Agreement, FollowsSchema, Judge, MeanLogprob, Rates
from cit_core.server.cascade_table import cascade_of, is_repeatable
from cit_core.settings import read_settings

ZOO = {"a": Candidate(id="a", price_in=1.0, price_out=5.0)}


def read(folder: Path, table: str) -> Any:
    settings = read_settings(settings_file(folder, "http://127.0.0.1:9", {"a": "ok"}, f"[cascade]\n{table}"), {})
    assert settings.cascade is not None
    return cascade_of(settings.cascade, ZOO)


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ('verify = "logprob"', MeanLogprob),
        ('verify = "agreement"\nsamples = 5', Agreement),
        ('verify = "judge"\njudge = "a"', Judge),
        ('verify = "schema"\nschema_file = "schema.json"', FollowsSchema),
    ],
)
def test_verifiers(tmp_path: Path, table: str, kind: type) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    made = read(tmp_path, f"{table}\ntrue_positive = 0.9\nfalse_positive = 0.2\nmax_steps = 3\nvalue = 0.5")
    assert isinstance(made.verify, kind)
    assert (made.reliability, made.max_steps, made.value) == (Rates(0.9, 0.2), 3, 0.5)
    if kind is Judge:
        assert made.verify.cost_usd == pytest.approx((800 * 1.0 + 200 * 5.0) / 1e6)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('verify = "guess"', "verify"),
        ('verify = "pattern"', "needs pattern"),
        ('verify = "pattern"\npattern = "("', "regular expression"),
        ('verify = "schema"\nschema_file = "none.json"', "holds no JSON"),
        ('verify = "judge"\njudge = "b"', "no table"),
        ('verify = "logprob"\ntrue_positive = 0.9', "both or none"),
        ('verify = "logprob"\nvalue = 0', "value"),
        ('verify = "logprob"\npatern = "x"', "patern"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path, table)


@pytest.mark.parametrize(
    ("fields", "repeatable"),
    [
        ({}, True),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}, {"name": "anthropic's", "input_schema": {}}]},
            True,
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, False),
        ({"tools": [{"type": "function"}, {"type": "mcp"}]}, False),
        ({"mcp_servers": [{"url": "http://x"}]}, False),
        ({"prompt": {"id": "p"}}, False),
        ({"conversation": "c"}, False),
        ({"n": 1}, True),
        ({"n": 3}, False),
    ],
)
def test_what_may_be_asked_twice(fields: dict[str, Any], repeatable: bool) -> None:
    assert is_repeatable(fields) is repeatable
