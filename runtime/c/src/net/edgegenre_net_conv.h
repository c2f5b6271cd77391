/* A row of a convolution, written once in terms of lanes: FN(name) are those of one lanes file, CELLS how many output
 * cells and BLOCKS how many times eight channels it holds at a time. A kernel row of 1 x N, N x N or pointwise convolutions is a run of contiguous inputs, so that
 * one loop serves them all; a dense layer is a row of one cell. */

/* The products of one cell column, inputs 4 q to 4 q + 3, or of two, for all sums. `next` is the second block's weights;
 * of `taps` interleaved ones, halves of cells and cells stand that many times further apart. */
KERNEL void FN(column)(FN(sums) *s, const FN(inputs) *v, const int n, const int blocks, const int q, const int is_pair,
                       const int8_t *weights, int32_t next, const int taps)
{
    UNROLL
    for (int b = 0; b < blocks; b++) {
        const FN(cell) w0 = FN(load_cell)(weights + b * next, taps * HALF_CELL);
        const FN(cell) w1 = is_pair ? FN(load_cell)(weights + b * next + taps * CELL_BYTES, taps * HALF_CELL) : w0;
        UNROLL
        for (int i = 0; i < n; i++) {
            if (is_pair) FN(dot_pair)(&s[b * CELLS + i], &v[i], q, w0, w1);
            else FN(dot)(&s[b * CELLS + i], &v[i], q, w0);
        }
    }
}

#if !defined(OWN_TAPS)
/* The products of a chunk of sixteen inputs and `taps` taps, from p on, for n cells. */
KERNEL void FN(taps)(FN(sums) *s, const net_row *row, const int8_t *p, const int n, const int blocks, const int taps,
                     const int8_t *weights, int32_t next, int32_t is_small)
{
    (void)is_small;
    UNROLL
    for (int t = 0; t < taps; t++, p += row->next_tap, weights += HALF_CELL) {
        FN(inputs) v[CELLS];
        UNROLL
        for (int i = 0; i < n; i++) v[i] = FN(load)(p + i * row->step);
        FN(column)(s, v, n, blocks, 0, 1, weights, next, taps);
        FN(column)(s, v, n, blocks, 2, 1, weights + 2 * taps * CELL_BYTES, next, taps);
    }
}
#endif

/* All products of a kernel whose taps are interleaved; taps is a constant. */
KERNEL void FN(conv_taps)(FN(sums) *s, const net_row *row, int32_t x, const int n, const int blocks, int32_t channel,
                          const int8_t *weights, int32_t next, const int taps)
{
    const int32_t *is_small = row->is_small + channel / LANES * row->kernel_rows * row->chunks;
    for (int32_t r = 0; r < row->kernel_rows; r++) {
        const int8_t *p = row->rows[r] + x * row->step;
        for (int32_t chunk = 0; chunk < row->chunks; chunk++, p += CHUNK, weights += taps * 4 * CELL_BYTES)
            FN(taps)(s, row, p, n, blocks, taps, weights, next, *is_small++);
    }
}

/* The cells as they are, or the largest of each two or four. */
KERNEL void FN(store_pooled)(int8_t *out, int32_t depth, FN(sums) *s, const int n, int32_t pool, const FN(rule) *rule)
{
    if (n >= 4 && pool == 4) FN(store)(out, depth, s, n, 4, rule);
    else if (n >= 2 && pool == 2) FN(store)(out, depth, s, n, 2, rule);
    else FN(store)(out, depth, s, n, 1, rule);
}

/* n output cells from column x on, `blocks` times eight channels; inputs is a constant for short kernel rows. */
KERNEL void FN(conv_cells)(const net_row *row, int32_t x, const int n, const int blocks, int32_t channel,
                           const int8_t *weights, int32_t next, const int32_t inputs, const int taps,
                           const FN(sums) *first, const FN(rule) *rules, int8_t *out, int32_t depth)
{
    FN(sums) s[BLOCKS * CELLS];
    UNROLL
    for (int b = 0; b < blocks; b++) {
        UNROLL
        for (int i = 0; i < n; i++) s[b * CELLS + i] = first[b];
    }
    if (taps > 1) FN(conv_taps)(s, row, x, n, blocks, channel, weights, next, taps);
    for (int32_t r = 0; taps == 1 && r < row->kernel_rows; r++) {
        const int8_t *p = row->rows[r] + x * row->step;
        int32_t left = inputs;
        FN(inputs) v[CELLS];
        for (; left > 12; left -= 16, p += 16, weights += 4 * CELL_BYTES) {
            UNROLL
            for (int i = 0; i < n; i++) v[i] = FN(load)(p + i * row->step);
            FN(column)(s, v, n, blocks, 0, 1, weights, next, 1);
            FN(column)(s, v, n, blocks, 2, 1, weights + 2 * CELL_BYTES, next, 1);
        }
        if (left <= 0) continue;
        UNROLL
        for (int i = 0; i < n; i++) v[i] = FN(load)(p + i * row->step);
        FN(column)(s, v, n, blocks, 0, left > 4, weights, next, 1);
        weights += CELL_BYTES;
        if (left > 4) weights += CELL_BYTES;
        if (left > 8) {
            FN(column)(s, v, n, blocks, 2, 0, weights, next, 1);
            weights += CELL_BYTES;
        }
    }
    UNROLL
    for (int b = 0; b < blocks; b++)
        FN(store_pooled)(out + b * LANES, depth, s + b * CELLS, n, CELLS < MAX_POOL ? 1 : row->pool, &rules[b]);
}

KERNEL void FN(conv_block)(const net_row *row, const int blocks, int32_t channel, const int8_t *weights, int32_t next,
                           const int32_t inputs, const int taps)
{
    const int32_t n_cells = row->kernel_rows * ((inputs + CELL_INPUTS - 1) / CELL_INPUTS);
    FN(sums) first[BLOCKS];
    FN(rule) rules[BLOCKS];
    const FN(sums) *from = first;
    const FN(rule) *by = rules;
    int8_t *out = row->out + channel;
    int32_t x = 0;
    UNROLL
    for (int b = 0; b < blocks; b++) {
        first[b] = FN(start)(row->bias + channel + b * LANES, weights + b * next, n_cells, taps);
        rules[b] = FN(rule_of)(row, channel + b * LANES);
    }
#if !defined(KEEPS_RULES)
    FROM_MEMORY(from);
    FROM_MEMORY(by);
#endif
#define CONV_CELLS(n, to, depth) FN(conv_cells)(row, x, n, blocks, channel, weights, next, inputs, taps, from, by, to, depth)
    if (CELLS < MAX_POOL && row->pool > 1) {
        int8_t cells[MAX_POOL * LANES];
        for (; x < row->n; out += row->depth) {
            for (int32_t i = 0; i < row->pool; i += CELLS, x += CELLS) CONV_CELLS(CELLS, cells + i * LANES, LANES);
            net_most(out, cells, row->pool, LANES);
        }
        return;
    }
    for (; x < row->n; x += CELLS) {
        if (x + CELLS > row->n && row->pool == 1) break;
        if (x + CELLS > row->n) x = row->n - CELLS; /* at least MIN_POOLED: the last ones may be made anew */
        CONV_CELLS(CELLS, out + (x >> row->pool / 2) * row->depth, row->depth); /* of 1, 2 and 4 the logarithm is the half */
    }
    for (; x < row->n; x++) CONV_CELLS(1, out + x * row->depth, row->depth);
#undef CONV_CELLS
}

KERNEL void FN(conv_by)(net_row *row, const int blocks, int32_t channel, const int8_t *weights, int32_t next)
{
    if (row->taps == 4) {
        FN(conv_block)(row, blocks, channel, weights, next, row->inputs, 4);
    } else if (row->taps == 3) {
        FN(conv_block)(row, blocks, channel, weights, next, row->inputs, 3);
    } else if (row->kernel_rows == 1 && row->inputs == 8) {
        row->kernel_rows = 1; /* a constant for what is inlined */
        FN(conv_block)(row, blocks, channel, weights, next, 8, 1);
    } else if (row->kernel_rows == 1 && row->inputs == 16) {
        row->kernel_rows = 1;
        FN(conv_block)(row, blocks, channel, weights, next, 16, 1);
    } else if (row->inputs == 8) {
        FN(conv_block)(row, blocks, channel, weights, next, 8, 1);
    } else {
        FN(conv_block)(row, blocks, channel, weights, next, row->inputs, 1);
    }
}

FRAME void FN(conv)(const net_row *given)
{
    net_row row = *given; /* a copy: stores of cells cannot change it */
    const int32_t bytes = row.kernel_rows * ((row.inputs + CELL_INPUTS - 1) / CELL_INPUTS) * CELL_BYTES;
    const int8_t *weights = row.weights;
    int32_t channel = 0;
    if (BLOCKS > 1)
        for (; channel + BLOCKS * LANES <= row.depth; channel += BLOCKS * LANES, weights += BLOCKS * bytes)
            FN(conv_by)(&row, BLOCKS, channel, weights, bytes);
    for (; channel < row.depth; channel += LANES, weights += bytes) FN(conv_by)(&row, 1, channel, weights, bytes);
}

#undef OWN_TAPS
#undef KEEPS_RULES
#undef CELLS
#undef BLOCKS
#undef FN
#undef KERNEL
#undef FRAME
