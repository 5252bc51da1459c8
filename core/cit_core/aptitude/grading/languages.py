"""Phrases with which LLMs state their answer ("The answer is"), in many languages."""

from __future__ import annotations

import re

__all__ = ["BEHIND", "CJK", "IN_A_CONDITION", "STATEMENT"]

CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts without spaces between words, as a range of a character class."""
FORMS: tuple[tuple[str, str], ...] = (
    (r"answer|(?:correct|right|best|my|final|selected|chosen)\s+(?:option|choice|letter)", "is|be|was"),
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
    (r"सही\s+विकल्प", "है"),
)
"""Words for an answer, and the verbs that lead to it, of each language."""
ADJECTIVES = (
    "correcta?|correcte|correta|corretta|exacte|finale?|definitiva|richtig|الصحيحة|الصحيح|النهائية|النهائي|σωστή|верный"
)
"""Words that may come between the word for an answer and a colon."""
LETTER = r"[(\[]?(?-i:[A-Z])[)\]]?"
VERB_LAST = (
    rf"(?:उत्तर|जवाब|विकल्प)\s+(?={LETTER}\s+है)",
    rf"(?:cevap|yanıt|seçenek)\s+(?={LETTER}(?:'|\s+seçene))",
    rf"(?<![^\W_])(?:lösung|soluci[oó]n|solution|soluzione|solução|solucao)\s*:\s*(?={LETTER}\W*(?:\n|$))",
    r"(?m:^)\W{0,4}ans\s*[.:]",
    r"คำตอบ[^\n.:=]{0,30}?(?:คือ|:|=)",
)
"""Forms that only a letter or the beginning of a line tells from other sentences, and of scripts without spaces."""
BEHIND = (
    r"[ ]*[がは][ ]*(?:正解|正しい|答え)(?![^。\n]{0,8}(?:ない|ません|なく))",
    r"[ ]*(?:번|번이)?[ ]*[가이은는][ ]*(?:정답|답|맞)(?![^.。\n]{0,6}(?:아니|아닙|않|될\s수\s없))",
    r"[ ]*(?:选项|選項)?[ ]*(?:是)?(?:正确|正確|对的|對的)(?![^。\n]{0,2}[吗嗎]|是错|是錯)",
)
"""Words behind the letter of an option that say that it is right: Japanese, Korean, Chinese."""
IN_A_CONDITION = re.compile(r"(?:如果|若|假如|假设|假設|不能|没有|沒有|并非|並非|もし|만약)[^。,.;\n]*$")
"""Text up to such a letter in a clause that does not say so: "if B is right", "no evidence that B is right"."""
NOUNS_CJK = ("答案", "正确选项", "正確選項", "答え", "こたえ", "正解", "解答", "回答", "정답", "답변", "답")


def _stated_in_words() -> str:
    """Return the pattern of "the answer is", "answer:" and "answer - " in every language with words between spaces."""
    word, end = r"(?<![^\W_])", r"(?![^\W_])"
    stated = rf"'?(?:[ ](?:{ADJECTIVES}))?[ ]*(?:[:=]|\n|(?=\()) | [ ][-–—][ ]"
    forms = (
        rf"{word}(?:{nouns}){end} (?: [^\n.:=]{{0,60}}? {word}(?:{verbs}){end} \s*:? | {stated} )"
        for nouns, verbs in FORMS
    )
    return "\n| ".join(forms)


STATEMENT = re.compile(
    rf"""(?: {"|".join(VERB_LAST)} | {_stated_in_words()}
          | (?:{"|".join(NOUNS_CJK)}) [^\n.:=]{{0,12}}? (?:是|为|為|選|选|は|은|는|이|:|=|\n|\])\s*:?
          | (?:故|应|應|因此|所以)?[选選](?:择|擇)?\s*:?(?=\s*[(\[]?[A-Z](?![A-Za-z])) )
        \s* (?:(?:therefore|thus|clearly|definitely|indeed|probably|(?:most\s+)?likely|donc|entonces
              |portanto|dunque|quindi|also|daher|somit|dus)\b\s*)*
        (?: (?:(?:la|le|el|les|die|der|das|il|the|(?-i:[oaηο]))[ ]+ | l['’]\s*)?
            (?: (?:option|choice|letter|opci[oó]n|op[cç][aã]o|alternativa|opzione|optie|lettre|letra|lettera|buchstabe
                  |variante?|вариант|буква|réponse|proposition|respuesta|resposta|risposta|antwort|επιλογή|विकल्प
                  |الخيار|الاختيار|الحرف|البديل)(?![^\W_])
              | ข้อ|ตัวเลือก|选项|選項|選択肢|보기|선택지 ) \s*:?\s*
          | (?:la|le|el|die|il|the|(?-i:[oaηο]))[ ]+(?={LETTER}(?![\w-])) )?
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Beginning of a statement, up to the answer itself."""
