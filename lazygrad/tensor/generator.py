"""The generator of random numbers: a seed and how many draws were made from it.

Owns: `Generator`, the default one and its state. Must not know: distributions, or how bits are
computed from (seed, draw): the ops `random` and `normal` do.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.creation import from_values
from lazygrad.tensor.size import device, device_name

_MASK = (1 << 64) - 1
_DEFAULT_SEED = 67280421310721


class Generator:
    """A seed and how many draws were made from it."""

    def __init__(self, device: Any = "cpu"):
        self._seed = _DEFAULT_SEED
        self._draws = 0
        self.device = _device(device)

    def manual_seed(self, seed: Any) -> Generator:
        value = int(seed)
        if not -(2**63) <= value <= _MASK:
            raise RuntimeError("Overflow when unpacking long long")
        self._seed = value & _MASK
        self._draws = 0
        return self

    def seed(self) -> int:
        self.manual_seed(secrets.randbits(53))
        return self._seed

    def initial_seed(self) -> int:
        return self._seed

    def get_state(self) -> Tensor:
        """The state as a uint8 tensor."""
        raw = np.frombuffer(np.array([self._seed, self._draws], np.uint64).tobytes(), np.uint8)
        return from_values(raw.copy(), D.uint8)

    def set_state(self, new_state: Tensor) -> Generator:
        if not isinstance(new_state, Tensor) or new_state.dtype is not D.uint8:
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        raw = bytes(new_state.tolist())
        if len(raw) != 16:
            raise RuntimeError("RNG state is wrong size")
        self._seed, self._draws = (int(v) for v in np.frombuffer(raw, np.uint64))
        return self

    def draw(self) -> tuple[Node, Node]:
        """(seed, number) of the next draw, as nodes."""
        number = self._draws
        self._draws += 1
        seed = self._seed if self._seed < 2**63 else self._seed - 2**64
        return ops.scalar(seed, D.int64, "cpu"), ops.scalar(number, D.int64, "cpu")


def _device(where: Any) -> device:
    device_name(where)
    return device(where)


default_generator = Generator()


def manual_seed(seed: Any) -> Generator:
    """Seed the default generator."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    return default_generator.seed()


def initial_seed() -> int:
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    default_generator.set_state(new_state)


class fork_rng:
    """Gives the default generator its state back at the end of the block."""

    def __init__(self, devices: Any = None, enabled: bool = True) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        self._state = (default_generator._seed, default_generator._draws)

    def __exit__(self, *error: Any) -> None:
        if self.enabled:
            default_generator._seed, default_generator._draws = self._state
