/* Four lanes of WebAssembly's SIMD128. It has no rounding doubling multiply of 32 bits, so products are 64 bits wide. */

#include <wasm_simd128.h>

typedef v128_t wasm_vec;

static inline v128_t wasm_load(const int32_t *p) { return wasm_v128_load(p); }
static inline void wasm_store(int32_t *p, v128_t x) { wasm_v128_store(p, x); }
static inline v128_t wasm_set(int32_t x) { return wasm_i32x4_splat(x); }
static inline v128_t wasm_add(v128_t a, v128_t b) { return wasm_i32x4_add(a, b); }
static inline v128_t wasm_sub(v128_t a, v128_t b) { return wasm_i32x4_sub(a, b); }
static inline v128_t wasm_or(v128_t a, v128_t b) { return wasm_v128_or(a, b); }

/* (a + b) >> 1 without the carry: a + b = 2 (a & b) + (a ^ b); a - b = (a ^ b) - 2 (~a & b). */
static inline v128_t wasm_half_add(v128_t a, v128_t b)
{
    return wasm_i32x4_add(wasm_v128_and(a, b), wasm_i32x4_shr(wasm_v128_xor(a, b), 1));
}

static inline v128_t wasm_half_sub(v128_t a, v128_t b)
{
    return wasm_i32x4_sub(wasm_i32x4_shr(wasm_v128_xor(a, b), 1), wasm_v128_andnot(b, a));
}

static inline v128_t wasm_scale(v128_t x, int shift)
{
    if (shift <= 0) return wasm_i32x4_shl(x, (uint32_t)-shift);
    return wasm_i32x4_shr(wasm_i32x4_add(x, wasm_i32x4_splat((int32_t)(1u << (shift - 1)))), (uint32_t)shift);
}

static inline v128_t wasm_reverse(v128_t x) { return wasm_i32x4_shuffle(x, x, 3, 2, 1, 0); }
static inline v128_t wasm_load_reversed(const int32_t *p) { return wasm_reverse(wasm_v128_load(p)); }

/* mul_q31: (a b + 2^30) >> 31. */
static inline v128_t wasm_mul_q31(v128_t a, v128_t b)
{
    const v128_t half = wasm_i64x2_splat((int64_t)1 << 30);
    v128_t low = wasm_i64x2_shr(wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(a, b), half), 31);
    v128_t high = wasm_i64x2_shr(wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(a, b), half), 31);
    return wasm_i32x4_shuffle(low, high, 0, 2, 4, 6);
}

static inline void wasm_rotate(v128_t *re, v128_t *im, v128_t cos, v128_t sin)
{
    v128_t r = *re, i = *im;
    *re = wasm_i32x4_add(wasm_mul_q31(r, cos), wasm_mul_q31(i, sin));
    *im = wasm_i32x4_sub(wasm_mul_q31(i, cos), wasm_mul_q31(r, sin));
}

static inline void wasm_rotate_small(v128_t *re, v128_t *im, v128_t cos, v128_t sin) { wasm_rotate(re, im, cos, sin); }

/* p [4][4] → four columns. */
static inline void wasm_load_4_apart(const int32_t *p, v128_t *a, v128_t *b, v128_t *c, v128_t *d)
{
    v128_t w = wasm_v128_load(p), x = wasm_v128_load(p + 4), y = wasm_v128_load(p + 8), z = wasm_v128_load(p + 12);
    v128_t wx_ab = wasm_i32x4_shuffle(w, x, 0, 4, 1, 5), yz_ab = wasm_i32x4_shuffle(y, z, 0, 4, 1, 5);
    v128_t wx_cd = wasm_i32x4_shuffle(w, x, 2, 6, 3, 7), yz_cd = wasm_i32x4_shuffle(y, z, 2, 6, 3, 7);
    *a = wasm_i32x4_shuffle(wx_ab, yz_ab, 0, 1, 4, 5);
    *b = wasm_i32x4_shuffle(wx_ab, yz_ab, 2, 3, 6, 7);
    *c = wasm_i32x4_shuffle(wx_cd, yz_cd, 0, 1, 4, 5);
    *d = wasm_i32x4_shuffle(wx_cd, yz_cd, 2, 3, 6, 7);
}

static inline void wasm_put_power(uint64_t *power, size_t n, size_t k, uint64_t x) { scalar_put_power(power, n, k, x); }

static inline void wasm_store_power(uint64_t *power, size_t n, size_t k, v128_t re, v128_t im)
{
    uint64_t *p = power + k;
    (void)n;
    v128_t low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(re, re), wasm_i64x2_extmul_low_i32x4(im, im));
    v128_t high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(re, re), wasm_i64x2_extmul_high_i32x4(im, im));
    wasm_v128_store(p, wasm_u64x2_shr(low, EDGEGENRE_MEL_POWER_SHIFT));
    wasm_v128_store(p + 2, wasm_u64x2_shr(high, EDGEGENRE_MEL_POWER_SHIFT));
}

static inline void wasm_store_power_reversed(uint64_t *power, size_t n, size_t k, v128_t re, v128_t im)
{
    wasm_store_power(power, n, k, wasm_reverse(re), wasm_reverse(im));
}

/* Eight samples times the window. */
static inline v128_t wasm_window(const int16_t *pcm, const int16_t *window_q15, int32_t *even, int32_t *odd)
{
    v128_t samples = wasm_v128_load(pcm), weights = wasm_v128_load(window_q15);
    v128_t low = wasm_i32x4_extmul_low_i16x8(samples, weights), high = wasm_i32x4_extmul_high_i16x8(samples, weights);
    v128_t e = wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), o = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
    wasm_v128_store(even, e);
    wasm_v128_store(odd, o);
    return wasm_v128_or(wasm_i32x4_abs(e), wasm_i32x4_abs(o));
}

static inline uint32_t wasm_or_lanes(v128_t x)
{
    v128_t y = wasm_v128_or(x, wasm_i32x4_shuffle(x, x, 2, 3, 0, 1));
    return (uint32_t)(wasm_i32x4_extract_lane(y, 0) | wasm_i32x4_extract_lane(y, 1));
}

static inline uint64_t wasm_weighted_sum(const uint64_t *power, size_t n, size_t start, const uint16_t *weight,
                                         uint32_t n_groups)
{
    (void)n;
    power += start;
    v128_t low = wasm_i64x2_splat(0), high = low;
    for (uint32_t g = 0; g < n_groups; g++) {
        v128_t p0 = wasm_v128_load(power + 4 * g), p1 = wasm_v128_load(power + 4 * g + 2);
        v128_t lows = wasm_i32x4_shuffle(p0, p1, 0, 2, 4, 6), highs = wasm_i32x4_shuffle(p0, p1, 1, 3, 5, 7);
        v128_t w = wasm_u32x4_load16x4(weight + 4 * g);
        low = wasm_i64x2_add(low, wasm_u64x2_extmul_low_u32x4(lows, w));
        low = wasm_i64x2_add(low, wasm_u64x2_extmul_high_u32x4(lows, w));
        high = wasm_i64x2_add(high, wasm_u64x2_extmul_low_u32x4(highs, w));
        high = wasm_i64x2_add(high, wasm_u64x2_extmul_high_u32x4(highs, w));
    }
    v128_t sum = wasm_i64x2_add(low, wasm_i64x2_shl(high, 32));
    return (uint64_t)wasm_i64x2_extract_lane(sum, 0) + (uint64_t)wasm_i64x2_extract_lane(sum, 1);
}
