/* Fuzz target of the blob reader and of push: whatever the bytes, no sanitizer may find anything.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Iruntime/c tests/c/fuzz.c runtime/c/edgegenre_mel*.c
 *   cc -DSTANDALONE -fsanitize=address,undefined …; ./a.out blob rounds seed     mutates a valid blob by itself */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgegenre_mel.h"

static uint32_t crc32(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1u ? 0xEDB88320u : 0u);
    }
    return crc ^ 0xFFFFFFFFu;
}

static uint32_t next(uint32_t *x) { return *x = 1664525u * *x + 1013904223u; }

/* PCM of every kind, in chunks of every size. */
static void push_anything(edgegenre_mel *mel, uint32_t n_fft, size_t n_cells, uint32_t seed)
{
    int8_t *cells = malloc(n_cells);
    for (int turn = 0; turn < 12; turn++) {
        size_t n = next(&seed) % (3 * n_fft), n_frames = 0, n_new = 0;
        int16_t *pcm = malloc(2 * n + 1);
        for (size_t i = 0; i < n; i++) {
            uint32_t r = next(&seed) >> 16;
            pcm[i] = (int16_t)(turn % 4 == 0 ? (int)r - 32768 : turn % 4 == 1 ? -32768 : turn % 4 == 2 ? 0 : r & 8 ? 32767 : -32768);
        }
        if (edgegenre_mel_frames_after(mel, n, &n_frames) || n_frames > 4096) abort();
        int16_t *frames = malloc(n_frames * 1024 + 2);
        if (n_frames > 0 && edgegenre_mel_push(mel, pcm, n, frames, n_frames - 1, &n_new) != EDGEGENRE_MEL_E_SIZE) abort();
        if (edgegenre_mel_push(mel, pcm, n, turn % 3 ? frames : NULL, n_frames, &n_new) || n_new != n_frames) abort();
        (void)edgegenre_mel_window(mel, cells, n_cells, NULL);
        if (turn == 8) edgegenre_mel_reset(mel);
        free(frames);
        free(pcm);
    }
    free(cells);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes < 1) return 0;
    uint8_t *blob = malloc(n_bytes); /* exactly as long, so that reading beyond is seen */
    memcpy(blob, data + 1, n_bytes - 1);
    size_t blob_bytes = n_bytes - 1;
    if (data[0] & 1 && blob_bytes >= 20) { /* past the checksum */
        uint32_t crc = crc32(blob + 20, blob_bytes - 20), length = (uint32_t)blob_bytes;
        memcpy(blob + 16, &crc, 4);
        memcpy(blob + 12, &length, 4);
    }
    edgegenre_mel_tables tables;
    memset(&tables, 0xAA, sizeof tables);
    edgegenre_mel_tables before = tables;
    if (edgegenre_mel_tables_from_blob(&tables, blob, blob_bytes) == EDGEGENRE_MEL_OK) {
        size_t arena_bytes = edgegenre_mel_arena_bytes(tables.n_fft, tables.n_mels, tables.frames_per_window);
        void *arena = malloc(arena_bytes);
        edgegenre_mel *mel = NULL;
        if (edgegenre_mel_init(&mel, arena, arena_bytes - 1, &tables) != EDGEGENRE_MEL_E_SIZE || mel) abort();
        if (edgegenre_mel_init(&mel, arena, arena_bytes, &tables) != EDGEGENRE_MEL_OK) abort();
        push_anything(mel, tables.n_fft, (size_t)tables.n_mels * tables.frames_per_window, (uint32_t)n_bytes + data[0]);
        free(arena);
    } else if (memcmp(&before, &tables, sizeof tables) != 0) {
        abort(); /* a refused blob must leave the tables alone */
    }
    free(blob);
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    static uint8_t valid[1 << 20], mutated[1 << 20];
    FILE *file = fopen(argv[1], "rb");
    if (!file) return 2;
    size_t n = fread(valid + 1, 1, sizeof valid - 1, file) + 1;
    fclose(file);
    uint32_t seed = (uint32_t)atoi(argv[3]);
    for (int round = atoi(argv[2]); round > 0; round--) {
        memcpy(mutated, valid, n);
        uint32_t changes = next(&seed) >> 30;
        for (uint32_t c = 0; c <= changes; c++) {
            size_t range = next(&seed) & (1u << 31) ? n : 130; /* the header as often as all the rest */
            size_t at = 1 + (next(&seed) >> 8) % (range - 1);
            mutated[at] = (uint8_t)(next(&seed) & (1u << 31) ? next(&seed) >> 24 : mutated[at] ^ 1u << (next(&seed) >> 29));
        }
        mutated[0] = (uint8_t)(next(&seed) >> 24 | (round % 8 != 0));
        LLVMFuzzerTestOneInput(mutated, next(&seed) >> 28 ? n : 1 + next(&seed) % n);
    }
    return 0;
}
#endif
