"""The `lazygrad.cuda` namespace where there is no CUDA device.

Owns: what programs ask before they use one. Must not know: how a device would be opened.
"""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    return False


def device_count() -> int:
    return 0


def is_initialized() -> bool:
    return False


def manual_seed(seed: int) -> None:
    """Nothing to seed."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Nothing to give back."""


def synchronize(device: Any = None) -> None:
    raise AssertionError("Lazygrad not compiled with CUDA enabled")


def current_device() -> int:
    raise AssertionError("Lazygrad not compiled with CUDA enabled")
