"""Taking many elements of a sequence at once, for lists that are walked again and again."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any


def picker(indexes: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What takes those elements from a sequence."""
    if len(indexes) > 1:
        return operator.itemgetter(*indexes)
    at = indexes[0] if indexes else 0
    return operator.itemgetter(slice(at, at + len(indexes)))
