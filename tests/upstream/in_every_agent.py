"""pytest plugin: in LangChain's own agent tests, the router is in every create_agent.

CIT_MODE=middleware adds CITCallMiddleware (CIT_POS=outer, or inner: behind the test's own); CIT_MODE=model replaces the
model by a ChatCIT.
"""

import os
from typing import Any

from langchain import agents
from langchain.agents import factory
from langchain_core.language_models import BaseChatModel

from cit_core import Candidate, FakeScorer, Router
from langchain_cit import ChatCIT

MODE = os.environ.get("CIT_MODE", "middleware")
original = factory.create_agent
made = []


def create_agent(model: Any, *args: Any, **kwargs: Any) -> Any:
    """As LangChain's, with a router of one candidate."""
    if not isinstance(model, BaseChatModel):
        return original(model, *args, **kwargs)
    made.append(model)
    routes, router = {"only": model}, Router(FakeScorer({"only": 0.9}), [Candidate(id="only")])
    if MODE == "model":
        return original(ChatCIT(routes, router, annotate=False), *args, **kwargs)
    from langchain_cit.middleware import CITCallMiddleware

    ours, theirs = CITCallMiddleware(routes=routes, router=router), list(kwargs.pop("middleware", None) or ())
    kwargs["middleware"] = [*theirs, ours] if os.environ.get("CIT_POS") == "inner" else [ours, *theirs]
    return original(model, *args, **kwargs)


agents.create_agent = factory.create_agent = create_agent


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"agents with a router: {len(made)}")
