"""Export a trained network as a checkpoint without torch, and back: four ONNX graphs, int8 weights, hashes."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from cit_core.calibration import Calibration
from cit_core.errors import CheckpointError
from cit_core.mini.config import ModelConfig
from cit_core.mini.network import ModelSAT
from cit_core.mini.weights import new_network
from cit_core.runtime.checkpoint import ENCODER_FILES, FILES, GRAPHS, Checkpoint, write_config

__all__ = ["export_checkpoint", "export_graphs", "load_exported", "quantise_checkpoint"]

QUANTISED = "_quantized"
"""End of the names of constants that `quantise_checkpoint` has written."""

Example = tuple[dict[str, Tensor], dict[str, dict[int, Any]], list[str]]


def export_checkpoint(network: ModelSAT, tokenizer: Any, folder: Path, name: str) -> None:
    """Write a float32 checkpoint: its graphs agree with torch to 1e-4. It is not calibrated.

    Args:
        network: Trained, in eval mode.
        tokenizer: Its Hugging Face tokenizer.
        folder: Folder for the checkpoint.
        name: Name in decisions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    export_graphs(network, folder)
    words = tokenizer.backend_tokenizer
    words.no_padding()
    words.no_truncation()
    words.save(str(folder / "tokenizer.json"))
    (folder / "calibration.json").write_text(json.dumps(asdict(Calibration())) + "\n")
    width = network.phi.inquiry_D.shape[0]
    write_config(folder, name, {**network.config.model_dump(), "width": width, "int8": False})


def quantise_checkpoint(source: Path, target: Path) -> None:
    """Write the int8 form of a float32 checkpoint: a quarter of the size.

    Args:
        source: A folder of `export_checkpoint`.
        target: Folder for the int8 checkpoint.
    """
    exact = Checkpoint.open(source)
    target.mkdir(parents=True, exist_ok=True)
    for graph in GRAPHS:
        with _quiet():
            _quantise(source / graph, target / graph, symmetric=graph in ENCODER_FILES)
    for file in set(FILES) - set(GRAPHS):
        shutil.copyfile(source / file, target / file)
    write_config(target, exact.config["name"], {**exact.config["network"], "int8": True})


def load_exported(checkpoint: str | Path) -> ModelSAT:
    """Return the torch network of a checkpoint, to go on training from: int8 weights are as exact as they are there.

    Args:
        checkpoint: Name of a shipped checkpoint, or a folder.

    Raises:
        CheckpointError: If it is missing or damaged, or another version of the exporter has written it.
    """
    opened = Checkpoint.open(checkpoint)
    settings = opened.config["network"]
    config = ModelConfig(**{name: settings[name] for name in ModelConfig.model_fields})
    network, _ = new_network(config)
    state = network.state_dict()
    with tempfile.TemporaryDirectory() as scratch:
        export_graphs(network, Path(scratch), ("connector.onnx", "phi.onnx"))
        for part, prefix in (("connector", "network.connector."), ("phi", "")):
            # A graph gives matrices names of its own: which is which is told by a fresh network's, value by value.
            fresh = _initializers(onnx.load(Path(scratch, f"{part}.onnx")))
            trained = _initializers(onnx.load_from_string(opened.read(f"{part}.onnx")))
            for name in [name for name in state if name.startswith(f"{part}.")]:
                told = f"{prefix}{name.removeprefix(f'{part}.')}"
                state[name] = _counterpart(state[name], told, fresh, trained, opened.folder)
    network.load_state_dict(state)
    return network.eval()


def _initializers(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Return the constants of a graph; of quantised ones, what they stand for."""
    found = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in model.graph.initializer}
    exact = {}
    for name, value in found.items():
        if name.endswith(QUANTISED):
            whole = name.removesuffix(QUANTISED)
            exact[whole] = (value.float() - found[f"{whole}_zero_point"].float()) * found[f"{whole}_scale"]
    return {**found, **exact}


def _counterpart(
    value: Tensor, told: str, fresh: dict[str, Tensor], trained: dict[str, Tensor], folder: Path
) -> Tensor:
    """Return a weight of a trained graph: by its name, or by the name of the same weight in a fresh network's graph."""
    if told in trained:
        return trained[told]
    if f"{told}_Transposed" in trained:
        return trained[f"{told}_Transposed"].T.contiguous()
    if value.ndim == 0 and "exp" in trained:  # the connector's shrinkage, of which the graph holds the exponential
        return trained["exp"].log()
    places = [name for name, one in fresh.items() if value.ndim == 2 and torch.equal(one, value.T)]
    if len(places) != 1 or places[0] not in trained or trained[places[0]].shape[::-1] != value.shape:
        raise CheckpointError(f"{folder} was exported by another version: {told} is not found; train without it")
    return trained[places[0]].T.contiguous()


def export_graphs(network: ModelSAT, folder: Path, graphs: Sequence[str] = GRAPHS) -> None:
    """Write reader.onnx, encoder.onnx, connector.onnx and phi.onnx in float32, or some of them."""
    parts: dict[str, nn.Module] = {
        "reader": network.reader,
        "encoder": network.encoder,
        "connector": _Capability(network),
        "phi": network.phi,
    }
    examples = _examples(network)
    for graph in graphs:
        name = graph.removesuffix(".onnx")
        module = parts[name]
        inputs, dynamic, outputs = examples[name]
        with _quiet():
            torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                str(folder / graph),
                input_names=list(inputs),
                output_names=outputs,
                dynamic_shapes=tuple(dynamic[key] for key in inputs),
                dynamo=True,
                external_data=False,
                optimize=True,
                verbose=False,
            )
        _forget_origin(folder / graph)


class _Capability(nn.Module):
    """A capability as far as it can be read before there is a query: connector and phi's own pass."""

    def __init__(self, network: ModelSAT) -> None:
        super().__init__()
        self.network = network

    def forward(self, vectors_KSD: Tensor, accuracy_KS: Tensor, count_KS: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.know(vectors_KSD, accuracy_KS, count_KS)


def _forget_origin(path: Path) -> None:
    """Drop what the exporter notes about source files and their lines: the same network gives the same bytes."""
    model = onnx.load(path)
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.value_info, model.graph, model):
        del part.metadata_props[:]
    onnx.save(model, path)


def _examples(network: ModelSAT) -> dict[str, Example]:
    """Return inputs to trace each graph with; sizes above 1 and all different, so that no axis is taken for another."""
    N, L, K, S, D = 2, 9, 3, 5, network.phi.inquiry_D.shape[0]
    dim = torch.export.Dim
    n, length, k, s = dim("N"), dim("L"), dim("K"), dim("S")
    ids = torch.randint(0, network.reader.words.num_embeddings, (N, L))
    mask = torch.ones(N, L, dtype=torch.int64)
    x = torch.randn(N, L, D)
    vectors = nn.functional.normalize(torch.randn(K, S, D), dim=-1)
    with torch.no_grad():
        known, level = network.know(torch.randn(K, S, D), torch.rand(K, S), torch.full((K, S), 20.0))
    mask_shape, x_shape = {0: n, 1: length}, {0: n, 1: length}
    return {
        "reader": ({"ids": ids, "mask": mask}, {"ids": mask_shape, "mask": mask_shape}, ["states"]),
        "encoder": ({"states": x, "mask": mask}, {"states": x_shape, "mask": mask_shape}, ["vectors"]),
        "connector": (
            {"vectors": vectors, "accuracy": torch.rand(K, S), "count": torch.full((K, S), 20.0)},
            {"vectors": {0: k, 1: s}, "accuracy": {0: k, 1: s}, "count": {0: k, 1: s}},
            ["known", "level"],
        ),
        "phi": (
            {"states": x, "mask": mask, "known": known, "level": level},
            {"states": x_shape, "mask": mask_shape, "known": {2: k}, "level": {0: k}},
            ["odds"],
        ),
    }


def _quantise(source: Path, target: Path, *, symmetric: bool) -> None:
    """Quantise the weights of matrix products and embeddings to int8, and activations as they come.

    What was trained is not quantised around 0: half of each weight is what an int8 checkpoint held, and on the same
    grid the other half would be rounded away.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        per_channel=True,
        reduce_range=True,  # 7 bits: without it, CPUs that lack VNNI saturate and would decide differently
        weight_type=QuantType.QInt8,
        extra_options={"WeightSymmetric": symmetric},
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Mute the exporter, which reports much about its own internals."""
    loud = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    levels = [logger.level for logger in loud]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loud:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loud, levels, strict=True):
                logger.setLevel(level)
