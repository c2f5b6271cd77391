/* A row of a convolution, written once in terms of lanes: FN(name) are those of one lanes file, CELLS how many output
 * cells it holds at a time. A kernel row of 1 x N, N x N or pointwise convolutions is a run of contiguous inputs, so that
 * one loop serves them all; a dense layer is a row of one cell. */

/* n output cells from column x on, eight channels from `channel` on; inputs is a constant for short kernel rows. */
KERNEL void FN(conv_cells)(const net_row *row, int32_t x, const int n, int32_t channel, const int8_t *weights,
                           const int32_t inputs, FN(sums) first, FN(rule) rule)
{
    FN(sums) s[CELLS];
    UNROLL
    for (int i = 0; i < n; i++) s[i] = first;
    for (int32_t r = 0; r < row->kernel_rows; r++) {
        const int8_t *p = row->rows[r] + x * row->step;
        int32_t left = inputs;
        FN(inputs) v[CELLS];
        for (; left > 12; left -= 16, p += 16, weights += 4 * CELL_BYTES) {
            UNROLL
            for (int i = 0; i < n; i++) v[i] = FN(load)(p + i * row->step);
            {
                const FN(cell) w0 = FN(load_cell)(weights), w1 = FN(load_cell)(weights + CELL_BYTES);
                UNROLL
                for (int i = 0; i < n; i++) FN(dot_pair)(&s[i], &v[i], 0, w0, w1);
            }
            {
                const FN(cell) w2 = FN(load_cell)(weights + 2 * CELL_BYTES);
                const FN(cell) w3 = FN(load_cell)(weights + 3 * CELL_BYTES);
                UNROLL
                for (int i = 0; i < n; i++) FN(dot_pair)(&s[i], &v[i], 2, w2, w3);
            }
        }
        if (left <= 0) continue;
        UNROLL
        for (int i = 0; i < n; i++) v[i] = FN(load)(p + i * row->step);
        if (left > 4) {
            const FN(cell) w0 = FN(load_cell)(weights), w1 = FN(load_cell)(weights + CELL_BYTES);
            UNROLL
            for (int i = 0; i < n; i++) FN(dot_pair)(&s[i], &v[i], 0, w0, w1);
            weights += 2 * CELL_BYTES;
            left -= 8;
            if (left > 0) {
                const FN(cell) w2 = FN(load_cell)(weights);
                UNROLL
                for (int i = 0; i < n; i++) FN(dot)(&s[i], &v[i], 2, w2);
                weights += CELL_BYTES;
            }
        } else {
            const FN(cell) w0 = FN(load_cell)(weights);
            UNROLL
            for (int i = 0; i < n; i++) FN(dot)(&s[i], &v[i], 0, w0);
            weights += CELL_BYTES;
        }
    }
    FN(store)(row->out + x * row->depth + channel, row->depth, s, n, &rule);
}

KERNEL void FN(conv_block)(const net_row *row, int32_t channel, const int8_t *weights, const int32_t inputs)
{
    const int32_t n_cells = row->kernel_rows * ((inputs + CELL_INPUTS - 1) / CELL_INPUTS);
    const FN(sums) first = FN(start)(row->bias + channel, weights, n_cells);
    const FN(rule) rule = FN(rule_of)(row, channel);
    int32_t x = 0;
    for (; x + CELLS <= row->n; x += CELLS) FN(conv_cells)(row, x, CELLS, channel, weights, inputs, first, rule);
    for (; x < row->n; x++) FN(conv_cells)(row, x, 1, channel, weights, inputs, first, rule);
}

FRAME void FN(conv)(const net_row *given)
{
    net_row row = *given; /* a copy: stores of cells cannot change it */
    const int32_t bytes = row.kernel_rows * ((row.inputs + CELL_INPUTS - 1) / CELL_INPUTS) * CELL_BYTES;
    const int8_t *weights = row.weights;
    for (int32_t channel = 0; channel < row.depth; channel += LANES, weights += bytes) {
        if (row.kernel_rows == 1 && row.inputs == 8) {
            row.kernel_rows = 1;
            FN(conv_block)(&row, channel, weights, 8);
        } else if (row.kernel_rows == 1 && row.inputs == 16) {
            row.kernel_rows = 1;
            FN(conv_block)(&row, channel, weights, 16);
        } else {
            FN(conv_block)(&row, channel, weights, row.inputs);
        }
    }
}

#undef CELLS
#undef FN
#undef KERNEL
#undef FRAME
