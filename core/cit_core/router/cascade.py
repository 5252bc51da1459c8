"""Cascade: ask a cheap candidate, verify its answer, and ask a better one where that pays.

Pure arithmetic; the adapters ask and verify. Before anything is asked, each candidate's cost, its verification and what
may follow are weighed against the policy's own choice. After each verdict, P(right) of the answer follows by Bayes, and
that of the others with it, as questions are hard for all; then stopping and asking on are compared. What is spent is
spent either way, so it changes no such comparison; it counts before it is spent, for the limit, and in the report.

Axes: K candidates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy import parse_policy
from cit_core.records import Decision, Ranked
from cit_core.router.cascade_utility import TINY, Array, Reading, after_verdict, expected_cost, expected_utility
from cit_core.router.fallback import Fallback
from cit_core.router.reliability import Reliability, fit_reliability, posterior
from cit_core.router.verifiers import ASSUMED, Answer, Verdict, Verifier, averify, verify

__all__ = ["Cascade", "CascadeRun", "Reading", "after_verdict", "expected_cost", "expected_utility"]

UNPRICED = "no price is known of {}, so a cascade cannot tell what is cheaper; the policy's choice answers"


@dataclass(frozen=True)
class Cascade:
    """A cascade of candidates. What it does for one answer is a `CascadeRun`.

    What a right answer is worth comes from `value`, else from the policy (`cost:VALUE`). Where neither says it, an
    answer is accepted once it is about as likely to be right as the policy's own choice would be: the same quality for
    less.

    Attributes:
        verify: Judges an answer: a function of the question and an `Answer`, or a verifier of `cit_core.router`.
        max_steps: Most candidates that are asked for one answer.
        value: Value of a right answer [USD].
        reliability: What the verdicts are worth, as `fitted` measures it; the verifier's assumed one if not given.
        tolerance: Where nothing says what a right answer is worth: how much less likely to be right than the policy's
            choice an answer may be.
        dependence: Correlation of the candidates' being right, beyond their probabilities: -1 to 1.
        limit_usd: No further candidate is asked where the costs of all steps would exceed this [USD].
        any_route: Ask on even where a route may do more than answer, such as an agent that runs tools itself.

    Raises:
        InvalidInput: If an option cannot be used.
    """

    verify: Verifier
    max_steps: int = 2
    value: float | None = None
    reliability: Reliability | None = None
    tolerance: float = 0.01
    dependence: float = 0.3
    limit_usd: float | None = None
    any_route: bool = False

    def __post_init__(self) -> None:
        if not callable(self.verify) or isinstance(self.verify, type):
            raise InvalidInput(f"verify is {shown(self.verify)}; it must be a function of a question and an Answer")
        if not isinstance(self.max_steps, int) or isinstance(self.max_steps, bool) or self.max_steps < 2:
            raise InvalidInput(f"max_steps is {shown(self.max_steps)}; it must be a whole number, 2 or more")
        for name in ("value", "limit_usd"):
            given = getattr(self, name)
            if given is not None and not (_is_number(given) and 0.0 < given < math.inf):
                raise InvalidInput(f"{name} is {shown(given)}; it must be USD, above 0")
        if not _is_number(self.tolerance) or not 0.0 <= self.tolerance < 1.0:
            raise InvalidInput(f"tolerance is {shown(self.tolerance)}; it must be a probability, 0 or a little more")
        if not _is_number(self.dependence) or not -1.0 <= self.dependence <= 1.0:
            raise InvalidInput(f"dependence is {shown(self.dependence)}; it must be a correlation, -1 to 1")
        if self.reliability is not None and not isinstance(self.reliability, Reliability):
            raise InvalidInput(
                f"reliability is {shown(self.reliability)}; use Rates(true_positive=..., false_positive=...) "
                "of cit_core.router, or cascade.fitted(pairs)"
            )

    @property
    def known_reliability(self) -> Reliability:
        """The measured reliability, else the assumed one."""
        assumed: Reliability = getattr(self.verify, "assumed", ASSUMED)
        return assumed if self.reliability is None else self.reliability

    def fitted(self, pairs: Iterable[tuple[float | bool, float | bool]]) -> Cascade:
        """Return a cascade whose verifier was measured on answers; see `fit_reliability`."""
        return replace(self, reliability=fit_reliability(pairs))

    def planned(self, decision: Decision) -> Decision:
        """Return the decision with the candidate in front that is asked first; as it is where verifying does not pay.

        Only a choice of the policy is changed: not one that a caller asked for, a conversation keeps or a draw made.
        """
        if decision.chosen_by != "policy" or decision.propensity < 1.0 or len(decision.ranking) < 2:
            return decision
        if decision.expected_cost_usd is None:
            told = UNPRICED.format(decision.model)
            if told in decision.warnings:
                return decision
            return decision.model_copy(update={"warnings": (*decision.warnings, told)})
        priced = [ranked for ranked in decision.ranking if ranked.expected_cost_usd is not None]
        p_K, cost_K, value = _probabilities(priced), _costs(priced), self._value(decision)
        if value is None:
            gain_K = cost_K[0] - expected_cost(p_K, cost_K, 0, self._reading(cost_K), self.tolerance)
            gain_K[0] = 0.0
        else:
            direct = value * p_K[0] - cost_K[0]
            gain_K = expected_utility(p_K, cost_K, value, self._reading(cost_K)) - direct
        first = int(gain_K.argmax())
        return _in_front(decision, priced[first]) if gain_K[first] > TINY else decision

    def begin(self, decision: Decision) -> CascadeRun:
        """Return the steps of one answer, from a decision that was planned."""
        return CascadeRun(self, decision)

    def _value(self, decision: Decision) -> float | None:
        if self.value is not None:
            return self.value
        try:
            found = getattr(parse_policy(decision.policy), "value", None)
        except InvalidInput:  # a policy of the user's own
            return None
        return found if _is_number(found) else None

    def _reading(self, cost_K: Array) -> Reading:
        calls, usd = getattr(self.verify, "further_calls", 0), getattr(self.verify, "cost_usd", 0.0)
        return Reading(self.known_reliability, self.dependence, usd + calls * cost_K)


class CascadeRun:
    """The steps of one answer. Ask `decision`'s candidate, then tell what came of it.

    Where `final` is True, the answer is the last one and needs no verdict: it may be handed on as it comes.

    Args:
        cascade: The cascade.
        decision: A decision that it planned.

    Attributes:
        decision: The decision for the step that is due, with the candidates that were not asked yet.
        final: Whether the answer to that step is final.
        answer: The answer that is accepted so far, as it was given.
    """

    def __init__(self, cascade: Cascade, decision: Decision) -> None:
        self.decision = decision
        self.final = decision.chosen_by != "cascade"
        self.answer: Any = None
        self._cascade, self._begun = cascade, decision
        self._value = cascade._value(decision)
        self._steps: list[dict[str, Any]] = []
        self._held, self._held_step = 0.0, -1
        self._spent = 0.0

    @property
    def holds_answer(self) -> bool:
        """True if there is an answer to fall back on."""
        return self._held_step >= 0

    def accepts(self, question: str, answer: Answer, given: Any, cost_usd: float | None = None) -> bool:
        """Verify an answer and note it; see `verified`.

        Args:
            question: The question, in words.
            answer: The answer, as verifiers see it.
            given: The same as the framework has it.
            cost_usd: Its cost that was measured [USD].
        """
        return self.verified(answer.model, given, verify(self._cascade.verify, question, answer), cost_usd)

    async def aaccepts(self, question: str, answer: Answer, given: Any, cost_usd: float | None = None) -> bool:
        """Verify without blocking the event loop; see `accepts`."""
        verdict = await averify(self._cascade.verify, question, answer)
        return self.verified(answer.model, given, verdict, cost_usd)

    def verified(self, model: str, answer: Any, verdict: Verdict, cost_usd: float | None = None) -> bool:
        """Note an answer and its verdict.

        Args:
            model: Candidate that answered, after a fallback another one than the decision's.
            answer: Its answer; the best so far is `answer`.
            verdict: Verdict on it.
            cost_usd: Cost of the answer that was measured [USD]; the expected one if not given.

        Returns:
            Whether the run is over and `answer` accepted; if not, `decision` is the next step.
        """
        ranked = self._note(model, cost_usd, verdict)
        ratio = 0.0 if verdict.score is None else self._cascade.known_reliability.log_ratio(verdict.score)
        now = posterior(ranked.probability, ratio)
        self._steps[-1]["posterior"] = now
        if not self.holds_answer or now > self._held:
            self.answer, self._held, self._held_step = answer, now, len(self._steps) - 1
        left = self._updated(model, now)
        following = self._next(left)
        if following is None:
            return True
        self.final, chosen = following
        self.decision = _in_front(self.decision.model_copy(update={"ranking": tuple(left)}), chosen)
        return False

    def finished(self, model: str, cost_usd: float | None = None) -> None:
        """Note the final answer, or that it begins."""
        self._note(model, cost_usd, None)
        self._held_step = len(self._steps) - 1

    def billed(self, cost_usd: float | None) -> None:
        """Note what the last step cost, where that is known only after it has begun."""
        step = self._steps[-1]
        if cost_usd is not None:
            self._spent += cost_usd - (step["cost_usd"] or 0.0)
            step |= {"cost_usd": cost_usd, "measured": True}

    def rescued(self, error: BaseException, fallback: Fallback) -> bool:
        """Note that the step that was due failed.

        Returns:
            Whether an earlier answer is accepted in its place; if not, the error is the caller's.
        """
        if not self.holds_answer or not fallback.covers(error):
            return False
        self._steps.append({"model": self.decision.model, "error": type(error).__name__})
        return True

    def report(self) -> dict[str, Any]:
        """Return the steps as JSON can hold them: models, costs, verdicts; no text of an answer."""
        steps = [{**step, "accepted": place == self._held_step} for place, step in enumerate(self._steps)]
        accepted = steps[self._held_step]
        told = {"decision": self._begun.id, "model": accepted["model"], "spent_usd": self._spent, "steps": steps}
        probability = accepted.get("posterior", accepted["probability"])
        if self._value is not None:
            told["utility_usd"] = self._value * probability - self._spent
        return {**told, "probability": probability}

    def _note(self, model: str, cost_usd: float | None, verdict: Verdict | None) -> Ranked:
        ranked = next(one for one in self.decision.ranking if one.model == model)
        cost = ranked.expected_cost_usd if cost_usd is None else cost_usd
        step: dict[str, Any] = {
            "model": model,
            "probability": ranked.probability,
            "cost_usd": cost,
            "measured": cost_usd is not None,
        }
        self._spent += cost or 0.0
        if verdict is not None:
            checked = self._cascade._reading(np.array([cost or 0.0])).cost_K[0] if not verdict.cost_usd else 0.0
            step |= {"score": verdict.score, "verify_usd": float(verdict.cost_usd or checked)}
            step |= {"reason": verdict.reason} if verdict.reason else {}
            self._spent += step["verify_usd"]
        self._steps.append(step)
        return ranked

    def _updated(self, model: str, probability: float) -> list[Ranked]:
        """Return the candidates that were not asked, with what the verdict says about them."""
        ranking = self.decision.ranking
        asked = next(place for place, one in enumerate(ranking) if one.model == model)
        p_K = after_verdict(_probabilities(ranking), asked, probability, self._cascade.dependence)
        return [
            one.model_copy(update={"probability": float(p)})
            for one, p in zip(ranking, p_K, strict=True)
            if one.model != model
        ]

    def _next(self, left: list[Ranked]) -> tuple[bool, Ranked] | None:
        """Return whether the next answer is final and which candidate gives it; None to stop."""
        steps_left, limit = self._cascade.max_steps - len(self._steps), self._cascade.limit_usd
        able = [one for one in left if one.expected_cost_usd is not None]
        if limit is not None:
            able = [one for one in able if self._spent + (one.expected_cost_usd or 0.0) <= limit]
        if not able or steps_left < 1:
            return None
        p_K, cost_K = _probabilities(able), _costs(able)
        reading = self._cascade._reading(cost_K)
        if self._value is None:
            return self._as_good(able, p_K, cost_K, reading, steps_left)
        direct_K = self._value * p_K - cost_K
        best_K = direct_K
        if steps_left > 1:
            best_K = np.maximum(direct_K, expected_utility(p_K, cost_K, self._value, reading, self._held))
        chosen = int(best_K.argmax())
        if best_K[chosen] <= self._value * self._held + TINY:
            return None
        return bool(best_K[chosen] <= direct_K[chosen] + TINY), able[chosen]

    def _as_good(
        self, able: list[Ranked], p_K: Array, cost_K: Array, reading: Reading, steps_left: int
    ) -> tuple[bool, Ranked] | None:
        """Return the next step where nothing says what a right answer is worth: the policy's order, if it is better."""
        enough = self._held + self._cascade.tolerance + TINY
        target = int(np.argmax(p_K > enough))
        if p_K[target] <= enough:
            return None
        if steps_left > 1:
            spent_K = expected_cost(p_K, cost_K, target, reading, self._cascade.tolerance)
            spent_K[target] = cost_K[target]
            chosen = int(spent_K.argmin())
            return chosen == target, able[chosen]
        return True, able[target]


def _in_front(decision: Decision, chosen: Ranked) -> Decision:
    others = (ranked for ranked in decision.ranking if ranked.model != chosen.model)
    changed: dict[str, Any] = {
        "model": chosen.model,
        "probability": chosen.probability,
        "ranking": (chosen, *others),
        "chosen_by": "cascade",
    }
    return decision.model_copy(update=changed)


def _probabilities(ranking: Iterable[Ranked]) -> Array:
    return np.array([ranked.probability for ranked in ranking], np.float64)


def _costs(ranking: Iterable[Ranked]) -> Array:
    return np.array([ranked.expected_cost_usd for ranked in ranking], np.float64)


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)
