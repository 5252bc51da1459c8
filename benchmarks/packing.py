"""Measure packing: 66 candidates in one row, against 66 rows and against reading the instruction alone.

    python benchmarks/packing.py [--size paper|toy] [--candidates 66] [--repeats 10] [--output benchmarks/results]

Random weights: time does not depend on them. `paper` is Phi-3-mini (3.8B, bfloat16), and needs a GPU; `toy` is a model
of 4M that any CPU runs. Medians of interleaved repeats:

- instruction   one forward of the language model on the instruction alone
- packed        every candidate behind it, one forward, in each order
- one by one    a forward for every candidate

A capability is one soft token, computed before. The inquiry has as many tokens as the paper's has in BERT's vocabulary.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, BertConfig, BertModel, LlamaConfig, Phi3Config

from cit_core.evaluate.results import Column, Result, Table, facts, write_result
from cit_core.evaluate.tables import as_rich
from cit_core.paper.config import PaperConfig
from cit_core.paper.network import PaperNetwork, Words

INQUIRY_TOKENS = 29
ORDERS = ("capability_first", "instruction_first", "capability_last")
SHAPES: dict[str, Callable[[], Any]] = {
    "paper": lambda: Phi3Config(
        vocab_size=32064,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        max_position_embeddings=4096,
        pad_token_id=None,
    ),
    "toy": lambda: LlamaConfig(
        vocab_size=4096,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=4096,
    ),
}


def networks(size: str, device: str) -> dict[str, PaperNetwork]:
    """One for each order, around the same language model."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16 if device == "cuda" else torch.float32)
    with torch.device(device):
        lm = AutoModelForCausalLM.from_config(SHAPES[size](), attn_implementation="sdpa").eval()
        encoder = BertModel(BertConfig(vocab_size=8, hidden_size=64, num_hidden_layers=1, num_attention_heads=1)).eval()
        words = Words(start=(1,), inquiry=tuple(range(2, 2 + INQUIRY_TOKENS)), yes=40, no=41)
        made = {o: PaperNetwork(PaperConfig(order=o, max_length=2048), lm, encoder, words).eval() for o in ORDERS}
    torch.set_default_dtype(torch.float32)
    return made


def medians(calls: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Median milliseconds of each call, the calls taking turns so that a noisy moment hits all of them."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 2):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if device == "cuda":
                torch.cuda.synchronize()
            if repeat >= 2:
                taken[name].append((time.perf_counter() - started) * 1e3)
    return {name: statistics.median(values) for name, values in taken.items()}


@torch.no_grad()
def measure(
    made: dict[str, PaperNetwork], length: int, candidates: int, repeats: int, device: str
) -> dict[str, dict[str, float]]:
    """Milliseconds, tokens read and GPU memory above the weights, for an instruction of this length."""
    any_network = made["instruction_first"]
    embeddings = any_network.lm.get_input_embeddings().weight
    ids = torch.randint(50, 4000, (1, 1, length), device=device)
    mask = torch.ones_like(ids)
    tokens = torch.randn(1, candidates, 1, embeddings.shape[1], device=device, dtype=embeddings.dtype)
    there = torch.ones(1, candidates, 1, dtype=torch.long, device=device)
    calls: dict[str, Callable[[], object]] = {
        "instruction alone": lambda: any_network.lm.base_model(input_ids=ids[0], use_cache=False)
    }
    read = {"instruction alone": length}
    for order, network in made.items():
        calls[f"packed, {order}"] = lambda network=network: network.score(ids, mask, tokens, there)
    rows = length + INQUIRY_TOKENS + 2
    read["packed, capability_first"] = candidates * rows
    read["packed, instruction_first"] = 1 + length + candidates * (1 + INQUIRY_TOKENS)
    read["packed, capability_last"] = 1 + length + INQUIRY_TOKENS + candidates

    def one_by_one() -> None:
        for k in range(candidates):
            made["capability_first"].score(ids, mask, tokens[:, k : k + 1], there[:, k : k + 1])

    calls["one by one"] = one_by_one
    read["one by one"] = candidates * rows
    took = medians(calls, repeats, device)
    return {
        name: {
            "ms": took[name],
            "tokens": read[name],
            "of_instruction": took[name] / took["instruction alone"],
            "faster_than_one_by_one": took["one by one"] / took[name],
            "memory_mib": peak(call, device),
        }
        for name, call in calls.items()
    }


def peak(call: Callable[[], object], device: str) -> float:
    """MiB above the weights that a call takes on the GPU; on a CPU, the most that the process has had so far."""
    if device != "cuda":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def result(options: argparse.Namespace, device: str) -> Result:
    """All lengths, as the benchmark page shows them."""
    started = time.monotonic()
    made = networks(options.size, device)
    weights = sum(p.numel() for p in made["instruction_first"].lm.parameters())
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    columns = (
        Column("what"),
        Column("ms", "ms"),
        Column("tokens read", "count"),
        Column("of the question alone", "ratio"),
        Column("faster than one by one", "ratio"),
        Column("MiB", "count"),
    )
    tables = []
    for length in options.lengths:
        found = measure(made, length, options.candidates, options.repeats, device)
        rows = tuple((name, *row.values()) for name, row in found.items())
        ours = tuple(place for place, name in enumerate(found) if name.startswith("packed"))
        tables.append(Table(f"A question of {length} tokens", columns, rows, emphasis=ours))
    return Result(
        experiment="packing",
        title=f"Packing a language model's candidates ({options.size} size)",
        question=f"What do {options.candidates} candidates cost in one row of a language model with random weights "
        f"({weights / 1e6:,.0f}M parameters, {where})?",
        held_out="Nothing is learned here: time does not depend on weights.",
        tables=tuple(tables),
        figures=(),
        facts=facts(shlex.join(["python", *sys.argv]), data={}, seconds=time.monotonic() - started),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--size", choices=sorted(SHAPES), default="paper" if device == "cuda" else "toy")
    parser.add_argument("--candidates", type=int, default=66)
    parser.add_argument("--lengths", type=int, nargs="+", default=[48, 256, 1024] if device == "cuda" else [48, 256])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--output", type=Path, help="folder for packing.json")
    options = parser.parse_args()
    found = result(options, device)
    if options.output is not None:
        write_result(found, options.output)
    for table in found.tables:
        Console().print(as_rich(table))


if __name__ == "__main__":
    main()
