/* What the translation units of the engine share; not part of the interface. Layout: blob.py of the compiler. */
#ifndef EDGEGENRE_NET_INTERNAL_H
#define EDGEGENRE_NET_INTERNAL_H

#include "edgegenre_net.h"

#if defined(__wasm__) && defined(__has_include)
#if !__has_include(<string.h>) /* freestanding WebAssembly: whoever links provides these three */
#define NET_NO_STRING_H
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
#endif
#endif
#if !defined(NET_NO_STRING_H)
#include <string.h>
#endif

/* C99 leaves the right shift of negatives to the compiler; this code needs the arithmetic one, as all give. */
typedef char edgegenre_net_needs_arithmetic_shift[((-1) >> 1) == -1 ? 1 : -1];

enum { COPY, CONV, DEPTHWISE, ADD, MAX, AVERAGE, MEAN, CONCATENATE, TABLE, N_KINDS };

enum { LANES = 8, CELL_INPUTS = 4, CELL_BYTES = LANES * CELL_INPUTS, HALF_CELL = CELL_BYTES / 2 };
enum { HEADER_WORDS = 32, CALLER = -1, BARRIER = 1, INTERLEAVED = 2, READ_SLACK = 32, MAX_POOL = 4, MIN_POOLED = 8 };
enum { CHUNK = 16 }; /* inputs of a chunk, within which interleaved weights have their taps */

typedef struct {
    int32_t magic[2], version, n_bytes, crc, n_buffers, n_steps, arena_bytes;
    int32_t input[3], input_scale, input_zero, n_classes, output_scale, output_zero, output, cell;
    int32_t embedding, embedding_scale, embedding_zero; /* its buffer + 1, 0 for none */
    int32_t unused[3], sha256[8];
} net_header;

typedef struct {
    int32_t offset, height, width, depth, rows, left, right, zero_row, zero, channels;
} net_buffer;

typedef struct {
    int32_t kind, a, b, output, flags, kernel_rows, kernel_columns, stride_rows, stride_columns, top, left;
    int32_t weights, bias, scales, low, high, number[8];
} net_step;

typedef char edgegenre_net_layout[sizeof(net_header) == 128 && sizeof(net_buffer) == 40 && sizeof(net_step) == 96
                                      ? 1 : -1];

/* One row of a convolution: rows[i] is the first cell of the first window. */
typedef struct {
    const int8_t *const *rows;
    int8_t *out;             /* [n][depth] */
    const int8_t *weights;   /* cells, or [kernel_rows][kernel_columns][depth] of a depthwise one */
    const int32_t *bias;     /* [depth] */
    const int32_t *scales;   /* [depth] float32 bits */
    int32_t n, depth;
    int32_t step;            /* bytes from one window to the next */
    int32_t kernel_rows, kernel_columns;
    int32_t inputs;          /* bytes of a kernel row */
    int32_t chunks, taps;    /* a kernel row is read chunk by chunk and, in each, tap by tap: 1 and 1 if not interleaved */
    int32_t run, next_tap;   /* bytes read at a time, bytes from one tap to the next */
    int32_t pool;            /* the largest of so many neighboring cells is stored: 1, 2 or 4; n counts them all */
    const int32_t *is_small; /* of interleaved taps, [depth / 8][rows][chunks]: which quarters of four inputs and halves
                              * of eight outputs, bit 2 * quarter + half, have products that add up in int16; eight bits
                              * on, of which the first two outputs of the half alone, then the other two */
    int32_t low, high, zero;
} net_row;

typedef struct {
    const char *name;
    void (*conv)(const net_row *row);
    void (*depthwise)(const net_row *row);
    /* out[i] = clip((bias + a[i] * factor_a + b[i] * factor_b) >> shift) + zero; number: factors, bias, shift */
    void (*add)(const int8_t *a, const int8_t *b, int8_t *out, int32_t n, const net_step *step, int32_t zero);
    /* out[x][c] = rows[c / n_times][x], rows stride bytes apart; n_times is 1 or 2, width and rows are multiples of eight.
     * With tables, [channels][256] or one for all (apart 0) and n_times 1: what they make of it. */
    void (*turn)(const int8_t *rows, int32_t stride, int8_t *cells, const net_buffer *out, int32_t n_times,
                 const int8_t *tables, int32_t apart);
} net_kernels;

const net_kernels *edgegenre_net_choose(void);
edgegenre_net_error edgegenre_net_check(const void *blob, size_t blob_bytes);

static inline const net_header *net_head(const int32_t *words) { return (const net_header *)(const void *)words; }
static inline const net_buffer *net_buffers(const int32_t *words)
{
    return (const net_buffer *)(const void *)(words + HEADER_WORDS);
}
static inline const net_step *net_steps(const int32_t *words)
{
    return (const net_step *)(const void *)(net_buffers(words) + net_head(words)->n_buffers);
}
static inline int32_t net_row_bytes(const net_buffer *b) { return (b->left + b->width + b->right) * b->depth; }

/* Where half of a cell of weights, four outputs by four inputs, stands: halves of interleaved taps stand together. */
static inline int32_t net_half_cell(int32_t i, int32_t half, int32_t taps)
{
    return (i / taps * 2 + half) * taps * HALF_CELL + i % taps * HALF_CELL;
}

/* The largest of n_cells cells of n channels each, which stand one after the other. */
static inline void net_most(int8_t *out, const int8_t *cells, int32_t n_cells, int32_t n)
{
    for (int32_t c = 0; c < n; c++) {
        int8_t most = cells[c];
        for (int32_t i = 1; i < n_cells; i++) most = most > cells[i * n + c] ? most : cells[i * n + c];
        out[c] = most;
    }
}

static inline int8_t net_clip(int32_t x, int32_t low, int32_t high)
{
    return (int8_t)(x < low ? low : x > high ? high : x);
}

/* The mean's rule: product and sum are rounded one after the other, so no compiler may make one operation of them. */
static inline int8_t net_mean(int32_t sum, const int32_t *scale_and_bias)
{
    float constants[2], x;
    volatile float product;
    int32_t bits;
    memcpy(constants, scale_and_bias, sizeof constants);
    product = (float)sum * constants[0];
    x = product + constants[1];
    x = x < -128.0f ? -128.0f : x > 127.0f ? 127.0f : x;
    x += 12582912.0f;
    memcpy(&bits, &x, sizeof bits);
    return (int8_t)(bits - 0x4B400000);
}

/* The project's rule: float32 product, clipped, rounded to the nearest with halves to even. */
static inline int8_t net_requantize(int32_t sum, int32_t scale_bits, int32_t zero, int32_t low, int32_t high)
{
    float scale, x, least = (float)(low - zero), most = (float)(high - zero);
    int32_t bits;
    memcpy(&scale, &scale_bits, sizeof scale);
    x = (float)sum * scale;
    x = x < least ? least : x > most ? most : x;
    x += 12582912.0f; /* 1.5 * 2^23: the sum's last bit is worth 1, and the addition rounds to even */
    memcpy(&bits, &x, sizeof bits);
    return (int8_t)(bits - 0x4B400000 + zero);
}

#endif
