/* WAV (16-bit mono at the spec's rate) on stdin → the int8 network input of its last window on stdout.
 *   cc -O3 -DTABLES='"tables_seed3s.h"' -DNAME=seed3s classify_wav.c edgegenre_mel*.c -o mel && ./mel < clip.wav > window.bin */
#include <stdio.h>

#include "edgegenre_mel.h"
#include "wav_input.h"
#ifndef TABLES
#define TABLES "tables_seed3s.h"
#define NAME seed3s
#endif
#include TABLES
#define JOIN(a, b) a##b
#define OF(a, b) JOIN(a, b)
#define FRONT_END OF(edgegenre_mel_, NAME)

static uint64_t arena[EDGEGENRE_MEL_ARENA_BYTES(8192u, 512u, 512u) / 8u];
static int8_t cells[512 * 512];

int main(void)
{
    int16_t pcm[1024];
    size_t n;
    edgegenre_mel *mel;
    int is_silence;
    edgegenre_mel_error error = edgegenre_mel_init(&mel, arena, sizeof arena, &FRONT_END);
    if (error) return fail(edgegenre_mel_strerror(error));
    if (open_wav(FRONT_END.sample_rate_hz)) return 1;
    while ((n = read_wav(pcm, 1024)) > 0) edgegenre_mel_push(mel, pcm, n, NULL, 0, NULL);
    n = (size_t)FRONT_END.n_mels * FRONT_END.frames_per_window;
    error = edgegenre_mel_window(mel, cells, n, &is_silence);
    if (error) return fail(edgegenre_mel_strerror(error));
    fputs(is_silence ? "silence\n" : "window ready\n", stderr);
    return fwrite(cells, 1, n, stdout) == n ? 0 : fail("cannot write");
}
