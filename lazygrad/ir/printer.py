"""Text forms of the graph, the groups with their decisions, the schedule and the kernels.

Owns: how each of these stages is shown, first as a record of plain data (what `--json` prints),
then as text made from that record alone. Must not know: loops, generated text, or who looks. A
value is named `in3` where it is a leaf, `%3` where it is computed, and by its literal otherwise;
the same names are used in groups, schedule and kernels of one program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Access, Instr, Kernel, Store
from lazygrad.ir.node import Node, place_line, place_text
from lazygrad.ir.operands import is_virtual
from lazygrad.ir.ops import Lowering
from lazygrad.ir.schedule import (
    HostStep,
    KernelStep,
    MatmulStep,
    Schedule,
    Step,
    delivered,
    fetched,
    nbytes,
    reads,
)
from lazygrad.ir.views import View

Record = dict[str, Any]
NameOf = Callable[[Step], str]
_COMMENT_COLUMN = 56


# -- small pieces ---------------------------------------------------------------------------------
def size_text(count: float) -> str:
    """A number of bytes for people: 512 B, 40.0 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def dims_text(shape: Iterable[int]) -> str:
    return ",".join(map(str, shape))


def type_text(dtype: str, shape: Iterable[int]) -> str:
    """f32[64,10]"""
    return f"{dtype}[{dims_text(shape)}]"


def arg_text(node: Node) -> str:
    """An op's argument, where the result's type does not tell it already."""
    arg = node.arg
    if arg is None or arg == node.shape or isinstance(arg, DType):
        return ""
    if isinstance(arg, View):
        box = "" if arg.box is None else f" box {arg.box}"
        return f"({dims_text(arg.shape)}) strides ({dims_text(arg.strides)}) from {arg.offset}{box}"
    if isinstance(arg, tuple):
        return ",".join(str(a).replace(" ", "") for a in arg)
    return str(arg)


def place_record(node: Node) -> Record:
    """Where the user's program recorded the node: file, line and a short form of both."""
    found = place_line(node.place)
    if found is None:
        return {"place": "", "file": None, "line": None}
    return {"place": place_text(node.place), "file": found[0], "line": found[1]}


def lines_of(nodes: Iterable[Node]) -> list[str]:
    """The user's lines behind these nodes, each once."""
    found = (place_text(n.place) for n in nodes if n.op is not ops.CONST and n.buffer is None)
    return [line for line in dict.fromkeys(found) if line]


def commented(text: str, comment: str) -> str:
    return f"{text:<{_COMMENT_COLUMN}}  # {comment}".rstrip() if comment else text


def computed_in(kernel: Kernel) -> list[Node]:
    """The nodes that a kernel computes or writes, not those it reads."""
    made = [i.node for i in kernel.instrs if i.op.lowering is not Lowering.LEAF]
    return [n for n in (*made, *(s.node for s in kernel.stores)) if n is not None]


# -- graph ----------------------------------------------------------------------------------------
def graph_record(order: Sequence[Node], outputs: Sequence[Node]) -> Record:
    """All nodes, sources first, as they were recorded or after simplification."""
    number = {node: i for i, node in enumerate(order)}
    nodes = []
    for node in order:
        known = node.buffer is not None
        nodes.append(
            {
                "id": number[node],
                "op": "buffer" if known else node.op.name,
                "made_by": node.op.name if known and node.op is not ops.BUFFER else None,
                "lowering": node.op.lowering.value,
                "dtype": node.dtype.short,
                "shape": list(node.shape),
                "sources": [] if known else [number[s] for s in node.srcs],
                "arg": "" if known else arg_text(node),
                "value": node.value if node.op is ops.SCALAR else None,
                **place_record(node),
            }
        )
    return {"nodes": nodes, "outputs": [number[o] for o in outputs]}


def graph_line(node: Record) -> str:
    """%3:f32[64,10] = add %1 %2   # model.py:12"""
    leaf = node["lowering"] == Lowering.LEAF.value
    words = [node["op"] + (f"[{node['arg']}]" if node["arg"] and not leaf else "")]
    words += [f"%{source}" for source in node["sources"]]
    if leaf:
        words += [str(w) for w in (node["arg"], node["value"]) if w not in ("", None)]
    text = f"%{node['id']}:{type_text(node['dtype'], node['shape'])} = {' '.join(words)}"
    made = f"made by {node['made_by']}" if node["made_by"] else ""
    return commented(text, ", ".join(filter(None, (node["place"], made))))


def graph_text(record: Record) -> str:
    lines = [graph_line(node) for node in record["nodes"]]
    lines.append("return " + " ".join(f"%{o}" for o in record["outputs"]))
    return "\n".join(lines)


# -- names of values in a schedule ----------------------------------------------------------------
class Names:
    """Short names of the values of a schedule, and where each lies in memory."""

    def __init__(self, schedule: Schedule, leaves: Sequence[Node] = ()):
        self.schedule = schedule
        self.leaf = {node: f"in{i}" for i, node in enumerate(leaves)}
        self.computed: dict[Node, str] = {}
        for group in schedule.groups:
            for node in group.nodes:
                self.computed[node] = f"%{len(self.computed)}"
        self.output: dict[Node, str] = {}
        for number, node in enumerate(schedule.outputs):
            self.output.setdefault(schedule.memory.get(node, node), f"out{number}")

    def __getitem__(self, node: Node) -> str:
        found = self.computed.get(node) or self.leaf.get(node)
        if found is not None:
            return found
        if node.op is ops.CONST:
            return str(node.arg)
        if node.buffer is not None:  # a leaf that the caller did not number
            return self.leaf.setdefault(node, f"in{len(self.leaf)}")
        return node.op.name

    def slot(self, node: Node) -> str:
        """in0, out0; arena+1024, or out0+1024 before that output is written, for a temporary."""
        owner = self.schedule.memory.get(node, node)
        if owner in self.output and owner.buffer is None:
            return self.output[owner]
        if owner in self.schedule.offsets:
            home = self.schedule.homes.get(owner)
            place = "arena" if home is None else self.output[home]
            return f"{place}+{self.schedule.offsets[owner]}"
        return self[owner]


def value_record(names: Names, node: Node) -> Record:
    """A value in memory: its name, type, size and slot."""
    return {
        "name": names[node],
        "type": type_text(node.dtype.short, node.shape),
        "bytes": nbytes(node),
        "slot": names.slot(node),
    }


# -- groups and decisions -------------------------------------------------------------------------
def groups_record(schedule: Schedule, names: Names) -> Record:
    """Which ops share a kernel, and every choice with its reason."""
    groups = []
    for number, group in enumerate(schedule.groups):
        nodes = [
            {
                "name": names[node],
                "type": type_text(node.dtype.short, node.shape),
                "op": node.op.name,
                "arg": arg_text(node),
                "sources": [names[o.base] for o in schedule.operands[node]],
                "level": group.level.get(node, FULL),
                **place_record(node),
            }
            for node in group.nodes
        ]
        groups.append(
            {
                "number": number,
                "shape": list(group.shape),
                "reduced": list(group.axes),
                "alone": group.alone,
                "nodes": nodes,
            }
        )
    return {"groups": groups, "decisions": [decision_record(d) for d in schedule.decisions]}


def decision_record(decision: Any) -> Record:
    return {
        "producer": decision.producer,
        "consumer": decision.consumer,
        "fused": decision.fused,
        "kind": decision.kind,
        "reason": decision.reason,
    }


def decision_text(record: Record) -> str:
    """+ for two that were put together, - for two that were not; the same for values that are
    computed again, or kept in memory."""
    mark, verb = ("+", "with") if record["fused"] else ("-", "apart from")
    if record["kind"] == "memory":
        verb = "computed again for" if record["fused"] else "kept for"
    elif record["kind"] == "epilogue":
        verb = "has in its blocks" if record["fused"] else "complete before"
    return f"{mark} {record['producer']} {verb} {record['consumer']}: {record['reason']}"


def groups_text(record: Record) -> str:
    lines = []
    for group in record["groups"]:
        reduced = f", axes {dims_text(group['reduced'])} reduced" if group["reduced"] else ""
        alone = f"; alone: {group['alone']}" if group["alone"] else ""
        count = len(group["nodes"])
        lines.append(
            f"group {group['number']}: {count} op{'s' * (count > 1)} over "
            f"({dims_text(group['shape'])}){reduced}{alone}"
        )
        for node in group["nodes"]:
            arg = f"[{node['arg']}]" if node["arg"] else ""
            text = f"  {node['name']}:{node['type']} = {node['op']}{arg} "
            text += " ".join(node["sources"])
            note = f"{node['level']} level" if group["reduced"] else ""
            lines.append(commented(text, ", ".join(filter(None, (node["place"], note)))))
    lines.append("decisions:" if record["decisions"] else "decisions: none")
    lines += ["  " + decision_text(d) for d in record["decisions"]]
    return "\n".join(lines)


# -- schedule -------------------------------------------------------------------------------------
def step_record(step: Step, names: Names, name_of: NameOf) -> Record:
    """What one step runs, reads and writes."""
    if isinstance(step, KernelStep):
        kind, count = "kernel", len(step.kernels)
        nodes = [n for k in step.kernels for n in computed_in(k)]
    else:
        kind = "matmul" if isinstance(step, MatmulStep) else "host"
        count, nodes = 1, [step.node]
        if isinstance(step, MatmulStep) and step.epilogue is not None:
            nodes += computed_in(step.epilogue)
    return {
        "kind": kind,
        "name": name_of(step),
        "instances": count,
        "reads": [value_record(names, n) for n in fetched(step)],
        "writes": [value_record(names, n) for n in delivered(step)],
        "places": lines_of(nodes),
    }


def memory_record(schedule: Schedule) -> Record:
    """Bytes in use while the program runs: what it reads, what it makes, and in between."""
    owners = {schedule.memory.get(n, n) for n in schedule.outputs}
    leaves = {n for step in schedule.steps for n in reads(step) if n.buffer is not None}
    made = sum(nbytes(n) for n in owners if n.buffer is None)
    held = sum(nbytes(n) for n in leaves)
    return {
        "input_bytes": held,
        "output_bytes": made,
        "arena": schedule.arena,
        "peak": held + made + schedule.arena,
    }


def memory_text(record: Record) -> str:
    """One line of `memory_record`."""
    return (
        f"memory at most {size_text(record['peak'])}: inputs {size_text(record['input_bytes'])}, "
        f"results {size_text(record['output_bytes'])}, temporaries {size_text(record['arena'])}"
    )


def schedule_record(schedule: Schedule, names: Names, name_of: NameOf) -> Record:
    """The steps in order and the plan of memory."""
    steps = [step_record(step, names, name_of) for step in schedule.steps]
    return {
        "steps": steps,
        "memory": {
            **memory_record(schedule),
            "temporaries": [
                {**value_record(names, n), "offset": at} for n, at in schedule.offsets.items()
            ],
            "outputs": [value_record(names, n) for n in schedule.outputs],
            "in_place": [
                {"name": names[node], "over": names[owner], "slot": names.slot(owner)}
                for node, owner in schedule.memory.items()
                if node is not owner
            ],
        },
    }


def _slots_text(values: Sequence[Record]) -> str:
    shown = [
        f"{v['name']}:{v['type']}" + (f"@{v['slot']}" if v["slot"] != v["name"] else "")
        for v in values[:6]
    ]
    if len(values) > 6:
        shown.append(f"and {len(values) - 6} more")
    return ", ".join(shown) or "nothing"


def schedule_text(record: Record) -> str:
    lines = []
    for number, step in enumerate(record["steps"]):
        times = f" x{step['instances']}" if step["instances"] > 1 else ""
        size = sum(v["bytes"] for v in step["reads"] + step["writes"])
        head = f"step {number}: {step['kind']} {step['name']}{times}, moves {size_text(size)}"
        lines.append(commented(head, ", ".join(step["places"][:4])))
        lines.append(f"  reads  {_slots_text(step['reads'])}")
        lines.append(f"  writes {_slots_text(step['writes'])}")
    memory = record["memory"]
    loose = sum(t["bytes"] for t in memory["temporaries"])
    lines.append(
        f"memory: outputs {size_text(memory['output_bytes'])}, arena "
        f"{size_text(memory['arena'])} for {len(memory['temporaries'])} temporaries of "
        f"{size_text(loose)} together"
    )
    lines += [
        f"  {t['name']}:{t['type']} at {t['slot']}, {size_text(t['bytes'])}"
        for t in memory["temporaries"]
    ]
    lines += [
        f"  in place: {i['name']} over {i['over']} at {i['slot']}" for i in memory["in_place"]
    ]
    lines += [f"  result: {o['name']}:{o['type']} at {o['slot']}" for o in memory["outputs"]]
    return "\n".join(lines)


# -- kernels --------------------------------------------------------------------------------------
def scaled(stride: int, name: str) -> str:
    return name if stride == 1 else f"{stride}*{name}"


def access_text(access: Access, index: str = "") -> str:
    """37*i0 + i1 + 5"""
    terms = [scaled(stride, f"i{axis}") for axis, stride in enumerate(access.strides) if stride]
    if index:
        terms.append(index)
    text = " + ".join(terms)
    if access.offset or not terms:
        sign = " - " if access.offset < 0 else " + "
        text += (sign if terms else "") + str(abs(access.offset))
    return text


def box_text(access: Access, kernel: Kernel) -> str:
    """where 1 <= i0 < 4: outside of it 0 is read"""
    inside = [
        f"{low} <= i{axis} < {high}"
        for axis, ((low, high), extent) in enumerate(zip(access.box or (), kernel.extents))
        if (low, high) != (0, extent)
    ]
    return f" where {', '.join(inside)}" if inside else ""


def instr_text(number: int, ins: Instr, names: Names, kernel: Kernel) -> str:
    """v3:f32 full = sub v0 v1"""
    head = f"v{number}:{ins.dtype.short} {ins.level} = "
    args = " ".join(f"v{a}" for a in ins.args)
    if ins.op.lowering is Lowering.LEAF:
        if ins.op is ops.CONST:
            return f"{head}const {ins.arg}"
        if ins.buffer is None:
            at = access_text(ins.access) if ins.access is not None else ""
            return f"{head}{ins.op.name}({at}) {args}".rstrip()
        if is_virtual(kernel.buffers[ins.buffer]):
            return f"{head}scalar b{ins.buffer}"
        assert ins.access is not None
        return f"{head}load b{ins.buffer}[{access_text(ins.access)}]{box_text(ins.access, kernel)}"
    if ins.buffer is not None and ins.access is not None:
        index = scaled(ins.stride, f"v{ins.args[0]}")
        inside = f" with v{ins.args[0]} < {ins.size}"
        return f"{head}{ins.op.name} b{ins.buffer}[{access_text(ins.access, index)}]{inside}"
    arg = f"[{ins.arg}]" if ins.arg is not None and ins.op.lowering is not Lowering.REDUCE else ""
    arg = "" if isinstance(ins.arg, DType) else arg
    return f"{head}{ins.op.name}{arg} {args}"


def store_text(store: Store) -> str:
    """store b1[10*i0 + i1] = v7"""
    index = "" if store.index is None else scaled(store.stride, f"v{store.index}")
    how = "=" if store.combine is None else f"{store.combine.name}="
    return f"store b{store.buffer}[{access_text(store.access, index)}] {how} v{store.value}"


def kernel_record(kernel: Kernel, names: Names, name: str) -> Record:
    """Axes, buffers, instructions and stores."""
    return {
        "name": name,
        "axes": [{"extent": n, "reduced": r} for n, r in zip(kernel.extents, kernel.reduced)],
        "buffers": [value_record(names, n) for n in kernel.buffers],
        "instructions": [
            {
                "text": instr_text(i, ins, names, kernel),
                "level": ins.level,
                "place": place_text(ins.node.place) if ins.node is not None else "",
            }
            for i, ins in enumerate(kernel.instrs)
        ],
        "stores": [
            {
                "text": store_text(s),
                "level": s.level,
                "place": place_text(s.node.place) if s.node is not None else "",
            }
            for s in kernel.stores
        ],
    }


def kernel_text(record: Record) -> str:
    axes = ", ".join(
        f"i{i} < {a['extent']}" + (" reduced" if a["reduced"] else "")
        for i, a in enumerate(record["axes"])
    )
    lines = [f"kernel {record['name']} over {axes}"]
    for number, value in enumerate(record["buffers"]):
        slot = f" at {value['slot']}" if value["slot"] != value["name"] else ""
        lines.append(f"  b{number} = {value['name']}:{value['type']}{slot}")
    for line in record["instructions"]:
        lines.append(commented("  " + line["text"], line["place"]))
    for number, line in enumerate(record["stores"]):
        lines.append(commented(f"  s{number}: {line['text']}", line["place"]))
    return "\n".join(lines)


def other_step_record(step: MatmulStep | HostStep, names: Names) -> Record:
    """A step without a kernel of its own: a matrix product, or an op run on the host."""
    sources = (step.a, step.b) if isinstance(step, MatmulStep) else step.sources
    return {
        "name": step.node.op.name,
        "kind": "matmul" if isinstance(step, MatmulStep) else "host",
        "result": value_record(names, step.node),
        "sources": [
            {
                **value_record(names, s.base),
                "view": list(s.view.shape),
                "strides": list(s.view.strides),
                "offset": s.view.offset,
            }
            for s in sources
        ],
        **place_record(step.node),
    }


def other_step_text(record: Record) -> str:
    kind = "product by the blocked matmul" if record["kind"] == "matmul" else "host, by numpy"
    result = record["result"]
    head = f"{record['name']} {result['name']}:{result['type']} at {result['slot']} ({kind})"
    lines = [commented(head, record["place"])]
    lines += [
        f"  reads {s['name']}:{s['type']} as ({dims_text(s['view'])}), strides "
        f"({dims_text(s['strides'])})" + (f" from {s['offset']}" if s["offset"] else "")
        for s in record["sources"]
    ]
    return "\n".join(lines)
