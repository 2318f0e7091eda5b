extern "C" __global__ void __launch_bounds__(256) lg_copy_4164519fa809(const f32 *__restrict__ p0, f32 *__restrict__ p1, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<f32, 4> l0 = v_load<4>(p0 + x0, 4);
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i0 = x0 + k;
    const f32 v0 = l0.v[k];
    const f32 v1 = v0;
    y0.v[k] = v1;
  }
  v_store(p1 + x0, y0, 4);
}

extern "C" __global__ void __launch_bounds__(256) lg_lt_add_where_a0b2b7ba18e1(const i64 *__restrict__ p0, const i64 *__restrict__ p1, i64 *__restrict__ p2, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const i64 v1 = 0LL;
  const i64 v3 = (i64)*p1;
  const i32 f = (i32)block * 512 + (i32)threadIdx.x * 2;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<i64, 2> l0 = v_load<2>(p0 + x0, total - f);
  Vec<i64, 2> y0 = {};
#pragma unroll
  for (int k = 0; k < 2; k++) {
    const i32 i0 = x0 + k;
    if (f + k >= total) break;
    const i64 v0 = l0.v[k];
    const i32 v2 = -(i32)(v0 < v1);
    const i64 v4 = (i64)((u64)v0 + (u64)v3);
    const i64 v5 = (i64)v_sel_i64(v2, v4, v0);
    y0.v[k] = v5;
  }
  v_store(p2 + x0, y0, total - f);
}

/* a place in memory belongs to one thread, which writes to it in order */
extern "C" __global__ void __launch_bounds__(256) lg_scatter_add_b8a1dfec02bc(const i64 *__restrict__ p0, const f32 *__restrict__ p1, f32 *__restrict__ p2, i64 *e0, const Dims<i32, 7> d) {
  const i32 others = d[1], walked = d[0];
  const i32 blocks = (others + 255) / 256;
  const i32 row = ((i32)blockIdx.x % blocks) * 256 + (i32)threadIdx.x;
  const i32 share = (i32)blockIdx.x / blocks, shares = d[3];
  if (row >= others) return;
  const i32 i1 = row;
  for (i32 r = 0; r < walked; r++) {
    const i32 i0 = r;
    const i64 v0 = p0[i0];
    const i32 j = (i32)v_position(v0, d[2], e0);
    if (j < 0 || (j & (shares - 1)) != share) continue;
    const f32 v1 = p1[i0 * d[4] + i1];
    { const i32 j = (i32)v_position(v0, d[6], e0); if (j >= 0) p2[i1 + j * d[5]] = (f32)(p2[i1 + j * d[5]] + v1); }
  }
}
