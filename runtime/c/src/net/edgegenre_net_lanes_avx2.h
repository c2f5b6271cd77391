/* AVX2: eight channels in two vectors, four channels each with two partial sums (inputs 0 + 1 and 2 + 3 of a cell).
 * AVX-512 VNNI adds four products in one instruction; its inputs are unsigned, which the start of a sum makes good. */

#include <immintrin.h>

#define AVX2 static inline __attribute__((always_inline, target("avx2")))
#define VNNI static inline __attribute__((always_inline, target("avx2,avx512f,avx512vl,avx512bw,avx512vnni")))

typedef struct { __m256i low, high; } avx2_sums;
typedef __m256i avx2_inputs;
typedef struct { __m256i low, high; } avx2_cell;

AVX2 __m128i avx2_load128(const void *p) { return _mm_loadu_si128((const __m128i_u *)p); }
AVX2 __m256i avx2_load256(const void *p) { return _mm256_loadu_si256((const __m256i_u *)p); }

AVX2 avx2_sums avx2_start(const int32_t *bias, const int8_t *weights, int32_t n_cells, const int taps)
{
    avx2_sums s = {_mm256_cvtepu32_epi64(avx2_load128(bias)), _mm256_cvtepu32_epi64(avx2_load128(bias + 4))};
    (void)weights;
    (void)n_cells;
    (void)taps;
    return s;
}

AVX2 __m256i avx2_load(const int8_t *p) { return _mm256_cvtepi8_epi16(avx2_load128(p)); }

AVX2 avx2_cell avx2_load_cell(const int8_t *w, const int half)
{
    avx2_cell cell = {_mm256_cvtepi8_epi16(avx2_load128(w)), _mm256_cvtepi8_epi16(avx2_load128(w + half))};
    return cell;
}

AVX2 void avx2_dot_quarter(avx2_sums *s, __m256i four, avx2_cell w)
{
    s->low = _mm256_add_epi32(s->low, _mm256_madd_epi16(four, w.low));
    s->high = _mm256_add_epi32(s->high, _mm256_madd_epi16(four, w.high));
}

/* The quarter must be a constant of the instruction; q is one once this is inlined. */
AVX2 void avx2_dot(avx2_sums *s, const avx2_inputs *v, const int q, avx2_cell w)
{
    if (q == 0) avx2_dot_quarter(s, _mm256_permute4x64_epi64(*v, 0x00), w);
    if (q == 1) avx2_dot_quarter(s, _mm256_permute4x64_epi64(*v, 0x55), w);
    if (q == 2) avx2_dot_quarter(s, _mm256_permute4x64_epi64(*v, 0xAA), w);
    if (q == 3) avx2_dot_quarter(s, _mm256_permute4x64_epi64(*v, 0xFF), w);
}

AVX2 void avx2_dot_pair(avx2_sums *s, const avx2_inputs *v, const int q, avx2_cell w0, avx2_cell w1)
{
    avx2_dot(s, v, q, w0);
    avx2_dot(s, v, q + 1, w1);
}

typedef struct { __m256 scale, most; __m256i zero, least; } avx2_rule;

AVX2 avx2_rule avx2_rule_of(const net_row *row, int32_t channel)
{
    avx2_rule rule = {_mm256_castsi256_ps(avx2_load256(row->scales + channel)),
                      _mm256_set1_ps((float)(row->high - row->zero)), _mm256_set1_epi16((int16_t)row->zero),
                      _mm256_set1_epi8((int8_t)row->low)};
    return rule;
}

/* Eight sums in steps, without the zero point: what is too large is clipped here, too small by the packing. */
AVX2 __m256i avx2_round(__m256i sums, const avx2_rule *rule)
{
    return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), rule->scale), rule->most));
}

/* Four vectors of eight steps as bytes, in order. */
AVX2 __m256i avx2_narrow(__m256i a, __m256i b, __m256i c, __m256i d, const avx2_rule *rule)
{
    __m256i ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), rule->zero);
    __m256i cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), rule->zero);
    __m256i bytes = _mm256_max_epi8(_mm256_packs_epi16(ab, cd), rule->least);
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* n cells, or of each `pool` the largest: their number is 1, 2 or a multiple of four. */
AVX2 void avx2_store_cells(int8_t *out, int32_t depth, __m256i *sums, const int n_cells, const int pool,
                           const avx2_rule *given)
{
    const avx2_rule rule = *given;
    const int n = n_cells / pool;
    UNROLL
    for (int i = 0; pool > 1 && i < n; i++) {
        sums[i] = _mm256_max_epi32(sums[i * pool], sums[i * pool + 1]);
        UNROLL
        for (int k = 2; k < pool; k++) sums[i] = _mm256_max_epi32(sums[i], sums[i * pool + k]);
    }
    UNROLL
    for (int i = 0; i < n; i += 4) {
        __m256i a = avx2_round(sums[i], &rule), b = n > 1 ? avx2_round(sums[i + 1], &rule) : a;
        __m256i c = n > 2 ? avx2_round(sums[i + 2], &rule) : a, d = n > 2 ? avx2_round(sums[i + 3], &rule) : a;
        __m256i bytes = avx2_narrow(a, b, c, d, &rule);
        __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
        _mm_storel_epi64((__m128i_u *)(out + i * depth), low);
        if (n == 1) return;
        _mm_storeh_pi((__m64 *)(void *)(out + (i + 1) * depth), _mm_castsi128_ps(low));
        if (n == 2) return;
        _mm_storel_epi64((__m128i_u *)(out + (i + 2) * depth), high);
        _mm_storeh_pi((__m64 *)(void *)(out + (i + 3) * depth), _mm_castsi128_ps(high));
    }
}

AVX2 void avx2_store(int8_t *out, int32_t depth, const avx2_sums *s, const int n, const int pool, const avx2_rule *rule)
{
    __m256i sums[4];
    UNROLL
    for (int i = 0; i < n; i++) /* the partial sums meet: channels 0 1 4 5 2 3 6 7 */
        sums[i] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(s[i].low, s[i].high), 0xD8);
    avx2_store_cells(out, depth, sums, n, pool, rule);
}

/* VNNI */

typedef __m256i vnni_sums;
typedef const int8_t *vnni_inputs;
typedef __m256i vnni_cell;

VNNI __m256i vnni_load_cell(const int8_t *w, const int half)
{
    if (half == HALF_CELL) return avx2_load256(w);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(avx2_load128(w)), avx2_load128(w + half), 1);
}

/* The bias less 128 times the weights: inputs are taken as input + 128. */
VNNI __m256i vnni_start(const int32_t *bias, const int8_t *weights, int32_t n_cells, const int taps)
{
    __m256i sum = _mm256_setzero_si256();
    for (int32_t i = 0; i < n_cells; i++)
        sum = _mm256_dpbusd_epi32(sum, _mm256_set1_epi8((char)128),
                                   vnni_load_cell(weights + net_half_cell(i, 0, taps), taps * HALF_CELL));
    return _mm256_sub_epi32(avx2_load256(bias), sum);
}

VNNI vnni_inputs vnni_load(const int8_t *p) { return p; }

VNNI void vnni_dot(__m256i *s, const vnni_inputs *v, const int q, __m256i w)
{
    int32_t four;
    memcpy(&four, *v + 4 * q, sizeof four);
    *s = _mm256_dpbusd_epi32(*s, _mm256_xor_si256(_mm256_set1_epi32(four), _mm256_set1_epi8((char)128)), w);
}

VNNI void vnni_dot_pair(__m256i *s, const vnni_inputs *v, const int q, __m256i w0, __m256i w1)
{
    vnni_dot(s, v, q, w0);
    vnni_dot(s, v, q + 1, w1);
}

/* A chunk of interleaved taps: each four inputs are spread once for all the taps and both blocks that take them. */
VNNI void vnni_taps(__m256i *s, const net_row *row, const int8_t *p, const int n, const int blocks, const int taps,
                    const int8_t *weights, int32_t next, int32_t is_small)
{
    (void)is_small;
    UNROLL
    for (int q = 0; q < 4; q++) {
        __m256i u[8 + 3];
        UNROLL
        for (int i = 0; i < n + taps - 1; i++) {
            int32_t four;
            memcpy(&four, p + i * row->step + 4 * q, sizeof four);
            u[i] = _mm256_xor_si256(_mm256_set1_epi32(four), _mm256_set1_epi8((char)128));
        }
        UNROLL
        for (int t = 0; t < taps; t++) {
            UNROLL
            for (int b = 0; b < blocks; b++) {
                const __m256i w = vnni_load_cell(weights + b * next + net_half_cell(q * taps + t, 0, taps), taps * HALF_CELL);
                UNROLL
                for (int i = 0; i < n; i++) s[8 * b + i] = _mm256_dpbusd_epi32(s[8 * b + i], u[i + t], w);
            }
        }
    }
}

typedef avx2_rule vnni_rule;

VNNI avx2_rule vnni_rule_of(const net_row *row, int32_t channel) { return avx2_rule_of(row, channel); }

VNNI void vnni_store(int8_t *out, int32_t depth, __m256i *s, const int n, const int pool, const avx2_rule *rule)
{
    avx2_store_cells(out, depth, s, n, pool, rule);
}

/* Depthwise: sixteen channels as int16, two taps at a time, interleaved in halves: channels 0-3 and 8-11, 4-7 and 12-15,
 * which the last packing puts in order. Or twice eight: two cells side by side where the depth is eight, the stride one. */

enum { MOST_TAPS = 25 };
#define AVX2_VNNI __attribute__((target("avx2,avx512f,avx512vl,avx512bw,avx512vnni")))

AVX2 __m256i avx2_weights16(const int8_t *w, const int is_twice_8)
{
    const __m128i low = _mm_loadl_epi64((const __m128i_u *)w);
    return is_twice_8 ? _mm256_cvtepi8_epi16(_mm_unpacklo_epi64(low, low)) : avx2_load(w);
}

/* Eight of sixteen words in the order of a half, from first and from second on. */
AVX2 __m256i avx2_half(const int32_t *first, const int32_t *second, int at)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(avx2_load128(first + at)), avx2_load128(second + at), 1);
}

AVX2 __m256i avx2_madd(__m256i sum, __m256i taps, __m256i weights)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(taps, weights));
}
VNNI __m256i vnni_madd(__m256i sum, __m256i taps, __m256i weights) { return _mm256_dpwssd_epi32(sum, taps, weights); }

#define DEPTHWISE_BLOCK(lanes, LANES_KEYWORD)                                                                          \
    LANES_KEYWORD void lanes##_depthwise_block(const net_row *row, int32_t c, const int R, const int C,                \
                                               const int is_twice_8)                                                   \
    {                                                                                                                  \
        const int32_t D = row->depth, n = row->n, cells = is_twice_8 ? 2 : 1, advance = cells * row->step;             \
        const int n_taps = R * C, next = is_twice_8 ? 0 : 8;                                                           \
        const int32_t *bias = row->bias + c, *scales = row->scales + c;                                                \
        const __m256i bias0 = avx2_half(bias, bias + next, 0), bias1 = avx2_half(bias, bias + next, 4);                \
        avx2_rule low = avx2_rule_of(row, c), high = low;                                                              \
        low.scale = _mm256_castsi256_ps(avx2_half(scales, scales + next, 0));                                          \
        high.scale = _mm256_castsi256_ps(avx2_half(scales, scales + next, 4));                                         \
        __m256i W[MOST_TAPS / 2 + 1][2];                                                                               \
        const int8_t *p[5];                                                                                            \
        int8_t *out = row->out + c;                                                                                    \
        UNROLL                                                                                                         \
        for (int t = 0; t < n_taps; t += 2) {                                                                          \
            const __m256i u = avx2_weights16(row->weights + t * D + c, is_twice_8);                                    \
            const __m256i v = t + 1 < n_taps ? avx2_weights16(row->weights + (t + 1) * D + c, is_twice_8)              \
                                             : _mm256_setzero_si256();                                                 \
            W[t / 2][0] = _mm256_unpacklo_epi16(u, v);                                                                 \
            W[t / 2][1] = _mm256_unpackhi_epi16(u, v);                                                                 \
        }                                                                                                              \
        UNROLL                                                                                                         \
        for (int i = 0; i < R; i++) p[i] = row->rows[i] + c;                                                           \
        for (int32_t x = 0; x < n; x += cells, out += cells * D) {                                                     \
            __m256i a = bias0, b = bias1;                                                                              \
            UNROLL                                                                                                     \
            for (int t = 0; t < n_taps; t += 2) {                                                                      \
                const __m256i u = avx2_load(p[t / C] + t % C * D);                                                     \
                const __m256i v = t + 1 < n_taps ? avx2_load(p[(t + 1) / C] + (t + 1) % C * D) : u;                    \
                a = lanes##_madd(a, _mm256_unpacklo_epi16(u, v), W[t / 2][0]);                                         \
                b = lanes##_madd(b, _mm256_unpackhi_epi16(u, v), W[t / 2][1]);                                         \
            }                                                                                                          \
            a = _mm256_adds_epi16(_mm256_packs_epi32(avx2_round(a, &low), avx2_round(b, &high)), low.zero);            \
            const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));          \
            _mm_storeu_si128((__m128i_u *)out, _mm_max_epi8(bytes, _mm256_castsi256_si128(low.least)));                \
            UNROLL                                                                                                     \
            for (int i = 0; i < R; i++) p[i] += advance;                                                               \
        }                                                                                                              \
    }

DEPTHWISE_BLOCK(avx2, AVX2)
DEPTHWISE_BLOCK(vnni, VNNI)

/* Eight channels of any kernel. */
__attribute__((target("avx2"))) static void avx2_depthwise_any(const net_row *row, int32_t c)
{
    const int32_t D = row->depth;
    const avx2_rule rule = avx2_rule_of(row, c);
    for (int32_t x = 0; x < row->n; x++) {
        const int8_t *w = row->weights + c;
        __m256i a = avx2_load256(row->bias + c);
        for (int32_t i = 0; i < row->kernel_rows; i++) {
            const int8_t *p = row->rows[i] + x * row->step + c;
            for (int32_t k = 0; k < row->kernel_columns; k++, p += D, w += D)
                a = _mm256_add_epi32(a, _mm256_mullo_epi32(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i_u *)p)),
                                                           _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i_u *)w))));
        }
        a = avx2_round(a, &rule);
        _mm_storel_epi64((__m128i_u *)(row->out + x * D + c), _mm256_castsi256_si128(avx2_narrow(a, a, a, a, &rule)));
    }
}

/* The kernels that are worth unrolling, one function each; the last block of sixteen may do eight channels anew. */
#define DEPTHWISE_OF(lanes, TARGET, R, C)                                                                              \
    TARGET static void lanes##_depthwise_##R##x##C(const net_row *row)                                                 \
    {                                                                                                                  \
        if (row->depth == 8) {                                                                                         \
            lanes##_depthwise_block(row, 0, R, C, 1);                                                                  \
            return;                                                                                                    \
        }                                                                                                              \
        for (int32_t c = 0; c < row->depth; c += 16)                                                                   \
            lanes##_depthwise_block(row, c + 16 <= row->depth ? c : row->depth - 16, R, C, 0);                         \
    }

#define DEPTHWISE(lanes, TARGET)                                                                                       \
    DEPTHWISE_OF(lanes, TARGET, 1, 1)                                                                                  \
    DEPTHWISE_OF(lanes, TARGET, 3, 3)                                                                                  \
    DEPTHWISE_OF(lanes, TARGET, 5, 5)                                                                                  \
    DEPTHWISE_OF(lanes, TARGET, 1, 3)                                                                                  \
    DEPTHWISE_OF(lanes, TARGET, 1, 5)                                                                                  \
    DEPTHWISE_OF(lanes, TARGET, 1, 9)                                                                                  \
    static void lanes##_depthwise(const net_row *given)                                                                \
    {                                                                                                                  \
        const net_row row = *given;                                                                                    \
        const int32_t size = row.kernel_rows * 16 + row.kernel_columns;                                                \
        const int is_paired = row.step == 8 && row.n % 2 == 0; /* two cells of eight channels side by side */          \
        if (row.depth > 8 || is_paired) {                                                                              \
            if (size == 0x11) lanes##_depthwise_1x1(&row);                                                             \
            else if (size == 0x33) lanes##_depthwise_3x3(&row);                                                        \
            else if (size == 0x55) lanes##_depthwise_5x5(&row);                                                        \
            else if (size == 0x13) lanes##_depthwise_1x3(&row);                                                        \
            else if (size == 0x15) lanes##_depthwise_1x5(&row);                                                        \
            else if (size == 0x19) lanes##_depthwise_1x9(&row);                                                        \
            if (size == 0x33 || size == 0x55 || size == 0x11 || size == 0x13 || size == 0x15 || size == 0x19) return;  \
        }                                                                                                              \
        for (int32_t c = 0; c < row.depth; c += 8) avx2_depthwise_any(&row, c);                                        \
    }

DEPTHWISE(avx2, __attribute__((target("avx2"))))
DEPTHWISE(vnni, AVX2_VNNI)

AVX2 __m256i avx2_sum8(const int8_t *a, const int8_t *b, __m256i k0, __m256i k1, __m256i bias, __m128i shift)
{
    __m256i x = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i_u *)a));
    __m256i y = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i_u *)b));
    x = _mm256_add_epi32(_mm256_add_epi32(_mm256_mullo_epi32(x, k0), bias), _mm256_mullo_epi32(y, k1));
    return _mm256_sra_epi32(x, shift);
}

__attribute__((target("avx2"))) static void avx2_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t n,
                                                     const net_step *s, int32_t zero)
{
    const __m256i k0 = _mm256_set1_epi32(s->number[0]), k1 = _mm256_set1_epi32(s->number[1]);
    const __m256i bias = _mm256_set1_epi32(s->number[2]), z = _mm256_set1_epi16((int16_t)zero);
    const __m128i shift = _mm_cvtsi32_si128(s->number[3]);
    const __m128i low = _mm_set1_epi8((int8_t)s->low), high = _mm_set1_epi8((int8_t)s->high);
    int32_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256i x = avx2_sum8(a + i, b + i, k0, k1, bias, shift), y = avx2_sum8(a + i + 8, b + i + 8, k0, k1, bias, shift);
        __m256i both = _mm256_permute4x64_epi64(_mm256_adds_epi16(_mm256_packs_epi32(x, y), z), 0xD8);
        __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        _mm_storeu_si128((__m128i_u *)(out + i), _mm_min_epi8(_mm_max_epi8(bytes, low), high));
    }
    scalar_add(a + i, b + i, out + i, n - i, s, zero);
}

static inline void avx2_turn_8x8(const int8_t *rows, int32_t stride, int8_t *cells, int32_t depth, const int32_t n_times)
{
    __m128i r[8], a[4], b[4];
    for (int i = 0; i < 8; i++) r[i] = _mm_loadl_epi64((const __m128i_u *)(rows + i * stride));
    for (int i = 0; i < 4; i++) a[i] = _mm_unpacklo_epi8(r[i], r[i + 4]);
    for (int i = 0; i < 2; i++) b[i] = _mm_unpacklo_epi8(a[i], a[i + 2]), b[i + 2] = _mm_unpackhi_epi8(a[i], a[i + 2]);
    for (int i = 0; i < 4; i++, cells += 2 * depth) {
        const __m128i one = b[i / 2 * 2], other = b[i / 2 * 2 + 1];
        const __m128i two = i % 2 ? _mm_unpackhi_epi8(one, other) : _mm_unpacklo_epi8(one, other);
        if (n_times == 1) {
            _mm_storel_epi64((__m128i_u *)cells, two);
            _mm_storeh_pi((__m64 *)(void *)(cells + depth), _mm_castsi128_ps(two));
        } else {
            _mm_storeu_si128((__m128i_u *)cells, _mm_unpacklo_epi8(two, two));
            _mm_storeu_si128((__m128i_u *)(cells + depth), _mm_unpackhi_epi8(two, two));
        }
    }
}

static void avx2_turn(const int8_t *rows, int32_t stride, int8_t *cells, const net_buffer *out, int32_t n_times,
                      const int8_t *tables, int32_t apart)
{
    if (tables) {
        scalar_turn(rows, stride, cells, out, n_times, tables, apart);
        return;
    }
    for (int32_t c = 0; c < out->depth / n_times; c += 8)
        for (int32_t x = 0; x < out->width; x += 8)
            avx2_turn_8x8(rows + c * stride + x, stride, cells + x * out->depth + c * n_times, out->depth, n_times);
}
