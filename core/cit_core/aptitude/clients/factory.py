"""Clients from strings: `openai:gpt-4o-mini`, `python:package.module:function`, or a prefix of an installed package."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from operator import attrgetter
from pathlib import Path
from typing import Any

from cit_core.aptitude.clients.openai_client import OpenAIClient
from cit_core.aptitude.clients.protocol import CallableClient, Client
from cit_core.arms import Arm
from cit_core.errors import InvalidInput

__all__ = ["client", "load_object"]

ENTRY_POINTS = "cit_router.clients"
"""Group of entry points which add prefixes: each is a function from the text after the colon to a client."""


def client(
    model: str,
    *,
    base_url: str | None = None,
    api_key_env: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    system: str | None = None,
    timeout_s: float | None = None,
) -> Client:
    """Make a client from a string and a few options, as on a command line.

    Args:
        model: `openai:NAME`, an arm such as `openai:NAME@low,max_tokens=500`, `python:package.module:function`, or a
            prefix which an installed package adds: `langchain:` with what `init_chat_model` takes,
            `llamaindex:package.module:object`.
        base_url: Address of the server; not every prefix takes every option.
        api_key_env: Environment variable that holds the key.
        temperature: Sampling temperature; the provider's default if not given.
        max_tokens: Longest answer [tokens].
        effort: Reasoning effort, in the provider's own word.
        system: Text of a system message before every prompt.
        timeout_s: Longest time without a byte from the server [s].

    Raises:
        InvalidInput: If the prefix is unknown, it does not take an option, an arm asks for samples or says otherwise
            than an option, or there is no key.
        MissingExtra: If the package behind the prefix is not installed.
    """
    options = {
        "base_url": base_url,
        "api_key_env": api_key_env,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "effort": effort,
        "system": system,
        "timeout_s": timeout_s,
    }
    given = {name: value for name, value in options.items() if value is not None}
    arm = Arm.parse(model)
    if arm is not None:
        given = _as_run(arm, given)
    prefix, _, rest = (model if arm is None else arm.model).partition(":")
    make = _maker(prefix) if rest else None
    if make is None:
        listed = ", ".join(f"{known}:…" for known in sorted({*MAKERS, *entry_points(group=ENTRY_POINTS).names}))
        raise InvalidInput(f"no client for {model!r}; a model is given as {listed} (`openai:gpt-4o-mini`)")
    try:
        inspect.signature(make).bind(rest, **given)
    except TypeError as error:
        raise InvalidInput(f"{prefix}: {error}; set it where the model is made") from None
    return make(rest, **given)


def _as_run(arm: Arm, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options with what the arm's name says."""
    if arm.samples:
        raise InvalidInput(f"{arm.name!r} asks for samples; one answer to each question is tested: leave samples= out")
    said = {name: value for name in ("effort", "max_tokens") if (value := getattr(arm, name)) is not None}
    for name in said.keys() & given.keys():
        if said[name] != given[name]:
            raise InvalidInput(f"{arm.name!r} is asked with {name}={given[name]!r}; say it once: in the name or beside")
    return {**given, **said}


def load_object(path: str) -> Any:
    """Return the object at `package.module:name`; modules in the working directory are found as well.

    Raises:
        InvalidInput: If there is no such module, or nothing of this name in it.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise InvalidInput(f"{path!r} names no object; it is given as package.module:name")
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not have it there, and `python -m` does
        sys.path.append(here)
    try:
        return attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"cannot load {path!r}: {error}") from error


def _maker(prefix: str) -> Callable[..., Client] | None:
    if prefix in MAKERS:
        return MAKERS[prefix]
    for entry in entry_points(group=ENTRY_POINTS, name=prefix):
        loaded: Callable[..., Client] = entry.load()
        return loaded
    return None


def _python(path: str) -> Client:
    function = load_object(path)
    if not callable(function):
        raise InvalidInput(f"{path!r} is {type(function).__name__}; it must be a function from a prompt to an answer")
    return CallableClient(function, name=path)


MAKERS: dict[str, Callable[..., Client]] = {"openai": OpenAIClient.from_environment, "python": _python}
"""Prefixes which the core knows by itself."""
