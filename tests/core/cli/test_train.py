"""`cit train`: options that do not belong together are refused before anything is loaded."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "d", "--lm", "x"], "--lm belong to --preset paper"),
        (["--store", "sqlite:///s.db", "--resume"], "--store, --resume belong to --preset paper"),
        ([], "needs --data FOLDER"),
        (["--preset", "paper"], "from --data FOLDER or from --store URL"),
        (["--preset", "paper", "--data", "d", "--store", "sqlite:///s.db"], "give one of them"),
        (["--preset", "paper", "--data", "d", "--only-export"], "--only-export is for `mini`"),
        (["--config", "r.yaml", "--only-export"], "--only-export is for `mini`"),
        (
            ["--preset", "paper", "--data", "d", "--without", "a", "--from", "mini"],
            "--without, --from belong to `mini`",
        ),
        (["--config", "r.yaml", "--data", "d", "--from", "mini"], "--from belong to `mini`"),
    ],
)
def test_options_that_do_not_belong_together(cit: Any, tmp_path: Any, arguments: list[str], message: str) -> None:
    result = cit("train", "--out", str(tmp_path / "run"), *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("steps", ["0", "-1", "many"])
def test_steps_are_a_positive_number(cit: Any, tmp_path: Any, steps: str) -> None:
    assert cit("train", "--data", "d", "--out", str(tmp_path / "run"), "--steps", steps).exit_code == 2
