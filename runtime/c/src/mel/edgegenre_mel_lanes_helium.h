/* Four lanes of Helium (Cortex-M55, M85). mul_q31 is VQRDMULH; what lies in reverse or apart is gathered. */

#include <arm_mve.h>

typedef int32x4_t helium_vec;

static inline int32x4_t helium_load(const int32_t *p) { return vldrwq_s32(p); }
static inline void helium_store(int32_t *p, int32x4_t x) { vstrwq_s32(p, x); }
static inline int32x4_t helium_set(int32_t x) { return vdupq_n_s32(x); }
static inline int32x4_t helium_add(int32x4_t a, int32x4_t b) { return vaddq_s32(a, b); }
static inline int32x4_t helium_sub(int32x4_t a, int32x4_t b) { return vsubq_s32(a, b); }
static inline int32x4_t helium_or(int32x4_t a, int32x4_t b) { return vorrq_s32(a, b); }
static inline int32x4_t helium_half_add(int32x4_t a, int32x4_t b) { return vhaddq_s32(a, b); }
static inline int32x4_t helium_half_sub(int32x4_t a, int32x4_t b) { return vhsubq_s32(a, b); }
static inline int32x4_t helium_scale(int32x4_t x, int shift) { return vrshlq_s32(x, vdupq_n_s32(-shift)); }

/* 3, 2, 1, 0. */
static inline uint32x4_t helium_backwards(void) { return vsubq_u32(vdupq_n_u32(3), vidupq_n_u32(0, 1)); }

static inline int32x4_t helium_load_reversed(const int32_t *p)
{
    return vldrwq_gather_shifted_offset_s32(p, helium_backwards());
}

static inline void helium_rotate(int32x4_t *re, int32x4_t *im, int32x4_t cos, int32x4_t sin)
{
    int32x4_t r = *re, i = *im;
    *re = vaddq_s32(vqrdmulhq_s32(r, cos), vqrdmulhq_s32(i, sin));
    *im = vsubq_s32(vqrdmulhq_s32(i, cos), vqrdmulhq_s32(r, sin));
}

static inline void helium_rotate_small(int32x4_t *re, int32x4_t *im, int32x4_t cos, int32x4_t sin)
{
    helium_rotate(re, im, cos, sin);
}

static inline void helium_load_4_apart(const int32_t *p, int32x4_t *a, int32x4_t *b, int32x4_t *c, int32x4_t *d)
{
    const uint32x4_t fours = vidupq_n_u32(0, 4);
    *a = vldrwq_gather_shifted_offset_s32(p, fours);
    *b = vldrwq_gather_shifted_offset_s32(p + 1, fours);
    *c = vldrwq_gather_shifted_offset_s32(p + 2, fours);
    *d = vldrwq_gather_shifted_offset_s32(p + 3, fours);
}

/* Powers lie in two parts: [n + 16] of the lower 32 bits, then [n + 4] of the upper 16. */
static inline uint32_t *helium_lower(const uint64_t *power) { return (uint32_t *)(uintptr_t)power; }
static inline uint16_t *helium_upper(const uint64_t *power, size_t n)
{
    return (uint16_t *)(void *)(helium_lower(power) + n + 16);
}

static inline void helium_put_power(uint64_t *power, size_t n, size_t k, uint64_t x)
{
    helium_lower(power)[k] = (uint32_t)x;
    helium_upper(power, n)[k] = (uint16_t)(x >> 32);
}

/* re^2 + im^2, 64 bits as two words, which the shift then cuts elsewhere. */
static inline uint32x4_t helium_power(int32x4_t re, int32x4_t im, uint32x4_t *upper)
{
    uint32x4_t one = vreinterpretq_u32_s32(vmulq_s32(re, re));
    uint32x4_t low = vaddq_u32(one, vreinterpretq_u32_s32(vmulq_s32(im, im)));
    uint32x4_t high = vreinterpretq_u32_s32(vaddq_s32(vmulhq_s32(re, re), vmulhq_s32(im, im)));
    high = vaddq_m_n_u32(high, high, 1, vcmphiq_u32(one, low)); /* the carry */
    *upper = vshrq_n_u32(high, EDGEGENRE_MEL_POWER_SHIFT);
    return vsliq_n_u32(vshrq_n_u32(low, EDGEGENRE_MEL_POWER_SHIFT), high, 32 - EDGEGENRE_MEL_POWER_SHIFT);
}

static inline void helium_store_power(uint64_t *power, size_t n, size_t k, int32x4_t re, int32x4_t im)
{
    uint32x4_t upper, lower = helium_power(re, im, &upper);
    vstrwq_u32(helium_lower(power) + k, lower);
    vstrhq_u32(helium_upper(power, n) + k, upper);
}

static inline void helium_store_power_reversed(uint64_t *power, size_t n, size_t k, int32x4_t re, int32x4_t im)
{
    uint32x4_t upper, lower = helium_power(re, im, &upper);
    vstrwq_scatter_shifted_offset_u32(helium_lower(power) + k, helium_backwards(), lower);
    vstrhq_scatter_shifted_offset_u32(helium_upper(power, n) + k, helium_backwards(), upper);
}

/* Eight samples times the window. */
static inline int32x4_t helium_window(const int16_t *pcm, const int16_t *window_q15, int32_t *even, int32_t *odd)
{
    int16x8_t samples = vldrhq_s16(pcm), weights = vldrhq_s16(window_q15);
    int32x4_t e = vmullbq_int_s16(samples, weights), o = vmulltq_int_s16(samples, weights);
    vstrwq_s32(even, e);
    vstrwq_s32(odd, o);
    return vorrq_s32(vabsq_s32(e), vabsq_s32(o));
}

static inline uint32_t helium_or_lanes(int32x4_t x)
{
    return (uint32_t)(vgetq_lane_s32(x, 0) | vgetq_lane_s32(x, 1) | vgetq_lane_s32(x, 2) | vgetq_lane_s32(x, 3));
}

/* Sum of 4 n_groups powers from start times weight, 64 bits: of the sum of the upper parts 32 bits count. */
static inline uint64_t helium_weighted_sum(const uint64_t *power, size_t n, size_t start, const uint16_t *weight,
                                           uint32_t n_groups)
{
    const uint32_t *lower = helium_lower(power) + start;
    const uint16_t *upper = helium_upper(power, n) + start;
    uint64_t low = 0;
    uint32_t high = 0;
    for (const uint16_t *end = weight + 4 * n_groups; weight < end; lower += 4, upper += 4, weight += 4) {
        uint32x4_t w = vldrhq_u32(weight);
        low = vmlaldavaq_u32(low, vldrwq_u32(lower), w);
        high = vmladavaq_u32(high, vldrhq_u32(upper), w);
    }
    return low + ((uint64_t)high << 32);
}
