"""`Parameter`: the tensor that a module trains.

Owns: the subclass of `Tensor` by which a `Module` recognises what belongs to its parameters, and
how it prints. Must not know: modules, optimizers, or how a tensor holds its values.
"""

from __future__ import annotations

from typing import Any, cast

from lazygrad.tensor import Tensor, empty

__all__ = ["Parameter"]


class _ParameterType(type):
    """The class of `Parameter`: an instance of a user's subclass of `Tensor` may be one as well."""

    def __instancecheck__(cls, it: Any) -> bool:
        return super().__instancecheck__(it) or (
            cls is Parameter and getattr(it, "_is_param", False) is True
        )


class Parameter(Tensor, metaclass=_ParameterType):
    """A tensor that becomes a parameter when it is assigned to an attribute of a `Module`.

    `data` is a tensor of any shape; the parameter shares its storage. With `requires_grad=True`
    its dtype must be a floating point one, else a RuntimeError is raised. Without `data` the
    parameter is empty, of shape (0,). Of a tensor of a user's class it is one of that class, which
    is an instance of `Parameter` too.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is not None and type(data) is not Tensor and data._keeps_class:
            own = data.detach().requires_grad_(requires_grad)
            own._is_param = True
            return cast(Parameter, own)  # isinstance says so
        source: Any = (empty(0) if data is None else data).detach()
        if requires_grad and not source.is_floating_point():
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        made: Parameter = Tensor._make_subclass(cls, source, requires_grad)
        return made

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        # Everything was set by __new__; the constructor of Tensor reads its arguments as sizes.
        pass

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        copied: Parameter = memo[id(self)]
        return copied
