/* WebAssembly's 128 bits: eight channels in four vectors, two channels each with two partial sums. */

#include <wasm_simd128.h>

#define WASM static inline __attribute__((always_inline))

typedef struct { v128_t part[4]; } wasm_sums;
typedef const int8_t *wasm_inputs;
typedef struct { v128_t part[4]; } wasm_cell;

WASM wasm_sums wasm_start(const int32_t *bias, const int8_t *weights, int32_t n_cells, const int taps)
{
    const v128_t none = wasm_i32x4_const_splat(0), a = wasm_v128_load(bias), b = wasm_v128_load(bias + 4);
    wasm_sums s = {{wasm_i32x4_shuffle(a, none, 0, 4, 1, 5), wasm_i32x4_shuffle(a, none, 2, 4, 3, 5),
                    wasm_i32x4_shuffle(b, none, 0, 4, 1, 5), wasm_i32x4_shuffle(b, none, 2, 4, 3, 5)}};
    (void)weights;
    (void)n_cells;
    (void)taps;
    return s;
}

WASM wasm_inputs wasm_load(const int8_t *p) { return p; }

WASM wasm_cell wasm_load_cell(const int8_t *w, const int half)
{
    wasm_cell cell = {{wasm_i16x8_load8x8(w), wasm_i16x8_load8x8(w + 8), wasm_i16x8_load8x8(w + half),
                       wasm_i16x8_load8x8(w + half + 8)}};
    return cell;
}

WASM void wasm_dot(wasm_sums *s, const wasm_inputs *v, const int q, wasm_cell w)
{
    const v128_t four = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(*v + 4 * q));
    UNROLL
    for (int i = 0; i < 4; i++) s->part[i] = wasm_i32x4_add(s->part[i], wasm_i32x4_dot_i16x8(four, w.part[i]));
}

WASM void wasm_dot_pair(wasm_sums *s, const wasm_inputs *v, const int q, wasm_cell w0, wasm_cell w1)
{
    wasm_dot(s, v, q, w0);
    wasm_dot(s, v, q + 1, w1);
}

typedef struct { v128_t low, high, least, most, zero; } wasm_rule;

WASM wasm_rule wasm_rule_of(const net_row *row, int32_t channel)
{
    wasm_rule rule = {wasm_v128_load(row->scales + channel), wasm_v128_load(row->scales + channel + 4),
                      wasm_f32x4_splat((float)(row->low - row->zero)), wasm_f32x4_splat((float)(row->high - row->zero)),
                      wasm_i32x4_splat(0x4B400000 - row->zero)};
    return rule;
}

/* Clipped, then rounded to even by an addition, as in net_requantize. */
WASM v128_t wasm_steps(v128_t sums, v128_t scale, const wasm_rule *rule)
{
    v128_t x = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sums), scale);
    x = wasm_f32x4_pmin(wasm_f32x4_pmax(x, rule->least), rule->most);
    return wasm_i32x4_sub(wasm_f32x4_add(x, wasm_f32x4_const_splat(12582912.0f)), rule->zero);
}

WASM void wasm_store_8(int8_t *out, v128_t a, v128_t b, const wasm_rule *rule)
{
    const v128_t words = wasm_i16x8_narrow_i32x4(wasm_steps(a, rule->low, rule), wasm_steps(b, rule->high, rule));
    wasm_v128_store64_lane(out, wasm_i8x16_narrow_i16x8(words, words), 0);
}

WASM v128_t wasm_pairs(v128_t a, v128_t b)
{
    return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}

/* n cells, or of each `pool` the largest. */
WASM void wasm_store(int8_t *out, int32_t depth, const wasm_sums *s, const int n, const int pool, const wasm_rule *rule)
{
    UNROLL
    for (int i = 0; i < n; i += pool, out += depth) {
        v128_t a = wasm_pairs(s[i].part[0], s[i].part[1]), b = wasm_pairs(s[i].part[2], s[i].part[3]);
        UNROLL
        for (int k = 1; k < pool; k++) {
            a = wasm_i32x4_max(a, wasm_pairs(s[i + k].part[0], s[i + k].part[1]));
            b = wasm_i32x4_max(b, wasm_pairs(s[i + k].part[2], s[i + k].part[3]));
        }
        wasm_store_8(out, a, b, rule);
    }
}

/* Eight channels of two taps, interleaved: one instruction multiplies and adds the taps. */
WASM v128_t wasm_interleave(v128_t a, v128_t b)
{
    return wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

WASM void wasm_two_taps(v128_t *a, v128_t *b, v128_t x, v128_t w)
{
    *a = wasm_i32x4_add(*a, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(x), wasm_i16x8_extend_low_i8x16(w)));
    *b = wasm_i32x4_add(*b, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(x), wasm_i16x8_extend_high_i8x16(w)));
}

WASM void wasm_depthwise_8(const net_row *row, int32_t channel, const int R, const int C)
{
    const int32_t D = row->depth, rows = R ? R : row->kernel_rows, columns = C ? C : row->kernel_columns;
    const wasm_rule rule = wasm_rule_of(row, channel);
    const v128_t bias0 = wasm_v128_load(row->bias + channel), bias1 = wasm_v128_load(row->bias + channel + 4);
    const v128_t none = wasm_i8x16_const_splat(0);
    for (int32_t x = 0; x < row->n; x++) {
        v128_t a = bias0, b = bias1;
        const int8_t *w = row->weights + channel;
        UNROLL
        for (int32_t i = 0; i < rows; i++) {
            const int8_t *p = row->rows[i] + x * row->step + channel;
            UNROLL
            for (int32_t k = 0; k < columns; k += 2, p += 2 * D, w += 2 * D) {
                const int is_pair = k + 1 < columns;
                const v128_t u = wasm_v128_load64_zero(p), v = is_pair ? wasm_v128_load64_zero(p + D) : none;
                const v128_t y = wasm_v128_load64_zero(w), z = is_pair ? wasm_v128_load64_zero(w + D) : none;
                wasm_two_taps(&a, &b, wasm_interleave(u, v), wasm_interleave(y, z));
            }
            if (columns % 2) w -= D;
        }
        wasm_store_8(row->out + x * D + channel, a, b, &rule);
    }
}

static void wasm_depthwise(const net_row *given)
{
    const net_row row = *given;
    const int is_square = row.kernel_rows == row.kernel_columns;
    for (int32_t channel = 0; channel < row.depth; channel += LANES) {
        if (is_square && row.kernel_rows == 3) wasm_depthwise_8(&row, channel, 3, 3);
        else if (is_square && row.kernel_rows == 5) wasm_depthwise_8(&row, channel, 5, 5);
        else wasm_depthwise_8(&row, channel, 0, 0);
    }
}

static void wasm_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t n, const net_step *s, int32_t zero)
{
    const v128_t k0 = wasm_i32x4_splat(s->number[0]), k1 = wasm_i32x4_splat(s->number[1]), bias = wasm_i32x4_splat(s->number[2]);
    const v128_t low = wasm_i8x16_splat((int8_t)s->low), high = wasm_i8x16_splat((int8_t)s->high);
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const v128_t x = wasm_i16x8_load8x8(a + i), y = wasm_i16x8_load8x8(b + i);
        v128_t u = wasm_i32x4_add(bias, wasm_i32x4_mul(wasm_i32x4_extend_low_i16x8(x), k0));
        v128_t v = wasm_i32x4_add(bias, wasm_i32x4_mul(wasm_i32x4_extend_high_i16x8(x), k0));
        u = wasm_i32x4_add(u, wasm_i32x4_mul(wasm_i32x4_extend_low_i16x8(y), k1));
        v = wasm_i32x4_add(v, wasm_i32x4_mul(wasm_i32x4_extend_high_i16x8(y), k1));
        u = wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(u, (uint32_t)s->number[3]), wasm_i32x4_shr(v, (uint32_t)s->number[3]));
        u = wasm_i16x8_add_sat(u, wasm_i16x8_splat((int16_t)zero));
        u = wasm_i8x16_min(wasm_i8x16_max(wasm_i8x16_narrow_i16x8(u, u), low), high);
        wasm_v128_store64_lane(out + i, u, 0);
    }
    scalar_add(a + i, b + i, out + i, n - i, s, zero);
}
