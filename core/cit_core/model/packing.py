"""Attention for one packed row `[x | c_1 p | c_2 p | ... | c_K p]` under the prefix mask.

An instruction token sees the instruction. A block's token sees the instruction and its own block. Nothing sees another
candidate, so a packed score equals the score of `[x | c_k p]` alone, whoever else is in the row. The mask is never
built: each block attends to two short lists of keys, so work grows with K x (L + T), not with the square of the row.

Axes: N queries, K candidates, L instruction tokens, T tokens of a block, H heads, E width of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["attend", "attend_blocks"]


def attend(q_NHLE: Tensor, k_NHLE: Tensor, v_NHLE: Tensor, mask_NL: Tensor) -> Tensor:
    """Instruction tokens to instruction tokens.

    Args:
        q_NHLE: Queries.
        k_NHLE: Keys.
        v_NHLE: Values.
        mask_NL: 1 for a token, 0 for padding.

    Returns:
        The mixed values, NHLE.
    """
    scores_NHLL = q_NHLE @ k_NHLE.transpose(-1, -2) / math.sqrt(q_NHLE.shape[-1])
    return (scores_NHLL + _bias(mask_NL, scores_NHLL)).softmax(-1) @ v_NHLE


def attend_blocks(
    q_NHKTE: Tensor, prefix_k_NHLE: Tensor, prefix_v_NHLE: Tensor, k_NHKTE: Tensor, v_NHKTE: Tensor, mask_NL: Tensor
) -> Tensor:
    """Block tokens to the instruction and to their own block, under one softmax.

    Args:
        q_NHKTE: Queries of the blocks; T may be the last token alone.
        prefix_k_NHLE: Keys of the instruction.
        prefix_v_NHLE: Values of the instruction.
        k_NHKTE: Keys of the blocks.
        v_NHKTE: Values of the blocks.
        mask_NL: 1 for an instruction token, 0 for padding.

    Returns:
        The mixed values, shaped as the queries.
    """
    # All blocks of a query share the instruction's keys: one matrix product for all of them.
    q_NHRE = q_NHKTE.flatten(2, 3)
    to_prefix_NHRL = q_NHRE @ prefix_k_NHLE.transpose(-1, -2) / math.sqrt(q_NHRE.shape[-1])
    to_prefix_NHRL = to_prefix_NHRL + _bias(mask_NL, to_prefix_NHRL)
    to_prefix_NHKTL = torch.unflatten(to_prefix_NHRL, 2, (-1, q_NHKTE.shape[3]))
    to_block_NHKTT = q_NHKTE @ k_NHKTE.transpose(-1, -2) / math.sqrt(q_NHKTE.shape[-1])
    weights = torch.cat([to_prefix_NHKTL, to_block_NHKTT], dim=-1).softmax(-1)
    L = prefix_k_NHLE.shape[-2]
    from_prefix_NHRE = weights[..., :L].flatten(2, 3) @ prefix_v_NHLE
    return torch.unflatten(from_prefix_NHRE, 2, (-1, q_NHKTE.shape[3])) + weights[..., L:] @ v_NHKTE


def _bias(mask_NL: Tensor, like: Tensor) -> Tensor:
    """0 where there is a token and a very negative number at padding, to be added to scores."""
    return (1.0 - mask_NL.to(like.dtype))[:, None, None, :] * -1e4
