"""One call of a chat model that routes: how its candidates are asked, whole or as a stream, and once more."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from cit_core.records import Decision
from cit_core.router import Attempts
from cit_core.router.empty_answer import EmptyAnswer, held_by, held_one
from cit_core.router.steps import Steps
from langchain_cit._cascade import Messages
from langchain_cit._first_token import (
    abuffered,
    afrom_first_token,
    buffered,
    from_first_token,
)
from langchain_cit._history import in_common
from langchain_cit._inputs import Asking
from langchain_cit._model_calls import agenerate, astream, generate, stream
from langchain_cit._response_metadata import Stamp, Unstamped
from langchain_cit._single_flight import same_call
from langchain_cit._streams import closing
from langchain_cit._wrapper import Wrapper

__all__ = ["ChatCall"]


@dataclass(frozen=True)
class ChatCall:
    """A call of `ChatCIT`.

    Attributes:
        asking: The router with its settings.
        routes: Chat model of each candidate.
        wrappers: What the wrapper around each of them adds.
        annotate: Whether answers carry the decision in their metadata.
        messages: The input.
        stop: The stop words.
        run: Run manager of the router's run, which follows an answer that is not verified first.
        options: The options for the candidate.
    """

    asking: Asking
    routes: Mapping[str, BaseChatModel]
    wrappers: Mapping[str, Wrapper]
    annotate: bool
    messages: list[BaseMessage]
    stop: list[str] | None
    run: Any
    options: Mapping[str, Any]

    def key(self, decision: Decision) -> Hashable:
        """Return what is equal for calls that a candidate's cache answers alike."""
        return same_call(decision.model, self.routes, self.messages, self.stop, self.options)

    def steps(self, decision: Decision) -> Steps:
        """Return the steps of the answer: one, or those of a cascade."""
        asking, adapter = self.asking, Messages(self.asking, self.messages, self._beside, self._again)
        return Steps(asking.cascade, decision, asking.fallback, adapter, asking.settlement(decision))

    def answer(self, steps: Steps, attempts: Attempts) -> ChatResult:
        """Return the answer of the candidate that a step is for, or of the next-best."""
        decision, run = steps.decision, self.run if steps.final else None
        try:
            while True:
                with attempts:
                    return self._stamp(decision, attempts).result(self._ask(attempts, run))
        except EmptyAnswer as error:
            return self._stamp(decision, attempts).result(held_one(error, attempts))

    async def aanswer(self, steps: Steps, attempts: Attempts) -> ChatResult:
        """Answer asynchronously; see `answer`."""
        decision, run = steps.decision, self.run if steps.final else None
        try:
            while True:
                with attempts:
                    return self._stamp(decision, attempts).result(await self._aask(attempts, run))
        except EmptyAnswer as error:
            return self._stamp(decision, attempts).result(held_one(error, attempts))

    def pieces(self, steps: Steps, attempts: Attempts) -> Generator[ChatGenerationChunk, None, None]:
        """Yield the answer for a step, from its first token on; all at once where it is verified first."""
        decision, run = steps.decision, self.run if steps.final else None
        wait = from_first_token if steps.final else buffered
        try:
            while True:
                with attempts:
                    stamp = self._stamp(decision, attempts)
                    options = {**self.wrappers[attempts.model].kwargs, **self.options}
                    chunks = stream(self.routes[attempts.model], self.messages, self.stop, run, options)
                    yield from map(stamp.chunk, wait(chunks, attempts))
                    yield from stamp.rest()
                    return
        except EmptyAnswer as error:
            yield from map(stamp.chunk, held_by(error, attempts))

    async def apieces(self, steps: Steps, attempts: Attempts) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield asynchronously; see `pieces`."""
        decision, run = steps.decision, self.run if steps.final else None
        wait = afrom_first_token if steps.final else abuffered
        try:
            while True:
                with attempts:
                    stamp = self._stamp(decision, attempts)
                    options = {**self.wrappers[attempts.model].kwargs, **self.options}
                    chunks = astream(self.routes[attempts.model], self.messages, self.stop, run, options)
                    async with closing(chunks), closing(wait(chunks, attempts)) as begun:
                        async for chunk in begun:
                            yield stamp.chunk(chunk)
                    for chunk in stamp.rest():
                        yield chunk
                    return
        except EmptyAnswer as error:
            for chunk in held_by(error, attempts):
                yield stamp.chunk(chunk)

    def _ask(self, attempts: Attempts, run: Any = None) -> ChatResult:
        model, wrapper = self.routes[attempts.model], self.wrappers[attempts.model]
        return wrapper.call(partial(generate, model, attempts, self.messages, self.stop, run), self.options)

    async def _aask(self, attempts: Attempts, run: Any = None) -> ChatResult:
        model, wrapper = self.routes[attempts.model], self.wrappers[attempts.model]
        return await wrapper.acall(partial(agenerate, model, attempts, self.messages, self.stop, run), self.options)

    def _again(self, attempts: Attempts, _decision: Decision) -> Callable[..., Any]:
        return lambda later=False: self._aask(attempts) if later else self._ask(attempts)

    def _beside(self, model: BaseChatModel) -> AIMessage:
        """Ask a candidate outside of any run."""
        options = dict(self.options) if self.stop is None else {**self.options, "stop": self.stop}
        return model.invoke(in_common(self.messages, model), {"tags": ["cit_shadow"]}, **options)

    def _stamp(self, decision: Decision, attempts: Attempts) -> Stamp | Unstamped:
        if not self.annotate:
            return Unstamped()
        name = self.routes[attempts.model]._get_ls_params().get("ls_model_name")
        return Stamp(decision, attempts, name or attempts.model)
