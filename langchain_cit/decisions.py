"""CITDecisionModel: a decision model of LangChain that chooses among LLMs, for `ModelRouterMiddleware` and its kin.

Needs langchain-core 1.8 or newer, where decision models are beta.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

from cit_core.catalogue.aliases import find_id
from cit_core.errors import CITError, InvalidInput, UnknownCandidate
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy
from cit_core.records import Candidate, Decision
from cit_core.router import Query, Router
from cit_core.router.arm_options import told_effort
from cit_core.router.loading import listed_models
from cit_core.router.options import as_router, named_models
from langchain_cit._content import texts_of
from langchain_cit._inputs import read_query
from langchain_cit._models import model_name, router_among

try:
    from langchain_core.decisions import BaseDecisionModel, Choice, ClassifierResponse
except ImportError as error:
    raise ImportError(
        "CITDecisionModel needs langchain-core 1.8 or newer, which has decision models: "
        "pip install 'langchain-core>=1.8'"
    ) from error

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["CITDecisionModel"]


class CITDecisionModel(BaseDecisionModel):
    """A decision model that answers which LLM is most likely to get a text right.

    It answers a `Choice` with candidates of the router as labels: with the label that the router's policy prefers,
    each candidate's calibrated probability of a right answer, and the chosen one's as confidence. The probabilities are
    of independent events and do not add up to 1; a candidate that may not be chosen has 0. Instructions and criteria
    are not read. It calls no LLM.

    Args:
        router: The router, or the address of a store.
        policy: What to maximise, in place of the router's policy.
        constraints: Limits on which candidates may be chosen, in place of the router's.
        labels: Candidate of each label that is not an id itself: an id, a name such as `openai:gpt-5-mini`, a chat
            model, or a `ModelChoice`, as `ModelRouterMiddleware` takes them.
        model: Name of this model in traces.

    Raises:
        InvalidInput: If the router is none.
        UnknownCandidate: If a label's candidate is not in the router.

    Example:
        choices = {"fast": ModelChoice("openai:gpt-5-mini", "easy"), "powerful": ModelChoice(large_model, "hard")}
        ModelRouterMiddleware(choices=choices, instructions="", classifier=CITDecisionModel.from_models(choices))
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: str = "cit-router"
    router: Router = Field(exclude=True)
    labels: Mapping[str, str] = Field(default_factory=dict)

    def __init__(
        self,
        router: Any,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
        model: str = "cit-router",
    ) -> None:
        decides = as_router(router, policy, constraints)
        if labels is not None and not isinstance(labels, Mapping):
            raise InvalidInput(f"labels is {shown(labels)}; it must be a dict: label to candidate")
        known = {label: _candidate(label, given, decides.candidates) for label, given in (labels or {}).items()}
        super().__init__(router=decides, labels=known, model=model)

    @classmethod
    def from_models(
        cls,
        models: Iterable[Any] | Mapping[str, Any],
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        store: CapabilityStore | str | None = None,
        strict: bool = False,
        model: str = "cit-router",
    ) -> CITDecisionModel:
        """Decide among models that are named, with what is publicly known of them (`Router.from_models`); open none.

        Args:
            models: `provider:model` strings, chat models or `ModelChoice`s; a mapping's keys are the labels.
            policy: What to maximise.
            constraints: Limits on which candidates may be chosen.
            store: Outcomes of one's own; a store or its address.
            strict: Refuse a model of which nothing is known, and a text that cannot be decided.
            model: Name of this model in traces.

        Raises:
            InvalidInput: If there is none, or one tells no name.
        """
        given = [_meant(one) for one in listed_models(models.values() if isinstance(models, Mapping) else models)]
        named = named_models(given, model_name)
        router = router_among(named, policy, constraints, store, strict=strict)
        labels = dict(zip(models, named, strict=True)) if isinstance(models, Mapping) else None
        return cls(router, labels=labels, model=model)

    @property
    def _provider(self) -> str:
        return "cit-router"

    def _classify(self, state: Any, questions: Mapping[str, Any]) -> ClassifierResponse:
        """Answer every question with one call of the scorer.

        Raises:
            InvalidInput: If a question is no `Choice`.
            UnknownCandidate: If a label is not a candidate.
            NoCandidate: If every label's candidate is forbidden, or excluded and the router is strict.
        """
        ids = {name: self._ids(name, question) for name, question in questions.items()}
        outcomes = self.router.decide_each([self._query(state, labels) for labels in ids.values()])
        return self._response(ids, outcomes)

    async def _aclassify(self, state: Any, questions: Mapping[str, Any]) -> ClassifierResponse:
        """Classify without blocking the event loop; see `_classify`."""
        ids = {name: self._ids(name, question) for name, question in questions.items()}
        outcomes = await self.router.adecide_each([self._query(state, labels) for labels in ids.values()])
        return self._response(ids, outcomes)

    def _ids(self, name: str, question: Any) -> dict[str, str]:
        """Return the candidate of each label of a question."""
        if not isinstance(question, Choice):
            kind = getattr(question, "type", type(question).__name__)
            raise InvalidInput(
                f"question {shown(name)} is a {kind}; CITDecisionModel answers only a choice among LLMs: "
                "Choice(criteria={candidate id: None, ...}, instructions=...)"
            )
        known = [candidate.id for candidate in self.router.candidates]
        ids = {label: self.labels.get(label, label) for label in question.criteria}
        for label, id_ in ids.items():
            if id_ not in known:
                raise UnknownCandidate(label, known, "the router; say which it is: CITDecisionModel(labels={...})")
        return ids

    def _query(self, state: Any, ids: Mapping[str, str]) -> Query:
        try:
            read = read_query(_conversation(state))
        except InvalidInput as error:
            read = Query("", unreadable=str(error))
        outside = {c.id: "not among the labels" for c in self.router.candidates if c.id not in ids.values()}
        limits = self.router.constraints.among(ids.values())
        return replace(read, constraints=limits, excluded=outside)

    def _response(
        self, ids: Mapping[str, Mapping[str, str]], outcomes: Sequence[Decision | CITError]
    ) -> ClassifierResponse:
        answers = {}
        for (name, labels), outcome in zip(ids.items(), outcomes, strict=True):
            if isinstance(outcome, CITError):
                raise outcome
            answers[name] = {
                "type": "choice",
                "choice": next(label for label, id_ in labels.items() if id_ == outcome.model),
                "probabilities": {label: outcome.scores.get(id_, 0.0) for label, id_ in labels.items()},
                "confidence": outcome.probability,
            }
        request_id = next((out.id for out in outcomes if isinstance(out, Decision)), None)
        return ClassifierResponse.model_validate({"model": self.model, "answers": answers, "request_id": request_id})


def _conversation(state: Any) -> Any:
    """Return what can be read as a query in a state, which may be any JSON with messages in it."""
    if not isinstance(state, Mapping):
        return state
    if "messages" in state:
        return state["messages"]
    return " ".join(texts_of(list(state.values())))


def _candidate(label: str, given: Any, candidates: Sequence[Candidate]) -> str:
    """Return the id of the candidate that is meant by an id, a name, a chat model or a `ModelChoice`."""
    model = _meant(given)
    names = [model] if isinstance(model, str) else [getattr(model, name, None) for name in ("model_name", "model")]
    texts = [name for name in names if isinstance(name, str) and name]
    texts = [f"{text}@{effort}" for text in texts if (effort := told_effort(model))] + texts
    found = next((id_ for text in texts if (id_ := find_id(text, candidates))), None)
    if found is None:
        known = [candidate.id for candidate in candidates]
        raise UnknownCandidate(texts[0] if texts else label, known, "the router (in labels)")
    return found


def _meant(given: Any) -> Any:
    """Return the model of a `ModelChoice`, and anything else as it is."""
    return getattr(given, "model", given) if hasattr(given, "criteria") else given
