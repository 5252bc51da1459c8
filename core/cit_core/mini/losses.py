"""What `mini` learns by: calibrated binary cross-entropy over all pairs, and ranking among candidates."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from cit_core.mini.network import ModelSAT
from cit_core.mini.sampler import Profiles

__all__ = ["log_odds", "routing_loss"]


def log_odds(network: ModelSAT, x_NLD: Tensor, mask_NL: Tensor, profiles: Profiles) -> Tensor:
    """Return the network's log-odds for states of texts, NK."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=_multiplies_bfloat16()):
        odds_NK: Tensor = network.phi(x_NLD, mask_NL, *network.know(*profiles))
    return odds_NK.float()


@cache
def _multiplies_bfloat16() -> bool:
    """Return True if the processor multiplies bfloat16 itself: a few times faster then, and slower if not."""
    told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.5 has none
    return bool(told.get("amx_bf16") or told.get("avx512_bf16"))


def routing_loss(odds_NK: Tensor, correct_NK: Tensor, ranking_weight: float) -> Tensor:
    """Return binary cross-entropy over measured pairs, plus logistic ranking over candidates that differ on an item.

    Args:
        odds_NK: Log-odds of 'Yes'.
        correct_NK: Outcomes in [0, 1]; NaN where a candidate was not measured.
        ranking_weight: Weight of the second part.
    """
    known_NK = ~correct_NK.isnan()
    target_NK = correct_NK.nan_to_num()
    absolute = nn.functional.binary_cross_entropy_with_logits(odds_NK, target_NK, known_NK.float(), reduction="sum")
    absolute = absolute / known_NK.sum().clamp(min=1)
    both_NKK = known_NK.unsqueeze(2) & known_NK.unsqueeze(1)
    better_NKK = (target_NK.unsqueeze(2) - target_NK.unsqueeze(1)).clamp(min=0.0) * both_NKK
    margin_NKK = odds_NK.unsqueeze(2) - odds_NK.unsqueeze(1)
    ranking = (nn.functional.softplus(-margin_NKK) * better_NKK).sum() / better_NKK.sum().clamp(min=1.0)
    return absolute + ranking_weight * ranking
