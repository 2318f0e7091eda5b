extern "C" __global__ void __launch_bounds__(256) lg_mul_add_tanh_066ac1dbe502(const f32 *__restrict__ p0, const f64 *__restrict__ p1, const f32 *__restrict__ p2, f32 *__restrict__ p3, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const f32 v1 = (f32)*p1;
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<f32, 4> l0 = v_load<4>(p0 + x0, 4);
  const Vec<f32, 4> l3 = v_load<4>(p2 + x0, 4);
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i0 = x0 + k;
    const f32 v0 = l0.v[k];
    const f32 v2 = (v0 * v1);
    const f32 v3 = l3.v[k];
    const f32 v4 = (v2 + v3);
    const f32 v5 = v_tanh_f32(v4);
    y0.v[k] = v5;
  }
  v_store(p3 + x0, y0, 4);
}
