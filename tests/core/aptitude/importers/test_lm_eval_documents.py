"""Questions of the harness's data sets: never the examples of a prompt, whatever a document calls its parts."""

from __future__ import annotations

import json
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
        ({"question": "Who?", "answers": ["x", "y"]}, "Who?"),
        ({"question": "Who?", "answers": "['x', 'y']"}, "Who?"),
        (
            {"context": "It is.", "question": "Who?", "answers": {"text": ["x", "y"], "answer_start": [1, 2]}},
            "It is.\nWho?",
        ),
        ({"question": "Who?", "answers": ["x", "y"], "label": 1}, f"Who?{AB}"),
        *(
            ({"question": "Why?", "answers": ["x", "y"], name: value}, f"Why?{AB}")
            for name, value in (
                *(("answer", 1), ("answer", "B"), ("correct_answer_id", 1), ("correct_answer", "y")),
                *(("answer_key", "A"), ("target", 1), ("labels", [1, 0])),
            )
        ),
        *(
            ({"question": "Who?", "answers": ["x", "y"], name: value}, "Who?")
            for name, value in (("answer", "x"), ("answer", 5), ("answer", "C"), ("labels", [0]), ("target", "x"))
        ),
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


def test_marks_of_a_template_that_never_close_do_not_hang() -> None:
    """Were the pattern quadratic, this would take minutes."""
    prompt = "[INST]<<SYS>>" * 50_000
    assert instruction_of({"doc": {}, "arguments": [[prompt, {}]]}) is not None


ASKED, EARLIER = "What is the capital of Peru?", "What is the capital of Chile?"
CHAT = [
    {"role": "system", "content": "You are helpful."},
    *({"role": "user", "content": EARLIER}, {"role": "assistant", "content": "Santiago"}),
]


@pytest.mark.parametrize(
    "prompt",
    [
        json.dumps([*CHAT, {"role": "user", "content": ASKED}]),
        [json.dumps([*CHAT, {"role": "user", "content": ASKED}])],
        json.dumps([{"role": "user", "content": [{"type": "text", "text": ASKED}]}]),
        json.dumps([{"role": "user", "content": f"{SHOTS}{ASKED}"}, {"role": "assistant", "content": "It is"}]),
        "<|im_start|>user\n{0}<|im_end|>\n<|im_start|>assistant\nSantiago<|im_end|>\n<|im_start|>user\n{1}<|im_end|>\n"
        "<|im_start|>assistant\n",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{1}<|eot_id|><|start_header_id|>assistant"
        "<|end_header_id|>\n\n",
        "<bos><start_of_turn>user\n{1}<end_of_turn>\n<start_of_turn>model\n",
        "<s>[INST] <<SYS>>\nBe helpful.\n<</SYS>>\n\n{0} [/INST] Santiago </s><s>[INST] {1} [/INST]",
        "<｜begin▁of▁sentence｜>You are helpful.<｜User｜>{1}<｜Assistant｜>",
        "<|system|>\nBe helpful.<|end|>\n<|user|>\n{1}<|end|>\n<|assistant|>\n",
        "<|start|>system<|message|>Be helpful.<|end|><|start|>user<|message|>{1}<|end|><|start|>assistant",
    ],
)
def test_of_a_chat_the_last_question_counts(prompt: Any) -> None:
    sent = prompt.replace("{0}", EARLIER).replace("{1}", ASKED) if isinstance(prompt, str) else prompt
    assert (
        instruction_of({"doc": {"country_id": 3}, "arguments": {"gen_args_0": {"arg_0": sent, "arg_1": {}}}}) == ASKED
    )


def test_a_question_of_several_paragraphs_is_whole_where_examples_are_turns() -> None:
    asked = {"role": "user", "content": f"Peru is a country.\n\n{ASKED}"}
    arguments = [[json.dumps([*CHAT, asked]), {}]]
    assert instruction_of({"doc": {}, "arguments": arguments}) == asked["content"]
