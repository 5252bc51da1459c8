"""Filled templates: what `predict` and its kin hand to an LLM, remembered so that the query in it is routed on."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import default_completion_to_prompt
from llama_index.core.prompts import BasePromptTemplate

from llamaindex_cit._inputs import checked_prompt, is_made_of_template, made_of_template

__all__ = ["Templates"]


class Templates(FunctionCallingLLM):
    """The part of `CITLLM` that fills templates."""

    def _get_messages(self, prompt: BasePromptTemplate, **prompt_args: Any) -> list[ChatMessage]:
        messages = super()._get_messages(prompt, **prompt_args)
        made_of_template(messages, prompt, prompt_args)
        return messages

    def _get_prompt(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        text = super()._get_prompt(prompt, **prompt_args)
        made_of_template(text, prompt, prompt_args)
        return text

    def _given(self, prompt: str | None, formatted: bool) -> tuple[str, bool]:
        """Return the prompt, and whether it is formatted.

        `predict` calls every prompt formatted, also one that this LLM left as it was; there the candidate's own format
        is still to come.

        Raises:
            InvalidInput: If there is none; a ValueError, as LlamaIndex's LLMs raise then.
        """
        text = checked_prompt(prompt)
        as_it_was = is_made_of_template(text) and self.completion_to_prompt is default_completion_to_prompt
        return text, formatted and not as_it_was
