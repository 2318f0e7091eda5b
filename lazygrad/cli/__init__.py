"""The command line: `lazygrad`, or `python -m lazygrad`.

Owns: nothing but the entry point; click, rich and each command's module are imported when it is
called, so that the library itself never needs them.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command named by the arguments, and exit with its code."""
    from lazygrad.cli.commands import lazygrad

    lazygrad(prog_name="lazygrad")
