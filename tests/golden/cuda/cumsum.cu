/* cumsum of f32 along an axis of n elements, neighbours: 256 threads walk a row together, 4 elements each at a time.
   Long ones are cut into parts; `_parts` leaves the state after every part alone ... */
extern "C" __global__ void __launch_bounds__(256, 4) lg_cumsum_f32_256x4_parts(const f32 *__restrict__ x, f32 *__restrict__ y, f64 *__restrict__ scratch, const Dims<i64, 5> d) {
  __shared__ f64 room[8];
  const i64 n = d[0], rows = d[2], length = d[3], parts = d[4];
  const i64 item = (i64)blockIdx.x * 1 + threadIdx.x / 256, lane = threadIdx.x % 256;
  if (item >= rows * parts) return;
  const i64 row = item / parts, p = item % parts;
  x += row * n;
  const i64 begin = p * length, end = n - begin < length ? n : begin + length;
  f64 carry = 0;
  for (i64 k0 = begin; k0 < end; k0 += 1024) {
    const i64 k = k0 + lane * 4;
    Vec<f32, 4> v = {};
    if (k < end) v = v_load<4>(x + k, 4);
    f64 s[4];
#pragma unroll
    for (int u = 0; u < 4; u++) {
      s[u] = k < end ? (f64)v.v[u] : 0;
      if (u > 0) s[u] = Sum()(s[u - 1], s[u]);
    }
    f64 total;
    const f64 here = v_scan<256>(s[3], Sum(), (f64)0, room, total);
    carry = Sum()(carry, total);
  }
  if (lane == 0) scratch[item] = carry;
}
/* ... then a part begins with what all before it have made */
extern "C" __global__ void __launch_bounds__(256, 4) lg_cumsum_f32_256x4(const f32 *__restrict__ x, f32 *__restrict__ y, const f64 *__restrict__ scratch, const Dims<i64, 5> d) {
  __shared__ f64 room[8];
  const i64 n = d[0], rows = d[2], length = d[3], parts = d[4];
  const i64 item = (i64)blockIdx.x * 1 + threadIdx.x / 256, lane = threadIdx.x % 256;
  if (item >= rows * parts) return;
  const i64 row = item / parts, p = item % parts;
  x += row * n;
  const i64 begin = p * length, end = n - begin < length ? n : begin + length;
  f64 carry = 0;
  y += row * n;
  for (i64 q = 0; q < p; q += 256) {
    const f64 s = q + lane < p ? scratch[row * parts + q + lane] : 0;
    f64 total;
    v_scan<256>(s, Sum(), (f64)0, room, total);
    carry = Sum()(carry, total);
  }
  for (i64 k0 = begin; k0 < end; k0 += 1024) {
    const i64 k = k0 + lane * 4;
    Vec<f32, 4> v = {};
    if (k < end) v = v_load<4>(x + k, 4);
    f64 s[4];
#pragma unroll
    for (int u = 0; u < 4; u++) {
      s[u] = k < end ? (f64)v.v[u] : 0;
      if (u > 0) s[u] = Sum()(s[u - 1], s[u]);
    }
    f64 total;
    const f64 here = v_scan<256>(s[3], Sum(), (f64)0, room, total);
    const f64 before = Sum()(carry, here);
    Vec<f32, 4> r;
#pragma unroll
    for (int u = 0; u < 4; u++) {
      s[u] = Sum()(before, s[u]);
      r.v[u] = (f32)s[u];
    }
    if (k < end) v_store(y + k, r, 4);
    carry = Sum()(carry, total);
  }
}
