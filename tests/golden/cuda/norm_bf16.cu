extern "C" __global__ void __launch_bounds__(256) lg_cast_f0dce4be8f9a(const u16 *__restrict__ p0, f32 *__restrict__ p1, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<u16, 4> l0 = v_load<4>(p0 + x0, 4);
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i0 = x0 + k;
    const f32 v0 = v_from_bf16(l0.v[k]);
    const f32 v1 = v0;
    y0.v[k] = v1;
  }
  v_store(p1 + x0, y0, 4);
}

extern "C" __global__ void __launch_bounds__(256) lg_cast_sum_div_sub_etc_cast_b97f2067e929(const u16 *__restrict__ p0, const f64 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, const f32 *__restrict__ p4, u16 *__restrict__ p5, const Dims<i32, 4> d) {
  const i32 length = d[1];
  __shared__ __align__(16) i64 room[16];
  const i32 lane = threadIdx.x;
  const i32 row = blockIdx.x, begin = 0, end = length;
  const i32 i0 = row;
  const f32 v3 = (f32)*p1;
  const f32 v8 = (f32)*p2;
  const f32 v10 = (f32)*p3;
  const f32 v16 = v_rnd_bf16(0.0f);
  f64 a2 = 0;
  Vec<u16, 4> l0[4];
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
      const f32 v0 = v_from_bf16(l0[u].v[k]);
      const f32 v1 = v0;
      a2 = a2 + (f64)v1;
    }
  }
  a2 = v_group<256>(a2, Sum(), room);
  const f32 v2 = (f32)a2;
  const f32 v4 = (v2 / v3);
  f64 a7 = 0;
  Vec<f32, 4> s5[4];
#pragma unroll
  for (int u = 0; u < 4; u++) {
    const i32 r0 = (u * 256 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = v_from_bf16(l0[u].v[k]);
      const f32 v1 = v0;
      const f32 v5 = (v1 - v4);
      const f32 v6 = (v5 * v5);
      s5[u].v[k] = v5;
      a7 = a7 + (f64)v6;
    }
  }
  a7 = v_group<256>(a7, Sum(), room);
  const f32 v7 = (f32)a7;
  const f32 v9 = (v7 / v8);
  const f32 v11 = (v9 + v10);
  const f32 v12 = v_rsqrt_f32(v11);
#pragma unroll
  for (int u = 0; u < 4; u++) {
    const i32 r0 = (u * 256 + lane) * 4;
    if (r0 >= end) break;
    const i32 x0 = r0;
    const Vec<f32, 4> l14 = v_load<4>(p4 + x0, 4);
    Vec<u16, 4> y0;
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v5 = s5[u].v[k];
      const f32 v13 = (v5 * v12);
      const f32 v14 = l14.v[k];
      const f32 v15 = (v13 * v14);
      const f32 v17 = v16;
      const f32 v18 = (v15 + v17);
      const f32 v19 = v_rnd_bf16(v18);
      y0.v[k] = v_to_bf16(v19);
    }
    v_store(p5 + i0 * d[3] + x0, y0, 4);
  }
}
