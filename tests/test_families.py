"""Calls and backward passes that were met with other sizes (tensor/families.py,
autograd/families.py): what forms give is what would be made from nothing, or they are not used."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plans import STEPS, data, said

import lazygrad as lg
from lazygrad.autograd import families as passes
from lazygrad.autograd import patterns, repeats
from lazygrad.nn import functional as F
from lazygrad.runtime import compiler
from lazygrad.runtime.stats import stats
from lazygrad.tensor import families, templates
from lazygrad.tensor.drawn import Template

needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="programs are compiled")


def forget() -> None:
    """All that is known of calls and passes; plans of programs stay."""
    for cache in (
        templates._templates,
        families._families,
        passes._families,
        repeats._known,
        patterns._patterns,
    ):
        cache.clear()


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    forget()
    yield
    forget()


def told(template: Template) -> Any:
    """All that a template says."""
    steps = [(*step[:3], repr(step[3]), *step[4:]) for step in template.steps]
    record = template.record
    scalars = [(node.value, node.dtype) for node in template.scalars]
    return steps, template.results, record, template.whole, template.like, template.kept, scalars


def all_told() -> dict[Any, Any]:
    return {k: told(t) for k, t in templates._templates.items() if type(t) is Template}


def from_forms() -> dict[Any, Any]:
    found = {k: t for k, t in templates._templates.items() if type(t) is Template}
    return {k: told(t) for k, t in found.items() if t.form is not None}


def pass_told(known: repeats.Known) -> Any:
    results = [
        (r.number, r.output, r.place, r.like and (r.like.op, r.like.shape, r.like.dtype))
        for r in known.results
    ]
    program, _, _ = said((known.program, []))
    return json.dumps(program), known.leaves, known.outputs, results, known.sites


# -- calls --------------------------------------------------------------------------------------
CALLS: dict[str, Callable[[Any, Any, int, int], Any]] = {
    "relu": lambda x, w, m, n: lg.relu(x),
    "linear": lambda x, w, m, n: F.linear(x, w, w[0]),
    "three axes": lambda x, w, m, n: F.linear(x.reshape(1, m, n), w),
    "matmul": lambda x, w, m, n: lg.matmul(x.unsqueeze(0), w),
    "softmax": lambda x, w, m, n: lg.softmax(x, 1),
    "log_softmax": lambda x, w, m, n: lg.log_softmax(x, 0),
    "permuted": lambda x, w, m, n: F.gelu(x.T),
    "sliced": lambda x, w, m, n: F.silu(x[m // 2 :, ::2]),
    "layer_norm": lambda x, w, m, n: F.layer_norm(x, (n,), w[0], w[0]),
    "group_norm": lambda x, w, m, n: F.group_norm(x.reshape(m, n, 1), 1),
    "batch_norm": lambda x, w, m, n: F.batch_norm(x.reshape(1, m, n), None, None, training=True),
    "cross_entropy": lambda x, w, m, n: F.cross_entropy(x, lg.zeros(m, dtype=lg.int64)),
    "weighted": lambda x, w, m, n: F.nll_loss(x, lg.zeros(m, dtype=lg.int64), weight=x[0].detach()),
    "var": lambda x, w, m, n: lg.var(x, 1),
    "mean": lambda x, w, m, n: x.mean(0) + x.mean(),
    "std": lambda x, w, m, n: x.std(),
    "mse": lambda x, w, m, n: F.mse_loss(x, x.detach() * 2),
    "huber": lambda x, w, m, n: F.huber_loss(x, x.detach() + 1, reduction="none"),
    "norm": lambda x, w, m, n: F.normalize(x, dim=1),
    "cosine": lambda x, w, m, n: F.cosine_similarity(x, x.detach() + 1),
    "half": lambda x, w, m, n: F.softplus(x.half()).float(),
    "conv": lambda x, w, m, n: F.conv1d(x.reshape(m, 1, n), w[:1, :2].reshape(1, 1, -1), padding=1),
    "max_pool": lambda x, w, m, n: F.max_pool1d(x.reshape(1, m, n), 2, 1, 1),
    "avg_pool": lambda x, w, m, n: F.avg_pool1d(x.reshape(1, m, n), 2, 1, 1),
    "adaptive": lambda x, w, m, n: F.adaptive_avg_pool1d(x.reshape(1, m, n), 2),
    "resized": lambda x, w, m, n: F.interpolate(x.reshape(1, m, n), scale_factor=2.0),
    "padded": lambda x, w, m, n: F.pad(x.reshape(1, m, n), (1, 1), mode="replicate"),
    "attention": lambda x, w, m, n: F.scaled_dot_product_attention(
        *[(x * k).reshape(1, 1, m, n) for k in (1, 2, 3)], is_causal=True
    ),
    "bilinear": lambda x, w, m, n: F.bilinear(x, x.detach(), w.reshape(1, n, n)),
    "embedding": lambda x, w, m, n: F.embedding(lg.zeros(m, dtype=lg.int64), w),
}
CALLS["corrected"] = lambda x, w, m, n: lg.var(x, 1, correction=9)  # by nothing below 10
WITHOUT = {"adaptive", "resized", "padded"}  # which have no templates: they look at values
SIZES = [(12, 5), (17, 9), (33, 6), (6, 33), (2, 2), (5, 12), (1, 7), (130, 70), (7, 7), (70, 2)]


def run(name: str, rows: int, columns: int) -> list[bytes]:
    x = (data(rows, columns) * 1).realize().requires_grad_()
    w = (data(columns, columns) * 1).realize().requires_grad_()
    y = CALLS[name](x, w, rows, columns)
    (y * y).sum().backward()
    grads = [t.grad.numpy().tobytes() for t in (x, w) if t.grad is not None]
    return [y.detach().numpy().tobytes(), *grads]


def compare(name: str, sizes: list[tuple[int, int]]) -> int:
    """Run a call at these sizes by forms and from nothing; gives how many templates forms made."""
    values, made = [], []
    for rows, columns in sizes:
        for _ in range(3):
            values.append(run(name, rows, columns))
        made.append(from_forms())
    for number, (rows, columns) in enumerate(sizes):
        forget()
        for again in range(3):
            assert run(name, rows, columns) == values[3 * number + again], (rows, columns)
        plain = all_told()
        for key in plain.keys() & made[number].keys():
            assert made[number][key] == plain[key], (rows, columns)
    return sum(map(len, made))


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_other_sizes_is_what_it_would_be(name: str) -> None:
    failed = stats.unsized
    assert (compare(name, SIZES) > 0) is (name not in WITHOUT)
    assert stats.unsized == failed or name in WITHOUT


@pytest.mark.slow
def test_calls_of_random_sizes() -> None:
    pairs = st.lists(st.tuples(st.integers(1, 40), st.integers(2, 40)), min_size=4, max_size=6)

    @settings(deadline=None, derandomize=True, database=None, max_examples=60)
    @given(st.sampled_from(sorted(CALLS)), pairs)
    def check(name: str, sizes: Any) -> None:
        forget()
        compare(name, sizes)

    check()


def test_without_its_questions_a_form_would_be_wrong() -> None:
    """The comparison can fail: a form that is used where it does not hold is found out."""
    for columns in (12, 13, 14, 15):
        run("corrected", 30, columns)
    (forms,) = [f.forms for key, f in families._families.items() if key[0].__name__ == "_var"]
    assert len(forms) == 1
    run("corrected", 30, 16)
    assert len(forms) == 1
    run("corrected", 30, 5)
    assert len(forms) == 2
    forms[0].formulas.asked.clear()
    forms[0].formulas._ways.clear()
    wrong = run("corrected", 30, 6)
    forget()
    assert wrong != run("corrected", 30, 6)


# -- steps --------------------------------------------------------------------------------------
@needs_compiler
@pytest.mark.parametrize("name", STEPS)
def test_a_step_at_another_batch_size(name: str) -> None:
    """The templates and the program of a pass are those that would be made from nothing."""
    step = STEPS[name]()
    failed = stats.unsized
    for batch in (33, 33, 33, 34, 34, 34, 35, 35):
        step(batch)
    assert stats.unsized == failed
    had = set(repeats._known)
    for batch in (57, 130, 29):
        step(batch)
        made, known = from_forms(), [repeats._known[k] for k in repeats._known if k not in had]
        assert known and made
        forget()
        for _ in range(3):
            step(batch)
        plain = all_told()
        assert made.keys() & plain.keys()
        for key in made.keys() & plain.keys():
            assert made[key] == plain[key]
        assert pass_told(known[-1]) == pass_told([*repeats._known.values()][-1])
        forget()
        for again in (33, 33, 33, 34, 34, 34, 35, 35):
            step(again)
        had = set(repeats._known)


@needs_compiler
def test_a_new_batch_size_runs_nothing_of_an_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    step = STEPS["mlp"]()
    for batch in (33, 33, 33, 34, 34, 34):
        step(batch)
    ran: list[Any] = []
    composite = sys.modules["lazygrad.autograd.composite"]
    general = composite._run
    monkeypatch.setattr(composite, "_run", lambda *given: ran.append(given) or general(*given))
    vjp = repeats.GradFn.vjp
    monkeypatch.setattr(repeats.GradFn, "vjp", lambda *given: ran.append(given) or vjp(*given))
    hits = stats.plan_hits
    for batch in (57, 130, 29):
        step(batch)
    assert not ran and stats.plan_hits == hits + 3
    step(24)  # as large as a layer is wide: another class of sizes
    assert ran


@needs_compiler
def test_sizes_that_differ_each_time_are_learnt_too() -> None:
    step = STEPS["mlp"]()
    for batch in (33, 34, 35, 36, 37):
        step(batch)
    assert any(family.forms for family in families._families.values())
    assert any(family.forms for family in passes._families.values())


@needs_compiler
def test_parameters_are_those_of_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> list[bytes]:
        lg.manual_seed(0)
        model = lg.nn.Sequential(lg.nn.Linear(20, 24), lg.nn.GELU(), lg.nn.Linear(24, 10))
        optimizer = lg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for batch in (33, 33, 34, 34, 34, 35, 50, 2, 1, 24, 10, 24, 77):
            optimizer.zero_grad()
            x, y = data(batch, 20), lg.tensor(np.arange(batch) % 10)
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        return [p.detach().numpy().tobytes() for p in model.parameters()]

    found = trained()
    forget()
    monkeypatch.setattr(families, "found", lambda family, sizes: False)
    monkeypatch.setattr(passes, "known_for", lambda one: None)
    assert trained() == found


@needs_compiler
def test_values_that_are_held_are_kept_for_each_size() -> None:
    """What a live tensor holds is part of a pass, as it is without forms."""
    model = lg.nn.Linear(20, 10)
    kernels = []
    for batch in (33, 33, 33, 34, 34, 34, 57, 90):
        model.zero_grad()
        out = model(data(batch, 20).realize())
        F.cross_entropy(out, lg.zeros(batch, dtype=lg.int64).realize()).backward()
        assert out._storage.node.buffer is not None
        kernels.append(stats.kernels)
        out.sum().item()
    assert len({b - a for a, b in pairwise(kernels)}) == 1


def test_nothing_of_a_run_on_sizes_stays() -> None:
    """It leaves no pending work, and what it was made of can go."""
    from lazygrad.ir.sizes import Size as Number
    from lazygrad.ir.thread import thread

    for rows in (33, 33, 34, 34):
        F.gelu(data(rows, 8).requires_grad_())
    assert any(family.forms for family in families._families.values())
    pending = [note() for note in thread.__dict__["recent"]]
    shapes = [s.node.shape for s in pending if s is not None and s.node is not None]
    assert not any(type(extent) is Number for shape in shapes for extent in shape)
