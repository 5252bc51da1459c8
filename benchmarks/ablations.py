"""The paper's ablations as one command: one choice changed at a time, three seeds, intervals over seeds and questions.

    python benchmarks/ablations.py [--seeds 3] [--steps 200] [--base ours|paper] [--arms NAME ...]
        [--output benchmarks/results]

The world is planted: each model is strong or weak at each of five tasks, a question is made of its task's words, and
one wrong answer in four is right by luck, which a circle test finds out. Encoder and language model have two layers of
width 64 and random weights, so that a run is a minute on one core and the base can be told from its controls; real
sizes need a GPU and `cit train`. Models and questions that are routed were in no training: a new model is known by
its aptitude test alone. Axes: N questions, K models.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Punctuation, Whitespace
from tokenizers.pre_tokenizers import Sequence as Steps
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Column, Result, Table, facts, write_result
from cit_core.evaluate.tables import as_rich
from cit_core.mini.prompt import INQUIRY
from cit_core.outcomes import OutcomeMatrix, Split, random_zoos
from cit_core.paper import scorer
from cit_core.paper.dataset import TrainingData
from cit_core.paper.recipe import Recipe, Stage
from cit_core.paper.run import train
from cit_core.paper.scorer import PaperScorer
from cit_core.paper.weights import Parts
from cit_core.records import Capability, Task

Array = NDArray[np.float64]

TASKS, WORDS_OF_TASK, ITEMS_OF_TASK = 5, 4, 160
MODELS, NEW, VALIDATION = 44, 10, 2
STRONG, WEAK, LUCK = 0.9, 0.15, 0.25
WIDTH, LAYERS = 64, 2
DRAWS, RATE = 2000, 2e-3
BASE = "base"
BASES: Mapping[str, Mapping[str, Any]] = {
    "ours": {"network": {"capability": "set", "order": "capability_last", "shuffles": 1}, "objective": "listwise"},
    "paper": {},
}
"""What arms change: the choices that learn within minutes at this size, or the paper's, which need many more steps."""
ARMS: Mapping[str, Mapping[str, Any]] = {
    BASE: {},
    "no refined data: luck counts as right": {"refined": False},
    "strong candidates drawn no more often": {"strength": 0.0},
    "regression head": {"network": {"head": "regression"}},
    "half the width": {"width": WIDTH // 2},
    "groups of one candidate (the paper's objective)": {"objective": "group"},
    "capability first (the paper's order)": {"network": {"order": "capability_first"}},
    "pooled capability (the paper's)": {"network": {"capability": "pooled", "shuffles": 2}},
    "pooled, no perturbation: one order": {"network": {"capability": "pooled", "shuffles": 1}},
    "text only, first: no capability encoder": {
        "network": {"capability": "text", "order": "capability_first", "shuffles": 2}
    },
}


def world(seed: int) -> TrainingData:
    """Outcomes with a plan."""
    draw = np.random.default_rng(seed)
    task_I = np.repeat(np.arange(TASKS), ITEMS_OF_TASK)
    skill_KT = draw.choice([STRONG, WEAK], (MODELS, TASKS))
    knows_IK = (draw.random((len(task_I), MODELS)) < skill_KT.T[task_I]).astype(float)
    lucky_IK = np.maximum(knows_IK, draw.random(knows_IK.shape) < LUCK)
    asked = [" ".join(f"word{task}x{word}" for word in draw.integers(WORDS_OF_TASK, size=4)) for task in task_I]
    tasks = tuple(Task(id=f"task{t}", keywords=tuple(f"word{t}x{word}" for word in range(3))) for t in range(TASKS))
    table = OutcomeMatrix(
        name=f"planted-{seed}",
        item_ids=tuple(f"item {row}" for row in range(len(task_I))),
        candidates=tuple(f"model {column}" for column in range(MODELS)),
        correct_IK=lucky_IK,
        circle_IK=knows_IK,
        tasks=tuple(tasks[task].id for task in task_I),
        instructions=tuple(asked),
    )
    return TrainingData(table, tasks)


def parts(width: int, seed: int) -> Parts:
    """Encoder and language model with random weights, and a tokenizer of the world's words."""
    splitter = Steps([Whitespace(), Punctuation()])
    said = f"{INQUIRY} The model achieves accuracy on the task of yes no".lower()
    known = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        *(word for word, _ in splitter.pre_tokenize_str(said)),
        *'%,".',
        *map(str, range(101)),
    ]
    known += [f"word{task}x{word}" for task in range(TASKS) for word in range(WORDS_OF_TASK)]
    words = Tokenizer(WordLevel({word: id_ for id_, word in enumerate(dict.fromkeys(known))}, unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = Lowercase(), splitter
    words.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]")
    shape: dict[str, Any] = {
        "vocab_size": 512,
        "hidden_size": width,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
    }
    shape |= {"intermediate_size": 2 * width, "max_position_embeddings": 512, "pad_token_id": 0}
    torch.manual_seed(seed)
    lm = LlamaForCausalLM(LlamaConfig(**shape, num_key_value_heads=4, bos_token_id=2, eos_token_id=2))
    encoder = BertModel(BertConfig(**shape, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)).eval()
    return Parts(lm, tokenizer, encoder, tokenizer)


def recipe(steps: int, seed: int, arm: Mapping[str, Any]) -> Recipe:
    """The paper's two stages, small."""
    network = {"max_length": 8, "capability_length": 144, **arm["network"]}
    stages = [Stage(steps=steps, learning_rate=RATE, lm_learning_rate=RATE)]
    if network.get("capability") != "text":
        stages.insert(0, Stage(learns="connector", in_domain=True, steps=max(1, steps // 10), learning_rate=RATE))
    fields = {name: value for name, value in arm.items() if name in Recipe.model_fields and name != "network"}
    return Recipe(
        **{
            "network": network,
            "stages": tuple(stages),
            "split": Split(test_models=NEW, validation_models=VALIDATION),
            "tasks": TASKS,
            "hard_negatives": 0.0,
            "batch": 8,
            "items": 4 if fields.get("objective", "group") != "group" else 1,
            "weight_decay": 0.0,
            "evaluate_every": steps,
            "validation_items": 24,
            "seed": seed,
            **fields,
        }
    )


def gains(odds_NK: Array, correct_NK: Array, capabilities: Sequence[Capability]) -> Array:
    """Return points above always taking the best by aptitude, question by question, mean over zoos."""
    aptitude_K = np.array([each.mean_accuracy for each in capabilities])
    found = []
    for zoo in map(list, random_zoos(aptitude_K, 60)):
        chosen_N = odds_NK[:, zoo].argmax(axis=1)
        best = correct_NK[:, zoo[int(aptitude_K[zoo].argmax())]]
        found.append(correct_NK[np.arange(len(correct_NK)), np.array(zoo)[chosen_N]] - best)
    return np.asarray(100.0 * np.mean(found, axis=0))


def controls(
    trained: PaperScorer, asked: Sequence[str], capabilities: Sequence[Capability], seed: int
) -> dict[str, Array]:
    """Return log-odds by profiles that change hands, and by accuracies shuffled among a model's tasks."""
    draw = np.random.default_rng(seed)
    moved = [
        capabilities[(k + 1 + int(draw.integers(len(capabilities) - 1))) % len(capabilities)]
        for k in range(len(capabilities))
    ]
    mixed = [
        each.model_copy(
            update={
                "results": tuple(
                    line.model_copy(update={"accuracy": each.results[int(place)].accuracy})
                    for line, place in zip(each.results, draw.permutation(len(each.results)), strict=True)
                )
            }
        )
        for each in capabilities
    ]
    return {
        "base, profiles change hands": trained.log_odds(asked, moved),
        "base, accuracies shuffled among tasks": trained.log_odds(asked, mixed),
    }


def changed(base: str, arm: str) -> dict[str, Any]:
    """Return the settings of an arm: those of the base, and its one change."""
    first, change = BASES[base], ARMS[arm]
    return {**first, **change, "network": {**first.get("network", {}), **change.get("network", {})}}


def run(base: str, arm: str, steps: int, seed: int) -> dict[str, Array]:
    """Train one arm, and return its gains on held-out questions among models that it has not seen."""
    data, changes = world(seed), changed(base, arm)
    of = recipe(steps, seed, changes)
    learnt = data if changes.get("refined", True) else replace(data, table=replace(data.table, circle_IK=None))
    made = parts(changes.get("width", WIDTH), seed)
    with tempfile.TemporaryDirectory() as folder:
        train(learnt, Path(folder) / "run", of, parts=made)
        trained = PaperScorer.from_run(Path(folder) / "run", parts(changes.get("width", WIDTH), seed))
    new = of.split.models(data.table.candidates)["test"]
    test = data.table.split(of.split)["test"].of_models(new)
    capabilities = data.capabilities(data.suite(of.split, TASKS, of.questions), new)
    told = {arm: trained.log_odds(test.instructions, capabilities)}
    if arm == BASE:
        told |= controls(trained, test.instructions, capabilities, seed)
        told["oracle"] = test.correct_IK
    return {name: gains(odds_NK, test.correct_IK, capabilities) for name, odds_NK in told.items()}


def interval(by_seed: Sequence[Array]) -> Interval:
    """Return the mean over seeds with a bootstrap over seeds, and over questions within each."""
    draw = np.random.default_rng(0)
    means = []
    for _ in range(DRAWS):
        chosen = draw.integers(len(by_seed), size=len(by_seed))
        means.append(
            np.mean(
                [by_seed[seed][draw.integers(len(by_seed[seed]), size=len(by_seed[seed]))].mean() for seed in chosen]
            )
        )
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(np.mean([gain_N.mean() for gain_N in by_seed])), float(low), float(high))


def result(found: Mapping[str, list[Array]], seconds: Mapping[str, float], options: argparse.Namespace) -> Result:
    """Return the table of all arms."""
    base = found.get(BASE)
    columns = (
        Column("arm"),
        Column("above best by aptitude", "points"),
        Column("above base", "points"),
        Column("s to train", "count"),
    )
    rows = tuple(
        (
            name,
            interval(by_seed),
            interval([mine - its for mine, its in zip(by_seed, base, strict=True)]) if base and name != BASE else None,
            seconds.get(name),
        )
        for name, by_seed in found.items()
    )
    return Result(
        experiment="ablations",
        title="The paper's ablations, on planted skills",
        question="Which of the paper's choices help a network that has learnt to read capabilities?",
        held_out=f"{NEW} models and a fifth of the questions; {options.seeds} seeds: worlds and weights.",
        tables=(Table("One choice changed at a time", columns, rows, emphasis=(0,)),),
        figures=(),
        facts=facts(
            shlex.join(["python", *sys.argv]), data={}, seconds=round(sum(seconds.values()) * options.seeds, 1)
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--base", choices=list(BASES), default="ours")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--output", type=Path, help="folder for ablations.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scorer.ROW_TOKENS = 256  # a row's mask grows with its square, and here that is all that scoring costs
    logging.getLogger("transformers").setLevel(logging.ERROR)
    found: dict[str, list[Array]] = {}
    seconds: dict[str, float] = {}
    for arm in options.arms:
        started = time.monotonic()
        for seed in range(options.seeds):
            for name, gain_N in run(options.base, arm, options.steps, seed).items():
                found.setdefault(name, []).append(gain_N)
                Console().print(f"{name}, seed {seed}: {gain_N.mean():+.2f} points, {time.monotonic() - started:.0f} s")
        seconds[arm] = (time.monotonic() - started) / options.seeds
        whole = result(found, seconds, options)
        if options.output is not None:
            write_result(whole, options.output)
    for table in whole.tables:
        Console().print(as_rich(table))


if __name__ == "__main__":
    main()
