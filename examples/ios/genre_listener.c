/* Compile with edgegenre_*.c, tables.h, network.h and music.h of `edgegenre codegen c BUNDLE --out c`. */
#include "genre_listener.h"

#include "edgegenre_mel.h"
#include "edgegenre_net.h"
#include "edgegenre_resample.h"
#include "music.h"
#include "network.h"
#include "tables.h"

#define RATE_HZ edgegenre_mel_bundle.sample_rate_hz
#define BLOCK 256

static uint64_t mel_arena[EDGEGENRE_MEL_BUNDLE_ARENA_BYTES / 8u + 1u];
static int8_t net_arena[EDGEGENRE_NETWORK_ARENA_BYTES], cells[EDGEGENRE_MEL_BUNDLE_CELLS];
static uint64_t music_memory[EDGEGENRE_MUSIC_BYTES / 8u];
static float filter[(512u << 10) / sizeof(float)]; /* of the resampler; 48000 to 22050 Hz takes 253 KB */
static edgegenre_mel *mel;
static edgegenre_net net;
static edgegenre_resample resample;
static size_t n_frames; /* since the last answer became due */

const char *genre_listener_start(uint32_t rate_hz)
{
    edgegenre_mel_error mel_error = edgegenre_mel_init(&mel, mel_arena, sizeof mel_arena, &edgegenre_mel_bundle);
    edgegenre_net_error net_error;
    edgegenre_resample_error rate_error;
    if (mel_error) return edgegenre_mel_strerror(mel_error);
    net_error = edgegenre_net_init(&net, network_words, sizeof network_words, net_arena, sizeof net_arena);
    if (net_error) return edgegenre_net_strerror(net_error);
    rate_error = edgegenre_resample_init(&resample, filter, sizeof filter, rate_hz, RATE_HZ);
    n_frames = 0;
    return rate_error ? edgegenre_resample_strerror(rate_error) : NULL;
}

int genre_listener_push(const float *samples, size_t n_samples)
{
    const size_t every = RATE_HZ / edgegenre_mel_bundle.hop_samples; /* frames of a second */
    int16_t pcm[8 * BLOCK];
    int n_due = 0;
    for (size_t at = 0, n, n_pcm, n_new; at < n_samples; at += n) {
        n = n_samples - at < BLOCK ? n_samples - at : BLOCK;
        if (edgegenre_resample_push(&resample, samples + at, n, pcm, sizeof pcm / sizeof *pcm, &n_pcm)) return 0;
        if (edgegenre_mel_push(mel, pcm, n_pcm, NULL, 0, &n_new)) return 0;
        n_frames += n_new;
        if (n_frames >= every) n_due++, n_frames -= every;
    }
    return n_due;
}

const char *genre_listener_answer(void)
{
    int8_t logits[EDGEGENRE_NETWORK_CLASSES];
    const char *names[EDGEGENRE_NETWORK_NAMES];
    const int is_whole = edgegenre_mel_frames(mel) >= edgegenre_mel_bundle.frames_per_window;
    int is_silence;
    if (edgegenre_mel_window_so_far(mel, cells, sizeof cells, &is_silence)) return NULL;
    if (is_silence) return "silence";
    if (!hears_music(cells, is_whole, music_memory)) return "noise";
    if (edgegenre_net_run(&net, cells, sizeof cells, logits, sizeof logits)) return NULL;
    return network_answer(logits, names) ? names[0] : "uncertain";
}
