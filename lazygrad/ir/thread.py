"""What holds in one thread: the line that new nodes stand for, and what layers above keep there.

Owns: the one thread-local object. Reading an attribute of such an object costs as much as a
function call, so a way that is short reads `thread.__dict__` once and then plain dict entries.
Must not know: what the entries of other modules mean.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_starts: list[Callable[[dict[str, Any]], None]] = []


class Thread(threading.local):
    """Entries are made for each thread by the functions given to `starts`."""

    def __init__(self) -> None:
        for fill in _starts:
            fill(self.__dict__)

    def __getattr__(self, name: str) -> Any:  # for type checkers: entries are in `__dict__`
        raise AttributeError(name)


thread = Thread()


def starts(fill: Callable[[dict[str, Any]], None]) -> None:
    """Have `fill` put its module's entries into the dict of each thread. For modules' top level."""
    _starts.append(fill)
    fill(thread.__dict__)
