"""The router: a frozen snapshot of a zoo, a scorer that predicts, a policy that chooses.

Routing writes nothing and calls no LLM; `feedback` alone writes, to the store that the snapshot is of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cit_core.errors import InvalidInput
from cit_core.fork import no_fork
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy
from cit_core.records import Candidate, Decision, Item, Outcome, Suite
from cit_core.router.batching import Batching
from cit_core.router.concurrency import aside
from cit_core.router.decider import Decider
from cit_core.router.feedback import Feedback
from cit_core.router.loading import (
    DEFAULT,
    Origin,
    from_catalogue,
    from_store,
    listed_ids,
    open_scorer,
    open_store,
    pick_candidates,
    settled_store,
)
from cit_core.router.public_models import names_behind, open_public
from cit_core.router.scorer import Scorer

if TYPE_CHECKING:
    from cit_core.arms import Arm
    from cit_core.policy.exploration import Exploration
    from cit_core.router.decision_log import DecisionLog
    from cit_core.settings import Settings
    from cit_core.store import CapabilityStore

__all__ = ["Router"]


class Router(Decider):
    """Chooses one candidate for every query.

    All ways to route are thin over `decide_many`, which never raises for a query: each has its decision or its error.

    Args:
        scorer: Predicts.
        candidates: The zoo: capabilities, or bare candidates for a scorer that needs no measurements.
        policy: What to maximise: an object, or as the command line writes it, `cost:0.01`; `best` if not given.
        constraints: Limits on which candidates may be chosen: `Constraints`, or a dict of their fields.
        store_version: Version of what the capabilities were computed from; goes into every decision.
        completion_tokens: Length of an answer assumed where none was measured [tokens]; the mean of the candidates'
            answers that were, or 256, if not given.
        excluded: Candidates that are out of every decision, id to reason.
        feedback: Where `feedback` goes; a router that has none refuses it.
        batching: Score calls that coincide together; each call by itself if not given.
        default: Id of the candidate that answers what cannot be decided: an empty or unreadable query, none left, a
            scorer that fails. The best by level if not given: the highest mean accuracy, the first where none is known.
        strict: Raise an error for such a query instead.
        log: Where decisions are logged: a `DecisionLog`, the path of a file, a store, or `store` for the router's own.
        explore: Way to try other candidates now and then: `epsilon:0.02`, `thompson`, or an object; never if not given.
        pictures: What is done with pictures of queries beyond their size and the user's words: `Pictures(ocr=True)`.

    Raises:
        NoCandidate: If the zoo is empty.
        InvalidInput: If two candidates have the same id, or an option cannot be used.
    """

    origin: Origin | None = None
    """Arguments that open it again; None for a router that was assembled by hand."""

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path = "mini",
        *,
        models: Iterable[str] | None = None,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        evidence: bool = True,
        batching: Batching | Mapping[str, Any] | None = None,
        default: str | None = None,
        strict: bool = False,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
    ) -> Router:
        """Open the shipped network over models of the shipped catalogue: offline, on the CPU, without a key.

        Args:
            checkpoint: Name of a shipped checkpoint, or a folder: one that was exported, or a paper-style run.
            models: Names of public models (`from_models`); `cit_core.catalogue.default_zoo`, today's, if not given.
            policy: What to maximise.
            constraints: Limits on which candidates may be chosen.
            evidence: Among models of 2024, let their answers to similar questions correct the network.
            batching: Score calls that coincide together.
            default: Id of the candidate that answers what cannot be decided; the best by level if not given.
            strict: Raise an error for such a query instead.
            log: Where decisions are logged: a `DecisionLog`, the path of a file, a store, or `store` for its own.
            explore: Way to try other candidates now and then: `epsilon:0.02`, `thompson`, or an object.

        Raises:
            UnknownCandidate: If a model is not in the catalogue; the message names the closest ids.
            CheckpointError: If the checkpoint is missing or damaged.
            MissingExtra: If it is a run and torch is not installed.
        """
        if not isinstance(checkpoint, str | Path):
            raise InvalidInput(f"checkpoint is {shown(checkpoint)}; it must be a name or a folder, for example 'mini'")
        from cit_core.catalogue.resolve import public_names

        options: dict[str, Any] = {"policy": policy, "constraints": constraints, "batching": batching}
        options |= {"default": default, "strict": strict, "log": log, "explore": explore}
        wanted = listed_ids(models)
        if (public := public_names(wanted)) is not None:
            return cls.from_models(public, checkpoint=checkpoint, **options)
        with no_fork():
            opened = from_catalogue(checkpoint, evidence=evidence)
        zoo = pick_candidates(opened.capabilities, wanted, "the catalogue")
        router = cls(opened.scorer, zoo, store_version=opened.version, **options)
        router.notes = opened.notes
        router.origin = Origin(checkpoint=str(checkpoint), evidence=evidence)
        return router

    @classmethod
    def from_models(
        cls,
        models: Iterable[str | Arm | Candidate],
        *,
        store: CapabilityStore | str | None = None,
        checkpoint: str | Path = "mini",
        known_as: Mapping[str, str] | None = None,
        strict: bool = False,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        batching: Batching | Mapping[str, Any] | None = None,
        default: str | None = None,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
    ) -> Router:
        """Open a router among the models that you call, with what is publicly known of them: offline, without a key.

        Profiles come from the store where a model was measured, else from published scores; a model of which nothing is
        known counts as an average one of its price and age, and decisions for it carry a warning. `router.basis` says
        which.

        Args:
            models: Names as you call them (`openai:gpt-5-mini`, `anthropic:claude-sonnet-4-5@high`, a Bedrock ARN ...),
                arms, or candidates; their own prices and limits go before public ones. Or a mapping from ids of your
                own making to names or arms: `{"fast": "openai:gpt-5-mini"}`.
            store: Outcomes of your own, and where feedback goes; a store or its address, where one is made if need be.
            checkpoint: Name of a shipped checkpoint, or a folder.
            known_as: For ids of your own making, the name of the model: `{"fast": "gpt-5-mini"}`.
            strict: Refuse a model of which nothing is known, and a query that cannot be decided.
            policy: What to maximise.
            constraints: Limits on which candidates may be chosen.
            batching: Score calls that coincide together.
            default: Id of the candidate that answers what cannot be decided; the best by level if not given.
            log: Where decisions are logged: a `DecisionLog`, the path of a file, a store, or `store` for its own.
            explore: Way to try other candidates now and then: `epsilon:0.02`, `thompson`, or an object.

        Raises:
            InvalidInput: If a name is empty, given twice, ambiguous or, with `strict`, unknown.
            NoCandidate: If no model is given.
            CheckpointError: If the checkpoint is missing or damaged.
        """
        if isinstance(models, Mapping):
            known_as = {**names_behind(models), **(known_as or {})}
        opened = open_public(models, store, checkpoint, known_as, strict=strict)
        router = cls(
            opened.scorer,
            [one.capability for one in opened.found],
            policy=policy,
            constraints=constraints,
            store_version=opened.version,
            feedback=opened.feedback,
            batching=batching,
            default=default,
            strict=strict,
            log=log,
            explore=explore,
        )
        router.basis = {one.capability.candidate.id: one for one in opened.found}
        router.by_level = opened.by_level
        router.notes, router.origin, router.lengths = opened.notes, opened.origin, opened.lengths
        return router

    @classmethod
    def from_store(
        cls,
        store: CapabilityStore | str,
        scorer: Scorer | None = None,
        *,
        suite: Suite | None = None,
        models: Iterable[str] | None = None,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        evidence: bool = True,
        batching: Batching | Mapping[str, Any] | None = None,
        keep_texts: bool = False,
        default: str | None = None,
        strict: bool = False,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
    ) -> Router:
        """Open a snapshot of the candidates in a store, with capabilities computed from its outcomes.

        Where some candidates were measured, those that were not are excluded, with that reason.

        Args:
            store: Where the outcomes are, and where feedback goes; a store or the address of one that exists.
            scorer: Predicts; the shipped checkpoint if not given.
            suite: Compute capabilities over its items alone; over every item in the store if not given.
            models: Ids in the store; all of them if not given.
            policy: What to maximise.
            constraints: Limits on which candidates may be chosen.
            evidence: Let outcomes on similar questions correct a scorer that can be (`cit_core.evidence.scorer`).
            batching: Score calls that coincide together.
            keep_texts: Keep the texts of queries, in decisions and with feedback in the store; by default a hash and a
                vector are kept.
            default: Id of the candidate that answers what cannot be decided; the best by level if not given.
            strict: Raise an error for such a query instead.
            log: Where decisions are logged: a `DecisionLog`, the path of a file, a store, or `store` for its own.
            explore: Way to try other candidates now and then: `epsilon:0.02`, `thompson`, or an object.

        Raises:
            UnknownCandidate: If a model is not in the store; the message names the closest ids.
            NoCandidate: If the store holds no candidate.
            InvalidInput: If it is no store.
            StoreError: If there is no store at the address, or it cannot be opened. None is made.
        """
        store = open_store(store)
        opened = from_store(store, scorer, suite, evidence=evidence)
        zoo = pick_candidates(opened.capabilities, models, store.url)
        unmeasured = dict(opened.unmeasured)
        if all(capability.candidate.id in unmeasured for capability in zoo):
            unmeasured = {}  # whoever asks for these alone shall have them
        router = cls(
            opened.scorer,
            zoo,
            policy=policy,
            constraints=constraints,
            store_version=opened.version,
            excluded=unmeasured,
            feedback=Feedback(store, opened.network, keep_texts=keep_texts),
            batching=batching,
            default=default,
            strict=strict,
            log=log,
            explore=explore,
        )
        router.notes, router.lengths = opened.notes, opened.lengths
        router.origin = Origin(store=store.url, suite=suite, evidence=evidence) if scorer is None else None
        return router

    @classmethod
    def from_config(
        cls,
        config: str | Path | Settings | None = None,
        *,
        store: CapabilityStore | str | None = DEFAULT,
        checkpoint: str | Path = "mini",
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
    ) -> Router:
        """Open the router that `cit.toml` describes, as the command line does.

        Without models and a store it is one among those of today's that the keys in the environment open.

        Args:
            config: The file, or settings that were read; the file that `CIT_CONFIG` names or `cit.toml` here if not
                given. The environment (`CIT_STORE`, `CIT_POLICY`, `CIT_MODELS`) goes before a file.
            store: In place of the settings' store; None is the catalogue alone.
            checkpoint: Name of a shipped checkpoint, or a folder.
            policy: In place of the settings'.
            constraints: In place of the settings'.
            log: In place of the settings'.
            explore: In place of the settings'.

        Raises:
            InvalidInput: If a setting cannot be used.
            StoreError: If the store cannot be opened.
        """
        from cit_core.catalogue.default_zoo import zoo_for
        from cit_core.settings import Settings, read_settings

        settings = config if isinstance(config, Settings) else read_settings(config)
        given = {"policy": policy, "constraints": constraints, "log": log, "explore": explore}
        options: dict[str, Any] = {
            name: getattr(settings, name) if value is None else value for name, value in given.items()
        }
        opened = settled_store(settings.store) if store is DEFAULT else store
        if settings.models:
            names = {model.id: model.model for model in settings.models if model.model}
            candidates = [model.candidate for model in settings.models]
            options |= {"store": opened, "checkpoint": checkpoint, "known_as": names, "strict": settings.strict}
            return cls.from_models(candidates, **options)
        if opened is None:
            return cls.from_pretrained(checkpoint, models=zoo_for(os.environ), **options)
        return cls.from_store(opened, None if checkpoint == "mini" else open_scorer(checkpoint), **options)

    def is_stale(self) -> bool:
        """Return whether the store holds something newer than this snapshot; False for a router of no store."""
        return self._feedback is not None and self._feedback.store_version != self.store_version

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def feedback(
        self, about: Decision | str | Item, candidate: str, correct: float, *, key: str | None = None
    ) -> Outcome:
        """Keep how well a candidate answered, as an outcome in the store; it counts from the next snapshot on.

        A router that logs its decisions logs it too, and needs no store for that.

        Giving the same feedback again changes nothing, from whichever process it comes.

        Args:
            about: A decision of any router of this store, the id of one of this router's last decisions, or an item.
            candidate: Id of the candidate that answered; any candidate of the store.
            correct: How well, 0 to 1.
            key: Name of the answer that is judged, if there may be several for one decision or item.

        Returns:
            The outcome that was added.

        Raises:
            InvalidInput: If this router is of no store, does not remember the decision's id, `correct` is no number in
                [0, 1], or other feedback was given before; nothing is written.
            UnknownCandidate: If the candidate is not in the store.
        """
        name = about.id if isinstance(about, Decision) else about
        if self._feedback is not None:
            outcome = self._feedback.add(about, candidate, correct, key)
        elif self.log is not None and isinstance(name, str):
            outcome = Outcome(candidate=candidate, item=f"decision:{name}", correct=correct, source="feedback:log")
        else:
            raise InvalidInput(
                "this router is of no store that could keep feedback; make it with Router.from_models(..., store=...)"
            )
        if self.log is not None and isinstance(name, str):
            self.log.feedback(name, candidate, outcome.correct)
        return outcome

    async def afeedback(
        self, about: Decision | str | Item, candidate: str, correct: float, *, key: str | None = None
    ) -> Outcome:
        """Keep feedback as `feedback` does, in a worker thread: the event loop is never blocked."""
        return await aside("feedback", self.feedback, about, candidate, correct, key=key)
