/* One frame of the front-end: the lanes that this processor has, and the choice among them. */

#include "edgegenre_mel_internal.h"

#define EDGEGENRE_MEL_POWER_SHIFT 13 /* bits dropped from a bin's power: a mel sum with 16-bit weights fits 63 bits */
#define LOG2_LOW_BITS 10             /* of the 16 fraction bits, those that interpolate within a segment */

static int bit_length_64(uint64_t x)
{
#if defined(__GNUC__)
    return x ? 64 - __builtin_clzll(x) : 0;
#else
    int bits = 0;
    for (int step = 32; step > 0; step /= 2)
        if (x >> step) {
            bits += step;
            x >>= step;
        }
    return bits + (x != 0);
#endif
}

/* Shift that brings a magnitude of that many bits to 30 - log2(n_fft), so that no value of the FFT leaves int32. */
static int block_exponent(uint32_t magnitude, uint32_t n_fft)
{
    return magnitude ? bit_length_64(magnitude) - (31 - bit_length_64(n_fft)) : 0;
}

/* Stage 5: log2 of a band's sum in Q9 plus an offset that undoes every scaling, clipped; -32768 for no power at all.
 * The bound on offsets that init checks keeps the total in int32. */
static inline int16_t log2_q9(uint64_t sum, int32_t offset_q15, const uint16_t *table_q15)
{
    if (sum == 0) return INT16_MIN;
    int exponent = bit_length_64(sum) - 1;
    uint32_t fraction_q16 = (uint32_t)((sum << (63 - exponent)) >> 47) & 0xFFFFu;
    uint32_t segment = fraction_q16 >> LOG2_LOW_BITS;
    int32_t position = (int32_t)(fraction_q16 & ((1u << LOG2_LOW_BITS) - 1u));
    int32_t base = table_q15[segment];
    int32_t rise = (table_q15[segment + 1] - base) * position + (1 << (LOG2_LOW_BITS - 1));
    int32_t total_q15 = offset_q15 + exponent * 32768 + base + (rise >> LOG2_LOW_BITS);
    int32_t log_q9 = (total_q15 + 32) >> 6;
    if (log_q9 > INT16_MAX) log_q9 = INT16_MAX;
    return (int16_t)(log_q9 < INT16_MIN + 1 ? INT16_MIN + 1 : log_q9);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* scheduling before registers are given out spills butterflies */
#endif

#if defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__) && !defined(EDGEGENRE_MEL_PORTABLE)
#define HAS_DSP
#define SCALAR_PATH "dsp"
#else
#define SCALAR_PATH "portable"
#endif
#include "edgegenre_mel_lanes_scalar.h"
#define LANES 1
#define FN(name) scalar_##name
#define KERNEL static inline
#define FRAME static
#include "edgegenre_mel_stages.h"
#undef LANES
#undef FN
#undef KERNEL
#undef FRAME

#if defined(EDGEGENRE_MEL_PORTABLE)
/* nothing but plain C */
#elif defined(__AARCH64EL__) && defined(__ARM_NEON)
#define VECTOR_PATH "neon"
#include "edgegenre_mel_lanes_neon64.h"
#define LANES 8
#define FN(name) neon64_##name
#define KERNEL static inline
#define FRAME static
#include "edgegenre_mel_stages.h"
#elif defined(__ARMEL__) && defined(__ARM_NEON)
#define VECTOR_PATH "neon"
#include "edgegenre_mel_lanes_neon.h"
#define LANES 4
#define FN(name) neon_##name
#define KERNEL static inline
#define FRAME static
#include "edgegenre_mel_stages.h"
#elif defined(__ARM_FEATURE_MVE) && defined(__ARMEL__)
#define VECTOR_PATH "helium"
#include "edgegenre_mel_lanes_helium.h"
#define LANES 4
#define FN(name) helium_##name
#define KERNEL static inline
#define FRAME static
#include "edgegenre_mel_stages.h"
#elif defined(__wasm_simd128__)
#define VECTOR_PATH "simd128"
#include "edgegenre_mel_lanes_wasm.h"
#define LANES 4
#define FN(name) wasm_##name
#define KERNEL static inline
#define FRAME static
#include "edgegenre_mel_stages.h"
#elif defined(__x86_64__) && defined(__GNUC__)
#define VECTOR_PATH "avx2"
#include "edgegenre_mel_lanes_avx2.h"
#define LANES 8
#define FN(name) avx2_##name
#define KERNEL AVX2
#define FRAME static __attribute__((target("avx2,bmi2"))) /* BMI2: shifts by a variable, for log2_q9 */
#include "edgegenre_mel_stages.h"
#endif

#if defined(VECTOR_PATH)
static int has_vectors(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#else
    return 1;
#endif
}
#endif

/* Vectors need frames of at least 128 samples. */
edgegenre_mel_frame_fn *edgegenre_mel_choose(uint32_t n_fft, const char **path)
{
#if defined(VECTOR_PATH)
    if (n_fft >= 128 && has_vectors()) {
        *path = VECTOR_PATH;
        return FN(frame);
    }
#endif
    (void)n_fft;
    *path = SCALAR_PATH;
    return scalar_frame;
}
