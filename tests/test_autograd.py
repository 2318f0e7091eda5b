"""Autograd: records and their names, hooks, versions, in-place, Function, gradcheck, errors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autograd import Function, functional, gradcheck, gradgradcheck


def leaf(*values: float) -> Any:
    return lg.tensor([float(v) for v in values], requires_grad=True)


def test_names_and_the_walk_of_records() -> None:
    x = leaf(1, 2)
    y = ((x + 2) * 3).mean()
    names = []
    fn = y.grad_fn
    while fn is not None:
        names.append(fn.name())
        fn = fn.next_functions[0][0] if fn.next_functions else None
    assert names == ["MeanBackward0", "MulBackward0", "AddBackward0", "AccumulateGrad"]
    assert repr(y.grad_fn).startswith("<MeanBackward0 object at 0x")
    assert "grad_fn=<MeanBackward0>" in repr(y)
    last = (x + 2).grad_fn.next_functions[0][0]
    assert last.variable is x


def test_gradients_add_up_in_the_same_tensor() -> None:
    x = leaf(1, 2)
    (x * 3).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad is first and first.tolist() == [6, 6]


def test_detached_values_on_the_same_memory_are_constants() -> None:
    x = leaf(2, 3)
    (x * x.detach() + (x - x.detach())).sum().backward()
    assert x.grad.tolist() == [3, 4]
    data = lg.ones(3)
    p = lg.nn.Parameter(data)
    (p * data).sum().backward()
    assert p.grad is not None and p.grad.tolist() == [1, 1, 1]


def test_second_backward() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()
    z = (x + 1).sum()  # nothing was saved for these gradients
    z.backward()
    z.backward()


def test_higher_orders() -> None:
    x = leaf(1, 2, 3)
    g = (x**3).sum()
    for expected in ([3, 12, 27], [6, 12, 18], [6, 6, 6]):
        (g,) = lg.autograd.grad(g.sum(), x, create_graph=True)
        assert g.tolist() == expected


def test_backward_may_record_the_gradients() -> None:
    x = leaf(1, 2)
    (x**3).sum().backward(create_graph=True)
    (x.grad * 2).sum().backward()
    assert x.grad.tolist() == [3 + 12, 12 + 24]
    y = leaf(1, 2)
    (y**3).sum().backward()
    assert not y.grad.requires_grad


def test_a_kept_gradient_has_the_shape_of_what_the_record_made() -> None:
    y = (leaf(1, 2) * 2).prod(-1)
    y.retain_grad()
    with lg.no_grad():
        y.unsqueeze_(0)
    (taken,) = lg.autograd.grad((y * y).sum(), y)
    assert y.grad.shape == taken.shape == () and taken.item() == 16


def test_grad_function() -> None:
    x, unused = leaf(1, 2), leaf(1, 2)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        lg.autograd.grad((x * 2).sum(), unused)
    assert lg.autograd.grad((x * 2).sum(), [x, unused], allow_unused=True)[1] is None
    both = lg.autograd.grad((x * 2).sum(), [x, unused], materialize_grads=True)
    assert both[1].tolist() == [0, 0]
    assert lg.autograd.grad(x * 2, x, lg.tensor([1.0, 10.0]))[0].tolist() == [2, 20]
    assert x.grad is None
    y = x * 2
    (y * 3).sum().backward(inputs=[x])
    assert lg.autograd.grad((x * 3).sum() + 0 * y.sum(), y)[0].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (
            lambda: lg.ones(2).sum().backward(),
            "element 0 of tensors does not require grad and does",
        ),
        (
            lambda: (leaf(1, 2) * 2).backward(),
            "grad can be implicitly created only for scalar outp",
        ),
        (lambda: (leaf(1, 2) * 2).backward(lg.ones(3)), "Mismatch in shape: grad_output"),
        (lambda: leaf(1, 2).add_(1), "a leaf Variable that requires grad is being used in an in-p"),
        (lambda: leaf(1, 2)[0].add_(1), "a view of a leaf Variable that requires grad is being us"),
        (
            lambda: lg.ones(2, dtype=lg.int64).requires_grad_(),
            "only Tensors of floating point dtype",
        ),
        (
            lambda: setattr(leaf(1) * 2, "requires_grad", False),
            "you can only change requires_grad f",
        ),
        (
            lambda: lg.ones(2).retain_grad(),
            "can't retain_grad on Tensor that has requires_grad=Fal",
        ),
        (
            lambda: lg.ones(2).register_hook(print),
            "cannot register a hook on a tensor that doesn't",
        ),
    ],
)
def test_refusals(run: Any, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        run()


def test_grad_of_a_computed_tensor_warns() -> None:
    y = leaf(1, 2) * 2
    with pytest.warns(UserWarning, match="not a leaf Tensor is being accessed"):
        assert y.grad is None
    y.retain_grad()
    y.sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert y.grad.tolist() == [1, 1]


# -- hooks --------------------------------------------------------------------------------------


def test_hooks() -> None:
    x = leaf(1, 2)
    seen: list[Any] = []
    handle = x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_post_accumulate_grad_hook(lambda t: seen.append(("done", t.grad.tolist())))
    y = x * 2
    y.register_hook(lambda g: g * 10)
    y.grad_fn.register_hook(lambda gi, go: seen.append(("node", go[0].tolist())))
    y.sum().backward()
    assert seen == [("node", [10, 10]), [20, 20], ("done", [20, 20])]
    handle.remove()
    seen.clear()
    (x * 1).sum().backward()
    assert seen == [("done", [21, 21])]


# -- in place -----------------------------------------------------------------------------------


def test_hooks_of_a_record_see_the_gradients_of_all_outputs() -> None:
    x, seen = leaf(1, 2), []
    first, second = x.split(1)
    first.grad_fn.register_prehook(lambda old: seen.append([g and g.tolist() for g in old]))
    second.grad_fn.register_hook(lambda new, old: seen.append(len(old)))
    first.backward(lg.ones(1))
    assert seen == [[[1.0], None], 2]


def test_a_retained_gradient_is_of_the_last_value() -> None:
    def run(change: Any, use: Any) -> list[Any]:
        x = leaf(1, 1)
        t = x * 2
        v = t[:1]
        t.retain_grad()
        v.retain_grad()
        change(t, v)
        (use(t, v) * 5).sum().backward()
        kept = [None if k.grad is None else k.grad.tolist() for k in (t, v)]
        assert t.retains_grad and v.retains_grad
        return [*kept, x.grad.tolist()]

    assert run(lambda t, v: t.mul_(3), lambda t, v: t) == [[5, 5], None, [30, 30]]
    assert run(lambda t, v: t.mul_(3).mul_(2), lambda t, v: t) == [[5, 5], None, [60, 60]]
    assert run(lambda t, v: v.mul_(3), lambda t, v: t) == [[5, 5], None, [30, 10]]
    assert run(lambda t, v: v.mul_(3), lambda t, v: v) == [[5, 0], [5], [30, 0]]
    assert run(lambda t, v: t.mul_(3), lambda t, v: v) == [[5, 0], [5], [30, 0]]


def test_retained_gradients_add_up() -> None:
    y = leaf(1, 2) * 2
    y.retain_grad()
    z = (y * y).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad.tolist() == [8, 16]


def test_writes_to_saved_values_are_noticed() -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    z = x * w
    with lg.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="is at version 1; expected version 0 instead"):
        z.sum().backward()
    z = x * lg.ones(2)  # only the other factor is read for x's gradient
    with lg.no_grad():
        x.add_(1)
    z.sum().backward()


def test_in_place_through_views() -> None:
    x = lg.ones(2, 3, requires_grad=True)
    y = x * 2
    v = y[0]
    v.mul_(3)
    assert y.grad_fn.name() == "CopySlices" and v.grad_fn.name() == "AsStridedBackward0"
    y.mul_(2)
    (v * 10).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[120] * 3, [0] * 3]
    base = lg.zeros(2, 3)
    base[0] = leaf(1, 2, 3)
    assert base.requires_grad and base.grad_fn.name() == "CopySlices"


def test_views_made_together_or_without_grad_are_not_written() -> None:
    y = lg.ones(2, 2, requires_grad=True).clone()
    with pytest.raises(RuntimeError, match="Output 0 of Unbind is a view and is being modified"):
        y.unbind(0)[0].add_(1)
    with lg.no_grad():
        v = y[0]
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode"):
        v.add_(1)


def test_data_is_written_unnoticed() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    x.data.add_(5)
    y.backward()
    assert x.tolist() == [6, 7] and x.grad.tolist() == [12, 14]


# -- modes --------------------------------------------------------------------------------------


def test_modes() -> None:
    x = leaf(1, 2)

    @lg.no_grad()
    def quiet() -> Any:
        return x * 2

    assert not quiet().requires_grad
    with lg.no_grad():
        assert not lg.is_grad_enabled() and not (x * 2).requires_grad
        with lg.enable_grad():
            assert (x * 2).requires_grad
        assert not lg.is_grad_enabled()
    assert lg.is_grad_enabled() and (x * 2).requires_grad
    with lg.inference_mode():
        assert not (x * 2).requires_grad
        assert lg.is_inference_mode_enabled()
    assert lg.is_grad_enabled() and not lg.is_inference_mode_enabled()
    with pytest.raises(ValueError, match="within"), lg.no_grad():
        raise ValueError("within")
    assert lg.is_grad_enabled()
    lg.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    lg.set_grad_enabled(True)
    y = x * 2
    y.detach_()
    assert y.is_leaf and not y.requires_grad


# -- Function -----------------------------------------------------------------------------------


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, a: Any, factor: float) -> Any:
        ctx.save_for_backward(a)
        ctx.factor = factor
        return a**3 * factor

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (a,) = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False)
        return g * 3 * a**2 * ctx.factor, None


def test_function() -> None:
    x = leaf(1, 2)
    y = Cube.apply(x, 2.0)
    assert y.grad_fn.name() == "CubeBackward"
    (g,) = lg.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = lg.autograd.grad(g.sum(), x)
    assert g.tolist() == [6, 24] and h.tolist() == [12, 24]
    y = Cube.apply(x, 2.0).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_function_with_several_results() -> None:
    class Two(Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            mask = a > 0
            ctx.mark_non_differentiable(mask)
            return a * 2, mask, a + 1

        @staticmethod
        def backward(ctx: Any, g: Any, gm: Any, h: Any) -> Any:
            return g * 2 + h

    x = leaf(1, -2)
    a, mask, b = Two.apply(x)
    assert not mask.requires_grad and a.requires_grad
    a.sum().backward(retain_graph=True)
    (a.sum() + b.sum()).backward()
    assert x.grad.tolist() == [5, 5]


def test_function_that_returns_too_much() -> None:
    class Bad(Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            return a * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g, g

    with pytest.raises(RuntimeError, match=r"incorrect number of gradients \(expected 1, got 2\)"):
        Bad.apply(leaf(1)).sum().backward()


def test_once_differentiable() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a)
            return a * a

        @staticmethod
        @lg.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2 * ctx.saved_tensors[0]

    x = leaf(3)
    (g,) = lg.autograd.grad(Once.apply(x).sum() * 2 * x, x, create_graph=True)
    assert g.tolist() == [9 * 2 + 6 * 6]
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        g.backward()


# -- whole functions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: (a * b).tanh(),
        lambda a, b: a.softmax(1) @ b.exp(),
        lambda a, b: a.std(0) + b.logsumexp(0),
        lambda a, b: (a / b.abs().clamp(min=0.3)).sum(1),
        lambda a, b: lg.cat([a, b[None]]).cumsum(0).prod(1),
        lambda a, b: a.t()[1:].unfold(1, 2, 1) * a.norm(),
        lambda a, b: a[:, [0, 2, 2]].sigmoid().flip(0),
        lambda a, b: lg.where(a > 0, a.exp(), b.sin()),
        lambda a, b: lg.linalg.inv(a @ a.t() + lg.eye(2, dtype=lg.float64)),
    ],
)
def test_gradcheck_and_gradgradcheck(function: Any) -> None:
    lg.manual_seed(1)
    inputs = (
        lg.randn(2, 3, dtype=lg.float64, requires_grad=True),
        lg.randn(3, dtype=lg.float64, requires_grad=True),
    )
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_gradcheck_finds_a_wrong_gradient() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            return a * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0"):
        gradcheck(Wrong.apply, (lg.ones(2, dtype=lg.float64, requires_grad=True),))


def test_functional() -> None:
    x = lg.tensor([1.0, 2.0])
    assert functional.jacobian(lambda t: t**2, x).tolist() == [[2, 0], [0, 4]]
    assert functional.hessian(lambda t: (t**3).sum(), x).tolist() == [[6, 0], [0, 12]]
    assert functional.vjp(lambda t: t**2, x, lg.ones(2))[1].tolist() == [2, 4]
    assert functional.jvp(lambda t: t**2, x, lg.ones(2))[1].tolist() == [2, 4]


def test_anomaly_mode_names_the_forward_line() -> None:
    x = leaf(-1)
    with lg.autograd.set_detect_anomaly(True):
        y = x.sqrt().sum()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(RuntimeError, match="'SqrtBackward0' returned nan values in its 0"):
                y.backward()
    assert "test_autograd.py" in str(caught[0].message)


def test_subgradients_at_ties() -> None:
    x = leaf(0, 0)
    for run, expected in (
        (lambda: x.relu().sum(), [0, 0]),
        (lambda: x.abs().sum(), [0, 0]),
        (lambda: x.max(), [0.5, 0.5]),
        (lambda: x.max(0)[0], [1, 0]),
        (lambda: x.clamp(0, 1).sum(), [1, 1]),
        (lambda: x.amax(0), [0.5, 0.5]),
        (lambda: x.norm(), [0, 0]),
        (lambda: x.maximum(lg.zeros(2)).sum(), [0.5, 0.5]),
    ):
        (g,) = lg.autograd.grad(run(), x)
        assert np.allclose(g.tolist(), expected), expected


def test_records_say_what_backward_will_read() -> None:
    x = leaf(1, 2)
    y = x.exp()
    node = y._storage.node
    assert node.saves == 1
    y.sum().backward()
    assert node.saves == 0
    z = x.exp()
    kept = z._storage.node
    del z
    assert kept.saves == 0


def test_gradient_lands_where_a_leaf_had_its_gradient_exported() -> None:
    x = leaf(1, 2)
    (x * 2).sum().backward()
    array = x.grad.numpy()
    (x * 2).sum().backward()
    assert array.tolist() == [4, 4]


def test_a_value_and_its_detached_twin_stay_apart_in_second_derivatives() -> None:
    x = lg.tensor([2.0], dtype=lg.float64, requires_grad=True)
    (g,) = lg.autograd.grad((x * x * x.detach()).sum(), x, create_graph=True)
    assert lg.autograd.grad(g.sum(), x)[0].item() == 4.0
    (g,) = lg.autograd.grad((x * x).sum(), x, x.detach().sum(), create_graph=True)
    assert lg.autograd.grad(g.sum(), x)[0].item() == 4.0


def test_a_constant_of_the_same_value_stays_constant_in_second_gradients() -> None:
    x = lg.tensor([1.0, 2.0], requires_grad=True)
    (first,) = lg.autograd.grad((x * x.detach() * x).sum(), x, create_graph=True)
    (second,) = lg.autograd.grad(first.sum(), x, create_graph=True)
    assert first.tolist() == [2.0, 8.0] and second.tolist() == [2.0, 4.0]
    assert not second.requires_grad
    loss = lg.nn.functional.mse_loss(x, x.detach(), reduction="sum")
    (first,) = lg.autograd.grad(loss, x, create_graph=True)
    assert lg.autograd.grad(first.sum(), x)[0].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("view", [lambda t: t[0:3], lambda t: t.T, lambda t: t + 1, lambda t: -t])
def test_backward_goes_the_same_way_any_number_of_times(view: Any) -> None:
    """Random program 11706 of seed 7: the third pass over a released record gave zeros."""
    t = lg.ones(3, 3, requires_grad=True)
    y = view(t)
    sign = float(y.detach().sum().sign())
    for times in range(1, 5):
        y.backward(lg.ones(3, 3))
        assert t.grad is not None and t.grad.tolist() == [[sign * times] * 3] * 3


def test_a_write_through_data_to_an_operand_that_was_broadcast_is_what_backward_reads():
    x = lg.tensor([[1.0], [2.0]], requires_grad=True)
    y = lg.tensor([[3.0, 4.0]], requires_grad=True)
    z = x * y
    x.data.mul_(10)
    z.sum().backward()
    assert x.grad.tolist() == [[7.0], [7.0]]
    assert y.grad.tolist() == [[30.0, 30.0]]


def test_what_is_on_no_way_to_the_inputs_of_grad_is_not_visited() -> None:
    x = lg.arange(4.0, requires_grad=True)
    aside = x + 3
    seen: list[lg.Tensor] = []
    aside.retain_grad()
    aside.register_hook(seen.append)
    way = aside.relu()
    product = (aside * way).sum()
    (found,) = lg.autograd.grad(product, way, retain_graph=True)
    assert found.tolist() == [3, 4, 5, 6] and aside.grad is None and not seen
    lg.autograd.grad(product, x)
    assert aside.grad is not None and len(seen) == 1
