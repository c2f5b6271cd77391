/* WAV (16-bit mono at the spec's rate) on stdin → the int8 network input of its last window on stdout.
 *   cc -O3 -DTABLES='"tables_seed3s.h"' -DNAME=seed3s classify_wav.c edgegenre_mel*.c -o mel && ./mel < clip.wav > window.bin */
#include <stdio.h>
#include <string.h>

#include "edgegenre_mel.h"
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

static int fail(const char *why) { return fprintf(stderr, "%s\n", why), 1; }

int main(void)
{
    uint8_t header[8], bytes[2048];
    int16_t pcm[1024];
    size_t n;
    edgegenre_mel *mel;
    int is_silence;
    edgegenre_mel_error error = edgegenre_mel_init(&mel, arena, sizeof arena, &FRONT_END);
    if (error) return fail(edgegenre_mel_strerror(error));
    if (fread(bytes, 1, 12, stdin) != 12 || memcmp(bytes, "RIFF", 4) != 0) return fail("this is no WAV file");
    for (;;) { /* to the data chunk */
        if (fread(header, 1, 8, stdin) != 8) return fail("the WAV file has no data");
        if (memcmp(header, "data", 4) == 0) break;
        uint32_t left = header[4] | (uint32_t)header[5] << 8 | (uint32_t)header[6] << 16 | (uint32_t)header[7] << 24;
        while (left > 0 && getchar() != EOF) left--;
    }
    while ((n = fread(bytes, 2, 1024, stdin)) > 0) {
        for (size_t i = 0; i < n; i++) {
            int value = bytes[2 * i] | bytes[2 * i + 1] << 8;
            pcm[i] = (int16_t)(value < 32768 ? value : value - 65536);
        }
        edgegenre_mel_push(mel, pcm, n, NULL, 0, NULL);
    }
    n = (size_t)FRONT_END.n_mels * FRONT_END.frames_per_window;
    error = edgegenre_mel_window(mel, cells, n, &is_silence);
    if (error) return fail(edgegenre_mel_strerror(error));
    fputs(is_silence ? "silence\n" : "window ready\n", stderr);
    return fwrite(cells, 1, n, stdout) == n ? 0 : fail("cannot write");
}
