"""Every test session has a disk cache of its own, set before lazygrad is imported."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # graphs.py, the tests' helpers

import on_device
import pytest

# PyTorch contracts `einsum` in another order where this is installed: tests see PyTorch alone
sys.modules["opt_einsum"] = None  # type: ignore[assignment]

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit the folder, and share it
    _folder = tempfile.mkdtemp(prefix="lazygrad-tests-")
    os.environ["LAZYGRAD_CACHE_DIR"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)

# tests that need the emulated GPU: `make test-emulated` runs them under tests/emulator/run.py
ON_EMULATOR = "EMULATOR_RUNNING" in os.environ
collect_ignore = [] if ON_EMULATOR else ["test_emulator.py", "test_sass.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", help="where tests make their tensors: cpu or cuda")
    parser.addoption(
        "--every", default="1", help="run every so many-th test of a file; 3:1 begins at the second"
    )


def pytest_configure(config: pytest.Config) -> None:
    device = config.getoption("--device")
    if device:
        os.environ["TEST_DEVICE"] = device
    if on_device.name() != on_device.HOST:
        on_device.install()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if on_device.name() != on_device.HOST:
        items[:], left = on_device.split(items)
        config.hook.pytest_deselected(items=left)
    every, _, first = config.getoption("--every").partition(":")
    if int(every) > 1:
        files: dict[Path, list[pytest.Item]] = {}
        for item in items:
            files.setdefault(item.path, []).append(item)
        chosen = {item for file in files.values() for item in file[int(first or 0) :: int(every)]}
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = [item for item in items if item in chosen]
