"""Baselines from the literature for comparison with the router, fitted on the same outcomes.

All of them get the same items, vectors and profiles, learn on training items and choose their hyper-parameters on
validation items by the ranking of the training models. A baseline that uses "responses" needs a candidate's own
item-level outcomes; one that uses "profile" alone scores any candidate with an aptitude test.
"""

from __future__ import annotations

from cit_core.evaluate.baselines.baseline_data import BaselineData
from cit_core.evaluate.baselines.fixed import Aptitude, BestByAptitude, Random
from cit_core.evaluate.baselines.latent import IRT, MatrixFactorisation, TextOnly
from cit_core.evaluate.baselines.local import Clusters, KNearest, Ridge
from cit_core.evaluate.baselines.profiles import MLP, Forest
from cit_core.evaluate.baselines.protocol import Baseline, Fitted
from cit_core.evaluate.baselines.relatives import (
    AvengersPro,
    EquiRouter,
    GraphRouterLite,
    R2Router,
    RouterDC,
    relatives,
)

__all__ = [
    "IRT",
    "MLP",
    "Aptitude",
    "AvengersPro",
    "Baseline",
    "BaselineData",
    "BestByAptitude",
    "Clusters",
    "EquiRouter",
    "Fitted",
    "Forest",
    "GraphRouterLite",
    "KNearest",
    "MatrixFactorisation",
    "R2Router",
    "Random",
    "Ridge",
    "RouterDC",
    "TextOnly",
    "baselines",
    "quick_baselines",
    "relatives",
]


def baselines() -> tuple[Baseline, ...]:
    """Return all baselines, in the order of our tables."""
    return (
        Random(),
        Aptitude(),
        KNearest(),
        Clusters(),
        Ridge(),
        MLP(),
        Forest(),
        MatrixFactorisation(),
        IRT(),
        TextOnly(),
    )


def quick_baselines() -> tuple[Baseline, ...]:
    """Return all baselines with fewer hyper-parameters to choose from: for a look, not for a table."""
    return (
        Random(),
        Aptitude(),
        KNearest((40, 160)),
        Clusters((8, 32)),
        Ridge((30.0, 300.0)),
        MLP((3.0,)),
        Forest((80,), trees=30),
        MatrixFactorisation((4,), (300.0,)),
        IRT((4,), (300.0,)),
        TextOnly((32,), (300.0,)),
    )
