"""The metadata of a routed answer: its decision and the true model's name, each exactly once.

Once, because LangChain joins the texts in the metadata of chunks that it adds up: "gpt-4o" twice is "gpt-4ogpt-4o".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from cit_core.records import Decision
from cit_core.router import Attempts
from langchain_cit._trace import CIT_FALLBACK, CIT_ROUTE, fallback_event, route_event

__all__ = ["Stamp", "Unstamped", "whole"]

MODEL_NAME = "model_name"
"""Key of the model's name in LangChain's usage callbacks."""


class Stamp:
    """Add metadata to one answer. Chunks are stamped as they pass, none is held back.

    Args:
        decision: Goes into `response_metadata` as `cit_route`.
        attempts: Where another candidate answers than was chosen, `cit_fallback` says which failed.
        model_name: Name of the candidate that answers, if its own answer lacks it.
    """

    def __init__(self, decision: Decision, attempts: Attempts, model_name: str) -> None:
        self._said: dict[str, Any] = {CIT_ROUTE: route_event(decision)}
        if attempts.fell_back:
            self._said[CIT_FALLBACK] = fallback_event(decision, attempts)
        self._model_name = model_name
        self._named = False

    def result(self, result: ChatResult) -> ChatResult:
        """Return a whole answer with its metadata, as a copy: what came may lie in the candidate's cache."""
        return ChatResult(generations=[self._generation(g) for g in result.generations], llm_output=result.llm_output)

    def chunk(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """Return the next piece of an answer with what is left to say."""
        info, metadata = dict(chunk.generation_info or {}), dict(chunk.message.response_metadata)
        named = metadata.get(MODEL_NAME) or info.get(MODEL_NAME)
        last = getattr(chunk.message, "chunk_position", None) == "last"
        if self._named:
            info.pop(MODEL_NAME, None)
            metadata.pop(MODEL_NAME, None)
        elif not named and last:
            metadata[MODEL_NAME] = self._model_name
        self._named = bool(self._named or named or last)
        metadata.update(self._said)
        self._said = {}
        message = chunk.message.model_copy(update={"response_metadata": metadata})
        return ChatGenerationChunk(message=message, generation_info=info or None)

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """Yield what is left to say after the last piece."""
        if not self._named:
            metadata = {MODEL_NAME: self._model_name}
            yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata=metadata))

    def _generation(self, generation: ChatGeneration) -> ChatGeneration:
        told = generation.message.response_metadata
        metadata = {**told, **self._said, MODEL_NAME: told.get(MODEL_NAME) or self._model_name}
        message = generation.message.model_copy(update={"response_metadata": metadata})
        return generation.model_copy(update={"message": message})


class Unstamped:
    """Leave an answer as the candidate made it."""

    def result(self, result: ChatResult) -> ChatResult:
        """Return a whole answer."""
        return result

    def chunk(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """Return the next piece of an answer."""
        return chunk

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """Yield nothing."""
        yield from ()


def whole(result: ChatResult) -> ChatGenerationChunk:
    """Return a whole answer as the one piece of a stream, from a model that has no stream."""
    told = result.generations[0].message.model_dump(exclude={"type"})
    return ChatGenerationChunk(message=AIMessageChunk(**{**told, "chunk_position": "last"}))
