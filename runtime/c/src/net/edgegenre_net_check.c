/* A blob, checked so completely that no input can take a run outside of its arena and its blob. */

#include "edgegenre_net_internal.h"

#define CRC_FROM 20u

typedef struct {
    const int32_t *words;
    const net_header *head;
    const net_buffer *buffers;
    const net_step *steps;
    int64_t tables_end; /* bytes: where the constants begin */
} net_plan;

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

static int within(int32_t x, int32_t low, int32_t high) { return x >= low && x <= high; }

static int is_little_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static int buffer_fits(const net_plan *p, const net_buffer *b)
{
    const int32_t most = EDGEGENRE_NET_MAX_SIZE;
    if (!within(b->height, 1, most) || !within(b->width, 1, most) || !within(b->depth, 1, most)) return 0;
    if (b->depth % LANES != 0 && b->depth > LANES) return 0;
    if (!within(b->channels, 1, b->depth) || !within(b->rows, 1, b->height)) return 0;
    if (!within(b->left, 0, most) || !within(b->right, 0, most) || !within(b->zero_row, 0, 1)) return 0;
    if (!within(b->zero, -128, 127) || b->offset < 0) return 0;
    int64_t row_bytes = ((int64_t)b->left + b->width + b->right) * b->depth;
    return b->offset + row_bytes * (b->rows + b->zero_row) + READ_SLACK <= p->head->arena_bytes;
}

/* A step copies from what it takes to what it makes, which may not overlap; what goes cell by cell may. */
static int lie_apart(const net_buffer *a, const net_buffer *b)
{
    return a->offset + (int64_t)net_row_bytes(a) * (a->rows + a->zero_row) <= b->offset ||
           b->offset + (int64_t)net_row_bytes(b) * (b->rows + b->zero_row) <= a->offset;
}

/* Constants lie behind the tables, aligned to 4 bytes. */
static int constant_fits(const net_plan *p, int32_t offset, int64_t n_bytes)
{
    return offset % 4 == 0 && offset >= p->tables_end && offset + n_bytes <= p->head->n_bytes;
}

/* n float32 that are finite, not negative and below 256. */
static int scales_fit(const net_plan *p, int32_t offset, int32_t n)
{
    if (!constant_fits(p, offset, 4 * (int64_t)n)) return 0;
    for (int32_t i = 0; i < n; i++)
        if (!within(p->words[offset / 4 + i], 0, 0x437FFFFF)) return 0; /* as integers they are in the same order */
    return 1;
}

/* Every window ends inside of the image and what lies behind it. */
static int windows_end_inside(int32_t length, int32_t n, int32_t size, int32_t stride, int32_t before, int32_t after)
{
    const int32_t most = EDGEGENRE_NET_MAX_SIZE;
    if (!within(size, 1, most) || !within(stride, 1, most) || !within(before, 0, most)) return 0;
    return (int64_t)(n - 1) * stride - before + size <= (int64_t)length + after;
}

/* And has a cell of the image. */
static int windows_fit(int32_t length, int32_t n, int32_t size, int32_t stride, int32_t before, int32_t after)
{
    return windows_end_inside(length, n, size, stride, before, after) && before < size &&
           (int64_t)(n - 1) * stride - before < length;
}

static int convolution_fits(const net_plan *p, const net_step *s, const net_buffer *in, const net_buffer *out)
{
    int32_t below = in->zero_row ? EDGEGENRE_NET_MAX_SIZE : 0;
    if (out->depth % LANES != 0 || !within(s->kernel_rows, 1, EDGEGENRE_NET_MAX_KERNEL_ROWS)) return 0;
    if (s->top > 0 && !in->zero_row) return 0;
    if (s->left > in->left) return 0;
    if (!windows_end_inside(in->height, out->height, s->kernel_rows, s->stride_rows, s->top, below)) return 0;
    const int32_t pool = s->kind == CONV ? s->number[1] : 1;
    if (pool != 1 && pool != 2 && pool != MAX_POOL) return 0;
    if (pool > 1 && out->width * pool < MIN_POOLED) return 0;
    if (!windows_end_inside(in->width, out->width * pool, s->kernel_columns, s->stride_columns, s->left, in->right))
        return 0;
    int64_t inputs = ((int64_t)s->kernel_columns * in->depth + CELL_INPUTS - 1) / CELL_INPUTS * CELL_INPUTS;
    int64_t n_weights = s->kernel_rows * inputs * out->depth;
    if (s->kind == DEPTHWISE) {
        if (in->depth != out->depth) return 0;
        n_weights = (int64_t)s->kernel_rows * s->kernel_columns * out->depth;
    }
    if (s->flags & INTERLEAVED) {
        const int64_t n_chunks = (int64_t)out->depth / LANES * s->kernel_rows * (in->depth / CHUNK);
        if (s->kind != CONV || in->depth % CHUNK != 0 || s->stride_columns != 1) return 0;
        if (!within(s->kernel_columns, 3, 4) || !constant_fits(p, s->number[0], 4 * n_chunks)) return 0;
    }
    return constant_fits(p, s->weights, n_weights) && constant_fits(p, s->bias, 4 * (int64_t)out->depth) &&
           scales_fit(p, s->scales, out->depth);
}

/* A scale and a bias, both finite. */
static int mean_fits(const net_plan *p, int32_t offset)
{
    return scales_fit(p, offset, 1) && constant_fits(p, offset, 8) &&
           (p->words[offset / 4 + 1] & 0x7FFFFFFF) < 0x7F800000;
}

static int pool_fits(const net_plan *p, const net_step *s, const net_buffer *in, const net_buffer *out)
{
    int32_t most = s->kind == MEAN ? 0 : EDGEGENRE_NET_MAX_SIZE;
    if (in->depth != out->depth || (s->kind == MEAN && !mean_fits(p, s->scales))) return 0;
    if ((int64_t)s->kernel_rows * s->kernel_columns > 1 << 22) return 0; /* sums of 256 steps a cell fit int32 */
    return windows_fit(in->height, out->height, s->kernel_rows, s->stride_rows, s->top, most) &&
           windows_fit(in->width, out->width, s->kernel_columns, s->stride_columns, s->left, most);
}

static int add_fits(const net_step *s, const net_buffer *a, const net_buffer *b, const net_buffer *out)
{
    if (a->height != out->height || a->width != out->width || a->depth != out->depth) return 0;
    if (b->height != out->height || b->width != out->width || b->depth != out->depth) return 0;
    if (!within(s->number[0], 0, 1 << 21) || !within(s->number[1], 0, 1 << 21)) return 0;
    return within(s->number[2], -(1 << 30), 1 << 30) && within(s->number[3], 1, 30);
}

/* The copied cells lie in the caller's input, or in a buffer that is whole and has nothing between its rows. */
static int copy_fits(const net_plan *p, const net_step *s, const net_buffer *out)
{
    int64_t n_cells = (int64_t)p->head->input[0] * p->head->input[1] * p->head->input[2];
    int64_t low = s->number[3], high = s->number[3];
    if (s->number[5] != 0 && s->number[5] != 256) return 0;
    if (s->weights && !constant_fits(p, s->weights, 256 + s->number[5] * (int64_t)(out->channels - 1))) return 0;
    if (!within(s->number[4], 0, out->channels - 1) || out->channels % (s->number[4] + 1) != 0) return 0;
    const int32_t sizes[3] = {out->height, out->width, out->channels / (s->number[4] + 1)};
    if (s->a != CALLER) {
        const net_buffer *in = &p->buffers[s->a];
        if (in->left || in->right || in->rows != in->height) return 0;
        n_cells = (int64_t)in->height * in->width * in->depth;
    }
    for (int i = 0; i < 3; i++) {
        int64_t reach = (int64_t)s->number[i] * (sizes[i] - 1);
        if (reach < 0) low += reach;
        else high += reach;
    }
    return low >= 0 && high < n_cells;
}

static int concatenation_fits(const net_step *s, const net_buffer *a, const net_buffer *b, const net_buffer *out)
{
    int32_t axis = s->number[0], sizes[3][3] = {{a->height, a->width, a->channels},
                                                {b->height, b->width, b->channels},
                                                {out->height, out->width, out->channels}};
    if (!within(axis, 0, 2)) return 0;
    for (int32_t i = 0; i < 3; i++) {
        if (i == axis ? sizes[0][i] + sizes[1][i] != sizes[2][i]
                      : sizes[0][i] != sizes[2][i] || sizes[1][i] != sizes[2][i])
            return 0;
    }
    return axis == 2 || (a->depth == out->depth && b->depth == out->depth);
}

static int step_fits(const net_plan *p, const net_step *s)
{
    const net_buffer *out = &p->buffers[s->output], *a = s->a == CALLER ? NULL : &p->buffers[s->a];
    const net_buffer *b = s->b == CALLER ? NULL : &p->buffers[s->b];
    if ((s->kind == ADD || s->kind == CONCATENATE) != (b != NULL) || (!a && s->kind != COPY)) return 0;
    if (!within(s->low, -128, 127) || !within(s->high, s->low, 127)) return 0;
    const int is_pointwise = s->kind == ADD || s->kind == TABLE;
    if (!is_pointwise && ((a && !lie_apart(a, out)) || (b && !lie_apart(b, out)))) return 0;
    if (s->kind == COPY) return copy_fits(p, s, out);
    if (s->kind == CONV || s->kind == DEPTHWISE) return convolution_fits(p, s, a, out);
    if (s->kind == ADD) return add_fits(s, a, b, out);
    if (s->kind == CONCATENATE) return concatenation_fits(s, a, b, out);
    if (s->kind == TABLE)
        return a->height == out->height && a->width == out->width && a->depth == out->depth &&
               constant_fits(p, s->weights, 256);
    return pool_fits(p, s, a, out);
}

/* Steps take what earlier ones made, each makes a buffer of its own, and chains are short. */
static int order_fits(const net_plan *p)
{
    uint8_t depth[EDGEGENRE_NET_MAX_STEPS] = {0}; /* of the step that makes a buffer, 0 for none yet */
    for (int32_t i = 0; i < p->head->n_steps; i++) {
        const net_step *s = &p->steps[i];
        const int32_t taken[2] = {s->a, s->b};
        int deepest = 0;
        if (!within(s->kind, 0, N_KINDS - 1) || !within(s->output, 0, p->head->n_buffers - 1)) return 0;
        if (depth[s->output]) return 0;
        for (int k = 0; k < 2; k++) {
            if (!within(taken[k], CALLER, p->head->n_buffers - 1)) return 0;
            if (taken[k] == CALLER) continue;
            if (!depth[taken[k]]) return 0;
            if (depth[taken[k]] > deepest) deepest = depth[taken[k]];
        }
        if (deepest >= EDGEGENRE_NET_MAX_DEPTH) return 0;
        if (s->flags & BARRIER) deepest = 0; /* who takes it finds it whole */
        depth[s->output] = (uint8_t)(deepest + 1);
    }
    const net_step *last = &p->steps[p->head->n_steps - 1];
    return (last->flags & BARRIER) && last->output == p->head->output;
}

static int plan_fits(const net_plan *p)
{
    const net_header *h = p->head;
    const net_buffer *out;
    for (int i = 0; i < 3; i++)
        if (!within(h->input[i], 1, EDGEGENRE_NET_MAX_SIZE)) return 0;
    if (h->cell != LANES * 256 + CELL_INPUTS || h->arena_bytes < 0) return 0;
    for (int32_t i = 0; i < h->n_buffers; i++)
        if (!buffer_fits(p, &p->buffers[i])) return 0;
    if (!order_fits(p)) return 0;
    for (int32_t i = 0; i < h->n_steps; i++)
        if (!step_fits(p, &p->steps[i])) return 0;
    if (!within(h->embedding, 0, h->n_buffers)) return 0;
    if (h->embedding > 0) {
        out = &p->buffers[h->embedding - 1];
        if (out->height != 1 || out->width != 1) return 0;
    }
    out = &p->buffers[h->output];
    return out->height == 1 && out->width == 1 && within(h->n_classes, 1, out->channels);
}

edgegenre_net_error edgegenre_net_check(const void *blob, size_t blob_bytes)
{
    const uint8_t *bytes = blob;
    net_plan p = {blob, blob, NULL, NULL, 0};
    if (!is_little_endian()) return EDGEGENRE_NET_E_PLATFORM;
    if ((uintptr_t)blob % 4 != 0) return EDGEGENRE_NET_E_ALIGN;
    if (blob_bytes < 8) return EDGEGENRE_NET_E_TRUNCATED;
    if (memcmp(bytes, "EGNETBLB", 8) != 0) return EDGEGENRE_NET_E_MAGIC;
    if (blob_bytes < sizeof(net_header)) return EDGEGENRE_NET_E_TRUNCATED;
    if (!within(p.head->version, EDGEGENRE_NET_OLDEST_VERSION, EDGEGENRE_NET_BLOB_VERSION))
        return EDGEGENRE_NET_E_VERSION;
    if (p.head->n_bytes < 0 || (size_t)p.head->n_bytes != blob_bytes) return EDGEGENRE_NET_E_TRUNCATED;
    if (crc32(bytes + CRC_FROM, blob_bytes - CRC_FROM) != (uint32_t)p.head->crc) return EDGEGENRE_NET_E_HASH;
    if (!within(p.head->n_buffers, 1, EDGEGENRE_NET_MAX_STEPS) || !within(p.head->n_steps, 1, EDGEGENRE_NET_MAX_STEPS))
        return EDGEGENRE_NET_E_PLAN;
    p.buffers = net_buffers(p.words);
    p.steps = net_steps(p.words);
    p.tables_end = (int64_t)sizeof(net_header) + p.head->n_buffers * (int64_t)sizeof(net_buffer) +
                   p.head->n_steps * (int64_t)sizeof(net_step);
    if (p.tables_end > p.head->n_bytes) return EDGEGENRE_NET_E_TRUNCATED;
    return plan_fits(&p) ? EDGEGENRE_NET_OK : EDGEGENRE_NET_E_PLAN;
}
