extern "C" __global__ void __launch_bounds__(256) lg_max_sub_exp_sum_div_fe0852415fc0(const f32 *__restrict__ p0, f32 *__restrict__ p1, const Dims<i32, 4> d) {
  const i32 length = d[1];
  void *room = 0;
  const i32 lane = threadIdx.x & 31, begin = 0, end = length;
  const i32 row = (i32)blockIdx.x * 8 + (threadIdx.x >> 5);
  if (row >= d[0]) return;
  const i32 i0 = row;
  f32 a1 = -f32(INFINITY);
  Vec<f32, 1> l0[32];
#pragma unroll
  for (int u = 0; u < 32; u++) { /* the row: it stays in registers */
    const i32 r0 = (u * 32 + lane) * 1;
    if (r0 >= end) break;
    const i32 x0 = r0;
    const i32 i1 = x0;
    l0[u] = v_load<1>(p0 + i0 * d[2] + x0, 1);
  }
#pragma unroll
  for (int u = 0; u < 32; u++) {
    const i32 r0 = (u * 32 + lane) * 1;
    if (r0 >= end) break;
    const i32 x0 = r0;
    const i32 i1 = x0, r = r0;
    const f32 v0 = l0[u].v[0];
    a1 = Max()(a1, (f32)v0);
  }
  a1 = v_group<32>(a1, Max(), room);
  const f32 v1 = (f32)a1;
  f64 a4 = 0;
  Vec<f32, 1> s3[32];
#pragma unroll
  for (int u = 0; u < 32; u++) {
    const i32 r0 = (u * 32 + lane) * 1;
    if (r0 >= end) break;
    const i32 x0 = r0;
    const i32 i1 = x0, r = r0;
    const f32 v0 = l0[u].v[0];
    const f32 v2 = (v0 - v1);
    const f32 v3 = v_exp_f32(v2);
    s3[u].v[0] = v3;
    a4 = a4 + (f64)v3;
  }
  a4 = v_group<32>(a4, Sum(), room);
  const f32 v4 = (f32)a4;
#pragma unroll
  for (int u = 0; u < 32; u++) {
    const i32 r0 = (u * 32 + lane) * 1;
    if (r0 >= end) break;
    const i32 x0 = r0;
    const i32 i1 = x0, r = r0;
    const f32 v3 = s3[u].v[0];
    const f32 v5 = (v3 / v4);
    p1[i0 * d[3] + i1] = v5;
  }
}
