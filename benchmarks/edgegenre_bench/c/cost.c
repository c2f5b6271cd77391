/* N_WINDOWS windows of noise through the front-end, nothing else: the instructions of two builds with other N_WINDOWS
 * differ by those of whole windows alone. FRAMES and HOP_SAMPLES are the spec's. */
#include "tables.h"

enum { BLOCK = 512, BLOCKS = FRAMES * HOP_SAMPLES / BLOCK };

static uint64_t arena[EDGEGENRE_MEL_BUNDLE_ARENA_BYTES / 8];
static int8_t cells[EDGEGENRE_MEL_BUNDLE_CELLS];
static int16_t pcm[BLOCK];

int main(void)
{
    edgegenre_mel *mel;
    uint32_t noise = 1;
    int is_silence = 0, error = (int)edgegenre_mel_init(&mel, arena, sizeof arena, &edgegenre_mel_bundle);
    for (int i = 0; i < BLOCK; i++) {
        noise = 1664525u * noise + 1013904223u;
        pcm[i] = (int16_t)((int32_t)(noise >> 16) - 32768);
    }
    for (int i = 0; i < 4; i++) /* so that the first window is whole */
        if (error == 0) error = (int)edgegenre_mel_push(mel, pcm, BLOCK, 0, 0, 0);
    for (int window = 0; window < N_WINDOWS; window++) {
        for (int i = 0; i < BLOCKS && error == 0; i++) error = (int)edgegenre_mel_push(mel, pcm, BLOCK, 0, 0, 0);
        if (error == 0) error = (int)edgegenre_mel_window(mel, cells, sizeof cells, &is_silence);
    }
    return error != 0 || is_silence;
}
