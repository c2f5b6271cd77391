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
#define STREAMED_BYTES 0x7FFF0000u /* a header that claims 2 GiB was written to a pipe: read to the end */

static uint64_t arena[EDGEGENRE_MEL_ARENA_BYTES(8192u, 512u, 512u) / 8u];
static int8_t cells[512 * 512];

static int fail(const char *why) { return fprintf(stderr, "%s\n", why), 1; }

static uint32_t little(const uint8_t *bytes, int n)
{
    uint32_t value = 0;
    while (n-- > 0) value = value << 8 | bytes[n];
    return value;
}

/* Read up to the samples; returns their bytes, 0 with a message where there are none that fit. */
static uint32_t open_wav(void)
{
    uint8_t chunk[8], format[16];
    int has_format = 0;
    if (fread(format, 1, 12, stdin) != 12 || memcmp(format, "RIFF", 4) != 0 || memcmp(format + 8, "WAVE", 4) != 0)
        return fail("this is not a WAV file"), 0u;
    while (fread(chunk, 1, 8, stdin) == 8) {
        uint32_t size = little(chunk + 4, 4);
        uint64_t rest = (uint64_t)size + (size & 1u); /* chunks are padded to even lengths */
        if (memcmp(chunk, "data", 4) == 0) {
            if (!has_format) break;
            return size == 0u || size >= STREAMED_BYTES ? UINT32_MAX : size;
        }
        if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
            uint32_t tag;
            if (fread(format, 1, 16, stdin) != 16) break;
            rest -= 16;
            tag = little(format, 2);
            has_format = (tag == 1 || tag == 0xFFFE) && little(format + 14, 2) == 16 && little(format + 2, 2) == 1 &&
                         little(format + 4, 4) == FRONT_END.sample_rate_hz;
            if (!has_format) return fail("the WAV file must be 16-bit mono PCM at the front-end's sample rate"), 0u;
        }
        for (; rest > 0; rest--)
            if (getchar() == EOF) break;
    }
    return fail("the WAV file has no samples"), 0u;
}

int main(void)
{
    uint8_t bytes[2048];
    int16_t pcm[1024];
    size_t n;
    edgegenre_mel *mel;
    int is_silence;
    uint32_t left;
    edgegenre_mel_error error = edgegenre_mel_init(&mel, arena, sizeof arena, &FRONT_END);
    if (error) return fail(edgegenre_mel_strerror(error));
    left = open_wav();
    if (left == 0) return 1;
    while ((n = fread(bytes, 2, left / 2 < 1024 ? left / 2 : 1024, stdin)) > 0) {
        for (size_t i = 0; i < n; i++) {
            int value = bytes[2 * i] | bytes[2 * i + 1] << 8;
            pcm[i] = (int16_t)(value < 32768 ? value : value - 65536);
        }
        edgegenre_mel_push(mel, pcm, n, NULL, 0, NULL);
        if (left != UINT32_MAX) left -= (uint32_t)(2 * n);
    }
    n = (size_t)FRONT_END.n_mels * FRONT_END.frames_per_window;
    error = edgegenre_mel_window(mel, cells, n, &is_silence);
    if (error) return fail(edgegenre_mel_strerror(error));
    fputs(is_silence ? "silence\n" : "window ready\n", stderr);
    return fwrite(cells, 1, n, stdout) == n ? 0 : fail("cannot write");
}
