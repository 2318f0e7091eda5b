extern "C" __global__ void __launch_bounds__(256) lg_add_0bbbcf8c47b9(const f32 *__restrict__ p0, const f32 *__restrict__ p1, f32 *__restrict__ p2, const Dims<i32, 5> d) {
  __shared__ f32 t0[32][33];
  const i32 across = d[0], along = d[1]; /* extents of the crossing axis and the innermost one */
  const i32 tiles_along = (along + 31) / 32, tiles_across = (across + 31) / 32;
  const i32 item = (i32)blockIdx.x / tiles_along, row = item / tiles_across;
  const i32 from_along = (i32)blockIdx.x % tiles_along * 32, from_across = item % tiles_across * 32;
  const i32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  for (i32 s = warp; s < 32; s += 8) {
    const i32 i0 = from_across + lane, i1 = from_along + s;
    if (i0 < across && i1 < along) {
      t0[s][lane] = p0[i0 + i1 * d[2]];
    }
  }
  __syncthreads();
  for (i32 s = warp; s < 32; s += 8) {
    const i32 i0 = from_across + s, i1 = from_along + lane;
    if (i0 >= across || i1 >= along) continue;
    const f32 v0 = t0[lane][s];
    const f32 v1 = p1[i0 * d[3] + i1];
    const f32 v2 = (v0 + v1);
    p2[i0 * d[4] + i1] = v2;
  }
}
