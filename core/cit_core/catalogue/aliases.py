"""Find the model that a name means: dated, prefixed, inside an ARN, in any case and punctuation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from cit_core.arms import Arm, samples_of
from cit_core.errors import InvalidInput
from cit_core.records import Candidate

__all__ = [
    "DEFAULT_TAG",
    "AmbiguousModel",
    "date_of",
    "effort_of",
    "find_id",
    "normalised",
    "spellings",
    "undated",
    "version_of",
]

PREFIXES = re.compile(
    r"^(?:models/|publishers/[^/]+/models/|projects/[^/]+/locations/[^/]+/publishers/[^/]+/models/|"
    r"arn:aws[^:]*:bedrock:[^/]*/|(?:[a-z]{2}|apac|global|us-gov)\.(?=[a-z0-9]+\.))"
)
BEDROCK_MAKER = re.compile(
    r"^(?:anthropic|meta|mistral|cohere|ai21|deepseek|qwen|openai|moonshotai|moonshot|minimax|zai|google)\.(?=[a-z])"
)
BEDROCK_VERSION = re.compile(r"-v\d+(?::\d+)?$|(?:(?<=\db)-\d)?:\d+$")
ROUTE = re.compile(r":(?:free|beta|online|nitro|floor|extended|thinking)$", re.IGNORECASE)
"""How OpenRouter is to serve a model: the facts are the model's, but `find_id` keeps such candidates apart."""
DATE = re.compile(r"-(?:20\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))$")


RESPELLED = (
    (re.compile(r"(?<=\d)p(?=\d)"), "-"),  # Fireworks: deepseek-v3p1
    (re.compile(r"^llama-v(?=\d)"), "llama-"),
    (re.compile(r"^meta-(?=llama)"), ""),
    (re.compile(r"^(gemma|gpt|llama)(?=\d)"), r"\1-"),  # Bedrock and Ollama: llama3-3
    (re.compile(r"^qwen-(?=\d)"), "qwen"),  # Cerebras
    (re.compile(r"^gpt-35(?=-|$)"), "gpt-3-5"),  # Azure, whose deployments had no dots
    (re.compile(r"^(?:[a-z]{2}-|global-|apac-)?(deepseek-r\d)-v\d+:\d+$"), r"\1"),  # Bedrock: the maker is in the name
    (re.compile(r":(\d+(?:-\d+)?b(?:-a\d+b)?)(-instruct|-it)?(?:-q\d\S*|-fp16|-cloud)?$"), r"-\1\2"),  # Ollama's tags
    (re.compile(r":cloud$"), ""),
    (re.compile(r"(?<=\db)-(?:versatile|instant)$|(?<=-instruct)-turbo$|-tput$"), ""),  # Groq and Together: how fast
    (re.compile(r"-chat(?=-v\d)"), ""),
    (re.compile(r"-instruct(?=-\d{4}$)"), ""),
)
"""How hosts spell the names of models that others make, in their normalised form, and what the makers write."""
DEFAULT_TAG = re.compile(r"^ollama(?:_chat)?[:/](?!.*(?:\d[bt]\b|cloud$))")
"""A name without a size at Ollama means a size of its choice: `deepseek-r1` is a distilled model of 8 B there."""
SIZE = re.compile(r"-\d+[bk](?:-a\d+b)?(?=-|$)|-\d{4}(?=-|$)")
"""Sizes, windows and months in a name, which are no version."""
VERSION = re.compile(r"(?:(?<=[a-z-])|^)(\d{1,2})(?:-(\d{1,2}))?(?=[-a-z@]|$)")


class AmbiguousModel(InvalidInput):
    """A name that several models have, with the choices."""


def effort_of(name: str) -> tuple[str, str | None]:
    """Split `gpt-5-mini@low` into the model and its effort; None where the name has none. See `Arm`."""
    arm = Arm.parse(name)
    return (name, None) if arm is None else (arm.model, arm.effort)


def normalised(name: str) -> str:
    """Spell a name in one way: lower case, one hyphen for every run of punctuation between its parts."""
    return re.sub(r"[\s._]+", "-", name.strip().lower())


def undated(name: str) -> str:
    """Drop `-latest`, a trailing date and a trailing `-0` from a normalised name."""
    name = name.removesuffix("-latest")
    shorter = DATE.sub("", name)
    return shorter.removesuffix("-0") if shorter == name else shorter


def date_of(name: str) -> str | None:
    """Return the digits of the date at the end of a normalised name, YYYYMMDD or MMDD; None if it has none."""
    found = DATE.search(name)
    return None if found is None else found[0].replace("-", "")


def version_of(name: str) -> tuple[str, float] | None:
    """Return the first word of a normalised name and the version in it: claude and 4.5 of `claude-opus-4-5`.

    None where it has none. Minor versions are decimals: grok-4.20 came before grok-4.3.
    """
    word, plain = re.match("[a-z]+", name), SIZE.sub("", undated(name))
    found = VERSION.search(plain)
    return (word[0], float(f"{found[1]}.{found[2] or 0}")) if word and found else None


def spellings(name: str) -> list[tuple[str | None, str]]:
    """List what a name may mean, the most literal reading first.

    Args:
        name: Name in an application: `openai:gpt-5-mini`, `openrouter/anthropic/claude-sonnet-4.5`,
            `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `publishers/google/models/gemini-2.5-flash@001`,
            `deepseek/deepseek-chat:free`.

    Returns:
        Pairs of provider, None where the name does not say, and normalised name, with its date if it has one.
    """
    routed = ROUTE.sub("", name.strip())
    readings = [*_readings(name), *(_readings(routed) if routed != name.strip() else ())]
    forms = [(provider, form) for provider, written in readings if (form := normalised(written))]
    return list(dict.fromkeys([*forms, *((provider, _respelled(form)) for provider, form in forms)]))


def _respelled(form: str) -> str:
    """Return a normalised name as makers write it."""
    for spelled, written in RESPELLED:
        form = spelled.sub(written, form)
    return form


def find_id(name: str, candidates: Iterable[Candidate]) -> str | None:
    """Find the candidate of the model, effort and number of samples that a name means.

    Args:
        name: Name in an application, as `spellings` reads it. `openai:gpt-5-mini` means the candidate `gpt-5-mini`, and
            the reverse; two snapshots with different dates are different models.
        candidates: Candidates of a store or a router; each is known by its id and its aliases.

    Returns:
        The id; None if no candidate has this name.

    Raises:
        AmbiguousModel: If several have it, and the name does not say whose is meant.
    """
    known = list(candidates)
    if any(candidate.id == name for candidate in known):
        return name
    (model, effort), samples = effort_of(name), samples_of(name)
    literal, forms = _forms(model)
    found = {}
    for candidate in (one for one in known if one.samples == samples):
        own_effort = candidate.effort or effort_of(candidate.id)[1]
        for other in (candidate.id, *candidate.aliases):
            theirs, its_effort = effort_of(other)
            their_literal, their_forms = _forms(theirs)
            if effort == (its_effort or own_effort) and (literal & their_forms or forms & their_literal):
                found[candidate.id] = _provider(candidate.id)
    if len(found) > 1 and (provider := _provider(model)):
        found = {id_: its for id_, its in found.items() if its == provider} or found
    if len(found) > 1:
        raise AmbiguousModel(f"{name!r} may be one of {', '.join(sorted(found))}; write the one that is meant")
    return next(iter(found), None)


@lru_cache(maxsize=4096)
def _forms(name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the normalised readings of a name, as written and also without their dates.

    A name without a size at Ollama means other weights than its model's maker serves: it is read as written alone.
    """
    if DEFAULT_TAG.match(name.strip().lower()):
        return (literal := frozenset({normalised(name)})), literal
    literal = frozenset(normalised(written) for _, written in _readings(name)) - {""}
    return literal, literal | {undated(form) for form in literal}


def _provider(name: str) -> str | None:
    """Return the provider that a name says last: the maker behind a reseller."""
    return next((provider for provider, _ in reversed(_readings(name)) if provider), None)


def _readings(name: str) -> list[tuple[str | None, str]]:
    """List pairs of provider and name, the most literal first."""
    found: list[tuple[str | None, str]] = [(None, name)]
    bare = name.strip()
    head, colon, rest = bare.partition(":")
    provider = None
    if colon and "/" not in head and "." not in head and not head.startswith("arn") and rest:
        provider, bare = head.lower(), rest
        found.append((provider, bare))
    bare = _unwrapped(bare)
    if "/" in bare:
        *makers, bare = bare.split("/")
        provider = makers[-1].lower()
        found.append((provider, bare))
        if (inner := _unwrapped(bare)) != bare:  # litellm puts `bedrock/` before what Bedrock wraps
            bare = inner
            found.append((provider, bare))
    return [*found, (provider, re.sub(r"@(?:\d+|default|latest)$", "", bare)), (None, bare)]


def _unwrapped(name: str) -> str:
    """Take a name out of what a cloud wraps around it."""
    before = None
    while name != before:
        before = name
        name = PREFIXES.sub("", name)
    if BEDROCK_MAKER.match(name):
        name = BEDROCK_VERSION.sub("", BEDROCK_MAKER.sub("", name))
    return name
