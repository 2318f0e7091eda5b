"""Python's and numpy's protocols: what expressions give, beside PyTorch and by themselves."""

from __future__ import annotations

import copy
import gc
import json
import math
import pickle
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

# One expression a line. Values, dtypes and flags, or the type of the error, are as PyTorch's.
PYTHON = """
bool(x)
bool(T.tensor([0.])), bool(T.tensor([[2]])), bool(b)
bool(T.ones(0))
int(f), int(T.tensor([4])), float(s), complex(f)
int(x)
float(x)
int(T.tensor(float("nan")))
int(T.tensor(float("inf")))
[10, 20, 30, 40][s], list(range(s)), "ab" * s, [1, 2][b], [0, 1, 2, 3][T.tensor([3])]
[1, 2][f]
[1, 2][i]
np.arange(5)[s]
len(x), len(T.ones(0, 3))
len(s)
list(x), [t.requires_grad for t in r], [tuple(t.shape) for t in T.ones(2, 3)]
list(s)
(lambda a, b, c: (a, b, c))(*x)
list(reversed(x))
2.0 in x, 5 in x, T.tensor(3.0) in x, x in x
"a" in x
x in [x]
x in [i, x]
hash(x) == id(x), len({x, x, i})
x == None, x != None, x == "a"
s == 3, 1 < s < 5, s > 5 or s < 4, not s
0 < x < 5
x and i
format(f, ".3f"), f"{s:05d}", f"{f}", "%d %.2f" % (s, f), "{:>8}".format(s), f"{r.sum():.1f}"
f"{x:.2f}"
round(f), round(T.tensor(2.567), 2)
pow(s, 2), 2**s, abs(-s), -x, +x, ~b, max(x), min(i), sum(x), sorted(T.tensor([3.0, 1.0]))
divmod(s, 2)
math.floor(f), math.ceil(f), math.trunc(f), math.sqrt(f)
copy.copy(x), copy.copy(r).requires_grad, copy.copy(x).data_ptr() == x.data_ptr()
copy.copy(r * 2).requires_grad
copy.deepcopy(r * 2)
pickle.loads(pickle.dumps(r)), pickle.loads(pickle.dumps(r * 2)).requires_grad
[pickle.loads(pickle.dumps(x.to(d))) for d in (T.bfloat16, T.float16, T.int8, T.bool, T.uint8)]
pickle.loads(pickle.dumps(T.ones(3).expand(2, 3))).stride(), pickle.loads(pickle.dumps(s))
"""

NUMPY = """
np.asarray(x), np.array(x, dtype=np.float64), np.asarray(s), np.array([s, s]), np.array([x, x])
np.array(list(x)), np.asarray(x).ctypes.data == x.data_ptr()
np.array(x, copy=True).ctypes.data == x.data_ptr()
np.asarray(r)
np.asarray(h)
np.array(x, dtype=np.int32, copy=False)
n * x
x * n, x + n, x - n, x / n, x @ n, x % n, x // n, x**n
n - x
n / x, n.astype(np.int32) / x
n == x, x == n, x == np.array(2), x == np.float64(1), np.float64(1) == x
x == np.ones(2)
n < x
x < n
np.float64(2) * x, x * np.float64(2), np.float32(2) * i, np.int64(2) * x, x + np.bool_(True)
np.float64(2) - x, np.float64(2) / x, np.float64(2) ** x, np.float64(2) < x, x ** np.float64(2)
n * r
x.add(n)
x.eq(n)
np.sin(x), np.add(x, n), np.add(n, x), np.maximum(x, 2), np.square(i), np.abs(-x), np.sign(x)
np.isnan(x)
np.exp(r)
np.sin(h)
np.sin(f)
np.concatenate([x, x]), np.stack([x, x]), np.dot(x, n), np.add.reduce(x), np.cumsum(x), np.sort(x)
np.multiply.outer(x, x)
np.linalg.norm(x), np.argmax(x), np.clip(x, 1, 2), np.reshape(x, (3, 1)), np.shape(x), np.ndim(x)
np.where(x > 1, x, 0), np.sin(x, out=np.zeros(3, np.float32)), np.allclose(x, n)
x.numpy(force=True), r.numpy(force=True), r.detach().numpy()
r.numpy()
h.numpy()
T.as_tensor(n).data_ptr() == n.ctypes.data, T.asarray(n).data_ptr() == n.ctypes.data
T.tensor(n), T.tensor([np.float32(1), 2]), T.tensor(np.float64(1)), T.tensor([n, n])
x[np.array([0, 1])], x[n > 1], T.tensor([x[0], x[1]]), T.as_tensor(x) is x
T.from_numpy(np.float64(1))
T.tensor(np.array(["a"]))
"""


def names(T: Any) -> dict[str, Any]:
    return {
        "T": T,
        "np": np,
        "copy": copy,
        "math": math,
        "pickle": pickle,
        "x": T.tensor([1.0, 2.0, 3.0]),
        "i": T.tensor([1, 2, 3]),
        "s": T.tensor(3),
        "f": T.tensor(2.5),
        "b": T.tensor(True),
        "r": T.tensor([1.0, 2.0], requires_grad=True),
        "h": T.ones(2, dtype=T.bfloat16),
        "n": np.array([1.0, 2.0, 3.0]),
    }


def shown(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [shown(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return ["numpy", str(value.dtype), value.shape, value.tolist()]
    if hasattr(value, "requires_grad"):
        dtype = str(value.dtype).split(".")[1]
        return ["tensor", dtype, tuple(value.shape), value.requires_grad, value.tolist()]
    return value


def outcome(text: str, T: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return shown(eval(text, names(T)))
        except Exception as error:
            return type(error).__name__


LINES = [line for line in (PYTHON + NUMPY).split("\n") if line]


GOLDEN = Path(__file__).parent / "golden" / "protocols.json"  # `python tests/test_protocols.py`


@pytest.mark.parametrize("text", LINES)
def test_as_torch(text: str) -> None:
    assert repr(outcome(text, lg)) == json.loads(GOLDEN.read_text(encoding="utf-8"))[text]


@pytest.mark.torch
def test_the_record_is_torchs() -> None:
    torch: Any = pytest.importorskip("torch")
    recorded = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert recorded == {text: repr(outcome(text, torch)) for text in LINES}


def test_the_same_memory_or_an_error() -> None:
    x = lg.tensor([1.0, 2.0])
    assert np.asarray(x, copy=False).ctypes.data == x.data_ptr()
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.asarray(x, dtype=np.float64, copy=False)
    with pytest.raises(TypeError, match=r"BFloat16.*float\(\)"):
        lg.ones(2, dtype=lg.bfloat16).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.asarray(x), np.array(x), np.sin(x), x.numpy()


# -- copies and pickles -------------------------------------------------------------------------


class Marked(lg.Tensor):
    """A user's subclass."""


class FurtherMarked(Marked):
    pass


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(protocol: int) -> None:
    def back(value: Any) -> Any:
        return pickle.loads(pickle.dumps(value, protocol))

    a = lg.arange(6.0)
    whole, part, turned = back([a, a[2:], a.view(2, 3).t()])
    whole[2] = 9
    assert part.tolist() == [9, 3, 4, 5] and turned.tolist() == [[0, 3], [1, 4], [9, 5]]
    assert turned.stride() == (1, 3) and a.tolist() == [0, 1, 2, 3, 4, 5]
    p = lg.nn.Parameter(lg.ones(2))
    p.note = 3
    q = back(p)
    assert type(q) is lg.nn.Parameter and q.requires_grad and q.is_leaf and q.note == 3
    m = lg.ones(2).as_subclass(Marked)
    m.key = "k"
    m2 = back(m)
    assert type(m2) is Marked and m2.key == "k" and type(m2 + 1) is Marked


def test_deep_copies() -> None:
    a = lg.arange(6.0)
    whole, part = copy.deepcopy([a, a[2:]])
    whole[2] = 9
    assert part[0] == 9 and a[2] == 2
    x = lg.ones(2, requires_grad=True)
    x.note = [1]
    x.register_hook(lambda g: g * 100)
    (x * 3).sum().backward()
    y, g = copy.deepcopy([x, x.grad])
    g[0] = 7
    assert y.grad is g and y.note == [1] and y.note is not x.note and x.grad.tolist() == [300, 300]
    z = copy.deepcopy(x)
    z.grad = None
    z.sum().backward()
    assert z.grad.tolist() == [1, 1]  # hooks stay with the original
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)


def test_weak_references_and_identity() -> None:
    x = lg.ones(2)
    reference = weakref.ref(x)
    assert reference() is x
    del x
    gc.collect()
    assert reference() is None


OF_SUBCLASSES = """
lg.add(m, 1) | lg.add(p, m) | lg.mul(m, m)
 | lg.exp(m) | lg.sum(m) | lg.cat([p, m]) | lg.stack([m]) | lg.matmul(m, m)
lg.where(m > 0, m, p) | lg.softmax(m, 0) | lg.zeros_like(m) | lg.rand_like(m) | lg.split(m, 1)[0]
m.max(0)[0] | m.max(0).indices | lg.sort(m)[0] | m.T | m.mT | m.data | lg.nonzero(m) | m.chunk(2)[1]
p.add(m) | p.mul(other=m) | p.where(p > 0, m) | p.masked_fill(m > 0, 1) | p[m > 0] | p.mul_(m)
lg.add(p, other=m)
lg.nn.functional.relu(m) | lg.nn.functional.mse_loss(m, p) | lg.linalg.norm(m) | p + m | p @ m
"""


@pytest.mark.parametrize(
    "call", [c for c in OF_SUBCLASSES.replace("\n", "|").split("|") if c.strip()]
)
def test_results_are_of_the_subclass(call: str) -> None:
    names = {"lg": lg, "m": lg.ones(2, 2).as_subclass(Marked), "p": lg.ones(2, 2)}
    assert type(eval(call.strip(), names)) is Marked


def test_subclasses() -> None:
    m = lg.ones(2, 2).as_subclass(Marked)
    made = (m + 1, 1 + m, m[0], m.sum(), m.t(), m.detach(), m.clone(), m.unbind()[0], m.exp_())
    assert all(type(t) is Marked for t in made)
    assert type(lg.nn.Parameter(lg.ones(2)) * 2) is lg.Tensor
    p, further = lg.ones(2, 2), lg.ones(2, 2).as_subclass(FurtherMarked)
    assert type(m + further) is type(further + m) is type(lg.add(m, further)) is FurtherMarked
    p.mul_(m)
    assert type(p) is lg.Tensor  # what is written to stays what it was
    assert type(lg.tensor(m)) is lg.Tensor and type(lg.exp(lg.ones(2))) is lg.Tensor
    w = lg.ones(2, requires_grad=True)
    (w.as_subclass(Marked) * 3).sum().backward()
    assert w.grad.tolist() == [3, 3]


class Other(lg.Tensor):
    """A subclass that has nothing to do with `Marked`."""


def test_unrelated_subclasses_do_not_mix() -> None:
    m, o = (lg.ones(2).as_subclass(kind) for kind in (Marked, Other))
    for call in ("m + o", "lg.add(m, o)", "m.add_(o)", "lg.cat([m, o])", "m.mul(o)"):
        with pytest.raises(TypeError):
            eval(call, {"lg": lg, "m": m, "o": o})
    assert m.tolist() == [1, 1]


def test_gradients_of_a_subclass() -> None:
    x = lg.ones(2).as_subclass(Marked).requires_grad_()
    (g,) = lg.autograd.grad((x * x).sum(), x)
    assert type(g) is Marked and g.tolist() == [2, 2]
    w = lg.ones(2, requires_grad=True)
    assert type(lg.autograd.grad(w.as_subclass(Marked).sum(), w)[0]) is Marked
    (x * 3).sum().backward()
    assert type(x.grad) is lg.Tensor and x.grad.tolist() == [3, 3]


def test_parameters_of_a_subclass() -> None:
    p = lg.nn.Parameter(lg.ones(2).as_subclass(Marked))
    assert type(p) is Marked and isinstance(p, lg.nn.Parameter) and p.requires_grad and p.is_leaf
    module = lg.nn.Module()
    module.p = p
    assert next(iter(module.parameters())) is p
    assert isinstance(lg.nn.Parameter(lg.ones(2)), lg.nn.Parameter)
    assert not isinstance(lg.ones(2).as_subclass(Marked), lg.nn.Parameter)


def test_one_number_takes_a_format_and_tensors_their_identity() -> None:
    assert f"{lg.tensor(1.5):.3f} {lg.tensor(7):>3}" == "1.500   7"
    a, b = lg.ones(2), lg.ones(2)
    assert len({hash(a), hash(b)}) == 2 and {a: 1, b: 2}[a] == 1
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{a:.3f}"


if __name__ == "__main__":
    import torch

    made = {text: repr(outcome(text, torch)) for text in LINES}
    GOLDEN.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
