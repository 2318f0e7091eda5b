"""The calls that coverage is measured with: every name of the promise, with the arguments it takes.

Owns: the list of names and their sample calls, as text, and the values of the inputs that these
calls name, for a given dtype. Must not know: how calls are run or compared, or which library runs
them.

A line is a name and its calls: arguments behind `;` are another call, and those behind `|` are the
method's, where it takes them in another order. `{shape}` at the end: values are random or
undefined, only dtypes and shapes are compared. `{values}`: gradients are not (PyTorch passes
them through a function that has none). `{abs}`: signs are free. `{order}`: with equal
elements (bool has few others) the order of indices is free. `{single}`: PyTorch computes with
constants of float32; results are compared to that precision.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.testing.arguments import MORE
from lazygrad.testing.functional_samples import FUNCTIONAL, MORE_FUNCTIONAL
from lazygrad.testing.further_samples import FURTHER, FURTHER_FUNCTIONAL, FURTHER_LINALG

DTYPES = ("float64", "float32", "float16", "bfloat16",
          "int64", "int32", "int16", "int8", "uint8", "bool")  # fmt: skip
FEW = ("float64", "float16", "int32", "bool")  # those that further arguments are tried with

CORE = """
T               x
abs             x
add             x, y ; x, y, alpha=2 ; x, 2 ; x, 1.5 ; x, v
addmm           m, x, b[0] ; m, x, b[0], beta=2, alpha=3
all             x ; x, 1 ; x, 0, keepdim=True
allclose        x, x ; x, y
amax            x ; x, 1 ; x, (0, 1), keepdim=True
amin            x ; x, 1 ; x, (0, 1), keepdim=True
any             x ; x, 1 ; x, 0, keepdim=True
arange          5, dtype=d ; 1, 8, 2, dtype=d
argmax          x ; x, 1 ; x, 0, keepdim=True
argmin          x ; x, 1 ; x, 0, keepdim=True
argsort         x {order} ; x, 0, descending=True {order}
bmm             a, b
bool            x
cat             (x, y) ; (x, y), 1
ceil            x
chunk           x, 2 ; x, 3, 1
clamp           x, -1, 2 ; x, max=1 ; x, min=y ; x, y, p
clone           x
contiguous      x.t()
cos             x
cumsum          x, 0 ; x, 1, dtype=L.float32
div             x, p ; x, 2 ; x, p, rounding_mode="floor" ; x, p, rounding_mode="trunc"
dot             v, w
double          x
einsum          "ij,kj->ik", x, y ; "bij,bjk->bk", a, b ; "ii->i", m
eq              x, y ; x, 1
equal           x, y ; x, x
exp             x
expand          v, 3, 4 ; r[:, None], -1, 4
eye             3, dtype=d ; 2, 4, dtype=d
flatten         a ; a, 1
flip            x, (0,) ; x, (0, 1)
float           x
floor           x
floor_divide    x, p ; x, 2
full            (2, 3), 1, dtype=d
full_like       x, 1 ; x, 1, dtype=L.float32
gather          x, 0, g ; x, 1, g
ge              x, y ; x, 1
gt              x, y ; x, 1
half            x
index_select    x, 0, i ; x, 1, i
int             x
isfinite        n
isinf           n
isnan           n
item            z
le              x, y ; x, 1
linspace        0, 4, 5, dtype=d ; 3, 9, 4, dtype=d
log             p
log1p           p
log_softmax     x, 1
logical_and     x, y {values}
logical_not     x {values}
logical_or      x, y {values}
logsumexp       x, 1 ; x, (0, 1), keepdim=True
long            x
lt              x, y ; x, 1
masked_fill     x, c, 1 ; x, c, z
masked_select   x, c
matmul          x, b[0] ; a, b ; v, w ; x, v ; a, b[0] ; v, b
max             x ; x, 1 {order} ; x, y ; x, 0, keepdim=True {order}
maximum         x, y
mean            x ; x, 1 ; x, (0, 1), keepdim=True ; x, 1, dtype=L.float32
median          x ; x, 1 {order}
min             x ; x, 1 {order} ; x, y ; x, 0, keepdim=True {order}
minimum         x, y
mm              x, b[0]
mul             x, y ; x, 2 ; x, 1.5 ; x, v
mv              x, v
ne              x, y ; x, 1
neg             x
nonzero         x ; c ; c, as_tuple=True
norm            x ; x, 1, 1 ; x, 2, 1, True ; x, dim=0
ones            2, 3, dtype=d
ones_like       x ; x, dtype=L.float32
outer           v, r
permute         a, (2, 0, 1)
pow             p, 2 ; p, p ; p, 0.5 ; x, 3 | p, p
prod            p ; x, 1 ; x, 0, keepdim=True
rand            2, 3, dtype=d {shape}
randn           2, 3, dtype=d {shape}
randint         0, 2, (2, 3), dtype=d {shape}
randperm        4, dtype=d {shape}
rand_like       x {shape}
randn_like      x {shape}
randint_like    x, 2 {shape}
reciprocal      p
remainder       x, p ; x, 2 ; x, -p
repeat          x, 2, 1 ; v, 2, 2
reshape         x, (4, 3) ; x, (2, -1)
roll            x, 1, 0 ; x, (1, 2), (0, 1) ; x, 2
round           x ; x, decimals=1
rsqrt           p
scatter         x, 0, g, y[:2] ; x, 0, g, 2
scatter_add     x, 0, gd, y[:2]
select          x, 1, 2
sigmoid         x
sign            x
sin             x
softmax         x, 1 ; x, 0, dtype=L.float32
sort            x {order} ; x, 0, descending=True {order} ; x, dim=1, stable=True
split           x, 2 ; x, (1, 3), 1
sqrt            p
square          x
squeeze         x[None] ; x[:, None], 1 ; x[None, :, None], (0, 2)
stack           (x, y) ; (x, y), 1
std             x ; x, 1 ; x, 0, correction=0, keepdim=True
sub             x, y ; x, y, alpha=2 ; x, 2 ; x, v
sum             x ; x, 1 ; x, (0, 1), keepdim=True ; x, 1, dtype=L.float32
t               x
tan             q
tanh            x
tile            x, (2, 1) ; v, (2, 2)
to              x, L.float32 ; x, L.int64 ; x, L.bool ; x, y
topk            x, 2 {order} ; x, 1, 0, False {order}
transpose       a, 0, 2
tril            m ; m, -1
triu            m ; m, 1
unbind          x ; x, 1
unfold          x, 1, 2, 1
unique          u ; u, return_inverse=True, return_counts=True ; m, dim=0
unsqueeze       x, 1
var             x ; x, 1 ; x, 0, correction=0, keepdim=True
view            x, 4, 3 ; x, -1
where           c, x, y ; c, x, 2 ; c | x, c, y
zeros           2, 3, dtype=d
zeros_like      x ; x, dtype=L.float32
"""

OPERATORS = """
add x, y ; 2, x ; x, 1.5
sub x, y ; 2, x ; x, 1.5
mul x, y ; 2, x ; x, 1.5
truediv x, p ; 2, p ; x, 1.5
floordiv x, p ; 2, p
mod x, p ; 2, p
pow p, p ; 2, p ; x, 2
matmul x, b[0]
and_ x, y ; x, 1
or_ x, y ; x, 1
xor x, y ; x, 1
lshift x, sh ; x, 1
rshift x, sh ; x, 1
invert x
neg x
pos x
abs x
eq x, y ; x, 1
ne x, y ; x, 1
lt x, y ; x, 1
le x, y ; x, 1
gt x, y ; x, 1
ge x, y ; x, 1
"""

INDEXES = """
1 | -1, 2 | 1:3 | ::2, 1: | None | :, None | ... | ..., 1 | c | c[:, 0] | i | i, 1 | i, i
:, i | i[:, None], i | 1, i | None, i, ..., None | 1:, i[:1] | c[:, 0], 1 | True | [0, 2]
"""

EXTENDED = """
acos            q
acosh           p + 1
addcdiv         x, y, p ; x, y, p, value=2
addcmul         x, y, p ; x, y, p, value=2
addmv           r, x, v ; r, x, v, beta=2, alpha=3
aminmax         x ; x, dim=1
argwhere        x
asin            q
asinh           x
atan            x
atanh           q
atan2           x, p
baddbmm         a[:, :, :3], a, b ; a[:, :, :3], a, b, beta=2, alpha=3
bernoulli       ones {shape}
bincount        u ; u, minlength=6 ; u, u.to(L.float64)
bitwise_and     x, y ; x, 1
bitwise_or      x, y ; x, 1
bitwise_xor     x, y ; x, 1
bitwise_not     x
bitwise_left_shift x, sh ; x, 1
bitwise_right_shift x, sh ; x, 1
broadcast_tensors x, v
broadcast_to    v, (3, 4)
clamp_min       x, 1 ; x, y
clamp_max       x, 1 ; x, y
column_stack    (r, x)
copysign        x, y ; x, -1
cosh            x
count_nonzero   x ; x, 1
cross           x[:, :3], y[:, :3] ; x, y, dim=0
cummax          x, 0
cummin          x, 0
cumprod         x, 0 ; x, 1, dtype=L.float32
det             m
diag            v ; m ; m, 1
diag_embed      x ; v, 1
diagflat        v ; x, 1
diagonal        m ; a, 1, 0, 2
diff            x ; x, 2, 0 ; v, prepend=w
dstack          (x, y)
empty           2, 3, dtype=d {shape}
empty_like      x {shape}
erf             x
erfc            x
exp2            x
expand_as       v, x
expm1           x
fill            x, 2 ; x, z
fliplr          x
flipud          x
fmax            x, n
fmin            x, n
fmod            x, p ; x, 2
frac            x
hsplit          x, 2 ; x, (1, 3)
hstack          (x, y)
index_add       x, 0, i, y[:2] ; x, 0, i, y[:2], alpha=2
index_copy      x, 0, i, y[:2]
index_fill      x, 0, i, 2 ; x, 1, i, z
index_put       x, (i,), y[:2] ; x, (i, i), v[:2], True
inner           x, y ; v, w
inverse         m
isclose         x, y ; x, x
isin            x, y ; x, v, invert=True
kron            m, v
kthvalue        x, 2 {order} ; x, 1, 0, True {order}
lerp            x, y, 0.3 ; x, y, q
log10           p
log2            p
logaddexp       x, p ; x, y
logdet          h
logical_xor     x, y {values}
logit           q ; q, 0.1
matrix_power    m, 3 ; m, -2 ; m, 0
meshgrid        v, r, indexing="ij" ; v, r, indexing="xy"
movedim         a, 0, 2 ; a, (0, 1), (1, 2)
multinomial     ones[0], 2 {shape} ; ones, 3, True {shape}
nan_to_num      n ; n, 1.0, 2.0, -2.0
nanmean         n ; x, 1
nansum          n ; n, 1, keepdim=True
narrow          x, 1, 1, 2
new_tensor      x, [1, 2]
new_zeros       x, (2, 3)
new_ones        x, 2, 3
new_full        x, (2, 3), 1
new_empty       x, (2, 3) {shape}
normal          x, p {shape} ; 0.0, 1.0, (2, 3), dtype=d {shape} | x, 0.5, 2.0 {shape}
pinverse        x
positive        x
ravel           x.t()
repeat_interleave x, 2 ; x, 2, 1 ; x, t, 0 ; x[:2], i, 0, output_size=2
reshape_as      x, x.t()
scatter_reduce  x, 0, gd, y[:2], "sum" ; x, 0, gd, y[:2], "amax" ; \
x, 0, gd, y[:2], "mean", include_self=False ; x, 0, gd, y[:2], "prod"
signbit         x
sinh            x
slogdet         m
std_mean        x ; x, 1, keepdim=True
take            x, g
take_along_dim  x, g, 0 ; x, g
tensor_split    x, 2 ; x, (1, 2), 1
tensordot       x, y, ([1], [1]) ; x, b[0], 1
trace           m
tril_indices    3, 4 ; 3, 3, -1
triu_indices    3, 4 ; 3, 3, 1
trunc           x
unflatten       x, 1, (2, 2)
var_mean        x ; x, 1, keepdim=True
view_as         x, x.reshape(4, 3)
vsplit          x, 3 ; x, (1, 2)
vstack          (x, y)
zero_           x
"""

LINALG = """
norm            x ; x, 1 ; x, float("inf"), 1 ; v, 3
vector_norm     x ; x, 3, 1 ; x, 0 ; x, float("inf"), 0, keepdim=True
matrix_norm     x ; x, 1 ; x, 2 ; x, "nuc"
inv             m
solve           m, x ; m, r
det             m
cholesky        h ; h, upper=True
qr              m ; x.t(), "complete"
svd             x, False {abs}
eigh            h {abs}
"""


@dataclass(frozen=True)
class Call:
    """Arguments as code, and how results are compared."""

    code: Any
    text: str
    rule: str = ""
    dtypes: tuple[str, ...] = DTYPES


@dataclass(frozen=True)
class Sample:
    """A name: where it is found, and its calls."""

    label: str  # unique
    group: str  # core, extended, further
    place: str  # "", nn.functional, linalg, operator, index
    name: str
    calls: tuple[Call, ...]
    method_calls: tuple[Call, ...]  # for the method and the in-place form


def _call(text: str, dtypes: tuple[str, ...] = DTYPES) -> Call:
    text = text.strip()
    rule = ""
    if marked := re.search(r"\s*\{(\w+)\}$", text):
        rule, text = marked[1], text[: marked.start()]
    return Call(compile(f"args({text})", f"<{text}>", "eval"), text, rule, dtypes)


def _calls(text: str, dtypes: tuple[str, ...] = DTYPES) -> tuple[Call, ...]:
    return tuple(_call(part, dtypes) for part in text.split(";"))


def _more() -> dict[str, tuple[tuple[Call, ...], tuple[Call, ...]]]:
    """For each name the further calls, of the function and of the method."""
    found = {}
    for line in MORE.strip().splitlines():
        name, calls = line.split(None, 1)
        plain, _, method = calls.partition("|")
        found[name] = _calls(plain, FEW), _calls(method or plain, FEW)
    return found


def _read(group: str, place: str, short: str, text: str) -> list[Sample]:
    found = []
    further = _more()
    for line in text.strip().splitlines():
        name, calls = line.split(None, 1)
        plain, _, method = calls.partition("|")
        methods = _calls(method) if method else _calls(plain)
        more = further.get(short + name, ((), ()))
        calls_of = _calls(plain) + more[0], methods + more[1]
        found.append(Sample(short + name, group, place, name, *calls_of))
    return found


def _indexes() -> list[Sample]:
    keys = [key.strip() for line in INDEXES.strip().splitlines() for key in line.split("|")]
    calls = {key: _calls(f"x, key[{key}]") for key in keys}
    return [Sample(f"x[{k}]", "core", "index", "getitem", calls[k], calls[k]) for k in keys]


SAMPLES: tuple[Sample, ...] = (
    *_read("core", "", "", CORE),
    *_read("core", "operator", "operator.", OPERATORS),
    *_indexes(),
    *_read("core", "nn.functional", "F.", FUNCTIONAL),
    *_read("extended", "", "", EXTENDED),
    *_read("extended", "linalg", "linalg.", LINALG),
    *_read("extended", "nn.functional", "F.", MORE_FUNCTIONAL),
    *_read("further", "", "", FURTHER),
    *_read("further", "linalg", "linalg.", FURTHER_LINALG),
    *_read("further", "nn.functional", "F.", FURTHER_FUNCTIONAL),
)


# -- inputs -------------------------------------------------------------------------------------


class _Key:
    def __getitem__(self, key: Any) -> Any:
        return key


def _args(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


_SHAPES = {
    "x": (3, 4), "y": (3, 4), "v": (4,), "w": (4,), "r": (3,), "a": (2, 3, 4), "b": (2, 4, 3),
    "o": (0, 4), "z": (), "img": (2, 2, 4, 4), "k": (3, 2, 3, 3), "line": (2, 2, 6),
    "k1": (3, 2, 3), "cube": (1, 1, 3, 3, 3), "k3": (2, 1, 2, 2, 2), "cols": (1, 8, 9),
}  # fmt: skip
# Where piecewise functions meet: signed zeros and the ends of their pieces.
SPECIAL = [0.0, -0.0, 0.5, -0.5, 1, -1, 2, -2, 3, -3, 6, -6, 20, 40, -20, -40]
_INDICES: dict[str, Any] = {
    "i": [2, 0],
    "t": [1, 0, 3],
    "g": [[0, 1, 2, 0], [2, 0, 1, 1]],
    "gd": [[0, 1, 2, 0], [0, 1, 1, 0]],
    "c": [[True, False, True, True], [False, False, True, False], [True, True, False, False]],
}


def _values(kind: str) -> dict[str, np.ndarray]:
    """The inputs as float64; those of integers are whole, those of unsigned ones not negative."""
    rng = np.random.default_rng(7)
    made: dict[str, np.ndarray] = {}
    whole = kind != "float"
    for name, shape in _SHAPES.items():
        count = int(np.prod(shape))
        spread = rng.permutation(count) - count // 2 + (0 if whole else 0.3)
        if not whole:
            spread = np.round(spread * (6.0 / max(count, 4)), 2)
        elif count > 40:
            spread = spread % 7 - 3
        made[name] = spread.reshape(shape) + (count // 2 if kind == "unsigned" else 0)
    made["n"] = made["x"].copy()
    if not whole:
        made["n"].reshape(-1)[[0, 4, 5, 11]] = [np.nan, np.inf, -np.inf, np.nan]
    made["p"] = rng.permutation(12).reshape(3, 4) % 5 + 1.0 + (0 if whole else 0.25)
    made["q"] = rng.integers(0, 2, (3, 4)) if whole else np.round(rng.uniform(0.1, 0.9, (3, 4)), 2)
    made["m"] = np.array([[4.0, 1, 2], [-1, 3, 1], [2, -2, 5]]) + (0 if whole else 0.25)
    made["h"] = np.array([[4.0, 1, 0], [1, 3, 1], [0, 1, 5]]) + (0 if whole else 0.25)
    made["u"] = np.array([1.0, 0, 2, 1, 3])
    made["e"] = np.array([1.0, 2]) if whole else np.array([0.75, 1.5])
    made["sh"] = rng.integers(0, 4, (3, 4)) * 1.0
    made["ones"] = np.ones((3, 4))
    made["s"] = np.array(SPECIAL if not whole else np.rint(SPECIAL)).reshape(4, 4)
    if kind == "unsigned":
        made = {name: np.abs(value) for name, value in made.items()}
    return made


def inputs(library: Any, dtype: str, array: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """What calls may name, with `array` making the library's tensors of one dtype."""
    whole = "unsigned" if dtype == "uint8" else "int" if "int" in dtype else "float"
    values = _values("int" if dtype == "bool" else whole)
    given = getattr(library, dtype)
    made: dict[str, Any] = {"args": _args, "key": _Key(), "L": library, "d": given}
    for name, value in values.items():
        made[name] = array(value > 0 if dtype == "bool" else value, given)
    for name, index in _INDICES.items():
        made[name] = array(np.array(index), library.bool if name == "c" else library.int64)
    return made


def namespace(library: Any, place: str) -> Any:
    """Where a library keeps the functions of a place."""
    import operator

    if place in ("operator", "index"):
        return operator
    if place == "nn.functional":
        return library.nn.functional
    return library.linalg if place else library
