"""The calls of names beyond the promise that coverage is measured with, in samples.py's notation.

Owns: for each name its calls, one for each documented argument at least, and odd inputs. Must not
know: how calls are run or compared.
"""

FURTHER = """
H               x
mT              a
adjoint         a
absolute        x
addbmm          m, a, b ; m, a[:1], b[:1], beta=2, alpha=3 ; x[:, :3], a, b, beta=0 | \
m, a, b ; m, a[:1], b[:1], beta=2, alpha=3 ; m, a[:0], b[:0]
addr            x, r, v ; x, r, v, beta=2, alpha=3 ; z, r, v ; n, r, v, beta=0
arccos          q
arccosh         p + 1
arcsin          q
arcsinh         x
arctan          x
arctan2         x, p
arctanh         q
as_strided      x, (2, 2), (1, 2) ; x, (2, 3), (4, 1), 2 ; x, (3,), (0,) ; x, (), (), 3
asarray         x ; x, dtype=L.float32 ; [1, 2], dtype=d ; x, copy=True
as_tensor       x ; x, dtype=L.float32 ; x, L.float32 ; [[1, 2], [3, 0]], dtype=d
atleast_1d      z ; x ; z, x ; (z, v)
atleast_2d      z ; v ; x, v ; (z, v)
atleast_3d      z ; v ; x ; a, v
bfloat16        x
block_diag      m, x ; z, v ; o, x ; m,
broadcast_shapes (2, 1), (3,) ; (1,), (), (4, 1)
bucketize       x, v.sort().values ; x, v.sort().values, right=True ; \
x, v.sort().values, out_int32=True ; 1.5, v.sort().values ; n, v.sort().values
byte            x.abs()
cartesian_prod  v, r ; v ; v, r, v
cdist           x, y ; x, y, 1.0 ; x, y, float("inf") ; x, y, 3.0 ; x, y, 0.0 ; a, a + 1 ; x, x ; \
x, y, compute_mode="donot_use_mm_for_euclid_dist"
char            x
clip            x, -1, 2 ; x, max=1 ; x, y, p
concat          (x, y) ; (x, y), 1 ; (x, v[None]), dim=0
concatenate     (x, y) ; (x, y), axis=1
constant_pad_nd x, (1, 2) ; x, (0, 1, 2, 0), 3 ; x, (-1, 1), 2.5
corrcoef        x ; v ; x, {values}
cov             x ; v ; x, correction=0 ; x, fweights=gd[0] + 1 ; x, aweights=p[0].detach() ; \
x, correction=0, fweights=gd[0] + 1, aweights=p[0].detach() ; z ; x[:, :1] {values} ; \
x, fweights=t + 1 ; x, fweights=gd[0] - 1 ; x, fweights=g
cpu             x
deg2rad         x
detach          x
diagonal_scatter m, r ; x, v[:3], 1 ; a, x[:2, :2], 0, 0, 2 ; x, r[:2], offset=-1
dist            x, y ; x, y, 1 ; x, y, float("inf") ; x, y, 0 {values} ; x, v, 3.0 ; x, x {values}
divide          x, p ; x, 2 ; x, p, rounding_mode="floor"
dsplit          a, 2 ; a, (1, 3)
empty_strided   (2, 3), (1, 2), dtype=d {shape}
fix             x
float_power     p, 2 ; p, p ; 2, p ; p, 0.5 ; x, 3 ; p, p.to(L.float32)
ger             r, v
greater         x, y ; x, 1
greater_equal   x, y ; x, 1
heaviside       x, y ; n, x ; x - x, y ; x, z
histc           x ; x, 4 ; x, 4, -2, 2 ; x, bins=3, min=0, max=4 ; n, 4, -1, 1 ; z - z, 2
hypot           x, y ; x, p ; n, x {values} ; x, z
imag            x
is_complex      x
is_floating_point x
is_nonzero      z ; z - z ; x[:1, :1] ; x
is_same_size    x, y ; x, v
is_signed       x
isneginf        n ; x ; -n
isposinf        n ; x ; -n
isreal          x ; n
less            x, y ; x, 1
less_equal      x, y ; x, 1
logaddexp2      x, p ; x, y ; n, x {values} ; x, z
logcumsumexp    x, 0 ; x, 1 ; z, 0 ; a, -1 ; n, 1 ; o, 0
logspace        0, 2, 5, dtype=d ; 0, 3, 4, 2, dtype=d ; 0, 2, 1, dtype=d ; 0, 1, 0, dtype=d ; \
0, 1, 3
masked_scatter  x, c, y ; x, c[0], y ; x, c, p ; x, c, v
mode            x {values} ; x, 0 {values} ; x, 1, True {values} ; v {values} | \
x {values} ; v {values} ; z {values}
moveaxis        a, 0, 2 ; a, (0, 1), (1, 2)
msort           x ; a ; v
multiply        x, y ; x, 2
nanmedian       n {values} ; x ; n, 1 {order} ; x, 0, True {order} ; z
nanquantile     n, 0.5 ; n, e.detach() * 0.5, 1 ; x, 0.3, 0, True ; \
n, 0.25, interpolation="lower" ; n, 0.4, 1, interpolation="nearest" ; \
n, 0.4, 1, interpolation="midpoint"
ndimension      a
negative        x
nelement        a
new_empty_strided x, (2, 3), (1, 2) {shape}
not_equal       x, y ; x, 1
numel           a
quantile        x, 0.5 ; x, e.detach() * 0.5, 1 ; x, 0.3, 0, True ; \
x, 0.25, interpolation="lower" ; x, 0.4, 1, interpolation="higher" ; \
x, 0.4, 1, interpolation="nearest" ; n, 0.5, 1 ; \
x, 0.4, 1, interpolation="midpoint" ; x, [0.5] ; v, 2.0
rad2deg         x
real            x
relu            x ; s ; n
renorm          x, 2, 0, 1.0 ; x, 1, 1, 2.5 ; a, 2.0, 2, 1.0
requires_grad_  x
resolve_conj    x
resolve_neg     x
conj            x
conj_physical   x
result_type     x, y.to(L.float32) ; x, 1.5 ; 1, 2.5 ; z, v
rot90           x ; x, 2 ; x, -1 ; a, 1, (0, 2) ; a, 3, [1, 2]
row_stack       (x, y) ; (v, x)
rsub            x, y ; x, 2 ; x, y, alpha=2 ; x, 2, alpha=3
scalar_tensor   2, dtype=d ; 1.5
searchsorted    v.sort().values, x ; v.sort().values, x, right=True ; x.sort(1).values, y ; \
v.sort().values, 1 ; v.sort().values, x, side="right" ; v.sort().values, x, out_int32=True ; \
v, x, sorter=v.argsort(stable=True)
select_scatter  x, v, 0, 1 ; a, x[:2], 1, 0 ; a, a[:, :, 0], -1, -1
sgn             x ; n
short           x
sinc            x ; x * 0 {values} ; z ; n
size            a ; a, 1 ; a, -1
slice_scatter   x, y[:2], 0, 1 ; x, y[:, :2], 1, 0, 4, 2 ; x, y[:1], end=1
split_with_sizes x, (1, 2) ; x, (1, 3), 1 ; x, [0, 3]
stride          a ; a, 1 ; x.t()
subtract        x, y ; x, y, alpha=2 ; x, 2
sum_to_size     x, (1, 4) ; x, 3, 1 ; a, (4,) ; x, () ; x, (3, 4)
swapaxes        a, 0, 2
swapdims        a, 0, -1
tolist          a
true_divide     x, p ; x, 2
type_as         x, p.to(L.float32)
unique_consecutive u ; u, True, True ; m, dim=1 ; x, return_inverse=True ; u, return_counts=True ; \
u.sort().values, return_counts=True ; o, dim=0
vander          v {values} ; v, 3 {values} ; v, 2, True {values} ; v[:0] ; x ; v, -1 ; v, 0
vdot            v, w ; x[0], x[1]
view_as_real    x
xlogy           x, p ; x, 2 ; 2, p ; x - x, x ; n, p
"""

FURTHER_LINALG = """
cond            m ; m, 1 {values} ; m, -2 ; m, "fro" {values} ; m, "nuc" {values} ; \
m, float("inf") {values} ; x ; m * 0, 1 {values} ; m, 3 ; x, 1
cross           x[:, :3], y[:, :3] ; x, y, dim=0 ; a[:1, :, :3], x[:, :3]
diagonal        a ; a, offset=1 ; a, dim1=0, dim2=2 ; m
eigvalsh        h ; h, "U"
matmul          x, b[0] ; a, b ; v, w
matrix_power    m, 3 ; m, -2 ; m, 0 ; a[:, :, :3], 2
matrix_rank     m ; x ; m, tol=3.0 ; h, hermitian=True ; m, atol=5.0, rtol=0.0 ; m * 0
multi_dot       (m, m, x) ; (r, m, x) ; (m, r) ; (v, v)
pinv            x ; m ; x.t() ; x, rtol=0.4 ; x, atol=3.0 ; h, hermitian=True ; m, 1e-3 ; a ; \
x, atol=v.detach()[0] * 0 + 1.5, rtol=v.detach()[1].abs() * 0.01
lstsq           x, y ; x.t(), b[0] ; m, r ; a, a + 1 ; a.mT, x[:2], driver="gelss" ; \
m, r[:2] ; m * 0, r ; x, y, driver="none"
slogdet         m {abs} ; h ; -h
svdvals         x ; x.t() ; m
"""

FURTHER_FUNCTIONAL = """
adaptive_avg_pool3d cube, 2 ; cube, (1, 3, 2) ; cube[0], (None, 1, 2) ; img, 2
adaptive_max_pool1d line, 4 ; line, 3 ; line[0], 1 ; line, 2, True
adaptive_max_pool2d img, 2 ; img, (3, None) ; img[0], 1 ; img, (3, 3), True
adaptive_max_pool3d cube, 2 ; cube, (1, 3, 2) ; cube, (2, None, 1), return_indices=True
alpha_dropout   x, 0.5 {shape} ; x, 0.5, False ; x, 0.0
avg_pool1d      line, 2 ; line, 3, 1, 1 ; line, 3, 2, 1, True, False ; line[0], (2,) ; \
line, 4, ceil_mode=True
avg_pool3d      cube, 2 ; cube, 2, 1, 1, False, False ; cube, (1, 2, 3), 1, (0, 1, 1) ; \
cube, 2, divisor_override=3 ; cube[0], 2, ceil_mode=True
bilinear        x, x[:, :3], a[:, :, :3].transpose(1, 2).contiguous() ; v, r, a.transpose(1, 2) ; \
x, x[:, :3], a.transpose(1, 2), e
conv_transpose1d line, k1.transpose(0, 1) ; line, k1[:2], None, 2, 1, 1 ; \
line, k1[:2], e.repeat(2), 2, groups=2 ; line[0], k1.transpose(0, 1), r, dilation=2
conv_transpose3d cube * 0.5, k3.transpose(0, 1) ; cube, k3.transpose(0, 1), e, 2, 1, 1 ; \
cube[0] * 0.5, k3.transpose(0, 1), None, (1, 2, 1), (1, 0, 0)
cosine_embedding_loss x, y, t[:3] * 2 - 3 ; x, y, i[:1] * 0 + 1, 0.2 ; \
x, y, t[:3] * 0 - 1, margin=0.1, reduction="none" ; x, y, t[:3] * 0 - 1, reduction="sum" ; \
v, w, i[0] * 0 - 1
dropout1d       line, 0.5 {shape} ; line, 0.5, False ; line, 0.0
dropout2d       img, 0.5 {shape} ; img, 0.5, False ; img, 0.0
dropout3d       cube, 0.5 {shape} ; cube, 0.5, False ; cube, 0.0
gaussian_nll_loss x, y, p ; x, y, p, True ; x, y, p, reduction="none" ; \
x, y, p, True, 4.0, "sum" ; x, y, p[:, :1] ; x, y, p[:, 0] ; x, y, 2.0
gumbel_softmax  x {shape} ; x, 0.5, True {shape} ; x, tau=2.0, dim=0 {shape}
hinge_embedding_loss x, y.sign() ; x, y.sign(), 0.5 ; x, y.sign(), reduction="none" ; \
x, y.sign(), 2.0, reduction="sum" ; x, v.sign()
margin_ranking_loss x, y, q.sign() ; x, y, -q.sign(), 0.5 ; x, y, q.sign(), reduction="none" ; \
x, y, y.sign(), 2.0, reduction="sum"
max_pool3d      cube, 2 ; cube, 2, 1, 1 ; cube, (1, 2, 3), 1, 0, 1, True ; \
cube, 2, return_indices=True ; cube[0], 2
multilabel_soft_margin_loss x, q ; x, q, v.detach().abs() ; x, q, reduction="none" ; \
x, q, reduction="sum" ; x, c.to(d)
pixel_unshuffle img, 2 ; img[0], 2 ; img, 1
poisson_nll_loss x, y.abs() ; p, p, False ; x, p, True, True ; p, p, False, True, eps=0.1 ; \
x, p, reduction="none" ; x, p, reduction="sum"
sigmoid         x
soft_margin_loss x, y.sign().detach() ; x, y.detach(), reduction="none" ; \
x, y.detach(), reduction="sum" ; x, y
tanh            x
triplet_margin_loss x, y, x.flip(0) ; x, y, x.flip(1), 2.0 ; x, y, x.flip(0), 1.0, 1.0 ; \
x, y, x.flip(0), swap=True ; x, y, x.flip(0), reduction="none" ; \
x, y, x.flip(0), eps=0.5, reduction="sum" ; v, w, v.flip(0)
"""
