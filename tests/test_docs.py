"""The documentation is run: python blocks, `cit` commands and examples work as printed, and links lead somewhere.

The blocks of one page run in order, share their names and a temporary folder, and keep their store in it. A block can
opt out with a reason that readers see too: ```python no-run: needs a GPU
"""

import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from forked_cit import installed

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
BIN = Path(sys.executable).parent
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^ *(?P=ticks) *$", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")
NO_RUN = "no-run:"


@dataclass(frozen=True)
class Block:
    """A fenced block: where it starts, what it says it is, what is in it."""

    page: Path
    line: int
    info: str
    code: str

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page}:{self.line}"

    @property
    def commands(self) -> str:
        """What a shell is to run: in a console block the lines with a prompt, in a bash block all of it."""
        if self.language == "bash":
            return self.code
        return "".join(line[2:] for line in self.code.splitlines(keepends=True) if line.startswith("$ "))

    @property
    def runs(self) -> bool:
        if NO_RUN in self.info:
            return False
        return self.language == "python" or (self.language in {"bash", "console"} and self.commands.startswith("cit "))


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order; `line` is that of the first line of code."""
    text = page.read_text("utf-8")
    found = []
    for match in FENCE.finditer(text):
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.M)
        found.append(Block(page, text.count("\n", 0, match.start("code")) + 1, match["info"].strip(), code))
    return found


def run_blocks(blocks: list[Block]) -> None:
    """Run blocks one after the other in the current folder; the first that fails is reported with file and line."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        if block.language == "python":
            run_python(block, names)
        else:
            run_shell(block)


def run_python(block: Block, names: dict[str, object]) -> None:
    source = "\n" * (block.line - 1) + block.code  # so that a traceback shows the line of the page
    try:
        exec(compile(source, str(block.page), "exec"), names)
    except Exception as error:  # whatever a block raises is what is reported
        line = line_of(error, block)
        where = block.place.rpartition(":")[0]
        raise AssertionError(f"{where}:{line}: {type(error).__name__}: {error}") from error


def line_of(error: Exception, block: Block) -> int:
    """The line of the page that an error comes from: the innermost one that is the block's own."""
    if isinstance(error, SyntaxError) and error.filename == str(block.page) and error.lineno:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(block.page) and f.lineno), block.line)


def run_shell(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.commands],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{block.place}: exit {done.returncode}\n{block.commands}\n{done.stdout}{done.stderr}")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder to be in, which holds the default store too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.fixture(scope="module")
def forked() -> Iterator[Path]:
    """A folder with a `cit` that starts at once."""
    with tempfile.TemporaryDirectory(prefix="cit-") as folder, installed(Path(folder)) as place:
        yield place  # under /tmp: a socket's path may have 107 characters


@pytest.mark.timeout(900)  # docs/cli.md runs some sixty commands
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_runs(page: Path, elsewhere: Path, forked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.parent.name == "docs":  # README.md runs the installed program, as examples do
        monkeypatch.setenv("PATH", f"{forked}{os.pathsep}{os.environ['PATH']}")
    run_blocks([block for block in blocks_of(page) if block.runs])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    prose = FENCE.sub("", page.read_text("utf-8"))
    targets = [target for target in LINK.findall(prose) if not re.match(r"[a-z][a-z+.-]*:|#", target)]
    missing = [target for target in targets if not (page.parent / target.partition("#")[0]).exists()]
    assert not missing, f"{page.relative_to(ROOT)} links to what is not there: {missing}"


def test_every_block_that_does_not_run_says_why() -> None:
    silent = [block.place for page in PAGES for block in blocks_of(page) if re.search(rf"{NO_RUN}\s*$", block.info)]
    assert not silent


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.name)
def test_every_example_runs_and_shows_something(script: Path, elsewhere: Path) -> None:
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


# -- the tool itself --------------------------------------------------------------------------------------------------


def page_with(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text)
    return page


def test_blocks_share_names_and_folder(elsewhere: Path) -> None:
    page = page_with(
        elsewhere, "```python\nx = 1\n```\n\n- item\n  ```python\n  open('f', 'w').close(); y = x\n  ```\n"
    )
    blocks = blocks_of(page)
    assert [(block.line, block.runs) for block in blocks] == [(2, True), (7, True)]
    run_blocks(blocks)
    assert (elsewhere / "f").exists()


def test_only_what_is_said_to_run_runs(tmp_path: Path) -> None:
    infos = ["text", "json", "sh", "python no-run: needs a GPU", "bash", "console", "bash no-run: costs money", ""]
    page = page_with(tmp_path, "".join(f"```{info}\nboom\n```\n" for info in infos))
    assert [block.info for block in blocks_of(page)] == infos
    assert not any(block.runs for block in blocks_of(page))
    shells = page_with(tmp_path, "```bash\ncit demo\n```\n```console\n$ cit demo\noutput\n$ cit route x\n```\n")
    assert [block.commands for block in blocks_of(shells)] == ["cit demo\n", "cit demo\ncit route x\n"]
    assert all(block.runs for block in blocks_of(shells))


def test_a_failing_block_is_reported_with_file_and_line(elsewhere: Path) -> None:
    page = page_with(elsewhere, "# Title\n\n```python\nx = 1\n\nraise KeyError('x')\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:6: KeyError"):
        run_blocks(blocks_of(page))
    page = page_with(elsewhere, "# Title\n\n```python\nx = 1\ny = (\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:5: SyntaxError"):
        run_blocks(blocks_of(page))
    page = page_with(elsewhere, "```bash\ncit no-such-verb\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:2: exit [1-9]"):
        run_blocks(blocks_of(page))
