/* Every wrong call gets its error code and changes nothing. Prints nothing and returns 0, or the line that failed. */
#include <string.h>

#include "tables_seed3s.h"

#define EXPECT(code, call)                    \
    do {                                      \
        if ((call) != EDGEGENRE_MEL_##code) { \
            return __LINE__ % 251 + 1;        \
        }                                     \
    } while (0)

static uint64_t arena[EDGEGENRE_MEL_SEED3S_ARENA_BYTES / 8 + 1], untouched[EDGEGENRE_MEL_SEED3S_ARENA_BYTES / 8 + 1];
static int8_t cells[EDGEGENRE_MEL_SEED3S_CELLS];
static int16_t pcm[70000], frames[200 * 128];

int main(void)
{
    edgegenre_mel *mel = NULL, *none = NULL;
    size_t n = 77;
    uint8_t *odd = (uint8_t *)arena + 1;
    edgegenre_mel_tables tables = edgegenre_mel_seed3s;
    EXPECT(E_NULL, edgegenre_mel_init(NULL, arena, sizeof arena, &tables));
    EXPECT(E_NULL, edgegenre_mel_init(&none, NULL, sizeof arena, &tables));
    EXPECT(E_NULL, edgegenre_mel_init(&none, arena, sizeof arena, NULL));
    EXPECT(E_ALIGN, edgegenre_mel_init(&none, odd, sizeof arena - 8, &tables));
    EXPECT(E_SIZE, edgegenre_mel_init(&none, arena, EDGEGENRE_MEL_SEED3S_ARENA_BYTES - 1, &tables));
    tables.spec_version = 2;
    EXPECT(E_VERSION, edgegenre_mel_init(&none, arena, sizeof arena, &tables));
    tables = edgegenre_mel_seed3s;
    tables.window_q15 = NULL;
    EXPECT(E_NULL, edgegenre_mel_init(&none, arena, sizeof arena, &tables));
    tables = edgegenre_mel_seed3s;
    tables.n_weights -= 4;
    EXPECT(E_TABLES, edgegenre_mel_init(&none, arena, sizeof arena, &tables));
    if (none || memcmp(arena, untouched, sizeof arena) != 0) return 1;
    EXPECT(E_STATE, edgegenre_mel_reset((edgegenre_mel *)arena));
    EXPECT(E_NULL, edgegenre_mel_reset(NULL));

    EXPECT(OK, edgegenre_mel_init(&mel, arena, EDGEGENRE_MEL_SEED3S_ARENA_BYTES, &edgegenre_mel_seed3s));
    if (EDGEGENRE_MEL_SEED3S_ARENA_BYTES != edgegenre_mel_arena_bytes(2048, 128, 128)) return 2;
    if (edgegenre_mel_arena_bytes(16384, 128, 128) != 0) return 3;
    for (size_t i = 0; i < 70000; i++) pcm[i] = (int16_t)((i * i * 31) % 65536 - 32768);
    EXPECT(OK, edgegenre_mel_push(mel, pcm, 2000, NULL, 0, &n));
    if (n != 0) return 4;
    memcpy(untouched, arena, sizeof arena);
    EXPECT(E_NULL, edgegenre_mel_push(NULL, pcm, 10, NULL, 0, NULL));
    EXPECT(E_NULL, edgegenre_mel_push(mel, NULL, 10, NULL, 0, NULL));
    EXPECT(E_ALIGN, edgegenre_mel_push(mel, (const int16_t *)(const void *)((const uint8_t *)pcm + 1), 9, NULL, 0, NULL));
    EXPECT(E_ALIGN, edgegenre_mel_push(mel, pcm, 9, (int16_t *)(void *)((uint8_t *)frames + 1), 9, NULL));
    EXPECT(E_SIZE, edgegenre_mel_push(mel, pcm, 70000, frames, 5, NULL));
    EXPECT(E_SIZE, edgegenre_mel_push(mel, pcm, SIZE_MAX, frames, 5, NULL));
    EXPECT(E_NULL, edgegenre_mel_frames_after(mel, 10, NULL));
    EXPECT(E_NOT_READY, edgegenre_mel_window(mel, cells, sizeof cells, NULL));
    EXPECT(E_SIZE, edgegenre_mel_window(mel, cells, sizeof cells - 1, NULL));
    EXPECT(E_NULL, edgegenre_mel_window(mel, NULL, sizeof cells, NULL));
    EXPECT(OK, edgegenre_mel_push(mel, NULL, 0, NULL, 0, &n));
    if (n != 0 || memcmp(arena, untouched, sizeof arena) != 0) return 5;

    EXPECT(OK, edgegenre_mel_push(mel, pcm, 70000, frames, 200, &n));
    if (n != 1 + (72000 - 2048) / 512 || edgegenre_mel_frames(mel) != n) return 6;
    EXPECT(OK, edgegenre_mel_window(mel, cells, sizeof cells, NULL));
    for (int code = -1; code < 14; code++)
        if (!*edgegenre_mel_strerror((edgegenre_mel_error)code)) return 7;
    return 0;
}
