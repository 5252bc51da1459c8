"""Newer relatives, each in its essentials: from their papers, on our vectors, without their code or their encoders.

Fitted on known questions alone, hyper-parameters by the ranking of models on validation items, as every baseline.
MIRT is `IRT`; RouteFM and SAVERouter are packages, beside which `few` sets us where they are installed.

Axes: I items, N queries, M models, D width, R factors, C clusters, P triples of an item, a right and a wrong model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import log_odds, sigmoid
from cit_core.evaluate.baselines.baseline_data import Array, BaselineData
from cit_core.evaluate.baselines.protocol import Encode, Fitted, Uses, bench_module, by_column, one_thread

__all__ = ["AvengersPro", "EquiRouter", "GraphRouterLite", "R2Router", "RouterDC", "relatives"]

TRIPLES = 30_000
"""Maximum number of triples, drawn at random."""
PSEUDO = 10.0
"""Outcomes at a model's own mean that are added to every average."""
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
Vectors = NDArray[np.float32]
Predict = Callable[[Vectors], Array]
"""Vectors (N, D) to a score of each model (N, M), higher for better."""


def relatives() -> tuple[Any, ...]:
    """Return all of them."""
    return EquiRouter(), R2Router(), AvengersPro(), GraphRouterLite(), RouterDC()


class EquiRouter:
    """Learns the order of models for a query, not their accuracies: those collapse onto the strongest model.

    Lai and Ye, "When Routing Collapses: On the Degenerate Convergence of LLM Routers" (2026). Here: a linear score of
    each model by the logistic loss of right above wrong.

    Args:
        decays: Ridges to choose from.
    """

    name = "EquiRouter"
    uses: Uses = "responses"

    def __init__(self, decays: Sequence[float] = (1.0, 10.0, 100.0)) -> None:
        self.decays = tuple(decays)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose the ridge."""
        x_ID, triples = _with_one(data.training_vectors_ID), _triples(data.training_correct_IM)
        shape = x_ID.shape[1], len(data.ids)

        def of(decay: float) -> Predict:
            item_P, right_P, wrong_P = triples

            def objective(packed: Array) -> tuple[float, Array]:
                score_IM = x_ID @ packed.reshape(shape)
                margin_P = score_IM[item_P, right_P] - score_IM[item_P, wrong_P]
                slope_P = -sigmoid(-margin_P)
                by_score_IM = np.zeros_like(score_IM)
                np.add.at(by_score_IM, (item_P, right_P), slope_P)
                np.add.at(by_score_IM, (item_P, wrong_P), -slope_P)
                loss = np.logaddexp(0.0, -margin_P).sum() + 0.5 * decay * packed @ packed
                return float(loss), (x_ID.T @ by_score_IM).ravel() + decay * packed

            weights_DM = _minimise(objective, np.zeros(shape[0] * shape[1])).reshape(shape)
            return lambda vectors_ND: np.asarray(_with_one(vectors_ND) @ weights_DM)

        return _fit(self.name, {f"decay {decay:g}": decay for decay in self.decays}, of, data, encode)


class R2Router:
    """A ridge of each model at each budget; more budget never predicts less of the same model.

    "R2-Router: A New Paradigm for LLM Routing with Reasoning" (2026) regresses quality on length budgets. Here a budget
    is an arm's effort (`gpt-5-mini@low`), and predictions are made monotone from effort to effort.

    Args:
        alphas: Ridges to choose from.
    """

    name = "R2-Router"
    uses: Uses = "responses"

    def __init__(self, alphas: Sequence[float] = (10.0, 30.0, 100.0, 300.0)) -> None:
        self.alphas = tuple(alphas)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose the ridge."""
        ladders = _ladders(data.ids)

        def of(alpha: float) -> Predict:
            ridge = bench_module("sklearn.linear_model").Ridge
            models = []
            for marks_I in data.training_correct_IM.T:
                known_I = ~np.isnan(marks_I)
                models.append(ridge(alpha).fit(data.training_vectors_ID[known_I], marks_I[known_I]))

            def predict(vectors_ND: Vectors) -> Array:
                told_NM = np.column_stack([model.predict(vectors_ND) for model in models])
                for ladder in ladders:
                    steps_NE = told_NM[:, ladder]
                    rising_NE = np.maximum.accumulate(steps_NE, axis=1)
                    falling_NE = np.minimum.accumulate(steps_NE[:, ::-1], axis=1)[:, ::-1]
                    told_NM[:, ladder] = (rising_NE + falling_NE) / 2.0
                return np.asarray(log_odds(np.clip(told_NM, 0.001, 0.999)))

            return predict

        return _fit(self.name, {f"alpha {alpha:g}": alpha for alpha in self.alphas}, of, data, encode)


class AvengersPro:
    """Accuracy in the query's nearest clusters of known questions, several of them averaged; no cost, so alpha is 1.

    Zhang et al., "Beyond GPT-5: Making LLMs Cheaper and Better via Performance-Efficiency Optimized Routing" (2025).

    Args:
        clusters: Numbers of clusters to choose from.
        nearest: Numbers of clusters that count for a query to choose from.
    """

    name = "Avengers-Pro"
    uses: Uses = "responses"

    def __init__(self, clusters: Sequence[int] = (8, 32, 64), nearest: Sequence[int] = (1, 4)) -> None:
        self.clusters, self.nearest = tuple(clusters), tuple(nearest)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose both numbers."""
        correct_IM, made = data.training_correct_IM, {}

        def of(setting: tuple[int, int]) -> Predict:
            number, nearest = setting
            if number not in made:
                k_means = bench_module("sklearn.cluster").KMeans
                found = k_means(min(number, len(correct_IM)), random_state=0).fit(data.training_vectors_ID)
                made[number] = found.cluster_centers_, _averages(np.eye(found.n_clusters)[found.labels_], correct_IM)
            centres_CD, accuracy_CM = made[number]

            def predict(vectors_ND: Vectors) -> Array:
                near_NC = np.argsort(_distances(vectors_ND, centres_CD), axis=1)[:, :nearest]
                return np.asarray(log_odds(accuracy_CM[near_NC].mean(axis=1)))

            return predict

        settings = {f"{c} clusters, {p} nearest": (c, p) for c in self.clusters for p in self.nearest}
        return _fit(self.name, settings, of, data, encode)


class GraphRouterLite:
    """One round of messages over a graph of queries, tasks and models, then a learnt reading of an edge.

    Feng et al., "GraphRouter: A Graph-based Router for LLM Selections" (2025) learns the messages too; here they are
    averages (as in Wu et al., "Simplifying Graph Convolutional Networks", 2019) and only the reading is learnt.

    Args:
        neighbours: Numbers of known queries that a query hears from to choose from.
    """

    name = "GraphRouter-lite"
    uses: Uses = "responses"

    def __init__(self, neighbours: Sequence[int] = (20, 80)) -> None:
        self.neighbours = tuple(neighbours)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose the number of neighbours."""
        x_ID, correct_IM = data.training_vectors_ID, data.training_correct_IM
        tasks = [task for task, kept in zip(data.tasks_I, ~data.validation_I, strict=True) if kept]
        member_IT = (np.array(tasks)[:, None] == np.unique(tasks)).astype(float)
        centre_TD = (member_IT.T @ x_ID) / member_IT.sum(axis=0)[:, None]
        task_TM, level_M = _averages(member_IT, correct_IM), np.nanmean(correct_IM, axis=0)
        model_MD = np.nan_to_num(correct_IM - level_M).T @ x_ID / (~np.isnan(correct_IM)).sum(axis=0)[:, None]

        def edges(vectors_ND: Vectors, number: int, known: bool) -> Array:
            """Return features of each edge (N, M, F); a known query does not hear from itself."""
            near = np.argsort(-(vectors_ND @ x_ID.T), axis=1)[:, int(known) : int(known) + number]
            heard_NM = np.stack([_averages(np.ones((len(rows), 1)), correct_IM[rows], level_M)[0] for rows in near])
            weight_NT = np.exp(10.0 * (vectors_ND @ centre_TD.T))
            task_NM = (weight_NT / weight_NT.sum(axis=1, keepdims=True)) @ task_TM
            level_NM = np.broadcast_to(log_odds(level_M), heard_NM.shape)
            return np.stack(
                [log_odds(heard_NM), log_odds(task_NM), level_NM, 10.0 * (vectors_ND @ model_MD.T)], axis=-1
            )

        def of(number: int) -> Predict:
            features_IMF, known_IM = edges(x_ID, number, known=True), ~np.isnan(correct_IM)
            read = bench_module("sklearn.linear_model").LogisticRegression(max_iter=500)
            read.fit(features_IMF[known_IM], correct_IM[known_IM] >= 0.5)
            return lambda vectors_ND: np.asarray(
                edges(vectors_ND, number, known=False) @ read.coef_[0] + read.intercept_[0]
            )

        return _fit(self.name, {f"{number} neighbours": number for number in self.neighbours}, of, data, encode)


class RouterDC:
    """Two contrastive losses: queries near the models that answer them, and near other queries of their cluster.

    Chen et al., "RouterDC: Query-Based Router by Dual Contrastive Learning for Assembling LLMs" (2024).
    Here a linear map of our trunk's vectors is learnt, and an embedding of each model.

    Args:
        factors: Widths of the embeddings to choose from.
        decays: Ridges on the map to choose from.
        clusters: Number of clusters.
    """

    name = "RouterDC"
    uses: Uses = "responses"

    def __init__(self, factors: Sequence[int] = (8,), decays: Sequence[float] = (1.0, 10.0), clusters: int = 8) -> None:
        self.factors, self.decays, self.clusters = tuple(factors), tuple(decays), clusters

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose width and ridge."""
        x_ID, correct_IM = _with_one(data.training_vectors_ID), data.training_correct_IM
        kept = np.flatnonzero((correct_IM >= 0.5).any(axis=1) & (correct_IM < 0.5).any(axis=1))
        x_ID, right_IM, wrong_IM = x_ID[kept], correct_IM[kept] >= 0.5, correct_IM[kept] < 0.5
        friends_I4 = _friends(x_ID, self.clusters)

        def of(setting: tuple[int, float]) -> Predict:
            factors, decay = setting
            cut = x_ID.shape[1] * factors

            def parts(packed: Array) -> tuple[Array, Array]:
                return packed[:cut].reshape(-1, factors), packed[cut:].reshape(-1, factors)

            def objective(packed: Array) -> tuple[float, Array]:
                map_DR, model_MR = parts(packed)
                query_IR = x_ID @ map_DR
                by_model, slope_IM = _sample_model_loss(query_IR @ model_MR.T, right_IM, wrong_IM)
                by_query, slope_IR = _sample_sample_loss(query_IR, friends_I4)
                ridge_P = np.where(np.arange(len(packed)) < cut, decay, 1.0)
                gradient = [x_ID.T @ (slope_IM @ model_MR + slope_IR), slope_IM.T @ query_IR]
                return by_model + by_query + 0.5 * float(ridge_P @ packed**2), np.concatenate(
                    [part.ravel() for part in gradient]
                ) + ridge_P * packed

            start = np.random.default_rng(0).normal(scale=0.1, size=cut + len(data.ids) * factors)
            map_DR, model_MR = parts(_minimise(objective, start))
            return lambda vectors_ND: np.asarray(_with_one(vectors_ND) @ map_DR @ model_MR.T)

        return _fit(
            self.name,
            {f"{r} factors, decay {d:g}": (r, d) for r in self.factors for d in self.decays},
            of,
            data,
            encode,
        )


def _fit(
    name: str, settings: dict[str, Any], of: Callable[[Any], Predict], data: BaselineData, encode: Encode
) -> Fitted:
    """Choose a setting by the ranking of models on validation items, and scale its scores to probabilities there."""
    data.require_answers()
    x_VD, trained_M = data.validation_vectors_VD, data.trained_M
    with one_thread():
        tried = {setting: of(value) for setting, value in settings.items()}
        told = {setting: predict(x_VD)[:, trained_M] for setting, predict in tried.items()}
    best = max(settings, key=lambda setting: data.quality(told[setting]))
    scale, predict = data.scale_of_new(told[best]), tried[best]
    return Fitted(name, encode, by_column(name, data.ids, lambda vectors: scale(predict(vectors))), {"setting": best})


def _triples(correct_IM: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Draw items with a model that was right there and one that was wrong."""
    draw = np.random.default_rng(0)
    right_IM, wrong_IM = correct_IM >= 0.5, correct_IM < 0.5
    telling = np.flatnonzero(right_IM.any(axis=1) & wrong_IM.any(axis=1))
    item_P = draw.choice(telling, TRIPLES)
    chosen = [
        (draw.random(marks_IM[item_P].shape) * marks_IM[item_P]).argmax(axis=1) for marks_IM in (right_IM, wrong_IM)
    ]
    return item_P, chosen[0], chosen[1]


def _sample_model_loss(
    score_IM: Array, right_IM: NDArray[np.bool_], wrong_IM: NDArray[np.bool_]
) -> tuple[float, Array]:
    """Return the cross-entropy of each right model against all wrong ones, mean over the right ones, and its slope."""
    highest_I1 = score_IM.max(axis=1, keepdims=True)
    power_IM = np.exp(score_IM - highest_I1)
    wrong_I1 = (power_IM * wrong_IM).sum(axis=1, keepdims=True)
    share_IM = right_IM / right_IM.sum(axis=1, keepdims=True)
    chance_IM = power_IM / (power_IM + wrong_I1)
    missed_I1 = (share_IM * (1.0 - chance_IM)).sum(axis=1, keepdims=True)
    slope_IM = -share_IM * (1.0 - chance_IM) + missed_I1 * power_IM * wrong_IM / wrong_I1
    return float(-(share_IM * np.log(np.maximum(chance_IM, 1e-300))).sum()), slope_IM


def _sample_sample_loss(query_IR: Array, friends_I4: NDArray[np.intp]) -> tuple[float, Array]:
    """Return the cross-entropy of a query of the same cluster against three of others, and its slope."""
    other_I4R = query_IR[friends_I4]
    score_I4 = np.einsum("ir,ikr->ik", query_IR, other_I4R)
    score_I4 -= score_I4.max(axis=1, keepdims=True)
    chance_I4 = np.exp(score_I4) / np.exp(score_I4).sum(axis=1, keepdims=True)
    slope_I4 = chance_I4 - np.eye(friends_I4.shape[1])[0]
    slope_IR = np.einsum("ik,ikr->ir", slope_I4, other_I4R)
    np.add.at(slope_IR, friends_I4, slope_I4[..., None] * query_IR[:, None, :])
    return float(-np.log(np.maximum(chance_I4[:, 0], 1e-300)).sum()), slope_IR


def _friends(x_ID: Vectors, clusters: int) -> NDArray[np.intp]:
    """Draw for each item one of its cluster, then three of others (I, 4)."""
    label_I = bench_module("sklearn.cluster").KMeans(min(clusters, len(x_ID)), random_state=0).fit(x_ID).labels_
    draw, rows = np.random.default_rng(0), np.arange(len(x_ID))
    drawn = []
    for label in label_I:
        outside = rows[label_I != label]
        others = draw.choice(outside if len(outside) else rows, 3)
        drawn.append([draw.choice(rows[label_I == label]), *others])
    return np.array(drawn, np.intp)


def _ladders(ids: Iterable[str]) -> list[list[int]]:
    """Return the columns of each model's arms, from least effort to most, where there are two or more."""
    found: dict[str, list[tuple[int, int]]] = {}
    for column, id_ in enumerate(ids):
        model, _, effort = id_.partition("@")
        if effort in EFFORTS:
            found.setdefault(model, []).append((EFFORTS.index(effort), column))
    return [[column for _, column in sorted(arms)] for arms in found.values() if len(arms) > 1]


def _averages(member_IC: Array, correct_IM: Array, level_M: Array | None = None) -> Array:
    """Return accuracies of groups of items (C, M), shrunk towards each model's mean."""
    level_M = np.nanmean(correct_IM, axis=0) if level_M is None else level_M
    right_CM, count_CM = member_IC.T @ np.nan_to_num(correct_IM), member_IC.T @ ~np.isnan(correct_IM)
    return np.asarray((right_CM + PSEUDO * level_M) / (count_CM + PSEUDO))


def _distances(vectors_ND: Vectors, centres_CD: Array) -> Array:
    return np.asarray((centres_CD**2).sum(axis=1) - 2.0 * vectors_ND @ centres_CD.T)


def _minimise(objective: Callable[[Array], tuple[float, Array]], start: Array) -> Array:
    found = bench_module("scipy.optimize").minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 60}
    )
    return np.asarray(found.x)


def _with_one(vectors_ID: Vectors) -> Vectors:
    return np.hstack([vectors_ID, np.ones((len(vectors_ID), 1), np.float32)])
