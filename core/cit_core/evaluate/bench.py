"""The benchmark: experiments by name, over tables of outcomes, without calling an LLM.

What is slow - vectors of questions, scores of every method - is kept in a folder as it is done, so that a run which was
stopped goes on; everything else is arithmetic.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cit_core.aptitude.evidence_sources import Log
from cit_core.catalogue import catalogue_capabilities, core_suite
from cit_core.errors import InvalidInput
from cit_core.evaluate.baselines import Aptitude, Baseline, KNearest, Ridge
from cit_core.evaluate.catalogue_settings import catalogue_parts, catalogue_setting, compared_on_catalogue
from cit_core.evaluate.comparison import SINGLE_BEST
from cit_core.evaluate.experiments import CURRENT, EXPERIMENTS, FEW, HALVED, OF_TABLES, OF_THE_CATALOGUE
from cit_core.evaluate.experiments.baselines import OURS, baselines
from cit_core.evaluate.experiments.cascades import (
    AUROCS,
    DRAWS,
    KNOBS,
    QUICK_AUROCS,
    QUICK_DRAWS,
    QUICK_KNOBS,
    cascades,
)
from cit_core.evaluate.experiments.cost import cost, prices_of
from cit_core.evaluate.experiments.current import current
from cit_core.evaluate.experiments.few import KNOWN, SEEDS, Halved, few
from cit_core.evaluate.experiments.halves import BASELINES as HALVED_BY
from cit_core.evaluate.experiments.halves import QUICK as QUICKLY_HALVED
from cit_core.evaluate.experiments.halves import halves
from cit_core.evaluate.experiments.newer import NEWER, newer, newer_facts
from cit_core.evaluate.experiments.onboarding import ASKED, LOGGED, onboarding
from cit_core.evaluate.experiments.overhead import overhead
from cit_core.evaluate.experiments.pictures import HELD_OUT, REPEATS, Pictured, pictures
from cit_core.evaluate.experiments.releases import coverage, releases
from cit_core.evaluate.experiments.robustness import robustness
from cit_core.evaluate.experiments.seven_datasets import seven_datasets
from cit_core.evaluate.experiments.zoos import zoos
from cit_core.evaluate.log_settings import compared_on_log, measured_alike, own_tasks_setting
from cit_core.evaluate.predictions import (
    EVIDENCE,
    MEAN_ONLY,
    NETWORK,
    TASKS_SHUFFLED,
    Method,
    Scores,
    encoded,
    methods,
    predict,
    with_evidence,
)
from cit_core.evaluate.results import Figure, Result, Table, facts
from cit_core.evaluate.samples import MOST, at_most, thin
from cit_core.evaluate.setting import Compared, Setting
from cit_core.outcomes import OutcomeMatrix, Split, random_zoos
from cit_core.records import Capability
from cit_core.router.loading import Network

__all__ = ["MOST", "Bench", "at_most", "thin"]

QUICKLY_FITTED = (SINGLE_BEST, "k nearest neighbours", "clusters", "ridge")
"""Baselines of onboarding: they can be fitted for every step, in seconds."""
SHOWN = (SINGLE_BEST, "k nearest neighbours", "ridge")
"""Baselines drawn beside ours: always the same few, so that figures are comparable."""
MOST_NEWER = 3_000
"""Items of a table with newer models, about."""
ONLY_ZOOS = ("known-models-held-out-categories", "all-models-held-out-categories")
"""Settings that have no table among the baselines: they say there what others say."""

Parts = tuple[Sequence[Table], Sequence[Figure]]


@dataclass(frozen=True)
class Bench:
    """Tables of outcomes, a network, and a folder for what is slow.

    Attributes:
        catalogue: Outcomes of the catalogue's models, if there are any.
        logs: Tables with tasks of their own.
        scorer: The network under test.
        command: How this was called, for the record.
        more: Tables for `halves` and `few` alone.
        pictured: Questions about pictures, for `pictures` alone.
        with_newer: The catalogue's table with newer models, for `newer` alone.
        stored: All that a store holds, if the log `store` is its outcomes.
        told: What is known of models of the logs besides their outcomes.
        learnt: Tables that the network has learnt from: of these, questions alone can be held out.
        folder: Keeps vectors and scores; nothing is kept if not given.
        split: What is held out.
        chosen: Baselines in place of all.
        also: More methods: table 2's learners on vectors of another encoder.
        quick: Measure fewer times, ask fewer questions, take fewer steps.
        tell: Told what is being done.
    """

    catalogue: OutcomeMatrix | None
    logs: Sequence[OutcomeMatrix]
    scorer: Network
    command: str
    more: Sequence[OutcomeMatrix] = ()
    pictured: Pictured | None = None
    with_newer: OutcomeMatrix | None = None
    stored: Log | None = None
    told: Mapping[str, Capability] = field(default_factory=dict)
    learnt: Collection[str] = ()
    folder: Path | None = None
    split: Split = field(default_factory=Split)
    chosen: Sequence[Baseline] | None = None
    also: Sequence[Method] = ()
    quick: bool = False
    tell: Callable[[str], None] = lambda _what: None

    def run(self, names: Sequence[str] = ()) -> Iterator[Result]:
        """Run experiments one after the other, and yield their results.

        Args:
            names: Of experiments; all that these tables allow if not given.

        Raises:
            InvalidInput: If there is no experiment of a name, or these tables do not allow it.
        """
        for name in names:
            if name not in EXPERIMENTS:
                raise InvalidInput(f"no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
            if name in self._lacking:
                raise InvalidInput(f"{name!r} needs {self._lacking[name]}")
        for name in names or self._possible:
            self.tell(name)
            started = time.monotonic()
            tables, figures = self._parts[name]()
            yield self._result(name, tuple(tables), tuple(figures), time.monotonic() - started)

    @property
    def _lacking(self) -> Mapping[str, str]:
        """Experiment to what it needs and what is not here."""
        catalogue = "outcomes of the catalogue's models: `--data FOLDER`"
        absent = dict.fromkeys(OF_THE_CATALOGUE if self.catalogue is None else (), catalogue)
        if not self._newer:
            absent["newer"] = f"a table of newer models ({', '.join(NEWER)}): `--data FOLDER`"
        if self.pictured is None:
            absent["pictures"] = "items-mathvista.parquet and its outcomes: `--data FOLDER`"
        if not self._unseen(CURRENT):
            helps = "--unseen" if self._named(CURRENT) else "--data"
            absent["current"] = f"a table that {self.scorer.name} has not learnt from: `{helps} FOLDER`"
        return absent

    @property
    def _possible(self) -> list[str]:
        """Experiments that the tables allow."""
        named = {table.name for table in (*self._tables, *self.more)}
        lacking = {*self._lacking, *(name for name, wanted in OF_TABLES.items() if not named & {*wanted})}
        lacking |= set() if self.logs else {"paper"}
        if prices_of(self._everyone.setting.capabilities) is None:
            lacking.add("cost")
        return [name for name in EXPERIMENTS if name not in lacking]

    @property
    def _parts(self) -> Mapping[str, Callable[[], Parts]]:
        return {
            "baselines": self._baselines,
            "halves": lambda: halves(self._halved(HALVED), QUICKLY_HALVED if self.quick else HALVED_BY, self.tell),
            "few": lambda: few(
                self._halved(FEW), KNOWN[::2] if self.quick else KNOWN, 2 if self.quick else SEEDS, self.tell
            ),
            "zoos": self._zoos,
            "releases": lambda: _one(releases(self._everyone.setting, self._everyone.scores())),
            "coverage": lambda: _one(coverage(self._everyone.setting)),
            "current": lambda: current(self._unseen(CURRENT), self.scorer, self.split, self.tell),
            "newer": self._of_newer,
            "cost": self._cost,
            "onboarding": self._onboarding,
            "overhead": lambda: overhead(self.scorer, catalogue_capabilities(), repeats=3 if self.quick else 30),
            "paper": self._paper,
            "pictures": self._pictures,
            "robustness": self._robustness,
        }

    def _result(self, name: str, tables: tuple[Table, ...], figures: tuple[Figure, ...], seconds: float) -> Result:
        new = [] if self.catalogue is None else self.split.models(self.catalogue.candidates)["test"]
        return Result(
            experiment=name,
            title=EXPERIMENTS[name].title,
            question=EXPERIMENTS[name].question,
            held_out=HELD_OUT
            if name == "pictures"
            else "Questions by a seeded hash of their ids" + (f"; as new models {', '.join(new)}." if new else "."),
            tables=tables,
            figures=figures,
            facts=facts(
                self.command,
                data={table.name: table.digest() for table in self._used(name)},
                split=asdict(self.split),
                checkpoint=self.scorer.name,
                seed=self.split.seed,
                seconds=round(seconds, 1),
            ),
        )

    @property
    def _tables(self) -> list[OutcomeMatrix]:
        return ([] if self.catalogue is None else [self.catalogue]) + list(self.logs)

    def _used(self, name: str) -> list[OutcomeMatrix]:
        """Tables that an experiment's numbers come from."""
        if name == "pictures" and self.pictured is not None:
            return [self.pictured.table]
        if name == "newer":
            return self._newer
        own = {**OF_TABLES, "cost": HALVED}
        found = self._named(own[name]) if name in own else []
        if name == "current":
            return self._unseen(CURRENT)
        if name in OF_TABLES:
            return found
        there = {table.name for table in self._tables}
        return [*self._tables, *(table for table in found if table.name not in there)]

    def _named(self, names: Collection[str]) -> list[OutcomeMatrix]:
        """Tables of these names, thinned; all logs where there is none."""
        found = [at_most(table, self.split) for table in (*self._tables, *self.more) if table.name in names]
        return found or list(self.logs)

    def _unseen(self, names: Collection[str]) -> list[OutcomeMatrix]:
        """Tables of these names of which the network has learnt nothing."""
        return [table for table in self._named(names) if table.name not in self.learnt]

    def _halved(self, names: Collection[str]) -> list[Halved]:
        place = {name: at for at, name in enumerate(names)}
        tables = sorted(self._named(names), key=lambda table: place.get(table.name, 0))
        return [Halved(table, self.encoded(table), self.split) for table in tables]

    # -- what is slow: vectors and scores -----------------------------------------------------------------------------

    @cached_property
    def _vectors(self) -> dict[str, NDArray[np.float32]]:
        return {table.name: self.encoded(table) for table in self._tables}

    def encoded(self, table: OutcomeMatrix) -> NDArray[np.float32]:
        """Return the vectors of a table's items, from the folder where they are there."""
        return encoded(table, self.scorer, self.folder, self.tell)

    @cached_property
    def _methods(self) -> tuple[Method, ...]:
        rows = {text: (table.name, row) for table in self._tables for row, text in enumerate(table.instructions)}

        def encode(texts: Sequence[str]) -> NDArray[np.float32]:
            return np.stack([self._vectors[rows[text][0]][rows[text][1]] for text in texts])

        return (*self.also, *methods(self.scorer, encode, chosen=self.chosen))

    @cached_property
    def _scores(self) -> Callable[[Setting], dict[str, Scores]]:
        # A setting is made once and scored once, so its identity is enough of a key.
        found: dict[int, dict[str, Scores]] = {}

        def scores_of(setting: Setting) -> dict[str, Scores]:
            if id(setting) not in found:
                found[id(setting)] = predict(setting, self._methods, self.folder, self.tell)
            return found[id(setting)]

        return scores_of

    # -- what is compared ---------------------------------------------------------------------------------------------

    @cached_property
    def _compared(self) -> list[Compared]:
        """All that routers are compared on, in the order of the page."""
        found = [*self._of_catalogue, *self._of_logs]
        if not found:
            raise InvalidInput("there are no outcomes to compare routers on: `--data FOLDER` or `--store URL`")
        return found

    @cached_property
    def _of_catalogue(self) -> list[Compared]:
        if self.catalogue is None:
            return []
        vectors, unseen = self._vectors[self.catalogue.name], [log for log in self.logs if log.name not in self.learnt]
        return list(compared_on_catalogue(self.catalogue, vectors, self.split, unseen, self._scores))

    @cached_property
    def _of_logs(self) -> list[Compared]:
        found: list[Compared] = []
        for log in self.logs:
            learnt, stored = log.name in self.learnt, self.stored if log.name == "store" else None
            settings = compared_on_log(log, self._vectors[log.name], self.split, self.told, learnt, stored)
            found += [Compared(setting, partial(self._scores, setting)) for setting in settings]
        return found

    @property
    def _everyone(self) -> Compared:
        """All models of the catalogue; without them, of the first log."""
        return next(one for one in self._compared if self.catalogue is None or one.setting.name == "all-models")

    def _with_ours(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the methods among these that there are, and ours."""
        there = {method.name for method in self._methods}
        return tuple(name for name in (*names, *OURS) if name in there)

    # -- experiments of several settings ------------------------------------------------------------------------------

    def _baselines(self) -> Parts:
        shown = [one for one in self._compared if one.setting.name not in ONLY_ZOOS]
        uses = {method.name: method.uses for method in self._methods}
        return baselines([one.setting for one in shown], {one.setting.name: one.scores() for one in shown}, uses)

    def _cost(self) -> Parts:
        tables, figures = cost(self._everyone.setting, self._everyone.scores(), self._with_ours(SHOWN))
        aurocs, knobs, draws = (QUICK_AUROCS, QUICK_KNOBS, QUICK_DRAWS) if self.quick else (AUROCS, KNOBS, DRAWS)
        others, drawn = cascades(self._halved(HALVED), self.split, self.told, aurocs, knobs, draws, self.tell)
        return (*others, *tables), (*drawn, *figures)

    def _zoos(self) -> Parts:
        whole = [one for one in self._compared if one.setting.name.startswith("all-models")]
        return [table for one in whole for table in zoos(one.setting, one.scores())], ()

    def _onboarding(self) -> Parts:
        @cache
        def setting_of(asked: int, logged: int) -> Setting:
            assert self.catalogue is not None  # asked for in `run`
            vectors = self._vectors[self.catalogue.name]
            whole = catalogue_setting(self.catalogue, vectors, self.split, asked=asked, logged=logged)
            return catalogue_parts(whole, self.split)[0].setting

        def score(setting: Setting, name: str) -> Scores:
            (method,) = [method for method in self._methods if method.name == name]
            return predict(setting, [method], self.folder, self.tell)[name]

        zoos = random_zoos(setting_of(ASKED[-1], 0).aptitude)
        assert self.catalogue is not None
        core, parts = set(core_suite().item_ids), self.split.items(self.catalogue.item_ids)
        known = (self.catalogue.item_ids[row] for part in ("train", "validation") for row in parts[part])
        everything = sum(id_ not in core for id_ in known)
        asked, logged = list(ASKED), [*(number for number in LOGGED if number < everything), everything]
        if self.quick:
            asked, logged = [asked[0], asked[-1]], [logged[0], logged[-1]]
        return onboarding(setting_of, score, zoos, self._with_ours(QUICKLY_FITTED), asked, logged)

    def _paper(self) -> Parts:
        of_logs = [one for one in self._of_logs if not one.setting.name.endswith("-held-out-datasets")]
        if not of_logs:
            raise InvalidInput("'paper' needs a log of several datasets: `--store URL`, or a second table in --data")
        return seven_datasets([one.setting for one in of_logs], {one.setting.name: one.scores() for one in of_logs}), ()

    @property
    def _newer(self) -> list[OutcomeMatrix]:
        """Tables with newer models than the catalogue's."""
        found = {table.name: table for table in self.more}
        found |= {} if self.with_newer is None else {"mmlu-pro": self.with_newer}
        return [at_most(found[name], self.split) for name in NEWER if name in found]

    def _of_newer(self) -> Parts:
        scores: dict[str, dict[str, Scores]] = {}
        settings = []
        for given in self._newer:
            vectors = dict(zip(given.item_ids, self.encoded(given), strict=True))
            table = at_most(measured_alike(given), self.split, MOST_NEWER)
            rows = {text: vectors[id_] for text, id_ in zip(table.instructions, table.item_ids, strict=True)}
            vectors_ID = np.stack([vectors[id_] for id_ in table.item_ids])
            learnt = table.name in {"mmlu-pro", *self.learnt}
            setting = own_tasks_setting(table, vectors_ID, self.split, told=newer_facts(table.name), learnt=learnt)

            def encode(texts: Sequence[str], rows: Mapping[str, NDArray[np.float32]] = rows) -> NDArray[np.float32]:
                return np.stack([rows[text] for text in texts])

            fast = methods(self.scorer, encode, chosen=(Aptitude(), KNearest(), Ridge()))
            ours = [method for method in fast if method.name not in (MEAN_ONLY, TASKS_SHUFFLED)]
            scores[setting.name] = predict(setting, ours, self.folder, self.tell)
            settings.append(setting)
        return newer(settings, lambda setting: scores[setting.name])

    def _pictures(self) -> Parts:
        assert self.pictured is not None  # asked for in `run`

        def encode(texts: Sequence[str]) -> NDArray[np.float32]:
            assert self.pictured is not None
            return self.encoded(replace(self.pictured.table, instructions=tuple(texts)))

        return pictures(self.pictured, encode, self.split, 2 if self.quick else REPEATS, self.tell)

    def _robustness(self) -> Parts:
        setting, questions = self._compared[0].setting, 40 if self.quick else 300
        scorers = {NETWORK: self.scorer, EVIDENCE: with_evidence(setting, self.scorer)}
        return [robustness(setting, name, scorer, questions) for name, scorer in scorers.items()], ()


def _one(part: tuple[Table, Figure]) -> Parts:
    return (part[0],), (part[1],)
