/* A 16-bit mono WAV file on stdin, for the examples: open_wav() once, then read_wav() until it gives nothing. */
#ifndef WAV_INPUT_H
#define WAV_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define STREAMED_BYTES 0x7FFF0000u /* a header that claims 2 GiB was written to a pipe: read to the end */

static uint32_t wav_bytes_left; /* of the samples; UINT32_MAX: until the input ends */

static int fail(const char *why) { return fprintf(stderr, "%s\n", why), 1; }

static uint32_t little(const uint8_t *bytes, int n)
{
    uint32_t value = 0;
    while (n-- > 0) value = value << 8 | bytes[n];
    return value;
}

/* Read up to the samples. Returns 0, or 1 after a message where there are none that fit. */
static int open_wav(uint32_t rate_hz)
{
    uint8_t chunk[8], format[16];
    int has_format = 0;
    if (fread(format, 1, 12, stdin) != 12 || memcmp(format, "RIFF", 4) != 0 || memcmp(format + 8, "WAVE", 4) != 0)
        return fail("standard input is not a WAV file");
    while (fread(chunk, 1, 8, stdin) == 8) {
        uint32_t size = little(chunk + 4, 4);
        uint64_t rest = (uint64_t)size + (size & 1u); /* chunks are padded to even lengths */
        if (memcmp(chunk, "data", 4) == 0) {
            if (!has_format) break;
            wav_bytes_left = size == 0u || size >= STREAMED_BYTES ? UINT32_MAX : size;
            return 0;
        }
        if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
            uint32_t tag;
            if (fread(format, 1, 16, stdin) != 16) break;
            rest -= 16;
            tag = little(format, 2);
            has_format = (tag == 1 || tag == 0xFFFE) && little(format + 14, 2) == 16 && little(format + 2, 2) == 1 &&
                         little(format + 4, 4) == rate_hz;
            if (!has_format) return fail("the WAV file must be 16-bit mono PCM at the front-end's sample rate");
        }
        for (; rest > 0; rest--)
            if (getchar() == EOF) break;
    }
    return fail("the WAV file has no samples");
}

/* Read up to n samples; returns how many, 0 at the end. */
static size_t read_wav(int16_t *pcm, size_t n)
{
    uint8_t bytes[2];
    size_t i = 0;
    for (; i < n && wav_bytes_left >= 2 && fread(bytes, 1, 2, stdin) == 2; i++) {
        int32_t value = (int32_t)little(bytes, 2);
        pcm[i] = (int16_t)(value < 32768 ? value : value - 65536);
        if (wav_bytes_left != UINT32_MAX) wav_bytes_left -= 2;
    }
    return i;
}

#endif
