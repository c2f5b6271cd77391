/* Four lanes of NEON (ARMv7 and AArch64). mul_q31 is SQRDMULH, the halves are SHADD and SHSUB, and rounding to
 * 2^shift is SRSHL. */

#include <arm_neon.h>

typedef int32x4_t neon_vec;

static inline int32x4_t neon_load(const int32_t *p) { return vld1q_s32(p); }
static inline void neon_store(int32_t *p, int32x4_t x) { vst1q_s32(p, x); }
static inline int32x4_t neon_set(int32_t x) { return vdupq_n_s32(x); }
static inline int32x4_t neon_add(int32x4_t a, int32x4_t b) { return vaddq_s32(a, b); }
static inline int32x4_t neon_sub(int32x4_t a, int32x4_t b) { return vsubq_s32(a, b); }
static inline int32x4_t neon_or(int32x4_t a, int32x4_t b) { return vorrq_s32(a, b); }
static inline int32x4_t neon_half_add(int32x4_t a, int32x4_t b) { return vhaddq_s32(a, b); }
static inline int32x4_t neon_half_sub(int32x4_t a, int32x4_t b) { return vhsubq_s32(a, b); }
static inline int32x4_t neon_scale(int32x4_t x, int shift) { return vrshlq_s32(x, vdupq_n_s32(-shift)); }

static inline int32x4_t neon_load_reversed(const int32_t *p)
{
#if defined(__aarch64__)
    static const uint8_t order[16] = {12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3};
    return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(vld1q_s32(p)), vld1q_u8(order)));
#else
    int32x4_t x = vrev64q_s32(vld1q_s32(p));
    return vextq_s32(x, x, 2);
#endif
}

static inline void neon_rotate(int32x4_t *re, int32x4_t *im, int32x4_t cos, int32x4_t sin)
{
    int32x4_t r = *re, i = *im;
    *re = vaddq_s32(vqrdmulhq_s32(r, cos), vqrdmulhq_s32(i, sin));
    *im = vsubq_s32(vqrdmulhq_s32(i, cos), vqrdmulhq_s32(r, sin));
}

static inline void neon_rotate_small(int32x4_t *re, int32x4_t *im, int32x4_t cos, int32x4_t sin)
{
    neon_rotate(re, im, cos, sin);
}

static inline void neon_load_4_apart(const int32_t *p, int32x4_t *a, int32x4_t *b, int32x4_t *c, int32x4_t *d)
{
    int32x4x4_t columns = vld4q_s32(p);
    *a = columns.val[0];
    *b = columns.val[1];
    *c = columns.val[2];
    *d = columns.val[3];
}

/* Powers lie in two parts, as the sums want them: [n + 16] of the lower 32 bits, then [n + 4] of the upper 16. */
static inline uint32_t *neon_lower(const uint64_t *power) { return (uint32_t *)(uintptr_t)power; }
static inline uint16_t *neon_upper(const uint64_t *power, size_t n)
{
    return (uint16_t *)(void *)(neon_lower(power) + n + 16);
}

static inline void neon_put_power(uint64_t *power, size_t n, size_t k, uint64_t x)
{
    neon_lower(power)[k] = (uint32_t)x;
    neon_upper(power, n)[k] = (uint16_t)(x >> 32);
}

typedef struct {
    uint32x4_t lower;
    uint16x4_t upper;
} neon_powers;

/* re^2 + im^2 of two lanes, no bit dropped. */
static inline uint64x2_t neon_square(int32x2_t re, int32x2_t im)
{
    return vreinterpretq_u64_s64(vmlal_s32(vmull_s32(re, re), im, im));
}

static inline neon_powers neon_split(uint64x2_t a, uint64x2_t b)
{
    uint32x2_t low = vshrn_n_u64(a, EDGEGENRE_MEL_POWER_SHIFT), high = vshrn_n_u64(b, EDGEGENRE_MEL_POWER_SHIFT);
    uint32x4_t above = vuzpq_u32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b)).val[1];
    neon_powers powers = {vcombine_u32(low, high), vshrn_n_u32(above, EDGEGENRE_MEL_POWER_SHIFT)};
    return powers;
}

static inline neon_powers neon_power(int32x4_t re, int32x4_t im)
{
    return neon_split(neon_square(vget_low_s32(re), vget_low_s32(im)),
                      neon_square(vget_high_s32(re), vget_high_s32(im)));
}

static inline neon_powers neon_power_reversed(int32x4_t re, int32x4_t im)
{
    re = vrev64q_s32(re); /* and the halves are taken the other way round */
    im = vrev64q_s32(im);
    return neon_split(neon_square(vget_high_s32(re), vget_high_s32(im)),
                      neon_square(vget_low_s32(re), vget_low_s32(im)));
}

static inline void neon_put_powers(uint64_t *power, size_t n, size_t k, neon_powers powers)
{
    vst1q_u32(neon_lower(power) + k, powers.lower);
    vst1_u16(neon_upper(power, n) + k, powers.upper);
}

static inline void neon_store_power(uint64_t *power, size_t n, size_t k, int32x4_t re, int32x4_t im)
{
    neon_put_powers(power, n, k, neon_power(re, im));
}

static inline void neon_store_power_reversed(uint64_t *power, size_t n, size_t k, int32x4_t re, int32x4_t im)
{
    neon_put_powers(power, n, k, neon_power_reversed(re, im));
}

/* Eight samples times the window. */
static inline int32x4_t neon_window(const int16_t *pcm, const int16_t *window_q15, int32_t *even, int32_t *odd)
{
    int16x4x2_t samples = vld2_s16(pcm), weights = vld2_s16(window_q15);
    int32x4_t e = vmull_s16(samples.val[0], weights.val[0]), o = vmull_s16(samples.val[1], weights.val[1]);
    vst1q_s32(even, e);
    vst1q_s32(odd, o);
    return vorrq_s32(vabsq_s32(e), vabsq_s32(o));
}

static inline uint32_t neon_or_lanes(int32x4_t x)
{
    int32x2_t y = vorr_s32(vget_low_s32(x), vget_high_s32(x));
    return (uint32_t)(vget_lane_s32(y, 0) | vget_lane_s32(y, 1));
}

/* Sum of 4 n_groups powers from start times weight, 64 bits: of the sum of the upper parts 32 bits count. */
static inline uint64_t neon_weighted_sum(const uint64_t *power, size_t n, size_t start, const uint16_t *weight,
                                         uint32_t n_groups)
{
    const uint32_t *lower = neon_lower(power) + start;
    const uint16_t *upper = neon_upper(power, n) + start;
    uint64x2_t low = vdupq_n_u64(0);
    uint32x4_t high = vdupq_n_u32(0);
    for (const uint16_t *end = weight + 4 * n_groups; weight < end; lower += 4, upper += 4, weight += 4) {
        uint16x4_t w = vld1_u16(weight);
        uint32x4_t l = vld1q_u32(lower), wide = vmovl_u16(w);
        low = vmlal_u32(low, vget_low_u32(l), vget_low_u32(wide));
        low = vmlal_u32(low, vget_high_u32(l), vget_high_u32(wide));
        high = vmlal_u16(high, vld1_u16(upper), w);
    }
    low = vaddq_u64(low, vshlq_n_u64(vpaddlq_u32(high), 32));
    return vgetq_lane_u64(low, 0) + vgetq_lane_u64(low, 1);
}
