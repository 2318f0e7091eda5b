/* every part of a row on its own ... */
extern "C" __global__ void __launch_bounds__(256) lg_sum_dcbb4460ee17_parts(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 3> d) {
  const i32 length = d[0];
  __shared__ __align__(16) i64 room[16];
  const i32 lane = threadIdx.x;
  const i32 row = (i32)blockIdx.x / d[2], part = (i32)blockIdx.x % d[2];
  const i32 begin = part * d[1], end = length - begin < d[1] ? length : begin + d[1];
  f64 a1 = 0;
#pragma unroll 4
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 1024) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + x0, 4);
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i0 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      a1 = a1 + (f64)v0;
    }
  }
  a1 = v_group<256>(a1, Sum(), room);
  if (lane == 0) {
    char *at = scratch + (i32)blockIdx.x * 16;
    *(f64 *)(at + 0) = a1;
  }
}
/* ... then all parts of a row */
extern "C" __global__ void __launch_bounds__(256) lg_sum_dcbb4460ee17_done(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 3> d) {
  const i32 length = d[0];
  __shared__ __align__(16) i64 room[16];
  const i32 row = blockIdx.x, lane = threadIdx.x;
  f64 a1 = 0;
  for (i32 q = lane; q < d[2]; q += 256) {
    const char *at = scratch + (row * d[2] + q) * 16;
    a1 = Sum()(a1, *(const f64 *)(at + 0));
  }
  a1 = v_group<256>(a1, Sum(), room);
  const f32 v1 = (f32)a1;
  if (lane == 0) {
    p1[0] = v1;
  }
}
