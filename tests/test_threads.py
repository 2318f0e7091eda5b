"""Threads and fork: results do not depend on who else computes, or in which process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.runtime.memory import Pool


def train(seed: int, steps: int) -> list[float]:
    """The losses of a small model, whose data and weights depend on the seed alone."""
    phase = lg.arange(64.0).reshape(8, 8) * 0.1 + seed
    x, y = lg.sin(phase), lg.cos(phase[:, :1])
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    with lg.no_grad():
        for number, p in enumerate(model.parameters()):
            p.copy_(lg.sin(lg.arange(float(p.numel())) * 0.7 + seed + number).reshape(p.shape) / 4)
    step = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        step.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        step.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("steps", [50, pytest.param(200, marks=pytest.mark.slow)])
def test_eight_threads_train_as_one(steps: int) -> None:
    alone = [train(seed, steps) for seed in range(8)]
    start = threading.Barrier(8)

    def run(seed: int) -> list[float]:
        start.wait()
        return train(seed, steps)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == alone
    assert alone[0][-1] < alone[0][0]


def test_grad_mode_is_of_its_thread() -> None:
    inside, done, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        inside.wait(10)
        seen.append((lg.ones(2, requires_grad=True) * 2).requires_grad)
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with lg.no_grad():
        inside.set()
        done.wait(10)
    thread.join()
    assert seen == [True]


def _in_child(expected: float) -> int:
    """The exit status of a child that computes, also with all threads."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            signal.alarm(60)  # a child that hangs is a failure, not a hanging test
            same = lg.arange(2_000_000.0).sum().item() == expected
            status = 0 if same and (lg.ones(3) * 2).tolist() == [2.0, 2.0, 2.0] else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("times", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_realize_after_fork(times: int) -> None:
    expected = lg.arange(2_000_000.0).sum().item()  # large enough for all threads
    assert [_in_child(expected) for _ in range(times)] == [0] * times
    assert lg.arange(2_000_000.0).sum().item() == expected


def test_the_number_of_threads_can_be_set_and_changes_no_bit() -> None:
    before = lg.get_num_threads()
    x = lg.sin(lg.arange(300_000.0))
    try:
        found = []
        for threads in (1, 3, 2):
            lg.set_num_threads(threads)
            assert lg.get_num_threads() == threads
            found.append((lg.exp(x) * 2).sum().item())
        assert len(set(found)) == 1
    finally:
        lg.set_num_threads(before)


def test_a_finalizer_may_give_memory_back_while_memory_is_taken() -> None:
    class Collecting(defaultdict):  # as if the garbage collector ran in the middle
        def get(self, size: int) -> None:
            pool.give(size, 0, None)

    pool = Pool()
    pool._free = Collecting(list)
    other = threading.Thread(target=pool.take, args=(1000,), daemon=True)
    other.start()
    other.join(20)
    assert not other.is_alive() and (pool.in_use, pool.held) == (0, 1024)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "3", "LAZYGRAD_NUM_THREADS": "2"}, 2),
    ],
)
def test_the_environment_says_how_many_threads(settings: dict[str, str], expected: int) -> None:
    program = (
        "import os, lazygrad as lg; lg.arange(2_000_000.0).exp().sum().item(); "
        "print(lg.get_num_threads(), len(os.listdir('/proc/self/task')))"
    )
    unset = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    few = {"OPENBLAS_NUM_THREADS": "1"}  # numpy's own threads are not counted
    found = subprocess.check_output([sys.executable, "-c", program], env=unset | few | settings)
    reported, running = map(int, found.split())
    assert reported == expected and running <= expected


@pytest.mark.parametrize(
    ("wrong", "error"), [(2.0, TypeError), (True, TypeError), (0, RuntimeError)]
)
def test_a_wrong_number_of_threads_is_refused(wrong: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="set_num_threads expects"):
        lg.set_num_threads(wrong)  # type: ignore[arg-type]


SMALL_STACK = """
import threading
import lazygrad as lg

lg.set_num_threads(1)
a, b = lg.rand(300, 700), lg.rand(700, 600)
pairs = [(a, b), (a.half(), b.half()), (a.double(), b.double()), (b.T, a.T)]
wanted = [(x @ y).tolist() for x, y in pairs]
got = []
threading.stack_size(256 * 1024)
thread = threading.Thread(target=lambda: got.extend((x @ y).tolist() for x, y in pairs))
thread.start()
thread.join()
assert got == wanted
"""


def test_products_need_no_large_stack() -> None:
    """A thread may have been given a small one: 512 KiB is what macOS gives."""
    subprocess.run([sys.executable, "-c", SMALL_STACK], check=True, timeout=120)
