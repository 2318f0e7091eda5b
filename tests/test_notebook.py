"""Runs `examples/pytorch_basics.ipynb` and checks every output that is the same each time.

Owns: a runner of notebook cells that needs no Jupyter. Must not know: how lazygrad computes; it
looks at text only, as a reader of the notebook would.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "pytorch_basics.ipynb"


@dataclass
class Ran:
    """What one cell showed."""

    text: str = ""
    warned: list[str] = field(default_factory=list)
    error: BaseException | None = None


def run_cell(source: str, name: str, namespace: dict[str, Any]) -> Ran:
    """Execute a cell; the value of a last expression is echoed as its repr, unless None."""
    ran, out = Ran(), io.StringIO()
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(out):
        warnings.simplefilter("always")
        try:
            exec(compile(tree, name, "exec"), namespace)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
                if value is not None:
                    print(repr(value))
        except Exception as error:  # whatever a cell raises is what it shows
            ran.error = error
    ran.text = out.getvalue()
    ran.warned = [str(warning.message) for warning in caught]
    return ran


def code_cells() -> list[dict[str, Any]]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def ran() -> dict[str, Ran]:
    """Every code cell by its id, run in order in one namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    results = {}
    for cell in code_cells():
        result = run_cell("".join(cell["source"]), f"<cell {cell['id']}>", namespace)
        expected = "raises-exception" in cell["metadata"].get("tags", ())
        if result.error is not None and not expected:
            raise result.error
        results[cell["id"]] = result
    return results


def full(value: str, rows: int, columns: int) -> str:
    """A tensor of equal elements, as it prints."""
    row = "[" + ", ".join([value] * columns) + "]"
    return "tensor([" + ",\n        ".join([row] * rows) + "])\n"


SIZES = "lazygrad.Size([5, 3])\nlazygrad.Size([5, 3])\n"

EXACT = {
    "zeros-show": full("0.", 5, 3),
    "type": "<class 'lazygrad.Tensor'>\n",
    "ones-times-five": full("5.", 5, 3),
    "view": "lazygrad.Size([4, 4]) lazygrad.Size([16]) lazygrad.Size([2, 8])\n",
    "to-numpy": "tensor([1., 1., 1., 1., 1.])\n[1. 1. 1. 1. 1.]\n",
    "to-numpy-shared": "tensor([2., 2., 2., 2., 2.])\n[2. 2. 2. 2. 2.]\n",
    "from-numpy": "[1. 1. 1. 1. 1.]\ntensor([1., 1., 1., 1., 1.], dtype=lazygrad.float64)\n",
    "from-numpy-shared": "[2. 2. 2. 2. 2.]\ntensor([2., 2., 2., 2., 2.], dtype=lazygrad.float64)\n",
    "add-requires-grad": "True\n",
    "retain-grad-show": full("0.1111", 3, 3),
    "leaf-inplace": "",
    "rebind-grad": "",
    "loop-last-grad": "",
    "directional": "tensor([0.0000e+00, 2.0000e+00, 2.0000e-04])\n",
    "accumulate-first": "tensor([0.6667, 0.6667, 0.6667])\n",
    "accumulate-second": "tensor([1.3333, 1.3333, 1.3333])\n",
    "no-grad": "",
}

NUMBER = r" ?-?\d\.\d{4}(?:e[+-]\d\d)?"


def matrix(rows: int, columns: int, tail: str = "") -> str:
    """The pattern of a matrix whose elements are not the same each time."""
    row = r"\[" + ", ".join([NUMBER] * columns) + r"\]"
    return r"tensor\(\[" + r",\n        ".join([row] * rows) + rf"\]{tail}\)\n"


PATTERNS = {
    "uninitialised-show": r"tensor\(\[\[[\s\S]*\]\]\)\n",
    "randn": matrix(5, 3),
    "transpose-method": matrix(3, 5) + re.escape(SIZES),
    "transpose-function": matrix(3, 5) + re.escape(SIZES),
    "addition": matrix(5, 3),
    "addition-inplace": rf"({matrix(5, 3)})\1\1",
    "matmul": matrix(5, 4),
    "mm": rf"({matrix(5, 4)})\1",
    "cpu-show": matrix(4, 4),
    "device-show": re.escape(full("0.", 2, 3)[:-2]) + r"(, device='cuda:0')?\)\n",
    "add-grad-fn": r"<AddBackward0 object at 0x[0-9a-f]+>\n",
    "mul-grad-fn": r"<MulBackward0 object at 0x[0-9a-f]+>\n",
    "mean-grad-fn": r"<MeanBackward0 object at 0x[0-9a-f]+>\n",
    "mean-print": r"tensor\(\d+\.\d{4}, grad_fn=<MeanBackward0>\)\n",
    "grads": r"\(tensor\(\[\[[\s\S]*\]\]\), None, None\)\n",
    "leaf": matrix(3, 3, ", requires_grad=True"),
}


@pytest.mark.parametrize("cell", EXACT)
def test_output_is_exactly(ran: dict[str, Ran], cell: str) -> None:
    assert ran[cell].text == EXACT[cell]


@pytest.mark.parametrize("cell", PATTERNS)
def test_output_looks_like(ran: dict[str, Ran], cell: str) -> None:
    assert re.fullmatch(PATTERNS[cell], ran[cell].text), ran[cell].text


@pytest.mark.parametrize(
    ("cell", "count"), [("grads", 2), ("rebind-grad", 1), ("loop-last-grad", 1)]
)
def test_grad_of_a_tensor_that_is_no_leaf_warns(ran: dict[str, Ran], cell: str, count: int) -> None:
    warned = ran[cell].warned
    assert 1 <= len(warned) <= count
    assert all("The .grad attribute of a Tensor that is not a leaf Tensor" in w for w in warned)


def test_other_cells_do_not_warn(ran: dict[str, Ran]) -> None:
    loud = {
        cell
        for cell, result in ran.items()
        if any("no C compiler was found" not in text for text in result.warned)
    }
    assert loud == {"grads", "rebind-grad", "loop-last-grad"}


def test_inplace_change_of_a_leaf_raises(ran: dict[str, Ran]) -> None:
    error = ran["leaf-inplace"].error
    assert type(error) is RuntimeError
    assert str(error) == (
        "a leaf Variable that requires grad is being used in an in-place operation."
    )


def test_gradient_of_a_loop_is_a_power_of_two_over_nine(ran: dict[str, Ran]) -> None:
    values = {float(value) for value in re.findall(r"\d+\.\d+", ran["loop-leaf-grad"].text)}
    assert len(values) == 1
    assert values.pop() in [round(2**power / 9, 4) for power in range(8, 14)]


def test_notebook_is_valid_and_stores_no_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(not cell["outputs"] for cell in code_cells())
    assert "".join(code_cells()[0]["source"]).startswith("import lazygrad as torch\n")
