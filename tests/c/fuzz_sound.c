/* Fuzz target of what takes sound: the resampler, the detector of music and the WAV reader of the examples. Whatever
 * the bytes, no sanitizer may find anything, and what must hold is checked here.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined,float-cast-overflow -Iruntime/c/include -Iruntime/c/examples \
 *       tests/c/fuzz_sound.c runtime/c/src/audio/?*.c runtime/c/src/music/?*.c
 *   cc -DSTANDALONE -fsanitize=address,undefined …; ./a.out rounds seed          makes its bytes itself */
#define _POSIX_C_SOURCE 200809L /* fmemopen */
#include <stdlib.h>

#include "edgegenre_music.h"
#include "edgegenre_resample.h"
#include "wav_input.h"

static uint32_t next(uint32_t *x) { return *x = 1664525u * *x + 1013904223u; }

static uint32_t word(const uint8_t **data, size_t *n)
{
    uint32_t value = 0;
    for (int i = 0; i < 4 && *n > 0; i++, (*data)++, (*n)--) value = value << 8 | **data;
    return value;
}

/* Feed samples in chunks of sizes that seed gives (0: all at once); returns how many came out. */
static size_t resampled(edgegenre_resample *r, const float *samples, size_t n, int16_t *out, uint32_t seed)
{
    size_t total = 0, n_pcm = 0;
    for (size_t at = 0, chunk; at < n; at += chunk) {
        chunk = seed ? next(&seed) % 300 : n;
        if (chunk > n - at) chunk = n - at;
        size_t capacity = edgegenre_resample_capacity(r, chunk);
        int16_t *pcm = malloc(capacity * sizeof *pcm); /* exactly as long, so that writing beyond is seen */
        if (!edgegenre_resample_push(r, samples + at, chunk, pcm, capacity - 1, &n_pcm)) abort();
        if (edgegenre_resample_push(r, samples + at, chunk, pcm, capacity, &n_pcm) || n_pcm > capacity) abort();
        memcpy(out + total, pcm, n_pcm * sizeof *pcm);
        total += n_pcm;
        free(pcm);
    }
    size_t capacity = edgegenre_resample_capacity(r, 0);
    if (edgegenre_resample_flush(r, out + total, capacity, &n_pcm) || n_pcm > capacity) abort();
    return total + n_pcm;
}

static void resample(const uint8_t *data, size_t n_bytes)
{
    uint32_t from = word(&data, &n_bytes) % 800000, to = word(&data, &n_bytes) % 800000;
    uint32_t seed = word(&data, &n_bytes) | 1u;
    size_t arena_bytes = edgegenre_resample_arena_bytes(from, to), n = n_bytes / sizeof(float);
    if (arena_bytes > 1u << 20) return; /* right, but slow */
    char *arena = malloc(arena_bytes ? arena_bytes : 1);
    float *samples = malloc(n * sizeof *samples + 1);
    memcpy(samples, data, n * sizeof *samples); /* any bits: NaN, infinite, subnormal */
    edgegenre_resample r;
    if (arena_bytes && !edgegenre_resample_init(&r, arena, arena_bytes - 1, from, to)) abort();
    if (!edgegenre_resample_init(&r, arena, arena_bytes, from, to) != (arena_bytes > 0)) abort();
    if (arena_bytes) {
        size_t room = 2 * edgegenre_resample_capacity(&r, n) + 2 * edgegenre_resample_capacity(&r, 0);
        int16_t *one = malloc(room * sizeof *one), *other = malloc(room * sizeof *other);
        size_t n_one = resampled(&r, samples, n, one, 0), n_other = resampled(&r, samples, n, other, seed);
        if (n_one != n_other || memcmp(one, other, n_one * sizeof *one) != 0) abort(); /* chunks change nothing */
        free(one);
        free(other);
    }
    free(samples);
    free(arena);
}

static void music(const uint8_t *data, size_t n_bytes)
{
    edgegenre_music_shape shape = {word(&data, &n_bytes) % 260, word(&data, &n_bytes) % 260, word(&data, &n_bytes),
                                   word(&data, &n_bytes), 80.0};
    size_t n_cells = (size_t)shape.n_mels * shape.n_frames;
    size_t scratch_bytes = EDGEGENRE_MUSIC_SCRATCH_BYTES(shape.n_mels, shape.n_frames);
    int8_t *cells = malloc(n_cells + 1);
    void *scratch = malloc(scratch_bytes + 1);
    double statistics[EDGEGENRE_MUSIC_STATISTICS], rows[4 * EDGEGENRE_MUSIC_STATISTICS];
    for (size_t i = 0; i < n_cells; i++) cells[i] = (int8_t)(n_bytes ? data[i % n_bytes] : 0);
    for (int i = 0; i < 4 * EDGEGENRE_MUSIC_STATISTICS; i++) rows[i] = 1;
    if (scratch_bytes && !edgegenre_music_statistics(&shape, cells, scratch, scratch_bytes - 1, statistics)) abort();
    if (edgegenre_music_statistics(&shape, cells, scratch, scratch_bytes, statistics) == 0) {
        double score = edgegenre_music_score(statistics, rows, 0);
        if (!(score - score == 0)) abort(); /* finite, whatever is heard */
    }
    free(cells);
    free(scratch);
}

static void wav(const uint8_t *data, size_t n_bytes)
{
    FILE *kept = stdin, *file = n_bytes ? fmemopen((void *)(uintptr_t)data, n_bytes, "rb") : NULL;
    int16_t *pcm = malloc(100 * sizeof *pcm);
    size_t total = 0;
    if (file) {
        stdin = file;
        if (open_wav(22050) == 0)
            for (size_t n; (n = read_wav(pcm, 100)) > 0; total += n)
                if (n > 100) abort();
        if (2 * total > n_bytes) abort();
        stdin = kept;
        fclose(file);
    }
    free(pcm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static void (*const targets[])(const uint8_t *, size_t) = {resample, music, wav};
    if (n_bytes > 0) targets[data[0] % 3](data + 1, n_bytes - 1);
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    static const char header[] = "RIFF\0\0\0\0WAVEfmt \20\0\0\0\1\0\1\0\"V\0\0D\254\0\0\2\0\20\0data\0\1\0\0";
    static const uint32_t rates[] = {8000, 11025, 16000, 22050, 44100, 48000, 96000, 768000};
    static uint8_t bytes[8000];
    if (argc != 3) return 2;
    uint32_t seed = (uint32_t)atoi(argv[2]);
    for (int round = 0; round < atoi(argv[1]); round++) {
        size_t n = 1 + (next(&seed) >> 8) % (sizeof bytes - 1);
        uint32_t kind = next(&seed) >> 30, rate = rates[next(&seed) >> 29], common[2] = {rate, 22050};
        for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(next(&seed) >> 24 & (kind == 0 ? 0x83 : 0xFF));
        bytes[0] = (uint8_t)(round % 3);
        if (round % 3 == 0 && kind > 0) /* rates of sound cards */
            for (int i = 0; i < 8; i++) bytes[1 + i] = (uint8_t)(common[i / 4] >> (24 - i % 4 * 8));
        if (round % 3 == 2) memcpy(bytes + 1, header, sizeof header - 1);
        size_t at = 1 + (next(&seed) >> 8) % (sizeof header - 1);
        if (round % 3 == 2 && kind > 0) bytes[at] = (uint8_t)(next(&seed) >> 24);
        LLVMFuzzerTestOneInput(bytes, n < sizeof header ? sizeof header : n);
    }
    return 0;
}
#endif
