extern "C" __global__ void __launch_bounds__(256) lg_copy_7eb958b3e699(const i64 *__restrict__ p0, const i64 *__restrict__ p1, f32 *__restrict__ p2, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const i64 v0 = (i64)*p0;
  const i64 v1 = (i64)*p1;
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 x0 = f;
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i0 = x0 + k;
    const f32 v2 = v_normal((i64)(i0), v0, v1, 0u);
    const f32 v3 = v2;
    y0.v[k] = v3;
  }
  v_store(p2 + x0, y0, 4);
}
