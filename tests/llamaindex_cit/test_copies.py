"""Copies of a routed LLM - pickled, deep, in other processes - work, and never change the original."""

from __future__ import annotations

import copy
import json
import logging
import multiprocessing
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import MockLLM
from llama_voice import Voice
from llama_zoo import IDS

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router, Sticky
from llamaindex_cit import CITLLM

START_METHODS = [name for name in ("fork", "forkserver", "spawn") if name in multiprocessing.get_all_start_methods()]
REPOSITORY = Path(__file__).parents[2]


class Locked(TokenCountingHandler):
    """A handler which neither pickles nor copies: it holds a lock."""

    def __init__(self) -> None:
        super().__init__(tokenizer=lambda text: text.split())
        self.lock = threading.Lock()


@pytest.fixture
def heard() -> Locked:
    return Locked()


@pytest.fixture
def own() -> Locked:
    return Locked()


@pytest.fixture
def llm(heard: Locked, own: Locked) -> CITLLM:
    router = Router(FakeScorer({"small": 0.2, "large": 0.8}), [Candidate(id=id_) for id_ in IDS])
    models = {"small": Voice(called="small"), "large": Voice(called="large", callback_manager=CallbackManager([own]))}
    manager = CallbackManager([heard])
    return CITLLM(models, router, callback_manager=manager, fallback=Fallback(failures=1), sticky=Sticky(0.3))


def require_unchanged(llm: CITLLM, heard: Locked, own: Locked) -> None:
    before = len(heard.llm_token_counts), len(own.llm_token_counts)
    assert llm.complete("q").text == "large: q"
    assert (len(heard.llm_token_counts), len(own.llm_token_counts)) == (before[0] + 1, before[1] + 1)
    assert heard in llm.callback_manager.handlers
    assert list(llm.models) == ["small", "large"]


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("way", ["pickle", "deepcopy", "copy"])
def test_a_copy_answers_and_the_original_stays_as_it_was(
    llm: CITLLM, heard: Locked, own: Locked, asked_before: bool, way: str
) -> None:
    if asked_before:
        llm.complete("q")
    for _ in range(2):
        came = pickle.loads(pickle.dumps(llm)) if way == "pickle" else getattr(copy, way)(llm)
        assert came.complete("q").text == "large: q"
        assert (came.fallback.failures, came.sticky.margin) == (1, 0.3)
        require_unchanged(llm, heard, own)
    came.models["large"].called = "other"
    assert llm.complete("q").text == "large: q"


def test_a_pickled_one_says_what_it_left_behind(llm: CITLLM, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "llamaindex_cit"):
        pickle.dumps(llm)
    assert "pickled without callback_manager, which cannot be pickled" in caplog.text


def test_without_a_part_there_is_no_pickle_and_the_original_stays(heard: Locked, own: Locked) -> None:
    router = Router(FakeScorer(lambda _, id_: 0.9 if id_ == "large" else 0.1), [Candidate(id=id_) for id_ in IDS])
    models = {"small": Voice(called="small"), "large": Voice(called="large", callback_manager=CallbackManager([own]))}
    llm = CITLLM(models, router, callback_manager=CallbackManager([heard]))
    with pytest.raises(pickle.PicklingError, match="its router did not"):
        pickle.dumps(llm)
    require_unchanged(llm, heard, own)


def test_a_deep_copy_has_candidates_of_its_own(llm: CITLLM) -> None:
    llm.models["large"].arguments = {"number": 1}
    came = copy.deepcopy(llm)
    came.models["large"].arguments["number"] = 2
    assert llm.models["large"].arguments == {"number": 1}
    assert came.router is llm.router


class InUse(Voice):
    """Holds a client, which has a lock."""

    client: Any = None


def test_a_deep_copy_shares_the_clients_of_candidates_that_are_in_use() -> None:
    router = Router(FakeScorer({"large": 0.8}), [Candidate(id="large")])
    client = threading.Lock()
    llm = CITLLM({"large": InUse(called="large", client=client)}, router)
    assert copy.deepcopy(llm).models["large"].client is client


# -- other processes --------------------------------------------------------------------------------------------------


def ask(llm: CITLLM) -> str:
    return str(llm.complete("q").text)


def routed() -> CITLLM:
    router = Router(FakeScorer({"small": 0.2, "large": 0.8}), [Candidate(id=id_) for id_ in IDS])
    return CITLLM({id_: MockLLM() for id_ in IDS}, router, callback_manager=CallbackManager([Locked()]))


SCRIPT = """
import json, logging, multiprocessing, sys
from llama_index.core import Document
from llama_index.core.extractors import TitleExtractor
from llama_index.core.ingestion import IngestionPipeline
from tests.llamaindex_cit.test_copies import ask, routed

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    llm, how = routed(), sys.argv[1]
    if how == "joblib":
        from joblib import Parallel, delayed
        said = Parallel(n_jobs=2)(delayed(ask)(llm) for _ in range(3))
    elif how == "ingestion":
        pipeline = IngestionPipeline(transformations=[TitleExtractor(llm=llm, nodes=1)])
        nodes = pipeline.run(documents=[Document(text=f"text {n}") for n in range(4)], num_workers=2)
        said = ["q" if node.metadata["document_title"] else "" for node in nodes]
    else:
        with multiprocessing.get_context(how).Pool(2) as pool:
            said = pool.map(ask, [llm] * 3)
    print(json.dumps([said, ask(llm), len(llm.callback_manager.handlers)]))
"""


@pytest.mark.parametrize("how", [*START_METHODS, "joblib", "ingestion"])
def test_other_processes_are_given_one(how: str, tmp_path: Path) -> None:
    if how == "joblib":
        pytest.importorskip("joblib", reason="it comes with scikit-learn")
    script = tmp_path / "main.py"
    script.write_text(SCRIPT)
    paths = [REPOSITORY, REPOSITORY / "core", REPOSITORY / "tests" / "support"]
    environment = {"PYTHONPATH": ":".join(map(str, paths)), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, script, how], env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr[-2000:]
    said, original, handlers = json.loads(ended.stdout.splitlines()[-1])
    assert (set(said), original, handlers) == ({"q"}, "q", 1)
    assert len(said) in (3, 4)
