"""Open a checkpoint's tokenizer, and refuse one that would fail on a query."""

from __future__ import annotations

from typing import Any

from cit_core.errors import CheckpointError
from cit_core.runtime.checkpoint import Checkpoint, load_or_refuse

__all__ = ["PROBES", "highest_token", "open_tokenizer"]

FILE = "tokenizer.json"
PROBES = ("a", "", "\U0001f600 \u65e5\u672c\u8a9e zzqx \x00 " + "word " * 40)
"""Texts that every tokenizer must read: empty, long, and with characters and words that no vocabulary has."""


def open_tokenizer(checkpoint: Checkpoint) -> Any:
    """Return the tokenizer, which cuts texts at the network's length.

    Raises:
        CheckpointError: If it cannot be read, lacks a special token that it uses, or holds a regular expression, which
            can take for ever on a query that was written for it.
    """
    from tokenizers import Tokenizer

    where = checkpoint.folder / FILE
    if _has_pattern(checkpoint.json(FILE)):
        raise CheckpointError(f"{where} splits texts by a regular expression; use a checkpoint of a BERT trunk")

    def opened() -> Any:
        tokenizer = Tokenizer.from_str(checkpoint.read(FILE).decode("utf-8"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(checkpoint.config["network"]["max_length"])
        for text in PROBES:
            tokenizer.encode(text)
        return tokenizer

    return load_or_refuse(opened, str(where), "a tokenizer that reads every text")


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
