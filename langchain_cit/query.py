"""Read the query in an input of LangChain, to call a router with it."""

from langchain_cit._inputs import read_query

__all__ = ["read_query"]
