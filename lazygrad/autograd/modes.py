"""Grad modes: whether operations are recorded for backward, and the switches that say so.

Owns: the per-thread mode and its context managers, which work as decorators too. Must not know:
tensors, nodes or how gradients are computed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from lazygrad.ir.thread import starts, thread

mode = thread  # what holds in this thread
starts(lambda now: now.update(grad=True, inference=False, anomaly=False, check_nan=True))
starts(lambda now: now.update(task=None))  # the backward pass that runs
# hooks on what records save, why there must be none, and whether these or anomaly mode watch
starts(lambda now: now.update(packs=(), no_packs=None, watched=False))


def set_watched() -> None:
    """Have what is recorded go the long way where somebody looks on."""
    mode.watched = mode.anomaly or bool(mode.packs)


class _Switch:
    """A context manager that is also a decorator; `_enter` sets the mode, leaving restores it."""

    def __init__(self) -> None:
        self._saved: list[tuple[bool, bool]] = []

    def _enter(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> None:
        self._saved.append((mode.grad, mode.inference))
        self._enter()

    def __exit__(self, *error: Any) -> None:
        mode.grad, mode.inference = self._saved.pop()

    def clone(self) -> _Switch:
        return type(self)()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isclass(function):
            function.__init__ = self(function.__init__)  # type: ignore[method-assign]
            return function
        if inspect.isgeneratorfunction(function):
            return _around_generator(function, self)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return run


def _around_generator(function: Callable[..., Any], switch: _Switch) -> Callable[..., Any]:
    """The mode holds while the generator runs, and not between its values."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        send: Any = None
        try:
            while True:
                with switch.clone():
                    value = generator.send(send)
                send = yield value
        except StopIteration as stop:
            return stop.value
        finally:
            generator.close()

    return run


class no_grad(_Switch):
    """Nothing is recorded inside."""

    def __new__(cls, function: Any = None) -> Any:
        made = super().__new__(cls)
        if function is None:
            return made
        made.__init__()  # type: ignore[misc]
        return made(function)

    def __init__(self, function: Any = None) -> None:
        super().__init__()

    def _enter(self) -> None:
        mode.grad = False


class enable_grad(no_grad):
    """Recording is on inside, also within no_grad."""

    def _enter(self) -> None:
        mode.grad = True


class set_grad_enabled(_Switch):
    """Recording on or off: at once, and until the end of the `with` block if used as one."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = bool(mode)
        self._before = (_current()[0], _current()[1])
        self._enter()

    def __enter__(self) -> None:
        self._saved.append(self._before)
        self._enter()

    def _enter(self) -> None:
        mode.grad = self.mode

    def clone(self) -> _Switch:
        return type(self)(self.mode)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        mode.grad = self._before[0]
        return super().__call__(function)

    def __repr__(self) -> str:
        return f"set_grad_enabled(mode={self.mode})"


class inference_mode(_Switch):
    """no_grad whose tensors are marked as never to be recorded."""

    def __new__(cls, mode: Any = True) -> Any:
        made = super().__new__(cls)
        if isinstance(mode, bool):
            return made
        made.__init__()  # type: ignore[misc]
        return made(mode)

    def __init__(self, mode: Any = True) -> None:
        super().__init__()
        self.mode = mode if isinstance(mode, bool) else True

    def _enter(self) -> None:
        mode.inference = self.mode
        mode.grad = not self.mode

    def clone(self) -> _Switch:
        return type(self)(self.mode)


def _current() -> tuple[bool, bool]:
    return mode.grad, mode.inference


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return bool(mode.grad)


def is_inference_mode_enabled() -> bool:
    return bool(mode.inference)
