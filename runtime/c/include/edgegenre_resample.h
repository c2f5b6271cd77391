/* edgegenre's resampler in C99: float32 mono PCM at any rate in, int16 PCM at the front-end's rate out.
 *
 * A windowed sinc in polyphase form; no dependency but <string.h>, no heap, no globals, no math library. The same bits
 * from every compiler and processor with IEEE arithmetic, whatever the sizes of the chunks. Firmware that captures at
 * the front-end's rate does not need it. A state is used by one thread at a time. */
#ifndef EDGEGENRE_RESAMPLE_H
#define EDGEGENRE_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEGENRE_RESAMPLE_MIN_RATE 1000u
#define EDGEGENRE_RESAMPLE_MAX_RATE 768000u

/* What every function returns. Only EDGEGENRE_RESAMPLE_OK means that anything was changed. */
typedef enum {
    EDGEGENRE_RESAMPLE_OK = 0,
    EDGEGENRE_RESAMPLE_E_NULL = 1,  /* a pointer that must not be NULL is */
    EDGEGENRE_RESAMPLE_E_ALIGN = 2, /* the arena is not aligned to 4 bytes */
    EDGEGENRE_RESAMPLE_E_SIZE = 3,  /* a buffer is too small */
    EDGEGENRE_RESAMPLE_E_RATE = 4,  /* a rate outside of the limits above */
    EDGEGENRE_RESAMPLE_E_STATE = 5  /* not a state that init made */
} edgegenre_resample_error;

/* The caller provides the memory; the fields are private. */
typedef struct {
    uint32_t magic;
    uint32_t up, down;    /* the rates over their greatest common divisor: output and input */
    uint32_t taps;        /* of a phase, a multiple of 8; 0 at equal rates */
    uint32_t n_held;      /* samples in held, at most taps */
    uint32_t phase, skip; /* of the next output: its row of the table, and inputs to drop before it */
    uint64_t n_in, n_out;
    float *table;         /* [up][taps] */
    float *held;          /* [2 * taps] */
} edgegenre_resample;

/* Bytes of the arena; 0 for rates outside of the limits. 48000 to 22050 Hz takes 253 KB, 44100 to 22050 Hz 5 KB. */
size_t edgegenre_resample_arena_bytes(uint32_t in_rate_hz, uint32_t out_rate_hz);

/* Design the filter in arena, which must be aligned to 4 bytes and outlive the state. */
edgegenre_resample_error edgegenre_resample_init(edgegenre_resample *resample, void *arena, size_t arena_bytes,
                                                 uint32_t in_rate_hz, uint32_t out_rate_hz);

/* Forget all samples: the next one is the first of a new stream. */
edgegenre_resample_error edgegenre_resample_reset(edgegenre_resample *resample);

/* The most samples that a push of n_samples, and a flush behind it, can give. */
size_t edgegenre_resample_capacity(const edgegenre_resample *resample, size_t n_samples);

/* Take samples [n_samples], full scale -1 to 1, and write those that are ready to pcm [capacity]. What is not finite
 * counts as 0, what is above full scale is clipped. E_SIZE, with nothing taken, unless capacity is as above. */
edgegenre_resample_error edgegenre_resample_push(edgegenre_resample *resample, const float *samples, size_t n_samples,
                                                 int16_t *pcm, size_t capacity, size_t *n_pcm);

/* End the stream: write what the filter still holds, as if zeros followed. Then reset. */
edgegenre_resample_error edgegenre_resample_flush(edgegenre_resample *resample, int16_t *pcm, size_t capacity,
                                                  size_t *n_pcm);

/* One sentence for an error code; never NULL. */
const char *edgegenre_resample_strerror(edgegenre_resample_error error);

#ifdef __cplusplus
}
#endif

#endif
