extern "C" __global__ void __launch_bounds__(256) lg_shr_bit_and_cast_mul_11995afa9e0a(const i64 *__restrict__ p0, const i64 *__restrict__ p1, f32 *__restrict__ p2, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const i64 v0 = (i64)*p0;
  const i64 v1 = (i64)*p1;
  const i32 v3 = 8;
  const i32 v5 = 16777215;
  const f32 v8 = 5.960464477539063e-08f;
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 x0 = f;
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i0 = x0 + k;
    const i32 v2 = v_random((i64)(i0), v0, v1, 0u);
    const i32 v4 = (i32)v_shr_i32(v2, v3);
    const i32 v6 = (i32)(v4 & v5);
    const f32 v7 = (f32)v6;
    const f32 v9 = (v7 * v8);
    y0.v[k] = v9;
  }
  v_store(p2 + x0, y0, 4);
}
