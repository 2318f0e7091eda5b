extern "C" __global__ void __launch_bounds__(256) lg_add_2b89bc1db2d8(const f32 *__restrict__ p0, const f64 *__restrict__ p1, f32 *__restrict__ p2, const Dims<i32, 10> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0] * d[1];
  const f32 v1 = (f32)*p1;
  const i32 f = (i32)block * 256 + (i32)threadIdx.x * 1;
  if (f >= total) return;
  const i32 q1 = (i32)v_quot(f, d.v[2]);
  const i32 x0 = f - q1 * d[1];
  const i32 i0 = q1;
  const i32 i1 = x0;
  const f32 v0 = i0 >= d[5] && i0 < d[6] && i1 >= d[7] && i1 < d[8] ? p0[d[3] + i0 * d[4] + i1] : f32(0);
  const f32 v2 = (v0 + v1);
  p2[i0 * d[9] + i1] = v2;
}
