"""The commands of `python -m lazygrad`: their names, options and exit codes.

Owns: the declarations for click. Must not know: how any of them does its work, which is in a
module of this package that is imported when the command is called. Exit codes: 0 all is well, 1
what was asked for could not be had, 2 wrong use.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

STAGES = ("graph", "groups", "schedule", "kernel", "plan", "source", "asm")
_BACKEND = "Plan for this one; by default for the one that each program runs on."
_SCRIPT_SETTINGS = {"ignore_unknown_options": True}  # they are the script's

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
module_option = click.option("-m", "--module", is_flag=True, help="SCRIPT is a module's name.")


def script_arguments(command: Any) -> Any:
    """SCRIPT and what follows it."""
    command = click.argument("args", nargs=-1, type=click.UNPROCESSED)(command)
    return click.argument("script")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def lazygrad() -> None:
    """Lazy tensors with PyTorch's interface, compiled to C that you can read.

    The variables that change how it works are listed by `lazygrad env`.
    """


@lazygrad.command()
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def demo(epochs: int, seed: int, as_json: bool) -> None:
    """Train a classifier of handwritten digits and show what was compiled."""
    from lazygrad.cli.demo import demo as train
    from lazygrad.cli.output import console, print_json
    from lazygrad.cli.stats import stats_record

    share = train(epochs=epochs, seed=seed, console=console(stderr=as_json))
    if as_json:
        print_json({"accuracy": share, "epochs": epochs, "seed": seed, "stats": stats_record()})


@lazygrad.command(context_settings=_SCRIPT_SETTINGS)
@click.option("--stage", type=click.Choice(STAGES), required=True, help="Which form to print.")
@click.option("--backend", type=click.Choice(["cpu", "cuda"]), help=_BACKEND)
@click.option("--kernel", default="", help="Only kernels whose name contains this.")
@click.option("--out", type=click.Path(path_type=Path), help="Write files into this folder.")
@click.option("--full", is_flag=True, help="source: all that the compiler sees; asm: unfiltered.")
@click.option("--simplified", is_flag=True, help="graph: after simplification, not as recorded.")
@module_option
@json_option
@script_arguments
def dump(script: str, args: tuple[str, ...], module: bool, **options: Any) -> None:
    """Run SCRIPT and print a stage of every distinct program that it ran.

    ARGS are the script's; behind `--` all are. What SCRIPT itself prints goes to stderr. A SCRIPT
    named `demo` is the built-in demo.
    """
    from lazygrad.cli.dump import Wanted, dump_script

    sys.exit(dump_script(script, args, module, Wanted(**options)))


@lazygrad.command(context_settings=_SCRIPT_SETTINGS)
@module_option
@json_option
@script_arguments
def explain(script: str, args: tuple[str, ...], module: bool, as_json: bool) -> None:
    """Run SCRIPT and say of each program: what triggered it, its kernels, why not fewer.

    What SCRIPT itself prints goes to stderr.
    """
    from lazygrad.cli.explain import explain_script

    sys.exit(explain_script(script, args, module, as_json))


@lazygrad.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check the compiler, the cache and the versions; exit code 0 if all is well."""
    from lazygrad.cli.doctor import run_doctor

    sys.exit(run_doctor(as_json))


@lazygrad.command()
@json_option
def ops(as_json: bool) -> None:
    """List every primitive: how it is compiled, for which dtypes, and its gradient."""
    from lazygrad.cli.ops import print_ops

    print_ops(as_json)


@lazygrad.command()
@click.option("--missing", is_flag=True, help="Only the gaps.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the page of coverage.")
@json_option
def coverage(missing: bool, write: Path | None, as_json: bool) -> None:
    """Call every promised name on every dtype and compare with PyTorch, where it is installed."""
    from lazygrad.cli.coverage import print_coverage

    sys.exit(print_coverage(missing, write, as_json))


@lazygrad.command()
@json_option
def env(as_json: bool) -> None:
    """List the environment variables: value, default, meaning."""
    from lazygrad.cli.environment import print_environment

    print_environment(as_json)


@lazygrad.group()
def cache() -> None:
    """Look at the disk cache of compiled programs, or empty it."""


@cache.command("list")
@json_option
def cache_list(as_json: bool) -> None:
    """List all entries, newest first."""
    from lazygrad.cli.caches import print_entries

    print_entries(as_json)


@cache.command("info")
@json_option
def cache_info(as_json: bool) -> None:
    """Show the folder, its size and what is in it."""
    from lazygrad.cli.caches import print_info

    print_info(as_json)


@cache.command("clear")
@json_option
def cache_clear(as_json: bool) -> None:
    """Remove all entries. Running programs are not disturbed."""
    from lazygrad.cli.caches import clear

    sys.exit(clear(as_json))


class _DefaultRun(click.Group):
    """`bench --rounds 3` is `bench run --rounds 3`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


path_argument = click.Path(path_type=Path)
existing_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@lazygrad.group(cls=_DefaultRun)
def bench() -> None:
    """Measure workloads beside the peers that are installed."""


@bench.command("run")
@click.option("-w", "--workload", multiple=True, help="Only these (may be given several times).")
@click.option("-p", "--peer", multiple=True, help="Only these peers, lazygrad among them.")
@click.option("-t", "--threads", multiple=True, type=click.IntRange(min=1), help="How many.")
@click.option("--rounds", type=click.IntRange(min=0), default=9, show_default=True,
              help="None: only what is asked for beside.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the inputs.")
@click.option("--first", is_flag=True, help="First calls and imports too (slow).")
@click.option("--peak", is_flag=True, help="Peak memory too.")
@click.option("--kernels", is_flag=True, help="Every kernel too, for the roofline.")
@click.option("--scaling", is_flag=True, help="Sizes and lengths of graphs too (slow).")
@click.option("--out", type=path_argument, help="Write the record, as JSON, part by part.")
@click.option("--add", is_flag=True, help="Keep what the record in --out has of other workloads.")
@click.option("--page", type=path_argument, help="Write the page of performance.")
@json_option
def bench_run(
    out: Path | None, add: bool, page: Path | None, as_json: bool, **options: Any
) -> None:
    """Check and time the workloads in interleaved rounds."""
    from lazygrad.bench.session import Options
    from lazygrad.cli.bench import run_bench

    chosen = Options(options.pop("workload"), options.pop("peer"), **options)
    sys.exit(run_bench(chosen, as_json, out, page, add))


@bench.command("counts")
@click.option("--write", type=path_argument, help="Write them, as JSON.")
@click.option("--instructions", is_flag=True, help="Of kernels too, by valgrind (slow).")
def bench_counts(write: Path | None, instructions: bool) -> None:
    """Count ops, kernels, bytes, compiles and Python calls of every workload."""
    from lazygrad.cli.bench import show_counts

    sys.exit(show_counts(write, instructions))


@bench.command("python")
@json_option
def bench_python(as_json: bool) -> None:
    """Time what Python costs: recording an op, finding a plan, importing."""
    from lazygrad.cli.bench import show_python

    sys.exit(show_python(as_json))


@bench.command("compare")
@click.argument("old", type=existing_file)
@click.argument("new", type=existing_file)
@json_option
def bench_compare(old: Path, new: Path, as_json: bool) -> None:
    """What changed beyond the noise from record OLD to record NEW."""
    from lazygrad.cli.bench import show_comparison

    sys.exit(show_comparison(old, new, as_json))


@bench.command("plot")
@click.argument("record", type=existing_file)
@click.argument("folder", type=path_argument)
def bench_plot(record: Path, folder: Path) -> None:
    """Draw RECORD into FOLDER: ratios, roofline, scaling."""
    from lazygrad.cli.bench import draw

    sys.exit(draw(record, folder))


@bench.command("page")
@click.argument("record", type=existing_file)
@click.argument("page", type=path_argument)
def bench_page(record: Path, page: Path) -> None:
    """Write the page of performance of RECORD; its notes are kept."""
    from lazygrad.cli.bench import show_page

    sys.exit(show_page(record, page))
