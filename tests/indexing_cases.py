"""Index expressions and what PyTorch makes of them: the golden file of test_indexing.py.

`python tests/indexing_cases.py` writes it anew, with PyTorch. A line is an expression, and of
x = arange(24).reshape(2, 3, 4): the shape and values of x[...], x after x[...] = -1, the gradient
of a weighted sum of x[...]; or the name of an exception's type.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "golden" / "indexing.json"
COUNT = 400
SIZES = (2, 3, 4)

ANY = ("None", "...")
OF_AXIS = (
    "0", "-1", "1", ":", ":", "::2", "1:", ":-1", "0:0", "-2:9", "1:2", "T.tensor(1)",
    "T.tensor([1, 0])", "T.tensor([[0], [1]])", "T.tensor([-1])", "[0, 1]", "[1]",
    "T.tensor([], dtype=T.int64)", "T.tensor([0, 1], dtype=T.uint8)",
    "T.tensor([1, 0], dtype=T.int32)", "np.int64(1)", "np.array([0, 1])",
)  # fmt: skip
MASKS = {
    2: "T.tensor([True, False])", 3: "T.tensor([True, False, True])", 4: "x[0, 0] > 1",
}  # fmt: skip
WRONG = ("5", "-7", "T.tensor([0, 9])", "T.tensor([True])", "T.tensor([0.5])", "::-1", "1.5", "'a'")
WHOLE = ("x > 5", "x[0] > 3", "True", "False", "x[:, :, 0] > 2", "T.tensor(True)", "[True, False]")


def expressions() -> list[str]:
    """Distinct expressions: those of whole tensors, then drawn ones, a tenth of them wrong."""
    draw = random.Random(3)
    found = dict.fromkeys(WHOLE)
    while len(found) < COUNT:
        parts: list[str] = []
        axis, dots = 0, False
        for _ in range(draw.randint(1, 5)):
            if draw.random() < 0.2:
                part = draw.choice(ANY)
                if part == "..." and dots:
                    continue
                dots |= part == "..."
            elif axis == len(SIZES):
                break
            elif draw.random() < 0.12 and not dots:
                part, axis = MASKS[SIZES[axis]], axis + 1
            elif draw.random() < 0.03:
                part, axis = draw.choice(WRONG), axis + 1
            else:
                part, axis = draw.choice(OF_AXIS), axis + 1
            parts.append(part)
        if parts:
            found[", ".join(parts)] = None
    return list(found)


def outcome(library: Any, key: str) -> list[Any]:
    """What the file says of an expression."""
    import numpy as np

    x = library.arange(24.0, dtype=library.float64).reshape(*SIZES)
    names = {"x": x, "T": library, "np": np}
    try:
        read = eval(f"x[{key}]", names)
        shape, values = list(read.shape), read.reshape(-1).tolist()
        leaf = x.clone().requires_grad_()
        taken = eval(f"x[{key}]", names | {"x": leaf * 1})
        weights = library.arange(1.0, taken.numel() + 1, dtype=library.float64)
        (taken.reshape(-1) * weights).sum().backward()
        gradient = leaf.grad.reshape(-1).tolist()
        written = x.clone()
        exec(f"x[{key}] = -1", names | {"x": written})
    except Exception as error:
        return [key, type(error).__name__]
    return [key, shape, values, written.reshape(-1).tolist(), gradient]


def main() -> None:
    import torch

    lines = [json.dumps(outcome(torch, key)) for key in expressions()]
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
