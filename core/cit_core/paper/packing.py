"""One row for a shared prefix and many blocks, `[prefix | block_1 | ... | block_B]`, for any Hugging Face model.

A token sees the prefix and its own block, never another one, and positions go on after the prefix anew in every block:
a packed block's states are those of `[prefix | block]` alone, whatever else is in the row. Shared parts are read once:
the instruction among candidates (`[x | c_1 p | ... | c_K p]`), or the capability among instructions
(`[c | x_1 p | ... | x_N p]`).

Padding may be anywhere, left, right or between; it is never seen and takes no position.

Axes: P rows, L prefix tokens, B blocks, T tokens of a block, R = L + B T, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Rows", "pack"]


class Rows(NamedTuple):
    """Inputs of a transformer."""

    x_PRD: Tensor
    bias_P1RR: Tensor
    """Added to attention scores: 0 where a token may look, else the lowest number there is."""
    position_PR: Tensor


def pack(
    prefix_PLD: Tensor, prefix_mask_PL: Tensor, block_PBTD: Tensor, block_mask_PBT: Tensor, *, causal: bool
) -> Rows:
    """Lay rows out.

    Args:
        prefix_PLD: Input embeddings of what is shared.
        prefix_mask_PL: 1 for a token, 0 for padding.
        block_PBTD: Input embeddings of the blocks.
        block_mask_PBT: 1 for a token, 0 for padding.
        causal: True if a token sees only earlier ones, as in a language model; False if it sees both sides.
    """
    B, T = block_mask_PBT.shape[1:]
    x_PRD = torch.cat([prefix_PLD, block_PBTD.flatten(1, 2)], dim=1)
    real_PR = torch.cat([prefix_mask_PL, block_mask_PBT.flatten(1)], dim=1).bool()
    owner_R = torch.cat([real_PR.new_zeros(prefix_mask_PL.shape[1]), real_PR.new_ones(B * T)]).long()
    owner_R[-B * T :] += torch.arange(B, device=owner_R.device).repeat_interleave(T)
    may_see_RR = (owner_R == 0) | (owner_R[:, None] == owner_R)
    if causal:
        may_see_RR = may_see_RR.tril()
    itself_RR = torch.eye(len(owner_R), dtype=torch.bool, device=owner_R.device)  # padding too: a softmax of nothing
    see_PRR = (may_see_RR & real_PR[:, None, :]) | itself_RR
    lowest = torch.finfo(x_PRD.dtype).min
    bias_P1RR = torch.zeros(see_PRR.shape, dtype=x_PRD.dtype, device=x_PRD.device).masked_fill(~see_PRR, lowest)
    return Rows(x_PRD, bias_P1RR.unsqueeze(1), _positions(prefix_mask_PL, block_mask_PBT))


def _positions(prefix_mask_PL: Tensor, block_mask_PBT: Tensor) -> Tensor:
    """Return positions: 0, 1, 2, ... over the tokens of the prefix, and on from there in each block."""
    prefix_PL = (prefix_mask_PL.cumsum(1) - 1).clamp(min=0)
    read_P11 = prefix_mask_PL.sum(1)[:, None, None]
    block_PBT = read_P11 + (block_mask_PBT.cumsum(2) - 1).clamp(min=0)
    return torch.cat([prefix_PL, block_PBT.flatten(1)], dim=1).long()
