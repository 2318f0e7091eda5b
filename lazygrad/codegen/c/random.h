/* random.h: random bits and normal numbers of generated kernels. Same chunk format and rules as vmath.h.
 *
 * A draw is a sequence of blocks of 64 elements: block b has the four words of Philox4x32-10 (J. Salmon,
 * M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) at the counters 16 b
 * to 16 b + 15, first the 16 first words, then the 16 second ones, and so on.  The key is the seed; the
 * counter's upper half is the number of the draw, the stream in its top bits.  lazygrad/ir/philox.py and
 * ir/normal.py say the same in numpy.
 */

//@ v_philox_block :
/* The 64 words of a block.  Words are kept in 64-bit lanes, even and odd counters apart, with anything in the
   upper halves: the 32 x 32 -> 64 bit product reads the lower ones only, and its own are the next words. */
#if VECTOR_BYTES == 64 && defined V_AVX512
#define V_MUL32(a, b) ((W)__builtin_ia32_pmuludq512_mask((I)(a), (I)(b), (L){0}, -1))
#elif VECTOR_BYTES == 32 && defined V_AVX2
#define V_MUL32(a, b) ((W)__builtin_ia32_pmuludq256((I)(a), (I)(b)))
#elif VECTOR_BYTES == 16 && defined V_SSE2
#define V_MUL32(a, b) ((W)__builtin_ia32_pmuludq128((I)(a), (I)(b)))
#else
#define V_MUL32(a, b) (((a) & 0xffffffffu) * ((b) & 0xffffffffu))
#endif
#define V_PHILOX_ROUND(w) do { W p = V_MUL32(w[0], M0), q = V_MUL32(w[2], M1); \
    w[0] = (q >> 32) ^ w[1] ^ K0; w[1] = q; w[2] = (p >> 32) ^ w[3] ^ K1; w[3] = p; } while (0)
V_CALL void v_philox_block(i64 block, i64 key, i64 draw, u32 stream, u32 *out) {
  enum { N = VECTOR_BYTES / 8 };
  typedef u64 W __attribute__((vector_size(VECTOR_BYTES), may_alias));
  typedef int I __attribute__((vector_size(VECTOR_BYTES)));
  typedef long long L __attribute__((vector_size(VECTOR_BYTES)));
  typedef W Wu __attribute__((aligned(4)));
  const W M0 = (W){0} + 0xd2511f53u, M1 = (W){0} + 0xcd9e8d57u;
  const u64 first = (u64)block * 16;
  W iota;
  for (int i = 0; i < N; i++) iota[i] = 2 * i;
  for (int c = 0; c < 16; c += 2 * N) {
    const u64 at = first + c;  /* a multiple of 16: the lanes differ in its low half only */
    const W high = (W){0} + (((at >> 32) ^ (stream << 28)) & 0xffffffffu);
    const W d0 = (W){0} + ((u64)draw & 0xffffffffu), d1 = (W){0} + ((u64)draw >> 32);
    W even[4] = {iota + (at & 0xffffffffu), high, d0, d1}, odd[4] = {even[0] + 1, high, d0, d1};
    W K0 = (W){0} + ((u64)key & 0xffffffffu), K1 = (W){0} + ((u64)key >> 32);
    for (int i = 0; i < 10; i++) {
      V_PHILOX_ROUND(even);
      V_PHILOX_ROUND(odd);
      K0 += 0x9e3779b9u;
      K1 += 0xbb67ae85u;
    }
    for (int q = 0; q < 4; q++) *(Wu *)(out + 16 * q + c) = (even[q] & 0xffffffffu) | (odd[q] << 32);
  }
}

//@ v_bits_block : v_philox_block
V_FN void v_bits_block(i64 block, i64 key, i64 draw, u32 stream, u32 *out) {
  v_philox_block(block, key, draw, stream, out);
}

//@ v_normal_blockxV : v_philox_block f32xV i32xV v_sqrt_f32xV
/* 64 normal numbers: of the words w0, w1 of a counter by Box and Muller ("A note on the generation of random
   normal deviates", 1958) the first two, of w2 and w3 the others.  Only +, *, sqrt and conversions, each rounded
   by itself: all backends, and numpy, give the same bits.
   w0: u = (w0 / 2 + 1/2) / 2^31 in (0, 1], radius sqrt(-2 log u), up to 6.66; log's polynomial as in vmath.h.
   w1: an angle in -pi/4 .. pi/4 (30 bits), of which the cosine's sign (bit 31) and the exchange of sine and
   cosine (bit 30) make the whole circle. */
V_CALL void v_normal_blockxV(i64 block, i64 key, i64 draw, u32 stream, u32 *out) {
  typedef i32xV Iu __attribute__((aligned(4)));
  v_philox_block(block, key, draw, stream, out);
  for (int at = 0; at < 64; at = at % 32 + NV < 16 ? at + NV : at / 32 * 32 + 32) {
    const i32xV w0 = *(const Iu *)(out + at), w1 = *(const Iu *)(out + at + 16);
    const f32xV u = (__builtin_convertvector((w0 >> 1) & 0x7fffffff, f32xV) + 0.5f) * 0x1p-31f;
    const i32xV k = ((i32xV)u - 0x3f2aaaab) & (i32)0xff800000;
    const f32xV e = __builtin_convertvector(k, f32xV) * 0x1p-23f, r = (f32xV)((i32xV)u - k) - 1;
    const f32xV q = r * r;  /* Horner's rule in pairs: half the latency */
    f32xV p = r * -0.128744885f + 0.139867067f;
    p = p * q + (r * -0.121883437f + 0.140053406f);
    p = p * q + (r * -0.16680181f + 0.200104445f);
    p = p * q + (r * -0.249998048f + 0.333332151f);
    p = p * r + -0.5f;
    const f32xV radius = v_sqrt_f32xV((e * 0.693147181f + (p * q + r)) * -2);
    const f32xV t = __builtin_convertvector(w1 << 2, f32xV) * 0x1.921fb6p-32f, z = t * t;
    f32xV s = z * -0.000195051471f + 0.00833209325f;
    s = s * z + -0.166666538f;
    s = s * (z * t) + t;
    f32xV c = z * 2.44120856e-05f + -0.00138871302f;
    c = c * z + 0.0416666418f;
    c = c * z + -0.5f;
    c = c * z + 1;
    c = (f32xV)((i32xV)c ^ (w1 & (i32)0x80000000));
    const i32xV swap = (w1 & 0x40000000) != 0;
    *(Iu *)(out + at) = (i32xV)(V_SEL(f32xV, i32xV, swap, s, c) * radius);
    *(Iu *)(out + at + 16) = (i32xV)(V_SEL(f32xV, i32xV, swap, c, s) * radius);
  }
}

//@ v_draws :
/* The blocks of a draw that a loop is at: one, or two neighbours, made when they are asked for */
typedef struct { i64 block, key, draw; u32 stream; int made; u32 word[128]; } v_draws;

//@ v_draws_start : v_draws
V_FN void v_draws_start(v_draws *s, i64 key, i64 draw, u32 stream) {
  s->block = s->made = 0;
  s->key = key; s->draw = draw; s->stream = stream;
}

//@ v_draws_move : v_draws
typedef void v_block_maker(i64, i64, i64, u32, u32 *);
V_CALL void v_draws_move(v_draws *s, i64 i, i64 count, v_block_maker *make) {
  const i64 block = i >> 6;
  if (s->made < 64 || block != s->block) {
    if (s->made == 128 && block == s->block + 1) {
      for (int k = 0; k < 64; k++) s->word[k] = s->word[k + 64];
    } else make(block, s->key, s->draw, s->stream, s->word);
    s->block = block;
    s->made = 64;
  }
  if (i + count > (block << 6) + s->made) {
    make(block + 1, s->key, s->draw, s->stream, s->word + 64);
    s->made = 128;
  }
}

//@ v_draw_@TxV T=i32,f32 : @TxV v_draws_move
/* elements i, i + 1, ... of a draw */
V_FN @TxV v_draw_@TxV(v_draws *s, i64 i, v_block_maker *make) {
  const i64 at = i - (s->block << 6);
  if (__builtin_expect(at < 0 || at + NV > s->made, 0)) {
    v_draws_move(s, i, NV, make);
    return (@TxV)*(const @TxVu *)(s->word + (i & 63));
  }
  return (@TxV)*(const @TxVu *)(s->word + at);
}

//@ v_draws_@TxV T=i32,f32 : @TxV v_draws_move
/* elements i, i + step, ... of a draw */
V_CALL @TxV v_draws_@TxV(v_draws *s, i64 i, i64 step, i64 m, v_block_maker *make) {
  @TxV r = {0};
  for (i64 l = 0; l < NV && l < m; l++, i += step) {
    if (i >> 6 != s->block || !s->made) v_draws_move(s, i, 1, make);
    r[l] = ((const @T *)s->word)[i & 63];
  }
  return r;
}
