"""Programs as users of PyTorch write them, in tests/programs: all that they print and yield.

A program is a function of the module: it is given `torch` or `lazygrad` under the name torch. What
it prints is compared as text; what it yields, as values: dtypes, shapes and flags exactly, floats
to some units in the last place of the largest (`ULPS` of its file). `python
tests/test_user_programs.py [NAME ...]` records in tests/golden/programs.json.gz what PyTorch does.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import inspect
import io
import json
import math
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.config import config

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "programs.json.gz"
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def programs() -> dict[str, tuple[Callable[[Any], Any], int]]:
    """Each program by the names of its file and its own, and how many units values may be off."""
    found = {}
    for path in sorted((HERE / "programs").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"programs_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, value in vars(module).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                found[f"{path.stem}.{name}"] = (value, getattr(module, "ULPS", 8))
    return found


PROGRAMS = programs()


def outcome(program: Callable[[Any], Any], T: Any) -> dict[str, Any]:
    """What a program prints and yields with this library, as JSON has it."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = [plain(value) for value in program(T) or ()]
    shown = re.sub(r" at 0x[0-9a-f]+", "", text.getvalue())
    return {"text": shown.replace(T.__name__, "torch"), "values": values}


def plain(value: Any) -> Any:
    """Tensors and arrays as [dtype, shape, flag, values], all in lists; the rest as it is."""
    if isinstance(value, np.ndarray | np.generic):
        return [f"numpy.{value.dtype}", list(value.shape), False, numbers(value)]
    if hasattr(value, "requires_grad"):
        dtype = str(value.dtype).rpartition(".")[2]
        return [dtype, list(value.shape), value.requires_grad, numbers(value.detach())]
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return numbers(np.array(value))[0] if isinstance(value, float) else value


def numbers(array: Any) -> list[Any]:
    """The elements, in a row; what JSON has no number for as text."""
    found = array.reshape(-1).tolist()
    return [repr(x) if isinstance(x, float) and not math.isfinite(x) else x for x in found]


def differences(ours: Any, theirs: Any, ulps: int, at: str = "") -> list[str]:
    """Where two values differ by more than rounding."""
    if type(ours) is not type(theirs) and not {type(ours), type(theirs)} <= {float, int}:
        return [f"{at}: {ours}, not {theirs}"]
    if isinstance(ours, float):
        near = abs(ours - theirs) <= ulps * EPS["float32"] * abs(theirs)
        return [] if near else [f"{at}: {ours}, not {theirs}"]
    if isinstance(ours, dict):
        if list(ours) != list(theirs):
            return [f"{at}: keys {list(ours)}, not {list(theirs)}"]
        return [d for key in ours for d in differences(ours[key], theirs[key], ulps, f"{at}.{key}")]
    if not isinstance(ours, list):
        return [] if ours == theirs else [f"{at}: {ours}, not {theirs}"]
    if is_array(ours) and is_array(theirs):
        same = ours[:3] == theirs[:3] and alike(ours[3], theirs[3], ulps * EPS.get(ours[0], 0.0))
        return [] if same else [f"{at}: {ours}, not {theirs}"]
    if len(ours) != len(theirs):
        return [f"{at}: {len(ours)} values, not {len(theirs)}"]
    pairs = enumerate(zip(ours, theirs))
    return [d for i, (one, other) in pairs for d in differences(one, other, ulps, f"{at}[{i}]")]


def is_array(value: list[Any]) -> bool:
    return len(value) == 4 and isinstance(value[0], str) and isinstance(value[3], list)


def alike(ours: list[Any], theirs: list[Any], tolerance: float) -> bool:
    """Whether all elements are near each other, by the largest of them."""
    sizes = [abs(x) for x in theirs if not isinstance(x, str)]
    room = tolerance * max(sizes, default=0.0)
    return len(ours) == len(theirs) and all(
        a == b or (not isinstance(a, str) and not isinstance(b, str) and abs(a - b) <= room)
        for a, b in zip(ours, theirs)
    )


def recorded() -> dict[str, Any]:
    return json.loads(gzip.decompress(GOLDEN.read_bytes()))  # type: ignore[no-any-return]


def compare(name: str, found: dict[str, Any], golden: dict[str, Any]) -> None:
    assert found["text"].splitlines() == golden["text"].splitlines()
    wrong = differences(found["values"], golden["values"], PROGRAMS[name][1])
    assert not wrong, "\n".join(text[:400] for text in wrong)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("backend", ["interp", pytest.param("", marks=pytest.mark.slow)])
def test_a_program_shows_what_it_shows_with_pytorch(
    name: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "backend", backend)  # to compile every line's kernels takes long
    compare(name, outcome(PROGRAMS[name][0], lg), recorded()[name])


@pytest.mark.torch
def test_what_was_recorded_is_what_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    golden = recorded()
    assert list(golden) == list(PROGRAMS)
    for name, (program, _) in PROGRAMS.items():
        compare(name, outcome(program, torch), golden[name])


def test_a_difference_is_seen() -> None:
    one, other = np.float32(1), np.nextafter(np.float32(1), np.float32(2))
    for ours, theirs, ulps in (
        ([np.ones(2)], [np.ones(2, np.float32)], 8),
        ([np.ones(2)], [np.ones((1, 2))], 8),
        ([np.array([1.0, 2.0])], [np.array([1.0, 2.0 + 1e-14])], 8),
        ([np.array([1.0, np.nan])], [np.array([1.0, np.inf])], 8),
        ([{"a": one}], [{"a": other}], 0),
        ([1.0], [1.1], 8),
        ([1], [True], 8),
        ([one], [one, one], 8),
    ):
        assert differences(plain(ours), plain(theirs), ulps)
        assert not differences(plain(ours), plain(ours), 0)


def main(chosen: list[str]) -> None:
    sys.modules["opt_einsum"] = None  # type: ignore[assignment]
    import torch

    golden = recorded() if GOLDEN.exists() and chosen else {}
    for name, (program, _) in PROGRAMS.items():
        if not chosen or name in chosen:
            golden[name] = outcome(program, torch)
    text = json.dumps({name: golden[name] for name in PROGRAMS}, indent=0)
    GOLDEN.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(len(golden), "programs,", GOLDEN.stat().st_size, "bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
