"""Recurrent layers: `RNN`, `LSTM`, `GRU`, and their cells for one step.

Owns: the parameters by PyTorch's names, the update rule of each kind of cell, and the walk over
time, layers and directions. Must not know: kernels. The inputs of all steps are multiplied with
their weights at once; a step then is one matrix product and one elementwise kernel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from lazygrad.nn import functional as F
from lazygrad.nn import init
from lazygrad.nn.layers import kind_of
from lazygrad.nn.module import Module
from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor, cat, empty, stack, zeros

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

State = tuple[Tensor, ...]  # h, and for an LSTM c
Rule = Callable[[Tensor, Tensor, State], State]


# -- one step: x @ W_ih.T + b_ih, h @ W_hh.T + b_hh and the state give the next state --------------
def _tanh(given: Tensor, fed_back: Tensor, state: State) -> State:
    return ((given + fed_back).tanh(),)


def _relu(given: Tensor, fed_back: Tensor, state: State) -> State:
    return ((given + fed_back).relu(),)


def _lstm(given: Tensor, fed_back: Tensor, state: State) -> State:
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000."""
    enter, keep, new, leave = (given + fed_back).chunk(4, -1)
    c = keep.sigmoid() * state[1] + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * c.tanh(), c


def _gru(given: Tensor, fed_back: Tensor, state: State) -> State:
    """Cho et al. 2014, the reset gate behind the product, as in PyTorch."""
    reset, update, new = given.chunk(3, -1)
    reset_back, update_back, new_back = fed_back.chunk(3, -1)
    new = (new + (reset + reset_back).sigmoid() * new_back).tanh()
    update = (update + update_back).sigmoid()
    return ((state[0] - new) * update + new,)


_RULES: dict[str, tuple[Rule, int]] = {  # and how many gates stand in a weight
    "RNN_TANH": (_tanh, 1),
    "RNN_RELU": (_relu, 1),
    "LSTM": (_lstm, 4),
    "GRU": (_gru, 3),
}


class RNNBase(Module):
    """What `RNN`, `LSTM` and `GRU` have in common. `mode`: "RNN_TANH", "RNN_RELU", "LSTM", "GRU".

    `weight_ih_l0` (gates * hidden, input), `weight_hh_l0` (gates * hidden, hidden), `bias_ih_l0`,
    `bias_hh_l0`, with `proj_size` also `weight_hr_l0` (proj, hidden); then the same with the suffix
    `_reverse` and for the layers above. All start uniform within 1 / sqrt(hidden_size).
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_options(mode, hidden_size, num_layers, dropout, proj_size)
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional, self.proj_size = float(dropout), bidirectional, proj_size
        kind, rows = kind_of(device, dtype), _RULES[mode][1] * hidden_size
        directions = 2 if bidirectional else 1
        self._suffixes = [
            f"_l{layer}{'_reverse' * direction}"
            for layer in range(num_layers)
            for direction in range(directions)
        ]
        self._output_size = proj_size or hidden_size
        for number, suffix in enumerate(self._suffixes):
            width = input_size if number < directions else self._output_size * directions
            sizes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, width),
                "weight_hh": (rows, self._output_size),
            }
            if bias:
                sizes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                sizes["weight_hr"] = (proj_size, hidden_size)
            for name, size in sizes.items():
                self.register_parameter(name + suffix, Parameter(empty(*size, **kind)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        _draw(self, self.hidden_size)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [
            [p for name, p in self.named_parameters() if name.split("_l")[-1] == suffix[2:]]
            for suffix in self._suffixes
        ]

    def flatten_parameters(self) -> None:
        """Does nothing: where parameters lie in memory does not matter."""

    def extra_repr(self) -> str:
        said = f"{self.input_size}, {self.hidden_size}"
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        for name, default in defaults.items():
            value = getattr(self, name)
            if value != default:
                said += f", {name}={value}"
        return said

    # -- running ----------------------------------------------------------------------------------
    def _walk(self, x: Tensor, suffix: str, state: State) -> tuple[Tensor, State]:
        """One layer in one direction over (T, N, input): all outputs, and the last state."""
        rule = _RULES[self.mode][0]
        own = dict(self.named_parameters())
        back, shift = own["weight_hh" + suffix], own.get("bias_hh" + suffix)
        project = own.get("weight_hr" + suffix)
        given = F.linear(x, own["weight_ih" + suffix], own.get("bias_ih" + suffix)).unbind(0)
        backwards = suffix.endswith("_reverse")
        outputs = []
        for step in reversed(given) if backwards else given:
            state = rule(step, F.linear(state[0], back, shift), state)
            if project is not None:
                state = (F.linear(state[0], project), *state[1:])
            outputs.append(state[0])
        return stack(outputs[::-1] if backwards else outputs), state

    def _run(self, input: Tensor, hx: Sequence[Tensor] | None, states: int) -> tuple[Tensor, State]:
        """All layers; `states` tensors make up a state, each (layers * directions, N, size)."""
        self._check_input(input)
        batched = input.dim() == 3
        x = input.transpose(0, 1) if batched and self.batch_first else input
        x = x if batched else x.unsqueeze(1)
        first = self._first(x, hx, batched, states)
        directions = 2 if self.bidirectional else 1
        last: list[State] = []
        for number in range(0, len(self._suffixes), directions):
            if number and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for place in range(number, number + directions):
                start = tuple(part[place] for part in first)
                output, state = self._walk(x, self._suffixes[place], start)
                outputs.append(output)
                last.append(state)
            x = outputs[0] if directions == 1 else cat(outputs, -1)
        final = tuple(stack(list(parts)) for parts in zip(*last, strict=True))
        if not batched:
            return x.squeeze(1), tuple(part.squeeze(1) for part in final)
        return x.transpose(0, 1) if self.batch_first else x, final

    def _check_input(self, input: Tensor) -> None:
        if not isinstance(input, Tensor):
            raise TypeError(f"{self._name}: expected a Tensor, got {type(input).__name__}")
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{self._name}: Expected input to be 2D or 3D, got {input.dim()}D "
                + ("tensor instead" if self.mode.startswith("RNN") else "instead")
            )
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.size(-1)}"
            )

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _first(
        self, x: Tensor, hx: Sequence[Tensor] | None, batched: bool, states: int
    ) -> tuple[Tensor, ...]:
        """The state before the first step, each part (layers * directions, N, size)."""
        widths = (self._output_size, self.hidden_size)[:states]
        sizes = [(len(self._suffixes), x.size(1), width) for width in widths]
        if hx is None:
            return tuple(zeros(*size, dtype=x.dtype, device=x.device) for size in sizes)
        for part in hx:
            if part.dim() != (3 if batched else 2):
                raise RuntimeError(
                    f"For {'batched 3-D' if batched else 'unbatched 2-D'} input, hx "
                    + ("and cx " * (states > 1))
                    + f"should also be {3 if batched else 2}-D but got "
                    + (
                        f"({', '.join(f'{p.dim()}-D' for p in hx)}) tensors"
                        if states > 1
                        else f"{part.dim()}-D tensor"
                    )
                )
        parts = tuple(part if batched else part.unsqueeze(1) for part in hx)
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            if tuple(part.shape) != size:
                which = f"hidden[{number}]" if states > 1 else "hidden"
                raise RuntimeError(f"Expected {which} size {size}, got {list(part.shape)}")
        return parts


def _draw(module: Module, hidden_size: int) -> None:
    bound = 1.0 / math.sqrt(hidden_size) if hidden_size > 0 else 0
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


def _check_options(
    mode: str, hidden_size: int, num_layers: int, dropout: float, proj_size: int
) -> None:
    if mode not in _RULES:
        raise ValueError("Unrecognized RNN mode: " + mode)
    plain = isinstance(dropout, int | float) and not isinstance(dropout, bool)
    if not plain or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an "
            "element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=4,
        )
    if not isinstance(hidden_size, int):
        raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
    if hidden_size <= 0:
        raise ValueError("hidden_size must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


class RNN(RNNBase):
    """h' = tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh), over a sequence.

    `input` (T, N, input_size), (N, T, input_size) with `batch_first`, or (T, input_size). Gives all
    h of the last layer, (T, N, directions * hidden_size), and the last h of every layer and
    direction, (layers * directions, N, hidden_size). `nonlinearity` is "tanh" or "relu". ValueError
    and RuntimeError for sizes that do not fit.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(f"RNN_{self.nonlinearity.upper()}", *args, **kwargs)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, (last,) = self._run(input, None if hx is None else [hx], 1)
        return output, last


class GRU(RNNBase):
    """Gated recurrent units over a sequence; sizes as `RNN`.

    r, z = sigmoid of their sums; n = tanh(W_in x + b_in + r * (W_hn h + b_hn));
    h' = (1 - z) * n + z * h.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, (last,) = self._run(input, None if hx is None else [hx], 1)
        return output, last


class LSTM(RNNBase):
    """Long short-term memory over a sequence; sizes as `RNN`, the state being (h, c).

    i, f, g, o of x and h; c' = sigmoid(f) * c + sigmoid(i) * tanh(g); h' = sigmoid(o) * tanh(c').
    With `proj_size`, h is projected to that size.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output, (h, c) = self._run(input, hx, 2)
        return output, (h, c)


# -- cells ----------------------------------------------------------------------------------------
class RNNCellBase(Module):
    """One step of a recurrent layer: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`."""

    _mode: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        kind, rows = kind_of(device, dtype), _RULES[self._mode][1] * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, **kind))
        self.weight_hh = Parameter(empty(rows, hidden_size, **kind))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, **kind)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        _draw(self, self.hidden_size)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ", bias=False" * (not self.bias)

    @property
    def _rule(self) -> Rule:
        return _RULES[self._mode][0]

    def _step(self, input: Tensor, hx: Sequence[Tensor] | None, states: int) -> State:
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for part in hx or ():
            if part.dim() not in (1, 2):
                raise ValueError(
                    f"{name}: Expected hidden to be 1D or 2D, got {part.dim()}D instead"
                )
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.size(-1)} "
                f"expected {self.input_size}"
            )
        if hx is None:
            shape = (*input.shape[:-1], self.hidden_size)
            hx = [zeros(*shape, dtype=input.dtype, device=input.device) for _ in range(states)]
        given = F.linear(input, self.weight_ih, self.bias_ih)
        return self._rule(given, F.linear(hx[0], self.weight_hh, self.bias_hh), tuple(hx))


class RNNCell(RNNCellBase):
    """One step of `RNN`: `input` (N, input_size) and `hx` (N, hidden_size); N may be absent."""

    _mode = "RNN_TANH"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        said = super().extra_repr()
        return said + f", nonlinearity={self.nonlinearity}" * (self.nonlinearity != "tanh")

    @property
    def _rule(self) -> Rule:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return _RULES[f"RNN_{self.nonlinearity.upper()}"][0]

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, None if hx is None else [hx], 1)[0]


class GRUCell(RNNCellBase):
    """One step of `GRU`: `input` (N, input_size) and `hx` (N, hidden_size); N may be absent."""

    _mode = "GRU"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, None if hx is None else [hx], 1)[0]


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: `hx` and the result are (h, c), each (N, hidden_size)."""

    _mode = "LSTM"

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        h, c = self._step(input, hx, 2)
        return h, c
