"""What a router may know of a LangChain input: the text to route on, and facts about the rest.

The text is the last human turn, so that a conversation keeps its route while tools are being called, or the whole
conversation. The facts are always of the whole, because the chosen candidate is given all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import BaseMessage, ChatMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase

from cit_core.errors import CITError, InvalidInput, UnknownCandidate
from cit_core.policy import QueryFacts
from cit_core.records import Decision
from cit_core.router import Query, Router, Sticky, estimate_tokens
from cit_core.router.concurrency import aside
from langchain_cit._configurable import forced_model, policy_of, thread_of
from langchain_cit._profiles import reasons_against

__all__ = ["Asking", "handed", "read_query"]

_MODALITY_OF_PART = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "audio_url": "audio",
    "input_audio": "audio",
    "video": "video",
    "video_url": "video",
    "input_video": "video",
}
"""Names of content parts: LangChain's own, and those of the providers' formats that it passes on as they are."""


def read_query(
    value: object,
    query_key: str | None = None,
    *,
    whole: bool = False,
    tools: bool = False,
    schema: bool = False,
) -> Query:
    """Find the query in anything that a chat model or a chain takes as input.

    Args:
        value: A text, a prompt value, a message, a list of messages, or a mapping that holds one of these.
        query_key: Where in a mapping the query stands; not needed for a mapping with a single key.
        whole: Take the text of the whole conversation, not that of the last human turn.
        tools: Whether the candidate is handed tools with it.
        schema: Whether the answer must follow a schema.

    Raises:
        InvalidInput: If there is no query in it.
    """
    if isinstance(value, Mapping):
        value = _pick(value, query_key)
    messages = _messages(value)
    media = frozenset(filter(None, (_modality(part) for message in messages for part in _parts(message))))
    texts = [(_role(message), _text(message)) for message in messages]
    tokens = estimate_tokens("".join(text for _, text in texts))
    facts = QueryFacts(tokens=tokens, modalities=media | {"text"}, tools=tools, structured_output=schema)
    turn = _choose(texts, media or _attached(messages))
    return Query(_whole(turn, [text for _, text in texts]) if whole else turn, facts)


def handed(route: Runnable[Any, Any], value: Any, query_key: str | None = None) -> Any:
    """What a route is given of an input: all of it, but a chat model, which takes no less than messages, only those.

    Args:
        route: Whose turn it is.
        value: What `read_query` could read.
        query_key: As there.
    """
    while isinstance(route, RunnableBindingBase):
        route = route.bound
    if not isinstance(route, BaseLanguageModel):
        return value
    if isinstance(value, Mapping):
        value = _pick(value, query_key)
    return [value] if isinstance(value, BaseMessage) else value


def _pick(value: Mapping[Any, Any], query_key: str | None) -> object:
    if query_key is None and len(value) == 1:
        return next(iter(value.values()))
    if query_key in value:
        return value[query_key]
    keys = ", ".join(map(repr, value)) or "none"
    wanted = "several keys and no query_key" if query_key is None else f"no key {query_key!r}"
    raise InvalidInput(
        f"the input is a dict with {wanted} (its keys: {keys}); "
        "say where the query stands: RunnableRouter(..., query_key=KEY)"
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
    """The last human turn with text; where only a picture was sent, what was said around it."""
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


def _attached(messages: Sequence[BaseMessage]) -> frozenset[str]:
    """A person has sent something of which not even the kind is known: a file by its id."""
    turns = (message for message in messages if _role(message) == "human")
    return frozenset({"file"} if any(isinstance(part, dict) for turn in turns for part in _parts(turn)) else ())


def _whole(turn: str, texts: Sequence[str]) -> str:
    """The turn, then everything, newest first: a scorer reads the beginning of a text."""
    return "\n\n".join([turn, *(text for text in reversed(texts) if text and text != turn)])


def _role(message: BaseMessage) -> str:
    role = message.role if isinstance(message, ChatMessage) else message.type
    return "human" if role in {"user", "HumanMessageChunk"} else role


def _text(message: BaseMessage) -> str:
    texts = [part if isinstance(part, str) else part.get("text") for part in _parts(message)]
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


def _parts(message: BaseMessage) -> Iterator[str | dict[Any, Any]]:
    yield from [message.content] if isinstance(message.content, str) else message.content


def _modality(part: str | dict[Any, Any]) -> str | None:
    """What a part of a message holds beside text; None for text and for what is not known."""
    if isinstance(part, str):
        return None
    names = [part["type"]] if "type" in part else part  # Bedrock's parts have no type: {"image": {...}}
    known = (_MODALITY_OF_PART.get(str(name)) for name in names)
    return next(filter(None, known), None) or _modality_of_file(part)


def _modality_of_file(part: dict[Any, Any]) -> str | None:
    holders = [part, *(inner for inner in part.values() if isinstance(inner, dict))]
    for mime in (holder.get(key) for holder in holders for key in ("mime_type", "media_type", "file_data")):
        if isinstance(mime, str):
            kind, _, rest = mime.removeprefix("data:").partition("/")
            if kind in {"image", "audio", "video"}:
                return kind
            if kind == "application" and rest.startswith("pdf"):
                return "pdf"
    return None


DECIDED = "__cit_decision"
"""Configurable entry with a decision that was made before the call."""


@dataclass(frozen=True)
class Decided:
    """A decision, by whom and for what: configs are inherited, and a router inside a candidate has its own to make."""

    routes: Mapping[str, Runnable[Any, Any]]
    value: Any
    decision: Decision


@dataclass(frozen=True)
class Asking:
    """Asks a router about calls.

    Attributes:
        router: What decides.
        routes: Who takes part: candidate id to what answers for it.
        query_key: For dict inputs, the key under which the query stands.
        whole: Route on the whole conversation, not on its last human turn.
        sticky: Where conversations are remembered; they are not if not given.
        unable: Who does not take part, and why.
    """

    router: Router
    routes: Mapping[str, Runnable[Any, Any]]
    query_key: str | None = None
    whole: bool = False
    sticky: Sticky | None = None
    unable: Mapping[str, str] = field(default_factory=dict)

    def query(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Query:
        """The question that a call puts to the router.

        Args:
            value: The input.
            kwargs: What the candidate will be called with; tools or a schema in it narrow the choice.
            config: Of the call.

        Raises:
            InvalidInput: If there is no query in the input, or the config asks for what there is not.
        """
        tools, schema = bool(kwargs.get("tools")), bool(kwargs.get("response_format"))
        read = read_query(value, self.query_key, whole=self.whole, tools=tools, schema=schema)
        thread = None if self.sticky is None else thread_of(config)
        return replace(
            read,
            policy=policy_of(config),
            model=self._forced(config),
            conversation=None if self.sticky is None or thread is None else self.sticky.conversation(thread),
            excluded={**self._without_route(), **reasons_against(self.routes, read.known_facts)},
        )

    def decide(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Decision:
        """Decide for one call, unless that was done before.

        Raises:
            InvalidInput: As `query`.
            NoCandidate: If every candidate is excluded.
        """
        decided = self._decided(value, config)
        return self.router.decide(self.query(value, kwargs, config)) if decided is None else decided

    async def adecide(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Decision:
        """As `decide`; the event loop is never blocked."""
        decided = self._decided(value, config)
        return await self.router.adecide(self.query(value, kwargs, config)) if decided is None else decided

    def decide_each(
        self, values: Sequence[Any], kwargs: Mapping[str, Any], configs: Sequence[RunnableConfig]
    ) -> list[Decision | CITError]:
        """Decide for a batch, with one call of the scorer; who cannot be routed has its error."""
        asked = [self._query_or_error(value, kwargs, config) for value, config in zip(values, configs, strict=True)]
        decided = iter(self.router.decide_each([query for query in asked if isinstance(query, Query)]))
        return [next(decided) if isinstance(query, Query) else query for query in asked]

    async def adecide_each(
        self, values: Sequence[Any], kwargs: Mapping[str, Any], configs: Sequence[RunnableConfig]
    ) -> list[Decision | CITError]:
        """As `decide_each`, in a worker thread."""
        return await aside("decisions", self.decide_each, values, kwargs, configs)

    def with_decisions(
        self, values: Sequence[Any], configs: Sequence[RunnableConfig], outcomes: Sequence[Decision | CITError]
    ) -> list[RunnableConfig]:
        """Configs that carry what was decided for each value; where it failed, the call itself finds out why."""
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
        if model is not None and model not in self.routes and model not in self.unable:
            raise UnknownCandidate(model, self.routes, "the routes (in cit_model)")
        return model

    def _without_route(self) -> dict[str, str]:
        here = self.routes.keys()
        return {c.id: self.unable.get(c.id, "no route leads to it") for c in self.router.candidates if c.id not in here}
