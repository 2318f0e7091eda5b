"""`lazygrad dump`: any stage of every program that a script runs.

Owns: which stages there are, and printing them or writing them to files. Must not know: how a
stage is made or spelled, which is `debug.Look`'s and the printers'. Records are taken when a
program is about to run, since its graph is let go of afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from lazygrad.cli.output import console, error, print_json
from lazygrad.cli.script import run_script
from lazygrad.codegen.printer import plan_text, product_text
from lazygrad.debug import Look
from lazygrad.ir import printer
from lazygrad.ir.node import place_line, place_text, user_place
from lazygrad.ir.printer import Record
from lazygrad.ir.structure import Structure
from lazygrad.runtime import compiler

BY_KERNEL = ("kernel", "plan", "source", "asm")  # stages that --kernel selects from


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    stage: str
    backend: str | None = None  # None: the one that each program runs on
    kernel: str = ""
    out: Path | None = None
    full: bool = False
    simplified: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class Section:
    """One piece of text, and the name of the file it would be."""

    file: str
    text: str


def dump_script(script: str, args: tuple[str, ...], module: bool, wanted: Wanted) -> int:
    """Run the script, then print what was asked for. Returns the exit code."""
    if wanted.stage == "asm" and (what := _missing(wanted.backend)):
        error(f"{what} was found, so there is no assembly; `lazygrad doctor` says what to do")
        return 1
    if wanted.kernel and wanted.stage not in BY_KERNEL:
        raise click.UsageError(f"--kernel selects from the stages {', '.join(BY_KERNEL)}")
    collector = Collector(wanted)
    code = run_script(script, args, module, [collector])
    if wanted.as_json and wanted.out is None:
        print_json(collector.programs)
    elif not collector.programs:
        if not code:
            error(f"{script} ran no program: nothing was computed")
    else:
        _deliver(collector.programs, wanted)
    if wanted.kernel and collector.programs and not collector.matched:
        names = ", ".join(dict.fromkeys(collector.names))
        error(f"no kernel's name contains {wanted.kernel!r}; there are: {names}")
        return code or 1
    return code


def _missing(backend: str | None) -> str:
    """The compiler that this backend lacks, "" if it is there."""
    if backend == "cuda":
        from lazygrad.runtime.cuda import compiler as cuda

        return "" if cuda.find() else "no nvcc"
    return "" if compiler.compiler() else "no C compiler"


@dataclass
class Collector:
    """Observer that takes the wanted stage of every program, each structure once."""

    wanted: Wanted
    programs: list[Record] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    matched: int = 0
    seen: set[Any] = field(default_factory=set)

    def __call__(self, shape: Structure, program: Any) -> None:
        if shape.key in self.seen:
            return
        self.seen.add(shape.key)
        place = user_place(3)
        found = place_line(place)
        look = Look(shape, self.wanted.backend)
        self.programs.append(
            {
                "program": len(self.programs) + 1,
                "place": place_text(place),
                "file": found and found[0],
                "line": found and found[1],
                "ops": len(shape.order),
                "step_count": len(look.schedule.steps),
                "interpreted": program is None,
                "stage": self.wanted.stage,
                "suffix": look.code.device.suffix,
                **self.take(look),
            }
        )

    def take(self, look: Look) -> Record:
        stage = self.wanted.stage
        if stage == "graph":
            return look.simplified() if self.wanted.simplified else look.graph()
        if stage == "groups":
            return look.groups()
        if stage == "schedule":
            return look.steps()
        if stage == "kernel":
            return {"kernels": self.chosen(look.kernels())}
        if stage == "plan":
            return {"kernels": self.chosen(look.plans())}
        return self.code(look)

    def code(self, look: Look) -> Record:
        """Source or assembly."""
        kernels = self.chosen(look.sources())
        names = list(dict.fromkeys(k["name"] for k in kernels))
        if self.wanted.stage == "source":
            return {"kernels": kernels, "unit": look.unit(names) if self.wanted.full else None}
        if not names:
            return {"kernels": [], "unit": None}
        text = look.code.device.assembly(look.unit(names))
        if self.wanted.full:
            return {"kernels": [], "unit": text}
        symbols = [s for name in names for s in look.code.all()[name].symbols]
        found = look.code.device.functions(text, symbols)
        return {"kernels": [{"name": s, "text": t} for s, t in found.items()], "unit": None}

    def chosen(self, records: list[Record]) -> list[Record]:
        self.names += [r["name"] for r in records]
        found = [r for r in records if self.wanted.kernel in r["name"]]
        self.matched += len(found)
        return found


# -- text -----------------------------------------------------------------------------------------
def _kernel_section(record: Record) -> str:
    return printer.other_step_text(record) if "kind" in record else printer.kernel_text(record)


def _plan_section(record: Record) -> str:
    if "kind" not in record:
        return plan_text(record)
    text = printer.other_step_text(record)
    return f"{text}\n{product_text(record)}" if "phases" in record else text


TEXTS: dict[str, Callable[[Record], str]] = {
    "graph": printer.graph_text,
    "groups": printer.groups_text,
    "schedule": printer.schedule_text,
    "kernel": lambda r: "\n\n".join(map(_kernel_section, r["kernels"])),
    "plan": lambda r: "\n\n".join(map(_plan_section, r["kernels"])),
}


def heading(program: Record) -> str:
    """program 1, train.py:31: 14 ops, 2 steps"""
    at = f", {program['place']}" if program["place"] else ""
    plural = "s" * (program["step_count"] != 1)
    how = "; run by the numpy interpreter" if program["interpreted"] else ""
    return (
        f"program {program['program']}{at}: {program['ops']} ops, "
        f"{program['step_count']} step{plural}{how}"
    )


def sections(program: Record) -> list[Section]:
    """The files that a program's stage is written to."""
    stage = program["stage"]
    name = f"program-{program['program']}"
    if stage in TEXTS:
        return [Section(f"{name}.{stage}.txt", TEXTS[stage](program))]
    suffix = program["suffix"] if stage == "source" else "s"
    if program["unit"]:
        return [Section(f"{name}.{suffix}", program["unit"])]
    return [
        Section(f"{name}.{kernel['name']}.{suffix}", kernel["text"])
        for kernel in program["kernels"]
    ]


def _deliver(programs: list[Record], wanted: Wanted) -> None:
    if wanted.out is not None:
        _write(programs, wanted.out, wanted)
        return
    if wanted.kernel:
        programs = [p for p in programs if p["kernels"] or p.get("unit")]
    for number, program in enumerate(programs):
        mark = "//" if program["stage"] == "source" else "#"
        click.echo("\n" * (number > 0) + f"{mark} {heading(program)}")
        for section in sections(program):
            _show(section.text.rstrip("\n"), wanted.stage)


def _show(text: str, stage: str) -> None:
    """Coloured on a terminal; the same text, untouched, anywhere else."""
    screen = console()
    if stage == "source" and screen.is_terminal and not screen.no_color:
        from rich.syntax import Syntax

        screen.print(Syntax(text, "c", background_color="default", word_wrap=False))
    else:
        click.echo(text)


def _write(programs: list[Record], folder: Path, wanted: Wanted) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        found = sections(program)
        if wanted.as_json:
            text = json.dumps(program, indent=2, default=str)
            found = [Section(f"program-{program['program']}.{program['stage']}.json", text)]
        for section in found:
            path = folder / section.file
            path.write_text(section.text.rstrip("\n") + "\n", encoding="utf-8")
            click.echo(str(path))
