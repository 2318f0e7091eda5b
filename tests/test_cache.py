"""The disk cache: shared by processes, safe against broken files, and never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazygrad.runtime import compiler
from lazygrad.runtime.device import Text
from lazygrad.runtime.units import shares

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")
ROOT = Path(__file__).parent.parent

PROGRAM = """
import json, sys, warnings
import numpy as np
caught = warnings.catch_warnings(record=True)
seen = caught.__enter__()
warnings.simplefilter("always")
import lazygrad as lg
from lazygrad.runtime.stats import stats
x = lg.tensor(np.arange(12, dtype=np.float32).reshape(3, 4) / 8)
y = lg.tensor(np.ones((4, 2), np.float32))
BEFORE
values = [(x * 2 + 1).tanh().sum(1).tolist(), (x @ y).exp().tolist(), x.softmax(1).tolist()]
print(json.dumps({"values": values, "compiles": stats.compiles, "built": stats.built,
                  "disk_hits": stats.disk_hits, "interpreted": stats.interpreted,
                  "warnings": [str(w.message) for w in seen]}))
"""


def start(folder: Path, before: str = "", **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("BEFORE", before)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "LAZYGRAD_CACHE_DIR": str(folder), **env},
    )


def finish(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def run(folder: Path, before: str = "", **env: str) -> dict:
    return finish(start(folder, before, **env))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A folder that one process has filled, and what it saw."""
    folder = tmp_path_factory.mktemp("cache")
    return folder, run(folder)


def files(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if p.is_file())


def test_a_warm_process_compiles_and_plans_nothing(filled: tuple[Path, dict]) -> None:
    folder, cold = filled
    assert cold["compiles"] >= 1 and cold["interpreted"] == 0 and cold["warnings"] == []
    warm = run(folder)
    assert (warm["compiles"], warm["built"], warm["interpreted"]) == (0, 0, 0)
    assert warm["disk_hits"] >= 3 and warm["values"] == cold["values"]


def test_a_program_without_its_record_is_planned_but_not_compiled(
    filled: tuple[Path, dict], tmp_path: Path
) -> None:
    folder, cold = filled
    for record in folder.rglob("program.json"):
        record.unlink()
    again = run(folder)
    assert again["compiles"] == 0 and again["built"] >= 3 and again["values"] == cold["values"]


def test_eight_cold_processes_agree(tmp_path: Path) -> None:
    running = [start(tmp_path) for _ in range(8)]
    results = [finish(process) for process in running]
    assert len({json.dumps(r["values"]) for r in results}) == 1
    assert all(r["warnings"] == [] and r["interpreted"] == 0 for r in results)
    assert not list(tmp_path.rglob(".new-*"))
    assert run(tmp_path)["compiles"] == 0


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """One bit in the middle: of a program's numbers, of machine code."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def remove(path: Path) -> None:
    path.unlink()


DAMAGES = [
    *(("unit.so", damage) for damage in (truncate, empty, flip, remove)),
    *((name, flip) for name in ("unit.c", "at.json", "program.json", "sums")),
    ("program.json", truncate),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_damaged_file_is_made_again(
    filled: tuple[Path, dict], name: str, damage: object, tmp_path: Path
) -> None:
    """In place, for every file of this name at once: right values, no error, no warning."""
    folder, cold = filled
    run(folder)
    found = [p for p in files(folder) if p.name == name]
    assert found
    for path in found:
        damage(path)  # type: ignore[operator]
    again = run(folder)
    assert again["values"] == cold["values"] and again["warnings"] == []
    assert run(folder)["compiles"] == 0


def test_a_folder_that_cannot_be_made_only_disables_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    seen = run(tmp_path / "file" / "cache")
    assert len(seen["warnings"]) == 1 and "LAZYGRAD_CACHE_DIR" in seen["warnings"][0]
    assert seen["compiles"] >= 1 and seen["interpreted"] == 0


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_only_disables_the_cache(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        seen = run(tmp_path)
    finally:
        tmp_path.chmod(0o700)
    assert len(seen["warnings"]) == 1 and seen["interpreted"] == 0


FULL = """
import os, errno
from pathlib import Path
real = Path.write_text
def full(self, *args, **kwargs):
    if str(self).startswith(os.environ["LAZYGRAD_CACHE_DIR"]):
        raise OSError(errno.ENOSPC, "No space left on device")
    return real(self, *args, **kwargs)
Path.write_text = full
"""


def test_a_full_folder_only_disables_the_cache(filled: tuple[Path, dict], tmp_path: Path) -> None:
    seen = run(tmp_path, FULL)
    assert len(seen["warnings"]) == 1 and "No space left" in seen["warnings"][0]
    assert seen["values"] == filled[1]["values"] and seen["interpreted"] == 0


def test_another_width_or_compiler_has_entries_of_its_own(
    filled: tuple[Path, dict], tmp_path: Path
) -> None:
    folder, _ = filled
    before = {p.parent for p in files(folder)}
    width = "16" if compiler.target().vector_bytes != 16 else "32"
    other = run(folder, LAZYGRAD_VECTOR_BYTES=width)
    assert other["compiles"] >= 1
    assert {p.parent for p in files(folder)} > before
    assert run(folder)["compiles"] == 0


def test_the_folder_is_private_and_its_names_are_digests(filled: tuple[Path, dict]) -> None:
    folder, _ = filled
    (versioned,) = folder.iterdir()
    assert versioned.stat().st_mode & 0o077 == 0
    for path in versioned.glob("??/*"):
        assert len(path.name) == 32 and path.name.startswith(path.parent.name)


MANY = """
import json, os, sys
import numpy as np
import lazygrad as lg
from lazygrad.runtime import cache
PATCH
x = lg.tensor(np.arange(60, dtype=np.float32).reshape(5, 12) / 30)
for k in range(KERNELS):  # sums of different functions, along one axis and the other
    part = x
    for bit in range(5):
        part = part.sin() if k >> bit & 1 else part.exp().neg()
    x = x / 2 + part.sum(k % 2, keepdim=True)
values = x.tolist()
files = [f for e in cache.entries() for f in e.files]
print(json.dumps({"values": values, "units": files.count("unit.so") - 1,  # the bridge is one
                  "kernels": files.count("at.json"), "templates": files.count("template.bin")}))
"""


def many(folder: Path, kernels: int, threads: int, patch: str = "") -> dict:
    program = MANY.replace("KERNELS", str(kernels)).replace("PATCH", patch)
    env = {"LAZYGRAD_CACHE_DIR": str(folder), "LAZYGRAD_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **env},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_many_kernels_are_compiled_in_two_units(tmp_path: Path) -> None:
    one, two = (many(tmp_path / str(n), 24, n) for n in (1, 2))
    few = many(tmp_path / "few", 4, 2)
    assert one["kernels"] == two["kernels"] > 10 > few["kernels"]
    assert (one["units"], two["units"], few["units"]) == (1, 2, 1)
    assert one["values"] == two["values"]


def test_shares_of_a_unit_are_about_equal() -> None:
    sizes = [5, 900, 40, 300, 320, 310, 7, 8]
    texts = {str(n): Text("x" * size, (f"f{n}",)) for n, size in enumerate(sizes)}
    parts = shares(texts, 2)
    lengths = [sum(len(t.body) for t in part.values()) for part in parts]
    assert sorted(key for part in parts for key in part) == sorted(texts)
    assert max(lengths) - min(lengths) <= 50 and shares(texts, 1)[0].keys() == texts.keys()


def test_compiled_templates_are_kept(tmp_path: Path) -> None:
    """A process with a new program compiles no template that an earlier one has compiled."""
    first = many(tmp_path, 4, 1)
    assert first["templates"] >= 2
    refuse = "import jinja2; jinja2.Environment._generate = None"
    again = many(tmp_path, 7, 1, refuse)
    assert again["kernels"] > first["kernels"] and again["templates"] == first["templates"]
    for path in tmp_path.glob("v*/*/*/template.bin"):  # broken ones are misses
        path.write_bytes(path.read_bytes()[:50])
    assert many(tmp_path, 7, 1)["values"] == again["values"]
    assert many(tmp_path, 8, 1)["templates"] == first["templates"]
