/* C[b, i, j] = sum over k of A[b, i, k] * B[b, k, j]: a block makes 128 x 128 of C, a thread 8 x 8 of that, one
   multiply-add for every k in order. While 8 terms are multiplied, the next are fetched: A along k, B along j */
extern "C" __global__ void __launch_bounds__(256, 2) lg_matmul_f32_0_128kow(const f32 *__restrict__ a, const f32 *__restrict__ b, f32 *__restrict__ c, const Dims<i64, 14> d) {
  typedef Vec<f32, 4> Fetched;
  __shared__ __align__(16) f32 sa[2][8][132], sb[2][8][132];
  const i64 m = d[1], n = d[2], depth = d[3], ci = d[8], cj = d[9];
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
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const i64 at = i0 + row + i / 4 * 64 + i % 4;
    if (at >= m) continue;
#pragma unroll
    for (int p = 0; p < 8; p += 4) {
      const i64 to = j0 + column + p * 16;
      Vec<f32, 4> r;
#pragma unroll
      for (int j = 0; j < 4; j++) r.v[j] = (sum[i][p + j]);
      if (to < n) v_store(c + at * ci + to, r, 4);
    }
  }
}
