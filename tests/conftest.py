"""Every test session has a disk cache of its own, set before lazygrad is imported."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # graphs.py, the tests' helpers

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit the folder, and share it
    _folder = tempfile.mkdtemp(prefix="lazygrad-tests-")
    os.environ["LAZYGRAD_CACHE_DIR"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)

# tests that need the emulated GPU: `make test-emulated` runs them under tests/emulator/run.py
ON_EMULATOR = "EMULATOR_RUNNING" in os.environ
collect_ignore = [] if ON_EMULATOR else ["test_emulator.py", "test_sass.py"]
