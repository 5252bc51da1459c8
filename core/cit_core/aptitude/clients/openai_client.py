"""Client for OpenAI and for every server with its chat completions API."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cit_core.aptitude.clients.protocol import Answer, checked_answer
from cit_core.errors import InvalidInput, MissingExtra, Transient
from cit_core.provider_errors import answering, from_library

__all__ = ["OpenAIClient"]

OWN_SERVERS = ("api.openai.com", ".openai.azure.com")
"""Hosts with the option `max_completion_tokens`, the only one which their reasoning models take."""
SPOKEN = frozenset({"text", "output_text"})
"""Types of the parts of a content that are the answer; others hold thoughts, references or pictures."""


class OpenAIClient:
    """Client of one model on a server with OpenAI's chat completions API, for one event loop.

    Older releases of the `openai` package, 3.0 among them, write whole prompts to their own log where it is at DEBUG.

    Args:
        model: Name of the model on the server.
        api_key: Sent to the server and nowhere else.
        base_url: Address of the server, up to and with `/v1`; OpenAI's own if not given.
        temperature: Sampling temperature; not sent if not given, for reasoning models refuse it.
        max_tokens: Longest answer [tokens]; a reasoning model's thinking counts.
        effort: Reasoning effort, such as low or high; not sent if not given.
        system: Text of a system message before the prompt.
        timeout_s: Longest time without a byte from the server [s]; ten minutes if not given.

    Raises:
        MissingExtra: If the `openai` package is not installed.
        InvalidInput: If `base_url` is not the address of a server.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str,
        base_url: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        effort: str | None = None,
        system: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        try:
            from openai import AsyncOpenAI
        except ImportError as error:
            raise MissingExtra("openai", "openai") from error
        if base_url is not None and not base_url.startswith(("http://", "https://")):
            address = base_url.rpartition("@")[2]  # the part before it may be a password
            raise InvalidInput(f"base_url {address!r} is not an address; it is one such as http://localhost:8000/v1")
        timeout = {} if timeout_s is None else {"timeout": timeout_s}
        self._client = AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, **timeout)  # type: ignore[arg-type]
        self.name = model
        self.settings = {"model": model, "system": system, "temperature": temperature, "effort": effort}
        self._system = [] if system is None else [{"role": "system", "content": system}]
        longest = "max_completion_tokens" if self._client.base_url.host.endswith(OWN_SERVERS) else "max_tokens"
        options = {"temperature": temperature, longest: max_tokens, "reasoning_effort": effort}
        self._options: dict[str, Any] = {name: value for name, value in options.items() if value is not None}

    @classmethod
    def from_environment(
        cls, model: str, *, base_url: str | None = None, api_key_env: str | None = None, **options: Any
    ) -> OpenAIClient:
        """Make a client with the key, and an address that is not given, from OpenAI's own environment variables.

        Args:
            model: Name of the model on the server.
            base_url: Address of the server; the variable OPENAI_BASE_URL if not given.
            api_key_env: Variable that holds the key; OPENAI_API_KEY if not given, and then a server other than
                OpenAI's may go without.
            options: Options of the class.

        Raises:
            InvalidInput: If there is no key.
        """
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        return cls(model, api_key=_key(model, base_url, api_key_env), base_url=base_url, **options)

    async def ask(self, prompt: str, *, key: str) -> Answer:
        """Send one request; a body that is not a chat completion, or one without text, is `Transient`."""
        messages: Any = [*self._system, {"role": "user", "content": prompt}]
        headers = {"Idempotency-Key": quote(key)}
        with answering(from_library):
            completion: Any = await self._client.chat.completions.create(
                model=self.name, messages=messages, extra_headers=headers, **self._options
            )
        return _read(completion)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def _read(completion: Any) -> Answer:
    """Return a chat completion as an answer: the library checks nothing of what a server sends."""
    try:
        choice = completion.choices[0]
        text, declined, reason = _text(choice.message.content), choice.message.refusal, choice.finish_reason
    except (AttributeError, IndexError, KeyError, TypeError):
        raise Transient("the server's answer is not a chat completion") from None
    if getattr(choice, "error", None):  # OpenRouter, of its upstream
        reason = "error"
    usage = getattr(completion, "usage", None)
    return checked_answer(
        declined if text is None else text,  # a refusal in words is an answer, too
        reason,
        prompt_tokens=getattr(usage, "prompt_tokens", None),
        completion_tokens=getattr(usage, "completion_tokens", None),
    )


def _text(content: Any) -> Any:
    """Return the text of a content which may come in parts, as from Mistral's reasoning models."""
    if not isinstance(content, (list, tuple)):
        return content
    parts = [part for part in content if getattr(part, "type", None) or isinstance(part, Mapping)]
    if content and not parts:
        return None  # a list of something else is no content
    return "".join(filter(None, map(_spoken, parts)))


def _spoken(part: Any) -> str | None:
    """Return the text of a part that belongs to the answer; None for a thought, a reference or a picture."""
    fields = part if isinstance(part, Mapping) else vars(part)
    text = fields.get("text")
    if isinstance(text, Mapping):  # as {"type": "text", "text": {"value": ...}}
        text = text.get("value")
    return text if fields.get("type") in SPOKEN and isinstance(text, str) else None


def _key(model: str, base_url: str | None, api_key_env: str | None) -> str:
    variable = api_key_env or "OPENAI_API_KEY"
    key = os.environ.get(variable, "").strip()
    if not key and base_url and api_key_env is None:
        return "none"  # local servers ask for no key, and the library asks for some
    if not key or not key.isascii():
        raise InvalidInput(
            f"{variable} {'is not a key' if key else 'is not set'}; openai:{model} needs it to hold the server's key "
            "(--api-key-env names another variable, --base-url another server)"
        )
    return key
