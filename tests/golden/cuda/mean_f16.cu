extern "C" __global__ void __launch_bounds__(256) lg_cast_sum_div_cast_fb71505fdd5e(const u16 *__restrict__ p0, const f64 *__restrict__ p1, u16 *__restrict__ p2, const Dims<i32, 3> d) {
  const i32 length = d[1];
  void *room = 0;
  const i32 lane = threadIdx.x & 31, begin = 0, end = length;
  const i32 row = (i32)blockIdx.x * 8 + (threadIdx.x >> 5);
  if (row >= d[0]) return;
  const i32 i0 = row;
  const f32 v3 = (f32)*p1;
  f64 a2 = 0;
#pragma unroll 4
  for (i32 r0 = begin + lane * 8; r0 < end; r0 += 256) {
    const i32 x0 = r0;
    const Vec<u16, 8> l0 = v_load<8>(p0 + i0 * d[2] + x0, 8);
    #pragma unroll
    for (int k = 0; k < 8; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = v_from_f16(l0.v[k]);
      const f32 v1 = v0;
      a2 = a2 + (f64)v1;
    }
  }
  a2 = v_group<32>(a2, Sum(), room);
  const f32 v2 = (f32)a2;
  const f32 v4 = (v2 / v3);
  const f32 v5 = v_rnd_f16(v4);
  if (lane == 0) {
    p2[i0] = v_to_f16(v5);
  }
}
