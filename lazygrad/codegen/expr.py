"""Kernel instructions as C: one statement a value.

Owns: how a value of each dtype is held in a register (bool as a mask of the widest element that
varies along the vector, half types as float32), how each instruction, load and store is written,
and which run-time parameters (extents, strides, offsets) the text asks for. Must not know: loops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from lazygrad.codegen.ahead import later_elements, later_row
from lazygrad.codegen.loops import cut, uniform_values
from lazygrad.codegen.ranges import shorter
from lazygrad.codegen.target import Target
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType, compute_dtype
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Access, Instr, Kernel, Store
from lazygrad.ir.node import Node, place_text
from lazygrad.ir.ops import Lowering

_NEAR = ((2, "v_ld2"), (-1, "v_ldr"))  # strides that are part of the text: loads of whole vectors


@dataclass
class Params:
    """The int64 parameters of a kernel in the order the text refers to them."""

    values: list[int] = field(default_factory=list)

    def add(self, value: int) -> str:
        self.values.append(value)
        return f"d[{len(self.values) - 1}]"


@dataclass(frozen=True)
class Statement:
    """One line of C, and the user's line it comes from."""

    code: str
    node: Node | None = field(default=None, compare=False, repr=False)

    def text(self, notes: bool) -> str:
        """The line, with the op and the user's line behind it when asked for."""
        if not notes or self.node is None:
            return self.code
        place = place_text(self.node.place)
        return f"{self.code}  // {self.node.op.name}" + (f" at {place}" if place else "")


class Emitter:
    """Writes the values of one kernel. `axis` is the innermost axis, walked by vectors."""

    def __init__(self, kernel: Kernel, target: Target):
        self.kernel = kernel
        self.target = target
        self.axis = len(kernel.extents) - 1
        self.uniform = uniform_values(kernel)
        widths = [compute_dtype(ins.dtype).itemsize for ins in kernel.instrs]
        varying = [w for w, same in zip(widths, self.uniform) if not same]
        self.width = max(varying or widths, default=1)
        self.lanes = min(64, target.vector_bytes // self.width)
        self.mask = f"i{8 * self.width}"
        self.params = Params()
        self.extent = [self.params.add(n) for n in kernel.extents]
        self.errors: list[int] = []  # instructions or stores with a cell for errors
        self.streams: list[tuple[int, int]] = []  # (buffer, parameter that says: past the caches)
        self.tiles: dict[int, str] = {}  # loads read from a transposed copy: value -> its row
        self.early: dict[int, list[Statement]] = {}  # by gather: requests for later elements

    # -- names ------------------------------------------------------------------------------------
    def register(self, dtype: DType) -> str:
        """The scalar C type whose vectors hold values of this dtype."""
        return self.mask if dtype.kind == "b" else compute_dtype(dtype).short

    def storage(self, dtype: DType) -> str:
        return "u16" if dtype.is_half else "u8" if dtype.kind == "b" else dtype.short

    def vector(self, name: str) -> str:
        return f"{name}x{self.lanes}"

    def declare(self, number: int) -> str:
        return f"const {self.vector(self.register(self.kernel.instrs[number].dtype))} v{number} = "

    def pointer(self, buffer: int) -> str:
        return f"p[{buffer}]"

    def error_cell(self, number: int) -> str:
        if number not in self.errors:
            self.errors.append(number)
        return f"(i64 *)p[{len(self.kernel.buffers) + self.errors.index(number)}]"

    # -- addresses --------------------------------------------------------------------------------
    def offset(self, access: Access) -> list[str]:
        """Terms of an element offset, without the innermost axis."""
        terms = []
        if access.offset:
            terms.append(self.params.add(access.offset))
        for axis in range(self.axis):
            if access.strides[axis]:
                terms.append(f"i{axis} * {self.params.add(access.strides[axis])}")
        return terms

    def base(self, buffer: int, ctype: str, access: Access, const: bool = True) -> str:
        kind = f"const {ctype} *" if const else f"{ctype} *"
        return " + ".join([f"({kind}){self.pointer(buffer)}", *self.offset(access)])

    def inside(self, access: Access) -> str | None:
        """The condition that the outer axes are inside the box."""
        if access.box is None:
            return None
        terms = []
        for axis in range(self.axis):
            if cut(self.kernel, access, axis):
                low, high = access.box[axis]
                terms.append(
                    f"i{axis} >= {self.params.add(low)} && i{axis} < {self.params.add(high)}"
                )
        return " && ".join(terms) or None

    # -- literals ---------------------------------------------------------------------------------
    def literal(self, text: str, dtype: DType) -> str:
        kind = dtype.kind
        if kind == "b":
            return "-1" if text == "True" else "0"
        if kind in "iu":
            value = int(text)
            return (
                "(-9223372036854775807LL - 1)"
                if value == -(2**63)
                else (f"{value}LL" if dtype.itemsize == 8 else str(value))
            )
        number = float(text)
        single = compute_dtype(dtype).itemsize == 4
        if math.isnan(number):
            return '__builtin_nanf("")' if single else '__builtin_nan("")'
        if single:
            with np.errstate(over="ignore"):
                number = float(np.float32(number))
        if math.isinf(number):
            sign = "-" if number < 0 else ""
            return sign + ("__builtin_inff()" if single else "__builtin_inf()")
        return f"{number!r}f" if single else repr(number)

    def rounded(self, text: str, dtype: DType) -> str:
        if not dtype.is_half:
            return text
        return f"v_rnd_{dtype.short}_{self.vector('f32')}({text})"

    def as_mask(self, text: str, width: int) -> str:
        """A mask of `width`-byte elements as the kernel's mask."""
        made = f"i{8 * width}"
        if made == self.mask:
            return text
        return f"v_mcvt_{made}_{self.vector(self.mask)}({text})"

    # -- values -----------------------------------------------------------------------------------
    def value(self, number: int) -> tuple[list[Statement], list[Statement]]:
        """(statements before the inner loop, statements in it) that make value `number`."""
        ins = self.kernel.instrs[number]
        if ins.op is ops.CONST or ins.op is ops.SCALAR:
            outer: list[Statement] = []
            text = self.number(ins)
            if ins.access is not None and ins.access.box is not None:
                outer, text = self.boxed(number, ins, text)
        elif ins.op is ops.BUFFER:
            outer, text = self.load(number, ins)
        elif ins.op is ops.IOTA:
            assert ins.access is not None
            outer, text = self.boxed(number, ins, f"({self.position(ins.access)})")
        elif ins.op in ops.DRAWS:
            outer, text = self.drawn(number, ins)
        elif ins.op is ops.gather:
            outer, text = self.gather(number, ins)
        elif ins.op is ops.cast:
            outer, text = [], self.cast(ins)
        else:
            outer, text = [], self.apply(number, ins)
        node = ins.node if ins.op.lowering is not Lowering.LEAF else None
        line = Statement(f"{self.declare(number)}{text};", node)
        if self.uniform[number]:
            return [*outer, line], []
        return outer, [*self.early.pop(number, []), line]

    def number(self, ins: Instr) -> str:
        register = self.register(ins.dtype)
        if ins.op is ops.CONST:
            inner = self.literal(str(ins.arg), ins.dtype)
            return self.rounded(f"v_sp_{self.vector(register)}({inner})", ins.dtype)
        assert ins.buffer is not None
        cell = "f64" if ins.dtype.kind == "f" else "i64"
        read = f"*(const {cell} *){self.pointer(ins.buffer)}"
        read = f"-({read} != 0)" if ins.dtype.kind == "b" else f"({register}){read}"
        return self.rounded(f"v_sp_{self.vector(register)}({read})", ins.dtype)

    def from_storage(self, text: str, dtype: DType) -> str:
        """Stored elements as a register value."""
        if dtype.is_half:
            return f"v_{dtype.short}_to_{self.vector('f32')}({text})"
        if dtype.kind == "b":
            if self.mask == "i8":
                return f"({self.vector('i8')})({text} != 0)"
            return f"({self.vector(self.mask)})(v_cvt_u8_{self.vector(self.mask)}({text}) != 0)"
        return text

    def to_storage(self, text: str, dtype: DType) -> str:
        if dtype.is_half:
            return f"v_f32_to_{dtype.short}x{self.lanes}({text})"
        if dtype.kind == "b":
            if self.mask == "i8":
                return f"({self.vector('u8')})(-{text})"
            return f"v_cvt_{self.mask}_{self.vector('u8')}(-{text})"
        return text

    def load(self, number: int, ins: Instr) -> tuple[list[Statement], str]:
        access, stored = ins.access, self.storage(ins.dtype)
        assert access is not None and ins.buffer is not None
        pointer = f"b{number}"
        if number in self.tiles:
            line = Statement(f"const {stored} *{pointer} = {self.tiles[number]};")
            return [line], self.from_storage(
                f"v_ld_{self.vector(stored)}({pointer} + x, m)", ins.dtype
            )
        outer = [Statement(f"const {stored} *{pointer} = {self.base(ins.buffer, stored, access)};")]
        read, more = self.read(number, pointer, stored, access)
        return outer + more, self.from_storage(read, ins.dtype)

    def read(
        self, number: int, pointer: str, stored: str, access: Access
    ) -> tuple[str, list[Statement]]:
        """Elements of the current row at x, as stored."""
        vector, stride = self.vector(stored), access.strides[self.axis]
        inside = self.inside(access)
        if access.box is not None and (inside or cut(self.kernel, access, self.axis)):
            if stride == 0 and not cut(self.kernel, access, self.axis):
                return f"v_sp_{vector}({inside} ? *{pointer} : 0)", []
            low, high = access.box[self.axis]
            first, last = self.params.add(low), self.params.add(high)
            ok = f"({inside}) ? " if inside else ""
            otherwise = " : 0" if inside else ""
            lines = [
                Statement(
                    f"const i64 lo{number} = {ok}{first}{otherwise}, "
                    f"hi{number} = {ok}{last}{otherwise};"
                )
            ]
            step = self.params.add(stride) if stride != 1 else "1"
            return f"v_ldb_{vector}({pointer}, {step}, x, m, lo{number}, hi{number})", lines
        if stride == 0:
            return f"v_sp_{vector}(*{pointer})", []
        if stride == 1:
            return f"v_ld_{vector}({pointer} + x, m)", []
        for near, name in _NEAR:
            if stride == near:
                return f"{name}_{vector}({pointer} + x * {near}, m)", []
        step = self.params.add(stride)
        return f"v_lds_{vector}({pointer} + x * {step}, {step}, m)", []

    def position(self, access: Access) -> str:
        """The element offset of every lane."""
        wide = self.vector("i64")
        start = " + ".join(self.offset(access)) or "0"
        text = f"v_sp_{wide}({start})"
        stride = access.strides[self.axis]
        if stride:
            step = "" if stride == 1 else f" * {self.params.add(stride)}"
            text = f"{text} + (v_iota_{wide}() + x){step}"
        return text

    def drawn(self, number: int, ins: Instr) -> tuple[list[Statement], str]:
        """Elements of a draw: the blocks that a loop is at are kept between its turns."""
        access, state = ins.access, f"r{number}"
        assert access is not None
        key, draw = (f"v{a}[0]" for a in ins.args)
        lines = [
            Statement(f"v_draws {state};"),
            Statement(f"v_draws_start(&{state}, {key}, {draw}, {ins.arg}u);"),
        ]
        make = f"v_normal_blockx{self.lanes}" if ins.op is ops.NORMAL else "v_bits_block"
        vector, stride = self.vector(ins.dtype.short), access.strides[self.axis]
        at = " + ".join(self.offset(access)) or "0"
        if stride == 1:
            text = f"v_draw_{vector}(&{state}, {at} + x, {make})"
        elif stride == 0:
            text = f"v_sp_{vector}(v_draws_{vector}(&{state}, {at}, 0, 1, {make})[0])"
        else:
            step = self.params.add(stride)
            text = f"v_draws_{vector}(&{state}, {at} + x * {step}, {step}, m, {make})"
        outer, text = self.boxed(number, ins, text)
        return lines + outer, text

    def boxed(self, number: int, ins: Instr, text: str) -> tuple[list[Statement], str]:
        """0 outside the access's box."""
        access = ins.access
        assert access is not None
        if access.box is None:
            return [], text
        low, high = access.box[self.axis]
        first, last = self.params.add(low), self.params.add(high)
        inside = self.inside(access)
        ok, no = (f"({inside}) ? ", " : 0") if inside else ("", "")
        register = self.register(ins.dtype)
        bits = "i" + register.strip("iuf")
        lines = [Statement(f"const i64 lo{number} = {ok}{first}{no}, hi{number} = {ok}{last}{no};")]
        at = "x" if not self.uniform[number] else f"lo{number}"
        if self.uniform[number]:
            chosen = f"v_sp_{self.vector(bits)}(-(hi{number} > lo{number}))"
        else:
            chosen = f"v_box_{self.vector(bits)}({at}, lo{number}, hi{number})"
        zero = f"v_sp_{self.vector(register)}(0)"
        return lines, f"v_sel_{self.vector(register)}({chosen}, {text}, {zero})"

    def gather(self, number: int, ins: Instr) -> tuple[list[Statement], str]:
        access, stored = ins.access, self.storage(ins.dtype)
        assert access is not None and ins.buffer is not None
        (index,) = ins.args
        cell = self.error_cell(number)
        step, size = self.params.add(ins.stride), self.params.add(ins.size)
        outer = [Statement(f"const {stored} *b{number} = {self.base(ins.buffer, stored, access)};")]
        stride = access.strides[self.axis]
        if self.uniform[index]:
            at = f"j{number}"
            outer.append(Statement(f"i64 {at} = v{index}[0];"))
            outer.append(
                Statement(
                    f"if ((u64){at} >= (u64){size}) {{ v_bad_index({cell}, {at}); {at} = 0; }}"
                )
            )
            outer += map(Statement, later_row(self, number, step, size))
            outer.append(Statement(f"b{number} += {at} * {step};"))
            read, more = self.read(number, f"b{number}", stored, access)
            return outer + more, self.from_storage(read, ins.dtype)
        inner = self.params.add(stride)
        self.early[number] = [*map(Statement, later_elements(self, number, inner, step))]
        call = (
            f"v_gather_{self.vector(stored)}(b{number}, {inner}, x, v{index}, {step}, {size}, "
            f"m, {cell})"
        )
        return outer, self.from_storage(call, ins.dtype)

    def cast(self, ins: Instr) -> str:
        source = self.kernel.instrs[ins.args[0]].dtype
        name = f"v{ins.args[0]}"
        old, new = self.register(source), self.register(ins.dtype)
        if ins.dtype.kind == "b":
            if source.kind == "b":
                return name
            return self.as_mask(f"({name} != 0)", compute_dtype(source).itemsize)
        if source.kind == "b":
            name = f"(-{name})"
        text = name if old == new else f"v_cvt_{old}_{self.vector(new)}({name})"
        return self.rounded(text, ins.dtype) if source is not ins.dtype else text

    def apply(self, number: int, ins: Instr) -> str:
        op = ins.op
        source = self.kernel.instrs[ins.args[-1]].dtype  # where's condition comes first
        pattern = shorter(self.kernel, ins) or op.c
        if isinstance(pattern, dict):
            pattern = pattern.get(source.kind, pattern.get(""))
        if pattern is None:
            raise AssertionError(f"{op.name} has no C expression for {source.name}")
        register = self.register(source)
        names = [f"v{a}" for a in ins.args]
        if op is ops.where and source.kind != "b":
            bits = 8 * compute_dtype(source).itemsize
            if f"i{bits}" != self.mask:
                names[0] = f"v_mcvt_{self.mask}_{self.vector(f'i{bits}')}({names[0]})"
        checked = ", err)" in pattern
        if checked and not self.uniform[number]:  # lanes past the row's end are no divisors, no
            harmless = 0 if op is ops.check_index else 1  # indices
            names[-1] = f"v_keep_{self.vector(register)}({names[-1]}, m, {harmless})"
        size = self.params.add(ins.size) if ins.size else ""
        text = pattern.format(*names, t=self.vector(register), n=register, size=size)
        if checked:
            text = text.replace(", err)", f", {self.error_cell(number)})")
        if ins.dtype.kind == "b" and source.kind != "b":
            return self.as_mask(text, compute_dtype(source).itemsize)
        return text if op is ops.copy or op is ops.where else self.rounded(text, ins.dtype)

    # -- stores -----------------------------------------------------------------------------------
    def store(self, number: int, store: Store) -> tuple[list[Statement], list[Statement]]:
        """(statements before the inner loop, statements in it) that write a value."""
        dtype = self.kernel.instrs[store.value].dtype
        stored, name = self.storage(dtype), f"y{number}"
        outer = [
            Statement(
                f"{stored} *{name} = {self.base(store.buffer, stored, store.access, const=False)};"
            )
        ]
        value = self.to_storage(f"v{store.value}", dtype)
        stride, vector = store.access.strides[self.axis], self.vector(stored)
        if store.index is not None:
            cell = self.error_cell(-1 - number)
            step, size = self.params.add(store.stride), self.params.add(store.size)
            name_of = "v_put_add" if store.combine is not None else "v_put"
            text = (
                f"{name_of}_{vector}({name}, {self.params.add(stride)}, x, v{store.index}, "
                f"{step}, {size}, {value}, m, {cell});"
            )
        elif store.level != FULL and self.kernel.reduced[self.axis]:
            return [*outer, Statement(f"*{name} = ({value})[0];")], []
        elif stride == 1:
            flag = self.params.add(0)
            self.streams.append((store.buffer, len(self.params.values) - 1))
            aligned = f"((u64){name} & (sizeof({vector}) - 1)) == 0"
            outer.append(Statement(f"const int n{number} = {flag} && {aligned};"))
            text = f"v_stn_{vector}({name} + x, {value}, m, n{number});"
        else:
            step = self.params.add(stride)
            text = f"v_sts_{vector}({name} + x * {step}, {value}, {step}, m);"
        return outer, [Statement(text)]
