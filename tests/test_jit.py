"""`lg.jit` shows nothing of itself: parameters and results are bit by bit those without it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn
from lazygrad.nn import functional as F
from lazygrad.runtime import compiler
from lazygrad.runtime.memory import pool
from lazygrad.runtime.stats import stats
from lazygrad.tensor.core import node_of

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="replays need a C compiler")

STEPS = 10


def mlp(*extra: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), *extra, nn.ReLU(), nn.Linear(8, 3))


def batches(size: int = 4, last: int = 0) -> list[tuple[lg.Tensor, lg.Tensor]]:
    """Ten batches; the last may be of another size."""
    rng = np.random.default_rng(3)
    sizes = [size] * (STEPS - 1) + [last or size]
    return [
        (
            lg.tensor(rng.standard_normal((n, 6)).astype(np.float32)),
            lg.tensor(rng.integers(0, 3, n)),
        )
        for n in sizes
    ]


class Case:
    """A step function with what it works on: `step(x, y)`, and tensors to compare."""

    def __init__(self, step: Callable[..., Any], state: Callable[[], list[Any]]):
        self.step = step
        self.state = state
        self.data = batches()
        self.calls: Callable[[Any, int], Any] = lambda step, i: step(*self.data[i])
        self.replays = True  # whether it is expected to be replayed


CASES: dict[str, Callable[[], Case]] = {}


def case(make: Callable[[], Case]) -> Callable[[], Case]:
    CASES[make.__name__] = make
    return make


def trained(model: nn.Module, optimizer: Any, **options: Any) -> Case:
    """The usual step."""

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    made = Case(step, lambda: [*model.state_dict().values()])
    for name, value in options.items():
        setattr(made, name, value)
    return made


def optimized(kind: Any, **options: Any) -> Case:
    model = mlp()
    return trained(model, kind(model.parameters(), **options))


@case
def sgd() -> Case:
    return optimized(lg.optim.SGD, lr=0.1)


@case
def momentum() -> Case:
    return optimized(lg.optim.SGD, lr=0.1, momentum=0.9)


@case
def nesterov_with_decay() -> Case:
    return optimized(lg.optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)


@case
def adam() -> Case:
    return optimized(lg.optim.Adam, lr=0.01)


@case
def adamw_amsgrad() -> Case:
    return optimized(lg.optim.AdamW, lr=0.01, amsgrad=True)


@case
def dropout() -> Case:
    model = mlp(nn.Dropout(0.5))
    return trained(model, lg.optim.SGD(model.parameters(), lr=0.1))


@case
def batch_norm() -> Case:
    model = mlp(nn.BatchNorm1d(8))
    return trained(model, lg.optim.SGD(model.parameters(), lr=0.1))


@case
def layer_norm() -> Case:
    model = mlp(nn.LayerNorm(8))
    return trained(model, lg.optim.SGD(model.parameters(), lr=0.1))


@case
def last_batch_is_smaller() -> Case:
    model = mlp()
    return trained(model, lg.optim.SGD(model.parameters(), lr=0.1), data=batches(4, last=3))


@case
def learning_rate_by_hand() -> Case:
    model = mlp()
    optimizer = lg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    made = trained(model, optimizer)

    def call(step: Any, i: int) -> Any:
        optimizer.param_groups[0]["lr"] = 0.1 * 0.9**i
        return step(*made.data[i])

    made.calls = call
    return made


@case
def learning_rate_as_argument() -> Case:
    model = mlp()

    def step(x: Any, y: Any, rate: float) -> Any:
        loss = F.cross_entropy(model(x), y)
        grads = lg.autograd.grad(loss, list(model.parameters()))
        with lg.no_grad():
            for p, g in zip(model.parameters(), grads):
                p -= g * (rate / 2)
        return loss, rate * 3

    made = Case(step, lambda: [*model.parameters()])
    made.calls = lambda step, i: step(*made.data[i], 0.3 / (i + 1))
    return made


@case
def scheduler_outside() -> Case:
    model = mlp()
    optimizer = lg.optim.SGD(model.parameters(), lr=0.1)
    schedule = lg.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    made = trained(model, optimizer)

    def call(step: Any, i: int) -> Any:
        result = step(*made.data[i])
        schedule.step()
        return result

    made.calls = call
    return made


@case
def scheduler_inside() -> Case:
    model = mlp()
    optimizer = lg.optim.SGD(model.parameters(), lr=0.1)
    schedule = lg.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    inner = trained(model, optimizer)

    def step(x: Any, y: Any) -> Any:
        loss = inner.step(x, y)
        schedule.step()
        return loss

    return Case(step, lambda: [*model.parameters(), lg.tensor(optimizer.param_groups[0]["lr"])])


@case
def early_stop() -> Case:
    made = sgd()
    best = [1e9]

    def call(step: Any, i: int) -> Any:
        loss = step(*made.data[i])
        if loss.item() > best[0]:
            return None
        best[0] = loss.item()
        return loss

    made.calls = call
    return made


@case
def clipped_gradients() -> Case:
    model = mlp()
    optimizer = lg.optim.SGD(model.parameters(), lr=0.5)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        total = sum((p.grad**2).sum() for p in model.parameters()).sqrt()
        scale = (0.5 / (total + 1e-6)).clamp(max=1.0)
        for p in model.parameters():
            p.grad.mul_(scale)
        optimizer.step()
        return loss, total

    return Case(step, lambda: [*model.parameters()])


@case
def accumulated_gradients() -> Case:
    model = mlp()
    optimizer = lg.optim.SGD(model.parameters(), lr=0.1)

    def accumulate(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(model(x), y) / 2
        loss.backward()
        return loss

    made = Case(accumulate, lambda: [*model.parameters(), *(p.grad for p in model.parameters())])

    def call(step: Any, i: int) -> Any:
        loss = step(*made.data[i])
        if i % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
            accumulate(*made.data[i])
        return loss

    made.calls = call
    return made


@case
def moving_average() -> Case:
    model = mlp()
    average = [p.detach().clone() for p in model.parameters()]
    inner = trained(model, lg.optim.SGD(model.parameters(), lr=0.1))

    def step(x: Any, y: Any) -> Any:
        loss = inner.step(x, y)
        with lg.no_grad():
            for mean, p in zip(average, model.parameters()):
                mean.mul_(0.9).add_(p, alpha=0.1)
        return loss

    return Case(step, lambda: [*model.parameters(), *average])


@case
def embedding() -> Case:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(20, 3))
    made = trained(model, lg.optim.SGD(model.parameters(), lr=0.1))
    rng = np.random.default_rng(0)
    made.data = [(lg.tensor(rng.integers(0, 7, (4, 5))), y) for _, y in made.data]
    return made


@case
def convolution() -> Case:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    made = trained(model, lg.optim.SGD(model.parameters(), lr=0.1))
    rng = np.random.default_rng(0)
    made.data = [
        (lg.tensor(rng.standard_normal((4, 1, 6, 6)).astype(np.float32)), y) for _, y in made.data
    ]
    return made


@case
def item_inside() -> Case:
    model = mlp()
    inner = trained(model, lg.optim.SGD(model.parameters(), lr=0.1))
    made = Case(lambda x, y: inner.step(x, y).item(), inner.state)
    made.replays = False
    return made


@case
def print_inside() -> Case:
    model = mlp()
    inner = trained(model, lg.optim.SGD(model.parameters(), lr=0.1))

    def step(x: Any, y: Any) -> Any:
        loss = inner.step(x, y)
        print(loss)
        return loss

    made = Case(step, inner.state)
    made.replays = False
    return made


@case
def branch_on_a_value() -> Case:
    model = mlp()

    def step(x: Any, y: Any) -> Any:
        h = model(x)
        return h * 2 if h.sum() > 0 else -h

    made = Case(lambda x, y: lg.no_grad(step)(x, y), lambda: [*model.parameters()])
    made.replays = False
    return made


@case
def two_optimizers() -> Case:
    first, second = mlp(), mlp()
    ones = lg.optim.SGD(first.parameters(), lr=0.1, momentum=0.5)
    others = lg.optim.Adam(second.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        ones.zero_grad()
        others.zero_grad()
        loss = F.cross_entropy(first(x) + second(x), y)
        loss.backward()
        ones.step()
        others.step()
        return {"loss": loss, "parts": [loss.detach() * 2, 5]}

    return Case(step, lambda: [*first.parameters(), *second.parameters()])


@case
def buffers_and_views() -> Case:
    table, model = lg.zeros(5, 6), mlp()

    def step(x: Any, y: Any) -> Any:
        table[1] += x.sum(0)
        table[2:4].mul_(0.5).add_(x[:2])
        table.t()[0].fill_(2.0)
        with lg.no_grad():
            return model(x + table[1]).argmax(1), table.sum()

    return Case(step, lambda: [table])


@case
def random_augmentation() -> Case:
    model = mlp()
    inner = trained(model, lg.optim.SGD(model.parameters(), lr=0.1))

    def step(x: Any, y: Any) -> Any:
        noisy = x + 0.1 * lg.randn_like(x)
        return inner.step(noisy * lg.zeros(4, 1).bernoulli(0.8), y)

    return Case(step, inner.state)


@case
def several_outputs() -> Case:
    model = mlp()

    @lg.no_grad()
    def step(x: Any, y: Any) -> Any:
        out = model(x)
        return (
            out,
            (out.softmax(1), [out.argmax(1), None, "name"]),
            {"x": x, "n": 3, "w": out.max()},
        )

    return Case(step, lambda: [*model.parameters()])


@case
def counter_and_closure_number() -> Case:
    model = mlp()
    seen = 0

    def step(x: Any, y: Any) -> Any:
        nonlocal seen
        seen += 1
        with lg.no_grad():
            return model(x) * (1 / seen)

    return Case(step, lambda: [lg.tensor(seen)])


@case
def numbers_from_elsewhere() -> Case:
    model = mlp()
    inner = trained(model, lg.optim.SGD(model.parameters(), lr=0.1))

    def step(x: Any, y: Any) -> Any:
        return inner.step(x * random.random(), y)

    made = Case(step, inner.state)
    made.replays = False
    return made


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for v in value.values() for leaf in flat(v)]
    if isinstance(value, (list, tuple)):
        return [leaf for v in value for leaf in flat(v)]
    return [value]


def told(value: Any) -> Any:
    """What can be told of a value: a tensor's bytes, type and flags; anything else itself."""
    if not isinstance(value, lg.Tensor):
        return value
    fn = value.grad_fn
    grad = value.grad if value.is_leaf else None
    return (
        value.detach().numpy().tobytes(),
        value.dtype,
        value.shape,
        value.stride(),
        value._version,
        value.requires_grad,
        fn and fn.name(),
        None if grad is None else told(grad),
    )


def course(make: Callable[[], Case], wrap: Callable[[Any], Any]) -> tuple[list[Any], Any]:
    """What ten calls show, and the function that was called."""
    lg.manual_seed(7)
    random.seed(7)
    found = make()
    step = wrap(found.step)
    seen, kept = [], []
    for i in range(STEPS):
        kept.append(flat(found.calls(step, i)))
        seen.append([told(v) for v in kept[-1]])
        seen.append([told(v) for v in found.state()])
    for values, then in zip(kept, seen[::2]):
        now = [told(v) for v in values]
        assert [v[0] for v in now if type(v) is tuple] == [v[0] for v in then if type(v) is tuple]
    seen.append([lg.rand(1).item(), random.random()])
    return seen, step


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:.*cannot be replayed")
def test_ten_steps_are_the_same_with_and_without(name: str) -> None:
    plain, _ = course(CASES[name], lambda step: step)
    jitted, step = course(CASES[name], lg.jit)
    for i, (a, b) in enumerate(zip(plain, jitted)):
        assert a == b, f"step {i // 2}"
    replays = CASES[name]().replays
    assert (step.replays >= 4) == replays, (step.recordings, step.replays, step.reason)


# -- what decides whether a recording fits --------------------------------------------------------


def counts(step: Any) -> tuple[int, int]:
    return step.recordings, step.replays


def test_other_shapes_dtypes_and_grad_modes_record_again() -> None:
    step = lg.jit(lambda x: x * 2 + 1)
    for x in (lg.ones(3), lg.ones(4), lg.ones(3, dtype=lg.float64), lg.ones(2, 3).t()):
        for _ in range(3):
            assert step(x).tolist() == (x * 2 + 1).tolist()
    assert counts(step) == (4, 8)
    with lg.no_grad():
        step(lg.ones(3))
    assert counts(step) == (5, 8)


def test_another_batch_size_compiles_nothing() -> None:
    model = mlp()
    step = lg.jit(lambda x: model(x).relu().sum(1))
    with lg.no_grad():
        step(lg.ones(4, 6)), step(lg.ones(16, 6))
        before = stats.compiles
        for size in (5, 6, 33, 128):
            assert step(lg.ones(size, 6)).shape == (size,)
    assert stats.compiles == before


def test_numbers_are_inputs() -> None:
    step = lg.jit(lambda x, a, n: (x * a + n**2, a * n))
    for a, n in ((0.5, 2), (0.25, 3), (-1.0, 4)):
        out, product = step(lg.ones(2), a, n)
        assert out.tolist() == [a + n * n] * 2
        assert product == a * n and type(product) is float
    assert counts(step) == (1, 2)


def test_a_number_that_decides_is_checked() -> None:
    step = lg.jit(lambda x, a: x * a if a > 0 else x + a)
    for a in (1.0, 2.0, -1.0, -2.0, 3.0):
        assert step(lg.ones(2), a).tolist() == ([a, a] if a > 0 else [1 + a, 1 + a])
    assert counts(step) == (2, 3)
    step = lg.jit(lambda x, n: x.reshape(n, -1).sum(0))
    for n in (1, 2, 3, 6, 2, 3):
        assert step(lg.arange(6), n).tolist() == lg.arange(6).reshape(n, -1).sum(0).tolist()
    assert counts(step) == (4, 2)


FACTOR = 2.0


class Settings:
    scale = 3.0


def test_what_is_seen_is_not_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Globals, closures, attributes, items and defaults that change."""
    local, held, items = 1.0, Settings(), [1.0, {"a": 2.0}]

    def inner(x: Any, extra: float = 1.0) -> Any:
        return x * FACTOR * extra

    def step(x: Any) -> Any:
        return inner(x) * local + held.scale * items[0] + items[1]["a"]  # type: ignore[index]

    def expected(x: Any) -> Any:
        return x * FACTOR * inner.__defaults__[0] * local + held.scale * items[0] + items[1]["a"]  # type: ignore[index]

    jitted = lg.jit(step)

    def same() -> None:
        for _ in range(2):
            assert jitted(lg.ones(1)).item() == expected(lg.ones(1)).item()

    same()
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    same()
    local = 7.0
    same()
    held.scale = 9.0
    same()
    items[0] = 4.0
    same()
    items[1]["a"] = 8.0  # type: ignore[index]
    same()
    inner.__defaults__ = (3.0,)
    same()
    monkeypatch.setattr(Settings, "scale", 1.5)
    del held.scale
    same()


def test_numbers_that_have_changed_once_are_inputs() -> None:
    held = Settings()
    held.scale = 1.0
    step = lg.jit(lambda x: x * held.scale)
    for i in range(10):
        held.scale = 1.0 + i
        assert step(lg.ones(1)).item() == held.scale
    assert counts(step) == (2, 8)


def test_modules_that_change_are_seen() -> None:
    model = mlp(nn.Dropout(0.9))
    step = lg.jit(lg.no_grad()(lambda x: model(x)))
    x = lg.ones(4, 6)

    def same() -> None:
        for _ in range(2):
            model.eval()
            assert step(x).tolist() == model(x).tolist()
            model.train()
            lg.manual_seed(0)
            got = step(x).tolist()
            lg.manual_seed(0)
            assert got == model(x).tolist()

    same()
    model[0].weight = nn.Parameter(lg.ones(8, 6))
    same()
    model[0].weight.data = lg.full((8, 6), 0.5)
    same()
    model[3] = nn.Linear(8, 5)
    same()
    model[1].p = 0.2
    same()
    handle = model.register_forward_hook(lambda module, args, out: out * 2)
    same()
    handle.remove()
    same()
    with lg.no_grad():
        model[0].weight.mul_(2)  # the same parameter: no recording
    before = step.recordings
    same()
    assert step.recordings == before


def test_frozen_parameters_and_hooks_are_seen() -> None:
    model = mlp()

    def step(x: Any) -> Any:
        model.zero_grad()
        loss = model(x).sum()
        loss.backward()
        return loss

    jitted, x = lg.jit(step), lg.ones(4, 6)

    def grads(run: Any) -> list[Any]:
        run(x)
        return [None if p.grad is None else p.grad.tolist() for p in model.parameters()]

    def same() -> None:
        for _ in range(3):
            assert grads(jitted) == grads(step)

    same()
    model[0].weight.requires_grad_(False)
    same()
    model[0].weight.requires_grad_(True)
    same()
    handle = model[0].weight.register_hook(lambda g: g * 3)
    same()
    handle.remove()
    same()


# -- results and effects --------------------------------------------------------------------------


def test_arguments_written_in_place() -> None:
    step = lg.jit(lambda x, y: x.add_(y).mul_(2))
    for i in range(4):
        x, view = lg.ones(3), None
        view = x[1:]
        version = x._version
        assert step(x, lg.full((3,), float(i))) is x
        assert x.tolist() == [2 + 2 * i] * 3
        assert view.tolist() == x[1:].tolist()
        assert x._version == version + 2


def test_memory_shared_with_numpy() -> None:
    array = np.ones(3, np.float32)
    x = lg.from_numpy(array)
    step = lg.jit(lambda x: (x.add_(1), x * 2)[1])
    for i in range(5):
        array[0] = 10 * i
        first = array.copy()
        assert step(x).tolist() == ((first + 1) * 2).tolist()
        assert array.tolist() == (first + 1).tolist()
        assert step(lg.zeros(3)).tolist() == [2] * 3
    held = lg.zeros(3)
    seen = held.numpy()
    step = lg.jit(lambda x: held.add_(x))
    for i in range(4):
        step(lg.ones(3))
        assert seen.tolist() == held.tolist() == [i + 1] * 3


def test_the_same_tensor_twice_and_tensors_on_one_memory() -> None:
    step = lg.jit(lambda x, y: x.add_(1).sum() + y.sum())
    for _ in range(3):
        x, y = lg.ones(2), lg.ones(2)
        assert step(x, y).item() == 6
        assert step(x, x).item() == 12
        assert step(y, y[:1]).item() == 6


def test_results_that_are_kept_do_not_change() -> None:
    step = lg.jit(lambda x: x + 1)
    results = [step(lg.full((100,), float(i))) for i in range(6)]
    views = [r[10:] for r in results]
    arrays = [step(lg.full((100,), float(i))).numpy() for i in range(6)]
    pending = [step(lg.full((100,), float(i))) * 2 for i in range(6)]
    for i in range(6):
        assert results[i][3].item() == i + 1 and views[i][0].item() == i + 1
        assert arrays[i][5] == i + 1 and pending[i][0].item() == 2 * i + 2


def test_parameters_that_others_still_read() -> None:
    """What was recorded from a parameter before a replay has the value of before."""
    w = lg.ones(3)
    step = lg.jit(lambda: w.mul_(2))
    later = []
    for _ in range(6):
        later.append(w + 1)
        step()
    assert [t[0].item() for t in later] == [2, 3, 5, 9, 17, 33]


def test_nested_functions() -> None:
    inner = lg.jit(lambda x: x * 3)
    outer = lg.jit(lambda x: inner(x) + inner(x + 1))
    for _ in range(3):
        assert outer(lg.ones(2)).tolist() == [9, 9]
        assert inner(lg.ones(2)).tolist() == [3, 3]
    assert outer.replays == 2 and inner.recordings == 1


def test_methods() -> None:
    class Model:
        def __init__(self, w: float) -> None:
            self.w = lg.tensor(w)

        @lg.jit
        def step(self, x: Any) -> Any:
            return x * self.w

    one, two = Model(2.0), Model(3.0)
    for _ in range(3):
        assert one.step(lg.ones(1)).item() == 2
        assert two.step(lg.ones(1)).item() == 3
    assert Model.step.recordings == 2


def test_an_exception_leaves_all_usable() -> None:
    w, state = lg.ones(2), {"n": 0}

    def step(x: Any, fail: bool) -> Any:
        state["n"] += 1
        w.add_(x)
        if fail:
            raise KeyError("no")
        return w * 2

    jitted = lg.jit(step)
    for i in range(1, 7):
        with pytest.raises(KeyError):
            jitted(lg.ones(2), True)
        assert jitted(lg.ones(2), False).tolist() == [2 + 4 * i] * 2
        assert state == {"n": 2 * i} and type(state["n"]) is int
    assert jitted.replays


def test_errors_of_kernels_name_the_line() -> None:
    table = lg.arange(5.0)
    step = lg.jit(lambda i: table[i] * 2)
    for _ in range(3):
        assert step(lg.tensor([1, 2])).tolist() == [2, 4]
        with pytest.raises(IndexError, match=r"out of bounds.*test_jit.py"):
            step(lg.tensor([7, 1])).tolist()


# -- what cannot be replayed ----------------------------------------------------------------------

LOG: list[Any] = []


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.sum().item(), "needs the value of a tensor"),
        (lambda x: bool((x > 0).all()), "needs the value of a tensor"),
        (lambda x: x * float(x[0]), "needs the value of a tensor"),
        (lambda x: (x * 2).numpy(), "needs the memory of a tensor"),
        (lambda x: x + lg.tensor(np.ones(3)), "numpy array"),
        (lambda x: x[x > 0], "needs the value of a tensor"),
        (lambda x: LOG.append(x * 2), "changes `LOG`"),
        (lambda x: x * np.random.rand(), "random numbers that are not lazygrad's"),
    ],
)
def test_what_cannot_be_replayed_runs_and_is_said_once(function: Any, reason: str) -> None:
    step = lg.jit(function)
    with pytest.warns(UserWarning, match="cannot be replayed") as seen:
        for _ in range(6):
            step(lg.ones(3))
    assert len(seen) == 1 and reason in str(seen[0].message)
    assert step.replays == 0
    if "needs" in reason:
        assert "test_jit.py:" in str(seen[0].message)
        full = lg.jit(function, fullgraph=True)
        with pytest.raises(RuntimeError, match=r"test_jit.py:\d+ needs"):
            full(lg.ones(3))
    step(lg.ones(3))


def test_hidden_state_is_not_frozen() -> None:
    source = iter(range(100))
    step = lg.jit(lambda x: x * next(source))
    with pytest.warns(UserWarning, match="`source` is an iterator"):
        assert [step(lg.ones(1)).item() for _ in range(4)] == [0, 1, 2, 3]
    keep: dict[str, Any] = {}

    def remember(x: Any) -> Any:
        keep["last"] = x * 2
        return x + 1

    step = lg.jit(remember)
    with pytest.warns(UserWarning, match=r"changes `keep\['last'\]`"):
        for i in range(6):
            step(lg.full((1,), float(i)))
            assert keep["last"].item() == 2 * i


def test_results_with_live_gradients() -> None:
    """A function that does not run backward itself works as without jit."""
    w = lg.ones(3, requires_grad=True)
    step = lg.jit(lambda x: (x * w).sum())
    with pytest.warns(UserWarning, match="still connected to gradients"):
        for _ in range(6):
            w.grad = None
            step(lg.full((3,), 2.0)).backward()
            assert w.grad is not None and w.grad.tolist() == [2, 2, 2]


def test_a_result_whose_gradient_has_been_taken() -> None:
    w = lg.ones(3, requires_grad=True)

    def step(x: Any) -> Any:
        loss = (x * w).exp().sum()
        loss.backward()
        return loss

    jitted = lg.jit(step)
    for _ in range(4):
        w.grad = None
        loss = jitted(lg.ones(3))
        assert loss.requires_grad and loss.grad_fn.name() == "SumBackward0"
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
    assert jitted.replays


def test_replays_from_several_threads() -> None:
    step = lg.jit(lambda x: (x * 2 + 1).sum())
    step(lg.ones(1000)), step(lg.ones(1000))
    wrong: list[Any] = []

    def work(i: int) -> None:
        for _ in range(200):
            got = step(lg.full((1000,), float(i))).item()
            if got != 1000 * (2 * i + 1):
                wrong.append((i, got))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_memory_is_used_again() -> None:
    model = mlp()
    made = trained(model, lg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    step = lg.jit(made.step)
    for i in range(6):
        step(*made.data[i % 9])
    held = pool.in_use
    for i in range(50):
        step(*made.data[i % 9])
    assert pool.in_use == held
    assert step.replays >= 50


def test_nothing_to_compute() -> None:
    step = lg.jit(lambda x, a: x if a < 1 else (x, None))
    for _ in range(3):
        x = lg.ones(2)
        assert step(x, 0.5) is x and step(x, 2.0)[0] is x
    assert step.replays == 4


def test_what_is_not_a_function() -> None:
    with pytest.raises(TypeError, match="expects a function"):
        lg.jit(3)


def test_no_module_hides_a_function() -> None:
    """A package of this name became `lg.trace` when `lg.jit` was first used."""
    lg.jit(lambda x: x * 2)(lg.ones(2))
    assert lg.trace(lg.eye(3)).item() == 3.0


def test_a_result_that_was_dropped_gives_its_memory_to_the_next() -> None:
    step = lg.jit(lambda x: x * 2 + 1)
    x = lg.ones(1000)
    step(x)  # records
    places = {node_of(step(x)).buffer.address for _ in range(4)}
    assert len(places) == 1  # what was just written is in the cache
    held = [step(x) for _ in range(3)]
    assert len({node_of(t).buffer.address for t in held}) == 3
