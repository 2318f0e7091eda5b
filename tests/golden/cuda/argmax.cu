extern "C" __global__ void __launch_bounds__(256) lg_argmax_dbb52a7bebfe(const f32 *__restrict__ p0, i64 *__restrict__ p1, const Dims<i32, 3> d) {
  const i32 length = d[1];
  void *room = 0;
  const i32 lane = threadIdx.x & 31, begin = 0, end = length;
  const i32 row = (i32)blockIdx.x * 8 + (threadIdx.x >> 5);
  if (row >= d[0]) return;
  const i32 i0 = row;
  Best<f32> a1 = {0, -1};
#pragma unroll 4
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 128) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[2] + x0, 4);
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      { const Best<f32> b = {(f32)v0, (i64)r}; a1 = Most()(a1, b); }
    }
  }
  a1 = v_group<32>(a1, Most(), room);
  const i64 v1 = a1.at;
  if (lane == 0) {
    p1[i0] = v1;
  }
}
