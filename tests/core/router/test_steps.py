"""The order of asking, verifying and handing on, with an adapter of ten lines."""

import asyncio

from cit_core.records import Decision, Ranked
from cit_core.router import Answer, Cascade, Fallback, Rates
from cit_core.router.settlement import Bill
from cit_core.router.steps import Steps


class Texts:
    """Answers are texts; a mark is the number of steps."""

    def __init__(self, fallback):
        self.fallback, self.noted = fallback, []

    def attempts(self, decision):
        return self.fallback.attempts(decision)

    def question(self):
        return "What?"

    def answer(self, given, attempts, decision):
        return Answer("".join(given), attempts.model)

    def bill(self, given, model):
        return Bill(0.5)

    def words(self, given, model):
        return "".join(given)

    def reference(self, model):
        return None

    def marked(self, given, report):
        return (
            [f"{piece}{len(report['steps'])}" for piece in given]
            if isinstance(given, list)
            else f"{given}{len(report['steps'])}"
        )

    def accepted(self, decision, model):
        self.noted.append(model)


def steps_of(accepts):
    ranking = tuple(
        Ranked(model=model, probability=p, expected_cost_usd=cost, utility=p)
        for model, p, cost in (("large", 0.9, 0.1), ("small", 0.7, 0.01))
    )
    decision = Decision(model="large", probability=0.9, ranking=ranking, policy="best", scorer="fake")
    cascade = Cascade(lambda question, answer: accepts, reliability=Rates(0.95, 0.05))
    fallback = Fallback()
    adapter = Texts(fallback)
    return (
        Steps(cascade, cascade.planned(decision), fallback, adapter),
        Steps(None, decision, fallback, adapter),
        adapter,
    )


def ask(attempts):
    return attempts.model[0]


def pieces(attempts):
    yield from attempts.model[:2]


async def aask(attempts):
    return attempts.model[0]


async def apieces(attempts):
    for piece in attempts.model[:2]:
        yield piece


async def everything(steps):
    return [piece async for piece in steps.astream(apieces)]


def test_an_accepted_answer():
    assert steps_of(True)[0].answer(ask) == "s1"
    assert asyncio.run(steps_of(True)[0].aanswer(aask)) == "s1"
    steps, _, adapter = steps_of(True)
    assert list(steps.stream(pieces)) == ["s1", "m1"]
    assert adapter.noted == ["small"]
    assert asyncio.run(everything(steps_of(True)[0])) == ["s1", "m1"]


def test_a_refused_answer():
    told = []
    steps, _, adapter = steps_of(False)
    assert steps.answer(ask, told.append) == "l2"
    assert [len(report["steps"]) for report in told] == [1, 2]
    assert adapter.noted == []  # the last step's own call notes it
    assert asyncio.run(steps_of(False)[0].aanswer(aask)) == "l2"
    assert list(steps_of(False)[0].stream(pieces)) == ["l2", "a2"]
    assert asyncio.run(everything(steps_of(False)[0])) == ["l2", "a2"]


def test_without_a_cascade_nothing_is_added():
    steps = steps_of(False)[1]
    assert (steps.final, steps.answer(ask), list(steps.stream(pieces))) == (True, "l", ["l", "a"])
    assert asyncio.run(steps.aanswer(aask)) == "l"
