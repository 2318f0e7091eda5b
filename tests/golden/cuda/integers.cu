extern "C" __global__ void __launch_bounds__(256) lg_floordiv_add_24e06dbde5cd(const i64 *__restrict__ p0, const i64 *__restrict__ p1, const i64 *__restrict__ p2, i64 *__restrict__ p3, i64 *e0, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const i64 v1 = (i64)*p1;
  const i64 v3 = (i64)*p2;
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
    const i64 v2 = (i64)v_floordiv_i64(v0, v1, e0);
    const i64 v4 = (i64)((u64)v2 + (u64)v3);
    y0.v[k] = v4;
  }
  v_store(p3 + x0, y0, total - f);
}
