/* vmath.h: the prelude of generated kernels, vector functions in GCC's vector extensions.
 *
 * This file is not included: lazygrad/codegen/prelude.py takes the needed chunks out of it (the syntax of
 * the marker lines and tokens is described there).  No header is used.  Functions whose chunk says "libm"
 * call the C math library; all others are complete in themselves.
 *
 * Rules of the text:
 *  - A result depends on the lane's inputs only: not on the number of lanes, and not on which builtins the
 *    target has.  So an fma is written where one is wanted (the flags have -ffp-contract=off), and a
 *    builtin is used only where it gives the bits of the plain text beside it.
 *  - Masks are vectors of signed integers of the operand's size, 0 or -1.
 *  - NaN and infinity are honoured; the rounding mode is to nearest and subnormals are not flushed.
 *
 * Polynomials whose source is given as "minimax" were fitted for this file: least squares on 1500 Chebyshev
 * nodes in float64, reweighted (Lawson's iteration) to the smallest maximum of the relative error of the
 * function computed, coefficients rounded to float32 one after the other from the lowest degree, the
 * remaining ones refitted each time.  The bound quoted is that of the rounded polynomial; 2^-24 = 6.0e-8.
 */

//@ base :
typedef float f32; typedef double f64;
typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
#define V_FN static inline __attribute__((always_inline, unused))
#define V_CALL static __attribute__((noinline, unused))        /* called in a kernel, too big to be inlined */
#define V_COLD static __attribute__((noinline, cold, unused))  /* rarely called */
#if defined __GNUC__ && !defined __clang__                     /* the builtins below have gcc's signatures */
#if defined __AVX512F__ && defined __AVX512BW__ && defined __AVX512DQ__ && defined __AVX512VL__
#define V_AVX512 1
#endif
#if defined __AVX2__
#define V_AVX2 1
#endif
#if defined __FMA__
#define V_FMA 1
#endif
#if defined __F16C__
#define V_F16C 1
#endif
#if defined __SSE4_1__
#define V_SSE4 1
#endif
#if defined __SSE2__
#define V_SSE2 1
#endif
#endif
#define V_INF __builtin_inff()
#define V_NAN __builtin_nanf("")
#define V_K(T, c) ((T){0} + (c))  /* a constant in all lanes (not -0.0) */
#define V_EXPMAGIC 0x1.8p23f      /* see v_expr */
/* mask ? a : b with the integer type I of the mask, a comparison: gcc makes one blend of it, on AVX-512 if the
   comparison is not used elsewhere too */
#define V_SEL(T, I, m, a, b) ((T)(((I)(a) & (m)) | ((I)(b) & ~(m))))

/* ---- types and memory -------------------------------------------------------------------------- */

//@ @TxV T=f32,f64,i8,i16,i32,i64,u8,u16,u32,u64 :
typedef @T @TxV __attribute__((vector_size(NV * sizeof(@T)), may_alias));
typedef @T @TxVu __attribute__((vector_size(NV * sizeof(@T)), may_alias, aligned(sizeof(@T))));

//@ v_sp_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16,u32,u64 : @TxV
V_FN @TxV v_sp_@TxV(@T x) { return x - (@TxV){0}; }  /* x - 0 is x for -0.0 too */

//@ v_iota_@TxV T=i8,i16,i32,i64 : @TxV
V_FN @TxV v_iota_@TxV(void) { @TxV r; for (int i = 0; i < NV; i++) r[i] = (@T)i; return r; }

//@ v_masked :
/* The masked loads and stores of AVX-512 for elements of 8 .. 64 bits, V_MASKED(load or store, bits, width);
   V_WBxN, defined for vectors of full registers only, is the width of N elements of B bits */
typedef char v_e8; typedef short v_e16; typedef int v_e32; typedef long long v_e64;
#define V_Q8 qi
#define V_Q16 hi
#define V_Q32 si
#define V_Q64 di
#define V_MASKED_(op, q, w) __builtin_ia32_##op##dqu##q##w##_mask
#define V_MASKED(op, q, w) V_MASKED_(op, q, w)
#if defined V_AVX512
#define V_W8x64 512
#define V_W8x32 256
#define V_W8x16 128
#define V_W16x32 512
#define V_W16x16 256
#define V_W16x8 128
#define V_W32x16 512
#define V_W32x8 256
#define V_W32x4 128
#define V_W64x8 512
#define V_W64x4 256
#define V_W64x2 128
#endif

//@ v_piece :
/* n elements of a vector's tail, if bit n of m says so, and on to the next: as many moves as m has bits */
#define V_PIECE(n, m, size, to, from, at) \
  if ((m) & (n)) { __builtin_memcpy((char *)(to) + at * (size), (const char *)(from) + at * (size), (n) * (size)); at += (n); }
#define V_PIECES(m, size, to, from) \
  do { \
    i64 at_ = 0; \
    V_PIECE(32, m, size, to, from, at_) V_PIECE(16, m, size, to, from, at_) V_PIECE(8, m, size, to, from, at_) \
    V_PIECE(4, m, size, to, from, at_) V_PIECE(2, m, size, to, from, at_) V_PIECE(1, m, size, to, from, at_) \
  } while (0)

//@ v_ld_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16,u32,u64 : @TxV v_masked v_piece
/* the first min(m, V) elements at p, the other lanes 0; m >= 0 */
V_FN @TxV v_ld_@TxV(const @T *p, i64 m) {
  if (__builtin_expect(m >= NV, 1)) return (@TxV)*(const @TxVu *)p;
#if defined V_W@BxV
  typedef v_e@B E __attribute__((vector_size(NV * sizeof(@T))));
  return (@TxV)V_MASKED(load, V_Q@B, V_W@BxV)((const v_e@B *)p, (E){0}, (1ull << m) - 1);
#elif defined V_AVX2 && @B == 32 && (NV == 8 || NV == 4)
  typedef int E __attribute__((vector_size(NV * 4)));
  E lane;
  for (int l = 0; l < NV; l++) lane[l] = l;
  lane = lane < (E){0} + (int)m;
#if NV == 8
  return (@TxV)__builtin_ia32_maskloadd256((const E *)p, lane);
#else
  return (@TxV)__builtin_ia32_maskloadd((const E *)p, lane);
#endif
#else
  @TxV r = {0};
  V_PIECES(m, sizeof(@T), &r, p);
  return r;
#endif
}

//@ v_st_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16,u32,u64 : @TxV v_masked v_piece
/* the first min(m, V) lanes to p; m >= 0 */
V_FN void v_st_@TxV(@T *p, @TxV v, i64 m) {
  if (__builtin_expect(m >= NV, 1)) { *(@TxVu *)p = v; return; }
#if defined V_W@BxV
  typedef v_e@B E __attribute__((vector_size(NV * sizeof(@T))));
  V_MASKED(store, V_Q@B, V_W@BxV)((v_e@B *)p, (E)v, (1ull << m) - 1);
#else
  V_PIECES(m, sizeof(@T), p, &v);
#endif
}

//@ v_lds_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16,u32,u64 : @TxV
/* min(m, V) elements, `stride` elements apart */
V_CALL @TxV v_lds_@TxV(const @T *p, i64 stride, i64 m) {
  @TxV r = {0};
  if (__builtin_expect(m >= NV, 1)) {
#pragma GCC unroll 64
    for (int i = 0; i < NV; i++) r[i] = p[i * stride];
  } else for (i64 i = 0; i < m; i++) r[i] = p[i * stride];
  return r;
}

//@ v_sts_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16,u32,u64 : @TxV
V_CALL void v_sts_@TxV(@T *p, @TxV v, i64 stride, i64 m) {
  if (__builtin_expect(m >= NV, 1)) {
#pragma GCC unroll 64
    for (int i = 0; i < NV; i++) p[i * stride] = v[i];
  } else for (i64 i = 0; i < m; i++) p[i * stride] = v[i];
}

/* ---- masks and selection ----------------------------------------------------------------------- */

//@ v_sel_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16,u32,u64 : @TxV @IxV
V_FN @TxV v_sel_@TxV(@IxV m, @TxV a, @TxV b) { return V_SEL(@TxV, @IxV, m, a, b); }

//@ v_mcvt_@S_@TxV S=i8,i16,i32,i64 T=i8,i16,i32,i64 : @SxV @TxV
V_FN @TxV v_mcvt_@S_@TxV(@SxV m) { return __builtin_convertvector(m, @TxV); }

//@ v_any_@TxV T=i8,i16,i32,i64 : @TxV
V_FN int v_any_@TxV(@TxV m) {
#if defined V_AVX512 && NV * @B == 512
  typedef char B64 __attribute__((vector_size(64)));
  return __builtin_ia32_cvtb2mask512((B64)m) != 0;
#elif defined V_AVX2 && NV * @B == 256
  typedef char B32 __attribute__((vector_size(32)));
  return __builtin_ia32_pmovmskb256((B32)m) != 0;
#elif defined V_SSE2 && NV * @B == 128
  typedef char B16 __attribute__((vector_size(16)));
  return __builtin_ia32_pmovmskb128((B16)m) != 0;
#else
  @T r = 0;
  for (int i = 0; i < NV; i++) r |= m[i];
  return r != 0;
#endif
}

/* ---- minimum, maximum, absolute value, sign ----------------------------------------------------- */

//@ v_extremes :
#define V_MAX256_32 __builtin_ia32_maxps256 /* b if one of them is NaN */
#define V_MAX256_64 __builtin_ia32_maxpd256
#define V_MIN256_32 __builtin_ia32_minps256
#define V_MIN256_64 __builtin_ia32_minpd256

//@ v_max_@TxV T=f32,f64 : @TxV @IxV v_extremes
/* NaN if a or b is; b when they are equal (so of two zeros the second, as torch's vector loop) */
V_FN @TxV v_max_@TxV(@TxV a, @TxV b) {
#if defined V_AVX2 && NV * @B == 256
  return V_SEL(@TxV, @IxV, a != a, a, V_MAX256_@B(a, b));
#else
  @IxV m = (a > b) | (a != a);
  return V_SEL(@TxV, @IxV, m, a, b);
#endif
}

//@ v_min_@TxV T=f32,f64 : @TxV @IxV v_extremes
V_FN @TxV v_min_@TxV(@TxV a, @TxV b) {
#if defined V_AVX2 && NV * @B == 256
  return V_SEL(@TxV, @IxV, a != a, a, V_MIN256_@B(a, b));
#else
  @IxV m = (a < b) | (a != a);
  return V_SEL(@TxV, @IxV, m, a, b);
#endif
}

//@ v_max_@TxV T=i8,i16,i32,i64,u8,u16,u32,u64 : @TxV @IxV
V_FN @TxV v_max_@TxV(@TxV a, @TxV b) { @IxV m = a > b; return V_SEL(@TxV, @IxV, m, a, b); }

//@ v_min_@TxV T=i8,i16,i32,i64,u8,u16,u32,u64 : @TxV @IxV
V_FN @TxV v_min_@TxV(@TxV a, @TxV b) { @IxV m = a < b; return V_SEL(@TxV, @IxV, m, a, b); }

//@ v_abs_@TxV T=f32,f64 : @TxV @UxV
V_FN @TxV v_abs_@TxV(@TxV x) { return (@TxV)((@UxV)x & (((@U)-1) >> 1)); }

//@ v_sign_@TxV T=f32,f64 : @TxV @IxV
/* 1, -1, and 0 for zeros and NaN (as torch.sign) */
V_FN @TxV v_sign_@TxV(@TxV x) {
  @IxV p = x > 0, n = x < 0;
  return (@TxV)((@IxV)V_K(@TxV, 1) & p) - (@TxV)((@IxV)V_K(@TxV, 1) & n);
}

//@ v_abs_@TxV T=i8,i16,i32,i64 : @TxV
V_FN @TxV v_abs_@TxV(@TxV x) { @TxV m = x < 0; return (x ^ m) - m; }  /* of the least one: itself */

//@ v_sign_@TxV T=i8,i16,i32,i64 : @TxV
V_FN @TxV v_sign_@TxV(@TxV x) { return (@TxV)(x < 0) - (@TxV)(x > 0); }

//@ v_abs_@TxV T=u8,u16,u32,u64 : @TxV
V_FN @TxV v_abs_@TxV(@TxV x) { return x; }

//@ v_sign_@TxV T=u8,u16,u32,u64 : @TxV
V_FN @TxV v_sign_@TxV(@TxV x) { return (@TxV)(x != 0) & 1; }

/* ---- integers ----------------------------------------------------------------------------------- */
/* Division goes lane by lane: x86 has no vector form.  b == 0 gives 0 and sets *err |= 1; the quotient
   least / -1 wraps to least.  Lanes behind the end, which v_ld fills with 0, count too:
   v_ones before. */

//@ v_ones_@TxV T=i8,i16,i32,i64,u8,u16,u32,u64 : @TxV
/* x with 1 in the lanes from m on */
V_FN @TxV v_ones_@TxV(@TxV x, i64 m) {
  if (__builtin_expect(m < NV, 0)) for (i64 i = m; i < NV; i++) x[i] = 1;
  return x;
}

//@ v_truncdiv_@TxV T=i8,i16,i32,i64 : @TxV
V_CALL @TxV v_truncdiv_@TxV(@TxV a, @TxV b, i64 *err) {
  @TxV r;
  for (int i = 0; i < NV; i++) {
    @T x = a[i], y = b[i];
    if (y == 0) *err |= 1;
    r[i] = y == 0 ? 0 : y == -1 ? (@T)-x : (@T)(x / y);
  }
  return r;
}

//@ v_floordiv_@TxV T=i8,i16,i32,i64 : @TxV
V_CALL @TxV v_floordiv_@TxV(@TxV a, @TxV b, i64 *err) {
  @TxV r;
  for (int i = 0; i < NV; i++) {
    @T x = a[i], y = b[i];
    if (y == 0) *err |= 1;
    r[i] = y == 0 ? 0 : y == -1 ? (@T)-x : (@T)(x / y - (x % y != 0 && (x < 0) != (y < 0)));
  }
  return r;
}

//@ v_fmod_@TxV T=i8,i16,i32,i64 : @TxV
V_CALL @TxV v_fmod_@TxV(@TxV a, @TxV b, i64 *err) {
  @TxV r;
  for (int i = 0; i < NV; i++) {
    @T x = a[i], y = b[i];
    if (y == 0) *err |= 1;
    r[i] = y == 0 || y == -1 ? 0 : (@T)(x % y);
  }
  return r;
}

//@ v_remainder_@TxV T=i8,i16,i32,i64 : @TxV
V_CALL @TxV v_remainder_@TxV(@TxV a, @TxV b, i64 *err) {
  @TxV r;
  for (int i = 0; i < NV; i++) {
    @T x = a[i], y = b[i];
    if (y == 0) *err |= 1;
    @T m = y == 0 || y == -1 ? 0 : (@T)(x % y);
    r[i] = (@T)(m + (m != 0 && (m < 0) != (y < 0) ? y : 0));
  }
  return r;
}

//@ v_truncdiv_@TxV T=u8,u16,u32,u64 : @TxV
V_CALL @TxV v_truncdiv_@TxV(@TxV a, @TxV b, i64 *err) {
  @TxV r;
  for (int i = 0; i < NV; i++) {
    if (b[i] == 0) *err |= 1;
    r[i] = b[i] == 0 ? 0 : (@T)(a[i] / b[i]);
  }
  return r;
}

//@ v_floordiv_@TxV T=u8,u16,u32,u64 : v_truncdiv_@TxV
V_FN @TxV v_floordiv_@TxV(@TxV a, @TxV b, i64 *err) { return v_truncdiv_@TxV(a, b, err); }

//@ v_fmod_@TxV T=u8,u16,u32,u64 : @TxV
V_CALL @TxV v_fmod_@TxV(@TxV a, @TxV b, i64 *err) {
  @TxV r;
  for (int i = 0; i < NV; i++) {
    if (b[i] == 0) *err |= 1;
    r[i] = b[i] == 0 ? 0 : (@T)(a[i] % b[i]);
  }
  return r;
}

//@ v_remainder_@TxV T=u8,u16,u32,u64 : v_fmod_@TxV
V_FN @TxV v_remainder_@TxV(@TxV a, @TxV b, i64 *err) { return v_fmod_@TxV(a, b, err); }

//@ v_pow_@TxV T=i8,i16,i32,i64,u8,u16,u32,u64 : @TxV
/* by squaring, wrapping; a negative exponent gives 1 for base 1, +-1 for base -1, else 0 (as torch) */
V_CALL @TxV v_pow_@TxV(@TxV a, @TxV b) {
  @TxV r;
  for (int i = 0; i < NV; i++) {
    u64 x = (u64)a[i], y = 1, e = (u64)b[i];
    if ((@T)-1 < 0 && (i64)e < 0) y = x == 1 ? 1 : x == (u64)-1 ? (e & 1 ? x : 1) : 0;
    else for (; e; e >>= 1, x *= x) if (e & 1) y *= x;
    r[i] = (@T)y;
  }
  return r;
}

//@ v_shl_@TxV T=i8,i16,i32,i64,u8,u16,u32,u64 : @TxV @IxV @UxV
/* a count outside 0 .. bits-1 gives 0 (as torch) */
V_FN @TxV v_shl_@TxV(@TxV a, @TxV b) {
  return (@TxV)(((@UxV)a << ((@UxV)b & (@B - 1))) & (@UxV)((@UxV)b < @B));
}

//@ v_shr_@TxV T=i8,i16,i32,i64 : @TxV @UxV
/* arithmetic; a count outside 0 .. bits-1 fills with the sign (as torch) */
V_FN @TxV v_shr_@TxV(@TxV a, @TxV b) {
  @TxV m = (@UxV)b < @B;
  return a >> ((b & m) | (~m & (@B - 1)));
}

//@ v_shr_@TxV T=u8,u16,u32,u64 : @TxV
V_FN @TxV v_shr_@TxV(@TxV a, @TxV b) { return (a >> (b & (@B - 1))) & (@TxV)(b < @B); }

/* ---- casts -------------------------------------------------------------------------------------- */
/* C's conversions; floating point to integer as PyTorch on x86-64: out of range and NaN give the least
   integer for i32 and i64, the narrower types take the low bits of the conversion to i32. */

//@ v_cvt_@S_@TxV S=i8,i16,i32,i64,u8,u16,u32,u64 T=i8,i16,i32,i64,u8,u16,u32,u64 : @SxV @TxV
V_FN @TxV v_cvt_@S_@TxV(@SxV x) { return __builtin_convertvector(x, @TxV); }

//@ v_cvt_@S_@TxV S=i32,i64,u32,u64 T=f32,f64 : @SxV @TxV
V_FN @TxV v_cvt_@S_@TxV(@SxV x) { return __builtin_convertvector(x, @TxV); }

//@ v_cvt_@S_@TxV S=i8,i16,u8,u16 T=f32,f64 : @SxV i32xV @TxV
/* by way of i32: gcc 12 takes a conversion from narrow integers apart */
V_FN @TxV v_cvt_@S_@TxV(@SxV x) { return __builtin_convertvector(__builtin_convertvector(x, i32xV), @TxV); }

//@ v_cvt_f32_f64xV : f32xV f64xV
V_FN f64xV v_cvt_f32_f64xV(f32xV x) { return __builtin_convertvector(x, f64xV); }

//@ v_cvt_f64_f32xV : f32xV f64xV
V_FN f32xV v_cvt_f64_f32xV(f64xV x) { return __builtin_convertvector(x, f32xV); }

//@ v_cvt_f32_i32xV : f32xV i32xV
V_FN i32xV v_cvt_f32_i32xV(f32xV x) {
#if defined V_AVX512 && NV == 16
  return (i32xV)__builtin_ia32_cvttps2dq512_mask(x, (i32xV){0}, -1, 4);
#elif defined V_AVX2 && NV == 8
  return (i32xV)__builtin_ia32_cvttps2dq256(x);
#elif defined V_SSE2 && NV == 4
  return (i32xV)__builtin_ia32_cvttps2dq(x);
#else
  i32xV r;
  for (int i = 0; i < NV; i++) r[i] = x[i] >= -0x1p31f && x[i] < 0x1p31f ? (i32)x[i] : -0x7fffffff - 1;
  return r;
#endif
}

//@ v_cvt_f64_i32xV : f64xV i32xV
V_FN i32xV v_cvt_f64_i32xV(f64xV x) {
#if defined V_AVX512 && NV == 8
  return (i32xV)__builtin_ia32_cvttpd2dq512_mask(x, (i32xV){0}, -1, 4);
#elif defined V_AVX2 && NV == 4
  return (i32xV)__builtin_ia32_cvttpd2dq256(x);
#else
  i32xV r;
  for (int i = 0; i < NV; i++) r[i] = x[i] > -0x1p31 - 1 && x[i] < 0x1p31 ? (i32)x[i] : -0x7fffffff - 1;
  return r;
#endif
}

//@ v_cvt_f32_i64xV : f32xV i64xV
V_FN i64xV v_cvt_f32_i64xV(f32xV x) {
#if defined V_AVX512 && NV == 8
  return (i64xV)__builtin_ia32_cvttps2qq512_mask(x, (i64xV){0}, -1, 4);
#else
  i64xV r;
  for (int i = 0; i < NV; i++)
    r[i] = x[i] >= -0x1p63f && x[i] < 0x1p63f ? (i64)x[i] : -0x7fffffffffffffff - 1;
  return r;
#endif
}

//@ v_cvt_f64_i64xV : f64xV i64xV
V_FN i64xV v_cvt_f64_i64xV(f64xV x) {
#if defined V_AVX512 && NV == 8
  return (i64xV)__builtin_ia32_cvttpd2qq512_mask(x, (i64xV){0}, -1, 4);
#else
  i64xV r;
  for (int i = 0; i < NV; i++)
    r[i] = x[i] >= -0x1p63 && x[i] < 0x1p63 ? (i64)x[i] : -0x7fffffffffffffff - 1;
  return r;
#endif
}

//@ v_cvt_@S_@TxV S=f32,f64 T=i8,i16,u8,u16 : @SxV i32xV @TxV v_cvt_@S_i32xV
V_FN @TxV v_cvt_@S_@TxV(@SxV x) { return __builtin_convertvector(v_cvt_@S_i32xV(x), @TxV); }

/* ---- half types --------------------------------------------------------------------------------- */
/* u16 storage <-> f32, rounding to nearest even; NaN stays NaN, its payload unspecified.  The integer
   forms of float16 follow F. Giesen, "float->half variants" (public domain). */

//@ v_f16_to_f32xV : u16xV u32xV i32xV f32xV
V_FN f32xV v_f16_to_f32xV(u16xV h) {
#if defined V_AVX512 && NV == 16
  typedef short S16 __attribute__((vector_size(32)));
  return (f32xV)__builtin_ia32_vcvtph2ps512_mask((S16)h, (f32xV){0}, -1, 4);
#elif defined V_F16C && NV == 8
  typedef short S8 __attribute__((vector_size(16)));
  return (f32xV)__builtin_ia32_vcvtph2ps256((S8)h);
#else
  u32xV x = __builtin_convertvector(h, u32xV), a = (x & 0x7fff) << 13;
  u32xV r = (u32xV)((f32xV)a * 0x1p112f);            /* rebias the exponent; right for subnormals */
  u32xV special = (u32xV)(a >= 0x7c00u << 13);       /* inf and NaN get the greatest exponent */
  return (f32xV)(r | (special & 0x7f800000u) | ((x & 0x8000) << 16));
#endif
}

//@ v_f32_to_f16xV : u16xV u32xV i32xV f32xV
V_FN u16xV v_f32_to_f16xV(f32xV x) {
#if defined V_AVX512 && NV == 16
  typedef short S16 __attribute__((vector_size(32)));
  return (u16xV)__builtin_ia32_vcvtps2ph512_mask(x, 0, (S16){0}, -1);
#elif defined V_F16C && NV == 8
  return (u16xV)__builtin_ia32_vcvtps2ph256(x, 0);
#else
  u32xV b = (u32xV)x, sign = b & 0x80000000u, a = b ^ sign;
  u32xV normal = (a + 0xc8000fffu + ((a >> 13) & 1)) >> 13;              /* exponent -112, round, cut */
  u32xV small = (u32xV)((f32xV)a + 0.5f) - 0x3f000000u;                  /* the addition rounds to 2^-24 */
  u32xV special = V_SEL(u32xV, u32xV, (u32xV)(a > 0x7f800000u), V_K(u32xV, 0x7e00), V_K(u32xV, 0x7c00));
  u32xV r = V_SEL(u32xV, u32xV, (u32xV)(a < 0x38800000u), small, normal);
  r = V_SEL(u32xV, u32xV, (u32xV)(a >= 0x47800000u), special, r);        /* from 2^16 on, inf, NaN */
  return __builtin_convertvector(r | (sign >> 16), u16xV);
#endif
}

//@ v_bf16_to_f32xV : u16xV u32xV f32xV
V_FN f32xV v_bf16_to_f32xV(u16xV h) { return (f32xV)(__builtin_convertvector(h, u32xV) << 16); }

//@ v_rndb_bf16_u32xV : u32xV i32xV f32xV
/* the bits of x rounded to bfloat16, as those of an f32 */
V_FN u32xV v_rndb_bf16_u32xV(f32xV x) {
  u32xV b = (u32xV)x, r = (b + 0x7fff + ((b >> 16) & 1)) & 0xffff0000u;
  return V_SEL(u32xV, i32xV, x != x, V_K(u32xV, 0x7fc00000u), r);
}

//@ v_f32_to_bf16xV : u16xV v_rndb_bf16_u32xV
V_FN u16xV v_f32_to_bf16xV(f32xV x) { return __builtin_convertvector(v_rndb_bf16_u32xV(x) >> 16, u16xV); }

//@ v_rnd_bf16_f32xV : v_rndb_bf16_u32xV
V_FN f32xV v_rnd_bf16_f32xV(f32xV x) { return (f32xV)v_rndb_bf16_u32xV(x); }

//@ v_rnd_f16_f32xV : v_f32_to_f16xV v_f16_to_f32xV
V_FN f32xV v_rnd_f16_f32xV(f32xV x) { return v_f16_to_f32xV(v_f32_to_f16xV(x)); }

/* ---- fma, rounding, square root ----------------------------------------------------------------- */

//@ v_fma_f32xV : f32xV
/* a * b + c rounded once; libm where the target has no fma instruction.  Macros: less work for the compiler */
#if defined V_AVX512 && NV == 16
#define v_fma_f32xV(a, b, c) ((f32xV)__builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4))
#elif defined V_FMA && NV == 8
#define v_fma_f32xV(a, b, c) ((f32xV)__builtin_ia32_vfmaddps256(a, b, c))
#elif defined V_FMA && NV == 4
#define v_fma_f32xV(a, b, c) ((f32xV)__builtin_ia32_vfmaddps(a, b, c))
#else
V_FN f32xV v_fma_f32xV(f32xV a, f32xV b, f32xV c) {
  f32xV r;
  for (int i = 0; i < NV; i++) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return r;
}
#endif

//@ v_fma_f64xV : f64xV
#if defined V_AVX512 && NV == 8
#define v_fma_f64xV(a, b, c) ((f64xV)__builtin_ia32_vfmaddpd512_mask(a, b, c, -1, 4))
#elif defined V_FMA && NV == 4
#define v_fma_f64xV(a, b, c) ((f64xV)__builtin_ia32_vfmaddpd256(a, b, c))
#elif defined V_FMA && NV == 2
#define v_fma_f64xV(a, b, c) ((f64xV)__builtin_ia32_vfmaddpd(a, b, c))
#else
V_FN f64xV v_fma_f64xV(f64xV a, f64xV b, f64xV c) {
  f64xV r;
  for (int i = 0; i < NV; i++) r[i] = __builtin_fma(a[i], b[i], c[i]);
  return r;
}
#endif

//@ v_rounding_f32xV : f32xV
/* MODE: 0 nearest even, 1 down, 2 up, 3 to zero; 8 is "no inexact exception".  libm before SSE4.1 */
#if defined V_AVX512 && NV == 16
#define V_ROUNDING_f32xV(x, MODE, FN) return (f32xV)__builtin_ia32_rndscaleps_mask(x, 8 | MODE, x, -1, 4)
#elif defined V_AVX2 && NV == 8
#define V_ROUNDING_f32xV(x, MODE, FN) return (f32xV)__builtin_ia32_roundps256(x, 8 | MODE)
#elif defined V_SSE4 && NV == 4
#define V_ROUNDING_f32xV(x, MODE, FN) return (f32xV)__builtin_ia32_roundps(x, 8 | MODE)
#else
#define V_ROUNDING_f32xV(x, MODE, FN) for (int i = 0; i < NV; i++) x[i] = __builtin_##FN##f(x[i]); return x
#endif

//@ v_rounding_f64xV : f64xV
#if defined V_AVX512 && NV == 8
#define V_ROUNDING_f64xV(x, MODE, FN) return (f64xV)__builtin_ia32_rndscalepd_mask(x, 8 | MODE, x, -1, 4)
#elif defined V_AVX2 && NV == 4
#define V_ROUNDING_f64xV(x, MODE, FN) return (f64xV)__builtin_ia32_roundpd256(x, 8 | MODE)
#elif defined V_SSE4 && NV == 2
#define V_ROUNDING_f64xV(x, MODE, FN) return (f64xV)__builtin_ia32_roundpd(x, 8 | MODE)
#else
#define V_ROUNDING_f64xV(x, MODE, FN) for (int i = 0; i < NV; i++) x[i] = __builtin_##FN(x[i]); return x
#endif

//@ v_round_@TxV T=f32,f64 : v_rounding_@TxV
V_FN @TxV v_round_@TxV(@TxV x) { V_ROUNDING_@TxV(x, 0, rint); }  /* half to even */

//@ v_floor_@TxV T=f32,f64 : v_rounding_@TxV
V_FN @TxV v_floor_@TxV(@TxV x) { V_ROUNDING_@TxV(x, 1, floor); }

//@ v_ceil_@TxV T=f32,f64 : v_rounding_@TxV
V_FN @TxV v_ceil_@TxV(@TxV x) { V_ROUNDING_@TxV(x, 2, ceil); }

//@ v_trunc_@TxV T=f32,f64 : v_rounding_@TxV
V_FN @TxV v_trunc_@TxV(@TxV x) { V_ROUNDING_@TxV(x, 3, trunc); }

//@ v_sqrt_f32xV : f32xV
V_FN f32xV v_sqrt_f32xV(f32xV x) {
#if defined V_AVX512 && NV == 16
  return (f32xV)__builtin_ia32_sqrtps512_mask(x, x, -1, 4);
#elif defined V_AVX2 && NV == 8
  return (f32xV)__builtin_ia32_sqrtps256(x);
#elif defined V_SSE2 && NV == 4
  return (f32xV)__builtin_ia32_sqrtps(x);
#else
  for (int i = 0; i < NV; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

//@ v_sqrt_f64xV : f64xV
V_FN f64xV v_sqrt_f64xV(f64xV x) {
#if defined V_AVX512 && NV == 8
  return (f64xV)__builtin_ia32_sqrtpd512_mask(x, x, -1, 4);
#elif defined V_AVX2 && NV == 4
  return (f64xV)__builtin_ia32_sqrtpd256(x);
#elif defined V_SSE2 && NV == 2
  return (f64xV)__builtin_ia32_sqrtpd(x);
#else
  for (int i = 0; i < NV; i++) x[i] = __builtin_sqrt(x[i]);
  return x;
#endif
}

//@ v_rsqrt_f64xV : v_sqrt_f64xV
V_FN f64xV v_rsqrt_f64xV(f64xV x) { return 1 / v_sqrt_f64xV(x); }

//@ v_rsqrt_f32xV : v_sqrt_f32xV v_fma_f32xV i32xV
/* y = 1 / s with s = sqrt(x) is wrong by up to 1.5 ulp; with the exact residuals a of s (a = x - s^2) and b
   of y (b = 1 - s y) the first-order correction is y (b - a y^2 / 2), not taken where it is not a number.
   Subnormals are scaled: a would not be exact. */
V_FN f32xV v_rsqrt_f32xV(f32xV x) {
  i32xV tiny = x < 0x1p-100f;
  x = V_SEL(f32xV, i32xV, tiny, x * 0x1p48f, x);
  f32xV s = v_sqrt_f32xV(x), y = 1 / s, a = v_fma_f32xV(-s, s, x), b = v_fma_f32xV(-s, y, V_K(f32xV, 1));
  f32xV z = v_fma_f32xV(v_fma_f32xV(a * y * -0.5f, y, b), y, y);
  z = V_SEL(f32xV, i32xV, z == z, z, y);
  return V_SEL(f32xV, i32xV, tiny, z * 0x1p24f, z);
}

//@ v_lanes2_@T T=f32,f64 :
static __attribute__((noinline, noclone, unused)) void v_lanes2_@T(f64 (*f)(f64, f64), @T *x, const @T *y, int n) {
  for (int i = 0; i < n; i++) x[i] = (@T)f((f64)x[i], (f64)y[i]);
}

/* ---- float32: exponentials ----------------------------------------------------------------------- */

//@ v_poly_f32xV : v_fma_f32xV
/* one step of Horner's rule, p * x + the constant c */
#define V_P_f32xV(p, x, c) v_fma_f32xV(p, x, V_K(f32xV, c))

//@ v_poly9_f32xV : v_poly_f32xV
/* a + b x + c x^2 + ... + i x^8, by G. Estrin's scheme (1960): four operations deep, not eight */
V_FN f32xV v_poly9_f32xV(f32xV x, f32 a, f32 b, f32 c, f32 d, f32 e, f32 f, f32 g, f32 h, f32 i) {
  f32xV y = x * x, p = V_P_f32xV(V_K(f32xV, h), x, g);
  f32xV low = v_fma_f32xV(V_P_f32xV(V_K(f32xV, d), x, c), y, V_P_f32xV(V_K(f32xV, b), x, a));
  f32xV high = v_fma_f32xV(v_fma_f32xV(y, V_K(f32xV, i), p), y, V_P_f32xV(V_K(f32xV, f), x, e));
  return v_fma_f32xV(high, y * y, low);
}

//@ v_expr_f32xV : v_poly_f32xV
/* The common part of the exponentials.  Cody and Waite, "Software Manual for the Elementary Functions"
   (1980), ch. 6: n = nearest integer to x / ln 2, r = x - n ln 2 with ln 2 = L + M in two parts.  Returns
   h = x - n L, which is exact, and *c, for which e^r - 1 = h + c with c small: r^2 Q(r) - n M (Q minimax,
   relative error of e^r 3.2e-9).  *t is n + 1.5 * 2^23, of which the low bits are n as an integer: adding
   that constant rounds to nearest, for |n| < 2^22. */
V_FN f32xV v_expr_f32xV(f32xV x, f32xV *t, f32xV *c) {
  *t = v_fma_f32xV(x, V_K(f32xV, 0x1.715476p0f), V_K(f32xV, V_EXPMAGIC));
  f32xV n = *t - V_EXPMAGIC;
  f32xV h = v_fma_f32xV(n, V_K(f32xV, -0x1.62e43p-1f), x), m = n * 0x1.05c61p-29f, r = h + m;
  f32xV p = V_P_f32xV(V_K(f32xV, 0.00138207339f), r, 0.00836867746f);
  p = V_P_f32xV(p, r, 0.0416682661f);
  p = V_P_f32xV(p, r, 0.166665211f);
  p = V_P_f32xV(p, r, 0.49999994f);
  *c = v_fma_f32xV(p, r * r, m);
  return h;
}

//@ v_pow2_f32xV : f32xV i32xV
/* 2^n of the n in the low bits of t (see v_expr), for -126 <= n <= 127 */
V_FN f32xV v_pow2_f32xV(f32xV t) { return (f32xV)(((i32xV)t << 23) + 0x3f800000); }

//@ v_scale_f32xV : f32xV i32xV
/* p * 2^n rounded once, subnormal and infinite results included, where t is n + 254 + 1.5 * 2^23 (see v_expr); 1/2 < p
   < 2, |n| <= 200.  The low bits of the halves of n + 254 are the exponents of two factors, of which the first
   leaves p exact. */
V_FN f32xV v_scale_f32xV(f32xV p, f32xV t) {
#if defined V_AVX512 && NV == 16
  return (f32xV)__builtin_ia32_scalefps512_mask(p, t - (V_EXPMAGIC + 254), p, -1, 4);
#else
  i32xV h = (i32xV)t >> 1;
  return p * (f32xV)(h << 23) * (f32xV)(((i32xV)t - h) << 23);
#endif
}

//@ v_most_f32xV : f32xV i32xV
/* the smaller of x and c; NaN passes */
V_FN f32xV v_most_f32xV(f32xV x, f32 c) {
  f32xV k = V_K(f32xV, c);
#if defined V_AVX512 && NV == 16
  return (f32xV)__builtin_ia32_minps512_mask(k, x, x, -1, 4);
#elif defined V_AVX2 && NV == 8
  return (f32xV)__builtin_ia32_minps256(k, x);
#elif defined V_SSE2 && NV == 4
  return (f32xV)__builtin_ia32_minps(k, x);
#else
  return V_SEL(f32xV, i32xV, k < x, k, x);
#endif
}

//@ v_least_f32xV : f32xV i32xV
/* the larger of x and c; NaN passes */
V_FN f32xV v_least_f32xV(f32xV x, f32 c) {
  f32xV k = V_K(f32xV, c);
#if defined V_AVX512 && NV == 16
  return (f32xV)__builtin_ia32_maxps512_mask(k, x, x, -1, 4);
#elif defined V_AVX2 && NV == 8
  return (f32xV)__builtin_ia32_maxps256(k, x);
#elif defined V_SSE2 && NV == 4
  return (f32xV)__builtin_ia32_maxps(k, x);
#else
  return V_SEL(f32xV, i32xV, k > x, k, x);
#endif
}

//@ v_expr1_f32xV : v_poly_f32xV
/* e^r - 1 with r and Q as in v_expr, but in fewer steps: r + r^2 Q.  The low bits of *t are n + `magic`'s. */
V_FN f32xV v_expr1_f32xV(f32xV x, f32 magic, f32xV *t) {
  *t = v_fma_f32xV(x, V_K(f32xV, 0x1.715476p0f), V_K(f32xV, magic));
  f32xV n = *t - magic;
  f32xV r = v_fma_f32xV(n, V_K(f32xV, 0x1.05c61p-29f), v_fma_f32xV(n, V_K(f32xV, -0x1.62e43p-1f), x)), z = r * r;
  f32xV b = V_P_f32xV(V_K(f32xV, 0.00836867746f), r, 0.0416682661f), c = V_P_f32xV(V_K(f32xV, 0.166665211f), r, 0.49999994f);
  f32xV q = v_fma_f32xV(v_fma_f32xV(z, V_K(f32xV, 0.00138207339f), b), z, c);
  return v_fma_f32xV(q, z, r);
}

//@ v_expbelow_f32xV : v_expr1_f32xV v_least_f32xV v_scale_f32xV
/* e^x for x <= 89, and NaN; 0 below -104 */
V_FN f32xV v_expbelow_f32xV(f32xV x) {
  f32xV t, e = v_expr1_f32xV(v_least_f32xV(x, -104), V_EXPMAGIC + 254, &t);
  return v_scale_f32xV(e + 1, t);
}

//@ v_exp_f32xV : v_expbelow_f32xV v_most_f32xV
V_FN f32xV v_exp_f32xV(f32xV x) { return v_expbelow_f32xV(v_most_f32xV(x, 89)); }

//@ v_explow_f32xV : v_expr1_f32xV v_expbelow_f32xV
/* The same bits for x <= 44, and NaN. 2^(n+64) is then a normal number, and one product is left to round: of a
   subnormal result, so it is rounded as v_scale does. */
V_FN f32xV v_explow_f32xV(f32xV x) {
#if defined V_AVX512 && NV == 16
  return v_expbelow_f32xV(x);
#else
  f32xV t, e = v_expr1_f32xV(v_least_f32xV(x, -104), V_EXPMAGIC + 127 + 64, &t), s = (f32xV)((i32xV)t << 23);
  return v_fma_f32xV(e, s, s) * 0x1p-64f;
#endif
}

//@ v_exp2_f32xV : v_poly_f32xV v_least_f32xV v_most_f32xV v_scale_f32xV
V_FN f32xV v_exp2_f32xV(f32xV x) {
  x = v_least_f32xV(v_most_f32xV(x, 129), -151);
  f32xV t = x + (V_EXPMAGIC + 254), r = x - (t - (V_EXPMAGIC + 254));  /* exact */
  f32xV p = V_P_f32xV(V_K(f32xV, 0.00015327803f), r, 0.00133909972f);  /* (2^r - 1) / r (minimax, 3.0e-9) */
  p = V_P_f32xV(p, r, 0.00961850304f);
  p = V_P_f32xV(p, r, 0.0555035956f);
  p = V_P_f32xV(p, r, 0.240226477f);
  p = V_P_f32xV(p, r, 0.693147182f);
  return v_scale_f32xV(v_fma_f32xV(p, r, V_K(f32xV, 1)), t);
}

//@ v_expm1_f32xV : v_expr_f32xV v_pow2_f32xV v_abs_f32xV v_least_f32xV v_most_f32xV
/* e^x - 1 = (2^n - 1) + 2^n h + 2^n c of v_expr, the first two summed by Fast2Sum (T. Dekker, 1971): the
   error of the sum joins c; all of it halved as 2^128 overflows */
V_FN f32xV v_expm1_f32xV(f32xV x0) {
  f32xV t, c, x = v_least_f32xV(v_most_f32xV(x0, 89), -18);  /* inf; NaN passes; -1 */
  f32xV h = v_expr_f32xV(x, &t, &c), s = v_pow2_f32xV(t - 1), a = s - 0.5f, b = s * h, y = a + b;
  y += v_fma_f32xV(s, c, b - (y - a));
  return V_SEL(f32xV, i32xV, v_abs_f32xV(x0) < 0x1p-25f, x0, y + y);
}

//@ v_sigmoid_f32xV : v_explow_f32xV
/* z = e^-|x|; 1 / (1 + z) or z / (1 + z): no overflow, and small results keep their accuracy.  The rounded
   reciprocal w of the rounded 1 + z is corrected by its residual k = (1 + z) w - 1, of which w - 1 is exact. */
V_FN f32xV v_sigmoid_f32xV(f32xV x) {
  f32xV z = v_explow_f32xV((f32xV)((i32xV)x | (i32)0x80000000)), w = 1 / (z + 1), k = v_fma_f32xV(z, w, w - 1);
  f32xV q = V_SEL(f32xV, i32xV, x < 0, z, V_K(f32xV, 1)) * w;
  return v_fma_f32xV(-k, q, q);
}

//@ v_tanh_f32xV : v_poly_f32xV v_most_f32xV i32xV v_abs_f32xV
/* 1 - 1 / D with D = (e^2|x| + 1) / 2 = e + (s + 1/2), s = 2^(n-1), e = s (e^2r - 1), e^2r - 1 = 2 r + r^2 Q (minimax,
   1.4e-8).  r = |x| - n c with c = ln 2 / 2 rounded is exact: all are multiples of 2^-26, or n is 0 or 1; that c is
   wrong by 9.5e-10 does not show as n grows, as tanh is flat there.  Of the rounded reciprocal w the residual
   k = D w - 1 is taken of e and s + 1/2, which are exact where D is near 1: to it small x owe their accuracy.  1 from
   9.02 on.  The low bits of t are n + 126. */
V_FN f32xV v_tanh_f32xV(f32xV x) {
  f32xV a = v_most_f32xV(v_abs_f32xV(x), 10);
  f32xV t = v_fma_f32xV(a, V_K(f32xV, 0x1.715476p1f), V_K(f32xV, V_EXPMAGIC + 126));
  f32xV r = v_fma_f32xV(t - (V_EXPMAGIC + 126), V_K(f32xV, -0x1.62e430p-2f), a), s = (f32xV)((i32xV)t << 23);
  f32xV z = r * r, b = V_P_f32xV(V_K(f32xV, 1.33332372f), r, 1.99999988f);
  f32xV c = v_fma_f32xV(z, V_K(f32xV, 0.0887723416f), V_P_f32xV(V_K(f32xV, 0.267720491f), r, 0.666678965f));
  f32xV e = s * v_fma_f32xV(v_fma_f32xV(c, z, b), z, r + r), v = s + 0.5f, w = 1 / (e + v);
  f32xV k = v_fma_f32xV(e, w, v_fma_f32xV(v, w, V_K(f32xV, -1)));
  return (f32xV)((i32xV)v_fma_f32xV(k, w, 1 - w) | ((i32xV)x & (i32)0x80000000));
}

//@ v_erf_f32xV : v_poly9_f32xV v_most_f32xV i32xV v_abs_f32xV
/* 1 - e^-(a + a G(a)) with a = min(|x|, 4), G minimax with the weight of erf (4.3e-9): N. Juffa's scheme for the
   larger x (forums.developer.nvidia.com, "A faster and more accurate implementation of erff()"), here for all: with
   e^-(a + a G) = s (1 + h), s = 2^n, it is (1 - s) - s h, and small x keep their accuracy.  h = r + r^2 Q as in v_expr,
   with ln 2 in one part: |n| <= 23, and errors count less as erf becomes flat.  1 - erf(4) is 1.5e-8, so 4 gives
   1.  The low bits of t are n + 127. */
V_FN f32xV v_erf_f32xV(f32xV x) {
  f32xV a = v_most_f32xV(v_abs_f32xV(x), 4);
  f32xV g = v_poly9_f32xV(a, 0.128379166f, 0.636619568f, 0.102776304f, -0.0191478208f, -0.000169514969f,
                          0.00167569774f, -0.000637382851f, 0.000118869553f, -9.38927315e-06f);
  f32xV f = v_fma_f32xV(-g, a, -a), t = v_fma_f32xV(f, V_K(f32xV, 0x1.715476p0f), V_K(f32xV, V_EXPMAGIC + 127));
  f32xV r = v_fma_f32xV(t - (V_EXPMAGIC + 127), V_K(f32xV, -0x1.62e430p-1f), f), s = (f32xV)((i32xV)t << 23), z = r * r;
  f32xV b = V_P_f32xV(V_K(f32xV, 0.00836867746f), r, 0.0416682661f), c = V_P_f32xV(V_K(f32xV, 0.166665211f), r, 0.49999994f);
  f32xV h = v_fma_f32xV(v_fma_f32xV(v_fma_f32xV(z, V_K(f32xV, 0.00138207339f), b), z, c), z, r);
  return (f32xV)((i32xV)v_fma_f32xV(-s, h, 1 - s) | ((i32xV)x & (i32)0x80000000));
}

/* ---- float32: logarithms -------------------------------------------------------------------------- */

//@ v_logp_f32xV : v_poly9_f32xV
/* (log(1+r) - r) / r^2 for |r| <= 1/3 (minimax, relative error of log(1+r) 4.7e-9) */
V_FN f32xV v_logp_f32xV(f32xV r) {
  return v_poly9_f32xV(r, -0.5f, 0.333332151f, -0.249998048f, 0.200104445f, -0.16680181f, 0.140053406f, -0.121883437f,
                       0.139867067f, -0.128744885f);
}

//@ v_logr_f32xV : f32xV i32xV v_fma_f32xV
/* x = 2^*e (1 + r) with 2/3 <= 1 + r < 4/3, exact; x > 0 finite, subnormals included */
V_FN f32xV v_logr_f32xV(f32xV x, f32xV *e) {
  f32xV c = (f32xV)((i32xV)V_K(f32xV, -23) & ((i32xV)x < 0x800000));  /* subnormal */
  x = V_SEL(f32xV, i32xV, x < 0x1p-126f, x * 0x1p23f, x);
  i32xV k = ((i32xV)x - 0x3f2aaaab) & (i32)0xff800000;                /* 0x3f2aaaab: 2/3 */
  *e = v_fma_f32xV(__builtin_convertvector(k, f32xV), V_K(f32xV, 0x1p-23f), c);
  return (f32xV)((i32xV)x - k) - 1;
}

//@ v_logs_f32xV : f32xV i32xV
/* the value y of a logarithm at x, corrected for x = inf, NaN, negative and 0 */
V_FN f32xV v_logs_f32xV(f32xV x, f32xV y) {
  y = V_SEL(f32xV, i32xV, x < V_INF, y, x);
  y = V_SEL(f32xV, i32xV, x < 0, V_K(f32xV, V_NAN), y);
  return V_SEL(f32xV, i32xV, x == 0, V_K(f32xV, -V_INF), y);
}

//@ v_logsum_f32xV : f32xV
/* a + h + l for |a| >= |h| or a = 0, and l small, with one rounding of the size of the result (Fast2Sum) */
V_FN f32xV v_logsum_f32xV(f32xV a, f32xV h, f32xV l) { f32xV t = a + h; return t + ((h - (t - a)) + l); }

//@ v_log_f32xV : v_logp_f32xV v_logr_f32xV v_logs_f32xV v_logsum_f32xV
/* e ln 2 + r + r^2 P; ln 2 in two parts, the first of 15 bits so that its product is exact */
V_FN f32xV v_log_f32xV(f32xV x) {
  f32xV e, r = v_logr_f32xV(x, &e), q = v_logp_f32xV(r) * (r * r);
  q = v_fma_f32xV(e, V_K(f32xV, 0x1.7f7d1cp-20f), q);
  return v_logs_f32xV(x, v_logsum_f32xV(e * 0x1.62e4p-1f, r, q));
}

//@ v_log2_f32xV : v_logp_f32xV v_logr_f32xV v_logs_f32xV v_logsum_f32xV
/* e + log2(e) (r + r^2 P), log2(e) in two parts and its product with r too */
V_FN f32xV v_log2_f32xV(f32xV x) {
  f32xV e, r = v_logr_f32xV(x, &e), q = v_logp_f32xV(r) * (r * r), k = V_K(f32xV, 0x1.715476p0f), h = r * k;
  f32xV l = v_fma_f32xV(q, k, v_fma_f32xV(r, V_K(f32xV, 0x1.4ae0cp-26f), v_fma_f32xV(r, k, -h)));
  return v_logs_f32xV(x, v_logsum_f32xV(e, h, l));
}

//@ v_log10_f32xV : v_logp_f32xV v_logr_f32xV v_logs_f32xV v_logsum_f32xV
/* e log10(2) + log10(e) (r + r^2 P), the constants in two parts as in v_log and v_log2 */
V_FN f32xV v_log10_f32xV(f32xV x) {
  f32xV e, r = v_logr_f32xV(x, &e), q = v_logp_f32xV(r) * (r * r), k = V_K(f32xV, 0x1.bcb7b2p-2f), h = r * k;
  f32xV l = v_fma_f32xV(q, k, v_fma_f32xV(r, V_K(f32xV, -0x1.5b235ep-27f), v_fma_f32xV(r, k, -h)));
  l = v_fma_f32xV(e, V_K(f32xV, 0x1.3509f8p-18f), l);
  return v_logs_f32xV(x, v_logsum_f32xV(e * 0x1.344p-2f, h, l));
}

//@ v_log1p_f32xV : v_logp_f32xV v_logs_f32xV v_logsum_f32xV i32xV
/* As N. Juffa's log1pf (stackoverflow.com/a/37866543): 1 + x = 2^e (1 + r) with the e of the rounded sum, r =
   2^-e x + (2^-e - 1) = y + c.  y is exact: where e is not 0, |x| >= 1/3 is no subnormal; l is the error of r. */
V_FN f32xV v_log1p_f32xV(f32xV x) {
  f32xV u = x + 1;
  i32xV k = ((i32xV)u - 0x3f2aaaab) & (i32)0xff800000;                /* 2/3 <= 1 + r < 4/3 */
  f32xV s = (f32xV)(0x40800000 - k), y = (f32xV)((i32xV)x - k);       /* 4 * 2^-e is normal up to e = 128 */
  f32xV c = v_fma_f32xV(s, V_K(f32xV, 0.25f), V_K(f32xV, -1)), r = y + c, l = y - (r - c);
  f32xV e = __builtin_convertvector(k, f32xV) * 0x1p-23f, q = v_fma_f32xV(v_logp_f32xV(r), r * r, l);
  q = v_fma_f32xV(e, V_K(f32xV, 0x1.7f7d1cp-20f), q);
  return V_SEL(f32xV, i32xV, x == 0, x, v_logs_f32xV(u, v_logsum_f32xV(e * 0x1.62e4p-1f, r, q)));
}

/* ---- float32: sine and cosine --------------------------------------------------------------------- */

//@ v_quarters :
/* x * 2/pi modulo 4 for |x| > 2^-10: the nearest whole number of quarter turns, and what is left as *h + *l, at
   most 1/2, to 2^-66 of itself.  M. Payne and R. Hanek, "Radian reduction for trigonometric functions" (1983): x is
   m 2^e; bits of 2/pi whose product with it is a multiple of 4 are left out; the next 192 are more than any float64
   needs (J.-M. Muller, "Elementary Functions", 11.4: none comes nearer than 2^-62 to a quarter turn).  The table has 2/pi after 64 zeros. */
V_COLD i64 v_quarters(f64 x, f64 *h, f64 *l) {
  static const u32 table[] = {
    0x00000000, 0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
    0xdebbc561, 0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
    0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f, 0xef2f118b,
    0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b, 0x3d0739f7, 0x8a5292ea,
    0x6bfb5fb1, 0x1f8d5d08, 0x56033046};
  typedef unsigned __int128 u128;
  const union { f64 f; u64 u; } bits = {x};
  const i64 e = (i64)(bits.u >> 52 & 2047) - 1075;
  if (e == 972) { *h = *l = x - x; return 0; }  /* infinity, NaN */
  const u64 m = (bits.u & 0xfffffffffffff) | 0x10000000000000;
  const u32 *const from = table + ((e + 62) >> 5);
  u64 part[3];
  for (int i = 0; i < 3; i++) {
    const u64 high = (u64)from[2 * i] << 32 | from[2 * i + 1];
    part[i] = high << ((e + 62) & 31) | ((u64)from[2 * i + 2] << ((e + 62) & 31)) >> 32;
  }
  const u128 low = (u128)m * part[2], middle = (u128)m * part[1] + (u64)(low >> 64);
  const u128 product = (u128)(m * part[0] + (u64)(middle >> 64)) << 64 | (u64)middle;
  u128 rest = product << 2 | (u64)low >> 62;
  i64 turns = (i64)(product >> 126);
  int down = bits.u >> 63;
  if (rest >> 127) { rest = -rest; turns++; down = !down; }
  u64 top = (u64)(rest >> 64);
  const int zeros = top ? __builtin_clzll(top) : 64;  /* never more: see above */
  rest <<= zeros;
  top = (u64)(rest >> 64);
  const union { u64 u; f64 f; } unit = {(u64)(1023 - 53 - zeros + (down ? 2048 : 0)) << 52};
  *h = (f64)(i64)(top >> 11) * unit.f;
  *l = (f64)(i64)((top & 2047) << 42 | (u64)rest >> 22) * unit.f * 0x1p-53;
  return bits.u >> 63 ? -turns : turns;
}

//@ v_trigbig_f32xV : f32xV i32xV v_quarters
/* the parts of v_sincos where |x| > V_TRIGMAX */
#define V_TRIGMAX 0x1p18f
V_COLD void v_trigbig_f32xV(f32xV x, f32xV *r, f32xV *l, i32xV *k) {
  for (int i = 0; i < NV; i++) if (__builtin_fabsf(x[i]) > V_TRIGMAX) {
    f64 h, low;
    (*k)[i] = (i32)v_quarters((f64)x[i], &h, &low);
    h = (h + low) * 0x1.921fb54442d18p+0;
    (*r)[i] = (f32)h;
    (*l)[i] = (f32)(h - (f64)(f32)h);
  }
}

//@ v_sincos_f32xV : v_poly_f32xV i32xV v_abs_f32xV v_any_i32xV v_trigbig_f32xV
/* Cody and Waite's reduction by n pi/2, pi/2 in three parts: x - n P1 is exact, r and l are the high and the
   low part of the rest (2Sum: D. Knuth, TAOCP 2, 4.2.2), |r| <= 1.02 pi/4; then sin(r) + l or cos(r) - r l, as
   the quadrant wants (minimax, 4.7e-9 and 1.6e-10).  shift 0: sine, 1: cosine.  For |x| <= V_TRIGMAX: there the
   rounded 2/pi still gives such an n; lanes beyond it are reduced one by one. */
V_FN f32xV v_sincos_f32xV(f32xV x, i32 shift) {
  f32xV t = v_fma_f32xV(x, V_K(f32xV, 0x1.45f306p-1f), V_K(f32xV, 0x1.8p23f)), n = t - 0x1.8p23f;
  f32xV w = v_fma_f32xV(n, V_K(f32xV, -0x1.921fb6p0f), x), d = n * 0x1.777a5cp-25f, r = w + d, b = r - w;
  f32xV l = v_fma_f32xV(n, V_K(f32xV, 0x1.777a5cp-25f), -d) + ((w - (r - b)) + (d - b));  /* 2Sum */
  l = v_fma_f32xV(n, V_K(f32xV, 0x1.ee59dap-50f), l);
  i32xV k = (i32xV)t;
  if (__builtin_expect(v_any_i32xV(v_abs_f32xV(x) > V_TRIGMAX), 0)) {
    f32xV a = r, c = l;  /* copies: r, l and k themselves shall stay in registers */
    i32xV q = k;
    v_trigbig_f32xV(x, &a, &c, &q);
    r = a, l = c, k = q;
  }
  k += shift;
  i32xV odd = (k & 1) != 0;
  f32xV z = r * r;
  f32xV s = V_P_f32xV(V_K(f32xV, -0.000195051471f), z, 0.00833209325f);
  s = V_P_f32xV(s, z, -0.166666538f);
  s = v_fma_f32xV(s * z, r, l) + r;
  f32xV c = V_P_f32xV(V_K(f32xV, 2.44120856e-05f), z, -0.00138871302f);
  c = V_P_f32xV(c, z, 0.0416666418f);
  c = V_P_f32xV(c, z, -0.5f);
  c = v_fma_f32xV(c, z, -(r * l)) + 1;
  return (f32xV)(V_SEL(i32xV, i32xV, odd, c, s) ^ ((k & 2) << 30));
}

//@ v_sin_f32xV : v_sincos_f32xV
V_FN f32xV v_sin_f32xV(f32xV x) { return V_SEL(f32xV, i32xV, x == 0, x, v_sincos_f32xV(x, 0)); }

//@ v_cos_f32xV : v_sincos_f32xV
V_FN f32xV v_cos_f32xV(f32xV x) { return v_sincos_f32xV(x, 1); }

/* ---- remainders ------------------------------------------------------------------------------------- */

//@ v_fmod_@TxV T=f32,f64 : @TxV v_lanes2_@T
/* lane by lane with libm: exact; the loop over lanes is compiled once, since gcc takes 2 ms for it */
f64 fmod(f64, f64);
V_FN @TxV v_fmod_@TxV(@TxV x, @TxV y) { v_lanes2_@T(fmod, (@T *)&x, (const @T *)&y, NV); return x; }

//@ v_remainder_@TxV T=f32,f64 : v_fmod_@TxV @IxV
/* of b's sign, as torch.remainder: fmod, plus b if its sign is the other */
V_FN @TxV v_remainder_@TxV(@TxV a, @TxV b) {
  @TxV r = v_fmod_@TxV(a, b);
  @IxV m = (r != 0) & ((b < 0) ^ (r < 0));
  return V_SEL(@TxV, @IxV, m, r + b, r);
}

//@ v_floordiv_@TxV T=f32,f64 : v_fmod_@TxV v_floor_@TxV @IxV
/* c10/util/generic_math.h of PyTorch, div_floor_floating: (a - remainder) / b, made an integer; the sign of
   a / b on zero, a / b itself when b is 0 */
V_FN @TxV v_floordiv_@TxV(@TxV a, @TxV b) {
  @TxV r = v_fmod_@TxV(a, b), d = (a - r) / b, q = a / b;
  @IxV m = (r != 0) & ((b < 0) ^ (r < 0));
  d = V_SEL(@TxV, @IxV, m, d - 1, d);
  @TxV f = v_floor_@TxV(d);
  f = V_SEL(@TxV, @IxV, d - f > (@T)0.5, f + 1, f);
  @TxV zero = (@TxV)((@IxV)q & (@I)((@U)1 << (@B - 1)));
  f = V_SEL(@TxV, @IxV, d == 0, zero, f);
  return V_SEL(@TxV, @IxV, b == 0, q, f);
}
