/* Helium (Cortex-M55, M85): sixteen products and their sum in one instruction, four channels by two cells. The weights of
 * a channel are every eighth word of the cells: one gathering load brings sixteen of them. */

#include <arm_mve.h>

#define HELIUM static inline __attribute__((always_inline))

/* Real steps, rounded to even, as int8 with the zero point, clipped. */
HELIUM int32x4_t helium_steps(int32x4_t sums, float32x4_t scale, const net_row *row)
{
    const float32x4_t most = vdupq_n_f32((float)(row->high - row->zero)), least = vdupq_n_f32((float)(row->low - row->zero));
    const float32x4_t x = vmulq_f32(vcvtq_f32_s32(sums), scale);
    return vaddq_n_s32(vcvtnq_s32_f32(vminnmq_f32(vmaxnmq_f32(x, least), most)), row->zero);
}

/* Inputs that lie together, of two cells, with two channels; returns the weights behind theirs. Sums of an instruction
 * take every second register: there are enough for four. */
HELIUM const int8_t *helium_run(int32_t *sums, const int8_t *p, int32_t step, int32_t left, const int8_t *weights,
                                int32_t next)
{
    const uint32x4_t every_cell = {0, (uint32_t)next, 2 * (uint32_t)next, 3 * (uint32_t)next};
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    const int8_t *q = p + step;
    for (; left >= 16; left -= 16, p += 16, q += 16, weights += 4 * next) {
        const int8x16_t u = vldrbq_s8(p), v = vldrbq_s8(q);
        int8x16_t w = vreinterpretq_s8_s32(vldrwq_gather_offset_s32((const int32_t *)(const void *)weights, every_cell));
        a = vmladavaq_s8(a, u, w);
        c = vmladavaq_s8(c, v, w);
        w = vreinterpretq_s8_s32(vldrwq_gather_offset_s32((const int32_t *)(const void *)(weights + 4), every_cell));
        b = vmladavaq_s8(b, u, w);
        d = vmladavaq_s8(d, v, w);
    }
    if (left > 0) {
        const int32_t n_cells = (left + CELL_INPUTS - 1) / CELL_INPUTS;
        const mve_pred16_t bytes = vctp8q((uint32_t)left), cells = vctp32q((uint32_t)n_cells);
        const int8x16_t u = vldrbq_z_s8(p, bytes), v = vldrbq_z_s8(q, bytes);
        const int32_t *from = (const int32_t *)(const void *)weights;
        int8x16_t w = vreinterpretq_s8_s32(vldrwq_gather_offset_z_s32(from, every_cell, cells));
        a = vmladavaq_s8(a, u, w);
        c = vmladavaq_s8(c, v, w);
        w = vreinterpretq_s8_s32(vldrwq_gather_offset_z_s32(from + 1, every_cell, cells));
        b = vmladavaq_s8(b, u, w);
        d = vmladavaq_s8(d, v, w);
        weights += n_cells * next;
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    return weights;
}

/* Two channels of two cells, the second of which is the first again where there is only one: step is 0. */
HELIUM void helium_conv_tile(const net_row *row, int32_t x, int32_t step, int32_t channel, const int8_t *weights,
                             int8_t *out, int32_t depth)
{
    const int32_t *k = row->scales + channel, *bias = row->bias + channel;
    const uint32_t next = step ? (uint32_t)depth : 0;
    const uint32x4_t places = {0, 1, next, next + 1};
    const int32x4_t scale = {k[0], k[1], k[0], k[1]};
    int32_t sums[4] = {bias[0], bias[1], bias[0], bias[1]};
    if (row->taps > 1) {
        FOR_EACH_RUN(row)
            helium_run(sums, RUN_OF(row, x), step, CHUNK, WEIGHTS_OF(row, weights), NEXT_CELL(row));
    } else {
        for (int32_t r = 0; r < row->kernel_rows; r++)
            weights = helium_run(sums, row->rows[r] + x * row->step, step, row->inputs, weights, CELL_BYTES);
    }
    vstrbq_scatter_offset_s32(out, places,
                              helium_steps(vldrwq_s32(sums), vreinterpretq_f32_s32(scale), row));
}

static void helium_conv(const net_row *given)
{
    const net_row row = *given;
    const int32_t block = row.kernel_rows * ((row.inputs + CELL_INPUTS - 1) / CELL_INPUTS) * CELL_BYTES;
    for (int32_t channel = 0; channel < row.depth; channel += 2) {
        const int8_t *weights = row.weights + channel / LANES * block + CHANNEL_IN_CELL(&row, channel);
        int8_t cells[MAX_POOL * 2], *out = row.out + channel;
        int32_t x = 0;
        for (; row.pool > 1 && x < row.n; out += row.depth) {
            for (int32_t i = 0; i < row.pool; i += 2, x += 2)
                helium_conv_tile(&row, x, row.step, channel, weights, cells + 2 * i, 2);
            net_most(out, cells, row.pool, 2);
        }
        for (; x + 2 <= row.n; x += 2)
            helium_conv_tile(&row, x, row.step, channel, weights, out + x * row.depth, row.depth);
        if (x < row.n) helium_conv_tile(&row, x, 0, channel, weights, out + x * row.depth, row.depth);
    }
}

/* Two taps of eight channels, added in int16 (weights are never -128), then to the sums of even and of odd channels. */
HELIUM void helium_taps(int32x4_t *even, int32x4_t *odd, int16x8_t products)
{
    *even = vaddq_s32(*even, vmovlbq_s16(products));
    *odd = vaddq_s32(*odd, vmovltq_s16(products));
}

HELIUM void helium_depthwise_8(const net_row *row, int32_t channel)
{
    const int32_t D = row->depth, n_taps = row->kernel_columns;
    const int32x4x2_t bias = vld2q_s32(row->bias + channel), scales = vld2q_s32(row->scales + channel);
    const float32x4_t scale_even = vreinterpretq_f32_s32(scales.val[0]), scale_odd = vreinterpretq_f32_s32(scales.val[1]);
    for (int32_t x = 0; x < row->n; x++) {
        int32x4_t even = bias.val[0], odd = bias.val[1];
        const int8_t *w = row->weights + channel;
        for (int32_t r = 0; r < row->kernel_rows; r++) {
            const int8_t *p = row->rows[r] + x * row->step + channel;
            int32_t k = 0;
            for (; k + 2 <= n_taps; k += 2, p += 2 * D, w += 2 * D) {
                const int16x8_t one = vmulq_s16(vldrbq_s16(p), vldrbq_s16(w));
                helium_taps(&even, &odd, vaddq_s16(one, vmulq_s16(vldrbq_s16(p + D), vldrbq_s16(w + D))));
            }
            for (; k < n_taps; k++, p += D, w += D) helium_taps(&even, &odd, vmulq_s16(vldrbq_s16(p), vldrbq_s16(w)));
        }
        int16x8_t steps = vmovnbq_s32(vdupq_n_s16(0), helium_steps(even, scale_even, row));
        steps = vmovntq_s32(steps, helium_steps(odd, scale_odd, row));
        vstrbq_s16(row->out + x * D + channel, steps);
    }
}

static void helium_depthwise(const net_row *given)
{
    const net_row row = *given;
    for (int32_t channel = 0; channel < row.depth; channel += LANES) helium_depthwise_8(&row, channel);
}

static void helium_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t n, const net_step *s, int32_t zero)
{
    const int32x4_t bias = vdupq_n_s32(s->number[2]), shift = vdupq_n_s32(-s->number[3]);
    const int32x4_t low = vdupq_n_s32(s->low), high = vdupq_n_s32(s->high);
    for (int32_t i = 0; i < n; i += 4) {
        const mve_pred16_t lanes = vctp32q((uint32_t)(n - i));
        int32x4_t x = vmlaq_n_s32(bias, vldrbq_z_s32(a + i, lanes), s->number[0]);
        x = vshlq_s32(vmlaq_n_s32(x, vldrbq_z_s32(b + i, lanes), s->number[1]), shift);
        vstrbq_p_s32(out + i, vminq_s32(vmaxq_s32(vaddq_n_s32(x, zero), low), high), lanes);
    }
}
