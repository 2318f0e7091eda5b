"""The workloads for libraries of PyTorch's kind: PyTorch and lazygrad run the same lines.

Owns: each computation as a function of `T` (the library) and of tensors. Must not know: which of
the two it is given, or time.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from lazygrad.bench.arrays import HEADS


def chain(T: Any, a: Any, b: Any, c: Any) -> Any:
    return T.tanh(a * b + c) * T.sigmoid(a) - T.exp(-b * b)


def axpy(T: Any, a: Any, b: Any, c: Any) -> Any:
    return a * 2 + b - c / 3


def softmax(T: Any, x: Any) -> Any:
    return T.softmax(x, -1)


def layer_norm(T: Any, x: Any, weight: Any, bias: Any) -> Any:
    return T.nn.functional.layer_norm(x, x.shape[-1:], weight, bias)


def logsumexp(T: Any, x: Any) -> Any:
    return T.logsumexp(x, -1)


def var(T: Any, x: Any) -> Any:
    return T.var(x, -1)


def sum0(T: Any, x: Any) -> Any:
    return x.sum(0)


def sum1(T: Any, x: Any) -> Any:
    return x.sum(1)


def sum_all(T: Any, x: Any) -> Any:
    return x.sum()


def strided_sum(T: Any, x: Any) -> Any:
    return x[::2].sum()


def black_scholes(T: Any, spot: Any, strike: Any, years: Any) -> Any:
    rate, volatility = 0.1, 0.2
    root = volatility * T.sqrt(years)
    first = (T.log(spot / strike) + (rate + volatility * volatility / 2) * years) / root
    low = 0.5 + 0.5 * T.erf((first - root) / sqrt(2))
    high = 0.5 + 0.5 * T.erf(first / sqrt(2))
    value = strike * T.exp(-rate * years)
    call = spot * high - value * low
    return call, call - spot + value


def transpose_add(T: Any, a: Any, b: Any) -> Any:
    return a.T + b


def gather(T: Any, values: Any, index: Any) -> Any:
    return values[index]


def rows(T: Any, table: Any, index: Any) -> Any:
    return T.nn.functional.embedding(index, table)


def gemm_gelu(T: Any, x: Any, w: Any, bias: Any) -> Any:
    return T.nn.functional.gelu(T.addmm(bias, x, w))


def matmul(T: Any, a: Any, b: Any) -> Any:
    return T.matmul(a, b)


def mlp(T: Any, *given: Any) -> Any:
    *parameters, x, target = given
    for number in range(0, len(parameters), 2):
        x = T.addmm(parameters[number + 1], x, parameters[number])
        if number + 2 < len(parameters):
            x = T.relu(x)
    return T.nn.functional.cross_entropy(x, target)


def tiny_ops(T: Any, x: Any) -> Any:
    for _ in range(500):
        x = x * 1.001
        x = x + 0.01
    return x.sum()


def convnet(T: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, y: Any) -> Any:
    F = T.nn.functional
    x = T.relu(F.conv2d(x, w1, b1))
    x = T.relu(F.conv2d(x, w2, b2))
    x = F.max_pool2d(x, 2)
    return F.cross_entropy(T.addmm(b3, x.flatten(1), w3), y)


def block(T: Any, *given: Any) -> Any:
    g1, c1, wqkv, bqkv, wo, bo, g2, c2, wu, bu, wd, bd, x = given
    F = T.nn.functional
    n, t, d = x.shape
    qkv = F.layer_norm(x, (d,), g1, c1) @ wqkv + bqkv
    q, k, v = (part.reshape(n, t, HEADS, d // HEADS).transpose(1, 2) for part in qkv.split(d, -1))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + mixed.transpose(1, 2).reshape(n, t, d) @ wo + bo
    x = x + F.gelu(F.layer_norm(x, (d,), g2, c2) @ wu + bu) @ wd + bd
    return (x * x).mean()


def randn(T: Any) -> Any:
    return T.randn(10_000_000)


def rand(T: Any) -> Any:
    return T.rand(10_000_000)
