"""Open a checkpoint's tokenizer, and refuse one that would fail on a query."""

from __future__ import annotations

from typing import Any

from cit_core.errors import CheckpointError
from cit_core.runtime.checkpoint import Checkpoint, load_or_refuse

__all__ = ["PROBES", "highest_token", "open_tokenizer", "read_tokens"]

FILE = "tokenizer.json"
PROBES = ("a", "", "\U0001f600 \u65e5\u672c\u8a9e zzqx \x00 " + "word " * 40)
"""Texts that every tokenizer must read: empty, long, and with characters and words that no vocabulary has."""

CHARACTERS = 12
"""Characters of a token that are given to the tokenizer first: more than words of most languages take."""


def open_tokenizer(checkpoint: Checkpoint, *, shipped: bool = False) -> Any:
    """Return the tokenizer, which cuts texts at the network's length.

    Args:
        checkpoint: Holds it.
        shipped: True if it is the package's own, which needs no look: a test has looked.

    Raises:
        CheckpointError: If it cannot be read, lacks a special token that it uses, or holds a regular expression, which
            can take for ever on a query that was written for it.
    """
    from tokenizers import Tokenizer

    where = checkpoint.folder / FILE
    if not shipped and _has_pattern(checkpoint.json(FILE)):
        raise CheckpointError(f"{where} splits texts by a regular expression; use a checkpoint of a BERT trunk")

    def opened() -> Any:
        tokenizer = Tokenizer.from_str(checkpoint.read(FILE).decode("utf-8"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(checkpoint.config["network"]["max_length"])
        for text in PROBES:
            tokenizer.encode(text)
        return tokenizer

    return load_or_refuse(opened, str(where), "a tokenizer that reads every text")


def read_tokens(tokenizer: Any, text: str, most: int) -> list[int]:
    """Return the ids of a text as the tokenizer cuts it, without a look at what is cut.

    BERT's splitter reads words one by one, so a beginning that ends at a space and fills the cut has the same ids.

    Args:
        tokenizer: From `open_tokenizer`.
        text: Text of any length.
        most: Number of tokens that it cuts at.
    """
    length = CHARACTERS * most
    while length < len(text) and _reads_words(tokenizer):
        end = max(text.rfind(" ", 0, length), text.rfind("\n", 0, length))
        if end > 0:
            ids: list[int] = tokenizer.encode(text[:end]).ids
            if len(ids) == most:
                return ids
        length *= 4
    return tokenizer.encode(text).ids  # type: ignore[no-any-return]


def _reads_words(tokenizer: Any) -> bool:
    """Return whether what follows a space changes nothing before it."""
    parts = (type(part).__name__ for part in (tokenizer.normalizer, tokenizer.pre_tokenizer))
    added = (token.content for token in tokenizer.get_added_tokens_decoder().values())
    return (*parts,) == ("BertNormalizer", "BertPreTokenizer") and not any(" " in one or "\n" in one for one in added)


def highest_token(tokenizer: Any) -> int:
    """Return the largest id that a tokenizer gives."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)


def _has_pattern(part: Any) -> bool:
    left = [part]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if isinstance(part.get("Regex"), str):
                return True
            # A vocabulary holds numbers alone and may be long.
            left += [value for value in part.values() if isinstance(value, (dict, list))]
        elif isinstance(part, list):
            left += [value for value in part if isinstance(value, (dict, list))]
    return False
