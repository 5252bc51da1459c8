"""A LangGraph graph whose edges are taken by the router: one node a candidate, and the decision in the state.

Runs offline: the models are stand-ins, and FakeScorer takes the place of the network. For the real thing use
`Router.from_pretrained(models=[...])` and your own chat models; the rest stays as it is.
"""

import asyncio

from langchain_core.language_models import FakeListChatModel
from langgraph.graph import END, START, MessagesState, StateGraph

from cit_core import Candidate, FakeScorer, Router
from langchain_cit import RunnableRouter

ROUTES = {id_: FakeListChatModel(responses=[f"(the {id_} model answers)"]) for id_ in ("small", "large")}


class State(MessagesState):
    """A conversation, and where its last question went."""

    route: str
    probability: float


def likely_right(question: str, candidate: str) -> float:
    """In place of the network: both know facts, only the large one can prove."""
    if "prove" in question.lower():
        return 0.85 if candidate == "large" else 0.35
    return 0.94 if candidate == "large" else 0.95


def build():
    router = Router(FakeScorer(likely_right), [Candidate(id=id_) for id_ in ROUTES])
    pick = RunnableRouter(ROUTES, router).pick()

    async def decide(state: State, config):
        decision = await pick.ainvoke(state["messages"], config)
        return {"route": decision.model, "probability": decision.probability}

    def answer_with(model):
        async def answer(state: State, config):
            return {"messages": [await model.ainvoke(state["messages"], config)]}

        return answer

    graph = StateGraph(State).add_node("decide", decide).add_edge(START, "decide")
    for id_, model in ROUTES.items():
        graph.add_node(id_, answer_with(model)).add_edge(id_, END)
    return graph.add_conditional_edges("decide", lambda state: state["route"], list(ROUTES)).compile()


async def main() -> None:
    graph = build()
    for question in ("What is the capital of France?", "Prove that the square root of 2 is irrational."):
        state = await graph.ainvoke({"messages": [("human", question)]})
        print(f"{question}\n-> {state['route']} ({state['probability']:.0%}): {state['messages'][-1].text}")


if __name__ == "__main__":
    asyncio.run(main())
