/* The engine as a WebAssembly module without imports, for a test: its memory is one block that the page fills. */
#include "edgegenre_net.h"

void *memcpy(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (n-- > 0) *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *t = to;
    while (n-- > 0) *t++ = (unsigned char)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (; n > 0; n--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}

static uint64_t memory[(4u << 20) / 8];
static edgegenre_net net;

void *block(void) { return memory; }
int prepare(size_t blob_bytes, size_t arena_at, size_t arena_bytes)
{
    return (int)edgegenre_net_init(&net, memory, blob_bytes, (uint8_t *)memory + arena_at, arena_bytes);
}
int run(size_t cells_at, size_t n_cells, size_t logits_at, size_t n_logits)
{
    uint8_t *bytes = (uint8_t *)memory;
    return (int)edgegenre_net_run(&net, (int8_t *)bytes + cells_at, n_cells, (int8_t *)bytes + logits_at, n_logits);
}
int is_simd(void) { return edgegenre_net_path(&net)[0] == 's'; }
