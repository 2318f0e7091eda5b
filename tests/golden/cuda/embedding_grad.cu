extern "C" __global__ void __launch_bounds__(256) lg_copy_4164519fa809(const f32 *__restrict__ p0, f32 *__restrict__ p1, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const i32 f = (i32)block * 1024 + (i32)threadIdx.x * 4;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<f32, 4> l0 = v_load<4>(p0 + x0, 4);
  Vec<f32, 4> y0;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const i32 i0 = x0 + k;
    const f32 v0 = l0.v[k];
    const f32 v1 = v0;
    y0.v[k] = v1;
  }
  v_store(p1 + x0, y0, 4);
}

extern "C" __global__ void __launch_bounds__(256) lg_lt_add_where_85bc1d8ee37e(const i64 *__restrict__ p0, const i64 *__restrict__ p1, i64 *__restrict__ p2, const Dims<i32, 1> d) {
  const i32 block = blockIdx.x;
  const i32 total = d[0];
  const i64 v1 = 0LL;
  const i64 v3 = (i64)*p1;
  const i32 f = (i32)block * 512 + (i32)threadIdx.x * 2;
  if (f >= total) return;
  const i32 x0 = f;
  const Vec<i64, 2> l0 = v_load<2>(p0 + x0, 2);
  Vec<i64, 2> y0;
#pragma unroll
  for (int k = 0; k < 2; k++) {
    const i32 i0 = x0 + k;
    const i64 v0 = l0.v[k];
    const i32 v2 = -(i32)(v0 < v1);
    const i64 v4 = (i64)((u64)v0 + (u64)v3);
    const i64 v5 = (i64)v_sel_i64(v2, v4, v0);
    y0.v[k] = v5;
  }
  v_store(p2 + x0, y0, 2);
}

/* What is scattered is sorted by its place, stably: a block sorts 1024 items ... */
extern "C" __global__ void __launch_bounds__(256) lg_scatter_add_05aec00151a4_sort(const i64 *__restrict__ p0, const f32 *__restrict__ p1, f32 *__restrict__ p2, i64 *e0, char *scratch, const Dims<i32, 8> d) {
  __shared__ u32 keys[2][1024];
  __shared__ u16 order[2][1024];
  const i32 n = d[0], first = (i32)blockIdx.x * 1024;
  const int m = min(n - first, 1024);
  for (int i = threadIdx.x; i < m; i += 256) {
    const i32 r = first + i;
    const i32 i0 = r;
    const i64 v0 = p0[i0];
    keys[0][i] = (u32)v_position(v0, d[3], e0); /* the largest where there is no such place */
    order[0][i] = (u16)i;
  }
  const int now = v_sort(keys, order, m);
  for (int i = threadIdx.x; i < m; i += 256) {
    ((u32 *)scratch)[first + i] = keys[now][i];
    ((u32 *)scratch)[2 * n + first + i] = (u32)(first + order[now][i]);
  }
}
/* ... then sorted runs are merged by twos, from one half of the memory to the other ... */
extern "C" __global__ void __launch_bounds__(256) lg_scatter_add_05aec00151a4_merge(const i64 *__restrict__ p0, const f32 *__restrict__ p1, f32 *__restrict__ p2, i64 *e0, char *scratch, const Dims<i32, 8> d) {
  const i32 n = d[0], width = d[6], half = d[7] * n;
  const i32 i = (i32)blockIdx.x * 256 + (i32)threadIdx.x;
  if (i >= n) return;
  u32 *keys = (u32 *)scratch, *order = keys + 2 * n;
  const i32 start = i & -2 * width, middle = min(start + width, n), end = min(start + 2 * width, n);
  const i32 to = n - half + v_merged(keys + half, i, start, middle, end);
  keys[to] = keys[half + i];
  order[to] = order[half + i];
}
/* ... and a thread writes all that goes to one place, in the order in which it came */
extern "C" __global__ void __launch_bounds__(256) lg_scatter_add_05aec00151a4(const i64 *__restrict__ p0, const f32 *__restrict__ p1, f32 *__restrict__ p2, i64 *e0, char *scratch, const Dims<i32, 8> d) {
  const i32 others = d[1], n = d[0], half = d[7] * n;
  const i32 f = (i32)blockIdx.x * 256 + (i32)threadIdx.x;
  const i32 at = (i32)v_quot(f, d.v[4]), row = f - at * others;
  if (at >= n) return;
  const u32 *keys = (const u32 *)scratch + half, *order = (const u32 *)scratch + 2 * n + half;
  const u32 j = keys[at];
  if (j == 0xffffffffu || (at > 0 && keys[at - 1] == j)) return;
  const i32 i1 = row;
  f32 *target = p2 + i1 + (i32)j * d[2];
  f32 made = *target;
  const i32 end = v_run_end(keys, at, n);
#pragma unroll 8
  for (i32 q = at; q < end; q++) {
    const i32 r = (i32)order[q];
    const i32 i0 = r;
    const f32 v1 = p1[i0 * d[5] + i1];
    made = (f32)(made + v1);
  }
  *target = made;
}
