extern "C" __global__ void __launch_bounds__(256) lg_mul_add_d3983756c7de(const f32 *__restrict__ p0, const f32 *__restrict__ p1, const f64 *__restrict__ p2, f32 *__restrict__ p3, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const f32 v3 = (f32)*p2;
  const i32 start = (i32)block * 2048 + (i32)threadIdx.x * 4;
  Vec<f32, 4> l0[2];
  Vec<f32, 4> l1[2];
#pragma unroll
  for (int u = 0; u < 2; u++) {
    const i32 f = start + u * 1024;
    if (f >= total) break;
    const i32 x0 = f;
    l0[u] = v_load<4>(p0 + x0, 4);
    l1[u] = v_load<4>(p1 + x0, 4);
  }
#pragma unroll
  for (int u = 0; u < 2; u++) {
    const i32 f = start + u * 1024;
    if (f >= total) break;
    const i32 x0 = f;
    Vec<f32, 4> y0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i0 = x0 + k;
      const f32 v0 = l0[u].v[k];
      const f32 v1 = l1[u].v[k];
      const f32 v2 = (v0 * v1);
      const f32 v4 = (v2 + v3);
      y0.v[k] = v4;
    }
    v_store(p3 + x0, y0, 4);
  }
}
