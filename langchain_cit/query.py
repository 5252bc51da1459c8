"""The query in an input of LangChain, for those who call the router themselves."""

from langchain_cit._inputs import read_query

__all__ = ["read_query"]
