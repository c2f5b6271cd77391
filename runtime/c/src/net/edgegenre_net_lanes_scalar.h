/* One channel at a time: the arithmetic of the engine in plain C99. Every other lanes file gives the same bits.
 * Sums are unsigned where they are added up, so that one that wraps is defined. */

#if defined(__GNUC__)
#define SCALAR static __attribute__((unused)) /* other lanes use some of these */
#else
#define SCALAR static
#endif

/* The inputs of a kernel, in the order of the weights: RUN_OF cell x are row->run bytes, whose weights begin at
 * WEIGHTS_OF and stand NEXT_CELL bytes apart, halves of cells half as much. */
#define FOR_EACH_RUN(row)                                  \
    for (int32_t r = 0; r < (row)->kernel_rows; r++)       \
        for (int32_t chunk = 0; chunk < (row)->chunks; chunk++) \
            for (int32_t tap = 0; tap < (row)->taps; tap++)
#define RUN_OF(row, x) ((row)->rows[r] + (x) * (row)->step + chunk * CHUNK + tap * (row)->next_tap)
#define WEIGHTS_OF(row, weights)                                                                                       \
    ((weights) + (r * (row)->chunks + chunk) * (((row)->run + CELL_INPUTS - 1) / CELL_INPUTS) * NEXT_CELL(row) + tap * HALF_CELL)
#define NEXT_CELL(row) ((row)->taps * CELL_BYTES)
#define CHANNEL_IN_CELL(row, channel) ((channel) % LANES / 4 * (NEXT_CELL(row) / 2) + (channel) % 4 * CELL_INPUTS)

/* Four channels of one cell: each input is read once, a cell of weights is [8][4]. */
SCALAR void scalar_conv_4(const net_row *row, int32_t x, int32_t channel, const int8_t *weights, int8_t *out)
{
    uint32_t a = (uint32_t)row->bias[channel], b = (uint32_t)row->bias[channel + 1];
    uint32_t c = (uint32_t)row->bias[channel + 2], d = (uint32_t)row->bias[channel + 3];
    const int32_t *scales = row->scales + channel;
    FOR_EACH_RUN(row) {
        const int8_t *p = RUN_OF(row, x), *end = p + row->run, *w = WEIGHTS_OF(row, weights);
        for (; p < end; p += CELL_INPUTS, w += NEXT_CELL(row)) {
            const int32_t p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3];
            a += (uint32_t)(p0 * w[0] + p1 * w[1] + p2 * w[2] + p3 * w[3]);
            b += (uint32_t)(p0 * w[4] + p1 * w[5] + p2 * w[6] + p3 * w[7]);
            c += (uint32_t)(p0 * w[8] + p1 * w[9] + p2 * w[10] + p3 * w[11]);
            d += (uint32_t)(p0 * w[12] + p1 * w[13] + p2 * w[14] + p3 * w[15]);
        }
    }
    out[0] = net_requantize((int32_t)a, scales[0], row->zero, row->low, row->high);
    out[1] = net_requantize((int32_t)b, scales[1], row->zero, row->low, row->high);
    out[2] = net_requantize((int32_t)c, scales[2], row->zero, row->low, row->high);
    out[3] = net_requantize((int32_t)d, scales[3], row->zero, row->low, row->high);
}

SCALAR void scalar_conv(const net_row *row)
{
    const int32_t block = row->kernel_rows * ((row->inputs + CELL_INPUTS - 1) / CELL_INPUTS) * CELL_BYTES;
    const int8_t *weights = row->weights;
    int8_t cells[MAX_POOL * LANES];
    for (int32_t channel = 0; channel < row->depth; channel += LANES, weights += block)
        for (int32_t x = 0; x < row->n; x += row->pool) {
            for (int32_t i = 0; i < row->pool; i++) {
                scalar_conv_4(row, x + i, channel, weights, cells + i * LANES);
                scalar_conv_4(row, x + i, channel + 4, weights + NEXT_CELL(row) / 2, cells + i * LANES + LANES / 2);
            }
            net_most(row->out + x / row->pool * row->depth + channel, cells, row->pool, LANES);
        }
}

SCALAR void scalar_depthwise(const net_row *row)
{
    const int32_t D = row->depth;
    for (int32_t x = 0; x < row->n; x++)
        for (int32_t c = 0; c < D; c++) {
            const int8_t *w = row->weights + c;
            uint32_t sum = (uint32_t)row->bias[c];
            for (int32_t i = 0; i < row->kernel_rows; i++) {
                const int8_t *p = row->rows[i] + x * row->step + c;
                for (int32_t k = 0; k < row->kernel_columns; k++, p += D, w += D) sum += (uint32_t)(*p * *w);
            }
            row->out[x * D + c] = net_requantize((int32_t)sum, row->scales[c], row->zero, row->low, row->high);
        }
}

SCALAR void scalar_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t n, const net_step *s, int32_t zero)
{
    const int32_t *k = s->number;
    for (int32_t i = 0; i < n; i++)
        out[i] = net_clip(((k[2] + a[i] * k[0] + b[i] * k[1]) >> k[3]) + zero, s->low, s->high);
}

/* Bytes 0 to 3 become two of each. */
SCALAR uint64_t scalar_twice(uint64_t x)
{
    x = (x | x << 16) & 0x0000FFFF0000FFFFu;
    x = (x | x << 8) & 0x00FF00FF00FF00FFu;
    return x | x << 8;
}

/* Halves, quarters and eighths of the rows change places. */
SCALAR void scalar_turn_8x8(const int8_t *from, int32_t stride, int8_t *cells, int32_t depth, const int32_t n_times)
{
    static const uint64_t MASK[3] = {0x00000000FFFFFFFFu, 0x0000FFFF0000FFFFu, 0x00FF00FF00FF00FFu};
    uint64_t rows[8];
    for (int i = 0; i < 8; i++) memcpy(&rows[i], from + i * stride, 8);
    for (int step = 4, k = 0; step > 0; step /= 2, k++)
        for (int i = 0; i < 8; i++) {
            if (i & step) continue;
            uint64_t swapped = ((rows[i] >> (8 * step)) ^ rows[i + step]) & MASK[k];
            rows[i + step] ^= swapped;
            rows[i] ^= swapped << (8 * step);
        }
    for (int i = 0; i < 8; i++) {
        const uint64_t both[2] = {scalar_twice(rows[i] & 0xFFFFFFFFu), scalar_twice(rows[i] >> 32)};
        if (n_times == 1) memcpy(cells + i * depth, &rows[i], 8);
        else memcpy(cells + i * depth, both, 16);
    }
}

SCALAR void scalar_look_up(const int8_t *row, int8_t *cells, const net_buffer *out, const int8_t *table)
{
    for (int32_t x = 0; x < out->width; x++) cells[x * out->depth] = table[128 + row[x]];
}

SCALAR void scalar_turn(const int8_t *rows, int32_t stride, int8_t *cells, const net_buffer *out, int32_t n_times,
                        const int8_t *tables, int32_t apart)
{
    for (int32_t c = 0; tables && c < out->depth; c++) scalar_look_up(rows + c * stride, cells + c, out, tables + c * apart);
    if (tables) return;
    for (int32_t c = 0; c < out->depth / n_times; c += 8)
        for (int32_t x = 0; x < out->width; x += 8)
            scalar_turn_8x8(rows + c * stride + x, stride, cells + x * out->depth + c * n_times, out->depth, n_times);
}
