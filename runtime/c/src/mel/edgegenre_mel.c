/* State of the front-end: PCM in any chunks → frames in a ring → the network's input. */

#include "edgegenre_mel.h"

#include <string.h>

#include "edgegenre_mel_internal.h"

#define STATE_MAGIC 0x4547314Du
#define FLOOR_Q9 INT16_MIN /* the log-mel of no power at all */

struct edgegenre_mel {
    uint32_t magic;
    edgegenre_mel_tables tables;
    edgegenre_mel_bench bench;
    edgegenre_mel_frame_fn *frame;
    const char *path;
    int16_t *tail;         /* [n_fft] PCM that later frames still need */
    int16_t *ring;         /* [frames_per_window][n_mels] newest log-mel frames */
    uint32_t n_tail;       /* samples in tail, < n_fft between calls */
    uint32_t skip_samples; /* to drop before the next frame, when the hop is longer than a frame */
    uint32_t at;           /* row of the ring that the next frame takes */
    uint64_t n_frames;
};

typedef char edgegenre_mel_state_fits[sizeof(struct edgegenre_mel) <= EDGEGENRE_MEL_STATE_BYTES ? 1 : -1];

size_t edgegenre_mel_arena_bytes(uint32_t n_fft, uint32_t n_mels, uint32_t frames_per_window)
{
    if (n_fft > EDGEGENRE_MEL_MAX_FFT || n_mels > EDGEGENRE_MEL_MAX_MELS || frames_per_window > EDGEGENRE_MEL_MAX_FRAMES)
        return 0;
    return EDGEGENRE_MEL_ARENA_BYTES((size_t)n_fft, (size_t)n_mels, (size_t)frames_per_window);
}

/* The first multiple of 64 bytes, for the sake of vector loads. */
static uint8_t *align_64(uint8_t *p) { return p + (64u - (uintptr_t)p % 64u) % 64u; }

edgegenre_mel_error edgegenre_mel_init(edgegenre_mel **mel, void *arena, size_t arena_bytes,
                                       const edgegenre_mel_tables *tables)
{
    if (!mel || !arena) return EDGEGENRE_MEL_E_NULL;
    edgegenre_mel_error error = edgegenre_mel_check_tables(tables);
    if (error != EDGEGENRE_MEL_OK) return error;
    size_t N = tables->n_fft;
    size_t needed = edgegenre_mel_arena_bytes(tables->n_fft, tables->n_mels, tables->frames_per_window);
    if ((uintptr_t)arena % EDGEGENRE_MEL_ARENA_ALIGN != 0) return EDGEGENRE_MEL_E_ALIGN;
    if (arena_bytes < needed) return EDGEGENRE_MEL_E_SIZE;
    edgegenre_mel_tables kept = *tables; /* it may lie in the arena */
    memset(arena, 0, needed);
    edgegenre_mel *state = arena;
    uint8_t *at = align_64((uint8_t *)arena + EDGEGENRE_MEL_STATE_BYTES);
    state->tables = kept;
    state->bench.tables = &state->tables;
    for (int i = 0; i < 2; i++, at += 4 * N + 64) state->bench.work[i] = (int32_t *)(void *)at;
    state->tail = (int16_t *)(void *)at;
    state->ring = state->tail + N;
    state->frame = edgegenre_mel_choose(kept.n_fft, &state->path);
    state->magic = STATE_MAGIC;
    *mel = state;
    return EDGEGENRE_MEL_OK;
}

static edgegenre_mel_error check_state(const edgegenre_mel *mel)
{
    if (!mel) return EDGEGENRE_MEL_E_NULL;
    if ((uintptr_t)mel % EDGEGENRE_MEL_ARENA_ALIGN != 0) return EDGEGENRE_MEL_E_ALIGN;
    return mel->magic == STATE_MAGIC ? EDGEGENRE_MEL_OK : EDGEGENRE_MEL_E_STATE;
}

edgegenre_mel_error edgegenre_mel_reset(edgegenre_mel *mel)
{
    edgegenre_mel_error error = check_state(mel);
    if (error != EDGEGENRE_MEL_OK) return error;
    mel->n_tail = mel->skip_samples = mel->at = 0;
    mel->n_frames = 0;
    return EDGEGENRE_MEL_OK;
}

edgegenre_mel_error edgegenre_mel_frames_after(const edgegenre_mel *mel, size_t n_samples, size_t *n_frames)
{
    edgegenre_mel_error error = check_state(mel);
    if (error != EDGEGENRE_MEL_OK) return error;
    if (!n_frames) return EDGEGENRE_MEL_E_NULL;
    if (n_samples > SIZE_MAX / 4) return EDGEGENRE_MEL_E_SIZE;
    size_t N = mel->tables.n_fft, skipped = n_samples < mel->skip_samples ? n_samples : mel->skip_samples;
    size_t total = mel->n_tail + (n_samples - skipped);
    *n_frames = total < N ? 0 : 1 + (total - N) / mel->tables.hop_samples;
    return EDGEGENRE_MEL_OK;
}

/* Compute the frame of pcm [n_fft] into the ring and, if there is one, into row [n_mels]. */
static void take_frame(edgegenre_mel *mel, const int16_t *pcm, int16_t *row)
{
    size_t M = mel->tables.n_mels;
    int16_t *newest = mel->ring + mel->at * M;
    mel->frame(&mel->bench, pcm, newest);
    if (row) memcpy(row, newest, M * sizeof *row);
    mel->at = mel->at + 1 == mel->tables.frames_per_window ? 0 : mel->at + 1;
    mel->n_frames++;
}

/* Take samples into the tail until it is a frame or pcm is used up. Returns how many were taken. */
static size_t fill_tail(edgegenre_mel *mel, const int16_t *pcm, size_t n_samples)
{
    size_t wanted = mel->tables.n_fft - mel->n_tail, taken = n_samples < wanted ? n_samples : wanted;
    memcpy(mel->tail + mel->n_tail, pcm, taken * sizeof *pcm);
    mel->n_tail += (uint32_t)taken;
    return taken;
}

/* Drop a hop from a full tail. */
static void advance_tail(edgegenre_mel *mel)
{
    uint32_t N = mel->tables.n_fft, hop = mel->tables.hop_samples, kept = hop < N ? N - hop : 0;
    memmove(mel->tail, mel->tail + (N - kept), kept * sizeof *mel->tail);
    mel->n_tail = kept;
    mel->skip_samples = hop > N ? hop - N : 0;
}

static void push_all(edgegenre_mel *mel, const int16_t *pcm, size_t n_samples, int16_t *row)
{
    size_t N = mel->tables.n_fft, hop = mel->tables.hop_samples, M = mel->tables.n_mels;
    while (n_samples > 0) {
        size_t used;
        if (mel->skip_samples > 0) {
            used = n_samples < mel->skip_samples ? n_samples : mel->skip_samples;
            mel->skip_samples -= (uint32_t)used;
        } else if (mel->n_tail == 0 && n_samples >= N) { /* a whole frame: no need to copy it */
            take_frame(mel, pcm, row);
            if (row) row += M;
            used = hop < n_samples ? hop : n_samples;
            mel->skip_samples = (uint32_t)(hop - used);
        } else {
            used = fill_tail(mel, pcm, n_samples);
            if (mel->n_tail == N) {
                take_frame(mel, mel->tail, row);
                if (row) row += M;
                advance_tail(mel);
            }
        }
        pcm += used;
        n_samples -= used;
    }
}

edgegenre_mel_error edgegenre_mel_push(edgegenre_mel *mel, const int16_t *pcm, size_t n_samples, int16_t *frames_q9,
                                       size_t capacity_frames, size_t *n_new)
{
    size_t n_frames;
    edgegenre_mel_error error = check_state(mel);
    if (error != EDGEGENRE_MEL_OK) return error;
    if (!pcm && n_samples > 0) return EDGEGENRE_MEL_E_NULL;
    if ((uintptr_t)pcm % sizeof *pcm != 0 || (uintptr_t)frames_q9 % sizeof *frames_q9 != 0)
        return EDGEGENRE_MEL_E_ALIGN;
    error = edgegenre_mel_frames_after(mel, n_samples, &n_frames);
    if (error != EDGEGENRE_MEL_OK) return error;
    if (frames_q9 && n_frames > capacity_frames) return EDGEGENRE_MEL_E_SIZE;
    push_all(mel, pcm, n_samples, frames_q9);
    if (n_new) *n_new = n_frames;
    return EDGEGENRE_MEL_OK;
}

uint64_t edgegenre_mel_frames(const edgegenre_mel *mel)
{
    return check_state(mel) == EDGEGENRE_MEL_OK ? mel->n_frames : 0;
}

/* Stage 6: dB above the floor, top_db below the largest cell, as int8; ring rows are frames, rows of cells are bands.
 * The ring's n frames, the oldest first, are repeated to fill the window. */
static void normalize(const edgegenre_mel *mel, size_t n, int16_t largest_q9, int8_t *cells)
{
    const edgegenre_mel_tables *t = &mel->tables;
    size_t M = t->n_mels, T = t->frames_per_window;
    for (size_t m = 0; m < M; m++) {
        size_t row = n < T ? 0 : mel->at;
        for (size_t i = 0; i < T; i++) {
            int32_t below_q9 = largest_q9 - mel->ring[row * M + m];
            if (below_q9 > t->norm_limit_q9) below_q9 = t->norm_limit_q9;
            int32_t cell = 127 - ((below_q9 * t->norm_gain_q22 + (1 << 21)) >> 22);
            cells[m * T + i] = (int8_t)(cell < INT8_MIN || largest_q9 == FLOOR_Q9 ? INT8_MIN : cell);
            row = row + 1 == n ? 0 : row + 1;
        }
    }
}

static edgegenre_mel_error window_of(const edgegenre_mel *mel, int8_t *cells, size_t n_cells, int *is_silence,
                                     size_t least)
{
    edgegenre_mel_error error = check_state(mel);
    if (error != EDGEGENRE_MEL_OK) return error;
    if (!cells) return EDGEGENRE_MEL_E_NULL;
    size_t M = mel->tables.n_mels, T = mel->tables.frames_per_window;
    if (n_cells != M * T) return EDGEGENRE_MEL_E_SIZE;
    size_t n = mel->n_frames < T ? (size_t)mel->n_frames : T;
    if (n < (least == 0 ? T : least)) return EDGEGENRE_MEL_E_NOT_READY;
    int16_t largest_q9 = FLOOR_Q9;
    for (size_t i = 0; i < n * M; i++)
        if (mel->ring[i] > largest_q9) largest_q9 = mel->ring[i];
    normalize(mel, n, largest_q9, cells);
    if (is_silence) *is_silence = largest_q9 < mel->tables.silence_q9;
    return EDGEGENRE_MEL_OK;
}

edgegenre_mel_error edgegenre_mel_window(const edgegenre_mel *mel, int8_t *cells, size_t n_cells, int *is_silence)
{
    return window_of(mel, cells, n_cells, is_silence, 0);
}

edgegenre_mel_error edgegenre_mel_window_so_far(const edgegenre_mel *mel, int8_t *cells, size_t n_cells,
                                                int *is_silence)
{
    return window_of(mel, cells, n_cells, is_silence, 1);
}

const char *edgegenre_mel_path(const edgegenre_mel *mel)
{
    return check_state(mel) == EDGEGENRE_MEL_OK ? mel->path : "none";
}

const char *edgegenre_mel_strerror(edgegenre_mel_error error)
{
    switch (error) {
    case EDGEGENRE_MEL_OK: return "no error";
    case EDGEGENRE_MEL_E_NULL: return "a pointer that must not be NULL is NULL";
    case EDGEGENRE_MEL_E_ALIGN: return "a buffer is not aligned: the arena needs 8 bytes, a blob 4, PCM and frames 2";
    case EDGEGENRE_MEL_E_SIZE: return "a buffer is too small or a count impossible; nothing was taken";
    case EDGEGENRE_MEL_E_MAGIC: return "this is no edgegenre table blob";
    case EDGEGENRE_MEL_E_VERSION: return "the tables are of a version that this code does not know: rebuild one of them";
    case EDGEGENRE_MEL_E_TRUNCATED: return "the table blob is cut or does not have the length that its header implies";
    case EDGEGENRE_MEL_E_HASH: return "the table blob does not match its CRC-32: it is damaged";
    case EDGEGENRE_MEL_E_TABLES: return "the tables do not fit their spec: they are damaged or hand-made";
    case EDGEGENRE_MEL_E_NOT_READY: return "fewer frames than a window holds have come since init or reset";
    case EDGEGENRE_MEL_E_STATE: return "this is no state that edgegenre_mel_init made";
    case EDGEGENRE_MEL_E_PLATFORM: return "table blobs need a little-endian processor: compile the tables in";
    default: return "unknown error code";
    }
}
