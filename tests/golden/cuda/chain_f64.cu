extern "C" __global__ void __launch_bounds__(256) lg_exp_add_fbe5901bc873(const f64 *__restrict__ p0, const f64 *__restrict__ p1, f64 *__restrict__ p2, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const f64 v2 = (f64)*p1;
  const i32 f = (i32)block * 512 + (i32)threadIdx.x * 2;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<f64, 2> l0 = v_load<2>(p0 + x0, 2);
  Vec<f64, 2> y0;
#pragma unroll
  for (int k = 0; k < 2; k++) {
    const i32 i0 = x0 + k;
    const f64 v0 = l0.v[k];
    const f64 v1 = v_exp_f64(v0);
    const f64 v3 = (v1 + v2);
    y0.v[k] = v3;
  }
  v_store(p2 + x0, y0, 2);
}
