"""The answer is: stated in many languages."""

from __future__ import annotations

import pytest

from cit_core.aptitude.grading import grade
from cit_core.aptitude.grading.answers import chosen_options
from cit_core.records import Item

OPTIONS = ("red", "green", "blue", "black")


def choice(letter: str) -> Item:
    return Item(id="c", task="t", instruction="q", options=OPTIONS, answer=letter)


@pytest.mark.parametrize(
    "form",
    [
        *(
            "La respuesta correcta es la {}.",
            "Respuesta: {}",
            "La respuesta es la opción {}",
            "La opción correcta es ({})",
        ),
        *("La bonne réponse est {}.", "Réponse : {}", "La réponse est l'option ({})", "La réponse correcte est la {}."),
        *("Die richtige Antwort lautet {}.", "Antwort: {}", "Die Antwort ist ({})"),
        *("A resposta correta é a letra {}.", "Resposta: {}", "A alternativa correta é {}."),
        *("La risposta corretta è {}.", "Risposta: {}", "La risposta è la {}"),
        *("Правильный ответ: {}", "Ответ — {}.", "Ответ: вариант {}"),
        *("答案是{}。", "正确答案：{}", "答案为（{}）", "答案是选项{}", "故选{}。"),
        *("答えは{}です。", "正解は{}です", "答え：{}", "正解は「{}」です"),
        *("정답은 {}입니다.", "정답: {}", "답은 ({})"),
        *("Het juiste antwoord is {}.", "Poprawna odpowiedź to {}.", "Doğru cevap: {}", "Jawaban yang benar adalah {}"),
        *("คำตอบคือ {}", "คำตอบที่ถูกต้องคือ {}", "คำตอบคือข้อ {}", "सही उत्तर {} है।", "सही उत्तर: {}"),
        *("Respuesta correcta: {}", "La bonne réponse est la réponse {}.", "La réponse est donc {}.", "Lösung: {}"),
        *("A alternativa correta é a {}.", "الإجابة الصحيحة: {}", "الإجابة الصحيحة هي الخيار {}"),
        *(
            "Η σωστή απάντηση είναι η {}.",
            "{}が正解です。",
            "{}가 정답입니다.",
            "【答案】{}",
            "【解析】B错误。【答案】{}",
            "{}是正确的。",
        ),
        *("Doğru cevap {}'dir.", "Doğru cevap {} seçeneğidir."),
        *("Đáp án đúng là {}", "الإجابة الصحيحة هي {}", "Svaret är {}.", "Răspunsul corect este {}"),
    ],
)
@pytest.mark.parametrize("letter", ["A", "C", "D"])
def test_a_letter(form: str, letter: str) -> None:
    """After options that were weighed and given up, and with nothing else said afterwards."""
    text = f"B? B... (B)\n\n{form.format(letter)}"
    assert grade(choice(letter), text) == 1.0
    assert grade(choice("B"), text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        *("La respuesta es 7.", "La réponse est 7.", "Die Antwort lautet 7.", "A resposta é 7.", "La risposta è 7."),
        *("Ответ: 7", "答案是7。", "答えは7です。", "정답은 7입니다.", "合計は7です。", "答えは７です。"),
    ],
)
def test_a_number(text: str) -> None:
    assert grade(Item(id="n", task="t", instruction="q", answer="7", grader="number"), f"3 + 5?\n{text}") == 1.0


@pytest.mark.parametrize(
    "text", ["La réponse est Paris.", "Respuesta: Paris", "答案是Paris。", "Die Antwort ist Paris."]
)
def test_a_text(text: str) -> None:
    assert grade(Item(id="e", task="t", instruction="q", answer="Paris"), text) == 1.0


@pytest.mark.parametrize(
    ("text", "letter"), [("Правильный ответ: В", "B"), ("Ответ: С", "C"), ("Ответ: А.", "A"), ("Απάντηση: Β", "B")]
)
def test_letters_that_look_like_latin_ones(text: str, letter: str) -> None:
    assert [grade(choice(one), text) for one in "ABCD"] == [float(one == letter) for one in "ABCD"]


@pytest.mark.parametrize(
    "text",
    [
        *("А, Б и Г неверны. Ответ: В", "В этом случае ответа нет.", "С другой стороны, это так."),
        *("Bが正解ではありません。", "B가 정답이 아닙니다.", "B不正确。"),
    ],
)
def test_what_may_be_another_letter_or_none_is_no_choice(text: str) -> None:
    assert [grade(choice(letter), text) for letter in "ABCD"] == [0.0] * 4


WHERE = ("В Лондоне", "В Москве", "В Париже", "В Берлине")
WRITERS = ("Н. Гоголь", "А. Пушкин", "В. Маяковский", "С. Есенин")
TOWNS = ("Париж", "Лондон", "Берлин", "Мадрид")


@pytest.mark.parametrize(
    ("options", "text", "right"),
    [
        (WHERE, "Ответ: В Лондоне", {0}),
        (WHERE, "Ответ: В Париже", {2}),
        (WHERE, "Ответ: В Риме", set()),
        (WRITERS, "Ответ: А. Пушкин", {1}),
        (WRITERS, "Ответ: С. Маршак", set()),
        (TOWNS, "Ответ: А. С. Пушкин", set()),
        (TOWNS, "Ответ: В 1905 году", set()),
        (TOWNS, "Ответ: В Берлине", set()),
        (TOWNS, "Ответ: С Лондоном", set()),
        (TOWNS, "Ответ: В. Лондон", {1}),
        (TOWNS, "Ответ: С) Берлин", {2}),
        (("А", "Б", "В", "Г"), "Ответ: В", {2}),
        (("витамин А", "витамин В", "витамин С"), "Ответ: витамин В", {1}),
    ],
)
def test_a_letter_like_a_latin_one_may_be_a_word_or_an_initial(
    options: tuple[str, ...], text: str, right: set[int]
) -> None:
    assert chosen_options(text, options) == right


@pytest.mark.parametrize(
    "text",
    [
        *(
            "A和B正确",
            "A、B正确",
            "A或B正确",
            "AとBが正解です",
            "A와 B가 정답입니다",
            "如果B正确，那么...",
            "不能说B正确",
        ),
        *("说B正确是错误的", "没有证据表明B正确", "B는 답이 될 수 없습니다"),
    ],
)
def test_one_of_two_letters_and_a_condition_are_no_choice(text: str) -> None:
    assert grade(choice("B"), text) == 0.0


@pytest.mark.parametrize(
    "text", ["La respuesta de B es larga.", "選挙Bは答えません", "The answer to B was unclear; red."]
)
def test_a_word_for_answer_alone_states_nothing(text: str) -> None:
    assert grade(choice("B"), text) == 0.0
