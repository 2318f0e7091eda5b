"""Long runs stay flat: thousands of steps hold no more memory than the first few hundred."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.runtime.memory import pool

pytestmark = pytest.mark.slow


def resident() -> int:
    """Bytes of memory that this process has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def grown(step: object, warm: int, steps: int) -> tuple[float, int]:
    """(resident memory after / before, bytes of buffers more) over `steps` after `warm` steps."""
    for _ in range(warm):
        step()  # type: ignore[operator]
    gc.collect()
    before, held = resident(), pool.in_use
    for _ in range(steps):
        step()  # type: ignore[operator]
    gc.collect()
    return resident() / before, pool.in_use - held


def test_two_thousand_training_steps() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    x, target = lg.randn(32, 64), lg.randint(0, 10, (32,))

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), target).backward()
        optimizer.step()

    ratio, more = grown(step, 200, 2000)
    assert ratio <= 1.05
    assert more <= 1 << 16


def test_two_thousand_metrics_added_without_a_realize() -> None:
    total = lg.zeros(())
    x = lg.randn(64, 64)
    lg.realize(x)

    def step() -> None:
        nonlocal total
        loss = (x * x).mean()
        loss.item()
        total = total + loss

    ratio, _ = grown(step, 200, 2000)
    assert ratio <= 1.05
    assert abs(total.item() / 2200 - (x * x).mean().item()) < 1e-3
