"""`Module`: the base of every layer and model.

Owns: the registers of parameters, buffers and sub-modules behind attribute access, walks over
them, forward hooks, train and eval, moves between dtypes and devices, state dicts, and how a
module prints. Must not know: any layer, any op, how tensors are computed. What is registered and
raised, and in which words, is PyTorch's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from lazygrad.nn._backward_hooks import BackwardHooks, SeesGradients
from lazygrad.nn._state import RemovableHandle, _IncompatibleKeys, load
from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor, no_grad

__all__ = ["Module", "RemovableHandle"]


def _indent(text: str) -> str:
    """Every line but the first, two spaces to the right."""
    return text.replace("\n", "\n  ")


def _type_name(value: object) -> str:
    """A tensor by its tensor type, as in `lazygrad.FloatTensor`; anything else by its class."""
    return value.type() if isinstance(value, Tensor) else type(value).__name__


class Module(SeesGradients):
    """A part of a model: it holds parameters, buffers and other modules, and computes `forward`.

    A `Parameter` or `Module` assigned to an attribute is registered under the attribute's name.
    A subclass calls `super().__init__()` before it assigns either (AttributeError otherwise).
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent: set[str]

    def __init__(self) -> None:
        # Past __setattr__, which looks into these registers.
        fields = self.__dict__
        fields["training"] = True
        fields["_parameters"] = {}
        fields["_buffers"] = {}
        fields["_modules"] = {}
        fields["_non_persistent"] = set()
        fields["_forward_hooks"] = OrderedDict()
        fields["_forward_pre_hooks"] = OrderedDict()
        fields["_backward_hooks"] = OrderedDict()
        fields["_backward_pre_hooks"] = OrderedDict()

    # -- attribute access ------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        for register in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(register)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        fields = self.__dict__
        for kind, expected, register, words in (
            (Parameter, "lazygrad.nn.Parameter", "_parameters", "parameter"),
            (Module, "lazygrad.nn.Module", "_modules", "child module"),
        ):
            if isinstance(value, kind):
                if register not in fields:
                    what = "parameters" if kind is Parameter else "module"
                    raise AttributeError(f"cannot assign {what} before Module.__init__() call")
                self._forget(name, register)
                fields[register][name] = value
                return
            if name in fields.get(register, ()):
                if value is not None:
                    raise TypeError(
                        f"cannot assign '{_type_name(value)}' as {words} '{name}' "
                        f"({expected} or None expected)"
                    )
                fields[register][name] = None
                return
        if name in fields.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as buffer '{name}' "
                    "(lazygrad.Tensor or None expected)"
                )
            fields["_buffers"][name] = value
            return
        super().__setattr__(name, value)

    def _forget(self, name: str, keep: str) -> None:
        """Take `name` out of where it is, but for the register `keep`, where it holds its place."""
        fields = self.__dict__
        for register in ("_parameters", "_buffers", "_modules"):
            if register != keep:
                fields[register].pop(name, None)
        fields["_non_persistent"].discard(name)
        fields.pop(name, None)

    def __delattr__(self, name: str) -> None:
        for register in (self._parameters, self._buffers, self._modules):
            if name in register:
                del register[name]
                self._non_persistent.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[0].isdigit())

    # -- registration ----------------------------------------------------------------------

    def _check_name(self, kind: str, name: str, register: Mapping[str, object]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            given = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{given}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in register:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under `name`; None declares one that is absent.

        KeyError for a name that is empty, has a dot or is in use; TypeError for what is neither
        a `Parameter` nor None.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name("parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_type_name(param)}' object to parameter '{name}' "
                "(lazygrad.nn.Parameter or None required)"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but is not trained; `persistent` puts it in `state_dict`.

        KeyError for a name that is empty, has a dot or is in use; TypeError for what is neither
        a tensor nor None.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' "
                "(lazygrad Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent.discard(name)
        else:
            self._non_persistent.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under `name`; None declares one that is absent.

        KeyError for a name that is empty, has a dot or is in use; TypeError for what is neither
        a `Module` nor None.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Alias of `add_module`."""
        self.add_module(name, module)

    def _register_hook(
        self, hooks: OrderedDict[int, Any], hook: Callable[..., Any], prepend: bool, kwargs: bool
    ) -> RemovableHandle:
        handle = RemovableHandle(hooks)
        hooks[handle.id] = (hook, kwargs)
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before every `forward`; what it returns replaces the args.

        With `with_kwargs` it is `hook(module, args, kwargs)`, and returns None or (args, kwargs).
        """
        return self._register_hook(self._forward_pre_hooks, hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after every `forward`; not None replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`.
        """
        return self._register_hook(self._forward_hooks, hook, prepend, with_kwargs)

    # -- call ------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass has its own."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for hook, with_kwargs in tuple(self._forward_pre_hooks.values()):
            if with_kwargs:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            "forward pre-hook must return None or a tuple of (new_args, "
                            f"new_kwargs), but got {changed}."
                        )
                    args, kwargs = changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        seen = None
        if self._backward_hooks or self._backward_pre_hooks:
            seen = BackwardHooks(self)
            args = seen.enter(args)
        output = self.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self._forward_hooks.values()):
            extra = (args, kwargs) if with_kwargs else (args,)
            changed = hook(self, *extra, output)
            if changed is not None:
                output = changed
        return output if seen is None else seen.leave(output)

    # -- walks -----------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below, each with its dotted name, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(memo, below, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below, each once."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, each with its name, each once."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        for _, child in self.named_children():
            yield child

    def _named_members(
        self, register: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        owners: Any = [(prefix, self)]
        if recurse:
            owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, owner in owners:
            for name, member in owner.__dict__[register].items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, each once."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once: what an optimizer is given."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names, each once."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; AttributeError if there is none."""
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        found: Module = module
        return found

    def _get_member(self, target: str, register: str, words: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        if name not in owner.__dict__[register]:
            raise AttributeError(f"`{name}` is not {words}")
        return getattr(owner, name)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path; AttributeError if there is none."""
        param: Parameter = self._get_member(target, "_parameters", "an nn.Parameter")
        return param

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path; AttributeError if there is none."""
        buffer: Tensor = self._get_member(target, "_buffers", "a buffer")
        return buffer

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module below, children first, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # -- modes, dtypes, devices ------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and below (dropout, batch norm); ValueError if not a bool."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set whether autograd records ops on the parameters here and below."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for param in self.parameters():
            _clear_grad(param, set_to_none)

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Replace the values of every parameter and buffer; the parameters stay the same objects.

        An optimizer made before keeps its parameters that way.
        """
        with no_grad():
            for param in self.parameters():
                param.data = fn(param.data)
                if param.grad is not None:
                    param.grad = fn(param.grad)
            for module in self.modules():
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        module._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device, a dtype, or those of another tensor, as `Tensor.to` takes them.

        A dtype is applied to floating point parameters and buffers only and must be one itself
        (TypeError otherwise).
        """
        values = (*args, *kwargs.values())
        dtypes = [
            v for v in values if hasattr(v, "is_floating_point") and not isinstance(v, Tensor)
        ]
        if any(not dtype.is_floating_point for dtype in dtypes):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, "
                f"but got desired dtype={dtypes[0]}"
            )
        others = [v for v in values if isinstance(v, Tensor)]
        if others:
            dtypes, args = [others[0].dtype], (others[0].device, others[0].dtype)
            kwargs = {}

        def move(tensor: Tensor) -> Tensor:
            if not dtypes or tensor.is_floating_point():
                return tensor.to(*args, **kwargs)
            devices = [v for v in args if v not in dtypes]
            named = {k: v for k, v in kwargs.items() if k != "dtype"}
            return tensor.to(*devices, **named) if devices or named else tensor

        return self._apply(move)

    def _to_float(self, method: str) -> Self:
        return self._apply(lambda t: getattr(t, method)() if t.is_floating_point() else t)

    def float(self) -> Self:
        """Floating point parameters and buffers as float32."""
        return self._to_float("float")

    def double(self) -> Self:
        """Floating point parameters and buffers as float64."""
        return self._to_float("double")

    def half(self) -> Self:
        """Floating point parameters and buffers as float16."""
        return self._to_float("half")

    def bfloat16(self) -> Self:
        """Floating point parameters and buffers as bfloat16."""
        return self._to_float("bfloat16")

    def cpu(self) -> Self:
        """Everything to the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Self:
        """Everything to a GPU; RuntimeError where there is none."""
        return self._apply(lambda t: t.cuda(device))

    # -- state -----------------------------------------------------------------------------

    def state_dict(
        self,
        *,
        destination: OrderedDict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> OrderedDict[str, Any]:
        """All parameters and persistent buffers by dotted name, sharing their storage.

        The tensors are detached unless `keep_vars`.
        """
        state = OrderedDict() if destination is None else destination
        for name, member in (*self._parameters.items(), *self._buffers.items()):
            if member is not None and name not in self._non_persistent:
                state[prefix + name] = member if keep_vars else member.detach()
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy values in by dotted name and return the names that were missing or unexpected.

        `assign` takes the given tensors themselves instead of their values. RuntimeError lists
        every shape that differs and, if `strict`, every name missing or unexpected; TypeError if
        `state_dict` is no mapping.
        """
        return load(self, state_dict, strict, assign)

    # -- printing --------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module prints."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({key}): {_indent(repr(child))}" for key, child in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        body = "\n  ".join(lines + children)
        return f"{self._get_name()}(\n  {body}\n)"


def _clear_grad(param: Tensor, set_to_none: bool) -> None:
    """Drop a gradient, or fill it with zeros where it is."""
    if param.grad is None:
        return
    if set_to_none:
        param.grad = None
    else:
        with no_grad():
            param.grad.detach().zero_()
