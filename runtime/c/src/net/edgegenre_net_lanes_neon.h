/* NEON (ARMv7 and AArch64): eight channels. Without the dot product, two products are added in int16 (weights are never
 * -128) and then, pairwise, to int32: four vectors of two channels with two partial sums each. */

#include <arm_neon.h>

#define NEON static inline __attribute__((always_inline))

typedef struct { int32x4_t part[4]; } neon_sums;
typedef int8x16_t neon_inputs;
typedef struct { int8x16_t low, high; } neon_cell;

#if defined(__aarch64__)
#define neon_mul_high(a, b) vmull_high_s8(a, b)
#define neon_mla_high(c, a, b) vmlal_high_s8(c, a, b)
NEON int32x4_t neon_pairs(int32x4_t a, int32x4_t b) { return vpaddq_s32(a, b); }
NEON int32x4_t neon_round_even(float32x4_t x) { return vcvtnq_s32_f32(x); }
NEON int16x8_t neon_narrow(int32x4_t a, int32x4_t b) { return vqmovn_high_s32(vqmovn_s32(a), b); }
#define neon_addw_high(c, p) vaddw_high_s16(c, p)
#else
#define neon_mul_high(a, b) vmull_s8(vget_high_s8(a), vget_high_s8(b))
#define neon_mla_high(c, a, b) vmlal_s8(c, vget_high_s8(a), vget_high_s8(b))
NEON int32x4_t neon_pairs(int32x4_t a, int32x4_t b)
{
    return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
}
/* ARMv7 converts towards zero only; what is beyond int8 is clipped first, so that the addition rounds exactly. */
NEON int32x4_t neon_round_even(float32x4_t x)
{
    x = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-512.0f)), vdupq_n_f32(512.0f));
    return vsubq_s32(vreinterpretq_s32_f32(vaddq_f32(x, vdupq_n_f32(12582912.0f))), vdupq_n_s32(0x4B400000));
}
NEON int16x8_t neon_narrow(int32x4_t a, int32x4_t b) { return vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)); }
#define neon_addw_high(c, p) vaddw_s16(c, vget_high_s16(p))
#endif

NEON neon_sums neon_start(const int32_t *bias, const int8_t *weights, int32_t n_cells, const int taps)
{
    const int32x4_t none = vdupq_n_s32(0);
    const int32x4x2_t a = vzipq_s32(vld1q_s32(bias), none), b = vzipq_s32(vld1q_s32(bias + 4), none);
    neon_sums s = {{a.val[0], a.val[1], b.val[0], b.val[1]}};
    (void)weights;
    (void)taps;
    (void)n_cells;
    return s;
}

NEON int8x16_t neon_load(const int8_t *p) { return vld1q_s8(p); }

NEON neon_cell neon_load_cell(const int8_t *w, const int half)
{
    neon_cell cell = {vld1q_s8(w), vld1q_s8(w + half)};
    return cell;
}

/* Four inputs in every lane; q is a constant once this is inlined. gcc does not make one DUP of it by itself. */
NEON int8x16_t neon_four(int8x16_t v, const int q)
{
#if defined(__aarch64__)
    int8x16_t r;
    if (q == 0) __asm("dup %0.4s, %1.s[0]" : "=w"(r) : "w"(v));
    else if (q == 1) __asm("dup %0.4s, %1.s[1]" : "=w"(r) : "w"(v));
    else if (q == 2) __asm("dup %0.4s, %1.s[2]" : "=w"(r) : "w"(v));
    else __asm("dup %0.4s, %1.s[3]" : "=w"(r) : "w"(v));
    return r;
#else
    const int32x4_t words = vreinterpretq_s32_s8(v);
    const int32x2_t half = q < 2 ? vget_low_s32(words) : vget_high_s32(words);
    return vreinterpretq_s8_s32(vcombine_s32(q & 1 ? vdup_lane_s32(half, 1) : vdup_lane_s32(half, 0),
                                             q & 1 ? vdup_lane_s32(half, 1) : vdup_lane_s32(half, 0)));
#endif
}

NEON void neon_dot(neon_sums *s, const int8x16_t *v, const int q, neon_cell w)
{
    const int8x16_t x = neon_four(*v, q);
    s->part[0] = vpadalq_s16(s->part[0], vmull_s8(vget_low_s8(x), vget_low_s8(w.low)));
    s->part[1] = vpadalq_s16(s->part[1], neon_mul_high(x, w.low));
    s->part[2] = vpadalq_s16(s->part[2], vmull_s8(vget_low_s8(x), vget_low_s8(w.high)));
    s->part[3] = vpadalq_s16(s->part[3], neon_mul_high(x, w.high));
}

NEON void neon_dot_pair(neon_sums *s, const int8x16_t *v, const int q, neon_cell w0, neon_cell w1)
{
    const int8x16_t x = neon_four(*v, q), y = neon_four(*v, q + 1);
    int16x8_t p = vmull_s8(vget_low_s8(x), vget_low_s8(w0.low));
    s->part[0] = vpadalq_s16(s->part[0], vmlal_s8(p, vget_low_s8(y), vget_low_s8(w1.low)));
    s->part[1] = vpadalq_s16(s->part[1], neon_mla_high(neon_mul_high(x, w0.low), y, w1.low));
    p = vmull_s8(vget_low_s8(x), vget_low_s8(w0.high));
    s->part[2] = vpadalq_s16(s->part[2], vmlal_s8(p, vget_low_s8(y), vget_low_s8(w1.high)));
    s->part[3] = vpadalq_s16(s->part[3], neon_mla_high(neon_mul_high(x, w0.high), y, w1.high));
}

#if defined(__aarch64__)
/* Four inputs from p in every lane, and p one cell further. gcc does not find this addressing mode by itself. */
#define NEON_SPREAD(vector, p, step) \
    __asm("ld1r {%0.4s}, [%1], %2" : "=w"(vector), "+r"(p) : "r"(step), "m"(*(const int8_t(*)[4])(p)))

/* By name: of the low half of a vector that lives on, gcc makes a copy. */
NEON int16x8_t neon_mul(int8x16_t u, int8x16_t w, const int is_high)
{
    int16x8_t p;
    if (is_high) __asm("smull2 %0.8h, %1.16b, %2.16b" : "=w"(p) : "w"(u), "w"(w));
    else __asm("smull %0.8h, %1.8b, %2.8b" : "=w"(p) : "w"(u), "w"(w));
    return p;
}
NEON int16x8_t neon_mla(int16x8_t p, int8x16_t u, int8x16_t w, const int is_high)
{
    if (is_high) __asm("smlal2 %0.8h, %1.16b, %2.16b" : "+w"(p) : "w"(u), "w"(w));
    else __asm("smlal %0.8h, %1.8b, %2.8b" : "+w"(p) : "w"(u), "w"(w));
    return p;
}

NEON int32x4_t neon_padal(int32x4_t sum, int16x8_t p)
{
    __asm("sadalp %0.4s, %1.8h" : "+w"(sum) : "w"(p));
    return sum;
}

/* The products of three or four taps with a quarter of their cells, added up in int16 as far as the weights allow. */
NEON int32x4_t neon_chain(int32x4_t sum, const int8x16_t *u, const int8x16_t *w, const int is_high, const int taps,
                          const int is_small)
{
    int16x8_t p = neon_mla(neon_mul(u[0], w[0], is_high), u[1], w[1], is_high);
    if (is_small) {
        p = neon_mla(p, u[2], w[2], is_high);
        return neon_padal(sum, taps == 4 ? neon_mla(p, u[3], w[3], is_high) : p);
    }
    sum = neon_padal(sum, p);
    p = neon_mul(u[2], w[2], is_high);
    return neon_padal(sum, taps == 4 ? neon_mla(p, u[3], w[3], is_high) : p);
}

/* The next n vectors of weights, one or two. gcc pairs no loads of vectors by itself. */
#define NEON_NEXT(w, p, n)                                                                                             \
    do {                                                                                                               \
        if ((n) > 1) __asm("ldp %q0, %q1, [%2], #32" : "=w"((w)[0]), "=w"((w)[1]), "+r"(p) : "m"(*(const int8_t(*)[32])(p))); \
        else __asm("ldr %q0, [%1], #16" : "=w"((w)[0]), "+r"(p) : "m"(*(const int8_t(*)[16])(p)));                     \
    } while (0)

NEON void neon_half(neon_sums *s, const int8x16_t *u, int8x16_t *w, const int n, const int taps, const int half,
                    const int is_low_small, const int is_high_small)
{
    __asm volatile("" : "+w"(w[0])); /* or gcc hoists what both kinds of chains begin with, and spills it */
    UNROLL
    for (int i = 0; i < n; i++) {
        s[i].part[2 * half] = neon_chain(s[i].part[2 * half], u + i, w, 0, taps, is_low_small);
        s[i].part[2 * half + 1] = neon_chain(s[i].part[2 * half + 1], u + i, w, 1, taps, is_high_small);
    }
}

/* A chunk of interleaved taps: four inputs are spread once for all the taps that take them. */
NEON void neon_taps(neon_sums *s, const net_row *row, const int8_t *p, const int n, const int blocks, const int taps,
                    const int8_t *weights, int32_t next, int32_t is_small)
{
    const int64_t step = row->step;
    (void)blocks;
    (void)next;
    UNROLL
    for (int q = 0; q < 4; q++) {
        const int8_t *at = p + 4 * q;
        int8x16_t u[4 + 3];
        UNROLL
        for (int i = 0; i < n + taps - 1; i++) NEON_SPREAD(u[i], at, step);
        UNROLL
        for (int half = 0; half < 2; half++) {
            int8x16_t w[4];
            NEON_NEXT(w, weights, 2);
            NEON_NEXT(w + 2, weights, taps - 2);
            const int bit = 2 * q + half;
            if (is_small >> bit & 1) neon_half(s, u, w, n, taps, half, 1, 1);
            else if (is_small >> (8 + bit) & 1) neon_half(s, u, w, n, taps, half, 1, 0);
            else if (is_small >> (16 + bit) & 1) neon_half(s, u, w, n, taps, half, 0, 1);
            else neon_half(s, u, w, n, taps, half, 0, 0);
        }
    }
}
#endif

typedef struct { float32x4_t low, high; int16x8_t zero; int8x16_t least, most; } neon_rule;

NEON neon_rule neon_rule_of(const net_row *row, int32_t channel)
{
    neon_rule rule = {vreinterpretq_f32_s32(vld1q_s32(row->scales + channel)),
                      vreinterpretq_f32_s32(vld1q_s32(row->scales + channel + 4)), vdupq_n_s16((int16_t)row->zero),
                      vdupq_n_s8((int8_t)row->low), vdupq_n_s8((int8_t)row->high)};
    return rule;
}

/* Eight sums in steps above or below zero, as int16; the narrowing clips. */
NEON int16x8_t neon_steps(int32x4_t a, int32x4_t b, float32x4_t scale_a, float32x4_t scale_b, int16x8_t zero)
{
    a = neon_round_even(vmulq_f32(vcvtq_f32_s32(a), scale_a));
    b = neon_round_even(vmulq_f32(vcvtq_f32_s32(b), scale_b));
    return vqaddq_s16(neon_narrow(a, b), zero);
}

/* Store n cells of eight channels, two at a time. is_clipped: low or high is not int8's own. */
NEON void neon_store_cells(int8_t *out, int32_t depth, const int32x4_t (*s)[2], const int n, const neon_rule *rule)
{
    const neon_rule r = *rule;
    UNROLL
    for (int i = 0; i < n; i += 2) {
        const int16x8_t a = neon_steps(s[i][0], s[i][1], r.low, r.high, r.zero);
        const int16x8_t b = i + 1 < n ? neon_steps(s[i + 1][0], s[i + 1][1], r.low, r.high, r.zero) : a;
        int8x16_t bytes = vcombine_s8(vqmovn_s16(a), vqmovn_s16(b));
        bytes = vminq_s8(vmaxq_s8(bytes, r.least), r.most);
        vst1_s8(out + i * depth, vget_low_s8(bytes));
        if (i + 1 < n) vst1_s8(out + (i + 1) * depth, vget_high_s8(bytes));
    }
}

/* Of each `pool` cells the largest sums, to the front. */
NEON void neon_most(int32x4_t (*sums)[2], const int n, const int pool)
{
    UNROLL
    for (int i = 0; i < n / pool; i++) {
        sums[i][0] = sums[i * pool][0], sums[i][1] = sums[i * pool][1];
        UNROLL
        for (int k = 1; k < pool; k++) {
            sums[i][0] = vmaxq_s32(sums[i][0], sums[i * pool + k][0]);
            sums[i][1] = vmaxq_s32(sums[i][1], sums[i * pool + k][1]);
        }
    }
}

NEON void neon_store(int8_t *out, int32_t depth, const neon_sums *s, const int n, const int pool, const neon_rule *rule)
{
    int32x4_t sums[8][2];
    UNROLL
    for (int i = 0; i < n; i++) {
        sums[i][0] = neon_pairs(s[i].part[0], s[i].part[1]);
        sums[i][1] = neon_pairs(s[i].part[2], s[i].part[3]);
    }
    neon_most(sums, n, pool);
    neon_store_cells(out, depth, (const int32x4_t(*)[2])sums, n / pool, rule);
}

#if defined(EDGEGENRE_NET_DOT)
/* The dot product: four products a lane, channels in lanes. */

#define DOT static inline __attribute__((always_inline)) DOT_TARGET

typedef struct { int32x4_t low, high; } dot_sums;
typedef int8x16_t dot_inputs;
typedef neon_cell dot_cell;
typedef neon_rule dot_rule;

DOT dot_sums dot_start(const int32_t *bias, const int8_t *weights, int32_t n_cells, const int taps)
{
    dot_sums s = {vld1q_s32(bias), vld1q_s32(bias + 4)};
    (void)taps;
    (void)weights;
    (void)n_cells;
    return s;
}

DOT int8x16_t dot_load(const int8_t *p) { return vld1q_s8(p); }
DOT neon_cell dot_load_cell(const int8_t *w, const int half) { return neon_load_cell(w, half); }

/* In place: of the intrinsics' results, gcc makes copies. */
DOT int32x4_t dot_four(int32x4_t sums, int8x16_t v, const int q, int8x16_t w)
{
    if (q == 0) __asm("sdot %0.4s, %1.16b, %2.4b[0]" : "+w"(sums) : "w"(w), "w"(v));
    else if (q == 1) __asm("sdot %0.4s, %1.16b, %2.4b[1]" : "+w"(sums) : "w"(w), "w"(v));
    else if (q == 2) __asm("sdot %0.4s, %1.16b, %2.4b[2]" : "+w"(sums) : "w"(w), "w"(v));
    else __asm("sdot %0.4s, %1.16b, %2.4b[3]" : "+w"(sums) : "w"(w), "w"(v));
    return sums;
}

DOT void dot_dot(dot_sums *s, const int8x16_t *v, const int q, neon_cell w)
{
    s->low = dot_four(s->low, *v, q, w.low);
    s->high = dot_four(s->high, *v, q, w.high);
}

DOT void dot_dot_pair(dot_sums *s, const int8x16_t *v, const int q, neon_cell w0, neon_cell w1)
{
    dot_dot(s, v, q, w0);
    dot_dot(s, v, q + 1, w1);
}

/* A chunk of interleaved taps: inputs are loaded once for all the taps that take them. */
DOT void dot_taps(dot_sums *s, const net_row *row, const int8_t *p, const int n, const int blocks, const int taps,
                  const int8_t *weights, int32_t next, int32_t is_small)
{
    int8x16_t v[8 + 3];
    (void)blocks;
    (void)next;
    (void)is_small;
    UNROLL
    for (int i = 0; i < n + taps - 1; i++) v[i] = vld1q_s8(p + i * row->step);
    UNROLL
    for (int q = 0; q < 4; q++) {
        UNROLL
        for (int half = 0; half < 2; half++) {
            UNROLL
            for (int t = 0; t < taps; t += 2) {
                const int many = t + 1 < taps ? 2 : 1;
                int8x16_t w[2];
                NEON_NEXT(w, weights, many);
                UNROLL
                for (int i = 0; i < many * n; i++) {
                    int32x4_t *sum = half == 0 ? &s[i % n].low : &s[i % n].high;
                    *sum = dot_four(*sum, v[i % n + t + i / n], q, w[i / n]);
                }
            }
        }
    }
}

DOT neon_rule dot_rule_of(const net_row *row, int32_t channel) { return neon_rule_of(row, channel); }

DOT void dot_store(int8_t *out, int32_t depth, const dot_sums *s, const int n, const int pool, const neon_rule *rule)
{
    int32x4_t sums[8][2];
    UNROLL
    for (int i = 0; i < n; i++) sums[i][0] = s[i].low, sums[i][1] = s[i].high;
    neon_most(sums, n, pool);
    neon_store_cells(out, depth, (const int32x4_t(*)[2])sums, n / pool, rule);
}
#endif

/* Depthwise: sixteen channels, two taps at a time in int16; or twice eight, see the AVX2 lanes; or eight alone. */

typedef struct { int32x4_t part[4]; } neon_wide;

NEON void neon_two_taps(neon_wide *a, int8x16_t u, int8x16_t w, int8x16_t v, int8x16_t x, const int n)
{
    const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(u), vget_low_s8(w)), vget_low_s8(v), vget_low_s8(x));
    a->part[0] = vaddw_s16(a->part[0], vget_low_s16(low));
    a->part[1] = neon_addw_high(a->part[1], low);
    if (n == 8) return;
    const int16x8_t high = neon_mla_high(neon_mul_high(u, w), v, x);
    a->part[2] = vaddw_s16(a->part[2], vget_low_s16(high));
    a->part[3] = neon_addw_high(a->part[3], high);
}

NEON void neon_one_tap(neon_wide *a, int8x16_t u, int8x16_t w, const int n)
{
    const int16x8_t low = vmull_s8(vget_low_s8(u), vget_low_s8(w));
    a->part[0] = vaddw_s16(a->part[0], vget_low_s16(low));
    a->part[1] = neon_addw_high(a->part[1], low);
    if (n == 8) return;
    const int16x8_t high = neon_mul_high(u, w);
    a->part[2] = vaddw_s16(a->part[2], vget_low_s16(high));
    a->part[3] = neon_addw_high(a->part[3], high);
}

enum { NEON_EIGHT, NEON_SIXTEEN, NEON_TWICE_EIGHT };

NEON int8x16_t neon_weights(const int8_t *w, const int mode)
{
    return mode == NEON_SIXTEEN ? vld1q_s8(w) : vcombine_s8(vld1_s8(w), vld1_s8(w));
}

/* R rows of C taps, constants once this is inlined; 0 for a kernel of any size. */
NEON void neon_depthwise_block(const net_row *row, int32_t c, const int R, const int C, const int mode)
{
    const int32_t D = row->depth, cells = mode == NEON_TWICE_EIGHT ? 2 : 1, next = mode == NEON_SIXTEEN ? 8 : 0;
    const int n_taps = R * C, n = mode == NEON_EIGHT ? 8 : 16;
    const neon_rule r = neon_rule_of(row, c), q = neon_rule_of(row, c + next);
    const neon_wide first = {{vld1q_s32(row->bias + c), vld1q_s32(row->bias + c + 4), vld1q_s32(row->bias + c + next),
                              vld1q_s32(row->bias + c + next + 4)}};
    const int8_t *p[5], *w = row->weights + c;
    int8x16_t W[9];
    int8_t *out = row->out + c;
    UNROLL
    for (int i = 0; i < R; i++) p[i] = row->rows[i] + c;
    if (n_taps <= 9) {
        UNROLL
        for (int t = 0; t < n_taps; t++) W[t] = neon_weights(w + t * D, mode);
    }
#define TAP(t) vld1q_s8(p[(t) / C] + (t) % C * D)
#define WEIGHT(t) (n_taps <= 9 ? W[(t) % 9] : neon_weights(w + (t) * D, mode))
    for (int32_t x = 0; x < row->n; x += cells, out += cells * D) {
        neon_wide a = first;
        UNROLL
        for (int t = 0; t + 1 < n_taps; t += 2) neon_two_taps(&a, TAP(t), WEIGHT(t), TAP(t + 1), WEIGHT(t + 1), n);
        if (n_taps % 2) neon_one_tap(&a, TAP(n_taps - 1), WEIGHT(n_taps - 1), n);
        const int16x8_t low = neon_steps(a.part[0], a.part[1], r.low, r.high, r.zero);
        const int16x8_t high = n == 8 ? low : neon_steps(a.part[2], a.part[3], q.low, q.high, r.zero);
        const int8x16_t bytes = vminq_s8(vmaxq_s8(vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)), r.least), r.most);
        if (n == 8) vst1_s8(out, vget_low_s8(bytes));
        else vst1q_s8(out, bytes);
        UNROLL
        for (int i = 0; i < R; i++) p[i] += cells * row->step;
    }
#undef TAP
#undef WEIGHT
}

/* Eight channels of any kernel. */
static void neon_depthwise_any(const net_row *row, int32_t c)
{
    const int32_t D = row->depth;
    const neon_rule r = neon_rule_of(row, c);
    for (int32_t x = 0; x < row->n; x++) {
        const int8_t *w = row->weights + c;
        int32x4_t a = vld1q_s32(row->bias + c), b = vld1q_s32(row->bias + c + 4);
        for (int32_t i = 0; i < row->kernel_rows; i++) {
            const int8_t *p = row->rows[i] + x * row->step + c;
            for (int32_t k = 0; k < row->kernel_columns; k++, p += D, w += D) {
                const int16x8_t product = vmull_s8(vld1_s8(p), vld1_s8(w));
                a = vaddw_s16(a, vget_low_s16(product));
                b = vaddw_s16(b, vget_high_s16(product));
            }
        }
        const int8x8_t bytes = vqmovn_s16(neon_steps(a, b, r.low, r.high, r.zero));
        vst1_s8(row->out + x * D + c, vmin_s8(vmax_s8(bytes, vget_low_s8(r.least)), vget_low_s8(r.most)));
    }
}

/* The kernels that are worth unrolling, one function each. */
#define DEPTHWISE_OF(R, C)                                                                                             \
    static void neon_depthwise_##R##x##C(const net_row *row)                                                           \
    {                                                                                                                  \
        int32_t c = 0;                                                                                                 \
        if (row->depth == 8 && row->step == 8 && row->n % 2 == 0) {                                                    \
            neon_depthwise_block(row, 0, R, C, NEON_TWICE_EIGHT);                                                      \
            return;                                                                                                    \
        }                                                                                                              \
        for (; c + 16 <= row->depth; c += 16) neon_depthwise_block(row, c, R, C, NEON_SIXTEEN);                        \
        if (c < row->depth) neon_depthwise_block(row, c, R, C, NEON_EIGHT);                                            \
    }

DEPTHWISE_OF(1, 1)
DEPTHWISE_OF(3, 3)
DEPTHWISE_OF(5, 5)
DEPTHWISE_OF(1, 3)
DEPTHWISE_OF(1, 5)
DEPTHWISE_OF(1, 9)

static void neon_depthwise(const net_row *given)
{
    const net_row row = *given;
    const int32_t size = row.kernel_rows * 16 + row.kernel_columns;
    if (size == 0x11) neon_depthwise_1x1(&row);
    else if (size == 0x33) neon_depthwise_3x3(&row);
    else if (size == 0x55) neon_depthwise_5x5(&row);
    else if (size == 0x13) neon_depthwise_1x3(&row);
    else if (size == 0x15) neon_depthwise_1x5(&row);
    else if (size == 0x19) neon_depthwise_1x9(&row);
    else
        for (int32_t c = 0; c < row.depth; c += 8) neon_depthwise_any(&row, c);
}

static void neon_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t n, const net_step *s, int32_t zero)
{
    const int32x4_t bias = vdupq_n_s32(s->number[2]), shift = vdupq_n_s32(-s->number[3]);
    const int32_t k0 = s->number[0], k1 = s->number[1];
    const int16x8_t z = vdupq_n_s16((int16_t)zero);
    const int8x8_t low = vdup_n_s8((int8_t)s->low), high = vdup_n_s8((int8_t)s->high);
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const int16x8_t x = vmovl_s8(vld1_s8(a + i)), y = vmovl_s8(vld1_s8(b + i));
        int32x4_t u = vmlaq_n_s32(bias, vmovl_s16(vget_low_s16(x)), k0);
        int32x4_t v = vmlaq_n_s32(bias, vmovl_s16(vget_high_s16(x)), k0);
        u = vshlq_s32(vmlaq_n_s32(u, vmovl_s16(vget_low_s16(y)), k1), shift);
        v = vshlq_s32(vmlaq_n_s32(v, vmovl_s16(vget_high_s16(y)), k1), shift);
        vst1_s8(out + i, vmin_s8(vmax_s8(vqmovn_s16(vqaddq_s16(neon_narrow(u, v), z)), low), high));
    }
    scalar_add(a + i, b + i, out + i, n - i, s, zero);
}

#if defined(__aarch64__)
#define neon_zip_low(a, b) vzip1q_s8(a, b)
#define neon_zip_high(a, b) vzip2q_s8(a, b)
#else
#define neon_zip_low(a, b) vzipq_s8(a, b).val[0]
#define neon_zip_high(a, b) vzipq_s8(a, b).val[1]
#endif

NEON void neon_turn_8x8(const int8_t *rows, int32_t stride, int8_t *cells, int32_t depth, const int32_t n_times)
{
    int8x16_t r[8], a[4], b[4];
    for (int i = 0; i < 8; i++) r[i] = vcombine_s8(vld1_s8(rows + i * stride), vcreate_s8(0));
    for (int i = 0; i < 4; i++) a[i] = neon_zip_low(r[i], r[i + 4]);
    for (int i = 0; i < 2; i++) b[i] = neon_zip_low(a[i], a[i + 2]), b[i + 2] = neon_zip_high(a[i], a[i + 2]);
    for (int i = 0; i < 4; i++, cells += 2 * depth) {
        const int8x16_t two = i % 2 ? neon_zip_high(b[i / 2 * 2], b[i / 2 * 2 + 1]) : neon_zip_low(b[i / 2 * 2], b[i / 2 * 2 + 1]);
        if (n_times == 1) {
            vst1_s8(cells, vget_low_s8(two));
            vst1_s8(cells + depth, vget_high_s8(two));
        } else {
            vst1q_s8(cells, neon_zip_low(two, two));
            vst1q_s8(cells + depth, neon_zip_high(two, two));
        }
    }
}

#if defined(__aarch64__)
enum { STRIP = 128 };

/* n cells, a multiple of sixteen, through a table of 256 in sixteen vectors. */
NEON void neon_look_up(const int8_t *row, int8_t *cells, int32_t n, const int8_t *table)
{
    const int8x16x4_t a = vld1q_s8_x4(table), b = vld1q_s8_x4(table + 64), c = vld1q_s8_x4(table + 128),
                      d = vld1q_s8_x4(table + 192);
    for (int32_t x = 0; x < n; x += 16) {
        const uint8x16_t at = veorq_u8(vreinterpretq_u8_s8(vld1q_s8(row + x)), vdupq_n_u8(128));
        int8x16_t found = vqtbl4q_s8(a, at);
        found = vqtbx4q_s8(found, b, vsubq_u8(at, vdupq_n_u8(64)));
        found = vqtbx4q_s8(found, c, vsubq_u8(at, vdupq_n_u8(128)));
        vst1q_s8(cells + x, vqtbx4q_s8(found, d, vsubq_u8(at, vdupq_n_u8(192))));
    }
}

/* Eight rows looked up, then turned, STRIP columns at a time. */
static void neon_turn_tables(const int8_t *rows, int32_t stride, int8_t *cells, const net_buffer *out, const int8_t *tables,
                             int32_t apart)
{
    int8_t strip[8][STRIP];
    for (int32_t c = 0; c < out->depth; c += 8)
        for (int32_t from = 0; from < out->width; from += STRIP) {
            const int32_t n = out->width - from < STRIP ? out->width - from : STRIP;
            for (int32_t i = 0; i < 8; i++)
                neon_look_up(rows + (c + i) * stride + from, strip[i], n, tables + (c + i) * apart);
            for (int32_t x = 0; x < n; x += 8)
                neon_turn_8x8(strip[0] + x, STRIP, cells + (from + x) * out->depth + c, out->depth, 1);
        }
}
#else
#define neon_turn_tables(rows, stride, cells, out, tables, apart) scalar_turn(rows, stride, cells, out, 1, tables, apart)
#endif

static void neon_turn(const int8_t *rows, int32_t stride, int8_t *cells, const net_buffer *out, int32_t n_times,
                      const int8_t *tables, int32_t apart)
{
    if (tables) {
        if (out->width % 16 == 0) neon_turn_tables(rows, stride, cells, out, tables, apart);
        else scalar_turn(rows, stride, cells, out, n_times, tables, apart);
        return;
    }
    for (int32_t c = 0; c < out->depth / n_times; c += 8)
        for (int32_t x = 0; x < out->width; x += 8)
            neon_turn_8x8(rows + c * stride + x, stride, cells + x * out->depth + c * n_times, out->depth, n_times);
}
