"""Models small enough for a test, of the families that the paper's network is made of, with weights that matter."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tiny_network import SPECIAL, WORDS
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import ByteLevel, Punctuation, Whitespace
from tokenizers.pre_tokenizers import Sequence as Steps
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from cit_core.mini.prompt import INQUIRY
from cit_core.paper.config import PaperConfig, Vision
from cit_core.paper.network import PaperNetwork
from cit_core.paper.tokenization import PaperReader
from cit_core.paper.vision import Tower
from cit_core.paper.weights import Parts, new_paper, save_paper
from cit_core.records import Candidate, Capability, Task, TaskResult

SPLITTER = Steps([Whitespace(), Punctuation()])
SAID = f"{INQUIRY} The model achieves accuracy on the task of was not measured yes no".lower()
KNOWN = [
    *SPECIAL,
    *dict.fromkeys([*WORDS, *(word for word, _ in SPLITTER.pre_tokenize_str(SAID)), *map(str, range(101))]),
]
KNOWN += ["%", ",", '"']
VOCABULARY = list(dict.fromkeys(KNOWN))
POSITIONS = 512
SHAPE = {
    "vocab_size": 512,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}
CAUSAL = {"bos_token_id": 2, "eos_token_id": 3}


def bert(seed: int = 0) -> BertModel:
    """An encoder, for psi or for phi; E5 is one."""
    torch.manual_seed(seed)
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertModel(BertConfig(**SHAPE, **quiet)).eval()


def phi3() -> Any:
    torch.manual_seed(0)
    return Phi3ForCausalLM(Phi3Config(**SHAPE, **CAUSAL, num_key_value_heads=4)).eval()


def qwen2() -> Any:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**SHAPE, **CAUSAL, num_key_value_heads=2, tie_word_embeddings=True)).eval()


def llama() -> Any:
    """SmolLM's family as well."""
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SHAPE, **CAUSAL, num_key_value_heads=2)).eval()


LMS: dict[str, Callable[[], Any]] = {"phi3": phi3, "qwen2": qwen2, "llama": llama, "bert": bert}


def tokenizer(side: str = "right", start: bool = True) -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: id_ for id_, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = Lowercase(), SPLITTER
    if start:
        words.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", padding_side=side
    )


def bpe_tokenizer() -> Qwen2Tokenizer:
    """Of the byte-level kind that Qwen and SmolLM have: a space belongs to the word behind it."""
    words = Tokenizer(BPE())
    words.pre_tokenizer = ByteLevel(add_prefix_space=False)
    alphabet = ByteLevel.alphabet()
    words.train_from_iterator(
        [f"{INQUIRY} Yes Yes No No"] * 3, BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    )
    learnt = json.loads(words.to_str())["model"]
    return Qwen2Tokenizer(vocab=learnt["vocab"], merges=[tuple(pair) for pair in learnt["merges"]])


SEES = {
    "hidden_size": 12,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 12,
    "patch_size": 4,
    "initializer_range": 0.3,
}
"""A tower of nine patches."""


def clip() -> Any:
    text = {key: SHAPE[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")}
    text |= {"intermediate_size": 16, "bos_token_id": 2, "eos_token_id": 3}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=SEES, projection_dim=8))


TOWERS: dict[str, Callable[[], Any]] = {
    "clip": clip,
    "siglip": lambda: SiglipVisionModel(SiglipVisionConfig(**SEES)),
    "vit": lambda: ViTModel(ViTConfig(**SEES)),
}


def tower(kind: str = "siglip", **vision: Any) -> Tower:
    torch.manual_seed(2)
    return Tower(TOWERS[kind](), Vision(**{"grid": 2, **vision}))


def parts(lm: str = "llama", side: str = "right", sees: Tower | None = None) -> Parts:
    return Parts(LMS[lm](), tokenizer(side), bert(seed=1), tokenizer(), sees)


def paper(lm: str = "llama", side: str = "right", **config: Any) -> tuple[PaperNetwork, PaperReader]:
    """A network whose answers depend on candidate and instruction alike, and on pictures where it sees."""
    sees = tower() if config.get("vision") is not None else None
    network, reader = new_paper(tiny_config(**config), parts(lm, side, sees))
    return emphasised(network), reader


def tiny_config(**config: Any) -> PaperConfig:
    return PaperConfig(**{"max_length": 16, "capability_length": 96, **config})


def emphasised(network: PaperNetwork) -> PaperNetwork:
    """With a connector that makes one candidate unlike another."""
    torch.manual_seed(3)
    if network.connector is not None:
        with torch.no_grad():
            for parameter in network.connector.parameters():
                parameter.add_(torch.randn_like(parameter))
    if network.wings is not None:  # its last layers begin at zero
        with torch.no_grad():
            for parameter in network.wings.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return network


def save_parts(folder: Path, lm: str = "llama") -> tuple[str, str]:
    """Two folders as the hub would give them: the language model's and the encoder's."""
    made = parts(lm)
    if lm == "qwen2":
        made = made._replace(tokenizer=bpe_tokenizer())
    for name, model, words in (("lm", made.lm, made.tokenizer), ("psi", made.encoder, made.encoder_tokenizer)):
        model.save_pretrained(folder / name)
        words.save_pretrained(folder / name)
    return str(folder / "lm"), str(folder / "psi")


def save_run(folder: Path, **config: Any) -> Path:
    """What `cit train` leaves for use, around models on disk; returns the run's folder."""
    lm, encoder = save_parts(folder / "models")
    network, _ = new_paper(tiny_config(lm=lm, encoder=encoder, **config))
    emphasised(network).unfreeze("connector")
    save_paper(network, folder / "mine")
    (folder / "mine" / "calibration.json").write_text(json.dumps({"slope": 0.5, "intercept": 0.25}))
    return folder / "mine"


def zoo(number: int, tasks: Sequence[str] = ("algebra", "history", "cell", "law")) -> list[Capability]:
    """Capabilities that differ."""
    return [
        Capability(
            candidate=Candidate(id=f"m{k}"),
            results=tuple(
                TaskResult(
                    task=Task(id=task, keywords=(task, "name")), accuracy=(k * 37 + j * 11) % 101 / 100, count=20
                )
                for j, task in enumerate(tasks)
            ),
        )
        for k in range(number)
    ]


TEXTS = ["solve algebra why", "law", "name a cell a proof of energy market 7", "history b", "c"]
