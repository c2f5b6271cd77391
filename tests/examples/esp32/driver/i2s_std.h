/* Stand-ins of what main.c takes from ESP-IDF: the microphone gives the file PCM, then ends the program. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef int esp_err_t, gpio_num_t;
typedef struct { int number, role; } i2s_chan_config_t;
typedef struct { uint32_t rate_hz; } i2s_std_clk_config_t;
typedef struct { int width, mode; } i2s_std_slot_config_t;
typedef struct { gpio_num_t mclk, bclk, ws, dout, din; } i2s_std_gpio_config_t;
typedef struct {
    i2s_std_clk_config_t clk_cfg;
    i2s_std_slot_config_t slot_cfg;
    i2s_std_gpio_config_t gpio_cfg;
} i2s_std_config_t;
typedef FILE *i2s_chan_handle_t;

enum { GPIO_NUM_4 = 4, GPIO_NUM_5, GPIO_NUM_6, I2S_NUM_AUTO = -1, I2S_ROLE_MASTER = 0, I2S_GPIO_UNUSED = -1 };
enum { I2S_DATA_BIT_WIDTH_32BIT = 32, I2S_SLOT_MODE_MONO = 1 };
#define I2S_CHANNEL_DEFAULT_CONFIG(number, role) {number, role}
#define I2S_STD_CLK_DEFAULT_CONFIG(rate) {rate}
#define I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(width, mode) {width, mode}
#define ESP_ERROR_CHECK(call) do { if ((call) != 0) abort(); } while (0)

static esp_err_t i2s_new_channel(i2s_chan_config_t *config, i2s_chan_handle_t *out, i2s_chan_handle_t *in)
{
    (void)out;
    *in = fopen(PCM, "rb");
    return config->number != I2S_NUM_AUTO || !*in;
}
static esp_err_t i2s_channel_init_std_mode(i2s_chan_handle_t channel, const i2s_std_config_t *config)
{
    return !channel || config->clk_cfg.rate_hz != 22050 || config->slot_cfg.width != 32;
}
static esp_err_t i2s_channel_enable(i2s_chan_handle_t channel) { return !channel; }
static esp_err_t i2s_channel_read(i2s_chan_handle_t channel, void *to, size_t size, size_t *n_bytes, uint32_t wait_ms)
{
    (void)wait_ms;
    *n_bytes = fread(to, 1, size, channel);
    if (*n_bytes == 0) exit(0);
    return 0;
}

void app_main(void);
int main(void) { return app_main(), 1; }
