"""Thoughts are not graded, whatever a family of models puts around them; a thought that was cut off is no answer."""

from __future__ import annotations

import pytest

from cit_core.aptitude.grading import grade
from cit_core.aptitude.grading.thoughts import without_thoughts
from cit_core.records import Item

CHOICE = Item(id="c", task="t", instruction="q", options=("red", "green", "blue", "black"), answer="C")
ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is C.", "The answer is C."),
        ("<think>The answer is B. Hmm.</think>\n\nC", "\n\nC"),
        ("<think>\n\n</think>\n\nC", "\n\nC"),
        ("the answer is B</think>C", "C"),
        ("<think>I open <think> again: B</think>C", "C"),
        ("<think>B</think>Hm. <think>B again</think>C", "Hm. \nC"),
        ("<think>B</think>Answer: B<think>no</think>Answer: C", "Answer: B\nAnswer: C"),
        ("Let me see. <think>C", "Let me see. "),
        ("<think>The answer is C. But wait", ""),
        ("<THINK>B</THINK>C", "C"),
        ("<thinking>B</thinking>C", "C"),
        ("<thought>B</thought>C", "C"),
        ("<reasoning>B</reasoning>C", "C"),
        ("[THINK]The answer is B[/THINK]C", "C"),
        ("◁think▷B◁/think▷C", "C"),
        ("<seed:think>B</seed:think>C", "C"),
        ("<|begin_of_thought|>B<|end_of_thought|><|begin_of_solution|>C<|end_of_solution|>", "C"),
        ("<|START_THINKING|>B<|END_THINKING|><|START_RESPONSE|>C<|END_RESPONSE|>", "C"),
        ("Here is my thought process: B\nHere is my response: C", " C"),
        (f"{ANALYSIS}The answer is B<|end|>{FINAL}C<|return|>", "C"),
        (f"{ANALYSIS}The answer is B<|end|>{FINAL}C", "C"),
        (f"{ANALYSIS}The answer is C. But", ""),
        (f"{ANALYSIS}B<|end|><|start|>assistant<|channel|>commentary<|message|>I look it up.<|end|>{FINAL}C", "C"),
        ("<|channel|>final <|constrain|>json<|message|>C", "C"),
        ("analysisWe need the letter. Answer: B.assistantfinalAnswer: C", "Answer: C"),
        ("analysisThe answer is C, but", ""),
        ("analysis of the text: C", "analysis of the text: C"),
        ("assistantanalysisThe answer is B.assistantfinalC", "C"),
        ("<longcat_think>B</longcat_think>C", "C"),
        ("<reason>B</reason>C", "C"),
        ("<|inner_prefix|>B<|inner_suffix|>C", "C"),
        ("Here are my reasoning steps:\nB\n[BEGIN FINAL RESPONSE]C[END FINAL RESPONSE]", "C"),
        ("Here are my reasoning steps:\nB?\nAnswer: C", "Here are my reasoning steps:\nB?\nAnswer: C"),
        ("The answer is <s>B</s> C.", "The answer is C."),
        ("<s>B</s> C", " C"),
        ("C <s>B</s>", "C"),
        ("<s>C</s>", "C"),
        ("<s>C</s><s>B</s>", "C"),
        ("C<|im_end|>", "C"),
        ("C<|eot_id|>", "C"),
        ("C</s>", "C"),
        ("C<end_of_turn>", "C"),
        ("C<｜end▁of▁sentence｜>", "C"),
        ("<|begin_of_box|>C<|end_of_box|>", "C"),
        ("<|im_start|>assistant\nC<|im_end|>", "\nC"),
        ("C<|im_end|>\n<|im_start|>user\nAnd now?<|im_end|>\n<|im_start|>assistant\nB", "C"),
        ("a <| b and c |> d, x < 3", "a <| b and c |> d, x < 3"),
    ],
)
def test_what_is_left(text: str, answer: str) -> None:
    assert without_thoughts(text) == answer


def test_a_long_thought_that_was_cut_off_is_no_answer() -> None:
    """However long: its beginning is looked for before only the end of the text is read."""
    assert grade(CHOICE, "<think>" + "The answer is C. " * 3_000) == 0.0
    assert grade(CHOICE, "<think>" + "The answer is B. " * 3_000 + "</think>The answer is C.") == 1.0
