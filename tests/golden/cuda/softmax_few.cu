/* pass 1: every part of a row on its own ... */
extern "C" __global__ void __launch_bounds__(256) lg_max_sub_exp_sum_div_1a70fd65c637_parts(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 7> d) {
  const i32 length = d[1];
  __shared__ __align__(16) i64 room[16];
  const i32 lane = threadIdx.x;
  const i32 row = (i32)blockIdx.x / d[3], part = (i32)blockIdx.x % d[3];
  const i32 begin = part * d[2], end = length - begin < d[2] ? length : begin + d[2];
  const i32 i0 = row;
  f32 a1 = -f32(INFINITY);
  Power<f32> a4 = {-f32(INFINITY), 0};
#pragma unroll 2
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 1024) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[4] + x0, 4);
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      a1 = Max()(a1, (f32)v0);
      v_power(a4, v0);
    }
  }
  a1 = v_group<256>(a1, Max(), room);
  a4 = v_group<256>(a4, Powers(), room);
  if (lane == 0) {
    char *at = scratch + (i32)blockIdx.x * 32;
    *(f32 *)(at + 0) = a1;
    *(Power<f32> *)(at + 16) = a4;
  }
}
/* pass 2: every part of a row on its own ... */
extern "C" __global__ void __launch_bounds__(256) lg_max_sub_exp_sum_div_1a70fd65c637_parts2(const f32 *__restrict__ p0, f32 *__restrict__ p1, char *scratch, const Dims<i32, 7> d) {
  const i32 length = d[1];
  __shared__ __align__(16) i64 room[16];
  const i32 lane = threadIdx.x;
  const i32 row = (i32)blockIdx.x / d[3], part = (i32)blockIdx.x % d[3];
  const i32 begin = part * d[2], end = length - begin < d[2] ? length : begin + d[2];
  const i32 i0 = row;
  f32 a1 = -f32(INFINITY);
  Power<f32> a4 = {-f32(INFINITY), 0};
  for (i32 q = lane; q < d[3]; q += 256) {
    const char *at = scratch + (row * d[3] + q) * 32;
    a1 = Max()(a1, *(const f32 *)(at + 0));
    a4 = Powers()(a4, *(const Power<f32> *)(at + 16));
  }
  a1 = v_group<256>(a1, Max(), room);
  a4 = v_group<256>(a4, Powers(), room);
  const f32 v1 = (f32)a1;
  const f32 v4 = (f32)(a4.sum * exp((f64)a4.top - (f64)v1));
#pragma unroll 2
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 1024) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[5] + x0, 4);
    Vec<f32, 4> y0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      const f32 v2 = (v0 - v1);
      const f32 v3 = v_exp_f32(v2);
      const f32 v5 = (v3 / v4);
      y0.v[k] = v5;
    }
    v_store(p1 + i0 * d[6] + x0, y0, 4);
  }
}
