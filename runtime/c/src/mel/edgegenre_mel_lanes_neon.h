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
    int32x4_t x = vrev64q_s32(vld1q_s32(p));
    return vcombine_s32(vget_high_s32(x), vget_low_s32(x));
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

static inline uint64x2_t neon_power(int32x2_t re, int32x2_t im)
{
    int64x2_t sum = vmlal_s32(vmull_s32(re, re), im, im);
    return vshrq_n_u64(vreinterpretq_u64_s64(sum), EDGEGENRE_MEL_POWER_SHIFT);
}

static inline void neon_store_power(uint64_t *p, int32x4_t re, int32x4_t im)
{
    vst1q_u64(p, neon_power(vget_low_s32(re), vget_low_s32(im)));
    vst1q_u64(p + 2, neon_power(vget_high_s32(re), vget_high_s32(im)));
}

static inline void neon_store_power_reversed(uint64_t *p, int32x4_t re, int32x4_t im)
{
    vst1q_u64(p, neon_power(vrev64_s32(vget_high_s32(re)), vrev64_s32(vget_high_s32(im))));
    vst1q_u64(p + 2, neon_power(vrev64_s32(vget_low_s32(re)), vrev64_s32(vget_low_s32(im))));
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

static inline uint64_t neon_weighted_sum(const uint64_t *power, const uint16_t *weight, uint32_t n_groups)
{
    uint64x2_t low = vdupq_n_u64(0), high = low;
    for (uint32_t g = 0; g < n_groups; g++) {
        uint32x4_t p0 = vreinterpretq_u32_u64(vld1q_u64(power + 4 * g));
        uint32x4_t p1 = vreinterpretq_u32_u64(vld1q_u64(power + 4 * g + 2));
        uint32x4x2_t halves = vuzpq_u32(p0, p1); /* lower and upper 32 bits of four powers */
        uint32x4_t w = vmovl_u16(vld1_u16(weight + 4 * g));
        low = vmlal_u32(low, vget_low_u32(halves.val[0]), vget_low_u32(w));
        low = vmlal_u32(low, vget_high_u32(halves.val[0]), vget_high_u32(w));
        high = vmlal_u32(high, vget_low_u32(halves.val[1]), vget_low_u32(w));
        high = vmlal_u32(high, vget_high_u32(halves.val[1]), vget_high_u32(w));
    }
    uint64x2_t sum = vaddq_u64(low, vshlq_n_u64(high, 32));
    return vgetq_lane_u64(sum, 0) + vgetq_lane_u64(sum, 1);
}
