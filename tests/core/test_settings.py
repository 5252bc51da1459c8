"""Settings: `cit.toml`, the environment above it, and what an option or argument says above both."""

from __future__ import annotations

from pathlib import Path

import pytest

from cit_core import Candidate, CapabilityStore, Router
from cit_core.catalogue.default_zoo import DEFAULT_ZOO
from cit_core.errors import InvalidInput
from cit_core.settings import read_settings

FILE = """
[router]
policy = "cost:0.02"
store = "sqlite:///zoo.db"
constraints = {max_price_out = 20}
[[models]]
id = "openai:gpt-5-mini"
upstream = "https://api.openai.com/v1"
api_key_env = "OPENAI_API_KEY"
[[models]]
id = "fast"
model = "gpt-5-nano"
[[models]]
id = "mine"
model = "my-finetune"
upstream = "http://127.0.0.1:9001/v1"
price_in = 0.1
price_out = 0.4
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for name in ("CIT_CONFIG", "CIT_STORE", "CIT_POLICY", "CIT_MODELS"):
        monkeypatch.delenv(name, raising=False)


def test_the_file_here_is_read_and_its_store_lies_beside_it(tmp_path: Path) -> None:
    assert read_settings().path is None
    Path("cit.toml").write_text(FILE)
    found = read_settings()
    assert (found.policy, [model.id for model in found.models]) == ("cost:0.02", ["openai:gpt-5-mini", "fast", "mine"])
    assert found.constraints is not None
    assert found.constraints.max_price_out == 20
    assert found.models[2].candidate == Candidate(id="mine", price_in=0.1, price_out=0.4)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "other.toml").write_text(FILE)
    assert read_settings("below/other.toml").store == f"sqlite:///{tmp_path / 'below' / 'zoo.db'}"


def test_the_environment_goes_before_the_file() -> None:
    Path("other.toml").write_text(FILE)
    environment = {
        "CIT_CONFIG": "other.toml",
        "CIT_STORE": "default",
        "CIT_POLICY": "best",
        "CIT_MODELS": "mine, gpt-5",
    }
    found = read_settings(environment=environment)
    assert (found.store, found.policy) == ("default", "best")
    assert [(model.id, model.price_in) for model in found.models] == [("mine", 0.1), ("gpt-5", None)]


def test_a_byte_order_mark_is_no_part_of_the_settings(tmp_path: Path) -> None:
    """Notepad and PowerShell write one."""
    (tmp_path / "cit.toml").write_bytes(b'\xef\xbb\xbf[router]\r\npolicy = "cost:0.02"\r\n')
    assert read_settings(tmp_path / "cit.toml", {}).policy == "cost:0.02"


@pytest.mark.parametrize(
    ("log", "read"),
    [
        ("d.jsonl", "{here}/d.jsonl"),
        ("store", "store"),
        ("sqlite:///z.db", "sqlite:///{here}/z.db"),
        ("p://h/d", "p://h/d"),
    ],
)
def test_a_log_is_a_file_beside_the_settings_or_a_store(tmp_path: Path, log: str, read: str) -> None:
    (tmp_path / "cit.toml").write_text(f'[router]\nlog = "{log}"')
    assert read_settings(tmp_path / "cit.toml", {}).log == read.format(here=tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[router]\npolicy best", r"cit.toml is no TOML \(line 2, column 8\)"),
        ("[rooter]", r"no table 'rooter'; there are \[router\], \[\[models\]\]"),
        ("[router]\npolicies = 'best'", r"\[router\] is not valid: policies: there is no such field; closest: policy"),
        ("[router]\npolicy = 'wrong'", r"policy: use best, threshold:TAU"),
        ("[router]\nstrict = 'sk-secret'", r"\[router\] is not valid: strict: input should be a valid boolean"),
        ("[router]\nconstraints = {max_price = 1}", "there is no such field; closest: max_price"),
        ("[models]\nid = 'a'", r"in tables \[\[models\]\], one a model"),
        ("[[models]]\nmodel = 'a'", r"\[\[models\]\] 1 needs an id: id = "),
        ("[[models]]\nid = 'a'\nprize_in = 1", r"\[\[models\]\] 1: .* 'a' is not valid: prize_in: .*closest: price_in"),
        ("[[models]]\nid = 'a'\napi_key = 'sk-secret'", "a key is not written down; api_key_env names the variable"),
        ("[[models]]\nid = 'a'\napi_key_env = 'sk-secret'", "api_key_env is the name of an environment variable"),
        ("[[models]]\nid = 'a'\nupstream = 'https://me:secret@host/v1'", "must be an address without a key in it"),
        ("[[models]]\nid = 'a'\n[[models]]\nid = 'a'", "duplicate models in cit.toml: 'a'"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error_without_a_secret(text: str, says: str) -> None:
    Path("cit.toml").write_text(text)
    with pytest.raises(InvalidInput, match=says) as raised:
        read_settings()
    assert "secret" not in str(raised.value)


def test_a_file_that_is_named_must_be_there() -> None:
    with pytest.raises(InvalidInput, match=r"CIT_CONFIG names 'nowhere.toml', which is no file"):
        read_settings(environment={"CIT_CONFIG": "nowhere.toml"})


def test_a_router_is_opened_as_the_settings_say() -> None:
    Path("cit.toml").write_text(FILE.replace('store = "sqlite:///zoo.db"', ""))
    router = Router.from_config()
    assert [candidate.id for candidate in router.candidates] == ["openai:gpt-5-mini", "fast", "mine"]
    assert router.policy.name == "cost:0.02"
    assert [router.basis[id_].basis for id_ in ("openai:gpt-5-mini", "fast", "mine")] == ["linked", "linked", "average"]
    assert Router.from_config(policy="best").policy.name == "best"


def test_without_models_the_store_is_routed_among_and_without_one_what_the_keys_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with CapabilityStore() as store:  # this user's own
        store.add_candidates([Candidate(id="mine")])
    assert [candidate.id for candidate in Router.from_config().candidates] == ["mine"]
    Path("cit.toml").write_text('[router]\nstore = "catalogue"')
    assert [candidate.id for candidate in Router.from_config().candidates] == list(DEFAULT_ZOO)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    assert {c.id.partition(":")[0] for c in Router.from_config().candidates} == {"anthropic"}
