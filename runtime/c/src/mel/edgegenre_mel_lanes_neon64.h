/* Eight lanes of NEON on AArch64: pairs of the four of lanes_neon.h. Its 32 registers hold a butterfly of pairs, and each
 * twiddle and each step of a loop serves both. */

#include "edgegenre_mel_lanes_neon.h"

typedef struct {
    int32x4_t a, b;
} neon64_vec;

static inline neon64_vec neon64_of(int32x4_t a, int32x4_t b)
{
    neon64_vec x = {a, b};
    return x;
}

static inline neon64_vec neon64_load(const int32_t *p) { return neon64_of(vld1q_s32(p), vld1q_s32(p + 4)); }
static inline neon64_vec neon64_set(int32_t x) { return neon64_of(vdupq_n_s32(x), vdupq_n_s32(x)); }

static inline void neon64_store(int32_t *p, neon64_vec x)
{
    vst1q_s32(p, x.a);
    vst1q_s32(p + 4, x.b);
}

#define BOTH(name)                                                                                                     \
    static inline neon64_vec neon64_##name(neon64_vec x, neon64_vec y)                                                 \
    {                                                                                                                  \
        return neon64_of(neon_##name(x.a, y.a), neon_##name(x.b, y.b));                                                \
    }
BOTH(add)
BOTH(sub)
BOTH(or)
BOTH(half_add)
BOTH(half_sub)
#undef BOTH

static inline neon64_vec neon64_scale(neon64_vec x, int shift)
{
    return neon64_of(neon_scale(x.a, shift), neon_scale(x.b, shift));
}

static inline neon64_vec neon64_load_reversed(const int32_t *p)
{
    return neon64_of(neon_load_reversed(p + 4), neon_load_reversed(p));
}

static inline void neon64_rotate(neon64_vec *re, neon64_vec *im, neon64_vec cos, neon64_vec sin)
{
    neon_rotate(&re->a, &im->a, cos.a, sin.a);
    neon_rotate(&re->b, &im->b, cos.b, sin.b);
}

static inline void neon64_rotate_small(neon64_vec *re, neon64_vec *im, neon64_vec cos, neon64_vec sin)
{
    neon64_rotate(re, im, cos, sin);
}

static inline neon64_vec neon64_load_2_rows(const int32_t *p) { return neon64_of(vld1q_s32(p), vld1q_s32(p + 16)); }

/* The first row of four is rotated by cos[0], sin[0], the second by cos[1], sin[1]. */
static inline void neon64_rotate_2_rows(neon64_vec *re, neon64_vec *im, const int32_t *cos, const int32_t *sin)
{
    int32x2_t c = vld1_s32(cos), s = vld1_s32(sin);
    neon64_vec r = *re, i = *im;
    re->a = vaddq_s32(vqrdmulhq_lane_s32(r.a, c, 0), vqrdmulhq_lane_s32(i.a, s, 0));
    im->a = vsubq_s32(vqrdmulhq_lane_s32(i.a, c, 0), vqrdmulhq_lane_s32(r.a, s, 0));
    re->b = vaddq_s32(vqrdmulhq_lane_s32(r.b, c, 1), vqrdmulhq_lane_s32(i.b, s, 1));
    im->b = vsubq_s32(vqrdmulhq_lane_s32(i.b, c, 1), vqrdmulhq_lane_s32(r.b, s, 1));
}

static inline void neon64_load_4_apart(const int32_t *p, neon64_vec *a, neon64_vec *b, neon64_vec *c, neon64_vec *d)
{
    neon_load_4_apart(p, &a->a, &b->a, &c->a, &d->a);
    neon_load_4_apart(p + 16, &a->b, &b->b, &c->b, &d->b);
}

static inline void neon64_put_power(uint64_t *power, size_t n, size_t k, uint64_t x) { neon_put_power(power, n, k, x); }

static inline void neon64_put_powers(uint64_t *power, size_t n, size_t k, neon_powers a, neon_powers b)
{
    vst1q_u32(neon_lower(power) + k, a.lower);
    vst1q_u32(neon_lower(power) + k + 4, b.lower);
    vst1q_u16(neon_upper(power, n) + k, vcombine_u16(a.upper, b.upper));
}

static inline void neon64_store_power(uint64_t *power, size_t n, size_t k, neon64_vec re, neon64_vec im)
{
    neon64_put_powers(power, n, k, neon_power(re.a, im.a), neon_power(re.b, im.b));
}

static inline void neon64_store_power_reversed(uint64_t *power, size_t n, size_t k, neon64_vec re, neon64_vec im)
{
    neon64_put_powers(power, n, k, neon_power_reversed(re.b, im.b), neon_power_reversed(re.a, im.a));
}

/* Sixteen samples times the window. */
static inline neon64_vec neon64_window(const int16_t *pcm, const int16_t *window_q15, int32_t *even, int32_t *odd)
{
    int16x8x2_t samples = vld2q_s16(pcm), weights = vld2q_s16(window_q15);
    int16x8_t s0 = samples.val[0], s1 = samples.val[1], w0 = weights.val[0], w1 = weights.val[1];
    neon64_vec e = {vmull_s16(vget_low_s16(s0), vget_low_s16(w0)), vmull_high_s16(s0, w0)};
    neon64_vec o = {vmull_s16(vget_low_s16(s1), vget_low_s16(w1)), vmull_high_s16(s1, w1)};
    neon64_store(even, e);
    neon64_store(odd, o);
    return neon64_of(vorrq_s32(vabsq_s32(e.a), vabsq_s32(o.a)), vorrq_s32(vabsq_s32(e.b), vabsq_s32(o.b)));
}

static inline uint32_t neon64_or_lanes(neon64_vec x) { return neon_or_lanes(vorrq_s32(x.a, x.b)); }

/* As in lanes_neon.h, eight powers at a time. */
static inline uint64_t neon64_weighted_sum(const uint64_t *power, size_t n, size_t start, const uint16_t *weight,
                                           uint32_t n_groups)
{
    const uint32_t *lower = neon_lower(power) + start;
    const uint16_t *upper = neon_upper(power, n) + start, *end = weight + 4 * n_groups;
    uint64x2_t low = vdupq_n_u64(0);
    uint32x4_t high = vdupq_n_u32(0);
    for (; end - weight >= 8; lower += 8, upper += 8, weight += 8) {
        uint16x8_t w = vld1q_u16(weight), u = vld1q_u16(upper);
        uint32x4_t l0 = vld1q_u32(lower), l1 = vld1q_u32(lower + 4);
        uint32x4_t w0 = vmovl_u16(vget_low_u16(w)), w1 = vmovl_high_u16(w);
        low = vmlal_high_u32(vmlal_u32(low, vget_low_u32(l0), vget_low_u32(w0)), l0, w0);
        low = vmlal_high_u32(vmlal_u32(low, vget_low_u32(l1), vget_low_u32(w1)), l1, w1);
        high = vmlal_high_u16(vmlal_u16(high, vget_low_u16(u), vget_low_u16(w)), u, w);
    }
    if (weight < end) {
        uint16x4_t w = vld1_u16(weight);
        uint32x4_t l0 = vld1q_u32(lower), w0 = vmovl_u16(w);
        low = vmlal_high_u32(vmlal_u32(low, vget_low_u32(l0), vget_low_u32(w0)), l0, w0);
        high = vmlal_u16(high, vld1_u16(upper), w);
    }
    return vaddvq_u64(vaddq_u64(low, vshlq_n_u64(vpaddlq_u32(high), 32)));
}
