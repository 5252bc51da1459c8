"""Training objectives: log-odds and labels of grids in, one number out.

Each is a mean over grids, so the loss of a batch is the mean over its parts, on any number of processes.

Axes: G grids of N instructions x K candidates.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from cit_core.paper.recipe import Objective

__all__ = ["OBJECTIVES", "calibrated_loss", "group_loss", "listwise_loss"]


def group_loss(odds_GNK: Tensor, label_GNK: Tensor) -> Tensor:
    """Return cross-entropy over the 'Yes' scores of one candidate's instructions, the handled one as target (eq. 5).

    The scores are log-odds of 'Yes' against 'No': the raw logit of 'Yes' that the authors' code takes, made comparable
    across instructions by that of 'No'.
    """
    target_GNK = label_GNK / label_GNK.sum(1, keepdim=True)
    return -(target_GNK * log_softmax(odds_GNK, dim=1)).sum(1).mean()


def calibrated_loss(odds_GNK: Tensor, label_GNK: Tensor) -> Tensor:
    """Return binary cross-entropy over all measured pairs, labels anywhere in [0, 1]; NaN was not measured."""
    known_GNK = ~label_GNK.isnan()
    each_GNK = binary_cross_entropy_with_logits(odds_GNK, label_GNK.nan_to_num(), reduction="none") * known_GNK
    return _per_grid(each_GNK, known_GNK)


def listwise_loss(odds_GNK: Tensor, label_GNK: Tensor) -> Tensor:
    """Return cross-entropy over the candidates of one instruction, the right ones sharing the target.

    An instruction on which all measured candidates agree says nothing about their order, and does not count.
    """
    known_GNK = ~label_GNK.isnan()
    right_GNK = label_GNK.nan_to_num()
    lowest = torch.finfo(odds_GNK.dtype).min
    log_share_GNK = log_softmax(odds_GNK.masked_fill(~known_GNK, lowest), dim=2).masked_fill(~known_GNK, 0.0)
    total_GN = right_GNK.sum(2)
    highest_GN = right_GNK.masked_fill(~known_GNK, 0.0).amax(2)
    least_GN = right_GNK.masked_fill(~known_GNK, 1.0).amin(2)
    each_GN = -(right_GNK * log_share_GNK).sum(2) / total_GN.clamp(min=1e-6)
    telling_GN = highest_GN > least_GN
    return _per_grid((each_GN * telling_GN).unsqueeze(2), telling_GN.unsqueeze(2))


def _per_grid(each_GNK: Tensor, counts_GNK: Tensor) -> Tensor:
    return (each_GNK.sum((1, 2)) / counts_GNK.sum((1, 2)).clamp(min=1)).mean()


OBJECTIVES: dict[Objective, Callable[[Tensor, Tensor], Tensor]] = {
    "group": group_loss,
    "calibrated": calibrated_loss,
    "listwise": listwise_loss,
    "distillation": calibrated_loss,  # of the smoother's probabilities in place of outcomes
}
