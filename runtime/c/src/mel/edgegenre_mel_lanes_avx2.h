/* Eight lanes of AVX2. Products of int32 exist for even lanes alone (vpmuldq), so odd lanes are moved down first. */

#include <immintrin.h>

typedef __m256i avx2_vec;

#define AVX2 static inline __attribute__((always_inline, target("avx2")))

AVX2 __m256i avx2_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i_u *)p); }
AVX2 void avx2_store(int32_t *p, __m256i x) { _mm256_storeu_si256((__m256i_u *)p, x); }
AVX2 __m256i avx2_set(int32_t x) { return _mm256_set1_epi32(x); }
AVX2 __m256i avx2_add(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
AVX2 __m256i avx2_sub(__m256i a, __m256i b) { return _mm256_sub_epi32(a, b); }
AVX2 __m256i avx2_or(__m256i a, __m256i b) { return _mm256_or_si256(a, b); }

AVX2 __m256i avx2_load_reversed(const int32_t *p)
{
    return _mm256_permutevar8x32_epi32(avx2_load(p), _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}

/* (a + b) >> 1 without the carry: a + b = 2 (a & b) + (a ^ b); a - b = (a ^ b) - 2 (~a & b). */
AVX2 __m256i avx2_half_add(__m256i a, __m256i b)
{
    return _mm256_add_epi32(_mm256_and_si256(a, b), _mm256_srai_epi32(_mm256_xor_si256(a, b), 1));
}

AVX2 __m256i avx2_half_sub(__m256i a, __m256i b)
{
    return _mm256_sub_epi32(_mm256_srai_epi32(_mm256_xor_si256(a, b), 1), _mm256_andnot_si256(a, b));
}

AVX2 __m256i avx2_scale(__m256i x, int shift)
{
    __m256i half = _mm256_set1_epi32(shift > 0 ? 1 << (shift - 1) : 0);
    __m256i up = _mm256_sll_epi32(x, _mm_cvtsi32_si128(shift < 0 ? -shift : 0));
    return _mm256_sra_epi32(_mm256_add_epi32(up, half), _mm_cvtsi32_si128(shift > 0 ? shift : 0));
}

AVX2 __m256i avx2_odd(__m256i x) { return _mm256_shuffle_epi32(x, 0xF5); }

/* a b + 2^31 in 64 bits for the even lanes: with a doubled, the upper half is mul_q31 of the undoubled a. */
AVX2 __m256i avx2_product(__m256i a, __m256i b)
{
    return _mm256_add_epi64(_mm256_mul_epi32(a, b), _mm256_set1_epi64x(1LL << 31));
}

/* Rotation of |re|, |im| < 2^30: doubling fits, and the upper halves of the products are the results. */
AVX2 void avx2_rotate_small(__m256i *re, __m256i *im, __m256i cos, __m256i sin)
{
    __m256i r = avx2_add(*re, *re), i = avx2_add(*im, *im), ro = avx2_odd(r), io = avx2_odd(i);
    __m256i coso = avx2_odd(cos), sino = avx2_odd(sin);
    __m256i re_even = avx2_add(avx2_product(r, cos), avx2_product(i, sin));
    __m256i re_odd = avx2_add(avx2_product(ro, coso), avx2_product(io, sino));
    __m256i im_even = avx2_sub(avx2_product(i, cos), avx2_product(r, sin));
    __m256i im_odd = avx2_sub(avx2_product(io, coso), avx2_product(ro, sino));
    *re = _mm256_blend_epi32(avx2_odd(re_even), re_odd, 0xAA);
    *im = _mm256_blend_epi32(avx2_odd(im_even), im_odd, 0xAA);
}

/* The same without doubling, for any int32: twice the product is taken after it, in 64 bits. */
AVX2 __m256i avx2_wide(__m256i a, __m256i b)
{
    __m256i product = _mm256_mul_epi32(a, b);
    return _mm256_add_epi64(_mm256_add_epi64(product, product), _mm256_set1_epi64x(1LL << 31));
}

AVX2 void avx2_rotate(__m256i *re, __m256i *im, __m256i cos, __m256i sin)
{
    __m256i r = *re, i = *im, ro = avx2_odd(r), io = avx2_odd(i), coso = avx2_odd(cos), sino = avx2_odd(sin);
    __m256i re_even = avx2_add(avx2_wide(r, cos), avx2_wide(i, sin));
    __m256i re_odd = avx2_add(avx2_wide(ro, coso), avx2_wide(io, sino));
    __m256i im_even = avx2_sub(avx2_wide(i, cos), avx2_wide(r, sin));
    __m256i im_odd = avx2_sub(avx2_wide(io, coso), avx2_wide(ro, sino));
    *re = _mm256_blend_epi32(avx2_odd(re_even), re_odd, 0xAA);
    *im = _mm256_blend_epi32(avx2_odd(im_even), im_odd, 0xAA);
}

/* p [8][4] → four columns of eight. */
AVX2 void avx2_load_4_apart(const int32_t *p, __m256i *a, __m256i *b, __m256i *c, __m256i *d)
{
    const __m128i_u *q = (const __m128i_u *)p;
    __m256i r04 = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(q)), _mm_loadu_si128(q + 4), 1);
    __m256i r15 = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(q + 1)), _mm_loadu_si128(q + 5), 1);
    __m256i r26 = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(q + 2)), _mm_loadu_si128(q + 6), 1);
    __m256i r37 = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(q + 3)), _mm_loadu_si128(q + 7), 1);
    __m256i ab01 = _mm256_unpacklo_epi32(r04, r15), ab23 = _mm256_unpacklo_epi32(r26, r37);
    __m256i cd01 = _mm256_unpackhi_epi32(r04, r15), cd23 = _mm256_unpackhi_epi32(r26, r37);
    *a = _mm256_unpacklo_epi64(ab01, ab23);
    *b = _mm256_unpackhi_epi64(ab01, ab23);
    *c = _mm256_unpacklo_epi64(cd01, cd23);
    *d = _mm256_unpackhi_epi64(cd01, cd23);
}

/* Two rows of four, 16 apart: [p[0..3], p[16..19]]. */
AVX2 __m256i avx2_load_2_rows(const int32_t *p)
{
    __m128i low = _mm_loadu_si128((const __m128i_u *)p), high = _mm_loadu_si128((const __m128i_u *)(p + 16));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* [p[0] four times, p[1] four times]. */
AVX2 __m256i avx2_load_2_spread(const int32_t *p)
{
    __m256i pair = _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i_u *)p));
    return _mm256_permutevar8x32_epi32(pair, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
}

/* The first row of four is rotated by cos[0], sin[0], the second by cos[1], sin[1]. */
AVX2 void avx2_rotate_2_rows(__m256i *re, __m256i *im, const int32_t *cos, const int32_t *sin)
{
    avx2_rotate_small(re, im, avx2_load_2_spread(cos), avx2_load_2_spread(sin));
}

AVX2 __m256i avx2_power(__m256i re, __m256i im)
{
    __m256i sum = _mm256_add_epi64(_mm256_mul_epi32(re, re), _mm256_mul_epi32(im, im));
    return _mm256_srli_epi64(sum, EDGEGENRE_MEL_POWER_SHIFT);
}

AVX2 void avx2_put_power(uint64_t *power, size_t n, size_t k, uint64_t x) { scalar_put_power(power, n, k, x); }

AVX2 void avx2_store_power(uint64_t *power, size_t n, size_t k, __m256i re, __m256i im)
{
    uint64_t *p = power + k;
    (void)n;
    __m256i even = avx2_power(re, im), odd = avx2_power(avx2_odd(re), avx2_odd(im));
    __m256i p0145 = _mm256_unpacklo_epi64(even, odd), p2367 = _mm256_unpackhi_epi64(even, odd);
    _mm256_storeu_si256((__m256i_u *)p, _mm256_permute2x128_si256(p0145, p2367, 0x20));
    _mm256_storeu_si256((__m256i_u *)(p + 4), _mm256_permute2x128_si256(p0145, p2367, 0x31));
}

AVX2 void avx2_store_power_reversed(uint64_t *power, size_t n, size_t k, __m256i re, __m256i im)
{
    uint64_t *p = power + k;
    (void)n;
    __m256i even = avx2_power(re, im), odd = avx2_power(avx2_odd(re), avx2_odd(im));
    __m256i p1054 = _mm256_unpacklo_epi64(odd, even), p3276 = _mm256_unpackhi_epi64(odd, even);
    _mm256_storeu_si256((__m256i_u *)p, _mm256_permute2x128_si256(p3276, p1054, 0x31));
    _mm256_storeu_si256((__m256i_u *)(p + 4), _mm256_permute2x128_si256(p3276, p1054, 0x20));
}

/* Sixteen samples times the window: vpmaddwd with every other weight zero is the exact product. */
AVX2 __m256i avx2_window(const int16_t *pcm, const int16_t *window_q15, int32_t *even, int32_t *odd)
{
    __m256i samples = _mm256_loadu_si256((const __m256i_u *)pcm);
    __m256i weights = _mm256_loadu_si256((const __m256i_u *)window_q15);
    __m256i low = _mm256_set1_epi32(0xFFFF);
    __m256i e = _mm256_madd_epi16(samples, _mm256_and_si256(weights, low));
    __m256i o = _mm256_madd_epi16(samples, _mm256_andnot_si256(low, weights));
    avx2_store(even, e);
    avx2_store(odd, o);
    return avx2_or(_mm256_abs_epi32(e), _mm256_abs_epi32(o));
}

AVX2 uint32_t avx2_or_lanes(__m256i x)
{
    __m128i y = _mm_or_si128(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    y = _mm_or_si128(y, _mm_shuffle_epi32(y, 0x4E));
    y = _mm_or_si128(y, _mm_shuffle_epi32(y, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(y);
}

AVX2 uint64_t avx2_weighted_sum(const uint64_t *power, size_t n, size_t start, const uint16_t *weight,
                                uint32_t n_groups)
{
    (void)n;
    power += start;
    __m256i low = _mm256_setzero_si256(), high = low;
    for (uint32_t g = 0; g < n_groups; g++) {
        __m256i p = _mm256_loadu_si256((const __m256i_u *)(power + 4 * g));
        __m256i w = _mm256_cvtepu16_epi64(_mm_loadl_epi64((const __m128i_u *)(weight + 4 * g)));
        low = _mm256_add_epi64(low, _mm256_mul_epu32(p, w));
        high = _mm256_add_epi64(high, _mm256_mul_epu32(_mm256_srli_epi64(p, 32), w));
    }
    __m256i sum = _mm256_add_epi64(low, _mm256_slli_epi64(high, 32));
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi64(half, _mm_unpackhi_epi64(half, half));
    uint64_t total;
    _mm_storel_epi64((__m128i_u *)(void *)&total, half);
    return total;
}
