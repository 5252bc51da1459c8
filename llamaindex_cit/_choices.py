"""The candidate of each choice that a selector is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from llama_index.core.tools.types import ToolMetadata

from cit_core.errors import InvalidInput, UnknownCandidate

__all__ = ["candidates_of", "matches"]


def matches(
    choices: Sequence[ToolMetadata], known: Collection[str], mapping: Mapping[str | int, str]
) -> list[str | None]:
    """Return the candidate of every choice, None where there is none.

    Args:
        choices: Choices of a selector: tools, or texts that LlamaIndex has wrapped as descriptions.
        known: Ids of all candidates.
        mapping: Index, name or (for a choice without a name) text of a choice to a candidate.
    """
    names = Counter(choice.name for choice in choices)
    return [_match(place, choice, known, mapping, names) for place, choice in enumerate(choices)]


def candidates_of(
    choices: Sequence[ToolMetadata], known: Collection[str], mapping: Mapping[str | int, str]
) -> list[str]:
    """Return the candidate of every choice, as `matches` does, and require one for each.

    Returns:
        One candidate for each choice, in order.

    Raises:
        UnknownCandidate: If a choice matches no candidate.
        InvalidInput: If there are no choices, a name cannot tell them apart, two of them share a candidate, or one is
            mapped that is not there.
    """
    if not choices:
        raise InvalidInput("there are no choices to select from; pass at least one tool")
    for place in mapping:
        if isinstance(place, int) and not 0 <= place < len(choices):
            last = len(choices) - 1
            raise InvalidInput(f"mapping has {place!r}, but there are only choices 0 to {last}; map those, or names")
    ids = []
    for place, id_ in enumerate(matches(choices, known, mapping)):
        if id_ is None:
            raise _no_match(place, choices, known)
        ids.append(id_)
    for id_, count in Counter(ids).items():
        if count > 1:
            places = ", ".join(str(place) for place, other in enumerate(ids) if other == id_)
            raise InvalidInput(f"choices {places} all belong to candidate {id_!r}; each needs a candidate of its own")
    return ids


def _match(
    place: int,
    choice: ToolMetadata,
    known: Collection[str],
    mapping: Mapping[str | int, str],
    names: Mapping[str | None, int],
) -> str | None:
    if place in mapping:
        return mapping[place]
    own = _own(choice)
    if choice.name is None or names[choice.name] == 1:  # a name that several tools have identifies none
        if own in mapping:
            return mapping[own]
        if own in known:
            return own
    return choice.description if choice.description in known else None


def _no_match(place: int, choices: Sequence[ToolMetadata], known: Collection[str]) -> InvalidInput:
    own = _own(choices[place])
    if sum(choice.name is not None and choice.name == choices[place].name for choice in choices) > 1:
        return InvalidInput(
            f"choice {place} and others are all named {own!r}; name each tool after its candidate, "
            f"QueryEngineTool.from_defaults(engine, name=ID), or pass mapping={{{place}: ID, ...}}"
        )
    where = f"the router for choice {place} (name the tool after its candidate, or pass mapping={{{own!r}: ID}})"
    return UnknownCandidate(own, known, where)


def _own(choice: ToolMetadata) -> str:
    """Return the name of a choice; texts have a description instead."""
    return choice.description if choice.name is None else choice.name
