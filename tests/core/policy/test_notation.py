"""Policies as text are read back as they were written; policy files hold one; a caller elsewhere names no file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cit_core.errors import InvalidInput
from cit_core.policy import Best, Budget, CostAware, Latency, Quality, Share, as_policy, parse_policy, read_policy_file
from cit_core.router import FakeScorer, Router
from cit_core.router.serialization import _policy_name
from cit_core.settings import read_settings


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("best,risk:1", Best(risk=1)),
        ("cost:0.02,risk:1,time:0.001", CostAware(0.02, risk=1, time=0.001)),
        ("quality:0.98", Quality(0.98)),
        ("quality:0.98,value:0.0123", Quality(0.98, value=0.0123)),
        ("budget:1.5/1k", Budget(usd=1.5, per="1k")),
        ("budget:20/day/tenant,risk:0.5", Budget(usd=20, per="day", each="tenant", base=Best(risk=0.5))),
        ("share:openai:gpt-5@low=20%", Share(model="openai:gpt-5@low", share=0.2)),
        ("share:a,b=12.5%,cost:0.02", Share(model="a,b", share=0.125, base=CostAware(0.02))),
        ("latency:2,cost:0.02,time:0.1", Latency(seconds=2, base=CostAware(0.02, time=0.1))),
    ],
)
def test_a_text_is_a_policy_and_back(text: str, policy: object) -> None:
    assert parse_policy(text) == policy
    assert parse_policy(text).name == text
    assert _policy_name(parse_policy(text)) == text, "a router with it can be written down"


def test_a_key_is_a_tenant() -> None:
    assert parse_policy("budget:5/hour/key") == Budget(usd=5, per="hour", each="tenant")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget:0/day", "budget needs USD above 0"),
        ("budget:5/fortnight", r"budget is per 'fortnight'; there are minute, .*, 1k"),
        ("budget:5/day/team", "for each 'team'; it can be for each tenant"),
        ("share:gpt-5=120%", "a part of all queries"),
        ("share:gpt-5", "no policy"),
        ("latency:0", "latency needs seconds above 0"),
        ("quality:1.2", "a share of the best model's between 0 and 1"),
        ("cost:0.02,risk:-1", "risk needs a number of standard deviations"),
        ("best,cost:0.02", "no policy"),
        ("threshold:0.7,risk:1", "no policy"),
        ("cost:0.02,risk:1,risk:2", "no policy"),
        ("x" * 5_000, "a text of 5,000 characters"),
    ],
)
def test_what_is_none_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_policy(text)


def test_a_policy_file_is_read_by_every_door(tmp_path: Path) -> None:
    for name, content in (("p.json", json.dumps({"policy": "cost:0.02"})), ("p.toml", 'policy = "cost:0.02"\n')):
        file = tmp_path / name
        file.write_text(content)
        for given in (file, str(file), f"file:{file}"):
            assert as_policy(given) == CostAware(0.02)
        assert Router(FakeScorer({"m": 0.5}), [*_zoo()], policy=file).policy == CostAware(0.02)
    (tmp_path / "cit.toml").write_text('[router]\npolicy = "file:p.json"\n')
    assert read_settings(tmp_path / "cit.toml", {}).policy == "cost:0.02", "beside the settings, wherever one works"


def _zoo() -> list[object]:
    from cit_core.records import Candidate

    return [Candidate(id="m", price_in=1, price_out=1)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory; `cit calibrate"),
        ("{", "neither JSON nor TOML"),
        ("[]", "holds no policy"),
        ('{"policy": "file:other.json"}', "holds no policy"),
    ],
)
def test_a_file_without_a_policy_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "p.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidInput, match=said):
        read_policy_file(file)


def test_a_caller_elsewhere_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"policy": "best"}')
    with pytest.raises(InvalidInput, match="no policy"):
        parse_policy(f"file:{tmp_path / 'p.json'}", files=False)
