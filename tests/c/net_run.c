/* Runs a compiled network: net_run BLOB CELLS, where CELLS are windows one behind the other; prints logits, a line each. */
#include <stdio.h>
#include <stdlib.h>

#include "edgegenre_net.h"

static char *content(const char *path, size_t *n_bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file) exit(2);
    char *bytes = malloc(1 << 24);
    *n_bytes = fread(bytes, 1, 1 << 24, file);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    size_t blob_bytes, n_cells;
    const char *blob = content(argv[1], &blob_bytes), *cells = content(argv[2], &n_cells);
    const size_t arena_bytes = edgegenre_net_arena_bytes(blob, blob_bytes);
    edgegenre_net net;
    int32_t shape[4];
    edgegenre_net_error error = edgegenre_net_init(&net, blob, blob_bytes, malloc(arena_bytes + 1), arena_bytes);
    if (error != EDGEGENRE_NET_OK || edgegenre_net_shape(&net, shape) != EDGEGENRE_NET_OK) return 1;
    const size_t n = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    int8_t *logits = malloc((size_t)shape[3]);
    puts(edgegenre_net_path(&net));
    for (; n_cells >= n; cells += n, n_cells -= n) {
        if (edgegenre_net_run(&net, (const int8_t *)cells, n, logits, (size_t)shape[3]) != EDGEGENRE_NET_OK) return 1;
        for (int32_t i = 0; i < shape[3]; i++) printf("%d ", logits[i]);
        puts("");
    }
    return 0;
}
