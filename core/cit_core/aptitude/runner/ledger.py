"""The state of a test in a store: answered items, missing items, and whether the outcomes count yet.

A run needs no file of its own to resume: it asks the store. Each answer is committed in a transaction of its own,
and the source of a test that is not complete is held, so half a test is never taken for a capability.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from shlex import quote
from typing import Any

from cit_core.aptitude.runner.plan import AptitudeTest, Question
from cit_core.catalogue.candidates import public_candidate, with_newer_facts, with_own_facts
from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Item, Outcome, Usage
from cit_core.store import CapabilityStore, Writer, estimate_of, merge_items

__all__ = ["Ledger", "measured_usage", "settled_candidate"]


class Ledger:
    """The outcomes of one test, in memory and in the store.

    Args:
        test: The test.
        store: The store for its outcomes; None for one that does not exist yet.
        retest: Begin anew: `open` removes what the test has given, what it has cost and the settings it was begun with.
    """

    def __init__(self, test: AptitudeTest, store: CapabilityStore | None, *, retest: bool = False) -> None:
        self._test = test
        self._store = store
        self._retest = retest
        self._kept: dict[tuple[str, str], Outcome] = {}
        self._name = f"aptitude run {test.source}"
        self._note: dict[str, Any] | None = None if store is None or retest else store.setting(self._name)
        self._settings: dict[str, Any] = {}
        if store is not None and not retest and _by_id(store.candidates(), test.candidate):
            for source in (test.source, *test.turn_sources):
                for outcome in store.outcomes(candidate=test.candidate, source=source):
                    self._kept[source, outcome.item] = outcome

    def find(self, question: Question) -> Outcome | None:
        """Return the outcome of a question, if it was answered."""
        return self._kept.get((question.source, question.item.id))

    def outcome(self, item: Item) -> Outcome | None:
        """Return the outcome of an item, if it is decided."""
        return self._kept.get((self._test.source, item.id))

    def missing(self) -> list[Item]:
        """Return items without an outcome, in the suite's order."""
        return [item for item in self._test.items if self.outcome(item) is None]

    def answered(self) -> list[tuple[Question, Outcome]]:
        """Return every question that was answered, and so may have been paid, with its outcome."""
        asked = (question for item in self._test.items for question in self._test.questions(item))
        return [(question, outcome) for question in asked if (outcome := self.find(question)) is not None]

    @property
    def failed_cost_usd(self) -> float:
        """USD for attempts without an answer, earlier runs included, and for those that a killed run had under way."""
        return sum(self._costs())

    def _costs(self) -> tuple[float, float]:
        note = self._note or {}
        return float(note.get("failed_cost_usd") or 0.0), float(note.get("under_way_usd") or 0.0)

    def note_costs(self, failed: float, under_way: float = 0.0) -> None:
        """Keep what later runs must count, whatever becomes of this one.

        Args:
            failed: USD that attempts without an answer have cost, earlier runs included.
            under_way: USD that the questions which are asked now may cost.
        """
        if self._store is not None and (failed, under_way) != self._costs():
            with self._store.transaction() as writer:
                self._set_costs(writer, failed, under_way)

    def _set_costs(self, writer: Writer, failed: float, under_way: float) -> None:
        self._note = {**(self._note or {}), "failed_cost_usd": failed, "under_way_usd": under_way}
        writer.set_setting(self._name, self._note, replace=True)

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse to go on with a test that was begun with other settings: its answers would be of two models.

        Args:
            settings: Settings of the client that shape its answers.

        Raises:
            InvalidInput: Names the first setting that differs.
        """
        before = (self._note or {}).get("settings")
        now = _fingerprint(settings)
        if before is None or not self._kept:
            self._settings = now
            return
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                raise InvalidInput(
                    f"test {self._test.source!r} was begun with {_told(name, before.get(name))}, and this run has "
                    f"{_told(name, now.get(name))}; ask as before, or give the model another id (--as ID, "
                    "candidate= in Python)"
                )

    def open(self, candidate: str | Candidate, allowed: float) -> None:
        """Add the candidate, tasks and items of the outcomes to the store, and hold the sources, in one transaction.

        A published test stays published while no more items are missing than may be. All that can be refused is refused
        before anything is removed.

        Args:
            candidate: Facts that are given are added to the stored ones.
            allowed: Number of items that may lack an outcome.

        Raises:
            InvalidInput: If the store knows other facts of the candidate or, unless it is a retest, of an item.
        """
        assert self._store is not None
        missing = len(self.missing())
        started = missing < len(self._test.items)
        there, held = {source.id for source in self._store.sources()}, self._store.held()
        with self._store.transaction() as writer:
            if self._retest:
                for source in there.intersection((self._test.source, *self._test.turn_sources)):
                    writer.remove_source(source)
                writer.set_setting(self._name, {}, replace=True)
            else:
                self._refuse_others(writer)
                self._drop_corrected(writer, held)
            writer.add_candidates([settled_candidate(candidate, writer.candidates())], replace=True)
            known = {task.id for task in writer.tasks()}
            writer.add_tasks(task for task in self._test.suite.tasks if task.id not in known)  # keep known keywords
            writer.add_items(self._test.items, replace=self._retest)
            if self._settings and (self._note or {}).get("settings") != self._settings:
                self._note = {**(self._note or {}), "settings": self._settings}
                writer.set_setting(self._name, self._note)
            for source in self._test.turn_sources:
                writer.hold(source)
            if not started or missing > allowed:
                writer.hold(self._test.source)

    def _refuse_others(self, writer: Writer) -> None:
        stored = writer.find_items(item.id for item in self._test.items)
        try:
            for item in self._test.items:
                merge_items(stored.get(item.id, item), item)
        except InvalidInput as error:
            told = str(error).partition("; pass replace")[0]
            raise InvalidInput(
                f"{told}; for a question that was corrected, ask again, and so each model that was asked it: "
                "--retest (retest=True in Python)"
            ) from None

    def _drop_corrected(self, writer: Writer, held: Collection[str]) -> None:
        """Remove outcomes of questions that are asked with another answer now: with it, their ids have changed."""
        asked = {(item.instruction, item.options) for item in self._test.items}
        before = writer.find_items({id_ for _, id_ in self._kept}.difference(self._test.suite.item_ids)).values()
        gone = {item.id for item in before if (item.instruction, item.options) in asked}
        for source in {source for source, item in self._kept if item in gone}:
            writer.remove_source(source)
            kept = [outcome for (of, item), outcome in self._kept.items() if of == source and item not in gone]
            writer.add_outcomes(kept)
            if source in held:
                writer.hold(source)
        self._kept = {key: outcome for key, outcome in self._kept.items() if key[1] not in gone}

    def add(self, outcome: Outcome, costs: tuple[float, float] = (0.0, 0.0)) -> bool:
        """Keep an outcome, now; return True if it is the first of its kind.

        Args:
            outcome: The outcome.
            costs: As for `note_costs`, once this question is no longer under way; kept in the same transaction.
        """
        assert self._store is not None
        with self._store.transaction() as writer:
            new = writer.add_outcomes([outcome]).new
            if costs != self._costs():
                self._set_costs(writer, *costs)
        self._kept[outcome.source, outcome.item] = outcome
        return bool(new)

    def close(self, *, allowed: float, estimates: Mapping[str, tuple[float, int]] | None = None) -> bool:
        """Let the outcomes count if enough of them are there; returns whether they count.

        Args:
            allowed: Number of items that may lack an outcome.
            estimates: Task to accuracy and count, which count in place of the outcomes of an adaptive test.
        """
        assert self._store is not None
        if len(self.missing()) <= allowed:
            with self._store.transaction() as writer:
                if estimates is not None:
                    kept = {
                        "candidate": self._test.candidate,
                        "tasks": {task: [*told] for task, told in estimates.items()},
                    }
                    writer.set_setting(estimate_of(self._test.source), kept, replace=True)
                writer.release(self._test.source)
        return self._test.source not in self._store.held()


def _fingerprint(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they are kept: long texts, which may be private, as a hash."""
    plain = json.loads(json.dumps({name: value for name, value in settings.items() if value is not None}, default=str))
    return {
        name: value
        if isinstance(value, (int, float, bool)) or name in ("model", "effort")
        else hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        for name, value in plain.items()
    }


def _told(name: str, value: Any) -> str:
    if value is None:
        return f"no {name}"
    return f"{name} {value!r:.80}" if name in ("model", "effort", "temperature", "max_tokens") else f"another {name}"


def measured_usage(candidate: str, store: CapabilityStore | None) -> Usage:
    """Return a candidate's mean usage in tests that count; an empty `Usage` if it is not known."""
    if store is None or _by_id(store.candidates(), candidate) is None:
        return Usage()
    return store.capability(candidate).usage


def settled_candidate(given: str | Candidate, stored: Iterable[Candidate]) -> Candidate:
    """Return a candidate with the store's facts, else the catalogue's, and those that are given.

    Args:
        given: The candidate, or its id alone.
        stored: The store's candidates.

    Raises:
        InvalidInput: If the store has another fact than the one that is given.
    """
    facts = given if isinstance(given, Candidate) else Candidate(id=given)
    there = _by_id(stored, facts.id)
    stated = facts.stated()
    if there is None:
        return with_own_facts(public_candidate(facts.id) or Candidate(id=facts.id), stated)
    there, nothing = with_newer_facts(there), Candidate(id=facts.id)
    for name, value in stated.items():
        before = getattr(there, name)
        if before not in (value, getattr(nothing, name)):
            raise InvalidInput(
                f"{facts.id!r} has {name} {before!r} in the store and {value!r} came; "
                f"`cit models add {quote(facts.id)} --replace` with the fact changes what is stored"
            )
    return with_own_facts(there, stated)


def _by_id(candidates: Iterable[Candidate], id_: str) -> Candidate | None:
    return next((candidate for candidate in candidates if candidate.id == id_), None)
