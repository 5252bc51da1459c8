"""A LangChain agent whose model is chosen once per run: easy questions go to the small one, hard ones to the large one.

Runs offline: the models are stand-ins that call a tool once and then answer, and FakeScorer takes the place of the
network. For the real thing use `Router.from_pretrained(models=[...])` and your own chat models; the rest stays so.
"""

from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver

from cit_core import Candidate, FakeScorer, Router
from langchain_cit.middleware import CITRunMiddleware


class StandIn(FakeMessagesListChatModel):
    """In place of a model that can call tools: asks for the stock of bolts, then answers."""

    def __init__(self, name):
        call = {"name": "stock", "args": {"part": "bolt"}, "id": "1"}
        super().__init__(responses=[AIMessage("", tool_calls=[call]), AIMessage(f"(the {name} model answers)")])

    def bind_tools(self, *_, **__):
        """It knows its tool."""
        return self


def stock(part: str) -> str:
    """How many of a part are in stock."""
    return f"17 pieces of {part}"


def likely_right(question: str, candidate: str) -> float:
    """In place of the network: both can look things up, only the large one can plan."""
    if "plan" in question.lower():
        return 0.85 if candidate == "large" else 0.35
    return 0.97 if candidate == "small" else 0.95


def main() -> None:
    models = {id_: StandIn(id_) for id_ in ("small", "large")}
    router = Router(FakeScorer(likely_right), [Candidate(id=id_) for id_ in models])
    agent = create_agent(
        models["large"],  # any model: the router takes its place
        tools=[stock],
        middleware=[
            CITRunMiddleware(models, router, sticky="conversation"),
            ModelFallbackMiddleware(StandIn("backup")),
        ],
        checkpointer=InMemorySaver(),
    )
    for thread, question in enumerate(["How many bolts are left?", "Plan the purchases of the next quarter."]):
        config = {"configurable": {"thread_id": str(thread)}}
        result = agent.invoke({"messages": [("human", question)]}, config)
        decision = agent.get_state(config).values["cit_route"]
        print(question)
        print(f"-> {decision['model']} ({decision['probability']:.0%} likely to get it right)")
        print(result["messages"][-1].text)


if __name__ == "__main__":
    main()
