"""Running the CPU's tests on another device: pytest --device cuda.

Owns: making that device the default one, and the list of tests that are about the host alone. Must
not know: which tests there are beyond that list.

Tests look at values by `.numpy()`, which other devices' tensors refuse: here it copies. What a test
then cannot see, memory shared with numpy, is what the list leaves out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

HOST = "cpu"
HOST_ONLY: dict[str, str] = {
    "test_autograd.py::test_gradient_lands_where_a_leaf_had_its_gradient_exported": (
        "numpy shares the gradient's memory"
    ),
}


def name() -> str:
    """The device that tests run on; the option is kept in the environment for their children."""
    return os.environ.get("TEST_DEVICE", HOST)


def reason(test: str) -> str | None:
    """Why a test (`test_file.py::test_name[parameters]`) is about the host alone, if it is."""
    whole = test.rpartition("/")[2]
    file = whole.partition("::")[0]
    bare = whole.partition("[")[0]
    return HOST_ONLY.get(whole) or HOST_ONLY.get(bare) or HOST_ONLY.get(file)


def split(tests: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Tests to run on another device, and those to leave out."""
    kept: list[Any] = []
    left: list[Any] = []
    for test in tests:
        (left if reason(test.nodeid) else kept).append(test)
    return kept, left


def install() -> None:
    """Make the device the default, and `.numpy()` a copy of what lies on it."""
    import numpy as np

    import lazygrad

    lazygrad.set_default_device(name())
    tensor = lazygrad.Tensor
    plain, from_numpy = tensor.numpy, lazygrad.from_numpy

    def numpy(self: Any, *, force: bool = False) -> np.ndarray:
        if self.requires_grad and not force:
            return plain(self)  # raises
        return plain(self.detach().cpu())

    def moved(array: Any) -> Any:
        return from_numpy(array).to(name())

    tensor.numpy = numpy
    lazygrad.from_numpy = moved
