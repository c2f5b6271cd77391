/* Tables: read from a blob, and checked so completely that no PCM can take the arithmetic out of its types. */

#include <string.h>

#include "edgegenre_mel_internal.h"

#define MAGIC "EGMELTAB"
#define HEADER_BYTES 128u
#define CRC_FROM 20u /* the CRC-32 covers everything behind itself */
#define SPAN 2147483647
#define MAX_OFFSET_Q15 (1 << 30) /* what else log2_q9 adds is below 2^23 */

static uint32_t little_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int32_t little_i32(const uint8_t *p)
{
    uint32_t bits = little_u32(p);
    int32_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* CRC-32 of zlib and PNG, a nibble at a time. */
static uint32_t crc32(const uint8_t *bytes, size_t n_bytes)
{
    static const uint32_t step[16] = {0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
                                      0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
                                      0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n_bytes; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ step[crc & 15u];
        crc = crc >> 4 ^ step[crc & 15u];
    }
    return crc ^ 0xFFFFFFFFu;
}

static int is_little_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static int is_fft_size(uint32_t n_fft)
{
    return n_fft == 8 || n_fft == 32 || n_fft == 128 || n_fft == 512 || n_fft == 2048 || n_fft == 8192;
}

static int scalars_fit(const edgegenre_mel_tables *t)
{
    if (!is_fft_size(t->n_fft) || t->sample_rate_hz == 0) return 0;
    if (t->hop_samples < 1 || t->hop_samples > EDGEGENRE_MEL_MAX_HOP) return 0;
    if (t->n_mels < 1 || t->n_mels > EDGEGENRE_MEL_MAX_MELS) return 0;
    if (t->frames_per_window < 1 || t->frames_per_window > EDGEGENRE_MEL_MAX_FRAMES) return 0;
    if (t->norm_limit_q9 < 1 || t->norm_limit_q9 > 65535 || t->norm_gain_q22 < 1) return 0;
    return (int64_t)t->norm_limit_q9 * t->norm_gain_q22 <= SPAN - (1 << 21); /* the normalizer stays in int32 */
}

/* A quarter of a sine: 0 and 2^31 - 1 at its ends, no twiddle longer than 1.03. That bounds the FFT: its six stages and
 * the real split grow a value by at most 1.03^7 = 1.23 over the exact transform, which headroom_bits keeps below 2^30
 * for a bin and 2^29.5 for the half-length FFT; sums of two of the latter stay below 2^30.5 * 1.23 < 2^31. */
static int quarter_sine_fits(const edgegenre_mel_tables *t)
{
    const int32_t *sine = t->quarter_sine_q31;
    uint32_t quarter = t->n_fft / 4;
    uint64_t longest = ((uint64_t)1 << 62) + ((uint64_t)1 << 58);
    if (sine[0] != 0 || sine[quarter] != SPAN) return 0;
    for (uint32_t i = 0; i <= quarter; i++) {
        int64_t s = sine[i], c = sine[quarter - i];
        if (s < 0 || c < 0 || (uint64_t)(s * s) + (uint64_t)(c * c) > longest) return 0;
    }
    return 1;
}

static int32_t sine_q31(const edgegenre_mel_tables *t, uint32_t index)
{
    uint32_t N = t->n_fft, i = index % N, half = i % (N / 2);
    int32_t value = t->quarter_sine_q31[half > N / 4 ? N / 2 - half : half];
    return i >= N / 2 ? -value : value;
}

/* The twiddles are the quarter sine unfolded. */
static int twiddles_fit(const edgegenre_mel_tables *t)
{
    uint32_t N = t->n_fft;
    const int32_t *w = t->twiddle_q31;
    for (uint32_t q = 4; q < N / 2; q *= 4)
        for (uint32_t p = 1; p < 4; p++, w += 2 * q)
            for (uint32_t j = 0; j < q; j++) {
                uint32_t index = N / (4 * q) * p * j;
                if (w[j] != sine_q31(t, index + N / 4) || w[q + j] != sine_q31(t, index)) return 0;
            }
    return 1;
}

static int bands_fit(const edgegenre_mel_tables *t)
{
    uint32_t n_weights = 0, end = t->n_fft / 2 + 1 + 3; /* three zeros lie behind the last bin */
    for (uint32_t m = 0; m < t->n_mels; m++) {
        uint32_t length = 4u * t->band_groups[m];
        if (length == 0 || t->band_start[m] + length > end) return 0;
        if (t->band_offset_q15[m] < -MAX_OFFSET_Q15 || t->band_offset_q15[m] > MAX_OFFSET_Q15) return 0;
        n_weights += length;
    }
    return n_weights == t->n_weights;
}

static int misaligned(const void *p, size_t to) { return (uintptr_t)p % to != 0; }

edgegenre_mel_error edgegenre_mel_check_tables(const edgegenre_mel_tables *t)
{
    if (!t) return EDGEGENRE_MEL_E_NULL;
    if (t->spec_version != EDGEGENRE_MEL_SPEC_VERSION) return EDGEGENRE_MEL_E_VERSION;
    if (!t->quarter_sine_q31 || !t->twiddle_q31 || !t->band_offset_q15 || !t->band_start || !t->band_groups ||
        !t->window_q15 || !t->band_weight || !t->log2_q15)
        return EDGEGENRE_MEL_E_NULL;
    if (misaligned(t->quarter_sine_q31, 4) || misaligned(t->twiddle_q31, 4) || misaligned(t->band_offset_q15, 4) ||
        misaligned(t->band_start, 2) || misaligned(t->band_groups, 2) || misaligned(t->window_q15, 2) ||
        misaligned(t->band_weight, 2) || misaligned(t->log2_q15, 2))
        return EDGEGENRE_MEL_E_ALIGN;
    if (!scalars_fit(t) || !quarter_sine_fits(t) || !twiddles_fit(t) || !bands_fit(t)) return EDGEGENRE_MEL_E_TABLES;
    return EDGEGENRE_MEL_OK;
}

size_t edgegenre_mel_tables_bytes(void) { return sizeof(edgegenre_mel_tables); }

/* The header's scalars; see table_blob in codegen.py for the layout. */
static void read_header(edgegenre_mel_tables *t, const uint8_t *h)
{
    t->spec_version = little_u32(h + 20);
    t->sample_rate_hz = little_u32(h + 24);
    t->n_fft = little_u32(h + 28);
    t->hop_samples = little_u32(h + 32);
    t->n_mels = little_u32(h + 36);
    t->frames_per_window = little_u32(h + 48);
    t->silence_q9 = little_i32(h + 60);
    t->norm_gain_q22 = little_i32(h + 64);
    t->norm_limit_q9 = little_i32(h + 68);
    t->n_weights = little_u32(h + 72);
    memcpy(t->spec_sha256, h + 80, 32);
}

/* Point into the sections behind the header; their lengths follow from it. Returns where they end. */
static size_t place_sections(edgegenre_mel_tables *t, const uint8_t *blob)
{
    size_t N = t->n_fft, M = t->n_mels, at = HEADER_BYTES;
    t->quarter_sine_q31 = (const int32_t *)(const void *)(blob + at);
    at += 4 * (N / 4 + 1);
    t->twiddle_q31 = (const int32_t *)(const void *)(blob + at);
    at += 4 * (N - 8);
    t->band_offset_q15 = (const int32_t *)(const void *)(blob + at);
    at += 4 * M;
    t->band_start = (const uint16_t *)(const void *)(blob + at);
    at += 2 * M;
    t->band_groups = (const uint16_t *)(const void *)(blob + at);
    at += 2 * M;
    t->window_q15 = (const int16_t *)(const void *)(blob + at);
    at += 2 * N;
    t->band_weight = (const uint16_t *)(const void *)(blob + at);
    at += 2 * (size_t)t->n_weights;
    t->log2_q15 = (const uint16_t *)(const void *)(blob + at);
    return at + 2 * (EDGEGENRE_MEL_LOG2_SEGMENTS + 1) + 2; /* two bytes of padding */
}

edgegenre_mel_error edgegenre_mel_tables_from_blob(edgegenre_mel_tables *tables, const void *blob, size_t blob_bytes)
{
    const uint8_t *bytes = blob;
    edgegenre_mel_tables read;
    if (!tables || !blob) return EDGEGENRE_MEL_E_NULL;
    if (!is_little_endian()) return EDGEGENRE_MEL_E_PLATFORM;
    if (misaligned(blob, 4)) return EDGEGENRE_MEL_E_ALIGN;
    if (blob_bytes < 8) return EDGEGENRE_MEL_E_TRUNCATED;
    if (memcmp(bytes, MAGIC, 8) != 0) return EDGEGENRE_MEL_E_MAGIC;
    if (blob_bytes < 12) return EDGEGENRE_MEL_E_TRUNCATED;
    if (little_u32(bytes + 8) != EDGEGENRE_MEL_BLOB_VERSION) return EDGEGENRE_MEL_E_VERSION;
    if (blob_bytes < HEADER_BYTES || little_u32(bytes + 12) != blob_bytes) return EDGEGENRE_MEL_E_TRUNCATED;
    if (crc32(bytes + CRC_FROM, blob_bytes - CRC_FROM) != little_u32(bytes + 16)) return EDGEGENRE_MEL_E_HASH;
    memset(&read, 0, sizeof read);
    read_header(&read, bytes);
    if (read.spec_version != EDGEGENRE_MEL_SPEC_VERSION) return EDGEGENRE_MEL_E_VERSION;
    if (little_u32(bytes + 76) != EDGEGENRE_MEL_LOG2_SEGMENTS || !scalars_fit(&read)) return EDGEGENRE_MEL_E_TABLES;
    if (read.n_weights > EDGEGENRE_MEL_MAX_MELS * (EDGEGENRE_MEL_MAX_FFT / 2 + 4)) return EDGEGENRE_MEL_E_TABLES;
    if (place_sections(&read, bytes) != blob_bytes) return EDGEGENRE_MEL_E_TRUNCATED;
    edgegenre_mel_error error = edgegenre_mel_check_tables(&read);
    if (error == EDGEGENRE_MEL_OK) *tables = read;
    return error;
}
