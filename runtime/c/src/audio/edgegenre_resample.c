/* A polyphase resampler: output i lies at input i * down / up; a row of the table weighs the samples around it. */

#include "edgegenre_resample.h"

#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF /* a fused multiply-add would change the bits */
#endif

#define STATE_MAGIC 0x45475253u
#define LANES 8u           /* partial sums, always added in the same order */
#define ZEROS 96u          /* zero crossings of the sinc on each side */
#define BETA 12.8          /* of the Kaiser window: side lobes below -120 dB */
#define CUT_OFF 0.9567     /* of the lower Nyquist frequency; with this, nearest to what soxr's HQ gives */
#define PI 3.14159265358979323846
#define ROUNDER 12582912.0f /* 1.5 * 2^23: adding it rounds to the nearest, halves to even */
#define LARGEST 65536.0f    /* far above full scale, far below what would overflow in the sum */

typedef struct {
    uint32_t up, down, half;
} shape;

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Going down in rate, the filter becomes longer by in / out; half is a multiple of 4. */
static shape shape_of(uint32_t in_rate_hz, uint32_t out_rate_hz)
{
    uint32_t common = common_divisor(in_rate_hz, out_rate_hz);
    shape s = {out_rate_hz / common, in_rate_hz / common, 0};
    if (in_rate_hz == out_rate_hz) return s;
    s.half = ZEROS;
    if (s.down > s.up) s.half = (uint32_t)(((uint64_t)ZEROS * s.down + s.up - 1) / s.up);
    s.half = (s.half + 3) / 4 * 4;
    return s;
}

static int is_rate(uint32_t rate_hz)
{
    return rate_hz >= EDGEGENRE_RESAMPLE_MIN_RATE && rate_hz <= EDGEGENRE_RESAMPLE_MAX_RATE;
}

size_t edgegenre_resample_arena_bytes(uint32_t in_rate_hz, uint32_t out_rate_hz)
{
    if (!is_rate(in_rate_hz) || !is_rate(out_rate_hz)) return 0;
    shape s = shape_of(in_rate_hz, out_rate_hz);
    uint64_t bytes = ((uint64_t)s.up + 2) * 2 * s.half * sizeof(float) + sizeof(float);
    return bytes > SIZE_MAX / 2 ? 0 : (size_t)bytes;
}

/* sin(pi x) by its series around the nearest integer. */
static double sin_pi(double x)
{
    int64_t nearest = (int64_t)(x < 0 ? x - 0.5 : x + 0.5);
    double t = (x - (double)nearest) * PI, term = t, sum = t;
    for (int k = 2; k < 24; k += 2) {
        term = -term * t * t / (double)(k * (k + 1));
        sum += term;
    }
    return nearest % 2 == 0 ? sum : -sum;
}

/* The modified Bessel function I0 of 2 sqrt(x). */
static double bessel_i0(double x)
{
    double term = 1, sum = 1;
    for (int k = 1; k < 64; k++) {
        term = term * x / ((double)k * (double)k);
        sum += term;
    }
    return sum;
}

static void design(float *row, uint32_t phase, const shape *s)
{
    double cut = CUT_OFF, sum = 0;
    uint32_t taps = 2 * s->half;
    if (s->down > s->up) cut = CUT_OFF * (double)s->up / (double)s->down;
    for (uint32_t k = 0; k < taps; k++) {
        double x = (double)k - (double)(s->half - 1) - (double)phase / (double)s->up, u = x / (double)s->half;
        double sinc = x > -1e-9 && x < 1e-9 ? cut : sin_pi(cut * x) / (PI * x);
        double weight = u * u < 1 ? sinc * bessel_i0(BETA * BETA / 4 * (1 - u * u)) : 0;
        row[k] = (float)weight;
        sum += weight;
    }
    for (uint32_t k = 0; k < taps; k++) row[k] = (float)((double)row[k] / sum); /* a gain of one */
}

static edgegenre_resample_error check_state(const edgegenre_resample *r)
{
    if (!r) return EDGEGENRE_RESAMPLE_E_NULL;
    return r->magic == STATE_MAGIC ? EDGEGENRE_RESAMPLE_OK : EDGEGENRE_RESAMPLE_E_STATE;
}

edgegenre_resample_error edgegenre_resample_init(edgegenre_resample *r, void *arena, size_t arena_bytes,
                                                 uint32_t in_rate_hz, uint32_t out_rate_hz)
{
    if (!r || !arena) return EDGEGENRE_RESAMPLE_E_NULL;
    if ((uintptr_t)arena % sizeof(float) != 0) return EDGEGENRE_RESAMPLE_E_ALIGN;
    size_t needed = edgegenre_resample_arena_bytes(in_rate_hz, out_rate_hz);
    if (needed == 0) return EDGEGENRE_RESAMPLE_E_RATE;
    if (arena_bytes < needed) return EDGEGENRE_RESAMPLE_E_SIZE;
    shape s = shape_of(in_rate_hz, out_rate_hz);
    r->magic = STATE_MAGIC;
    r->up = s.up;
    r->down = s.down;
    r->taps = 2 * s.half;
    r->table = (float *)arena;
    r->held = r->table + (size_t)r->up * r->taps;
    for (uint32_t phase = 0; phase < r->up && r->taps > 0; phase++)
        design(r->table + (size_t)phase * r->taps, phase, &s);
    return edgegenre_resample_reset(r);
}

edgegenre_resample_error edgegenre_resample_reset(edgegenre_resample *r)
{
    edgegenre_resample_error error = check_state(r);
    if (error != EDGEGENRE_RESAMPLE_OK) return error;
    r->n_in = r->n_out = 0;
    r->phase = r->skip = r->n_held = 0;
    if (r->taps > 0) { /* zeros before the first sample, so that output 0 lies at input 0 */
        r->n_held = r->taps / 2 - 1;
        memset(r->held, 0, r->n_held * sizeof *r->held);
    }
    return EDGEGENRE_RESAMPLE_OK;
}

size_t edgegenre_resample_capacity(const edgegenre_resample *r, size_t n_samples)
{
    if (check_state(r) != EDGEGENRE_RESAMPLE_OK) return 0;
    uint64_t most = (uint64_t)n_samples + r->taps;
    if (most > UINT64_MAX / EDGEGENRE_RESAMPLE_MAX_RATE) return SIZE_MAX;
    most = most * r->up / r->down + 2;
    return most > SIZE_MAX ? SIZE_MAX : (size_t)most;
}

static float bounded(float x)
{
    if (!(x - x == 0)) return 0;
    return x < -LARGEST ? -LARGEST : x > LARGEST ? LARGEST : x;
}

static int16_t to_int16(float x)
{
    x *= 32768.0f;
    x = x < -32768.0f ? -32768.0f : x > 32767.0f ? 32767.0f : x;
    volatile float rounded = x + ROUNDER; /* in memory: no compiler may simplify the two additions */
    return (int16_t)(rounded - ROUNDER);
}

static float weigh(const float *x, const float *weight, uint32_t taps)
{
    float sum[LANES] = {0};
    for (uint32_t k = 0; k < taps; k += LANES)
        for (uint32_t i = 0; i < LANES; i++) sum[i] += x[k + i] * weight[k + i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Outputs of x [n], which begins at the input of the next one; returns the inputs that are not needed any more. */
static size_t outputs(edgegenre_resample *r, const float *x, size_t n, int16_t *pcm, size_t *n_pcm)
{
    size_t at = 0;
    while (at + r->taps <= n) {
        pcm[(*n_pcm)++] = to_int16(weigh(x + at, r->table + (size_t)r->phase * r->taps, r->taps));
        uint64_t next = (uint64_t)r->phase + r->down;
        r->phase = (uint32_t)(next % r->up);
        at += (size_t)(next / r->up);
    }
    return at;
}

static void take(edgegenre_resample *r, const float *samples, size_t n_samples, int16_t *pcm, size_t *n_pcm)
{
    while (n_samples > 0) {
        size_t skipped = r->skip < n_samples ? r->skip : n_samples;
        r->skip -= (uint32_t)skipped;
        samples += skipped;
        n_samples -= skipped;
        size_t room = 2 * (size_t)r->taps - r->n_held, taken = n_samples < room ? n_samples : room;
        for (size_t i = 0; i < taken; i++) r->held[r->n_held + i] = bounded(samples[i]);
        samples += taken;
        n_samples -= taken;
        r->n_held += (uint32_t)taken;
        size_t used = outputs(r, r->held, r->n_held, pcm, n_pcm);
        size_t dropped = used < r->n_held ? used : r->n_held;
        r->skip += (uint32_t)(used - dropped);
        r->n_held -= (uint32_t)dropped;
        memmove(r->held, r->held + dropped, r->n_held * sizeof *r->held);
    }
}

edgegenre_resample_error edgegenre_resample_push(edgegenre_resample *r, const float *samples, size_t n_samples,
                                                 int16_t *pcm, size_t capacity, size_t *n_pcm)
{
    edgegenre_resample_error error = check_state(r);
    if (error != EDGEGENRE_RESAMPLE_OK) return error;
    if ((!samples && n_samples > 0) || !pcm || !n_pcm) return EDGEGENRE_RESAMPLE_E_NULL;
    if (capacity < edgegenre_resample_capacity(r, n_samples)) return EDGEGENRE_RESAMPLE_E_SIZE;
    *n_pcm = 0;
    r->n_in += n_samples;
    if (r->taps == 0)
        while (*n_pcm < n_samples) {
            pcm[*n_pcm] = to_int16(bounded(samples[*n_pcm]));
            ++*n_pcm;
        }
    else
        take(r, samples, n_samples, pcm, n_pcm);
    r->n_out += *n_pcm;
    return EDGEGENRE_RESAMPLE_OK;
}

edgegenre_resample_error edgegenre_resample_flush(edgegenre_resample *r, int16_t *pcm, size_t capacity, size_t *n_pcm)
{
    static const float zeros[64];
    edgegenre_resample_error error = check_state(r);
    if (error != EDGEGENRE_RESAMPLE_OK) return error;
    if (!pcm || !n_pcm) return EDGEGENRE_RESAMPLE_E_NULL;
    if (capacity < edgegenre_resample_capacity(r, 0)) return EDGEGENRE_RESAMPLE_E_SIZE;
    uint64_t wanted = r->taps == 0 ? 0 : (r->n_in * r->up + r->down - 1) / r->down - r->n_out;
    *n_pcm = 0;
    for (uint32_t left = r->taps / 2; left > 0;) {
        uint32_t n = left < 64 ? left : 64;
        take(r, zeros, n, pcm, n_pcm);
        left -= n;
    }
    if (*n_pcm > wanted) *n_pcm = (size_t)wanted;
    return edgegenre_resample_reset(r);
}

const char *edgegenre_resample_strerror(edgegenre_resample_error error)
{
    switch (error) {
    case EDGEGENRE_RESAMPLE_OK: return "no error";
    case EDGEGENRE_RESAMPLE_E_NULL: return "a pointer that must not be NULL is NULL";
    case EDGEGENRE_RESAMPLE_E_ALIGN: return "the resampler's arena is not aligned to 4 bytes";
    case EDGEGENRE_RESAMPLE_E_SIZE: return "a buffer of the resampler is too small; nothing was taken";
    case EDGEGENRE_RESAMPLE_E_RATE: return "the sample rate is outside of 1000 to 768000 Hz";
    case EDGEGENRE_RESAMPLE_E_STATE: return "this is no state that edgegenre_resample_init made";
    default: return "unknown error code";
    }
}
