"""Libraries of numpy's kind: numpy, numexpr, jax and mlx.

Owns: how each is opened, fed, differentiated and waited for. Must not know: the clock.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from lazygrad.bench import arrays
from lazygrad.bench.peer import Call, Peer, Unsupported, flat
from lazygrad.bench.workloads import Workload
from lazygrad.runtime.device import HOST


class NumpyPeer(Peer):
    library: Any = arrays.Numpy()

    def version(self) -> str:
        return np.__version__

    def value(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        if w.compute in ("black_scholes", "gemm_gelu") and not importlib.util.find_spec("scipy"):
            raise Unsupported
        function = getattr(arrays, w.compute)
        return lambda: function(self.library, *inputs)

    def gradient(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        if w.compute != "mlp":
            raise Unsupported
        return lambda: flat(arrays.mlp_gradient(inputs))

    def step(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        update = arrays.updater(w.options["optimizer"])
        state = list(inputs[: w.leaves])
        data = inputs[w.leaves :]

        def run() -> Any:
            loss, grads = arrays.mlp_gradient([*state, *data])
            state[:] = update(state, grads)
            return loss

        return run

    def random(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        rng = np.random.default_rng(0)
        draw = rng.standard_normal if w.compute == "randn" else rng.random
        return lambda: draw(10_000_000, dtype=np.float32)


class CupyPeer(NumpyPeer):
    """numpy's functions on a GPU, each by itself."""

    def __init__(self, threads: int, compiled: bool = False):
        super().__init__(threads, compiled)
        import cupy

        self.module: Any = cupy
        self.library = _Cupy(cupy)

    def version(self) -> str:
        return str(self.module.__version__)

    def value(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        function = getattr(arrays, w.compute)
        given = [self.module.asarray(a) for a in inputs]
        return lambda: function(self.library, *given)

    def gradient(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        raise Unsupported

    step = random = gradient

    def wait(self, result: Any) -> None:
        one = result[0] if isinstance(result, (tuple, list)) else result
        self.module.asnumpy(one.reshape(-1)[:1])  # all is in one stream

    def fetch(self, result: Any) -> list[np.ndarray]:
        found = result if isinstance(result, (tuple, list)) else [result]
        return [self.module.asnumpy(r) for r in found]


class _Cupy(arrays.Numpy):
    def __init__(self, cupy: Any):
        from cupyx.scipy.special import erf

        self.np = cupy
        self.erf = erf  # type: ignore[method-assign]
        self.sigmoid = lambda x: 1 / (1 + cupy.exp(-x))  # type: ignore[method-assign]


class NumexprPeer(Peer):
    TEXTS: ClassVar = {
        "chain": "tanh(a*b+c)/(1+exp(-a))-exp(-b*b)",
        "axpy": "a*2+b-c/3",
        "sum0": "sum(a, axis=0)",
        "sum1": "sum(a, axis=1)",
        "sum_all": "sum(a)",
    }

    def __init__(self, threads: int, compiled: bool = False):
        super().__init__(threads, compiled)
        import numexpr

        self.module: Any = numexpr
        numexpr.set_num_threads(threads)

    def version(self) -> str:
        return str(self.module.__version__)

    def value(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        text = self.TEXTS.get(w.compute)
        if text is None:
            raise Unsupported
        names = dict(zip("abc", inputs))
        evaluate = self.module.evaluate
        return lambda: evaluate(text, names)


class FunctionalPeer(Peer):
    """Libraries of numpy's kind with a gradient transformation: jax and mlx."""

    library: Any

    def convert(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        raise NotImplementedError

    def transform(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile."""
        raise NotImplementedError

    def value_and_grad(self, function: Callable[..., Any], leaves: int) -> Callable[..., Any]:
        raise NotImplementedError

    def finish(self, result: Any) -> Any:
        raise NotImplementedError

    def _loss(self, w: Workload) -> Callable[..., Any]:
        body = getattr(arrays, w.compute)
        return lambda *given: body(self.library, *given)

    def value(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        given, run, finish = self.convert(inputs), self.transform(self._loss(w)), self.finish
        return lambda: finish(run(*given))

    def gradient(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        given, finish = self.convert(inputs), self.finish
        run = self.transform(self.value_and_grad(self._loss(w), w.leaves))
        return lambda: finish(flat(run(*given)))

    def step(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        given, finish = self.convert(inputs), self.finish
        parameters, data = given[: w.leaves], given[w.leaves :]
        slope = self.value_and_grad(self._loss(w), w.leaves)
        first, second, eps = arrays.ADAM
        zeros = [p * 0 for p in parameters]

        def sgd(state: Any, count: Any, *data: Any) -> Any:
            loss, grads = slope(*state, *data)
            return loss, [p - arrays.RATE * g for p, g in zip(state, grads)]

        def adam(state: Any, count: Any, *data: Any) -> Any:
            ps, ms, vs = state
            loss, grads = slope(*ps, *data)
            ms = [first * m + (1 - first) * g for m, g in zip(ms, grads)]
            vs = [second * v + (1 - second) * g * g for v, g in zip(vs, grads)]
            a, b = 1 - first**count, 1 - second**count
            ps = [
                p - arrays.RATE / 10 * (m / a) / (self.library.np.sqrt(v / b) + eps)
                for p, m, v in zip(ps, ms, vs)
            ]
            return loss, (ps, ms, vs)

        is_sgd = w.options["optimizer"] == "SGD"
        run = self.transform(sgd if is_sgd else adam)
        state: list[Any] = [parameters if is_sgd else (parameters, zeros, zeros), 0.0]

        def once() -> Any:
            state[1] += 1.0
            loss, state[0] = finish(run(state[0], self.number(state[1]), *data))
            return loss

        return once

    def number(self, value: float) -> Any:
        return value


class JaxPeer(FunctionalPeer):
    def __init__(self, threads: int, compiled: bool = False):
        super().__init__(threads, compiled)
        import jax

        self.jax: Any = jax
        self.library = _Jax(jax)

    def version(self) -> str:
        return str(self.jax.__version__)

    def convert(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        return [self.jax.numpy.asarray(a) for a in inputs]

    def transform(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.jax.jit(function)  # type: ignore[no-any-return]

    def value_and_grad(self, function: Callable[..., Any], leaves: int) -> Callable[..., Any]:
        return self.jax.value_and_grad(function, tuple(range(leaves)))  # type: ignore[no-any-return]

    def finish(self, result: Any) -> Any:
        return self.jax.block_until_ready(result) if self.device == HOST else result

    def wait(self, result: Any) -> None:
        self.jax.block_until_ready(result)

    def random(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        draw = getattr(self.jax.random, "normal" if w.compute == "randn" else "uniform")
        run = self.jax.jit(lambda key: draw(key, (10_000_000,)))
        keys = [self.jax.random.key(0)]

        def once() -> Any:
            keys[0], used = self.jax.random.split(keys[0])
            return self.finish(run(used))

        return once


class _Jax:
    def __init__(self, jax: Any):
        self.np = jax.numpy
        self.sigmoid = jax.nn.sigmoid
        self.erf = jax.scipy.special.erf
        self.lax = jax.lax

    def conv(self, x: Any, w: Any) -> Any:
        return self.lax.conv_general_dilated(x, w, (1, 1), "VALID")

    def pool(self, x: Any) -> Any:
        window = (1, 1, 2, 2)
        return self.lax.reduce_window(x, -np.inf, self.lax.max, window, window, "VALID")


class MlxPeer(FunctionalPeer):
    def __init__(self, threads: int, compiled: bool = False):
        super().__init__(threads, compiled)
        import mlx.core as mx

        self.mx: Any = mx
        mx.set_default_device(mx.cpu)
        self.library = _Mlx(mx)

    def version(self) -> str:
        from importlib.metadata import version

        return version("mlx")

    def convert(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        return [self.mx.array(a) for a in inputs]

    def transform(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.mx.compile(function)  # type: ignore[no-any-return]

    def value_and_grad(self, function: Callable[..., Any], leaves: int) -> Callable[..., Any]:
        return self.mx.value_and_grad(function, argnums=list(range(leaves)))  # type: ignore[no-any-return]

    def finish(self, result: Any) -> Any:
        self.mx.eval(result)
        return result

    def number(self, value: float) -> Any:
        return self.mx.array(value)

    def random(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        draw = getattr(self.mx.random, "normal" if w.compute == "randn" else "uniform")
        return lambda: self.finish(draw(shape=(10_000_000,)))


class _Mlx:
    def __init__(self, mx: Any):
        self.np = mx
        self.sigmoid = mx.sigmoid
        self.erf = mx.erf
        self.mx = mx

    def conv(self, x: Any, w: Any) -> Any:
        out = self.mx.conv2d(x.transpose(0, 2, 3, 1), w.transpose(0, 2, 3, 1))
        return out.transpose(0, 3, 1, 2)

    def pool(self, x: Any) -> Any:
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
