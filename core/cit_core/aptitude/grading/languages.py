"""Phrases with which LLMs state their answer ("The answer is"), in many languages."""

from __future__ import annotations

import re

__all__ = ["CJK", "STATEMENT"]

CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts without spaces between words, as a range of a character class."""
FORMS: tuple[tuple[str, str], ...] = (
    (r"answer|(?:correct|right|best)\s+(?:option|choice|letter)", "is|be|was"),
    (r"respuesta|(?:opci[oó]n|alternativa)\s+correcta|soluci[oó]n\s+(?:correcta|final)", "es|sería"),
    (r"réponse|(?:option|proposition)\s+correcte", "est|serait"),
    (r"antwort|(?:richtige|korrekte)\s+(?:option|lösung)|endergebnis", "ist|lautet|wäre"),
    (r"resposta|(?:op[cç][aã]o|alternativa)\s+corret[ao]|gabarito", "é|seria"),
    (r"risposta|(?:opzione|alternativa)\s+corretta", "è|sarebbe"),
    ("antwoord", "is"),
    ("svaret|svar", "är|er"),
    ("vastaus", "on"),
    ("odpowiedź", "to|jest"),
    ("odpověď|odpoveď", "je"),
    ("válasz", "az?"),
    ("răspunsul|răspuns", "este"),
    ("cevap|yanıt", "şudur"),
    ("jawabannya|jawaban", "adalah|ialah"),
    (r"đáp\s+án|câu\s+trả\s+lời", "là"),
    (r"ответ|правильный\s+вариант", "это|будет"),
    ("відповідь", "це"),
    ("απάντηση", "είναι"),
    ("الإجابة|الجواب", "هي|هو"),
    ("התשובה|תשובה", "היא|הוא"),
    ("उत्तर|जवाब", "है"),
    ("คำตอบ", "คือ"),
)
"""Words for an answer, and the verbs that lead to it, of each language."""
NOUNS_CJK = ("答案", "正确选项", "正確選項", "答え", "こたえ", "正解", "解答", "回答", "정답", "답변", "답")


def _stated_in_words() -> str:
    """Return the pattern of "the answer is", "answer:" and "answer - " in every language with words between spaces."""
    word, end = r"(?<![^\W_])", r"(?![^\W_])"
    stated = r"[ ]*(?:[:=]|\n|(?=\()) | [ ][-–—][ ]"
    forms = (
        rf"{word}(?:{nouns}){end} (?: [^\n.:=]{{0,60}}? {word}(?:{verbs}){end} \s*:? | {stated} )"
        for nouns, verbs in FORMS
    )
    return "\n| ".join(forms)


STATEMENT = re.compile(
    rf"""(?: {_stated_in_words()}
          | (?:{"|".join(NOUNS_CJK)}) [^\n.:=]{{0,12}}? (?:是|为|為|選|选|は|은|는|이|:|=|\n)\s*:?
          | (?:故|应|應|因此|所以)?[选選](?:择|擇)?\s*:?(?=\s*[(\[]?[A-Z](?![A-Za-z])) )
        \s* (?:(?:therefore|thus|clearly|definitely)\b\s*)*
        (?: (?:(?:la|le|el|les|die|der|das|il|the|[oa])\s+ | l['’]\s*)?
            (?: (?:option|choice|letter|opci[oó]n|op[cç][aã]o|alternativa|opzione|optie|lettre|letra|lettera|buchstabe
                  |variante?|вариант|буква)(?![^\W_])
              | 选项|選項|選択肢|보기|선택지 ) \s*:?\s*
          | (?:la|le|el|die|il)\s+(?=[(\[]?(?-i:[A-Z])(?![\w])) )?
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Beginning of a statement, up to the answer itself."""
