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
"""Share of English function words, of whole words, below which a doubtful text is not English; of those of other
languages, above which it is not, if they are more."""
SIGNS = 0.12
"""Share of signs of code and mathematics from which on a text is no prose."""
OTHER_SCRIPT = 0.4
"""Share of pieces within words in a script that is not Latin, from which on a text is not read: a Greek letter in a
formula stands alone."""
LAST_LATIN = "\u024f"
SHORTEST = 6
"""Words below which nothing is said."""
FREQUENT = (
    "the of and to that for it with be by not his this from have has are which what when where who how why can does "
    "would should there their they than then you your each if at following used known likely common commonly after "
    "between occurs except because both only into during other another first affected against any shall please is",
    "der die das und ist ein eine ich nicht mit von auf wie la le les des est une que qui dans el los las por para "
    "del di che della il sono het een van og det er som jeg ikke att av till pa na sie nie jest este je ve se da os "
    "uma",
)
"""Words of English, of which a few stand in other languages too, and of others in Latin letters that are none of it."""
ENGLISH, OTHERS = (frozenset(words.split()) for words in FREQUENT)
OF_CODE = frozenset("{}[]()<>=;_#+*/\\^$|&~@%")
FIRST = frozenset("a1\u0430")
"""Labels of a first option; the last is Cyrillic."""


def is_readable(tokens: Sequence[str]) -> bool:
    """Return False for a text in a script or a language that the vocabulary does not hold.

    Args:
        tokens: Tokens of WordPiece, pieces within words with `##`; other tokenizers say nothing, and are believed.
    """
    own = _without_labels([token for token in tokens if token not in ("[CLS]", "[SEP]", "[PAD]")])
    alphabetic = [token for token in own if token.removeprefix("##").isalpha()]
    words = [token for token in alphabetic if not token.startswith("##")]
    in_other_script = sum(token.startswith("##") and token[2:3] > LAST_LATIN for token in own)
    is_in_other_script = in_other_script > OTHER_SCRIPT * len(own) and ENGLISH.isdisjoint(own)
    if own.count("[UNK]") > UNKNOWN * len(own) or is_in_other_script:
        return False
    if len(words) < SHORTEST:
        return not words or len(alphabetic) < 4 * len(words)
    pieces = 1.0 - len(words) / len(alphabetic)
    whole = [token for token, after in zip(own, [*own[1:], ""], strict=True) if not after.startswith("##")]
    english, others = (sum(word in of for word in whole) / len(words) for of in (ENGLISH, OTHERS))
    signs = sum(token in OF_CODE for token in own) / len(own)
    is_prose_of_none = english < FUNCTION_WORDS and signs < SIGNS
    return not (pieces > PIECES and (is_prose_of_none or others > max(english, FUNCTION_WORDS)))


def _without_labels(tokens: list[str]) -> list[str]:
    """Leave out the labels of options, as "(A)", "B)", "[1]" or "(\u0431)", which look like code in any language."""
    kept: list[str] = []
    last = ""
    for piece in tokens:
        label = kept[-1].lower() if kept and piece in (")", "]") else ""
        if len(label) == 1 and (label in FIRST or (last and ord(label) == ord(last) + 1)):
            last = label
            kept.pop()
            if kept and kept[-1] in ("(", "["):
                kept.pop()
        else:
            kept.append(piece)
    return kept
