/* What the machine can do: bandwidths and multiply-adds, one function each, and the chain
   tanh(a*b+c)*sigmoid(a)-exp(-b*b) as one would write it by hand with the same vector functions.
   The types and v_ functions come from the text of vmath.h, which stands before this one; NV is the
   number of lanes of the CPU's vectors. */

static inline __attribute__((always_inline)) void stream(f32xV *to, f32xV v) {
#if defined(__AVX512F__) && NV == 16
  __builtin_ia32_movntps512((float *)to, v);
#elif defined(__AVX__) && NV == 8
  __builtin_ia32_movntps256((float *)to, v);
#elif defined(__SSE__) && NV == 4
  __builtin_ia32_movntps((float *)to, v);
#else
  *to = v;
#endif
}

static float finish(void) {
#if defined(__x86_64__)
  __asm__ volatile("sfence" ::: "memory");
#endif
  return 0;
}

static float added(f32xV v) {
  float total = 0;
  for (int j = 0; j < NV; j++) total += v[j];
  return total;
}

/* The sum of x: bytes read are 4 n. */
float lim_read(const float *x, i64 n) {
  f32xV s0 = {0}, s1 = s0, s2 = s0, s3 = s0;
  const f32xV *v = (const f32xV *)x;
  for (i64 i = 0; i + 4 <= n / NV; i += 4) {
    s0 += v[i];
    s1 += v[i + 1];
    s2 += v[i + 2];
    s3 += v[i + 3];
  }
  return added((s0 + s1) + (s2 + s3));
}

/* y = a * 2 + b: bytes are 12 n, stores past the caches. */
float lim_triad(float *y, const float *a, const float *b, i64 n) {
  const f32xV *va = (const f32xV *)a, *vb = (const f32xV *)b;
  for (i64 i = 0; i < n / NV; i++) stream((f32xV *)y + i, va[i] * 2.0f + vb[i]);
  return finish();
}

/* y = a: bytes are 8 n. */
float lim_copy(float *y, const float *a, i64 n) {
  for (i64 i = 0; i < n / NV; i++) stream((f32xV *)y + i, ((const f32xV *)a)[i]);
  return finish();
}

/* n rounds of 12 independent multiply-adds of vectors: flops are 24 NV n. */
float lim_fma(i64 n) {
  /* chains that differ from the start: the compiler makes one of those that it knows to be equal */
  f32xV s0 = {1}, s1 = {2}, s2 = {3}, s3 = {4}, s4 = {5}, s5 = {6};
  f32xV t0 = {7}, t1 = {8}, t2 = {9}, t3 = {10}, t4 = {11}, t5 = {12};
  const volatile float x = 0.999f, y = 1e-3f;
  const f32xV a = s0 * 0 + x, b = s0 * 0 + y;
#define ROUND(v) v = v_fma_f32xV(v, a, b)
  for (i64 i = 0; i < n; i++) {
    ROUND(s0), ROUND(s1), ROUND(s2), ROUND(s3), ROUND(s4), ROUND(s5);
    ROUND(t0), ROUND(t1), ROUND(t2), ROUND(t3), ROUND(t4), ROUND(t5);
  }
  return added(((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (t0 + t1)) + ((t2 + t3) + (t4 + t5)));
}

float lim_chain(float *y, const float *a, const float *b, const float *c, i64 n) {
  for (i64 i = 0; i < n / NV; i++) {
    const f32xV x = ((const f32xV *)a)[i], z = ((const f32xV *)b)[i], w = ((const f32xV *)c)[i];
    stream((f32xV *)y + i, v_tanh_f32xV(x * z + w) * v_sigmoid_f32xV(x) - v_explow_f32xV(-z * z));
  }
  return finish();
}
