"""The question is found in prompts of the shapes that retrieval chains make; what is short is read as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.router.question import find_question

LIMIT = 300
PROSE = "\n\n".join(
    f"Section {n}. The river rose by {n} metres in the spring of that year, and the town kept records of it."
    for n in range(40)
)
HALF = len(PROSE) // 2
QUESTIONS = (
    "Which Roman emperor built the wall?",
    "Compute the derivative of x^2 sin x",
    "Which of these is a prime?\nA. 21\nB. 23\nC. 27",
    "水的沸点是多少？",
    "Schreibe eine Funktion, die Palindrome erkennt.",
)
TEMPLATES = {
    "rag": "Use the following pieces of context to answer.\n\n{context}\n\nQuestion: {question}\nHelpful Answer:",
    "llama-index": (
        "Context information is below.\n---------------------\n{context}\n---------------------\n"
        "Given the context information, answer the query.\nQuery: {question}\nAnswer: "
    ),
    "question first": "Question: {question}\n\nContext:\n{context}",
    "tags": "<documents>\n{context}\n</documents>\n<question>{question}</question>",
    "chinese": "上下文：\n{context}\n\n问题：{question}\n答案：",
    "markdown": "## Documents\n\n{context}\n\n**Question:** {question}\n\n**Answer:**",
    "user": "System: be brief.\n\n{context}\n\nUser question: {question}\nAssistant:",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_labelled_question_is_all_that_is_read(template: str, question: str) -> None:
    found = find_question(template.format(context=PROSE, question=question), LIMIT)
    assert found == (question, True)


@pytest.mark.parametrize("question", [QUESTIONS[0], QUESTIONS[1], QUESTIONS[2], QUESTIONS[3]])
@pytest.mark.parametrize(
    "prompt",
    ["{before}\n\n{question}", "{question}\n\n{before}", "{before}\n\n{question}\n\n{after}"],
    ids=["after documents", "before documents", "between documents"],
)
def test_a_paragraph_that_asks_is_found_without_a_label(question: str, prompt: str) -> None:
    text = prompt.format(before=PROSE[:HALF], after=PROSE[HALF:], question=question)
    assert find_question(text, LIMIT).text == question


HARDER = {
    "an order after a sentence": "The medians of triangle ABC meet at G, its area is $144$.  Find the area of AGB.",
    "options that fill more than is read": "What is inflation?\n" + "\n".join(f"({k}) a{' tax' * 20}" for k in "ABCDE"),
    "a text to be continued": "You are most likely to meet magma at",
    "a cloze": "The capital of Peru is ____",
}


@pytest.mark.parametrize("question", HARDER.values(), ids=HARDER)
def test_a_question_that_is_long_or_has_no_question_mark_is_found_between_documents(question: str) -> None:
    """It is read as it is without them."""
    text = f"{PROSE[:HALF]}\n\n{question}\n\n{PROSE[HALF:]}"
    assert find_question(text, LIMIT).text == find_question(question, LIMIT).text


def test_the_premise_of_a_question_is_read_with_it_and_a_document_is_not() -> None:
    premise = "Satellites have detected thousands of isotropic bursts of gamma rays."
    question = "Which distances could be possible for these bursts?"
    assert find_question(f"{PROSE}\n\n{premise}\n\n{question}", LIMIT).text == f"{premise}\n{question}"
    assert find_question(f"{premise}\n\n{PROSE}\n\n{question}", LIMIT).text == question


def test_what_asks_plainly_goes_before_a_mark_in_the_last_document() -> None:
    text = f"Which Roman emperor built the wall?\n\n{PROSE}\n\nThe council asked: why? Nobody knew for many years."
    assert find_question(text, LIMIT).text == "Which Roman emperor built the wall?"


@pytest.mark.parametrize("question", ["Who wrote Emma?", "Which is a prime?\n(A) 21\n(B) 23"])
@pytest.mark.parametrize("between", [" ", "\n"])
def test_a_question_without_a_paragraph_of_its_own_is_found(question: str, between: str) -> None:
    prose = PROSE.replace("\n\n", between)
    assert find_question(f"{prose}{between}{question}", LIMIT).text == question
    assert find_question("The meeting was moved to next week. " * 100 + question, LIMIT).text == question


def test_a_long_question_behind_a_label_is_read_as_it_is_alone() -> None:
    question = "\n\n".join(["A cube has an edge of 3.", "x = 4. " * 60, "How large is its surface?"])
    labelled = find_question(f"{PROSE}\n\nQuestion: {question}\nAnswer:", LIMIT).text
    assert labelled == find_question(question, LIMIT).text


def test_the_last_labelled_question_is_the_one_that_is_asked() -> None:
    text = f"Question: Who wrote Emma?\nAnswer: Jane Austen\n\n{PROSE}\n\nQuestion: Who wrote Ulysses?\nAnswer:"
    assert find_question(text, LIMIT).text == "Who wrote Ulysses?"


def test_options_in_a_paragraph_of_their_own_belong_to_the_question() -> None:
    text = f"{PROSE}\n\nWhich of these is a prime?\n\nA. 21\nB. 23\nC. 27"
    assert find_question(text, LIMIT).text == "Which of these is a prime?\nA. 21\nB. 23\nC. 27"


def test_where_nothing_asks_the_beginning_and_the_end_are_read() -> None:
    found = find_question(PROSE, LIMIT)
    assert found.cut
    assert found.text.startswith(PROSE[:100])
    assert found.text.endswith(PROSE[-100:])


@given(st.text(max_size=800), st.integers(50, 400))
def test_what_is_read_is_never_longer_than_asked_and_short_texts_are_read_whole(text: str, characters: int) -> None:
    found = find_question(text, characters)
    assert len(found.text) <= max(characters, 0)
    assert found.cut == (len(text) > characters)
    assert found.cut or found.text == text


def test_a_hostile_text_costs_little() -> None:
    """Patterns that backtrack would take minutes."""
    for text in ("\n" * 200_000, "Question:" * 50_000, "<question>" * 50_000, "- " * 200_000, "\n---" * 100_000):
        assert len(find_question(text, LIMIT).text) <= LIMIT
