"""Baselines that read a candidate's profile as a row of numbers beside the query's vector (table 2 of the paper).

They see pairs of a training item and a model to learn from, and score any model with a profile.

Axes: I items, N queries, M models, K candidates, P pairs, T tasks, D width, F features (D, T and the mean).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.evaluate.baselines.baseline_data import Array, BaselineData
from cit_core.evaluate.baselines.fixed import BestByAptitude
from cit_core.evaluate.baselines.protocol import Encode, Fitted, Uses, bench_module, one_thread
from cit_core.records import Capability

__all__ = ["MLP", "Forest"]

PAIRS = 40_000
"""Maximum number of training pairs, drawn at random: a forest on them takes half a minute."""
HIDDEN = 64
EPOCHS = 6

Tried = tuple[dict[str, object], Any]
"""A setting and the classifier of scikit-learn that it gives."""


class MLP:
    """A network with one hidden layer of 64.

    Args:
        alphas: Ridges on the weights to choose from; the number of epochs is chosen for each.
    """

    name = "MLP"
    uses: Uses = "profile"

    def __init__(self, alphas: Sequence[float] = (1.0, 3.0, 10.0)) -> None:
        self.alphas = tuple(alphas)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose alpha and the number of epochs."""

        def networks(x_PF: NDArray[np.float32], right_P: NDArray[np.bool_]) -> Iterator[Tried]:
            network = bench_module("sklearn.neural_network").MLPClassifier
            scaler = bench_module("sklearn.preprocessing").StandardScaler().fit(x_PF)
            pipeline = bench_module("sklearn.pipeline").make_pipeline
            for alpha in self.alphas:
                growing = network(HIDDEN, alpha=alpha, random_state=0)
                for epochs in range(1, EPOCHS + 1):
                    growing.partial_fit(scaler.transform(x_PF), right_P, classes=[False, True])
                    yield {"alpha": alpha, "epochs": epochs}, pipeline(scaler, copy.deepcopy(growing))

        return _best(self.name, networks, data, encode)


class Forest:
    """A random forest.

    Args:
        leaves: Smallest numbers of pairs in a leaf to choose from.
        trees: Number of trees of each forest.
    """

    name = "random forest"
    uses: Uses = "profile"

    def __init__(self, leaves: Sequence[int] = (20, 80, 320), trees: int = 100) -> None:
        self.leaves, self.trees = tuple(leaves), trees

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose the size of leaves."""

        def forests(x_PF: NDArray[np.float32], right_P: NDArray[np.bool_]) -> Iterator[Tried]:
            forest = bench_module("sklearn.ensemble").RandomForestClassifier
            for leaf in self.leaves:
                grown = forest(self.trees, min_samples_leaf=leaf, random_state=0, n_jobs=-1).fit(x_PF, right_P)
                yield {"leaf": leaf}, grown.set_params(n_jobs=1)  # several threads would add up in any order

        return _best(self.name, forests, data, encode)


def _best(
    name: str,
    classifiers: Callable[[NDArray[np.float32], NDArray[np.bool_]], Iterable[Tried]],
    data: BaselineData,
    encode: Encode,
) -> Fitted:
    """Return the classifier that ranks the models to learn from best on validation items."""
    profiles = _Profiles(data.capabilities)
    trained = [capability for capability, one in zip(data.capabilities, data.trained, strict=True) if one]

    def quality(tried: Tried) -> float:
        return data.quality(profiles.predict(tried[1], data.validation_vectors_VD, trained))

    with one_thread():
        chosen, classifier = max(classifiers(*profiles.pairs(data)), key=quality)
    return Fitted(name, encode, lambda vectors, zoo: profiles.predict(classifier, vectors, zoo), chosen)


class _Profiles:
    """Capabilities as rows: the accuracy on every task in one order, and the mean."""

    def __init__(self, capabilities: Iterable[Capability]) -> None:
        self._tasks = sorted({result.task.id for capability in capabilities for result in capability.results})

    def rows(self, capabilities: Sequence[Capability]) -> NDArray[np.float32]:
        """Return accuracies by task, (K, T + 1); the mean fills in for a task that was not measured."""
        mean_K = BestByAptitude().score([""], capabilities)[0]
        rows = []
        for capability, mean in zip(capabilities, mean_K, strict=True):
            accuracy = {result.task.id: result.accuracy for result in capability.results}
            rows.append([*(accuracy.get(task, mean) for task in self._tasks), mean])
        return np.array(rows, np.float32)

    def pairs(self, data: BaselineData) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return features (P, F) of training items with the models to learn from, and True for right answers."""
        correct_IM = np.where(data.trained_M, data.training_correct_IM, np.nan)
        item_P, model_P = np.nonzero(~np.isnan(correct_IM))
        drawn = np.random.default_rng(0).permutation(len(item_P))[:PAIRS]
        item_P, model_P = item_P[drawn], model_P[drawn]
        rows_MF = self.rows(data.capabilities)
        return np.hstack([data.training_vectors_ID[item_P], rows_MF[model_P]]), correct_IM[item_P, model_P] >= 0.5

    def predict(self, classifier: Any, vectors_ND: NDArray[np.float32], capabilities: Sequence[Capability]) -> Array:
        """Return P(right), (N, K)."""
        columns = [
            classifier.predict_proba(np.hstack([vectors_ND, np.tile(row_F, (len(vectors_ND), 1))]))[:, 1]
            for row_F in self.rows(capabilities)
        ]
        return np.column_stack(columns)
