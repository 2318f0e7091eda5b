"""`lazygrad ops`: the coverage matrix of the op registry.

Owns: the columns. Must not know: any op; everything is read from the declarations.
"""

from __future__ import annotations

from typing import Any

from lazygrad.cli.output import console, print_json, table
from lazygrad.ir.ops import REGISTRY, Lowering, Op

KINDS = {"b": "bool", "u": "unsigned", "i": "signed", "f": "float"}
_COMPILED = {
    Lowering.LEAF: "read or computed from its index",
    Lowering.POINTWISE: "cast by the emitter",  # where the declaration has no expression
    Lowering.REDUCE: "loop of the reduction",
    Lowering.MOVEMENT: "address of a load or store",
    Lowering.CONTRACT: "blocked kernel",
    Lowering.INDEXED: "computed address",
    Lowering.EXTERN: "",
}


def c_text(op: Op) -> str:
    """How an op becomes C; empty where it runs on the host."""
    if isinstance(op.c, dict):
        return next(text for kind, text in reversed(op.c.items()))
    return op.c or _COMPILED[op.lowering]


def record(op: Op) -> dict[str, Any]:
    return {
        "name": op.name,
        "lowering": op.lowering.value,
        "arity": op.arity,
        "kinds": [name for kind, name in KINDS.items() if kind in op.kinds],
        "gradient": op.vjp is not None,
        "saves": ["output" if s < 0 else f"source {s}" for s in op.saves],
        "numpy": op.numpy is not None,
        "c": c_text(op) or None,
        "ulp": op.ulp,
        "domain": list(op.domain),
        "errors": list(op.errors),
    }


def print_ops(as_json: bool) -> None:
    """One row an op, in the order of lowering kinds."""
    order = list(Lowering)
    ops = sorted(REGISTRY.values(), key=lambda op: (order.index(op.lowering), op.name))
    records = [record(op) for op in ops]
    if as_json:
        print_json(records)
        return
    shown = table("op", "lowering", *KINDS.values(), "gradient", "numpy", "ulp", "C")
    for one in records:
        marks = ["yes" if kind in one["kinds"] else "-" for kind in KINDS.values()]
        shown.add_row(
            one["name"],
            one["lowering"],
            *marks,
            "yes" if one["gradient"] else "-",
            "yes" if one["numpy"] else "-",
            f"{one['ulp']:g}" if one["ulp"] else "-",
            _escaped(one["c"] or "- (host)"),
        )
    screen = console()
    screen.print(shown)
    compiled = sum(one["c"] is not None for one in records)
    gradients = sum(one["gradient"] for one in records)
    screen.print(
        f"{len(records)} ops: {compiled} compiled, {len(records) - compiled} run on the host, "
        f"{gradients} with a gradient"
    )


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
