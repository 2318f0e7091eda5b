"""What becomes one kernel, why, and that it changes no bit: kernel and compile counts, random
graphs against the interpreter, the partition's checks, and sums that are exact enough and the
same for every number of threads and every vector width.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import on_device
import pytest
from graphs import (
    DEVICE,
    Launches,
    compiled,
    interpreted,
    kernels_of,
    leaf,
    normal,
    same_bits,
    value,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import lazygrad as lg
import lazygrad.nn.functional as F
from lazygrad import nn
from lazygrad.ir import ops
from lazygrad.ir.dtypes import bool_, float32, int64
from lazygrad.ir.fusion import Partition, check_partition
from lazygrad.ir.node import Node, toposort
from lazygrad.ir.operands import fold_movement
from lazygrad.ir.schedule import make_schedule
from lazygrad.ir.simplify import simplify
from lazygrad.realize import realize_nodes
from lazygrad.runtime import compiler, library
from lazygrad.runtime.stats import stats

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")
ROOT = Path(__file__).parent.parent


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def rows(x: Node, op: ops.Op = ops.sum_) -> Node:
    return ops.spread(op(x, arg=(x.ndim - 1,)), x.shape)


def softmax(x: Node) -> Node:
    e = ops.exp(ops.sub(x, rows(x, ops.max_)))
    return ops.div(e, rows(e))


def layer_norm(x: Node) -> Node:
    size = ops.lit(x.shape[-1], x)
    centred = ops.sub(x, ops.div(rows(x), size))
    variance = ops.div(rows(ops.mul(centred, centred)), size)
    return ops.mul(centred, ops.rsqrt(ops.add(variance, ops.lit(1e-5, x))))


def chain_sum() -> Node:
    a, b, c, d = (normal(rng(), 40, 50) for _ in range(4))
    return ops.sum_(ops.mul(ops.tanh(ops.add(ops.mul(a, b), c)), d), arg=(0, 1))


def batch_norm(x: Node) -> Node:
    size = ops.lit(x.shape[0], x)
    mean = ops.spread(ops.div(ops.sum_(x, arg=(0,)), size), x.shape)
    centred = ops.sub(x, mean)
    variance = ops.div(ops.sum_(ops.mul(centred, centred), arg=(0,)), size)
    return ops.mul(centred, ops.spread(ops.rsqrt(variance), x.shape))


ONE_KERNEL: dict[str, Callable[[], list[Node]]] = {
    "softmax over rows": lambda: [softmax(normal(rng(), 30, 70))],
    "softmax over the rows of a cube": lambda: [softmax(normal(rng(), 3, 5, 70))],
    "layer norm": lambda: [layer_norm(normal(rng(), 30, 70))],
    "batch norm": lambda: [batch_norm(normal(rng(), 30, 70))],
    "chain into a full sum": lambda: [chain_sum()],
    "several outputs": lambda: (lambda y: [y, ops.sum_(y, arg=(1,)), ops.neg(y)])(
        ops.exp(normal(rng(), 30, 70))
    ),
    "two reductions of the same rows": lambda: (
        lambda x: [ops.sum_(x, arg=(1,)), ops.max_(x, arg=(1,))]
    )(normal(rng(), 30, 70)),
    "movement folds into loads": lambda: [
        ops.exp(
            ops.pad(
                ops.flip(ops.permute(normal(rng(), 30, 70), arg=(1, 0)), arg=(0,)),
                arg=((1, 2), (0, 3)),
            )
        )
    ],
    "a long chain": lambda: [deep(normal(rng(), 30), 100)],
    "max pooling": lambda: [ops.max_(ops.window(normal(rng(), 30, 71), arg=(1, 3, 2)), arg=(2,))],
}


def deep(x: Node, count: int) -> Node:
    for _ in range(count):
        x = ops.sin(x)
    return x


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_is_one_kernel(name: str) -> None:
    outputs = ONE_KERNEL[name]()
    wanted = interpreted(outputs)
    assert kernels_of(outputs) == 1
    for node, want in zip(outputs, wanted):
        np.testing.assert_allclose(value(node), want, rtol=2e-5, atol=2e-6)


# -- counts through the tensor API -----------------------------------------------------------------
def network() -> nn.Sequential:
    lg.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 8)
    )
    settle(model)
    return model


def settle(model: nn.Module) -> None:
    for p in model.parameters():
        p.tolist()


def batch(size: int) -> tuple[lg.Tensor, lg.Tensor]:
    x = rng().normal(size=(size, 20)).astype(np.float32)
    return lg.tensor(x), lg.tensor(np.arange(size) % 8)


class Counted:
    """Counts of a block."""

    def __enter__(self) -> Counted:
        self.before = (stats.kernels, stats.compiles, stats.built, stats.program_hits)
        return self

    def __exit__(self, *error: object) -> None:
        now = (stats.kernels, stats.compiles, stats.built, stats.program_hits)
        self.kernels, self.compiles, self.built, self.hits = (
            b - a for a, b in zip(self.before, now)
        )


def backward(model: nn.Module, size: int) -> None:
    x, target = batch(size)
    model.zero_grad()
    F.cross_entropy(model(x), target).backward()


PRODUCTS = ("lg_matmul", "cublas")  # what launches of matrix products are called
MATMULS = 3 + 2 * 3 - 1  # the gradient of the first layer's input is not needed
HANDFUL = 10  # 2 ReLU; loss (rows, mean, sign); its gradient; 3 bias gradients; a transposed copy


def test_forward_and_backward_of_a_network_are_its_matmuls_and_a_handful() -> None:
    model = network()
    with Counted() as seen:
        backward(model, 8)
    assert MATMULS <= seen.kernels <= MATMULS + HANDFUL


def test_another_batch_size_compiles_nothing() -> None:
    model = network()
    backward(model, 8)
    if DEVICE != on_device.HOST:  # there a batch that no access of 16 bytes fits is another kind
        backward(model, 9)
    for size in (7, 32, 100):
        with Counted() as seen:
            backward(model, size)
        assert seen.compiles == 0 and seen.built <= 1
    with Counted() as seen:
        backward(model, 32)
    assert (seen.compiles, seen.built, seen.hits) == (0, 0, 1)


OPTIMIZERS: dict[str, Callable[..., lg.optim.Optimizer]] = {
    "SGD": lambda p: lg.optim.SGD(p, lr=0.1),
    "SGD with momentum": lambda p: lg.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: lg.optim.Adam(p, lr=0.1),
    "AdamW": lambda p: lg.optim.AdamW(p, lr=0.1),
}


def fills(step: int) -> bool:
    """Whether a kernel fills the state's memory; on the host none is needed for that."""
    return step == 0 and DEVICE != on_device.HOST


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_over_all_parameters_is_one_launch(name: str) -> None:
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    for number in range(4):
        backward(model, 8)
        if number == 3:
            optimizer.param_groups[0]["lr"] = 0.01  # a changed rate: the same program
        with Counted() as seen:
            optimizer.step()
            settle(model)
        assert seen.kernels == 1 + (fills(number) and name != "SGD")
    assert (seen.compiles, seen.built) == (0, 0) and seen.hits >= 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_over_one_parameter_is_one_kernel(name: str) -> None:
    p = lg.tensor(rng().normal(size=(40, 50)).astype(np.float32), requires_grad=True)
    optimizer = OPTIMIZERS[name]([p])
    for number in range(3):
        p.grad = lg.ones(40, 50)
        with Counted() as seen:
            optimizer.step()
            p.tolist()
        assert seen.kernels == 1 + (fills(number) and name != "SGD")


def test_backward_of_a_layer_norm_is_two_kernels() -> None:
    """One over rows for the input, one over columns for weight and bias."""
    x, weight, bias = (lg.randn(*s).requires_grad_() for s in ((64, 32), (32,), (32,)))
    seed = lg.randn(64, 32)
    for t in (x, weight, bias, seed):
        t.realize()
    y = nn.functional.layer_norm(x, (32,), weight, bias).realize()
    before = stats.kernels
    lg.autograd.grad(y, (x, weight, bias), seed)
    assert stats.kernels - before <= 2


def test_a_changed_scalar_is_the_same_program() -> None:
    x = normal(rng(), 100)
    realize_nodes([ops.mul(x, ops.scalar(0.1, float32, DEVICE))])
    with Counted() as seen:
        realize_nodes([ops.mul(x, ops.scalar(0.2, float32, DEVICE))])
    assert (seen.compiles, seen.built, seen.hits) == (0, 0, 1)


def test_item_before_backward_does_not_run_the_forward_pass_twice() -> None:
    model = network()
    x, target = batch(8)
    with Launches() as whole:
        F.cross_entropy(model(x), target).backward()
    model.zero_grad()
    with Launches() as split:
        loss = F.cross_entropy(model(x), target)
        loss.item()
        loss.backward()
    counts = [sum(name.startswith(PRODUCTS) for name in names) for names in (whole, split)]
    assert counts == [MATMULS, MATMULS]


# -- the partition ---------------------------------------------------------------------------------
def partition(outputs: list[Node]) -> Partition:
    return Partition(fold_movement(simplify(outputs)))


def test_every_decision_has_a_reason() -> None:
    x = normal(rng(), 8, 8)
    product = ops.matmul(softmax(x), ops.exp(x))
    made = partition([layer_norm(product), ops.cumsum(product, arg=0), ops.sum_(x, arg=(0,))])
    assert made.decisions
    for decision in made.decisions:
        assert decision.reason and decision.producer and decision.consumer
        assert ("fused with" if decision.fused else "kept apart from") in str(decision)
        assert str(decision).endswith(decision.reason)


def test_check_partition_finds_a_planted_cycle() -> None:
    x = normal(rng(), 8, 8)
    first = ops.exp(x)
    made = partition([ops.add(first, ops.matmul(first, first))])
    check_partition(made)
    a, c = made.folded.nodes[0], made.folded.nodes[-1]
    made.groups[made.group_of[a]].nodes.append(c)
    del made.groups[made.group_of[c]]
    made.group_of[c] = made.group_of[a]
    with pytest.raises(AssertionError, match="circle"):
        check_partition(made)


def test_check_partition_finds_a_lost_node() -> None:
    made = partition([ops.exp(ops.matmul(normal(rng(), 3, 3), normal(rng(), 3, 3)))])
    next(iter(made.groups.values())).nodes.clear()
    with pytest.raises(AssertionError, match="not a partition"):
        check_partition(made)


def test_a_value_between_two_kernels_is_not_fused_around() -> None:
    """a -> matmul -> c and a -> c: with a and c in one kernel there would be no order. c is done to
    the product's blocks."""
    x = normal(rng(), 8, 8)
    first = ops.exp(x)
    assert kernels_of([ops.add(first, ops.matmul(first, first))]) == 2


# -- random graphs ---------------------------------------------------------------------------------
UNARY = {
    "i": (ops.neg, ops.bit_not, ops.absolute, ops.sign),
    "f": (ops.neg, ops.tanh, ops.absolute, ops.sigmoid, ops.sin),
}
BINARY = (ops.add, ops.sub, ops.mul, ops.maximum, ops.minimum)
REDUCE = (ops.sum_, ops.max_, ops.min_)
SHAPES = [(4, 6), (6, 4), (3, 4, 6), (24,), (1, 6), (4, 1)]


class Builder:
    """A graph from a list of choices: the same choices give the same graph, over given leaves."""

    def __init__(self, leaves: list[Node], choices: list[int]):
        self.pool = list(leaves)
        self.kind = leaves[0].dtype.kind
        self.choices = iter(choices)
        for _ in range(len(choices) // 5):
            made = self.made()
            if made is not None and made.numel <= 4000:
                self.pool.append(made)
        self.outputs = self.pool[len(leaves) :][-6:]

    def pick(self, items: object) -> object:
        return items[next(self.choices) % len(items)]  # type: ignore[arg-type,index]

    def made(self) -> Node | None:
        what, x = next(self.choices) % 14, self.pick(self.pool[-5:])
        assert isinstance(x, Node)
        if what < 3:
            return self.pick(UNARY[self.kind])(x)  # type: ignore[operator]
        if what < 6:
            y = next((p for p in reversed(self.pool[:-1]) if p.shape == x.shape), x)
            return self.pick(BINARY)(x, y)  # type: ignore[operator]
        if what < 8:
            axes = tuple(a for a in range(x.ndim) if (next(self.choices) >> a) & 1) or (0,)
            y = self.pick(REDUCE)(x, arg=axes) if x.ndim else None  # type: ignore[operator]
            return ops.sub(x, ops.spread(y, x.shape)) if y is not None and what == 7 else y
        if what == 8 and x.ndim:
            order = list(range(x.ndim))
            shift = next(self.choices) % x.ndim
            return ops.permute(x, arg=tuple(order[shift:] + order[:shift]))
        if what == 9 and x.ndim:
            return ops.flip(x, arg=(next(self.choices) % x.ndim,))
        if what == 10 and x.ndim:
            axis, step = next(self.choices) % x.ndim, 1 + next(self.choices) % 2
            first = 1 if x.shape[axis] > 2 else 0
            return ops.slice_(
                x,
                arg=tuple(
                    (first, n, step) if a == axis else (0, n, 1) for a, n in enumerate(x.shape)
                ),
            )
        if what == 11 and x.ndim:
            axis = next(self.choices) % x.ndim
            return ops.pad(x, arg=tuple((1, 2) if a == axis else (0, 0) for a in range(x.ndim)))
        if what == 12:
            return (
                ops.reshape(x, arg=(x.numel,))
                if next(self.choices) % 2
                else (ops.expand(x, arg=(3, *x.shape)) if x.ndim < 3 else None)
            )
        if what == 13 and x.ndim == 2 and x.shape[0] and x.shape[1]:
            return ops.matmul(x, ops.permute(x, arg=(1, 0))) if self.kind == "i" else None
        return None


def leaves_of(kind: str) -> list[Node]:
    made = rng()
    if kind == "i":
        return [leaf(made.integers(-9, 10, s), int64) for s in SHAPES]
    return [leaf(made.normal(size=s).astype(np.float32), float32) for s in SHAPES]


choices = st.lists(st.integers(0, 1000), min_size=20, max_size=70)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(choices)
def test_random_graphs_of_integers_equal_the_interpreter(numbers: list[int]) -> None:
    outputs = Builder(leaves_of("i"), numbers).outputs
    made = partition(outputs)
    check_partition(made)
    assert all(d.reason for d in made.decisions)
    make_schedule(outputs)  # checks kernels and the schedule
    wanted = interpreted(outputs)
    for node, have, want in zip(outputs, compiled(outputs), wanted):
        assert same_bits(have, want), node


@settings(max_examples=25, deadline=None, derandomize=True)
@given(choices)
def test_random_graphs_give_the_same_bits_fused_and_unfused(numbers: list[int]) -> None:
    leaves = leaves_of("f")
    fused, single = Builder(leaves, numbers).outputs, Builder(leaves, numbers).outputs
    got = compiled(fused)
    for node in toposort(single):
        if node.op.lowering not in (ops.Lowering.MOVEMENT, ops.Lowering.LEAF):
            realize_nodes([node])
    for node, have, want in zip(single, got, compiled(single)):
        assert same_bits(have, want), node


def shared_row_sums(fuse: bool) -> list[np.ndarray]:
    """Sums whose operand is broadcast along one of the reduced axes, in one kernel and in two."""
    made = rng()
    results = []
    for shape, small, axes in (
        ((4, 5, 37), (1, 5, 1), (1, 2)),
        ((50, 70), (50, 1), (0, 1)),
        ((6, 7, 90), (6, 1, 90), (0, 1)),
        ((9, 130, 3), (1, 130, 1), (1, 2)),
        ((300, 2, 40), (300, 1, 1), (0, 1)),
    ):
        x, b = normal(made, *shape), normal(made, *small)
        product = ops.mul(x, ops.spread(b, shape))
        if not fuse:
            realize_nodes([product])
        results += compiled([ops.sum_(product, arg=axes)])
    return results


def test_sums_have_the_same_bits_whatever_is_fused_into_them() -> None:
    for fused, unfused in zip(shared_row_sums(True), shared_row_sums(False)):
        assert same_bits(fused, unfused)


# -- sums ------------------------------------------------------------------------------------------
def test_large_sums_are_accurate() -> None:
    x = rng().random(10_000_000, np.float32)
    exact = math.fsum(x)
    node = leaf(x)
    total, mean = compiled(
        [ops.sum_(node, arg=(0,)), ops.div(ops.sum_(node, arg=(0,)), ops.lit(x.size, node))]
    )
    assert abs(float(total[0]) - exact) <= 2e-6 * exact
    assert abs(float(mean[0]) - exact / x.size) <= 2e-6 * exact / x.size
    table = x[:9_000_000].reshape(3000, 3000)
    down, across = (
        a.reshape(-1)
        for a in compiled([ops.sum_(leaf(table), arg=(0,)), ops.sum_(leaf(table), arg=(1,))])
    )
    np.testing.assert_allclose(down, table.sum(0, np.float64), rtol=2e-6)
    np.testing.assert_allclose(across, table.sum(1, np.float64), rtol=2e-6)


def sums() -> list[np.ndarray]:
    made = np.random.default_rng(5)
    big, table, mask = normal(made, 300_001), normal(made, 700, 900), made.random((700, 900)) < 0.5
    half = normal(made, 300, 400, dtype=lg.float16)
    return compiled(
        [
            ops.sum_(big, arg=(0,)),
            ops.prod(ops.add(ops.mul(big, ops.lit(1e-4, big)), ops.lit(1, big)), arg=(0,)),
            ops.max_(big, arg=(0,)),
            ops.argmax(big, arg=(0,)),
            softmax(table),
            batch_norm(table),
            ops.sum_(ops.tanh(table), arg=(0,)),
            ops.sum_(table, arg=(0, 1)),
            ops.sum_(ops.cast(leaf(mask, bool_), arg=float32), arg=(1,)),
            ops.sum_(half, arg=(0,)),
            ops.sum_(half, arg=(1,)),
            ops.matmul(table, ops.permute(table, arg=(1, 0))),
            ops.exp(table),
            ops.argmin(table, arg=(0,)),
        ]
    )


def test_any_number_of_threads_gives_the_same_bits() -> None:
    runtime = library.runtime()
    before = runtime.lg_get_threads()
    try:
        found = []
        for threads in (1, 2, 4):
            runtime.lg_set_threads(threads)
            found.append(sums())
    finally:
        runtime.lg_set_threads(before)
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other))


def test_any_vector_width_gives_the_same_bits() -> None:
    code = (
        "import test_fusion as t, hashlib; "
        "print(*(hashlib.md5(a.tobytes()).hexdigest() for a in t.sums()))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "LAZYGRAD_VECTOR_BYTES": str(width),
                "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}",
            },
        )
        for width in (16, 32, 64)
    ]
    outputs = [p.communicate()[0].split() for p in running]
    assert len(outputs[0]) == 14 and outputs[0] == outputs[1] == outputs[2]


def test_an_error_of_a_known_program_names_the_line_of_this_run() -> None:
    """The program of both gathers is the same; each error names its own line."""
    x = lg.arange(3.0)
    lines = []
    for wanted in ([0, 7], [9, 1]):
        index = lg.tensor(wanted) * lg.ones((), dtype=lg.int64)  # pending: unchecked at the call
        if wanted[0]:
            y = x.exp().gather(0, index) + 1
        else:
            y = x.exp().gather(0, index) + 1
        with pytest.raises(RuntimeError, match="out of bounds") as caught:
            y.sum().item()
        lines.append(str(caught.value))
    assert lines[0] != lines[1]
    assert all("test_fusion.py:" in line for line in lines)
