"""cit-router for LlamaIndex: selectors and an LLM that pick the LLM most likely to get the query right."""

from cit_core.errors import MissingExtra

try:
    import llama_index.core  # noqa: F401  # imported first, so that its absence is one clear error
except ImportError as error:
    raise MissingExtra("llama-index-core", "llamaindex") from error

from llamaindex_cit.events import CITRouteEvent, CITSelectionEvent
from llamaindex_cit.llm import CITLLM
from llamaindex_cit.selector import CITMultiSelector, CITSelectorResult, CITSingleSelector

__all__ = ["CITLLM", "CITMultiSelector", "CITRouteEvent", "CITSelectionEvent", "CITSelectorResult", "CITSingleSelector"]
