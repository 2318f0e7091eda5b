"""Kernel instructions as CUDA C: one statement a value, for one element a thread.

Owns: how a value of each dtype is held in a register (bool as a mask, half types as f32), and how
each instruction, load and store is written at a position `i0, i1, ...` in the index space. Must not
know: which thread has which position.
"""

from __future__ import annotations

import math

import numpy as np

from lazygrad.codegen.expr import Params, Statement
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType, compute_dtype
from lazygrad.ir.kernel import Access, Instr, Kernel, Store
from lazygrad.ir.ops import Lowering

WRAPPING = (ops.add, ops.sub, ops.mul, ops.neg)  # of signed integers: done on unsigned ones


class Emitter:
    """Writes the values of one kernel.

    `lanes` elements of the last axis are a chunk, which starts at `x0`: a load or store that
    `vector_access` allows moves a chunk at once; the loop over a chunk's elements sees it as
    `l{number}.v[k]` and `y{number}.v[k]`.
    """

    def __init__(self, kernel: Kernel, lanes: int = 1, wide: bool = False):
        self.kernel = kernel
        self.lanes = lanes
        self.index = "i64" if wide else "i32"
        self.axis = len(kernel.extents) - 1
        self.params = Params()
        self.extent = [self.params.add(n) for n in kernel.extents]
        self.errors: list[int] = []  # instructions or stores with a cell for errors
        self.tiles: dict[int, str] = {}  # loads that come from a tile in shared memory
        self.chunked: dict[int, str] = {}  # loads that come from a chunk in registers
        self.element = "k" if lanes > 1 else "0"  # the place within a chunk

    # -- names ------------------------------------------------------------------------------------
    @staticmethod
    def register(dtype: DType) -> str:
        return "i32" if dtype.kind == "b" else compute_dtype(dtype).short

    @staticmethod
    def storage(dtype: DType) -> str:
        return "u16" if dtype.is_half else "u8" if dtype.kind == "b" else dtype.short

    def error_cell(self, number: int) -> str:
        if number not in self.errors:
            self.errors.append(number)
        return f"e{self.errors.index(number)}"

    def pointers(self) -> list[str]:
        """The kernel's parameters, in the order in which they are given."""
        written = {store.buffer for store in self.kernel.stores}
        read = {
            i.buffer for i in self.kernel.instrs if i.buffer is not None and i.op is not ops.SCALAR
        }
        result = []
        for number, node in enumerate(self.kernel.buffers):
            if number in written:
                result.append(f"{self.storage(node.dtype)} *__restrict__ p{number}")
            elif number in read:
                result.append(f"const {self.storage(node.dtype)} *__restrict__ p{number}")
            else:
                cell = "f64" if node.dtype.kind == "f" else "i64"
                result.append(f"const {cell} *__restrict__ p{number}")
        return result + [f"i64 *e{number}" for number in range(len(self.errors))]

    # -- addresses --------------------------------------------------------------------------------
    def offset(self, access: Access, last: str | None = None) -> str:
        """The element offset at i0, i1, ...; `last` stands for the innermost position."""
        terms = []
        if access.offset:
            terms.append(self.params.add(access.offset))
        for axis, stride in enumerate(access.strides):
            at = last if last is not None and axis == self.axis else f"i{axis}"
            if stride == 1:
                terms.append(at)
            elif stride:
                terms.append(f"{at} * {self.params.add(stride)}")
        return " + ".join(terms) or "0"

    def cut(self, access: Access, axis: int) -> bool:
        return access.box is not None and access.box[axis] != (0, self.kernel.extents[axis])

    def inside(self, access: Access) -> str:
        """The condition that the position is inside the box; empty where it always is."""
        if access.box is None:
            return ""
        terms = []
        for axis, (low, high) in enumerate(access.box):
            if not self.cut(access, axis):
                continue
            if low > 0:
                terms.append(f"i{axis} >= {self.params.add(low)}")
            if high < self.kernel.extents[axis] or low >= high:
                terms.append(f"i{axis} < {self.params.add(high)}")
        return " && ".join(terms)

    def access(self, number: int) -> Access:
        """How a value lies in memory."""
        found = self.kernel.instrs[number].access
        assert found is not None
        return found

    def vector_access(self, access: Access) -> bool:
        """Whether a chunk is `lanes` neighbours in memory that start at a multiple of its size."""
        if self.lanes == 1 or access.strides[self.axis] != 1 or self.cut(access, self.axis):
            return False
        others = [access.offset, *(s for a, s in enumerate(access.strides) if a != self.axis)]
        return not any(value % self.lanes for value in others)

    # -- literals ---------------------------------------------------------------------------------
    @staticmethod
    def literal(text: str, dtype: DType) -> str:
        kind = dtype.kind
        if kind == "b":
            return "-1" if text == "True" else "0"
        if kind in "iu":
            value = int(text)
            if value == -(2**63):
                return "(-9223372036854775807LL - 1)"
            if value == -(2**31):
                return "(-2147483647 - 1)"
            return f"{value}LL" if dtype.itemsize == 8 else str(value)
        number = float(text)
        single = compute_dtype(dtype).itemsize == 4
        if single:
            with np.errstate(over="ignore"):
                number = float(np.float32(number))
        if math.isnan(number):
            return "f32(NAN)" if single else "f64(NAN)"
        if math.isinf(number):
            sign = "-" if number < 0 else ""
            return f"{sign}f32(INFINITY)" if single else f"{sign}f64(INFINITY)"
        return f"{number!r}f" if single else repr(number)

    @staticmethod
    def rounded(text: str, dtype: DType) -> str:
        return f"v_rnd_{dtype.short}({text})" if dtype.is_half else text

    # -- values -----------------------------------------------------------------------------------
    def value(self, number: int) -> Statement:
        """The statement that makes value `number`."""
        ins = self.kernel.instrs[number]
        op = ins.op
        if op is ops.CONST or op is ops.SCALAR:
            text = self.boxed(ins, self.number(ins)) if ins.access else self.number(ins)
        elif op is ops.BUFFER:
            text = self.load(number, ins)
        elif op is ops.IOTA or op in ops.DRAWS:
            assert ins.access is not None
            text = f"(i64)({self.offset(ins.access)})"
            if op is not ops.IOTA:
                key, draw = (f"v{a}" for a in ins.args)
                text = f"v_{op.name}({text}, {key}, {draw}, {ins.arg}u)"
            text = self.boxed(ins, text)
        elif op is ops.gather:
            return self.gather(number, ins)
        elif op is ops.cast:
            text = self.cast(ins)
        else:
            text = self.apply(number, ins)
        node = ins.node if op.lowering is not Lowering.LEAF else None
        return Statement(f"const {self.register(ins.dtype)} v{number} = {text};", node)

    def number(self, ins: Instr) -> str:
        if ins.op is ops.CONST:
            return self.rounded(self.literal(str(ins.arg), ins.dtype), ins.dtype)
        register = self.register(ins.dtype)
        read = f"*p{ins.buffer}"
        read = f"-(i32)({read} != 0)" if ins.dtype.kind == "b" else f"({register}){read}"
        return self.rounded(read, ins.dtype)

    def boxed(self, ins: Instr, text: str) -> str:
        assert ins.access is not None
        inside = self.inside(ins.access)
        return f"{inside} ? {text} : {self.register(ins.dtype)}(0)" if inside else text

    @staticmethod
    def from_storage(text: str, dtype: DType) -> str:
        if dtype.is_half:
            return f"v_from_{dtype.short}({text})"
        return f"-(i32)({text} != 0)" if dtype.kind == "b" else text

    @staticmethod
    def to_storage(text: str, dtype: DType) -> str:
        if dtype.is_half:
            return f"v_to_{dtype.short}({text})"
        return f"(u8)(-{text})" if dtype.kind == "b" else text

    def load(self, number: int, ins: Instr) -> str:
        access = ins.access
        assert access is not None
        if number in self.tiles:
            return self.from_storage(self.tiles[number], ins.dtype)
        if number in self.chunked:
            return self.from_storage(f"{self.chunked[number]}.v[{self.element}]", ins.dtype)
        read = self.from_storage(f"p{ins.buffer}[{self.offset(access)}]", ins.dtype)
        return self.boxed(ins, read)

    def chunk(self, number: int, left: str) -> str:
        """A chunk's load."""
        ins = self.kernel.instrs[number]
        assert ins.access is not None
        stored = self.storage(ins.dtype)
        text = f"v_load<{self.lanes}>(p{ins.buffer} + {self.offset(ins.access, 'x0')}, {left})"
        inside = self.inside(ins.access)
        if inside:
            text = f"{inside} ? {text} : Vec<{stored}, {self.lanes}>()"
        return text

    def gather(self, number: int, ins: Instr) -> Statement:
        access = ins.access
        assert access is not None
        (index,) = ins.args
        cell = self.error_cell(number)
        step, size = self.params.add(ins.stride), self.params.add(ins.size)
        at = f"v_position(v{index}, {size}, {cell})"
        read = f"p{ins.buffer}[{self.offset(access)} + j{number} * {step}]"
        zero = f"{self.register(ins.dtype)}(0)"
        inside = self.inside(access)
        here = f"j{number} >= 0" + (f" && {inside}" if inside else "")
        value = f"{here} ? {self.from_storage(read, ins.dtype)} : {zero}"
        return Statement(
            f"const {self.index} j{number} = ({self.index}){at}; "
            f"const {self.register(ins.dtype)} v{number} = {value};",
            ins.node,
        )

    def cast(self, ins: Instr) -> str:
        source = self.kernel.instrs[ins.args[0]].dtype
        name = f"v{ins.args[0]}"
        new = self.register(ins.dtype)
        if ins.dtype.kind == "b":
            return name if source.kind == "b" else f"-(i32)({name} != 0)"
        if source.kind == "b":
            name = f"(-{name})"
        if self.register(source) == new and source.kind != "b":
            text = name
        elif source.kind == "f" and ins.dtype.kind in "iu":
            wide = "i64" if ins.dtype.itemsize == 8 else "i32"
            text = f"({new})v_to_{wide}({name})"
        else:
            text = f"({new}){name}"
        return self.rounded(text, ins.dtype) if source is not ins.dtype else text

    def apply(self, number: int, ins: Instr) -> str:
        op = ins.op
        source = self.kernel.instrs[ins.args[-1]].dtype  # where's condition comes first
        pattern = op.c
        if isinstance(pattern, dict):
            pattern = pattern.get(source.kind, pattern.get(""))
        if pattern is None:
            raise AssertionError(f"{op.name} has no C expression for {source.name}")
        register = self.register(source)
        names = [f"v{a}" for a in ins.args]
        if source.kind == "i" and source.itemsize >= 4 and op in WRAPPING:
            names = [f"(u{8 * source.itemsize}){name}" for name in names]
        size = self.params.add(ins.size) if ins.size else ""
        text = pattern.format(*names, t=register, n=register, size=size)
        if ", err)" in pattern:
            text = text.replace(", err)", f", {self.error_cell(number)})")
        if op is ops.reciprocal:
            text = f"({register}){text}"
        if ins.dtype.kind == "b" and source.kind != "b":
            return f"-(i32){text}"
        if register in ("i8", "u8", "i16", "i32", "i64") and ins.dtype.kind in "iu":
            text = f"({register}){text}"
        return text if op is ops.copy or op is ops.where else self.rounded(text, ins.dtype)

    def save(self, number: int) -> Statement:
        """Keep a value in registers for later passes."""
        return Statement(f"s{number}[u].v[{self.element}] = v{number};")

    def saved(self, number: int) -> Statement:
        """A value that an earlier pass kept."""
        kind = self.register(self.kernel.instrs[number].dtype)
        return Statement(f"const {kind} v{number} = s{number}[u].v[{self.element}];")

    # -- stores -----------------------------------------------------------------------------------
    def store(self, number: int, store: Store) -> list[Statement]:
        """The statements that write a value at the position."""
        dtype = self.kernel.instrs[store.value].dtype
        value = self.to_storage(f"v{store.value}", dtype)
        if store.index is None:
            return [Statement(f"p{store.buffer}[{self.offset(store.access)}] = {value};")]
        cell = self.error_cell(-1 - number)
        step, size = self.params.add(store.stride), self.params.add(store.size)
        at = f"p{store.buffer}[{self.offset(store.access)} + j * {step}]"
        write = self.combined(store, at, value)
        return [
            Statement(
                f"{{ const {self.index} j = ({self.index})v_position(v{store.index}, {size}, "
                f"{cell}); if (j >= 0) {write} }}",
                store.node,
            )
        ]

    def combined(self, store: Store, at: str, value: str) -> str:
        """The statement that has a value meet what is there."""
        dtype = self.kernel.instrs[store.value].dtype
        if store.combine is None:
            return f"{at} = {value};"
        if dtype.kind == "b":
            return f"{at} |= {value};"
        if dtype.kind == "i" and dtype.itemsize >= 4:
            unsigned = f"u{8 * dtype.itemsize}"
            return f"{at} = ({dtype.short})(({unsigned}){at} + ({unsigned}){value});"
        return f"{at} = ({self.storage(dtype)})({at} + {value});"

    def scattered(self, store: Store) -> tuple[str, str]:
        """Where place `j` is, and how the value is taken into `made`, which is stored there."""
        dtype = self.kernel.instrs[store.value].dtype
        at = f"p{store.buffer} + {self.offset(store.access)} + ({self.index})j * "
        value = self.to_storage(f"v{store.value}", dtype)
        return at + self.params.add(store.stride), self.combined(store, "made", value)

    def keep(self, number: int, store: Store) -> Statement:
        """Put a value into the chunk that is stored when its elements are made."""
        dtype = self.kernel.instrs[store.value].dtype
        return Statement(f"y{number}.v[k] = {self.to_storage(f'v{store.value}', dtype)};")

    def flush(self, number: int, store: Store, left: str) -> Statement:
        """Store a chunk."""
        at = self.offset(store.access, "x0")
        return Statement(f"v_store(p{store.buffer} + {at}, y{number}, {left});")
