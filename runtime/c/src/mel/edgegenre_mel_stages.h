/* Stages 1 to 5 of a frame, written once for any number of lanes. Included once per lanes file, with
 *   LANES       lanes of a vector: 1, 4 or 8; on AArch64 a vector is a pair of registers
 *   FN(name)    name with the prefix of the lanes file
 *   KERNEL      attributes of a function
 *
 * The FFT computes what the reference computes, butterfly by butterfly, in another order in memory (Stockham): the
 * reference's decimation in time wants its input digit-reversed, here each stage writes where the next reads in
 * order. Before the stage of `quarter` = q there are m' = n / q transforms of q points, [q][m']: transform c is that of
 * the samples c, c + m', c + 2 m' … A stage joins the transforms c, c + m, c + 2 m, c + 3 m (m = m' / 4) into one of 4 q
 * points, [4 q][m]. No digit reversal, and the inner loop over c is contiguous; in the last stage m = 1 and the loop
 * over the q frequencies is contiguous instead.
 *
 * A twiddle of index 0 is (2^31 - 1, 0), and mul_q31(x, 2^31 - 1) = x + ((2^30 - x) >> 31) = x for -2^30 < x <= 2^30,
 * as 0 <= 2^30 - x < 2^31. Stage inputs are below 2^28 (headroom_bits and the bound on twiddles that init checks),
 * so that those products are left out wherever the loop has them apart. */

#define V FN(vec)

/* Radix-4 butterfly of inputs that are already rotated; out + {0, 1, 2, 3} * apart. */
KERNEL void FN(butterfly)(const V re[4], const V im[4], int32_t *out_re, int32_t *out_im, size_t apart)
{
    V sr = FN(add)(re[0], re[2]), si = FN(add)(im[0], im[2]);
    V tr = FN(sub)(re[0], re[2]), ti = FN(sub)(im[0], im[2]);
    V ur = FN(add)(re[1], re[3]), ui = FN(add)(im[1], im[3]);
    V vr = FN(sub)(re[1], re[3]), vi = FN(sub)(im[1], im[3]);
    FN(store)(out_re, FN(add)(sr, ur));
    FN(store)(out_im, FN(add)(si, ui));
    FN(store)(out_re + apart, FN(add)(tr, vi));
    FN(store)(out_im + apart, FN(sub)(ti, vr));
    FN(store)(out_re + 2 * apart, FN(sub)(sr, ur));
    FN(store)(out_im + 2 * apart, FN(sub)(si, ui));
    FN(store)(out_re + 3 * apart, FN(sub)(tr, vi));
    FN(store)(out_im + 3 * apart, FN(add)(ti, vr));
}

/* Stage 1, first half: pcm [2 n] times the window, even samples to raw [0..n), odd to raw [n..2 n). Returns the OR of
 * all magnitudes, which has as many bits as their maximum. */
KERNEL uint32_t FN(window_all)(const int16_t *pcm, const int16_t *window_q15, int32_t *raw, size_t n)
{
    V bits = FN(set)(0);
    for (size_t i = 0; i < n; i += LANES)
        bits = FN(or)(bits, FN(window)(pcm + 2 * i, window_q15 + 2 * i, raw + i, raw + n + i));
    return FN(or_lanes)(bits);
}

/* Stage 1, second half (the block exponent), and the FFT's first stage, which has no products. */
KERNEL void FN(first_stage)(const int32_t *restrict raw, int32_t *restrict out, size_t n, int shift)
{
    size_t m = n / 4;
    for (size_t c = 0; c < m; c += LANES) {
        V re[4], im[4];
        for (size_t p = 0; p < 4; p++) {
            re[p] = FN(scale)(FN(load)(raw + c + p * m), shift);
            im[p] = FN(scale)(FN(load)(raw + n + c + p * m), shift);
        }
        FN(butterfly)(re, im, out + c, out + n + c, m);
    }
}

/* The butterflies of one frequency of a stage, m of them; without a rotation for frequency 0. */
KERNEL void FN(butterflies)(const int32_t *restrict in, int32_t *restrict out, size_t n, size_t m, size_t apart,
                            const V *cos, const V *sin)
{
    for (size_t c = 0; c < m; c += LANES) {
        V re[4], im[4];
        for (size_t p = 0; p < 4; p++) {
            re[p] = FN(load)(in + p * m + c);
            im[p] = FN(load)(in + n + p * m + c);
            if (p > 0 && cos) FN(rotate_small)(&re[p], &im[p], cos[p], sin[p]);
        }
        FN(butterfly)(re, im, out + c, out + n + c, apart);
    }
}

/* A stage of m >= LANES: one rotation for a whole inner loop. */
KERNEL void FN(middle_stage)(const int32_t *in, int32_t *out, const int32_t *twiddle_q31, size_t n, size_t q)
{
    size_t m = n / (4 * q);
    FN(butterflies)(in, out, n, m, q * m, NULL, NULL);
    for (size_t j = 1; j < q; j++) {
        V cos[4], sin[4];
        for (size_t p = 1; p < 4; p++) {
            cos[p] = FN(set)(twiddle_q31[(2 * p - 2) * q + j]);
            sin[p] = FN(set)(twiddle_q31[(2 * p - 1) * q + j]);
        }
        FN(butterflies)(in + 4 * j * m, out + j * m, n, m, q * m, cos, sin);
    }
}

#if LANES == 8
/* A stage of m = 4 with eight lanes: two frequencies at a time. */
KERNEL void FN(stage_of_4)(const int32_t *restrict in, int32_t *restrict out, const int32_t *twiddle_q31, size_t n,
                           size_t q)
{
    for (size_t j = 0; j < q; j += 2) {
        V re[4], im[4];
        for (size_t p = 0; p < 4; p++) {
            re[p] = FN(load_2_rows)(in + (4 * j + p) * 4);
            im[p] = FN(load_2_rows)(in + n + (4 * j + p) * 4);
            if (p == 0) continue;
            const int32_t *cos = twiddle_q31 + (2 * p - 2) * q + j;
            FN(rotate_2_rows)(&re[p], &im[p], cos, cos + q);
        }
        FN(butterfly)(re, im, out + j * 4, out + n + j * 4, q * 4);
    }
}
#endif

/* The last stage, m = 1 and q a multiple of LANES: in [q][4]. */
KERNEL void FN(last_stage)(const int32_t *restrict in, int32_t *restrict out, const int32_t *twiddle_q31, size_t n,
                           size_t q)
{
    for (size_t j = 0; j < q; j += LANES) {
        V re[4], im[4];
        FN(load_4_apart)(in + 4 * j, &re[0], &re[1], &re[2], &re[3]);
        FN(load_4_apart)(in + n + 4 * j, &im[0], &im[1], &im[2], &im[3]);
        for (size_t p = 1; p < 4; p++) {
            V cos = FN(load)(twiddle_q31 + (2 * p - 2) * q + j), sin = FN(load)(twiddle_q31 + (2 * p - 1) * q + j);
            FN(rotate_small)(&re[p], &im[p], cos, sin);
        }
        FN(butterfly)(re, im, out + j, out + n + j, q);
    }
}

/* Stage 3 and the end of stage 2: the spectrum z [re n, im n] of the pairs gives the power [n + 1] of the real frame.
 * Vectors begin at k = 0, whose lane reads what may lie at index n and is written over afterwards. */
KERNEL void FN(real_power)(const int32_t *restrict z, uint64_t *restrict power, const int32_t *quarter_sine_q31,
                           size_t n)
{
    const int32_t *zr = z, *zi = z + n;
    for (size_t k = LANES == 1 ? 1 : 0; k < n / 2; k += LANES) {
        size_t back = n - k - (LANES - 1); /* the mirrored bins n - k … in reverse */
        V ar = FN(load)(zr + k), ai = FN(load)(zi + k);
        V br = FN(load_reversed)(zr + back), bi = FN(load_reversed)(zi + back);
        V sin = FN(load)(quarter_sine_q31 + k);
        V cos = FN(load_reversed)(quarter_sine_q31 + n / 2 - k - (LANES - 1));
        V sum_r = FN(add)(ar, br), sum_i = FN(sub)(ai, bi);
        V odd_r = FN(add)(ai, bi), odd_i = FN(sub)(br, ar);
        FN(rotate)(&odd_r, &odd_i, cos, sin);
        FN(store_power)(power, n, k, FN(half_add)(sum_r, odd_r), FN(half_add)(sum_i, odd_i));
        FN(store_power_reversed)(power, n, back, FN(half_sub)(sum_r, odd_r), FN(half_sub)(sum_i, odd_i));
    }
    FN(put_power)(power, n, 0, scalar_power(zr[0] + zi[0], 0));
    FN(put_power)(power, n, n / 2, scalar_power(zr[n / 2], zi[n / 2]));
    FN(put_power)(power, n, n, scalar_power(zr[0] - zi[0], 0));
    for (size_t k = n + 1; k < n + 4; k++) FN(put_power)(power, n, k, 0); /* read by the zero weights that pad a band */
}

/* One frame, pcm [2 n] → log_mel_q9 [n_mels]. */
FRAME void FN(frame)(const edgegenre_mel_bench *bench, const int16_t *pcm, int16_t *log_mel_q9)
{
    const edgegenre_mel_tables *tables = bench->tables;
    size_t n = tables->n_fft / 2, q = 4;
    int32_t *from = bench->work[0], *to = bench->work[1];
    const int32_t *twiddle_q31 = tables->twiddle_q31;
    int shift = block_exponent(FN(window_all)(pcm, tables->window_q15, from, n), tables->n_fft);
    FN(first_stage)(from, to, n, shift);
    for (; q < n; q *= 4) {
        int32_t *spare = from;
        from = to;
        to = spare;
        if (n / (4 * q) >= LANES) FN(middle_stage)(from, to, twiddle_q31, n, q);
#if LANES == 8
        else if (n / (4 * q) == 4)
            FN(stage_of_4)(from, to, twiddle_q31, n, q);
#endif
        else
            FN(last_stage)(from, to, twiddle_q31, n, q);
        twiddle_q31 += 6 * q;
    }
    uint64_t *power = (uint64_t *)(void *)from;
    FN(real_power)(to, power, tables->quarter_sine_q31, n);
    const uint16_t *weight = tables->band_weight, *start = tables->band_start, *n_groups = tables->band_groups;
    const uint16_t *log2_q15 = tables->log2_q15;
    const int32_t *offset_q15 = tables->band_offset_q15;
    for (uint32_t m = 0, n_mels = tables->n_mels; m < n_mels; m++) {
        uint64_t sum = FN(weighted_sum)(power, n, start[m], weight, n_groups[m]);
        log_mel_q9[m] = log2_q9(sum, offset_q15[m] + shift * 65536, log2_q15);
        weight += 4 * n_groups[m];
    }
}

#undef V
