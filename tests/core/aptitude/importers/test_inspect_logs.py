"""Logs of Inspect: scores become right or wrong, each epoch a source, and .eval files are read by Inspect itself."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cit_core.aptitude.importers.inspect_logs import import_inspect
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.store import CapabilityStore

needs_inspect = pytest.mark.skipif(
    importlib.util.find_spec("inspect_ai") is None, reason="pip install 'cit-router[inspect]'"
)


def sample(id_: str | int, value: Any, **others: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "epoch": 1,
        "input": f"Question {id_}?",
        "target": "4",
        "scores": {"match": {"value": value, "answer": "4"}},
        "model_usage": {"openai/gpt-x": {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}},
        "total_time": 1.25,
        **others,
    }


def write(path: Path, *samples: Any, **about: Any) -> Path:
    log = {"version": 2, "status": "success", "eval": {"task": "sums", "model": "openai/gpt-x", **about}}
    path.write_text(json.dumps(log | {"samples": list(samples)}), encoding="utf-8")
    return path


def test_samples_become_outcomes(store: CapabilityStore, tmp_path: Path) -> None:
    path = write(tmp_path / "log.json", sample("s1", "C"), sample(2, "I"), sample("s3", "P"), sample("s4", "N"))
    assert import_inspect([path], store).new == 4
    assert store.measured("openai/gpt-x", "inspect:log.json") == {"sums/s1", "sums/2", "sums/s3", "sums/s4"}
    capability = store.capability("openai/gpt-x")
    assert [(r.task.id, r.accuracy) for r in capability.results] == [("sums", 0.375)]
    usage = capability.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.latency_s) == (12.0, 3.0, 1.25)
    assert [item.instruction for item in store.items()][:2] == ["Question s1?", "Question 2?"]


@pytest.mark.parametrize(
    ("value", "correct"),
    [
        *[("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (True, 1.0), (False, 0.0), (1, 1.0), (0.25, 0.25), (0, 0.0)],
        *[("yes", 1.0), ("No", 0.0), ("TRUE", 1.0), ("false", 0.0), ("0.5", 0.5), (" 1 ", 1.0), ("1e-1", 0.1)],
    ],
)
def test_what_a_score_means(store: CapabilityStore, tmp_path: Path, value: Any, correct: float) -> None:
    import_inspect([write(tmp_path / "log.json", sample(1, value))], store)
    assert store.capability("openai/gpt-x").results[0].accuracy == correct


def test_epochs_are_sources_and_an_item_counts_with_their_mean(store: CapabilityStore, tmp_path: Path) -> None:
    grades = {("a", 1): "C", ("a", 2): "I", ("a", 3): "I", ("b", 1): "C", ("b", 2): "C", ("b", 3): "C"}
    path = write(tmp_path / "log.json", *(sample(id_, v, epoch=epoch) for (id_, epoch), v in grades.items()))
    for new in (6, 0):
        assert import_inspect([path], store, source="mine").new == new
    assert all(len(store.measured("openai/gpt-x", source)) == 2 for source in ("mine", "mine#2", "mine#3"))
    (result,) = store.capability("openai/gpt-x").results
    assert (result.accuracy, result.count) == (pytest.approx((1 / 3 + 1) / 2), 2)


def test_one_of_several_scores_is_chosen(store: CapabilityStore, tmp_path: Path) -> None:
    """By the name of the scorer, and of its key if it gives several."""
    scores = {"match": {"value": "I"}, "judge": {"value": {"true": 1, "kind": 0.5}}}
    path = write(tmp_path / "log.json", sample(1, "", scores=scores))
    with pytest.raises(InvalidInput, match=r"match, judge\.true, judge\.kind; choose one: --scorer, or scorer= in P"):
        import_inspect([path], store, skip_bad=True)
    for scorer, correct in (("match", 0.0), ("judge.true", 1.0), ("judge.kind", 0.5)):
        import_inspect([path], store, scorer=scorer, model=scorer)
        assert store.capability(scorer).results[0].accuracy == correct
    with pytest.raises(InvalidInput, match=r"log\.json:1: has no score 'judge'; it has match, judge\.true"):
        import_inspect([path], store, scorer="judge")


CHOICES = {"choices": ["red", "blue"], "target": "B"}
PARTS = [{"type": "image", "image": "data:"}, {"type": "text", "text": "Read"}, {"type": "text", "text": "this."}]


@pytest.mark.parametrize(
    ("asked", "instruction", "options", "answer"),
    [
        ({"input": "Which?", **CHOICES}, "Which?\n(A) red\n(B) blue", ("red", "blue"), "B"),
        ({"input": "Which?", "choices": ["a"], "target": ["A", "B"]}, "Which?\n(A) a", ("a",), None),
        ({"input": "Write.", "target": "It should be kind."}, "Write.", (), None),
        (
            {
                "input": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": "One?"},
                    {"role": "assistant", "content": "1"},
                    {"role": "user", "content": "Two?"},
                ]
            },
            "Two?",
            (),
            None,
        ),
        ({"input": [{"role": "user", "content": PARTS}]}, "Read\nthis.", (), None),
        ({"input": [{"role": "system", "content": "Be kind."}]}, None, (), None),
        ({"input": ""}, None, (), None),
    ],
)
def test_what_a_router_sees(
    store: CapabilityStore,
    tmp_path: Path,
    asked: dict[str, Any],
    instruction: str | None,
    options: tuple[str, ...],
    answer: str | None,
) -> None:
    """What only a judge can compare is no answer of an item."""
    import_inspect([write(tmp_path / "log.json", sample(1, "C", **asked))], store)
    (item,) = store.items()
    assert (item.instruction, item.options, item.answer) == (instruction, options, answer)


def test_a_judge_uses_tokens_of_its_own(store: CapabilityStore, tmp_path: Path) -> None:
    usage = {"openai/judge": {"input_tokens": 999}, "openai/gpt-x": {"input_tokens": 5, "total_cost": 0.25}}
    path = write(tmp_path / "log.json", sample(1, "C", model_usage=usage, total_time=None))
    import_inspect([path], store, model="mine")
    used = store.capability("mine").usage
    assert (used.prompt_tokens, used.completion_tokens, used.cost_usd, used.latency_s) == (5.0, None, 0.25, None)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (sample("x", "C", scores={}, error={"message": "no key"}), "has no score: it ended with an error"),
        (sample("x", "C", scores=None), "has no score"),
        (sample("x", "maybe"), "score 'match' is 'maybe'; it must be a number, or one of C, P, I, N, yes, true"),
        (sample("x", [1, 0]), "score 'match' is a list; it must be a number"),
        (sample("x", float("nan")), "correct: input should be a finite number"),
        (sample("x", 7), "correct: input should be less than or equal to 1"),
        (sample("x", "C", total_time=-1), "latency_s: input should be greater than or equal to 0"),
        (sample("", "C"), "has no id"),
        (sample("a", "I"), "correct=0, but an earlier row says 1"),
        (["a", "list"], "is list in JSON; a sample must be an object"),
    ],
)
def test_bad_samples(store: CapabilityStore, tmp_path: Path, bad: Any, says: str) -> None:
    path = write(tmp_path / "log.json", sample("a", "C"), bad, sample("b", "C"))
    with pytest.raises(InvalidInput, match="nothing was imported") as caught:
        import_inspect([path], store)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert says in str(caught.value)
    assert store.version == 0
    assert import_inspect([path], store, skip_bad=True).new == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an Inspect log"),
        ('{"eval": {"task": "t"}, "samples": [1]}', "it has no eval with a task and a model"),
        ('{"eval": {"task": "t", "model": "m"}, "samples": []}', "has no samples"),
        ('{"eval": {"task": "t", "model": "m"}}', "has no samples"),
    ],
)
def test_other_files(store: CapabilityStore, tmp_path: Path, content: str, says: str) -> None:
    (path := tmp_path / "log.json").write_text(content)
    with pytest.raises(InvalidInput, match=says):
        import_inspect([path], store, skip_bad=True)


def test_newer_eval_files_need_the_extra(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are packed with Zstandard, which Python has since 3.14."""
    path = write_eval(tmp_path / "log.eval", {"header.json": json.dumps({"eval": {"task": "t", "model": "m"}})})
    content = path.read_bytes()
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = content.index(mark) + place
        content = content[:start] + (93).to_bytes(2, "little") + content[start + 2 :]
    path.write_bytes(content)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with CapabilityStore(sqlite_url) as store, pytest.raises(MissingExtra, match=r"'cit-router\[inspect\]'"):
        import_inspect([path], store)


def write_eval(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


EVALUATE = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage
from inspect_ai.scorer import includes, match
from inspect_ai.solver import solver

@solver
def says(*texts):  # Inspect's mock model counts tokens with a tokenizer from the network; a solver of our own does not
    async def solve(state, generate):
        state.output = ModelOutput.from_content("mockllm/model", texts[state.epoch - 1])
        return state
    return solve

samples = [Sample(id="s1", input="What is 2+2?", target="4"), Sample(input="What is 1+3?", target="4")]
sums = Task(dataset=samples, solver=says("4", "4 it is"), scorer=[match(), includes()], name="sums", epochs=2)
for form in ("eval", "json"):
    (log,) = eval(sums, model="mockllm/model", log_dir=f"{sys.argv[1]}/{form}", log_format=form, display="none")
    assert log.status == "success", log.error
"""


@pytest.fixture(scope="module")
def real_logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What Inspect writes, in both of its forms; by a process of its own, for its libraries warn."""
    folder = tmp_path_factory.mktemp("logs")
    subprocess.run([sys.executable, "-c", EVALUATE, str(folder)], check=True, cwd=folder, timeout=120)
    return {form: next((folder / form).iterdir()) for form in ("eval", "json")}


@needs_inspect
@pytest.mark.parametrize("form", ["eval", "json"])
def test_what_inspect_writes(
    sqlite_url: str, real_logs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    path = real_logs[form]
    with CapabilityStore(sqlite_url) as store:
        with pytest.raises(InvalidInput, match="match, includes; choose one: --scorer"):
            import_inspect([path], store)
        assert import_inspect([path], store, scorer="match").new == 4
        assert store.measured("mockllm/model", f"inspect:{path.name}#2") == {"sums/s1", "sums/2"}
        assert [(r.task.id, r.accuracy) for r in store.capability("mockllm/model").results] == [("sums", 0.5)]
        assert [item.instruction for item in store.items(["sums/s1", "sums/2"])].count("What is 2+2?") == 1
        assert (store.capability("mockllm/model").usage.latency_s or 0) > 0


@needs_inspect
@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18)])
def test_eval_files_that_cannot_be_read(sqlite_url: str, tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "log.eval").write_bytes(content)
    with (
        CapabilityStore(sqlite_url) as store,
        pytest.raises(InvalidInput, match=r"log\.eval is not a readable Inspect log"),
    ):
        import_inspect([path], store)
