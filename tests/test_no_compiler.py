"""Without a C compiler everything runs on the interpreter, with one warning that says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

STEP = """
import warnings
warnings.simplefilter("always")
import lazygrad as lg
from lazygrad import nn, optim
lg.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
optimizer = optim.Adam(model.parameters(), lr=0.05)
x, t = lg.randn(16, 4), lg.randint(0, 3, (16,))
for _ in range(60):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), t)
    loss.backward()
    optimizer.step()
print(float(loss))
"""


def without_compiler(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in ("CC", "LAZYGRAD_CC")}
    env |= {"PATH": "", "PYTHONPATH": str(HERE.parent)} | more
    return subprocess.run(
        [sys.executable, *command], env=env, capture_output=True, text=True, check=False
    )


def test_a_model_trains() -> None:
    done = without_compiler("-c", STEP)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.9


def test_without_cffi_too() -> None:
    """A compiler is of no use then: what it makes cannot be loaded."""
    hidden = "import sys; sys.modules['_cffi_backend'] = None\n"
    code = f"{hidden}import lazygrad as lg\nprint((lg.ones(3) + 1).tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[2.0, 2.0, 2.0]\n", done.stderr
    assert done.stderr.count("cffi is not installed") == 1 and "pip install cffi" in done.stderr


def test_one_warning_names_the_remedy() -> None:
    warned = [
        line for line in without_compiler("-c", STEP).stderr.splitlines() if "Warning" in line
    ]
    assert len(warned) == 1, warned
    assert "no C compiler was found" in warned[0]
    assert "Install gcc or clang" in warned[0]


def test_no_warning_where_nothing_would_be_compiled() -> None:
    done = without_compiler("-W", "error", "-c", "import lazygrad as lg; print(lg.zeros(2, 3))")
    assert done.returncode == 0, done.stderr


def test_the_notebook_passes() -> None:
    files = ("test_notebook.py", "test_printing.py")
    done = without_compiler(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(HERE / name) for name in files)
    )
    assert done.returncode == 0, done.stdout[-3000:]


def failing_compiler(folder: Path) -> str:
    path = folder / "badcc"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_that_always_fails_is_passed_over(tmp_path: Path) -> None:
    found = {"PATH": os.environ["PATH"], "LAZYGRAD_CACHE_DIR": str(tmp_path / "cache")}
    text = STEP + "from lazygrad.runtime.stats import stats; print(stats.compiles)"
    done = without_compiler("-c", text, LAZYGRAD_CC=failing_compiler(tmp_path), **found)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 0
    assert "Warning" not in done.stderr


def test_nothing_but_a_failing_compiler_is_like_none(tmp_path: Path) -> None:
    found = {"LAZYGRAD_CACHE_DIR": str(tmp_path / "cache")}
    done = without_compiler("-c", STEP, LAZYGRAD_CC=failing_compiler(tmp_path), **found)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no C compiler was found") == 1
