"""The paper's Model-SAT (figure 4) around any Hugging Face encoder psi and language model phi.

- a capability becomes soft tokens: W psi(c_m), one pooled vector through a single layer (eq. 2); or the tokens of a set
  of measured tasks; or, without psi, the words of its text
- phi reads `[c, x, p]` (eq. 3), `[x, c, p]` or `[x, p, c]`: the first part is read once and shared (`rows.pack`)
- with a vision tower, patches of a question's pictures are tokens before it, and phi attends to them (`vision.py`)
- the score is Pr('Yes') over {'Yes', 'No'} as the next token (eq. 4), the logit of 'Yes', or a linear layer

Axes: G grids of N instructions x K capabilities, L instruction tokens, C capability tokens, S task lines, T soft
tokens, V patches of an instruction's pictures, D width of phi; packed: P rows, B blocks, U tokens of a block.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from cit_core.errors import InvalidInput
from cit_core.mini.network import Connector
from cit_core.paper.config import PaperConfig
from cit_core.paper.packing import pack
from cit_core.paper.vision import Projector, Tower, Wings

__all__ = ["PaperNetwork", "Words"]


class Words(NamedTuple):
    """Token ids of the fixed words around instruction and capability."""

    start: tuple[int, ...]
    """First tokens of a sequence of phi; may be empty."""
    inquiry: tuple[int, ...]
    yes: int
    no: int


class PaperNetwork(nn.Module):
    """Log-odds that a candidate handles an instruction.

    Args:
        config: Its variants.
        lm: phi: a model with a language-modelling head is read causally, a bare encoder in both directions.
        encoder: psi; None where the config has none.
        words: Token ids of the fixed words.
        tower: Vision tower; None where the config has none.

    Raises:
        InvalidInput: If the config wants an encoder or a tower and there is none, or phi has too few positions.
    """

    _keys_to_ignore_on_save = None  # asked of every model by transformers.Trainer

    def __init__(
        self, config: PaperConfig, lm: Any, encoder: Any | None, words: Words, tower: Tower | None = None
    ) -> None:
        super().__init__()
        if (encoder is None) != (config.capability == "text"):
            raise InvalidInput(
                f"capability {config.capability!r} needs {'no' if encoder is not None else 'an'} encoder"
            )
        if (tower is None) != (config.vision is None):
            raise InvalidInput(f"the config has {'no' if config.vision is None else 'a'} vision tower; bring as many")
        self.settings, self.words = config, words  # not `config`: transformers.Trainer would take that for its own
        self.lm, self.encoder = lm, encoder
        self.causal = lm.get_output_embeddings() is not None
        self.connector = None if encoder is None else _connector(config, encoder.config.hidden_size, self._embeddings())
        width = self._embeddings().weight.shape[1]
        self.regression = nn.Linear(width, 1) if config.head == "regression" else None
        self.tower = tower
        self.projector = None if tower is None else Projector(tower.width, self._embeddings())
        rank = 0 if config.vision is None else config.vision.rank
        self.wings = Wings(lm, width, rank) if rank else None
        self.learnt: set[str] = set()
        """Names of the weights that a training has changed: what has to be kept."""
        self.register_buffer("start_ids", torch.tensor(words.start, dtype=torch.long), persistent=False)
        self.register_buffer("inquiry_ids", torch.tensor(words.inquiry, dtype=torch.long), persistent=False)
        self._require_positions()

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return cast(torch.device, self._embeddings().weight.device)

    def forward(
        self,
        instruction_ids: Tensor,
        instruction_mask: Tensor,
        capability_ids: Tensor,
        capability_mask: Tensor,
        accuracy: Tensor | None = None,
        count: Tensor | None = None,
        patches: Tensor | None = None,
        patch_mask: Tensor | None = None,
    ) -> Tensor:
        """Return log-odds of 'Yes', GNK.

        Args:
            instruction_ids: GNL.
            instruction_mask: 1 for a token, 0 for padding, on whichever side.
            capability_ids: Texts, GKC; for a set, the keywords of every task, SC.
            capability_mask: Mask of the ids.
            accuracy: For a set: GKS, in [0, 1].
            count: For a set: questions behind each accuracy, GKS; 0 where a task was not measured.
            patches: Features of the instructions' pictures, GNVE.
            patch_mask: 1 for a patch, 0 for padding, GNV.
        """
        tokens = self.represent(capability_ids, capability_mask, accuracy, count)
        return self.score(instruction_ids, instruction_mask, *tokens, patches, patch_mask)

    def represent(
        self, ids: Tensor, mask: Tensor, accuracy: Tensor | None = None, count: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return capabilities as phi's input embeddings GKTD and their mask GKT; arguments as of `forward`."""
        if self.encoder is None:
            return self._embed(ids), mask
        if accuracy is None or count is None:
            pooled_GKE = torch.unflatten(self._psi(ids.flatten(0, 1), mask.flatten(0, 1)), 0, ids.shape[:2])
            tokens_GKTD = cast(nn.Module, self.connector)(pooled_GKE).unsqueeze(2)
        else:
            vectors_SE = self._psi(ids, mask)
            grid = accuracy.shape[:2]
            expanded = vectors_SE.expand(grid.numel(), -1, -1)
            results = (x_GKS.flatten(0, 1).to(vectors_SE.dtype) for x_GKS in (accuracy, count))
            tokens_GKTD = torch.unflatten(cast(nn.Module, self.connector)(expanded, *results), 0, grid)
        return tokens_GKTD.to(self._embeddings().weight.dtype), mask.new_ones(tokens_GKTD.shape[:3])

    def score(
        self,
        ids_GNL: Tensor,
        mask_GNL: Tensor,
        tokens_GKTD: Tensor,
        token_mask_GKT: Tensor,
        patches_GNVE: Tensor | None = None,
        patch_mask_GNV: Tensor | None = None,
    ) -> Tensor:
        """Return log-odds of 'Yes', GNK, for capabilities that `represent` has read."""
        x, c = (self._embed(ids_GNL), mask_GNL), (tokens_GKTD, token_mask_GKT)
        seen = None
        if self.projector is not None and patches_GNVE is not None and patch_mask_GNV is not None:
            seen = self.projector(patches_GNVE).to(x[0].dtype), patch_mask_GNV
            x = torch.cat([seen[0], x[0]], dim=2), torch.cat([seen[1], x[1]], dim=2)
        if self.settings.order == "capability_first":
            return self._read(c, x, seen).transpose(1, 2)
        return self._read(x, c, seen)

    def unfreeze(self, what: Literal["connector", "all"]) -> None:
        """Let the `connector` learn alone (with a regression head), or `all` that phi's output depends on."""
        self.requires_grad_(False)
        alone = [self.connector, self.regression, self.projector, self.wings]
        parts: list[nn.Module | None] = [self] if what == "all" else alone
        if not any(parts):
            raise InvalidInput("without an encoder there is no connector to learn alone: begin with learns='all'")
        for part in filter(None, parts):
            part.requires_grad_(True)
        if self.tower is not None:
            self.tower.requires_grad_(False)
        if what == "all" and self.settings.lora is not None:
            for name, parameter in self.lm.named_parameters():
                parameter.requires_grad_("lora_" in name)
        for parameter in self._unused():  # or processes that wait for each other's gradients would wait for these
            parameter.requires_grad_(False)
        self.learnt |= {name for name, parameter in self.named_parameters() if parameter.requires_grad}

    def checkpoint_activations(self) -> None:
        """Recompute activations in the backward pass: less memory for more time."""
        for part in filter(None, (self.lm, self.encoder)):
            called = ("activation_checkpointing_enable", "gradient_checkpointing_enable")  # now, and before
            enable = next(getattr(part, name) for name in called if hasattr(part, name))
            enable({"use_reentrant": False})

    def _read(
        self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], seen: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Return log-odds for every prefix and block of a grid, (G, prefixes, blocks)."""
        (prefix, prefix_mask), (block, block_mask) = first, second
        G, A = prefix.shape[:2]
        B = block.shape[1]
        prefix, prefix_mask = self._around(self.start_ids, prefix, prefix_mask, before=True)
        if self.settings.order == "capability_last":
            prefix, prefix_mask = self._around(self.inquiry_ids, prefix, prefix_mask, before=False)
        else:
            block, block_mask = self._around(self.inquiry_ids, block, block_mask, before=False)
        block_PBUD = block.unsqueeze(1).expand(-1, A, -1, -1, -1).flatten(0, 1)
        block_mask_PBU = block_mask.unsqueeze(1).expand(-1, A, -1, -1).flatten(0, 1)
        rows = pack(prefix.flatten(0, 1), prefix_mask.flatten(0, 1), block_PBUD, block_mask_PBU, causal=self.causal)
        if self.wings is not None:
            self._look(self.wings, seen, A, prefix.shape[2], block.shape[2], B)
        states_PRD = self.lm.base_model(
            inputs_embeds=rows.x_PRD, attention_mask=rows.bias_P1RR, position_ids=rows.position_PR, use_cache=False
        ).last_hidden_state
        states_PBUD = torch.unflatten(states_PRD[:, prefix.shape[2] :], 1, (B, -1))
        place_U = torch.arange(block.shape[2], device=states_PRD.device)
        last_PB = (block_mask_PBU * place_U).argmax(-1)  # of each block's tokens; padding may follow it
        last_PBD = states_PBUD.gather(2, last_PB[..., None, None].expand(-1, -1, 1, states_PBUD.shape[-1])).squeeze(2)
        return torch.unflatten(self._odds(last_PBD), 0, (G, A)).float()

    def _look(
        self, wings: Wings, seen: tuple[Tensor, Tensor] | None, prefixes: int, lead: int, length: int, blocks: int
    ) -> None:
        """Tell the attention to patches which tokens of a row see which pictures: those of their own instruction."""
        if seen is None:
            wings.look(None)
            return
        tokens_GNVD, mask_GNV = seen
        slot_R = torch.zeros(lead + blocks * length, dtype=torch.long, device=mask_GNV.device)
        if self.settings.order == "capability_first":  # a row has the pictures of all its instructions
            slot_R[:lead] = -1
            slot_R[lead:] = torch.arange(blocks, device=slot_R.device).repeat_interleave(length)
            tokens, mask = (x.unsqueeze(1).expand(-1, prefixes, *(-1,) * (x.ndim - 1)).flatten(0, 1) for x in seen)
        else:
            tokens, mask = (x.flatten(0, 1).unsqueeze(1) for x in (tokens_GNVD, mask_GNV))
        wings.look(tokens, mask, slot_R)

    def _odds(self, last_PBD: Tensor) -> Tensor:
        if self.regression is not None:
            return cast(Tensor, self.regression(last_PBD.to(self.regression.weight.dtype))).squeeze(-1)
        head = self.lm.get_output_embeddings() or self._embeddings()
        answers = [self.words.no, self.words.yes]
        bias = getattr(head, "bias", None)
        logits_PB2 = nn.functional.linear(last_PBD, head.weight[answers], None if bias is None else bias[answers])
        return logits_PB2[..., 1] - (0.0 if self.settings.head == "yes_logit" else logits_PB2[..., 0])

    def _psi(self, ids_NC: Tensor, mask_NC: Tensor) -> Tensor:
        """Return mean-pooled unit vectors NE."""
        states_NCE = cast(nn.Module, self.encoder)(input_ids=ids_NC, attention_mask=mask_NC).last_hidden_state
        weight_NC1 = mask_NC.unsqueeze(-1).to(states_NCE.dtype)
        mean_NE = (states_NCE * weight_NC1).sum(1) / weight_NC1.sum(1).clamp(min=1.0)
        return nn.functional.normalize(mean_NE.to(next(cast(nn.Module, self.connector).parameters()).dtype), dim=-1)

    def _around(self, said: Any, x: Tensor, mask: Tensor, *, before: bool) -> tuple[Tensor, Tensor]:
        """Put fixed words before or after embeddings; their last two axes are tokens and width."""
        words = self._embed(said).to(x.dtype).expand(*x.shape[:-2], -1, -1)
        whole = mask.new_ones(*mask.shape[:-1], len(said))
        pairs = [(words, whole), (x, mask)] if before else [(x, mask), (words, whole)]
        return torch.cat([part for part, _ in pairs], dim=-2), torch.cat([part for _, part in pairs], dim=-1)

    def _embed(self, ids: Tensor) -> Tensor:
        return cast(Tensor, self._embeddings()(ids))

    def _embeddings(self) -> Any:
        return self.lm.get_input_embeddings()

    def _unused(self) -> list[nn.Parameter]:
        """Return weights that came with the models and that no score depends on."""
        pooled = [p for part in (self.lm, self.encoder) for n, p in _named(part) if "pooler." in n]
        head = self.lm.get_output_embeddings()
        if self.regression is not None and head is not None and head.weight is not self._embeddings().weight:
            pooled += list(head.parameters())
        return pooled

    def _require_positions(self) -> None:
        there = getattr(self.lm.config, "max_position_embeddings", None)
        capability = {"pooled": 1, "set": 2, "text": self.settings.capability_length}[self.settings.capability]
        vision = self.settings.vision
        patches = 0 if vision is None or self.tower is None else vision.pictures * self.tower.grid**2
        needed = len(self.words.start) + patches + self.settings.max_length + capability + len(self.words.inquiry)
        if there is not None and needed > there:
            raise InvalidInput(
                f"{self.settings.lm!r} has {there} positions; max_length {self.settings.max_length}, {capability} "
                f"tokens of a capability and {len(self.words.inquiry)} of the inquiry need {needed}: lower max_length"
                + (f", or vision's grid: {patches} are of pictures" if patches else "")
            )


class SetConnector(nn.Module):
    """The set connector of `mini`, at psi's width, and a layer to phi's."""

    def __init__(self, width: int, lm_width: int) -> None:
        super().__init__()
        self.tokens = Connector(width, eps=1e-12)
        self.out = nn.Linear(width, lm_width)

    def forward(self, vectors_KSE: Tensor, accuracy_KS: Tensor, count_KS: Tensor) -> Tensor:
        """Return soft tokens KTD."""
        return cast(Tensor, self.out(self.tokens(vectors_KSE, accuracy_KS, count_KS)[0]))


def _connector(config: PaperConfig, width: int, embeddings: Any) -> nn.Module:
    """Make a connector with initial outputs as large as words, to which phi is used."""
    lm_width = embeddings.weight.shape[1]
    if config.capability == "set":
        connector: nn.Module = SetConnector(width, lm_width)
        last, gain = cast(SetConnector, connector).out, width**-0.5  # its input has variance 1, not norm 1
    else:
        connector = last = nn.Linear(width, lm_width)
        gain = 1.0
    with torch.no_grad():
        last.weight.normal_(std=float(embeddings.weight.float().std()) * gain)
        last.bias.zero_()
    return connector


def _named(part: Any | None) -> list[tuple[str, nn.Parameter]]:
    return [] if part is None else list(part.named_parameters())
