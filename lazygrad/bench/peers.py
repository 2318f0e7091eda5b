"""How each library is driven: inputs in, one call that has finished when it returns, results out.

Owns: the peers by name, which environment they need, and whether they are installed. A peer's
library is imported when it is opened, in a process of its own. Must not know: the clock.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from lazygrad.bench import arrays, torchlike
from lazygrad.bench.workloads import Workload

Call = Callable[[], Any]
# glibc keeps freed blocks: shows how much of a peer's time is page faults of fresh memory
KEEP = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296:"
                          "glibc.malloc.trim_threshold=8589934592"}  # fmt: skip


class Unsupported(Exception):
    """The peer has no fair way to do this workload."""


class Peer:
    """One library. `prepare` gives a call whose result `fetch` turns into numpy arrays."""

    def __init__(self, threads: int, compiled: bool = False):
        self.threads = threads
        self.compiled = compiled

    def prepare(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        kind = {"value": self.value, "gradient": self.gradient, "step": self.step,
                "random": self.random}[w.kind]  # fmt: skip
        return kind(w, inputs)

    def value(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        raise Unsupported

    gradient = step = random = value

    def fetch(self, result: Any) -> list[np.ndarray]:
        found = result if isinstance(result, (tuple, list)) else [result]
        return [np.asarray(r) for r in found]

    def version(self) -> str:
        raise NotImplementedError

    def counters(self) -> dict[str, int]:
        """What the library counts of its own work."""
        return {}


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
        return lambda: _flat(arrays.mlp_gradient(inputs))

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


def _flat(pair: tuple[Any, Any]) -> tuple[Any, ...]:
    return (pair[0], *pair[1])


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


class TorchlikePeer(Peer):
    """PyTorch and lazygrad: the same lines for both."""

    module: Any

    def version(self) -> str:
        return str(self.module.__version__)

    def tensors(self, inputs: Sequence[np.ndarray], leaves: int = 0) -> list[Any]:
        made = [self.module.tensor(a) for a in inputs]
        for t in made[:leaves]:
            t.requires_grad_()
        return made

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        raise NotImplementedError

    def finish(self, result: Any) -> Any:
        return result

    def value(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        given, body, finish = self.tensors(inputs), getattr(torchlike, w.compute), self.finish

        def function(*ts: Any) -> Any:
            return body(self.module, *ts)

        run = self.compile(function) if self.compiled else function
        return lambda: finish(run(*given))

    def gradient(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        given, body, finish = (
            self.tensors(inputs, w.leaves), getattr(torchlike, w.compute), self.finish,
        )  # fmt: skip
        leaves = given[: w.leaves]

        def loss_of(*ts: Any) -> Any:
            return body(self.module, *ts)

        loss_fn = self.compile_loss(loss_of) if self.compiled else loss_of

        def function(*ts: Any) -> Any:
            loss = loss_fn(*ts)
            return (loss, *self.module.autograd.grad(loss, leaves))

        run = self.compile_step(function) if self.compiled else function
        return lambda: finish(run(*given))

    def step(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        given, body, finish = (
            self.tensors(inputs, w.leaves), getattr(torchlike, w.compute), self.finish,
        )  # fmt: skip
        kind = w.options["optimizer"]
        make = getattr(self.module.optim, kind)
        options = {"lr": arrays.RATE} if kind == "SGD" else {
            "lr": arrays.RATE / 10, "betas": arrays.ADAM[:2], "eps": arrays.ADAM[2],
        }  # fmt: skip
        optimizer = make(given[: w.leaves], **options)

        def loss_of(*ts: Any) -> Any:
            return body(self.module, *ts)

        loss_fn = self.compile_loss(loss_of) if self.compiled else loss_of

        def function(*ts: Any) -> Any:
            optimizer.zero_grad()
            loss = loss_fn(*ts)
            loss.backward()
            optimizer.step()
            return loss.detach()

        run = self.compile_step(function) if self.compiled else function
        after = given[: w.leaves]
        return lambda: finish((run(*given), after))[0]

    def compile_loss(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def compile_step(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def random(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        body, finish = getattr(torchlike, w.compute), self.finish

        def function() -> Any:
            return body(self.module)

        run = self.compile(function) if self.compiled else function
        return lambda: finish(run())

    def fetch(self, result: Any) -> list[np.ndarray]:
        found = result if isinstance(result, (tuple, list)) else [result]
        return [r.detach().numpy() for r in found]


class TorchPeer(TorchlikePeer):
    def __init__(self, threads: int, compiled: bool = False):
        super().__init__(threads, compiled)
        import torch

        self.module = torch
        torch.set_num_threads(threads)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.module.compile(function)  # type: ignore[no-any-return]

    compile_loss = compile


class LazygradPeer(TorchlikePeer):
    def __init__(self, threads: int, compiled: bool = False):
        super().__init__(threads, compiled)
        import lazygrad

        self.module = lazygrad
        if compiled and not hasattr(lazygrad, "jit"):
            raise Unsupported("this version has no lg.jit")

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.module.jit(function)  # type: ignore[no-any-return]

    compile_step = compile

    def finish(self, result: Any) -> Any:
        self.module.realize(*_tensors(result))
        return result

    def counters(self) -> dict[str, int]:
        from lazygrad.runtime.stats import stats

        names = ("kernels", "compiles", "nodes", "realizes", "built", "bytes_moved")
        return {name: getattr(stats, name) for name in names}


def _tensors(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)):
        return [t for part in result for t in _tensors(part)]
    return [result]


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
        return lambda: finish(_flat(run(*given)))

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
        return self.jax.block_until_ready(result)

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


@dataclass(frozen=True)
class Entry:
    """A peer as it is listed. `module` must be installed; `compiled` asks for its compiler."""

    name: str
    module: str
    make: type[Peer]
    compiled: bool = False
    env: dict[str, str] = field(default_factory=dict)

    def installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


PEERS: dict[str, Entry] = {
    e.name: e
    for e in (
        Entry("lazygrad", "lazygrad", LazygradPeer),
        Entry("lazygrad_jit", "lazygrad", LazygradPeer, True),
        Entry("numpy", "numpy", NumpyPeer),
        Entry("numexpr", "numexpr", NumexprPeer),
        Entry("torch", "torch", TorchPeer),
        Entry("torch_compile", "torch", TorchPeer, True),
        Entry("torch_keep", "torch", TorchPeer, False, KEEP),
        Entry("jax", "jax", JaxPeer, True),
        Entry("jax_keep", "jax", JaxPeer, True, KEEP),
        Entry("tinygrad", "tinygrad", TinygradPeer, True, {"TRAINING": "1"}),
        Entry("mlx", "mlx", MlxPeer, True),
    )
}
OURS = ("lazygrad", "lazygrad_jit")
KEEPERS = ("torch_keep", "jax_keep")  # shown, but never the best peer
SLOW_TO_BUILD = ("torch_compile", "tinygrad", "mlx")


def environment(entry: Entry, threads: int) -> dict[str, str]:
    """What the peer's process is started with: the same number of threads for all."""
    count = str(threads)
    fixed = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
         "NUMEXPR_MAX_THREADS", "LAZYGRAD_NUM_THREADS"), count,
    )  # fmt: skip
    left = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    return left | fixed | {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"} | entry.env
