"""Baselines that explain all models at once, by a few factors of the question that are read off its vector.

    log-odds of y_im = f(A x_i) . u_m - b . x_i        x_i: the question's vector and a 1;  u_m ~ N(0, 1)

The three differ in f, and in whether a model has a level beside its factors. The question's side (A, b) is learned from
the models to learn from and then held fixed; every model, new ones too, gets its u_m from its own answers.

Axes: I items, N queries, V validation items, M models, T models to learn from, D width (and the 1), R factors (and the
level), S factors and the difficulty.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import log_odds, sigmoid
from cit_core.evaluate.baselines.baseline_data import Array, BaselineData
from cit_core.evaluate.baselines.fixed import BestByAptitude
from cit_core.evaluate.baselines.protocol import Encode, Fitted, Uses, bench_module, by_column, one_thread

__all__ = ["IRT", "MatrixFactorisation", "TextOnly"]

ITERATIONS = 100
"""Maximum number of L-BFGS iterations: the loss is within 0.3 % of its minimum then."""
START = 0.1
"""Standard deviation of the first weights."""
DECAYS = (30.0, 100.0, 300.0, 1000.0)


class _Activation(NamedTuple):
    """f, its derivative as a function of its value, and True if a constant factor is added: a model's level."""

    f: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    level: bool


LINEAR = _Activation(lambda x: x, np.ones_like, level=True)
POSITIVE = _Activation(lambda x: np.logaddexp(0.0, x), lambda f: -np.expm1(-f), level=False)
HIDDEN = _Activation(np.tanh, lambda f: 1.0 - f**2, level=True)


class _Items(NamedTuple):
    """The items' parameters: map a vector to factors and difficulty."""

    activation: _Activation
    weights_DS: NDArray[np.float32]
    """A and, as its last column, b."""

    def __call__(self, x_ID: NDArray[np.float32]) -> tuple[Array, Array]:
        """Return factors (I, R) and difficulties (I,)."""
        linear_IS = (x_ID @ self.weights_DS).astype(np.float64)
        factors_IR = self.activation.f(linear_IS[:, :-1])
        if self.activation.level:
            factors_IR = np.hstack([factors_IR, np.ones((len(x_ID), 1))])
        return factors_IR, linear_IS[:, -1]

    def log_odds(self, x_ID: NDArray[np.float32], models_MR: Array) -> Array:
        factors_IR, difficulty_I = self(x_ID)
        log_odds_IM: Array = factors_IR @ models_MR.T - difficulty_I[:, None]
        return log_odds_IM


class MatrixFactorisation:
    """Linear factors of the question times an embedding of the model, with a level (EmbedLLM, RouteLLM).

    Args:
        factors: Ranks to choose from.
        decays: Ridges on the question's side to choose from.
    """

    name = "matrix factorisation"
    uses: Uses = "responses"

    def __init__(self, factors: Sequence[int] = (2, 4, 8), decays: Sequence[float] = DECAYS) -> None:
        self.factors, self.decays = tuple(factors), tuple(decays)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose rank and decay."""
        return _fit(self.name, LINEAR, self.factors, self.decays, data, encode)


class IRT:
    """Multidimensional two-parameter item response theory: abilities, discriminations above 0 and a difficulty (MIRT).

    Args:
        factors: Numbers of abilities to choose from.
        decays: Ridges on the question's side to choose from.
    """

    name = "multidimensional IRT"
    uses: Uses = "responses"

    def __init__(self, factors: Sequence[int] = (2, 4, 8), decays: Sequence[float] = DECAYS) -> None:
        self.factors, self.decays = tuple(factors), tuple(decays)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose number of abilities and decay."""
        return _fit(self.name, POSITIVE, self.factors, self.decays, data, encode)


class TextOnly:
    """One network over the question's text with an output for each model: phi without a capability encoder.

    It knows nothing of a new model but its mean aptitude, the same for every query.

    Args:
        widths: Widths of the hidden layer to choose from.
        decays: Ridges on the hidden layer to choose from.
    """

    name = "text only"
    uses: Uses = "responses"

    def __init__(self, widths: Sequence[int] = (32,), decays: Sequence[float] = DECAYS) -> None:
        self.widths, self.decays = tuple(widths), tuple(decays)

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:
        """Choose width and decay."""
        trained_M = data.trained_M
        items, models_TR, (width, decay) = _best(HIDDEN, self.widths, self.decays, data)
        aptitude_M = log_odds(BestByAptitude().score([""], data.capabilities)[0])
        validation = len(data.validation_vectors_VD)
        scale = data.scale_of_new(np.tile(aptitude_M[trained_M], (validation, 1)))

        def predict(vectors_ND: NDArray[np.float32]) -> Array:
            predicted_NM = np.tile(scale(aptitude_M), (len(vectors_ND), 1))
            predicted_NM[:, trained_M] = sigmoid(items.log_odds(_with_one(vectors_ND), models_TR))
            return predicted_NM

        return Fitted(self.name, encode, by_column(self.name, data.ids, predict), {"width": width, "decay": decay})


def _fit(
    name: str,
    activation: _Activation,
    factors: Sequence[int],
    decays: Sequence[float],
    data: BaselineData,
    encode: Encode,
) -> Fitted:
    data.require_answers()
    items, _, (rank, decay) = _best(activation, factors, decays, data)
    x_ID, x_VD = _with_one(data.training_vectors_ID), _with_one(data.validation_vectors_VD)
    models_MR = _place(items, x_ID, data.training_correct_IM)
    scale = data.scale_of_new(items.log_odds(x_VD, _place(items, x_ID, data.as_new_IT)))

    def predict(vectors_ND: NDArray[np.float32]) -> Array:
        log_odds_NM = items.log_odds(_with_one(vectors_ND), models_MR)
        return sigmoid(np.where(data.trained_M, log_odds_NM, scale.log_odds(log_odds_NM)))

    return Fitted(name, encode, by_column(name, data.ids, predict), {"factors": rank, "decay": decay})


def _best(
    activation: _Activation, factors: Sequence[int], decays: Sequence[float], data: BaselineData
) -> tuple[_Items, Array, tuple[int, float]]:
    """Return the parameters of items and models that rank these best on validation items, and the hyper-parameters."""
    x_ID, x_VD = _with_one(data.training_vectors_ID), _with_one(data.validation_vectors_VD)
    correct_IT = data.training_correct_IM[:, data.trained_M]

    def tried() -> Iterator[tuple[_Items, Array, tuple[int, float]]]:
        for rank, decay in itertools.product(factors, decays):
            items = _learn(activation, x_ID, correct_IT, rank, decay)
            yield items, _place(items, x_ID, correct_IT), (rank, decay)

    return max(tried(), key=lambda one: data.quality(one[0].log_odds(x_VD, one[1])))


def _learn(activation: _Activation, x_ID: NDArray[np.float32], correct_IT: Array, rank: int, decay: float) -> _Items:
    """Fit the items' parameters together with the models', by L-BFGS on the log-loss with its ridges."""
    width, models = x_ID.shape[1], correct_IT.shape[1]
    cut = width * (rank + 1)

    def parts(packed: Array) -> tuple[_Items, Array]:
        items = _Items(activation, packed[:cut].reshape(width, rank + 1).astype(np.float32))
        return items, packed[cut:].reshape(models, -1)

    def objective(packed: Array) -> tuple[float, Array]:
        items, models_TR = parts(packed)
        factors_IR, difficulty_I = items(x_ID)
        loss, residual_IT = _log_loss(factors_IR @ models_TR.T - difficulty_I[:, None], correct_IT)
        by_factor_IR = (residual_IT @ models_TR[:, :rank]) * activation.slope(factors_IR[:, :rank])
        by_item_IS = np.column_stack([by_factor_IR, -residual_IT.sum(axis=1)]).astype(np.float32)
        ridge_P = np.where(np.arange(len(packed)) < cut, decay, 1.0)
        gradient_P = np.concatenate([(x_ID.T @ by_item_IS).ravel(), (residual_IT.T @ factors_IR).ravel()])
        return loss + 0.5 * float(ridge_P @ packed**2), gradient_P + ridge_P * packed

    start = np.random.default_rng(0).normal(scale=START, size=cut + models * (rank + activation.level))
    return parts(_minimise(objective, start))[0]


def _place(items: _Items, x_ID: NDArray[np.float32], correct_IM: Array) -> Array:
    """Fit the positions of models, (M, R), given the items': logistic regressions with the prior as their ridge."""
    factors_IR, difficulty_I = items(x_ID)
    shape = correct_IM.shape[1], factors_IR.shape[1]

    def objective(packed: Array) -> tuple[float, Array]:
        loss, residual_IM = _log_loss(factors_IR @ packed.reshape(shape).T - difficulty_I[:, None], correct_IM)
        return loss + 0.5 * float(packed @ packed), (residual_IM.T @ factors_IR).ravel() + packed

    return _minimise(objective, np.zeros(shape).ravel()).reshape(shape)


def _log_loss(log_odds_IM: Array, correct_IM: Array) -> tuple[float, Array]:
    """Return the log-loss summed over measured outcomes, and its derivative by the log-odds."""
    residual_IM = sigmoid(log_odds_IM) - correct_IM
    loss_IM = np.logaddexp(0.0, log_odds_IM) - correct_IM * log_odds_IM
    return float(np.nansum(loss_IM)), np.nan_to_num(residual_IM)


def _minimise(objective: Callable[[Array], tuple[float, Array]], start: Array) -> Array:
    minimize = bench_module("scipy.optimize").minimize
    with one_thread():
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return np.asarray(found.x)


def _with_one(vectors_ID: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.hstack([vectors_ID, np.ones((len(vectors_ID), 1), np.float32)])
