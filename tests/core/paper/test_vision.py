"""A network that sees: each question its own pictures alone, packed or one at a time, and text alone as before."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paper_runs import data, one_hot, recipe
from PIL import Image
from tiny_paper import SEES, TEXTS, TOWERS, emphasised, paper, parts, save_parts, tiny_config, tower, zoo
from torch import Tensor

from cit_core.errors import CheckpointError, CITError, InvalidInput
from cit_core.paper.config import Vision
from cit_core.paper.dataset import _pictures
from cit_core.paper.network import PaperNetwork
from cit_core.paper.run import train
from cit_core.paper.scorer import PaperScorer
from cit_core.paper.tokenization import PaperReader
from cit_core.paper.vision import Tower, padded_patches
from cit_core.paper.weights import load_paper, new_paper, save_paper
from cit_core.pictures import Picture
from cit_core.records import Candidate, Capability
from cit_core.router import Query, Router

ORDERS = ("instruction_first", "capability_first", "capability_last")
VISION = Vision(grid=2, pictures=2, rank=4)
LENGTHS = (4, 0, 8, 4, 3)
"""Patches of the pictures of each text: one has none."""
Made = tuple[PaperNetwork, PaperReader]


def patches(seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [draw.normal(size=(length, SEES["hidden_size"])).astype(np.float32) for length in LENGTHS]


def odds(of: Made, rows: list[int], seen: list[np.ndarray] | None, models: list[Capability]) -> Tensor:
    """All pairs in one forward, NK."""
    network, reader = of
    shown = {} if seen is None else padded_patches([[seen[row] for row in rows]], int(SEES["hidden_size"]))
    return network(
        **reader.instructions([[TEXTS[row] for row in rows]]), **reader.capabilities([models], [0]), **shown
    )[0]


def png(colour: str = "red", size: tuple[int, int] = (20, 14)) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size, colour).save(held, "PNG")
    return held.getvalue()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lm", ["phi3", "bert"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_packed_scores_and_gradients_are_those_of_one_pair_at_a_time(lm: str, order: str, side: str) -> None:
    of = paper(lm, side, order=order, capability_length=30, vision=VISION)
    of[0].double()
    seen, models, rows = patches(), zoo(3), [*range(len(TEXTS))]

    def gradients(odds_NK: Tensor) -> dict[str, Tensor]:
        of[0].zero_grad()
        torch.nn.functional.softplus(-odds_NK).sum().backward()
        return {name: p.grad.clone() for name, p in of[0].named_parameters() if p.grad is not None}

    whole_NK = odds(of, rows, seen, models)
    whole = gradients(whole_NK)
    apart_NK = torch.stack([torch.cat([odds(of, [row], seen, [model])[0] for model in models]) for row in rows])
    apart = gradients(apart_NK)
    torch.testing.assert_close(whole_NK, apart_NK, rtol=0, atol=1e-5)
    assert whole.keys() == apart.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(gradient, apart[name], rtol=1e-5, atol=1e-6 * (1 + gradient.abs().max()), msg=name)
    reached = {name for name, gradient in whole.items() if gradient.abs().sum() > 1e-9}
    seeing = {name for name, _ in of[0].named_parameters() if name.startswith(("projector.", "wings."))}
    assert seeing <= reached
    assert not any(name.startswith("tower.") for name in whole)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rank", [0, 4])
def test_each_question_sees_its_own_pictures_and_no_others(order: str, rank: int) -> None:
    of = paper("llama", order=order, vision=VISION.model_copy(update={"rank": rank}))
    seen, other, models, rows = patches(), patches(seed=1), zoo(3), [*range(len(TEXTS))]
    with torch.no_grad():
        before = odds(of, rows, seen, models)
        after = odds(of, rows, [*seen[:2], other[2], *seen[3:]], models)
    changed = (before - after).abs().amax(1)
    assert changed[2] > 1e-4
    assert changed[[0, 1, 3, 4]].max() < 1e-4


@pytest.mark.parametrize("order", ORDERS)
def test_without_a_picture_it_reads_as_the_network_without_a_tower(order: str) -> None:
    sees, blind = paper("qwen2", order=order, vision=VISION), paper("qwen2", order=order)
    blind[0].load_state_dict({k: v for k, v in sees[0].state_dict().items() if k in blind[0].state_dict()})
    nothing, rows = [np.zeros((0, int(SEES["hidden_size"])), np.float32)] * len(TEXTS), [*range(len(TEXTS))]
    with torch.no_grad():
        expected = odds(blind, rows, None, zoo(3))
        torch.testing.assert_close(odds(sees, rows, nothing, zoo(3)), expected, rtol=0, atol=1e-4)
        torch.testing.assert_close(odds(sees, rows, None, zoo(3)), expected, rtol=0, atol=1e-4)


def test_the_attention_begins_as_if_it_were_not_there() -> None:
    network, reader = new_paper(tiny_config(vision=VISION), parts(sees=tower()))
    seen, rows = patches(), [0, 2]
    with torch.no_grad():
        whole = odds((network, reader), rows, seen, zoo(2))
        assert network.wings is not None
        network.wings.look(None)
        for learner in network.wings.beside:
            learner.gate.weight.fill_(9.0)  # type: ignore[operator,union-attr]
        torch.testing.assert_close(odds((network, reader), rows, seen, zoo(2)), whole)


@pytest.mark.parametrize("kind", TOWERS)
def test_a_tower_of_any_family_gives_a_grid_of_patches(kind: str) -> None:
    sees = tower(kind)
    red, blue = (sees.encode_image(png(colour)) for colour in ("red", "blue"))
    assert red.shape == (4, SEES["hidden_size"])
    assert np.isfinite(red).all()
    assert np.abs(red - blue).max() > 1e-3
    assert tower(kind, grid=99).encode_image(png()).shape == (9, SEES["hidden_size"])
    both = sees.patches_of([Picture.of(png()), Picture(vector=blue), Picture.of(None, "a map")], most=3)
    np.testing.assert_array_equal(both, np.concatenate([red, blue]))
    assert len(sees.patches_of([Picture.of(png())] * 3, most=1)) == 4
    with pytest.raises(CITError, match="cannot be decoded"):
        sees.encode_image(png()[:40])
    with pytest.raises(InvalidInput, match="width 3"):
        sees.patches_of([Picture(vector=[1.0, 2.0, 3.0])], most=1)


def test_only_what_learns_is_kept_and_a_run_comes_back_from_folders(tmp_path: Path) -> None:
    lm, encoder = save_parts(tmp_path / "models")
    made = TOWERS["clip"]()
    made.save_pretrained(tmp_path / "models" / "tower")
    (tmp_path / "models" / "tower" / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3]}')
    vision = VISION.model_copy(update={"tower": str(tmp_path / "models" / "tower")})
    network, reader = new_paper(tiny_config(lm=lm, encoder=encoder, vision=vision))
    assert network.tower is not None
    assert torch.as_tensor(network.tower.mean).flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    emphasised(network).unfreeze("connector")
    assert {name.partition(".")[0] for name in network.learnt} == {"connector", "projector", "wings"}
    network.unfreeze("all")
    assert not any(name.startswith("tower.") for name in network.learnt)
    save_paper(network, tmp_path / "mine")
    (tmp_path / "mine" / "calibration.json").write_text('{"slope": 1.0, "intercept": 0.0}')
    again = load_paper(tmp_path / "mine")
    with torch.no_grad():
        expected = odds((network, reader), [0, 2], patches(), zoo(2))
        assert torch.equal(odds(again, [0, 2], patches(), zoo(2)), expected)
    (tmp_path / "models" / "tower" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError):
        load_paper(tmp_path / "mine")
    with pytest.raises(InvalidInput, match="vision tower"):
        new_paper(tiny_config(vision=vision), parts())


def test_a_tower_must_have_patches_and_phi_positions_for_them() -> None:
    with pytest.raises(InvalidInput, match="square patches"):
        Tower(parts().encoder, Vision())
    with pytest.raises(InvalidInput, match="are of pictures"):
        new_paper(tiny_config(vision=VISION, max_length=512), parts(sees=tower()))


def test_a_run_on_items_with_pictures_trains_in_both_stages_and_routes(tmp_path: Path) -> None:
    table = data()
    shown = {id_: (Picture.of(png(size=(9 + row % 5, 9))),) for row, id_ in enumerate(table.table.item_ids) if row % 3}
    of = recipe(network={"vision": VISION.model_dump()}, objective="calibrated", items=2)
    found = train(replace(table, pictures=shown), tmp_path / "run", of, parts=parts(sees=tower()), encode=one_hot)
    assert np.isfinite(found["log_loss"])
    scorer = PaperScorer.from_run(tmp_path / "run", parts(sees=tower()))
    capability = zoo(2)
    router = Router(scorer, capability, strict=True)
    asked = [Query("solve why", pictures=[Picture.of(png(c))]) for c in ("red", "blue")]  # type: ignore[arg-type]
    first, second, blind = router.decide_many([*asked, Query("solve why")])
    told = [dict(one.scores) for one in (first, second, blind)]  # type: ignore[union-attr]
    assert told[0] != told[1] != told[2]
    alone = router.decide(asked[0])
    assert alone.scores["m0"] == pytest.approx(told[0]["m0"], abs=1e-5)
    with pytest.raises(InvalidInput, match=r"none of .* items .* has a picture"):
        train(table, tmp_path / "other", of, parts=parts(sees=tower()), encode=one_hot)


def test_pictures_come_from_a_column_of_the_table(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = [
        {"item_id": "a", "image": {"bytes": png(), "path": "x"}},
        {"item_id": "b", "image": None},
    ]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "items-x.parquet")
    found = _pictures(tmp_path / "items-x.parquet")
    assert [(id_, one.width) for id_, (one,) in found.items()] == [("a", 20)]
    parquet.write_table(arrow.Table.from_pylist([{"item_id": "a"}]), tmp_path / "items-x.parquet")
    assert _pictures(tmp_path / "items-x.parquet") == {}


def test_evidence_hands_pictures_to_a_network_that_sees() -> None:
    from cit_core.evidence import Evidence, EvidenceScorer
    from cit_core.outcomes import OutcomeMatrix

    class Seeing:
        name, max_tokens, encoder = "sees", 16, "e"

        def read(self, instructions: Any, capabilities: Any) -> Any:
            return self.read_with_pictures(instructions, capabilities, [()] * len(instructions))

        def read_with_pictures(self, instructions: Any, capabilities: Any, pictures: Any) -> Any:
            odds_NK = np.array([[float(len(of_one))] * len(capabilities) for of_one in pictures])
            return odds_NK, np.eye(len(instructions), 4, dtype=np.float32)

    nothing = OutcomeMatrix(item_ids=(), candidates=(), correct_IK=np.zeros((0, 0)), tasks=())
    scorer = EvidenceScorer(Seeing(), Evidence(nothing))
    capabilities = [Capability(candidate=Candidate(id="a"))]
    scores, _ = scorer.score_with_pictures(["q", "q"], capabilities, [(), (Picture(),)])
    assert scores[0, 0] == pytest.approx(0.5)
    assert scores[1, 0] > 0.7
