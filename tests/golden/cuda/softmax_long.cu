extern "C" __global__ void __launch_bounds__(1024) lg_max_sub_exp_sum_div_72da7f424025(const f32 *__restrict__ p0, f32 *__restrict__ p1, const Dims<i32, 5> d) {
  const i32 length = d[1];
  __shared__ __align__(16) i64 room[64];
  const i32 lane = threadIdx.x;
  const i32 row = blockIdx.x, begin = 0, end = length;
  const i32 i0 = row;
  f32 a1 = -f32(INFINITY);
  Power<f32> a4 = {-f32(INFINITY), 0};
#pragma unroll 1
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 4096) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[2] + x0, 4);
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      a1 = Max()(a1, (f32)v0);
      v_power(a4, v0);
    }
  }
  a1 = v_group<1024>(a1, Max(), room);
  a4 = v_group<1024>(a4, Powers(), room);
  const f32 v1 = (f32)a1;
  const f32 v4 = (f32)(a4.sum * exp((f64)a4.top - (f64)v1));
#pragma unroll 1
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 4096) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[3] + x0, 4);
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
    v_store(p1 + i0 * d[4] + x0, y0, 4);
  }
}
