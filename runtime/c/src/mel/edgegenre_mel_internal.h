/* What the translation units of the implementation share; not part of the interface. */
#ifndef EDGEGENRE_MEL_INTERNAL_H
#define EDGEGENRE_MEL_INTERNAL_H

#include "edgegenre_mel.h"

/* C99 leaves the right shift of negatives to the compiler; this code needs the arithmetic one, as all give. */
typedef char edgegenre_mel_needs_arithmetic_shift[((-1) >> 1) == -1 ? 1 : -1];

/* Everything that one frame needs: n = N/2 complex points. */
typedef struct {
    const edgegenre_mel_tables *tables;
    int32_t *work[2];  /* 2 * [2 n + 16]: re [n], im [n], slack; or power [n + 1 + 3] as the lanes file lays it out */
} edgegenre_mel_bench;

/* One frame: pcm [N] → log_mel_q9 [M]. */
typedef void edgegenre_mel_frame_fn(const edgegenre_mel_bench *bench, const int16_t *pcm, int16_t *log_mel_q9);

edgegenre_mel_frame_fn *edgegenre_mel_choose(uint32_t n_fft, const char **path);

edgegenre_mel_error edgegenre_mel_check_tables(const edgegenre_mel_tables *tables);

#endif
