/* What generated CUDA kernels are written with: types, memory accesses, element functions, random
   bits, and reductions across the threads of a warp or block. Only CUDA's own built-ins are used.

   Booleans are masks (0 or -1) of type i32. Half types are f32 in registers. Kernels are compiled
   without contraction (-fmad=false): a*b + c is rounded twice wherever it stands. */
#ifdef __CUDACC__
#pragma nv_diag_suppress 177, 550 /* values that only some of a kernel's functions need */
#endif
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef float f32;
typedef double f64;
#define LG_FN __device__ __forceinline__

/* run-time parameters; T is the type that positions are computed in */
template <class T, int N> struct Dims {
  i64 v[N];
  LG_FN T operator[](int k) const { return (T)v[k]; }
};

/* Arguments of up to N instances of a kernel, which one launch runs: `first` holds the number of each
   one's first block, and more than there are blocks where there is none. */
template <class A, int N> struct Instances {
  i32 first[N];
  A at[N];
  LG_FN int of(i32 block) const {
    int found = 0;
    if constexpr (N <= 32) {
#pragma unroll
      for (int i = 1; i < N; i++) found += block >= first[i];
    } else {
      for (int step = 128; step; step /= 2) /* N <= 256 */
        if (found + step < N && block >= first[found + step]) found += step;
    }
    return found;
  }
};

/* N neighbouring elements, moved by 16-byte instructions */
template <class T, int N> struct alignas(sizeof(T) * N > 16 ? 16 : sizeof(T) * N) Vec { T v[N]; };

/* Stores of 16 and of 8 bytes, given as words. In assembly, since the compiler takes a store apart whose
   elements were made in several branches. */
#ifdef __CUDACC__
LG_FN void v_put(uint4 *p, const u32 *w) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)), "r"(w[0]), "r"(w[1]),
               "r"(w[2]), "r"(w[3]) : "memory");
}
LG_FN void v_put(uint2 *p, const u32 *w) {
  asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(p)), "r"(w[0]), "r"(w[1]) : "memory");
}
#else
LG_FN void v_put(uint4 *p, const u32 *w) { *p = make_uint4(w[0], w[1], w[2], w[3]); }
LG_FN void v_put(uint2 *p, const u32 *w) { *p = make_uint2(w[0], w[1]); }
#endif
template <int BYTES> struct Word { typedef uint4 type; };
template <> struct Word<8> { typedef uint2 type; };

/* N elements from p, which lies at a multiple of their size; those from m on are not there */
template <int N, class T> LG_FN Vec<T, N> v_load(const T *p, i64 m) {
  Vec<T, N> r;
  if (m >= N) return *(const Vec<T, N> *)p;
  for (int k = 0; k < N; k++) r.v[k] = k < m ? p[k] : T(0);
  return r;
}
template <int N, class T> LG_FN void v_store(T *p, const Vec<T, N> &r, i64 m) {
  if (m < N) {
    for (int k = 0; k < N; k++) if (k < m) p[k] = r.v[k];
  } else if (sizeof r < 8 || sizeof(T) == 8) { /* as words, f64 would take more registers */
    *(Vec<T, N> *)p = r;
  } else {
    typedef typename Word<sizeof r>::type W;
    u32 words[sizeof r / 4 + 1];
    memcpy(words, &r, sizeof r);
#pragma unroll
    for (int k = 0; k < int(sizeof r / sizeof(W)); k++) v_put((W *)p + k, words + k * sizeof(W) / 4);
  }
}

/* n / extent by a multiplication, for 0 <= n < 2^31; c holds the multiplier and the shift */
LG_FN u32 v_quot(u32 n, i64 c) { return (__umulhi(n, (u32)c) + n) >> (u32)(c >> 32); }

/* ---- selection, minimum, maximum, absolute value, sign ---- */
#define LG_ALL(T) \
  LG_FN T v_sel_##T(i32 c, T a, T b) { return c ? a : b; }
#define LG_INT(T, U) \
  LG_ALL(T) \
  LG_FN T v_max_##T(T a, T b) { return a > b ? a : b; } \
  LG_FN T v_min_##T(T a, T b) { return a < b ? a : b; } \
  LG_FN T v_shl_##T(T a, T b) { return (U)b < 8 * sizeof(T) ? (T)((U)a << (U)b) : T(0); } \
  LG_FN T v_pow_##T(T a, T b) { /* by squaring, wrapping */ \
    u64 x = (u64)a, y = 1, e = (u64)b; \
    if (T(-1) < T(0) && (i64)e < 0) return (T)(x == 1 ? 1 : x == (u64)-1 ? (e & 1 ? x : 1) : 0); \
    for (; e; e >>= 1, x *= x) if (e & 1) y *= x; \
    return (T)y; \
  }
/* b == 0 gives 0 and a report; least / -1 wraps */
#define LG_SIGNED(T, U) \
  LG_INT(T, U) \
  LG_FN T v_abs_##T(T x) { return x < 0 ? (T)(U(0) - (U)x) : x; } \
  LG_FN T v_sign_##T(T x) { return (T)((x > 0) - (x < 0)); } \
  LG_FN T v_shr_##T(T a, T b) { return (T)(a >> ((U)b < 8 * sizeof(T) ? (int)b : (int)(8 * sizeof(T) - 1))); } \
  LG_FN T v_truncdiv_##T(T a, T b, i64 *err) { \
    if (b == 0) { err[0] = 1; return 0; } \
    return b == T(-1) ? (T)(U(0) - (U)a) : (T)(a / b); \
  } \
  LG_FN T v_fmod_##T(T a, T b, i64 *err) { \
    if (b == 0) { err[0] = 1; return 0; } \
    return b == T(-1) ? T(0) : (T)(a % b); \
  } \
  LG_FN T v_remainder_##T(T a, T b, i64 *err) { \
    T m = v_fmod_##T(a, b, err); \
    return (T)(m + (m != 0 && (m < 0) != (b < 0) ? b : T(0))); \
  } \
  LG_FN T v_floordiv_##T(T a, T b, i64 *err) { \
    T q = v_truncdiv_##T(a, b, err); \
    return (T)(q - (b != 0 && b != T(-1) && a % b != 0 && (a < 0) != (b < 0))); \
  }
LG_SIGNED(i8, u8) LG_SIGNED(i16, u16) LG_SIGNED(i32, u32) LG_SIGNED(i64, u64)
LG_INT(u8, u8)
LG_FN u8 v_abs_u8(u8 x) { return x; }
LG_FN u8 v_sign_u8(u8 x) { return x != 0; }
LG_FN u8 v_shr_u8(u8 a, u8 b) { return b < 8 ? (u8)(a >> b) : u8(0); }
LG_FN u8 v_truncdiv_u8(u8 a, u8 b, i64 *err) { if (b == 0) { err[0] = 1; return 0; } return (u8)(a / b); }
LG_FN u8 v_floordiv_u8(u8 a, u8 b, i64 *err) { return v_truncdiv_u8(a, b, err); }
LG_FN u8 v_fmod_u8(u8 a, u8 b, i64 *err) { if (b == 0) { err[0] = 1; return 0; } return (u8)(a % b); }
LG_FN u8 v_remainder_u8(u8 a, u8 b, i64 *err) { return v_fmod_u8(a, b, err); }

/* ---- floats: NaN if a or b is; b when they are equal ---- */
#define LG_FLOAT(T) \
  LG_ALL(T) \
  LG_FN T v_max_##T(T a, T b) { return a > b || a != a ? a : b; } \
  LG_FN T v_min_##T(T a, T b) { return a < b || a != a ? a : b; } \
  LG_FN T v_sign_##T(T x) { return T((x > 0) - (x < 0)); } \
  LG_FN T v_remainder_##T(T a, T b) { /* of b's sign */ \
    T r = v_fmod_##T(a, b); \
    return r != 0 && (b < 0) != (r < 0) ? r + b : r; \
  } \
  LG_FN T v_floordiv_##T(T a, T b) { \
    T r = v_fmod_##T(a, b), d = (a - r) / b, q = a / b; \
    if (r != 0 && (b < 0) != (r < 0)) d = d - 1; \
    T f = v_floor_##T(d); \
    if (d - f > T(0.5)) f = f + 1; \
    if (d == 0) f = v_copysign_##T(T(0), q); \
    return b == 0 ? q : f; \
  } \
  LG_FN T v_sigmoid_##T(T x) { \
    T z = v_exp_##T(-v_abs_##T(x)); \
    return (x < 0 ? z : T(1)) / (T(1) + z); \
  }
#define LG_MATH(name, single, twice) \
  LG_FN f32 v_##name##_f32(f32 x) { return single; } \
  LG_FN f64 v_##name##_f64(f64 x) { return twice; }
LG_MATH(exp, expf(x), exp(x))
LG_MATH(exp2, exp2f(x), exp2(x))
LG_MATH(expm1, expm1f(x), expm1(x))
LG_MATH(log, logf(x), log(x))
LG_MATH(log2, log2f(x), log2(x))
LG_MATH(log10, log10f(x), log10(x))
LG_MATH(log1p, log1pf(x), log1p(x))
LG_MATH(sqrt, sqrtf(x), sqrt(x))
LG_MATH(sin, sinf(x), sin(x))
LG_MATH(cos, cosf(x), cos(x))
LG_MATH(cosh, coshf(x), cosh(x))
LG_MATH(tanh, tanhf(x), tanh(x))
LG_MATH(asin, asinf(x), asin(x))
LG_MATH(acos, acosf(x), acos(x))
LG_MATH(atan, atanf(x), atan(x))
LG_MATH(erf, erff(x), erf(x))
LG_MATH(abs, fabsf(x), fabs(x))
LG_MATH(floor, floorf(x), floor(x))
LG_MATH(ceil, ceilf(x), ceil(x))
LG_MATH(trunc, truncf(x), trunc(x))
LG_MATH(round, rintf(x), rint(x))
/* CUDA's own are off by more than 2 in the last place: through f64 */
LG_MATH(tan, (f32)tan((f64)x), tan(x))
LG_MATH(sinh, (f32)sinh((f64)x), sinh(x))
LG_MATH(asinh, (f32)asinh((f64)x), asinh(x))
LG_MATH(acosh, (f32)acosh((f64)x), acosh(x))
LG_MATH(atanh, (f32)atanh((f64)x), atanh(x))
LG_MATH(erfc, (f32)erfc((f64)x), erfc(x))
/* y = 1 / sqrt(x) is off by up to 1.5 in the last place: one step with the exact residuals a of the
   root s (x - s^2) and b of y (1 - s y); not taken where it gives no number. Subnormals are scaled. */
LG_FN f32 v_rsqrt_f32(f32 x) {
  const bool tiny = x < 0x1p-100f;
  const f32 v = tiny ? x * 0x1p48f : x;
  const f32 s = sqrtf(v), y = 1.0f / s, a = fmaf(-s, s, v), b = fmaf(-s, y, 1.0f);
  const f32 z = fmaf(fmaf(a * y * -0.5f, y, b), y, y), r = z == z ? z : y;
  return tiny ? r * 0x1p24f : r;
}
LG_FN f64 v_rsqrt_f64(f64 x) { return 1.0 / sqrt(x); }
LG_FN f32 v_pow_f32(f32 a, f32 b) { return (f32)pow((f64)a, (f64)b); }
LG_FN f64 v_pow_f64(f64 a, f64 b) { return pow(a, b); }
LG_FN f32 v_atan2_f32(f32 a, f32 b) { return (f32)atan2((f64)a, (f64)b); }
LG_FN f64 v_atan2_f64(f64 a, f64 b) { return atan2(a, b); }
LG_FN f32 v_fmod_f32(f32 a, f32 b) { return fmodf(a, b); }
LG_FN f64 v_fmod_f64(f64 a, f64 b) { return fmod(a, b); }
LG_FN f32 v_copysign_f32(f32 a, f32 b) { return copysignf(a, b); }
LG_FN f64 v_copysign_f64(f64 a, f64 b) { return copysign(a, b); }
LG_FLOAT(f32) LG_FLOAT(f64)

/* ---- conversions: floats out of an integer's range give the least i32 or i64, cut to size ---- */
LG_FN i32 v_to_i32(f64 x) { return x > -2147483649.0 && x < 2147483648.0 ? (i32)x : (-2147483647 - 1); }
LG_FN i64 v_to_i64(f64 x) {
  return x > -9223372036854775808.0 && x < 9223372036854775808.0 ? (i64)x : (-9223372036854775807LL - 1);
}
#ifdef LG_HALF
LG_FN f32 v_from_f16(u16 x) { return __half2float(__ushort_as_half(x)); }
LG_FN u16 v_to_f16(f32 x) { return __half_as_ushort(__float2half_rn(x)); }
LG_FN f32 v_rnd_f16(f32 x) { return v_from_f16(v_to_f16(x)); }
LG_FN f32 v_from_bf16(u16 x) { return __bfloat162float(__ushort_as_bfloat16(x)); }
LG_FN u16 v_to_bf16(f32 x) { return __bfloat16_as_ushort(__float2bfloat16_rn(x)); }
LG_FN f32 v_rnd_bf16(f32 x) { return v_from_bf16(v_to_bf16(x)); }
#endif

/* ---- computed positions: the first bad index that is seen is kept, and 0 stands for it ---- */
LG_FN i64 v_position(i64 at, i64 size, i64 *err) {
  if ((u64)at < (u64)size) return at;
  if (atomicCAS((u64 *)err, (u64)0, (u64)1) == 0) err[1] = at;
  return -1;
}
LG_FN i32 v_index_i32(i32 at, i64 size, i64 *err) { v_position(at, size, err); return at; }
LG_FN i64 v_index_i64(i64 at, i64 size, i64 *err) { v_position(at, size, err); return at; }
template <class T> LG_FN T v_unit(T x, i64 *err) {
  if (!(x >= 0 && x <= 1)) err[0] = 1;
  return x;
}
LG_FN f32 v_unit_f32(f32 x, i64 *err) { return v_unit(x, err); }
LG_FN f64 v_unit_f64(f64 x, i64 *err) { return v_unit(x, err); }

/* ---- random bits: element i of a draw is word (i >> 4) & 3 of Philox4x32-10 at counter
   ((i >> 6) << 4) + (i & 15) ---- */
struct Words { u32 w[4]; };
LG_FN Words v_philox(i64 i, i64 key, i64 draw, u32 stream) {
  const i64 at = ((i >> 6) << 4) + (i & 15);
  u32 a = (u32)at, b = (u32)(at >> 32) ^ (stream << 28), c = (u32)draw, d = (u32)((u64)draw >> 32);
  u32 k = (u32)key, l = (u32)((u64)key >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const u32 h0 = __umulhi(0xD2511F53u, a), l0 = 0xD2511F53u * a;
    const u32 h1 = __umulhi(0xCD9E8D57u, c), l1 = 0xCD9E8D57u * c;
    a = h1 ^ b ^ k, b = l1, c = h0 ^ d ^ l, d = l0;
    k += 0x9E3779B9u, l += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}
LG_FN i32 v_random(i64 i, i64 key, i64 draw, u32 stream) {
  const Words x = v_philox(i, key, draw, stream);
  const int word = (int)(i >> 4) & 3;
  return (i32)(word == 0 ? x.w[0] : word == 1 ? x.w[1] : word == 2 ? x.w[2] : x.w[3]);
}
/* a standard normal number, after Box and Muller: words 2h and 2h + 1 make the elements h * 32 + lane
   and h * 32 + 16 + lane of a block of 64. Rounded step by step as ir/philox.py does it. */
LG_FN f32 v_normal(i64 i, i64 key, i64 draw, u32 stream) {
  const Words x = v_philox(i, key, draw, stream);
  const bool high = i & 32;
  const i32 w0 = (i32)(high ? x.w[2] : x.w[0]), w1 = (i32)(high ? x.w[3] : x.w[1]);
  const f32 u = ((f32)((w0 >> 1) & 0x7FFFFFFF) + 0.5f) * 0x1p-31f;
  const i32 bits = __float_as_int(u), k = (bits - 0x3F2AAAAB) & (i32)0xFF800000; /* u = 2^e (1 + r) */
  const f32 e = (f32)k * 0x1p-23f, r = __int_as_float(bits - k) - 1.0f, q = r * r;
  f32 p = r * -0.128744885f + 0.139867067f;
  p = p * q + (r * -0.121883437f + 0.140053406f);
  p = p * q + (r * -0.16680181f + 0.200104445f);
  p = p * q + (r * -0.249998048f + 0.333332151f);
  const f32 log = e * 0.693147181f + ((p * r - 0.5f) * q + r), radius = sqrtf(log * -2.0f);
  const f32 t = (f32)(i32)((u32)w1 << 2) * 0x1.921fb6p-32f, z = t * t;
  const f32 sine = ((-0.000195051471f * z + 0.00833209325f) * z + -0.166666538f) * (z * t) + t;
  f32 cosine = 2.44120856e-05f * z + -0.00138871302f;
  cosine = ((cosine * z + 0.0416666418f) * z + -0.5f) * z + 1.0f;
  if (w1 < 0) cosine = -cosine;
  return (((w1 & 0x40000000) != 0) == ((i & 16) == 0) ? sine : cosine) * radius;
}

/* ---- reductions across threads ---- */
struct Sum { template <class T> LG_FN T operator()(T a, T b) const { return a + b; } };
struct Prod { template <class T> LG_FN T operator()(T a, T b) const { return a * b; } };
struct And { LG_FN i32 operator()(i32 a, i32 b) const { return a & b; } };
struct Or { LG_FN i32 operator()(i32 a, i32 b) const { return a | b; } };
struct Max { template <class T> LG_FN T operator()(T a, T b) const { return a > b || a != a ? a : b; } };
struct Min { template <class T> LG_FN T operator()(T a, T b) const { return a < b || a != a ? a : b; } };
/* the best value and its first position; -1 where nothing was seen. A NaN beats all numbers. */
template <class T> struct Best { T v; i64 at; };
struct Most {
  template <class T> LG_FN bool beats(T a, T b) const { return a > b || (a != a && b == b); }
  template <class T> LG_FN Best<T> operator()(Best<T> a, Best<T> b) const {
    if (a.at < 0 || b.at < 0) return a.at < 0 ? b : a;
    if (beats(a.v, b.v)) return a;
    return beats(b.v, a.v) || b.at < a.at ? b : a;
  }
};
struct Least {
  template <class T> LG_FN bool beats(T a, T b) const { return a < b || (a != a && b == b); }
  template <class T> LG_FN Best<T> operator()(Best<T> a, Best<T> b) const {
    if (a.at < 0 || b.at < 0) return a.at < 0 ? b : a;
    if (beats(a.v, b.v)) return a;
    return beats(b.v, a.v) || b.at < a.at ? b : a;
  }
};
/* A sum of powers of e, of x - top, where top is the largest x so far: online softmax */
template <class T> struct Power { T top; f64 sum; };
template <class T> LG_FN f64 v_lowered(T x, T top) { return x == top ? 1.0 : exp((f64)x - (f64)top); }
LG_FN f64 v_term(f32 x, f32 top) { return x == top ? 1.0f : expf(x - top); }
LG_FN f64 v_term(f64 x, f64 top) { return x == top ? 1.0 : exp(x - top); }
template <class T> LG_FN void v_power(Power<T> &a, T x) {
  if (x > a.top || x != x) a.sum *= v_lowered(a.top, x), a.top = x;
  a.sum += v_term(x, a.top);
}
struct Powers {
  template <class T> LG_FN Power<T> operator()(Power<T> a, Power<T> b) const {
    const bool second = b.top > a.top || b.top != b.top;
    const Power<T> high = second ? b : a, low = second ? a : b;
    return {high.top, high.sum + low.sum * v_lowered(low.top, high.top)};
  }
};
/* the sum of (x - m)^2, of the sums of x^2 and of n numbers x */
LG_FN f64 v_squares(f64 squares, f64 sum, f64 m, f64 n) {
  const f64 r = squares - m * (2 * sum - n * m);
  return r < 0 ? 0 : r;
}
template <class T> LG_FN T v_other(T x, int lanes) { return __shfl_xor_sync(0xffffffffu, x, lanes); }
template <class T> LG_FN Best<T> v_other(Best<T> x, int lanes) {
  Best<T> r;
  r.v = v_other(x.v, lanes);
  r.at = v_other(x.at, lanes);
  return r;
}
template <class T> LG_FN Power<T> v_other(Power<T> x, int lanes) { return {v_other(x.top, lanes), v_other(x.sum, lanes)}; }

/* x of all G threads that share a row, combined in a fixed tree: every thread gets the result.
   G is 32, a warp, or the block's size, for which `room` holds 16 bytes a warp. */
template <int G, class F, class T> LG_FN T v_group(T x, F f, void *room) {
#pragma unroll
  for (int lanes = 16; lanes; lanes >>= 1) x = f(x, v_other(x, lanes));
  if (G == 32) return x;
  T *part = (T *)room;
  if ((threadIdx.x & 31) == 0) part[threadIdx.x >> 5] = x;
  __syncthreads();
  x = part[0];
  for (int warp = 1; warp < G / 32; warp++) x = f(x, part[warp]);
  __syncthreads();
  return x;
}

/* x of the threads of one column, which are lane l of each of W warps: every one gets the result.
   `room` holds 16 bytes a thread. */
template <int W, class F, class T> LG_FN T v_column(T x, F f, void *room) {
  T *part = (T *)room;
  part[threadIdx.x] = x;
  __syncthreads();
  x = part[threadIdx.x & 31];
  for (int warp = 1; warp < W; warp++) x = f(x, part[warp * 32 + (threadIdx.x & 31)]);
  __syncthreads();
  return x;
}

/* ---- scans: what comes before is the first argument ---- */
struct LogSum { /* log(exp(a) + exp(b)); called, as a scan would have it inlined twenty times */
  __device__ __noinline__ f64 operator()(f64 a, f64 b) const {
    const f64 high = b > a || b != b ? b : a, low = b > a ? a : b;
    return low == high ? high + (high - high == 0 ? 0x1.62e42fefa39efp-1 : 0) : high + log1p(exp(low - high));
  }
};
/* the extreme and its last position; -1 where nothing was seen. The last NaN beats all numbers. */
struct LastMost {
  template <class T> LG_FN Best<T> operator()(Best<T> a, Best<T> b) const {
    return b.at >= 0 && (a.at < 0 || b.v >= a.v || b.v != b.v) ? b : a;
  }
};
struct LastLeast {
  template <class T> LG_FN Best<T> operator()(Best<T> a, Best<T> b) const {
    return b.at >= 0 && (a.at < 0 || b.v <= a.v || b.v != b.v) ? b : a;
  }
};
/* y becomes c y + s: two such maps, one after the other. A product of factors that gets too large stays
   finite, so that 0 times it is 0, as it is step by step. */
struct Map { f64 c, s; };
struct Affine {
  LG_FN Map operator()(Map a, Map b) const {
    f64 c = a.c * b.c;
    if (isinf(c) && !isinf(a.c) && !isinf(b.c)) c = copysign(0x1.fffffffffffffp1023, c);
    return {c, b.c * a.s + b.s};
  }
};
LG_FN Map v_before(Map x, int lanes) { return {__shfl_up_sync(0xffffffffu, x.c, lanes), __shfl_up_sync(0xffffffffu, x.s, lanes)}; }
LG_FN Map v_last(Map x) { return {__shfl_sync(0xffffffffu, x.c, 31), __shfl_sync(0xffffffffu, x.s, 31)}; }
template <class T> LG_FN T v_before(T x, int lanes) { return __shfl_up_sync(0xffffffffu, x, lanes); }
template <class T> LG_FN T v_last(T x) { return __shfl_sync(0xffffffffu, x, 31); }
template <class T> LG_FN Best<T> v_before(Best<T> x, int lanes) { return {v_before(x.v, lanes), v_before(x.at, lanes)}; }
template <class T> LG_FN Best<T> v_last(Best<T> x) { return {v_last(x.v), v_last(x.at)}; }

/* Of G threads in order: x of all before this one, combined, and `total`, x of all of them.
   G is 32, a warp, or the block's size, for which `room` holds one T a warp. */
template <int G, class F, class T> LG_FN T v_scan(T x, F f, T nothing, T *room, T &total) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll
  for (int lanes = 1; lanes < 32; lanes <<= 1) {
    const T y = v_before(x, lanes);
    if (lane >= lanes) x = f(y, x);
  }
  T before = v_before(x, 1);
  if (lane == 0) before = nothing;
  if (G == 32) {
    total = v_last(x);
    return before;
  }
  if (lane == 31) room[warp] = x;
  __syncthreads();
  T first = nothing;
  total = nothing;
  for (int w = 0; w < G / 32; w++) {
    if (w == warp) first = total;
    total = f(total, room[w]);
  }
  __syncthreads();
  return f(first, before);
}

/* ---- sorting: where element i of the sorted runs [start, middle) and [middle, end) is when they are
   merged. Among equal ones those of the first run come first. ---- */
template <class K, class I> LG_FN I v_merged(const K *keys, I i, I start, I middle, I end) {
  const K key = keys[i];
  const bool second = i >= middle;
  I low = second ? start : middle, high = second ? middle : end;
  while (low < high) {
    const I at = low + (high - low) / 2;
    if (second ? keys[at] <= key : keys[at] < key) low = at + 1;
    else high = at;
  }
  return i + low - middle;
}
/* A block sorts m elements: runs of 1, 2, 4 ... of them are merged in shared memory, where every element
   finds its place by a search in the other run. Gives which half of the memory they are in. */
template <int N, class K> LG_FN int v_sort(K (&keys)[2][N], u16 (&order)[2][N], int m) {
  int now = 0;
  for (int width = 1; width < m; width *= 2, now ^= 1) {
    __syncthreads();
    for (int i = threadIdx.x; i < m; i += blockDim.x) {
      const int start = i & -2 * width, middle = min(start + width, m), end = min(start + 2 * width, m);
      const int to = v_merged(keys[now], i, start, middle, end);
      keys[now ^ 1][to] = keys[now][i];
      order[now ^ 1][to] = order[now][i];
    }
  }
  __syncthreads();
  return now;
}

/* the first of n sorted keys from `at` on that is another; what is near is found at once */
LG_FN i32 v_run_end(const u32 *keys, i32 at, i32 n) {
  const u32 key = keys[at];
  i32 step = 1;
  while (at + step < n && keys[at + step] == key) step *= 2;
  i32 low = at + step / 2 + 1, high = min(at + step, n);
  while (low < high) {
    const i32 middle = low + (high - low) / 2;
    if (keys[middle] == key) low = middle + 1;
    else high = middle;
  }
  return high;
}
