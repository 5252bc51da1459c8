"""Tokenise texts for the paper's network: ids and masks, in grids of instructions and capabilities.

Every piece of `[c, x, p]` begins on a new line and is cut on its own, so that a long capability never pushes the
question out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cit_core.errors import InvalidInput
from cit_core.mini.prompt import INQUIRY
from cit_core.paper.config import PaperConfig
from cit_core.paper.network import Words
from cit_core.records import Capability

__all__ = ["PaperReader", "words_of"]


def words_of(tokenizer: Any) -> Words:
    """Return the token ids of the fixed words around instruction and capability.

    Raises:
        InvalidInput: If 'Yes' and 'No' cannot be told apart by their first token.
    """
    inquiry = _ids(tokenizer, f"\n{INQUIRY}")
    yes, no = (_next(tokenizer, inquiry, answer) for answer in ("Yes", "No"))
    if yes == no:
        raise InvalidInput(f"{tokenizer.name_or_path!r} has one token for the beginning of both 'Yes' and 'No'")
    bare = tokenizer("")["input_ids"]
    return Words(start=tuple(map(int, bare[:1])), inquiry=tuple(inquiry), yes=yes, no=no)


class PaperReader:
    """Tokenises for a `PaperNetwork`.

    Args:
        config: Settings of the network.
        tokenizer: phi's; instructions are padded on its side.
        encoder_tokenizer: psi's; None where capabilities are read by phi itself.
    """

    def __init__(self, config: PaperConfig, tokenizer: Any, encoder_tokenizer: Any | None = None) -> None:
        self.config = config
        self._instruction, self._capability = tokenizer, encoder_tokenizer or tokenizer
        self._whole = encoder_tokenizer is not None  # psi reads a text with all its special tokens

    def instructions(self, grids: Sequence[Sequence[str]]) -> dict[str, Tensor]:
        """Return `instruction_ids` and `instruction_mask`, GNL; every grid has the same number of texts."""
        texts = [text for grid in grids for text in grid]
        lead = "\nTest Sample: " if self.config.labels else "\n"
        ids, mask = self._padded(self._instruction, [lead + text for text in texts], self.config.max_length)
        return {
            "instruction_ids": torch.unflatten(ids, 0, (len(grids), -1)),
            "instruction_mask": torch.unflatten(mask, 0, (len(grids), -1)),
        }

    def capabilities(self, grids: Sequence[Sequence[Capability]], shuffle: Sequence[int]) -> dict[str, Tensor]:
        """Return the tensors that `PaperNetwork.represent` takes.

        Args:
            grids: Capabilities, the same number in every grid.
            shuffle: Seed of the order of a capability's results, for every grid.
        """
        if self.config.capability == "set":
            return self._sets(grids)
        texts = [
            shuffled_text(capability, order) for grid, order in zip(grids, shuffle, strict=True) for capability in grid
        ]
        lead = ("" if self._whole else "\n") + ("Model description: " if self.config.labels else "")
        ids, mask = self._padded(self._capability, [lead + text for text in texts], self.config.capability_length)
        return {
            "capability_ids": torch.unflatten(ids, 0, (len(grids), -1)),
            "capability_mask": torch.unflatten(mask, 0, (len(grids), -1)),
        }

    def _sets(self, grids: Sequence[Sequence[Capability]]) -> dict[str, Tensor]:
        """Return the keywords of every task once, and every candidate's results on them."""
        flat = [capability for grid in grids for capability in grid]
        lines = [{result.task.description: result for result in capability.results} for capability in flat]
        tasks = sorted({task for line in lines for task in line}) or [""]
        accuracy = torch.tensor([[line[t].accuracy if t in line else 0.0 for t in tasks] for line in lines])
        count = torch.tensor([[float(line[t].count) if t in line else 0.0 for t in tasks] for line in lines])
        ids, mask = self._padded(self._capability, tasks, self.config.capability_length)
        return {
            "capability_ids": ids,
            "capability_mask": mask,
            "accuracy": torch.unflatten(accuracy, 0, (len(grids), -1)),
            "count": torch.unflatten(count, 0, (len(grids), -1)),
        }

    def _padded(self, tokenizer: Any, texts: Sequence[str], longest: int) -> tuple[Tensor, Tensor]:
        """Return ids and mask; the padding is never seen, so tokenizers without a padding token serve as well."""
        whole = self._whole and tokenizer is self._capability
        rows = [_ids(tokenizer, text, longest if whole else None)[:longest] for text in texts]
        width = max(1, *map(len, rows))
        ids, mask = (torch.zeros(len(rows), width, dtype=torch.long) for _ in range(2))
        for place, row in enumerate(rows):
            where = slice(width - len(row), width) if tokenizer.padding_side == "left" else slice(0, len(row))
            ids[place, where], mask[place, where] = torch.tensor(row, dtype=torch.long), 1
        return ids, mask


def _ids(tokenizer: Any, text: str, longest: int | None = None) -> list[int]:
    """Return the ids of a part of a row; with `longest`, of a whole text with its special tokens."""
    whole = text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair, as cut JSON leaves it, is no text
    if longest is None:
        return list(tokenizer(whole, add_special_tokens=False, verbose=False)["input_ids"])
    return list(tokenizer(whole, truncation=True, max_length=longest)["input_ids"])


def _next(tokenizer: Any, inquiry: list[int], answer: str) -> int:
    """Return the first token of an answer after the inquiry."""
    whole = _ids(tokenizer, f"\n{INQUIRY} {answer}")
    goes_on = len(whole) > len(inquiry) and whole[: len(inquiry)] == inquiry
    return whole[len(inquiry)] if goes_on else (_ids(tokenizer, answer) or inquiry)[0]


def shuffled_text(capability: Capability, shuffle: int) -> str:
    """Return a capability in words, with its results in one of many orders: the same for equal capabilities.

    Args:
        capability: Its results may come in any order.
        shuffle: Number of the order; 0, 1, 2, ...
    """
    in_order = sorted(capability.results, key=lambda result: (result.task.description, result.accuracy, result.count))
    random.Random(f"{shuffle}:{capability.fingerprint}").shuffle(in_order)  # noqa: S311 (not a secret)
    return capability.model_copy(update={"results": tuple(in_order)}).text
