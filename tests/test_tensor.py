"""Tensors: creation, printing, dtypes, promotion, Python's protocols, errors at the call."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
import lazygrad.tensor as lt

# -- creation -----------------------------------------------------------------------------------


def test_constructors() -> None:
    assert lg.Tensor(5, 3).shape == (5, 3) and lg.Tensor(5, 3).dtype is lg.float32
    assert repr(lg.Tensor([1, 2, 3])) == "tensor([1., 2., 3.])"
    assert lg.LongTensor([1, 2]).dtype is lg.int64
    assert repr(lg.FloatTensor([0, 1, 0.5])) == "tensor([0.0000, 1.0000, 0.5000])"
    assert isinstance(lg.ones(2), lg.FloatTensor) and not isinstance(lg.ones(2), lg.LongTensor)
    assert lg.zeros(2, 3).tolist() == lg.zeros((2, 3)).tolist() == [[0.0] * 3] * 2
    assert lg.rand((3, 3), requires_grad=True).requires_grad
    assert repr(lg.ones(5, 3).shape) == "lazygrad.Size([5, 3])"


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (3, "int64"),
        (3.0, "float32"),
        (True, "bool"),
        ([], "float32"),
        ([1, 2.5], "float32"),
        ([True, 2], "int64"),
        (np.float32(3), "float32"),
        (np.arange(3), "int64"),
        ([np.float64(1)], "float64"),
        ([[1], [2]], "int64"),
    ],
)
def test_tensor_infers_its_dtype(data: Any, dtype: str) -> None:
    assert lg.tensor(data).dtype is getattr(lg, dtype)


def test_default_dtype() -> None:
    lg.set_default_dtype(lg.float64)
    try:
        assert lg.zeros(1).dtype is lg.float64 and lg.tensor(1.5).dtype is lg.float64
        assert repr(lg.tensor([1.5])) == "tensor([1.5000])"
    finally:
        lg.set_default_dtype(lg.float32)


def test_ranges() -> None:
    assert lg.arange(5).tolist() == [0, 1, 2, 3, 4]
    assert lg.arange(5, 1, -2).tolist() == [5, 3]
    assert lg.linspace(0, 1, 5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert lg.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert lg.full((2,), 7).dtype is lg.int64 and lg.full((2,), 7.0).dtype is lg.float32


def test_module_is_also_the_function() -> None:
    assert lg.tensor([1]).tolist() == [1] and lt.tensor([1]).tolist() == [1]
    assert lt.exp is lg.exp and lt.no_grad is lg.no_grad


# -- random -------------------------------------------------------------------------------------


def test_seed_decides_the_numbers_whatever_is_realized_first() -> None:
    lg.manual_seed(3)
    a, b = lg.rand(5), lg.randn(5)
    b.realize()
    first = a.tolist(), b.tolist()
    lg.manual_seed(3)
    assert (lg.rand(5).tolist(), lg.randn(5).tolist()) == first
    state = lg.get_rng_state()
    c = lg.rand(3).tolist()
    lg.set_rng_state(state)
    assert lg.rand(3).tolist() == c
    g = lg.Generator().manual_seed(3)
    assert lg.rand(5, generator=g).tolist() == first[0]


def test_distributions() -> None:
    lg.manual_seed(0)
    u = np.array(lg.rand(20000).tolist())
    assert u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 0.01
    n = np.array(lg.randn(20000).tolist())
    assert abs(n.mean()) < 0.03 and abs(n.std() - 1) < 0.03
    assert sorted(lg.randperm(50).tolist()) == list(range(50))
    i = lg.randint(3, 7, (1000,)).tolist()
    assert set(i) == {3, 4, 5, 6}
    p = np.array(lg.bernoulli(lg.full((20000,), 0.3)).tolist())
    assert abs(p.mean() - 0.3) < 0.02
    m = np.bincount(lg.multinomial(lg.tensor([1.0, 2.0, 1.0]), 20000, True).tolist()) / 20000
    assert np.allclose(m, [0.25, 0.5, 0.25], atol=0.02)


# -- dtypes -------------------------------------------------------------------------------------

DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
]


@pytest.mark.parametrize("a", DTYPES)
def test_result_type_agrees_with_pytorch(a: str) -> None:
    torch = pytest.importorskip("torch")
    for b in DTYPES:
        for sa in ((2,), ()):
            for sb in ((2,), ()):
                ours = lg.result_type(
                    lg.ones(sa, dtype=getattr(lg, a)), lg.ones(sb, dtype=getattr(lg, b))
                )
                theirs = torch.result_type(
                    torch.ones(sa, dtype=getattr(torch, a)), torch.ones(sb, dtype=getattr(torch, b))
                )
                assert ours.name == str(theirs).removeprefix("torch."), (a, sa, b, sb)
        assert lg.promote_types(getattr(lg, a), getattr(lg, b)).name == str(
            torch.promote_types(getattr(torch, a), getattr(torch, b))
        ).removeprefix("torch.")
    for number in (True, 2, 2.5):
        ours = (lg.ones(2, dtype=getattr(lg, a)) * number).dtype
        theirs = (torch.ones(2, dtype=getattr(torch, a)) * number).dtype
        assert ours.name == str(theirs).removeprefix("torch.")


def test_integers() -> None:
    i = lg.tensor([-7, 7])
    assert (i // 2).tolist() == [-4, 3] and (i % 3).tolist() == [2, 1]
    assert (i / 2).dtype is lg.float32 and i.exp().dtype is lg.float32
    assert i.sum().dtype is lg.int64 and (lg.tensor([True]) + 1).tolist() == [2]
    assert lg.tensor([200, 100], dtype=lg.uint8).add(100).tolist() == [44, 200]
    assert (lg.tensor([2**31 - 1], dtype=lg.int32) + 1).tolist() == [-(2**31)]
    with pytest.raises(RuntimeError, match="could not infer output dtype"):
        i.mean()


def test_bfloat16_rounds_once() -> None:
    assert (lg.tensor([1.5]).bfloat16() * 1.3).float().tolist() == [1.953125]
    with pytest.raises(TypeError, match="BFloat16"):
        lg.ones(2).bfloat16().numpy()


# -- layout -------------------------------------------------------------------------------------


def test_results_keep_the_layout_of_their_operands() -> None:
    z = lg.arange(24.0).view(2, 3, 4).permute(2, 0, 1)
    for made in (z + 1, z.exp(), z * z, z.clone(), lg.zeros_like(z)):
        assert made.stride() == z.stride() == (1, 12, 4)
    assert z.contiguous().stride() == (6, 3, 1)
    assert np.array_equal(np.array((z + 1).tolist()), np.array(z.tolist()) + 1)


# -- protocols ----------------------------------------------------------------------------------


def test_python_protocols() -> None:
    t = lg.tensor([1.0, 2.0])
    assert len(t) == 2 and [float(v) for v in t] == [1, 2] and 2.0 in t and 5 not in t
    assert bool(lg.tensor([1])) and int(lg.tensor(3.7)) == 3 and [4, 5][lg.tensor(1)] == 5
    assert f"{lg.tensor(2.5):.2f}" == "2.50" and hash(t) != hash(lg.tensor([1.0, 2.0]))
    assert lg.tensor(3).item() == 3
    with pytest.raises(TypeError, match="0-d"):
        len(lg.tensor(1))
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(t)
    with pytest.raises(RuntimeError, match="a Tensor with 2 elements cannot be converted"):
        t.item()


def test_copies() -> None:
    x = lg.arange(4.0).view(2, 2).t()
    deep, shallow, loaded = copy.deepcopy(x), copy.copy(x), pickle.loads(pickle.dumps(x))
    deep[0, 0] = 9
    shallow[1, 1] = 5
    assert x.tolist() == [[0, 2], [1, 5]] and deep.tolist() == [[9, 2], [1, 3]]
    assert loaded.tolist() == [[0, 2], [1, 3]] and loaded.stride() == (1, 2)
    leaf = lg.ones(2, requires_grad=True)
    assert copy.deepcopy(leaf).requires_grad and pickle.loads(pickle.dumps(leaf)).requires_grad
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(leaf * 2)


def test_subclasses_survive() -> None:
    class Mine(lg.Tensor):
        pass

    m = Mine([1.0, 2.0])
    assert type(m + 1) is Mine and type(m.sum()) is Mine and type(m[0]) is Mine
    assert type(lg.nn.Parameter(lg.ones(2)) + 1) is lg.Tensor


def test_numpy_protocols() -> None:
    assert np.asarray(lg.ones(2, 3)).shape == (2, 3)
    assert type(np.sin(lg.ones(2))) is lg.Tensor
    assert (np.float64(2) * lg.ones(2)).tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="requires grad"):
        lg.ones(2, requires_grad=True).numpy()


def test_named_results_print_as_pytorch() -> None:
    text = repr(lg.tensor([1.0, 3.0]).max(0))
    assert text == "lazygrad.return_types.max(\nvalues=tensor(3.),\nindices=tensor(1))"


# -- errors -------------------------------------------------------------------------------------

ERRORS: list[tuple[str, type[Exception], str]] = [
    ("lg.zeros(2) + lg.zeros(3)", RuntimeError, r"The size of tensor a \(2\) must match"),
    ("lg.zeros(2, 3).mm(lg.zeros(2, 3))", RuntimeError, r"cannot be multiplied \(2x3 and 2x3\)"),
    ("lg.tensor([[1, 2, 3], [1, 2]])", ValueError, r"length 3 at dim 1 \(got 2\)"),
    ("lg.ones(-1)", RuntimeError, r"negative dimension -1: \[-1\]"),
    ("lg.zeros(2**40, 2**40)", RuntimeError, "Storage size calculation overflowed"),
    ("lg.zeros(3).sum(4)", IndexError, r"expected to be in range of \[-1, 0\], but got 4"),
    ("lg.zeros(3)[7]", IndexError, "index 7 is out of bounds for dimension 0 with size 3"),
    ("lg.zeros(3)[lg.tensor([7])]", IndexError, "index 7 is out of bounds for dimension 0"),
    ("lg.zeros(2).view(3)", RuntimeError, r"shape '\[3\]' is invalid for input of size 2"),
    ("lg.zeros(2, 2).t().view(4)", RuntimeError, "view size is not compatible"),
    ("lg.zeros(2, dtype='float')", TypeError, "argument 'dtype' must be"),
    ("lg.zeros('a')", TypeError, "argument 'size'"),
    ("lg.sin('a')", TypeError, r"sin\(\): argument 'input' \(position 1\) must be Tensor, not str"),
    ("lg.zeros(2) + 'a'", TypeError, "unsupported operand type"),
    (
        "lg.zeros(2).cuda()",
        (AssertionError, RuntimeError),
        "not compiled with CUDA|NVIDIA",
    ),
    ("lg.zeros(2).to(0)", RuntimeError, "Cannot access accelerator device|no NVIDIA driver"),
    ("lg.zeros(2).to('foo')", RuntimeError, "Expected one of cpu, cuda"),
    ("lg.cat([lg.zeros(2, 3), lg.zeros(2, 4)])", RuntimeError, "except in dimension 0"),
    ("lg.stack([lg.zeros(2), lg.zeros(3)])", RuntimeError, "each tensor to be equal size"),
    ("lg.tensor([1])**-1", RuntimeError, "Integers to negative integer powers"),
    ("lg.tensor([1]) // 0", RuntimeError, "ZeroDivisionError"),
    ("~lg.zeros(2)", TypeError, "operator.invert"),
    ("lg.zeros(0).max()", RuntimeError, "Expected reduction dim"),
    ("lg.zeros(3).gather(0, lg.tensor([4]))", RuntimeError, "index 4 is out of bounds"),
    ("lg.zeros(3, dtype=lg.int64).add_(1.5)", RuntimeError, "result type Float can't be cast"),
    ("lg.zeros(3).add_(lg.zeros(2, 3))", RuntimeError, "doesn't match the broadcast shape"),
    ("lg.randint(5, 5, (2,))", RuntimeError, "random_ expects 'from' to be less than 'to'"),
    ("lg.tensor(None)", RuntimeError, "Could not infer dtype of NoneType"),
    ("lg.arange(0, 5, -1)", RuntimeError, "inconsistent with step sign"),
]


@pytest.mark.parametrize(("text", "kind", "words"), ERRORS, ids=[e[0] for e in ERRORS])
def test_errors_are_raised_at_the_call(text: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        eval(text)
    assert (lg.ones(2) + 1).tolist() == [2, 2]  # the next line works


# -- against PyTorch ----------------------------------------------------------------------------

_X = np.random.default_rng(0).standard_normal((3, 4))

EXPRESSIONS = """
x+y | 1-x | 2/x | x**2 | p**1.3 | 2**x | x.tanh() | x.abs() | i/2 | i//2 | i%3 | b+1 | b&b | u-5
x.sum(0) | x.mean() | x.var(0) | x.std() | x.max(1) | x.amax(0) | x.logsumexp(1) | x.norm(dim=1)
x.prod(1) | x.argmax(1) | x.any(0) | x@x.T | x@x[0] | L.addmm(x[0],x@x.T,x) | L.outer(x[0],x[1])
L.einsum('ij,kj->ik',x,y) | x.T | x.view(-1,2) | x.T.reshape(12) | x.unsqueeze(1) | x.diagonal(1)
x.unfold(1,2,1) | x.movedim(0,1) | L.cat([x,y],1) | L.stack([x,y]) | L.where(x>0,x,y)
x.clamp(-.5,.5) | x.clamp(min=y) | x.relu() | x.softmax(1) | x.log_softmax(0) | x.cumsum(0)
p.cumprod(1) | x.sort(1) | x.topk(2) | x.median(1) | x.tril() | x.repeat(2,1) | x.flip(0)
x.roll((1,2),(0,1)) | x.masked_fill(x>0,0.) | x.masked_select(x>0) | x.index_select(1,j)
x.gather(1,j[None].expand(3,3)) | x.scatter_add(1,j[None].expand(3,3),y) | L.lerp(x,y,.3)
L.addcmul(x,y,p,value=2) | L.atan2(x,y) | L.hypot(x,y) | L.logaddexp(x,y) | L.kron(x[0],y[0])
L.diff(x) | L.trace(x) | L.diag(x[0]) | x.nonzero() | L.tensordot(x,y,([1],[1]))
x.repeat_interleave(2,1) | L.index_add(x,1,j,y[:,:3]) | L.quantile(x,.3) | x.kthvalue(2)
L.linalg.inv(x@x.T) | L.linalg.det(x@x.T) | L.linalg.solve(x@x.T,y) | L.linalg.matrix_norm(x)
L.linalg.cholesky(x@x.T) | L.linalg.qr(x.T)[1].abs() | L.linalg.svdvals(x)
L.linalg.eigvalsh(x@x.T)
""".replace("\n", " | ").split(" | ")


@pytest.mark.parametrize("text", [e.strip() for e in EXPRESSIONS if e.strip()])
def test_values_and_gradients_agree_with_pytorch(text: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = _evaluated(lg, text), _evaluated(torch, text)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a[0] == b[0] and np.allclose(a[1], b[1], rtol=1e-6, atol=1e-8), (text, a, b)


def _evaluated(library: Any, text: str) -> list[Any]:
    make = library.tensor
    x = make(_X).requires_grad_()
    given: dict[str, Any] = {
        "L": library,
        "x": x,
        "y": make(_X[::-1] * 0.7),
        "p": make(np.abs(_X) + 0.5),
        "i": make([[3, -1, 2], [5, 0, -7]]),
        "b": make([True, False, True]),
        "j": make([2, 0, 1]),
        "u": make(np.array([200, 3, 4], np.uint8)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = eval(text, given)
    parts = list(result) if isinstance(result, tuple) else [result]
    seen = [(str(t.dtype).rpartition(".")[2], np.asarray(t.detach().tolist())) for t in parts]
    loss = [(t * t).sum() for t in parts if t.requires_grad]
    if loss:
        sum(loss).backward()
        seen.append(("grad", np.asarray(x.grad.tolist())))
    return seen


def test_everything_that_is_named_can_be_had() -> None:
    for name in lg.__all__:
        assert getattr(lg, name) is not None or name == "newaxis", name
