"""What the shipped network reads, and what it says of the rest."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cit_core.calibration import Calibration, log_odds
from cit_core.catalogue import catalogue_capabilities
from cit_core.router import Router
from cit_core.runtime import OnnxScorer, load_scorer
from cit_core.runtime.readability import is_readable

FOREIGN = {
    "de": "Schreibe eine Funktion in Python, die prüft, ob eine Zahl eine Primzahl ist.",
    "fr": "Quelle est la capitale de l'Australie et quand a-t-elle été fondée?",
    "es": "Explícame la diferencia entre un virus y una bacteria con ejemplos.",
    "it": "Un contadino ha dodici galline e vende metà delle uova al mercato. Quanto guadagna?",
    "pt": "Qual é a capital da Austrália e quando foi fundada?",
    "nl": "Een boer heeft twaalf kippen en verkoopt de helft van de eieren op de markt.",
    "pl": "Rolnik ma dwanaście kur i sprzedaje połowę jaj na targu. Ile zarabia?",
    "sv": "En bonde har tolv höns och säljer hälften av äggen på torget. Hur mycket tjänar han?",
    "tr": "Bir çiftçinin on iki tavuğu var ve yumurtaların yarısını pazarda satıyor.",
    "vi": "Một người nông dân có mười hai con gà và bán một nửa số trứng ở chợ.",
    "id": "Seorang petani memiliki dua belas ekor ayam dan menjual setengah telurnya di pasar.",
    "ru": "Какой город является столицей Австралии?",
    "zh": "澳大利亚的首都是哪个城市?",
    "ja": "ある農家は十二羽の鶏を飼っていて、卵の半分を市場で売ります。",
    "ko": "한 농부가 닭 열두 마리를 키우며 달걀의 절반을 시장에서 팝니다.",
    "ar": "لدى مزارع اثنتا عشرة دجاجة ويبيع نصف البيض في السوق.",
    "hi": "एक किसान के पास बारह मुर्गियाँ हैं और वह आधे अंडे बाज़ार में बेचता है।",
    "el": "Ένας αγρότης έχει δώδεκα κότες και πουλάει τα μισά αυγά στην αγορά.",
    "he": "לחקלאי יש שתים עשרה תרנגולות והוא מוכר מחצית מהביצים בשוק.",
    "th": "ชาวนามีแม่ไก่สิบสองตัวและขายไข่ครึ่งหนึ่งที่ตลาด",
}
SHORT = (
    "पुर्तगाल की राजधानी क्या है?",
    "পর্তুগালের রাজধানী কী?",
    "Яка столиця Португалії?",
    "Ποια είναι η πρωτεύουσα της Πορτογαλίας;",
    "پایتخت پرتغال کجاست؟",
    "ポルトガルの首都は?",
)
OPTIONS = (
    "\n(A) 4\n(B) 6\n(C) 8\n(D) 10\n(E) 12",
    "\nA) 1912\nB) 1931\nC) 1945",
    "\n(1) 4\n(2) 6\n(3) 8\n(4) 10\n(5) 12",
    "\n[A] 4\n[B] 6\n[C] 8\n[D] 10",
    "\n(а) 4\n(б) 6\n(в) 8\n(г) 10",
    "\n(A) 4 (B) 6\n\n(A) 8 (B) 10 (C) 12",
)
MISLEADING = (
    "Quelles sont les causes les plus fréquentes d'une insuffisance rénale chez un patient hospitalisé ?",
    "Qual é o medicamento que mais provavelmente cause hipoglicemia em pacientes idosos com diabetes?",
    "Quali sono le cause più frequenti della dispnea acuta nei pazienti anziani con una cardiopatia?",
    "Welche Seen in Bayern entstanden durch Gletscher, und wie tief sind die drei größten von ihnen?",
)
"""Words of these are English ones too."""
READ = (
    "What is the capital of Australia?",
    "Fix this!",
    "",
    "12 * (7 + 5) = ?",
    "def parse_tokens(buf_ptr, maxlen):\n    while idx < maxlen and buf_ptr[idx] != 0x20:\n        idx += 1",
    "A 49-year-old with dysphagia and regurgitation: is achalasia or a pharyngoesophageal diverticulum likelier?",
    "Translate 'Wie viel Geld verdient er?' for me, and explain how the verb is conjugated.",
    "Which statement about mitral stenosis is likely to be false?\n(A) Orthopnoea\n(B) Haemoptysis\n(C) Bradycardia",
    "What does привет mean?",
    "Let α + β = γ with Δx ≥ 0 and θ(λ) = μ",
    "α ∧ β → ¬γ",
    "##",
    "Solve \\int_0^1 x^2 \\sqrt{1 - x^2} dx by substitution",
)


@pytest.fixture(scope="module")
def scorer() -> OnnxScorer:
    return load_scorer("mini")


@pytest.mark.parametrize("language", FOREIGN)
def test_other_languages_are_known_as_such(scorer: OnnxScorer, language: str) -> None:
    assert not scorer.reads(FOREIGN[language])


@pytest.mark.parametrize("text", SHORT)
def test_another_script_is_enough_in_a_short_text(scorer: OnnxScorer, text: str) -> None:
    assert not scorer.reads(text)


@pytest.mark.parametrize("text", MISLEADING)
def test_words_that_are_english_too_do_not_make_a_text_english(scorer: OnnxScorer, text: str) -> None:
    assert not scorer.reads(text)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("language", FOREIGN)
def test_labels_of_options_are_not_taken_for_code(scorer: OnnxScorer, language: str, options: str) -> None:
    assert not scorer.reads(FOREIGN[language] + options)


@pytest.mark.parametrize("text", READ)
def test_english_code_formulas_and_short_texts_are_read(scorer: OnnxScorer, text: str) -> None:
    assert scorer.reads(text)


def test_a_tokenizer_of_another_kind_is_believed() -> None:
    assert is_readable(["▁Ein", "▁Bauer", "▁hat", "▁zwölf", "▁Hühner", "▁und", "▁verkauft", "▁die"])


def test_what_is_not_read_is_half_the_level_and_nothing_else_changes(scorer: OnnxScorer) -> None:
    capabilities = catalogue_capabilities()[:5]
    level_K = log_odds(np.array([capability.mean_accuracy for capability in capabilities]))
    texts = [READ[0], FOREIGN["de"], FOREIGN["zh"]]
    plain_NK = Calibration(**json.loads((scorer.checkpoint.folder / "calibration.json").read_text())).log_odds(
        scorer.log_odds(texts, capabilities)
    )
    scored, read = scorer.score(texts, capabilities), scorer.score_with_vectors(texts, capabilities)[0]
    assert log_odds(scored[0]) == pytest.approx(plain_NK[0])
    assert log_odds(scored[1:]) == pytest.approx((plain_NK[1:] + level_K) / 2.0)
    assert scored == pytest.approx(read)


def test_a_decision_says_so_and_a_log_once(caplog: pytest.LogCaptureFixture) -> None:
    router = Router.from_pretrained()
    decisions = router.route_many([FOREIGN["de"], READ[0], FOREIGN["ru"]])
    said = [any("does not read this language well" in warning for warning in one.warnings) for one in decisions]
    assert said == [True, False, True]
    assert sum("does not read this language well" in record.getMessage() for record in caplog.records) == 1
