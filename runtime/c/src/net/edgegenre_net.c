/* The engine: steps are asked for rows and ask the steps before them (plan.py of the compiler says why). */

#include "edgegenre_net_internal.h"

#define STATE_MAGIC 0x45474E31u

typedef struct {
    edgegenre_net *net;
    const net_step *steps;
    const net_buffer *buffers;
    const int8_t *cells;
    uint8_t producer[EDGEGENRE_NET_MAX_STEPS]; /* step of each buffer */
} net_run;

static int8_t *row_of(const net_run *run, const net_buffer *b, int32_t row)
{
    return run->net->arena + b->offset + row % b->rows * net_row_bytes(b) + b->left * b->depth;
}

static const int8_t *constant(const net_run *run, int32_t offset)
{
    return (const int8_t *)run->net->words + offset;
}

static const int32_t *numbers(const net_run *run, int32_t offset) { return run->net->words + offset / 4; }

/* Rows, columns and channels from anywhere to a row; padded channels get the zero point. */
static void copy_row(const net_run *run, const net_step *s, const net_buffer *out, int32_t y)
{
    const int8_t *from = run->cells;
    int8_t *to = row_of(run, out, y);
    const net_kernels *kernels = run->net->kernels;
    const int32_t n_times = s->number[4] + 1, channels = out->channels / n_times;
    if (s->a != CALLER) from = run->net->arena + run->buffers[s->a].offset;
    from += s->number[3] + y * s->number[0];
    const int32_t apart = s->number[5]; /* from a channel's table to the next */
    const int8_t *tables = s->weights ? constant(run, s->weights) : NULL;
    if (out->depth != out->channels) memset(to, out->zero, (size_t)(out->width * out->depth));
    if (!tables && s->number[2] == 1 && n_times == 1 && out->channels == out->depth && s->number[1] == out->depth) {
        memcpy(to, from, (size_t)(out->width * out->depth));
        return;
    }
    if (s->number[1] == 1 && n_times <= (tables ? 1 : 2) && channels % 8 == 0 && out->channels == out->depth &&
        out->width % 8 == 0) {
        kernels->turn(from, s->number[2], to, out, n_times, tables, apart); /* mel bands as channels */
        return;
    }
    for (int32_t x = 0; x < out->width; x++, to += out->depth, from += s->number[1])
        for (int32_t c = 0; c < channels; c++)
            for (int32_t i = 0; i < n_times; i++) {
                const int8_t cell = from[c * s->number[2]];
                to[c * n_times + i] = tables ? tables[(c * n_times + i) * apart + 128 + cell] : cell;
            }
}

static void convolve_row(const net_run *run, const net_step *s, const net_buffer *out, int32_t y)
{
    const net_buffer *in = &run->buffers[s->a];
    const int8_t *rows[EDGEGENRE_NET_MAX_KERNEL_ROWS];
    for (int32_t i = 0; i < s->kernel_rows; i++) {
        int32_t r = y * s->stride_rows - s->top + i;
        const int8_t *zeros = run->net->arena + in->offset + in->rows * net_row_bytes(in) + in->left * in->depth;
        rows[i] = (r < 0 || r >= in->height ? zeros : row_of(run, in, r)) - s->left * in->depth;
    }
    const int32_t inputs = s->kernel_columns * in->depth, pool = s->kind == CONV ? s->number[1] : 1;
    net_row row = {rows, row_of(run, out, y), constant(run, s->weights), numbers(run, s->bias),
                   numbers(run, s->scales), out->width * pool, out->depth, s->stride_columns * in->depth,
                   s->kernel_rows, s->kernel_columns, inputs, 1, 1, inputs, in->depth, pool, NULL, s->low, s->high,
                   out->zero};
    if (s->flags & INTERLEAVED) {
        row.chunks = in->depth / CHUNK;
        row.taps = s->kernel_columns;
        row.run = CHUNK;
        row.is_small = numbers(run, s->number[0]);
    }
    const net_kernels *kernels = run->net->kernels;
    (s->kind == CONV ? kernels->conv : kernels->depthwise)(&row);
}

static void add_row(const net_run *run, const net_step *s, const net_buffer *out, int32_t y)
{
    const int8_t *a = row_of(run, &run->buffers[s->a], y), *b = row_of(run, &run->buffers[s->b], y);
    const net_kernels *kernels = run->net->kernels;
    kernels->add(a, b, row_of(run, out, y), out->width * out->depth, s, out->zero);
}

/* The part of a window that lies inside of the image. */
static void window(int32_t at, int32_t size, int32_t length, int32_t *first, int32_t *end)
{
    *first = at < 0 ? 0 : at;
    *end = at + size > length ? length : at + size;
}

static void produce(net_run *run, int32_t step, int32_t last);

/* to[i] = the larger of to[i] and from[i] */
static void raise_to(int8_t *to, const int8_t *from, int32_t n)
{
    for (int32_t i = 0; i < n; i++) to[i] = to[i] > from[i] ? to[i] : from[i];
}

/* It asks for the rows of its window one after the other: the plan keeps no more of them than it must. */
static void max_row(net_run *run, const net_step *s, const net_buffer *out, int32_t y)
{
    const net_buffer *in = &run->buffers[s->a];
    int8_t *to = row_of(run, out, y);
    int32_t top, bottom, left, right, D = out->depth;
    window(y * s->stride_rows - s->top, s->kernel_rows, in->height, &top, &bottom);
    memset(to, s->low, (size_t)(out->width * D));
    for (int32_t r = top; r < bottom; r++) {
        produce(run, run->producer[s->a], r);
        const int8_t *from = row_of(run, in, r);
        if (s->kernel_columns == 1 && s->stride_columns == 1) {
            raise_to(to, from, out->width * D);
            continue;
        }
        for (int32_t x = 0; x < out->width; x++) {
            int8_t *best = to + x * D;
            window(x * s->stride_columns - s->left, s->kernel_columns, in->width, &left, &right);
            for (int32_t k = left; k < right; k++)
                raise_to(best, from + k * D, D);
        }
    }
    if (s->high < 127)
        for (int32_t i = 0; i < out->width * D; i++) to[i] = net_clip(to[i], s->low, s->high);
}

enum { MANY = 32 };

/* Sums of n channels of a window, at most MANY. */
static inline void sum_window(const net_run *run, const net_buffer *in, const int32_t *box, int32_t c, int32_t n, int32_t *sums)
{
    int32_t total[MANY] = {0};
    for (int32_t r = box[0]; r < box[1]; r++) {
        const int8_t *from = row_of(run, in, r) + c + box[2] * in->depth;
        for (int32_t k = box[2]; k < box[3]; k++, from += in->depth)
            for (int32_t i = 0; i < n; i++) total[i] += from[i];
    }
    memcpy(sums, total, sizeof total);
}

/* AVERAGE: TFLite's own rule, halves away from zero. */
static void average_row(const net_run *run, const net_step *s, const net_buffer *out, int32_t y)
{
    const net_buffer *in = &run->buffers[s->a];
    int32_t box[4], sums[MANY];
    window(y * s->stride_rows - s->top, s->kernel_rows, in->height, &box[0], &box[1]);
    for (int32_t x = 0; x < out->width; x++) {
        int8_t *to = row_of(run, out, y) + x * out->depth;
        window(x * s->stride_columns - s->left, s->kernel_columns, in->width, &box[2], &box[3]);
        int32_t n = (box[1] - box[0]) * (box[3] - box[2]);
        for (int32_t c = 0; c < out->depth; c += MANY) {
            int32_t many = out->depth - c < MANY ? out->depth - c : MANY;
            if (many == MANY) sum_window(run, in, box, c, MANY, sums); /* a constant, which compilers make vectors of */
            else sum_window(run, in, box, c, many, sums);
            for (int32_t i = 0; i < many; i++)
                if (s->kind == MEAN)
                    to[c + i] = net_mean(sums[i], numbers(run, s->scales));
                else
                    to[c + i] = net_clip((sums[i] > 0 ? sums[i] + n / 2 : sums[i] - n / 2) / n, s->low, s->high);
        }
    }
}

static void concatenate_row(const net_run *run, const net_step *s, const net_buffer *out, int32_t y)
{
    const net_buffer *a = &run->buffers[s->a], *b = &run->buffers[s->b];
    int8_t *to = row_of(run, out, y);
    int32_t n_a = a->width * a->depth, n_b = b->width * b->depth;
    if (s->number[0] == 0) {
        memcpy(to, y < a->height ? row_of(run, a, y) : row_of(run, b, y - a->height), (size_t)n_a);
    } else if (s->number[0] == 1) {
        memcpy(to, row_of(run, a, y), (size_t)n_a);
        memcpy(to + n_a, row_of(run, b, y), (size_t)n_b);
    } else {
        memset(to, out->zero, (size_t)(out->width * out->depth));
        for (int32_t x = 0; x < out->width; x++, to += out->depth) {
            memcpy(to, row_of(run, a, y) + x * a->depth, (size_t)a->channels);
            memcpy(to + a->channels, row_of(run, b, y) + x * b->depth, (size_t)b->channels);
        }
    }
}

static void table_row(const net_run *run, const net_step *s, const net_buffer *out, int32_t y)
{
    const int8_t *from = row_of(run, &run->buffers[s->a], y), *table = constant(run, s->weights) + 128;
    int8_t *to = row_of(run, out, y);
    for (int32_t i = 0; i < out->width * out->depth; i++) to[i] = table[from[i]];
}

typedef void row_fn(const net_run *run, const net_step *s, const net_buffer *out, int32_t y);

static row_fn *const ROW[N_KINDS] = {copy_row, convolve_row, convolve_row, add_row, NULL,
                                     average_row, average_row, concatenate_row, table_row};

/* The last row of an input that row y needs. */
static int32_t last_needed(const net_step *s, const net_buffer *in, int32_t y)
{
    if (s->kind == ADD || s->kind == TABLE) return y;
    if (s->kind == CONCATENATE && s->number[0] != 0) return y;
    if (s->kind == COPY || s->kind == CONCATENATE) return in->height - 1;
    int32_t last = y * s->stride_rows - s->top + s->kernel_rows - 1;
    return last < in->height ? last : in->height - 1;
}

static void produce(net_run *run, int32_t step, int32_t last)
{
    const net_step *s = &run->steps[step];
    const net_buffer *out = &run->buffers[s->output];
    for (uint16_t *done = &run->net->done[step]; *done <= last; ++*done) {
        int32_t y = *done;
        if (s->kind == MAX) {
            max_row(run, s, out, y);
            continue;
        }
        if (s->a != CALLER) produce(run, run->producer[s->a], last_needed(s, &run->buffers[s->a], y));
        if (s->b != CALLER) produce(run, run->producer[s->b], last_needed(s, &run->buffers[s->b], y));
        ROW[s->kind](run, s, out, y);
    }
}

/* Fill what lies beside, above and below a buffer's rows. */
static void prepare(const net_run *run, const net_buffer *b)
{
    int8_t *row = run->net->arena + b->offset;
    int32_t n_bytes = net_row_bytes(b), left = b->left * b->depth, right = b->right * b->depth;
    for (int32_t i = 0; i < b->rows; i++, row += n_bytes) {
        memset(row, b->zero, (size_t)left);
        memset(row + n_bytes - right, b->zero, (size_t)right);
    }
    if (b->zero_row) memset(row, b->zero, (size_t)n_bytes);
}

edgegenre_net_error edgegenre_net_run(edgegenre_net *net, const int8_t *cells, size_t n_cells, int8_t *logits,
                                      size_t n_logits)
{
    if (!net || !cells || !logits) return EDGEGENRE_NET_E_NULL;
    if (net->magic != STATE_MAGIC) return EDGEGENRE_NET_E_STATE;
    const net_header *head = net_head(net->words);
    if (n_cells != (size_t)head->input[0] * (size_t)head->input[1] * (size_t)head->input[2] ||
        n_logits != (size_t)head->n_classes)
        return EDGEGENRE_NET_E_SIZE;
    net_run run = {net, net_steps(net->words), net_buffers(net->words), cells, {0}};
    for (int32_t i = 0; i < head->n_steps; i++) run.producer[run.steps[i].output] = (uint8_t)i;
    memset(net->done, 0, sizeof net->done);
    for (int32_t i = 0, first = 0; i < head->n_steps; i++) {
        if (!(run.steps[i].flags & BARRIER)) continue;
        for (; first <= i; first++) prepare(&run, &run.buffers[run.steps[first].output]);
        produce(&run, i, run.buffers[run.steps[i].output].height - 1);
    }
    memcpy(logits, row_of(&run, &run.buffers[head->output], 0), n_logits);
    return EDGEGENRE_NET_OK;
}

size_t edgegenre_net_state_bytes(void) { return sizeof(edgegenre_net); }

size_t edgegenre_net_arena_bytes(const void *blob, size_t blob_bytes)
{
    net_header head;
    if (!blob || blob_bytes < sizeof head) return 0;
    memcpy(&head, blob, sizeof head);
    if (memcmp(head.magic, "EGNETBLB", 8) != 0 || head.arena_bytes < 0) return 0;
    return (size_t)head.arena_bytes;
}

edgegenre_net_error edgegenre_net_init(edgegenre_net *net, const void *blob, size_t blob_bytes, void *arena,
                                       size_t arena_bytes)
{
    if (!net || !blob || !arena) return EDGEGENRE_NET_E_NULL;
    edgegenre_net_error error = edgegenre_net_check(blob, blob_bytes);
    if (error != EDGEGENRE_NET_OK) return error;
    if (arena_bytes < edgegenre_net_arena_bytes(blob, blob_bytes)) return EDGEGENRE_NET_E_SIZE;
    net->words = blob;
    net->arena = arena;
    net->kernels = edgegenre_net_choose();
    net->magic = STATE_MAGIC;
    return EDGEGENRE_NET_OK;
}

edgegenre_net_error edgegenre_net_shape(const edgegenre_net *net, int32_t *shape)
{
    if (!net || !shape) return EDGEGENRE_NET_E_NULL;
    if (net->magic != STATE_MAGIC) return EDGEGENRE_NET_E_STATE;
    memcpy(shape, net_head(net->words)->input, 3 * sizeof *shape);
    shape[3] = net_head(net->words)->n_classes;
    return EDGEGENRE_NET_OK;
}

edgegenre_net_error edgegenre_net_output(const edgegenre_net *net, float *scale, int32_t *zero_point)
{
    if (!net || !scale || !zero_point) return EDGEGENRE_NET_E_NULL;
    if (net->magic != STATE_MAGIC) return EDGEGENRE_NET_E_STATE;
    memcpy(scale, &net_head(net->words)->output_scale, sizeof *scale);
    *zero_point = net_head(net->words)->output_zero;
    return EDGEGENRE_NET_OK;
}

edgegenre_net_error edgegenre_net_embedding(const edgegenre_net *net, const int8_t **values, size_t *n_values)
{
    if (!net || !values || !n_values) return EDGEGENRE_NET_E_NULL;
    if (net->magic != STATE_MAGIC) return EDGEGENRE_NET_E_STATE;
    int32_t place = net_head(net->words)->embedding - 1;
    const net_buffer *b = &net_buffers(net->words)[place < 0 ? 0 : place];
    *values = place < 0 ? NULL : net->arena + b->offset + b->left * b->depth;
    *n_values = place < 0 ? 0 : (size_t)b->channels;
    return EDGEGENRE_NET_OK;
}

edgegenre_net_error edgegenre_net_embedding_scale(const edgegenre_net *net, float *scale, int32_t *zero_point)
{
    if (!net || !scale || !zero_point) return EDGEGENRE_NET_E_NULL;
    if (net->magic != STATE_MAGIC) return EDGEGENRE_NET_E_STATE;
    memcpy(scale, &net_head(net->words)->embedding_scale, sizeof *scale);
    *zero_point = net_head(net->words)->embedding_zero;
    return EDGEGENRE_NET_OK;
}

const char *edgegenre_net_path(const edgegenre_net *net)
{
    if (!net || net->magic != STATE_MAGIC) return "none";
    return ((const net_kernels *)net->kernels)->name;
}

const char *edgegenre_net_strerror(edgegenre_net_error error)
{
    static const char *const sentences[] = {
        "no error",
        "a pointer is NULL",
        "the compiled network is not aligned to 4 bytes",
        "the arena is too small, or a count is not the network's",
        "not a compiled network",
        "a compiled network of another version",
        "the compiled network is cut short or too long",
        "the compiled network is damaged: its checksum does not match",
        "a step, a buffer or a constant of the compiled network does not fit the others",
        "not a state that edgegenre_net_init made",
        "this processor is big-endian",
    };
    size_t index = (size_t)error;
    return index < sizeof sentences / sizeof *sentences ? sentences[index] : "unknown error";
}
