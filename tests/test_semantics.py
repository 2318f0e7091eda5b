"""Laziness cannot be observed: random programs, flushed at any point, agree with PyTorch."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

# -- aliasing and numpy, without an oracle ------------------------------------------------------


def test_writes_through_views_are_seen_by_all() -> None:
    x = lg.arange(12.0).view(3, 4)
    t, column, flat = x.t(), x[:, 1], x.view(-1)
    t[0] = 100
    assert x[:, 0].tolist() == [100, 100, 100]
    column.zero_()
    flat[::2] = 7
    assert x.tolist() == [[7, 0, 7, 3], [7, 0, 7, 7], [7, 0, 7, 11]]
    assert t.tolist() == np.array(x.tolist()).T.tolist()


def test_reader_recorded_before_a_write_keeps_the_old_value() -> None:
    x = lg.ones(3)
    y = x + 1
    x.zero_()
    assert y.tolist() == [2, 2, 2] and x.tolist() == [0, 0, 0]


def test_numpy_shares_memory_both_ways() -> None:
    a = np.ones(3)
    t = lg.from_numpy(a)
    y = t + 1
    a[0] = 100
    assert y.tolist() == [2, 2, 2] and t[0] == 100
    t.add_(1)
    assert a.tolist() == [101, 2, 2]
    n = lg.ones(3).numpy()
    s = lg.ones(3)
    n = s.numpy()
    doubled = s * 2
    n[0] = 9
    assert s.tolist() == [9, 1, 1] and doubled.tolist() == [2, 2, 2]
    s.mul_(2)
    assert n.tolist() == [18, 2, 2]
    s.view(3, 1)[2] = 4.0
    assert n.tolist() == [18, 2, 4]


def test_memory_is_taken_back_when_the_array_dies() -> None:
    t = lg.ones(3)
    n = t.numpy()
    assert t._storage.node is None
    del n
    t.add_(1)
    assert t._storage.node is not None
    assert t.tolist() == [2, 2, 2]


def test_from_numpy_owner_dropped_is_lazy_again() -> None:
    t = lg.from_numpy(np.ones(3))
    y = t + 1
    assert y._storage.node.buffer is None
    assert y.tolist() == [2, 2, 2]


def test_strided_array_is_shared() -> None:
    a = np.arange(12.0).reshape(3, 4)
    t = lg.from_numpy(a[:, ::2])
    t.add_(1)
    assert a[0].tolist() == [1, 1, 3, 3]
    with pytest.raises(ValueError, match="negative"):
        lg.from_numpy(a[::-1])


def test_read_only_array_warns() -> None:
    a = np.ones(2)
    a.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        lg.from_numpy(a)


def test_address_is_stable() -> None:
    x = lg.zeros(2, 3)
    where = x.data_ptr()
    x.add_(1)
    assert x.data_ptr() == where and x[1].data_ptr() - where == 12


@pytest.mark.filterwarnings("ignore:Use of masked_fill_")
@pytest.mark.parametrize("mask", [[True, False, False], [False, False, True], [False] * 3])
def test_a_mask_writes_a_repeated_element_where_it_holds_once(mask: list[bool]) -> None:
    for write in (
        lambda t, m: t.__setitem__(m, 5),
        lambda t, m: t.__setitem__(m, lg.tensor(5.0)),
        lambda t, m: t.masked_fill_(m, 5),
        lambda t, m: t.masked_fill_(m, lg.tensor(5.0)),
    ):
        x = lg.zeros(1)
        write(x.expand(3), lg.tensor(mask))
        assert x.tolist() == [5.0 if any(mask) else 0.0]


def test_an_index_fills_repeated_elements_with_a_warning() -> None:
    base = lg.zeros(3)
    x = base.expand(2, 3)
    with pytest.warns(UserWarning, match="index_fill_ on expanded tensors is deprecated"):
        x.index_fill_(1, lg.tensor([1]), 7)
    assert base.tolist() == [0, 7, 0] and x.tolist() == [[0, 7, 0], [0, 7, 0]]
    with pytest.warns(UserWarning, match="deprecated"):
        x.index_fill_(0, lg.tensor([0]), lg.tensor(2.0))
    assert base.tolist() == [2, 2, 2] and x._version == 2


@pytest.mark.parametrize("value", [lg.tensor([False]), lg.tensor(False), False])
def test_a_tensor_of_truth_values_may_be_its_own_mask(value: Any) -> None:
    t = lg.tensor([True, False, True])
    t[t] = value
    assert t.tolist() == [False] * 3


def test_self_overlapping_writes_are_refused() -> None:
    x = lg.zeros(3)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        x.expand(2, 3).add_(1)
    with pytest.raises(RuntimeError, match="some elements of the input tensor"):
        x[:2] = x[1:]


def test_in_place_with_a_wider_dtype_is_one_record() -> None:
    x = lg.tensor([2.0, 3.0], requires_grad=True)
    y = x + 0
    y.mul_(y.double())
    assert y.grad_fn.name() == "MulBackward0" and y.dtype is lg.float32
    y.sum().backward()
    assert x.grad.tolist() == [4, 6] and x.grad.dtype is lg.float32


def test_a_product_written_through_data_saves_what_was_there() -> None:
    x = lg.tensor(2.0, requires_grad=True)
    y = x.data
    y.mul_(x)
    assert lg.autograd.grad(y, x)[0].item() == 2 and x.item() == 4


def test_what_is_read_through_data_is_checked_by_the_versions_of_data() -> None:
    x = lg.tensor([2.0, 3.0], requires_grad=True)
    y = x.data
    z = x * y
    y[:1].mul_(3)
    with pytest.raises(RuntimeError, match=r"is at version 1; expected version 0"):
        z.sum().backward()
    y = (x * 1).detach().data
    y.add_(1)
    z = x * y
    y.data.add_(10)  # counts for itself: not seen, and backward reads what is there
    z.sum().backward()
    assert x.grad.tolist() == [17, 14]


@pytest.mark.parametrize("value", [True, lg.tensor([True, False, True])])
def test_a_mask_that_lies_in_the_written_tensor_is_refused(value: object) -> None:
    mask = lg.tensor([[True, False], [True, True]])
    with pytest.raises(RuntimeError, match="some elements of the input tensor"):
        mask.t()[mask] = value
    mask[mask] = False  # each place reads itself
    assert not mask.any()


def test_a_view_of_shared_memory_saved_with_its_base_gets_its_gradient() -> None:
    x = lg.tensor([1.0, -3.0], requires_grad=True)
    array = x.detach().numpy()
    lg.maximum(x, x.view_as(x)).sum().backward()
    assert x.grad.tolist() == [1, 1] and array.tolist() == [1, -3]


def test_a_product_written_into_shared_memory_saves_a_copy() -> None:
    x, y = lg.full((2,), 3.0), lg.ones(2, requires_grad=True)
    array = x.numpy()
    x.mul_(y * 2)
    x.sum().backward()
    assert y.grad.tolist() == [6, 6] and array.tolist() == [6, 6]


def test_hooks_after_accumulation_return_nothing() -> None:
    x = lg.ones(2, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda t: t.grad)
    with pytest.raises(RuntimeError, match="should return None"):
        x.sum().backward()


def test_the_name_in_the_refusal_of_a_view_is_pytorchs() -> None:
    x = lg.ones(3, 3, requires_grad=True) + 1
    y = x.unbind()[-1].squeeze(0)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="Output 0 of Squeeze1 is a view"):
        y.add_(1)


def test_axes_added_without_a_record_are_summed_over_in_backward() -> None:
    x = lg.ones(2, 3, requires_grad=True)
    y = x * x
    with lg.no_grad():
        y.unsqueeze_(0)
    y.sum().backward()
    assert x.grad.tolist() == [[2.0] * 3] * 2


def test_a_slice_of_everything_is_a_view_to_write_through() -> None:
    x = lg.ones(2, 2, requires_grad=True) * 1
    x[..., np.array([-1, -1]), -2:] = 2
    assert x.grad_fn.name() == "CopySlices"


def test_a_repeated_tensor_may_be_copied_onto_itself() -> None:
    x = lg.arange(2).expand(3, 2)
    assert x.copy_(x).tolist() == x.copy_(x[:]).tolist() == [[0, 1]] * 3
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        x.copy_(x.clone())


@pytest.mark.parametrize("write", ["transpose_(0, 1)", "t_()", "squeeze_()", "unsqueeze_(0)"])
def test_a_base_gets_a_gradient_after_its_view_was_turned_in_place(write: str) -> None:
    x = lg.ones(2, 3)
    v = x[:]
    eval(f"v.{write}", {"v": v})
    x.requires_grad_()
    assert x.is_leaf and not v.is_leaf and v.grad_fn.name() == "AsStridedBackward0"
    (v * v).sum().backward()
    assert x.grad.tolist() == [[2, 2, 2], [2, 2, 2]]


def test_another_size_stays_on_the_same_memory() -> None:
    t = lg.arange(6.0)
    v = t.view(2, 3)
    t.resize_(4).fill_(1)
    assert v.tolist() == [[1, 1, 1], [1, 4, 5]] and t._version == 2
    u = v.view(-1)[2:]
    u.resize_(2, 2).add_(10)
    assert v.tolist() == [[1, 1, 11], [11, 14, 15]] and u.storage_offset() == 2


def test_memory_shared_with_numpy_keeps_its_size() -> None:
    shared = lg.from_numpy(np.arange(3.0))
    with pytest.raises(RuntimeError, match="not resizable"):
        shared.resize_(8)


def test_assignment_drops_all_leading_ones_of_a_value_of_another_shape() -> None:
    x = lg.tensor([[-4]])
    with pytest.raises(RuntimeError, match="some elements of the input tensor"):
        x[0] = x
    y = lg.zeros(2, 3)
    y[0] = lg.ones(1, 1, 3)
    assert y.tolist() == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("name", ["amax", "amin", "prod", "max", "min"])
def test_reductions_of_one_number_save_their_result(name: str) -> None:
    x = lg.tensor(2.0, requires_grad=True)
    getattr(x, name)().backward(retain_graph=True)
    z = getattr(x, name)()
    z.mul_(1)
    with pytest.raises(RuntimeError, match=r"is at version 1; expected version 0"):
        z.backward()


def test_strides_of_empty_arrays_are_numpys() -> None:
    t = lg.from_numpy(np.arange(0).reshape(2, 0).astype(float))
    assert t.stride() == (0, 0) and t[-1:].storage_offset() == 0 and (t + 1).shape == (2, 0)
    assert t.masked_fill_(t > 1, 5) is t
    assert lg.zeros(2, 4)[2:].numpy().strides == t.view_as(t).stride() == (0, 0)


def test_records_of_draws() -> None:
    x = lg.ones(3, requires_grad=True) * 1
    assert x.clone().bernoulli_(1.0).grad_fn.name() == "BernoulliBackward2"
    assert x.clone().bernoulli_(lg.ones(3)).grad_fn.name() == "BernoulliBackward1"
    drawn = lg.bernoulli(x)
    assert drawn.grad_fn.name() == "BernoulliBackward0"
    assert lg.autograd.grad(drawn.sum(), x)[0].tolist() == [0, 0, 0]
    state = lg.get_rng_state()
    gone = lg.nn.functional.dropout(lg.ones(3, dtype=lg.uint8), 1.0)
    assert gone.tolist() == [0, 0, 0] and gone.dtype is lg.uint8
    assert lg.get_rng_state().tolist() == state.tolist()


def test_deep_graphs() -> None:
    x = lg.ones(4, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y * 1.0001
    del y
    y = x
    for _ in range(60):
        y = y + y
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2.0**60] * 4
    assert sum(lg.ones(2) for _ in range(1000)).tolist() == [1000, 1000]


# -- random programs ----------------------------------------------------------------------------

Op = tuple[str, tuple[Any, ...]]


def _program(seed: int, length: int) -> list[Op]:
    """Steps that refer to earlier tensors by number; what does not apply raises in both."""
    r = random.Random(seed)
    steps: list[Op] = [("make", (r.randrange(4), r.random() < 0.4)) for _ in range(2)]
    kinds = [
        "view",
        "view",
        "view",
        "pure",
        "pure",
        "inplace",
        "inplace",
        "setitem",
        "numpy",
        "nwrite",
        "backward",
        "item",
        "detach",
        "make",
        "copy",
    ]
    for _ in range(length):
        kind = r.choice(kinds)
        steps.append((kind, tuple(r.randrange(1000) for _ in range(6))))
    return steps


_SHAPES = [(2, 3), (3, 2), (4,), (2, 2, 3)]


class _World:
    """One library's run of a program."""

    def __init__(self, library: Any):
        self.lib = library
        self.tensors: list[Any] = []
        self.arrays: list[np.ndarray] = []
        self.log: list[Any] = []
        self.leaves: list[Any] = []

    def pick(self, number: int) -> Any:
        return self.tensors[number % len(self.tensors)]

    def add(self, t: Any) -> None:
        self.tensors.append(t)
        del self.tensors[:-8]

    def step(self, kind: str, args: tuple[Any, ...]) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                getattr(self, f"do_{kind}")(*args)
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            self.log.append((kind, type(error).__name__))
        for t in self.tensors:  # PyTorch renews a view's history only when it is asked for
            _ = t.grad_fn

    def do_make(self, shape: int, grad: Any = False, *rest: Any) -> None:
        extents = _SHAPES[shape % len(_SHAPES)]
        count = int(np.prod(extents))
        t = self.lib.tensor((np.arange(count) % 5 - 1.5).reshape(extents))
        if grad is True or (grad is not False and grad % 3 == 0):
            t.requires_grad_()
            self.leaves.append(t)
        self.add(t)

    def do_view(self, a: int, b: int, c: int, *rest: int) -> None:
        x = self.pick(a)
        rank = max(x.dim(), 1)
        made = [
            lambda: x.t(),
            lambda: x.transpose(0, c % rank),
            lambda: x[c % 2],
            lambda: x[1:],
            lambda: x[..., ::2],
            lambda: x.view(-1),
            lambda: x.reshape(-1, 2),
            lambda: x.unsqueeze(c % (rank + 1)),
            lambda: x.squeeze(),
            lambda: x.expand(2, *x.shape),
            lambda: x.diagonal(),
            lambda: x.detach(),
            lambda: x.unfold(0, 2, 2),
            lambda: x.select(-1, 0),
            lambda: x.narrow(0, 0, 1),
            lambda: x.flatten(),
            lambda: x.data,
            lambda: x[None],
            lambda: x.permute(list(range(x.dim()))[::-1]),
            lambda: x.as_strided((2, 2), (2, 1)),
        ]
        self.add(made[b % len(made)]())

    def do_pure(self, a: int, b: int, c: int, *rest: int) -> None:
        x, y = self.pick(a), self.pick(c)
        made = [
            lambda: x + y,
            lambda: x * y,
            lambda: x - 2,
            lambda: x * 0.5,
            lambda: x.tanh(),
            lambda: x.sum(),
            lambda: x.mean(0),
            lambda: x.relu(),
            lambda: x * x,
            lambda: x.softmax(-1),
            lambda: x.contiguous(),
            lambda: x.clone(),
            lambda: self.lib.cat([x, x]),
            lambda: self.lib.stack([x, y]),
            lambda: x.sigmoid(),
            lambda: x @ y,
            lambda: x.amax(0),
            lambda: x.max(0)[0],
            lambda: x[[0, 1]],
            lambda: self.lib.where(x > 0, x, y),
            lambda: x.abs(),
            lambda: x.cumsum(0),
            lambda: x - x.detach() * 0.5,
            lambda: 1 - x,
            lambda: x.clamp(-1, 1),
        ]
        self.add(made[b % len(made)]())

    def do_inplace(self, a: int, b: int, c: int, d: int, *rest: int) -> None:
        # what PyTorch reads from memory that it is writing to depends on its loops
        x, y = self.pick(a), self.pick(c).clone()
        made = [
            lambda: x.add_(1),
            lambda: x.mul_(y),
            lambda: x.zero_(),
            lambda: x.add_(y),
            lambda: x.fill_(2),
            lambda: x.copy_(y),
            lambda: x.tanh_(),
            lambda: x.clamp_(-1, 1),
            lambda: x.mul_(0.5),
            lambda: x.sub_(y),
            lambda: x.relu_(),
            lambda: x.sigmoid_(),
        ]
        if d % 4 == 0:
            with self.lib.no_grad():
                made[b % len(made)]()
        else:
            made[b % len(made)]()

    def do_setitem(self, a: int, b: int, c: int, *rest: int) -> None:
        x, y = self.pick(a), self.pick(c).clone()
        keys: list[Any] = [0, slice(1, None), (Ellipsis, 0), [0, -1], x > 1]
        value = [3.0, y, y[0] if y.dim() else y][rest[0] % 3]
        x[keys[b % len(keys)]] = value

    def do_numpy(self, a: int, *rest: int) -> None:
        self.arrays.append(self.pick(a).detach().numpy())
        del self.arrays[:-3]

    def do_nwrite(self, a: int, b: int, *rest: int) -> None:
        if self.arrays:
            array = self.arrays[a % len(self.arrays)]
            if b % 3 == 0:
                del self.arrays[a % len(self.arrays)]
            elif array.ndim:
                array[0] = b % 7

    def do_copy(self, a: int, *rest: int) -> None:
        self.add(self.pick(a).detach().clone())

    def do_detach(self, a: int, *rest: int) -> None:
        self.add(self.pick(a).detach())

    def do_item(self, a: int, *rest: int) -> None:
        self.log.append(np.asarray(self.pick(a).sum().tolist()).round(6).tolist())

    def do_backward(self, a: int, b: int, *rest: int) -> None:
        self.pick(a).sum().backward(retain_graph=b % 2 == 0)

    def state(self) -> list[Any]:
        seen: list[Any] = []
        for t in self.tensors:
            strides = [s for s, e in zip(t.stride(), t.shape, strict=True) if e > 1]
            seen.append(
                (
                    tuple(t.shape),
                    strides if t.numel() else 0,
                    t.requires_grad,
                    t.is_leaf,
                    np.round(np.asarray(t.detach().tolist()), 6).tolist(),
                )
            )
        for leaf in self.leaves:
            grad = leaf.grad
            seen.append(None if grad is None else np.round(grad.tolist(), 6).tolist())
        seen.extend(np.round(array, 6).tolist() for array in self.arrays)
        return seen


def check_program(seed: int, length: int = 14) -> None:
    torch = pytest.importorskip("torch")
    program = _program(seed, length)
    flush = random.Random(seed + 1)
    how = seed % 3  # never before the end, after each step, at random
    ours, theirs = _World(lg), _World(torch)
    for number, (kind, args) in enumerate(program):
        ours.step(kind, args)
        theirs.step(kind, args)
        if how == 1 or (how == 2 and flush.random() < 0.3):
            lg.realize(*ours.tensors)
        assert len(ours.tensors) == len(theirs.tensors), (seed, number, kind, ours.log, theirs.log)
        assert _same(ours.log, theirs.log), (seed, number, kind, ours.log, theirs.log)
    a, b = ours.state(), theirs.state()
    for number, (x, y) in enumerate(zip(a, b, strict=True)):
        assert _same(x, y), (seed, number, x, y)


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)):
        return len(x) == len(y) and all(map(_same, x, y))
    if isinstance(x, float) and isinstance(y, float):
        return bool(np.isclose(x, y, rtol=1e-6, atol=1e-5, equal_nan=True))
    return bool(x == y)


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_random_programs_agree_with_pytorch(start: int) -> None:
    for seed in range(start, start + 20):
        check_program(seed)


STRIDES = [  # of what is made of a view whose axes of extent 1 have strides as unfold leaves them
    ("v", (2, 1, 1, 1)),
    ("v.view_as(v)", (2, 2, 2, 1)),
    ("v.reshape(2, 1, 1, 2)", (2, 2, 2, 1)),
    ("lg.maximum(v, y)", (6, 1, 1, 3)),
    ("lg.maximum(v.view_as(v), y)", (6, 6, 2, 1)),
    ("v + 1", (2, 1, 1, 1)),
    ("1 - v", (2, 1, 1, 1)),
    ("v + v", (2, 2, 2, 1)),
    ("v > 1", (2, 1, 1, 1)),
    ("lg.where(v > 1, v, 2)", (2, 1, 1, 1)),
    ("v.float().pow(2)", (2, 2, 2, 1)),
    ("v.clamp(1, 2)", (2, 2, 2, 1)),
]


@pytest.mark.parametrize(("call", "strides"), STRIDES)
def test_strides_where_extents_are_one(call: str, strides: tuple[int, ...]) -> None:
    v, y = lg.zeros(2, 2, 1, dtype=lg.int64).unfold(-2, 2, 1), lg.zeros(3, 2, dtype=lg.int32)
    assert eval(call, {"lg": lg, "v": v, "y": y}).stride() == strides
