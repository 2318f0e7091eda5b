"""Libraries of PyTorch's kind: PyTorch, eager and compiled, and lazygrad, plain and with `jit`.

Owns: how each is opened, fed, compiled and waited for. Must not know: the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.bench import arrays, torchlike
from lazygrad.bench.peer import Call, Peer, Unsupported
from lazygrad.bench.workloads import Workload
from lazygrad.runtime.device import HOST, device


class TorchlikePeer(Peer):
    """PyTorch and lazygrad: the same lines for both."""

    module: Any

    def version(self) -> str:
        return str(self.module.__version__)

    def tensors(self, inputs: Sequence[np.ndarray], leaves: int = 0) -> list[Any]:
        made = [self.module.tensor(a).to(self.device) for a in inputs]
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
        return [r.detach().cpu().numpy() for r in found]


class TorchPeer(TorchlikePeer):
    def __init__(self, threads: int, compiled: bool = False):
        super().__init__(threads, compiled)
        import torch

        self.module = torch
        torch.set_num_threads(threads)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.module.compile(function)  # type: ignore[no-any-return]

    compile_loss = compile

    def wait(self, result: Any) -> None:
        if self.device != HOST:
            getattr(self.module, self.device.partition(":")[0]).synchronize()


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

    def wait(self, result: Any) -> None:
        if self.device != HOST:
            device(_named(self.device)).synchronize()

    def limits(self, elements: int) -> dict[str, Any]:
        """The device's name and limits."""
        opened = device(_named(self.device))
        return {"name": opened.title, "limits": opened.limits(elements)}

    def counters(self) -> dict[str, int]:
        from lazygrad.runtime.stats import stats

        names = ("kernels", "compiles", "nodes", "realizes", "built", "bytes_moved")
        return {name: getattr(stats, name) for name in names}


def _named(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _tensors(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)):
        return [t for part in result for t in _tensors(part)]
    return [result]
