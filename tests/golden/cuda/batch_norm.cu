/* pass 1: every part of a row on its own ... */
extern "C" __global__ void __launch_bounds__(256) lg_sum_div_sub_mul_etc_mul_692060fb40fd_parts(const f32 *__restrict__ p0, const f64 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, f32 *__restrict__ p4, char *scratch, const Dims<i32, 12> d) {
  const i32 length = d[0] * d[2];
  __shared__ __align__(16) i64 room[16];
  const i32 lane = threadIdx.x;
  const i32 row = (i32)blockIdx.x / d[4], part = (i32)blockIdx.x % d[4];
  const i32 begin = part * d[3], end = length - begin < d[3] ? length : begin + d[3];
  const i32 i1 = row;
  const f32 v2 = (f32)*p1;
  const f32 v7 = (f32)*p2;
  const f32 v9 = (f32)*p3;
  f64 a1 = 0;
  f64 a6 = 0;
#pragma unroll 4
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 1024) {
    const i32 q2 = (i32)v_quot(r0, d.v[5]);
    const i32 x0 = r0 - q2 * d[2];
    const i32 i0 = q2;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[6] + i1 * d[7] + x0, 4);
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i2 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      a1 = a1 + (f64)v0;
      a6 = a6 + (f64)v0 * (f64)v0;
    }
  }
  a1 = v_group<256>(a1, Sum(), room);
  a6 = v_group<256>(a6, Sum(), room);
  if (lane == 0) {
    char *at = scratch + (i32)blockIdx.x * 32;
    *(f64 *)(at + 0) = a1;
    *(f64 *)(at + 16) = a6;
  }
}
/* pass 2: every part of a row on its own ... */
extern "C" __global__ void __launch_bounds__(256) lg_sum_div_sub_mul_etc_mul_692060fb40fd_parts2(const f32 *__restrict__ p0, const f64 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, f32 *__restrict__ p4, char *scratch, const Dims<i32, 12> d) {
  const i32 length = d[0] * d[2];
  __shared__ __align__(16) i64 room[16];
  const i32 lane = threadIdx.x;
  const i32 row = (i32)blockIdx.x / d[4], part = (i32)blockIdx.x % d[4];
  const i32 begin = part * d[3], end = length - begin < d[3] ? length : begin + d[3];
  const i32 i1 = row;
  const f32 v2 = (f32)*p1;
  const f32 v7 = (f32)*p2;
  const f32 v9 = (f32)*p3;
  f64 a1 = 0;
  f64 a6 = 0;
  for (i32 q = lane; q < d[4]; q += 256) {
    const char *at = scratch + (row * d[4] + q) * 32;
    a1 = Sum()(a1, *(const f64 *)(at + 0));
    a6 = Sum()(a6, *(const f64 *)(at + 16));
  }
  a1 = v_group<256>(a1, Sum(), room);
  a6 = v_group<256>(a6, Sum(), room);
  const f32 v1 = (f32)a1;
  const f32 v3 = (v1 / v2);
  const f32 v6 = (f32)(v_squares(a6, a1, (f64)v3, (f64)length));
  const f32 v8 = (v6 / v7);
  const f32 v10 = (v8 + v9);
  const f32 v11 = v_rsqrt_f32(v10);
#pragma unroll 2
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 1024) {
    const i32 q2 = (i32)v_quot(r0, d.v[5]);
    const i32 x0 = r0 - q2 * d[2];
    const i32 i0 = q2;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[8] + i1 * d[9] + x0, 4);
    Vec<f32, 4> y0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i2 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      const f32 v4 = (v0 - v3);
      const f32 v12 = (v4 * v11);
      y0.v[k] = v12;
    }
    v_store(p4 + i0 * d[10] + i1 * d[11] + x0, y0, 4);
  }
}
