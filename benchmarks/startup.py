"""Measure what a process costs before it is useful, side by side in one run: CPU, medians of interleaved repeats.

    python benchmarks/startup.py [--repeats 9] [--only WORD]

- a cold process to its first decision, also among models by name, against `import sentence_transformers` where that is
  installed; and what reading the catalogue adds to importing it
- `cit route TEXT` and `cit models list` without a store, against `cit --version`
- the tokens that are read of 20,000 characters, against those of all of them
- `route_many` of 64 queries of some 48 tokens, on as many threads as there are cores, against one query after the other
- 64 concurrent decisions with `Batching()` and without it; and one alone
- `RunnableRouter` and `ChatCIT`, one answer and a batch of 16, against a `RunnableLambda` that does the least

CPU seconds of a process do not depend on what else a machine does as much as seconds do.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from rich.console import Console
from rich.table import Table

from cit_core import Router
from cit_core.router import Batching
from cit_core.runtime import OnnxScorer
from cit_core.runtime.tokenizer import read_tokens
from langchain_cit import ChatCIT, RunnableRouter

MODELS = ["openai:gpt-5-mini", "anthropic:claude-haiku-4-5"]
DECISION = f"from cit_core import Router; Router.from_pretrained(models={MODELS}).route('What is 7 times 8?')"
NAMED = ["openai:gpt-5-mini", "anthropic:claude-sonnet-4-5", "google_genai:gemini-2.5-flash"]
BY_NAME = f"from cit_core import Router; Router.from_models({NAMED}).route('What is 7 times 8?')"
RESOLVE = "import cit_core.catalogue.resolve"
PROFILE = f"{RESOLVE} as of; of.public_profiles(['gpt-5-mini'])"
CIT = "import sys; from cit_core.cli import main; sys.argv = ['cit', *{}]; main()"
WORDS = "It stops twice for a quarter of an hour, and a second one follows at noon on the same track, twice as fast."
LONG = "Which of these two contracts is void, and why? " * 426
QUERIES = [f"A train leaves at nine and travels {n} miles; how far does it get before noon?" for n in range(64)]
LONGER = [f"{query} {WORDS}" for query in QUERIES]

Call = Callable[[], object]


def process(code: str) -> Call:
    """Return a call of an interpreter that runs this code in an empty folder, and ends there.

    The code is what is timed, and not that Python is taken down, 0.1 s and more; `cit` does so itself.
    """
    folder = tempfile.mkdtemp(prefix="cit-startup-")
    environment = {"XDG_DATA_HOME": folder, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", f"{code}; import os; os._exit(0)"]
    return lambda: subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def medians(calls: dict[str, Call], repeats: int) -> dict[str, tuple[float, float]]:
    """Return the median CPU and wall milliseconds of each call; they take turns."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            before, began = cpu(), time.perf_counter()
            call()
            if turn:  # the first fills caches
                taken[name].append(((cpu() - before) * 1e3, (time.perf_counter() - began) * 1e3))
    return {name: tuple(map(statistics.median, zip(*pairs, strict=True))) for name, pairs in taken.items()}  # type: ignore[misc]


def coinciding(router: Router) -> Call:
    """Return a call that decides for all queries at once."""

    async def decide() -> None:
        await asyncio.gather(*(router.aroute(query) for query in QUERIES))

    return lambda: asyncio.run(decide())


def many(router: Router, *, at_once: bool) -> Call:
    """Return a call of `route_many`; one query after the other, each on all cores, is what it was before."""
    scorer = OnnxScorer("mini")
    scorer._workers = scorer._workers if at_once else 1
    return partial(Router(scorer, router.capabilities).route_many, LONGER)


def adapters(router: Router) -> dict[str, Call]:
    """Return calls of LangChain's adapters, and of a lambda that decides and asks, with models that answer at once."""
    models = {id_: FakeListChatModel(responses=["56"]) for id_ in MODELS}
    least = RunnableLambda(lambda text: models[router.route(text).model].invoke(text))
    routed, chat = RunnableRouter(models, router), ChatCIT(models, router)
    calls: dict[str, Call] = {}
    for name, runnable in (("RunnableLambda", least), ("RunnableRouter", routed), ("ChatCIT", chat)):
        calls[f"{name}.invoke"] = partial(runnable.invoke, QUERIES[0])
        calls[f"{name}.batch of 16"] = partial(runnable.batch, QUERIES[:16])
    return calls


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", default="", metavar="WORD", help="only what has this in its name")
    options = parser.parse_args()
    repeats = options.repeats
    scorer = OnnxScorer("mini")
    plain, together = (Router.from_pretrained(models=MODELS, batching=how) for how in (None, Batching()))
    processes = {
        "cold process to its first decision": process(DECISION),
        "cold process to its first decision by `Router.from_models`": process(BY_NAME),
        "import of the catalogue": process(RESOLVE),
        "import of the catalogue, and one model's profile": process(PROFILE),
    }
    if find_spec("sentence_transformers"):
        processes["import sentence_transformers"] = process("import sentence_transformers")
    for arguments in (["route", "What is 7 times 8?"], ["models", "list"], ["--version"]):
        processes[f"cit {' '.join(arguments)}"] = process(CIT.format(arguments))
    inside: dict[str, Call] = {
        "tokens of 20,000 characters, as far as they are read": lambda: read_tokens(scorer._tokenizer, LONG, 256),
        "tokens of 20,000 characters, all of them": lambda: scorer._tokenizer.encode(LONG),
        "route_many of 64": many(plain, at_once=True),
        "route_many of 64, one after the other": many(plain, at_once=False),
        "64 concurrent decisions": coinciding(plain),
        "64 concurrent decisions, Batching()": coinciding(together),
        "one decision alone": lambda: plain.route(QUERIES[0]),
        "one decision alone, Batching()": lambda: together.route(QUERIES[0]),
        **adapters(plain),
    }
    table = Table(title=f"medians of {repeats}, in turns")
    for name in ("what", "CPU ms", "ms"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for calls, times in ((processes, repeats), (inside, 3 * repeats)):
        chosen = {name: call for name, call in calls.items() if options.only in name}
        for name, (used, wall) in medians(chosen, times).items():
            table.add_row(name, f"{used:,.1f}", f"{wall:,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
