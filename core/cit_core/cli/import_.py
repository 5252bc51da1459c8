"""`cit import`: put outcomes that were measured elsewhere into a store."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from cit_core.cli._import_options import Importer, shares_options

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Import outcomes that were measured elsewhere into a store.")

ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="ID", help="Id of the model, in place of what the files say.")
]


def _files(what: str) -> Any:
    return typer.Argument(metavar="FILE", help=what, show_default=False)


@app.callback()
def import_() -> None:
    """Import outcomes that were measured elsewhere into a store."""


@app.command()
@shares_options
def table(
    files: Annotated[list[Path], _files("CSV, JSONL or Parquet.")],
    items: Annotated[
        Path | None,
        typer.Option("--items", metavar="FILE", help="A second table with instruction and task per item_id."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="NAME", help="Task of items that come without one, in place of the nearest."),
    ] = None,
) -> Importer:
    """Import tables with item_id, model and correct, one row per answer."""
    from cit_core.aptitude.importers.table import check_tables, import_table

    check_tables(files, items=items, skip_bad=True)  # what is no such table is refused before a store is made for it
    return partial(import_table, files, items=items, task=task)


@app.command("lm-eval")
@shares_options
def lm_eval(
    files: Annotated[list[Path], _files("samples_TASK_TIME.jsonl or .parquet.")],
    model: ModelOption = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Metric that says whether an answer is right.")
    ] = None,
    filter_: Annotated[
        str | None,
        typer.Option("--filter", metavar="NAME", help="The harness's filter that counts. Default: the first."),
    ] = None,
) -> Importer:
    """Import samples logged by lm-evaluation-harness, or details of the Open LLM Leaderboard."""
    from cit_core.aptitude.importers.lm_eval import import_lm_eval

    return partial(import_lm_eval, files, model=model, metric=metric, filter_=filter_)


@app.command()
@shares_options
def inspect(
    files: Annotated[list[Path], _files("Logs: .json or .eval.")],
    model: ModelOption = None,
    scorer: Annotated[
        str | None, typer.Option("--scorer", metavar="NAME", help="Scorer that counts, if samples have several.")
    ] = None,
) -> Importer:
    """Import logs of Inspect (inspect_ai)."""
    from cit_core.aptitude.importers.inspect_logs import import_inspect

    return partial(import_inspect, files, model=model, scorer=scorer)


@app.command("mmlu-pro")
@shares_options
def mmlu_pro(
    files: Annotated[list[Path], _files("model_outputs_MODEL_5shots.zip, or .json.")],
    model: ModelOption = None,
) -> Importer:
    """Import answers to MMLU-Pro as its repository publishes them (eval_results)."""
    from cit_core.aptitude.importers.mmlu_pro import import_mmlu_pro

    return partial(import_mmlu_pro, files, model=model)


@app.command()
@shares_options
def routerbench(
    files: Annotated[list[Path], _files("routerbench_0shot.pkl, or the same table as .csv.")],
) -> Importer:
    """Import RouterBench. No code in its pickles is executed."""
    from cit_core.aptitude.importers.routerbench import import_routerbench

    return partial(import_routerbench, files)


@app.command()
@shares_options
def embedllm(
    files: Annotated[list[Path], _files("train.csv, val.csv, test.csv.")],
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE", help="question_order.csv, for tables without the texts."),
    ] = None,
) -> Importer:
    """Import EmbedLLM: right or wrong answers of 112 models."""
    from cit_core.aptitude.importers.embedllm import import_embedllm

    return partial(import_embedllm, files, questions=questions)


@app.command()
@shares_options
def vlmeval(
    files: Annotated[list[Path], _files("MODEL_BENCH_openai_result.xlsx and the like; .tsv, .csv, .json.")],
    model: ModelOption = None,
    benchmark: Annotated[
        str | None,
        typer.Option("--benchmark", metavar="NAME", help="Benchmark, in place of what the file's name says."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="NAME", help="Rows of this split alone: validation of MMMU_DEV_VAL."),
    ] = None,
) -> Importer:
    """Import result sheets of VLMEvalKit: answers to questions about pictures."""
    from cit_core.aptitude.importers.vlmeval import import_vlmeval

    return partial(import_vlmeval, files, model=model, benchmark=benchmark, split=split)


@app.command("mmr-bench")
@shares_options
def mmr_bench(
    files: Annotated[list[Path], _files("MMR_Bench.csv, or the same table as .parquet.")],
    costs: Annotated[bool, typer.Option("--costs", help="Take the costs of answers for USD.")] = False,
) -> Importer:
    """Import MMR-Bench: answers of multimodal LLMs to questions about pictures."""
    from cit_core.aptitude.importers.mmr_bench import import_mmr_bench

    return partial(import_mmr_bench, files, costs=costs)
