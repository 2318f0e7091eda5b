"""Every Python example of the documents runs, and what they name exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import doc_commands
import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)\)")


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_examples_run(page: Path) -> None:
    namespace: dict[str, object] = {}
    for number, text in enumerate(blocks(page)):
        exec(compile(text, f"<{page.name}, example {number}>", "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_shows_the_c_that_is_generated() -> None:
    """Its C lines are in what `dump` prints for the example that it names."""
    shown = re.search(r"```c\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert shown is not None
    done = subprocess.run(
        [sys.executable, "-m", "lazygrad", "dump", "softmax.py", "--stage", "source"],
        cwd=ROOT / "examples",
        env=os.environ | {"LAZYGRAD_VECTOR_BYTES": "64", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = [line.strip() for line in shown.group(1).splitlines()]
    missing = [line for line in wanted if line not in ("", "...") and line not in done.stdout]
    assert not missing


# `coverage` and `bench` take minutes where peers are installed: test_coverage, test_bench
COMMANDS = [e for e in doc_commands.examples() if e.name not in ("coverage", "bench")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("commands")
    doc_commands.write_script(made)
    return made


@pytest.mark.parametrize("example", COMMANDS, ids=lambda e: e.command)
def test_commands_print_what_the_page_shows(example: doc_commands.Example, folder: Path) -> None:
    assert not doc_commands.differences(example, doc_commands.run(example, folder))
