"""Attention for one packed row `[x | c_1 p | c_2 p | ... | c_K p]` under the prefix mask.

An instruction token sees the instruction, a capability's tokens see each other, and an inquiry sees the instruction,
its candidate's capability and itself. Nothing sees another candidate, so a packed score equals the score of
`[x | c_k p]` alone, whatever else is in the row. And no capability sees the instruction, so what becomes of it in every
layer is known before there is one: a decision computes one token for each candidate, the inquiry. The mask is never
built.

Axes: N queries, K candidates, P inquiries (1 until candidates make a difference, then K), L instruction tokens, R the
row's (L + P), T tokens of a capability, H heads, E width of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["attend", "attend_inquiries"]


def attend(q_NHLE: Tensor, k_NHLE: Tensor, v_NHLE: Tensor, mask_NL: Tensor) -> Tensor:
    """Attend tokens of a text, or of a capability, to each other.

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


def attend_inquiries(
    q_NHPE: Tensor,
    own_NHPE: tuple[Tensor, Tensor],
    x_NHLE: tuple[Tensor, Tensor],
    known_HKTE: tuple[Tensor, Tensor],
    mask_NL: Tensor,
) -> Tensor:
    """Attend inquiries to the instruction, to themselves and to their candidate's capability, under one softmax.

    Args:
        q_NHPE: Queries of the inquiries.
        own_NHPE: Their own keys and values.
        x_NHLE: Keys and values of the instruction.
        known_HKTE: Keys and values of the capabilities.
        mask_NL: 1 for an instruction token, 0 for padding.

    Returns:
        The mixed values, NHKE.
    """
    (own_k, own_v), (x_k, x_v), (known_k, known_v) = own_NHPE, x_NHLE, known_HKTE
    K, T = known_k.shape[1:3]
    q_NHPE = q_NHPE / math.sqrt(q_NHPE.shape[-1])
    to_known_NHKT = (q_NHPE.unsqueeze(3) * known_k).sum(-1)  # a handful of numbers: no matrix product is quicker
    to_self_NHP1 = (q_NHPE * own_k).sum(-1, keepdim=True)
    to_x_NHPL = q_NHPE @ x_k.transpose(-1, -2)
    shared = torch.cat([to_self_NHP1, to_x_NHPL + _bias(mask_NL, to_x_NHPL)], dim=-1).expand(-1, -1, K, -1)
    weights = torch.cat([to_known_NHKT, shared], dim=-1).softmax(-1)
    from_known_NHKE = (weights[..., :T].unsqueeze(-1) * known_v).sum(3)
    return from_known_NHKE + weights[..., T : T + 1] * own_v + weights[..., T + 1 :] @ x_v


def _bias(mask_NL: Tensor, like: Tensor) -> Tensor:
    """Return the bias of scores: 0 where there is a token and a very negative number at padding."""
    return (1.0 - mask_NL.to(like.dtype))[:, None, None, :] * -1e4
