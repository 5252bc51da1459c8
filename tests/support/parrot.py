"""Stand-ins for a chat model and a listener, importable by name so that they pickle."""

from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class Parrot(BaseChatModel):
    """Answers `NAME heard LAST MESSAGE`, word by word when streamed, and names the keyword arguments that it got."""

    called: str

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def _answer(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> str:
        extra = {**kwargs, "stop": stop} if stop else kwargs
        return f"{self.called} heard {messages[-1].text}" + (f" with {sorted(extra)}" if extra else "")

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        text = self._answer(messages, stop, kwargs)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        words = self._answer(messages, stop, kwargs).split(" ")
        for place, word in enumerate(words):
            chunk = ChatGenerationChunk(message=AIMessageChunk(word if place == 0 else f" {word}"))
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class Listener(BaseCallbackHandler):
    """Keeps the custom events that it hears, each with the run it belongs to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def on_custom_event(self, name: str, data: Any, *, run_id: Any, tags: Any = None, metadata: Any = None, **_: Any):
        self.events.append({"name": name, "data": data, "run_id": run_id, "tags": tags, "metadata": metadata})


def prefer_large_for_hard(instruction: str, candidate: str) -> float:
    """The large one for what is hard, the small one for the rest."""
    return 0.9 if (candidate == "large") == ("hard" in instruction) else 0.4
