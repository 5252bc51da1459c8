"""The data of a baseline, and the metric by which its hyper-parameters are chosen.

Axes: I items, M models, T models to learn from, V validation items, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import Calibration, fit_calibration
from cit_core.errors import InvalidInput
from cit_core.evaluate.metrics import ranking_accuracy
from cit_core.records import Capability, require_unique

__all__ = ["Array", "BaselineData"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BaselineData:
    """The data that a baseline may use.

    Raises:
        InvalidInput: If the parts are of different sizes, a model occurs twice, an outcome is outside [0, 1], or the
            models to learn from have too few outcomes to learn from or to choose by.
    """

    vectors_ID: NDArray[np.float32]
    """Unit trunk vectors of the items."""
    tasks_I: tuple[str, ...]
    correct_IM: Array
    """Outcomes in [0, 1]; NaN where a model was not measured."""
    capabilities: tuple[Capability, ...]
    """The aptitude test of each model."""
    trained: tuple[bool, ...]
    """True for models to learn from; a new model is only scored."""
    validation_I: NDArray[np.bool_]
    """True for items that serve to choose hyper-parameters; the others are for training."""

    def __post_init__(self) -> None:
        items, models = len(self.vectors_ID), len(self.capabilities)
        sizes = (len(self.tasks_I), len(self.validation_I), len(self.trained), self.correct_IM.shape)
        if sizes != (items, items, models, (items, models)):
            raise InvalidInput(
                f"{items} vectors and {models} capabilities need as many tasks, validation marks and trained marks, "
                f"and outcomes of that shape; got {', '.join(map(str, sizes))}"
            )
        require_unique(self.ids, "models")
        unusable = self.correct_IM[(self.correct_IM < 0.0) | (self.correct_IM > 1.0)]
        if len(unusable):
            raise InvalidInput(f"an outcome must be in [0, 1] or NaN, got {unusable[0]}")
        self._require_enough()

    def _require_enough(self) -> None:
        trained_IT = self.training_correct_IM[:, self.trained_M]
        if not {False, True} <= set((trained_IT[~np.isnan(trained_IT)] >= 0.5).tolist()):
            raise InvalidInput(
                f"baselines need right and wrong outcomes on training items, and the {trained_IT.shape[1]} models to "
                "learn from do not have both"
            )
        if np.isnan(ranking_accuracy(np.zeros(self._judged_VT.shape), self._judged_VT)).all():
            raise InvalidInput(
                f"hyper-parameters are chosen on validation items that one model got right and another wrong, and none "
                f"of the {len(self._judged_VT)} is such an item for the {trained_IT.shape[1]} models to learn from"
            )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the models."""
        return tuple(capability.candidate.id for capability in self.capabilities)

    @cached_property
    def trained_M(self) -> NDArray[np.bool_]:
        """`trained` as an array."""
        return np.array(self.trained, np.bool_)

    @cached_property
    def training_vectors_ID(self) -> NDArray[np.float32]:
        """Vectors of the training items."""
        return self.vectors_ID[~self.validation_I]

    @cached_property
    def training_correct_IM(self) -> Array:
        """Outcomes on the training items."""
        return self.correct_IM[~self.validation_I]

    @cached_property
    def validation_vectors_VD(self) -> NDArray[np.float32]:
        """Vectors of the validation items."""
        return self.vectors_ID[self.validation_I]

    @cached_property
    def _judged_VT(self) -> Array:
        return self.correct_IM[np.ix_(self.validation_I, self.trained_M)]

    @cached_property
    def as_new_IT(self) -> Array:
        """Training outcomes of the models to learn from as if they were new: on items that new ones answered.

        A model without any there keeps all of its own.
        """
        answered_IM = ~np.isnan(self.training_correct_IM)
        by_new_I1 = (answered_IM & ~self.trained_M).any(axis=1, keepdims=True)
        kept_IM = answered_IM & by_new_I1
        kept_IM = np.where(kept_IM.any(axis=0), kept_IM, answered_IM)
        return np.where(kept_IM, self.training_correct_IM, np.nan)[:, self.trained_M]

    def quality(self, scores_VT: NDArray[np.floating]) -> float:
        """Return the ranking accuracy of the models to learn from on validation items; hyper-parameters maximise it.

        It is what routing needs: a loss on probabilities prefers settings that follow the items' difficulty and route
        worse.
        """
        return float(np.nanmean(ranking_accuracy(scores_VT, self._judged_VT)))

    def scale_of_new(self, log_odds_VT: NDArray[np.floating]) -> Calibration:
        """Return the calibration that makes new models comparable with the models to learn from.

        The questions of an aptitude test are not typical, so a model known by its answers there alone looks better or
        worse than it is. The models to learn from show by how much.

        Args:
            log_odds_VT: Predictions for validation items that were fitted on `as_new_IT`.
        """
        try:
            return fit_calibration(log_odds_VT, self._judged_VT)
        except InvalidInput:
            return Calibration()  # no right or no wrong outcome there: nothing to correct

    def require_answers(self) -> None:
        """Refuse a model without outcomes on training items.

        Raises:
            InvalidInput: Names the models.
        """
        counts_M = (~np.isnan(self.training_correct_IM)).sum(axis=0)
        silent = [repr(id_) for id_, count in zip(self.ids, counts_M, strict=True) if not count]
        if silent:
            raise InvalidInput(
                "a baseline that uses responses needs outcomes of every model on training items; there are none of "
                f"{', '.join(silent)}: run the aptitude test (`cit aptitude run`) or import outcomes (`cit import`)"
            )
