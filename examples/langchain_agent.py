"""A LangChain agent whose model is chosen for every question, keeps to it in a conversation, and survives an outage.

Runs offline: the models are stand-ins that can call tools, and FakeScorer takes the place of the network. For the real
thing use `Router.from_pretrained(models=[...])` and your own chat models; the rest stays as it is.
"""

from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from cit_core import Candidate, FakeScorer, Router
from cit_core.router import Fallback
from langchain_cit import RunnableRouter


class Assistant(BaseChatModel):
    """Looks at the weather, then answers; or is out of reach."""

    called: str
    reachable: bool = True

    @property
    def _llm_type(self):
        return "assistant"

    def bind_tools(self, tools, **options):
        """A stand-in need not read their descriptions."""
        return self.bind(tools=[tool.name for tool in tools], **options)

    def _generate(self, messages, stop=None, run_manager=None, *, tools=(), **_):  # noqa: ARG002  # as LangChain calls it
        if not self.reachable:
            raise ConnectionError
        message = AIMessage(f"{self.called}: {messages[-1].text}")
        if not isinstance(messages[-1], ToolMessage):
            message = AIMessage("", tool_calls=[{"name": tools[0], "args": {"city": "Paris"}, "id": "1"}])
        return ChatResult(generations=[ChatGeneration(message=message)])


class ShowRoute(BaseCallbackHandler):
    """Prints every decision, and who is asked instead."""

    def on_custom_event(self, name, data, **_):
        """Called for each custom event of a run."""
        if name == "cit_route":
            print(f"-> {data['model']} (chosen by {data['chosen_by']})")
        if name == "cit_fallback":
            print(f"-> {data['chosen']} cannot be reached: {data['model']} is asked")


def weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


def main() -> None:
    likely_right = FakeScorer(lambda text, id_: 0.9 if (id_ == "large") == ("why" in text.lower()) else 0.85)
    router = Router(likely_right, [Candidate(id="small"), Candidate(id="large")])
    models = {"small": Assistant(called="small"), "large": Assistant(called="large", reachable=False)}
    model = RunnableRouter(models, router, sticky="conversation", fallback=Fallback(max_attempts=2))
    agent = create_agent(model, tools=[weather], checkpointer=InMemorySaver())

    for thread, question in (("one", "What is the weather?"), ("one", "Why?"), ("two", "Why does it rain?")):
        config = {"configurable": {"thread_id": thread}, "callbacks": [ShowRoute()]}
        print(f"[{thread}] {question}")
        print(agent.invoke({"messages": [("human", question)]}, config)["messages"][-1].text)


if __name__ == "__main__":
    main()
