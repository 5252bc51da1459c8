"""cit-router for LangChain: a Runnable that hands every input to the candidate most likely to get it right."""

from typing import TYPE_CHECKING

from cit_core.errors import MissingExtra

try:
    import langchain_core  # noqa: F401  # asked for by name, so that its absence is told in one sentence
except ImportError as error:
    raise MissingExtra("langchain-core", "langchain") from error

if TYPE_CHECKING:
    from langchain_cit.chat_models import ChatCIT
    from langchain_cit.decisions import CITDecisionModel as CITDecisionModel
    from langchain_cit.runnable import RunnableRouter

__all__ = ["ChatCIT", "RunnableRouter"]


def __getattr__(name: str) -> object:
    """Import LangChain's runnables only when ours is asked for, as langchain_core does: they take most of a second."""
    if name == "RunnableRouter":
        from langchain_cit.runnable import RunnableRouter

        return RunnableRouter
    if name == "ChatCIT":
        from langchain_cit.chat_models import ChatCIT

        return ChatCIT
    if name == "CITDecisionModel":  # not in __all__: older langchain-core has no decision models
        from langchain_cit.decisions import CITDecisionModel

        return CITDecisionModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
