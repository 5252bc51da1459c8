"""The layout: names that a reader cannot confuse, no import circle, a test file for every module, plain words."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "cit_core": ROOT / "core" / "cit_core",
    "langchain_cit": ROOT / "langchain_cit",
    "llamaindex_cit": ROOT / "llamaindex_cit",
}
TESTS = {
    "cit_core": ROOT / "tests" / "core",
    "langchain_cit": ROOT / "tests" / "langchain_cit",
    "llamaindex_cit": ROOT / "tests" / "llamaindex_cit",
}

ALIKE = {
    "config": "mini and paper mirror each other",
    "losses": "mini and paper mirror each other",
    "network": "mini and paper mirror each other",
    "trainer": "mini and paper mirror each other",
    "serialization": "of a router, and of fitted evidence",
    "weights": "mini and paper mirror each other",
    "scorer": "router has the protocol, evidence and paper have a scorer each",
    "bench": "the verb `cit bench`, and the benchmark that it runs",
    "replay": "the verb `cit replay`, and the comparison that it shows",
    "report": "the verb `cit report`, and what it shows",
    "profiles": "the catalogue's profiles, and the baselines that read profiles",
    "sources": "of outcomes in a store, and of questions for suites",
    "aptitude": "the verb `cit aptitude`, and what each adapter adds to measuring",
    "protocol": "one of baselines, one of clients",
    "zoos": "the experiment on zoos, and the zoos of the benchmark",
    "pictures": "of messages, and the experiment on questions about them",
    "question": "a question of the shipped suite, and the question in a long prompt",
    "query": "the router's query; LangChain's is a public name of before",
    "validation": "of arguments, and of a training run",
    "_options": "options of the command line, and of the adapters",
    "sampled": "one of each adapter, with public names for models of one's own",
}
"""Module name to the reason why several rooms have it."""

GERUNDS = {
    "stacking": "statistics' name for weighing predictors by what they do out of sample",
    "batching": "the field's name for joining calls",
    "blocking": "asyncio's name for calls that stop the loop",
    "fitting": "statistics' name for estimating parameters",
    "loading": "from a name, a folder or a store to a router; `load` would read as a verb",
    "onboarding": "the field's name for adding a model; here an experiment",
    "setting": "a noun: what is known and what is asked in a comparison",
    "packing": "the field's name for several sequences in one row",
}
"""File names that end in -ing, with the reason."""

TESTED_WITH = {
    "cit_core/_provider_words.py": "core/test_provider_errors.py",
    "cit_core/aptitude/basics/chance.py": "core/aptitude/basics/test_suite.py",
    "cit_core/aptitude/basics/everyday.py": "core/aptitude/basics/test_suite.py",
    "cit_core/aptitude/basics/logic.py": "core/aptitude/basics/test_suite.py",
    "cit_core/aptitude/basics/mathematics.py": "core/aptitude/basics/test_suite.py",
    "cit_core/aptitude/basics/numbers.py": "core/aptitude/basics/test_suite.py",
    "cit_core/aptitude/basics/programs.py": "core/aptitude/basics/test_suite.py",
    "cit_core/aptitude/basics/vocabulary.py": "core/aptitude/basics/test_suite.py",
    "cit_core/aptitude/basics/words.py": "core/aptitude/basics/test_suite.py",
    "cit_core/aptitude/evidence_sources.py": "core/aptitude/test_evidence_fit.py",
    "cit_core/aptitude/mapped_evidence.py": "core/aptitude/test_evidence_fit.py",
    "cit_core/aptitude/importers/catalogue_answers.py": "core/cli/test_models.py",
    "cit_core/aptitude/importers/postprocess.py": "core/cli/test_import_.py",
    "cit_core/aptitude/runner/ledger.py": "core/aptitude/runner/test_runner.py",
    "cit_core/server/meters.py": "core/server/test_access.py",
    "cit_core/server/relay.py": "core/server/test_gateway.py",
    "cit_core/server/replies.py": "core/server/test_gateway.py",
    "cit_core/server/zoo.py": "core/server/test_gateway.py",
    "cit_core/aptitude/suites/shipped.py": "core/catalogue/test_catalogue.py",
    "cit_core/catalogue/profiles.py": "core/catalogue/test_catalogue.py",
    "cit_core/catalogue/score_tables.py": "core/catalogue/test_linked.py",
    "cit_core/cli/replay.py": "core/cli/test_report.py",
    "cit_core/cli/_policy_calibration.py": "core/cli/test_calibrate.py",
    "cit_core/evaluate/baselines/baseline_data.py": "core/evaluate/baselines/test_arithmetic.py",
    "cit_core/evaluate/baselines/latent.py": "core/evaluate/baselines/test_baselines.py",
    "cit_core/evaluate/baselines/local.py": "core/evaluate/baselines/test_arithmetic.py",
    "cit_core/evaluate/baselines/profiles.py": "core/evaluate/baselines/test_baselines.py",
    "cit_core/evaluate/baselines/protocol.py": "core/evaluate/baselines/test_baselines.py",
    "cit_core/evaluate/experiments/baselines.py": "core/evaluate/experiments/test_experiments.py",
    "cit_core/evaluate/experiments/cost.py": "core/evaluate/experiments/test_experiments.py",
    "cit_core/evaluate/experiments/onboarding.py": "core/evaluate/experiments/test_experiments.py",
    "cit_core/evaluate/experiments/overhead.py": "core/evaluate/experiments/test_experiments.py",
    "cit_core/evaluate/experiments/releases.py": "core/evaluate/experiments/test_experiments.py",
    "cit_core/evaluate/experiments/robustness.py": "core/evaluate/experiments/test_experiments.py",
    "cit_core/evaluate/experiments/zoos.py": "core/evaluate/experiments/test_experiments.py",
    "cit_core/evaluate/setting.py": "core/evaluate/test_catalogue_settings.py",
    "cit_core/evidence/fitting.py": "core/evidence/test_scorer.py",
    "cit_core/evidence/left_out.py": "core/evidence/test_scorer.py",
    "cit_core/evidence/parts.py": "core/evidence/test_scorer.py",
    "cit_core/evidence/profiles.py": "core/evidence/test_scorer.py",
    "cit_core/evidence/serialization.py": "core/aptitude/test_evidence_fit.py",
    "cit_core/mini/config.py": "core/mini/test_network.py",
    "cit_core/mini/prompt.py": "core/mini/test_weights.py",
    "cit_core/paper/config.py": "core/paper/test_weights.py",
    "cit_core/paper/tokenization.py": "core/paper/test_network.py",
    "cit_core/paper/trainer.py": "core/paper/test_run.py",
    "cit_core/policy/constraints.py": "core/policy/test_rules.py",
    "cit_core/policy/goals.py": "core/policy/test_notation.py",
    "cit_core/policy/hull.py": "core/policy/test_pacer.py",
    "cit_core/policy/window.py": "core/policy/test_pacer.py",
    "cit_core/router/catalogue_evidence.py": "core/router/test_loading.py",
    "cit_core/router/concurrency.py": "core/router/test_router.py",
    "cit_core/router/decider.py": "core/router/test_router.py",
    "cit_core/router/asked.py": "core/router/test_router.py",
    "cit_core/router/engine.py": "core/router/test_router.py",
    "cit_core/router/query.py": "core/router/test_router.py",
    "cit_core/router/run_scorer.py": "core/router/test_paper_run_checkpoint.py",
    "cit_core/router/scorer.py": "core/router/test_router.py",
    "cit_core/router/serialization.py": "langchain_cit/test_json.py",
    "cit_core/store/import_summary.py": "core/store/test_capability_store.py",
    "cit_core/validation.py": "core/router/test_hostile_values.py",
    "langchain_cit/_ahead.py": "langchain_cit/test_chat_models.py",
    "langchain_cit/_config_calls.py": "langchain_cit/test_chat_models.py",
    "llamaindex_cit/_templates.py": "llamaindex_cit/test_llm.py",
    "langchain_cit/_routed_call.py": "langchain_cit/test_invocation.py",
    "langchain_cit/_saved.py": "langchain_cit/test_json.py",
    "langchain_cit/_token_counts.py": "langchain_cit/test_chat_models.py",
    "langchain_cit/query.py": "langchain_cit/test_inputs.py",
}
"""Module without a test file of its name to the file, below tests/, that tests it together with its neighbours."""


def modules() -> Iterator[tuple[str, Path]]:
    """Yield package and path of every module that is not a package's door or a migration step."""
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            if path.name != "__init__.py" and path.parent.name != "versions":
                yield package, path


MODULES = [
    pytest.param(package, path, id=str(path.relative_to(PACKAGES[package].parent))) for package, path in modules()
]


@pytest.mark.parametrize(("package", "path"), MODULES)
def test_a_module_has_a_test_file_of_its_name(package: str, path: Path) -> None:
    name = str(path.relative_to(PACKAGES[package].parent))
    test = _test_file(package, path)
    there = test.exists()
    assert there or name in TESTED_WITH, f"{test.relative_to(ROOT)} is missing"
    assert not (there and name in TESTED_WITH), f"{name} has a test file: take it off the list"


def _test_file(package: str, path: Path) -> Path:
    """Return where the test of a module belongs: without leading underscore, `import_` with or without its own."""
    test = TESTS[package] / path.relative_to(PACKAGES[package]).with_name(f"test_{path.stem.lstrip('_')}.py")
    plain = test.with_name(f"{test.stem.rstrip('_')}.py")
    return plain if plain.exists() else test


def test_the_list_of_modules_that_are_tested_together_names_modules_and_tests() -> None:
    assert not set(TESTED_WITH) - {str(path.relative_to(PACKAGES[package].parent)) for package, path in modules()}
    assert all((ROOT / "tests" / file).is_file() for file in TESTED_WITH.values())


def test_no_two_modules_of_one_name() -> None:
    places = defaultdict(list)
    for package, path in modules():
        places[path.stem].append(str(path.relative_to(PACKAGES[package].parent)))
    alike = {name: paths for name, paths in places.items() if len(paths) > 1 and not _mirrored(paths)}
    assert not alike.keys() - ALIKE.keys()
    assert not ALIKE.keys() - alike.keys(), "no longer two: take it off the list"


def _mirrored(paths: list[str]) -> bool:
    """Return whether these are a private helper of each adapter: whoever reads one never sees the other."""
    return len(paths) == 2 and all(re.match(r"(langchain|llamaindex)_cit/_", path) for path in paths)


def test_no_file_name_is_a_gerund() -> None:
    gerunds = {path.stem for _, path in modules() if re.search(r"[a-z]{3}ing$", path.stem)}
    assert gerunds <= set(GERUNDS)


def test_no_import_circle() -> None:
    files = {_name(package, path): path for package, path in _with_doors()}
    imports = {name: sorted(set(_imported(path, files))) for name, path in files.items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in imports[name]:
                visit(other, (*path, name))
            done.add(name)

    for name in imports:
        visit(name, ())


def _with_doors() -> Iterator[tuple[str, Path]]:
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            yield package, path


def _name(package: str, path: Path) -> str:
    return ".".join(path.relative_to(PACKAGES[package].parent).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path, known: Container[str]) -> Iterator[str]:
    """Yield the modules of ours that one imports anywhere, functions included, but not for type checkers."""
    for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in inside]
        yield from (name for name in names if name in known)


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield node
            yield from _run(node)


VAGUE = re.compile(
    r"(as|each|everything|from|how|in|nobody|nothing|of|one's|says|so|tells|that|those|to|what|where|whether|which|who"
    r"|whom|whose)\b",
    re.IGNORECASE,
)
"""First words of a docstring that name neither an action nor a thing: "What a model costs" for "Cost of a model"."""


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    places = list(_docstrings())
    vague = [f"{place}: {text.split()[0]}" for place, text in places if VAGUE.match(text.lstrip())]
    assert len(vague) <= 0.02 * len(places), "\n".join(vague)


def _docstrings() -> Iterator[tuple[str, str]]:
    """Yield place and text of every docstring, those of fields and constants included."""
    for _, path in _with_doors():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Expr) and isinstance(text := getattr(node.value, "value", None), str):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


if __name__ == "__main__":
    for package, path in modules():
        if not _test_file(package, path).exists():
            print(path.relative_to(PACKAGES[package].parent))  # noqa: T201
