"""The command line: `lazygrad`, or `python -m lazygrad`.

Owns: nothing but the entry point; click, rich and each command's module are imported when it is
called, so that the library itself never needs them.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command named by the arguments, and exit with its code."""
    command, *rest = sys.argv[1:] or [""]
    if command == "bench" and any(a.partition("=")[0] == "--device" for a in rest):
        from lazygrad.bench import device  # works without click and rich

        sys.exit(device.main(rest))
    from lazygrad.cli.commands import lazygrad

    lazygrad(prog_name="lazygrad")
