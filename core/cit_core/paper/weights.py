"""Load and save the paper's network: the models that it uses, and its own weights (safetensors + JSON)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

from cit_core.errors import CheckpointError, InvalidInput, MissingExtra
from cit_core.mini.weights import load_pretrained, require_plain_folder, trunk_folder
from cit_core.paper.config import LoRA, PaperConfig
from cit_core.paper.network import PaperNetwork
from cit_core.paper.tokenization import PaperReader, words_of
from cit_core.paper.vision import Tower, load_tower
from cit_core.runtime.checkpoint import load_or_refuse, plain_file, read_bounded

__all__ = ["Parts", "load_paper", "load_parts", "load_weights", "new_paper", "save_paper"]


class Parts(NamedTuple):
    """Parts of a network; tests and users may bring their own."""

    lm: Any
    tokenizer: Any
    encoder: Any | None = None
    encoder_tokenizer: Any | None = None
    tower: Tower | None = None


def load_parts(config: PaperConfig) -> Parts:
    """Load phi and psi by their ids: `AutoModelForCausalLM`, or `AutoModel` for encoders; no code from the hub is run.

    Raises:
        CheckpointError: If one cannot be loaded.
    """
    lm, tokenizer = _load(config.lm, config.dtype, head=True)
    tower = None if config.vision is None else load_tower(config.vision)
    if config.capability == "text":
        return Parts(lm, tokenizer, tower=tower)
    return Parts(lm, tokenizer, *_load(config.encoder, "float32", head=False), tower)


def new_paper(config: PaperConfig, parts: Parts | None = None) -> tuple[PaperNetwork, PaperReader]:
    """Make an untrained network in eval mode, with its tokenizers.

    Args:
        config: Its variants.
        parts: Models that are loaded already; they become part of the network.

    Raises:
        CheckpointError: If a model cannot be loaded.
        InvalidInput: If the models do not fit the config.
        MissingExtra: If LoRA is asked for and peft is not installed.
    """
    parts = parts or load_parts(config)
    if config.capability == "text":
        parts = Parts(parts.lm, parts.tokenizer, tower=parts.tower)
    if config.lora is not None:
        _add_lora(parts.lm, config.lora)
    network = PaperNetwork(config, parts.lm, parts.encoder, words_of(parts.tokenizer), parts.tower)
    return network.eval(), PaperReader(config, parts.tokenizer, parts.encoder_tokenizer)


def save_paper(network: PaperNetwork, folder: Path) -> None:
    """Write what training has changed and the config; the rest is found again by its id."""
    folder.mkdir(parents=True, exist_ok=True)
    learnt = {name: p.detach().contiguous() for name, p in network.named_parameters() if name in network.learnt}
    save_file(learnt, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.json").write_text(
        json.dumps({"network": "paper", **network.settings.model_dump()}, indent=1) + "\n"
    )


def load_paper(folder: Path, parts: Parts | None = None) -> tuple[PaperNetwork, PaperReader]:
    """Read a network that `save_paper` wrote, in eval mode.

    Args:
        folder: Folder of a run, or of one of its checkpoints.
        parts: The models it was made of, where they are loaded already.

    Raises:
        CheckpointError: If files are missing or do not fit the models.
    """
    try:
        fields = json.loads(read_bounded(folder, "model.json"))
        if not isinstance(fields, dict) or fields.pop("network", None) != "paper":
            raise CheckpointError(f"{folder} holds no network of the paper's kind; `load_network` reads `mini`'s run")
        config = PaperConfig.model_validate(fields)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder} is not a trained network (model.json, model.safetensors): {error}") from error
    network, reader = new_paper(config, parts)
    load_weights(network, folder)
    return network.eval(), reader


def load_weights(network: PaperNetwork, folder: Path) -> None:
    """Put the weights that `save_paper` wrote into a network of the same config.

    Raises:
        CheckpointError: If they are missing or do not fit.
    """
    try:
        saved = load_file(plain_file(folder, "model.safetensors"))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a trained network (model.json, model.safetensors): {error}") from error
    there = dict(network.named_parameters())
    own = {name for name in there if name.startswith(("connector.", "regression.", "projector.", "wings."))}
    missing, unknown = sorted(own - saved.keys()), sorted(saved.keys() - there.keys())
    reshaped = sorted(name for name in saved.keys() & there.keys() if saved[name].shape != there[name].shape)
    if missing or unknown or reshaped:
        raise CheckpointError(
            f"{folder}: weights do not fit the config: missing {missing}, unknown {unknown[:5]}, "
            f"misshapen {reshaped[:5]}"
        )
    with torch.no_grad():
        for name, weight in saved.items():
            there[name].copy_(weight)
    network.learnt |= saved.keys()


def _load(name: str, dtype: str, *, head: bool) -> tuple[Any, Any]:
    source = trunk_folder(name)
    require_plain_folder(source)
    kind = "a model of transformers that needs no code of its own"
    shape = load_or_refuse(lambda: AutoConfig.from_pretrained(source, trust_remote_code=False), source, kind)
    bare = not head or type(shape) in MODEL_FOR_MASKED_LM_MAPPING
    family = AutoModel if bare else AutoModelForCausalLM
    # The rows bring a 4-D mask of their own, which flash attention does not take.
    return load_pretrained(family, source, config=shape, dtype=getattr(torch, dtype), attn_implementation="sdpa")


def _add_lora(lm: Any, lora: LoRA) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingExtra("peft, which LoRA is from,", "train") from error
    if any("lora_" in name for name, _ in lm.named_parameters()):
        raise InvalidInput("this language model has LoRA layers already; bring one that has none")
    settings = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear", bias="none"
    )
    inject_adapter_in_model(settings, lm)
    for name, parameter in lm.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()  # small steps are lost in bfloat16
