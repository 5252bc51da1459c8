"""Verifiers of form, of probability, of agreement and by a judge; any function is one, and none can fail a call."""

import asyncio
import math

import pytest
from pydantic import BaseModel

from cit_core.errors import InvalidInput
from cit_core.router import Agreement, Answer, FollowsSchema, Judge, Matches, MeanLogprob, Verdict
from cit_core.router.verifiers import averify, ballot, elected, verify


class Invoice(BaseModel):
    """An answer's form."""

    total: float


def scores(verifier, text="", **said):
    """Return the score in both ways to ask."""
    answer = Answer(text, "small", **said)
    found = verify(verifier, "What?", answer).score
    assert asyncio.run(averify(verifier, "What?", answer)).score == found
    return found


def test_form():
    assert scores(Matches(r"^\d+$"), "42") == 1.0
    assert scores(Matches(r"^\d+$"), "about 42") == 0.0
    assert scores(FollowsSchema(Invoice), '```json\n{"total": 3}\n```') == 1.0
    assert scores(FollowsSchema(Invoice), '{"sum": 3}') == 0.0
    assert scores(FollowsSchema(list[int]), "no JSON") == 0.0
    assert scores(FollowsSchema({"type": "array"}), "[1]") == 1.0
    assert scores(FollowsSchema({"type": "array"}), "[1") == 0.0
    assert scores(Matches("x"), "", tool_calls=("send_mail",)) is None
    with pytest.raises(InvalidInput, match="regular expression"):
        Matches("(")


def test_probability_of_tokens():
    assert scores(MeanLogprob(), mean_logprob=math.log(0.5)) == pytest.approx(0.5)
    assert scores(MeanLogprob()) is None


def test_agreement_of_samples():
    others = iter(["Paris.", "Lyon"] * 2)

    async def aagain():
        return Answer(next(others), "small")

    again = Answer("paris", "small", again=lambda: Answer(next(others), "small"), aagain=aagain)
    assert verify(Agreement(3), "Where?", again).score == 0.5
    assert asyncio.run(averify(Agreement(3), "Where?", again)).score == 0.5
    assert scores(Agreement(), "paris") is None
    with pytest.raises(InvalidInput, match="2 or more"):
        Agreement(1)


def test_the_answer_that_most_agree_with():
    votes = [ballot(said) for said in ("a", "", "B.", "", "", "b ")]
    assert elected(votes) == (2, 2)
    assert elected(["", ""]) == (0, 2)
    assert elected(["a", "b"]) == (0, 1)
    first, second = ("search", {"q": 1, "n": 2}), ("read", {})
    assert ballot("x", [first, second]) == ballot("y", [second, ("search", {"n": 2, "q": 1})]) != ballot("x", [first])


def test_judge_of_any_kind():
    asked = []

    def judge(prompt):
        asked.append(prompt)
        return "The sum is wrong.\nVERDICT: NO"

    async def ajudge(prompt):
        return "VERDICT: YES"

    class Model:
        def invoke(self, prompt):
            return type("Message", (), {"content": "verdict: yes"})()

    assert scores(Judge(judge), "5 {x}") == 0.0
    assert "What?" in asked[0]
    assert "5 {x}" in asked[0]
    assert scores(Judge(ajudge), "4") == 1.0
    assert scores(Judge(Model()), "4") == 1.0
    assert scores(Judge(lambda prompt: "I cannot tell"), "4") is None
    assert verify(Judge(judge, cost_usd=0.01), "", Answer("4", "small")) == Verdict(0.0, cost_usd=0.01)
    for wrong in (lambda: Judge(None), lambda: Judge(judge, prompt="Is it right?")):
        with pytest.raises(InvalidInput):
            wrong()


def test_a_function_of_any_kind(caplog):
    async def later(question, answer):
        return len(answer.text) / 10

    class Callable:
        async def __call__(self, question, answer):
            return True

    def broken(question, answer):
        raise RuntimeError(answer.text)

    assert scores(lambda question, answer: answer.text == "4", "4") == 1.0
    assert scores(later, "12345") == 0.5
    assert scores(Callable()) == 1.0
    assert scores(lambda question, answer: None) is None
    failed = verify(broken, "", Answer("secret", "small"))
    assert failed == Verdict(None, "the verifier failed (RuntimeError)")
    assert scores(broken) is None
    assert "secret" not in caplog.text
    with pytest.raises(InvalidInput, match="the verifier returned"):
        verify(lambda question, answer: "yes", "", Answer("", "small"))
