"""Read the number that an LLM's free text gives: 1,234.5, 6.02 × 10^23, 2^10, 1 3/4, 15 %, 1.5 million.

A number counts as read only if all of it is: not where an operator, a root or an unknown scale word belongs to it, nor
where it is one of two alternatives. Better no number than a part of one.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from cit_core.aptitude.grading.answers import NEAR, NEGATION, OPINION, statements
from cit_core.aptitude.grading.markup import readable

__all__ = ["Number", "is_number", "numbers", "stated_number"]

SCALES = (
    dict.fromkeys(("million", "millones", "millón", "millionen", "milhões", "milioni"), 1e6)
    | {"dozen": 12.0, "hundred": 1e2, "thousand": 1e3, "billion": 1e9, "trillion": 1e12, "lakh": 1e5, "crore": 1e7}
    | {**dict.fromkeys("万萬만", 1e4), **dict.fromkeys("億亿억", 1e8)}
)
"""Scale words that mean one number only, and it."""
SCALE = rf"\s*(?i:{'|'.join(SCALES)})s?(?![a-z])"
FIRST = r"(?:^[ ]*|(?<=[=≈({\[])|(?<=[=:≈({\[][ ])|(?<=\bis[ ])|(?<=\bes[ ])|(?<=\best[ ]))"
"""Place of a sign that belongs to a number even if a space follows: elsewhere it subtracts, or is no sign."""
NUMBER = re.compile(
    rf"""(?<![A-Za-zÀ-ɏΑ-ωА-я0-9_.,])
        (?P<sign>[-+](?![ ])|{FIRST}(?:[-+][ ]|(?i:minus|menos|moins|meno|минус)\s+)|(?i:negative)\s+
            |[负負]|マイナス|마이너스[ ]?)? [€£¥₹₩₽₺฿₫]?[ ]?
        (?:(?P<whole>\d+)\s+(?=\d+\s*/\s*\d))?
        (?P<digits>
            (?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}|\d{{1,3}}(?:[ ]\d{{3}}){{2,}}(?!\d)
                |\d{{1,3}}[ ]\d{{3}}(?!\d)(?=[^\w\n]*$|\s*[^\W\d]{{1,15}}(?:[^\w\n-]*$|[.,;)])|[.,;:]\s)
                |\d+)(?:\.\d+)?|\.\d+
        )
        (?:[eE](?P<power>[-+]?\d+) | \s*[×x*·]\s*10\s*\^\s*[({{]?(?P<ten>[-+]?\d+)[)}}]?
            | \s*\^\s*[({{]?(?P<exponent>[-+]?\d+)[)}}]? | \s*/\s*(?P<under>\d+(?:\.\d+)?))?
        (?!\d|[.,]\d) (?P<percent>\s*(?:\\?%|percent\b))? (?P<scale>{SCALE})?""",
    re.VERBOSE | re.MULTILINE,
)
CJK_DIGITS = {sign: value for value, signs in enumerate("零一二三四五六七八九") for sign in signs} | {
    "〇": 0,
    "两": 2,
    "兩": 2,
}
CJK_TENS = {"十": 10, "百": 100, "千": 1_000}
CJK_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
CJK_NUMBER = re.compile(
    rf"^(\W*)([负負]|マイナス)?([{''.join([*CJK_DIGITS, *CJK_TENS, *CJK_SCALES])}]{{1,40}})"
    r"(?=\s*(?:[个個人名位只隻本枚件次天日年月岁歳歲元円块塊米克斤度倍分秒]|公[里斤尺]|小时|小時|時間|分钟|分鐘)?(?:です|である|だ)?\W*$)"
)
"""A line that is nothing but a number in words, and perhaps a unit: in other lines these signs are parts of words."""
UNIT_POWER = re.compile(r"(?:[mMs]|ft|in|yd|mi|units?)\^[({]?-?$")
"""Text before an exponent of a unit, which is no number of its own."""
UNREAD_AFTER = re.compile(
    r"""[)\]]*\s* (?: [×÷*^√±π∙·_] | \+/- | /\s*(?:[\d(\\]|[xyzn]\b) | [-+](?:\s*[\d.(√\\]|\s*[A-Za-z](?![A-Za-z]))
            | [xX]\s*\d | (?:pi|sqrt)\b | !\s*= | (?:to|bis)\s+\d(?!\s*(?:significant|decimal))
            | \\(?!(?:circ|degree|q?quad|l?dots|approx|Omega|mu|hspace|right|end)(?![A-Za-z]))[A-Za-z]+ )
        | :\d | [iyzkKMB](?![A-Za-z])
        | [A-Za-z]\s* (?: [+×*=] | -\s*[\d(] | \^(?<![mM]\^) | /\s*\d )
        | \s*[A-Za-z/]{1,12}\s* (?: [+×*÷](?!\s*[a-z]+(?:/|\W*$)) | -\s+\d ) | \s+(?:squared|cubed)\b
        | \s+(?:is|was)\s+(?:wrong|incorrect)\b
        | \s*(?i:mil|mille|mila|tausend|тысяч\w*|млн|млрд|миллион\w*|миллиард\w*|mill?iard\w*|billion\w+
            |billones|bn|mn|mio|mrd|score)(?![A-Za-z]) | \s*(?:[百十兆조천백십]|千(?![克米瓦卡焦帕赫伏]))
        | \s*(?:hours?|hrs?|h|minutes?|mins?|min|m|feet|foot|ft|pounds?|lbs?|years?|months?|weeks?|days?|dollars?|euros?
            |km|kg|degrees?|°|')\s*(?:and\s+)?\d
    """,
    re.VERBOSE,
)
"""Text behind a number which changes it, and is not read: 5π, 3 × 4, 3 apples + 4, 18k, 2 hours 30 minutes, 5:30."""
AFTER_SCALE = re.compile(rf"\s*(?:and\s+)?\d|{SCALE}")
OF_A_NUMBER = re.compile(r"\s+of\s+\S?\d")
UNREAD_BEFORE = re.compile(
    r"(?:[-+×*·/÷^√±∛<≤≥≠]|(?<![-=])>)(?:\s*[({\[])*\s*$|\d:$|(?<![\d.,])\d{1,3}[ ]$"
    r"|[\d)]\(\s*$|(?<![A-Za-z])[A-Za-z]{1,3}\(\s*$|\bminus\s*$|[万萬億亿만억千百천백]\s*$"
    r"|\b(?:sqrt|sin|cos|tan|log|ln|exp)\s*[({]?\s*$"
    r"|\b(?:\d\s+times|(?i:twice|double|(?:half|thirds?|quarters?|percent|square|root)\s+of))\s+$|%\s*of\s+$"
    r"|[\d)xyz]\s+(?:menos|moins|meno|минус)\s*$"
    r"|\\(?!(?:approx|q?quad|to|[Rr]ightarrow|implies|hspace|left)(?![A-Za-z]))[A-Za-z]+(?:\[\d*\]|_\{?\w+\}?)?[\s({]*$"
)
"""Text before a number which changes it: an operator, a root, a function, an inequality."""
SUBTRACTED = re.compile(r"[\d)]\s*$")
"""Text before a minus sign that is an operator."""
RULED_OUT = re.compile(
    rf"(?:\bthan|{NEGATION})\s+(?:(?:be|exactly|just|solve|compute|calculate)\s+)?\(?$|{NEGATION}{OPINION}$",
    re.IGNORECASE,
)
"""Text before a number that is not the answer."""
JOINT = re.compile(
    r"\s*(?:(?P<unit>[^\W\d_]{1,12})\s*)?(?:(?P<sign>;)|[&或和]|\b(?:or|and|oder|und|ou|et|o|y|e|или|и)\b)"
    r"\s*(?:[A-Za-z]\s*=\s*)?[(]?"
)
"""Text between two numbers of which both are given."""
COMMA = re.compile(r"(?P<unit>)\s*(?P<sign>,)\s*(?:[A-Za-z]\s*=\s*)?")
"""The same in a statement, where a number is not expected within a sentence."""
UNIT = re.compile(r"\s*([^\W\d_]{1,12})")
LABEL = re.compile(
    r"^([A-Za-z][A-Za-z' ]*[A-Za-z]{2}(?<!\bis)(?<!\bes)(?<!\best)(?<!\bare)(?<!\bwas))\s+-{1,3}\s+(?=\S)"
)
"""Words before a dash at the beginning of a line: "Total - 42"."""
RESULT = re.compile(r"(?:[=≈:]|\\approx|\b(?:is|are|was|equals)(?:\s+(?:about|approximately|roughly))?)\s*[~(]?$")
CLAUSE = re.compile(r"[,;]|\b(?:with|where|when|if|for|since|because|as)\b")
"""Sign that a new thought begins: its numbers are no result of what was before."""


class Number(NamedTuple):
    """A number in a text."""

    value: float
    digits: str | None
    """Sign and digits of a whole number that is written out: these must agree to the last one."""
    percent: bool
    start: int
    end: int
    """Its position in the text without markup."""
    clear: bool
    """Whether nothing around it changes it."""

    def equals(self, other: Number) -> bool:
        """Compare up to a relative 1e-6; 15 % is 15 where a percentage is asked for, and 0.15 where a share is."""
        if self.digits and other.digits and not self.percent and not other.percent:
            return self.digits == other.digits
        pairs = ((mine, its) for mine in self._readings() for its in other._readings())
        return any(math.isclose(mine, its, rel_tol=1e-6, abs_tol=1e-12) for mine, its in pairs)

    def _readings(self) -> list[float]:
        return [self.value, self.value / 100] if self.percent else [self.value]


def numbers(text: str) -> list[Number]:
    """Return all numbers of a text: 1,234.5, -3, 6.02e23 or 6.02 × 10^23, 3/4, 1 3/4, 15 %; clear ones or not."""
    return _numbers(readable(text))


def is_number(text: str) -> bool:
    """Return whether a text is one number and nothing else."""
    plain = readable(text).strip()
    found = _numbers(plain)
    return len(found) == 1 and found[0].clear and (found[0].start, found[0].end) == (0, len(plain))


def stated_number(text: str) -> Number | None:
    """Return the result in the last statement that has a number; else in the last line that has one.

    A result is the first clear number (7 in "3 + 4 = 7"); in a line that states nothing, what follows "=" or "is".
    """
    text = readable(text)
    for statement in map(_in_digits, reversed(statements(text))):
        if found := _numbers(statement):
            return _result(statement, _alone(statement, found, stated=True))
    for line in reversed(text.splitlines()):
        line = _in_digits(LABEL.sub(r"\1: ", line))
        if found := _numbers(line):
            return _conclusion(line, _alone(line, found, stated=False))
    return None


def _in_digits(line: str) -> str:
    """Return a line with the Chinese or Japanese number that it is in digits: 四十二 is 42, 二〇二四 2024."""
    return CJK_NUMBER.sub(lambda match: f"{match[1]}{'-' if match[2] else ''}{_of_signs(match[3])}", line)


def _of_signs(signs: str) -> int:
    if not any(sign in CJK_TENS or sign in CJK_SCALES for sign in signs):
        return int("".join(str(CJK_DIGITS[sign]) for sign in signs))
    whole = part = digit = last = 0
    for sign in signs:
        if sign in CJK_DIGITS:
            digit = CJK_DIGITS[sign]
        elif sign in CJK_TENS:
            part, digit = part + (digit or 1) * CJK_TENS[sign], 0
        else:  # 一万亿 is a whole number of 亿, and of 一亿二万 only the second part is one of 万
            scale, part = CJK_SCALES[sign], part + digit
            whole = (whole + part) * scale if scale > last else whole + part * scale
            part, digit, last = 0, 0, scale
    return whole + part + digit


def _numbers(plain: str) -> list[Number]:
    matches = NUMBER.finditer(plain)
    return [
        _number(match) for match in matches if not UNIT_POWER.search(plain[max(0, match.start() - 9) : match.start()])
    ]


def _number(match: re.Match[str]) -> Number:
    value, text = _value(match), match.string
    before, after = text[max(0, match.start() - NEAR) : match.start()], text[match.end() : match.end() + NEAR]
    unread = any(
        (
            UNREAD_AFTER.match(after),
            UNREAD_BEFORE.search(before),
            match["sign"] and SUBTRACTED.search(before),
            match["scale"] and AFTER_SCALE.match(after),
            match["percent"] and OF_A_NUMBER.match(after),
        )
    )
    digits = match["digits"].replace(",", "").replace(" ", "")
    written_out = digits.isdigit() and not any(match[part] for part in ("power", "ten", "exponent", "under", "scale"))
    whole = ("-" if value < 0 else "") + digits.lstrip("0") if written_out else None
    clear = not unread and not math.isnan(value)
    return Number(value, whole, bool(match["percent"]), match.start(), match.end(), clear)


def _value(match: re.Match[str]) -> float:
    """Return the value of a number; NaN if it has none, or its sign and its power could be read in two ways."""
    digits, under = match["digits"].replace(",", "").replace(" ", ""), float(match["under"] or 1)
    negative = bool(match["sign"]) and not match["sign"].startswith("+")
    try:
        size = float(match["whole"] or 0) + float(f"{digits}e{match['power'] or match['ten'] or 0}") / under
        size *= SCALES[match["scale"].strip().lower().removesuffix("s")] if match["scale"] else 1.0
        if match["exponent"]:
            size = math.nan if negative else size ** float(match["exponent"])
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return -size if negative else size


def _alone(plain: str, found: list[Number], *, stated: bool) -> list[Number]:
    """Return the numbers, of which those beside another one, as "5 or 6", are not clear."""
    for place in range(len(found) - 1):
        one, other = found[place : place + 2]
        between = JOINT.fullmatch(plain, one.end, other.start)
        if stated and not between:
            between = COMMA.fullmatch(plain, one.end, other.start)
        if between and not one.equals(other) and not (stated and _says_more(between, other, plain)):
            found[place : place + 2] = one._replace(clear=False), other._replace(clear=False)
    return found


def _says_more(between: re.Match[str], other: Number, plain: str) -> bool:
    """Return whether the other number is of another kind, or explains the first: "42 m or 0.04 km", "42; 6 × 7"."""
    unit = UNIT.match(plain, other.end)
    if between["sign"]:
        return not other.clear or (unit is not None and unit[1].lower() in ("per", "each"))
    return bool(between["unit"] and unit and between["unit"].lower().rstrip("s") != unit[1].lower().rstrip("s"))


def _result(statement: str, found: list[Number]) -> Number | None:
    """Return the first clear number, if nothing or only what it is the result of is before it."""
    unread: Number | None = None
    for number in found:
        if RULED_OUT.search(statement[max(0, number.start - NEAR) : number.start]):
            continue
        if number.clear:
            between = "" if unread is None else statement[unread.end : number.start]
            return number if unread is None or (RESULT.search(between) and not CLAUSE.search(between)) else None
        unread = number
    return None


def _conclusion(line: str, found: list[Number]) -> Number | None:
    """Return the last clear number after "=", "is" or the like, else the last number if it is clear."""
    before = {number: line[max(0, number.start - NEAR) : number.start] for number in found}
    usable = [number for number in found if number.clear and not RULED_OUT.search(before[number])]
    results = [number for number in usable if RESULT.search(before[number])]
    return results[-1] if results else found[-1] if found[-1] in usable else None
