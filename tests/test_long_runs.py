"""Long runs stay flat: thousands of steps hold no more memory than the first few hundred."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.config import config
from lazygrad.ir.node import toposort
from lazygrad.runtime import memory as host_memory
from lazygrad.runtime.memory import Buffer, Pool, usage
from lazygrad.runtime.stats import stats
from lazygrad.tensor import relief
from lazygrad.tensor.core import node_of


def resident() -> int:
    """Bytes of memory that this process has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def grown(
    step: Callable[[], None], warm: int, steps: int, settle: Callable[[], object] = gc.collect
) -> tuple[float, int]:
    """(resident memory after / before, bytes of buffers more) over `steps` after `warm` steps.

    `settle` computes what is pending, which may hold buffers, before they are counted.
    """
    for _ in range(warm):
        step()
    settle()
    gc.collect()
    before, held = resident(), usage.in_use
    for _ in range(steps):
        step()
    settle()
    gc.collect()
    return resident() / before, usage.in_use - held


WARM = 2000  # as many as are measured: so the programs of what is pending were met before


class Pending:
    """How many nodes are pending behind a tensor, at most, over a run."""

    def __init__(self, every: int = 1) -> None:
        self.every = every  # a look takes as long as there are nodes
        self.calls = self.most = 0

    def look(self, t: lg.Tensor) -> None:
        self.calls += 1
        if self.calls % self.every:
            return
        waiting = sum(node.buffer is None for node in toposort([node_of(t)]))
        self.most = max(self.most, waiting)


@pytest.fixture
def bounds() -> Iterator[None]:
    """Small bounds, so that a short run meets them."""
    before = config.max_pending_ops, config.max_pending_bytes
    config.max_pending_ops, config.max_pending_bytes = 256, 1 << 20
    relief.relieve()
    yield
    config.max_pending_ops, config.max_pending_bytes = before
    relief.relieve()


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_pending_is_bounded(in_place: bool) -> None:
    total, x, seen = lg.zeros(()), lg.ones(4), Pending()
    flushes = stats.flushes
    for _ in range(500):
        loss = (x * 2).sum()
        total = total.add_(loss) if in_place else total + loss
        seen.look(total)
    assert seen.most <= 3 * 256 and 2 <= stats.flushes - flushes <= 20
    assert total.item() == 4000


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("gradient", [False, True])
def test_a_long_step_is_cut_alike_each_time(gradient: bool) -> None:
    x = lg.ones(4, requires_grad=gradient)

    def step() -> None:
        y = x
        for _ in range(701):
            y = y * 1.001
            y = y + 0.01
        if gradient:
            y.sum().backward()
            x.grad = None
        else:
            y.sum().item()

    for _ in range(3):
        step()
    built, flushes = stats.built, stats.flushes
    for _ in range(4):
        step()
    assert stats.flushes > flushes and stats.built == built


@pytest.mark.usefixtures("bounds")
def test_a_pending_value_that_fails_is_reported_to_who_reads_it_alone() -> None:
    index = lg.tensor([0, 1]) + 5
    wrong = lg.ones(3)[index]
    total, flushes = lg.zeros(()), stats.flushes
    for _ in range(500):
        total = total + (lg.ones(4) * 2).sum()
    assert 2 <= stats.flushes - flushes <= 20
    assert total.item() == 4000
    for _ in range(2):
        with pytest.raises(IndexError, match=r"index 5 is out of bounds.*test_long_runs.py"):
            wrong.sum().item()


@pytest.mark.usefixtures("bounds")
def test_a_pending_value_without_memory_is_reported_to_who_reads_it_alone() -> None:
    wrong = lg.ones(1).expand(1 << 50) * 2
    total, flushes = lg.zeros(()), stats.flushes
    for _ in range(500):
        total = total + (lg.ones(4) * 2).sum()
    assert stats.flushes > flushes and total.item() == 4000
    for _ in range(2):
        with pytest.raises(lg.OutOfMemoryError):
            wrong.tolist()


@pytest.mark.usefixtures("bounds")
def test_memory_that_only_pending_values_hold_is_bounded() -> None:
    total = lg.zeros(())
    gc.collect()
    before, flushes = usage.in_use, stats.flushes
    for _ in range(40):
        total = total + lg.tensor([1.0] * 10).repeat(10_000).realize().sum()  # 400 kB each
        assert usage.in_use - before <= 4 << 20
    assert stats.flushes > flushes and total.item() == 40 * 100_000


@pytest.mark.usefixtures("bounds")
def test_gradients_do_not_depend_on_when_values_were_computed() -> None:
    w = lg.tensor([0.5, 2.0], dtype=lg.float64, requires_grad=True)

    def run() -> list[list[float]]:
        y = w
        for step in range(400):
            y = (lg.softmax(y * 1.01, 0) if step % 7 == 0 else lg.sin(y * 1.01)) + w
            y[0] = y[1] * 0.5
        (first,) = lg.autograd.grad((y * y).sum(), w, create_graph=True)
        (second,) = lg.autograd.grad(first.sum(), w)
        return [first.tolist(), second.tolist()]

    flushes = stats.flushes
    cut = run()
    assert stats.flushes > flushes
    config.max_pending_ops = 1 << 30
    flushes = stats.flushes
    assert run() == cut and stats.flushes == flushes


def test_memory_is_counted() -> None:
    gc.collect()
    lg.reset_peak_memory_stats()
    before = lg.memory_stats()
    x = lg.ones(1 << 18).mul(2).realize()
    during = lg.memory_stats()
    assert during["current"] - before["current"] >= 1 << 20
    del x
    after = lg.memory_stats()
    assert after["current"] == before["current"] and after["peak"] >= during["current"]
    assert after["cached"] >= 1 << 20


def test_a_failed_allocation_names_the_largest_values() -> None:
    kept = [lg.full((1000 + i, 100), 0.5).exp().realize() for i in range(12)]
    current = lg.memory_stats()["current"]
    with pytest.raises(lg.OutOfMemoryError, match="can't allocate memory") as caught:
        (lg.ones(1 << 20, 1 << 30) + 1).realize()
    lines = str(caught.value).split("\n")[2:]
    assert isinstance(caught.value, MemoryError) and len(lines) == 10
    assert f"{1011 * 400:,} bytes  float32[1011, 100] exp test_long_runs.py:" in lines[0]
    assert lg.memory_stats()["current"] == current and (kept[0] + 1).shape == (1000, 100)


def advised(address: int) -> bool:
    """Whether the system was asked for huge pages at this address."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            low, high = (int(end, 16) for end in first.split("-"))
            inside = low <= address < high
        elif inside and first == "VmFlags:":
            return "hg" in line.split()
    return False


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="no huge pages here"
)
def test_large_blocks_are_asked_for_in_huge_pages() -> None:
    size = 5 << 20
    address, owner = Pool().new(size)
    assert address % (1 << 21) == 0 and advised(address) and advised(address + (1 << 22) - 1)
    assert not advised(address + (1 << 22))  # what fills no huge page takes what it needs
    assert owner.nbytes >= size


def test_large_blocks_without_huge_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_memory, "_ADVICE", None)
    address, owner = Pool().new(5 << 20)
    assert address % host_memory.ALIGNMENT == 0 and owner.nbytes >= 5 << 20
    monkeypatch.setattr(host_memory, "_ADVICE", -1)  # refused by the system
    address, owner = Pool().new(5 << 20)
    owner[:] = 7
    assert address % (1 << 21) == 0 and int(owner.sum()) == 7 * owner.nbytes


@pytest.mark.parametrize("size", [1 << 46, 1 << 63, 1 << 70])
def test_no_address_is_out_of_memory(size: int) -> None:
    with pytest.raises(lg.OutOfMemoryError):
        Buffer(size)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("read", [False, True])
def test_two_thousand_metrics_added_without_a_realize(read: bool) -> None:
    total, seen = lg.zeros(()), Pending(every=20)
    x = lg.randn(64, 64)
    lg.realize(x)

    def step() -> None:
        nonlocal total
        loss = (x * x).mean()
        if read:
            loss.item()
        total = total + loss
        seen.look(total)

    ratio, more = grown(step, WARM, 2000, lambda: lg.realize(total))
    assert ratio <= 1.05 and more <= 1 << 16 and seen.most <= 2 * config.max_pending_ops
    assert abs(total.item() / (WARM + 2000) - (x * x).mean().item()) < 1e-3


@pytest.mark.slow
def test_two_thousand_training_steps_without_backward_or_realize() -> None:
    """Weights that are written in place, step after step, and never looked at."""
    w, x, seen = lg.zeros(64, 8), lg.randn(64, 64), Pending(every=20)

    def step() -> None:
        w.mul_(0.9).add_(x @ w, alpha=-0.01).add_(0.1)
        seen.look(w)

    ratio, more = grown(step, WARM, 2000, lambda: lg.realize(w))
    assert ratio <= 1.05 and more <= 1 << 16 and seen.most <= 2 * config.max_pending_ops
