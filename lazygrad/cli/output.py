"""Where commands print to: consoles that honour NO_COLOR, and JSON.

Owns: how wide text is where nobody says, and the form of JSON. Must not know: any command.
"""

from __future__ import annotations

import json
import time
from typing import Any

import click
from rich.console import Console
from rich.table import Table

_WIDTH_OF_PIPES = 200


def console(stderr: bool = False) -> Console:
    """A console for people; lines are not broken where output goes to a file or a pipe."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = max(made.width, _WIDTH_OF_PIPES)
    return made


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def print_json(record: Any) -> None:
    """JSON on stdout; what JSON has no word for is printed as text."""
    click.echo(json.dumps(record, indent=2, default=str))


def error(text: str) -> None:
    """A message on stderr, after the name of the program."""
    click.echo(f"lazygrad: {text}", err=True)


def age_text(seconds: float) -> str:
    """How long ago: 5 s, 3 min, 2 h, 4 d."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def since(moment: float) -> str:
    return age_text(time.time() - moment)
