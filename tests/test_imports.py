"""What an import may bring in: the public names, and nothing that is slow, optional or talks to the network.

Each check runs in a fresh process, because this one has long imported everything.
"""

import importlib
import subprocess
import sys

import pytest

PUBLIC = {
    "cit_core": [
        "Best",
        "CITError",
        "Candidate",
        "Capability",
        "CapabilityStore",
        "Constraints",
        "CostAware",
        "Decision",
        "FakeScorer",
        "Item",
        "Outcome",
        "Router",
        "Scorer",
        "Task",
        "Threshold",
        "load_scorer",
    ],
    "langchain_cit": ["ChatCIT", "RunnableRouter"],
    "llamaindex_cit": [
        "CITLLM",
        "CITMultiSelector",
        "CITRouteEvent",
        "CITSelectionEvent",
        "CITSelectorResult",
        "CITSingleSelector",
    ],
}
UNWANTED = {
    "cit_core": ["torch", "transformers", "langchain_core", "llama_index", "sklearn", "matplotlib"],
    "langchain_cit": ["torch", "transformers", "llama_index"],
    "llamaindex_cit": ["torch", "transformers", "langchain_core"],
}
NO_NETWORK = """
import sys
def refuse(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"}:
        raise AssertionError(f"network at import: {event}")
sys.addaudithook(refuse)
"""
NO_SESSION = """
import onnxruntime
def refuse(*args, **kwargs):
    raise AssertionError("an onnxruntime session at import")
onnxruntime.InferenceSession = refuse
"""
BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def python(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a fresh interpreter of the same environment."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_names_are_these(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__ == PUBLIC[package] == sorted(PUBLIC[package])
    assert len(module.__all__) <= 16
    assert all(hasattr(module, name) for name in module.__all__)
    assert module.__doc__


@pytest.mark.parametrize("package", PUBLIC)
def test_an_import_brings_in_nothing_heavy(package: str) -> None:
    done = python(f"import {package}, sys; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))")
    assert done.returncode == 0, done.stderr
    assert not set(UNWANTED[package]) & set(done.stdout.split())


@pytest.mark.parametrize("package", PUBLIC)
def test_an_import_opens_no_connection_and_no_session(package: str) -> None:
    done = python(f"{NO_SESSION}{NO_NETWORK}import {package}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PUBLIC)
def test_an_import_is_silent(package: str) -> None:
    done = python(f"import {package}")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("package", "framework", "distribution", "extra"),
    [
        ("langchain_cit", "langchain_core", "langchain-core", "langchain"),
        ("llamaindex_cit", "llama_index", "llama-index-core", "llamaindex"),
    ],
)
def test_a_missing_framework_is_named_with_the_command_that_helps(
    package: str, framework: str, distribution: str, extra: str
) -> None:
    message = f"{distribution} is not installed; it comes with: pip install 'cit-router[{extra}]'"
    done = python(f"{BLOCK.format(name=framework)}import {package}")
    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"MissingExtra: {message}")


@pytest.mark.parametrize("framework", ["langchain_core", "llama_index", "torch", "transformers"])
def test_the_core_needs_no_framework(framework: str) -> None:
    done = python(f"{BLOCK.format(name=framework)}import cit_core")
    assert done.returncode == 0, done.stderr
