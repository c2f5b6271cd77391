/* One line that says which bits this build of the C front-end and engine gives: hashes of all frames and of a window after
 * each push; of the network's logits on noise; and of its logits on every NETWORK_EVERY-th of those windows.
 * The PCM: N_NOISE samples of the golden LCG, as many of it divided by 1024, then the N_MUSIC samples
 * of MUSIC_FILE, in chunks of any size. pcm.h defines these; parity_reference.py feeds the same to the NumPy reference. */
#include <stdio.h>

#include "edgegenre_net.h"
#include "network.h"
#include "pcm.h"
#include "tables_seed3s.h"

#define MAX_CHUNK 5000

static uint64_t arena[EDGEGENRE_MEL_SEED3S_ARENA_BYTES / 8];
static int8_t cells[EDGEGENRE_MEL_SEED3S_CELLS], net_arena[EDGEGENRE_NETWORK_ARENA_BYTES];
static edgegenre_net net;
static int16_t pcm[MAX_CHUNK], frames[(MAX_CHUNK / 512 + 2) * 128];
static char buffer[4096];
static uint32_t noise_state = 1, chunk_state = 2, cell_state = 3;

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

/* Run the network on cells; returns the hash with its logits in it, and sets *error. */
static uint64_t network(uint64_t hash, int *error)
{
    int8_t logits[EDGEGENRE_NETWORK_CLASSES];
    *error = (int)edgegenre_net_run(&net, cells, sizeof cells, logits, sizeof logits);
    return fnv1a(hash, logits, sizeof logits);
}

static void print_hash(const char *name, uint64_t hash)
{
    printf("%s=%08lx%08lx ", name, (unsigned long)(hash >> 32), (unsigned long)(hash & 0xFFFFFFFFu));
}

int main(void)
{
    edgegenre_mel *mel;
    uint64_t frames_hash = 0xCBF29CE484222325u, windows_hash = frames_hash, noise_hash = frames_hash, chain_hash = frames_hash;
    uint32_t n_windows = 0;
    FILE *music = freopen(MUSIC_FILE, "rb", stdin); /* on a Cortex-M through semihosting, where no heap may be */
    if (music == NULL || setvbuf(music, buffer, _IOFBF, sizeof buffer) != 0) return 99;
    int error = (int)edgegenre_mel_init(&mel, arena, sizeof arena, &edgegenre_mel_seed3s);
    if (error == 0) error = (int)edgegenre_net_init(&net, network_words, sizeof network_words, net_arena, sizeof net_arena);
    for (int w = 0; error == 0 && w < NOISE_WINDOWS; w++) {
        for (uint32_t i = 0; i < sizeof cells; i++) cells[i] = (int8_t)(((int32_t)(lcg(&cell_state) >> 24) - 128) >> w);
        noise_hash = network(noise_hash, &error);
    }
    for (uint32_t i = 0; error == 0 && i < 2u * N_NOISE + N_MUSIC;) {
        uint32_t left = 2u * N_NOISE + N_MUSIC - i, chunk = (lcg(&chunk_state) >> 8) % (MAX_CHUNK + 1);
        size_t n_new = 0;
        if (chunk > left) chunk = left;
        for (uint32_t k = 0; k < chunk; k++) pcm[k] = sample(music, i + k);
        error = (int)edgegenre_mel_push(mel, pcm, chunk, frames, sizeof frames / sizeof *frames / 128, &n_new);
        frames_hash = fnv1a(frames_hash, frames, n_new * 128 * sizeof *frames);
        int is_silence = 0;
        if (edgegenre_mel_window(mel, cells, sizeof cells, &is_silence) == EDGEGENRE_MEL_OK) {
            windows_hash = fnv1a(windows_hash, cells, sizeof cells) + (uint64_t)is_silence;
            if (error == 0 && n_windows++ % NETWORK_EVERY == 0) chain_hash = network(chain_hash, &error);
        }
        i += chunk;
    }
    print_hash("frames", frames_hash);
    print_hash("windows", windows_hash);
    print_hash("network", noise_hash);
    print_hash("chain", chain_hash);
    printf("path=%s engine=%s arena=%u error=%d\n", edgegenre_mel_path(mel), edgegenre_net_path(&net),
           (unsigned)(sizeof arena + sizeof net_arena + sizeof net), error);
    return error;
}
