"""cit-router for LangChain: a Runnable that hands every input to the candidate most likely to get it right."""

from cit_core.errors import MissingExtra

try:
    import langchain_core  # noqa: F401  # asked for by name, so that its absence is told in one sentence
except ImportError as error:
    raise MissingExtra("langchain-core", "langchain") from error

from langchain_cit.runnable import RunnableRouter

__all__ = ["RunnableRouter"]
