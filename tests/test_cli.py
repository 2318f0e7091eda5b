"""The command line: every stage of a small script, doctor, ops, cache, env, and debug lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lazygrad import debug
from lazygrad.cli.commands import lazygrad as command
from lazygrad.cli.ops import record
from lazygrad.config import config
from lazygrad.ir import ops
from lazygrad.ir.dtypes import float32
from lazygrad.ir.node import Node, toposort
from lazygrad.ir.ops import REGISTRY
from lazygrad.ir.printer import graph_record, graph_text, size_text
from lazygrad.realize import observers, read, realize_nodes
from lazygrad.runtime import cache, compiler
from lazygrad.runtime.cuda.compiler import find as find_nvcc
from lazygrad.runtime.memory import from_array

np = pytest.importorskip("numpy")

SCRIPT = """\
import sys

import numpy as np
from lazygrad.ir import ops
from lazygrad.ir.dtypes import float32
from lazygrad.realize import read, realize_nodes
from lazygrad.runtime.memory import from_array

def leaf(*shape):
    values = np.ones(shape, np.float32)
    return ops.buffer_leaf(from_array(values), shape, float32, "cpu")

x = leaf(6, 10)
w = leaf(10, 4)
rate = ops.scalar(0.5, float32, "cpu")
top = ops.max_(x, arg=(1,))
e = ops.exp(ops.sub(x, ops.spread(top, x.shape)))
soft = ops.div(e, ops.spread(ops.sum_(e, arg=(1,)), x.shape))
h = ops.mul(ops.tanh(ops.matmul(soft, w)), rate)
c = ops.neg(ops.cumsum(h, arg=1))
for _ in range(2):
    realize_nodes([ops.sum_(c, arg=(0, 1)), soft])
print("said by the script", sys.argv[1:])
"""
# lines of SCRIPT
TOP, EXP, SOFT, HIDDEN, SCAN, RUN = 16, 17, 18, 19, 20, 22


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """One cache folder for all tests here: most of them run the same script."""
    monkeypatch.setattr(config, "cache_dir", str(tmp_path_factory.getbasetemp() / "cli-cache"))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def call(*args: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in args])


def dump(script: Path, stage: str, *more: object) -> str:
    done = call("dump", script, "--stage", stage, *more)
    assert done.exit_code == 0, done.output
    return done.output


def run(*args: object, path: str | None = None, **environment: str) -> subprocess.CompletedProcess:
    """In a process of its own, `path` as PATH."""
    variables = {**os.environ, "LAZYGRAD_CACHE_DIR": config.cache_dir, **environment}
    if path is not None:
        variables["PATH"] = path
        variables.pop("CC", None)
    command = [sys.executable, *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, env=variables, check=False, timeout=60
    )


compiled = pytest.mark.skipif(
    compiler.compiler() is None or config.backend == "interp", reason="needs a C compiler"
)


def leaf(*shape: int) -> Node:
    values = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    return ops.buffer_leaf(from_array(values), shape, float32, "cpu")


# -- dump -----------------------------------------------------------------------------------------
def test_graph_has_a_line_an_op_with_its_place(script: Path) -> None:
    text = dump(script, "graph")
    assert re.search(rf"^%3:f32\[6,10\] = sub %0 %2 +# model.py:{EXP}$", text, re.MULTILINE)
    assert re.search(rf"= max\[1\] %0 +# model.py:{TOP}$", text, re.MULTILINE)
    assert "f32[] = scalar 0.5" in text
    assert f"program 1, model.py:{RUN}:" in text
    assert text.count("# program") == 2  # on the second round `soft` is in memory
    assert "made by div" in text


def test_simplified_graph_lacks_what_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "twice.py"
    path.write_text(
        SCRIPT.partition("w = leaf")[0]
        + "realize_nodes([ops.add(ops.exp(ops.neg(ops.neg(x))), ops.exp(x))])\n",
        encoding="utf-8",
    )
    assert dump(path, "graph").count(" = ") == 6
    assert dump(path, "graph", "--simplified").count(" = ") == 3


def test_groups_tell_every_decision_with_its_reason(script: Path) -> None:
    text = dump(script, "groups")
    assert re.search(r"group 0: 5 ops over \(6,10\), axes 1 reduced", text)
    assert "alone: a matrix product is its own kernel" in text
    assert f"+ max[6, 1] (model.py:{TOP}) with sub[6, 10] (model.py:{EXP}): follows the" in text
    assert "apart from cumsum[6, 4]" in text and "runs on the host" in text


def test_schedule_tells_slots_and_memory(script: Path) -> None:
    text = dump(script, "schedule")
    assert re.search(
        rf"step 0: kernel lg_max_sub_exp_sum_div_\w+, moves 480 B +# model.py:{TOP}", text
    )
    assert "step 1: matmul lg_matmul_f32" in text
    assert re.search(r"memory: outputs \d+ B, arena \d+ B for 2 temporaries", text)
    assert re.search(r"in place: %\d+ over %\d+ at arena", text)
    assert re.search(r"result: %\d+:f32\[6,10\] at out1", text)


def test_in_place_updates_are_shown() -> None:
    from lazygrad.ir.structure import structure
    from lazygrad.ir.views import View

    view = View.contiguous((5, 7)).slice(((1, 3, 1), (0, 7, 2)))
    changed = ops.write(ops.exp(leaf(5, 7)), leaf(2, 4), view)
    look = debug.Look(structure([changed]))
    assert look.steps()["memory"]["in_place"] == [{"name": "%1", "over": "%0", "slot": "out0"}]


def test_kernel_lists_axes_values_and_stores(script: Path) -> None:
    text = dump(script, "kernel", "--kernel", "max_sub")
    assert "over i0 < 6, i1 < 10 reduced" in text
    assert "v0:f32 full = load b0[10*i0 + i1]" in text
    assert re.search(rf"v4:f32 row = sum v3 +# model.py:{SOFT}", text)
    assert "s0: store b1[10*i0 + i1] = v5" in text
    assert "tanh" not in text


def test_plan_tells_strategy_vectors_and_work(script: Path) -> None:
    text = dump(script, "plan")
    assert re.search(r"plan lg_max_sub_exp_sum_div_\w+: rows over \(6, 10 reduced\)", text)
    assert re.search(r"vectors: (4|8|16) lanes of 4 bytes", text)
    assert "over the reduced axes: computes v0, reduces to v1" in text
    assert "6 work items" in text
    assert "sizes: m 6, n 4, k 10" in text


def test_every_strategy_of_plans_has_words() -> None:
    from lazygrad.codegen.cpu import environment
    from lazygrad.codegen.printer import _WORK_ITEM

    # apart: another form of rows; scan, argsort, attention: routines of one op each
    others = {"macros", "gemm", "apart", "scan", "argsort", "attention"}
    every = [name for name in environment().list_templates() if "/" not in name]
    templates = {name.removesuffix(".c.j2") for name in every}
    assert set(_WORK_ITEM) == templates - others


def test_every_plan_for_a_gpu_has_words() -> None:
    from lazygrad.codegen.cpu import environment
    from lazygrad.codegen.cuda.printer import _BLOCK

    every = [n for n in environment().list_templates() if n.startswith("cuda/")]
    templates = {name.removeprefix("cuda/").removesuffix(".cu.j2") for name in every}
    assert set(_BLOCK) == templates - {"macros", "product", "scan", "argsort", "attention"}


def test_programs_can_be_seen_as_they_would_be_on_a_gpu(script: Path) -> None:
    text = dump(script, "plan", "--backend", "cuda")
    assert "threads: 256 a block, 32 a row" in text
    assert "a block takes 8 rows" in text
    assert "1 block of 256 threads" in text
    text = dump(script, "source", "--backend", "cuda")
    assert "__global__" in text
    assert f"// exp at model.py:{EXP}" in text


@pytest.mark.skipif(
    find_nvcc() is None or "EMULATOR_RUNNING" in os.environ, reason="PTX is made by NVIDIA's nvcc"
)
def test_ptx_of_a_program(script: Path) -> None:
    text = dump(script, "asm", "--backend", "cuda", "--kernel", "max_sub")
    assert re.search(r"\.entry lg_max_sub_exp_sum_div_\w+\(", text)


def test_source_names_the_users_lines(script: Path) -> None:
    text = dump(script, "source")
    assert f"// exp at model.py:{EXP}" in text
    assert f"// tanh at model.py:{HIDDEN}" in text
    assert "void lg_max_sub_exp_sum_div_" in text
    full = dump(script, "source", "--full")
    assert "lg_table[] = {" in full and "#define VECTOR_BYTES" in full


@compiled
def test_asm_shows_the_functions(script: Path) -> None:
    text = dump(script, "asm", "--kernel", "tanh")
    assert re.search(r"^lg_tanh_mul_\w+:$", text, re.MULTILINE)
    assert re.search(r"^\s+ret", text, re.MULTILINE)
    assert ".cfi_" in dump(script, "asm", "--full")
    assert ".cfi_" not in text


def test_asm_without_a_compiler_says_so(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "compiler", lambda: None)
    done = call("dump", script, "--stage", "asm")
    assert done.exit_code == 1 and "no C compiler was found" in done.output


def test_json_is_the_same_as_data(script: Path) -> None:
    done = run("-m", "lazygrad", "dump", script, "--stage", "graph", "--json")
    programs = json.loads(done.stdout)
    assert [p["stage"] for p in programs] == ["graph", "graph"]
    node = programs[0]["nodes"][3]
    assert (node["op"], node["sources"], node["line"]) == ("sub", [0, 2], EXP)
    assert node["file"] == str(script)
    assert "said by the script" in done.stderr


@pytest.mark.parametrize("stage", ["groups", "schedule", "kernel", "plan", "source"])
def test_every_stage_is_json(script: Path, stage: str) -> None:
    quiet = script.with_name("quiet.py")
    quiet.write_text(SCRIPT.rpartition("print(")[0], encoding="utf-8")
    assert json.loads(dump(quiet, stage, "--json"))[0]["stage"] == stage


def test_out_writes_a_file_a_kernel(script: Path, tmp_path: Path) -> None:
    dump(script, "source", "--out", tmp_path / "c")
    names = sorted(p.name for p in (tmp_path / "c").iterdir())
    assert any(re.fullmatch(r"program-1\.lg_tanh_mul_\w+\.c", name) for name in names)
    dump(script, "groups", "--out", tmp_path / "c")
    assert "decisions" in (tmp_path / "c" / "program-1.groups.txt").read_text(encoding="utf-8")


def test_unknown_kernel_lists_the_names(script: Path) -> None:
    done = call("dump", script, "--stage", "plan", "--kernel", "nothing")
    assert done.exit_code == 1 and "lg_tanh_mul_" in done.output
    assert call("dump", script, "--stage", "graph", "--kernel", "tanh").exit_code == 2


def test_arguments_reach_the_script(script: Path) -> None:
    assert "['a', '--fast', '3']" in dump(script, "graph", "a", "--fast", "3")


def test_the_script_is_main_and_may_exit(tmp_path: Path) -> None:
    path = tmp_path / "leaves.py"
    path.write_text("import sys\nassert __name__ == '__main__'\nsys.exit(3)\n", encoding="utf-8")
    assert call("dump", path, "--stage", "graph").exit_code == 3
    assert call("dump", tmp_path / "missing.py", "--stage", "graph").exit_code == 2


def test_errors_show_the_users_traceback_only(script: Path) -> None:
    script.write_text(SCRIPT + "ops.matmul(x, x)\n", encoding="utf-8")
    done = run("-m", "lazygrad", "dump", script, "--stage", "graph")
    assert done.returncode == 1
    assert f'File "{script}", line 24, in <module>' in done.stderr
    assert "ops.matmul(x, x)" in done.stderr and "ValueError: matmul" in done.stderr
    assert "runpy" not in done.stderr and "cli/" not in done.stderr
    assert "program 1" in done.stdout  # what ran before is shown all the same


# -- explain --------------------------------------------------------------------------------------
@compiled
def test_explain_names_triggers_hits_and_reasons(script: Path, tmp_path: Path) -> None:
    args = ("-m", "lazygrad", "explain", script)
    done = run(*args, LAZYGRAD_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert re.search(rf"1\. model.py:{RUN}: 1 run \(1 built, \d compiles?\)", done.stdout)
    assert f"# model.py:{TOP}, model.py:{EXP}" in done.stdout
    assert "apart from matmul[6, 4]" in done.stdout and "moved" in done.stdout
    records = json.loads(run(*args, "--json").stdout)
    assert records[0]["runs"] == 1 and records[0]["ops"] == 16
    assert all(not d["fused"] and d["reason"] for d in records[0]["refused"])


# -- doctor ---------------------------------------------------------------------------------------
@compiled
def test_doctor_is_content_here() -> None:
    done = call("doctor", "--json")
    found = json.loads(done.output)
    assert done.exit_code == 0 and found["ok"], found
    names = {c["name"] for c in found["checks"]}
    assert {"python", "cffi", "compiler", "flags", "probe", "vectors", "cache", "gpu"} <= names


def test_doctor_without_a_compiler_says_what_to_do() -> None:
    done = run("-m", "lazygrad", "doctor", path="")
    assert done.returncode == 1
    assert "none of cc, gcc, clang was found" in done.stdout
    assert "-> install gcc or clang" in done.stdout


@compiled
def test_doctor_sees_a_broken_compiler(tmp_path: Path) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho cannot create >&2\nexit 4\n", encoding="utf-8")
    broken.chmod(0o755)
    done = run("-m", "lazygrad", "doctor", LAZYGRAD_CC=str(broken))
    assert done.returncode == 1
    assert "a one-line program fails: cannot create" in done.stdout


def test_doctor_sees_an_unusable_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lazygrad.cli.doctor import PROBLEM, cache_folder

    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr(config, "cache_dir", str(tmp_path / "file" / "cache"))
    (finding,) = cache_folder()
    assert finding.status == PROBLEM and "LAZYGRAD_CACHE_DIR" in finding.remedy
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setattr(config, "cache_dir", str(tmp_path / "open"))
    (finding,) = cache_folder()
    assert finding.status == PROBLEM and "chmod" in finding.remedy


# -- ops, env, cache ------------------------------------------------------------------------------
def test_ops_lists_the_whole_registry() -> None:
    found = json.loads(call("ops", "--json").output)
    assert [one["name"] for one in found] == [
        op.name for op in sorted(REGISTRY.values(), key=lambda o: (_rank(o), o.name))
    ]
    by_name = {one["name"]: one for one in found}
    assert by_name["tanh"]["kinds"] == ["float"] and by_name["tanh"]["gradient"]
    assert by_name["cumsum"]["c"] is None
    text = call("ops").output
    assert re.search(r"^exp +pointwise +- +- +- +yes +yes +yes +2 +v_exp_\{t\}", text, re.MULTILINE)
    assert f"{len(REGISTRY)} ops:" in text


def _rank(op: ops.Op) -> int:
    return list(ops.Lowering).index(op.lowering)


def test_ops_that_are_compiled_have_a_way_to_c() -> None:
    for op in REGISTRY.values():
        assert (record(op)["c"] is None) == (op.lowering is ops.Lowering.EXTERN), op.name


def test_env_lists_every_variable_with_its_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    text = call("env").output
    assert "LAZYGRAD_DEBUG" in text and "one line per kernel run" in text
    found = {one["name"]: one for one in json.loads(call("env", "--json").output)}
    assert found["OMP_NUM_THREADS"]["value"] == "3" and found["OMP_NUM_THREADS"]["set"]
    assert found["LAZYGRAD_CACHE_DIR"]["value"] == config.cache_dir


def test_cache_is_listed_and_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "cache_dir", str(tmp_path / "cache"))
    assert "is empty" in call("cache", "list").output
    cache.make("ab" * 16, lambda folder: (folder / "at.json").write_bytes(b"[]" * 600))
    listed = call("cache", "list").output
    assert "ab" * 16 in listed and "kernel" in listed and "1.2 kB" in listed
    info = json.loads(call("cache", "info", "--json").output)
    assert info["entries"] == 1 and info["bytes"] == 1200 and info["kinds"] == {"kernel": 1}
    done = call("cache", "clear")
    assert done.exit_code == 0 and "removed 1 entries" in done.output
    assert json.loads(call("cache", "list", "--json").output) == []


# -- debug ----------------------------------------------------------------------------------------
@compiled
def test_debug_prints_a_line_a_kernel(script: Path) -> None:
    done = run(script, LAZYGRAD_DEBUG="2", NO_COLOR="1")
    lines = [line for line in done.stderr.splitlines() if line.startswith("***")]
    form = r"\*\*\* CPU +1 max_sub_exp_sum_div_\w+ +n=60 +[\d.]+us +[\d.]+ GB/s  <- model.py:16,"
    assert re.match(form, lines[0]), lines
    assert any(re.match(r"\*\*\* CPU +\d+ \w*cumsum\w* +n=24 ", line) for line in lines)
    assert "void lg_" not in done.stderr and "\x1b[" not in done.stderr
    assert "void lg_max_sub" in run(script, LAZYGRAD_DEBUG="4").stderr


def test_debug_counts_interpreted_programs(script: Path) -> None:
    done = run(script, LAZYGRAD_DEBUG="2", LAZYGRAD_BACKEND="interp")
    assert f"16 ops interpreted  <- model.py:{RUN}" in done.stderr


def test_nobody_watches_unless_asked() -> None:
    before = list(observers)
    with debug.lines():
        assert len(observers) == len(before) + 1
    assert observers == before


@compiled
def test_lines_name_the_line_that_ran(capsys: pytest.CaptureFixture[str]) -> None:
    x = leaf(3, 11)
    with debug.lines():
        first = ops.sqrt(ops.add(x, x))
        realize_nodes([first])
        second = ops.sqrt(ops.add(x, x))
        realize_nodes([second])
    places = [line.rpartition("<- ")[2] for line in capsys.readouterr().err.splitlines()]
    number = int(places[0].rpartition(":")[2])
    assert places == [f"test_cli.py:{number}", f"test_cli.py:{number + 2}"]
    np.testing.assert_array_equal(read(first), read(second))


def test_ir_and_explain_of_nodes() -> None:
    x = leaf(4, 9)
    y = ops.mul(ops.exp(x), x)
    assert re.search(r"%2:f32\[4,9\] = mul %1 %0 +# test_cli.py:\d+", debug.ir(y))
    assert debug.explain(y).startswith("3 ops, 1 kernel, 288 B moved")
    realize_nodes([y])
    assert debug.explain(y).startswith("nothing to compute")
    with pytest.raises(TypeError, match="expected a Tensor or a Node, got int"):
        debug.ir(3)


def test_ir_of_tensors() -> None:
    lg = pytest.importorskip("lazygrad")
    x = lg.ones(3, 4)
    text = debug.ir((x + 1).exp())
    assert "= exp" in text and "test_cli.py" in text


def test_to_dot(tmp_path: Path) -> None:
    x = leaf(2)
    written = debug.to_dot(tmp_path / "g.dot", ops.exp(x), weights=x)
    text = written.read_text(encoding="utf-8")
    assert text.startswith("digraph") and "n0 -> n1;" in text and "weights\\nbuffer" in text


def test_long_graphs_print_without_recursion() -> None:
    node = leaf(1)
    for _ in range(5000):
        node = ops.neg(node)
    assert graph_text(graph_record(toposort([node]), [node])).count("neg") == 5000
    assert [size_text(n) for n in (0, 999, 1000, 2.5e6, 7e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "2.5 MB",
        "7000.0 GB",
    ]


def test_stats_say_how_to_see_the_source() -> None:
    from io import StringIO

    from rich.console import Console

    from lazygrad.cli.stats import print_stats, stats_record

    file = StringIO()
    print_stats(Console(file=file, width=120))
    assert "ops recorded" in file.getvalue() and "dump demo --stage source" in file.getvalue()
    assert stats_record()["compiles"] >= 0


def test_help_lists_all_commands() -> None:
    text = call("--help").output
    for name in ("demo", "dump", "explain", "doctor", "ops", "cache", "env"):
        assert re.search(rf"^  {name} ", text, re.MULTILINE)
