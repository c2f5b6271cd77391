/* edgegenre for a web page: resampler, front-end and network as one WebAssembly module without imports.
 *
 * The page puts the bytes of mel.blob and net.eg into memory that eg_alloc gives, calls eg_load, then for each source
 * eg_begin, and for its samples eg_resample and eg_frames. Functions that can fail return 0, or a code that eg_error
 * makes a sentence of. One listener a module: it is as much state as an instance of a module is. */

#include "edgegenre_mel.h"
#include "edgegenre_music.h"
#include "edgegenre_net.h"
#include "edgegenre_resample.h"

#define EXPORT(name) __attribute__((export_name(#name))) name
#define MAX_CLASSES 1024
enum { NET = 100, RESAMPLE = 200, NO_MEMORY = 300, NOT_TOGETHER = 301, NOT_LOADED = 302 };

extern unsigned char __heap_base;

static edgegenre_mel_tables tables;
static edgegenre_mel *mel;
static edgegenre_net net;
static edgegenre_resample resample;
static uintptr_t heap_end, heap_loaded;
static int16_t *pcm, *frame_q9;
static size_t pcm_capacity, n_cells;
static int8_t *cells, logits[MAX_CLASSES];
static int is_silence, is_loaded;
static double statistics[EDGEGENRE_MUSIC_STATISTICS], detector[4 * EDGEGENRE_MUSIC_STATISTICS + 1]; /* its rows, its bias */
static void *music_scratch;

static struct {
    int32_t sample_rate_hz, n_fft, hop_samples, n_mels, frames_per_window, n_classes, logit_zero_point;
    float logit_scale;
    int32_t norm_limit_q9;
} facts;

/* n_bytes at a multiple of 16, zeros the first time; 0 if there is no memory. Nothing is ever given back alone. */
void *EXPORT(eg_alloc)(size_t n_bytes)
{
    if (heap_end == 0) heap_end = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    uintptr_t at = heap_end, there = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
    if (n_bytes > ((uintptr_t)1 << 30) || at + n_bytes < at) return 0;
    uintptr_t end = (at + n_bytes + 15) & ~(uintptr_t)15;
    if (end > there && __builtin_wasm_memory_grow(0, (end - there + 65535) >> 16) == (size_t)-1) return 0;
    heap_end = end;
    return (void *)at;
}

static int load_net(const void *net_blob, size_t net_bytes)
{
    size_t arena_bytes = edgegenre_net_arena_bytes(net_blob, net_bytes);
    void *arena = eg_alloc(arena_bytes + 1);
    int32_t shape[4];
    if (!arena) return NO_MEMORY;
    edgegenre_net_error error = edgegenre_net_init(&net, net_blob, net_bytes, arena, arena_bytes);
    if (!error) error = edgegenre_net_shape(&net, shape);
    if (!error) error = edgegenre_net_output(&net, &facts.logit_scale, &facts.logit_zero_point);
    if (error) return NET + (int)error;
    facts.n_classes = shape[3];
    if (shape[0] != (int32_t)tables.n_mels || shape[1] != (int32_t)tables.frames_per_window || shape[2] != 1 ||
        shape[3] > MAX_CLASSES)
        return NOT_TOGETHER;
    return 0;
}

/* Bind the tables and the network, which stay where they are; both must lie at multiples of 4 bytes. */
int EXPORT(eg_load)(const void *mel_blob, size_t mel_bytes, const void *net_blob, size_t net_bytes)
{
    is_loaded = 0;
    edgegenre_mel_error error = edgegenre_mel_tables_from_blob(&tables, mel_blob, mel_bytes);
    if (error) return (int)error;
    size_t arena_bytes = edgegenre_mel_arena_bytes(tables.n_fft, tables.n_mels, tables.frames_per_window);
    void *arena = eg_alloc(arena_bytes);
    n_cells = (size_t)tables.n_mels * tables.frames_per_window;
    cells = eg_alloc(n_cells);
    frame_q9 = eg_alloc(tables.n_mels * sizeof *frame_q9);
    music_scratch = eg_alloc(EDGEGENRE_MUSIC_SCRATCH_BYTES(tables.n_mels, tables.frames_per_window));
    if (!arena || !cells || !frame_q9 || !music_scratch) return NO_MEMORY;
    error = edgegenre_mel_init(&mel, arena, arena_bytes, &tables);
    if (error) return (int)error;
    facts.sample_rate_hz = (int32_t)tables.sample_rate_hz;
    facts.n_fft = (int32_t)tables.n_fft;
    facts.hop_samples = (int32_t)tables.hop_samples;
    facts.n_mels = (int32_t)tables.n_mels;
    facts.frames_per_window = (int32_t)tables.frames_per_window;
    facts.norm_limit_q9 = tables.norm_limit_q9;
    int refused = load_net(net_blob, net_bytes);
    if (refused) return refused;
    heap_loaded = heap_end;
    is_loaded = 1;
    return 0;
}

/* A new source at rate_hz, pushed in blocks of at most n_samples. What an earlier one held is forgotten. */
int EXPORT(eg_begin)(uint32_t rate_hz, size_t n_samples)
{
    if (!is_loaded) return NOT_LOADED;
    heap_end = heap_loaded;
    size_t bytes = edgegenre_resample_arena_bytes(rate_hz, tables.sample_rate_hz);
    void *arena = eg_alloc(bytes);
    if (!arena) return NO_MEMORY;
    edgegenre_resample_error error = edgegenre_resample_init(&resample, arena, bytes, rate_hz, tables.sample_rate_hz);
    if (error) return RESAMPLE + (int)error;
    pcm_capacity = edgegenre_resample_capacity(&resample, n_samples);
    pcm = eg_alloc(pcm_capacity * sizeof *pcm);
    return pcm ? (int)edgegenre_mel_reset(mel) : NO_MEMORY;
}

/* The same source goes on behind a gap: forget all samples and frames. */
int EXPORT(eg_restart)(void)
{
    if (!is_loaded || edgegenre_resample_reset(&resample)) return NOT_LOADED;
    return (int)edgegenre_mel_reset(mel);
}

/* Samples at the front-end's rate that eg_pcm holds afterwards; -1 for more than a block. */
int EXPORT(eg_resample)(const float *samples, size_t n_samples)
{
    size_t n_pcm;
    return edgegenre_resample_push(&resample, samples, n_samples, pcm, pcm_capacity, &n_pcm) ? -1 : (int)n_pcm;
}

/* The same for what the filter still holds at the end of a source. */
int EXPORT(eg_flush)(void)
{
    size_t n_pcm;
    return edgegenre_resample_flush(&resample, pcm, pcm_capacity, &n_pcm) ? -1 : (int)n_pcm;
}

/* Take n_pcm samples of eg_pcm from `first` on; at most a hop, so that at most one frame ends. Returns frames. */
int EXPORT(eg_frames)(size_t first, size_t n_pcm)
{
    size_t n_frames;
    return edgegenre_mel_push(mel, pcm + first, n_pcm, frame_q9, 1, &n_frames) ? -1 : (int)n_frames;
}

/* Make the window of the newest frames, or of all so far, repeated. Returns 1 for silence, 0 else, -1 without any. */
int EXPORT(eg_window)(void)
{
    return edgegenre_mel_window_so_far(mel, cells, n_cells, &is_silence) ? -1 : is_silence != 0;
}

/* Run the network on the window. */
int EXPORT(eg_network)(void)
{
    edgegenre_net_error error = edgegenre_net_run(&net, cells, n_cells, logits, (size_t)facts.n_classes);
    return error ? NET + (int)error : 0;
}

/* Whether the window is music, by the detector that the page has put where eg_detector says; -1 for other windows. */
int EXPORT(eg_music)(double top_db)
{
    const edgegenre_music_shape shape = {tables.n_mels, tables.frames_per_window, tables.sample_rate_hz,
                                         tables.hop_samples, top_db};
    const size_t bytes = EDGEGENRE_MUSIC_SCRATCH_BYTES(tables.n_mels, tables.frames_per_window);
    if (edgegenre_music_statistics(&shape, cells, music_scratch, bytes, statistics)) return -1;
    return edgegenre_music_score(statistics, detector, detector[4 * EDGEGENRE_MUSIC_STATISTICS]) >= 0;
}

void *EXPORT(eg_detector)(void) { return detector; }
const void *EXPORT(eg_statistics)(void) { return statistics; }
const void *EXPORT(eg_facts)(void) { return &facts; }
const void *EXPORT(eg_pcm)(void) { return pcm; }
const void *EXPORT(eg_frame)(void) { return frame_q9; }
const void *EXPORT(eg_cells)(void) { return cells; }
const void *EXPORT(eg_logits)(void) { return logits; }

/* The sentence of an error code, zero-terminated. */
const char *EXPORT(eg_error)(int code)
{
    if (code == NO_MEMORY) return "there is not enough memory";
    if (code == NOT_TOGETHER) return "the network does not take this front-end's windows: export the bundle again";
    if (code == NOT_LOADED) return "no front-end and network are loaded";
    if (code >= RESAMPLE) return edgegenre_resample_strerror((edgegenre_resample_error)(code - RESAMPLE));
    if (code >= NET) return edgegenre_net_strerror((edgegenre_net_error)(code - NET));
    return edgegenre_mel_strerror((edgegenre_mel_error)code);
}

/* Which code runs front-end and network: "simd128" or "portable". */
const char *EXPORT(eg_path)(void) { return is_loaded ? edgegenre_mel_path(mel) : "none"; }
