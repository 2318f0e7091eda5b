LG_FN void lg_add_01cd74b4e632_block(const i32 block, const f32 *__restrict__ p0, const f64 *__restrict__ p1, f32 *__restrict__ p2, const Dims<i32, 1> d) {
  const i32 total = d[0];
  const f32 v1 = (f32)*p1;
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<f32, 4> l0 = v_load<4>(p0 + x0, total - f);
  Vec<f32, 4> y0 = {};
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i0 = x0 + k;
    if (f + k >= total) break;
    const f32 v0 = l0.v[k];
    const f32 v2 = (v0 + v1);
    y0.v[k] = v2;
  }
  v_store(p2 + x0, y0, total - f);
}
extern "C" __global__ void __launch_bounds__(256) lg_add_01cd74b4e632(const f32 *__restrict__ p0, const f64 *__restrict__ p1, f32 *__restrict__ p2, const Dims<i32, 1> d) {
  lg_add_01cd74b4e632_block(blockIdx.x, p0, p1, p2, d);
}
struct lg_add_01cd74b4e632_arguments { const f32 *p0; const f64 *p1; f32 *p2; Dims<i32, 1> d; };
extern "C" __global__ void __launch_bounds__(256) lg_add_01cd74b4e632_many(const __grid_constant__ Instances<lg_add_01cd74b4e632_arguments, 32> all) {
  const int n = all.of(blockIdx.x);
  const lg_add_01cd74b4e632_arguments &one = all.at[n];
  lg_add_01cd74b4e632_block(blockIdx.x - all.first[n], one.p0, one.p1, one.p2, one.d);
}
