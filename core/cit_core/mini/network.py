"""Model-SAT (paper, figure 4): a capability and an instruction in, P('Yes, it can handle this') out.

- the trunk is a BERT-style encoder; its layers below `join_layer` (the reader) are frozen and see the instruction alone
- psi, the capability encoder, is the whole frozen trunk: one mean-pooled vector for every task line
- the connector turns a set of (task vector, accuracy, count) into soft tokens: no order, no cut at 512 tokens (eq. 2)
- phi is a trained copy of the trunk's layers from `join_layer` on; it reads `[x | c_1 p | ... | c_K p]` (eq. 3), the
  capabilities once and for all instructions
- the score is P('Yes') over {'Yes', 'No'} at each block's last token (eq. 4), beside the candidate's level as a number

Axes: N queries, K candidates, P inquiries (1, then K), L instruction tokens, T tokens of a capability, S task lines, D
width, H heads, E head width, M what phi's layers keep of a capability: keys and values of each.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn

from cit_core.errors import InvalidInput
from cit_core.mini.attention import attend, attend_inquiries
from cit_core.mini.config import ModelConfig

__all__ = ["Connector", "Encoder", "Layer", "ModelSAT", "Phi", "Reader"]


class Layer(nn.Module):
    """A BERT layer, post-norm with GELU; the caller computes the attention."""

    def __init__(self, width: int, heads: int, inner: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.attended_norm = nn.LayerNorm(width, eps=eps)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.output_norm = nn.LayerNorm(width, eps=eps)

    def split(self, x: Tensor) -> Tensor:
        """Reshape (..., T, D) to (..., H, T, E)."""
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(-2, -3)

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Apply the layer's part after attention: (..., T, D) and the mixed values (..., H, T, E) to (..., T, D)."""
        x = self.attended_norm(x + self.out(mixed.transpose(-2, -3).flatten(-2)))
        return cast(Tensor, self.output_norm(x + self.down(nn.functional.gelu(self.up(x)))))

    def forward(self, x_NLD: Tensor, mask_NL: Tensor) -> Tensor:
        """Apply plain self-attention over the instruction."""
        q, k, v = (self.split(part(x_NLD)) for part in (self.query, self.key, self.value))
        return self.finish(x_NLD, attend(q, k, v, mask_NL))


class Reader(nn.Module):
    """Embeddings and the layers below the join: token ids to hidden states. Frozen."""

    def __init__(
        self, words: nn.Embedding, positions: nn.Embedding, kind: Tensor, norm: nn.LayerNorm, layers: Any
    ) -> None:
        super().__init__()
        self.words, self.positions, self.norm, self.layers = words, positions, norm, nn.ModuleList(layers)
        self.kind_D = nn.Parameter(kind)

    def forward(self, ids_NL: Tensor, mask_NL: Tensor) -> Tensor:
        """Map token ids and mask to hidden states NLD."""
        place_L = torch.arange(ids_NL.shape[1], device=ids_NL.device)
        x_NLD = self.norm(self.words(ids_NL) + self.positions(place_L) + self.kind_D)
        for layer in self.layers:
            x_NLD = layer(x_NLD, mask_NL)
        return cast(Tensor, x_NLD)


class Encoder(nn.Module):
    """The trunk's upper layers as they came: the reader's hidden states to one unit vector a text. Frozen; psi."""

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x_NLD: Tensor, mask_NL: Tensor) -> Tensor:
        """Pool hidden states NLD to unit vectors ND."""
        for layer in self.layers:
            x_NLD = layer(x_NLD, mask_NL)
        weight_NL1 = mask_NL.unsqueeze(-1).to(x_NLD.dtype)
        return nn.functional.normalize((x_NLD * weight_NL1).sum(1) / weight_NL1.sum(1), dim=-1)


class Connector(nn.Module):
    """Map a set of measured tasks, of any order and number, to soft tokens (eq. 2).

    The first token says how good the candidate is on the whole; the second where it is better or worse than that: the
    task vectors, weighted by the difference of each accuracy from the mean, shrunk toward 0 according to its
    count (a task of 20 questions is mostly noise).
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.level = nn.Linear(2, width)
        self.profile = nn.Linear(width, width, bias=False)
        with (
            torch.no_grad()
        ):  # a shrunk residual is a few hundredths; start where its direction is heard beside the slot
            self.profile.weight.copy_(10.0 * torch.eye(width))
        self.slots_TD = nn.Parameter(torch.randn(2, width) * 0.02)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.log_shrinkage = nn.Parameter(torch.tensor(30.0).log())

    def forward(self, vectors_KSD: Tensor, accuracy_KS: Tensor, count_KS: Tensor) -> tuple[Tensor, Tensor]:
        """Map task lines to soft tokens.

        Args:
            vectors_KSD: psi of each task's keywords.
            accuracy_KS: Accuracies in [0, 1].
            count_KS: Questions behind each accuracy; 0 marks padding.

        Returns:
            Tokens KTD and the level: log-odds of the mean accuracy, K.
        """
        asked_K1 = count_KS.sum(1, keepdim=True)
        right_K1 = (accuracy_KS * count_KS).sum(1, keepdim=True)
        wrong_K1 = ((1.0 - accuracy_KS) * count_KS).sum(1, keepdim=True)
        mean_K1 = (right_K1 + 1.0) / (asked_K1 + 2.0)
        level_K1 = torch.log1p(right_K1) - torch.log1p(wrong_K1)  # finite, however many questions all went right
        numbers_K2 = torch.cat([level_K1, torch.log1p(asked_K1) / 7.0], dim=1)
        trust_KS = count_KS / (count_KS + self.log_shrinkage.exp())
        residual_KS = trust_KS * (accuracy_KS - mean_K1)
        lines_K1 = (count_KS > 0).to(count_KS.dtype).sum(1, keepdim=True).clamp(min=1.0)
        profile_KD = self.profile((residual_KS.unsqueeze(1) @ vectors_KSD).squeeze(1) / lines_K1.sqrt())
        tokens_KTD = torch.stack([self.level(numbers_K2), profile_KD], dim=1)
        return self.norm(tokens_KTD + self.slots_TD), level_K1.squeeze(1)


class Phi(nn.Module):
    """The lightweight LLM: upper layers that read the instruction and one block for every candidate."""

    def __init__(self, layers: Any, inquiry: Tensor, yes: Tensor, no: Tensor, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.inquiry_D = nn.Parameter(inquiry)
        self.inquiry_norm = norm
        self.answer = nn.Linear(len(inquiry), 2)
        with torch.no_grad():  # rows: 'No', 'Yes'; small, so that training starts from the candidate's level alone
            self.answer.weight.copy_(torch.stack([no, yes]) * 0.01)
            self.answer.bias.zero_()
        self.level_gain = nn.Parameter(torch.tensor(1.0))

    def remember(self, tokens_KTD: Tensor) -> Tensor:
        """Read capabilities, which see no instruction: soft tokens to each layer's keys and values, MHKTE."""
        kept = []
        mask_KT = torch.ones_like(tokens_KTD[..., 0])
        for place, module in enumerate(self.layers):
            layer = cast(Layer, module)
            k, v = layer.split(layer.key(tokens_KTD)), layer.split(layer.value(tokens_KTD))
            kept += [k.transpose(0, 1), v.transpose(0, 1)]
            if place < len(self.layers) - 1:
                mixed = attend(layer.split(layer.query(tokens_KTD)), k, v, mask_KT)
                tokens_KTD = layer.finish(tokens_KTD, mixed)
        return torch.stack(kept)

    def forward(self, x_NLD: Tensor, mask_NL: Tensor, known_MHKTE: Tensor, level_K: Tensor) -> Tensor:
        """Return log-odds of 'Yes' against 'No', NK, before calibration.

        Args:
            x_NLD: The reader's hidden states.
            mask_NL: 1 for a token, 0 for padding.
            known_MHKTE: The candidates as `remember` read them.
            level_K: Their levels.
        """
        (N, L), K = mask_NL.shape, level_K.shape[0]
        P, p_NPD = 1, self.inquiry_norm(self.inquiry_D).expand(N, 1, -1)
        for place, module in enumerate(self.layers):
            layer = cast(Layer, module)
            last = place == len(self.layers) - 1
            # One product for the whole row; and only the inquiries' last states are read, so there x asks nothing.
            row_NRD = torch.cat([p_NPD, x_NLD], dim=1)
            q = layer.split(layer.query(p_NPD if last else row_NRD))
            k, v = layer.split(layer.key(row_NRD)), layer.split(layer.value(row_NRD))
            own, of_x = ((k.narrow(2, at, size), v.narrow(2, at, size)) for at, size in ((0, P), (P, L)))
            known = known_MHKTE[2 * place], known_MHKTE[2 * place + 1]
            mixed = attend_inquiries(q.narrow(2, 0, P), own, of_x, known, mask_NL)
            p_NPD = p_NPD.expand(-1, K, -1)
            if last:
                p_NPD = layer.finish(p_NPD, mixed)
            else:
                mixed = torch.cat([mixed, attend(q.narrow(2, P, L), *of_x, mask_NL)], dim=2)
                row_NRD = layer.finish(torch.cat([p_NPD, x_NLD], dim=1), mixed)
                p_NPD, x_NLD = row_NRD.narrow(1, 0, K), row_NRD.narrow(1, K, L)
            P = K
        answers_NK2 = self.answer(p_NPD)
        return cast(Tensor, answers_NK2[..., 1] - answers_NK2[..., 0] + self.level_gain * level_K)


class ModelSAT(nn.Module):
    """The whole network, in the four parts that are exported one by one."""

    def __init__(self, config: ModelConfig, reader: Reader, encoder: Encoder, connector: Connector, phi: Phi) -> None:
        super().__init__()
        self.config = config
        self.reader, self.encoder, self.connector, self.phi = reader, encoder, connector, phi
        self.reader.requires_grad_(False)
        self.encoder.requires_grad_(False)

    @classmethod
    def from_trunk(cls, config: ModelConfig, bert: Any, inquiry: Tensor, yes: int, no: int) -> ModelSAT:
        """Build around a Hugging Face BERT.

        Args:
            config: The shape.
            bert: A `BertModel`.
            inquiry: psi of the inquiry prompt, D.
            yes: Token id of 'Yes'.
            no: Token id of 'No'.

        Raises:
            InvalidInput: If the trunk has too few layers or positions for the config.
        """
        shape = bert.config
        if config.join_layer >= shape.num_hidden_layers or config.max_length > shape.max_position_embeddings:
            raise InvalidInput(
                f"join_layer {config.join_layer} and max_length {config.max_length} do not fit trunk {config.trunk!r}: "
                f"it has {shape.num_hidden_layers} layers, one of which phi needs, and "
                f"{shape.max_position_embeddings} positions"
            )
        layers = [_copy_layer(layer, shape) for layer in bert.encoder.layer]
        below, above = layers[: config.join_layer], layers[config.join_layer :]
        words = bert.embeddings.word_embeddings
        norm = below[-1].output_norm if below else bert.embeddings.LayerNorm
        reader = Reader(
            words,
            bert.embeddings.position_embeddings,
            bert.embeddings.token_type_embeddings.weight[0].detach().clone(),
            bert.embeddings.LayerNorm,
            below,
        )
        connector = Connector(shape.hidden_size, shape.layer_norm_eps)
        connector.norm.load_state_dict(norm.state_dict())
        vectors = words.weight.detach()
        phi = Phi(copy.deepcopy(above), inquiry.clone(), vectors[yes], vectors[no], copy.deepcopy(norm))
        return cls(config, reader, Encoder(above), connector, phi)

    def encode(self, ids_NL: Tensor, mask_NL: Tensor) -> Tensor:
        """Encode texts by psi to unit vectors ND."""
        return cast(Tensor, self.encoder(self.reader(ids_NL, mask_NL), mask_NL))

    def know(self, vectors_KSD: Tensor, accuracy_KS: Tensor, count_KS: Tensor) -> tuple[Tensor, Tensor]:
        """Return phi's inputs for capabilities: keys and values, MHKTE, and their levels K."""
        tokens_KTD, level_K = self.connector(vectors_KSD, accuracy_KS, count_KS)
        return self.phi.remember(tokens_KTD), level_K

    def forward(
        self, ids_NL: Tensor, mask_NL: Tensor, vectors_KSD: Tensor, accuracy_KS: Tensor, count_KS: Tensor
    ) -> Tensor:
        """Return log-odds of 'Yes', NK, for N instructions and K capabilities."""
        known = self.know(vectors_KSD, accuracy_KS, count_KS)
        return cast(Tensor, self.phi(self.reader(ids_NL, mask_NL), mask_NL, *known))


def _copy_layer(source: Any, shape: Any) -> Layer:
    layer = Layer(shape.hidden_size, shape.num_attention_heads, shape.intermediate_size, shape.layer_norm_eps)
    attention = source.attention
    pairs = {
        layer.query: attention.self.query,
        layer.key: attention.self.key,
        layer.value: attention.self.value,
        layer.out: attention.output.dense,
        layer.attended_norm: attention.output.LayerNorm,
        layer.up: source.intermediate.dense,
        layer.down: source.output.dense,
        layer.output_norm: source.output.LayerNorm,
    }
    for ours, theirs in pairs.items():
        ours.load_state_dict(theirs.state_dict())
    return layer
