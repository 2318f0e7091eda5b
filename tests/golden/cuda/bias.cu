extern "C" __global__ void __launch_bounds__(256) lg_add_mul_erf_add_mul_ac0bc2b86f40(const f32 *__restrict__ p0, const f32 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, const f64 *__restrict__ p4, f32 *__restrict__ p5, const Dims<i32, 5> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0] * d[1];
  const f32 v3 = (f32)*p2;
  const f32 v5 = (f32)*p3;
  const f32 v8 = (f32)*p4;
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 q1 = (i32)v_quot(f, d.v[2]);
  const i32 x0 = f - q1 * d[1];
  const i32 i0 = q1;
  const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[3] + x0, 4);
  const Vec<f32, 4> l1 = v_load<4>(p1 + x0, 4);
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i1 = x0 + k;
    const f32 v0 = l0.v[k];
    const f32 v1 = l1.v[k];
    const f32 v2 = (v0 + v1);
    const f32 v4 = (v2 * v3);
    const f32 v6 = (v2 * v5);
    const f32 v7 = v_erf_f32(v6);
    const f32 v9 = (v8 + v7);
    const f32 v10 = (v4 * v9);
    y0.v[k] = v10;
  }
  v_store(p5 + i0 * d[4] + x0, y0, 4);
}

LG_FN void lg_add_mul_erf_add_mul_ac0bc2b86f40_many32_block(const i32 block, const f32 *__restrict__ p0, const f32 *__restrict__ p1, const f64 *__restrict__ p2, const f64 *__restrict__ p3, const f64 *__restrict__ p4, f32 *__restrict__ p5, const Dims<i32, 5> d) {
  const i32 total = d[0] * d[1];
  const f32 v3 = (f32)*p2;
  const f32 v5 = (f32)*p3;
  const f32 v8 = (f32)*p4;
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 q1 = (i32)v_quot(f, d.v[2]);
  const i32 x0 = f - q1 * d[1];
  const i32 i0 = q1;
  const Vec<f32, 4> l0 = v_load<4>(p0 + i0 * d[3] + x0, 4);
  const Vec<f32, 4> l1 = v_load<4>(p1 + x0, 4);
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i1 = x0 + k;
    const f32 v0 = l0.v[k];
    const f32 v1 = l1.v[k];
    const f32 v2 = (v0 + v1);
    const f32 v4 = (v2 * v3);
    const f32 v6 = (v2 * v5);
    const f32 v7 = v_erf_f32(v6);
    const f32 v9 = (v8 + v7);
    const f32 v10 = (v4 * v9);
    y0.v[k] = v10;
  }
  v_store(p5 + i0 * d[4] + x0, y0, 4);
}
struct lg_add_mul_erf_add_mul_ac0bc2b86f40_many32_arguments { const f32 *p0; const f32 *p1; const f64 *p2; const f64 *p3; const f64 *p4; f32 *p5; Dims<i32, 5> d; };
extern "C" __global__ void __launch_bounds__(256) lg_add_mul_erf_add_mul_ac0bc2b86f40_many32(const __grid_constant__ Instances<lg_add_mul_erf_add_mul_ac0bc2b86f40_many32_arguments, 32> all) {
  const int n = all.of(blockIdx.x);
  const lg_add_mul_erf_add_mul_ac0bc2b86f40_many32_arguments &one = all.at[n];
  lg_add_mul_erf_add_mul_ac0bc2b86f40_many32_block(blockIdx.x - all.first[n], one.p0, one.p1, one.p2, one.p3, one.p4, one.p5, one.d);
}
