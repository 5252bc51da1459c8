"""The paper's network as a `Scorer`: texts and capabilities in, calibrated P(correct) out.

Axes: N queries, K candidates, T soft tokens, D width.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cit_core.calibration import Calibration
from cit_core.errors import CheckpointError, InvalidInput
from cit_core.paper.network import PaperNetwork
from cit_core.paper.tokenization import PaperReader
from cit_core.paper.vision import Patches, padded_patches
from cit_core.paper.weights import Parts, load_paper
from cit_core.pictures import Picture
from cit_core.records import Capability
from cit_core.runtime.checkpoint import read_bounded

__all__ = ["PaperScorer"]

ROWS = 8
"""Rows of one forward at most."""
ROW_TOKENS = 2048
"""Maximum number of tokens of a row, unless one block is longer: its mask grows with their square."""
CACHED_CAPABILITIES = 4096


class PaperScorer:
    """Scores with a paper-style network in torch. One thread at a time.

    Args:
        network: Trained; moved where it should run.
        reader: Its tokenisers.
        name: Name in decisions.
        slope: Of the calibration, P = sigmoid(slope x log-odds + intercept).
        intercept: Intercept of the calibration.
    """

    def __init__(
        self,
        network: PaperNetwork,
        reader: PaperReader,
        name: str = "paper",
        *,
        slope: float = 1.0,
        intercept: float = 0.0,
    ) -> None:
        self.network, self.reader, self.name = network.eval(), reader, name
        self.max_tokens = network.settings.max_length
        self._slope, self._intercept = slope, intercept
        self._tokens: OrderedDict[str, tuple[Tensor, Tensor]] = OrderedDict()

    @classmethod
    def from_run(cls, folder: str | Path, parts: Parts | None = None, *, device: str | None = None) -> PaperScorer:
        """Open what `cit train --preset paper` has written.

        Args:
            folder: The run's.
            parts: The models the network is made of, where they are loaded already.
            device: Device as torch names it; by default a GPU, if there is one.

        Raises:
            CheckpointError: If files are missing or do not fit.
        """
        folder = Path(folder)
        network, reader = load_paper(folder, parts)
        try:
            fields = json.loads(read_bounded(folder, "calibration.json"))
            fitted = Calibration(float(fields["slope"]), float(fields["intercept"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, InvalidInput) as error:
            raise CheckpointError(f"{folder}: the run has no calibration.json, or a bad one: {error!r}") from error
        network.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        name = f"{folder.resolve().name}@{_digest(folder)}"
        return cls(network, reader, name, slope=fitted.slope, intercept=fitted.intercept)

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """Return calibrated P(correct) of N queries for K candidates, (N, K)."""
        return np.exp(-np.logaddexp(0.0, -self.calibrated_log_odds(instructions, capabilities)))

    def score_with_pictures(
        self,
        instructions: Sequence[str],
        capabilities: Sequence[Capability],
        pictures: Sequence[Sequence[Picture]],
    ) -> tuple[NDArray[np.float64], None]:
        """Return what `score` returns, for queries with pictures, which a network with a tower sees; no vectors."""
        shown = self.look(pictures)
        odds_NK = self.calibrated_log_odds(instructions, capabilities, shown)
        return np.exp(-np.logaddexp(0.0, -odds_NK)), None

    def look(self, pictures: Sequence[Sequence[Picture]]) -> list[Patches] | None:
        """Return what the tower sees of each query's pictures; None without one."""
        tower, vision = self.network.tower, self.network.settings.vision
        if tower is None or vision is None:
            return None
        return [tower.patches_of(of_one, vision.pictures) for of_one in pictures]

    def calibrated_log_odds(
        self,
        instructions: Sequence[str],
        capabilities: Sequence[Capability],
        patches: Sequence[Patches] | None = None,
    ) -> NDArray[np.float64]:
        """Return calibrated log-odds, those of `score`'s probabilities, (N, K)."""
        return self._slope * self.log_odds(instructions, capabilities, patches) + self._intercept

    @torch.no_grad()
    def log_odds(
        self,
        instructions: Sequence[str],
        capabilities: Sequence[Capability],
        patches: Sequence[Patches] | None = None,
    ) -> NDArray[np.float64]:
        """Return log-odds before calibration, (N, K): those of the mean probability over the shuffles.

        Args:
            instructions: N texts.
            capabilities: K capabilities.
            patches: What a network with a tower sees of the texts' pictures (`look`); nothing if not given.
        """
        shape = len(instructions), len(capabilities)
        if 0 in shape:
            return np.zeros(shape)
        self.network.eval()
        shuffles = 1 if self.network.settings.capability == "set" else self.network.settings.shuffles
        odds_MNK = torch.stack(
            [self._log_odds(instructions, capabilities, shuffle, patches) for shuffle in range(shuffles)]
        ).double()
        # Logarithms of the summed P('Yes') and P('No'): a network that is certain still has finite log-odds.
        yes_NK, no_NK = (torch.nn.functional.logsigmoid(sign * odds_MNK).logsumexp(0) for sign in (1.0, -1.0))
        return (yes_NK - no_NK).cpu().numpy()

    def _log_odds(
        self,
        instructions: Sequence[str],
        capabilities: Sequence[Capability],
        shuffle: int,
        patches: Sequence[Patches] | None,
    ) -> Tensor:
        tokens = self._represented(capabilities, shuffle)
        longest = max(len(mask_T) for _, mask_T in tokens)
        tokens_KTD = torch.stack([_pad(tokens_TD, longest) for tokens_TD, _ in tokens])
        mask_KT = torch.stack([_pad(mask_T, longest) for _, mask_T in tokens])
        odds_NK = torch.zeros(len(instructions), len(capabilities), device=self.network.device)
        by_length = sorted(range(len(instructions)), key=lambda row: len(instructions[row]))
        first = self.network.settings.order != "capability_first"
        widest = longest if first else self.network.settings.max_length
        seen = 0 if first or not patches else max(map(len, patches))
        blocks = max(1, ROW_TOKENS // (widest + seen + len(self.network.words.inquiry)))
        queries, candidates = (ROWS, blocks) if first else (blocks, ROWS)
        for start in range(0, len(instructions), queries):
            rows = by_length[start : start + queries]
            read = self.reader.instructions([[instructions[row] for row in rows]])
            ids, mask = (read[name].to(odds_NK.device) for name in ("instruction_ids", "instruction_mask"))
            shown = self._padded(patches, rows)
            for k in range(0, len(capabilities), candidates):
                chosen = slice(k, k + candidates)
                of_chosen = tokens_KTD[None, chosen], mask_KT[None, chosen]
                odds_NK[rows, chosen] = self.network.score(ids, mask, *of_chosen, *shown)[0]
        return odds_NK

    def _padded(self, patches: Sequence[Patches] | None, rows: Sequence[int]) -> tuple[Tensor, Tensor] | tuple[()]:
        if patches is None or self.network.tower is None or not any(len(patches[row]) for row in rows):
            return ()
        padded = padded_patches([[patches[row] for row in rows]], self.network.tower.width)
        return padded["patches"].to(self.network.device), padded["patch_mask"].to(self.network.device)

    def _represented(self, capabilities: Sequence[Capability], shuffle: int) -> list[tuple[Tensor, Tensor]]:
        """Return soft tokens TD and their mask T of each, computed once for a capability by its content hash."""
        keys = [f"{shuffle}:{capability.fingerprint}" for capability in capabilities]
        missing = {key: given for key, given in zip(keys, capabilities, strict=True) if key not in self._tokens}
        for start in range(0, len(missing), ROWS):
            chosen = list(missing)[start : start + ROWS]
            read = self.reader.capabilities([[missing[key] for key in chosen]], [shuffle])
            tensors = {name.removeprefix("capability_"): x.to(self.network.device) for name, x in read.items()}
            tokens_1KTD, mask_1KT = self.network.represent(**tensors)
            self._tokens.update(zip(chosen, zip(tokens_1KTD[0], mask_1KT[0], strict=True), strict=True))
        found = [self._tokens[key] for key in keys]
        while len(self._tokens) > CACHED_CAPABILITIES:
            self._tokens.popitem(last=False)
        return found


def _digest(folder: Path) -> str:
    """Return eight hex digits of a hash of the run's own files, to tell its scores from those of other weights."""
    whole = hashlib.sha256()
    for name in ("model.json", "model.safetensors", "calibration.json"):
        with (folder / name).open("rb") as file:
            while chunk := file.read(1 << 20):
                whole.update(chunk)
    return whole.hexdigest()[:8]


def _pad(x: Tensor, length: int) -> Tensor:
    """Pad with zeros behind the first axis up to a length."""
    return torch.cat([x, x.new_zeros(length - len(x), *x.shape[1:])])
