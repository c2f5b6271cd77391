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

/* n is 1 or 2, a constant once this is inlined. */
HELIUM void helium_conv_tile(const net_row *row, int32_t x, const int n, int32_t channel, const int8_t *weights)
{
    const uint32x4_t every_cell = {0, CELL_BYTES, 2 * CELL_BYTES, 3 * CELL_BYTES};
    const float32x4_t scale = vreinterpretq_f32_s32(vldrwq_s32(row->scales + channel));
    const int32x4_t bias = vldrwq_s32(row->bias + channel);
    int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (int32_t r = 0; r < row->kernel_rows; r++) {
        const int8_t *p = row->rows[r] + x * row->step, *q = p + row->step;
        for (int32_t left = row->inputs; left > 0; left -= 16, p += 16, q += 16) {
            const int32_t n_cells = (left + CELL_INPUTS - 1) / CELL_INPUTS;
            const mve_pred16_t bytes = vctp8q((uint32_t)left), cells = vctp32q((uint32_t)n_cells);
            const int8x16_t u = vldrbq_z_s8(p, bytes), v = n > 1 ? vldrbq_z_s8(q, bytes) : u;
            int8x16_t w;
#define HELIUM_CHANNEL(k, s, t)                                                                                   \
    w = vreinterpretq_s8_s32(                                                                                     \
        vldrwq_gather_offset_z_s32((const int32_t *)(const void *)(weights + 4 * k), every_cell, cells));         \
    s = vmladavaq_s8(s, u, w);                                                                                    \
    if (n > 1) t = vmladavaq_s8(t, v, w);
            HELIUM_CHANNEL(0, a, e)
            HELIUM_CHANNEL(1, b, f)
            HELIUM_CHANNEL(2, c, g)
            HELIUM_CHANNEL(3, d, h)
#undef HELIUM_CHANNEL
            weights += (n_cells < 4 ? n_cells : 4) * CELL_BYTES;
        }
    }
    const int32x4_t first = {a, b, c, d}, second = {e, f, g, h};
    int8_t *out = row->out + x * row->depth + channel;
    vstrbq_s32(out, helium_steps(vaddq_s32(bias, first), scale, row));
    if (n > 1) vstrbq_s32(out + row->depth, helium_steps(vaddq_s32(bias, second), scale, row));
}

static void helium_conv(const net_row *given)
{
    const net_row row = *given;
    const int32_t block = row.kernel_rows * ((row.inputs + CELL_INPUTS - 1) / CELL_INPUTS) * CELL_BYTES;
    for (int32_t channel = 0; channel < row.depth; channel += 4) {
        const int8_t *weights = row.weights + channel / LANES * block + channel % LANES * CELL_INPUTS;
        int32_t x = 0;
        for (; x + 2 <= row.n; x += 2) helium_conv_tile(&row, x, 2, channel, weights);
        if (x < row.n) helium_conv_tile(&row, x, 1, channel, weights);
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
