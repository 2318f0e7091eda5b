/* vmath64.h: the functions of float64, and those of float32 that are computed in float64.
 *
 * Same chunk format and rules as vmath.h.  The polynomials ("minimax") were fitted for this file with Remez's
 * exchange algorithm in 50 digits; the bound quoted is that of the relative error of the function computed;
 * 2^-53 = 1.1e-16.  A value in two parts, h + l with l small beside h, is called a pair; the exact sum of two
 * numbers as a pair is that of T. Dekker ("A floating-point technique for extending the available precision",
 * 1971), and of a product h = a b the error is fma(a, b, -h).
 */

//@ v_poly_f64xV : v_fma_f64xV
/* one step of Horner's rule, p * x + the constant c */
#define V_P_f64xV(p, x, c) v_fma_f64xV(p, x, V_K(f64xV, c))

/* ---- exponentials --------------------------------------------------------------------------------- */

//@ v_expq_f64xV : v_poly_f64xV
/* (e^r - 1 - r) / r^2 for |r| <= 0.347 (minimax, 5.5e-20) */
V_FN f64xV v_expq_f64xV(f64xV r) {
  f64xV p = V_P_f64xV(V_K(f64xV, 0x1.1e3c1611c58d2p-29), r, 0x1.af6ccbd975e71p-26);
  p = V_P_f64xV(p, r, 0x1.27e5b5e754d09p-22);
  p = V_P_f64xV(p, r, 0x1.71ddefa0ed553p-19);
  p = V_P_f64xV(p, r, 0x1.a01a013547e1cp-16);
  p = V_P_f64xV(p, r, 0x1.a01a01b3b0115p-13);
  p = V_P_f64xV(p, r, 0x1.6c16c16c30adap-10);
  p = V_P_f64xV(p, r, 0x1.111111110ebe1p-7);
  p = V_P_f64xV(p, r, 0x1.5555555555501p-5);
  p = V_P_f64xV(p, r, 0x1.555555555555bp-3);
  return V_P_f64xV(p, r, 0.5);
}

//@ v_expr_f64xV : v_expq_f64xV
/* The common part of the exponentials of the pair x + xl, as v_expr of float32 (Cody and Waite): n = nearest
   integer to x / ln 2, ln 2 = L + M, of which L has 42 bits; h = x - n L, which is exact, and *c, for which
   e^(x + xl - n ln 2) - 1 = h + c.  *t is n + 1.5 * 2^52. */
#define V_EXPMAGIC64 0x1.8p52
V_FN f64xV v_expr_f64xV(f64xV x, f64xV xl, f64xV *t, f64xV *c) {
  *t = v_fma_f64xV(x, V_K(f64xV, 0x1.71547652b82fep+0), V_K(f64xV, V_EXPMAGIC64));
  f64xV n = *t - V_EXPMAGIC64;
  f64xV h = v_fma_f64xV(n, V_K(f64xV, -0x1.62e42fefa38p-1), x);
  f64xV m = v_fma_f64xV(n, V_K(f64xV, -0x1.ef35793c7673p-45), xl), r = h + m;
  *c = v_fma_f64xV(v_expq_f64xV(r), r * r, m);
  return h;
}

//@ v_pow2_f64xV : f64xV i64xV
/* 2^n of the n in the low bits of t, for -1022 <= n <= 1023; 1024 gives infinity */
V_FN f64xV v_pow2_f64xV(f64xV t) { return (f64xV)(((i64xV)t << 52) + 0x3ff0000000000000); }

//@ v_scale_f64xV : f64xV i64xV u64xV
/* p * 2^n rounded once, of the n in the low bits of t; 1/2 < p < 2, |n| <= 1600 */
V_FN f64xV v_scale_f64xV(f64xV p, f64xV t) {
#if defined V_AVX512 && NV == 8
  return (f64xV)__builtin_ia32_scalefpd512_mask(p, t - 0x1.8p52, p, -1, 4);
#else
  i64xV n = (i64xV)t - 0x4338000000000000, h = (i64xV)(((u64xV)n + 4096) >> 1) - 2048;
  return p * (f64xV)((h << 52) + 0x3ff0000000000000) * (f64xV)(((n - h) << 52) + 0x3ff0000000000000);
#endif
}

//@ v_expx_f64xV : v_expr_f64xV v_scale_f64xV
/* e^(x + xl), xl no number where x is none or infinite; 0 below -746, infinite above 710 */
V_FN f64xV v_expx_f64xV(f64xV x, f64xV xl) {
  f64xV t, c;
  i64xV up = x > 710, down = x < -746;
  x = V_SEL(f64xV, i64xV, up, V_K(f64xV, 710), x);
  x = V_SEL(f64xV, i64xV, down, V_K(f64xV, -746), x);
  xl = (f64xV)((i64xV)xl & ~(up | down));
  f64xV h = v_expr_f64xV(x, xl, &t, &c), s = h + 1;
  return v_scale_f64xV(s + ((h - (s - 1)) + c), t);
}

//@ v_exp_f64xV : v_expx_f64xV
V_FN f64xV v_exp_f64xV(f64xV x) { return v_expx_f64xV(x, (f64xV){0}); }

//@ v_exp2_f64xV : v_expq_f64xV v_scale_f64xV
/* 2^n e^(r ln 2), the product as a pair */
V_FN f64xV v_exp2_f64xV(f64xV x) {
  x = V_SEL(f64xV, i64xV, x > 1025, V_K(f64xV, 1025), x);
  x = V_SEL(f64xV, i64xV, x < -1076, V_K(f64xV, -1076), x);
  f64xV t = x + 0x1.8p52, r = x - (t - 0x1.8p52), k = V_K(f64xV, 0x1.62e42fefa39efp-1), h = r * k;
  f64xV l = v_fma_f64xV(r, V_K(f64xV, 0x1.abc9e3b39803fp-56), v_fma_f64xV(r, k, -h)), s = h + 1;
  return v_scale_f64xV(s + ((h - (s - 1)) + v_fma_f64xV(v_expq_f64xV(h), h * h, l)), t);
}

//@ v_expm1q_f64xV : v_expr_f64xV v_pow2_f64xV
/* a quarter of e^x - 1 as a pair, for |x| <= 710.6 (a quarter: 2^1024 overflows) */
V_FN f64xV v_expm1q_f64xV(f64xV x, f64xV *l) {
  f64xV t, c, h = v_expr_f64xV(x, (f64xV){0}, &t, &c), s = v_pow2_f64xV(t - 2), a = s - 0.25, b = s * h, y = a + b;
  c = v_fma_f64xV(s, c, b - (y - a));
  h = y + c;
  *l = c - (h - y);
  return h;
}

//@ v_expm1_f64xV : v_expm1q_f64xV v_abs_f64xV
V_CALL f64xV v_expm1_f64xV(f64xV x0) {
  f64xV l, x = V_SEL(f64xV, i64xV, x0 > 710, V_K(f64xV, 710), x0);
  x = V_SEL(f64xV, i64xV, x < -40, V_K(f64xV, -40), x);    /* -1 */
  f64xV h = v_expm1q_f64xV(x, &l);
  return V_SEL(f64xV, i64xV, v_abs_f64xV(x0) < 0x1p-54, x0, (h + l) * 4);
}

//@ v_sigmoid_f64xV : v_expr_f64xV v_scale_f64xV v_abs_f64xV
/* z = e^-|x|; 1 / (1 + z) or z / (1 + z), the quotient corrected by 1 / d times its residual: see sigmoid of f32 */
V_FN f64xV v_sigmoid_f64xV(f64xV x) {
  f64xV t, c, a = v_abs_f64xV(x);
  f64xV h = v_expr_f64xV(-V_SEL(f64xV, i64xV, a > 746, V_K(f64xV, 746), a), (f64xV){0}, &t, &c), s = h + 1;
  f64xV z = v_scale_f64xV(s + ((h - (s - 1)) + c), t), d = z + 1, l = (d - 1) - z;
  f64xV n = V_SEL(f64xV, i64xV, x < 0, z, V_K(f64xV, 1)), q = n / d;
  return v_fma_f64xV(v_fma_f64xV(q, l, v_fma_f64xV(-q, d, n)), V_K(f64xV, 0.75), q);
}

//@ v_tanh_f64xV : v_expm1q_f64xV v_abs_f64xV
/* m / (m + 2) with m = e^2|x| - 1 as a pair, the quotient corrected by its residual; 1 from 19.06 on */
V_FN f64xV v_tanh_f64xV(f64xV x) {
  f64xV l, a = v_abs_f64xV(x), b = V_SEL(f64xV, i64xV, a > 20, V_K(f64xV, 40), a + a);
  f64xV h = v_expm1q_f64xV(b, &l), d = h + 0.5, dl = (V_SEL(f64xV, i64xV, h > 0.5, 0.5 - (d - h), h - (d - 0.5))) + l;
  f64xV r = 1 / d, q = h * r;
  q = v_fma_f64xV(v_fma_f64xV(-q, d, h) + v_fma_f64xV(-q, dl, l), r, q);
  q = V_SEL(f64xV, i64xV, a < 0x1p-28, a, q);
  return (f64xV)((i64xV)q | ((i64xV)x & (i64)(1ull << 63)));
}

//@ v_sinh_f64xV : v_expm1q_f64xV v_abs_f64xV
/* (m + m / (m + 1)) / 2 with m = e^|x| - 1 as a pair */
V_CALL f64xV v_sinh_f64xV(f64xV x) {
  f64xV l, a = v_abs_f64xV(x), b = V_SEL(f64xV, i64xV, a > 710.6, V_K(f64xV, 710.6), a);
  f64xV h = v_expm1q_f64xV(b, &l), d = h + 0.25, q = h / d;  /* m / 4; q is m / (m + 1) */
  q = V_SEL(f64xV, i64xV, a > 40, V_K(f64xV, 0), q * 0.25);
  f64xV s = h + q, y = (s + ((q - (s - h)) + l)) * 2;
  y = V_SEL(f64xV, i64xV, a < 0x1p-28, a, y);
  return (f64xV)((i64xV)y | ((i64xV)x & (i64)(1ull << 63)));
}

//@ v_cosh_f64xV : v_expr_f64xV v_pow2_f64xV v_abs_f64xV
/* (e^|x| + e^-|x|) / 2; a quarter of e^|x| as a pair */
V_CALL f64xV v_cosh_f64xV(f64xV x) {
  f64xV t, c, a = v_abs_f64xV(x), b = V_SEL(f64xV, i64xV, a > 710.6, V_K(f64xV, 710.6), a);
  f64xV h = v_expr_f64xV(b, (f64xV){0}, &t, &c), s = v_pow2_f64xV(t - 2), u = h + 1, v = (h - (u - 1)) + c;
  f64xV e = s * (u + v), y = v_fma_f64xV(s, v, 0.0625 / e), z = s * u;  /* 1 / 16 e is a quarter of e^-|x| */
  return (z + y) * 2;
}

/* ---- logarithms ------------------------------------------------------------------------------------- */

//@ v_expof_f64xV : f64xV i64xV u64xV
/* k / 2^52 as a float, for multiples k of 2^52, |k / 2^52| <= 1024: as low bits of a float of 2^52 */
V_FN f64xV v_expof_f64xV(i64xV k) {
  return (f64xV)((((u64xV)k + (1ull << 62)) >> 52) | 0x4330000000000000) - (0x1p52 + 1024);
}

//@ v_logr_f64xV : v_expof_f64xV v_fma_f64xV
/* x = 2^*e (1 + f) with 0.7071 <= 1 + f < 1.4142, exact; x > 0 finite, subnormals included */
V_FN f64xV v_logr_f64xV(f64xV x, f64xV *e) {
  f64xV c = (f64xV)((i64xV)V_K(f64xV, -52) & ((i64xV)x < 0x10000000000000));  /* subnormal */
  x = V_SEL(f64xV, i64xV, x < 0x1p-1022, x * 0x1p52, x);
  i64xV k = ((i64xV)x - 0x3fe6a09e667f3bcd) & (i64)0xfff0000000000000;
  *e = v_expof_f64xV(k) + c;
  return (f64xV)((i64xV)x - k) - 1;
}

//@ v_logl_f64xV : v_poly_f64xV
/* log(1 + f) - f + f^2 / 2 = s (f^2 / 2 + z L(z)), s = f / (2 + f), z = s^2: the form of P. Tang and of fdlibm (L
   minimax, 8.4e-21) */
V_FN f64xV v_logl_f64xV(f64xV f, f64xV half) {
  f64xV s = f / (2 + f), z = s * s;
  f64xV p = V_P_f64xV(V_K(f64xV, 0x1.0f7305b487820p-3), z, 0x1.0f5b10136d02cp-3);
  p = V_P_f64xV(p, z, 0x1.3b20beb72614bp-3);
  p = V_P_f64xV(p, z, 0x1.745cddc807503p-3);
  p = V_P_f64xV(p, z, 0x1.c71c725a53ab6p-3);
  p = V_P_f64xV(p, z, 0x1.249249242a25ep-2);
  p = V_P_f64xV(p, z, 0x1.9999999999e0dp-2);
  p = V_P_f64xV(p, z, 0x1.5555555555555p-1);
  return s * v_fma_f64xV(p, z, half);
}

//@ v_logs_f64xV : f64xV i64xV
/* the value y of a logarithm at x, corrected for x = inf, NaN, negative and 0 */
V_FN f64xV v_logs_f64xV(f64xV x, f64xV y) {
  y = V_SEL(f64xV, i64xV, x < V_INF, y, x);
  y = V_SEL(f64xV, i64xV, x < 0, V_K(f64xV, V_NAN), y);
  return V_SEL(f64xV, i64xV, x == 0, V_K(f64xV, -V_INF), y);
}

//@ v_logsum_f64xV : f64xV
/* a + h + l for |a| >= |h| or a = 0, and l small, with one rounding of the size of the result */
V_FN f64xV v_logsum_f64xV(f64xV a, f64xV h, f64xV l) { f64xV t = a + h; return t + ((h - (t - a)) + l); }

//@ v_loge_f64xV : v_logl_f64xV v_logsum_f64xV v_fma_f64xV
/* e ln 2 + log(1 + f) + l; of ln 2 the first part has 32 bits so that its product is exact */
V_FN f64xV v_loge_f64xV(f64xV e, f64xV f, f64xV l) {
  f64xV half = f * f * 0.5;
  l = v_fma_f64xV(e, V_K(f64xV, -0x1.718432a1b0e26p-35), l) + (v_logl_f64xV(f, half) - half);
  return v_logsum_f64xV(e * 0x1.62e42ffp-1, f, l);
}

//@ v_log_f64xV : v_logr_f64xV v_loge_f64xV v_logs_f64xV
V_FN f64xV v_log_f64xV(f64xV x) {
  f64xV e, f = v_logr_f64xV(x, &e);
  return v_logs_f64xV(x, v_loge_f64xV(e, f, (f64xV){0}));
}

//@ v_logb_f64xV : v_logr_f64xV v_logl_f64xV v_logs_f64xV v_logsum_f64xV v_fma_f64xV
/* e (c + cl) + (k + kl) log(1 + f), log(1 + f) as a pair: the logarithms to the base 2 and 10 */
V_FN f64xV v_logb_f64xV(f64xV x, f64 c, f64 cl, f64 k, f64 kl) {
  f64xV e, f = v_logr_f64xV(x, &e), half = f * f * 0.5, err = v_fma_f64xV(f * 0.5, f, -half), K = V_K(f64xV, k);
  f64xV h = f - half, l = (f - h) - half - err + v_logl_f64xV(f, half), s = h + l;
  l = l - (s - h);
  h = s * K;
  l = v_fma_f64xV(s, V_K(f64xV, kl), v_fma_f64xV(l, K, v_fma_f64xV(s, K, -h)));
  return v_logs_f64xV(x, v_logsum_f64xV(e * c, h, v_fma_f64xV(e, V_K(f64xV, cl), l)));
}

//@ v_log2_f64xV : v_logb_f64xV
V_CALL f64xV v_log2_f64xV(f64xV x) { return v_logb_f64xV(x, 1, 0, 0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56); }

//@ v_log10_f64xV : v_logb_f64xV
V_CALL f64xV v_log10_f64xV(f64xV x) {
  return v_logb_f64xV(x, 0x1.34413509f78p-2, 0x1.fef311f12b358p-46, 0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57);
}

//@ v_log1px_f64xV : v_loge_f64xV v_expof_f64xV i64xV v_abs_f64xV
/* log(1 + x + xl) for x + xl > -1 finite, as log1p of f32: 1 + x = 2^e (1 + f) with the e of the rounded sum */
V_FN f64xV v_log1px_f64xV(f64xV x, f64xV xl) {
  f64xV u = x + 1;
  i64xV k = ((i64xV)u - 0x3fe6a09e667f3bcd) & (i64)0xfff0000000000000;
  f64xV s = (f64xV)(0x4010000000000000 - k);                          /* 4 * 2^-e is normal up to e = 1024 */
  f64xV y = (x * 0.25) * s, c = v_fma_f64xV(s, V_K(f64xV, 0.25), V_K(f64xV, -1)), f = y + c;
  y = V_SEL(f64xV, i64xV, k == 0, x, y);
  f = V_SEL(f64xV, i64xV, k == 0, x, f);
  f64xV l = V_SEL(f64xV, i64xV, v_abs_f64xV(y) > v_abs_f64xV(c), c - (f - y), y - (f - c)) + xl * 0.25 * s;
  f64xV e = v_expof_f64xV(k);
  return v_loge_f64xV(e, f, v_fma_f64xV(-l, f, l));
}

//@ v_log1p_f64xV : v_log1px_f64xV v_logs_f64xV
V_CALL f64xV v_log1p_f64xV(f64xV x) {
  f64xV y = v_logs_f64xV(x + 1, v_log1px_f64xV(x, (f64xV){0}));
  return V_SEL(f64xV, i64xV, x == 0, x, y);
}

//@ v_asinh_f64xV : v_log1px_f64xV v_log_f64xV v_sqrt_f64xV v_abs_f64xV
/* log1p(a + a^2 / (1 + sqrt(1 + a^2))), all in pairs; log(2a) from 2^28 on */
V_CALL f64xV v_asinh_f64xV(f64xV x) {
  f64xV a0 = v_abs_f64xV(x), one = V_K(f64xV, 1);
  i64xV big = a0 > 0x1p28;
  f64xV a = V_SEL(f64xV, i64xV, big, one, a0), p = a * a, pl = v_fma_f64xV(a, a, -p), w = p + 1;
  f64xV wl = V_SEL(f64xV, i64xV, p > 1, 1 - (w - p), p - (w - 1)) + pl, s = v_sqrt_f64xV(w);
  f64xV sl = (v_fma_f64xV(-s, s, w) + wl) * 0.5 / s, d = s + 1, dl = (1 - (d - s)) + sl, q = p / d;
  f64xV ql = (v_fma_f64xV(-q, d, p) + v_fma_f64xV(-q, dl, pl)) / d, u = a + q, ul = (q - (u - a)) + ql;
  f64xV y = v_log1px_f64xV(u, ul), z = v_log_f64xV(a0) + 0x1.62e42fefa39efp-1;
  y = V_SEL(f64xV, i64xV, big, z, y);
  y = V_SEL(f64xV, i64xV, a0 < 0x1p-28, a0, y);
  y = V_SEL(f64xV, i64xV, x == x, y, x);
  return (f64xV)((i64xV)y | ((i64xV)x & (i64)(1ull << 63)));
}

//@ v_acosh_f64xV : v_log1px_f64xV v_log_f64xV v_sqrt_f64xV
/* log1p(t + sqrt(2t + t^2)) with t = x - 1, in pairs; log(2x) from 2^28 on */
V_CALL f64xV v_acosh_f64xV(f64xV x) {
  i64xV big = x > 0x1p28;
  f64xV t = V_SEL(f64xV, i64xV, big, V_K(f64xV, 1), x) - 1, p = t * t, pl = v_fma_f64xV(t, t, -p), b = t + t, w = b + p;
  f64xV wl = V_SEL(f64xV, i64xV, p > b, b - (w - p), p - (w - b)) + pl, s = v_sqrt_f64xV(w);
  f64xV sl = (v_fma_f64xV(-s, s, w) + wl) * 0.5 / V_SEL(f64xV, i64xV, s == 0, V_K(f64xV, 1), s), u = t + s;
  f64xV ul = (t - (u - s)) + sl, y = v_log1px_f64xV(u, ul), z = v_log_f64xV(x) + 0x1.62e42fefa39efp-1;
  y = V_SEL(f64xV, i64xV, big, z, y);
  return V_SEL(f64xV, i64xV, x >= 1, y, V_K(f64xV, V_NAN));
}

//@ v_atanh_f64xV : v_log1px_f64xV v_abs_f64xV i64xV
/* log1p(2a / (1 - a)) / 2, the quotient as a pair */
V_CALL f64xV v_atanh_f64xV(f64xV x) {
  f64xV a = v_abs_f64xV(x), d = 1 - a, dl = (1 - d) - a, b = a + a, q = b / d;
  f64xV ql = (v_fma_f64xV(-q, d, b) - q * dl) / d, y = v_log1px_f64xV(q, ql) * 0.5;
  y = V_SEL(f64xV, i64xV, a < 0x1p-28, a, y);
  y = V_SEL(f64xV, i64xV, a < 1, y, V_K(f64xV, V_NAN));
  y = V_SEL(f64xV, i64xV, a == 1, V_K(f64xV, V_INF), y);
  return (f64xV)((i64xV)y | ((i64xV)x & (i64)(1ull << 63)));
}

//@ v_logx_f64xV : v_logr_f64xV v_poly_f64xV
/* log x as a pair for x > 0 finite, 2^-67: e ln 2 + 2 s + (2/3) s^3 + s^5 M(s^2) with s = f / (2 + f) (M minimax, 7.5e-23),
   after N. Shibata and F. Petrogalli, "SLEEF: A portable vectorized library of C standard mathematical functions"
   (2020), the first terms in pairs */
V_FN f64xV v_logx_f64xV(f64xV x, f64xV *low) {
  f64xV e, f = v_logr_f64xV(x, &e), d = f + 2, dl = f - (d - 2), s = f / d;
  f64xV sl = (v_fma_f64xV(-s, d, f) - s * dl) / d, z = s * s, zl = v_fma_f64xV(s, s, -z) + 2 * s * sl;
  f64xV p = V_P_f64xV(V_K(f64xV, 0x1.eb326e42d62eap-4), z, 0x1.de2f7bf4bc3adp-4);
  p = V_P_f64xV(p, z, 0x1.1120ce3d6b9f3p-3);
  p = V_P_f64xV(p, z, 0x1.3b13621519ab3p-3);
  p = V_P_f64xV(p, z, 0x1.745d1834a17a1p-3);
  p = V_P_f64xV(p, z, 0x1.c71c71c57bb9bp-3);
  p = V_P_f64xV(p, z, 0x1.249249249305bp-2);
  p = V_P_f64xV(p, z, 0x1.9999999999995p-2);
  f64xV k = V_K(f64xV, 0x1.5555555555555p-1), u = v_fma_f64xV(p, z, k);        /* 2/3 + z M as the pair u + ul */
  f64xV ul = v_fma_f64xV(p, z, k - u) + 0x1.5555555555555p-55;
  f64xV v = u * z, vl = v_fma_f64xV(u, z, -v) + v_fma_f64xV(u, zl, ul * z);    /* times z */
  f64xV w = v * s, wl = v_fma_f64xV(v, s, -w) + v_fma_f64xV(v, sl, vl * s);    /* times s */
  f64xV a = e * 0x1.62e42ffp-1, b = s + s, t = a + b, tl = b - (t - a);        /* 32 bits: a is exact */
  f64xV r = t + w, rl = w - (r - t);
  rl += tl + (sl + sl) + wl;
  rl = v_fma_f64xV(e, V_K(f64xV, -0x1.718432a1b0e26p-35), rl);
  f64xV y = r + rl;
  *low = rl - (y - r) + v_fma_f64xV(e, V_K(f64xV, 0x1.0p-200), (f64xV){0});
  return y;
}

//@ v_pows_f64xV : v_abs_f64xV v_trunc_f64xV i64xV
/* r = |x|^y made x^y: the sign, and the special cases of C99, F.9.4.4 */
V_FN f64xV v_pows_f64xV(f64xV x, f64xV y, f64xV r) {
  const i64 top = (i64)(1ull << 63);
  f64xV a = v_abs_f64xV(x), one = V_K(f64xV, 1), half = y * 0.5;
  i64xV edge = (a == 0) | (a == V_INF) | (v_abs_f64xV(y) == V_INF);
  f64xV far = (f64xV)((i64xV)V_K(f64xV, V_INF) & ((a > 1) == (y > 0)));
  far = V_SEL(f64xV, i64xV, a == 1, one, far);
  r = V_SEL(f64xV, i64xV, edge, far, r);
  i64xV whole = v_trunc_f64xV(y) == y, odd = whole & (v_trunc_f64xV(half) != half);
  r = (f64xV)((i64xV)r | ((i64xV)x & odd & top));
  r = V_SEL(f64xV, i64xV, (x < 0) & ~whole & ~edge, V_K(f64xV, V_NAN), r);
  r = V_SEL(f64xV, i64xV, (x == x) & (y == y), r, x + y);
  return V_SEL(f64xV, i64xV, (y == 0) | (x == 1), one, r);
}

//@ v_pow_f64xV : v_logx_f64xV v_expx_f64xV v_abs_f64xV v_pows_f64xV
/* e^(y log|x|), the product as a pair */
V_CALL f64xV v_pow_f64xV(f64xV x, f64xV y) {
  f64xV a = v_abs_f64xV(x), b = v_abs_f64xV(y), l;
  i64xV edge = (a == 0) | (a == V_INF) | (b == V_INF);
  f64xV h = v_logx_f64xV(V_SEL(f64xV, i64xV, edge, V_K(f64xV, 1), a), &l);
  b = (f64xV)((i64xV)V_SEL(f64xV, i64xV, b > 0x1p70, V_K(f64xV, 0x1p70), b) | ((i64xV)y & (i64)(1ull << 63)));
  f64xV p = b * h, r = v_expx_f64xV(p, v_fma_f64xV(b, l, v_fma_f64xV(b, h, -p)));
  return v_pows_f64xV(x, y, r);
}

//@ v_powh_f64xV : v_poly_f64xV v_expof_f64xV v_abs_f64xV v_pows_f64xV
/* x^y for float32 numbers and a float32 result: as v_log and v_exp, with shorter polynomials (minimax, 3.0e-14 of the
   logarithm and 1.2e-12) */
V_FN f64xV v_powh_f64xV(f64xV x, f64xV y) {
  f64xV a = v_abs_f64xV(x);
  i64xV k = ((i64xV)a - 0x3fe6a09e667f3bcd) & (i64)0xfff0000000000000;
  f64xV f = (f64xV)((i64xV)a - k) - 1, s = f / (2 + f), z = s * s, half = f * f * 0.5;
  f64xV p = V_P_f64xV(V_K(f64xV, 0x1.9124997d5f4f8p-3), z, 0x1.c62a20485c06fp-3);
  p = V_P_f64xV(p, z, 0x1.2494148db0259p-2);
  p = V_P_f64xV(p, z, 0x1.999996a3bc5abp-2);
  p = V_P_f64xV(p, z, 0x1.55555556200c8p-1);
  f64xV l = v_fma_f64xV(v_expof_f64xV(k), V_K(f64xV, 0x1.62e42fefa39efp-1), f - (half - s * v_fma_f64xV(p, z, half)));
  f64xV e = y * l;
  e = V_SEL(f64xV, i64xV, e > 100, V_K(f64xV, 100), e);
  e = V_SEL(f64xV, i64xV, e < -120, V_K(f64xV, -120), e);
  f64xV t = v_fma_f64xV(e, V_K(f64xV, 0x1.71547652b82fep+0), V_K(f64xV, 0x1.8p52)), n = t - 0x1.8p52;
  f64xV r = v_fma_f64xV(n, V_K(f64xV, -0x1.62e42fefa39efp-1), e);
  f64xV q = V_P_f64xV(V_K(f64xV, 0x1.9e87d6c56c513p-16), r, 0x1.a1869d2ef8b3dp-13);
  q = V_P_f64xV(q, r, 0x1.6c18d6d0982b8p-10);
  q = V_P_f64xV(q, r, 0x1.1110a19e08681p-7);
  q = V_P_f64xV(q, r, 0x1.5555541b1f2dfp-5);
  q = V_P_f64xV(q, r, 0x1.5555557e3d587p-3);
  q = V_P_f64xV(q, r, 0x1.000000005f37dp-1);
  q = V_P_f64xV(q, r, 1);
  q = V_P_f64xV(q, r, 1);
  return v_pows_f64xV(x, y, (f64xV)((i64xV)q + ((i64xV)t << 52)));
}

/* ---- trigonometric functions ------------------------------------------------------------------------ */

//@ v_trigbig_f64xV : v_fma_f64xV i64xV v_quarters
/* the parts of v_trigr where |x| > V_TRIGMAX64, and of NaN */
#define V_TRIGMAX64 0x1p28
V_COLD void v_trigbig_f64xV(f64xV x, f64xV *r, f64xV *l, i64xV *k) {
  f64xV h = {0}, low = {0};
  i64xV big = ~((x <= V_TRIGMAX64) & (x >= -V_TRIGMAX64));
  for (int i = 0; i < NV; i++) if (big[i]) {
    f64 a, b;
    (*k)[i] = v_quarters(x[i], &a, &b);
    h[i] = a;
    low[i] = b;
  }
  f64xV half = V_K(f64xV, 0x1.921fb54442d18p+0), p = h * half, e = v_fma_f64xV(h, half, -p);  /* times pi/2 */
  e = v_fma_f64xV(low, half, v_fma_f64xV(h, V_K(f64xV, 0x1.1a62633145c07p-54), e));
  f64xV s = p + e;
  *r = V_SEL(f64xV, i64xV, big, s, *r);
  *l = V_SEL(f64xV, i64xV, big, e - (s - p), *l);
}

//@ v_trigr_f64xV : v_poly_f64xV i64xV v_abs_f64xV v_any_i64xV v_trigbig_f64xV
/* Cody and Waite's reduction by n pi/2, pi/2 in three parts, as v_sincos of f32: the pair r + *l, |r| <= 1.0001 pi/4,
   and n in the low bits of *k; lanes beyond V_TRIGMAX64 are reduced one by one */
V_FN f64xV v_trigr_f64xV(f64xV x, f64xV *l, i64xV *k) {
  f64xV t = v_fma_f64xV(x, V_K(f64xV, 0x1.45f306dc9c883p-1), V_K(f64xV, 0x1.8p52)), n = t - 0x1.8p52;
  f64xV w = v_fma_f64xV(n, V_K(f64xV, -0x1.921fb54442d18p+0), x), d = n * -0x1.1a62633145c07p-54, r = w + d, b = r - w;
  f64xV e = v_fma_f64xV(n, V_K(f64xV, -0x1.1a62633145c07p-54), -d) + ((w - (r - b)) + (d - b));  /* 2Sum */
  e = v_fma_f64xV(n, V_K(f64xV, 0x1.f1976b7ed8fbcp-110), e);
  f64xV s = r + e;
  *l = e - (s - r);
  *k = (i64xV)t;
  if (__builtin_expect(v_any_i64xV(~(v_abs_f64xV(x) <= V_TRIGMAX64)), 0)) {
    f64xV a = s, c = *l;  /* copies: those of v_sincos */
    i64xV q = *k;
    v_trigbig_f64xV(x, &a, &c, &q);
    s = a, *l = c, *k = q;
  }
  return s;
}

//@ v_sinp_f64xV : v_poly_f64xV
/* sin(r + l) - r for |r| <= pi/4 (minimax, 3.5e-18) */
V_FN f64xV v_sinp_f64xV(f64xV r, f64xV l, f64xV z) {
  f64xV s = V_P_f64xV(V_K(f64xV, 0x1.5d93041e64d55p-33), z, -0x1.ae5e6658feabcp-26);
  s = V_P_f64xV(s, z, 0x1.71de3577faf0cp-19);
  s = V_P_f64xV(s, z, -0x1.a01a019c120f0p-13);
  s = V_P_f64xV(s, z, 0x1.111111110f87fp-7);
  s = V_P_f64xV(s, z, -0x1.5555555555549p-3);
  return v_fma_f64xV(s * z, r, v_fma_f64xV(l * -0.5, z, l));
}

//@ v_cosp_f64xV : v_poly_f64xV
/* cos(r + l) as the pair 1 - z / 2 rounded, *low (minimax, 2.0e-19) */
V_FN f64xV v_cosp_f64xV(f64xV r, f64xV l, f64xV z, f64xV *low) {
  f64xV c = V_P_f64xV(V_K(f64xV, -0x1.8ff99f8d690e6p-37), z, 0x1.1eea88f6bda84p-29);
  c = V_P_f64xV(c, z, -0x1.27e4f9038ef94p-22);
  c = V_P_f64xV(c, z, 0x1.a01a019e246aep-16);
  c = V_P_f64xV(c, z, -0x1.6c16c16c16130p-10);
  c = V_P_f64xV(c, z, 0x1.5555555555553p-5);
  f64xV h = z * 0.5, u = 1 - h;
  *low = v_fma_f64xV(c * z, z, ((1 - u) - h) - v_fma_f64xV(r * 0.5, r, -h) - r * l);
  return u;
}

//@ v_sincos_f64xV : v_trigr_f64xV v_sinp_f64xV v_cosp_f64xV
/* shift 0: sine, 1: cosine */
V_FN f64xV v_sincos_f64xV(f64xV x, i64 shift) {
  f64xV l, low;
  i64xV k;
  f64xV r = v_trigr_f64xV(x, &l, &k), z = r * r, s = r + v_sinp_f64xV(r, l, z), c = v_cosp_f64xV(r, l, z, &low);
  c += low;
  k += shift;
  i64xV odd = (k & 1) != 0;
  return (f64xV)(V_SEL(i64xV, i64xV, odd, c, s) ^ ((k & 2) << 62));
}

//@ v_sin_f64xV : v_sincos_f64xV
V_FN f64xV v_sin_f64xV(f64xV x) { return V_SEL(f64xV, i64xV, x == 0, x, v_sincos_f64xV(x, 0)); }

//@ v_cos_f64xV : v_sincos_f64xV
V_FN f64xV v_cos_f64xV(f64xV x) { return v_sincos_f64xV(x, 1); }

//@ v_tan_f64xV : v_trigr_f64xV v_sinp_f64xV v_cosp_f64xV
/* sine by cosine, or the inverse with the other sign, as pairs; the quotient corrected by its residual */
V_CALL f64xV v_tan_f64xV(f64xV x) {
  f64xV l, cl;
  i64xV k;
  f64xV r = v_trigr_f64xV(x, &l, &k), z = r * r, c = v_cosp_f64xV(r, l, z, &cl), e = v_sinp_f64xV(r, l, z), s = r + e;
  f64xV sl = e - (s - r), u = c + cl;
  cl -= u - c;
  i64xV odd = (k & 1) != 0;
  f64xV n = V_SEL(f64xV, i64xV, odd, -u, s), nl = V_SEL(f64xV, i64xV, odd, -cl, sl);
  f64xV d = V_SEL(f64xV, i64xV, odd, s, u), dl = V_SEL(f64xV, i64xV, odd, sl, cl), i = 1 / d, q = n * i;
  q = v_fma_f64xV(v_fma_f64xV(-q, d, n) + v_fma_f64xV(-q, dl, nl), i, q);
  return V_SEL(f64xV, i64xV, x == 0, x, q);
}

//@ v_atanq_f64xV : v_poly_f64xV i64xV
/* j pi/4 + s atan(n / d), 0 <= n <= d finite, d > 0, for j and s = 1 or -1; with n > tan(pi/8) d the angle is
   pi/4 + atan((n - d) / (n + d)); atan(t) = t + t^3 A(t^2) (minimax, 4.5e-20), sums and quotient as pairs */
V_FN f64xV v_atanq_f64xV(f64xV n, f64xV d, f64xV j, f64xV s) {
  i64xV big = n > d * 0x1.a827999fcef32p-2;
  f64xV m = n - d, ml = n - (m + d), b = n + d, bl = n - (b - d);
  m = V_SEL(f64xV, i64xV, big, m, n);
  ml = (f64xV)((i64xV)ml & big);
  b = V_SEL(f64xV, i64xV, big, b, d);
  bl = (f64xV)((i64xV)bl & big);
  j += (f64xV)((i64xV)s & big);
  f64xV t = m / b, tl = (v_fma_f64xV(-t, b, m) + v_fma_f64xV(-t, bl, ml)) / b, z = t * t;
  f64xV p = V_P_f64xV(V_K(f64xV, 0x1.f259390efa171p-7), z, -0x1.12544bb0ad240p-5);
  p = V_P_f64xV(p, z, 0x1.70f9f71fc3f7dp-5);
  p = V_P_f64xV(p, z, -0x1.ab80bd925ec38p-5);
  p = V_P_f64xV(p, z, 0x1.e17286607e4a0p-5);
  p = V_P_f64xV(p, z, -0x1.110c79ff31c64p-4);
  p = V_P_f64xV(p, z, 0x1.3b136eb13d7f5p-4);
  p = V_P_f64xV(p, z, -0x1.745d14bfe80ddp-4);
  p = V_P_f64xV(p, z, 0x1.c71c71b7796b2p-4);
  p = V_P_f64xV(p, z, -0x1.2492492475d69p-3);
  p = V_P_f64xV(p, z, 0x1.999999999965ap-3);
  p = V_P_f64xV(p, z, -0x1.5555555555554p-2);
  p = v_fma_f64xV(p * z, t, tl);
  f64xV c = j * 0x1.921fb54442d18p-1, cl = v_fma_f64xV(j, V_K(f64xV, 0x1.921fb54442d18p-1), -c);
  cl = v_fma_f64xV(j, V_K(f64xV, 0x1.1a62633145c07p-55), cl);
  t *= s;
  f64xV y = c + t;
  return y + ((t - (y - c)) + v_fma_f64xV(p, s, cl));
}

//@ v_atan_f64xV : v_atanq_f64xV v_abs_f64xV i64xV
V_CALL f64xV v_atan_f64xV(f64xV x) {
  f64xV a = v_abs_f64xV(x), one = V_K(f64xV, 1);
  a = V_SEL(f64xV, i64xV, a > 0x1p60, V_K(f64xV, 0x1p60), a);
  i64xV over = a > 1;
  f64xV n = V_SEL(f64xV, i64xV, over, one, a), d = V_SEL(f64xV, i64xV, over, a, one);
  f64xV y = v_atanq_f64xV(n, d, (f64xV)((i64xV)V_K(f64xV, 2) & over), V_SEL(f64xV, i64xV, over, -one, one));
  y = V_SEL(f64xV, i64xV, a < 0x1p-28, a, y);
  return (f64xV)((i64xV)y | ((i64xV)x & (i64)(1ull << 63)));
}

//@ v_atan2_f64xV : v_atanq_f64xV v_abs_f64xV i64xV
V_CALL f64xV v_atan2_f64xV(f64xV y, f64xV x) {
  const i64 top = (i64)(1ull << 63);
  f64xV a = v_abs_f64xV(y), b = v_abs_f64xV(x), one = V_K(f64xV, 1);
  i64xV over = a > b, left = (i64xV)x < 0;
  f64xV n = V_SEL(f64xV, i64xV, over, b, a), d = V_SEL(f64xV, i64xV, over, a, b);
  f64xV k = V_SEL(f64xV, i64xV, d < 0x1p-900, V_K(f64xV, 0x1p120), one);  /* the quotient is a pair of normal numbers */
  k = V_SEL(f64xV, i64xV, d > 0x1p1000, V_K(f64xV, 0x1p-60), k);
  n = V_SEL(f64xV, i64xV, d == V_INF, (f64xV)((i64xV)one & (n == V_INF)), n * k);
  d = V_SEL(f64xV, i64xV, (d == V_INF) | (d == 0), one, d * k);
  f64xV j = (f64xV)((i64xV)V_K(f64xV, 2) & over), s = V_SEL(f64xV, i64xV, over, -one, one);
  j = V_SEL(f64xV, i64xV, left, 4 - j, j);
  s = (f64xV)((i64xV)s ^ (left & top));
  f64xV r = v_atanq_f64xV(n, d, j, s);
  r = (f64xV)((i64xV)r | ((i64xV)y & top));
  return V_SEL(f64xV, i64xV, (x == x) & (y == y), r, x + y);
}

//@ v_asinp_f64xV : v_poly_f64xV
/* (asin(s) - s) / s for z = s^2 <= 1/4 (minimax, 9.8e-19) */
V_FN f64xV v_asinp_f64xV(f64xV z) {
  f64xV p = V_P_f64xV(V_K(f64xV, 0x1.0baf97557a36bp-5), z, -0x1.5951deb244cc8p-6);
  p = V_P_f64xV(p, z, 0x1.6490bfd94330dp-6);
  p = V_P_f64xV(p, z, 0x1.e2c526ad5b683p-9);
  p = V_P_f64xV(p, z, 0x1.61737f9690c40p-7);
  p = V_P_f64xV(p, z, 0x1.757b8fa9bfff7p-7);
  p = V_P_f64xV(p, z, 0x1.ca20cb4960b20p-7);
  p = V_P_f64xV(p, z, 0x1.1c49e2dac6964p-6);
  p = V_P_f64xV(p, z, 0x1.6e8bdfa4901f8p-6);
  p = V_P_f64xV(p, z, 0x1.f1c71a8dd5c0cp-6);
  p = V_P_f64xV(p, z, 0x1.6db6db7225d4dp-5);
  p = V_P_f64xV(p, z, 0x1.333333332df84p-4);
  return V_P_f64xV(p, z, 0x1.5555555555578p-3) * z;
}

//@ v_asins_f64xV : v_asinp_f64xV v_sqrt_f64xV i64xV
/* of a in 0 .. 1: asin(s) = s + *l with s = a, or, where a > 1/2, s = sqrt((1 - a) / 2), the root as a pair */
V_FN f64xV v_asins_f64xV(f64xV a, i64xV big, f64xV *l) {
  f64xV z = V_SEL(f64xV, i64xV, big, (1 - a) * 0.5, a * a), s = V_SEL(f64xV, i64xV, big, v_sqrt_f64xV(z), a);
  f64xV sl = v_fma_f64xV(-s, s, z) * 0.5 / (s + 0x1p-1000);
  *l = v_fma_f64xV(v_asinp_f64xV(z), s, (f64xV)((i64xV)sl & big));
  return s;
}

//@ v_asin_f64xV : v_asins_f64xV v_abs_f64xV i64xV
V_CALL f64xV v_asin_f64xV(f64xV x) {
  f64xV l, a = v_abs_f64xV(x);
  i64xV big = a > 0.5;
  f64xV s = v_asins_f64xV(a, big, &l), t = -2 * s, h = V_K(f64xV, 0x1.921fb54442d18p+0), u = h + t;
  f64xV y = u + ((t - (u - h)) + v_fma_f64xV(l, V_K(f64xV, -2), V_K(f64xV, 0x1.1a62633145c07p-54)));
  y = V_SEL(f64xV, i64xV, big, y, s + l);
  return (f64xV)((i64xV)y | ((i64xV)x & (i64)(1ull << 63)));
}

//@ v_acos_f64xV : v_asins_f64xV v_abs_f64xV i64xV
/* pi/2 - asin(x), and beyond 1/2 twice the asin of the root, beyond -1/2 pi less that */
V_CALL f64xV v_acos_f64xV(f64xV x) {
  f64xV l, a = v_abs_f64xV(x);
  i64xV big = a > 0.5, left = x < 0;
  f64xV s = v_asins_f64xV(a, big, &l);
  f64xV h = V_SEL(f64xV, i64xV, big, V_K(f64xV, 0x1.921fb54442d18p+1), V_K(f64xV, 0x1.921fb54442d18p+0));
  f64xV hl = V_SEL(f64xV, i64xV, big, V_K(f64xV, 0x1.1a62633145c07p-53), V_K(f64xV, 0x1.1a62633145c07p-54));
  f64xV f = V_SEL(f64xV, i64xV, big, V_K(f64xV, -2), V_SEL(f64xV, i64xV, left, V_K(f64xV, 1), V_K(f64xV, -1)));
  f64xV t = f * s, u = h + t, y = u + ((t - (u - h)) + v_fma_f64xV(l, f, hl));
  return V_SEL(f64xV, i64xV, big & ~left, (s + l) * 2, y);
}

/* ---- the error function ------------------------------------------------------------------------------- */

//@ v_erfp_f64xV : v_poly_f64xV
/* erf(x) / x - 1 for z = x^2 <= 1/4 (minimax, 2.4e-20) */
V_FN f64xV v_erfp_f64xV(f64xV z) {
  f64xV p = V_P_f64xV(V_K(f64xV, -0x1.3a00073fe21fep-23), z, 0x1.b776edab6ab9ep-20);
  p = V_P_f64xV(p, z, -0x1.f4bba96220248p-17);
  p = V_P_f64xV(p, z, 0x1.f9a2a6b3c1ff3p-14);
  p = V_P_f64xV(p, z, -0x1.c02db23ebc2d2p-11);
  p = V_P_f64xV(p, z, 0x1.565bcd0aaa4eep-8);
  p = V_P_f64xV(p, z, -0x1.b82ce3127f806p-6);
  p = V_P_f64xV(p, z, 0x1.ce2f21a042b2ap-4);
  p = V_P_f64xV(p, z, -0x1.812746b0379e6p-2);
  return V_P_f64xV(p, z, 0x1.06eba8214db69p-3);
}

//@ v_erfcx_f64xV : v_expr_f64xV v_scale_f64xV
/* erfc(a) for 1/2 <= a <= 28: e^-a^2 G((a - k) / (a + k)) / (1 + 2a), k = 3.75: M. Shepherd and J. Laframboise,
   "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x" (1981); G minimax, 5.1e-18 */
V_FN f64xV v_erfcx_f64xV(f64xV a) {
  f64xV x = (a - 3.75) / (a + 3.75);
  f64xV p = V_P_f64xV(V_K(f64xV, -0x1.7338311e7466dp-29), x, 0x1.a803370f472aap-26);
  p = V_P_f64xV(p, x, 0x1.766b8ffc7c7d0p-26);
  p = V_P_f64xV(p, x, -0x1.025e9b46d5c16p-22);
  p = V_P_f64xV(p, x, -0x1.e1ef26b734367p-25);
  p = V_P_f64xV(p, x, 0x1.d2950ed3527f3p-20);
  p = V_P_f64xV(p, x, -0x1.05772240be653p-20);
  p = V_P_f64xV(p, x, -0x1.7fca4fba6aae6p-17);
  p = V_P_f64xV(p, x, 0x1.778c00814bff9p-16);
  p = V_P_f64xV(p, x, 0x1.b13f86f52187cp-15);
  p = V_P_f64xV(p, x, -0x1.303fa49237c1cp-12);
  p = V_P_f64xV(p, x, 0x1.33fb426c7385ep-12);
  p = V_P_f64xV(p, x, 0x1.cc3a0e66da5c1p-10);
  p = V_P_f64xV(p, x, -0x1.3f603c5152345p-7);
  p = V_P_f64xV(p, x, 0x1.d0b0037d653f3p-6);
  p = V_P_f64xV(p, x, -0x1.e0d0fa6d77d2cp-5);
  p = V_P_f64xV(p, x, 0x1.7a14188a9b0d7p-4);
  p = V_P_f64xV(p, x, -0x1.bda9309a2b144p-4);
  p = V_P_f64xV(p, x, 0x1.510169d09677cp-4);
  p = V_P_f64xV(p, x, 0x1.d5f294815afffp-9);
  p = V_P_f64xV(p, x, -0x1.1f367683f89a6p-3);
  f64xV k = V_K(f64xV, 0x1.3ccda0b5d5dc2p+0), g = v_fma_f64xV(p, x, k), gl = v_fma_f64xV(p, x, k - g) + 0x1.cf1a565e5081ap-54;
  f64xV d = v_fma_f64xV(a, V_K(f64xV, 2), V_K(f64xV, 1)), dl = v_fma_f64xV(a, V_K(f64xV, 2), 1 - d), q = g / d;
  f64xV ql = (v_fma_f64xV(-q, d, g) + v_fma_f64xV(-q, dl, gl)) / d;
  f64xV z = -a * a, t, c, h = v_expr_f64xV(z, v_fma_f64xV(-a, a, -z), &t, &c);
  return v_scale_f64xV(q + v_fma_f64xV(q, h + c, ql), t);  /* below 2^1: see v_scale */
}

//@ v_erf_f64xV : v_erfp_f64xV v_erfcx_f64xV v_abs_f64xV
V_CALL f64xV v_erf_f64xV(f64xV x) {
  f64xV a = v_abs_f64xV(x), small = v_fma_f64xV(v_erfp_f64xV(a * a), a, a);
  f64xV b = V_SEL(f64xV, i64xV, a > 6, V_K(f64xV, 6), a), big = 1 - v_erfcx_f64xV(V_SEL(f64xV, i64xV, a < 0.5, V_K(f64xV, 1), b));
  f64xV y = V_SEL(f64xV, i64xV, a < 0.5, small, big);
  return (f64xV)((i64xV)y | ((i64xV)x & (i64)(1ull << 63)));
}

//@ v_erfc_f64xV : v_erfp_f64xV v_erfcx_f64xV v_abs_f64xV
V_CALL f64xV v_erfc_f64xV(f64xV x) {
  f64xV a = v_abs_f64xV(x), z = x * x, p = v_erfp_f64xV(z), u = 1 - x, small = u + (((1 - u) - x) - p * x);
  f64xV b = V_SEL(f64xV, i64xV, a > 28, V_K(f64xV, 28), a), big = v_erfcx_f64xV(V_SEL(f64xV, i64xV, a < 0.5, V_K(f64xV, 1), b));
  big = V_SEL(f64xV, i64xV, x < 0, 2 - big, big);
  return V_SEL(f64xV, i64xV, a < 0.5, small, big);
}

/* ---- float32 by way of float64 ---------------------------------------------------------------------------- */
/* Rounded once from a result with 29 bits more: 0.5 ulp.  @S is a function here, not a type. */

//@ v_halves_f32xV : f32xV f32xH f64xH
#define V_HALVES_f32xV(F) \
  f32xV r; \
  for (int i = 0; i < 2; i++) { \
    const f64xH a = __builtin_convertvector(((f32xH *)&x)[i], f64xH), b = __builtin_convertvector(((f32xH *)&y)[i], f64xH); \
    ((f32xH *)&r)[i] = __builtin_convertvector(F(a, b), f32xH); \
  } \
  return r

//@ v_@S_f32xV S=tan,sinh,cosh,asin,acos,atan,asinh,acosh,atanh,erfc : f32xV f32xH f64xH v_@S_f64xH
V_CALL f32xV v_@S_f32xV(f32xV x) {
  f32xV r;
  for (int i = 0; i < 2; i++) {
    const f32xH half = ((f32xH *)&x)[i];
    ((f32xH *)&r)[i] = __builtin_convertvector(v_@S_f64xH(__builtin_convertvector(half, f64xH)), f32xH);
  }
  return r;
}

//@ v_atan2_f32xV : v_halves_f32xV v_atan2_f64xH
V_CALL f32xV v_atan2_f32xV(f32xV x, f32xV y) { V_HALVES_f32xV(v_atan2_f64xH); }

//@ v_pow_f32xV : v_halves_f32xV v_powh_f64xH
V_CALL f32xV v_pow_f32xV(f32xV x, f32xV y) { V_HALVES_f32xV(v_powh_f64xH); }
