/* argcummax of f32 along an axis of n elements, `inner` elements apart: a thread walks a column.
   Long ones are cut into parts; `_parts` leaves the state after every part alone ... */
extern "C" __global__ void __launch_bounds__(256, 4) lg_argcummax_f32_columns_parts(const f32 *__restrict__ x, i64 *__restrict__ y, Best<f32> *__restrict__ scratch, const Dims<i64, 5> d) {
  const i64 n = d[0], inner = d[1], rows = d[2], length = d[3], parts = d[4];
  const i64 item = (i64)blockIdx.x * 256 + threadIdx.x;
  if (item >= rows * parts) return;
  const i64 row = item % rows, p = item / rows; /* neighbouring threads read neighbours in memory */
  x += row / inner * n * inner + row % inner;
  const i64 begin = p * length, end = n - begin < length ? n : begin + length;
  Best<f32> carry = Best<f32>{0, -1};
#pragma unroll 4
  for (i64 k = begin; k < end; k++) {
    carry = LastMost()(carry, Best<f32>{x[k * inner], k});
  }
  scratch[item] = carry;
}
/* ... then a part begins with what all before it have made */
extern "C" __global__ void __launch_bounds__(256, 4) lg_argcummax_f32_columns(const f32 *__restrict__ x, i64 *__restrict__ y, const Best<f32> *__restrict__ scratch, const Dims<i64, 5> d) {
  const i64 n = d[0], inner = d[1], rows = d[2], length = d[3], parts = d[4];
  const i64 item = (i64)blockIdx.x * 256 + threadIdx.x;
  if (item >= rows * parts) return;
  const i64 row = item % rows, p = item / rows; /* neighbouring threads read neighbours in memory */
  x += row / inner * n * inner + row % inner;
  const i64 begin = p * length, end = n - begin < length ? n : begin + length;
  Best<f32> carry = Best<f32>{0, -1};
  y += row / inner * n * inner + row % inner;
  for (i64 q = 0; q < p; q++) carry = LastMost()(carry, scratch[q * rows + row]);
#pragma unroll 4
  for (i64 k = begin; k < end; k++) {
    carry = LastMost()(carry, Best<f32>{x[k * inner], k});
    y[k * inner] = carry.at;
  }
}
