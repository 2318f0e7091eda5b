"""`Function`: operations whose gradient the user writes.

Owns: the context object, the record of a user's function, and `once_differentiable`. Must not
know: the engine.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.autograd.graph import SECOND_TIME, AccumulateGrad, BaseFn, Edge, _sequence
from lazygrad.autograd.hooks import Packed
from lazygrad.autograd.modes import mode, no_grad
from lazygrad.autograd.saved import modified
from lazygrad.tensor import core, history
from lazygrad.tensor.aliasing import check_inplace
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.size import extents


class FunctionCtx(BaseFn):
    """What forward leaves for backward; at the same time the record in the graph."""

    def __init__(self) -> None:
        super().__init__((), next(_sequence))
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple[Any, ...] = ()
        self._saved: list[Any] = []
        self._dirty: tuple[Tensor, ...] = ()
        self._plain: set[int] = set()
        self._materialize = True
        self._released = False
        self._shapes: list[Any] = []
        self._positions: list[int] = []
        self._inputs: list[Any] = []

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs or outputs for backward, which finds them in `saved_tensors`."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    "save_for_backward can only save variables, but argument "
                    f"{tensors.index(t)} is of type {type(t).__name__}"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Forward mode is not there; nothing is kept."""

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say which inputs forward has changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        self._plain = {id(t) for t in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing gradients reach backward as zeros (True) or as None."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        if self._released:
            raise RuntimeError(SECOND_TIME)
        result = []  # type: ignore[var-annotated]
        for kept in self._saved:
            if kept is None:
                result.append(None)  # type: ignore[arg-type]
                continue
            t, version, number = kept
            if type(t) is Packed:
                result.append(self._given_back(t, version, number))
                continue
            now = core.told_version(t)
            if now != version:
                meta = t._meta
                maker = (
                    type(self)
                    if number is not None
                    else (type(meta.fn) if meta is not None and meta.fn is not None else None)
                )
                raise RuntimeError(modified(t._storage, now, version, maker, number or 0))
            if number is not None:  # an output: its history is this record, held weakly there
                made = core.alias(t)
                history.attach(made, self, number)
                result.append(made)
            else:
                result.append(t)
        return tuple(result)

    saved_variables = saved_tensors

    def _given_back(self, packed: Packed, edge: Edge, number: int | None) -> Tensor:
        """What a hook has made of a saved tensor, with the history that this one had."""
        made = core.alias(packed.tensor().detach())
        fn, at = (self, number) if number is not None else edge or (None, 0)
        if isinstance(fn, AccumulateGrad):
            meta = history.meta_of(made)
            meta.requires_grad, meta.accumulator = True, weakref.ref(fn)
        elif fn is not None:
            history.attach(made, fn, at)
        return made

    def moved_to(self, t: Tensor) -> None:
        """The first output was written into this tensor, which is what is saved from now on."""
        made = core.alias(t), core.told_version(core.alias(t)), 0
        self._saved = [
            made if e is not None and e[2] == 0 and type(e[0]) is not Packed else e
            for e in self._saved
        ]

    # -- as a record --

    def apply(self, *given: Any) -> Any:
        grads, create = list(given[0]), given[1]
        for i, (g, like) in enumerate(zip(grads + [None] * len(self._shapes), self._shapes)):
            if g is None and self._materialize and like is not None:
                zero = core.wrap(core.ops.zeros(*like))
                if i < len(grads):
                    grads[i] = zero
                else:
                    grads.append(zero)
        while len(grads) < len(self._shapes):
            grads.append(None)
        results = type(self)._function.backward(self, *grads)  # type: ignore[attr-defined]
        if not isinstance(results, tuple):
            results = tuple(results) if isinstance(results, list) else (results,)
        count = len(self.needs_input_grad)
        name = self.name()
        if len(results) > count and any(r is not None for r in results[count:]):
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected {count}, "
                f"got {len(results)})"
            )
        if len(results) < count:
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected {count}, "
                f"got {len(results)})"
            )
        out = []
        for number, position in enumerate(self._positions):
            out.append(self._checked(number, results[position], name))
        return out if create else [None if g is None else g.detach() for g in out]

    def _checked(self, number: int, grad: Any, name: str) -> Any:
        """One gradient with the shape and dtype of its input."""
        if grad is None:
            return None
        shape, dtype = self._inputs[number]
        if not isinstance(grad, Tensor):
            raise TypeError(f"expected Variable or None (got {type(grad).__name__})")
        own = core.shape_of(grad)
        if own != shape:
            lead = len(own) - len(shape)
            if lead < 0 or any(e not in (1, own[lead + a]) for a, e in enumerate(shape)):
                raise RuntimeError(
                    f"Function {name} returned an invalid gradient at index {number} - got "
                    f"{extents(own)} but expected shape compatible with {extents(shape)}"
                )
            axes = [
                a for a in range(len(own)) if a < lead or (shape[a - lead] == 1 and own[a] != 1)
            ]
            grad = grad.sum(axes).reshape(shape)
        return grad if grad.dtype is dtype else grad.to(dtype)

    def release(self) -> None:
        if self._saved:
            self._released = True
            self._saved = []


class _FunctionMeta(type):
    """Gives each function the class of its records: `MyFunctionBackward`."""

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]):
        super().__init__(name, bases, body)
        cls._record = type(f"{name}Backward", (FunctionCtx,), {"_function": cls})


class Function(metaclass=_FunctionMeta):
    """A user's operation: subclasses define static `forward` and `backward`."""

    _record: Any

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    setup_context: Any = None

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward, and record that backward is the gradient."""
        ctx = cls._record()
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and history.needs_grad(a) for a in args)
        records = mode.grad and any(ctx.needs_input_grad)
        edges, positions, inputs = [], [], []
        for i, a in enumerate(args):
            if isinstance(a, Tensor):
                edges.append(history.edge_of(a) if records else None)
                positions.append(i)
                inputs.append((core.shape_of(a), a.dtype))
        ctx._positions, ctx._inputs = positions, inputs
        with no_grad():
            if cls.setup_context is not None:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        if not records:
            ctx.needs_input_grad = tuple(False for _ in args)
            return result
        for t in ctx._dirty:
            check_inplace(t)
        ctx.edges = tuple(edges)
        single = not isinstance(result, tuple)
        outputs = [result] if single else list(result)
        finished = [cls._finish(ctx, number, out, args) for number, out in enumerate(outputs)]
        ctx._saved = [_kept(t, outputs, finished) for t in ctx._to_save]
        ctx._to_save = ()
        return finished[0] if single else tuple(finished)

    @classmethod
    def _finish(cls, ctx: Any, number: int, out: Any, args: Sequence[Any]) -> Any:
        if not isinstance(out, Tensor) or id(out) in ctx._plain or out.dtype.kind != "f":
            ctx._shapes.append(_kind_of(out) if isinstance(out, Tensor) else None)
            return out
        ctx._shapes.append(_kind_of(out))
        dirty = any(out is d for d in ctx._dirty)
        if any(out is a for a in args) and not dirty:
            out = core.alias(out)
        history.attach(out, ctx, number)
        return out


def _kind_of(t: Tensor) -> tuple[tuple[int, ...], Any, str]:
    """Shape, dtype and device."""
    return core.shape_of(t), t.dtype, t._storage.device


def _kept(t: Any, outputs: list[Any], finished: list[Any]) -> Any:
    if t is None:
        return None
    for number, out in enumerate(outputs):
        if t is out and finished[number]._meta is not None and not (finished[number] is not out):
            made = core.alias(out)
            return (Packed(made), None, number) if mode.packs else (*_seen(made), number)
    if mode.packs:
        return Packed(core.alias(t)), history.edge_of(t), None
    return *_seen(t), None


def _seen(t: Tensor) -> tuple[Tensor, int]:
    return t, core.told_version(t)


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """A backward whose result cannot be differentiated again: doing so raises."""

    @functools.wraps(function)
    def run(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            results = function(ctx, *grads)
        if not mode.grad or not any(isinstance(g, Tensor) and history.needs_grad(g) for g in grads):
            return results
        many = results if isinstance(results, tuple) else (results,)
        wrapped = tuple(_refuse(r) if isinstance(r, Tensor) else r for r in many)
        return wrapped if isinstance(results, tuple) else wrapped[0]

    return run


class _Once(BaseFn):
    def apply(self, grads: Any, create: bool) -> Any:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )

    def release(self) -> None:
        """Nothing is kept."""


def _refuse(t: Tensor) -> Tensor:
    made = core.alias(t)
    history.attach(made, _Once((), next(_sequence)), 0)
    return made
