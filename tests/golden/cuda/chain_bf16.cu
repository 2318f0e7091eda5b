extern "C" __global__ void __launch_bounds__(256) lg_cast_mul_cast_le_where_ba104e687cb2(const u16 *__restrict__ p0, const f64 *__restrict__ p1, u16 *__restrict__ p2, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const f32 v2 = (f32)*p1;
  const f32 v5 = v_rnd_bf16(0.0f);
  const i32 f = (i32)block * 2048 + (i32)threadIdx.x * 8;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<u16, 8> l0 = v_load<8>(p0 + x0, 8);
  Vec<u16, 8> y0;
#pragma unroll
  for (int k = 0; k < 8; k++) {
    const i32 i0 = x0 + k;
    const f32 v0 = v_from_bf16(l0.v[k]);
    const f32 v1 = v0;
    const f32 v3 = (v1 * v2);
    const f32 v4 = v_rnd_bf16(v3);
    const i32 v6 = -(i32)(v4 <= v5);
    const f32 v7 = v_sel_f32(v6, v5, v4);
    y0.v[k] = v_to_bf16(v7);
  }
  v_store(p2 + x0, y0, 8);
}
