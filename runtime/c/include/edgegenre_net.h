/* edgegenre's network engine in C99: int8 window in, int8 logits and embedding out.
 *
 * It runs net.eg, which `edgegenre codegen` makes of an int8 .tflite. No dependency but memcpy and memset, no heap, no
 * globals. The bits are those of LiteRT's XNNPACK kernels and of the NumPy reference
 * (runtime/edgegenre_runtime/network/reference.py), whatever the compiler and the processor. docs/engine.md is the
 * documentation. A state is used by one thread at a time. */
#ifndef EDGEGENRE_NET_H
#define EDGEGENRE_NET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEGENRE_NET_BLOB_VERSION 4
#define EDGEGENRE_NET_OLDEST_VERSION 3 /* that it runs, too */
#define EDGEGENRE_NET_MAX_STEPS 192   /* of a network, and of its buffers */
#define EDGEGENRE_NET_MAX_DEPTH 48    /* steps that run row by row behind each other: bounds the stack */
#define EDGEGENRE_NET_MAX_KERNEL_ROWS 96
#define EDGEGENRE_NET_MAX_SIZE 4096   /* of a tensor's height, width and channels */

/* What every function returns. Only EDGEGENRE_NET_OK means that anything was changed. */
typedef enum {
    EDGEGENRE_NET_OK = 0,
    EDGEGENRE_NET_E_NULL = 1,      /* a pointer that must not be NULL is */
    EDGEGENRE_NET_E_ALIGN = 2,     /* the blob is not aligned to 4 bytes */
    EDGEGENRE_NET_E_SIZE = 3,      /* the arena is too small, or a count is not the network's */
    EDGEGENRE_NET_E_MAGIC = 4,     /* not a compiled network */
    EDGEGENRE_NET_E_VERSION = 5,   /* a blob of a version that this code does not know */
    EDGEGENRE_NET_E_TRUNCATED = 6, /* the blob is shorter or longer than it says */
    EDGEGENRE_NET_E_HASH = 7,      /* the blob's bytes do not match its CRC-32 */
    EDGEGENRE_NET_E_PLAN = 8,      /* a step, a buffer or a constant does not fit the others */
    EDGEGENRE_NET_E_STATE = 9,     /* not a state that init made */
    EDGEGENRE_NET_E_PLATFORM = 10  /* a big-endian processor */
} edgegenre_net_error;

/* A network ready to run. The caller provides the memory; the fields are private. */
typedef struct {
    const int32_t *words; /* the blob, read in place: keep it (flash will do) */
    int8_t *arena;
    const void *kernels;
    uint32_t magic;
    uint16_t done[EDGEGENRE_NET_MAX_STEPS]; /* rows that each step has made */
} edgegenre_net;

/* sizeof(edgegenre_net), for callers that cannot include this header. */
size_t edgegenre_net_state_bytes(void);

/* Bytes of the arena that a blob's network needs, 0 if it is none. The blob is not checked beyond its header. */
size_t edgegenre_net_arena_bytes(const void *blob, size_t blob_bytes);

/* Check a blob completely, so that no input can make a run touch memory outside of the arena, and bind it to an arena
 * of any alignment. The blob must be aligned to 4 bytes; blob and arena must outlive the state. */
edgegenre_net_error edgegenre_net_init(edgegenre_net *net, const void *blob, size_t blob_bytes, void *arena,
                                       size_t arena_bytes);

/* Run the network on cells [n_cells] and write logits [n_logits]; the counts must be the network's. */
edgegenre_net_error edgegenre_net_run(edgegenre_net *net, const int8_t *cells, size_t n_cells, int8_t *logits,
                                      size_t n_logits);

/* The input's shape (rows, columns, channels) and number of classes, into [4]. */
edgegenre_net_error edgegenre_net_shape(const edgegenre_net *net, int32_t *shape);

/* Real value of a logit: (logit - *zero_point) * *scale. */
edgegenre_net_error edgegenre_net_output(const edgegenre_net *net, float *scale, int32_t *zero_point);

/* The embedding of the latest run, the vector that the last dense layer took: a pointer into the arena that holds until
 * the next run, and its length; NULL and 0 if the network gives none. */
edgegenre_net_error edgegenre_net_embedding(const edgegenre_net *net, const int8_t **values, size_t *n_values);

/* Real value of one of them: (value - *zero_point) * *scale. */
edgegenre_net_error edgegenre_net_embedding_scale(const edgegenre_net *net, float *scale, int32_t *zero_point);

/* One sentence for an error code; never NULL. */
const char *edgegenre_net_strerror(edgegenre_net_error error);

/* Which kernels run: "avx512vnni", "avx2", "neondot", "neon", "helium", "dsp", "simd128" or "portable". */
const char *edgegenre_net_path(const edgegenre_net *net);

#ifdef __cplusplus
}
#endif

#endif
