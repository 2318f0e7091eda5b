"""What may stand on the right of an assignment or beside a tensor, and what is made of it.

Each operation with each operand: numbers of Python and numpy, arrays, lists, other tensors. The
result's dtype and values, or the error's type, are PyTorch's. `python tests/test_operands.py`
records what PyTorch does: a line for each operation on a dtype, with its outcomes in the order of
`OPERANDS`.
"""

from __future__ import annotations

import gzip
import re
import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import on_device
import pytest

import lazygrad as lg
from lazygrad.config import config

GOLDEN = Path(__file__).parent / "golden" / "operands.txt.gz"

# dtypes that are not there: what PyTorch makes in these is not compared
ABSENT = re.compile(r"complex|uint16|uint32|uint64")
# a complex number is refused here, as all of them are
LEFT = {
    *((f"{dtype}: T.eq(x, v)", "2 + 1j") for dtype in ("float32", "int64", "bool", "uint8")),
    *((f"float32: T.clamp({limits})", "2 + 1j") for limits in ("x, v", "x, max=v", "x, 0, v")),
}

OPERANDS = """
2 + 1j | 2 | 2.5 | True | 0 | -1 | 300 | 10**12 | 2**63 | 2**70 | -1.5 | 1e300 | float("inf")
float("nan") | None | "a" | "2" | b"a" | [1, 2, 3] | [1.5] | [] | (1, 2, 3) | {1} | object()
Decimal("1.5") | Fraction(1, 2) | range(3) | Ellipsis | int | slice(2) | Index() | Floats()
np.float64(1.5) | np.float32(1.5) | np.float16(1.5) | np.int64(2) | np.int32(2) | np.int16(2)
np.int8(2) | np.uint8(2) | np.bool_(True) | np.complex64(1) | np.uint16(2) | np.uint32(2)
np.uint64(2) | np.str_("a") | np.datetime64("2020") | np.longdouble(1.5)
np.array([1.0, 2.0, 4.0]) | np.array([1, 2, 4]) | np.array([1, 2, 4], np.float32)
np.array([True, False, True]) | np.array(1.5) | np.array(2) | np.array([2.5]) | np.array([])
np.array(["a"]) | np.array([[1.0], [2.0]])
T.tensor(2) | T.tensor(1.5) | T.tensor(True) | T.tensor(1.5, dtype=T.float64) | T.tensor([2])
T.tensor([2.5]) | T.tensor([1, 2, 3], dtype=T.int32) | T.tensor([1.0, 2.0, 4.0], dtype=T.float64)
T.tensor([True, False, True]) | T.tensor([1.0, 2.0]) | T.tensor([1, 2, 3], dtype=T.uint8)
T.tensor([1, 2, 4]).half() | T.tensor([1.5, 2, 4]).bfloat16() | T.tensor([]) | T.ones(2, 3)
T.tensor([[2.0]]) | T.tensor(300) | T.tensor(1e300, dtype=T.float64)
"""
WRITES = """
x[0] = v | x[1:] = v | x[:] = v | x[...] = v | x[m] = v | x[x > 100] = v | x[i] = v | x[[0, 2]] = v
q[0] = v | q[:, 1] = v | q[0, 1] = v | q[m[:2]] = v | q[i[:2], 1] = v | q[:, m] = v | z[...] = v
x += v | x -= v | x *= v | x /= v | x //= v | x %= v | x **= v | x &= v | x|= v | x ^= v | x <<= v
x.fill_(v) | x.masked_fill_(m, v) | x.clamp_(v) | x.clamp_(max=v) | x.add_(v) | x.mul_(v)
"""
VALUES = """
x + v | v + x | x - v | v - x | x * v | v * x | x / v | v / x | x // v | v // x | x % v | v % x
x ** v | v ** x | x @ v | v @ x | x == v | v == x | x != v | x < v | v < x | x >= v | x & v | v & x
x|v | v|x | x ^ v | x << v | v << x | x >> v | v in x
T.where(m, x, v) | T.where(m, v, x) | T.cat([x, v]) | T.stack([x, v]) | T.clamp(x, v)
T.clamp(x, max=v) | T.clamp(x, 0, v) | x.masked_fill(m, v) | T.full((2,), v) | T.full_like(x, v)
x.new_full((2,), v) | T.as_tensor(v) | T.as_tensor(v, dtype=T.float64) | T.add(x, v) | T.eq(x, v)
T.full((2,), v, dtype=T.uint8) | T.pow(x, v) | T.pow(v, x) | T.div(x, v)
"""
DTYPES = ("float32", "int64", "bool", "uint8")


class Index:
    """What counts."""

    def __index__(self) -> int:
        return 2


class Floats:
    """What can be a float."""

    def __float__(self) -> float:
        return 1.5


def listed(text: str) -> list[str]:
    return [call.strip() for call in re.split(r" \| |\n", text) if call.strip()]


def outcome(T: Any, dtype: str, call: str, operand: str) -> str:
    kind = getattr(T, dtype)
    names = {"T": T, "np": np, "Decimal": Decimal, "Fraction": Fraction}
    names |= {"Index": Index, "Floats": Floats}
    names |= {"x": T.tensor([3, 1, 2]).to(kind), "q": T.tensor([[1, 2, 3], [4, 5, 6]]).to(kind)}
    names |= {
        "m": T.tensor([True, False, True]),
        "i": T.tensor([0, 2, 1]),
        "z": T.zeros(()).to(kind),
    }
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        names["v"] = eval(operand, names)
        try:
            if call in listed(WRITES):
                exec(call, names)
                return shown(T, [names[name] for name in "xqz"])
            return shown(T, eval(call, names))
        except Exception as error:
            names_of = (
                kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"
            )
            return next(names_of)  # numpy has types of its own


def shown(T: Any, value: Any) -> str:
    """Dtype and values of tensors; what is no tensor as it is."""
    if isinstance(value, list):
        return " ".join(shown(T, one) for one in value)
    if isinstance(value, T.Tensor):
        dtype = str(value.dtype).rpartition(".")[2]
        return f"{dtype}{list(value.shape)} " + figures(value.detach().reshape(-1).tolist())
    if isinstance(value, (np.ndarray, np.generic)):
        return f"numpy {value.dtype}{list(value.shape)} " + figures(value.reshape(-1).tolist())
    return str(value).rpartition(".")[2] if isinstance(value, T.dtype) else repr(value)


def figures(values: list[Any]) -> str:
    return ",".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)


def outcomes(T: Any, dtype: str) -> dict[str, dict[str, str]]:
    """What each operation on a dtype gives with each operand."""
    found = {}
    for call in (*listed(WRITES), *listed(VALUES)):
        if dtype == DTYPES[0] or re.search(r"\b[xqz]\b", call):
            found[f"{dtype}: {call}"] = {v: outcome(T, dtype, call, v) for v in listed(OPERANDS)}
    return found


def recorded(dtype: str) -> dict[str, dict[str, str]]:
    lines = gzip.decompress(GOLDEN.read_bytes()).decode().splitlines()
    rows = (line.split("\t") for line in lines if line.startswith(f"{dtype}: "))
    return {call: dict(zip(listed(OPERANDS), found, strict=True)) for call, *found in rows}


def differences(T: Any, dtype: str) -> dict[tuple[str, str], tuple[str, str]]:
    ours, theirs = outcomes(T, dtype), recorded(dtype)
    assert ours.keys() == theirs.keys()
    return {
        (call, v): (ours[call][v], wanted)
        for call, row in theirs.items()
        for v, wanted in row.items()
        if ours[call][v] != wanted
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_operands_are_taken_as_recorded(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "backend", "interp")  # a kernel for each would take long
    found = differences(lg, dtype)
    bad = {case: pair for case, pair in found.items() if not ABSENT.search(pair[1])}
    if on_device.name() != on_device.HOST:  # an array is on the host, and `==` needs one device
        apart = [case for case in bad if "==" in case[0] and "np.array(" in case[1]]
        assert {bad.pop(case)[0] for case in apart} == {"RuntimeError"}
    assert bad.keys() == {case for case in LEFT if case[0].startswith(f"{dtype}: ")}, bad


@pytest.mark.torch
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_record_is_pytorchs(dtype: str) -> None:
    assert differences(pytest.importorskip("torch"), dtype) == {}


def test_an_array_is_no_right_side() -> None:
    x = lg.zeros(3)
    for value, name in ((np.ones(3), "numpy.ndarray"), (np.float32(1), "numpy.float32")):
        with pytest.raises(TypeError, match=f"can't assign a {name} to a lazygrad.FloatTensor"):
            x[0] = value
    x[0], x[1] = np.float64(1.5), np.int8(2)
    assert x.tolist() == [1.5, 2.0, 0.0]


if __name__ == "__main__":
    import torch

    lines = [
        "\t".join((call, *row.values()))
        for dtype in DTYPES
        for call, row in outcomes(torch, dtype).items()
    ]
    GOLDEN.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


@pytest.mark.parametrize("dtype", [lg.bool, lg.uint8, lg.int16, lg.int64])
def test_a_weight_promotes_nothing(dtype: lg.dtype) -> None:
    x = lg.ones(3, dtype=dtype)
    with pytest.raises(NotImplementedError, match="lerp_kernel_scalar"):
        x.lerp_(x, 0.5)
