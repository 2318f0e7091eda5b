/* pass 1: some rows of every column ... */
extern "C" __global__ void __launch_bounds__(512) lg_max_sub_exp_sum_div_f0f9e7768abe_parts(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 7> d) {
  __shared__ __align__(16) i64 room[1024];
  const i32 length = d[0], columns = d[1], tiles = (columns + 31) / 32;
  const int warp = threadIdx.x >> 5;
  const i32 item = (i32)blockIdx.x / d[3], part = (i32)blockIdx.x % d[3];
  const i32 begin = part * d[2], end = length - begin < d[2] ? length : begin + d[2];
  const i32 row = item / tiles, x = (item % tiles) * 32 + (threadIdx.x & 31);
  const bool here = x < columns;
  const i32 i1 = here ? x : columns - 1;
  f32 a1 = -f32(INFINITY);
  Power<f32> a4 = {-f32(INFINITY), 0};
#pragma unroll 2
  for (i32 r = begin + warp; r < end; r += 16) {
    const i32 i0 = r;
    const f32 v0 = p0[i0 * d[4] + i1];
    a1 = Max()(a1, (f32)v0);
    v_power(a4, v0);
  }
  a1 = v_column<16>(a1, Max(), room);
  a4 = v_column<16>(a4, Powers(), room);
  if (here && warp == 0) {
    char *at = scratch + (part * d[1] + row * columns + x) * 32;
    *(f32 *)(at + 0) = a1;
    *(Power<f32> *)(at + 16) = a4;
  }
}
/* pass 2: some rows of every column ... */
extern "C" __global__ void __launch_bounds__(512) lg_max_sub_exp_sum_div_f0f9e7768abe_parts2(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 7> d) {
  __shared__ __align__(16) i64 room[1024];
  const i32 length = d[0], columns = d[1], tiles = (columns + 31) / 32;
  const int warp = threadIdx.x >> 5;
  const i32 item = (i32)blockIdx.x / d[3], part = (i32)blockIdx.x % d[3];
  const i32 begin = part * d[2], end = length - begin < d[2] ? length : begin + d[2];
  const i32 row = item / tiles, x = (item % tiles) * 32 + (threadIdx.x & 31);
  const bool here = x < columns;
  const i32 i1 = here ? x : columns - 1;
  f32 a1 = -f32(INFINITY);
  Power<f32> a4 = {-f32(INFINITY), 0};
  for (i32 q = warp; q < d[3]; q += 16) {
    const char *at = scratch + (q * d[1] + row * columns + i1) * 32;
    a1 = Max()(a1, *(const f32 *)(at + 0));
    a4 = Powers()(a4, *(const Power<f32> *)(at + 16));
  }
  a1 = v_column<16>(a1, Max(), room);
  a4 = v_column<16>(a4, Powers(), room);
  const f32 v1 = (f32)a1;
  const f32 v4 = (f32)(a4.sum * exp((f64)a4.top - (f64)v1));
#pragma unroll 2
  for (i32 r = begin + warp; r < end; r += 16) {
    const i32 i0 = r;
    const f32 v0 = p0[i0 * d[5] + i1];
    const f32 v2 = (v0 - v1);
    const f32 v3 = v_exp_f32(v2);
    const f32 v5 = (v3 / v4);
    if (here) {
      p1[i0 * d[6] + i1] = v5;
    }
  }
}
