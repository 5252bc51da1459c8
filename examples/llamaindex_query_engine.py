"""A LlamaIndex query engine over one index that lets the LLM answer that is most likely to get the query right.

Runs offline: MockLLM repeats its prompt, and FakeScorer takes the place of the network. For the real thing use
`Router.from_pretrained(models=[...])` and your own LLMs; the rest stays as it is.
"""

from llama_index.core import Document, SummaryIndex
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.tools import QueryEngineTool

from cit_core import Candidate, FakeScorer, Router
from llamaindex_cit import CITSingleSelector


def likely_right(query: str, candidate: str) -> float:
    """In place of the network: the small one is good at looking up, the large one at reasoning."""
    return 0.9 if (candidate == "large") == ("why" in query.lower()) else 0.6


def main() -> None:
    index = SummaryIndex.from_documents([Document(text="The launch was moved to Friday, because the test failed.")])
    llms = {"small": MockLLM(), "large": MockLLM()}
    tools = [QueryEngineTool.from_defaults(index.as_query_engine(llm=llm), name=id_) for id_, llm in llms.items()]
    router = Router(FakeScorer(likely_right), [Candidate(id=id_) for id_ in llms])
    engine = RouterQueryEngine(selector=CITSingleSelector(router), query_engine_tools=tools, llm=MockLLM())

    for query in ("When is the launch?", "Why was it moved?"):
        response = engine.query(query)
        print(query)
        print(response.metadata["selector_result"].decision.explain())


if __name__ == "__main__":
    main()
