/* some rows of every column ... */
extern "C" __global__ void __launch_bounds__(256) lg_sum_f0a9a0802fc7_parts(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 5> d) {
  __shared__ __align__(16) i64 room[512];
  const i32 length = d[0], columns = d[1], tiles = (columns + 31) / 32;
  const int warp = threadIdx.x >> 5;
  const i32 item = (i32)blockIdx.x / d[3], part = (i32)blockIdx.x % d[3];
  const i32 begin = part * d[2], end = length - begin < d[2] ? length : begin + d[2];
  const i32 row = item / tiles, x = (item % tiles) * 32 + (threadIdx.x & 31);
  const bool here = x < columns;
  const i32 i1 = here ? x : columns - 1;
  f64 a1 = 0;
#pragma unroll 4
  for (i32 r = begin + warp; r < end; r += 8) {
    const i32 i0 = r;
    const f32 v0 = p0[i0 * d[4] + i1];
    a1 = a1 + (f64)v0;
  }
  a1 = v_column<8>(a1, Sum(), room);
  if (here && warp == 0) {
    { char *q = scratch + ((part * d[1] + row * columns + x) * 1 + 0) * 16; *(f64 *)q = a1; }
  }
}
/* ... then all parts of a column */
extern "C" __global__ void __launch_bounds__(256) lg_sum_f0a9a0802fc7_done(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 5> d) {
  const i32 columns = d[1], at = (i32)blockIdx.x * 256 + (i32)threadIdx.x;
  if (at >= d[1]) return;
  const i32 row = at / columns, i1 = at % columns;
  f64 a1 = 0;
  for (i32 part = 0; part < d[3]; part++) {
    { const char *q = scratch + ((part * d[1] + at) * 1 + 0) * 16; a1 = Sum()(a1, *(const f64 *)q); }
  }
  const f32 v1 = (f32)a1;
  p1[i1] = v1;
}
