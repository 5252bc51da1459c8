"""Find the model that a name means: dated, prefixed, inside an ARN, in any case and punctuation."""

from __future__ import annotations

import re

__all__ = ["effort_of", "normalised", "spellings", "undated"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Reasoning efforts that a name may end with, as in `gpt-5-mini@low`."""
PREFIXES = re.compile(
    r"^(?:models/|publishers/[^/]+/models/|projects/[^/]+/locations/[^/]+/publishers/[^/]+/models/|"
    r"arn:aws[^:]*:bedrock:[^/]*/|(?:us|eu|apac|ap|global|us-gov)\.(?=[a-z0-9]+\.))"
)
BEDROCK_MAKER = re.compile(
    r"^(?:anthropic|meta|mistral|cohere|ai21|deepseek|qwen|openai|moonshotai|moonshot|minimax|zai|google)\.(?=[a-z])"
)
BEDROCK_VERSION = re.compile(r"-v\d+(?::\d+)?$|:\d+$")
DATE = re.compile(r"-(?:20\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))$")


def effort_of(name: str) -> tuple[str, str | None]:
    """Split `gpt-5-mini@low` into the model and its effort; None where the name has none."""
    model, at, effort = name.rpartition("@")
    return (model, effort.lower()) if at and effort.lower() in EFFORTS else (name, None)


def normalised(name: str) -> str:
    """Spell a name in one way: lower case, one hyphen for every run of punctuation between its parts."""
    return re.sub(r"[\s._]+", "-", name.strip().lower())


def undated(name: str) -> str:
    """Drop `-latest`, a trailing date and a trailing `-0` from a normalised name."""
    name = name.removesuffix("-latest")
    shorter = DATE.sub("", name)
    return shorter.removesuffix("-0") if shorter == name else shorter


def spellings(name: str) -> list[tuple[str | None, str]]:
    """List what a name may mean, the most literal reading first.

    Args:
        name: Name in an application: `openai:gpt-5-mini`, `openrouter/anthropic/claude-sonnet-4.5`,
            `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `publishers/google/models/gemini-2.5-flash@001`.

    Returns:
        Pairs of provider, None where the name does not say, and normalised name.
    """
    found: list[tuple[str | None, str]] = []

    def add(provider: str | None, written: str) -> None:
        short = normalised(written)
        for form in (short, undated(short)):
            if form and (provider, form) not in found:
                found.append((provider, form))

    add(None, name)
    bare = name.strip()
    head, colon, rest = bare.partition(":")
    provider = None
    if colon and "/" not in head and "." not in head and not head.startswith("arn") and rest:
        provider, bare = head.lower(), rest
        add(provider, bare)
    bare = _unwrapped(bare)
    if "/" in bare:
        *makers, bare = bare.split("/")
        provider = makers[-1].lower()
        add(provider, bare)
    add(provider, re.sub(r"@(?:\d+|default|latest)$", "", bare))
    add(None, bare)
    return found


def _unwrapped(name: str) -> str:
    """Take a name out of what a cloud wraps around it."""
    before = None
    while name != before:
        before = name
        name = PREFIXES.sub("", name)
    if BEDROCK_MAKER.match(name):
        name = BEDROCK_VERSION.sub("", BEDROCK_MAKER.sub("", name))
    return name
