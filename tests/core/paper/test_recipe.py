"""A recipe is one YAML file: what is written comes back, what nobody knows is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cit_core.errors import InvalidInput
from cit_core.outcomes import Split
from cit_core.paper.config import PAPER, LoRA, PaperConfig
from cit_core.paper.recipe import Recipe, Stage, read_recipe, write_recipe


def test_the_defaults_are_the_papers_two_stages() -> None:
    first, second = Recipe().stages
    assert Recipe().network == PAPER
    assert (first.learns, first.in_domain, second.learns, second.in_domain) == ("connector", True, "all", False)
    assert second.learning_rate > second.lm_learning_rate, "encoder and connector learn faster than the language model"
    assert Recipe().objective == "group"


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    recipe = Recipe(
        network=PaperConfig(lm="some/lm", lora=LoRA(rank=3), capability="set"),
        stages=(Stage(steps=7, lm_learning_rate=1e-6),),
        split=Split(seed="mine", test_items=0.3),
        objective="listwise",
        report_to=("tensorboard",),
    )
    write_recipe(recipe, tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(
        "network: {lm: HuggingFaceTB/SmolLM2-135M, lora: {rank: 8}}\nobjective: calibrated\nstages: [{steps: 50}]\n"
    )
    found = read_recipe(path)
    assert found.network == PaperConfig(lm="HuggingFaceTB/SmolLM2-135M", lora=LoRA(rank=8))
    assert (found.objective, found.stages, found.batch) == ("calibrated", (Stage(steps=50),), Recipe().batch)
    path.write_text("network: {head: yes}")
    assert read_recipe(path).network.head == "yes", "which YAML takes for a boolean"
    path.write_text("")
    assert read_recipe(path) == Recipe()


def test_the_recipe_in_the_docs_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "training.md").read_text()
    (tmp_path / "shown.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    assert read_recipe(tmp_path / "shown.yaml").network.order == "capability_first"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("objective: luck", "objective: "),
        ("stages: []", "stages: "),
        ("network: {head: vote}", "network.head: "),
        ("stages: [{steps: 0}]", r"stages.0.steps: "),
        ("surprise: 1", "surprise: "),
        ("- a list", "recipe: "),
        ("objective: [", "cannot be read as YAML"),
        ("seed: !!python/object/apply:os.getpid []", "cannot be read as YAML"),
    ],
)
def test_what_no_recipe_has_is_refused_by_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)
    with pytest.raises(InvalidInput, match="cannot be read as YAML"):
        read_recipe(tmp_path / "nowhere.yaml")
