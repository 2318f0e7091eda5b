"""The calls of `nn.functional` that coverage is measured with, in the notation of samples.py.

Owns: for each name its calls, one for each documented argument at least, and those at the ends of
the pieces of a function. Must not know: how calls are run or compared.
"""

FUNCTIONAL = """
relu            x ; x.clone(), inplace=True ; s | x
gelu            x ; x, approximate="tanh" ; s ; s, approximate="tanh"
silu            x ; x.clone(), inplace=True ; s | x
elu             x ; x.clone(), 0.5, True ; s | x ; x, 0.5
leaky_relu      x ; x.clone(), 0.2, True ; s ; x, 0.0 | x ; x, 0.2
softplus        x ; x, 2.0, 1.0 ; s ; s, 0.5, 3.5
softmax         x, 1 ; x, -2 ; x, 0, dtype=L.float32 ; a, 1
log_softmax     x, 1 ; x, -2 ; x, 0, dtype=L.float32 ; a, 1
linear          x, y, r ; x, y ; v, y ; v, y, r ; a, y, r ; a, y ; x, v ; a, v, z ; v, v
embedding       i, x ; i, x, padding_idx=0 ; g, x, padding_idx=-1 ; \
i, x.detach().clone(), max_norm=1.5 ; g, x, scale_grad_by_freq=True ; g.to(L.int32), x
one_hot         t ; t, 5 ; g
conv1d          line, k1 ; line, k1, r, stride=2, padding=1 ; \
line, k1, dilation=2, padding="same" ; line[0], k1, r, 1, (2,) ; line, k1, padding="valid" ; \
line[:, :1].expand(2, 4, 6), k1[:2], groups=2
conv2d          img, k ; img, k, r, stride=2, padding=1 ; img, k, dilation=1, padding="same" ; \
img[0], k, r, (1, 2), (0, 1) ; img, k[:2, :1], None, 1, 0, 1, 2 ; \
img, k[..., :2], None, 1, 1, 2 ; img, k[:, :, :2], padding="same"
max_pool2d      img, 2 ; img, 3, 1, 1 ; img, (2, 3), (1, 2), (1, 0) ; img, 2, 1, dilation=2 ; \
img[..., :3], 2, ceil_mode=True ; img[0], 2 ; img, 2, return_indices=True ; \
img, 3, 2, 1, return_indices=True, ceil_mode=True ; s[None], 2, 1
avg_pool2d      img, 2 ; img, 3, 1, 1, count_include_pad=False ; img, 3, 1, 1 ; \
img[..., :3], 2, ceil_mode=True ; img[0], (2, 3), (1, 2), (1, 0), divisor_override=5 ; \
img, 3, 2, 1, True, False
adaptive_avg_pool2d img, 2 ; img, (3, None) ; img, (5, 3) ; img[0], 1 ; img, (1, 1) ; \
img, (None, 2)
pad             x, (1, 2) ; x, (0, 1, 2, 0), value=1 ; line, (1, 1), mode="reflect" ; \
line, (2, 1), mode="replicate" ; line, (2, 1), mode="circular" ; \
img, (1, 2, 0, 1), mode="reflect" ; img, (1, 2, 3, -1), mode="replicate" ; \
img, (1, 2, 0, 1), "circular" ; x, (-1, 1) ; cube, (1, 1, 1, 1, 2, 0), mode="reflect" ; \
cube, (1, 1, 1, 1, 2, 0), mode="replicate" ; line, (1, 1), "constant", 2.5
dropout         x, 0.5 {shape} ; x, 0.5, False ; x, 0.0 ; x, 1.0 ; \
x.clone(), 0.5, True, True {shape}
batch_norm      img, e.detach().clone(), e.detach().clone(), e, e, True ; \
img, e.detach(), e.detach() ; img, e.detach(), e.detach(), e, e, eps=0.1 ; \
img, None, None, None, None, True, 0.5 ; x, v.detach().clone(), None, v, None, True ; \
x, v.detach(), p[0].detach(), None, v.detach()
layer_norm      x, (4,) ; x, (4,), v, w ; a, (3, 4), x, y ; a, (3, 4), None, y.detach(), 0.1 ; \
a, [4], v
cross_entropy   x, t ; x, t, v.detach().abs(), label_smoothing=0.1 ; x, q ; \
x, t, ignore_index=3 ; x, t, None, ignore_index=0, reduction="none", label_smoothing=0.2 ; \
x, t, reduction="sum" ; x, q, v.detach().abs(), reduction="none", label_smoothing=0.2 ; v, t[0] ; \
a, g, reduction="none" ; a, g, r.detach().abs() ; x, q, reduction="sum" ; v, q[0]
nll_loss        x, t ; x, t, reduction="none" ; x, t, v.detach().abs() ; x, t, reduction="sum" ; \
x, t, None, ignore_index=3 ; v, t[0] ; a, g, reduction="none" ; a, g, r.detach().abs() ; \
x, t, v.detach().abs(), ignore_index=0, reduction="sum" ; v, t[0], reduction="none" ; \
x, t.to(L.uint8)
mse_loss        x, y ; x, y, reduction="sum" ; x, y, reduction="none" ; x, v ; \
x, y, weight=p.detach() ; x, y, reduction="sum", weight=p.detach()
l1_loss         x, y ; x, y, reduction="sum" ; x, y, reduction="none" ; x, x.detach() ; \
x, y, weight=p.detach()
smooth_l1_loss  x, y ; x, y, beta=0.5 ; x, y, reduction="none" ; x, y, reduction="sum" ; \
x, y, beta=0 ; s, s.detach() * 0 + 1
binary_cross_entropy q, q.detach() ; q, c.to(d) ; q, q.detach() * 0.5, reduction="none" ; \
q, c.to(d), p.detach() ; q, c.to(d), p.detach(), reduction="sum" ; \
c.to(d), q.detach(), reduction="none" ; q, p.detach() - 1
binary_cross_entropy_with_logits x, q ; x, q, pos_weight=v.detach().abs() ; x, q, p.detach() ; \
x, c.to(d), reduction="none" ; x, q, p.detach(), reduction="sum", pos_weight=v.detach().abs() ; \
s, s.detach() * 0 + 1
kl_div          x, q, reduction="batchmean" ; x, y, reduction="sum", log_target=True ; x, q ; \
x, q, reduction="none" ; x, q, reduction="sum" ; x, c.to(d), reduction="none" ; \
x, y, log_target=True
"""

MORE_FUNCTIONAL = """
adaptive_avg_pool1d line, 4 ; line, 3 ; line[0], 1 ; line, (8,)
celu            x ; x, 0.5 ; s ; s, -2.0 | x ; x, 0.5
conv_transpose2d img, k.transpose(0, 1) ; img * img, (k * k).transpose(0, 1), r, 2, 1, 1 ; \
img[0], k.transpose(0, 1)[..., :2], None, (1, 2), (1, 0), (0, 1), dilation=(2, 1) ; \
img, k[:2, :1], groups=2 ; img, k[:2], e, 3, 0, 2, 1, 4 ; img, k[:2], e.repeat(2), 2, groups=2
conv3d          cube, k3 ; cube, k3, e, 2, 1 ; cube[0], k3, e, (1, 2, 1), (1, 0, 0) ; \
cube, k3, padding="same" ; cube, k3, None, 1, 1, 2 ; cube.repeat(1, 2, 1, 1, 1), k3, groups=2
cosine_similarity x, y ; x, y, 0 ; a, x, -1 ; x, x.detach() * 0, 1 ; x, v, eps=3.0
glu             x ; img, 1 ; x, -1 ; a, 2
group_norm      img, 2 ; img, 1, e, e ; img, 2, e, None, 0.1 ; x, 2, v, w ; line, 1
hardshrink      x ; x, 1.0 ; s ; s, 2
hardsigmoid     x {single} ; s {single} ; x.clone(), True {single} | x ; s
hardswish       x ; s ; x.clone(), True | x ; s
hardtanh        x ; x, -0.5, 1.5 ; s ; s, 0, 6 ; x.clone(), -1, 2, True | x ; s
huber_loss      x, y ; x, y, delta=0.5 ; x, y, "none", 2.0 ; x, y, reduction="sum" ; \
s, L.ones_like(s.detach()), "none" ; x, y, weight=p.detach()
instance_norm   img ; img, None, None, e, e ; line, e.detach().clone(), e.detach().clone(), e ; \
img, e.detach(), e.detach(), None, None, False ; line, None, None, None, e.detach(), True, 0.5, 0.1
interpolate     img, scale_factor=2 ; img, (3, 5), mode="bilinear" ; img, (3, 6), mode="area" ; \
line, 9, mode="linear", align_corners=True ; img, (5, 6), mode="bicubic" ; line, 4 ; \
line, 7, mode="linear" ; line, scale_factor=1.5 ; img, (3, 7), mode="nearest-exact" ; \
line, 5, None, "nearest-exact" ; cube, (2, 4, 5) ; cube, (2, 4, 5), mode="trilinear" ; \
cube, None, 1.7, "trilinear", True ; cube, 2, mode="nearest-exact" ; cube, 2, mode="area" ; \
line, 4, mode="area" ; img, None, (0.5, 1.6), "bilinear" ; \
img, None, (0.5, 1.6), "bilinear", None, True ; img, (6, 3), None, "bilinear", True ; \
img, (3, 5), None, "bicubic", True ; img, None, 1.5, "bicubic", False ; \
img, None, 1.5, "nearest", None, True ; img, 1, mode="bilinear", align_corners=True ; \
img, (3, 2), mode="bilinear", antialias=True ; img, (2, 5), mode="bicubic", antialias=True
logsigmoid      x ; s
max_pool1d      line, 2 ; line, 3, 1, 1 ; line, 2, 3, ceil_mode=True ; line, 2, 1, 0, 2 ; \
line[0], 3 ; line, 3, 2, 1, return_indices=True
mish            x ; s ; x.clone(), True | x ; s
normalize       x ; x, 1.0, 0 ; x, dim=-1, eps=3.0 ; a, 3, (1, 2)
pairwise_distance x, y ; x, y, 1.0 ; x, v ; x, y, eps=0.5, keepdim=True ; v, w ; x, y, 3
pixel_shuffle   img.reshape(2, 8, 2, 2), 2 ; img.reshape(8, 2, 2, 2), 1
prelu           x, v[:1] ; x, v ; s, v[:1] ; img, e ; s, e[0]
relu6           x ; s ; x.clone(), True | x ; s
rms_norm        x, (4,) ; x, (4,), v ; a, (3, 4), x, 0.1 ; a, [4], eps=0.5
scaled_dot_product_attention a, a, a ; a, a, a, is_causal=True ; a, a, a, c[:, :3] ; \
a, b.transpose(1, 2), a, x[:, :3] ; a[None], a[None], b.transpose(1, 2)[None], scale=0.3 ; \
x, y, x ; a, a, a, dropout_p=0.5 {shape} ; a, a[:, :2], a[:, :2], is_causal=True ; \
img, img[:1, :1], img[:1, :1], enable_gqa=True ; a, a, a, c[:, :3] & False
selu            x ; s ; x.clone(), True | x ; s
softmin         x, 1 ; x, 0, dtype=L.float32 ; x, -1
softshrink      x ; x, 1.0 ; s ; s, 2 ; x, 0
softsign        x ; s
tanhshrink      x ; s
threshold       x, 0.5, 2.0 ; s, 1, 20 ; x.clone(), 0.1, -5, True | x, 0.5, 2.0 ; s, 1, 20
unfold          img, 2 ; img, (2, 3), padding=1, stride=2 ; img, 2, 2 ; \
img, (2, 1), 1, (0, 2), (2, 1) ; img[0], 3
fold            line.reshape(1, 8, 3), (2, 4), (2, 2) ; cols, (4, 4), 2, padding=1, stride=2 ; \
cols[0], 4, 2, 1, 1, 2 ; cols, (4, 4), (2, 2), 1, 0, 1
"""
