/* One line that says which bits this build of the C front-end gives: hashes of all frames and of a window after each push.
 * The PCM: N_NOISE samples of the golden LCG, as many of it divided by 1024, then the N_MUSIC samples
 * of MUSIC_FILE, in chunks of any size. pcm.h defines these; matrix.py feeds the same to the NumPy reference. */
#include <stdio.h>

#include "pcm.h"
#include "tables_seed3s.h"

#define MAX_CHUNK 5000

static uint64_t arena[EDGEGENRE_MEL_SEED3S_ARENA_BYTES / 8];
static int8_t cells[EDGEGENRE_MEL_SEED3S_CELLS];
static int16_t pcm[MAX_CHUNK], frames[(MAX_CHUNK / 512 + 2) * 128];
static char buffer[4096];
static uint32_t noise_state = 1, chunk_state = 2;

static uint32_t lcg(uint32_t *x) { return *x = 1664525u * *x + 1013904223u; }

static int16_t sample(FILE *music, uint32_t i)
{
    if (i >= 2u * N_NOISE) {
        int low = getc(music), value = low | getc(music) << 8;
        return (int16_t)(value < 32768 ? value : value - 65536);
    }
    int32_t noise = (int32_t)(lcg(&noise_state) >> 16) - 32768;
    return (int16_t)(i < N_NOISE ? noise : noise >> 10);
}

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
    return hash;
}

static void print_hash(const char *name, uint64_t hash)
{
    printf("%s=%08lx%08lx ", name, (unsigned long)(hash >> 32), (unsigned long)(hash & 0xFFFFFFFFu));
}

int main(void)
{
    edgegenre_mel *mel;
    uint64_t frames_hash = 0xCBF29CE484222325u, windows_hash = frames_hash;
    FILE *music = freopen(MUSIC_FILE, "rb", stdin); /* on a Cortex-M through semihosting, where no heap may be */
    if (music == NULL || setvbuf(music, buffer, _IOFBF, sizeof buffer) != 0) return 99;
    int error = (int)edgegenre_mel_init(&mel, arena, sizeof arena, &edgegenre_mel_seed3s);
    for (uint32_t i = 0; error == 0 && i < 2u * N_NOISE + N_MUSIC;) {
        uint32_t left = 2u * N_NOISE + N_MUSIC - i, chunk = (lcg(&chunk_state) >> 8) % (MAX_CHUNK + 1);
        size_t n_new = 0;
        if (chunk > left) chunk = left;
        for (uint32_t k = 0; k < chunk; k++) pcm[k] = sample(music, i + k);
        error = (int)edgegenre_mel_push(mel, pcm, chunk, frames, sizeof frames / sizeof *frames / 128, &n_new);
        frames_hash = fnv1a(frames_hash, frames, n_new * 128 * sizeof *frames);
        int is_silence = 0;
        if (edgegenre_mel_window(mel, cells, sizeof cells, &is_silence) == EDGEGENRE_MEL_OK)
            windows_hash = fnv1a(windows_hash, cells, sizeof cells) + (uint64_t)is_silence;
        i += chunk;
    }
    print_hash("frames", frames_hash);
    print_hash("windows", windows_hash);
    printf("path=%s arena=%u error=%d\n", edgegenre_mel_path(mel), (unsigned)sizeof arena, error);
    return error;
}
