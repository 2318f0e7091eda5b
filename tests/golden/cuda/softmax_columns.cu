extern "C" __global__ void __launch_bounds__(256) lg_max_sub_exp_sum_div_86a17510f129(const f32 *__restrict__ p0, f32 *__restrict__ p1, const Dims<i32, 6> d) {
  __shared__ __align__(16) i64 room[512];
  const i32 length = d[0], columns = d[1], tiles = (columns + 31) / 32;
  const int warp = threadIdx.x >> 5;
  const i32 item = blockIdx.x, begin = 0, end = length;
  const i32 row = item / tiles, x = (item % tiles) * 32 + (threadIdx.x & 31);
  const bool here = x < columns;
  const i32 i1 = here ? x : columns - 1;
  f32 a1 = -f32(INFINITY);
#pragma unroll 4
  for (i32 r = begin + warp; r < end; r += 8) {
    const i32 i0 = r;
    const f32 v0 = p0[i0 * d[2] + i1];
    a1 = Max()(a1, (f32)v0);
  }
  a1 = v_column<8>(a1, Max(), room);
  const f32 v1 = (f32)a1;
  f64 a4 = 0;
#pragma unroll 4
  for (i32 r = begin + warp; r < end; r += 8) {
    const i32 i0 = r;
    const f32 v0 = p0[i0 * d[3] + i1];
    const f32 v2 = (v0 - v1);
    const f32 v3 = v_exp_f32(v2);
    a4 = a4 + (f64)v3;
  }
  a4 = v_column<8>(a4, Sum(), room);
  const f32 v4 = (f32)a4;
#pragma unroll 4
  for (i32 r = begin + warp; r < end; r += 8) {
    const i32 i0 = r;
    const f32 v0 = p0[i0 * d[4] + i1];
    const f32 v2 = (v0 - v1);
    const f32 v3 = v_exp_f32(v2);
    const f32 v5 = (v3 / v4);
    if (here) {
      p1[i0 * d[5] + i1] = v5;
    }
  }
}
