"""Turn an input of LangChain into a query of the router: the text to route on, and facts about the rest.

The text is the last human turn, so that a conversation keeps its route while tools are being called, or the whole
conversation. The facts are always of the whole, because the chosen candidate is given all of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig, RunnableParallel, RunnableSequence
from langchain_core.runnables.base import RunnableBindingBase

from cit_core.errors import CITError, InvalidInput, UnknownCandidate
from cit_core.messages import shown
from cit_core.pictures import Picture, pictures_in
from cit_core.policy import Constraints, QueryFacts
from cit_core.records import Decision
from cit_core.router import Attempts, Cascade, Fallback, Query, Router, Sticky, estimate_tokens
from cit_core.router.choice import limits_among, meant
from cit_core.router.concurrency import aside
from cit_core.router.settlement import Settlement
from cit_core.router.shadow import Shadow
from cit_core.router.sticky import NO_CONVERSATION
from langchain_cit._configurable import check_keys, constraints_of, forced_model, policy_of, thread_of
from langchain_cit._content import count_tokens, modalities_of, parts_of, role_of, text_of
from langchain_cit._history import in_common
from langchain_cit._profiles import reasons_against, windows_of

__all__ = ["Asking", "handed", "read_query"]


def read_query(
    value: object,
    query_key: str | None = None,
    *,
    whole: bool = False,
    tools: bool = False,
    schema: bool = False,
    beside: bool = False,
) -> Query:
    """Return the query in anything that a chat model or a chain takes as input.

    Args:
        value: A text, a prompt value, a message, a list of messages, or a mapping that holds one of these.
        query_key: Key of the query in a mapping; not needed for a mapping with a single key.
        whole: Take the text of the whole conversation, not that of the last human turn.
        tools: True if the candidate is given tools with it.
        schema: True if the answer must follow a schema.
        beside: True if the candidate is also given the other values of a mapping, as chains are.

    Raises:
        InvalidInput: If there is no query in it.
    """
    given, value = value, _pick(value, query_key) if isinstance(value, Mapping) else value
    messages = _messages(value)
    media = frozenset(kind for message in messages for kind in modalities_of(message))
    texts = [(role_of(message), text_of(message)) for message in messages]
    tokens = max(1, count_tokens(messages))
    if beside and isinstance(given, Mapping):
        tokens += count_tokens([inner for inner in given.values() if inner is not value])
    facts = QueryFacts(tokens=tokens, modalities=media | {"text"}, tools=tools, structured_output=schema)
    turn = _choose(texts, media or _attached(messages))
    text = _whole(turn, [text for _, text in texts]) if whole else turn
    return Query(text, facts, pictures=_pictures(messages) if "image" in media else ())


def handed(route: Runnable[Any, Any], value: Any, query_key: str | None = None) -> Any:
    """Return what a route is given of an input: all of it, but a chat model only the messages.

    A chat model, or a chain that begins with one as structured outputs do, is given messages as it can read them.

    Args:
        route: Model or chain of the candidate.
        value: An input that `read_query` could read.
        query_key: See `read_query`.
    """
    model = _inside(route)
    if isinstance(model, BaseLanguageModel):
        value = _pick(value, query_key) if isinstance(value, Mapping) else value
        value = [value] if isinstance(value, BaseMessage) else value
    model = _reader(model)
    messages = value.to_messages() if isinstance(value, PromptValue) else value
    if not isinstance(messages, list) or not isinstance(model, BaseChatModel):
        return value
    common = in_common(messages, model)
    return value if common is messages else common


def _schema_tokens(kwargs: Mapping[str, Any], routes: Mapping[str, Runnable[Any, Any]]) -> int:
    """Return what the tools and the schema of a call add to the prompt [tokens]: those passed, or bound to a route."""
    bound = next((given for route in routes.values() if (given := getattr(route, "kwargs", {})).get("tools")), {})
    tools = kwargs.get("tools") or bound.get("tools")
    listed = tools if isinstance(tools, Sequence) else ()  # a middleware says only that there are some
    schemas = [given for given in (*listed, kwargs.get("response_format")) if isinstance(given, Mapping)]
    return estimate_tokens(json.dumps(schemas, default=str, ensure_ascii=False)) if schemas else 0


def _with_tokens(query: Query, tokens: int) -> Query:
    if not tokens or query.facts is None:
        return query
    return replace(query, facts=replace(query.facts, tokens=query.facts.tokens + tokens))


def _is_model(route: Runnable[Any, Any]) -> bool:
    return isinstance(_inside(route), BaseLanguageModel)


def _inside(route: Runnable[Any, Any]) -> Runnable[Any, Any]:
    while isinstance(route, RunnableBindingBase):
        route = route.bound
    return route


def _reader(inside: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Return what reads the input first; side by side with others, the first of them, as `include_raw` has it."""
    while isinstance(inside, RunnableSequence | RunnableParallel):
        inside = _inside(inside.first if isinstance(inside, RunnableSequence) else next(iter(inside.steps__.values())))
    return inside


def _pick(value: Mapping[Any, Any], query_key: str | None) -> object:
    if query_key is None and len(value) == 1:
        return next(iter(value.values()))
    if query_key in value:
        return value[query_key]
    keys = ", ".join(map(shown, value)) or "none"
    wanted = "several keys and no query_key" if query_key is None else f"no key {shown(query_key)}"
    raise InvalidInput(
        f"the input is a dict with {wanted} (its keys: {keys}); name the key of the query: "
        "RunnableRouter(..., query_key=KEY)"
    )


def _messages(value: object) -> list[BaseMessage]:
    if isinstance(value, PromptValue):
        return value.to_messages()
    if isinstance(value, str | BaseMessage):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise InvalidInput(
            f"the input holds {type(value).__name__} where the query should be; "
            "it must be a text, a prompt value, a message or a list of messages"
        )
    try:
        return convert_to_messages(value)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InvalidInput(
            "the input is a list that cannot be read as messages; "
            "each entry must be a message, a text, a (role, text) pair or a dict with 'role' and 'content'"
        ) from error


def _choose(texts: Sequence[tuple[str, str]], media: frozenset[str]) -> str:
    """Return the last human turn with text; where only a picture was sent, what was said around it."""
    for role in ("human", "system"):
        for speaker, text in reversed(texts):
            if speaker == role and text:
                return text
    if media:
        return f"Look at the attached {' and '.join(sorted(media))} and answer."
    for _, text in reversed(texts):
        if text:
            return text
    raise InvalidInput("the input holds no text to route on; pass the text that the LLM will be asked")


def _pictures(messages: Sequence[BaseMessage]) -> tuple[Picture, ...]:
    """Return the pictures of the last message that has any."""
    return next(filter(None, (pictures_in(parts_of(message)) for message in reversed(messages))), ())


def _attached(messages: Sequence[BaseMessage]) -> frozenset[str]:
    """Return `file` where a person has sent something of which not even the kind is known: a file by its id."""
    turns = (message for message in messages if role_of(message) == "human")
    return frozenset({"file"} if any(isinstance(part, dict) for turn in turns for part in parts_of(turn)) else ())


def _whole(turn: str, texts: Sequence[str]) -> str:
    """Return the turn, then everything, newest first: a scorer reads the beginning of a text."""
    return "\n\n".join([turn, *(text for text in reversed(texts) if text and text != turn)])


DECIDED = "__cit_decision"
"""Configurable entry with a decision that was made before the call."""


@dataclass(frozen=True)
class Decided:
    """A decision, which router made it and for what: configs are inherited, and a nested router has its own to make."""

    routes: Mapping[str, Runnable[Any, Any]]
    value: Any
    decision: Decision


@dataclass(frozen=True)
class Asking:
    """Ask a router about calls.

    Attributes:
        router: The router.
        routes: Model or chain of each candidate that takes part.
        fallback: Knows which candidates are cooling down.
        query_key: Key of the query in dict inputs.
        whole: Route on the whole conversation, not on its last human turn.
        sticky: Memory of conversations; none if not given.
        unable: Why each other candidate does not take part.
        default: Candidate that answers what cannot be decided; the router's own choice if not given.
        strict: Whether what cannot be decided is an error; as the router is if not given.
        cascade: Plans which candidate is asked first; none if not given.
        shadow: Compares some answers with another model's; none if not given.
    """

    router: Router
    routes: Mapping[str, Runnable[Any, Any]]
    fallback: Fallback
    query_key: str | None = None
    whole: bool = False
    sticky: Sticky | None = None
    unable: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    strict: bool | None = None
    cascade: Cascade | None = None
    shadow: Shadow | None = None

    def settlement(self, decision: Decision) -> Settlement | None:
        """Return what keeps the bill of an answer; None where nobody does."""
        return Settlement.of(self.router, decision, self.shadow)

    @property
    def is_strict(self) -> bool:
        """True if an undecidable input is an error."""
        return self.router.strict if self.strict is None else self.strict

    def attempts(self, decision: Decision) -> Attempts:
        """Return the attempts at the answer that was decided about."""
        known = {c.id: c.context_window for c in self.router.candidates}
        limits = windows_of(self.routes)
        windows = {id_: min(filter(None, (known.get(id_), limits.get(id_))), default=None) for id_ in self.routes}
        return self.fallback.attempts(decision, windows)

    def query(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Query:
        """Return the question that a call puts to the router.

        Args:
            value: The input.
            kwargs: The options that the candidate will be called with; tools or a schema in it narrow the choice.
            config: The config of the call.

        Returns:
            One that says why it has no text, if there is none in the input.

        Raises:
            InvalidInput: If the config asks for what there is not.
        """
        check_keys(config, self.routes.values())
        facts = {"tools": bool(kwargs.get("tools")), "schema": bool(kwargs.get("response_format"))}
        beside = isinstance(value, Mapping) and not all(map(_is_model, self.routes.values()))
        try:
            read = read_query(value, self.query_key, whole=self.whole, beside=beside, **facts)
            read = _with_tokens(read, _schema_tokens(kwargs, self.routes))
        except InvalidInput as error:
            read = Query("", unreadable=str(error))
        thread, model = None if self.sticky is None else thread_of(config), self._forced(config)
        asked = self.routes if model is None else {id_: route for id_, route in self.routes.items() if id_ == model}
        return replace(
            read,
            policy=policy_of(config),
            constraints=self._limits(config),
            model=model,
            default=self.default,
            strict=self.strict,
            conversation=None if self.sticky is None or thread is None else self.sticky.conversation(thread),
            excluded={
                **self._without_route(),
                **reasons_against(asked, read.known_facts),
                **self._excluded_by(config, read.known_facts),
            },
        )

    def decide(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Decision:
        """Decide for one call, unless that was done before.

        Raises:
            InvalidInput: See `query`.
            NoCandidate: If every candidate is excluded.
        """
        decided = self._decided(value, config)
        decision = self.router.decide(self.query(value, kwargs, config)) if decided is None else decided
        return self.finished(decision, config)

    async def adecide(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Decision:
        """Decide without blocking the event loop; see `decide`."""
        decided = self._decided(value, config)
        decision = await self.router.adecide(self.query(value, kwargs, config)) if decided is None else decided
        return self.finished(decision, config)

    def finished(self, decision: Decision, config: RunnableConfig) -> Decision:
        """Return a decision as planned, that shows cool-downs, and warns where stickiness is asked for and off."""
        decision = self.fallback.with_cool_downs(decision)
        if self.cascade is not None:
            decision = self.cascade.planned(decision)
        if self.sticky is None or thread_of(config) is not None or NO_CONVERSATION in decision.warnings:
            return decision
        self.sticky.tell_off()
        return decision.model_copy(update={"warnings": (*decision.warnings, NO_CONVERSATION)})

    def for_batch(self, return_exceptions: bool) -> Asking:
        """Return what asks for a batch: a caller that takes errors as results gets that of what cannot be decided."""
        return replace(self, strict=True) if return_exceptions and self.strict is None else self

    def decide_each(
        self, values: Sequence[Any], kwargs: Mapping[str, Any], configs: Sequence[RunnableConfig]
    ) -> list[Decision | CITError]:
        """Decide for a batch, with one call of the scorer; what cannot be routed has its error."""
        asked = [self._query_or_error(value, kwargs, config) for value, config in zip(values, configs, strict=True)]
        decided = iter(self.router.decide_each([query for query in asked if isinstance(query, Query)]))
        outcomes = [next(decided) if isinstance(query, Query) else query for query in asked]
        return [
            self.finished(out, config) if isinstance(out, Decision) else out
            for out, config in zip(outcomes, configs, strict=True)
        ]

    async def adecide_each(
        self, values: Sequence[Any], kwargs: Mapping[str, Any], configs: Sequence[RunnableConfig]
    ) -> list[Decision | CITError]:
        """Decide in a worker thread; see `decide_each`."""
        return await aside("decisions", self.decide_each, values, kwargs, configs)

    def with_decisions(
        self, values: Sequence[Any], configs: Sequence[RunnableConfig], outcomes: Sequence[Decision | CITError]
    ) -> list[RunnableConfig]:
        """Return configs that carry what was decided for each value; where it failed, the call itself finds out why."""
        return [
            {
                **config,
                "configurable": {**config.get("configurable", {}), DECIDED: Decided(self.routes, value, outcome)},
            }
            if isinstance(outcome, Decision)
            else config
            for value, config, outcome in zip(values, configs, outcomes, strict=True)
        ]

    def _decided(self, value: Any, config: RunnableConfig) -> Decision | None:
        found: Decided | None = config.get("configurable", {}).get(DECIDED)
        mine = found is not None and found.routes is self.routes and found.value is value
        return found.decision if found is not None and mine else None

    def _query_or_error(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Query | CITError:
        try:
            return self.query(value, kwargs, config)
        except CITError as error:
            return error

    def _forced(self, config: RunnableConfig) -> str | None:
        model = forced_model(config)
        if model is None or model in self.routes or model in self.unable:
            return model
        routed = [one for one in self.router.candidates if one.id in self.routes or one.id in self.unable]
        found = meant(model, routed, "the routes (in cit_model)")
        if len(found) > 1:
            raise UnknownCandidate(model, self.routes, "the routes (in cit_model)")
        return found[0]

    def _limits(self, config: RunnableConfig) -> Constraints:
        """Return the router's constraints; who has no route, and whom the call forbids, may not even be the default."""
        limits, own = self.router.constraints.among(self.routes), self._own_limits(config)
        if own is None:
            return limits
        return replace(limits if own.allow is None else limits.among(own.allow), deny=limits.deny | own.deny)

    def _own_limits(self, config: RunnableConfig) -> Constraints | None:
        """Return the constraints of a call, with ids for names."""
        own = constraints_of(config)
        return None if own is None else limits_among(own, self.router.candidates)

    def _excluded_by(self, config: RunnableConfig, facts: QueryFacts) -> dict[str, str]:
        """Return what the call's own constraints exclude, beside the router's: a caller can only narrow the choice."""
        constraints = self._own_limits(config)
        if constraints is None:
            return {}
        took = {c.candidate.id: c.usage.latency_s for c in self.router.capabilities if c.usage.latency_s is not None}
        return constraints.exclude(self.router.candidates, facts, took)

    def _without_route(self) -> dict[str, str]:
        here = self.routes.keys()
        return {c.id: self.unable.get(c.id, "no route leads to it") for c in self.router.candidates if c.id not in here}
