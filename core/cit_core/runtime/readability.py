"""Tell whether a network can read a text, by what its tokenizer makes of it.

An English vocabulary breaks other languages into pieces of words, and other scripts into letters or nothing. So does
program code, which has signs that prose has not, and medicine, which has English words between its own.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["is_readable"]

UNKNOWN = 0.15
"""Share of unknown tokens from which on a text is not read."""
PIECES = 0.2
"""Share of pieces within words from which on a text is doubtful."""
FUNCTION_WORDS = 0.04
"""Share of English function words, of whole words, below which a doubtful text is not English."""
SIGNS = 0.12
"""Share of signs of code and mathematics from which on a text is no prose."""
SHORTEST = 6
"""Words below which nothing is said."""
ENGLISH = (
    " the of and to that for it with be by not his this from have has are which what when where who how why can does "
    "would should there their they than then you your each if at following seen used known likely common commonly "
    "cause causes caused after between occurs except because both only more less into during other another first "
    "affected "
)
"""Frequent English words that are none of other languages in Latin letters."""
OF_CODE = frozenset("{}[]()<>=;_#+*/\\^$|&~@%")


def is_readable(tokens: Sequence[str]) -> bool:
    """Return False for a text in a script or a language that the vocabulary does not hold.

    Args:
        tokens: Tokens of WordPiece, pieces within words with `##`; other tokenizers say nothing, and are believed.
    """
    own = _without_labels([token for token in tokens if token not in ("[CLS]", "[SEP]", "[PAD]")])
    alphabetic = [token for token in own if token.removeprefix("##").isalpha()]
    words = [token for token in alphabetic if not token.startswith("##")]
    if own.count("[UNK]") > UNKNOWN * len(own):
        return False
    if len(words) < SHORTEST:
        return not words or len(alphabetic) < 4 * len(words)
    pieces = 1.0 - len(words) / len(alphabetic)
    whole = [token for token, after in zip(own, [*own[1:], ""], strict=True) if not after.startswith("##")]
    english = sum(f" {word} " in ENGLISH for word in whole) / len(words)
    signs = sum(token in OF_CODE for token in own) / len(own)
    return not (pieces > PIECES and english < FUNCTION_WORDS and signs < SIGNS)


def _without_labels(tokens: list[str]) -> list[str]:
    """Leave out "(A)", "(B)", "A)", "B)" ... of options, which look like code in any language."""
    kept: list[str] = []
    label = "a"
    for piece in tokens:
        if piece == ")" and kept and kept[-1].lower() == label:
            label = chr(ord(label) + 1)
            kept.pop()
            if kept and kept[-1] == "(":
                kept.pop()
        else:
            kept.append(piece)
    return kept
