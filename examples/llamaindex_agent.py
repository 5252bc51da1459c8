"""A LlamaIndex agent whose every run is answered by the LLM most likely to get it right, tools and all.

Runs offline: LlamaIndex's mock calls every tool with its defaults, and FakeScorer takes the place of the network. For
the real thing use `Router.from_pretrained(models=[...])` and your own LLMs; the rest stays as it is.
"""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from cit_core import Candidate, FakeScorer, Router
from cit_core.router import Sticky
from llamaindex_cit import CITLLM, CITRouteEvent


def likely_right(query: str, candidate: str) -> float:
    """In place of the network: the small one is good at looking up, the large one at reasoning."""
    return 0.9 if (candidate == "large") == ("why" in query.lower()) else 0.6


def launch_day(year: int = 2031) -> str:
    """The day of the launch."""
    return f"Friday, 7 March {year}"


class Decisions(BaseEventHandler):
    """Prints who is asked."""

    @classmethod
    def class_name(cls) -> str:
        """Name under which the dispatcher knows it."""
        return "Decisions"

    def handle(self, event: object, **_: object) -> None:
        """Print the decisions among all that LlamaIndex tells."""
        if isinstance(event, CITRouteEvent):
            print("  asked:", event.decision.model)


async def main() -> None:
    get_dispatcher().add_event_handler(Decisions())
    models = {"small": MockFunctionCallingLLM(), "large": MockFunctionCallingLLM()}
    router = Router(FakeScorer(likely_right), [Candidate(id=id_) for id_ in models])
    llm = CITLLM(models, router, sticky=Sticky(margin=0.2))
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(launch_day)], llm=llm)

    for query in ("When is the launch?", "Why was it moved?"):
        print(query)
        output = await agent.run(query, memory=ChatMemoryBuffer.from_defaults(token_limit=3000))
        print("  tools:", [str(call.tool_output) for call in output.tool_calls])


if __name__ == "__main__":
    asyncio.run(main())
