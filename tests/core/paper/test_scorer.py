"""The paper's network as a scorer: shuffles averaged, calibrated, whatever is asked together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_paper import TEXTS, paper, parts, save_run, zoo

from cit_core.errors import CheckpointError
from cit_core.paper import scorer as paper_scorer
from cit_core.paper.scorer import PaperScorer
from cit_core.paper.weights import save_paper
from cit_core.policy import Best
from cit_core.router import Router

VARIANTS = [
    {"order": order, "capability": capability}
    for order in ("instruction_first", "capability_first", "capability_last")
    for capability in ("pooled", "set", "text")
]


@pytest.mark.parametrize("config", VARIANTS, ids=str)
def test_the_probability_is_the_mean_over_the_shuffles_of_the_networks_own(config: dict[str, Any]) -> None:
    network, reader = paper("llama", shuffles=3, **config)
    models = zoo(4)
    scores_NK = PaperScorer(network, reader).score(TEXTS, models)
    shuffles = 1 if config["capability"] == "set" else 3
    with torch.no_grad():
        each = [
            network(**reader.instructions([TEXTS]), **reader.capabilities([models], [s]))[0].sigmoid()
            for s in range(shuffles)
        ]
    np.testing.assert_allclose(scores_NK, torch.stack(each).mean(0).numpy(), atol=1e-5)
    if config["capability"] != "set":
        assert (each[0] - each[1]).abs().max() > 1e-4, "or the mean could not be told from one"


@pytest.mark.parametrize("order", ["instruction_first", "capability_first"])
def test_what_is_asked_together_and_how_rows_are_cut_changes_nothing(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = PaperScorer(*paper("phi3", order=order))
    models = zoo(23)
    whole_NK = scorer.log_odds(TEXTS * 3, models)
    for n in (0, 4, 11):
        np.testing.assert_allclose(scorer.log_odds([(TEXTS * 3)[n]], models[5:7])[0], whole_NK[n, 5:7], atol=1e-4)
    monkeypatch.setattr(paper_scorer, "ROW_TOKENS", 80)
    monkeypatch.setattr(paper_scorer, "ROWS", 3)
    np.testing.assert_allclose(scorer.log_odds(TEXTS * 3, models), whole_NK, atol=1e-4)


def test_calibration_is_applied_and_extremes_stay_finite() -> None:
    network, reader = paper("llama")
    odds_NK = PaperScorer(network, reader).log_odds(TEXTS, zoo(3))
    scores_NK = PaperScorer(network, reader, slope=0.5, intercept=0.25).score(TEXTS, zoo(3))
    np.testing.assert_allclose(scores_NK, 1.0 / (1.0 + np.exp(-0.5 * odds_NK - 0.25)), atol=1e-9)
    network.lm.lm_head.weight.data *= 1e4
    certain_NK = PaperScorer(network, reader).log_odds(TEXTS, zoo(3))
    assert np.isfinite(certain_NK).all()
    assert np.abs(certain_NK).max() > 100.0


def test_a_capability_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network, reader = paper("llama", shuffles=2)
    scorer, read = PaperScorer(network, reader), []
    plain = network.represent
    monkeypatch.setattr(network, "represent", lambda **given: read.append(1) or plain(**given))
    scorer.score(TEXTS, zoo(3))
    assert len(read) == 2, "one batch for each shuffle"
    scorer.score(["why"], zoo(3)[::-1])
    assert len(read) == 2
    expected_NK = scorer.score(["why"], zoo(6))
    assert len(read) == 4
    monkeypatch.setattr(paper_scorer, "CACHED_CAPABILITIES", 2)
    monkeypatch.setattr(paper_scorer, "ROWS", 4)
    np.testing.assert_allclose(scorer.score(["why"], zoo(6)), expected_NK, atol=1e-6)
    np.testing.assert_allclose(scorer.score(["why"], zoo(6)), expected_NK, atol=1e-6)
    assert len(scorer._tokens) == 2


def test_nothing_asked_is_nothing_scored() -> None:
    scorer = PaperScorer(*paper("llama"))
    assert scorer.score([], zoo(2)).shape == (0, 2)
    assert scorer.score(["why"], []).shape == (1, 0)
    assert np.isfinite(scorer.score([""], zoo(1))).all()


def test_a_run_opens_as_a_scorer_that_routes(tmp_path: Path) -> None:
    network, reader = paper("qwen2", order="instruction_first")
    network.unfreeze("all")
    save_paper(network, tmp_path / "mine")
    with pytest.raises(CheckpointError, match=r"has no calibration.json"):
        PaperScorer.from_run(tmp_path / "mine", parts("qwen2"))
    (tmp_path / "mine" / "calibration.json").write_text(json.dumps({"slope": 2.0, "intercept": -1.0}))
    scorer = PaperScorer.from_run(tmp_path / "mine", parts("qwen2"))
    models = zoo(5)
    decision = Router(scorer, models, policy=Best()).route("solve algebra")
    expected = 1.0 / (1.0 + np.exp(1.0 - 2.0 * PaperScorer(network, reader).log_odds(["solve algebra"], models)[0]))
    assert re.fullmatch(r"mine@[0-9a-f]{8}", decision.scorer)
    assert decision.model == f"m{expected.argmax()}"
    assert decision.probability == pytest.approx(expected.max(), abs=1e-5)


@pytest.mark.parametrize("file", ["model.json", "model.safetensors", "calibration.json"])
def test_a_run_that_scores_otherwise_has_another_name(tmp_path: Path, file: str) -> None:
    folder = save_run(tmp_path)
    before = PaperScorer.from_run(folder).name
    assert PaperScorer.from_run(folder).name == before
    if file == "model.safetensors":
        weights = load_file(folder / file)
        save_file({name: weight + 1.0 for name, weight in weights.items()}, folder / file, metadata={"format": "pt"})
    else:
        fields = json.loads((folder / file).read_text())
        changed = {"max_length": 8} if file == "model.json" else {"slope": 0.25}
        (folder / file).write_text(json.dumps({**fields, **changed}))
    assert PaperScorer.from_run(folder).name != before
