#include "mcuq_matmul.h"

#include "mcuq_dsp.h"

/* Two columns of b as int16 less zero_b, four k of a column at a time, in int16 order, and what
 * their sums start from: bias - zero_a * (sum of the column), as the rows of a stay as they are. */
typedef struct {
    int16_t *values; /* [k / 4][2 columns][4], and behind it [k % 4][2 columns] */
    int32_t start[2];
} columns;

static void spread(const mcuq_matmul_params *p, const int8_t *b, int32_t column, columns *to)
{
    static const uint8_t order[4] = {0, 2, 1, 3};
    const int32_t depth = p->size[4], step = p->step_b[3], zero = p->zero_b;
    int16_t *out = to->values + 4 * column;
    int32_t sum = 0, k = 0;

    for (; k + 4 <= depth; k += 4) {
        for (int32_t i = 0; i < 4; i++) {
            const int32_t value = *b - zero;
            out[order[i]] = (int16_t)value;
            sum += value;
            b += step;
        }
        out += 8;
    }
    out -= 3 * column;
    for (; k < depth; k++) {
        const int32_t value = *b - zero;
        *out = (int16_t)value;
        sum += value;
        b += step;
        out += 2;
    }
    to->start[column] = p->bias - p->zero_a * sum;
}

static inline uint32_t pair_of(const int16_t *from)
{
    uint32_t pair;
    memcpy(&pair, from, 4);
    return pair;
}

/* The sums of rows a and a + step with both columns: 16 products with 18 instructions. */
static inline void two_rows(const columns *b, const int8_t *a, int32_t step, int32_t depth,
                            int32_t acc[4])
{
    const int8_t *below = a + step;
    const int16_t *values = b->values;
    int32_t s0 = b->start[0], s1 = b->start[1], s2 = s0, s3 = s1;

    for (int32_t k = depth >> 2; k > 0; k--) {
        const uint32_t x = mcuq_dsp_load4(a), y = mcuq_dsp_load4(below);
        const uint32_t x_even = mcuq_dsp_even(x), x_odd = mcuq_dsp_odd(x);
        const uint32_t y_even = mcuq_dsp_even(y), y_odd = mcuq_dsp_odd(y);
        const uint32_t first_even = pair_of(values), first_odd = pair_of(values + 2);
        const uint32_t second_even = pair_of(values + 4), second_odd = pair_of(values + 6);
        s0 = mcuq_dsp_smlad(x_even, first_even, s0);
        s2 = mcuq_dsp_smlad(y_even, first_even, s2);
        s0 = mcuq_dsp_smlad(x_odd, first_odd, s0);
        s2 = mcuq_dsp_smlad(y_odd, first_odd, s2);
        s1 = mcuq_dsp_smlad(x_even, second_even, s1);
        s3 = mcuq_dsp_smlad(y_even, second_even, s3);
        s1 = mcuq_dsp_smlad(x_odd, second_odd, s1);
        s3 = mcuq_dsp_smlad(y_odd, second_odd, s3);
        a += 4;
        below += 4;
        values += 8;
    }
    for (int32_t k = depth & 3; k > 0; k--) {
        s0 += *a * values[0];
        s1 += *a++ * values[1];
        s2 += *below * values[0];
        s3 += *below++ * values[1];
        values += 2;
    }
    acc[0] = s0;
    acc[1] = s1;
    acc[2] = s2;
    acc[3] = s3;
}

/* All rows of one of the batch with one or two columns. */
static void down(const mcuq_matmul_params *p, const columns *b, const int8_t *a, int8_t *out,
                 int32_t second)
{
    const int32_t rows = p->size[2], depth = p->size[4];
    const int32_t low = p->out_min, high = p->out_max;
    const int shift = p->shift;

    for (int32_t m = 0; m < rows; m += 2) {
        const int32_t more = m + 1 < rows;
        int32_t acc[4];
        two_rows(b, a, more ? p->step_a[2] : 0, depth, acc);
        int8_t *below = out + (more ? p->step_out[2] : 0);
        /* Where there is no second row or column, the first is written twice. */
        below[second] = mcuq_requant(second ? acc[3] : acc[2], shift, low, high);
        below[0] = mcuq_requant(acc[2], shift, low, high);
        out[second] = mcuq_requant(second ? acc[1] : acc[0], shift, low, high);
        out[0] = mcuq_requant(acc[0], shift, low, high);
        a += 2 * p->step_a[2];
        out += 2 * p->step_out[2];
    }
}

void mcuq_matmul_s8_dsp(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out,
                        void *scratch)
{
    columns pair = {(int16_t *)scratch, {0, 0}};

    MCUQ_ASSERT_ALIGNED(scratch, 4);
    a += p->start_a;
    b += p->start_b;
    for (int32_t i = 0; i < p->size[0] * p->size[1]; i++) {
        const int32_t first = i / p->size[1], last = i % p->size[1];
        const int8_t *left = a + first * p->step_a[0] + last * p->step_a[1];
        const int8_t *right = b + first * p->step_b[0] + last * p->step_b[1];
        int8_t *to = out + first * p->step_out[0] + last * p->step_out[1];
        for (int32_t n = 0; n < p->size[3]; n += 2) {
            const int32_t more = n + 1 < p->size[3];
            spread(p, right, 0, &pair);
            spread(p, more ? right + p->step_b[2] : right, 1, &pair);
            down(p, &pair, left, to, more ? p->step_out[3] : 0);
            right += 2 * p->step_b[2];
            to += 2 * p->step_out[3];
        }
    }
}
