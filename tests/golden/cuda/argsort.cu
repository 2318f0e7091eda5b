/* The positions that sort rows of n u32, `inner` elements apart, of the ranks from d[8] on, d[9] of them. Stable: keys are unsigned integers of the same
   order (NaN last, -0 equal to 0, all bits inverted to descend). A block sorts 1024 elements ... */
extern "C" __global__ void __launch_bounds__(256) lg_argsort_f32(const u32 *__restrict__ x, i64 *__restrict__ y, char *__restrict__ scratch, const Dims<i64, 10> d) {
  __shared__ u32 keys[2][1024];
  __shared__ u16 order[2][1024];
  const i64 n = d[0], inner = d[1], rows = d[2], tiles = d[4];
  const u32 flip = d[3] ? (u32)-1 : (u32)0;
  const i64 row = blockIdx.x / tiles, first = blockIdx.x % tiles * 1024;
  const int m = n - first < 1024 ? (int)(n - first) : 1024;
  const i64 base = row / inner * n * inner + row % inner;
  for (int i = threadIdx.x; i < m; i += blockDim.x) {
    u32 u = x[base + (first + i) * inner];
    const u32 size = u & (u32)~((u32)1 << 31); u = size == 0 ? ((u32)1 << 31) : size > 0x7f800000ull ? (u32)-1 : u & ((u32)1 << 31) ? (u32)~u : (u32)(u | ((u32)1 << 31));
    keys[0][i] = u ^ flip;
    order[0][i] = (u16)i;
  }
  const int now = v_sort(keys, order, m);
  for (int i = threadIdx.x; i < m; i += blockDim.x) {
    if (tiles == 1) {
      if (i >= d[8] && i < d[8] + d[9]) y[(row / inner * d[9] + i - d[8]) * inner + row % inner] = order[now][i];
    } else {
      ((u32 *)scratch)[row * n + first + i] = keys[now][i];
      ((u32 *)(scratch + 2 * rows * n * sizeof(u32) / 16 * 16 + 16))[row * n + first + i] = (u32)first + order[now][i];
    }
  }
}
/* ... then all sorted runs of so many elements of all rows are merged by twos, in as many launches as it takes */
extern "C" __global__ void __launch_bounds__(256) lg_argsort_f32_merge(const u32 *__restrict__ x, i64 *__restrict__ y, char *scratch, const Dims<i64, 10> d) {
  const i64 n = d[0], inner = d[1], rows = d[2], width = d[5], place = d[6];
  const i64 item = (i64)blockIdx.x * 256 + threadIdx.x;
  if (item >= rows * n) return;
  const i64 row = item / n, i = item - row * n;
  u32 *keys = (u32 *)scratch + place * rows * n + row * n, *others = (u32 *)scratch + (1 - place) * rows * n + row * n;
  u32 *order = (u32 *)(scratch + 2 * rows * n * sizeof(u32) / 16 * 16 + 16) + place * rows * n + row * n;
  u32 *orders = (u32 *)(scratch + 2 * rows * n * sizeof(u32) / 16 * 16 + 16) + (1 - place) * rows * n + row * n;
  const i64 start = i & -2 * width, middle = min(start + width, n), end = min(start + 2 * width, n);
  const i64 to = v_merged(keys, i, start, middle, end);
  if (d[7]) {
    if (to >= d[8] && to < d[8] + d[9]) y[(row / inner * d[9] + to - d[8]) * inner + row % inner] = order[i];
  } else {
    others[to] = keys[i];
    orders[to] = order[i];
  }
}
