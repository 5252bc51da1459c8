"""Models come by id through AutoModel, or ready made; a trained network comes back bit by bit or is refused."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_network import save_trunk
from tiny_paper import LMS, TEXTS, VOCABULARY, parts, save_parts, tiny_config, zoo

from cit_core.errors import CheckpointError, MissingExtra
from cit_core.mini.weights import load_network, load_trunk
from cit_core.paper.config import LoRA, PaperConfig
from cit_core.paper.network import PaperNetwork
from cit_core.paper.tokenization import PaperReader
from cit_core.paper.weights import load_paper, load_parts, new_paper, save_paper


def odds(network: PaperNetwork, reader: PaperReader) -> torch.Tensor:
    with torch.no_grad():
        return network(**reader.instructions([TEXTS]), **reader.capabilities([zoo(3)], [0]))


@pytest.mark.parametrize("lm", LMS)
def test_any_family_is_loaded_from_a_folder_as_from_the_hub(tmp_path: Path, lm: str) -> None:
    of_lm, of_psi = save_parts(tmp_path, lm)
    loaded = load_parts(tiny_config(lm=of_lm, encoder=of_psi))
    expected = parts(lm)
    assert type(loaded.lm) is type(expected.lm)
    assert type(loaded.encoder) is type(expected.encoder)
    assert loaded.lm.config._attn_implementation == "sdpa"
    network, reader = new_paper(tiny_config(lm=of_lm, encoder=of_psi), loaded)
    assert network.causal is (lm != "bert")
    assert odds(network, reader).isfinite().all()
    for (name, weight), other in zip(loaded.lm.named_parameters(), expected.lm.parameters(), strict=True):
        assert torch.equal(weight, other), name


def test_a_hub_id_is_loaded_by_transformers_itself(tmp_path: Path) -> None:
    """From the hub's own cache layout, offline, in a process of its own: transformers reads its settings at import."""
    for name in ("lm", "psi"):
        repository = tmp_path / "hub" / f"models--somebody--{name}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("0" * 40)
    for saved, name in zip(save_parts(tmp_path / "made"), ("lm", "psi"), strict=True):
        snapshots = tmp_path / "hub" / f"models--somebody--{name}" / "snapshots"
        snapshots.mkdir()
        Path(saved).rename(snapshots / ("0" * 40))
    code = (
        "from cit_core.paper.config import PaperConfig\nfrom cit_core.paper.weights import new_paper\n"
        "network, _ = new_paper(PaperConfig(lm='somebody/lm', encoder='somebody/psi', max_length=64))\n"
        "print(type(network.lm).__name__, type(network.encoder).__name__, network.words.yes)"
    )
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == f"LlamaForCausalLM BertModel {VOCABULARY.index('yes')}", done.stderr


def test_the_language_model_may_be_in_bfloat16_and_what_learns_beside_it_is_not(tmp_path: Path) -> None:
    of_lm, of_psi = save_parts(tmp_path)
    network, reader = new_paper(tiny_config(lm=of_lm, encoder=of_psi, dtype="bfloat16", lora=LoRA(rank=2)))
    assert network.lm.lm_head.weight.dtype == torch.bfloat16
    assert {p.dtype for name, p in network.named_parameters() if "lora_" in name} == {torch.float32}
    assert {p.dtype for name, p in network.named_parameters() if not name.startswith("lm.")} == {torch.float32}
    found = odds(network, reader)
    assert found.dtype == torch.float32
    assert found.isfinite().all()


def test_what_cannot_be_loaded_is_one_clear_error(tmp_path: Path) -> None:
    of_lm, of_psi = save_parts(tmp_path)
    with pytest.raises(CheckpointError, match=r"nowhere cannot be loaded"):
        load_parts(tiny_config(lm=str(tmp_path / "nowhere"), encoder=of_psi))
    (tmp_path / "psi" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"psi cannot be loaded as"):
        load_parts(tiny_config(lm=of_lm, encoder=of_psi))


def test_lora_asks_for_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cit-router\[train\]'"):
        new_paper(tiny_config(lora=LoRA()), parts())


# ---- what is kept


VARIANTS = [{}, {"capability": "set"}, {"capability": "text", "head": "regression"}, {"lora": LoRA(rank=2)}]


def changed(**config: Any) -> tuple[PaperNetwork, PaperReader]:
    """As if trained: everything that may learn has moved."""
    network, reader = new_paper(tiny_config(**config), parts())
    network.unfreeze("all")
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return network, reader


@pytest.mark.parametrize("config", VARIANTS, ids=str)
def test_a_trained_network_comes_back_bit_by_bit(tmp_path: Path, config: dict[str, Any]) -> None:
    network, reader = changed(**config)
    save_paper(network, tmp_path)
    loaded, again = load_paper(tmp_path, parts())
    assert loaded.settings == network.settings
    assert not loaded.training
    assert torch.equal(odds(loaded, again), odds(network, reader))
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.safetensors"}


def test_only_what_has_learnt_is_kept(tmp_path: Path) -> None:
    network, _ = new_paper(tiny_config(lora=LoRA(rank=2)), parts())
    network.unfreeze("connector")
    save_paper(network, tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == {"connector.weight", "connector.bias"}
    network.unfreeze("all")
    save_paper(network, tmp_path)
    kept = set(load_file(tmp_path / "model.safetensors"))
    assert {name.partition(".")[0] for name in kept} == {"connector", "encoder", "lm"}
    assert all("lora_" in name for name in kept if name.startswith("lm."))
    loaded, _ = load_paper(tmp_path, parts())
    assert loaded.learnt == kept, "or the next save would lose it"


def _edited(edit: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        weights = load_file(run / "model.safetensors")
        edit(weights)
        save_file(weights, run / "model.safetensors")

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "model.json").unlink(), "is not a trained network"),
        (lambda run: (run / "model.safetensors").unlink(), "is not a trained network"),
        (lambda run: (run / "model.safetensors").write_bytes(b"short"), "is not a trained network"),
        (lambda run: (run / "model.json").write_text("[]"), "no network of the paper's kind"),
        (lambda run: (run / "model.json").write_text('{"network": "paper", "surprise": 1}'), "(?s)surprise"),
        (_edited(lambda weights: weights.pop("connector.bias")), r"missing \['connector.bias'\]"),
        (_edited(lambda weights: weights.update(other=torch.zeros(1))), r"unknown \['other'\]"),
        (
            _edited(lambda weights: weights.update({"connector.bias": torch.zeros(3)})),
            r"misshapen \['connector.bias'\]",
        ),
    ],
)
def test_a_folder_that_is_no_such_network_is_refused(tmp_path: Path, damage: Any, message: str) -> None:
    save_paper(changed()[0], tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_paper(tmp_path, parts())
    assert str(tmp_path) in str(caught.value)


def test_the_two_kinds_of_network_are_not_taken_for_each_other(tmp_path: Path) -> None:
    save_paper(changed()[0], tmp_path)
    with pytest.raises(CheckpointError):
        load_network(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"trunk": "x", "join_layer": 4}))
    with pytest.raises(CheckpointError, match="`load_network` reads `mini`"):
        load_paper(tmp_path)


@pytest.mark.parametrize("bad", [{"capability": "bag"}, {"head": "vote"}, {"order": "any"}, {"shuffles": 0}, {"x": 1}])
def test_a_config_with_what_no_network_can_have_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        PaperConfig(**bad)


# ---- a stranger's models


EVIL = """
import pathlib
pathlib.Path({marker!r}).write_text("it ran")
from transformers import LlamaConfig as EvilConfig, LlamaForCausalLM as EvilModel, LlamaTokenizerFast as EvilTokenizer
"""


def with_code(folder: Path, marker: Path, *, known: bool) -> None:
    """A folder whose config names Python files of its own, for an architecture that transformers knows or does not."""
    (folder / "evil.py").write_text(EVIL.format(marker=str(marker)))
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {
        "AutoConfig": "evil.EvilConfig",
        "AutoModel": "evil.EvilModel",
        "AutoModelForCausalLM": "evil.EvilModel",
    }
    if not known:
        config["model_type"] = "evil"
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer["auto_map"] = {"AutoTokenizer": [None, "evil.EvilTokenizer"]}
    tokenizer["tokenizer_class"] = "EvilTokenizer" if not known else tokenizer.get("tokenizer_class")
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))


@pytest.mark.parametrize("part", [0, 1], ids=["lm", "encoder"])
@pytest.mark.parametrize("known", [True, False])
def test_a_models_own_code_never_runs_even_after_a_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, known: bool
) -> None:
    saved, marker = save_parts(tmp_path), tmp_path / "marker"
    with_code(Path(saved[part]), marker, known=known)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with contextlib.suppress(CheckpointError):
        load_parts(tiny_config(lm=saved[0], encoder=saved[1]))
    assert not marker.exists()
    if not known:
        with pytest.raises(CheckpointError, match="no code of its own"):
            load_parts(tiny_config(lm=saved[0], encoder=saved[1]))


def test_a_trunks_own_code_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk, marker = Path(save_trunk(tmp_path / "trunk")), tmp_path / "marker"
    with_code(trunk, marker, known=False)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(CheckpointError, match="no code of its own"):
        load_trunk(str(trunk))
    assert not marker.exists()


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    of_lm, of_psi = save_parts(tmp_path)
    weights = Path(of_lm, "model.safetensors")
    torch.save(load_file(weights), Path(of_lm, "pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(CheckpointError, match="safetensors"):
        load_parts(tiny_config(lm=of_lm, encoder=of_psi))


def test_an_adapter_does_not_lead_to_another_model(tmp_path: Path) -> None:
    of_lm, of_psi = save_parts(tmp_path)
    Path(of_lm, "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/elsewhere"}))
    with pytest.raises(CheckpointError, match="holds an adapter; merge it"):
        load_parts(tiny_config(lm=of_lm, encoder=of_psi))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_pipe_among_a_models_files_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    of_lm, of_psi = save_parts(tmp_path)
    Path(of_lm, name).unlink()
    os.mkfifo(Path(of_lm, name))
    with pytest.raises(CheckpointError, match="not a plain file"):
        load_parts(tiny_config(lm=of_lm, encoder=of_psi))


@pytest.mark.parametrize(
    "config", ["[" * 100_000, "[1]", "{}", '{"model_type": 5}', '{"model_type": "llama", "hidden_size": "x"}']
)
def test_a_models_config_of_any_kind_is_one_kind_of_error(tmp_path: Path, config: str) -> None:
    of_lm, of_psi = save_parts(tmp_path)
    Path(of_lm, "config.json").write_text(config)
    with pytest.raises(CheckpointError):
        load_parts(tiny_config(lm=of_lm, encoder=of_psi))


@pytest.mark.parametrize("config", ["[" * 100_000, "[1]", '{"network": "paper", "max_length": 1e400}', "\x00"])
def test_a_runs_config_of_any_kind_is_one_kind_of_error(tmp_path: Path, config: str) -> None:
    (tmp_path / "model.json").write_text(config)
    for load in (load_paper, load_network):
        with pytest.raises(CheckpointError):
            load(tmp_path)
