"""A checkpoint is used whole or not at all: whatever is missing, damaged or newer is one clear error."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cit_core.errors import CheckpointError
from cit_core.runtime import Checkpoint, OnnxScorer, load_scorer, shipped_checkpoints
from cit_core.runtime.checkpoint import FILES

Damage = Callable[[Path], Any]


def edit(**changes: Any) -> Damage:
    """Changes fields of config.json; None takes one away."""

    def change(folder: Path) -> None:
        config = {**json.loads((folder / "config.json").read_text()), **changes}
        (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))

    return change


def without_hash(folder: Path) -> None:
    files = json.loads((folder / "config.json").read_text())["files"]
    edit(files={name: digest for name, digest in files.items() if name != "phi.onnx"})(folder)


def flip_a_bit(name: str) -> Damage:
    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return flip


def foreign_graph(folder: Path) -> None:
    """Not an ONNX graph, yet with the right hash."""
    (folder / "phi.onnx").write_bytes(b"not a graph")
    files = json.loads((folder / "config.json").read_text())["files"]
    edit(files={**files, "phi.onnx": hashlib.sha256(b"not a graph").hexdigest()})(folder)


def test_a_copy_is_the_same_checkpoint(copied: Path) -> None:
    shipped, copy = Checkpoint.open("mini"), Checkpoint.open(copied)
    assert (copy.name, copy.sha256) == (shipped.name, shipped.sha256)
    assert re.fullmatch(r"mini@[0-9a-f]{8}", copy.name)
    assert Checkpoint.open(str(copied)).folder == copied


def test_the_shipped_checkpoint_is_complete_and_small() -> None:
    folder = shipped_checkpoints()["mini"]
    assert {path.name for path in folder.iterdir()} >= {"config.json", *FILES}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 30 * 2**20
    for name, digest in json.loads((folder / "config.json").read_text())["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *((flip_a_bit(name), rf"{name} is damaged: sha256 \w+…, expected \w+…; pip install") for name in FILES),
        *(((lambda folder, name=name: (folder / name).unlink()), rf"{name} cannot be read") for name in FILES),
        (lambda folder: (folder / "phi.onnx").write_bytes(b""), "phi.onnx is damaged"),
        (lambda folder: (folder / "config.json").unlink(), "no readable config.json in .*; shipped are: mini"),
        (lambda folder: (folder / "config.json").write_text("{"), "no readable config.json"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff"), "no readable config.json"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "has format None, this release reads 2"),
        (edit(format=3), "has format 3, this release reads 2: pip install -U cit-router"),
        (edit(format=1), "has format 1, this release reads 2: train it again, `cit train`"),
        (edit(format=None), "has format None"),
        (edit(files=None), "lacks files"),
        (edit(files=["phi.onnx"]), "lacks files"),
        (edit(network=None, name=None), "lacks name, network"),
        (without_hash, "lists no hash for phi.onnx; the checkpoint is incomplete"),
        (foreign_graph, r"onnxruntime [\d.]+ cannot load .*phi.onnx"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(copied: Path, damage: Damage, message: str) -> None:
    damage(copied)
    with pytest.raises(CheckpointError, match=message) as caught:
        OnnxScorer(copied)
    assert str(copied) in str(caught.value)


def test_a_name_that_is_not_shipped_says_what_is() -> None:
    with pytest.raises(CheckpointError, match=r"'maxi' is not a checkpoint: .* shipped are: mini"):
        load_scorer("maxi")
