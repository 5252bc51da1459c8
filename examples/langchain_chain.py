"""A LangChain chain that hands each question to the model most likely to get it right.

Runs offline: the models are stand-ins, and FakeScorer takes the place of the network. For the real thing use
`Router.from_pretrained(models=[...])` and your own chat models; the rest stays as it is.
"""

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from cit_core import Candidate, CostAware, FakeScorer, Router
from langchain_cit import RunnableRouter

SMALL = Candidate(id="small", price_in=0.1, price_out=0.4)
LARGE = Candidate(id="large", price_in=2.5, price_out=10.0)


class ShowRoute(BaseCallbackHandler):
    """Prints every decision."""

    def on_custom_event(self, name, data, **_):
        """Called for each custom event of a run."""
        if name == "cit_route":
            print(f"-> {data['model']} ({data['probability']:.0%} likely to get it right)")


def likely_right(question: str, candidate: str) -> float:
    """In place of the network: both know facts, only the large one can prove."""
    if "prove" in question.lower():
        return 0.85 if candidate == "large" else 0.35
    return 0.97 if candidate == "large" else 0.95


def main() -> None:
    router = Router(FakeScorer(likely_right), [SMALL, LARGE], policy=CostAware(value=0.02))
    routes = {id_: FakeListChatModel(responses=[f"(the {id_} model answers)"]) for id_ in ("small", "large")}
    prompt = ChatPromptTemplate.from_messages([("system", "Answer briefly."), ("human", "{question}")])
    chain = prompt | RunnableRouter(routes, router) | StrOutputParser()

    for question in ("What is the capital of France?", "Prove that the square root of 2 is irrational."):
        print(question)
        print(chain.invoke({"question": question}, {"callbacks": [ShowRoute()]}))


if __name__ == "__main__":
    main()
