"""A graph that reaches outside its file, or may never end, is refused before onnxruntime sees it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.errors import CheckpointError
from cit_core.runtime import OnnxScorer, shipped_checkpoints
from cit_core.runtime.checkpoint import GRAPHS
from cit_core.runtime.onnx_graph import require_plain_graph

DecodeError = pytest.importorskip("google.protobuf.message", reason="onnx brings it").DecodeError
onnx = pytest.importorskip("onnx", reason="graphs are made with it: pip install 'cit-router[train]'")


def model_of(*nodes: Any, initializer: Any = (), **more: Any) -> Any:
    floats = onnx.TensorProto.FLOAT
    made = [onnx.helper.make_tensor_value_info(name, floats, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph(list(nodes), "g", [made[0]], [made[1]], list(initializer), **more)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])


def add(value: Any) -> Any:
    return model_of(onnx.helper.make_node("Add", ["x", "w"], ["y"]), initializer=[value])


def weight(location: str | None = None) -> Any:
    tensor = onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
    if location is not None:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
    return tensor


def body() -> Any:
    boolean = onnx.TensorProto.BOOL
    infos = [
        onnx.helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
        onnx.helper.make_tensor_value_info("c", boolean, []),
    ]
    same = onnx.helper.make_node("Identity", ["c"], ["again"])
    return onnx.helper.make_graph([same], "body", infos, [onnx.helper.make_tensor_value_info("again", boolean, [])])


def refused(model: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        require_plain_graph(model if isinstance(model, bytes) else model.SerializeToString(), "folder/phi.onnx")
    assert str(caught.value).startswith("folder/phi.onnx ")
    return str(caught.value)


def test_a_plain_graph_passes_and_so_does_what_ships() -> None:
    require_plain_graph(add(weight()).SerializeToString(), "plain.onnx")
    for name in GRAPHS:
        require_plain_graph((shipped_checkpoints()["mini"] / name).read_bytes(), name)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "link", "beside.bin", ""])
def test_data_outside_of_the_file_is_refused_wherever_it_is(location: str) -> None:
    tensor = weight(location)
    assert "outside of the file" in refused(add(tensor))
    constant = onnx.helper.make_node("Constant", [], ["y"], value=tensor)
    assert "outside of the file" in refused(model_of(constant))
    several = onnx.helper.make_node("Constant", [], ["y"])
    several.attribute.add(name="values", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    assert "outside of the file" in refused(model_of(several))
    sparse = onnx.SparseTensorProto(values=tensor, dims=[1])
    assert "outside of the file" in refused(model_of(sparse_initializer=[sparse]))
    only_entries = weight()
    only_entries.external_data.add(key="location", value=location)
    assert "outside of the file" in refused(add(only_entries))
    only_marked = weight()
    only_marked.data_location = onnx.TensorProto.EXTERNAL
    assert "outside of the file" in refused(add(only_marked))


def test_a_location_that_is_the_default_is_none() -> None:
    tensor = weight()
    tensor.data_location = onnx.TensorProto.DEFAULT
    require_plain_graph(add(tensor).SerializeToString(), "plain.onnx")


def test_loops_branches_functions_and_unknown_operators_are_refused() -> None:
    endless = onnx.helper.make_node("Loop", ["", "x"], ["y"], body=body())
    assert "graph within a graph" in refused(model_of(endless))
    hidden = onnx.helper.make_node("Add", ["x", "x"], ["y"])
    hidden.attribute.add(name="body", type=onnx.AttributeProto.GRAPHS).graphs.append(body())
    assert "graph within a graph" in refused(model_of(hidden))
    for operator, domain in (("Loop", ""), ("If", ""), ("Scan", ""), ("RandomNormal", ""), ("Add", "evil.custom")):
        node = onnx.helper.make_node(operator, ["x"], ["y"], domain=domain)
        assert f"{domain}.{operator}".lstrip(".") in refused(model_of(node))
    model = add(weight())
    model.functions.add(name="f", domain="mine")
    assert "functions" in refused(model)
    model = add(weight())
    model.training_info.add().initialization.CopyFrom(model.graph)
    assert "training" in refused(model)


def test_a_second_graph_that_would_be_merged_into_the_first_is_looked_at_too() -> None:
    assert "outside of the file" in refused(add(weight()).SerializeToString() + add(weight("x")).SerializeToString())


def test_an_operators_name_cannot_reach_a_terminal() -> None:
    assert refused(model_of(onnx.helper.make_node("\x1b]0;title\x07", ["x"], ["y"]))).isprintable()


@pytest.mark.parametrize(
    "content", [b"", b"not a graph", b"\x00" * 9, b"\x3a\xff\xff\xff\xff\x0f", b"\x08" + b"\xff" * 20]
)
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    assert "is not an ONNX graph" in refused(content)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200), place=st.integers(0, 300), whole=st.booleans())
def test_any_bytes_are_read_or_refused_with_one_kind_of_error(content: bytes, place: int, whole: bool) -> None:
    model = add(weight()).SerializeToString()
    mixed = model[:place] + content + (model[place:] if whole else b"")
    try:
        require_plain_graph(mixed, "phi.onnx")
    except CheckpointError:
        return
    try:
        read = onnx.load_model_from_string(mixed)
    except DecodeError:
        return  # in a part that is not looked at: onnxruntime says so
    assert not any(tensor.external_data or tensor.data_location for tensor in read.graph.initializer)
    assert not any(held.g.node or held.graphs for node in read.graph.node for held in node.attribute)


def test_a_checkpoint_with_such_a_graph_is_refused_whole(copied: Path) -> None:
    model = onnx.load(copied / "phi.onnx")
    (copied.parent / "secret.bin").write_bytes(b"secret" * 100)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    (copied / "phi.onnx").write_bytes(model.SerializeToString())
    config = json.loads((copied / "config.json").read_text())
    config["files"]["phi.onnx"] = hashlib.sha256((copied / "phi.onnx").read_bytes()).hexdigest()
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"phi\.onnx keeps data outside of the file"):
        OnnxScorer(copied)
