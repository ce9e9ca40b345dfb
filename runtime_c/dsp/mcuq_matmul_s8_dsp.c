#include "mcuq_matmul.h"

#include "mcuq_dsp.h"

#define COLUMNS 4

/* Four columns of b as int16 less zero_b, four k of a column at a time, in int16 order, and what
 * their sums start from: bias - zero_a * (sum of the column), as the rows of a stay as they are. */
typedef struct {
    int16_t *values; /* [k / 4][4 columns][4], and behind it [k % 4][4 columns] */
    int32_t start[COLUMNS];
} columns;

/* Four values less their zero in int16 order, from b with a step; returns their sum. */
static inline int32_t spread4(int16_t *to, const int8_t *b, int32_t step, int32_t zero)
{
    const int32_t first = b[0] - zero, second = b[step] - zero;
    const int32_t third = b[2 * step] - zero, fourth = b[3 * step] - zero;
    to[0] = (int16_t)first;
    to[1] = (int16_t)third;
    to[2] = (int16_t)second;
    to[3] = (int16_t)fourth;
    return first + second + third + fourth;
}

/* The same of neighbours whose zero is 0. */
static inline int32_t widened4(int16_t *to, const int8_t *b)
{
    const uint32_t ones = 0x00010001u, word = mcuq_dsp_load4(b);
    const uint32_t words[2] = {mcuq_dsp_even(word), mcuq_dsp_odd(word)};
    memcpy(to, words, sizeof words);
    return mcuq_dsp_smlad(words[0], ones, mcuq_dsp_smlad(words[1], ones, 0));
}

static void spread(const mcuq_matmul_params *p, const int8_t *b, int32_t column, columns *to)
{
    const int32_t depth = p->size[4], step = p->step_b[3], zero = p->zero_b;
    int16_t *out = to->values + 4 * column;
    const int32_t near = step == 1 && zero == 0;
    int32_t sum = 0;

    for (int32_t k = depth >> 2; k > 0; k--) {
        sum += near ? widened4(out, b) : spread4(out, b, step, zero);
        b += 4 * step;
        out += 4 * COLUMNS;
    }
    out -= 3 * column;
    for (int32_t k = depth & 3; k > 0; k--) {
        const int32_t value = *b - zero;
        *out = (int16_t)value;
        sum += value;
        b += step;
        out += COLUMNS;
    }
    to->start[column] = p->bias - p->zero_a * sum;
}

/* Adds the products of four k at a time of a row with four columns to s0..s3 and moves a and values
 * on: 32 products with 32 instructions. */
#if MCUQ_DSP_ASM
#define COLUMN(sum)                                                                                \
    " ldrd %[x], %[y], [%[b]], #8\n smlad %[" sum "], %[even], %[x], %[" sum "]\n"                 \
    " smlad %[" sum "], %[odd], %[y], %[" sum "]\n"
#define BLOCK                                                                                      \
    " ldr %[even], [%[a]], #4\n sxtb16 %[odd], %[even], ror #8\n sxtb16 %[even], "                 \
    "%[even]\n" COLUMN("s0") COLUMN("s1") COLUMN("s2") COLUMN("s3")
#define DOT(blocks)                                                                                \
    do {                                                                                           \
        const int8_t *const end = a + 4 * (blocks);                                                \
        uint32_t even, odd, x, y;                                                                  \
        __asm volatile(                                                                            \
            " sub %[even], %[end], %[a]\n lsls %[even], %[even], #29\n bpl 1f\n" BLOCK             \
            " cmp %[a], %[end]\n beq 2f\n"                                                         \
            "1:\n" BLOCK BLOCK " cmp %[a], %[end]\n bne 1b\n2:\n"                                  \
            : [a] "+&r"(a), [b] "+&r"(values), [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2),     \
              [s3] "+&r"(s3), [even] "=&r"(even), [odd] "=&r"(odd), [x] "=&r"(x), [y] "=&r"(y)     \
            : [end] "r"(end)                                                                       \
            : "cc", "memory");                                                                     \
    } while (0)
#else
#define PART(column)                                                                               \
    (a[0] * values[4 * (column)] + a[2] * values[4 * (column) + 1] +                               \
     a[1] * values[4 * (column) + 2] + a[3] * values[4 * (column) + 3])
#define DOT(blocks)                                                                                \
    for (int32_t k = (blocks); k > 0; k--) {                                                       \
        s0 += PART(0);                                                                             \
        s1 += PART(1);                                                                             \
        s2 += PART(2);                                                                             \
        s3 += PART(3);                                                                             \
        a += 4;                                                                                    \
        values += 4 * COLUMNS;                                                                     \
    }
#endif

/* value limited to int8. */
static inline int32_t saturated(int32_t value)
{
#if MCUQ_DSP_ASM
    __asm("ssat %0, #8, %0" : "+r"(value));
    return value;
#else
    return mcuq_clamp(value, -128, 127);
#endif
}

/* All rows with four columns side by side, of a multiple of four products. */
static void down_near(const mcuq_matmul_params *p, const columns *b, const int8_t *row, int8_t *out)
{
    const int32_t blocks = p->size[4] >> 2, step_a = p->step_a[2], step_out = p->step_out[2];
    const int16_t *const first = b->values;
    const int shift = p->shift;

    for (const int8_t *const last = row + p->size[2] * step_a; row != last; row += step_a) {
        const int8_t *a = row;
        const int16_t *values = first;
        int32_t s0 = b->start[0], s1 = b->start[1], s2 = b->start[2], s3 = b->start[3];
        DOT(blocks);
        out[0] = (int8_t)saturated(s0 >> shift);
        out[1] = (int8_t)saturated(s1 >> shift);
        out[2] = (int8_t)saturated(s2 >> shift);
        out[3] = (int8_t)saturated(s3 >> shift);
        out += step_out;
    }
}

/* All rows of one of the batch with `count` columns. */
static void down(const mcuq_matmul_params *p, const columns *b, const int8_t *row, int8_t *out,
                 int32_t count)
{
    const int32_t blocks = p->size[4] >> 2, rest = p->size[4] & 3, step = p->step_out[3];
    const int shift = p->shift;

    for (int32_t m = p->size[2]; m > 0; m--) {
        const int8_t *a = row;
        const int16_t *values = b->values;
        int32_t s0 = b->start[0], s1 = b->start[1], s2 = b->start[2], s3 = b->start[3];
        if (blocks > 0) {
            DOT(blocks);
        }
        for (int32_t k = rest; k > 0; k--) {
            s0 += *a * values[0];
            s1 += *a * values[1];
            s2 += *a * values[2];
            s3 += *a++ * values[3];
            values += COLUMNS;
        }
        *out = (int8_t)saturated(s0 >> shift);
        if (count == COLUMNS) {
            out[step] = (int8_t)saturated(s1 >> shift);
            out[2 * step] = (int8_t)saturated(s2 >> shift);
            out[3 * step] = (int8_t)saturated(s3 >> shift);
        } else if (count > 1) {
            /* Where there is no third column, the second is written twice. */
            out[(count - 1) * step] = (int8_t)saturated(s2 >> shift);
            out[step] = (int8_t)saturated(s1 >> shift);
        }
        row += p->step_a[2];
        out += p->step_out[2];
    }
}

void mcuq_matmul_s8_dsp(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out,
                        void *scratch)
{
    columns four = {(int16_t *)scratch, {0, 0, 0, 0}};
    const int32_t near =
        p->step_out[3] == 1 && p->size[4] % 4 == 0 && p->size[4] > 0 && p->step_a[2] != 0;

    MCUQ_ASSERT_ALIGNED(scratch, 4);
    a += p->start_a;
    b += p->start_b;
    for (int32_t i = 0; i < p->size[0] * p->size[1]; i++) {
        const int32_t first = i / p->size[1], last = i % p->size[1];
        const int8_t *left = a + first * p->step_a[0] + last * p->step_a[1];
        const int8_t *right = b + first * p->step_b[0] + last * p->step_b[1];
        int8_t *to = out + first * p->step_out[0] + last * p->step_out[1];
        for (int32_t n = 0; n < p->size[3]; n += COLUMNS) {
            const int32_t left_over = p->size[3] - n;
            const int32_t count = (left_over < COLUMNS) ? left_over : COLUMNS;
            for (int32_t column = 0; column < COLUMNS; column++) {
                /* Where there are no more columns, the last one again. */
                const int32_t at = (column < count) ? column : count - 1;
                spread(p, right + at * p->step_b[2], column, &four);
            }
            if (near && count == COLUMNS) {
                down_near(p, &four, left, to);
            } else {
                down(p, &four, left, to, count);
            }
            right += COLUMNS * p->step_b[2];
            to += COLUMNS * p->step_out[3];
        }
    }
    /* Every element of the output is written once. */
    mcuq_dsp_clamp(out, p->size[0] * p->size[1] * p->size[2] * p->size[3], p->out_min, p->out_max);
}
