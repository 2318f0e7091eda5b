"""What tensors print as: PyTorch's own text, character for character."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from lazygrad.tensor import printing

nan, inf = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    yield
    printing.set_printoptions(profile="default")


def text(values: Any, dtype: str = "float32", **notes: Any) -> str:
    stored = np.asarray(values).astype("float32" if dtype == "bfloat16" else dtype)
    given: dict[str, Any] = {"device": "cpu", "requires_grad": False, "grad_fn": None} | notes
    return printing.tensor_text(stored, dtype=dtype, **given)


# Print options, values, dtype and what torch 2.13 prints for them.
VALUES: list[tuple[dict[str, Any], Any, str, str]] = [
    # 0-d
    ({}, 3.0, "float32", "tensor(3.)"),
    ({}, 2.5, "float32", "tensor(2.5000)"),
    ({}, -7, "int64", "tensor(-7)"),
    ({}, True, "bool", "tensor(True)"),
    ({}, nan, "float32", "tensor(nan)"),
    ({}, -0.0, "float32", "tensor(-0.)"),
    ({}, 1e10, "float32", "tensor(1.0000e+10)"),
    ({}, 0.5, "float64", "tensor(0.5000, dtype=lazygrad.float64)"),
    ({}, 3, "uint8", "tensor(3, dtype=lazygrad.uint8)"),
    ({}, 1e-5, "float32", "tensor(1.0000e-05)"),
    # integers and bools
    ({}, [1, 2, 3], "int64", "tensor([1, 2, 3])"),
    ({}, [1, -20, 300], "int64", "tensor([  1, -20, 300])"),
    ({}, [[1, 2], [3, 400]], "int64", "tensor([[  1,   2],\n        [  3, 400]])"),
    ({}, [-128, 127], "int8", "tensor([-128,  127], dtype=lazygrad.int8)"),
    ({}, [0, 255], "uint8", "tensor([  0, 255], dtype=lazygrad.uint8)"),
    ({}, [-5, 32767], "int16", "tensor([   -5, 32767], dtype=lazygrad.int16)"),
    ({}, [-2147483648], "int32", "tensor([-2147483648], dtype=lazygrad.int32)"),
    (
        {},
        [-9223372036854775808, 9223372036854775807],
        "int64",
        "tensor([-9223372036854775808,  9223372036854775807])",
    ),
    ({}, [True, False], "bool", "tensor([ True, False])"),
    ({}, [True, True], "bool", "tensor([True, True])"),
    ({}, [[False], [False]], "bool", "tensor([[False],\n        [False]])"),
    # floats with and without a fraction; zeros, infinities and NaNs do not decide the style
    ({}, [1.0, 2.0], "float32", "tensor([1., 2.])"),
    ({}, [1.5, -2.0], "float32", "tensor([ 1.5000, -2.0000])"),
    ({}, [0.1, 10.25, 100.0], "float32", "tensor([  0.1000,  10.2500, 100.0000])"),
    ({}, [0.0, -0.0], "float32", "tensor([0., -0.])"),
    ({}, [nan, 0.0], "float32", "tensor([nan, 0.])"),
    ({}, [1.0, nan], "float32", "tensor([1., nan])"),
    ({}, [1.0, -inf], "float32", "tensor([1., -inf])"),
    ({}, [100.0, inf, nan, -inf], "float32", "tensor([100.,  inf,  nan, -inf])"),
    (
        {},
        [1.5, inf, nan, -inf, -0.0],
        "float32",
        "tensor([1.5000,    inf,    nan,   -inf, -0.0000])",
    ),
    ({}, [-1.0, 1.0], "float32", "tensor([-1.,  1.])"),
    ({}, [0.99999], "float32", "tensor([1.0000])"),
    ({}, [9.99999, 1.0], "float32", "tensor([10.0000,  1.0000])"),
    # scientific: over 1e8, under 1e-4, or a ratio over 1000
    ({}, [1e8], "float32", "tensor([100000000.])"),
    ({}, [1.00000008e8], "float32", "tensor([1.0000e+08])"),
    ({}, [1.0, 1000.0], "float32", "tensor([   1., 1000.])"),
    ({}, [1.0, 1001.0], "float32", "tensor([1.0000e+00, 1.0010e+03])"),
    ({}, [0.5, 500.0], "float32", "tensor([  0.5000, 500.0000])"),
    ({}, [0.5, 501.0], "float32", "tensor([5.0000e-01, 5.0100e+02])"),
    ({}, [1e-4, 2e-4], "float64", "tensor([0.0001, 0.0002], dtype=lazygrad.float64)"),
    ({}, [9e-5, 2e-4], "float64", "tensor([9.0000e-05, 2.0000e-04], dtype=lazygrad.float64)"),
    ({}, [1e-4], "float32", "tensor([1.0000e-04])"),
    (
        {},
        [1e-5, 0.0, nan, -inf],
        "float32",
        "tensor([1.0000e-05, 0.0000e+00,        nan,       -inf])",
    ),
    ({}, [-1e-40, 3e38], "float32", "tensor([-9.9999e-41,  3.0000e+38])"),
    (
        {},
        [5e-324, 1.7e308],
        "float64",
        "tensor([4.9407e-324, 1.7000e+308], dtype=lazygrad.float64)",
    ),
    (
        {},
        [1e-100, -1e-100],
        "float64",
        "tensor([ 1.0000e-100, -1.0000e-100], dtype=lazygrad.float64)",
    ),
    # the other float types
    ({}, [65504.0, 1.0], "float16", "tensor([6.5504e+04, 1.0000e+00], dtype=lazygrad.float16)"),
    ({}, [0.1, 0.2], "float16", "tensor([0.1000, 0.2000], dtype=lazygrad.float16)"),
    ({}, [0.10009765625, 3.0], "bfloat16", "tensor([0.1001, 3.0000], dtype=lazygrad.bfloat16)"),
    ({}, [0.1, 1e-7], "float16", "tensor([9.9976e-02, 1.1921e-07], dtype=lazygrad.float16)"),
    ({}, [1.0, 2.0], "float64", "tensor([1., 2.], dtype=lazygrad.float64)"),
    ({}, [0.1, 0.2], "float64", "tensor([0.1000, 0.2000], dtype=lazygrad.float64)"),
    # more dimensions
    (
        {},
        [[1.5, 2.0], [-3.0, 4.0]],
        "float32",
        ("tensor([[ 1.5000,  2.0000],\n        [-3.0000,  4.0000]])"),
    ),
    ({}, [[[1, 2]], [[3, 4]]], "int64", "tensor([[[1, 2]],\n\n        [[3, 4]]])"),
    (
        {},
        [[[[1], [2]], [[3], [4]]]],
        "int64",
        ("tensor([[[[1],\n          [2]],\n\n         [[3],\n          [4]]]])"),
    ),
    ({}, [[[[[1.0]], [[2.0]]]]], "float32", "tensor([[[[[1.]],\n\n          [[2.]]]]])"),
    (
        {},
        [[[[[1]]]], [[[[2]]]]],
        "int32",
        ("tensor([[[[[1]]]],\n\n\n\n        [[[[2]]]]], dtype=lazygrad.int32)"),
    ),
    # empty: only the default float type goes without saying
    ({}, [], "float32", "tensor([])"),
    ({}, [], "int64", "tensor([], dtype=lazygrad.int64)"),
    ({}, [], "bool", "tensor([], dtype=lazygrad.bool)"),
    ({}, np.zeros((0, 3)), "float32", "tensor([], size=(0, 3))"),
    ({}, np.zeros((3, 0, 2)), "int32", "tensor([], size=(3, 0, 2), dtype=lazygrad.int32)"),
    ({"threshold": -1}, [], "float32", "tensor([])"),
    # options
    ({"precision": 2}, [1.005, 2.5], "float32", "tensor([1.00, 2.50])"),
    ({"precision": 0}, [1.5, 2.5], "float32", "tensor([2, 2])"),
    ({"precision": 8}, [0.1], "float32", "tensor([0.10000000])"),
    ({"precision": 1}, [1e-5, 1.0], "float32", "tensor([1.0e-05, 1.0e+00])"),
    ({"profile": "short"}, [1.005, 2.5], "float32", "tensor([1.00, 2.50])"),
    ({"profile": "short", "precision": 3}, [1.005, 2.5], "float32", "tensor([1.005, 2.500])"),
    ({"sci_mode": True}, [1.5, 200.0], "float32", "tensor([1.5000e+00, 2.0000e+02])"),
    (
        {"sci_mode": True},
        [1.0, 2.0, inf],
        "float32",
        "tensor([1.0000e+00, 2.0000e+00,        inf])",
    ),
    ({"sci_mode": True}, [0.0, nan], "float32", "tensor([0., nan])"),
    ({"sci_mode": False}, [1.5, 2e10], "float32", "tensor([          1.5000, 20000000000.0000])"),
    (
        {"sci_mode": False},
        [1.0, 2e10, nan],
        "float32",
        "tensor([          1., 20000000000.,          nan])",
    ),
    (
        {"sci_mode": False},
        [1e-9, 1.0],
        "float64",
        "tensor([0.0000, 1.0000], dtype=lazygrad.float64)",
    ),
    ({"sci_mode": True}, [1, 2], "int64", "tensor([1, 2])"),
    # summaries
    ({}, np.arange(1001), "int64", "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    ({}, np.arange(1001.0), "float32", "tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.])"),
    (
        {},
        np.arange(2000).reshape(2, 1000),
        "int64",
        (
            "tensor([[   0,    1,    2,  ...,  997,  998,  999],\n"
            "        [1000, 1001, 1002,  ..., 1997, 1998, 1999]])"
        ),
    ),
    (
        {},
        np.arange(2000).reshape(1000, 2),
        "int64",
        (
            "tensor([[   0,    1],\n"
            "        [   2,    3],\n"
            "        [   4,    5],\n"
            "        ...,\n"
            "        [1994, 1995],\n"
            "        [1996, 1997],\n"
            "        [1998, 1999]])"
        ),
    ),
    (
        {"threshold": 5, "edgeitems": 1},
        np.arange(24).reshape(4, 3, 2),
        "int64",
        (
            "tensor([[[ 0,  1],\n"
            "         ...,\n"
            "         [ 4,  5]],\n"
            "\n"
            "        ...,\n"
            "\n"
            "        [[18, 19],\n"
            "         ...,\n"
            "         [22, 23]]])"
        ),
    ),
    ({"threshold": 5}, np.arange(6.0), "float32", "tensor([0., 1., 2., 3., 4., 5.])"),
    ({"threshold": 5}, np.arange(7.0), "float32", "tensor([0., 1., 2.,  ..., 4., 5., 6.])"),
    ({"edgeitems": 2, "threshold": 3}, [1, 2, 30000, 4, 5], "int64", "tensor([1, 2,  ..., 4, 5])"),
    ({"edgeitems": 1, "threshold": 2}, [0.0, 1.5, 0.0], "float32", "tensor([0.,  ..., 0.])"),
    (
        {"edgeitems": 1, "threshold": 0},
        [[1, 2], [3, 4], [5, 6]],
        "int64",
        ("tensor([[1, 2],\n        ...,\n        [5, 6]])"),
    ),
    (
        {"edgeitems": 1, "threshold": 0},
        [[1, 2, 3]] * 3,
        "int64",
        ("tensor([[1,  ..., 3],\n        ...,\n        [1,  ..., 3]])"),
    ),
    ({"threshold": 0}, 4.5, "float32", "tensor(4.5000)"),
    ({"edgeitems": 0, "threshold": 0}, [1.0, 2.0], "float32", "tensor([...], size=(2,))"),
    ({"edgeitems": 0}, [[1.0, 2.0]], "float32", "tensor([[1., 2.]], size=(1, 2))"),
    (
        {"edgeitems": 0, "threshold": 0},
        [[1, 2]],
        "int32",
        "tensor([...], size=(1, 2), dtype=lazygrad.int32)",
    ),
    (
        {"profile": "short", "threshold": 3},
        [1.0, 2.0, 3.0, 4.0, 5.0],
        "float32",
        "tensor([1., 2.,  ..., 4., 5.])",
    ),
    # long rows
    (
        {},
        np.arange(30),
        "int64",
        (
            "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
            "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])"
        ),
    ),
    (
        {},
        np.arange(20.0) / 2 + 1,
        "float32",
        (
            "tensor([ 1.0000,  1.5000,  2.0000,  2.5000,  3.0000,  3.5000,  4.0000,  4.5000,\n"
            "         5.0000,  5.5000,  6.0000,  6.5000,  7.0000,  7.5000,  8.0000,  8.5000,\n"
            "         9.0000,  9.5000, 10.0000, 10.5000])"
        ),
    ),
    ({"linewidth": 30}, np.arange(10), "int64", "tensor([0, 1, 2, 3, 4, 5, 6,\n        7, 8, 9])"),
    (
        {"linewidth": 30},
        -np.arange(12).reshape(2, 6),
        "int64",
        (
            "tensor([[  0,  -1,  -2,  -3,\n"
            "          -4,  -5],\n"
            "        [ -6,  -7,  -8,  -9,\n"
            "         -10, -11]])"
        ),
    ),
    ({"linewidth": 1}, [1, 2], "int64", "tensor([1,\n        2])"),
    (
        {"linewidth": 40, "threshold": 10, "edgeitems": 5},
        np.arange(1000),
        "int64",
        ("tensor([  0,   1,   2,   3,   4,  ...,\n        995, 996, 997, 998, 999])"),
    ),
    (
        {"linewidth": 20},
        [[True, False, True]],
        "bool",
        ("tensor([[ True,\n         False,\n          True]])"),
    ),
]


@pytest.mark.parametrize(("options", "values", "dtype", "expected"), VALUES)
def test_values(options: dict[str, Any], values: Any, dtype: str, expected: str) -> None:
    printing.set_printoptions(**options)
    assert text(values, dtype) == expected


HALVES_9 = "tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000"
GRAD = {"requires_grad": True, "grad_fn": "MulBackward0"}

# Line width, values, dtype, notes and what torch 2.13 prints for them.
NOTES: list[tuple[int, Any, str, dict[str, Any], str]] = [
    (80, [1, 1], "float32", {"requires_grad": True}, "tensor([1., 1.], requires_grad=True)"),
    (80, 1, "float32", {"grad_fn": "MeanBackward0"}, "tensor(1., grad_fn=<MeanBackward0>)"),
    (80, 2.5, "float32", {"device": "cuda:0"}, "tensor(2.5000, device='cuda:0')"),
    (80, [1], "int32", {"device": "cuda:1"}, "tensor([1], device='cuda:1', dtype=lazygrad.int32)"),
    (
        80,
        np.zeros((0, 3)),
        "float64",
        {"device": "cuda:0", "requires_grad": True},
        "tensor([], device='cuda:0', size=(0, 3), dtype=lazygrad.float64,\n"
        "       requires_grad=True)",
    ),
    (
        40,
        np.ones((2, 3)),
        "float64",
        GRAD,
        "tensor([[1., 1., 1.],\n        [1., 1., 1.]],\n"
        "       dtype=lazygrad.float64,\n       grad_fn=<MulBackward0>)",
    ),
    (
        50,
        np.ones((2, 3)),
        "float64",
        GRAD,
        "tensor([[1., 1., 1.],\n        [1., 1., 1.]], dtype=lazygrad.float64,\n"
        "       grad_fn=<MulBackward0>)",
    ),
    (80, [0.5] * 9, "float32", GRAD, HALVES_9 + "],\n       grad_fn=<MulBackward0>)"),
    (80, [0.5] * 10, "float32", GRAD, HALVES_9 + ",\n        0.5000], grad_fn=<MulBackward0>)"),
    # The narrowest line that a note after the values does not, and does, fit on.
    (32, [1], "float32", {"requires_grad": True}, "tensor([1.],\n       requires_grad=True)"),
    (33, [1], "float32", {"requires_grad": True}, "tensor([1.], requires_grad=True)"),
    (
        33,
        [1],
        "float64",
        GRAD,
        "tensor([1.],\n       dtype=lazygrad.float64,\n       grad_fn=<MulBackward0>)",
    ),
    (
        34,
        [1],
        "float64",
        GRAD,
        "tensor([1.], dtype=lazygrad.float64,\n       grad_fn=<MulBackward0>)",
    ),
    # The same for a note after one that starts a line.
    (
        49,
        [1] * 8,
        "float64",
        GRAD,
        "tensor([1., 1., 1., 1., 1., 1., 1., 1.],\n"
        "       dtype=lazygrad.float64,\n"
        "       grad_fn=<MulBackward0>)",
    ),
    (
        50,
        [1] * 8,
        "float64",
        GRAD,
        "tensor([1., 1., 1., 1., 1., 1., 1., 1.],\n"
        "       dtype=lazygrad.float64, grad_fn=<MulBackward0>)",
    ),
]


@pytest.mark.parametrize(("linewidth", "values", "dtype", "notes", "expected"), NOTES)
def test_notes(
    linewidth: int, values: Any, dtype: str, notes: dict[str, Any], expected: str
) -> None:
    printing.set_printoptions(linewidth=linewidth)
    assert text(values, dtype, **notes) == expected


def test_lines_break_where_they_would_with_the_shorter_module_name() -> None:
    printing.set_printoptions(linewidth=34)
    plain = text([1], "float64")
    assert plain == "tensor([1.], dtype=lazygrad.float64)"
    assert text([1], "float64", module="torch") == plain.replace("lazygrad", "torch")
    printing.set_printoptions(linewidth=33)
    assert text([1], "float64") == "tensor([1.],\n       dtype=lazygrad.float64)"


def test_only_the_default_float_dtype_is_left_unnamed() -> None:
    assert text([1], "float64", default_dtype="float64") == "tensor([1.])"
    assert text([1], "float32", default_dtype="float64") == "tensor([1.], dtype=lazygrad.float32)"
    assert text([], "float64", default_dtype="float64") == "tensor([])"
    assert text([], "float32", default_dtype="float64") == "tensor([], dtype=lazygrad.float32)"


def test_the_prefix_sets_the_indent() -> None:
    printing.set_printoptions(linewidth=12)
    assert text([[1, 2], [3, 4]], "int64", prefix="T(") == "T([[1, 2],\n   [3, 4]])"
    assert text([1, 2, 3, 4], "int64", prefix="T(") == "T([1, 2, 3,\n   4])"


def test_a_summary_looks_only_at_what_it_shows() -> None:
    values = np.zeros(2000)
    values[1000] = -1.5e20
    assert text(values) == "tensor([0., 0., 0.,  ..., 0., 0., 0.])"
    values[-1] = 1.5
    assert text(values) == "tensor([0.0000, 0.0000, 0.0000,  ..., 0.0000, 0.0000, 1.5000])"


def test_each_call_sets_what_it_names_and_sci_mode() -> None:
    printing.set_printoptions(precision=2, linewidth=60, sci_mode=True)
    assert printing.get_printoptions() == printing.PrintOptions(2, 1000, 3, 60, True)
    printing.set_printoptions(edgeitems=5)
    assert printing.get_printoptions() == printing.PrintOptions(2, 1000, 5, 60, None)
    printing.set_printoptions(profile="short", linewidth=100)
    assert printing.get_printoptions() == printing.PrintOptions(2, 1000, 2, 100, None)
    printing.set_printoptions(profile="full")
    assert printing.get_printoptions() == printing.PrintOptions(4, inf, 3, 80, None)
    printing.set_printoptions(profile="default")
    assert printing.get_printoptions() == printing.PrintOptions()


def test_needs_summary_above_the_threshold() -> None:
    assert not printing.needs_summary(1000)
    assert printing.needs_summary(1001)
    printing.set_printoptions(profile="full")
    assert not printing.needs_summary(10**12)


@contextmanager
def torch_printoptions(torch: Any, options: dict[str, Any]) -> Iterator[None]:
    torch.set_printoptions(**options)
    try:
        yield
    finally:
        torch.set_printoptions(profile="default")


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


def random_values(rng: np.random.Generator, dtype: str) -> np.ndarray:
    shape = tuple(rng.integers(0 if rng.random() < 0.1 else 1, 6, size=int(rng.integers(0, 6))))
    if dtype == "bool":
        return rng.random(shape) < rng.random()
    if dtype.startswith(("int", "uint")):
        info = np.iinfo(dtype)
        low, high = (10 ** int(digits) for digits in rng.integers(0, 10, size=2))
        limits = max(-low, int(info.min)), min(high, int(info.max))
        return rng.integers(*limits, size=shape, endpoint=True).astype(dtype)
    values = rng.standard_normal(shape) * 10.0 ** rng.integers(-7, 10)
    values = values * 10.0 ** rng.integers(0, rng.choice([1, 4]), size=shape)
    if rng.random() < 0.4:
        values = np.ceil(values)
    if rng.random() < 0.4:
        odd = rng.choice([nan, inf, -inf, 0.0, -0.0], size=shape)
        values = np.where(rng.random(shape) < rng.random(), odd, values)
    return np.asarray(values)


def test_random_values_against_torch() -> None:
    torch = pytest.importorskip("torch")
    rng, choose = np.random.default_rng(0), random.Random(0)
    for _ in range(1500):
        options: dict[str, Any] = {
            "profile": choose.choice(["default", "short", "full"]),
            "precision": choose.choice([None, None, 0, 1, 7]),
            "threshold": choose.choice([None, None, 0, 10, 50]),
            "edgeitems": choose.choice([None, None, 0, 1, 2]),
            "linewidth": choose.choice([None, None, 20, 40, 100]),
            "sci_mode": choose.choice([None, None, True, False]),
        }
        printing.set_printoptions(**options)
        dtype = choose.choice(DTYPES)
        tensor = torch.tensor(random_values(rng, dtype)).to(getattr(torch, dtype))
        if tensor.is_floating_point() and choose.random() < 0.3:
            tensor.requires_grad_()
            if choose.random() < 0.5:
                tensor = tensor * 1
        with torch_printoptions(torch, options):
            expected = repr(tensor).replace("torch.", "lazygrad.")
        plain = tensor.detach()
        shown = text(
            (plain.float() if dtype == "bfloat16" else plain).numpy(),
            dtype,
            requires_grad=tensor.requires_grad,
            grad_fn=None if tensor.grad_fn is None else tensor.grad_fn.name(),
        )
        assert shown == expected, options
