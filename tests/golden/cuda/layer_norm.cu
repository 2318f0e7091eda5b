extern "C" __global__ void __launch_bounds__(256) lg_sum_div_sub_mul_etc_mul_042b203112a3(const f32 *__restrict__ p0, const f64 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, f32 *__restrict__ p4, const Dims<i32, 4> d) {
  const i32 length = d[1];
  void *room = 0;
  const i32 lane = threadIdx.x & 31, begin = 0, end = length;
  const i32 row = (i32)blockIdx.x * 8 + (threadIdx.x >> 5);
  if (row >= d[0]) return;
  const i32 i0 = row;
  const f32 v2 = (f32)*p1;
  const f32 v7 = (f32)*p2;
  const f32 v9 = (f32)*p3;
  f64 a1 = 0;
  Vec<f32, 4> l0[8];
#pragma unroll
  for (int u = 0; u < 8; u++) { /* the row: it stays in registers */
    const i32 r0 = (u * 32 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    l0[u] = v_load<4>(p0 + i0 * d[2] + x0, 4);
  }
#pragma unroll
  for (int u = 0; u < 8; u++) {
    const i32 r0 = (u * 32 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0[u].v[k];
      a1 = a1 + (f64)v0;
    }
  }
  a1 = v_group<32>(a1, Sum(), room);
  const f32 v1 = (f32)a1;
  const f32 v3 = (v1 / v2);
  f64 a6 = 0;
  Vec<f32, 4> s4[8];
#pragma unroll
  for (int u = 0; u < 8; u++) {
    const i32 r0 = (u * 32 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0[u].v[k];
      const f32 v4 = (v0 - v3);
      const f32 v5 = (v4 * v4);
      s4[u].v[k] = v4;
      a6 = a6 + (f64)v5;
    }
  }
  a6 = v_group<32>(a6, Sum(), room);
  const f32 v6 = (f32)a6;
  const f32 v8 = (v6 / v7);
  const f32 v10 = (v8 + v9);
  const f32 v11 = v_rsqrt_f32(v10);
#pragma unroll
  for (int u = 0; u < 8; u++) {
    const i32 r0 = (u * 32 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    Vec<f32, 4> y0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v4 = s4[u].v[k];
      const f32 v12 = (v4 * v11);
      y0.v[k] = v12;
    }
    v_store(p4 + i0 * d[3] + x0, y0, 4);
  }
}
