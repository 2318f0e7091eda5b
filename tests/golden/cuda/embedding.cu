extern "C" __global__ void __launch_bounds__(256) lg_gather_gather_cde87465ffcc(const i64 *__restrict__ p0, const f32 *__restrict__ p1, f32 *__restrict__ p2, i64 *e0, const Dims<i32, 6> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0] * d[1];
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 q1 = (i32)v_quot(f, d.v[2]);
  const i32 x0 = f - q1 * d[1];
  const i32 i0 = q1;
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i1 = x0 + k;
    const i64 v0 = p0[i0];
    const i32 j1 = (i32)v_position(v0, d[4], e0); const f32 v1 = j1 >= 0 ? p1[i1 + j1 * d[3]] : f32(0);
    y0.v[k] = v1;
  }
  v_store(p2 + i0 * d[5] + x0, y0, 4);
}
