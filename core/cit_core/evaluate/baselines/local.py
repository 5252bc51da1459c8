"""Baselines that fit every candidate alone, on the items that it was measured on.

A model with 6,700 outcomes bears finer settings than a new one with 1,000. So settings are chosen twice: for the models
to learn from as they are, and for new ones on the models to learn from as if they were new (`BaselineData.as_new_IT`).

Axes: I items, N queries, M models, K models of one group, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import log_odds
from cit_core.evaluate.baselines.baseline_data import Array, BaselineData
from cit_core.evaluate.baselines.protocol import Encode, Fitted, Uses, bench_module, by_column, one_thread

__all__ = ["Clusters", "KNearest", "Ridge"]

PSEUDO_OUTCOMES = 10.0
"""Outcomes at a candidate's own mean that are added to every cluster: half a task of the aptitude test."""
Setting = TypeVar("Setting", int, float)
Local = Callable[[NDArray[np.float32]], Array]
"""Vectors of queries (N, D) to P(correct), (N, K)."""
Method = Callable[[Array, Setting], Local]
"""Outcomes of K models on training items (I, K), and a setting, to what it predicts."""


class KNearest:
    """A candidate's accuracy on the k nearest of its own items (EmbedLLM has one, and table 2 of the paper).

    Args:
        neighbours: Values of k to choose from.
    """

    name = "k nearest neighbours"
    uses: Uses = "responses"

    def __init__(self, neighbours: Sequence[int] = (10, 20, 40, 80, 160, 320, 640)) -> None:
        self.neighbours = tuple(neighbours)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose k."""
        regressor = bench_module("sklearn.neighbors").KNeighborsRegressor

        def nearest(correct_IK: Array, neighbours: int) -> Local:
            # Brute force: trees do not help at this width. Unit vectors: Euclidean order is the order of cosines.
            return _regressions(data, correct_IK, lambda items: regressor(min(neighbours, items), algorithm="brute"))

        return _fit(self.name, "neighbours", self.neighbours, nearest, data, encode)


class Ridge:
    """A ridge regression of a candidate's outcomes on the vectors of its own items.

    Args:
        alphas: Ridges to choose from.
    """

    name = "ridge"
    uses: Uses = "responses"

    def __init__(self, alphas: Sequence[float] = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)) -> None:
        self.alphas = tuple(alphas)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose the ridge."""
        regressor = bench_module("sklearn.linear_model").Ridge

        def ridge(correct_IK: Array, alpha: float) -> Local:
            return _regressions(data, correct_IK, lambda _: regressor(alpha))

        return _fit(self.name, "alpha", self.alphas, ridge, data, encode)


class Clusters:
    """A candidate's accuracy in the query's k-means cluster of training items (Avengers), shrunk towards its mean.

    Args:
        clusters: Numbers of clusters to choose from.
    """

    name = "clusters"
    uses: Uses = "responses"

    def __init__(self, clusters: Sequence[int] = (2, 4, 8, 16, 32, 64)) -> None:
        self.clusters = tuple(clusters)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose the number of clusters."""
        k_means = bench_module("sklearn.cluster").KMeans
        vectors_ID = data.training_vectors_ID

        @cache
        def partition(clusters: int) -> Any:
            return k_means(min(clusters, len(vectors_ID)), random_state=0).fit(vectors_ID)

        def clustered(correct_IK: Array, clusters: int) -> Local:
            found = partition(clusters)
            accuracy_CK = _cluster_accuracies(found.labels_, found.n_clusters, correct_IK)
            return lambda vectors_ND: accuracy_CK[found.predict(vectors_ND)]

        return _fit(self.name, "clusters", self.clusters, clustered, data, encode)


def _fit(
    name: str, setting: str, values: Sequence[Setting], method: Method[Setting], data: BaselineData, encode: Encode
) -> Fitted:
    data.require_answers()
    correct_IM, trained_M = data.training_correct_IM, data.trained_M

    def best(correct_IT: Array) -> Setting:
        with one_thread():
            return max(values, key=lambda value: data.quality(method(correct_IT, value)(data.validation_vectors_VD)))

    value = best(correct_IM[:, trained_M])
    of_trained, chosen = method(correct_IM[:, trained_M], value), {setting: value}
    if trained_M.all():
        return Fitted(name, encode, by_column(name, data.ids, of_trained), chosen)

    value = best(data.as_new_IT)
    of_new, chosen = method(correct_IM[:, ~trained_M], value), {**chosen, f"{setting}, new models": value}
    scale = data.scale_of_new(log_odds(method(data.as_new_IT, value)(data.validation_vectors_VD)))

    def predict(vectors_ND: NDArray[np.float32]) -> Array:
        predicted_NM = np.empty((len(vectors_ND), len(trained_M)))
        predicted_NM[:, trained_M] = of_trained(vectors_ND)
        predicted_NM[:, ~trained_M] = scale(log_odds(of_new(vectors_ND)))
        return predicted_NM

    return Fitted(name, encode, by_column(name, data.ids, predict), chosen)


def _regressions(data: BaselineData, correct_IK: Array, estimator: Callable[[int], Any]) -> Local:
    """Fit a regression for each group of models that were measured on the same items: nearly always one for all."""
    measured_IG, group_K = np.unique(~np.isnan(correct_IK), axis=1, return_inverse=True)
    fitted = [
        estimator(int(rows_I.sum())).fit(data.training_vectors_ID[rows_I], correct_IK[rows_I][:, group_K == group])
        for group, rows_I in enumerate(measured_IG.T)
    ]

    def predict(vectors_ND: NDArray[np.float32]) -> Array:
        predicted_NK = np.empty((len(vectors_ND), len(group_K)))
        with one_thread():
            for group, regression in enumerate(fitted):
                predicted_NK[:, group_K == group] = regression.predict(vectors_ND).reshape(len(vectors_ND), -1)
        return predicted_NK

    return predict


def _cluster_accuracies(cluster_I: NDArray[np.integer], clusters: int, correct_IK: Array) -> Array:
    member_IC = np.eye(clusters)[cluster_I]
    right_CK, count_CK = member_IC.T @ np.nan_to_num(correct_IK), member_IC.T @ ~np.isnan(correct_IK)
    accuracy_CK: Array = (right_CK + PSEUDO_OUTCOMES * np.nanmean(correct_IK, axis=0)) / (count_CK + PSEUDO_OUTCOMES)
    return accuracy_CK
