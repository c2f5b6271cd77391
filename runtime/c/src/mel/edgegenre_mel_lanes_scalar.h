/* One lane: the arithmetic of the specification in C99, with two of ARM's DSP instructions where there are any. Every
 * other lanes file gives the same bits. */

typedef int32_t scalar_vec;

static inline int32_t scalar_load(const int32_t *p) { return *p; }
static inline int32_t scalar_load_reversed(const int32_t *p) { return *p; }
static inline void scalar_store(int32_t *p, int32_t x) { *p = x; }
static inline int32_t scalar_set(int32_t x) { return x; }
static inline int32_t scalar_add(int32_t a, int32_t b) { return a + b; }
static inline int32_t scalar_sub(int32_t a, int32_t b) { return a - b; }

static inline int32_t scalar_half_add(int32_t a, int32_t b) { return (int32_t)(((int64_t)a + b) >> 1); }
static inline int32_t scalar_half_sub(int32_t a, int32_t b) { return (int32_t)(((int64_t)a - b) >> 1); }

/* round(x / 2^shift), halves up; a negative shift goes up. |x| < 2^(31 + shift). */
static inline int32_t scalar_scale(int32_t x, int shift)
{
    if (shift <= 0) return x * (int32_t)(1u << -shift);
    return (x + (int32_t)(1u << (shift - 1))) >> shift;
}

/* The specified product, (a b + 2^30) >> 31. Saturates nowhere, as no twiddle is -2^31. */
static inline int32_t scalar_mul_q31(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* (re + j im) (cos - j sin), each product rounded on its own. */
static inline void scalar_rotate(int32_t *re, int32_t *im, int32_t cos, int32_t sin)
{
    int32_t r = *re, i = *im;
    *re = scalar_mul_q31(r, cos) + scalar_mul_q31(i, sin);
    *im = scalar_mul_q31(i, cos) - scalar_mul_q31(r, sin);
}

/* sum + mul_q31(a / 2, b): the upper half of a product, which ARM's DSP instructions round and add at once. */
static inline int32_t scalar_add_high(int32_t sum, int32_t a, int32_t b)
{
#ifdef HAS_DSP
    __asm("smmlar %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
#else
    return sum + (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

static inline int32_t scalar_mul_high(int32_t a, int32_t b)
{
#ifdef HAS_DSP
    __asm("smmulr %0, %0, %1" : "+r"(a) : "r"(b));
    return a;
#else
    return scalar_add_high(0, a, b);
#endif
}

/* Rotation of |re|, |im| < 2^30, whose doubles fit. */
static inline void scalar_rotate_small(int32_t *re, int32_t *im, int32_t cos, int32_t sin)
{
    int32_t r = 2 * *re, i = 2 * *im;
    *re = scalar_add_high(scalar_mul_high(r, cos), i, sin);
    *im = scalar_mul_high(i, cos) - scalar_mul_high(r, sin);
}

static inline void scalar_load_4_apart(const int32_t *p, int32_t *a, int32_t *b, int32_t *c, int32_t *d)
{
    *a = p[0];
    *b = p[1];
    *c = p[2];
    *d = p[3];
}

static inline uint64_t scalar_power(int32_t re, int32_t im)
{
    return (uint64_t)((int64_t)re * re + (int64_t)im * im) >> EDGEGENRE_MEL_POWER_SHIFT;
}

/* How the n + 4 powers lie in memory is each lanes file's own business; here, one after the other. */
static inline void scalar_put_power(uint64_t *power, size_t n, size_t k, uint64_t x)
{
    (void)n;
    power[k] = x;
}

static inline void scalar_store_power(uint64_t *power, size_t n, size_t k, int32_t re, int32_t im)
{
    scalar_put_power(power, n, k, scalar_power(re, im));
}

static inline void scalar_store_power_reversed(uint64_t *power, size_t n, size_t k, int32_t re, int32_t im)
{
    scalar_store_power(power, n, k, re, im);
}

/* Two samples times the window, and their magnitudes' bits. */
static inline int32_t scalar_window(const int16_t *pcm, const int16_t *window_q15, int32_t *even, int32_t *odd)
{
    int32_t e = (int32_t)pcm[0] * window_q15[0], o = (int32_t)pcm[1] * window_q15[1];
    *even = e;
    *odd = o;
    return (e < 0 ? -e : e) | (o < 0 ? -o : o);
}

static inline uint32_t scalar_or_lanes(int32_t x) { return (uint32_t)x; }
static inline int32_t scalar_or(int32_t a, int32_t b) { return a | b; }

/* Sum of 4 n_groups powers from start times weight: 48 and 16 bits, by halves so that no product is 64 by 64. */
static inline uint64_t scalar_weighted_sum(const uint64_t *power, size_t n, size_t start, const uint16_t *weight,
                                           uint32_t n_groups)
{
    uint64_t low = 0, high = 0;
    (void)n;
    power += start;
    for (uint32_t i = 0; i < 4 * n_groups; i++) {
        low += (uint64_t)(uint32_t)power[i] * weight[i];
        high += (uint64_t)(uint32_t)(power[i] >> 32) * weight[i];
    }
    return low + (high << 32);
}
