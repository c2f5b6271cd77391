/* WAV (16-bit mono at the front-end's rate) on stdin: the whole chain, one line for each half window.
 *   cc -O3 genre.c edgegenre_*.c -o genre && ./genre < song.wav
 * In a program of your own, read_wav() is your microphone or decoder, and the rest stays. */
#include "edgegenre_mel.h"
#include "edgegenre_net.h"
#include "music.h"
#include "network.h"
#include "tables.h"
#include "wav_input.h"

#define FRONT_END edgegenre_mel_bundle

static uint64_t mel_arena[EDGEGENRE_MEL_BUNDLE_ARENA_BYTES / 8u + 1u];
static int8_t net_arena[EDGEGENRE_NETWORK_ARENA_BYTES], cells[EDGEGENRE_MEL_BUNDLE_CELLS];
static uint64_t music_memory[EDGEGENRE_MUSIC_BYTES / 8u];
static edgegenre_net net;

/* Print what the newest window holds. Returns 0, or 1 after a message. */
static int answer(edgegenre_mel *mel, double start_s)
{
    int8_t logits[EDGEGENRE_NETWORK_CLASSES];
    const char *names[EDGEGENRE_NETWORK_NAMES];
    int is_silence, is_music, n_names = 0;
    edgegenre_mel_error heard = edgegenre_mel_window(mel, cells, sizeof cells, &is_silence);
    if (heard) return fail(edgegenre_mel_strerror(heard));
    is_music = !is_silence && hears_music(cells, 1, music_memory);
    if (is_music) {
        edgegenre_net_error ran = edgegenre_net_run(&net, cells, sizeof cells, logits, sizeof logits);
        if (ran) return fail(edgegenre_net_strerror(ran));
        n_names = network_answer(logits, names);
    }
    printf("%6.1f s  %s", start_s, is_silence ? "silence" : !is_music ? "noise" : n_names ? names[0] : "uncertain");
    for (int i = 1; i < n_names; i++) printf(";%s", names[i]);
    printf("\n");
    return 0;
}

int main(void)
{
    const size_t hop = FRONT_END.hop_samples, frames = FRONT_END.frames_per_window;
    int16_t pcm[8192];
    edgegenre_mel *mel;
    edgegenre_mel_error error = edgegenre_mel_init(&mel, mel_arena, sizeof mel_arena, &FRONT_END);
    edgegenre_net_error unusable;
    if (error) return fail(edgegenre_mel_strerror(error));
    unusable = edgegenre_net_init(&net, network_words, sizeof network_words, net_arena, sizeof net_arena);
    if (unusable) return fail(edgegenre_net_strerror(unusable));
    if (open_wav(FRONT_END.sample_rate_hz)) return 1;
    for (size_t n, n_new, n_frames = 0; (n = read_wav(pcm, hop)) > 0;) { /* a hop brings at most one frame */
        error = edgegenre_mel_push(mel, pcm, n, NULL, 0, &n_new);
        if (error) return fail(edgegenre_mel_strerror(error));
        n_frames += n_new;
        if (n_new == 1 && n_frames >= frames && (n_frames - frames) % (frames / 2) == 0 &&
            answer(mel, (double)((n_frames - frames) * hop) / FRONT_END.sample_rate_hz))
            return 1;
    }
    return 0;
}
