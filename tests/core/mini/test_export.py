"""An exported network answers as the torch network does, for any number of queries, candidates, tokens and tasks."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_network import LONGEST, instructions, profiles

from cit_core.calibration import Calibration
from cit_core.catalogue import catalogue_capabilities
from cit_core.errors import CheckpointError
from cit_core.mini.export import export_checkpoint, load_exported, quantise_checkpoint
from cit_core.mini.network import ModelSAT
from cit_core.runtime import Checkpoint, OnnxScorer
from cit_core.runtime.checkpoint import FILES, GRAPHS, write_config

Run = Callable[..., list[NDArray[np.float32]]]
relaxed = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def graphs_of(folder: Path) -> dict[str, Run]:
    def runner(name: str) -> Run:
        session = onnxruntime.InferenceSession(str(folder / name))
        names = [node.name for node in session.get_inputs()]
        return lambda *inputs: session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))

    return {name.removesuffix(".onnx"): runner(name) for name in GRAPHS}


@pytest.fixture(scope="module")
def exact(exported: Any) -> dict[str, Run]:
    return graphs_of(exported.exact)


@relaxed
@given(
    queries=st.integers(1, 5),
    candidates=st.integers(1, 40),
    longest=st.integers(1, LONGEST),
    lines=st.integers(1, 60),
    seed=st.integers(0, 99),
)
@example(queries=1, candidates=1, longest=1, lines=1, seed=0)
@example(queries=5, candidates=200, longest=LONGEST, lines=94, seed=0)
def test_float32_graphs_agree_with_torch_for_all_sizes(
    exported: Any, exact: dict[str, Run], queries: int, candidates: int, longest: int, lines: int, seed: int
) -> None:
    network: ModelSAT = exported.network
    (ids_NL, mask_NL), zoo = instructions(queries, longest, seed), profiles(candidates, lines, seed)
    zoo = tuple(part.contiguous() for part in zoo)
    with torch.no_grad():
        x_NLD, vectors_ND = network.reader(ids_NL, mask_NL), network.encode(ids_NL, mask_NL)
        known_MHKTE, level_K = network.know(*zoo)
        odds_NK = network.phi(x_NLD, mask_NL, known_MHKTE, level_K)
    pairs = [
        (exact["reader"](ids_NL, mask_NL)[0], x_NLD),
        (exact["encoder"](x_NLD, mask_NL)[0], vectors_ND),
        (exact["connector"](*zoo)[0], known_MHKTE),
        (exact["connector"](*zoo)[1], level_K),
        (exact["phi"](x_NLD, mask_NL, known_MHKTE, level_K)[0], odds_NK),
    ]
    for found, expected in pairs:
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_int8_is_close_and_ranks_candidates_nearly_alike(exported: Any) -> None:
    texts = ["solve the algebra proof", "law", "why history, why market?", "name a cell", "energy b 7", ""]
    exact_NK, int8_NK = (
        OnnxScorer(folder).log_odds(texts, catalogue_capabilities()) for folder in (exported.exact, exported.int8)
    )
    assert 0.0 < np.abs(exact_NK - int8_NK).mean() < 0.25 * exact_NK.std(axis=1).mean()
    ranks_NK = [odds_NK.argsort(axis=1).argsort(axis=1) for odds_NK in (exact_NK, int8_NK)]
    assert min(np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks_NK, strict=True)) > 0.95


def test_int8_is_smaller(exported: Any) -> None:
    size = {folder: (folder / "phi.onnx").stat().st_size for folder in (exported.exact, exported.int8)}
    assert size[exported.int8] < 0.8 * size[exported.exact]


def test_a_checkpoint_is_complete_and_opens(exported: Any) -> None:
    for folder, int8 in ((exported.exact, False), (exported.int8, True)):
        assert {path.name for path in folder.iterdir()} == {"config.json", *FILES}
        config = json.loads((folder / "config.json").read_text())
        assert config["network"] == {**exported.network.config.model_dump(), "width": 32, "int8": int8}
        assert config["files"] == {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in FILES}
        assert Checkpoint.open(folder).name.startswith("tiny@")
        assert json.loads((folder / "calibration.json").read_text()) == {"slope": 1.0, "intercept": 0.0}


def test_the_tokenizer_of_a_checkpoint_is_the_networks_own(exported: Any) -> None:
    scorer = OnnxScorer(exported.exact)
    for text in ("", "Solve the ALGEBRA proof!", "nothing known here", "why " * 200):
        expected = exported.tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"]
        assert scorer._tokenizer.encode(text).ids == expected


def test_the_same_network_gives_the_same_bytes_and_they_do_not_name_the_machine(exported: Any, tmp_path: Path) -> None:
    export_checkpoint(exported.network, exported.tokenizer, tmp_path, "tiny")
    for name in GRAPHS:
        content = (tmp_path / name).read_bytes()
        assert content == (exported.exact / name).read_bytes(), name
        assert str(Path(__file__).parents[3]).encode() not in content
        assert b"stack_trace" not in content


def test_what_is_quantised_is_a_whole_checkpoint_and_stays_calibrated(exported: Any, tmp_path: Path) -> None:
    source = Path(shutil.copytree(exported.exact, tmp_path / "exact"))
    (source / "calibration.json").write_text(json.dumps({"slope": 2.0, "intercept": 0.5}))
    with pytest.raises(CheckpointError, match=r"calibration.json is damaged"):
        quantise_checkpoint(source, tmp_path / "int8")
    write_config(source, "tuned", Checkpoint.open(exported.exact).config["network"])
    quantise_checkpoint(source, tmp_path / "int8")
    quantise_checkpoint(source, tmp_path / "int8")  # over the old one
    assert OnnxScorer(tmp_path / "int8")._calibration == Calibration(2.0, 0.5)
    assert Checkpoint.open(tmp_path / "int8").name.startswith("tuned@")


# ---- and back


@pytest.mark.parametrize("form", ["exact", "int8"])
def test_an_exported_network_can_be_read_again(exported: Any, form: str) -> None:
    """Of an int8 one, each number is off by a step at most: 127 of them reach from the least to the largest."""
    found, told = load_exported(getattr(exported, form)).state_dict(), exported.network.state_dict()
    assert found.keys() == told.keys()
    for name, value in told.items():
        step = 0.0 if form == "exact" or value.ndim < 2 else 2.0 * value.abs().amax() / 127
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6 + float(step), msg=name)


def test_graphs_of_other_names_are_no_network_to_go_on_from(exported: Any, tmp_path: Path) -> None:
    shutil.copytree(exported.exact, tmp_path / "other")
    model = onnx.load(tmp_path / "other" / "phi.onnx")
    for one in model.graph.initializer:
        one.name = f"renamed_{one.name}"
    onnx.save(model, tmp_path / "other" / "phi.onnx")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    write_config(tmp_path / "other", "other", config["network"])
    with pytest.raises(
        CheckpointError, match=r"other was exported by another version: .* is not found; train without it"
    ):
        load_exported(tmp_path / "other")
