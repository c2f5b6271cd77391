/* The engine as a WebAssembly module without imports, for a test: its memory is one block that the page fills. */
#include "edgegenre_net.h"

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
