#include "mcuq_normalize.h"

#include "mcuq_requant.h"

/* How values of a row are normalized: t = ((128 * w - mean) * factor + half) >> shift. */
typedef struct {
    int32_t mean, factor, half, shift;
} row_scale;

static int32_t bits_of(uint64_t value)
{
    int32_t bits = 0;
    for (int32_t step = 32; step > 0; step >>= 1) {
        if (value >> step) {
            value >>= step;
            bits += step;
        }
    }
    return bits + 1;
}

/* The square root, rounded down, of a number of 31 or 32 bits. */
static uint32_t root_of(uint32_t value)
{
    uint32_t root = 0;
    for (uint32_t bit = 1u << 15; bit > 0; bit >>= 1) {
        const uint32_t next = root + bit;
        root = (next * next <= value) ? next : root;
    }
    return root;
}

/* From the spread V > 0 of n values: e is half the exponent that leaves V 31 or 32 bits. */
static void set_factor(row_scale *row, uint64_t spread, uint32_t n, int32_t frac)
{
    const int32_t bits = bits_of(spread);
    const int32_t even = (bits + 33) / 2 - 32;
    const uint32_t mantissa =
        (uint32_t)((even >= 0) ? spread >> (2 * even) : spread << (-2 * even));
    const uint32_t product = n * ((1u << 31) / root_of(mantissa));
    const int32_t length = bits_of(product);

    row->factor = (int32_t)(product >> (length - 15));
    row->shift = mcuq_clamp(53 + even - length - frac, 0, 31);
    row->half = (row->shift > 0) ? (int32_t)(1u << (row->shift - 1)) : 0;
}

static row_scale measured(const mcuq_normalize_params *p, const int8_t *in)
{
    const int32_t inner = p->size[3], step = p->size[2] * inner;
    const uint32_t n = (uint32_t)(p->size[1] * inner), zero = (uint32_t)p->zero;
    uint32_t sum = 0, squares = 0;
    uint64_t spread;
    row_scale row;

    for (int32_t c = 0; c < p->size[1]; c++) {
        for (int32_t i = 0; i < inner; i++) {
            const uint32_t w = (uint32_t)(in[i] + 128);
            sum += w;
            squares += w * w;
        }
        in += step;
    }
    if (p->centered) {
        row.mean = (int32_t)((128u * sum + n / 2u) / n);
        spread = (uint64_t)n * squares - (uint64_t)sum * sum;
    } else {
        row.mean = (int32_t)(128u * zero);
        spread = (uint64_t)n * (uint32_t)(squares - 2u * zero * sum + n * zero * zero);
    }
    spread += (uint64_t)p->epsilon << p->epsilon_shift;
    set_factor(&row, (spread > 0) ? spread : 1u, n, p->frac);
    return row;
}

static void apply(const mcuq_normalize_params *p, const row_scale *row, int32_t first,
                  const int8_t *in, int8_t *out)
{
    const int32_t inner = p->size[3], step = p->size[2] * inner;
    const int32_t low = p->out_min, high = p->out_max;
    const int32_t mean = row->mean - 128 * 128, factor = row->factor, half = row->half;
    const int shift = p->shift, row_shift = row->shift;
    const int16_t *gamma = p->gamma + first;
    const int32_t *beta = p->beta + first;

    for (int32_t c = 0; c < p->size[1]; c++) {
        for (int32_t i = 0; i < inner; i++) {
            const int32_t t = ((128 * in[i] - mean) * factor + half) >> row_shift;
            out[i] = mcuq_requant(t * gamma[i] + beta[i], shift, low, high);
        }
        in += step;
        out += step;
        gamma += p->gamma_step[1];
        beta += p->gamma_step[1];
    }
}

void mcuq_normalize_s8(const mcuq_normalize_params *p, const int8_t *in, int8_t *out)
{
    const int32_t inner = p->size[3], block = p->size[1] * p->size[2] * inner;

    for (int32_t o = 0; o < p->size[0]; o++) {
        for (int32_t g = 0; g < p->size[2]; g++) {
            const row_scale row = measured(p, in + g * inner);
            apply(p, &row, o * p->gamma_step[0] + g * inner, in + g * inner, out + g * inner);
        }
        in += block;
        out += block;
    }
}
