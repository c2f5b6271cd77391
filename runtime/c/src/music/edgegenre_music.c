/* Statistics of a window in whole numbers, a row at a time; music_statistics.py states them on the whole window. */

#include "edgegenre_music.h"

#if defined(__FAST_MATH__)
#error "the statistics' bits need IEEE doubles: compile without -ffast-math"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

enum { DETAIL_BANDS = 9, HALF = DETAIL_BANDS / 2, SIZE_STEPS = 16, N_TONES = 3, LARGEST = 4, CELLS = 255 };
enum { FLOOR_DB = 1 };

static const uint32_t TONE_MS[N_TONES] = {70, 280, 1100};

/* What is kept while the rows go by; the last five of n_frames. */
typedef struct {
    const int8_t *cells;
    int32_t M, T, floor_cells, move_lag, tone_lag[N_TONES];
    int64_t *variances; /* [M] T times the sum of a band's squares less the square of its sum */
    int64_t *sounding;  /* [M] those of the bands that lie above the floor in more than half of the frames */
    int32_t *level, *size, *onset, *tone[N_TONES], *centered;
    int16_t *smooth, *detail; /* of one row */
    int32_t n_sounding, last_band;
    int64_t sum, squares, n_floor, band_squares, roughness, moved, lines, line_squares;
} music_sums;

static uint32_t whole_root(uint64_t x)
{
    uint64_t found = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit > 0; bit >>= 2) { /* no branch: nobody could foretell it */
        const uint64_t tried = found + bit, fits = (uint64_t)0 - (x >= tried);
        x -= tried & fits;
        found = (found >> 1) + (bit & fits);
    }
    return (uint32_t)found;
}

/* The square root of a whole number to 30 bits. */
static double root(int64_t number)
{
    uint64_t x = (uint64_t)number;
    double unit = 1.0;
    if (x == 0) return 0.0;
    for (; x < (uint64_t)1 << 60; x <<= 2) unit *= 0.5;
    return whole_root(x) * unit;
}

static void sort(int64_t *x, int32_t n)
{
    for (int32_t gap = n / 2; gap > 0; gap /= 2)
        for (int32_t i = gap; i < n; i++) {
            const int64_t at = x[i];
            int32_t k = i;
            for (; k >= gap && x[k - gap] > at; k -= gap) x[k] = x[k - gap];
            x[k] = at;
        }
}

/* Milliseconds in frames, at least 1 and at most half a window. */
static int32_t lag_of(const edgegenre_music_shape *s, uint32_t ms)
{
    const uint64_t unit = 2000u * (uint64_t)s->hop_samples;
    const uint64_t lag = (2 * (uint64_t)ms * s->sample_rate_hz + unit / 2) / unit;
    return lag < 1 ? 1 : lag < s->n_frames / 2 ? (int32_t)lag : (int32_t)(s->n_frames / 2);
}

/* A row; of bands beyond the edge, that of the edge. */
static const int8_t *row_at(const music_sums *s, int32_t m)
{
    return s->cells + (m < 0 ? 0 : m >= s->M ? s->M - 1 : m) * s->T;
}

static void spread_of_band(music_sums *s, int32_t m)
{
    const int8_t *row = row_at(s, m);
    const int32_t T = s->T, floor_cells = s->floor_cells;
    int32_t *level = s->level; /* apart, so that a compiler knows that they stay: it then takes several frames at once */
    int32_t sum = 0, squares = 0, n_sounding = 0, n_floor = 0;
    for (int32_t t = 0; t < T; t++) {
        const int32_t u = row[t] + 128;
        sum += u;
        squares += u * u;
        n_sounding += u > 0;
        n_floor += u < floor_cells;
        level[t] += u;
    }
    s->variances[m] = (int64_t)s->T * squares - (int64_t)sum * sum;
    if (2 * n_sounding > s->T) s->sounding[s->n_sounding++] = s->variances[m];
    s->sum += sum;
    s->squares += squares;
    s->n_floor += n_floor;
    s->band_squares += (int64_t)sum * sum;
    if (m > 0) s->roughness += sum > s->last_band ? sum - s->last_band : s->last_band - sum;
    s->last_band = sum;
}

/* What stands out of each frame's smooth spectrum, nine times, and whether it lasts. */
static void detail_of_band(music_sums *s, int32_t m)
{
    const int8_t *row = row_at(s, m), *in = row_at(s, m + HALF), *out = row_at(s, m - HALF - 1);
    const int32_t T = s->T;
    int16_t *d = s->detail, *smooth = s->smooth;
    int32_t *size = s->size, sum = 0;
    for (int32_t t = 0; t < T; t++) {
        smooth[t] = (int16_t)(smooth[t] + in[t] - out[t]);
        d[t] = (int16_t)(DETAIL_BANDS * row[t] - smooth[t]);
    }
    for (int32_t t = 0; t < T; t++) {
        sum += d[t];
        size[t] += d[t] * d[t];
    }
    for (int k = 0; k < N_TONES; k++) {
        const int32_t lag = s->tone_lag[k], n = s->T - lag;
        int32_t *tone = s->tone[k];
        for (int32_t t = 0; t < n; t++) tone[t] += d[t] * d[t + lag];
    }
    s->lines += sum;
    s->line_squares += (int64_t)sum * sum;
}

static void movement_of_band(music_sums *s, int32_t m)
{
    const int8_t *row = row_at(s, m), *later = row + s->move_lag;
    const int32_t n = s->T - s->move_lag;
    int32_t *onset = s->onset, moved = 0;
    for (int32_t t = 0; t < n; t++) {
        const int32_t change = later[t] - row[t], rise = change > 0 ? change : 0;
        onset[t] += rise;
        moved += 2 * rise - change;
    }
    s->moved += moved;
}

/* n times the standard deviation of n whole numbers. */
static double deviation(const int32_t *x, int32_t n)
{
    int64_t sum = 0, squares = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (int64_t)x[i] * x[i];
    }
    return root(n * squares - sum * sum);
}

/* The highest autocorrelation of the onsets 0.25 to 1.2 s apart, -1 to 1. */
static double rhythm(const edgegenre_music_shape *shape, const music_sums *s, double step)
{
    const int32_t n = s->T - s->move_lag, most = n / 2;
    const double unit = step / s->M / n;
    int32_t first = lag_of(shape, 250), end = lag_of(shape, 1200), *c = s->centered;
    int64_t sum = 0, energy = 0, largest = INT64_MIN;
    first = first > most ? most : first;
    first = first < 2 ? 2 : first;
    end = end > most ? most : end;
    end = end < first + 1 ? first + 1 : end;
    for (int32_t t = 0; t < n; t++) sum += s->onset[t];
    for (int32_t t = 0; t < n; t++) c[t] = (int32_t)(n * s->onset[t] - sum);
    for (int32_t t = 0; t < n; t++) energy += (int64_t)c[t] * c[t];
    for (int32_t lag = first; lag < end; lag++) {
        int64_t found = 0;
        for (int32_t t = lag; t < n; t++) found += (int64_t)c[t] * c[t - lag];
        largest = found > largest ? found : largest;
    }
    return (double)largest * unit * unit / ((double)energy * unit * unit + 1e-3);
}

/* Of levels, low, middle and high: what a tenth of the frames lies below, half of them, a tenth above. */
static void quantiles(const music_sums *s, double step, double *dips, double *peaks)
{
    int64_t *x = s->sounding; /* done with; there is room behind for n_frames, see take_memory */
    for (int32_t t = 0; t < s->T; t++) x[t] = s->level[t];
    sort(x, s->T);
    const int64_t low = x[s->T / 10], middle = x[s->T / 2], high = x[s->T - 1 - s->T / 10];
    *dips = (double)(middle - low) * step / s->M;
    *peaks = (double)(high - middle) * step / s->M;
}

/* How sharp the spectrum is and how long its lines stay: from `out` on, six statistics. */
static void tones(const music_sums *s, double step, double *out)
{
    const double unit = step / (DETAIL_BANDS * SIZE_STEPS) / s->M, line = step / DETAIL_BANDS;
    int32_t *z = s->size;
    int64_t sum = 0;
    for (int32_t t = 0; t < s->T; t++)
        z[t] = (int32_t)whole_root((uint64_t)z[t] * (uint64_t)(s->M * SIZE_STEPS * SIZE_STEPS));
    for (int32_t t = 0; t < s->T; t++) sum += z[t];
    const double mean = (double)sum * unit / s->T;
    out[0] = mean;
    out[1] = deviation(z, s->T) * unit / s->T;
    for (int k = 0; k < N_TONES; k++) {
        const int32_t lag = s->tone_lag[k], n = s->T - lag;
        double tone = 0.0;
        for (int32_t t = 0; t < n; t++)
            tone += s->tone[k][t] * line * line / ((z[t] * unit + 1e-3) * (z[t + lag] * unit + 1e-3));
        out[2 + k] = tone / s->M / n;
    }
    out[2 + N_TONES] = root(s->M * s->line_squares - s->lines * s->lines) / s->M / s->T * line / (mean + 1e-3);
}

static void *take(char **memory, uint32_t n_bytes)
{
    void *at = *memory;
    *memory += n_bytes;
    return at;
}

static void take_memory(music_sums *s, void *scratch)
{
    const uint32_t M = (uint32_t)s->M, T = (uint32_t)s->T;
    char *memory = scratch;
    s->variances = take(&memory, 8 * M);
    s->sounding = take(&memory, 8 * M + 8 * T);
    s->level = take(&memory, 4 * T);
    s->size = take(&memory, 4 * T);
    s->onset = take(&memory, 4 * T);
    for (int k = 0; k < N_TONES; k++) s->tone[k] = take(&memory, 4 * T);
    s->centered = take(&memory, 4 * T);
    s->smooth = take(&memory, 2 * T);
    s->detail = take(&memory, 2 * T);
    for (int32_t t = 0; t < s->T; t++) {
        s->level[t] = s->size[t] = s->onset[t] = s->tone[0][t] = s->tone[1][t] = s->tone[2][t] = 0;
        s->smooth[t] = 0;
        for (int32_t m = -HALF - 1; m < HALF; m++) s->smooth[t] = (int16_t)(s->smooth[t] + row_at(s, m)[t]);
    }
}

int edgegenre_music_statistics(const edgegenre_music_shape *shape, const int8_t *cells, void *scratch,
                               size_t scratch_bytes, double *out)
{
    if (!shape || !cells || !scratch || !out) return 1;
    if (shape->n_mels < 2 || shape->n_mels > EDGEGENRE_MUSIC_MAX_MELS) return 1;
    if (shape->n_frames < 8 || shape->n_frames > EDGEGENRE_MUSIC_MAX_FRAMES) return 1;
    if (!shape->hop_samples || !(shape->top_db > 0) || (uintptr_t)scratch % 8 != 0) return 1;
    if (scratch_bytes < EDGEGENRE_MUSIC_SCRATCH_BYTES(shape->n_mels, shape->n_frames)) return 1;
    music_sums s = {cells, (int32_t)shape->n_mels, (int32_t)shape->n_frames, 0, lag_of(shape, TONE_MS[0]), {0}, 0, 0, 0,
                    0, 0, {0}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const double step = shape->top_db / CELLS;
    while (s.floor_cells <= CELLS && s.floor_cells * step < FLOOR_DB) s.floor_cells++;
    for (int k = 0; k < N_TONES; k++) s.tone_lag[k] = lag_of(shape, TONE_MS[k]);
    take_memory(&s, scratch);
    for (int32_t m = 0; m < s.M; m++) {
        spread_of_band(&s, m);
        detail_of_band(&s, m);
        movement_of_band(&s, m);
    }
    const int32_t n = s.n_sounding, M = s.M, T = s.T, n_moves = T - s.move_lag;
    const int64_t n_cells = (int64_t)M * T;
    double deviations = 0.0;
    for (int32_t m = 0; m < M; m++) deviations += root(s.variances[m]);
    sort(s.variances, M);
    sort(s.sounding, n);
    const double low = n ? root(s.sounding[(n - 1) / 2]) : 0.0, high = n ? root(s.sounding[n / 2]) : 0.0;
    out[0] = (low + high) / 2 * step / T;
    out[1] = root(s.variances[M - 1 - M / 10]) * step / T;
    out[2] = (double)s.n_floor / (double)n_cells;
    out[3] = root(n_cells * s.squares - s.sum * s.sum) * step / (double)n_cells;
    out[4] = deviation(s.level, T) * step / M / T;
    quantiles(&s, step, &out[5], &out[6]);
    tones(&s, step, out + 7);
    out[13] = rhythm(shape, &s, step);
    out[14] = (double)s.moved * step / M / n_moves;
    out[15] = deviation(s.onset, n_moves) * step / M / n_moves;
    out[16] = out[4] / (deviations * step / T / M + 0.1);
    out[17] = root(M * s.band_squares - s.sum * s.sum) * step / M / T;
    out[18] = (double)s.roughness * step / T / (M - 1);
    return 0;
}

double edgegenre_music_score(const double *statistics, const double *rows, double bias)
{
    double score = bias;
    for (int i = 0; i < EDGEGENRE_MUSIC_STATISTICS; i++, rows += 4) {
        double one = (statistics[i] - rows[0]) / rows[1];
        one = one < -LARGEST ? -LARGEST : one > LARGEST ? LARGEST : one;
        score += rows[2] * one;
        score += rows[3] * (one * one);
    }
    return score;
}
