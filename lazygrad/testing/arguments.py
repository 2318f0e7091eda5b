"""Further arguments of the names in samples.py: the rest of what is documented, and odd inputs.

Owns: for each name more calls, in the notation of samples.py: dims that are negative or listed,
keywords, scalars and inputs of no elements, transposed and strided ones, NaNs, mixed dtypes. They
run on a few dtypes only. Must not know: how calls are read or run.
"""

MORE = """\
abs             z ; o ; x.t()
add             x, z ; z, x ; x, o[:0, :1] ; x.t(), y.t() ; x, y.to(L.float32) ; \
x, z.to(L.float64) ; x, True ; x, y, alpha=-1 ; o, 1 ; x[:, ::2], y[:, 1::2] ; x, a[:, 0, None]
addmm           m, x, b[0], beta=0 ; m, y, x.t()
all             z ; o ; o, 0 ; x, -1 ; a, (0, 2) ; a, (-1, 0), True ; x, ()
allclose        n, n, equal_nan=True ; x, x + 1, 0.0, 2.0 ; o, o ; x, v ; x, y, rtol=1e-3, atol=10
amax            z ; a, (0, -1) ; x.t(), 0 ; x, () ; n, 1 ; o, 1 ; x, dim=-1, keepdim=True
amin            z ; a, (0, -1) ; x.t(), 0 ; x, () ; n, 1 ; o, 1 ; x, dim=-1, keepdim=True
any             z ; o ; o, 0 ; x, -1 ; a, (0, 2) ; a, (-1, 0), True ; x, ()
arange          8, 1, -2, dtype=d ; 0, dtype=d ; 2.5 ; 1, 3.5, 0.5 ; 5 ; 1, 2, 0.25, dtype=d ; \
start=1, end=4 ; z.abs()
argmax          z ; x, -1 ; x, dim=None, keepdim=True ; n ; n, 1 ; x.t(), 0 ; x, 1, True
argmin          z ; x, -1 ; x, dim=None, keepdim=True ; n ; n, 1 ; x.t(), 0 ; x, 1, True
argsort         z ; v, stable=True ; x, -2 {order} ; a, dim=1, descending=True, stable=True ; \
n, dim=1, stable=True ; o, 0 ; x, dim=0, stable=True, descending=True
bmm             b.transpose(1, 2), b ; a[:0], b[:0] ; \
a, b.contiguous().transpose(1, 2).transpose(1, 2) ; a[:, :0], b
cat             (x, y, x), -1 ; (o, x) ; (x, x.t().reshape(3, 4)), dim=0 ; (x, y.to(L.float32)) ; \
(v, L.zeros(0)) ; (x.t(), y.t()), 1 ; (x,) ; (x, y.int())
ceil            z ; n ; x * 0.5 ; x.t()
chunk           v, 3 ; x, 10, 1 ; x, 2, -1 ; o, 2
clamp           z, 0, 1 ; n, -1, 1 ; n, v, None ; x, 2, -1 ; x, max=v ; x, min=v, max=w ; \
x, 0.5, 1.5 ; x, min=z ; x, -1.0 ; x.t(), 0, 1 ; o, 0, 1
clone           x.t() ; z ; x[:, ::2] ; o ; x, memory_format=L.contiguous_format
contiguous      z ; x ; a.permute(2, 0, 1)
cos             z ; o ; x.t()
cumsum          z, 0 ; a, -1 ; o, 0 ; x.t(), 1 ; x, dim=0, dtype=L.float64 ; \
x, 1, dtype=L.int64 ; n, 1 ; x[:, ::2], 0
div             x, z + 9 ; z, p ; x.t(), p.t() ; x, p.to(L.float32) ; x, p.int() ; \
x, 2.5, rounding_mode="floor" ; x, 2.5, rounding_mode="trunc" ; x, y ; \
x, -p, rounding_mode="floor" ; x, -p, rounding_mode="trunc" ; x, 2, rounding_mode=None ; o, 2
dot             v, v ; x[0], x[:, 0].repeat(2)[:4] ; v[:0], v[:0] ; x.t()[:, 0], x[:, 1]
einsum          "ij->ji", x ; "ij,j->i", x, v ; "i,j->ij", v, r ; "...ij,...jk->...ik", a, b ; \
"bij->b", a ; "ij,ij", x, y ; "ii", m ; "bij,bjk,bkl->il", a, b, a ; "i,i,i->", v, w, v ; \
"a...->...a", a ; "ij->", x ; "ij, kj -> ik", (x, y)
eq              z, x ; x, z ; n, n ; x, y.to(L.float32) ; x, 1.5 ; x.t(), y.t() ; x, v ; o, 1 ; \
x, True
equal           x, y[:2] ; n, n ; o, o ; z, z ; x.t(), x.t()
exp             z ; o ; n ; x.t()
expand          z, 3 ; z, (2, 2) ; v, -1 ; x[:1], 5, 4 ; o[:, None], -1, 3, -1 ; x, 2, -1, -1
eye             0 ; 3, dtype=d, requires_grad=False ; 4, 2, dtype=d ; 2, 0
flatten         z ; a, 0, 1 ; a, -2, -1 ; x.t() ; a, start_dim=1, end_dim=2 ; o
flip            x, 0 ; x, -1 ; a, (0, -1) ; z, () ; x.t(), (1,) ; x, (0,), ; x, dims=(1,)
floor           z ; n ; x * 0.5 ; x.t()
floor_divide    2, p ; x, -p ; x, 2.5 ; x, -2 ; x, p.to(L.float32) ; x.t(), p.t()
full            (), 2, dtype=d ; (2, 0), 1, dtype=d ; (2,), 1.5 ; (2,), True ; 3, 7 ; (2, 2), z
full_like       z, 1 ; o, 1 ; x.t(), 2 ; x, 2.5, dtype=L.float64 ; x, True
gather          x, -1, g ; x.t(), 1, g.t() ; a, 2, a.argsort(dim=2, stable=True) ; \
z, 0, L.tensor(0) ; v, 0, i ; x, 0, g[:0] ; x, 0, g.int()
ge              z, x ; x, z ; n, n ; x, y.to(L.float32) ; x, 1.5 ; x.t(), y.t() ; x, v
gt              z, x ; x, z ; n, n ; x, y.to(L.float32) ; x, 1.5 ; x.t(), y.t() ; x, v
index_select    x, -1, i ; x.t(), 0, i ; z, 0, L.tensor([0]) ; x, 0, i[:0] ; x, 0, i.int() ; \
x, 0, L.tensor(1) ; v, 0, i
isfinite        z ; o ; n.t()
isinf           z ; o ; n.t()
isnan           z ; o ; n.t()
item            x[0, 0] ; x[:1, :1] ; z + 1
le              z, x ; x, z ; n, n ; x, y.to(L.float32) ; x, 1.5 ; x.t(), y.t() ; x, v
linspace        0, 1, 1, dtype=d ; 0, 1, 0, dtype=d ; 5, -5, 7, dtype=d ; 0.5, 2.5, 3 ; \
start=0, end=4, steps=3 ; z, z + 4, 3
log             z ; n ; p.t() ; x
log1p           z ; n ; p.t()
log_softmax     x, -1 ; z, 0 ; a, 1 ; x.t(), 0 ; x, 1, dtype=L.float64 ; n, 1 ; o, 0 ; x, dim=0
logical_and     z, x {values} ; x, y.to(L.float32) {values} ; n, c {values} ; \
x.t(), y.t() {values} ; x, v {values}
logical_not     z {values} ; n {values} ; x.t() {values} ; o {values}
logical_or      z, x {values} ; x, y.to(L.float32) {values} ; n, c {values} ; \
x.t(), y.t() {values} ; x, v {values}
logsumexp       x, -1 ; z, 0 ; a, (0, 2) ; n, 1 ; x.t(), 1, True ; o, 1 ; o, 0 ; \
x, dim=(0,), keepdim=True
lt              z, x ; x, z ; n, n ; x, y.to(L.float32) ; x, 1.5 ; x.t(), y.t() ; x, v
masked_fill     x, c[0], 2 ; z, c, 1 ; x, L.tensor(True), 3 ; x.t(), c.t(), z ; x, c, 1.5 ; \
o, c[:0], 1 ; x, c[:, :1], 0
masked_select   x, c[0] ; z, c ; x.t(), c.t() ; x, L.tensor(True) ; o, c[:0] ; x[0], c
matmul          v, x.t() ; b, x ; x, a.transpose(1, 2) ; a[:, None], b ; m.t(), x ; a, v ; r, x ; \
x[:0], x.t() ; x[:, :0], x.t()[:0] ; a[0:1], b
max             z ; x, -1 {order} ; n {values} ; n, 1 ; x.t(), 1 {order} ; a, 1, True {order} ; \
z, 0 ; x, v ; x, z ; x, y.to(L.float32) ; x, dim=1, keepdim=True {order}
maximum         x, z ; x, v ; n, x ; x, y.to(L.float32) ; x.t(), y.t() ; o, o
mean            z ; x, -1 ; a, (0, -1) ; x.t(), 0 ; o, 0 ; o ; x, dim=1, keepdim=True ; \
x, dtype=L.float64 ; n ; x, () ; x[:, ::2], 1
median          z ; v ; x, -1 {order} ; x, 0, True {order} ; n {values} ; n, 1 ; \
x.t(), 1 {order} ; v[:1]
min             z ; x, -1 {order} ; n {values} ; n, 1 ; x.t(), 1 {order} ; a, 1, True {order} ; \
z, 0 ; x, v ; x, z ; x, y.to(L.float32) ; x, dim=1, keepdim=True {order}
minimum         x, z ; x, v ; n, x ; x, y.to(L.float32) ; x.t(), y.t() ; o, o
mm              x.t(), x ; o.t()[:3], o ; x[:0], b[0] ; x[:, ::2], y.t()[::2]
mul             x, z ; z, z ; x.t(), y.t() ; x, y.to(L.float32) ; x, True ; x, z.to(L.float64) ; \
o, 2 ; x, x ; x[:, ::2], y[:, 1::2]
mv              x.t(), r ; o, v ; x[:, :0], v[:0] ; x[:, ::2], v[::2]
ne              z, x ; x, z ; n, n ; x, y.to(L.float32) ; x, 1.5 ; x.t(), y.t() ; x, v
neg             z ; o ; n ; x.t()
nonzero         z ; o ; n ; x.t() ; v, as_tuple=True ; z, as_tuple=True
norm            x, float("inf") ; x, -float("inf"), 1 ; x, 0, 1 ; x, 3 ; x, "fro", (0, 1) ; \
x, "nuc" ; z ; x.t(), 2, 0 ; a, 2, (0, 2), True ; x, 2, dim=-1, dtype=L.float64 ; o, 2, 0 ; o ; \
x, -1, 1 ; x, 0.5, 1
ones            () , dtype=d ; 0, 3, dtype=d ; (2, 2), dtype=d ; [2, 3], dtype=d ; \
size=(2,), dtype=d
ones_like       z ; o ; x.t() ; a.permute(2, 0, 1)
outer           v, v ; v[:0], r ; v[::2], r ; v, r.to(L.float32)
permute         a, 2, 0, 1 ; z, () ; a, (-1, 0, 1) ; x.t(), (1, 0) ; a, [1, 0, 2] | a, 2, 0, 1 ; \
z, () ; a, (-1, 0, 1)
pow             p, z.abs() ; p, -1 ; p, 2.5 ; x, 2 ; 2, x ; 2.0, x ; x, 0 ; x, 1 ; p, 3.0 ; \
z.abs(), p ; p.t(), 2 ; p, p.to(L.float32) ; 0, p {values} ; 1, x ; x, q ; x * 0, 2 | p, 3 ; \
p, -2 ; x, 0
prod            z ; x, -1 ; o ; o, 0 ; x, 1, dtype=L.float64 ; a, 2, True ; x.t(), 0 ; x * 0, 1 ; \
x - x[0], 0 ; x, dim=0, keepdim=True
rand            () , dtype=d {shape} ; 0, 2, dtype=d {shape} ; (2, 2), dtype=d {shape} ; \
size=(3,), dtype=d {shape}
randn           () , dtype=d {shape} ; 0, 2, dtype=d {shape} ; (2, 2), dtype=d {shape} ; \
size=(3,), dtype=d {shape}
randint         2, (2, 3), dtype=d {shape} ; 0, 2, (), dtype=d {shape} ; \
low=0, high=2, size=(2,), dtype=d {shape} ; 2, (0, 3), dtype=d {shape}
randperm        0, dtype=d {shape} ; 5 {shape}
rand_like       z {shape} ; o {shape} ; x, dtype=L.float64 {shape} ; x.t() {shape}
randn_like      z {shape} ; o {shape} ; x, dtype=L.float64 {shape} ; x.t() {shape}
randint_like    x, 0, 2 {shape} ; z, 2 {shape} ; x, 2, dtype=L.int64 {shape}
reciprocal      z ; n ; p.t()
remainder       2, p ; x, z + 9 ; x, -2 ; x, 2.5 ; x.t(), p.t() ; x, p.to(L.float32) ; -x, p ; \
x, v.abs() + 1
repeat          z, 2 ; z, () ; v, 2 ; x, 0, 1 ; x.t(), 1, 2 ; x, (2, 1, 1)
reshape         z, (1,) ; x.t(), (2, 6) ; x, -1 ; x, 2, 6 ; o, (4, 0) ; o, (2, 0, -1, 4) ; \
a.transpose(0, 1), (6, 4) ; x[:, ::2], (6,) | z, (1,) ; x.t(), 2, 6 ; x, -1 ; a, (6, -1) ; \
x[:, ::2], (6,)
roll            z, 1 ; a, (1, -1), (0, -1) ; x.t(), 1, 0 ; x, -5 ; o, 1, 0 ; x, shifts=1, dims=1
round           z ; n ; x * 0.5 ; x.t() ; x * 7, decimals=-1 ; x, decimals=0 ; x / 3, decimals=2
rsqrt           z ; n ; p.t()
scatter         x, -1, g[:, :2], y[:2, :2] ; x, 1, g, 1.5 ; x.t(), 0, g.t(), y[:2].t() ; \
z, 0, L.tensor(0), z + 1 ; v, 0, i, w[:2] ; x, 0, gd, y[:2], reduce="add" ; \
x, 0, gd, y[:2], reduce="multiply" ; x, 0, g[:0], y {values} ; x, 0, gd, 2, reduce="add" ; \
x, 0, g, value=3 ; x, 0, g, src=y {values}
scatter_add     x, 1, g, y[:2] ; x.t(), 1, gd.t(), y[:2].t() ; v, 0, i, w {values} ; \
z, 0, L.tensor(0), z + 1 ; x, 0, gd[:0], y {values} ; x, 0, gd[:, :2], y {values}
select          x, -1, -1 ; a, 1, 0 ; x.t(), 0, 1 ; x, dim=0, index=1
sigmoid         z ; n ; x.t() ; x * 50
sign            z ; n ; x.t()
sin             z ; o ; x.t()
softmax         x, -1 ; z, 0 ; a, 1 ; x.t(), 0 ; x, 1, dtype=L.float64 ; n, 1 ; o, 0 ; x, dim=0
sort            z ; v, 0 {order} ; x, -2 {order} ; a, 1, True {order} ; n, 1 {order} ; o, 0 ; \
x.t(), 1 {order} ; x, stable=True, dim=0, descending=True
split           v, 3 ; x, 2, -1 ; x, [1, 1, 1] ; x, 5 ; o, 1 ; x.t(), 2 ; x, 2, dim=1 ; x, (0, 3)
sqrt            z ; n ; p.t()
square          z ; n ; x.t()
squeeze         z ; x ; x[None], -3 ; x[:, None], (1,) ; x, 0 ; x[None, None], (0, 1) ; o[None] ; \
x[None], dim=0
stack           (x, y, x), -1 ; (z, z) ; (x, y.to(L.float32)) ; (o, o) ; (x.t(), y.t()), 2 ; \
[v, w], dim=1
std             z ; v ; x, -1 ; a, (0, -1) ; x, 1, True ; x, 1, False ; \
x, (0, 1), unbiased=False, keepdim=True ; x, True ; x, correction=2 ; x.t(), 0 ; x[:, :1], 1 ; \
x[:, :1], 1, correction=0 ; x, dim=None, correction=0 ; o, 1
sub             x, z ; z, x ; x, y.to(L.float32) ; x.t(), y.t() ; x, y, alpha=-1 ; \
x, y, alpha=0.5 ; o, 1 ; x, 1.5
sum             z ; x, -1 ; a, (0, -1) ; x.t(), 0 ; o, 0 ; o ; x, () ; a, (0, 1, 2), True ; \
x, dtype=L.float64 ; x, 1, dtype=L.int64 ; n ; x, axis=0 ; x[:, ::2], 1 ; x, dim=0, keepdim=True
t               v ; z ; o
tan             z ; x.t() ; o
tanh            z ; n ; x.t() ; x * 30
tile            z, (2,) ; x, (2,) ; x, (1, 2, 1) ; v, () ; x, 2, 1 | x, 2, 1 ; x, (2,) ; z, 2
to              x, L.float64 ; x, L.uint8 ; x, L.bfloat16 ; x, "cpu" ; x, dtype=L.int8 ; \
x, L.float32, copy=True ; x.t(), L.float16 ; x, device="cpu", dtype=L.int32 ; n, L.bool ; \
x, "cpu", L.float32
topk            x, 2, 0 {order} ; x, 2, -1, True, False {order} ; v, 4 {order} ; z, 1 ; n, 2 ; \
x.t(), 1 {order} ; x, 0 ; x, k=1, dim=1, largest=True {order}
transpose       x, 0, 1 ; x, -1, -2 ; z, 0, 0 ; a, 1, 1 ; o, 0, 1 ; x, dim0=0, dim1=1
tril            a ; x, 1 ; x, -5 ; m.t() ; m, diagonal=-2 ; o ; a.transpose(0, 2), 0
triu            a ; x, 1 ; x, -5 ; m.t() ; m, diagonal=-2 ; o ; a.transpose(0, 2), 0
unbind          v ; x, -1 ; a, 2 ; o ; x.t()
unfold          x, 0, 2, 1 ; a, -1, 2, 2 ; v, 0, 4, 1 ; z, 0, 1, 1 ; x.t(), 0, 3, 1 ; x, 1, 1, 3
unique          x ; u, sorted=True, return_inverse=True ; u, return_counts=True ; z ; o ; \
m, dim=1, return_inverse=True ; m, dim=-1, return_counts=True, return_inverse=True ; n ; x.t() ; \
u, True, True, True ; g, dim=0, return_inverse=True, return_counts=True
unsqueeze       z, 0 ; x, -1 ; x, 0 ; x, 2 ; v, -2 ; o, 0
var             z {values} ; v ; x, -1 ; a, (0, -1) ; x, 1, True ; x, 1, False ; \
x, (0, 1), unbiased=False, keepdim=True ; x, True ; x, correction=2 ; x.t(), 0 ; x[:, :1], 1 ; \
x[:, :1], 1, correction=0 ; x, dim=None, correction=0 ; o, 1
view            z, 1 ; x, (2, 6) ; x, 2, -1, 2 ; o, 0, 2, 2 ; x[:, :2], 3, 2, 1 ; x.t(), 4, 3 ; \
x, L.uint8
where           c, x, y.to(L.float32) ; c, z, x ; c, 2, x ; c, x, 2.5 ; c, 1, 2 ; c, 1.5, 2 ; \
c[0], x, y ; c.t(), x.t(), y.t() ; c ; c, x, z ; c[:, :1], v, 0 ; c[:0], o, o | c, x, y ; \
c, x, 2 | x, c, y ; x, c, z
zeros           () , dtype=d ; 0, 3, dtype=d ; (2, 2), dtype=d ; [2, 3], dtype=d ; \
size=(2,), dtype=d
zeros_like      z ; o ; x.t() ; a.permute(2, 0, 1)
acos            z ; q.t()
acosh           p + 2 ; p.t()
addcdiv         x, v, p ; x.t(), y.t(), p.t() ; x, y, p, value=0.5 ; x, x, p
addcmul         x, v, p ; x.t(), y.t(), p.t() ; x, y, p, value=-1 ; x, x, x
addmv           r, x, v, beta=0 ; v, x.t(), r ; r, x[:, :0], v[:0]
aminmax         z ; n ; x, dim=-1, keepdim=True ; x.t(), dim=0 ; x, dim=0, keepdim=True
argwhere        z ; o ; n ; x.t()
asin            z ; q.t()
asinh           z ; x.t() ; n
atan            z ; x.t() ; n
atanh           z ; q.t() ; x
atan2           z, p ; x, y ; x.t(), p.t() ; n, x ; x, p.to(L.float32) ; x * 0, y
baddbmm         a[:, :3, :3], a, b, alpha=-1
bernoulli       x * 0 {shape} ; ones, 0.5 {shape} ; o {shape} ; ones.t() {shape}
bincount        i ; t, v ; t, v, 6 ; t[:0] ; t[:0], minlength=3 ; t, t
bitwise_and     x, z ; x, y.int() ; 3, x ; x.t(), y.t() ; x, v ; x, True
bitwise_or      x, z ; x, y.int() ; 3, x ; x.t(), y.t() ; x, v ; x, True
bitwise_xor     x, z ; x, y.int() ; 3, x ; x.t(), y.t() ; x, v ; x, True
bitwise_not     z ; x.t() ; o
bitwise_left_shift x, z.abs() ; 1, sh ; x, sh.to(L.int32) ; x.t(), sh.t() ; x, 9 ; x, 70 ; x, -1
bitwise_right_shift x, z.abs() ; 1, sh ; x, sh.to(L.int32) ; x.t(), sh.t() ; x, 9 ; x, 70 ; \
-x, 1 ; x, -1
broadcast_tensors z, x ; x, v, r[:, None] ; o, v
broadcast_to    z, (2,) ; x, (2, 3, 4) ; x[:1], (3, 4) ; v, (0, 4) ; v, (-1,)
clamp_min       x, z ; n, 0 ; n, v ; x, 0.5 ; x.t(), 1 ; z, 1
clamp_max       x, z ; n, 0 ; n, v ; x, 0.5 ; x.t(), 1 ; z, 1
column_stack    (r, x, r) ; (z, z) ; (v, v) ; (x.t(), v) ; [r, x]
copysign        x, z ; n, y {values} ; x, -0.0 ; z, x ; x, y.to(L.float32) ; x.t(), y.t() ; \
x, v ; x, 2
cosh            z ; x.t()
count_nonzero   z ; o ; n ; x, (0, 1) ; x, -1 ; a, (0, 2) ; x.t(), 0 ; o, 1
cross           x.t()[:, :3], y.t()[:, :3] ; r, r ; x[:, :3], y[:, :3], 1 ; \
x[:, :3], y[:, :3], dim=-1 ; x.t()[:, :3], r[None].expand(4, 3) ; x[:, :3], r[None], -1 ; \
a, a[:1], dim=1
cummax          z, 0 ; x, -1 ; n, 1 ; x.t(), 0 ; o, 0 ; a, 1 ; x, dim=1
cummin          z, 0 ; x, -1 ; n, 1 ; x.t(), 0 ; o, 0 ; a, 1 ; x, dim=1
cumprod         z, 0 ; x, -1 ; n, 1 {values} ; x.t(), 1 ; o, 0 ; x, dim=0, dtype=L.float64 ; \
x * 0, 1 ; x - x[0], 0 ; x - x[0] * (x != x[1]), 0
diag            v, 1 ; v, -2 ; x ; x, -1 ; m, 5 ; m.t() ; x, diagonal=1 ; v[:0]
diag_embed      a ; v, -1 ; a, 1, 0, 2 ; x, 0, -1, -2 ; v, offset=0, dim1=1, dim2=0 ; z[None]
diagflat        z ; x.t() ; v, -1 ; v, offset=2
diagonal        x ; x, 1 ; x, -1 ; a, 0, 1, 2 ; a, -1, -2, -1 ; m, 5 ; x.t() ; \
a, offset=1, dim1=0, dim2=2
diff            v ; x, 1, 0 ; x, 2 ; x, append=y ; x, n=1, dim=-1, prepend=x[:, :1], append=y ; \
x, 0 ; x.t() ; v[:1] ; x, 9
dstack          (v, w) ; (z, z) ; (a, a) ; (x.t(), y.t()) ; [x, y, x]
empty           () , dtype=d {shape} ; 0, 3, dtype=d {shape} ; (2, 2), dtype=d {shape} ; \
size=(2,), dtype=d {shape}
empty_like      z {shape} ; o {shape} ; x.t() {shape} ; x, dtype=L.float64 {shape}
erf             z ; n ; x.t()
erfc            z ; n ; x.t()
exp2            z ; n ; x.t()
expand_as       z, x ; x[:1], x ; v, a
expm1           z ; n ; x.t()
fill            z, 2 ; x, 1.5 ; o, 1 ; x.t(), True
fliplr          x.t() ; a ; o
flipud          x.t() ; a ; v ; o
fmax            x, z ; n, v ; n, n ; x, y.to(L.float32) ; x.t(), y.t()
fmin            x, z ; n, v ; n, n ; x, y.to(L.float32) ; x.t(), y.t()
fmod            2, p ; x, -p ; x, 2.5 ; x, -2 ; x.t(), p.t() ; x, p.to(L.float32)
frac            z ; n ; x.t() ; -x
hsplit          v, 2 ; x, [2] ; a, 3 ; x, (1, 2, 3)
hstack          (v, w) ; (z, z) ; (x, y, x) ; (a, a) ; [x.t(), y.t()] ; (x, y.to(L.float32))
index_add       x, 1, i, y[:, :2] ; x, -1, i, y[:, :2] ; v, 0, i, w[:2] ; \
x.t(), 0, i, y.t()[:2] ; x, 0, i[:0], y[:0] ; x, 0, i.int(), y[:2], alpha=-1 ; x, 0, i * 0, y[:2]
index_copy      x, 1, i, y[:, :2] ; x, -1, i, y[:, :2] ; v, 0, i, w[:2] ; \
x.t(), 0, i, y.t()[:2] ; x, 0, i[:0], y[:0] ; z, 0, L.tensor([0]), z[None]
index_fill      x, -1, i, 3 ; v, 0, i, 1 ; x.t(), 0, i, 2 ; x, 0, i[:0], 1 ; \
z, 0, L.tensor([0]), 2 ; x, 0, L.tensor(1), 2 ; x, 0, i, 1.5
index_put       x, (i,), z ; x, (c,), z ; x, (c,), v[:1] ; x, (i, i), v[:2] ; \
x, (i * 0,), y[:2], True ; x, (i, L.tensor(1)), z ; v, (i,), w[:2], accumulate=True ; \
x.t(), (i,), y.t()[:2] ; x, (c,), x[c]
inner           z, x ; x, v ; v, x ; a, x ; x.t(), r ; z, z
isclose         n, n ; n, n, equal_nan=True ; x, x + 1, 0.0, 1.0 ; z, x ; x, v ; \
x, y, rtol=1.0, atol=0.0 ; x.t(), y.t() ; n, n * 2
isin            x, z ; 1, x ; x, 1 ; x, v, assume_unique=False ; z, x ; o, x ; x, o ; n, n ; \
x.t(), v ; x, x.to(L.float32)
kron            v, w ; x, y ; z, x ; a, x ; x, y.to(L.float32)
kthvalue        v, 3 {order} ; x, 2, -2 {order} ; z, 1 ; n, 2 ; n, 4 ; x.t(), 1 {order} ; \
x, k=1, dim=0, keepdim=True {order}
lerp            x, y, 0.8 ; x, y, v ; x, z, 0.5 ; x.t(), y.t(), q.t() ; x, y, 0 ; x, y, 1 ; \
x, y, z ; x, y, -1.5
log10           z ; n ; p.t()
log2            z ; n ; p.t()
logaddexp       x, z ; n, x {values} ; n, n {values} ; x.t(), p.t() ; x, x ; x, v ; \
x, p.to(L.float32)
logical_xor     z, x {values} ; x, y.to(L.float32) {values} ; n, c {values} ; \
x.t(), y.t() {values} ; x, v {values}
logit           z ; q.t() ; x {values} ; q, 0.3 ; q, eps=None ; n, 0.1 {values}
meshgrid        v, indexing="ij" ; v, r, w, indexing="ij" ; v, r, w, indexing="xy" ; \
[v, r], indexing="xy" ; v, z, indexing="ij" ; v, indexing="xy" ; v, r
movedim         a, -1, 0 ; a, (0, 2), (-1, 0) ; x, 0, 0 ; z, 0, 0 ; x.t(), 0, 1 ; \
a, source=0, destination=1
multinomial     ones[0], 4 {shape} ; ones, 1 {shape} ; ones.t()[0], 2, replacement=True {shape}
nan_to_num      z ; n, nan=3.0 ; n, posinf=1.0 ; n, neginf=0.0 ; n.t() ; x, 1.0
nanmean         z ; n, 0 ; n, (0, 1), True ; n, -1, keepdim=True ; n, 1, dtype=L.float64 ; o, 0 ; \
n.t(), 1 ; x, () ; n * n.min()
nansum          z ; n, (0, 1) ; n, -1 ; n, dtype=L.float64 ; n.t(), 0 ; o ; x, 1, dtype=L.int64 ; \
n, ()
narrow          x, -1, 0, 2 ; x, 0, -1, 1 ; x, 1, 4, 0 ; x.t(), 0, 1, 2 ; \
x, dim=0, start=1, length=2 ; x, 0, L.tensor(1), 1
new_tensor      x, 3 ; x, [[1, 0], [0, 1]] ; x, [1.5] ; x, [1, 2], dtype=L.float32 ; x, []
new_zeros       x, 2, 3 ; x, () ; x, [2] ; x, (2,), dtype=L.float32 ; x, size=(2,)
new_ones        x, (2, 3) ; x, () ; x, [2] ; x, (2,), dtype=L.int64
new_full        x, (), 2 ; x, [2], 1.5 ; x, (2,), 3, dtype=L.float64 ; x, (2,), True
new_empty       x, 2, 3 {shape} ; x, () {shape} ; x, (2,), dtype=L.int64 {shape}
normal          x, 1.0 {shape} ; 0.0, p {shape} ; z, z.abs() {shape} ; x, p[0] {shape} ; \
1.0, 2.0, (2,) {shape} ; x.t(), p.t() {shape}
positive        z ; x.t() ; n
ravel           z ; x ; a.transpose(0, 2) ; o
repeat_interleave x, 2, -1 ; v, t ; x, L.tensor([2]), 0 ; z, 3 ; x.t(), 2, 0 ; x, 0, 1 ; \
x, repeats=2, dim=0 ; x, i[:1], 1
reshape_as      z, z[None] ; x.t(), x ; o, o.t()
scatter_reduce  x, 1, g, y[:2], "prod", include_self=False ; x, 0, gd, y[:2], "amin" ; \
x, 0, gd, y[:2], "mean" ; x, 0, gd, y[:2], "sum", include_self=False ; \
x, 0, gd, y[:2], "amax", include_self=False ; x, 0, gd, y[:2], "amin", include_self=False ; \
z, 0, L.tensor(0), z + 1, "sum" ; v, 0, i, w[:2], "amax" ; x.t(), 1, gd.t(), y[:2].t(), "amin" ; \
x * 0, 0, gd, y[:2] * 0, "prod" {values} ; x, 0, gd, (y * (y != y[0, 0]))[:2], "prod" ; \
x, -1, g, y[:2], "mean", include_self=True ; x, 0, gd[:0], y, "sum" {values} ; \
x * 0, 0, gd, y[:2] * 0, "amax"
signbit         z ; n ; x.t() ; -x * 0
sinh            z ; x.t()
std_mean        z ; v ; x, -1 ; a, (0, -1) ; x, 1, False ; x, True ; x, correction=2 ; x.t(), 0 ; \
x, dim=1, correction=0, keepdim=True
take            x, L.tensor(-1) ; x, L.tensor([-12, 11]) ; z, L.tensor([0]) ; x.t(), g ; \
x, g[:0] ; x, L.tensor(3)
take_along_dim  x, g, dim=-1 ; x, g[:, :1], 1 ; v, i, 0 ; x, g.t(), 0 ; x.t(), g, 0 ; \
x, x.argsort(dim=1, stable=True), 1
tensor_split    x, 5, 1 ; v, 3 ; x, (1,), -1 ; x, [0, 2] ; x, L.tensor(2) ; x, L.tensor([1, 2]) ; \
x, (3, 1), 1 ; x.t(), 3
tensordot       x, b[0], dims=1 ; x, y ; v, w, 0 ; a, b, ([1, 2], [2, 1]) ; a, b, ([0], [0]) ; \
x.t(), y, 1 ; x, y, ((0,), (0,)) ; a, x, ([-1], [-1]) ; x, y, 2
trace           x ; m.t() ; o
tril_indices    2, 2, 1 ; 3, 2, dtype=L.int32 ; 0, 2 ; 3, 4, offset=-2 ; 2, 4, -3
triu_indices    2, 2, -1 ; 3, 2, dtype=L.int32 ; 0, 2 ; 3, 4, offset=2 ; 2, 4, 5
trunc           z ; n ; x * 0.5 ; x.t()
unflatten       x, -1, (2, -1) ; x, 0, (3, 1) ; v, 0, (2, 2) ; a, 1, (1, 3) ; \
x, dim=1, sizes=(4, 1)
var_mean        z {values} ; v ; x, -1 ; a, (0, -1) ; x, 1, False ; x, True ; x, correction=2 ; \
x.t(), 0 ; x, dim=1, correction=0, keepdim=True
view_as         x, a[0] ; z, z[None]
vsplit          x, [1] ; a, 2 ; x.t(), 2
vstack          (v, w) ; (z, z) ; (x, v) ; (a, a) ; [x.t(), y.t()]
linalg.norm     z ; v ; v, 0 ; x, "fro" ; x, "nuc" ; x, 2 ; x, -2 ; x, -1 ; x, -float("inf") ; \
a, 1, (1, 2) ; a, 2, -1 ; x, None, 0, True ; x, dim=(0, 1), keepdim=True ; x, dtype=L.float64 ; \
x.t(), 1 ; a ; v, -1 ; v, float("inf")
linalg.vector_norm z ; v, 1 ; v, -1 ; x, 2, (0, 1) ; x, dim=-1, keepdim=True ; a, 1, (0, 2) ; \
x, dtype=L.float64 ; x, -float("inf"), 1 ; x.t(), 3, 0 ; x * 0, 2, 1 {values} ; o, 2, 1 ; \
x, 0.5, 1
linalg.matrix_norm x, -1 ; x, -2 ; x, float("inf") ; x, -float("inf") ; a ; a, 1, (0, 1) ; \
a, "fro", (0, -1), True ; a, 2, (1, 0), True ; x, "nuc", keepdim=True ; x.t(), 1 ; \
x, dtype=L.float64 ; a, "nuc"
linalg.inv      m[None].repeat(2, 1, 1) ; m.t() ; m[:1, :1] ; m[:0, :0]
linalg.solve    m.t(), x ; m[None].repeat(2, 1, 1), x ; m, x.t(), left=False ; m[None], r[None] ; \
m[None].repeat(2, 1, 1), r ; m, x[:, :0]
linalg.det      m[None].repeat(2, 1, 1) ; m.t() ; m[:1, :1] ; m[:0, :0]
linalg.cholesky h[None].repeat(2, 1, 1) ; h.t(), upper=True ; h[:2, :2]
linalg.qr       x ; x, "complete" ; x.t(), "r" ; m[None].repeat(2, 1, 1) ; \
x.t(), mode="reduced" ; x, mode="r"
linalg.svd      m {abs} ; a, False {abs} ; x.t(), full_matrices=False {abs} ; h, True {abs}
linalg.eigh     h[None].repeat(2, 1, 1) {abs} ; h, "U" {abs} ; h, UPLO="L" {abs} ; h[:1, :1] {abs}
"""
