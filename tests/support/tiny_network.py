"""A Model-SAT network small enough to be built in a test: 4 layers of width 32, a vocabulary of a few dozen words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from cit_core.catalogue.resolve import public_profiles
from cit_core.mini.config import ModelConfig
from cit_core.mini.network import ModelSAT
from cit_core.mini.prompt import INQUIRY
from cit_core.mini.training_tables import KnownTable
from cit_core.mini.weights import new_network
from cit_core.outcomes import OutcomeMatrix

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["algebra", "law", "history", "proof", "cell", "energy", "market", "why", "solve", "name", "a", "b", "c", "7"]
VOCABULARY = [*SPECIAL, *dict.fromkeys([*WORDS, *re.findall(r"\w+|[^\w\s]", INQUIRY.lower()), "yes", "no"])]
LONGEST = 64
"""Positions of the tiny trunk."""
WIDTH = 32
KNOWN = ("gpt-5-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "Qwen1.5-110B")
"""Models that the catalogue knows, linked and measured."""


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordPiece({word: id_ for id_, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    words.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def tiny_bert(seed: int = 0) -> BertModel:
    """Weights larger than BERT's own first ones, so that every layer and every attended token makes a difference."""
    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LONGEST,
        initializer_range=0.3,
    )
    shape._attn_implementation = "eager"
    bert = BertModel(shape)
    with torch.no_grad():
        for parameter in bert.encoder.parameters():
            if parameter.ndim == 1:  # all alike in a trunk that has not learnt, and then a graph holds one of them
                parameter.add_(torch.randn_like(parameter) * 0.02)
    return bert.eval()


def save_trunk(folder: Path, seed: int = 0) -> str:
    """A folder as the hub would give it: config, weights, tokenizer."""
    tiny_bert(seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


def tiny_network(folder: Path, join_layer: int = 2, seed: int = 0) -> tuple[ModelSAT, Any]:
    """A network on a trunk that is saved in `folder`, as if trained: its answers are not all alike."""
    config = ModelConfig(trunk=save_trunk(folder, seed), join_layer=join_layer, max_length=LONGEST)
    network, tokenizer = new_network(config)
    torch.manual_seed(seed + 1)
    with torch.no_grad():
        for part in (network.connector, network.phi.answer, network.phi.inquiry_norm):
            for parameter in part.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
        network.phi.level_gain.fill_(0.8)
    return network, tokenizer


def instructions(number: int, longest: int, seed: int) -> tuple[Tensor, Tensor]:
    """Token ids and a mask: the first is as long as it gets, the last is not, and padded on the right."""
    draw = torch.Generator().manual_seed(seed)
    ids_NL = torch.randint(5, len(VOCABULARY), (number, longest), generator=draw)
    lengths_N = torch.randint(1, longest + 1, (number,), generator=draw)
    lengths_N[-1] = max(1, longest // 2)
    lengths_N[0] = longest
    return ids_NL, (torch.arange(longest) < lengths_N[:, None]).long()


def profiles(number: int, lines: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Task vectors, accuracies and counts of some candidates that were measured on the same tasks."""
    draw = torch.Generator().manual_seed(seed)
    vectors_SD = torch.nn.functional.normalize(torch.randn(lines, WIDTH, generator=draw), dim=-1)
    accuracy_KS = torch.rand(number, lines, generator=draw)
    count_KS = torch.randint(1, 100, (number, lines), generator=draw).float()
    return vectors_SD.expand(number, -1, -1), accuracy_KS, count_KS


def known(*tables: OutcomeMatrix) -> list[KnownTable]:
    return [KnownTable(one, [found.capability for found in public_profiles(one.candidates)]) for one in tables]
