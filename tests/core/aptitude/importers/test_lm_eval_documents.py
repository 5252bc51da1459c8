"""Questions of the harness's data sets: never the examples of a prompt, whatever a document calls its parts."""

from __future__ import annotations

from typing import Any

import pytest

from cit_core.aptitude.importers._lm_eval_documents import instruction_of

SHOTS = "Example question?\nexample answer\n\n" * 5
AB = "\n(A) x\n(B) y"


@pytest.mark.parametrize(
    ("document", "instruction"),
    [
        ({"question_stem": "Why?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}}, f"Why?{AB}"),
        ({"sentence": "He _ it.", "option1": "x", "option2": "y", "answer": "1"}, f"He _ it.{AB}"),
        ({"goal": "Why?", "sol1": "x", "sol2": "y", "label": 0}, f"Why?{AB}"),
        ({"task_id": 1, "text": "Write it.", "code": "x"}, "Write it."),
        ({"prompt": "def f():", "canonical_solution": "x"}, "def f():"),
        ({"ctx": "He goes", "endings": ["x", "y"]}, f"He goes{AB}"),
        ({"query": "Sport: He goes", "ctx": "He goes", "choices": ["x", "y"]}, f"Sport: He goes{AB}"),
        ({"premise": "It rains.", "hypothesis": "It is wet.", "label": 0}, "It rains.\nIt is wet."),
        ({"premise": "It rained.", "question": "effect", "choice1": "x", "choice2": "y"}, f"It rained.\neffect{AB}"),
        ({"sentence1": "One.", "sentence2": "Two.", "label": 0}, "One.\nTwo."),
        ({"question1": "One?", "question2": "Two?"}, "One?\nTwo?"),
        ({"question": "Why?", "sentence": "Because."}, "Because.\nWhy?"),
        ({"question": "Why?", "opa": "x", "opb": "y", "cop": 1}, f"Why?{AB}"),
        ({"question": "Why?", "option_a": "x", "option_b": "y"}, f"Why?{AB}"),
        ({"question": "Why?", "A": "x", "B": "y", "answer": "A"}, f"Why?{AB}"),
        ({"context": "It is.", "question": "Why?", "answerA": "x", "answerB": "y"}, f"It is.\nWhy?{AB}"),
        ({"flores_passage": "It is.", "question": "Why?", "mc_answer1": "x", "mc_answer2": "y"}, f"It is.\nWhy?{AB}"),
        ({"qtext": "Why?", "answers": [{"aid": 1, "atext": "x"}, {"aid": 2, "atext": "y"}]}, f"Why?{AB}"),
        ({"body": "It is.", "question": "Why?"}, "It is.\nWhy?"),
        ({"Question": "Why?", "options": [1, 2]}, "Why?\n(A) 1\n(B) 2"),
        ({"question": "Why?", "choices": [str(number) for number in range(30)]}, "Why?"),
        ({"question": "Why?", "choices": 5, "options": [["x"]]}, "Why?"),
    ],
)
def test_documents_of_the_harness(document: dict[str, Any], instruction: str) -> None:
    sent = {"gen_args_0": {"arg_0": f"{SHOTS}A question in the template's words:"}}
    assert instruction_of({"doc": document, "arguments": sent}) == instruction


def test_of_an_unknown_document_its_own_texts_count() -> None:
    document = {"zebra": "A text that nobody knows yet?", "apple": "It goes before the other.", "answer": "not sent"}
    prompt = f"{SHOTS}Read: It goes before the other.\n\nNow: A text that nobody knows yet?\nAnswer:"
    fields = {"doc": document, "arguments": [[prompt, {}]]}
    assert instruction_of(fields) == "It goes before the other.\nA text that nobody knows yet?"


def test_where_there_is_no_document_the_prompt_counts_without_its_examples() -> None:
    assert instruction_of({"doc": {}, "arguments": [[f"{SHOTS}Why?\nAnswer:", {}]]}) == "Why?\nAnswer:"
    for arguments in (None, [], {}, [5], [[5]], "x", {"a": {"b": ["x"]}}):
        assert instruction_of({"doc": {}, "arguments": arguments}) is None
