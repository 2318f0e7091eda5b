"""`lazygrad explain`: what each realize of a script did, and why it was not fewer kernels.

Owns: the account of programs by the line that triggered them: runs, where they were found, time.
Must not know: how programs are made; what is inside one it learns from `debug.Look`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import click

from lazygrad.cli.output import error, print_json
from lazygrad.cli.script import run_script
from lazygrad.debug import Look, summary_text
from lazygrad.ir.node import place_text, user_place
from lazygrad.ir.printer import Record
from lazygrad.ir.structure import Structure
from lazygrad.runtime.stats import stats

_FOUND = {
    "built": "built",
    "disk": "found on disk",
    "memory": "found in memory",
    "interpreted": "run by the numpy interpreter",
}


@dataclass
class Account:
    """One program at one trigger."""

    place: str
    summary: Record
    runs: int = 0
    found: dict[str, int] = field(default_factory=dict)
    compiles: int = 0
    nanoseconds: int = 0

    def observe(self, launch: Any, nanoseconds: int) -> None:
        self.nanoseconds += nanoseconds

    def record(self) -> Record:
        return {
            "place": self.place,
            "runs": self.runs,
            "found": self.found,
            "compiles": self.compiles,
            "nanoseconds": self.nanoseconds,
            **self.summary,
        }


class Accounts:
    """Observer that keeps the accounts."""

    def __init__(self) -> None:
        self.of: dict[Any, Account] = {}
        self.before = self.counts()

    @staticmethod
    def counts() -> dict[str, int]:
        return {
            "built": stats.built,
            "disk": stats.disk_hits,
            "memory": stats.program_hits,
            "interpreted": stats.interpreted,
            "compiles": stats.compiles,
        }

    def changes(self) -> dict[str, int]:
        now = self.counts()
        changed = {name: count - self.before[name] for name, count in now.items()}
        self.before = now
        return changed

    def __call__(self, shape: Structure, program: Any) -> Any:
        changed = self.changes()
        place = place_text(user_place(3))
        account = self.of.get((shape.key, place))
        if account is None:
            account = self.of[shape.key, place] = Account(place, Look(shape).summary())
        account.runs += 1
        account.compiles += changed.pop("compiles")
        for name, count in changed.items():
            if count:
                account.found[name] = account.found.get(name, 0) + count
        return account.observe


def _compiles(count: int) -> str:
    return f", {count} compile{'s' * (count != 1)}" if count else ""


def account_text(number: int, record: Record) -> str:
    """One program: a line of counts, its kernels, what was kept apart."""
    found = ", ".join(f"{count} {_FOUND[name]}" for name, count in record["found"].items())
    compiled = _compiles(record["compiles"])
    time = f"; {record['nanoseconds'] / 1e6:.3f} ms in kernels" if record["nanoseconds"] else ""
    plural = "s" * (record["runs"] != 1)
    head = f"{number}. {record['place'] or 'no user line'}: {record['runs']} run{plural} "
    body = summary_text(record).replace("\n", "\n   ")
    return f"{head}({found}{compiled}){time}\n   {body}"


def explain_script(script: str, args: tuple[str, ...], module: bool, as_json: bool) -> int:
    """Run the script, then print the accounts. Returns the exit code."""
    accounts = Accounts()
    code = run_script(script, args, module, [accounts])
    records = [account.record() for account in accounts.of.values()]
    if as_json:
        print_json(records)
    elif not records:
        if not code:
            error(f"{script} ran no program: nothing was computed")
    else:
        for number, record in enumerate(records, 1):
            click.echo(account_text(number, record))
        runs = sum(r["runs"] for r in records)
        compiled = [r for r in records if "interpreted" not in r["found"]]
        kernels = sum(r["runs"] * len(r["kernels"]) for r in compiled)
        compiles = sum(r["compiles"] for r in records)
        click.echo(f"programs {len(records)}, runs {runs}, kernels {kernels}, compiles {compiles}")
    return code
