"""tinygrad, with its replay of recorded kernels: the workloads in its own words.

Owns: how it is opened, fed and waited for. Must not know: the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.bench import arrays
from lazygrad.bench.peer import Call, Peer, Unsupported
from lazygrad.bench.workloads import Workload


class TinygradPeer(Peer):
    def __init__(self, threads: int, compiled: bool = False):
        super().__init__(threads, compiled)
        import tinygrad

        self.tg: Any = tinygrad

    def version(self) -> str:
        from importlib.metadata import version

        return version("tinygrad")

    def _run(self, function: Callable[..., Any]) -> Call:
        jitted = self.tg.TinyJit(function)
        device = self.tg.Device[self.tg.Device.DEFAULT]

        def once() -> Any:
            result = jitted()
            device.synchronize()
            return result

        return once

    def _tensors(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        T = self.tg.Tensor
        return [T(a if a.dtype.kind == "f" else a.astype(np.int32)).realize() for a in inputs]

    def value(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        body = getattr(_Tiny, w.compute, None)
        if body is None:
            raise Unsupported
        given = self._tensors(inputs)

        def function() -> Any:
            result = body(*given)
            found = result if isinstance(result, tuple) else (result,)
            return tuple(t.realize() for t in found)

        return self._run(function)

    def gradient(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        body = getattr(_Tiny, w.compute, None)
        if body is None:  # it does not finish, or needs more than a screen to write
            raise Unsupported
        given = self._tensors(inputs)
        leaves = given[: w.leaves]

        def function() -> Any:
            loss = body(*given)
            grads = loss.gradient(*leaves)
            self.tg.Tensor.realize(loss, *grads)
            return (loss, *grads)

        return self._run(function)

    def step(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        given = self._tensors(inputs)
        leaves = given[: w.leaves]
        if w.options["optimizer"] == "SGD":
            optimizer = self.tg.nn.optim.SGD(leaves, lr=arrays.RATE)
        else:
            optimizer = self.tg.nn.optim.Adam(leaves, lr=arrays.RATE / 10)

        def function() -> Any:
            optimizer.zero_grad()
            loss = _Tiny.mlp(*given)
            loss.backward()
            self.tg.Tensor.realize(loss, *optimizer.schedule_step())
            return loss

        return self._run(function)

    def random(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        draw = getattr(self.tg.Tensor, w.compute)
        return self._run(lambda: draw(10_000_000).realize())

    def fetch(self, result: Any) -> list[np.ndarray]:
        found = result if isinstance(result, (tuple, list)) else [result]
        return [r.numpy() for r in found]


class _Tiny:
    """The workloads in tinygrad's words."""

    @staticmethod
    def chain(a: Any, b: Any, c: Any) -> Any:
        return (a * b + c).tanh() * a.sigmoid() - (-b * b).exp()

    @staticmethod
    def axpy(a: Any, b: Any, c: Any) -> Any:
        return a * 2 + b - c / 3

    @staticmethod
    def softmax(x: Any) -> Any:
        return x.softmax(-1)

    @staticmethod
    def layer_norm(x: Any, weight: Any, bias: Any) -> Any:
        return x.layernorm() * weight + bias

    @staticmethod
    def logsumexp(x: Any) -> Any:
        return x.logsumexp(-1)

    @staticmethod
    def var(x: Any) -> Any:
        return x.var(-1)

    @staticmethod
    def sum0(x: Any) -> Any:
        return x.sum(0)

    @staticmethod
    def sum1(x: Any) -> Any:
        return x.sum(1)

    @staticmethod
    def sum_all(x: Any) -> Any:
        return x.sum()

    @staticmethod
    def strided_sum(x: Any) -> Any:
        return x[::2].sum()

    @staticmethod
    def transpose_add(a: Any, b: Any) -> Any:
        return a.T + b

    @staticmethod
    def gather(values: Any, index: Any) -> Any:
        return values[index]

    rows = gather

    @staticmethod
    def matmul(a: Any, b: Any) -> Any:
        return a @ b

    @staticmethod
    def mlp(*given: Any) -> Any:
        *parameters, x, target = given
        for number in range(0, len(parameters), 2):
            x = x @ parameters[number] + parameters[number + 1]
            if number + 2 < len(parameters):
                x = x.relu()
        return x.sparse_categorical_crossentropy(target)

    @staticmethod
    def convnet(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, y: Any) -> Any:
        x = x.conv2d(w1, b1).relu().conv2d(w2, b2).relu().max_pool2d((2, 2))
        return (x.flatten(1) @ w3 + b3).sparse_categorical_crossentropy(y)
