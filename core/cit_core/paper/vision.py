"""Pictures for the paper's network: a frozen vision tower, a projector to phi's width, and attention beside phi's own.

Patch features become soft tokens before the instruction (`Projector`). Beside every self-attention of phi, a token also
attends to the patches of its own question, through a bottleneck of low rank with a gate (`Wings`, after Zhang et al.,
2024): text alone goes through phi as before. The last layer begins at zero, as LoRA does.

Axes: P rows, R tokens of a row, S sets of pictures, V patches, E width of the tower, D width of phi, C rank, B
pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BaseImageProcessor

from cit_core.errors import CITError, InvalidInput, MissingExtra
from cit_core.mini.weights import require_plain_folder, trunk_folder
from cit_core.paper.config import Vision
from cit_core.pictures import Picture
from cit_core.runtime.checkpoint import load_or_refuse
from cit_core.runtime.picture_reader import opened_picture

__all__ = ["Patches", "Projector", "Tower", "Wings", "load_tower", "padded_patches"]

ATTENTIONS = ("self_attn", "attn", "attention", "self_attention")
"""Names that models give their self-attention."""
HALF = (0.5, 0.5, 0.5)
"""Mean and deviation of a colour where a tower says none."""
MOST_BYTES, MOST_PIXELS = 20_000_000, 40_000_000

Patches = NDArray[np.float32]
"""Features of the pictures of one question, VE; V is 0 where there are none."""


class Tower(nn.Module):
    """A vision tower of transformers, as it came: it never learns here.

    Args:
        model: A CLIP, SigLIP or ViT model, or its vision part.
        vision: Settings.
        mean: Of each colour.
        deviation: Of each colour.

    Raises:
        InvalidInput: If it has no square patches.
    """

    def __init__(
        self, model: Any, vision: Vision, mean: Sequence[float] = HALF, deviation: Sequence[float] = HALF
    ) -> None:
        super().__init__()
        self.model = getattr(model, "vision_model", model).eval()
        shape = self.model.config
        size, patch = getattr(shape, "image_size", None), getattr(shape, "patch_size", None)
        if not (isinstance(size, int) and isinstance(patch, int) and 0 < patch <= size):
            raise InvalidInput(f"{vision.tower!r} is no tower with square patches: a CLIP, SigLIP or ViT model is")
        self.size, self.side, self.width = size, size // patch, int(shape.hidden_size)
        self.grid = min(vision.grid, self.side)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, pixels_B3HW: Tensor) -> Tensor:
        """Return features of a grid of patches, pooled to the grid that is asked for, BVE."""
        states = self.model(pixel_values=pixels_B3HW).last_hidden_state[:, -self.side * self.side :]
        map_BEHW = states.transpose(1, 2).unflatten(2, (self.side, self.side)).float()
        return nn.functional.adaptive_avg_pool2d(map_BEHW, self.grid).flatten(2).transpose(1, 2)

    def encode_image(self, content: bytes) -> Patches:
        """Return features of a picture, VE: a hook for `Pictures(encode_image=...)`.

        Raises:
            CITError: If it is none that can be decoded.
        """
        picture = opened_picture(content, MOST_PIXELS)
        if picture is None:
            raise CITError("a picture cannot be decoded: PNG, JPEG, GIF, BMP and WebP can, up to 40 megapixels")
        pixels = torch.from_numpy(np.asarray(picture.resize((self.size, self.size), 3), np.float32).copy() / 255.0)
        mean, deviation = cast(Tensor, self.mean), cast(Tensor, self.deviation)
        pixels_13HW = ((pixels.permute(2, 0, 1).to(mean.device) - mean) / deviation).unsqueeze(0)
        weight = next(self.model.parameters())
        return np.asarray(self(pixels_13HW.to(weight.dtype))[0].cpu().numpy(), np.float32)

    def patches_of(self, pictures: Sequence[Picture], most: int) -> Patches:
        """Return features of a question's pictures; of one without a file and without a vector there are none."""
        found = [self._patches(one) for one in pictures[:most]]
        return np.concatenate([np.zeros((0, self.width), np.float32), *(one for one in found if one is not None)])

    def _patches(self, picture: Picture) -> Patches | None:
        if picture.vector is not None:
            given = np.atleast_2d(np.asarray(picture.vector, np.float32))
            if given.shape[1] != self.width:
                raise InvalidInput(
                    f"a picture's vector has width {given.shape[1]}; the tower's patches have {self.width}"
                )
            return given
        content = picture.content(MOST_BYTES)
        if content is None or not picture.width:
            return None
        return self.encode_image(content)


class Projector(nn.Module):
    """A layer from the tower's width to phi's, with outputs as large as words at first."""

    def __init__(self, width: int, embeddings: Any) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, embeddings.weight.shape[1])
        with torch.no_grad():
            self.out.weight.normal_(std=float(embeddings.weight.float().std()) * width**-0.5)
            self.out.bias.zero_()

    def forward(self, patches: Tensor) -> Tensor:
        """Return soft tokens; the last axis is the width."""
        return cast(Tensor, self.out(self.norm(patches.to(self.out.weight.dtype))))


class Wings(nn.Module):
    """Low-rank attention to patches beside each self-attention of phi.

    Args:
        lm: phi; its attention modules are given a hook, and nothing else of it changes.
        width: D.
        rank: C.

    Raises:
        InvalidInput: If no self-attention is found in phi.
    """

    def __init__(self, lm: Any, width: int, rank: int) -> None:
        super().__init__()
        attentions = _attentions(lm)
        if not attentions:
            raise InvalidInput(f"no self-attention named {', '.join(ATTENTIONS)} is in {type(lm).__name__}")
        self.beside = nn.ModuleList(_LowRankAttention(width, rank) for _ in attentions)
        self._seen: tuple[Tensor, Tensor] | None = None
        for module, learner in zip(attentions, self.beside, strict=True):
            module.register_forward_hook(partial(self._add, learner), with_kwargs=True)

    def look(self, tokens_PSVD: Tensor | None, mask_PSV: Tensor | None = None, slot_R: Tensor | None = None) -> None:
        """Set what the next forward of phi sees.

        Args:
            tokens_PSVD: Projected patches; None for nothing.
            mask_PSV: 1 for a patch, 0 for padding.
            slot_R: Set that a token of the row sees; -1 for none.
        """
        if tokens_PSVD is None or mask_PSV is None or slot_R is None:
            self._seen = None
            return
        may_RS = slot_R[:, None] == torch.arange(mask_PSV.shape[1], device=slot_R.device)
        may_PRSV = may_RS[None, :, :, None] & mask_PSV.bool()[:, None]
        self._seen = tokens_PSVD.flatten(1, 2), may_PRSV.flatten(2)

    def _add(
        self, learner: nn.Module, _module: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any], out: Any
    ) -> Any:
        if self._seen is None:
            return out
        states_PRD = named["hidden_states"] if "hidden_states" in named else given[0]
        added_PRD = learner(states_PRD, *self._seen)
        if isinstance(out, tuple):
            return (out[0] + added_PRD.to(out[0].dtype), *out[1:])
        return out + added_PRD.to(out.dtype)


class _LowRankAttention(nn.Module):
    """Attention in a space of low rank, with a gate of each token."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, rank, bias=False) for _ in range(3))
        self.gate, self.out = nn.Linear(width, 1), nn.Linear(rank, width, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, states_PRD: Tensor, patches_PVD: Tensor, may_PRV: Tensor) -> Tensor:
        """Return what is added to a layer's attention, PRD; nothing where a token sees no patch."""
        states_PRD, patches_PVD = (x.to(self.out.weight.dtype) for x in (states_PRD, patches_PVD))
        query_PRC, key_PVC = self.query(states_PRD), self.key(patches_PVD)
        score_PRV = query_PRC @ key_PVC.transpose(1, 2) / query_PRC.shape[-1] ** 0.5
        weight_PRV = score_PRV.masked_fill(~may_PRV, torch.finfo(score_PRV.dtype).min).softmax(-1)
        sees_PR1 = may_PRV.any(-1, keepdim=True)
        mixed_PRC = (weight_PRV @ self.value(patches_PVD)) * sees_PR1
        return cast(Tensor, self.gate(states_PRD).sigmoid() * self.out(mixed_PRC))


def load_tower(vision: Vision) -> Tower:
    """Load a tower by its id; no code from the hub is run.

    Raises:
        CheckpointError: If it cannot be loaded.
        InvalidInput: If it is no vision tower.
        MissingExtra: If Pillow is not installed.
    """
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise MissingExtra("Pillow, which decodes pictures,", "train") from None
    source = trunk_folder(vision.tower)
    require_plain_folder(source)
    kind = "a vision model of transformers with weights in safetensors and no code of its own"
    safe: dict[str, Any] = {"trust_remote_code": False}

    def load() -> Any:
        shape = AutoConfig.from_pretrained(source, **safe)
        return AutoModel.from_pretrained(source, config=shape, use_safetensors=True, **safe)

    model = load_or_refuse(load, source, kind)
    try:
        said, _ = BaseImageProcessor.get_image_processor_dict(source)
    except (OSError, ValueError):  # some towers come without
        said = {}
    return Tower(model, vision, said.get("image_mean") or HALF, said.get("image_std") or HALF)


def padded_patches(grids: Sequence[Sequence[Patches]], width: int) -> dict[str, Tensor]:
    """Return `patches` GNVE and `patch_mask` GNV of the instructions of grids; V is at least 1."""
    longest = max([1, *(len(one) for grid in grids for one in grid)])
    patches = torch.zeros(len(grids), len(grids[0]), longest, width)
    mask = torch.zeros(patches.shape[:3], dtype=torch.long)
    for g, grid in enumerate(grids):
        for n, one in enumerate(grid):
            patches[g, n, : len(one)], mask[g, n, : len(one)] = torch.from_numpy(np.asarray(one, np.float32)), 1
    return {"patches": patches, "patch_mask": mask}


def _attentions(lm: Any) -> list[nn.Module]:
    """Return the outermost attention modules of a model, in order."""
    found: dict[str, nn.Module] = {}
    for name, module in lm.base_model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name.rpartition(".")[2] in ATTENTIONS and not inside:
            found[name] = module
    return list(found.values())
