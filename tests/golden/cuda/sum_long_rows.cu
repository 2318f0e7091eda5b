extern "C" __global__ void __launch_bounds__(1024) lg_sum_6796b7449446(const f32 *__restrict__ p0, f32 *__restrict__ p1, const Dims<i32, 3> d) {
  const i32 length = d[1];
  __shared__ __align__(16) i64 room[64];
  const i32 lane = threadIdx.x;
  const i32 row = blockIdx.x, begin = 0, end = length;
  const i32 i0 = row;
  f64 a1 = 0;
#pragma unroll 4
  for (i32 r0 = begin + lane * 4; r0 < end; r0 += 4096) {
    const i32 x0 = r0;
    const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[2] + x0, 4);
    #pragma unroll
    for (int k = 0; k < 4; k++) {
      const i32 i1 = x0 + k, r = r0 + k;
      const f32 v0 = l0.v[k];
      a1 = a1 + (f64)v0;
    }
  }
  a1 = v_group<1024>(a1, Sum(), room);
  const f32 v1 = (f32)a1;
  if (lane == 0) {
    p1[i0] = v1;
  }
}
