/* Genres from an I2S microphone such as the INMP441 on an ESP32-S3: an answer each second on the serial port. */
#include <stdio.h>

#include "driver/i2s_std.h"
#include "edgegenre_mel.h"
#include "edgegenre_net.h"
#include "music.h"
#include "network.h"
#include "tables.h"

#define PIN_BCLK GPIO_NUM_4
#define PIN_WS GPIO_NUM_5
#define PIN_DIN GPIO_NUM_6
#define CHUNK 512

static uint64_t mel_arena[EDGEGENRE_MEL_BUNDLE_ARENA_BYTES / 8 + 1];
static union { uint64_t align; uint8_t music[EDGEGENRE_MUSIC_BYTES], net[EDGEGENRE_NETWORK_ARENA_BYTES]; } arena;
static int8_t cells[EDGEGENRE_MEL_BUNDLE_CELLS];
static int32_t slots[CHUNK];
static int16_t pcm[CHUNK];
static edgegenre_net net;
static i2s_chan_handle_t microphone;

/* At the front-end's own rate, so that nothing is resampled. */
static void open_microphone(void)
{
    i2s_chan_config_t channel = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_AUTO, I2S_ROLE_MASTER);
    i2s_std_config_t config = {
        .clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(edgegenre_mel_bundle.sample_rate_hz),
        .slot_cfg = I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_MONO),
        .gpio_cfg = {.mclk = I2S_GPIO_UNUSED, .bclk = PIN_BCLK, .ws = PIN_WS, .dout = I2S_GPIO_UNUSED, .din = PIN_DIN},
    };
    ESP_ERROR_CHECK(i2s_new_channel(&channel, NULL, &microphone));
    ESP_ERROR_CHECK(i2s_channel_init_std_mode(microphone, &config));
    ESP_ERROR_CHECK(i2s_channel_enable(microphone));
}

static size_t read_pcm(void)
{
    size_t n_bytes = 0;
    ESP_ERROR_CHECK(i2s_channel_read(microphone, slots, sizeof slots, &n_bytes, 1000));
    for (size_t i = 0; i < n_bytes / sizeof *slots; i++) pcm[i] = (int16_t)(slots[i] >> 16);
    return n_bytes / sizeof *slots;
}

static void answer(const edgegenre_mel *mel)
{
    int8_t logits[EDGEGENRE_NETWORK_CLASSES];
    const char *names[EDGEGENRE_NETWORK_NAMES];
    int is_silence;
    if (edgegenre_mel_window_so_far(mel, cells, sizeof cells, &is_silence) != EDGEGENRE_MEL_OK) return;
    int is_whole = edgegenre_mel_frames(mel) >= edgegenre_mel_bundle.frames_per_window;
    if (is_silence || !hears_music(cells, is_whole, arena.music)) {
        puts(is_silence ? "silence" : "noise");
        return;
    }
    if (edgegenre_net_run(&net, cells, sizeof cells, logits, sizeof logits) != EDGEGENRE_NET_OK) return;
    int n_names = network_answer(logits, names);
    printf("%s", n_names ? names[0] : "uncertain");
    for (int i = 1; i < n_names; i++) printf(";%s", names[i]);
    for (int i = 0; i < EDGEGENRE_NETWORK_CLASSES; i++) printf(" %d", logits[i]);
    putchar('\n');
}

void app_main(void)
{
    edgegenre_mel *mel;
    size_t n_new = 0, waiting = 0;
    int error = (int)edgegenre_mel_init(&mel, mel_arena, sizeof mel_arena, &edgegenre_mel_bundle);
    if (!error) error = (int)edgegenre_net_init(&net, network_words, sizeof network_words, arena.net, sizeof arena.net);
    if (error) {
        printf("error %d\n", error);
        return;
    }
    open_microphone();
    for (;;) {
        edgegenre_mel_push(mel, pcm, read_pcm(), NULL, 0, &n_new);
        waiting += n_new * edgegenre_mel_bundle.hop_samples;
        if (waiting < edgegenre_mel_bundle.sample_rate_hz) continue;
        waiting = 0;
        answer(mel);
    }
}
