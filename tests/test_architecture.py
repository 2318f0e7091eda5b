"""The shape of the code: imports go one way, the IR knows no backend, an import stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import on_device
import pytest

PACKAGE = Path(__file__).parent.parent / "lazygrad"
MODULES = sorted(PACKAGE.rglob("*.py"))
# what a part may import of lazygrad, besides itself; the pipeline from its end to its start
ALLOWED: dict[str, set[str]] = {
    "config": set(),
    "ir": set(),
    "codegen": {"ir", "config"},
    "runtime": {"ir", "codegen", "config"},
    "realize": {"ir", "codegen", "runtime", "config"},
}
LOW = set(ALLOWED)
ALLOWED["tensor"] = ALLOWED["autograd"] = {*LOW, "tensor", "autograd"}
ALLOWED["recorded"] = {*LOW, "tensor", "autograd"}
ALLOWED["nn"] = ALLOWED["optim"] = {"tensor", "autograd", "ir", "config"}
MIDDLE = {"tensor", "autograd"}
LONGEST = 520
LONGER: dict[str, int] = {}  # to be split, and not to grow


def part(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(module: Path, at_top: bool = False) -> Iterator[str]:
    """Names of all modules that this one imports, inside functions too unless `at_top`."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in tree.body if at_top else ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide where they go"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ids(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


def parts_imported(module: Path) -> set[str]:
    names = (name.split(".") for name in imported(module))
    known = {part(m) for m in MODULES}
    return {name[1] for name in names if name[0] == "lazygrad" and len(name) > 1} & known


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_imports_go_one_way(module: Path) -> None:
    here = part(module)
    used = parts_imported(module) - {here}
    if here in ALLOWED:
        assert used <= ALLOWED[here], f"{here} must not import {sorted(used - ALLOWED[here])}"
    elif here in ("data", "utils", "debug"):
        assert "cli" not in used and "nn" not in used and "optim" not in used
    if here != "cli" and here != "__main__":
        assert "cli" not in used


def test_the_ir_imports_nothing_else_of_lazygrad() -> None:
    for module in MODULES:
        if part(module) == "ir":
            assert parts_imported(module) <= {"ir"}, module


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) == "ir"], ids=ids)
def test_the_ir_names_no_backend(module: Path) -> None:
    """No string "cpu" or "cuda" decides anything there; documentation may name them."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value.lower() not in ("cpu", "cuda", "gpu"), f"line {node.lineno}"
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            assert "cuda" not in name.lower(), f"line {node.lineno}"


# a backend's own modules, and the table that names it ...
BACKENDS = ("runtime/cuda/", "codegen/cuda/", "runtime/device.py", "cli/")
# ... and PyTorch's names for it, which users write
SPELLED = ("tensor/cuda.py", "tensor/convert.py", "tensor/core.py", "tensor/size.py")
SPELLED = (
    *SPELLED,
    "tensor/creation.py",
    "tensor/from_data.py",
    "tensor/dlpack.py",
    "nn/module.py",
)
SPELLED = (*SPELLED, "__init__.py", "config.py", "tensor/cuda_array.py")


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_backends_are_named_in_their_own_files(module: Path) -> None:
    """No other text than a backend's own tells "cuda" from the rest: it asks the device."""
    name = module.relative_to(PACKAGE).as_posix()
    if name.startswith((*BACKENDS, *SPELLED)):
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    said = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, ast.Module)}
    for node in ast.walk(tree):
        word = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            word = "" if node.value in said else node.value
        elif isinstance(node, ast.Name | ast.Attribute):
            word = node.id if isinstance(node, ast.Name) else node.attr
        assert "cuda" not in word.lower(), f"line {node.lineno}"


def test_what_other_devices_leave_out_exists() -> None:
    """`on_device.HOST_ONLY` names tests that are there."""
    for name in on_device.HOST_ONLY:
        file, _, test = name.partition("::")
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert not test or f"def {test.partition('[')[0]}(" in text, name


def test_the_driver_is_loaded_when_a_device_is_opened() -> None:
    loaded = run("import lazygrad as lg, sys; lg.cuda; (lg.ones(3) * 2).sum(); print(*sys.modules)")
    assert not {"pycuda", "pycuda.driver", "lazygrad.runtime.cuda.device"} & set(loaded)


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_heavy_modules_are_imported_where_they_are_used(module: Path) -> None:
    if part(module) in ("cli", "__main__"):
        return
    tops = {name.split(".")[0] for name in imported(module, at_top=True)}
    assert not tops & {"jinja2", "pycuda", "torch", "scipy"}
    if "networkx" in tops:  # the fusion pass itself, which is imported with the first compile
        assert module.relative_to(PACKAGE) == Path("ir/fusion.py")


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_modules_are_of_a_size_to_be_read(module: Path) -> None:
    lines = module.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGER.get(ids(module), LONGEST)


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_modules_say_what_they_own(module: Path) -> None:
    if module.read_text(encoding="utf-8").strip() and module.name != "_bridge.py":
        assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


def run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return done.stdout.split()


def test_import_is_light() -> None:
    """Time is the machine's, so the modules are counted: those of numpy and cffi's backend, and
    ours. networkx, jinja2, pycuda, asyncio, ctypes.util and the like come when they are used."""
    loaded = set(run("import lazygrad, sys; print(*sys.modules)"))
    plain = set(run("import numpy, sys; print(*sys.modules)"))
    more = {name for name in loaded - plain if not name.startswith("lazygrad")}
    heavy = {
        "networkx",
        "jinja2",
        "pycuda",
        "rich",
        "click",
        "asyncio",
        "torch",
        "cffi",
        "scipy",
        "pycparser",
        "unittest",
        "multiprocessing",
        "concurrent.futures",
    }
    assert not {name for name in more if name in heavy or name.split(".")[0] in heavy}
    assert len(more) <= 60, sorted(more)
    assert len(loaded - plain) <= 161


def test_the_tensor_api_is_complete_without_the_planner() -> None:
    """Recording a program plans nothing."""
    loaded = run("import lazygrad as lg, sys; (lg.ones(3) * 2).sum(); print(*sys.modules)")
    assert not {"networkx", "jinja2", "lazygrad.ir.fusion", "lazygrad.codegen.cpu"} & set(loaded)
