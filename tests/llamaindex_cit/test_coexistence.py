"""With and without LangChain in the same environment.

The only other router's selector (llama-index-selectors-notdiamond) cannot be imported where langchain-core is: its
client mixes the models of two versions of pydantic. Each check runs in a fresh process.
"""

import subprocess
import sys

import pytest

SELECT = """
from cit_core import Candidate, FakeScorer, Router
router = Router(FakeScorer({"a": 0.2, "b": 0.8}), [Candidate(id="a"), Candidate(id="b")])
from llama_index.core.llms import MockLLM
from llamaindex_cit import CITLLM, CITMultiSelector, CITSingleSelector
assert CITSingleSelector(router).select(["a", "b"], "q").ind == 1
assert CITMultiSelector(router).select(["a", "b"], "q").inds == [1]
assert CITLLM({"a": MockLLM(), "b": MockLLM()}, router).complete("q").text == "q"
"""
ROUTE = """
from langchain_core.runnables import RunnableLambda
from langchain_cit import RunnableRouter
routes = {id_: RunnableLambda(lambda _, id_=id_: id_) for id_ in "ab"}
from cit_core import Candidate, FakeScorer, Router
router = Router(FakeScorer({"a": 0.2, "b": 0.8}), [Candidate(id="a"), Candidate(id="b")])
assert RunnableRouter(routes, router).invoke("q") == "b"
"""
NO_LANGCHAIN = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("langchain"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(NO_LANGCHAIN + SELECT, id="without langchain-core"),
        pytest.param("import langchain_core.language_models, langchain_core.messages\n" + SELECT, id="after it"),
        pytest.param(SELECT + ROUTE, id="both adapters"),
        pytest.param(ROUTE + SELECT, id="both, the other way round"),
    ],
)
def test_it_works_beside_langchain_and_without_it(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
