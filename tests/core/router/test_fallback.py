"""After a failure the next best is asked, and who fails again and again is left alone for a while."""

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from cit_core.errors import InvalidInput, NoCandidate, Transient
from cit_core.records import Candidate, Decision
from cit_core.router import Failure, FakeScorer, Fallback, Router

REQUEST = httpx.Request("POST", "http://localhost")


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def decision() -> Decision:
    scores = {"a": 0.9, "b": 0.6, "c": 0.3}
    return Router(FakeScorer(scores), [Candidate(id=id_) for id_ in scores]).route("q")


class Backend:
    """Candidates that fail as they are told to."""

    def __init__(self, **errors: BaseException) -> None:
        self.errors = errors
        self.asked: list[str] = []

    def ask(self, model: str) -> str:
        self.asked.append(model)
        if model in self.errors:
            raise self.errors[model]
        return f"{model}'s answer"

    def answer(self, fallback: Fallback, decision: Decision, windows: dict[str, int] | None = None) -> str:
        """As an adapter does."""
        attempts = fallback.attempts(decision, windows)
        while True:
            with attempts:
                return self.ask(attempts.model)

    async def aanswer(self, fallback: Fallback, decision: Decision) -> str:
        attempts = fallback.attempts(decision)
        while True:
            with attempts:
                await asyncio.sleep(0)
                return self.ask(attempts.model)

    def stream(self, fallback: Fallback, decision: Decision, breaks: BaseException | None = None) -> Any:
        attempts = fallback.attempts(decision)
        while True:
            with attempts:
                answer = self.ask(attempts.model)
                attempts.begun()
                yield answer
                if breaks:
                    raise breaks
                return


# -- after which errors -----------------------------------------------------------------------------------------------


def status_error(status: int, body: object = None, **headers: str) -> openai.APIStatusError:
    response = httpx.Response(status, request=REQUEST, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return openai.APIStatusError("x", response=response, body=body)


TOO_LONG = status_error(400, {"code": "context_length_exceeded"})
FILTERED = status_error(400, {"code": "content_filter"})
PASSING = [TimeoutError(), Transient("overloaded", status=503), *map(status_error, (401, 402, 403, 404, 408, 429, 500))]
PASSING += [TOO_LONG, FILTERED]
LASTING = [ValueError(), KeyError("x"), RuntimeError("timeout"), status_error(400), NoCandidate({"a": "denied"})]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_by_default_another_is_asked_where_one_cannot_serve(error: Exception, decision: Decision) -> None:
    backend = Backend(a=error)
    assert backend.answer(Fallback(), decision) == "b's answer"
    assert backend.asked == ["a", "b"]


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_any_other_error_comes_through_as_it_is(error: Exception, decision: Decision) -> None:
    backend = Backend(a=error)
    with pytest.raises(type(error)) as caught:
        backend.answer(Fallback(), decision)
    assert caught.value is error
    assert backend.asked == ["a"]


@pytest.mark.parametrize("on", [KeyError, (OSError, KeyError), lambda error: "again" in str(error)])
def test_fallback_on_chooses_the_errors(on: Any, decision: Decision) -> None:
    fallback = Fallback(on)
    assert Backend(a=KeyError("again")).answer(fallback, decision) == "b's answer"
    with pytest.raises(ValueError, match="no"):
        Backend(a=ValueError("no")).answer(fallback, decision)


def test_classes_extend_the_default_and_a_function_replaces_it(decision: Decision) -> None:
    timeout = Backend(a=TimeoutError("late"))
    assert timeout.answer(Fallback(KeyError), decision) == "b's answer"
    with pytest.raises(TimeoutError):
        timeout.answer(Fallback(lambda error: isinstance(error, KeyError)), decision)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_who_is_interrupted_asks_nobody_else(error: BaseException, decision: Decision) -> None:
    backend = Backend(a=error)
    with pytest.raises(type(error)):
        backend.answer(Fallback(lambda _: True), decision)
    assert backend.asked == ["a"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fallback_on": 3}, "fallback_on is 3; it must be an exception class"),
        ({"fallback_on": (KeyError, 3)}, "fallback_on is"),
        ({"fallback_on": int}, "fallback_on is int; "),
        ({"fallback_on": KeyboardInterrupt}, "fallback_on is"),
        ({"max_attempts": 0}, "max_attempts is 0; it must be a whole number, 1 or more"),
        ({"max_attempts": "3"}, "max_attempts is '3'"),
        ({"max_attempts": True}, "max_attempts is True"),
        ({"failures": 0}, "failures is 0"),
        ({"failures": 1.5}, "failures is 1.5"),
        ({"timeout_s": object()}, "timeout_s is object; it must be 0 or more seconds"),
        ({"first_token_timeout_s": -1}, "first_token_timeout_s is -1"),
        ({"attempt_timeout_s": "9"}, "attempt_timeout_s is '9'"),
        ({"long_cool_down_s": None}, "long_cool_down_s is None"),
        ({"cool_down_s": -1.0}, r"cool_down_s is -1\.0"),
        ({"cool_down_s": float("nan")}, "cool_down_s is nan"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Fallback(**options)


# -- how often, and what is left behind -------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "asked"), [(1, ["a"]), (2, ["a", "b"]), (3, ["a", "b", "c"]), (9, ["a", "b", "c"])])
async def test_the_last_error_comes_through_after_max_attempts(most: int, asked: list[str], decision: Decision) -> None:
    errors = {id_: TimeoutError(id_) for id_ in "abc"}
    backend = Backend(**errors)
    with pytest.raises(TimeoutError) as caught:
        backend.answer(Fallback(max_attempts=most), decision)
    assert caught.value is errors[asked[-1]]
    assert backend.asked == asked
    said = "asked: " + ", ".join(f"{id_} (TimeoutError: no answer)" for id_ in asked)
    rest = [id_ for id_ in "abc" if id_ not in asked]
    assert caught.value.__notes__ == [said + (f"; not asked: {', '.join(rest)}" if rest else "")]
    backend.asked.clear()
    with pytest.raises(TimeoutError):
        await backend.aanswer(Fallback(max_attempts=most), decision)
    assert backend.asked == asked


def test_attempts_are_recorded_without_the_errors_text(decision: Decision) -> None:
    attempts = Fallback().attempts(decision)
    assert (attempts.model, attempts.fell_back, attempts.failures) == ("a", False, ())
    assert attempts.failed(TimeoutError("secret"))
    assert (attempts.model, attempts.fell_back) == ("b", True)
    assert attempts.failed(ConnectionError("secret"))
    assert attempts.failures == (
        Failure("a", "TimeoutError", "no answer"),
        Failure("b", "ConnectionError", "no answer"),
    )
    assert not attempts.failed(TimeoutError("secret"))
    assert attempts.model == "c"
    assert "secret" not in repr(attempts.failures)


def test_a_stream_falls_back_before_its_first_part_only(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, clock=clock)
    backend = Backend(a=TimeoutError())
    assert list(backend.stream(fallback, decision)) == ["b's answer"]
    broken = backend.stream(fallback, decision, breaks=TimeoutError("midway"))
    assert next(broken) == "b's answer"
    with pytest.raises(TimeoutError, match="midway"):
        next(broken)
    assert backend.asked == ["a", "b", "b"]
    assert fallback.state("b") == "open", "but it has failed"


def test_who_stops_listening_to_a_stream_says_nothing_against_the_candidate(decision: Decision) -> None:
    fallback = Fallback(failures=1)
    stream = Backend().stream(fallback, decision)
    next(stream)
    stream.close()
    assert fallback.state("a") == "closed"


def test_who_dies_in_the_middle_of_every_stream_is_left_alone(decision: Decision) -> None:
    fallback = Fallback(failures=3)
    for _ in range(3):
        assert fallback.state("a") == "closed"
        with pytest.raises(TimeoutError):
            list(Backend().stream(fallback, decision, breaks=TimeoutError()))
    assert fallback.state("a") == "open"


@pytest.mark.parametrize("how", ["read to its end", "left early"])
def test_a_streams_end_closes_the_breaker_and_its_beginning_does_not(
    decision: Decision, clock: Clock, how: str
) -> None:
    fallback = Fallback(failures=1, cool_down_s=10, clock=clock)
    fallback.attempts(decision).failed(TimeoutError())
    clock.now += 10
    stream = Backend().stream(fallback, decision)
    assert next(stream) == "a's answer"
    assert fallback.state("a") == "half-open"
    assert fallback.attempts(decision).model == "b"
    list(stream) if how == "read to its end" else stream.close()
    assert fallback.state("a") == "closed"


def test_a_stream_that_was_cancelled_tells_nothing_and_gives_its_probe_back(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, cool_down_s=10, clock=clock)
    fallback.attempts(decision).failed(TimeoutError())
    clock.now += 10
    with pytest.raises(asyncio.CancelledError):
        list(Backend().stream(fallback, decision, breaks=asyncio.CancelledError()))
    assert fallback.state("a") == "half-open"
    assert fallback.attempts(decision).model == "a"


def test_a_stream_may_be_opened_here_and_read_elsewhere(decision: Decision) -> None:
    fallback, backend = Fallback(failures=2), Backend(a=TimeoutError())

    def opened() -> Any:
        attempts = fallback.attempts(decision)
        while True:
            with attempts.opening():
                return attempts, backend.ask(attempts.model)

    for _ in range(2):
        attempts, first = opened()
        assert (first, backend.asked[-2:]) == ("b's answer", ["a", "b"])
        with pytest.raises(TimeoutError), attempts:
            raise TimeoutError
    assert fallback.state("b") == "open", "to have opened it was no success"
    with pytest.raises(ValueError, match="mine"), fallback.attempts(decision).opening():
        raise ValueError("mine")


# -- the cool-down ----------------------------------------------------------------------------------------------------


def test_who_fails_in_a_row_is_left_alone_then_probed(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=2, cool_down_s=10, clock=clock)
    failing = Backend(a=TimeoutError())
    for _ in range(4):
        failing.answer(fallback, decision)
    assert failing.asked == ["a", "b", "a", "b", "b", "b"]
    assert fallback.state("a") == "open"

    clock.now += 9.9
    assert fallback.state("a") == "open"
    clock.now += 0.1
    assert fallback.state("a") == "half-open"
    probe, other = fallback.attempts(decision), fallback.attempts(decision)
    assert (probe.model, other.model) == ("a", "b"), "one probe alone"
    assert probe.failed(TimeoutError())
    assert fallback.state("a") == "open"
    assert fallback.attempts(decision).model == "b"

    clock.now += 10
    probe = fallback.attempts(decision)
    assert probe.model == "a"
    probe.answered()
    assert fallback.state("a") == "closed"
    assert [fallback.attempts(decision).model for _ in range(3)] == ["a"] * 3


def test_an_answer_between_failures_makes_them_no_row(decision: Decision) -> None:
    fallback = Fallback(failures=2)
    for errors in ({"a": TimeoutError()}, {}, {"a": TimeoutError()}):
        Backend(**errors).answer(fallback, decision)
    assert fallback.state("a") == "closed"


def test_an_error_of_the_callers_says_nothing_about_the_candidate(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, cool_down_s=10, clock=clock)
    with pytest.raises(ValueError, match="mine"):
        Backend(a=ValueError("mine")).answer(fallback, decision)
    assert fallback.state("a") == "closed"
    Backend(a=TimeoutError()).answer(fallback, decision)
    clock.now += 10
    with pytest.raises(asyncio.CancelledError):
        Backend(a=asyncio.CancelledError()).answer(fallback, decision)
    assert fallback.attempts(decision).model == "a", "a cancelled probe is repeated at once"


def test_only_the_probe_itself_can_give_its_place_back(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, cool_down_s=10, clock=clock)
    early = fallback.attempts(decision)
    fallback.attempts(decision).failed(TimeoutError())
    clock.now += 10
    probe = fallback.attempts(decision)
    assert (early.model, probe.model) == ("a", "a")
    early.failed(ValueError())
    assert fallback.attempts(decision).model == "b"
    probe.failed(ValueError())
    assert fallback.attempts(decision).model == "a"


def test_late_failures_of_calls_from_before_do_not_prolong_the_cool_down(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, cool_down_s=10, clock=clock)
    early = [fallback.attempts(decision) for _ in range(3)]
    early[0].failed(TimeoutError())
    clock.now += 9
    early[1].failed(TimeoutError())
    clock.now += 1
    probe = fallback.attempts(decision)
    assert probe.model == "a"
    early[2].failed(TimeoutError())
    assert fallback.state("a") == "half-open"
    probe.failed(TimeoutError())
    assert fallback.state("a") == "open"


def test_a_probe_that_never_reports_is_replaced(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, cool_down_s=10, clock=clock)
    fallback.attempts(decision).failed(TimeoutError())
    clock.now += 10
    lost = fallback.attempts(decision)
    assert lost.model == "a"
    clock.now += 9
    assert fallback.attempts(decision).model == "b"
    clock.now += 1
    assert fallback.attempts(decision).model == "a"


def test_somebody_is_asked_even_if_all_are_in_their_cool_down(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, clock=clock)
    down = Backend(**{id_: TimeoutError(id_) for id_ in "abc"})
    with pytest.raises(TimeoutError):
        down.answer(fallback, decision)
    assert {fallback.state(id_) for id_ in "abc"} == {"open"}
    up = Backend()
    assert up.answer(fallback, decision) == "a's answer"
    assert up.asked == ["a"]
    once = Backend(**{id_: TimeoutError(id_) for id_ in "abc"})
    with pytest.raises(TimeoutError, match=r"^a"):
        once.answer(Fallback(max_attempts=1), decision)
    assert once.asked == ["a"]


def test_of_many_threads_one_is_the_probe(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, cool_down_s=10, clock=clock)
    fallback.attempts(decision).failed(TimeoutError())
    clock.now += 10
    together = threading.Barrier(16)

    def begin(_: int) -> str:
        together.wait(timeout=30)
        return fallback.attempts(decision).model

    with ThreadPoolExecutor(16) as pool:
        models = list(pool.map(begin, range(16)))
    assert sorted(models) == ["a"] + ["b"] * 15


async def test_of_many_tasks_one_is_the_probe(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, cool_down_s=10, clock=clock)
    fallback.attempts(decision).failed(TimeoutError())
    clock.now += 10
    backend = Backend()

    async def slowly() -> str:
        attempts = fallback.attempts(decision)
        while True:
            with attempts:
                await asyncio.sleep(0.01)
                return backend.ask(attempts.model)

    await asyncio.gather(*(slowly() for _ in range(50)))
    assert sorted(backend.asked) == ["a"] + ["b"] * 49


def test_it_pickles_with_its_settings_and_without_its_past(decision: Decision) -> None:
    fallback = Fallback((KeyError,), max_attempts=2, failures=1, cool_down_s=7.0)
    fallback.attempts(decision).failed(KeyError())
    again = pickle.loads(pickle.dumps(fallback))
    assert again.settings == fallback.settings
    assert (again.fallback_on, again.max_attempts, again.failures, again.cool_down_s) == ((KeyError,), 2, 1, 7.0)
    assert "Fallback(fallback_on=(KeyError,), max_attempts=2, failures=1" in repr(again)
    assert (fallback.state("a"), again.state("a")) == ("open", "closed")


# -- the cool-down that fits the fault --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (status_error(429), 30.0),
        (status_error(429, retry_after="7"), 7.0),
        (status_error(503, retry_after="90"), 90.0),
        (status_error(429, {"code": "insufficient_quota"}), 600.0),
        *((status_error(status), 600.0) for status in (401, 402, 403, 404)),
        (status_error(401, retry_after="900"), 900.0),
    ],
    ids=str,
)
def test_a_refused_candidate_cools_down_at_once_for_as_long_as_it_fits(
    error: Exception, seconds: float, decision: Decision, clock: Clock
) -> None:
    fallback = Fallback(failures=3, clock=clock)
    assert Backend(a=error).answer(fallback, decision) == "b's answer"
    clock.now += seconds - 0.1
    assert (fallback.state("a"), fallback.attempts(decision).model) == ("open", "b")
    clock.now += 0.2
    assert (fallback.state("a"), fallback.attempts(decision).model) == ("half-open", "a")


@pytest.mark.parametrize("error", [TOO_LONG, FILTERED], ids=["too long", "filtered"])
def test_a_fault_of_the_question_cools_nothing_down(error: Exception, decision: Decision) -> None:
    fallback = Fallback(failures=1)
    assert Backend(a=error).answer(fallback, decision) == "b's answer"
    assert fallback.state("a") == "closed"
    assert fallback.cooling() == {}


@pytest.mark.parametrize(
    ("windows", "asked"),
    [
        ({}, ["a", "b", "c"]),
        ({"a": 100, "b": 100, "c": 1000}, ["a", "c", "b"]),
        ({"a": 100, "c": 1000}, ["a", "c", "b"]),
        ({"b": 100, "c": 1000}, ["a", "c", "b"]),
        ({"a": 100, "b": 200, "c": 300}, ["a", "b", "c"]),
        ({"a": 100, "b": 100}, ["a", "c", "b"]),
        ({"a": 1000, "b": 200, "c": 300}, ["a", "b", "c"]),
    ],
)
def test_a_prompt_too_long_goes_to_a_longer_window_next(
    windows: dict[str, int], asked: list[str], decision: Decision
) -> None:
    backend = Backend(a=TOO_LONG, b=TOO_LONG, c=TOO_LONG)
    with pytest.raises(openai.APIStatusError):
        backend.answer(Fallback(), decision, windows)
    assert backend.asked == asked


def test_all_of_a_small_zoo_are_tried_before_giving_up() -> None:
    zoo = [f"m{n}" for n in range(12)]
    router = Router(FakeScorer({id_: 0.9 - n / 100 for n, id_ in enumerate(zoo)}), [Candidate(id=id_) for id_ in zoo])
    backend = Backend(**dict.fromkeys(zoo[:9], TimeoutError()))
    assert backend.answer(Fallback(), router.route("q")) == "m9's answer"
    everyone = Backend(**dict.fromkeys(zoo, TimeoutError()))
    with pytest.raises(TimeoutError):
        everyone.answer(Fallback(), router.route("q"))
    assert everyone.asked == zoo[:10], "a large zoo is not tried to its end"


def test_who_cools_down_after_ordinary_failures_is_asked_before_giving_up(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, clock=clock)
    with pytest.raises(TimeoutError):
        Backend(**dict.fromkeys("abc", TimeoutError())).answer(fallback, decision)
    recovered = Backend(a=TimeoutError(), b=TimeoutError())
    assert recovered.answer(fallback, decision) == "c's answer"
    assert recovered.asked == ["a", "b", "c"]


def test_who_asked_to_be_left_alone_or_has_a_dead_key_is_not_asked_before_its_time(
    decision: Decision, clock: Clock
) -> None:
    fallback = Fallback(clock=clock)
    Backend(a=status_error(401), b=status_error(429, retry_after="60")).answer(fallback, decision)
    down = Backend(c=TimeoutError())
    with pytest.raises(TimeoutError) as caught:
        down.answer(fallback, decision)
    assert down.asked == ["c"]
    said = "not asked: a (key refused, HTTP 401; 600 s left), b (rate limit, HTTP 429; 60 s left)"
    assert caught.value.__notes__ == [f"asked: c (TimeoutError: no answer); {said}"]


def test_a_later_and_longer_cool_down_counts(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(failures=1, clock=clock)
    early = [fallback.attempts(decision) for _ in range(2)]
    early[0].failed(TimeoutError())
    early[1].failed(status_error(401))
    clock.now += 100
    assert fallback.state("a") == "open"


def test_a_decision_shows_who_is_cooling_down(decision: Decision, clock: Clock) -> None:
    fallback = Fallback(clock=clock)
    assert fallback.with_cool_downs(decision) is decision
    Backend(a=status_error(429, retry_after="60")).answer(fallback, decision)
    clock.now += 12
    shown = fallback.with_cool_downs(decision)
    assert shown.cooling_down == {"a": "rate limit, HTTP 429; 48 s left"}
    assert "cooling down: a (rate limit, HTTP 429; 48 s left)" in shown.explain()
    assert Decision.model_validate_json(shown.model_dump_json()) == shown


# -- time limits ------------------------------------------------------------------------------------------------------


def test_seconds_left_is_the_shortest_of_the_limits(decision: Decision, clock: Clock) -> None:
    assert Fallback(clock=clock).attempts(decision).seconds_left(stream=True) is None
    fallback = Fallback(timeout_s=10, attempt_timeout_s=6, first_token_timeout_s=2, clock=clock)
    attempts = fallback.attempts(decision)
    assert (attempts.seconds_left(), attempts.seconds_left(stream=True)) == (6, 2)
    clock.now += 5
    assert attempts.failed(TimeoutError())
    assert (attempts.seconds_left(), attempts.seconds_left(stream=True)) == (5, 2)
    attempts.begun()
    assert attempts.seconds_left(stream=True) == 5
    clock.now += 9
    assert attempts.seconds_left() == 0.0


def test_no_other_is_asked_when_the_time_of_the_call_is_up(decision: Decision, clock: Clock) -> None:
    attempts = Fallback(timeout_s=10, clock=clock).attempts(decision)
    clock.now += 10
    assert not attempts.failed(TimeoutError())
    assert attempts.model == "a"
