extern "C" __global__ void __launch_bounds__(1024) lg_sum_div_sub_mul_etc_mul_b01613d9a014(const f32 *__restrict__ p0, const f64 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, f32 *__restrict__ p4, const Dims<i32, 5> d) {
  const i32 length = d[1];
  __shared__ __align__(16) i64 room[64];
  const i32 lane = threadIdx.x;
  const i32 row = blockIdx.x, begin = 0, end = length;
  const i32 i0 = row;
  const f32 v2 = (f32)*p1;
  const f32 v7 = (f32)*p2;
  const f32 v9 = (f32)*p3;
  f64 a1 = 0;
  f64 a6 = 0;
#pragma unroll 4
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 4096) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[2] + x0, 4);
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      a1 = a1 + (f64)v0;
      a6 = a6 + (f64)v0 * (f64)v0;
    }
  }
  a1 = v_group<1024>(a1, Sum(), room);
  a6 = v_group<1024>(a6, Sum(), room);
  const f32 v1 = (f32)a1;
  const f32 v3 = (v1 / v2);
  const f32 v6 = (f32)(v_squares(a6, a1, (f64)v3, (f64)length));
  const f32 v8 = (v6 / v7);
  const f32 v10 = (v8 + v9);
  const f32 v11 = v_rsqrt_f32(v10);
#pragma unroll 1
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 4096) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[3] + x0, 4);
    Vec<f32, 4> y0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      const f32 v4 = (v0 - v3);
      const f32 v12 = (v4 * v11);
      y0.v[k] = v12;
    }
    v_store(p4 + i0 * d[4] + x0, y0, 4);
  }
}
