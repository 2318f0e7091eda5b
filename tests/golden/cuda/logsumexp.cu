extern "C" __global__ void __launch_bounds__(256) lg_max_abs_lt_where_etc_add_1d7162d79cb9(const f32 *__restrict__ p0, f32 *__restrict__ p1, const Dims<i32, 3> d) {
  const i32 length = d[1];
  __shared__ __align__(16) i64 room[16];
  const i32 lane = threadIdx.x;
  const i32 row = blockIdx.x, begin = 0, end = length;
  const i32 i0 = row;
  const f32 v3 = f32(INFINITY);
  const f32 v5 = 0.0f;
  f32 a1 = -f32(INFINITY);
  Vec<f32, 4> l0[4];
#pragma unroll
  for (int u = 0; u < 4; u++) { /* the row: it stays in registers */
    const i32 r0 = (u * 256 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    l0[u] = v_load<4>(p0 + i0 * d[2] + x0, 4);
  }
#pragma unroll
  for (int u = 0; u < 4; u++) {
    const i32 r0 = (u * 256 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0[u].v[k];
      a1 = Max()(a1, (f32)v0);
    }
  }
  a1 = v_group<256>(a1, Max(), room);
  const f32 v1 = (f32)a1;
  const f32 v2 = v_abs_f32(v1);
  const i32 v4 = -(i32)(v2 < v3);
  const f32 v6 = v_sel_f32(v4, v1, v5);
  f64 a9 = 0;
#pragma unroll
  for (int u = 0; u < 4; u++) {
    const i32 r0 = (u * 256 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0[u].v[k];
      const f32 v7 = (v0 - v6);
      const f32 v8 = v_exp_f32(v7);
      a9 = a9 + (f64)v8;
    }
  }
  a9 = v_group<256>(a9, Sum(), room);
  const f32 v9 = (f32)a9;
  const f32 v10 = v_log_f32(v9);
  const f32 v11 = (v10 + v6);
  if (lane == 0) {
    p1[i0] = v11;
  }
}
