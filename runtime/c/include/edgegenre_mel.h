/* edgegenre's integer mel front-end in C99: int16 PCM in, int16 log-mel frames and int8 network input out.
 *
 * No dependency but <string.h>, no heap, no float, no globals. The bits are those of the NumPy reference
 * (runtime/edgegenre_runtime/frontend/), whatever the compiler, the processor and the sizes of the chunks.
 * README.md beside this file is the documentation. A state is used by one thread at a time. */
#ifndef EDGEGENRE_MEL_H
#define EDGEGENRE_MEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEGENRE_MEL_SPEC_VERSION 1u
#define EDGEGENRE_MEL_BLOB_VERSION 1u

#define EDGEGENRE_MEL_MAX_FFT 8192u
#define EDGEGENRE_MEL_MAX_MELS 512u
#define EDGEGENRE_MEL_MAX_FRAMES 4096u
#define EDGEGENRE_MEL_MAX_HOP (1u << 20)
#define EDGEGENRE_MEL_LOG2_SEGMENTS 64u

/* What every function returns. Only EDGEGENRE_MEL_OK means that anything was changed. */
typedef enum {
    EDGEGENRE_MEL_OK = 0,
    EDGEGENRE_MEL_E_NULL = 1,      /* a pointer that must not be NULL is */
    EDGEGENRE_MEL_E_ALIGN = 2,     /* a buffer is not aligned for its type */
    EDGEGENRE_MEL_E_SIZE = 3,      /* a buffer is too small, or a count impossible */
    EDGEGENRE_MEL_E_MAGIC = 4,     /* not a table blob */
    EDGEGENRE_MEL_E_VERSION = 5,   /* a blob or spec of a version that this code does not know */
    EDGEGENRE_MEL_E_TRUNCATED = 6, /* the blob is shorter or longer than it says, or than its lengths need */
    EDGEGENRE_MEL_E_HASH = 7,      /* the blob's bytes do not match its CRC-32 */
    EDGEGENRE_MEL_E_TABLES = 8,    /* the tables do not fit their spec, or would overflow */
    EDGEGENRE_MEL_E_NOT_READY = 9, /* fewer frames than a window holds since init or reset */
    EDGEGENRE_MEL_E_STATE = 10,    /* not a state that init made */
    EDGEGENRE_MEL_E_PLATFORM = 11  /* a table blob on a big-endian processor */
} edgegenre_mel_error;

/* The integers of a front-end. N = n_fft, M = n_mels. The arrays are read in place: keep them (flash will do). */
typedef struct {
    uint32_t spec_version;
    uint32_t sample_rate_hz;
    uint32_t n_fft; /* 8, 32, 128, 512, 2048 or 8192 */
    uint32_t hop_samples;
    uint32_t n_mels;
    uint32_t frames_per_window;
    uint32_t n_weights;              /* of band_weight */
    int32_t silence_q9;              /* a window whose largest log-mel is below this is silence */
    int32_t norm_gain_q22;           /* int8 steps a Q9 unit of log-mel */
    int32_t norm_limit_q9;           /* top_db in Q9 units of log2 power */
    uint8_t spec_sha256[32];         /* Tables.spec_hash: which front-end this is */
    const int32_t *quarter_sine_q31; /* [N/4 + 1] sin(2 pi i / N), saturated at 2^31 - 1 */
    const int32_t *twiddle_q31;      /* [N - 8] for q = 4, 16 ... N/8: p = 1, 2, 3: cos [q], sin [q] of 2 pi p j/(4 q) */
    const int32_t *band_offset_q15;  /* [M] added to log2 of a band's sum */
    const uint16_t *band_start;      /* [M] first FFT bin */
    const uint16_t *band_groups;     /* [M] weights / 4: each band is padded with zeros to a multiple of four */
    const int16_t *window_q15;       /* [N] */
    const uint16_t *band_weight;     /* [n_weights], 4 * sum(band_groups) */
    const uint16_t *log2_q15;        /* [64 + 1] log2(1 + i/64) */
} edgegenre_mel_tables;

typedef struct edgegenre_mel edgegenre_mel; /* lives in the arena */

/* Bytes of the arena, for static arrays; edgegenre_mel_arena_bytes() returns the same. */
#define EDGEGENRE_MEL_STATE_BYTES 512u
#define EDGEGENRE_MEL_ARENA_BYTES(n_fft, n_mels, frames_per_window)                                              \
    (EDGEGENRE_MEL_STATE_BYTES + 64u + 2u * (4u * (n_fft) + 64u) + 2u * (n_fft) +                                \
     2u * (((n_mels) * (frames_per_window) + 31u) / 32u * 32u))
#define EDGEGENRE_MEL_ARENA_ALIGN 8u

size_t edgegenre_mel_arena_bytes(uint32_t n_fft, uint32_t n_mels, uint32_t frames_per_window);

/* sizeof(edgegenre_mel_tables), for callers that cannot include this header. */
size_t edgegenre_mel_tables_bytes(void);

/* Fill *tables with pointers into a table blob (codegen.table_blob in Python), which must be aligned to 4 bytes and
 * outlive them. Checks magic, version, length, CRC-32 and everything that edgegenre_mel_init checks. */
edgegenre_mel_error edgegenre_mel_tables_from_blob(edgegenre_mel_tables *tables, const void *blob, size_t blob_bytes);

/* Make a state in arena. The tables are checked completely, so that no PCM can overflow anything later.
 * *mel is set on success alone, and equals arena. */
edgegenre_mel_error edgegenre_mel_init(edgegenre_mel **mel, void *arena, size_t arena_bytes,
                                       const edgegenre_mel_tables *tables);

/* Forget all PCM and frames: the next frame starts with the next sample. */
edgegenre_mel_error edgegenre_mel_reset(edgegenre_mel *mel);

/* How many frames pushing n_samples more would complete. */
edgegenre_mel_error edgegenre_mel_frames_after(const edgegenre_mel *mel, size_t n_samples, size_t *n_frames);

/* Take pcm [n_samples], any number including 0 (then pcm may be NULL). Every frame that becomes complete enters the
 * window ring and, unless frames_q9 is NULL, is written to frames_q9 [capacity_frames][n_mels] in order.
 * E_SIZE, with nothing taken, if there would be more than capacity_frames. n_new may be NULL. */
edgegenre_mel_error edgegenre_mel_push(edgegenre_mel *mel, const int16_t *pcm, size_t n_samples, int16_t *frames_q9,
                                       size_t capacity_frames, size_t *n_new);

/* Frames since init or reset. A window is ready from frames_per_window on. */
uint64_t edgegenre_mel_frames(const edgegenre_mel *mel);

/* Write the network's input for the newest frames_per_window frames to cells [n_mels][frames_per_window].
 * n_cells must be n_mels * frames_per_window. is_silence may be NULL. E_NOT_READY before the first whole window. */
edgegenre_mel_error edgegenre_mel_window(const edgegenre_mel *mel, int8_t *cells, size_t n_cells, int *is_silence);

/* The same; before the first whole window it holds the frames so far, repeated to fill it. E_NOT_READY without any. */
edgegenre_mel_error edgegenre_mel_window_so_far(const edgegenre_mel *mel, int8_t *cells, size_t n_cells,
                                                int *is_silence);

/* One sentence for an error code; never NULL. */
const char *edgegenre_mel_strerror(edgegenre_mel_error error);

/* Which code runs the frames: "avx2", "neon", "helium", "simd128", "dsp" or "portable". */
const char *edgegenre_mel_path(const edgegenre_mel *mel);

#ifdef __cplusplus
}
#endif

#endif
