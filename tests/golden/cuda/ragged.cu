extern "C" __global__ void __launch_bounds__(256) lg_add_a434fd6d876a(const f32 *__restrict__ p0, const f64 *__restrict__ p1, f32 *__restrict__ p2, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const f32 v1 = (f32)*p1;
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<f32, 4> l0 = v_load<4>(p0 + x0, total - f);
  Vec<f32, 4> y0 = {};
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i0 = x0 + k;
    if (f + k >= total) break;
    const f32 v0 = l0.v[k];
    const f32 v2 = (v0 + v1);
    y0.v[k] = v2;
  }
  v_store(p2 + x0, y0, total - f);
}
