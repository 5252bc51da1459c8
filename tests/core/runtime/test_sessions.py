"""A stranger's graph that asks for all memory, or for days, ends in one error of ours; what ships has no limits."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cit_core.errors import CheckpointError
from cit_core.runtime import OnnxScorer, sessions, shipped_checkpoints

onnx = pytest.importorskip("onnx", reason="graphs are made with it: pip install 'cit-router[train]'")
helper = pytest.importorskip("onnx.helper")

PEAK = "import sys; from cit_core.errors import CheckpointError; from cit_core.runtime import OnnxScorer\n"
PEAK += "try:\n    OnnxScorer(sys.argv[1])\nexcept CheckpointError as error:\n    print(error)\n"
PEAK += "print(next(int(line.split()[1]) >> 10 for line in open('/proc/self/status') if line.startswith('VmHWM')))"
"""Its own peak: that of `getrusage` begins with the parent's."""


def grow(folder: Path, nodes: list[Any], **constants: Any) -> None:
    """Let the reader's graph compute `much` besides, which changes nothing of its output, and sign it."""
    model = onnx.load(folder / "reader.onnx")
    graph = model.graph
    name = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if output == name else output for output in node.output]
        node.input[:] = ["before" if given == name else given for given in node.input]
    nothing = onnx.numpy_helper.from_array(np.zeros((), np.float32), "nothing")
    one = onnx.numpy_helper.from_array(np.ones(1, np.float32), "one")
    made = [onnx.numpy_helper.from_array(np.array(value), key) for key, value in constants.items()]
    graph.initializer.extend([nothing, one, *made])
    last = [helper.make_node("ReduceMax", ["much"], ["most"], keepdims=0)]
    last += [
        helper.make_node("Mul", ["most", "nothing"], ["zero"]),
        helper.make_node("Add", ["before", "zero"], [name]),
    ]
    graph.node.extend([*nodes, *last])
    (folder / "reader.onnx").write_bytes(model.SerializeToString())
    config = json.loads((folder / "config.json").read_text())
    config["files"]["reader.onnx"] = hashlib.sha256((folder / "reader.onnx").read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))


BOMBS = {
    "Expand": [helper.make_node("Expand", ["one", "huge"], ["much"])],
    "ConstantOfShape": [helper.make_node("ConstantOfShape", ["huge"], ["much"])],
    "Range": [helper.make_node("Range", ["from", "to", "step"], ["much"])],
}
CONSTANTS = {
    "huge": np.array([2**16, 2**15]),
    "from": np.float32(0),
    "to": np.float32(2**31),
    "step": np.float32(1),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_graph_that_asks_for_gigabytes_is_refused_before_it_has_them(copied: Path, kind: str) -> None:
    grow(copied, BOMBS[kind], **CONSTANTS)
    done = subprocess.run([sys.executable, "-c", PEAK, copied], capture_output=True, text=True, check=True)
    said, peak = done.stdout.splitlines()
    assert "or ask for more than 4 GiB or 60 s" in said
    assert int(peak) < 600  # MB
    assert done.stderr == ""


def test_a_graph_that_computes_for_days_is_ended(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LONGEST_RUN_S", 0.2)
    steps = [helper.make_node("MatMul", [f"m{place}", f"m{place}"], [f"m{place + 1}"]) for place in range(500)]
    steps += [helper.make_node("Identity", ["m500"], ["much"])]
    grow(copied, [helper.make_node("Expand", ["one", "square"], ["m0"]), *steps], square=np.array([1200, 1200]))
    begun = time.monotonic()
    with pytest.raises(CheckpointError, match="terminate flag"):
        OnnxScorer(copied)
    assert time.monotonic() - begun < 60


def test_what_is_within_the_limits_scores_as_what_ships(copied: Path, scorer: OnnxScorer, zoo: Any) -> None:
    grow(copied, [helper.make_node("Expand", ["one", "few"], ["much"])], few=np.array([10, 10]))
    limited = OnnxScorer(copied)
    assert limited._shipped is False
    assert OnnxScorer(shipped_checkpoints()["mini"])._shipped is True
    texts = ["What is 7 times 8?", "Who wrote Faust? " * 60]
    np.testing.assert_allclose(limited.score(texts, zoo), scorer.score(texts, zoo), atol=1e-5)
