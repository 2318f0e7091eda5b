"""Entries for pytest-benchmark, to compare a change with what was before.

    python -m pytest benchmarks --benchmark-autosave          # before
    python -m pytest benchmarks --benchmark-compare           # after

The workloads are those of `python -m lazygrad bench`, without the peers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lazygrad.bench.peer import Unsupported
from lazygrad.bench.peers import OURS, PEERS
from lazygrad.bench.workloads import WORKLOADS


@pytest.mark.parametrize("peer", OURS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_workload(benchmark: Any, name: str, peer: str) -> None:
    w, entry = WORKLOADS[name], PEERS[peer]
    inputs = w.make(np.random.default_rng(0))
    try:
        call = entry.make(1, entry.compiled).prepare(w, inputs)
    except Unsupported as reason:
        pytest.skip(str(reason))
    for _ in range(3):
        call()
    benchmark(call)
