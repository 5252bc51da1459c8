"""The shipped checkpoint gives every query and candidate its own probability, whoever else is asked about and when."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cit_core.calibration import Calibration
from cit_core.records import Candidate, Capability, Task, TaskResult
from cit_core.runtime import OnnxScorer, load_scorer, onnx_scorer

Zoo = tuple[Capability, ...]
Make = Callable[..., Capability]
OTHERS = 0.08
"""Log-odds by which int8 lets the rest of the zoo change a score: activations share one scale a call."""
relaxed = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Counting:
    """A session that counts how often it is run."""

    def __init__(self, session: Any) -> None:
        self._session, self.runs = session, 0

    def get_inputs(self) -> Any:
        return self._session.get_inputs()

    def run(self, *arguments: Any) -> Any:
        self.runs += 1
        return self._session.run(*arguments)


@pytest.fixture
def fresh() -> OnnxScorer:
    """With empty caches, and sessions that count."""
    scorer = load_scorer("mini", threads=1)
    scorer._graphs = type(scorer._graphs)(*map(Counting, scorer._graphs))
    return scorer


def runs(scorer: OnnxScorer) -> dict[str, int]:
    return {graph: session.runs for graph, session in scorer._graphs._asdict().items()}


def test_many_queries_are_shared_among_cores_to_the_same_bits(zoo: Zoo) -> None:
    alone, shared = load_scorer("mini", threads=1), load_scorer("mini", threads=3)
    texts = [f"What is {number} times {number + 3}, and why?" for number in range(40)]
    lonely = [alone.read([text], zoo[:5]) for text in texts]
    odds_NK, vectors_ND = shared.read(texts, zoo[:5])
    assert (odds_NK == np.concatenate([odds for odds, _ in lonely])).all()
    assert (vectors_ND == np.concatenate([vectors for _, vectors in lonely])).all()
    assert (shared.encode(texts) == vectors_ND).all()
    assert (shared.log_odds(texts, zoo[:5]) == alone.log_odds(texts, zoo[:5])).all()


# ---- what comes out


@pytest.mark.parametrize("queries", [0, 1, 3])
@pytest.mark.parametrize("candidates", [0, 1, 2, 22])
def test_one_probability_for_every_query_and_candidate(
    scorer: OnnxScorer, zoo: Zoo, queries: int, candidates: int
) -> None:
    scores = scorer.score(["solve this"] * queries, zoo[:candidates])
    assert scores.shape == (queries, candidates)
    assert scores.dtype == np.float64
    assert ((scores > 0) & (scores < 1)).all()


def test_a_probability_is_the_calibrated_log_odds(scorer: OnnxScorer, zoo: Zoo, queries: tuple[str, ...]) -> None:
    calibration = Calibration(**scorer.checkpoint.json("calibration.json"))
    read = [query for query in queries if scorer.reads(query)]
    odds = scorer.log_odds(read, zoo).astype(np.float64)
    expected = 1.0 / (1.0 + np.exp(-calibration.slope * odds - calibration.intercept))
    np.testing.assert_allclose(scorer.score(read, zoo), expected, atol=1e-12)
    assert len(read) >= 6


def test_queries_and_profiles_both_make_a_difference(scorer: OnnxScorer, zoo: Zoo, queries: tuple[str, ...]) -> None:
    odds = scorer.log_odds(queries, zoo)
    assert odds.std(axis=0).min() > 0.1
    assert odds.std(axis=1).min() > 0.3


@relaxed
@given(text=st.text(max_size=300))
def test_any_text_gets_probabilities(scorer: OnnxScorer, zoo: Zoo, text: str) -> None:
    scores = scorer.score([text], zoo[:3])
    assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize(
    "text",
    [
        "\x00\x07\x1b[31m",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "a\u0301\u0327",
        "\u202eright to left",
        "\ud83d",
        "half \udc00 a pair",
        "\r\n\t \u2028",
        "ﷺ" * 50,
    ],
)
def test_odd_characters_are_text_too(scorer: OnnxScorer, zoo: Zoo, text: str) -> None:
    assert np.isfinite(scorer.log_odds([text], zoo[:3])).all()
    assert scorer.encode([text]).shape == (1, 384)


def test_a_megabyte_is_read_as_far_as_the_network_reads(scorer: OnnxScorer, zoo: Zoo) -> None:
    text = "prove that the sum of two odd numbers is even, " * 22_000
    assert len(text) > 1_000_000
    assert np.array_equal(scorer.score([text], zoo), scorer.score([text[:20_000]], zoo))
    assert not np.array_equal(scorer.score([text], zoo), scorer.score([text[:500]], zoo))


def test_encode_gives_unit_vectors_that_know_what_is_alike(scorer: OnnxScorer) -> None:
    vectors = scorer.encode(["The derivative of sin x", "Differentiate the sine function", "The trial of Socrates"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert scorer.encode([]).shape == (0, 384)


# ---- what it may depend on


def test_the_same_question_gets_the_same_answer(scorer: OnnxScorer, zoo: Zoo, queries: tuple[str, ...]) -> None:
    first = scorer.log_odds(queries, zoo)
    assert np.array_equal(scorer.log_odds(queries, zoo), first)
    assert np.array_equal(load_scorer("mini").log_odds(queries, zoo), first)
    np.testing.assert_allclose(load_scorer("mini", threads=1).log_odds(queries, zoo), first, atol=OTHERS)


@relaxed
@given(chosen=st.lists(st.integers(0, 7), min_size=1, max_size=8))
def test_a_query_does_not_depend_on_the_other_queries_of_the_call(
    scorer: OnnxScorer, zoo: Zoo, queries: tuple[str, ...], chosen: list[int]
) -> None:
    together = scorer.log_odds([queries[place] for place in chosen], zoo[:6])
    alone = np.concatenate([scorer.log_odds([queries[place]], zoo[:6]) for place in chosen])
    assert np.array_equal(together, alone)


@relaxed
@given(order=st.permutations(range(22)), query=st.integers(0, 7))
def test_another_order_of_candidates_is_another_order_of_scores(
    scorer: OnnxScorer, zoo: Zoo, queries: tuple[str, ...], order: list[int], query: int
) -> None:
    expected = scorer.log_odds([queries[query]], zoo)[:, order]
    np.testing.assert_allclose(scorer.log_odds([queries[query]], [zoo[k] for k in order]), expected, atol=1e-5)


@relaxed
@given(others=st.lists(st.integers(0, 21), max_size=21), query=st.integers(0, 7), k=st.integers(0, 21))
def test_who_else_is_in_the_zoo_changes_a_score_by_rounding_alone(
    scorer: OnnxScorer, zoo: Zoo, queries: tuple[str, ...], others: list[int], query: int, k: int
) -> None:
    alone = scorer.log_odds([queries[query]], [zoo[k]])[0, 0]
    among = scorer.log_odds([queries[query]], [zoo[k], *(zoo[other] for other in others)])[0, 0]
    assert abs(among - alone) <= OTHERS


@relaxed
@given(
    results=st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1, 20, 1000, 100_000])), max_size=60),
    query=st.integers(0, 7),
)
def test_so_does_a_candidate_with_any_profile(
    scorer: OnnxScorer, zoo: Zoo, queries: tuple[str, ...], capability: Make, results: Any, query: int
) -> None:
    stranger = capability(results)
    before = scorer.log_odds([queries[query]], zoo)[0]
    after = scorer.log_odds([queries[query]], [*zoo, stranger])[0]
    assert np.abs(after[:-1] - before).max() <= OTHERS
    assert np.isfinite(after[-1])


def test_the_name_and_the_price_of_a_candidate_do_not_matter(scorer: OnnxScorer, zoo: Zoo) -> None:
    renamed = [Capability(candidate=Candidate(id=f"x{n}", price_in=n), results=c.results) for n, c in enumerate(zoo)]
    assert np.array_equal(scorer.log_odds(["why?"], renamed), scorer.log_odds(["why?"], zoo))


def test_the_order_of_the_task_lines_does_not_matter(zoo: Zoo, queries: tuple[str, ...]) -> None:
    turned = [Capability(candidate=c.candidate, results=c.results[::-1]) for c in zoo]
    apart = [load_scorer("mini").log_odds(queries[:3], profiles) for profiles in (zoo, turned)]  # no shared cache
    np.testing.assert_allclose(apart[0], apart[1], atol=OTHERS)


# ---- what a better test result does


@pytest.mark.parametrize("gain", [0.03, 0.05, 0.1, 0.3])  # 0.01 is 0.03 in log-odds: int8 rounds by as much
def test_a_better_measured_candidate_is_preferred_for_every_query(
    scorer: OnnxScorer, zoo: Zoo, queries: tuple[str, ...], gain: float
) -> None:
    better = [
        Capability(
            candidate=Candidate(id=f"better {c.candidate.id}"),
            results=tuple(
                TaskResult(task=r.task, accuracy=r.accuracy + gain * (1.0 - r.accuracy), count=r.count)
                for r in c.results
            ),
        )
        for c in zoo
    ]
    odds = scorer.log_odds(queries, [*zoo, *better])
    assert (odds[:, len(zoo) :] > odds[:, : len(zoo)]).all()


def test_one_lucky_answer_is_not_a_proven_model(scorer: OnnxScorer, capability: Make, queries: tuple[str, ...]) -> None:
    lucky, proven, unlucky = capability([(1.0, 1)]), capability([(0.97, 1000)] * 40), capability([(0.0, 1)])
    scores = scorer.score(queries, [lucky, proven, unlucky])
    assert (scores[:, 1] > scores[:, 0]).all()
    assert (scores[:, 0] > scores[:, 2]).all()


def test_a_candidate_that_was_never_measured_is_judged_by_the_query(
    scorer: OnnxScorer, capability: Make, queries: tuple[str, ...]
) -> None:
    profiles = [capability([(0.05, 20)] * 50), capability([]), capability([(0.95, 20)] * 50)]
    weak, unknown, strong = scorer.score(queries, profiles).T
    assert ((weak < unknown) & (unknown < strong)).all()
    assert unknown.std() > 0.01


# ---- what is computed, and how often


def test_everything_is_computed_once(fresh: OnnxScorer, zoo: Zoo) -> None:
    own = Task(id="own", keywords=("tea", "kettles"))
    mine = Capability(candidate=Candidate(id="mine"), results=(TaskResult(task=own, accuracy=0.5, count=9),))
    zoo = (*zoo, mine)
    fresh.score(["first", "second"], zoo)
    once = {"reader": 1 + 2, "encoder": 1, "connector": len(zoo), "phi": 2}
    assert runs(fresh) == once, "the vectors of the catalogue's tasks are shipped"
    fresh.score(["third"], zoo)
    assert runs(fresh) == {**once, "reader": once["reader"] + 1, "phi": 3}


def test_equal_results_are_one_entry_whatever_the_id(fresh: OnnxScorer, capability: Make) -> None:
    results = [(0.5, 20), (0.75, 20)]
    first, second, other = capability(results, "a"), capability(results, "b"), capability([(0.5, 20), (0.8, 20)], "a")
    scores = fresh.score(["q"], [first, second, other])
    assert runs(fresh)["connector"] == len(fresh._known) == 2
    assert scores[0, 0] == scores[0, 1] != scores[0, 2]


def test_the_cache_is_bounded_and_forgets_the_oldest(
    fresh: OnnxScorer, capability: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_scorer, "CACHED_CAPABILITIES", 3)
    profiles = [capability([(n / 10, 20)]) for n in range(6)]
    expected = load_scorer("mini").score(["q"], profiles)
    assert np.array_equal(fresh.score(["q"], profiles), expected), "more candidates than the cache holds"
    assert len(fresh._known) == 3
    fresh.score(["q"], profiles[3:4])  # used again: now the youngest
    fresh.score(["q"], profiles[:2])
    assert list(fresh._known) == [profiles[n].fingerprint for n in (3, 0, 1)]


def test_eight_threads_get_what_one_gets(zoo: Zoo, queries: tuple[str, ...]) -> None:
    expected = load_scorer("mini", threads=1).log_odds(queries, zoo)
    shared = load_scorer("mini", threads=1)
    jobs = [(query, k) for query in range(len(queries)) for k in range(0, 22, 4)]

    def score(job: tuple[int, int]) -> float:
        query, k = job
        return float(shared.log_odds([queries[query]], [*zoo[k:], *zoo[:k]])[0, 0])

    with ThreadPoolExecutor(8) as pool:  # all start on empty caches
        found = list(pool.map(score, jobs))
    np.testing.assert_allclose(found, [expected[query, k] for query, k in jobs], atol=1e-5)


def test_a_scorer_travels_in_a_pickle(zoo: Zoo) -> None:
    scorer = load_scorer("mini", threads=1)
    expected = scorer.score(["q"], zoo)
    packed = pickle.dumps(scorer)
    copy = pickle.loads(packed)
    assert len(packed) < 1000, "as the path of its checkpoint"
    assert (copy.name, copy._threads) == (scorer.name, 1)
    assert np.array_equal(copy.score(["q"], zoo), expected)


# ---- what it needs


def in_a_fresh_process(code: str) -> set[str]:
    """The top-level modules that the code has imported in the end."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_routing_imports_neither_torch_nor_transformers() -> None:
    modules = in_a_fresh_process(
        "from cit_core import Router\n"
        "decision = Router.from_pretrained().route('What is 2 + 2?')\n"
        "assert decision.model and decision.scorer.startswith('mini@'), decision"
    )
    assert "onnxruntime" in modules
    assert not modules & {"torch", "transformers", "sklearn", "scipy", "pandas", "pyarrow", "onnx"}


def test_the_front_door_does_not_import_onnxruntime() -> None:
    assert not in_a_fresh_process("import cit_core") & {"onnxruntime", "tokenizers", "torch", "transformers"}
