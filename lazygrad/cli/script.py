"""Running a user's script under observation.

Owns: the script's arguments, where its output goes, its exit code, and how its errors are shown:
with the user's frames, not ours. Must not know: what is observed.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lazygrad.cli.output import error
from lazygrad.config import config
from lazygrad.realize import observers as registered

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
DEMO = "demo"


def run_script(
    script: str, args: tuple[str, ...], module: bool, observers: list[Callable[..., Any]]
) -> int:
    """Run a file, a module or the demo as `python` would, observed. Returns its exit code.

    The script's output goes to stderr: stdout is for what is asked about it.
    """
    if not module and script != DEMO and not Path(script).exists():
        error(f"can't open {script!r}: no such file")
        return 2
    with _observed(observers), _arguments(script, args, module):
        return _run(script, args, module)


@contextlib.contextmanager
def _observed(observers: list[Callable[..., Any]]) -> Iterator[None]:
    registered.extend(observers)
    try:
        yield
    finally:
        for observer in observers:
            registered.remove(observer)


@contextlib.contextmanager
def _arguments(script: str, args: tuple[str, ...], module: bool) -> Iterator[None]:
    """argv and the search path as the script expects them, and its output on stderr."""
    argv, path = sys.argv, list(sys.path)
    folder = os.getcwd() if module else str(Path(script).resolve().parent)
    sys.argv = [script, *args]
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.argv, sys.path[:] = argv, path


def _run(script: str, args: tuple[str, ...], module: bool) -> int:
    try:
        if module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        elif script == DEMO and not Path(script).exists():
            _run_demo(args)
        else:
            runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        return _exit_code(stop)
    except KeyboardInterrupt:
        return 130
    except BaseException as failure:
        print(user_traceback(failure), end="", file=sys.stderr)
        return 1
    return 0


def _run_demo(args: tuple[str, ...]) -> None:
    """One epoch is enough to see every program; an argument gives another number."""
    from lazygrad.cli.demo import demo
    from lazygrad.cli.output import console

    demo(epochs=int(args[0]) if args else 1, console=console(stderr=True))


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    print(stop.code, file=sys.stderr)
    return 1


def user_traceback(failure: BaseException) -> str:
    """The traceback without the frames of this command, and without lazygrad's own unless
    LAZYGRAD_TRACEBACK=full."""
    shown = traceback.TracebackException.from_exception(failure)
    pending: list[traceback.TracebackException | None] = [shown]
    while pending:
        one = pending.pop()
        if one is not None:
            one.stack = _user_frames(one.stack)
            pending += [one.__cause__, one.__context__]
    return "".join(shown.format())


def _user_frames(stack: traceback.StackSummary) -> traceback.StackSummary:
    frames = list(stack)
    while frames and _is_runner(frames[0]):
        del frames[0]
    if config.traceback != "full":
        kept = [f for f in frames if not f.filename.startswith(_PACKAGE) or _is_demo(f)]
        frames = kept or frames
    return traceback.StackSummary.from_list(frames)


def _is_demo(frame: traceback.FrameSummary) -> bool:
    return frame.filename == str(Path(__file__).with_name("demo.py"))


def _is_runner(frame: traceback.FrameSummary) -> bool:
    return "runpy" in frame.filename or frame.filename == __file__
