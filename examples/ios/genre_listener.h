/* A microphone's samples in, a genre each second out: resampler, front-end and engine behind three functions, for Swift
 * (bridging header) and for any language that calls C. One listener, used by one thread at a time; no heap. */
#ifndef GENRE_LISTENER_H
#define GENRE_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Begin with samples of that rate, 8000 to 48000 Hz. Returns NULL, or a sentence about what is wrong. */
const char *genre_listener_start(uint32_t rate_hz);

/* Take mono samples, full scale -1 to 1. Returns how many seconds' answers became due, 0 most of the time. */
int genre_listener_push(const float *samples, size_t n_samples);

/* The answer for the newest window: a genre, "silence", "noise" or "uncertain". Before the first whole window
 * it holds what is there, repeated; NULL before there is anything. */
const char *genre_listener_answer(void);

#ifdef __cplusplus
}
#endif

#endif
