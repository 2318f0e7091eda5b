extern "C" __global__ void __launch_bounds__(256) lg_add_sum_div_sub_etc_add_277dd616948a(const f32 *__restrict__ p0, const f32 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, const f64 *__restrict__ p4, const f32 *__restrict__ p5, const f32 *__restrict__ p6, f32 *__restrict__ p7, const Dims<i32, 5> d) {
  const i32 length = d[1];
  __shared__ __align__(16) i64 room[16];
  const i32 lane = threadIdx.x;
  const i32 row = blockIdx.x, begin = 0, end = length;
  const i32 i0 = row;
  const f32 v4 = (f32)*p2;
  const f32 v9 = (f32)*p3;
  const f32 v11 = (f32)*p4;
  f64 a3 = 0;
  Vec<f32, 4> s2[4];
#pragma unroll
  for (int u = 0; u < 4; u++) {
    const i32 r0 = (u * 256 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[2] + x0, 4);
    const Vec<f32, 4> l1 = v_load<4>(p1 + i0 * d[3] + x0, 4);
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      const f32 v1 = l1.v[k];
      const f32 v2 = (v0 + v1);
      s2[u].v[k] = v2;
      a3 = a3 + (f64)v2;
    }
  }
  a3 = v_group<256>(a3, Sum(), room);
  const f32 v3 = (f32)a3;
  const f32 v5 = (v3 / v4);
  f64 a8 = 0;
  Vec<f32, 4> s6[4];
#pragma unroll
  for (int u = 0; u < 4; u++) {
    const i32 r0 = (u * 256 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v2 = s2[u].v[k];
      const f32 v6 = (v2 - v5);
      const f32 v7 = (v6 * v6);
      s6[u].v[k] = v6;
      a8 = a8 + (f64)v7;
    }
  }
  a8 = v_group<256>(a8, Sum(), room);
  const f32 v8 = (f32)a8;
  const f32 v10 = (v8 / v9);
  const f32 v12 = (v10 + v11);
  const f32 v13 = v_rsqrt_f32(v12);
#pragma unroll
  for (int u = 0; u < 4; u++) {
    const i32 r0 = (u * 256 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    const Vec<f32, 4> l15 = v_load<4>(p5 + x0, 4);
    const Vec<f32, 4> l17 = v_load<4>(p6 + x0, 4);
    Vec<f32, 4> y0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v6 = s6[u].v[k];
      const f32 v14 = (v6 * v13);
      const f32 v15 = l15.v[k];
      const f32 v16 = (v14 * v15);
      const f32 v17 = l17.v[k];
      const f32 v18 = (v16 + v17);
      y0.v[k] = v18;
    }
    v_store(p7 + i0 * d[4] + x0, y0, 4);
  }
}
