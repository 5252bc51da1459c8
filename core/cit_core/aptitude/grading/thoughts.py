"""Remove the thoughts that reasoning models write before their answer, complete or cut off.

Servers without a reasoning parser leave thoughts in the text, each family of models between marks of its own.
"""

from __future__ import annotations

import re

__all__ = ["without_thoughts"]

TAGS = (
    "think|thinking|thought|thoughts|reasoning|reason|scratchpad|seed:think|longcat_think|reflection|analysis"
    "|inner_thoughts?|internal_thoughts?"
)
BEGIN = re.compile(
    rf"""<\s*(?:{TAGS})\s*> | \[\s*THINK\s*\] | ◁think▷ | <\|begin_of_thought\|> | <\|START_THINKING\|>
        | <\|inner_prefix\|>
        | <unused94>(?:thought)? | <\|channel>thought | ^Here\ is\ my\ thought\ process:""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
"""Marks at which a thought begins; "Here are my reasoning steps:" is none, as other answers begin so too."""
END = re.compile(
    rf"""</\s*(?:{TAGS})\s*> | \[\s*/\s*THINK\s*\] | ◁/think▷ | <\|end_of_thought\|> | <\|END_THINKING\|>
        | <\|inner_suffix\|> | \[\s*BEGIN\ FINAL\ RESPONSE\s*\]
        | <unused95> | <channel\|> | ^Here\ is\ my\ response:""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
"""Marks at which it ends."""
CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
"""Head of a message of gpt-oss: its channel is analysis, commentary or final."""
MESSAGE_END = re.compile(r"<\|(?:end|return|call|start)\|>")
BARE_ANALYSIS = re.compile(r"\s*(?:assistant)?analysis(?=[A-Z0-9\"'(])")
"""Head of gpt-oss's thoughts where the server has left out its special tokens."""
BARE_FINAL = re.compile(r"assistant\s*final(?:\s*json)?(?=\W|[A-Z0-9]|$)")
TURN_END = re.compile(
    r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|END_OF_TURN_TOKEN|end|return)\|>|<end_of_turn>|</s>|<eos>"
    r"|<｜end▁of▁sentence｜>"
)
"""Marks at which a server should have stopped: what follows is the model's play with itself."""
STRUCK = re.compile(r"(?<=[^\s>])[ \t]*<s>[^<\n]*</s>|<s>[^<\n]*</s>(?=[ \t]*[^\s<])")
"""What is struck out within a line; alone, `<s>` and `</s>` are the marks around a turn."""
LEFTOVERS = re.compile(
    r"<\|(?:im_start|start_header_id|start)\|>\s*assistant\b|<start_of_turn>\s*model\b"
    r"|<\|[A-Za-z_]{1,32}\|>|<｜[^<>｜\n]{1,32}｜>|<bos>|<s>|</?response>|\[\s*END\ FINAL\ RESPONSE\s*\]",
    re.IGNORECASE,
)
"""Special tokens around the answer itself."""


def without_thoughts(text: str) -> str:
    """Return the answer that a reasoning model gives after its thoughts; the empty text if it did not come that far.

    A text without any mark of a thought or of a turn is returned as it is.
    """
    if "<|channel|>" in text:
        return _final_channel(text)
    if BARE_ANALYSIS.match(text):
        *_, last = [None, *BARE_FINAL.finditer(text)]
        return "" if last is None else text[last.end() :]
    marks = sorted(
        [(match.start(), match.end(), True) for match in BEGIN.finditer(text)]
        + [(match.start(), match.end(), False) for match in END.finditer(text)]
    )
    return _without_tokens(_outside(text, marks) if marks else text)


def _without_tokens(text: str) -> str:
    """Return what is said up to the end of the turn, without special tokens."""
    turns = [LEFTOVERS.sub("", turn) for turn in TURN_END.split(STRUCK.sub("", text))]
    return next((turn for turn in turns if turn.strip()), turns[0])


def _outside(text: str, marks: list[tuple[int, int, bool]]) -> str:
    """Return the text outside of thoughts; a mark that begins one within another is part of it."""
    kept: list[str] = []
    at, thinks = 0, False
    for start, end, begins in marks:
        if begins and not thinks:
            kept.append(text[at:start])
        elif not begins and not thinks:
            kept.clear()  # the beginning was in the prompt: all before was a thought
        thinks, at = begins or (thinks and begins), end
    if not thinks:
        kept.append(text[at:])
    return "\n".join(piece for piece in kept if piece.strip())  # a thought divides what is said around it


def _final_channel(text: str) -> str:
    final = ""
    for head in CHANNEL.finditer(text):
        if head[1] == "final":
            end = MESSAGE_END.search(text, head.end())
            final = text[head.end() : end.start() if end else len(text)]
    return final
