"""Tables to learn from: what the frozen reader makes of their texts, read once, and what draws their steps.

The first table is that of the core set, whose candidates sit a fresh aptitude test at every step. The models of the
others have the profiles that the catalogue gives them, as when a router meets questions of a kind that nobody measured.
What the first table holds out is held out of the others too: its test models, under every name that contains theirs or
is contained in it, and copies of its test questions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cit_core.catalogue import known_tasks
from cit_core.core_suite import build_core_suite
from cit_core.errors import InvalidInput
from cit_core.mini.config import TrainConfig
from cit_core.mini.features import States, encode_texts
from cit_core.mini.losses import log_odds, routing_loss
from cit_core.mini.network import ModelSAT
from cit_core.mini.sampler import Profiles, PublicSampler, Sampler, Step, measured_profiles
from cit_core.mini.weights import new_network
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Capability

__all__ = ["KnownTable", "Source", "TrainingTables", "without_models"]

AT_ONCE = 64
"""Validation items that are scored at once."""
COMPARED = 400
"""Letters and digits by which texts are told to be the same."""
FEWEST_MODELS = 3
"""A table with fewer models of which something is known tells little of them, and is not learnt from."""


class KnownTable(NamedTuple):
    """A table beside that of the core set."""

    table: OutcomeMatrix
    capabilities: Sequence[Capability]
    """Profiles of those of its models of which something is known."""


class _Texts(NamedTuple):
    """States of the texts of a table's items, whole and without answer options."""

    full: States
    bare: States


class Source(NamedTuple):
    """One table in one run."""

    name: str
    texts: _Texts
    outcomes: int
    """Outcomes that there are to learn from at a step, at most."""
    draw: Callable[[int, int], Step]
    """Draws a step of so many items and candidates."""
    validation: NDArray[np.intp]
    """Items that are validated on."""
    profiles: Profiles
    """Profiles of the models that are validated on them."""
    correct_NK: Tensor

    @torch.no_grad()
    def loss(self, network: ModelSAT, ranking_weight: float) -> float:
        """Return the loss on the validation items."""
        network.eval()
        odds = [
            log_odds(network, *self.texts.full.batch(self.validation[start : start + AT_ONCE].tolist()), self.profiles)
            for start in range(0, len(self.validation), AT_ONCE)
        ]
        return routing_loss(torch.cat(odds), self.correct_NK, ranking_weight).item()


class TrainingTables:
    """Tables with their texts read, for runs that leave some of them out.

    Args:
        table: Outcomes of the core set's models.
        others: Other outcomes, and what is known of their models.
        config: The run.
    """

    def __init__(self, table: OutcomeMatrix, others: Sequence[KnownTable], config: TrainConfig) -> None:
        self._config = config
        network, tokenizer = new_network(config.network)
        self._vectors = encode_texts(network, tokenizer, [task.description for task in known_tasks()])
        self._known = {other.table.name: other for other in others}
        self._held_out = {_plain(table.questions[row]) for row in config.split.items(table.item_ids)["test"]}
        self._tables = [table, *(self._some(other.table) for other in others)]
        self._texts = {one.name: self._read(network, tokenizer, one) for one in self._tables}

    def sources(self, without: Collection[str] = ()) -> list[Source]:
        """Return what a run draws from: the first table, and the others but for those that it leaves out.

        Items whose text is one of a table that is left out are left out, too.

        Raises:
            InvalidInput: If too few items of the first table are left.
        """
        hidden = {_plain(text) for name in without for text in self._known[name].table.questions}
        first, *others = self._tables
        public = (self._public(one, hidden | self._held_out) for one in others if one.name not in without)
        return [self._tested(first, hidden), *(source for source in public if source.outcomes)]

    def _some(self, table: OutcomeMatrix) -> OutcomeMatrix:
        """Return the items that a run may see, or so many of them."""
        split = self._config.split
        seen = np.setdiff1d(np.arange(len(table)), split.items(table.item_ids)["test"])
        order = np.argsort([split.fraction(f"read:{table.item_ids[row]}") for row in seen], kind="stable")
        return table.rows(np.sort(seen[order[: self._config.most_items]]))

    def _read(self, network: ModelSAT, tokenizer: Any, table: OutcomeMatrix) -> _Texts:
        full = States(network, tokenizer, table.instructions, self._config.max_length)
        if table.questions == table.instructions:
            return _Texts(full, full)
        return _Texts(full, States(network, tokenizer, table.questions, self._config.max_length))

    def _tested(self, table: OutcomeMatrix, hidden: Collection[str]) -> Source:
        config = self._config
        parts, models = config.split.items(table.item_ids), config.split.models(table.candidates)
        tasks, rows = [task.id for task in known_tasks()], _without(table, parts["train"], hidden)
        if len(rows) < max(config.items, config.mixed_items):
            raise InvalidInput(
                f"{len(rows)} training items of {table.name!r} are in no table that is left out: too few"
            )
        sampler = Sampler(table, rows, models["train"], tasks, self._vectors, config.seed)
        suite = build_core_suite(table, config.split)
        items = [suite.items[task.id] for task in suite.tasks]
        chosen = models["validation"] + models["train"]
        vectors = self._vectors[[tasks.index(task.id) for task in suite.tasks]]
        return Source(
            table.name,
            self._texts[table.name],
            len(rows) * min(len(models["train"]), config.candidates),
            partial(sampler.step, chimeras=config.chimeras),
            parts["validation"],
            measured_profiles(table, chosen, items, vectors),
            _correct(table, parts["validation"], chosen),
        )

    def _public(self, table: OutcomeMatrix, hidden: Collection[str]) -> Source:
        config = self._config
        parts, capabilities = config.split.items(table.item_ids), self._known[table.name].capabilities
        rows = _without(table, parts["train"], hidden)
        vector_of = {task.description: vector for task, vector in zip(known_tasks(), self._vectors, strict=True)}
        sampler = PublicSampler(table, rows, capabilities, vector_of, config.seed)
        return Source(
            table.name,
            self._texts[table.name],
            len(rows) * min(len(capabilities), config.candidates),
            sampler.step,
            parts["validation"],
            sampler.profiles(),
            _correct(table, parts["validation"], [one.candidate.id for one in capabilities]),
        )


def without_models(others: Sequence[KnownTable], new: Collection[str]) -> list[KnownTable]:
    """Return tables without the profiles of new models, nor of kin of theirs; without tables of too few others.

    Args:
        others: Tables.
        new: Names of models. Kin has a name that contains one of these, word for word, or is contained in it.
    """
    held_out = [_words(name) for name in new]

    def is_new(name: str) -> bool:
        return any(_words(name) in one or one in _words(name) for one in held_out)

    left = [KnownTable(one.table, [c for c in one.capabilities if not is_new(c.candidate.id)]) for one in others]
    return [one for one in left if len(one.capabilities) >= FEWEST_MODELS]


def _words(name: str) -> str:
    """Return the words of a name as they are compared."""
    return f"-{'-'.join(re.findall('[a-z0-9]+', name.lower()))}-"


def _without(table: OutcomeMatrix, rows: NDArray[np.intp], hidden: Collection[str]) -> NDArray[np.intp]:
    return np.array([row for row in rows if _plain(table.questions[row]) not in hidden], np.intp)


def _plain(text: str) -> str:
    """Return the beginning of a text by its letters and digits: copies of a question differ in spaces and signs."""
    return "".join(filter(str.isalnum, text.lower()))[:COMPARED]


def _correct(table: OutcomeMatrix, rows: NDArray[np.intp], models: Sequence[str]) -> Tensor:
    columns = [table.column(model) for model in models]
    return torch.tensor(table.correct_IK[rows][:, columns], dtype=torch.float32)
