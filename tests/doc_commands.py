"""The commands that docs/cli.md shows: what they print now, and the page written anew.

`python -m tests.doc_commands` rewrites the page's examples after the output has changed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "cli.md"
CUT = "..."  # a line that stands for any number of lines

_BLOCK = re.compile(r"^```c?\n\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```$", re.M)
_SCRIPT = re.compile(r"`(\w+\.py)`:\n\n```python\n(.*?)^```", re.M | re.S)
# what a machine, a clock or a change of a kernel's text decides
_VARIES = ((r"_[0-9a-f]{12}\b", "_#"), (r"[\d.,]+ ?(ms|us|s|GB/s|%)(?=\W|$)", r"# \1"))
_COUNTED = ((r"[\d.,]+ ?[kMG]?B\b", "# B"), (r"\d[\d.,:]*", "#"), (r" +", " "))


@dataclass(frozen=True)
class Example:
    """A command of the page and what the page says that it prints."""

    command: str
    output: str

    @property
    def words(self) -> list[str]:
        """The command's words, without variables set for it and without the program's name."""
        words = shlex.split(self.command)
        while "=" in words[0]:
            words.pop(0)
        return words

    @property
    def name(self) -> str:
        return self.words[1]


def examples() -> Iterator[Example]:
    for found in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        yield Example(found["command"], found["output"])


def write_script(folder: Path) -> None:
    """The script that the page's examples are of."""
    for name, text in _SCRIPT.findall(PAGE.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")


def run(example: Example, folder: Path) -> str:
    """What the command prints, in a folder with the page's script and an empty cache below it."""
    variables = dict(
        w.split("=", 1) for w in shlex.split(example.command) if re.match(r"[A-Z_]+=", w)
    )
    left = {k: v for k, v in os.environ.items() if not k.startswith(("LAZYGRAD_", "XDG_", "CC"))}
    env = {
        "HOME": str(folder),
        "LAZYGRAD_VECTOR_BYTES": "64",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }
    program, *rest = example.words
    command = [sys.executable, *(["-m", "lazygrad"] if program == "lazygrad" else []), *rest]
    done = subprocess.run(
        command, cwd=folder, env=left | env | variables, capture_output=True, text=True
    )
    printed = done.stdout if program == "lazygrad" else done.stderr
    return printed.replace(str(folder), "~")


def comparable(text: str, counts: bool = True) -> list[str]:
    """Lines without what varies; with `counts` False, without any number."""
    for pattern, instead in _VARIES if counts else (*_VARIES, *_COUNTED):
        text = re.sub(pattern, instead, text)
    return [re.sub(r" {2,}", "  ", line).rstrip() for line in text.splitlines()]


def first_difference(shown: list[str], printed: list[str]) -> list[str]:
    """The first line shown that is not printed next, and what is; [] where there is none."""
    at, anywhere = 0, False
    for line in shown:
        if line == CUT:
            anywhere = True
            continue
        while anywhere and at < len(printed) and printed[at] != line:
            at += 1
        if printed[at : at + 1] != [line]:
            return [line, "but printed:", *printed[at : at + 3]]
        at, anywhere = at + 1, False
    return []


def names(text: str) -> set[str]:
    """The first two words of each line: a table's state and subject."""
    return {" ".join(re.findall(r"[a-zA-Z]+", line)[:2]) for line in text.splitlines()}


def differences(example: Example, printed: str) -> list[str]:
    """What the page says and the command does not print."""
    if example.name in DUMPED:
        counts = "explain" not in example.command
        return first_difference(comparable(example.output, counts), comparable(printed, counts))
    if example.name in LISTS:
        return sorted(set(comparable(example.output, False)) - set(comparable(printed, False)))
    return sorted(names(example.output) - names(printed))


DUMPED = ("dump", "explain", "model.py")  # every line
LISTS = ("env", "ops")  # some lines of many


def rewritten(example: Example, printed: str) -> str:
    """The example's output as printed now, cut at the end where the page cuts it."""
    lines = [line.rstrip() for line in printed.splitlines()]
    shown = example.output.splitlines()
    if shown and shown[-1] == CUT:
        lines = [*lines[: len(shown) - 1], CUT]
    return "".join(line + "\n" for line in lines)


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        write_script(Path(folder))
        for example in examples():
            if example.name in (*DUMPED, "env"):
                head = f"$ {example.command}\n"
                now = rewritten(example, run(example, Path(folder)))
                text = text.replace(head + example.output, head + now)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
