"""`lazygrad coverage`: the table of names that work as PyTorch's do, and of the gaps.

Owns: the table's columns, the page docs/coverage.md, and reading that page again. Must not know:
how anything is called or compared, which is `lazygrad.testing.coverage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lazygrad.cli.output import console, error, print_json, table
from lazygrad.testing.coverage import CHECKS, DTYPES, MISSING, Gap, Row, measure, pytorch

GROUPS = {"core": "Core", "extended": "Extended", "further": "Further"}
_SHORT = {dtype: dtype.replace("bfloat", "bf").replace("float", "f").replace("uint", "u")
          .replace("int", "i") for dtype in DTYPES}  # fmt: skip
_FAMILIES = {"all": DTYPES, "floats": DTYPES[:4], "ints": DTYPES[4:9]}
_HEAD = ("name", "dtypes that agree", *CHECKS)
_ROW = re.compile(r"^\| `(.+?)` \| (.*) \|$", re.M)
_GAP = re.compile(r"^- `(.+?)`, ([a-z =-]+), ([a-z0-9 ]+): (.*)$", re.M)
_INTRO = """\
# Coverage of PyTorch's interface

Made by `python -m lazygrad coverage --write docs/coverage.md` with PyTorch installed; not to be \
edited. Every name is called as function and as method on ten dtypes with the arguments of \
`lazygrad/testing/samples.py`, and the results (values, shape, dtype, or the exception's type) are \
compared with PyTorch's on the CPU. The numpy interpreter runs the calls here; that compiled \
programs agree with it is another test's matter.

- **dtypes that agree**: those for which some call works, and all calls agree.
- **forward**: functions and methods; **in-place**: values on all dtypes, and float64 gradients; \
**out=**: float32. **gradient** and **second gradient**: float64, of every input.
- **errors**: what PyTorch refuses is refused here with the same type of exception.
- `yes` agrees, `gap` does not (see the end), `-` PyTorch has no such form.
"""


def short_dtypes(dtypes: Iterable[str]) -> str:
    """A list of dtypes in few words."""
    left, words = list(dtypes), []
    for word, family in _FAMILIES.items():
        if set(family) <= set(left):
            words.append(word)
            left = [d for d in left if d not in family]
    return " ".join([*words, *(_SHORT[d] for d in left)]) or "none"


def long_dtypes(text: str) -> list[str]:
    """What `short_dtypes` made its words of."""
    long = {short: (dtype,) for dtype, short in _SHORT.items()} | _FAMILIES
    return [dtype for word in text.split() if word != "none" for dtype in long[word]]


def gap_lines(gaps: Iterable[Gap]) -> list[str]:
    """One line for each name and check: its dtypes, and what differs for the first of them."""
    merged: dict[tuple[str, str], list[Gap]] = {}
    for gap in gaps:
        merged.setdefault((gap.name, gap.check), []).append(gap)
    return [
        f"`{name}`, {check}, {short_dtypes(g.dtype for g in found)}: {_one_line(found[0].text)}"
        for (name, check), found in merged.items()
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("](", "] (")


def totals(rows: list[Row]) -> dict[str, dict[str, int]]:
    """For each group: how many names there are, are complete, complete but for errors, missing."""
    counted = {}
    for group in GROUPS:
        mine = [row for row in rows if row.group == group]
        counted[group] = {
            "names": len(mine),
            "complete": sum(not row.gaps for row in mine),
            "complete_but_errors": sum(all(g.check == "errors" for g in r.gaps) for r in mine),
            "missing": sum(any(g.text == MISSING for g in row.gaps) for row in mine),
        }
    return counted


def _totals_text(rows: list[Row]) -> str:
    parts = [
        f"{GROUPS[group]}: {n['complete']} of {n['names']} names are complete, "
        f"{n['complete_but_errors']} but for the type of errors, {n['missing']} are missing."
        for group, n in totals(rows).items()
    ]
    lines = sum(len(gap_lines(row.gaps)) for row in rows)
    return " ".join([*parts, f"Gaps: {lines}."])


def markdown(rows: list[Row]) -> str:
    """The page."""
    text = [_INTRO, _totals_text(rows)]
    for group, title in GROUPS.items():
        text += [f"\n## {title}\n", f"| {' | '.join(_HEAD)} |", "|" + " --- |" * len(_HEAD)]
        for row in rows:
            if row.group == group:
                cells = [short_dtypes(row.dtypes), *(row.checks[check] for check in CHECKS)]
                text.append(f"| `{row.name}` | {' | '.join(cells)} |")
    text.append("\n## Gaps\n")
    text += [f"- {line}" for row in rows for line in gap_lines(row.gaps)]
    return "\n".join(text) + "\n"


def recorded(page: str) -> dict[str, Row]:
    """The rows of a page by name, with their gaps."""
    rows = {}
    for name, rest in _ROW.findall(page):
        dtypes, *checks = rest.split(" | ")
        rows[name] = Row(name, "", long_dtypes(dtypes), dict(zip(CHECKS, checks, strict=True)))
    for name, check, dtypes, text in _GAP.findall(page):
        rows[name].gaps += [Gap(name, check, dtype, text) for dtype in long_dtypes(dtypes)]
    return rows


def print_coverage(missing: bool, write: Path | None, as_json: bool) -> int:
    """Measure and show; the exit code. Only a comparison with PyTorch makes a page."""
    reference = pytorch()
    if write is not None and reference is None:
        error("PyTorch is not installed: there is nothing to compare with, and no page to write")
        return 1
    rows = measure(reference)
    if write is not None:
        write.write_text(markdown(rows), encoding="utf-8")
    if as_json:
        shown = [row for row in rows if row.gaps] if missing else rows
        print_json(
            {
                "pytorch": getattr(reference, "__version__", None),
                "totals": totals(rows),
                "names": [asdict(row) for row in shown],
            }
        )
        return 0
    _print_rows(rows, missing, reference)
    return 0


def _print_rows(rows: list[Row], missing: bool, reference: Any) -> None:
    screen = console()
    for line in (line for row in rows for line in gap_lines(row.gaps) if missing):
        screen.print(line.replace("`", ""), markup=False, soft_wrap=True)
    if not missing:
        shown = table(*_HEAD)
        for row in rows:
            marks = [row.checks[check] for check in CHECKS]
            shown.add_row(row.name.replace("[", "\\["), short_dtypes(row.dtypes), *marks)
        screen.print(shown)
    if reference is None:
        screen.print("PyTorch is not installed: calls were run, and compared with nothing")
    else:
        screen.print(_totals_text(rows), soft_wrap=True)
