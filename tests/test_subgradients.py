"""Gradients where a function has none, or several: at ties, at zeros, of NaN and infinities.

Each call's value and gradients are PyTorch's, with the choices that PyTorch makes.
`python tests/test_subgradients.py` records them.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

GOLDEN = Path(__file__).parent / "golden" / "subgradients.json"
nan, INF = math.nan, math.inf

TIES = """
x.max() | x.min() | x.amax() | x.amin(1) | x.max(1)[0] | x.min(0)[0] | T.aminmax(x).max
T.aminmax(x, dim=1).min | x.median() | x.nanmedian() | x.median(1)[0] | x.mode(1)[0]
x.sort(1)[0] * w | x.topk(2, 1)[0] * w[:, :2] | x.cummax(1)[0] * w | x.cummin(1)[0] * w
x.sort(1, descending=True)[0] * w | x.amax((0, 1)) | x.softmax(1).max(1)[0]
T.maximum(x, y) | T.minimum(x, y) | T.fmax(x, y) | T.fmin(x, y) | x.clamp(0, 1)
x.clamp(y, y + 1) | x.clamp(min=1) | x.clamp_max(1) | T.clamp(x, 1, 1) | x.abs() | x.sign()
F.relu(x) | F.relu6(x * 6) | F.leaky_relu(x) | F.elu(x) | F.celu(x) | F.selu(x) | F.hardtanh(x)
F.hardsigmoid(x * 3) | F.hardswish(x * 3) | F.hardshrink(x, 1.0) | F.softshrink(x, 1.0)
F.threshold(x, 1.0, 5.0) | F.threshold(x, 0.0, 5.0) | F.softsign(x) | F.prelu(x, y[0, :1])
F.softplus(x, threshold=1.0) | F.logsigmoid(x) | F.l1_loss(x, y) | F.smooth_l1_loss(x, y)
F.smooth_l1_loss(x, y, beta=0.0) | F.huber_loss(x, y) | F.smooth_l1_loss(x, y + 1)
F.huber_loss(x, y + 1) | x.norm() | (x * 0).norm() | (x * 0).norm(1) | x.norm(1)
x.norm(math.inf) | x.norm(-math.inf) | x.norm(0) | T.linalg.vector_norm(x, math.inf, 1)
T.cdist(x, x) | T.cdist(x, x, p=1) | T.dist(x, x) | F.pairwise_distance(x, x)
F.cosine_similarity(x * 0, y) | F.normalize(x * 0) | x.prod() | (x * 0).prod(1) | x.prod(1)
x.cumprod(1) | x.sqrt() | T.hypot(x * 0, y * 0) | x.pow(0) | x.pow(y * 0) | (x * 0).pow(2)
(x * 0).pow(0.5) | (x * 0).pow(y) | T.pow(0.0, x) | x.frac() | x.floor() | x.round() | x.trunc()
T.fmod(x, y + 2) | T.remainder(x, y + 2) | T.nan_to_num(x / 0) | T.logaddexp(x, x)
T.logsumexp(x - math.inf, 1) | T.logcumsumexp(x, 1) | x.std(1) | (x * 0).std(1) | (x * 0).var(1)
T.sinc(x * 0) | T.where(x > 0, x.sqrt(), x * 0) | T.lerp(x, y, 1.0) | T.asin(x) | T.acos(x)
T.acosh(x) | T.atanh(x) | T.log(x) | T.rsqrt(x.abs()) | T.renorm(x, 2, 0, 1.0)
F.max_pool1d(x[None], 2, 1) | F.max_pool2d(x[None], 2, 1) | F.adaptive_max_pool1d(x[None], 2)
F.max_pool1d(x[None] * 0, 2, 1) | T.scatter_reduce(x, 1, i, y, "amax")
T.scatter_reduce(x, 1, i, x, "amin") | T.scatter_reduce(x, 1, i, x * 0, "prod")
T.scatter_reduce(x, 1, i, y, "mean") | F.cross_entropy(x, i[:, 0]) | T.quantile(x, 0.5)
F.binary_cross_entropy_with_logits(x * 0, y.clamp(0, 1)) | F.interpolate(x[None], size=3)
T.quantile(x, 0.5, 1) | F.gelu(x * 0) | F.mish(x * 0) | F.silu(x * 0) | F.rms_norm(x * 0, (3,))
F.layer_norm(x * 0, (3,)) | F.group_norm(x[None] * 0, 1) | T.linalg.matrix_norm(x, 1)
F.batch_norm(x * 0, None, None, None, None, True) | T.linalg.matrix_norm(x, math.inf)
T.linalg.matrix_norm(x * 0) | (x * 0).norm(3) | (x * 0).norm(0.5) | T.atan2(x * 0, y * 0)
T.copysign(x, y) | T.copysign(x * 0, y) | T.logit(x.clamp(0, 1)) | T.xlogy(x * 0, y.detach())
T.xlogy(x, y.detach()) | T.logit(x.clamp(0, 1), 0.1) | T.xlogy(x, y) | T.xlogy(y, x) | T.logit(x)
F.kl_div(x, y) | F.kl_div(y, x.clamp(0, 1)) | F.kl_div(x, y, log_target=True)
F.binary_cross_entropy(x.clamp(0, 1), y.detach().clamp(0, 1))
F.binary_cross_entropy(x.clamp(0, 1), y.detach().clamp(0, 1), w)
T.linalg.vector_norm(x * 0, -2) | T.linalg.vector_norm(x, -2) | T.hypot(x, y)
"""
INFINITE = """
F.smooth_l1_loss(x, y) | F.huber_loss(x, y) | F.hardswish(x) | F.l1_loss(x, y) | F.relu(x)
F.softplus(x) | T.sigmoid(x) | T.logsumexp(x, 1) | F.softmax(x, 1) | x.max() | x.amax(1)
x.clamp(0, 1) | T.logit(x.clamp(0, 1)) | F.gelu(x) | F.elu(x) | F.silu(x) | x.norm(math.inf)
T.copysign(x, y) | T.copysign(y, x) | T.xlogy(x, y) | T.xlogy(y, x) | T.hypot(x, y) | x.norm(0.5)
T.linalg.vector_norm(x, -2) | T.hypot(x, x) | x.prod() | T.logaddexp(x, y) | T.logit(x, 0.1)
"""
MISSING = """
T.fmax(x, y) | x.median() | x.nanmedian() | x.nansum() | x.nanmean() | x.max(1)[0] | x.cummax(1)[0]
F.max_pool1d(x[None], 2, 1) | F.max_pool2d(x[None], 2, 1) | F.relu(x) | T.where(x > 0, x, x * 0)
T.heaviside(x, y).detach() * x | F.smooth_l1_loss(x, y) | F.huber_loss(x, y + 1) | x.sort(1)[0] * w
T.nan_to_num(x) | x.clamp(0, 1) | F.leaky_relu(x) | x.masked_fill(x.isnan(), 0.0)
F.elu(x) | F.elu(x, 2.0) | F.celu(x) | F.celu(x, 0.5) | F.selu(x) | F.hardsigmoid(x)
F.hardsigmoid(x * 3) | F.softshrink(x) | F.softshrink(x, 1.0) | F.prelu(x, y[0, :1])
F.prelu(x, y[0]) | F.prelu(x, x[0]) | F.hardswish(x) | F.hardshrink(x) | F.hardtanh(x) | F.relu6(x)
F.threshold(x, 0.0, 1.0) | F.kl_div(x, y.clamp(0, 1)) | F.kl_div(y, x.clamp(0, 1)) | T.logit(x)
T.copysign(x, y) | T.copysign(y, x) | y.clamp(x) | y.clamp(max=x) | y.clamp(x, x + 1) | x.norm(0.5)
T.logit(x, 0.1) | T.linalg.vector_norm(x, -2) | T.hypot(x, y) | F.cosine_similarity(x, y) | x.norm()
T.logaddexp(x, y) | T.xlogy(x, y) | T.xlogy(y, x) | x.prod() | x.norm(1) | x.amax(1)
"""
BESIDE = """
x.max() | x.min() | x.amax() | x.amin() | T.aminmax(x).max | x.mode(1)[0] | x.mode(0)[0]
T.linalg.vector_norm(x, math.inf) | T.linalg.vector_norm(x, -math.inf) | x.norm(math.inf, 1)
T.linalg.vector_norm(x, -math.inf, 1) | T.linalg.norm(x[0], math.inf) | T.dist(x, y, math.inf)
F.pairwise_distance(x, y, math.inf) | T.clamp(x, y, y) | T.clamp(y, x, x) | y.clamp(x, x + 1)
T.clamp(x, y + 1, y) | T.clamp(y, x + 1, x) | x.clamp(y, y + 1) | T.renorm(x, 2, 0, 1.0)
T.renorm(x, 1, 0, 1.0) | T.renorm(x, 3, 1, 1.0) | T.renorm(x, math.inf, 0, 1.0) | x.nanmean(1)
T.cdist(x, x, p=1) | T.cdist(x, y, p=1) | T.cdist(x, y, p=math.inf) | T.cdist(x, y, p=0)
F.adaptive_max_pool1d(x[None], 1) | F.adaptive_max_pool1d(x[None], 2) | T.logaddexp(x, x)
F.adaptive_max_pool2d(x[None], 2) | F.adaptive_max_pool3d(x[None, None], (1, 2, 2))
T.logaddexp2(x, x) | x.pow(-0.5) | x.rsqrt() | x.nansum(1) * w[0] * math.inf | T.logaddexp(x, y)
"""
SETS = {
    "ties": (TIES, [[1.0, 1.0, 0.0], [0.0, -0.0, 0.0], [2.0, -1.0, 2.0]]),
    "infinite": (INFINITE, [[1.0, INF, INF], [-INF, -INF, 0], [INF, -INF, 1.0]]),
    "missing": (MISSING, [[1.0, nan, 0.0], [nan, nan, 1.0], [2.0, 1.0, nan]]),
    "mixed": (BESIDE, [[nan, INF, -0.0], [-INF, nan, nan], [INF, -0.0, 2.0]]),
    "nans": (BESIDE, [[nan, nan, nan], [nan, 1.0, INF], [nan, -INF, 0.5]]),
    "infinities": (BESIDE, [[INF, INF, INF], [-INF, -INF, -INF], [0.0, -0.0, INF]]),
    "zeros": (BESIDE, [[0.0, -0.0, 0.0], [-0.0, -0.0, 1.0], [-0.0, 0.0, -1.0]]),
}


def cases(text: str) -> list[str]:
    return [call.strip() for call in re.split(r"[|\n]", text) if call.strip()]


def found(T: Any, call: str, data: Any) -> list[Any]:
    """The value of a call, and the gradients of x and y."""
    x = T.tensor(data, requires_grad=True)
    y = T.tensor([[1.0, 0.0, 1.0], [0.0, -0.0, 1.0], [2.0, 1.0, -1.0]], requires_grad=True)
    w, i = T.tensor([[1.0, 2.0, 3.0]] * 3), T.tensor([[0, 0, 1], [1, 1, 1], [2, 0, 2]])
    out = eval(call, {"T": T, "F": T.nn.functional, "math": math, **locals()})
    out.sum().backward()
    grads = [None if t.grad is None else np.array(t.grad.tolist()) for t in (x, y)]
    return [np.array(out.tolist()), *grads]


def plain(values: list[Any]) -> list[Any]:
    return [None if v is None else v.tolist() for v in values]


def wrong(T: Any, name: str) -> list[str]:
    """The calls of a set that give other values or gradients than the record has."""
    calls, data = SETS[name]
    record = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    assert cases(calls) == list(record)
    bad = []
    for call, wanted in record.items():
        for ours, theirs in zip(found(T, call, data), wanted, strict=True):
            same = (ours is None) == (theirs is None)
            if not same or (
                ours is not None
                and not np.allclose(ours, np.array(theirs), 1e-4, 1e-5, equal_nan=True)
            ):
                bad.append(call)
    return bad


@pytest.mark.parametrize("name", list(SETS))
def test_values_and_gradients_are_those_recorded(name: str) -> None:
    assert wrong(lg, name) == []


@pytest.mark.torch
@pytest.mark.parametrize("name", list(SETS))
def test_the_record_is_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    # with AVX-512 PyTorch's gelu is NaN at inf
    other = {"F.gelu(x)"} if torch.backends.cpu.get_cpu_capability() == "AVX512" else set()
    assert set(wrong(torch, name)) <= other


def test_what_has_no_derivative_says_so() -> None:
    x = lg.tensor([1.0, 1.0], requires_grad=True)
    for call in (x.unique, x.unique_consecutive, lambda: x.unique(dim=0)):
        with pytest.raises(NotImplementedError, match=r"derivative for '.*unique"):
            call().sum().backward()


@pytest.mark.torch
@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_quantiles_and_their_gradients_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    nan = float("nan")
    data = [[3.0, 1.0, 2.0, nan], [4.0, 0.5, 2.5, 7.0], [nan] * 4]

    def found(T: Any, q: Any, dim: Any, keepdim: bool, between: str) -> Any:
        x = T.tensor(data, requires_grad=True)
        share = T.tensor(q) if isinstance(q, list) else q
        made = getattr(T, name)(x, share, dim, keepdim, interpolation=between)
        made.nansum().backward()
        return repr((tuple(made.shape), made.tolist(), x.grad.tolist()))

    for q in (0.0, 0.3, 1.0, [0.1, 0.5]):
        for dim in (None, 0, -1):
            for between in ("linear", "lower", "higher", "midpoint", "nearest"):
                case = (q, dim, dim == 0, between)
                assert found(lg, *case) == found(torch, *case), case


if __name__ == "__main__":
    import torch

    made = {
        name: {call: plain(found(torch, call, data)) for call in cases(calls)}
        for name, (calls, data) in SETS.items()
    }
    lines = [
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"{json.dumps(call)}: {json.dumps(value)}" for call, value in rows.items())
        + "\n}"
        for name, rows in made.items()
    ]
    GOLDEN.write_text("{" + ",\n".join(lines) + "}\n", "utf-8")
