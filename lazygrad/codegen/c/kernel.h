/* What kernels need beside the vector math of vmath.h: accesses with a valid box,
   reads and writes at computed positions, and the ends of reductions. Same chunk format. */

//@ v_ldb_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV v_ld_@TxV
/* lanes x, x+1, ... of a row that is only there in [lo, hi); 0 outside */
V_FN @TxV v_ldb_@TxV(const @T *p, i64 s, i64 x, i64 m, i64 lo, i64 hi) {
  if (__builtin_expect(s == 1 && x >= lo && x + NV <= hi && m >= NV, 1)) return *(const @TxVu *)(p + x);
  @TxV r = {0};
  if (x >= hi || x + m <= lo) return r;
  for (i64 i = 0; i < NV && i < m; i++) if (x + i >= lo && x + i < hi) r[i] = p[(x + i) * s];
  return r;
}

//@ v_box_i8xV : i8xV
V_FN i8xV v_box_i8xV(i64 x, i64 lo, i64 hi) { i8xV r; for (i64 i = 0; i < NV; i++) r[i] = -(x + i >= lo && x + i < hi); return r; }
//@ v_box_i16xV : i16xV
V_FN i16xV v_box_i16xV(i64 x, i64 lo, i64 hi) { i16xV r; for (i64 i = 0; i < NV; i++) r[i] = -(x + i >= lo && x + i < hi); return r; }
//@ v_box_i32xV : i32xV
V_FN i32xV v_box_i32xV(i64 x, i64 lo, i64 hi) { i32xV r; for (i64 i = 0; i < NV; i++) r[i] = -(x + i >= lo && x + i < hi); return r; }
//@ v_box_i64xV : i64xV
V_FN i64xV v_box_i64xV(i64 x, i64 lo, i64 hi) { i64xV r; for (i64 i = 0; i < NV; i++) r[i] = -(x + i >= lo && x + i < hi); return r; }

//@ v_bad_index :
/* the first index out of range is kept: a flag and the index */
V_COLD void v_bad_index(i64 *err, i64 index) { if (!err[0]) { err[1] = index; err[0] = 1; } }

//@ v_scratch :
extern void *aligned_alloc(unsigned long, unsigned long);
extern void free(void *);
/* memory of this thread that lasts until its next call; the largest one asked for is kept. 0 if there is none:
   the kernel says so at p[-1], see runtime.c */
V_COLD char *v_scratch_grow(char **at, i64 *size, i64 bytes) {
  const i64 whole = (bytes + 4095) / 4096 * 4096;
  free(*at);
  *at = aligned_alloc(64, whole);
  *size = *at ? whole : 0;
  return *at;
}
V_FN char *v_scratch(i64 bytes) {
  static __thread char *at;
  static __thread i64 size;
  return size < bytes ? v_scratch_grow(&at, &size, bytes) : at;
}

//@ v_index_@TxV T=i32,i64 : @TxV v_bad_index
/* the indices, which must be in [0, size); lanes past the end are 0 and so in range */
V_FN @TxV v_index_@TxV(@TxV index, i64 size, i64 *err) {
  @TxV bad = (index < 0) | (index >= (@T)size);
  @T any = 0;
  for (int l = 0; l < NV; l++) any |= bad[l];
  if (__builtin_expect(any != 0, 0)) for (int l = 0; l < NV; l++) if (bad[l]) v_bad_index(err, index[l]);
  return index;
}

//@ v_unit_@TxV T=f32,f64 : @TxV @IxV
/* the values, which must be in [0, 1] */
V_FN @TxV v_unit_@TxV(@TxV x, i64 *err) {
  const @IxV good = (x >= 0) & (x <= 1);
  @I all = -1;
  for (int l = 0; l < NV; l++) all &= good[l];
  if (__builtin_expect(!all, 0)) err[0] = 1;
  return x;
}

//@ v_shuffle :
/* r[i] = element AT of a followed by b, where AT is an expression in i with values known to the compiler */
#if defined __clang__
#define V_SHUFFLE(T, I, N, r, a, b, AT) \
  do { for (int i = 0; i < N; i++) { const int at = (AT); (r)[i] = at < N ? (a)[at] : (b)[at - N]; } } while (0)
#else
#define V_SHUFFLE(T, I, N, r, a, b, AT) \
  do { I k_; for (int i = 0; i < N; i++) k_[i] = (AT); (r) = __builtin_shuffle((T)(a), (T)(b), k_); } while (0)
#endif

//@ v_ld2_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV @IxV v_shuffle
/* min(m, V) elements, two apart; reads none past the last */
V_FN @TxV v_ld2_@TxV(const @T *p, i64 m) {
  @TxV r = {0};
  if (__builtin_expect(m >= NV, 1)) {
    const @TxV a = *(const @TxVu *)p, b = *(const @TxVu *)(p + NV - 1);
    V_SHUFFLE(@TxV, @IxV, NV, r, a, b, 2 * i + (2 * i >= NV));
  } else for (i64 i = 0; i < m; i++) r[i] = p[2 * i];
  return r;
}

//@ v_ldr_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV @IxV v_shuffle
/* min(m, V) elements, p and backwards */
V_FN @TxV v_ldr_@TxV(const @T *p, i64 m) {
  @TxV r = {0};
  if (__builtin_expect(m >= NV, 1)) {
    const @TxV a = *(const @TxVu *)(p - (NV - 1));
    V_SHUFFLE(@TxV, @IxV, NV, r, a, a, NV - 1 - i);
  } else for (i64 i = 0; i < m; i++) r[i] = p[-i];
  return r;
}

//@ v_tile_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV @IxV v_shuffle
/* t[i * pitch + j] = p[j * s + i] for i < w, j < h: squares of V by V elements through registers, in two
   networks of interleavings: of elements within 16 bytes, then of pieces of 16 bytes */
V_CALL void v_tile_@TxV(@T *t, i64 pitch, const @T *p, i64 s, i64 w, i64 h) {
  enum { L = 16 * 8 / @B < NV ? 16 * 8 / @B : NV, K = NV / L };
  const i64 wide = w / NV * NV, high = h / NV * NV;
  for (i64 y = 0; y < high; y += NV) for (i64 x = 0; x < wide; x += NV) {
    const @T *q = p + y * s + x;
    @TxV r[NV], o[NV];
    if (x % (64 * 8 / @B) == 0) /* the next rows lie too far apart for the hardware to foresee them */
#pragma GCC unroll 64
      for (int i = 0; i < NV; i++) __builtin_prefetch(q + (NV + i) * s);
#pragma GCC unroll 64
    for (int i = 0; i < NV; i++) r[i] = *(const @TxVu *)(q + i * s);
#pragma GCC unroll 8
    for (int n = 1; n < L; n *= 2) {
#pragma GCC unroll 64
      for (int k = 0; k < NV; k += L)
#pragma GCC unroll 64
        for (int e = 0; e < L / 2; e++) {
          V_SHUFFLE(@TxV, @IxV, NV, o[k + 2 * e], r[k + e], r[k + e + L / 2], i / L * L + i % L / 2 + i % 2 * NV);
          V_SHUFFLE(@TxV, @IxV, NV, o[k + 2 * e + 1], r[k + e], r[k + e + L / 2],
                    i / L * L + L / 2 + i % L / 2 + i % 2 * NV);
        }
#pragma GCC unroll 64
      for (int i = 0; i < NV; i++) r[i] = o[i];
    }
#pragma GCC unroll 8
    for (int n = 1; n < K; n *= 2) {
#pragma GCC unroll 64
      for (int e = 0; e < L; e++)
#pragma GCC unroll 64
        for (int k = 0; k < K / 2; k++) {
          V_SHUFFLE(@TxV, @IxV, NV, o[2 * k * L + e], r[k * L + e], r[(k + K / 2) * L + e],
                    i / L / 2 * L + i % L + i / L % 2 * NV);
          V_SHUFFLE(@TxV, @IxV, NV, o[(2 * k + 1) * L + e], r[k * L + e], r[(k + K / 2) * L + e],
                    (K / 2 + i / L / 2) * L + i % L + i / L % 2 * NV);
        }
#pragma GCC unroll 64
      for (int i = 0; i < NV; i++) r[i] = o[i];
    }
#pragma GCC unroll 64
    for (int i = 0; i < NV; i++) *(@TxVu *)(t + (x + i) * pitch + y) = r[i];
  }
  for (i64 y = 0; y < h; y++) for (i64 x = y < high ? wide : 0; x < w; x++) t[x * pitch + y] = p[y * s + x];
}

//@ v_ahead :
/* fetch `bytes` at p into the caches for later */
V_FN void v_ahead(const void *p, i64 bytes) {
  for (i64 i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)p + i, 0, 2);
}

//@ v_row_ahead : v_ahead
/* fetch the beginning of a row; the processor itself fetches what follows */
V_FN void v_row_ahead(const void *p, i64 bytes) { v_ahead(p, bytes < 2048 ? bytes : 2048); }

//@ v_fence :
/* other threads see what was streamed before this */
#if defined V_SSE2
#define v_fence() __builtin_ia32_sfence()
#else
#define v_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

//@ v_stn_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV v_st_@TxV
/* the first min(m, V) lanes to p; with `stream` past the caches: p is then aligned to the vector's size */
V_FN void v_stn_@TxV(@T *p, @TxV v, i64 m, i64 stream) {
#if defined __clang__
  if (stream && m >= NV) { __builtin_nontemporal_store(v, (@TxV *)p); return; }
#elif NV * @B == 512 && defined V_AVX512 || NV * @B == 256 && defined V_AVX2 || NV * @B == 128 && defined V_SSE2
  typedef f32 N __attribute__((vector_size(NV * @B / 8)));
#if NV * @B == 512
#define V_MOVNT __builtin_ia32_movntps512
#elif NV * @B == 256
#define V_MOVNT __builtin_ia32_movntps256
#else
#define V_MOVNT __builtin_ia32_movntps
#endif
  if (stream && m >= NV) { V_MOVNT((f32 *)p, (N)v); return; }
#undef V_MOVNT
#endif
  v_st_@TxV(p, v, m);
}

//@ v_gather_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV i64xV v_bad_index
/* lane l: p[(x + l) * s + index[l] * step], where index[l] < size. Whole vectors of indices in range at once */
#if NV == 8 && (@B == 32 || @B == 64) && defined V_AVX512 && !defined __clang__
#define V_GATHERED_@TxV
#endif
V_FN @TxV v_gather_@TxV(const @T *p, i64 s, i64 x, i64xV index, i64 step, i64 size, i64 m, i64 *err) {
  @TxV r = {0};
#if defined V_GATHERED_@TxV
  typedef i64 I __attribute__((vector_size(64)));
  typedef @I R __attribute__((vector_size(8 * sizeof(@T))));
  const I sizes = (I){0} + size, to = ((I){0, 1, 2, 3, 4, 5, 6, 7} + x) * s;
  const unsigned char out = __builtin_ia32_ucmpq512_mask((I)index, sizes, 5, -1); /* not less */
  if (__builtin_expect(m >= 8 && !out, 1)) {
#if @B == 32
    return (@TxV)__builtin_ia32_gatherdiv16si((R){0}, (const void *)p, (I)index * step + to, -1, 4);
#else
    return (@TxV)__builtin_ia32_gatherdiv8di((R){0}, (const void *)p, (I)index * step + to, -1, 8);
#endif
  }
#else
  int out = m < NV;
  _Pragma("GCC unroll NV") for (i64 l = 0; l < NV; l++) out |= (u64)index[l] >= (u64)size;
  if (__builtin_expect(!out, 1)) {
    _Pragma("GCC unroll NV") for (i64 l = 0; l < NV; l++) r[l] = p[(x + l) * s + index[l] * step];
    return r;
  }
#endif
  for (i64 l = 0; l < NV && l < m; l++) {
    if (__builtin_expect((u64)index[l] >= (u64)size, 0)) v_bad_index(err, index[l]);
    else r[l] = p[(x + l) * s + index[l] * step];
  }
  return r;
}

//@ v_gather_ahead_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV i64xV v_gather_@TxV
/* fetch what v_gather will read with these indices; one out of range does no harm. Where one instruction
   reads them all it looks ahead far enough: asking took 8.1 ms instead of 6.9 for 1e6 of 8e6 */
V_FN void v_gather_ahead_@TxV(const @T *p, i64 s, i64 x, i64xV index, i64 step) {
#if defined V_GATHERED_@TxV
  (void)p, (void)s, (void)x, (void)index, (void)step;
#else
  for (i64 l = 0; l < NV; l++) {
    const u64 at = (u64)(x + l) * s + (u64)index[l] * step;
    __builtin_prefetch((const void *)((u64)p + at * sizeof(@T)), 0, 3);
  }
#endif
}

//@ v_put_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV i64xV v_bad_index
/* p[(x + l) * s + index[l] * step] = v[l], lane after lane */
V_FN void v_put_@TxV(@T *p, i64 s, i64 x, i64xV index, i64 step, i64 size, @TxV v, i64 m, i64 *err) {
  for (i64 l = 0; l < NV && l < m; l++) {
    if (__builtin_expect((u64)index[l] >= (u64)size, 0)) v_bad_index(err, index[l]);
    else p[(x + l) * s + index[l] * step] = v[l];
  }
}

//@ v_put_add_@TxV T=f32,f64,i8,i16,i32,i64,u8 : @TxV i64xV v_bad_index
V_FN void v_put_add_@TxV(@T *p, i64 s, i64 x, i64xV index, i64 step, i64 size, @TxV v, i64 m, i64 *err) {
  for (i64 l = 0; l < NV && l < m; l++) {
    if (__builtin_expect((u64)index[l] >= (u64)size, 0)) v_bad_index(err, index[l]);
    else p[(x + l) * s + index[l] * step] += v[l];
  }
}

//@ v_keep_@TxV T=f32,f64,i8,i16,i32,i64,u8,u16 : @TxV @IxV v_iota_@IxV
/* the first m lanes; the others are `other` */
V_FN @TxV v_keep_@TxV(@TxV v, i64 m, @T other) {
  const @I first = m < NV ? m : NV;
  return m >= NV ? v : V_SEL(@TxV, @IxV, v_iota_@IxV() < first, v, ((@TxV){0} + other));
}

//@ v_tree_sum_@TxV T=f64,i8,i16,i32,i64,u8 : @TxV
/* 64 partial sums to one, by halves: the order does not depend on the vector width */
V_FN @T v_tree_sum_@TxV(const @TxV *t) {
  @TxV a[64 / NV];
  @T b[NV];
  __builtin_memcpy(a, t, sizeof a);
#pragma GCC unroll 8
  for (int w = 32 / NV; w; w >>= 1)
#pragma GCC unroll 32
    for (int k = 0; k < w; k++) a[k] = a[k] + a[k + w];
  __builtin_memcpy(b, a, sizeof b);
#pragma GCC unroll 8
  for (int w = NV / 2; w; w >>= 1)
#pragma GCC unroll 32
    for (int k = 0; k < w; k++) b[k] = b[k] + b[k + w];
  return b[0];
}

//@ v_tree_prod_@TxV T=f64,i8,i16,i32,i64,u8 : @TxV
V_FN @T v_tree_prod_@TxV(const @TxV *t) {
  @TxV a[64 / NV];
  @T b[NV];
  __builtin_memcpy(a, t, sizeof a);
#pragma GCC unroll 8
  for (int w = 32 / NV; w; w >>= 1)
#pragma GCC unroll 32
    for (int k = 0; k < w; k++) a[k] = a[k] * a[k + w];
  __builtin_memcpy(b, a, sizeof b);
#pragma GCC unroll 8
  for (int w = NV / 2; w; w >>= 1)
#pragma GCC unroll 32
    for (int k = 0; k < w; k++) b[k] = b[k] * b[k + w];
  return b[0];
}

//@ v_all_max_@TxV T=f32,f64,i8,i16,i32,i64,u8 : @TxV v_max_@TxV
/* 64 candidates to one, by halves likewise (which zero wins does not depend on the width either) */
V_FN @T v_all_max_@TxV(const @TxV *t) {
  @TxV a[64 / NV];
  @T b[NV];
  __builtin_memcpy(a, t, sizeof a);
#pragma GCC unroll 8
  for (int w = 32 / NV; w; w >>= 1)
#pragma GCC unroll 32
    for (int k = 0; k < w; k++) a[k] = v_max_@TxV(a[k], a[k + w]);
  __builtin_memcpy(b, a, sizeof b);
#pragma GCC unroll 8
  for (int w = NV / 2; w; w >>= 1)
#pragma GCC unroll 32
    for (int k = 0; k < w; k++) b[k] = b[k] > b[k + w] || b[k] != b[k] ? b[k] : b[k + w];
  return b[0];
}

//@ v_all_min_@TxV T=f32,f64,i8,i16,i32,i64,u8 : @TxV v_min_@TxV
/* 64 candidates to one, by halves likewise (which zero wins does not depend on the width either) */
V_FN @T v_all_min_@TxV(const @TxV *t) {
  @TxV a[64 / NV];
  @T b[NV];
  __builtin_memcpy(a, t, sizeof a);
#pragma GCC unroll 8
  for (int w = 32 / NV; w; w >>= 1)
#pragma GCC unroll 32
    for (int k = 0; k < w; k++) a[k] = v_min_@TxV(a[k], a[k + w]);
  __builtin_memcpy(b, a, sizeof b);
#pragma GCC unroll 8
  for (int w = NV / 2; w; w >>= 1)
#pragma GCC unroll 32
    for (int k = 0; k < w; k++) b[k] = b[k] < b[k + w] || b[k] != b[k] ? b[k] : b[k + w];
  return b[0];
}

//@ v_first_max_@TxV T=f32,f64,i8,i16,i32,i64,u8 : @TxV i64xV
/* of the lanes with the largest value (NaN is the largest) the smallest index */
V_FN i64 v_first_max_@TxV(@TxV v, i64xV index) {
  int b = 0;
  for (int l = 1; l < NV; l++) {
    int nan_l = v[l] != v[l], nan_b = v[b] != v[b];
    int more = nan_l != nan_b ? nan_l : v[l] > v[b], same = nan_l ? nan_b : v[l] == v[b];
    if (index[l] >= 0 && (index[b] < 0 || more || (same && index[l] < index[b]))) b = l;
  }
  return index[b];
}

//@ v_first_min_@TxV T=f32,f64,i8,i16,i32,i64,u8 : @TxV i64xV
V_FN i64 v_first_min_@TxV(@TxV v, i64xV index) {
  int b = 0;
  for (int l = 1; l < NV; l++) {
    int nan_l = v[l] != v[l], nan_b = v[b] != v[b];
    int more = nan_l != nan_b ? nan_l : v[l] < v[b], same = nan_l ? nan_b : v[l] == v[b];
    if (index[l] >= 0 && (index[b] < 0 || more || (same && index[l] < index[b]))) b = l;
  }
  return index[b];
}
