"""Backward passes that were met before: run as one known program, and nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lazygrad as lg
from lazygrad.autograd import patterns, repeats
from lazygrad.nn import functional as F
from lazygrad.realize import run_known
from lazygrad.runtime import compiler
from lazygrad.runtime.stats import stats
from lazygrad.tensor import relief

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="programs are compiled ones")


@pytest.fixture(autouse=True)
def known() -> dict[Any, Any]:
    repeats._known.clear()
    patterns._patterns.clear()
    relief.relieve()  # what other tests left pending must not be looked at in the midst of these
    return repeats._known


def leaves(*rows: list[float]) -> list[Any]:
    return [lg.tensor(row, requires_grad=True) for row in rows]


def hits(function: Callable[[], object]) -> int:
    """How many passes were taken for known ones."""
    count, original = 0, run_known

    def counted(*args: Any) -> Any:
        nonlocal count
        count += 1
        return original(*args)

    repeats.run_known = patterns.run_known = counted  # type: ignore[assignment]
    try:
        function()
    finally:
        repeats.run_known = patterns.run_known = original
    return count


def grads_of(loss: Callable[..., Any], *rows: list[float]) -> list[list[float]]:
    given = leaves(*rows)
    loss(*given).backward()
    return [t.grad.tolist() for t in given]


A, B = [1.0, 2.0, 3.0], [0.5, -1.0, 2.0]
LOSSES: dict[str, Callable[..., Any]] = {
    "chain": lambda a, b: (a * 2.0 + 1.0).sum() + (b.exp() * 3.0).sum(),
    "pairs": lambda a, b: ((a * b + a) / (b + 4.0)).sum(),
    "composite": lambda a, b: F.softmax(a * b, 0).max() + F.gelu(a - b).mean(),
    "views": lambda a, b: (a[1:] * b.flip(0)[:2]).sum() + a.view(3, 1).T.sum(),
    "in_place": lambda a, b: (a * 1.5).mul_(b).add_(a).sum(),
    "shared": lambda a, b: sum(((a * b).tanh() for _ in range(3)), a).sum(),
    "matrix": lambda a, b: (a.outer(b) @ b).norm(),
    "computed": lambda a, b: ((a * b).realize() * (a.exp().realize() + b)).sum(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_known_pass_gives_what_the_recorded_one_does(name: str) -> None:
    loss, results = LOSSES[name], []
    assert hits(lambda: grads_of(loss, B, A)) == 0
    assert hits(lambda: results.append(grads_of(loss, A, B))) == 1
    repeats._known.clear()
    assert grads_of(loss, A, B) == results[0]


def test_a_known_pass_records_no_gradient() -> None:
    def nodes() -> int:
        before = stats.nodes
        grads_of(LOSSES["pairs"], A, B)
        return stats.nodes - before

    first = nodes()
    assert nodes() < first


def test_which_tensors_are_the_same_is_part_of_it() -> None:
    assert grads_of(lambda a, b: (a * b).sum(), A, A) == [A, A]
    (x,) = leaves(A)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]
    (y,) = leaves(A)
    (y * y.detach()).sum().backward()
    assert y.grad.tolist() == A


def test_targets_and_what_is_not_asked_for() -> None:
    def run(wanted: str) -> list[Any]:
        a, b = leaves(A, B)
        middle = a * b
        loss = (middle * middle).sum()
        chosen = {"a": [a], "ab": [a, b], "middle": [middle], "twice": [b, b], "loss": [loss]}
        found = lg.autograd.grad(loss, chosen[wanted])
        assert a.grad is None and b.grad is None
        assert wanted != "twice" or found[0] is found[1]
        return [g.tolist() for g in found]

    for wanted in ("a", "ab", "middle", "twice", "loss"):
        first = run(wanted)
        again: list[Any] = []
        assert hits(lambda w=wanted, to=again: to.append(run(w))) == 1
        assert again == [first]


def test_gradients_add_up() -> None:
    (x,) = leaves(A)
    for times in (1, 2, 3):
        (x * 2.0).sum().backward()
        assert x.grad.tolist() == [2.0 * times] * 3
    x.grad = None
    assert hits(lambda: (x * 2.0).sum().backward()) == 1


def test_a_record_runs_once_or_again_as_it_would() -> None:
    for _ in range(2):
        (x,) = leaves(A)
        y = (x * x).sum()
        y.backward()
        with pytest.raises(RuntimeError, match="a second time"):
            y.backward()
    for _ in range(2):  # a record that reads no values runs again
        (x,) = leaves(A)
        y = (x + 1.0).sum()
        y.backward()
        x.grad = None
        y.backward()
        assert x.grad.tolist() == [1.0] * 3
    for _ in range(2):
        (x,) = leaves(A)
        y = (x * x).sum()
        y.backward(retain_graph=True)
        x.grad = None
        y.backward()
        assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_values_written_meanwhile_are_found() -> None:
    for _ in range(2):
        (x,) = leaves(A)
        y = x.exp()
        loss = y.sum()
        y.mul_(2.0)
        with pytest.raises(RuntimeError, match="modified by an inplace"):
            loss.backward()
    for factor in (2.0, 3.0):
        (x,) = leaves(A)
        w = lg.tensor(B)
        loss = (x * w).sum()
        w.data.mul_(factor)  # no version tells: backward reads what is there
        loss.backward()
        assert x.grad.tolist() == [factor * v for v in B]


def test_hooks_are_heard() -> None:
    for _ in range(2):
        a, b = leaves(A, B)
        grads_of(LOSSES["pairs"], A, B)
        seen: list[Any] = []
        middle = a * b
        middle.register_hook(lambda g, seen=seen: seen.append(g.tolist()))
        a.register_hook(lambda g: g * 10.0)
        b.register_post_accumulate_grad_hook(lambda t, seen=seen: seen.append("b"))
        middle.sum().backward()
        assert seen == [[1.0] * 3, "b"] and a.grad.tolist() == [10.0 * v for v in B]


def test_values_that_are_read_again_are_kept() -> None:
    def run() -> tuple[int, list[float]]:
        a, b = leaves(A, B)
        middle = (a.outer(b) @ b).exp()
        middle.sum().backward()
        before = stats.kernels
        return [middle.tolist()][0], stats.kernels - before

    assert run() == run() and run()[1] == 0


def test_an_error_of_a_kernel_names_its_line() -> None:
    table = lg.randn(4, 2).realize().requires_grad_()

    def step(index: Any) -> None:
        rows = F.embedding(index, table)
        table.grad = None
        (rows * rows).sum().backward()

    good = lg.tensor([1, 2]) + 1
    step(good)
    assert hits(lambda: step(lg.tensor([1, 2]) + 1)) == 1
    for _ in range(2):
        with pytest.raises(IndexError, match=r"test_repeats.py"):
            step(lg.tensor([1, 2]) + 7)
            table.grad.tolist()  # type: ignore[union-attr]  # a GPU says it when it is read
    step(good)


def test_seeds_may_be_anything() -> None:
    for seed in (A, B):
        (x,) = leaves(A)
        (x * x).backward(lg.tensor(seed) * 2.0)
        assert x.grad.tolist() == [4.0 * v * s for v, s in zip(A, seed)]


def test_other_shapes_are_other_passes() -> None:
    for n in (2, 3, 2, 4, 3):
        x = lg.ones(n, requires_grad=True)
        (x * 3.0).sum().backward()
        assert x.grad.tolist() == [3.0] * n
    assert len(repeats._known) == 3


# -- passes along templates, known by their pattern (autograd/patterns.py) ----------------------

TARGET = lg.tensor([1, 0, 2])


class Net:
    """Two square layers, so that any of their tensors may be another's."""

    def __init__(self) -> None:
        def leaf(*shape: int, seed: int) -> lg.Tensor:
            made = lg.randn(*shape, generator=lg.Generator().manual_seed(seed)).realize()
            return made.requires_grad_()

        self.w, self.v, self.b = leaf(4, 4, seed=1), leaf(4, 4, seed=2), leaf(4, seed=3)
        self.x = leaf(3, 4, seed=4).detach()

    def hidden(self) -> lg.Tensor:
        return lg.relu(F.linear(self.x, self.w, self.b))

    def loss(self, hidden: lg.Tensor) -> lg.Tensor:
        return F.cross_entropy(F.linear(hidden, self.v, self.b), TARGET)


def plain(net: Net) -> None:
    net.loss(net.hidden()).backward()


def same_leaf(net: Net) -> None:
    net.v = net.w
    plain(net)


def other_bias(net: Net) -> None:
    hidden = net.hidden()
    net.b = net.w[0]
    net.loss(hidden).backward()


def frozen(net: Net) -> None:
    net.w.requires_grad_(False)
    plain(net)


def pending_input(net: Net) -> None:
    net.x = net.x * 2.0
    plain(net)


def held(net: Net) -> Any:
    hidden = net.hidden()
    net.loss(hidden).backward()
    return (hidden * 2).tolist()


def read_before(net: Net) -> Any:
    loss = net.loss(net.hidden())
    value = loss.item()
    loss.backward()
    return value


def hooked(net: Net) -> Any:
    seen: list[Any] = []
    hidden = net.hidden()
    hidden.register_hook(lambda g: seen.append(g.tolist()))
    net.loss(hidden).backward()
    return seen


def hooked_leaf(net: Net) -> None:
    net.v.register_hook(lambda g: g * 2)
    plain(net)


def result_written(net: Net) -> None:
    hidden = net.hidden()
    loss = net.loss(hidden)
    with lg.no_grad():
        hidden.mul_(2.0)
    loss.backward()


def added(net: Net) -> None:
    plain(net)
    plain(net)


def written(net: Net) -> None:
    loss = net.loss(net.hidden())
    with lg.no_grad():
        net.v.mul_(2.0)
    loss.backward()


def written_unseen(net: Net) -> None:
    loss = net.loss(net.hidden())
    net.v.data.mul_(2.0)
    loss.backward()


def shared_memory(net: Net) -> None:
    array = net.v.detach().numpy()
    loss = net.loss(net.hidden())
    array *= 2.0
    loss.backward()


def other_reader(net: Net) -> Any:
    hidden = net.hidden()
    other = net.loss(hidden)
    net.loss(hidden).backward(retain_graph=True)
    del hidden
    net.w.grad = net.v.grad = net.b.grad = None
    other.backward()


def twice(net: Net) -> None:
    loss = net.loss(net.hidden())
    loss.backward()
    loss.backward()


def crossed(net: Net) -> None:
    """The record that is made first is used last."""
    first, second = F.linear(net.x, net.w, net.b), F.linear(net.x, net.v, net.b)
    F.mse_loss(lg.relu(second), lg.sigmoid(first)).backward()


@pytest.mark.parametrize(
    "twist",
    [
        plain, same_leaf, other_bias, frozen, pending_input, held, read_before, hooked, hooked_leaf,
        added, result_written, written, written_unseen, shared_memory, other_reader, twice, crossed,
    ],
)  # fmt: skip
def test_what_is_not_as_in_the_pattern(twist: Callable[[Net], Any]) -> None:
    def outcome() -> Any:
        net = Net()
        try:
            found = twist(net)
        except RuntimeError as error:
            found = str(error)
        grads = [t.grad.tolist() if t.grad is not None else None for t in (net.w, net.v, net.b)]
        return found, grads, net.x.tolist()

    expected = outcome()
    for _ in range(4):
        plain(Net())
    (known,) = patterns._patterns.values()
    before = len(known)
    assert [outcome() for _ in range(4)] == [expected] * 4
    repeats._known.clear()
    plain(Net())  # by the pattern alone
    assert not repeats._known and len(known) >= before
