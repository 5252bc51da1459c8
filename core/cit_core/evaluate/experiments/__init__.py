"""The experiments of the paper, on outcomes of our own: each makes tables and figures from settings and scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CURRENT", "EXPERIMENTS", "FEW", "HALVED", "OF_TABLES", "OF_THE_CATALOGUE", "Experiment"]

OF_THE_CATALOGUE = ("zoos", "releases", "coverage", "onboarding")
"""Experiments that want sizes, release dates and answers to the core set."""
HALVED = ("mmlu-pro", "llmrouter", "zeroeval", "korbench", "bfcl2024", "reasoninggym", "medagents")
"""Tables that are halved, where they are there; else all logs are."""
FEW = ("llmrouter", "reasoninggym", "korbench", "medagents")
"""Settings from which a few questions are drawn."""
CURRENT = (*(name for name in HALVED if name != "mmlu-pro"), "tinybird", "pmllm2")
"""Tables that the catalogue has not seen, nor the networks that read them (`--unseen`)."""
OF_TABLES = {"halves": HALVED, "few": FEW, "current": CURRENT}
"""Experiments on these tables and no others."""


@dataclass(frozen=True)
class Experiment:
    """Title and question of an experiment."""

    title: str
    question: str


EXPERIMENTS: Mapping[str, Experiment] = {
    "baselines": Experiment(
        "Every scorer on the same outcomes", "Which way to choose is right most often, from the same knowledge?"
    ),
    "halves": Experiment(
        "Half of a log routes the other half", "What does evidence add on logs of other people, beside every baseline?"
    ),
    "few": Experiment("From a handful", "What are 8, 16, 32, 64 and 256 questions worth that every model answered?"),
    "zoos": Experiment("Zoos by size and date", "What is routing worth in small, mixed and strong zoos?"),
    "releases": Experiment("Models join in order of release", "Does it keep up without being trained again?"),
    "coverage": Experiment("What small models cover", "How much of what the best model answers do small ones answer?"),
    "current": Experiment(
        "Models of the catalogue, nothing measured", "What does a router know by published scores alone?"
    ),
    "newer": Experiment(
        "Releases and coverage with newer models", "Does it keep up to 2026, and what do models for one GPU cover?"
    ),
    "cost": Experiment("Quality against cost", "What does the quality of the best single model cost with routing?"),
    "onboarding": Experiment("Onboarding a model", "How many answers of a new model are enough, and what do more add?"),
    "overhead": Experiment("The time of a decision", "What does a decision cost as zoo and query grow?"),
    "paper": Experiment("Table 1: dataset by dataset", "What is routing worth on each dataset, in the paper's zoos?"),
    "pictures": Experiment(
        "Routing questions about pictures", "Do size, caption and OCR text help to choose, where no picture is read?"
    ),
    "robustness": Experiment("Robustness", "How many decisions flip when a question is put a little differently?"),
}
