"""The workloads for libraries of numpy's kind: numpy itself, jax.numpy, mlx; and their truth.

Owns: each computation as a function of `L` (the library: `Numpy`, or a peer's with the same few
names) and of arrays. Run by `Numpy` on float64 it is the truth that results are checked against.
Must not know: time, or which peers are installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erf as _erf
from math import sqrt
from typing import Any

import numpy as np

HEADS = 6
RATE = 0.05  # learning rate of steps
ADAM = (0.9, 0.999, 1e-8)
STEPS = 3  # steps whose losses are compared


class Numpy:
    """numpy and the few functions that it lacks."""

    np: Any = np

    @staticmethod
    def erf(x: Any) -> Any:
        """By scipy, where it is installed."""
        try:
            from scipy.special import erf
        except ImportError:
            return np.frompyfunc(_erf, 1, 1)(x).astype(x.dtype)
        return erf(x)

    @staticmethod
    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    @staticmethod
    def windows(x: Any) -> Any:
        """All 3x3 windows of the last two axes, as two more axes."""
        return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))

    def conv(self, x: Any, w: Any) -> Any:
        """(n, c, h, w) with 3x3 filters (o, c, 3, 3), no padding."""
        return np.moveaxis(np.tensordot(self.windows(x), w, ((1, 4, 5), (1, 2, 3))), -1, 1)

    @staticmethod
    def pool(x: Any) -> Any:
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


def chain(L: Any, a: Any, b: Any, c: Any) -> Any:
    return L.np.tanh(a * b + c) * L.sigmoid(a) - L.np.exp(-b * b)


def axpy(L: Any, a: Any, b: Any, c: Any) -> Any:
    return a * 2 + b - c / 3


def softmax(L: Any, x: Any) -> Any:
    e = L.np.exp(x - L.np.max(x, axis=-1, keepdims=True))
    return e / L.np.sum(e, axis=-1, keepdims=True)


def layer_norm(L: Any, x: Any, weight: Any, bias: Any) -> Any:
    centred = x - L.np.mean(x, axis=-1, keepdims=True)
    spread = L.np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / L.np.sqrt(spread + 1e-5) * weight + bias


def logsumexp(L: Any, x: Any) -> Any:
    top = L.np.max(x, axis=-1, keepdims=True)
    return L.np.log(L.np.sum(L.np.exp(x - top), axis=-1)) + top[..., 0]


def var(L: Any, x: Any) -> Any:
    return L.np.var(x, axis=-1, ddof=1)


def sum0(L: Any, x: Any) -> Any:
    return L.np.sum(x, axis=0)


def sum1(L: Any, x: Any) -> Any:
    return L.np.sum(x, axis=1)


def sum_all(L: Any, x: Any) -> Any:
    return L.np.sum(x)


def strided_sum(L: Any, x: Any) -> Any:
    return L.np.sum(x[::2])


def black_scholes(L: Any, spot: Any, strike: Any, years: Any) -> Any:
    """Call and put of European options: rate 10 %, volatility 20 %."""
    rate, volatility = 0.1, 0.2
    root = volatility * L.np.sqrt(years)
    first = (L.np.log(spot / strike) + (rate + volatility * volatility / 2) * years) / root
    low = 0.5 + 0.5 * L.erf((first - root) / sqrt(2))
    high = 0.5 + 0.5 * L.erf(first / sqrt(2))
    value = strike * L.np.exp(-rate * years)
    call = spot * high - value * low
    return call, call - spot + value


def transpose_add(L: Any, a: Any, b: Any) -> Any:
    return a.T + b


def gather(L: Any, values: Any, index: Any) -> Any:
    return values[index]


rows = gather


def gelu(L: Any, x: Any) -> Any:
    return x * (0.5 + 0.5 * L.erf(x / sqrt(2)))


def gemm_gelu(L: Any, x: Any, w: Any, bias: Any) -> Any:
    return gelu(L, x @ w + bias)


def matmul(L: Any, a: Any, b: Any) -> Any:
    return a @ b


def cross_entropy(L: Any, scores: Any, target: Any) -> Any:
    picked = scores[L.np.arange(scores.shape[0]), target]
    return L.np.mean(logsumexp(L, scores) - picked)


def mlp(L: Any, *given: Any) -> Any:
    """The loss of fully connected layers with relu between."""
    *parameters, x, target = given
    for number in range(0, len(parameters), 2):
        x = x @ parameters[number] + parameters[number + 1]
        if number + 2 < len(parameters):
            x = L.np.maximum(x, 0)
    return cross_entropy(L, x, target)


def tiny_ops(L: Any, x: Any) -> Any:
    for _ in range(500):
        x = x * 1.001
        x = x + 0.01
    return L.np.sum(x)


def convnet(L: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, y: Any) -> Any:
    x = L.np.maximum(L.conv(x, w1) + b1[:, None, None], 0)
    x = L.np.maximum(L.conv(x, w2) + b2[:, None, None], 0)
    x = L.pool(x)
    return cross_entropy(L, x.reshape(x.shape[0], -1) @ w3 + b3, y)


def _split_heads(L: Any, x: Any) -> Any:
    n, t, d = x.shape
    return L.np.swapaxes(x.reshape(n, t, HEADS, d // HEADS), 1, 2)


def block(L: Any, *given: Any) -> Any:
    """The mean square of a pre-norm transformer block with causal attention."""
    g1, c1, wqkv, bqkv, wo, bo, g2, c2, wu, bu, wd, bd, x = given
    n, t, d = x.shape
    qkv = layer_norm(L, x, g1, c1) @ wqkv + bqkv
    q, k, v = (_split_heads(L, qkv[..., i * d : (i + 1) * d]) for i in range(3))
    scores = q @ L.np.swapaxes(k, 2, 3) / sqrt(d // HEADS)
    later = L.np.triu(L.np.ones((t, t), dtype=x.dtype), 1)
    mixed = L.np.swapaxes(softmax(L, scores - 1e9 * later) @ v, 1, 2).reshape(n, t, d)
    x = x + mixed @ wo + bo
    x = x + gelu(L, layer_norm(L, x, g2, c2) @ wu + bu) @ wd + bd
    return L.np.mean(x * x)


# -- truth ----------------------------------------------------------------------------------------
def truth(compute: str, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results in float64."""
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in inputs]
    found = globals()[compute](Numpy(), *wide)
    return [np.asarray(r) for r in (found if isinstance(found, tuple) else (found,))]


def slope(compute: str, inputs: Sequence[np.ndarray], directions: Sequence[np.ndarray]) -> float:
    """The loss's derivative along `directions` of the first inputs, by central differences."""
    h = 1e-8  # few elements of a relu cross zero

    def at(step: float) -> float:
        moved = [a.astype(np.float64) + step * d for a, d in zip(inputs, directions)]
        return float(truth(compute, [*moved, *inputs[len(directions) :]])[0])

    return (at(h) - at(-h)) / (2 * h)


def mlp_gradient(given: Sequence[Any]) -> tuple[float, list[np.ndarray]]:
    """Loss and gradients of `mlp`, written out."""
    *parameters, x, target = given
    seen, count = [x], len(target)
    for number in range(0, len(parameters), 2):
        x = x @ parameters[number] + parameters[number + 1]
        if number + 2 < len(parameters):
            x = np.maximum(x, 0)
            seen.append(x)
    share = softmax(Numpy(), x)
    loss = -np.log(share[np.arange(count), target]).mean()
    share[np.arange(count), target] -= 1
    grads: list[np.ndarray] = []
    back = share / count
    for number in range(len(parameters) - 2, -1, -2):
        source = seen[number // 2]
        grads[:0] = [source.T @ back, back.sum(0)]
        back = (back @ parameters[number].T) * (source > 0)
    return float(loss), grads


def updater(optimizer: str) -> Callable[[list[Any], Sequence[Any]], list[Any]]:
    """One update of a list of parameters by their gradients, for any library."""
    state: list[tuple[Any, Any]] = []
    count = [0]

    def sgd(parameters: list[Any], grads: Sequence[Any]) -> list[Any]:
        return [p - RATE * g for p, g in zip(parameters, grads)]

    def adam(parameters: list[Any], grads: Sequence[Any]) -> list[Any]:
        first, second, eps = ADAM
        count[0] += 1
        state[:] = [
            (first * m + (1 - first) * g, second * v + (1 - second) * g * g)
            for (m, v), g in zip(state or [(0.0, 0.0)] * len(grads), grads)
        ]
        a, b = 1 - first ** count[0], 1 - second ** count[0]
        return [
            p - RATE / 10 * (m / a) / ((v / b) ** 0.5 + eps) for p, (m, v) in zip(parameters, state)
        ]

    return sgd if optimizer == "SGD" else adam


def mlp_losses(inputs: Sequence[np.ndarray], leaves: int, optimizer: str) -> list[float]:
    """The losses of the first steps in float64."""
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in inputs]
    parameters, data = wide[:leaves], wide[leaves:]
    update, losses = updater(optimizer), []
    for _ in range(STEPS):
        loss, grads = mlp_gradient([*parameters, *data])
        losses.append(loss)
        parameters = update(parameters, grads)
    return losses
