"""Where the wheel lays this file, it is `llama_index.selectors.cit`: LlamaIndex's own name for such an integration."""

from llamaindex_cit import CITLLM, CITMultiSelector, CITSelectionEvent, CITSelectorResult, CITSingleSelector

__all__ = ["CITLLM", "CITMultiSelector", "CITSelectionEvent", "CITSelectorResult", "CITSingleSelector"]
