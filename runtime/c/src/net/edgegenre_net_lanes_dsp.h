/* ARM's DSP instructions (Cortex-M4, M7, M33, ARM11): two products of 16 bits an instruction. */

#define DSP static inline __attribute__((always_inline))

DSP int32_t dsp_word(const int8_t *p)
{
    int32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}
/* Bytes 0 and 2, or 1 and 3, as two int16. */
DSP int32_t dsp_even(int32_t x)
{
    int32_t y;
    __asm("sxtb16 %0, %1" : "=r"(y) : "r"(x));
    return y;
}
DSP int32_t dsp_odd(int32_t x)
{
    int32_t y;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(x));
    return y;
}
DSP int32_t dsp_both(int32_t x, int32_t y, int32_t sum)
{
    __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(x), "r"(y));
    return sum;
}
DSP int32_t dsp_low(int32_t x, int32_t y, int32_t sum)
{
    __asm("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(x), "r"(y));
    return sum;
}
DSP int32_t dsp_high(int32_t x, int32_t y, int32_t sum)
{
    __asm("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(x), "r"(y));
    return sum;
}

#if defined(__ARM_FP) && (__ARM_FP & 4)
/* One conversion that rounds to even and saturates, one addition that saturates. */
DSP int8_t dsp_requantize(int32_t sum, int32_t scale_bits, int32_t zero, int32_t low, int32_t high)
{
    float scale, x;
    int32_t y;
    memcpy(&scale, &scale_bits, sizeof scale);
    x = (float)sum * scale;
    __asm("vcvtr.s32.f32 %0, %0" : "+t"(x));
    memcpy(&y, &x, sizeof y);
    __asm("qadd %0, %1, %2" : "=r"(y) : "r"(y), "r"(zero));
    return net_clip(y, low, high);
}
#else
#define dsp_requantize net_requantize
#endif

/* Four inputs of two cells with two channels: eight instructions multiply, eight widen. */
DSP void dsp_column(int32_t *sums, const int8_t *p, const int8_t *q, const int n, const int8_t *weights)
{
    const int32_t u = dsp_word(p), s = dsp_word(weights), t = dsp_word(weights + CELL_INPUTS);
    const int32_t v = n > 1 ? dsp_word(q) : 0;
    int32_t s2 = dsp_even(s), t2 = dsp_even(t), u2 = dsp_even(u);
    sums[0] = dsp_both(u2, s2, sums[0]);
    sums[1] = dsp_both(u2, t2, sums[1]);
    if (n > 1) u2 = dsp_even(v), sums[2] = dsp_both(u2, s2, sums[2]), sums[3] = dsp_both(u2, t2, sums[3]);
    s2 = dsp_odd(s), t2 = dsp_odd(t), u2 = dsp_odd(u);
    sums[0] = dsp_both(u2, s2, sums[0]);
    sums[1] = dsp_both(u2, t2, sums[1]);
    if (n > 1) u2 = dsp_odd(v), sums[2] = dsp_both(u2, s2, sums[2]), sums[3] = dsp_both(u2, t2, sums[3]);
}

/* Inputs that lie together; returns the weights behind theirs. */
DSP const int8_t *dsp_run(int32_t *sums, const int8_t *p, int32_t step, int32_t run, const int n, const int8_t *weights,
                          int32_t next)
{
    const int8_t *q = p + step, *end = p + run;
    for (; end - p >= 4 * CELL_INPUTS; p += 4 * CELL_INPUTS, q += 4 * CELL_INPUTS, weights += 4 * next) {
        UNROLL
        for (int k = 0; k < 4; k++)
            dsp_column(sums, p + k * CELL_INPUTS, q + k * CELL_INPUTS, n, weights + k * next);
    }
    for (; p < end; p += CELL_INPUTS, q += CELL_INPUTS, weights += next) dsp_column(sums, p, q, n, weights);
    return weights;
}

/* Two cells of two channels: n is 1 or 2, a constant once this is inlined. */
DSP void dsp_conv_tile(const net_row *row, int32_t x, const int n, int32_t channel, const int8_t *weights, int8_t *out,
                       int32_t depth)
{
    int32_t sums[4] = {row->bias[channel], row->bias[channel + 1], row->bias[channel], row->bias[channel + 1]};
    if (row->taps > 1) {
        FOR_EACH_RUN(row)
            dsp_run(sums, RUN_OF(row, x), row->step, CHUNK, n, WEIGHTS_OF(row, weights), NEXT_CELL(row));
    } else {
        for (int32_t r = 0; r < row->kernel_rows; r++)
            weights = dsp_run(sums, row->rows[r] + x * row->step, row->step, row->inputs, n, weights, CELL_BYTES);
    }
    const int32_t e = row->scales[channel], f = row->scales[channel + 1];
    out[0] = dsp_requantize(sums[0], e, row->zero, row->low, row->high);
    out[1] = dsp_requantize(sums[1], f, row->zero, row->low, row->high);
    if (n == 1) return;
    out += depth;
    out[0] = dsp_requantize(sums[2], e, row->zero, row->low, row->high);
    out[1] = dsp_requantize(sums[3], f, row->zero, row->low, row->high);
}

static void dsp_conv(const net_row *given)
{
    const net_row row = *given; /* a copy: stores of cells cannot change it */
    const int32_t block = row.kernel_rows * ((row.inputs + CELL_INPUTS - 1) / CELL_INPUTS) * CELL_BYTES;
    for (int32_t channel = 0; channel < row.depth; channel += 2) {
        const int8_t *weights = row.weights + channel / LANES * block + CHANNEL_IN_CELL(&row, channel);
        int8_t cells[MAX_POOL * 2], *out = row.out + channel;
        int32_t x = 0;
        for (; row.pool > 1 && x < row.n; out += row.depth) {
            for (int32_t i = 0; i < row.pool; i += 2, x += 2) dsp_conv_tile(&row, x, 2, channel, weights, cells + 2 * i, 2);
            net_most(out, cells, row.pool, 2);
        }
        for (; x + 2 <= row.n; x += 2) dsp_conv_tile(&row, x, 2, channel, weights, out + x * row.depth, row.depth);
        if (x < row.n) dsp_conv_tile(&row, x, 1, channel, weights, out + x * row.depth, row.depth);
    }
}

static void dsp_depthwise(const net_row *given)
{
    const net_row row = *given;
    const int32_t D = row.depth;
    for (int32_t ch = 0; ch < D; ch += 4)
        for (int32_t x = 0; x < row.n; x++) {
            int32_t a = row.bias[ch], b = row.bias[ch + 1], c = row.bias[ch + 2], d = row.bias[ch + 3];
            const int8_t *w = row.weights + ch;
            for (int32_t i = 0; i < row.kernel_rows; i++) {
                const int8_t *p = row.rows[i] + x * row.step + ch;
                for (int32_t k = row.kernel_columns; k > 0; k--, p += D, w += D) {
                    const int32_t u = dsp_word(p), v = dsp_word(w);
                    const int32_t ue = dsp_even(u), uo = dsp_odd(u), ve = dsp_even(v), vo = dsp_odd(v);
                    a = dsp_low(ue, ve, a);
                    c = dsp_high(ue, ve, c);
                    b = dsp_low(uo, vo, b);
                    d = dsp_high(uo, vo, d);
                }
            }
            int8_t *out = row.out + x * D + ch;
            out[0] = dsp_requantize(a, row.scales[ch], row.zero, row.low, row.high);
            out[1] = dsp_requantize(b, row.scales[ch + 1], row.zero, row.low, row.high);
            out[2] = dsp_requantize(c, row.scales[ch + 2], row.zero, row.low, row.high);
            out[3] = dsp_requantize(d, row.scales[ch + 3], row.zero, row.low, row.high);
        }
}
