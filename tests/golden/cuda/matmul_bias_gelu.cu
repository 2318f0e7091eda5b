LG_FN void lg_matmul_f32_0_128kow_add_mul_erf_add_mul_76f0d2ca09e6_end(const Vec<f32, 4> &r, const i32 row, const i32 x0, const f32 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, const f64 *__restrict__ p4, f32 *__restrict__ p5, const Dims<i32, 3> &d) {
  const f32 v3 = (f32)*p2;
  const f32 v5 = (f32)*p3;
  const f32 v8 = (f32)*p4;
  const i32 i0 = row;
  const Vec<f32, 4> l1 = v_load<4>(p1 + x0, 4);
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i1 = x0 + k;
    const f32 v0 = r.v[k];
    const f32 v1 = l1.v[k];
    const f32 v2 = (v0 + v1);
    const f32 v4 = (v2 * v3);
    const f32 v6 = (v2 * v5);
    const f32 v7 = v_erf_f32(v6);
    const f32 v9 = (v8 + v7);
    const f32 v10 = (v4 * v9);
    y0.v[k] = v10;
  }
  v_store(p5 + i0 * d[2] + x0, y0, 4);
}

/* C[b, i, j] = sum over k of A[b, i, k] * B[b, k, j]: a block makes 128 x 128 of C, a thread 8 x 8 of that, one
   multiply-add for every k in order. While 8 terms are multiplied, the next are fetched: A along k, B along j */
extern "C" __global__ void __launch_bounds__(256, 2) lg_matmul_f32_0_128kow_add_mul_erf_add_mul_76f0d2ca09e6(const f32 *__restrict__ a, const f32 *__restrict__ b, const f32 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, const f64 *__restrict__ p4, f32 *__restrict__ p5, const Dims<i64, 15> d, const Dims<i32, 3> e) {
  typedef Vec<f32, 4> Fetched;
  __shared__ __align__(16) f32 sa[2][8][132], sb[2][8][132];
  const i64 m = d[1], n = d[2], depth = d[3];
  const auto ai = [&](i64 x) { return x * d[4]; };
  const auto ak = [&](i64 x) { return x * d[5]; };
  const auto bk = [&](i64 x) { return x * d[6]; };
  const auto bj = [&](i64 x) { return x * d[7]; };
  const i64 tiles_n = (n + 127) / 128, tiles_m = (m + 127) / 128;
  const i64 j0 = blockIdx.x % tiles_n * 128, i0 = blockIdx.x / tiles_n % tiles_m * 128;
  /* a warp makes 32 rows of 64 columns, a thread pieces of 4 x 4: no two threads read one bank */
  const int t = threadIdx.x, row = (t / 64 * 4 + t % 32 / 8) * 4, column = (t / 32 % 2 * 8 + t % 8) * 4;
  f32 sum[8][8] = {};
  Fetched ga, gb;
  int half = 1;
  for (i64 k0 = -8; k0 < depth; k0 += 8, half ^= 1) {
    const i64 next = k0 + 8;
    if (next < depth) {
    { const int o = t / 2, k = t % 2 * 4;
      ga = i0 + o < m && next + k < depth ? *(const Fetched *)(a + ai(i0 + o) + (next + k)) : Fetched(); }
    { const int k = t / 32, o = t % 32 * 4;
      gb = j0 + o < n && next + k < depth ? *(const Fetched *)(b + (j0 + o) + bk(next + k)) : Fetched(); }
    }
    if (k0 >= 0) {
#pragma unroll 8
    for (int k = 0; k < 8; k++) {
      f32 x[8], y[8];
#pragma unroll
      for (int p = 0; p < 8; p += 4) {
        *(Vec<f32, 4> *)(x + p) = *(const Vec<f32, 4> *)&sa[half][k][row + p * 16];
        *(Vec<f32, 4> *)(y + p) = *(const Vec<f32, 4> *)&sb[half][k][column + p * 16];
      }
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
    }
    }
    if (next < depth) {
#pragma unroll
    for (int s = 0; s < 4; s++) {
      const int o = t / 2, k = t % 2 * 4 + s;
      sa[half ^ 1][k][o] = (ga.v[s]);
    }
    { const int k = t / 32, o = t % 32 * 4;
      *(Fetched *)&sb[half ^ 1][k][o] = gb; }
    }
    __syncthreads();
  }
  /* a row at a time: the next one is moved to the front, as the place of a register must be known */
#pragma unroll 1
  for (int i = 0; i < 8; i++) {
    const i64 at = i0 + row + i / 4 * 64 + i % 4;
    if (at >= m) break;
#pragma unroll
    for (int p = 0; p < 8; p += 4) {
      const i64 to = j0 + column + p * 16;
      Vec<f32, 4> r;
#pragma unroll
      for (int j = 0; j < 4; j++) r.v[j] = (sum[0][p + j]);
      if (to >= n) continue;
      lg_matmul_f32_0_128kow_add_mul_erf_add_mul_76f0d2ca09e6_end(r, at, to, p1, p2, p3, p4, p5, e);
    }
#pragma unroll
    for (int q = 1; q < 8; q++)
#pragma unroll
      for (int j = 0; j < 8; j++) sum[q - 1][j] = sum[q][j];
  }
}
