/* The whole chain on a microcontroller: PCM in, a genre out, or silence or noise. It runs on golden PCM and says whether
 * the logits are the golden ones; in a product read_pcm() takes the samples from a driver, and the loop never ends.
 * REPEAT_MEL, REPEAT_MUSIC and REPEAT_NETWORK run a stage several times, for counting its instructions. */
#include <stdio.h>
#include <string.h>

#include "edgegenre_mel.h"
#include "edgegenre_net.h"
#include "golden.h"
#include "music.h"
#include "network.h"
#include "tables.h"

#ifndef REPEAT_MEL
#define REPEAT_MEL 1
#endif
#ifndef REPEAT_MUSIC
#define REPEAT_MUSIC 1
#endif
#ifndef REPEAT_NETWORK
#define REPEAT_NETWORK 1
#endif
#define CHUNK 512

static union { uint64_t align; uint8_t bytes[EDGEGENRE_MEL_BUNDLE_ARENA_BYTES]; } mel_arena;
/* The detector of music works where the network does afterwards. */
static union { uint64_t align; uint8_t music[EDGEGENRE_MUSIC_BYTES], net[EDGEGENRE_NETWORK_ARENA_BYTES]; } arena;
static int8_t cells[EDGEGENRE_MEL_BUNDLE_CELLS];
static edgegenre_net net;

static size_t read_pcm(int16_t *pcm, size_t n, size_t at)
{
    size_t left = GOLDEN_SAMPLES - at;
    if (n > left) n = left;
    for (size_t i = 0; i < n; i++) pcm[i] = golden_pcm[(at + i) % GOLDEN_LOOP];
    return n;
}

/* The stack below main is painted; what the chain leaves of the paint was never used. */
#define PAINT 0xA5A5A5A5u
#define PAINTED_WORDS 2048
static volatile uint32_t *stack_top;

static void paint_stack(void)
{
    stack_top = (volatile uint32_t *)__builtin_frame_address(0);
    for (int i = 32; i < PAINTED_WORDS; i++) stack_top[-i] = PAINT;
}

static unsigned stack_bytes(void)
{
    int i = PAINTED_WORDS - 1;
    while (i > 0 && stack_top[-i] == PAINT) i--;
    return 4u * (unsigned)i;
}

static int hear(edgegenre_mel *mel, int *is_silence)
{
    int16_t pcm[CHUNK];
    int error = EDGEGENRE_MEL_OK;
    for (size_t at = 0, n; error == EDGEGENRE_MEL_OK && (n = read_pcm(pcm, CHUNK, at)) > 0; at += n)
        error = (int)edgegenre_mel_push(mel, pcm, n, NULL, 0, NULL);
    return error ? error : (int)edgegenre_mel_window(mel, cells, sizeof cells, is_silence);
}

int main(void)
{
    edgegenre_mel *mel;
    int8_t logits[EDGEGENRE_NETWORK_CLASSES];
    const char *names[EDGEGENRE_NETWORK_NAMES];
    int is_silence = 0, is_music = 0;
    paint_stack();
    int error = (int)edgegenre_mel_init(&mel, mel_arena.bytes, sizeof mel_arena, &edgegenre_mel_bundle);
    if (!error) error = (int)edgegenre_net_init(&net, network_words, sizeof network_words, arena.net, sizeof arena.net);
    for (int i = 0; !error && i < REPEAT_MEL; i++) {
        error = (int)edgegenre_mel_reset(mel);
        if (!error) error = hear(mel, &is_silence);
    }
    for (int i = 0; !error && i < REPEAT_MUSIC; i++) is_music = hears_music(cells, 1, arena.music);
    for (int i = 0; !error && i < REPEAT_NETWORK; i++) /* in a product only where it is music */
        error = (int)edgegenre_net_run(&net, cells, sizeof cells, logits, sizeof logits);
    unsigned stack = stack_bytes();
    if (error) return printf("error %d\n", error), 1;
    int n_names = is_silence || !is_music ? 0 : network_answer(logits, names);
    printf("genre=%s", n_names ? names[0] : is_silence ? "silence" : is_music ? "uncertain" : "noise");
    for (int i = 1; i < n_names; i++) printf(";%s", names[i]);
    printf(" logits=");
    for (int i = 0; i < EDGEGENRE_NETWORK_CLASSES; i++) printf("%s%d", i ? "," : "", logits[i]);
    error = memcmp(logits, golden_logits, sizeof logits) != 0;
    printf(" golden=%s path=%s ram=%u stack=%u\n", error ? "different" : "same", edgegenre_net_path(&net),
           (unsigned)(sizeof mel_arena + sizeof arena + sizeof cells + sizeof net), stack);
    return error;
}
