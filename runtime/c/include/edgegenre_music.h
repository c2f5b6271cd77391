/* Is this window music at all? Statistics of its cells, and a regression on them that a bundle brings along.
 *
 * Sums are whole numbers, roots are integer roots, and what is left are products, quotients and sums of IEEE doubles in
 * a stated order: edgegenre_runtime (audio/music_statistics.py) gives the same bits. No heap, no library call. */
#ifndef EDGEGENRE_MUSIC_H
#define EDGEGENRE_MUSIC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEGENRE_MUSIC_STATISTICS 19
#define EDGEGENRE_MUSIC_MAX_MELS 256u
#define EDGEGENRE_MUSIC_MAX_FRAMES 256u
/* Bytes of the memory that a call works in. */
#define EDGEGENRE_MUSIC_SCRATCH_BYTES(n_mels, n_frames) (16u * (n_mels) + 40u * (n_frames))

typedef struct {
    uint32_t n_mels, n_frames;            /* of the window */
    uint32_t sample_rate_hz, hop_samples; /* time from frame to frame */
    double top_db;                        /* what 255 steps of a cell are worth */
} edgegenre_music_shape;

/* Write the statistics of a window, int8 [n_mels][n_frames], in the order of music_statistics.py. scratch is aligned to
 * 8 bytes. Returns 0, or 1 for a pointer that is NULL, a shape that is not taken or memory that is too small. */
int edgegenre_music_statistics(const edgegenre_music_shape *shape, const int8_t *cells, void *scratch,
                               size_t scratch_bytes, double *statistics);

/* The weighed sum of statistics: rows is [EDGEGENRE_MUSIC_STATISTICS][4] of center, scale, weight and the weight of the
 * square. At 0 and above the window is music. */
double edgegenre_music_score(const double *statistics, const double *rows, double bias);

#ifdef __cplusplus
}
#endif
#endif
