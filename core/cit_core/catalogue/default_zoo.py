"""The zoo in place of one that nobody named: models that people call today, those that the user's keys open."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DEFAULT_ZOO", "KEYS", "keys_of", "zoo_for"]

DEFAULT_ZOO = (
    "openai:gpt-5.6-luna",
    "openai:gpt-5.6-terra",
    "openai:gpt-5.6-sol",
    "anthropic:claude-haiku-4-5",
    "anthropic:claude-sonnet-5",
    "anthropic:claude-opus-5",
    "google_genai:gemini-3-flash-preview",
    "google_genai:gemini-3.5-flash",
    "deepseek:deepseek-v4-flash",
    "deepseek:deepseek-v4-pro",
    "mistralai:mistral-small-2506",
    "mistralai:mistral-large-3",
    "xai:grok-4-1-fast-non-reasoning",
    "xai:grok-4.5",
)
"""A cheap and a strong model of each of six makers, as `init_chat_model` takes them: with published scores, and without
an announced end."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google_genai": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "mistralai": ("MISTRAL_API_KEY",),
    "xai": ("XAI_API_KEY",),
}
"""Provider to the environment variables that its SDKs read a key from."""


def keys_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the providers with a key: provider to the name of its variable. No value is kept."""
    found = {provider: [name for name in names if environment.get(name)] for provider, names in KEYS.items()}
    return {provider: names[0] for provider, names in found.items() if names}


def zoo_for(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the models of `DEFAULT_ZOO` that the keys in an environment open; all of them if there is none."""
    keys = keys_of(environment)
    return tuple(name for name in DEFAULT_ZOO if not keys or name.partition(":")[0] in keys)
