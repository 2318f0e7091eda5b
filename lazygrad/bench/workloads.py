"""What is measured: inputs, least traffic and work, and the goal, as data.

Owns: the list of workloads. Must not know: any library, nor how time is taken. Bytes and flops are
those that no implementation can avoid: each input read once, each output written once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]
F4 = 4


@dataclass(frozen=True)
class Workload:
    """One computation.

    `make(rng, **shape)` gives the inputs in float32 or int64; `compute` names the function of
    `arrays` and `torchlike`; `leaves` is how many of the inputs, from the first, are parameters.
    `goals` are the least ratios of the best peer's time to ours, at one thread and at all;
    `limit` names the machine's limit that bounds it (read, triad, fma, or "") and `fraction` the
    part of it to be reached. `other` is a shape never seen before, for the first call of a new
    shape.
    """

    name: str
    compute: str
    title: str
    make: Callable[..., Arrays]
    bytes: int = 0
    flops: int = 0
    tolerance: float = 1e-5
    goals: tuple[float, float] = (1.0, 1.0)
    limit: str = ""
    fraction: float = 0.0
    kind: str = "value"  # value: arrays; gradient: loss and gradients; step: losses; random
    leaves: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)


def _normal(*shapes: tuple[int, ...]) -> Callable[..., Arrays]:
    def make(rng: np.random.Generator) -> Arrays:
        return tuple(rng.normal(size=s).astype(np.float32) for s in shapes)

    return make


def _vectors(count: int) -> Callable[..., Arrays]:
    def make(rng: np.random.Generator, n: int = 0) -> Arrays:
        return tuple(rng.normal(size=n).astype(np.float32) for _ in range(count))

    return make


def _sized(make: Callable[..., Arrays], **shape: Any) -> Callable[..., Arrays]:
    def sized(rng: np.random.Generator, **other: Any) -> Arrays:
        return make(rng, **(shape | other))

    return sized


def _rows(rng: np.random.Generator, rows: int = 4096, columns: int = 1024) -> Arrays:
    return (rng.normal(size=(rows, columns)).astype(np.float32),)


def _layer_norm(rng: np.random.Generator, rows: int = 4096, columns: int = 1024) -> Arrays:
    (x,) = _rows(rng, rows, columns)
    return x, *(rng.normal(size=columns).astype(np.float32) for _ in range(2))


def _uniform(*shapes: tuple[int, ...]) -> Callable[..., Arrays]:
    def make(rng: np.random.Generator) -> Arrays:
        return tuple(rng.random(size=s, dtype=np.float32) for s in shapes)

    return make


def _options(rng: np.random.Generator) -> Arrays:
    n = 4_000_000
    spot = rng.uniform(10, 50, n)
    strike = rng.uniform(10, 50, n)
    years = rng.uniform(1, 2, n)
    return tuple(a.astype(np.float32) for a in (spot, strike, years))


def _gather(rng: np.random.Generator) -> Arrays:
    values = rng.normal(size=8_000_000).astype(np.float32)
    return values, rng.integers(0, len(values), 1_000_000)


def _embedding(rng: np.random.Generator) -> Arrays:
    table = rng.normal(size=(50_000, 256)).astype(np.float32)
    return table, rng.integers(0, len(table), 39_000)


def _gemm(n: int) -> Callable[..., Arrays]:
    def make(rng: np.random.Generator) -> Arrays:
        x, w = (rng.normal(size=(n, n)).astype(np.float32) / np.float32(n**0.25) for _ in range(2))
        return x, w, rng.normal(size=n).astype(np.float32)

    return make


def _mlp(
    rng: np.random.Generator,
    batch: int = 256,
    widths: tuple[int, ...] = (784, 512, 512, 10),
) -> Arrays:
    parameters: list[np.ndarray] = []
    for n, m in pairwise(widths):
        parameters.append((rng.normal(size=(n, m)) / n**0.5).astype(np.float32))
        parameters.append((rng.normal(size=m) * 0.1).astype(np.float32))
    x = rng.normal(size=(batch, widths[0])).astype(np.float32)
    return (*parameters, x, rng.integers(0, widths[-1], batch))


def _convnet(rng: np.random.Generator, batch: int = 64) -> Arrays:
    shapes = ((32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (64 * 12 * 12, 10), (10,))
    parameters = [
        (rng.normal(size=s) / max(np.prod(s) / (s[-1] if len(s) == 2 else s[0]), 100) ** 0.5)
        for s in shapes
    ]
    x = rng.normal(size=(batch, 1, 28, 28))
    return (*(p.astype(np.float32) for p in (*parameters, x)), rng.integers(0, 10, batch))


def _block(rng: np.random.Generator, batch: int = 4, tokens: int = 256, width: int = 384) -> Arrays:
    d = width
    shapes = ((d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,), (d,), (d,), (d, 4 * d), (4 * d,),
              (4 * d, d), (d,))  # fmt: skip
    parameters = []
    for number, s in enumerate(shapes):
        p = rng.normal(size=s) / (s[0] ** 0.5 if len(s) == 2 else 10)
        parameters.append(p + 1 if number in (0, 6) else p)
    x = rng.normal(size=(batch, tokens, d))
    return tuple(p.astype(np.float32) for p in (*parameters, x))


def _mlp_flops(batch: int, widths: tuple[int, ...]) -> int:
    """Forward, and both products of backward; the first layer's input needs no gradient."""
    products = [batch * n * m for n, m in pairwise(widths)]
    return 2 * (3 * sum(products) - products[0])


_MLP = _mlp_flops(256, (784, 512, 512, 10))
_CONV_OUT = ((26 * 26 * 32 * 9), (24 * 24 * 64 * 32 * 9), (64 * 12 * 12 * 10))
_CONVNET = 2 * 64 * (3 * sum(_CONV_OUT) - _CONV_OUT[0])
_TOKENS, _WIDTH = 4 * 256, 384
_BLOCK = 6 * _TOKENS * (12 * _WIDTH**2) + 6 * 2 * _TOKENS * 256 * _WIDTH // 2  # causal: half
_BIG = 4096 * 4096 * F4
_ROWS = 4096 * 1024 * F4
_CHAIN = "tanh(a*b+c)*sigmoid(a)-exp(-b*b)"
_SMALL = (16, 32, 10)

WORKLOADS: dict[str, Workload] = {
    w.name: w
    for w in (
        Workload("ew_1e3", "chain", f"{_CHAIN}, 1e3", _sized(_vectors(3), n=1_000),
                 16_000, 0, 1e-5, (1.5, 1.5)),
        Workload("ew_1e5", "chain", f"{_CHAIN}, 1e5", _sized(_vectors(3), n=100_000),
                 1_600_000, 0, 1e-5, (1.3, 1.3), other={"n": 70_000}),
        Workload("ew_1e7", "chain", f"{_CHAIN}, 1e7", _sized(_vectors(3), n=10_000_000),
                 160_000_000, 0, 1e-5, (1.8, 1.8), "c", 0.9),
        Workload("axpy_1e7", "axpy", "a*2+b-c/3, 1e7", _sized(_vectors(3), n=10_000_000),
                 160_000_000, 0, 1e-5, (1.2, 1.8), "triad", 0.85),
        Workload("softmax", "softmax", "softmax, rows of 4096x1024", _rows,
                 2 * _ROWS, 0, 1e-5, (1.2, 1.5), "triad", 0.8, other={"rows": 3000}),
        Workload("layernorm", "layer_norm", "layer norm, 4096x1024", _layer_norm,
                 2 * _ROWS, 0, 1e-5, (1.2, 1.5), "triad", 0.8),
        Workload("logsumexp", "logsumexp", "logsumexp, 4096x1024", _rows,
                 _ROWS, 0, 1e-5, (1.2, 1.5), "read", 0.8),
        Workload("var", "var", "var, 4096x1024", _rows, _ROWS, 0, 1e-5, (1.0, 1.2), "read", 0.8),
        Workload("sum_axis0", "sum0", "sum over axis 0, 4096^2", _uniform((4096, 4096)),
                 _BIG, 0, 1e-5, (1.0, 1.1), "read", 0.9),
        Workload("sum_axis1", "sum1", "sum over axis 1, 4096^2", _uniform((4096, 4096)),
                 _BIG, 0, 1e-5, (1.0, 1.1), "read", 0.9),
        Workload("sum_all", "sum_all", "sum of all, 4096^2", _uniform((4096, 4096)),
                 _BIG, 0, 1e-5, (1.0, 1.1), "read", 0.9),
        Workload("strided_sum", "strided_sum", "sum of every other element, 8.4e6",
                 _uniform((16_777_216,)), _BIG, 0, 1e-5, (1.3, 1.5), "read", 0.9),
        Workload("black_scholes", "black_scholes", "Black-Scholes, 4e6 options", _options,
                 5 * 16_000_000, 0, 1e-5, (1.0, 1.0)),
        Workload("transpose_add", "transpose_add", "a.T + b, 4096^2",
                 _normal((4096, 4096), (4096, 4096)), 3 * _BIG, 0, 1e-6, (2.0, 3.0), "triad", 0.5),
        Workload("gather", "gather", "1e6 random elements of 8e6", _gather,
                 16_000_000, 0, 0, (1.0, 1.0)),
        Workload("embedding", "rows", "39,000 rows of 256", _embedding,
                 2 * 39_000 * 1024, 0, 0, (1.5, 1.5), "triad", 0.7),
        Workload("gemm_gelu_1024", "gemm_gelu", "gelu(x @ w + bias), 1024^3", _gemm(1024),
                 3 * 4 * 1024**2, 2 * 1024**3, 1e-5, (1.0, 1.1), "fma", 0.85),
        Workload("gemm_gelu_2048", "gemm_gelu", "gelu(x @ w + bias), 2048^3", _gemm(2048),
                 3 * 4 * 2048**2, 2 * 2048**3, 1e-5, (1.0, 1.1), "fma", 0.85),
        Workload("bmm", "matmul", "64 products of 128^3",
                 _normal((64, 128, 128), (64, 128, 128)),
                 3 * 64 * 128**2 * F4, 2 * 64 * 128**3, 1e-5, (1.2, 1.3), "fma", 0.85),
        Workload("mlp_fwdbwd", "mlp", "MLP 784-512-512-10, batch 256: forward, backward", _mlp,
                 0, _MLP, 1e-3, (1.0, 1.4), "fma", 0.8, "gradient", 6, other={"batch": 200}),
        Workload("mlp_sgd", "mlp", "the same, SGD step", _mlp,
                 0, _MLP, 1e-4, (1.0, 1.4), "fma", 0.8, "step", 6, {"optimizer": "SGD"}),
        Workload("mlp_adam", "mlp", "the same, Adam step", _mlp,
                 0, _MLP, 1e-4, (1.0, 1.4), "fma", 0.8, "step", 6, {"optimizer": "Adam"}),
        Workload("small_mlp_sgd", "mlp", "MLP 16-32-10, batch 32, SGD step",
                 _sized(_mlp, batch=32, widths=_SMALL), 0, _mlp_flops(32, _SMALL), 1e-4,
                 (1.5, 1.5), kind="step", leaves=4, options={"optimizer": "SGD"}),
        Workload("tiny_ops", "tiny_ops", "1,000 ops on (16,), forward, backward",
                 _sized(_vectors(1), n=16), 0, 0, 1e-3, (0.67, 0.67), kind="gradient", leaves=1),
        Workload("convnet", "convnet", "convnet 28x28, 32 and 64 channels, batch 64", _convnet,
                 0, _CONVNET, 1e-3, (1.3, 1.3), "fma", 0.6, "gradient", 6),
        Workload("gpt_block", "block", "transformer block 4x256x384, 6 heads", _block,
                 0, _BLOCK, 2e-3, (1.6, 1.4), "fma", 0.6, "gradient", 12),
        Workload("randn_1e7", "randn", "randn, 1e7", _normal(), 40_000_000, 0, 0.01,
                 (3.0, 3.0), kind="random"),
        Workload("rand_1e7", "rand", "rand, 1e7", _normal(), 40_000_000, 0, 0.01,
                 (1.0, 1.5), kind="random"),
    )
}  # fmt: skip
