/* Passes over samples and bytes for Python (edgegenre_runtime, audio/native_passes.py), written so that a compiler
 * takes several at once. Not for devices: they have int16 from a microphone, or edgegenre_resample.h. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error "rounding by two additions needs IEEE floats: compile without -ffast-math"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("no-trapping-math") /* no value changes, but minima and maxima are taken of several at once */
#endif

#define BLOCK 256u
#define ROUNDER 12582912.0f /* 1.5 * 2^23: adding it rounds to the nearest, halves to even */

void edgegenre_passes_mix_int16(const int16_t *frames, size_t n, uint32_t channels, float *mono);
int edgegenre_passes_mix_float(const float *frames, size_t n, uint32_t channels, float largest, float *mono);
size_t edgegenre_passes_round(const float *samples, size_t n, int16_t *pcm);
size_t edgegenre_passes_find(const uint8_t *bytes, size_t n, const uint8_t *pattern);

/* The mean of one or two channels: frames [n][channels], full scale 32768, to mono [n], full scale 1. Exact. */
void edgegenre_passes_mix_int16(const int16_t *restrict frames, size_t n, uint32_t channels, float *restrict mono)
{
    if (channels == 1)
        for (size_t i = 0; i < n; i++) mono[i] = (float)frames[i] * (1.0f / 32768);
    else
        for (size_t i = 0; i < n; i++) mono[i] = (float)(frames[2 * i] + frames[2 * i + 1]) * (1.0f / 65536);
}

/* The same of float32. Returns 1 where all of mono lies between -largest and largest, 0 where not, or one is NaN. */
int edgegenre_passes_mix_float(const float *restrict frames, size_t n, uint32_t channels, float largest,
                               float *restrict mono)
{
    int beyond = 0;
    if (channels == 1)
        for (size_t i = 0; i < n; i++) mono[i] = frames[i];
    else
        for (size_t i = 0; i < n; i++) mono[i] = (frames[2 * i] + frames[2 * i + 1]) * 0.5f;
    for (size_t i = 0; i < n; i++) beyond |= !(mono[i] >= -largest) | !(mono[i] <= largest);
    return !beyond;
}

/* Samples [n] at full scale 1, finite, to pcm [n], halves to even. Returns how many round to more than full scale. */
size_t edgegenre_passes_round(const float *restrict samples, size_t n, int16_t *restrict pcm)
{
    size_t n_above = 0;
    for (size_t start = 0; start < n; start += BLOCK) {
        const size_t stop = n - start < BLOCK ? n : start + BLOCK;
        int32_t above = 0;
        for (size_t i = start; i < stop; i++) {
            const float scaled = samples[i] * 32768.0f;
            above += scaled > 32768.5f; /* 32768.5 itself rounds to 32768 */
            above += scaled < -32768.5f;
        }
        for (size_t i = start; i < stop; i++) {
            const float scaled = samples[i] * 32768.0f, low = scaled < 32767.0f ? scaled : 32767.0f;
            const float x = low > -32768.0f ? low : -32768.0f;
            pcm[i] = (int16_t)(int32_t)((x + ROUNDER) - ROUNDER);
        }
        n_above += (size_t)above;
    }
    return n_above;
}

/* The first position of four bytes in bytes [n]; n where they are not there. */
size_t edgegenre_passes_find(const uint8_t *bytes, size_t n, const uint8_t *pattern)
{
    const uint8_t p0 = pattern[0], p1 = pattern[1], p2 = pattern[2], p3 = pattern[3];
    size_t at = 0;
    for (uint8_t found = 0; !found && at + BLOCK + 3 <= n; at += found ? 0 : BLOCK)
        for (size_t i = at; i < at + BLOCK; i++)
            found |= (uint8_t)((bytes[i] == p0) & (bytes[i + 1] == p1) & (bytes[i + 2] == p2) & (bytes[i + 3] == p3));
    for (; at + 4 <= n; at++)
        if (memcmp(bytes + at, pattern, 4) == 0) return at;
    return n;
}
