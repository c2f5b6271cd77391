/* Fuzz target of the network engine's loader and of a run: whatever the bytes, no sanitizer may find anything.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DEDGEGENRE_NET_PORTABLE -Iruntime/c/include tests/c/fuzz_net.c \
 *       runtime/c/src/net/?*.c         (with AVX2 and VNNI clang takes many minutes to compile it)
 *   cc -DSTANDALONE -fsanitize=address,undefined …; ./a.out blob rounds seed     mutates a valid blob by itself */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgegenre_net.h"

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

/* Run an accepted network on inputs of every kind, in an arena that is exactly as large as it says. */
static void run(edgegenre_net *net, const uint8_t *blob, size_t n_bytes, uint32_t seed)
{
    size_t arena_bytes = edgegenre_net_arena_bytes(blob, n_bytes);
    int8_t *arena = malloc(arena_bytes ? arena_bytes : 1);
    int32_t shape[4];
    if (arena_bytes && edgegenre_net_init(net, blob, n_bytes, arena, arena_bytes - 1) != EDGEGENRE_NET_E_SIZE) abort();
    if (edgegenre_net_init(net, blob, n_bytes, arena, arena_bytes) != EDGEGENRE_NET_OK) abort();
    if (edgegenre_net_shape(net, shape) != EDGEGENRE_NET_OK) abort();
    size_t n_cells = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    int8_t *cells = malloc(n_cells), *logits = malloc((size_t)shape[3]);
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < n_cells; i++) cells[i] = turn ? -128 : (int8_t)(next(&seed) >> 24);
        if (edgegenre_net_run(net, cells, n_cells, logits, (size_t)shape[3]) != EDGEGENRE_NET_OK) abort();
        if (edgegenre_net_run(net, cells, n_cells + 1, logits, (size_t)shape[3]) != EDGEGENRE_NET_E_SIZE) abort();
    }
    free(cells);
    free(logits);
    free(arena);
}

/* A network that a mutation made huge is right to be accepted, but takes too long to be run here. */
static int is_small(const uint8_t *blob)
{
    int32_t words[32];
    memcpy(words, blob, sizeof words);
    double work = 0, cells = (double)words[8] * words[9] * words[10];
    for (int32_t i = 0; i < words[5]; i++) {
        int32_t buffer[10];
        memcpy(buffer, blob + 128 + 40 * i, sizeof buffer);
        work += (double)buffer[1] * buffer[2] * buffer[3];
    }
    for (int32_t i = 0; i < words[6]; i++) {
        int32_t step[24], out[10];
        memcpy(step, blob + 128 + 40 * words[5] + 96 * i, sizeof step);
        memcpy(out, blob + 128 + 40 * step[3], sizeof out);
        work += (double)out[1] * out[2] * out[3] * step[5] * step[6];
    }
    return work < 3e7 && cells < 1e7 && words[7] < 1 << 26;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes < 1) return 0;
    size_t blob_bytes = n_bytes - 1;
    uint8_t *blob = malloc(blob_bytes ? blob_bytes : 1); /* exactly as long, so that reading beyond is seen */
    memcpy(blob, data + 1, blob_bytes);
    if (data[0] & 1 && blob_bytes >= 20) { /* past the checksum */
        uint32_t length = (uint32_t)blob_bytes, crc = crc32(blob + 20, blob_bytes - 20);
        memcpy(blob + 12, &length, 4);
        memcpy(blob + 16, &crc, 4);
    }
    edgegenre_net net;
    memset(&net, 0xAA, sizeof net);
    edgegenre_net before = net;
    int8_t byte[1];
    edgegenre_net_error error = edgegenre_net_init(&net, blob, blob_bytes, byte, 0);
    if (error != EDGEGENRE_NET_OK && memcmp(&before, &net, sizeof net) != 0) abort(); /* refused: nothing is changed */
    if ((error == EDGEGENRE_NET_OK || error == EDGEGENRE_NET_E_SIZE) && is_small(blob))
        run(&net, blob, blob_bytes, (uint32_t)n_bytes + data[0]);
    free(blob);
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    static uint8_t valid[1 << 20], mutated[1 << 20];
    if (argc != 4) return 2;
    FILE *file = fopen(argv[1], "rb");
    if (!file) return 2;
    size_t n = fread(valid, 1, sizeof valid - 1, file);
    fclose(file);
    uint32_t seed = (uint32_t)atoi(argv[3]), accepted = 0;
    for (int round = 0; round < atoi(argv[2]); round++) {
        size_t length = next(&seed) % 8 ? n : next(&seed) % (n + 1);
        mutated[0] = (uint8_t)(next(&seed) >> 20 & 15 ? 1 : 0);
        memcpy(mutated + 1, valid, length);
        int32_t n_tables = 128 + 40 * 192;
        for (uint32_t changes = next(&seed) >> 16 & 3; changes > 0 && length > 20; changes--) {
            size_t at = 20 + next(&seed) % (length - 20), word = next(&seed) >> 8;
            if (next(&seed) >> 16 & 3) at = 20 + word % ((length < (size_t)n_tables ? length : (size_t)n_tables) - 20);
            if (next(&seed) >> 16 & 1) mutated[1 + at] = (uint8_t)(next(&seed) >> 24);
            else mutated[1 + at] = (uint8_t)(mutated[1 + at] + (next(&seed) >> 16 & 1 ? 1 : 255));
        }
        LLVMFuzzerTestOneInput(mutated, length + 1);
        accepted++;
    }
    printf("%u rounds\n", accepted);
    return 0;
}
#endif
