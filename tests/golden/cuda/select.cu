extern "C" __global__ void __launch_bounds__(256) lg_lt_where_0cf64e9f5fb0(const f64 *__restrict__ p0, const f32 *__restrict__ p1, const f32 *__restrict__ p2, const f32 *__restrict__ p3, f32 *__restrict__ p4, const Dims<i32, 6> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0] * d[1];
  const f32 v0 = (f32)*p0;
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 q1 = (i32)v_quot(f, d.v[2]);
  const i32 x0 = f - q1 * d[1];
  const i32 i0 = q1;
  const Vec<f32, 4> l1 = v_load<4>(p1 + i0 * d[3] + x0, 4);
  const Vec<f32, 4> l3 = v_load<4>(p2 + i0 * d[4] + x0, 4);
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i1 = x0 + k;
    const f32 v1 = l1.v[k];
    const i32 v2 = -(i32)(v0 < v1);
    const f32 v3 = l3.v[k];
    const f32 v4 = p3[i0];
    const f32 v5 = v_sel_f32(v2, v3, v4);
    y0.v[k] = v5;
  }
  v_store(p4 + i0 * d[5] + x0, y0, 4);
}
