/* Resampler, front-end, detector of music and engine for Kotlin (Engine.kt). All memory is in direct buffers that Kotlin
 * owns: no heap here. Functions return -1 - code for an error; sentence() says it. */
#include <jni.h>

#include "edgegenre_mel.h"
#include "edgegenre_music.h"
#include "edgegenre_net.h"
#include "edgegenre_resample.h"

#define FN(name) JNICALL Java_edgegenre_Engine_##name
#define BLOCK 256
#define MAX_LOGITS 1024
#define DETECTOR (4 * EDGEGENRE_MUSIC_STATISTICS + 1) /* its rows, its bias */
enum { NET = 100, RESAMPLE = 200, TOO_SMALL = 300, NOT_TOGETHER = 301, NO_DETECTOR = 302 };
enum { SILENCE, LOGITS, NOISE };

typedef struct {
    edgegenre_mel_tables tables;
    edgegenre_mel *mel;
    edgegenre_net net;
    edgegenre_resample resample;
    int8_t *cells;
    uint8_t *music;
    int32_t n_cells, n_logits;
} listener;

static uint8_t *up(uint8_t *p) { return p + (64 - (uintptr_t)p % 64) % 64; }
static listener *of(JNIEnv *env, jobject state)
{
    return (listener *)(void *)up((*env)->GetDirectBufferAddress(env, state));
}

/* Cut a piece of n bytes from what is left between *at and end; NULL if that is too little. */
static uint8_t *piece(uint8_t **at, uint8_t *end, size_t n)
{
    uint8_t *start = up(*at);
    if (start > end || (size_t)(end - start) < n) return NULL;
    *at = start + n;
    return start;
}

static int bind(listener *l, uint8_t *at, uint8_t *end, const void *tables, size_t n_tables, const void *net, size_t n_net,
                uint32_t rate_hz)
{
    int32_t shape[4];
    int error = (int)edgegenre_mel_tables_from_blob(&l->tables, tables, n_tables);
    if (error) return error;
    size_t n_mel = edgegenre_mel_arena_bytes(l->tables.n_fft, l->tables.n_mels, l->tables.frames_per_window);
    size_t n_arena = edgegenre_net_arena_bytes(net, n_net);
    size_t n_filter = edgegenre_resample_arena_bytes(rate_hz, l->tables.sample_rate_hz);
    l->n_cells = (int32_t)(l->tables.n_mels * l->tables.frames_per_window);
    uint8_t *mel = piece(&at, end, n_mel), *arena = piece(&at, end, n_arena), *filter = piece(&at, end, n_filter);
    l->cells = (int8_t *)piece(&at, end, (size_t)l->n_cells);
    l->music = piece(&at, end, EDGEGENRE_MUSIC_SCRATCH_BYTES(l->tables.n_mels, l->tables.frames_per_window));
    if (!mel || !arena || !filter || !l->cells || !l->music) return TOO_SMALL;
    if ((error = (int)edgegenre_mel_init(&l->mel, mel, n_mel, &l->tables)) != 0) return error;
    if ((error = (int)edgegenre_net_init(&l->net, net, n_net, arena, n_arena)) != 0) return NET + error;
    if ((error = (int)edgegenre_net_shape(&l->net, shape)) != 0) return NET + error;
    error = (int)edgegenre_resample_init(&l->resample, filter, n_filter, rate_hz, l->tables.sample_rate_hz);
    if (error) return RESAMPLE + error;
    l->n_logits = shape[3];
    return shape[0] * shape[1] * shape[2] != l->n_cells || l->n_logits > MAX_LOGITS ? NOT_TOGETHER : 0;
}

/* Returns the number of classes; facts [4]: scale and zero point of a logit, frames of a window, frames a second. */
JNIEXPORT jint FN(load)(JNIEnv *env, jobject self, jobject state, jobject tables, jobject net, jint rate, jfloatArray facts)
{
    (void)self;
    listener *l = of(env, state);
    uint8_t *end = (uint8_t *)(*env)->GetDirectBufferAddress(env, state) + (*env)->GetDirectBufferCapacity(env, state);
    const void *t = (*env)->GetDirectBufferAddress(env, tables), *n = (*env)->GetDirectBufferAddress(env, net);
    if ((uint8_t *)(l + 1) > end) return -1 - TOO_SMALL;
    int error = bind(l, (uint8_t *)(l + 1), end, t, (size_t)(*env)->GetDirectBufferCapacity(env, tables), n,
                     (size_t)(*env)->GetDirectBufferCapacity(env, net), (uint32_t)rate);
    if (error) return -1 - error;
    jfloat values[4] = {0, 0, (jfloat)l->tables.frames_per_window, 0};
    int32_t zero;
    edgegenre_net_output(&l->net, &values[0], &zero);
    values[1] = (jfloat)zero;
    values[3] = (jfloat)l->tables.sample_rate_hz / (jfloat)l->tables.hop_samples;
    (*env)->SetFloatArrayRegion(env, facts, 0, 4, values);
    return l->n_logits;
}

/* Takes n samples of pcm; returns how many frames became complete. */
JNIEXPORT jint FN(push)(JNIEnv *env, jobject self, jobject state, jshortArray pcm, jint n)
{
    (void)self;
    listener *l = of(env, state);
    jshort block[BLOCK];
    float samples[BLOCK];
    int16_t ready[16 * BLOCK];
    size_t total = 0, n_ready, n_frames;
    for (jint at = 0; at < n; at += BLOCK) {
        jint count = n - at < BLOCK ? n - at : BLOCK;
        (*env)->GetShortArrayRegion(env, pcm, at, count, block);
        if ((*env)->ExceptionCheck(env)) return -1 - TOO_SMALL;
        for (jint i = 0; i < count; i++) samples[i] = (float)block[i] / 32768.0f;
        int error = (int)edgegenre_resample_push(&l->resample, samples, (size_t)count, ready, sizeof ready / 2, &n_ready);
        if (error) return -1 - RESAMPLE - error;
        if ((error = (int)edgegenre_mel_push(l->mel, ready, n_ready, NULL, 0, &n_frames)) != 0) return -1 - error;
        total += n_frames;
    }
    return (jint)total;
}

/* Whether the window in cells is music, by top_db, the detector of whole windows, and that of repeated frames. */
static int hears_music(listener *l, const double numbers[1 + 2 * DETECTOR])
{
    const edgegenre_mel_tables *t = &l->tables;
    const edgegenre_music_shape shape = {t->n_mels, t->frames_per_window, t->sample_rate_hz, t->hop_samples, numbers[0]};
    const double *rows = numbers + 1 + (edgegenre_mel_frames(l->mel) >= t->frames_per_window ? 0 : DETECTOR);
    double statistics[EDGEGENRE_MUSIC_STATISTICS];
    size_t n_bytes = EDGEGENRE_MUSIC_SCRATCH_BYTES(t->n_mels, t->frames_per_window);
    if (edgegenre_music_statistics(&shape, l->cells, l->music, n_bytes, statistics)) return 1;
    return edgegenre_music_score(statistics, rows, rows[DETECTOR - 1]) >= 0;
}

/* LOGITS of the newest window (of all so far, repeated, where they are fewer), SILENCE or NOISE. */
JNIEXPORT jint FN(answer)(JNIEnv *env, jobject self, jobject state, jdoubleArray music, jbyteArray logits)
{
    (void)self;
    listener *l = of(env, state);
    double numbers[1 + 2 * DETECTOR];
    int8_t out[MAX_LOGITS];
    int is_silence;
    if ((*env)->GetArrayLength(env, music) != 1 + 2 * DETECTOR) return -1 - NO_DETECTOR;
    (*env)->GetDoubleArrayRegion(env, music, 0, 1 + 2 * DETECTOR, numbers);
    int error = (int)edgegenre_mel_window_so_far(l->mel, l->cells, (size_t)l->n_cells, &is_silence);
    if (error) return -1 - error;
    if (is_silence) return SILENCE;
    if (!hears_music(l, numbers)) return NOISE;
    error = (int)edgegenre_net_run(&l->net, l->cells, (size_t)l->n_cells, out, (size_t)l->n_logits);
    if (error) return -1 - NET - error;
    (*env)->SetByteArrayRegion(env, logits, 0, l->n_logits, out);
    return LOGITS;
}

JNIEXPORT jstring FN(sentence)(JNIEnv *env, jobject self, jint returned)
{
    (void)self;
    int code = -1 - returned;
    const char *text = code == TOO_SMALL      ? "a buffer is too small"
                       : code == NOT_TOGETHER ? "the network does not take this front-end's windows"
                       : code == NO_DETECTOR  ? "these are not the numbers of a detector of music"
                       : code >= RESAMPLE     ? edgegenre_resample_strerror((edgegenre_resample_error)(code - RESAMPLE))
                       : code >= NET          ? edgegenre_net_strerror((edgegenre_net_error)(code - NET))
                                              : edgegenre_mel_strerror((edgegenre_mel_error)code);
    return (*env)->NewStringUTF(env, text);
}
