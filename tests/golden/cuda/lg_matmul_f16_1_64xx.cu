/* C[b, i, j] = sum over k of A[b, i, k] * B[b, k, j]: a block makes 64 x 64 of C, a thread 4 x 4 of that, one
   multiply-add for every k in order. While 16 terms are multiplied, the next are fetched: A, any strides, B, any strides */
extern "C" __global__ void __launch_bounds__(256, 1) lg_matmul_f16_1_64xx(const u16 *__restrict__ a, const u16 *__restrict__ b, u16 *__restrict__ c, const Dims<i64, 18> d) {
  typedef Vec<u16, 4> Fetched;
  __shared__ __align__(16) f32 sa[2][16][68], sb[2][16][68];
  const i64 m = d[1], n = d[2], depth = d[3], ci = d[8], cj = d[9];
  const auto ai = [&](i64 x) { return x * d[4]; };
  const auto ak = [&](i64 x) { return x * d[5]; };
  const auto bk = [&](i64 x) { return x * d[6]; };
  const auto bj = [&](i64 x) { return x * d[7]; };
  const i64 tiles_n = (n + 63) / 64, tiles_m = (m + 63) / 64;
  const i64 j0 = blockIdx.x % tiles_n * 64, i0 = blockIdx.x / tiles_n % tiles_m * 64;
  i64 rest = blockIdx.x / tiles_n / tiles_m;
  { const i64 i = rest % d[10]; rest /= d[10]; a += i * d[11], b += i * d[12], c += i * d[13]; }
  /* a warp makes 16 rows of 32 columns, a thread pieces of 4 x 4: no two threads read one bank */
  const int t = threadIdx.x, row = (t / 64 * 4 + t % 32 / 8) * 4, column = (t / 32 % 2 * 8 + t % 8) * 4;
  const bool a_by_k = d[5] == 1, b_by_k = d[7] != 1 && d[6] == 1; /* neighbouring threads read neighbours in memory */
  f32 sum[4][4] = {};
  Fetched ga, gb;
  int half = 1;
  for (i64 k0 = -16; k0 < depth; k0 += 16, half ^= 1) {
    const i64 next = k0 + 16;
    if (next < depth) {
#pragma unroll
    for (int s = 0; s < 4; s++) {
      const int e = t + s * 256, o = a_by_k ? e / 16 : e % 64, k = a_by_k ? e % 16 : e / 64;
      ga.v[s] = i0 + o < m && next + k < depth ? a[ai(i0 + o) + ak(next + k)] : u16(0);
    }
#pragma unroll
    for (int s = 0; s < 4; s++) {
      const int e = t + s * 256, o = b_by_k ? e / 16 : e % 64, k = b_by_k ? e % 16 : e / 64;
      gb.v[s] = j0 + o < n && next + k < depth ? b[bj(j0 + o) + bk(next + k)] : u16(0);
    }
    }
    if (k0 >= 0) {
#pragma unroll 8
    for (int k = 0; k < 16; k++) {
      f32 x[4], y[4];
#pragma unroll
      for (int p = 0; p < 4; p += 4) {
        *(Vec<f32, 4> *)(x + p) = *(const Vec<f32, 4> *)&sa[half][k][row + p * 8];
        *(Vec<f32, 4> *)(y + p) = *(const Vec<f32, 4> *)&sb[half][k][column + p * 8];
      }
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
    }
    }
    if (next < depth) {
#pragma unroll
    for (int s = 0; s < 4; s++) {
      const int e = t + s * 256, o = a_by_k ? e / 16 : e % 64, k = a_by_k ? e % 16 : e / 64;
      sa[half ^ 1][k][o] = v_from_f16(ga.v[s]);
    }
#pragma unroll
    for (int s = 0; s < 4; s++) {
      const int e = t + s * 256, o = b_by_k ? e / 16 : e % 64, k = b_by_k ? e % 16 : e / 64;
      sb[half ^ 1][k][o] = v_from_f16(gb.v[s]);
    }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const i64 at = i0 + row + i / 4 * 32 + i % 4;
    if (at >= m) continue;
#pragma unroll
    for (int p = 0; p < 4; p += 4) {
      const i64 to = j0 + column + p * 8;
#pragma unroll
      for (int j = 0; j < 4; j++)
        if (to + j < n) c[at * ci + (to + j) * cj] = v_to_f16(sum[i][p + j]);
    }
  }
}
