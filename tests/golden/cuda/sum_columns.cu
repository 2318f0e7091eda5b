/* some rows of every column ... */
extern "C" __global__ void __launch_bounds__(512) lg_sum_7ceb591e5308_parts(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 5> d) {
  __shared__ __align__(16) i64 room[1024];
  const i32 length = d[0], columns = d[1], tiles = (columns + 127) / 128;
  const int warp = threadIdx.x >> 5;
  const i32 item = (i32)blockIdx.x / d[3], part = (i32)blockIdx.x % d[3];
  const i32 begin = part * d[2], end = length - begin < d[2] ? length : begin + d[2];
  const i32 row = item / tiles, x = (item % tiles) * 128 + (threadIdx.x & 31) * 4;
  const bool here = x < columns;
  const i32 x0 = here ? x : columns - 4;
  f64 c1[4];
#pragma unroll
  for (int k = 0; k < 4; k++) {
    f64 a1 = 0;
    c1[k] = a1;
  }
#pragma unroll 4
  for (i32 r = begin + warp; r < end; r += 16) {
    const i32 i0 = r;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[4] + x0, 4);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k;
      const f32 v0 = l0.v[k];
      f64 &a1 = c1[k];
      a1 = a1 + (f64)v0;
    }
  }
#pragma unroll
  for (int k = 0; k < 4; k++) c1[k] = v_column<16>(c1[k], Sum(), room);
  if (here && warp == 0) {
    char *at = scratch + (part * d[1] + row * columns + x) * 16;
#pragma unroll
    for (int k = 0; k < 4; k++) *(f64 *)(at + (k * 16 + 0)) = c1[k];
  }
}
/* ... then all parts of a column */
extern "C" __global__ void __launch_bounds__(512) lg_sum_7ceb591e5308_done(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 5> d) {
  __shared__ __align__(16) i64 room[1024];
  const i32 length = d[0], columns = d[1], tiles = (columns + 31) / 32;
  const int warp = threadIdx.x >> 5;
  const i32 item = blockIdx.x, begin = 0, end = length;
  const i32 row = item / tiles, x = (item % tiles) * 32 + (threadIdx.x & 31);
  const bool here = x < columns;
  const i32 i1 = here ? x : columns - 1;
  f64 a1 = 0;
  for (i32 q = warp; q < d[3]; q += 16) {
    const char *at = scratch + (q * d[1] + row * columns + i1) * 16;
    a1 = Sum()(a1, *(const f64 *)(at + 0));
  }
  a1 = v_column<16>(a1, Sum(), room);
  const f32 v1 = (f32)a1;
  if (here && warp == 0) {
    p1[i1] = v1;
  }
}
