"""An agent of LangChain with five keys: each run goes to the model that is worth its price, another one if it fails.

Runs offline: stand-ins answer in the models' names, while the agent, the router, its network and the catalogue are the
real ones. With keys in your environment, put init_chat_model(name) in the stand-in's place; the rest stays as it is.
"""

from langchain.agents import create_agent
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver

from cit_core import Router
from langchain_cit.middleware import CITRunMiddleware

MODELS = [
    "openai:gpt-5.6-luna",
    "anthropic:claude-opus-5",
    "google_genai:gemini-3.5-flash",
    "deepseek:deepseek-v4-pro",
    "mistralai:mistral-small-2506",
]


class StandIn(FakeMessagesListChatModel):
    """In place of a model: looks the stock up once, then answers with its name; the cheapest one is down."""

    name: str

    def __init__(self, name):
        call = {"name": "stock", "args": {"part": "bolt"}, "id": "1"}
        super().__init__(name=name, responses=[AIMessage("", tool_calls=[call]), AIMessage(f"({name} answers)")])

    def bind_tools(self, *_, **__):
        """It knows its tool."""
        return self

    def _generate(self, *args, **kwargs):
        if self.name.startswith("openai:"):
            raise ConnectionError("this provider is down")
        return super()._generate(*args, **kwargs)


def stock(part: str) -> str:
    """How many of a part are in stock."""
    return f"17 pieces of {part}"


def main() -> None:
    models = {name: StandIn(name) for name in MODELS}
    router = Router.from_models(MODELS, policy="threshold:0.85")
    agent = create_agent(
        models[MODELS[0]],  # any model: the router takes its place
        tools=[stock],
        middleware=[CITRunMiddleware(models, router, sticky="conversation")],
        checkpointer=InMemorySaver(),
    )
    questions = [
        "How many bolts are left?",
        "Prove that no schedule orders bolts and nuts at the least cost in every week.",
    ]
    for thread, question in enumerate(questions):
        config = {"configurable": {"thread_id": str(thread)}}
        result = agent.invoke({"messages": [("human", question)]}, config)
        decision = agent.get_state(config).values["cit_route"]
        print(f"{question}\n-> {decision['model']}, {decision['probability']:.0%} likely to be right")
        print(result["messages"][-1].text)


if __name__ == "__main__":
    main()
