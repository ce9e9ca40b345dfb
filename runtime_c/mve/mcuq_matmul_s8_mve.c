#include "mcuq_matmul.h"

#include "mcuq_mve.h"

#if defined(__ARM_FEATURE_MVE)

/** A column of b, `step` bytes apart, to 16 bytes of every 32; zeros where a step is not full. 12
 *  instructions a step. */
static void pack(int8_t *to, const int8_t *b, int32_t step, int32_t depth, int32_t steps)
{
    __asm volatile("movs lr, #0\n vidup.u16 q0, lr, #1\n vmul.i16 q0, q0, %[step]\n"
                   "dls lr, %[steps]\n"
                   "1: vctp.16 %[depth]\n vpst\n vldrbt.u16 q1, [%[b], q0]\n"
                   "subs %[depth], #8\n usat %[depth], #15, %[depth]\n"
                   "add %[b], %[b], %[step], lsl #3\n vstrb.16 q1, [%[to]], #8\n"
                   "vctp.16 %[depth]\n vpst\n vldrbt.u16 q1, [%[b], q0]\n"
                   "subs %[depth], #8\n usat %[depth], #15, %[depth]\n"
                   "add %[b], %[b], %[step], lsl #3\n vstrb.16 q1, [%[to]], #24\n le lr, 1b\n"
                   : [to] "+&l"(to), [b] "+&r"(b), [depth] "+&r"(depth)
                   : [step] "h"(step), [steps] "r"(steps)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** The sum of a packed column. */
static int32_t sum(const int8_t *column, int32_t steps)
{
    register int32_t total __asm("r2") = 0;
    __asm volatile("dls lr, %[steps]\n"
                   "1: vldrb.u8 q0, [%[at]], #32\n vaddva.s8 %[total], q0\n le lr, 1b\n"
                   : [at] "+&r"(column), [total] "+&r"(total)
                   : [steps] "r"(steps)
                   : "q0", "lr", "memory");
    return total;
}

/** The sum of a row: 2 instructions for 16 values. */
static int32_t row_sum(const int8_t *row, int32_t depth)
{
    register int32_t total __asm("r2") = 0;
    __asm volatile("dlstp.8 lr, %[depth]\n"
                   "1: vldrb.u8 q0, [%[at]], #16\n vaddva.s8 %[total], q0\n letp lr, 1b\n"
                   : [at] "+&r"(row), [total] "+&r"(total)
                   : [depth] "r"(depth)
                   : "q0", "lr", MCUQ_MVE_VPR, "memory");
    return total;
}

/** more of each row to what the sums of all columns start from: 4 instructions a column. */
static void add_each(int32_t *init, const int32_t *more, int32_t count)
{
    __asm volatile("vldrw.u32 q1, [%[more]]\n dls lr, %[count]\n"
                   "1: vldrw.u32 q0, [%[init]]\n vadd.i32 q0, q0, q1\n"
                   "vstrw.32 q0, [%[init]], #16\n le lr, 1b\n"
                   : [init] "+&r"(init)
                   : [more] "r"(more), [count] "r"(count)
                   : "q0", "q1", "lr", "memory");
}

#else

static void pack(int8_t *to, const int8_t *b, int32_t step, int32_t depth, int32_t steps)
{
    for (int32_t k = 0; k < 16 * steps; k++) {
        to[k / 16 * 32 + k % 16] = (int8_t)((k < depth) ? b[k * step] : 0);
    }
}

static int32_t sum(const int8_t *column, int32_t steps)
{
    int32_t total = 0;
    for (int32_t k = 0; k < 16 * steps; k++) {
        total += column[k / 16 * 32 + k % 16];
    }
    return total;
}

static int32_t row_sum(const int8_t *row, int32_t depth)
{
    int32_t total = 0;
    for (int32_t k = 0; k < depth; k++) {
        total += row[k];
    }
    return total;
}

static void add_each(int32_t *init, const int32_t *more, int32_t count)
{
    for (int32_t i = 0; i < 4 * count; i++) {
        init[i] = (int32_t)((uint32_t)init[i] + (uint32_t)more[i % 4]);
    }
}

#endif

/** The columns as the weights of a convolution, and what their sums start from. */
static void pack_all(const mcuq_matmul_params *p, const int8_t *b, int32_t steps, int8_t *weights,
                     int32_t *init)
{
    const int32_t count = p->size[3], depth = p->size[4];

    for (int32_t n = 0; n < count; n++, b += p->step_b[2], init += 4) {
        int8_t *const to = weights + 32 * steps * (n >> 1) + 16 * (n & 1);
        pack(to, b, p->step_b[3], depth, steps);
        const int32_t start = p->bias - ((p->zero_a != 0) ? p->zero_a * sum(to, steps) : 0);
        init[0] = init[1] = init[2] = init[3] = start;
    }
    if ((count & 1) != 0) { /* what is made of them is not stored */
        pack(weights + 32 * steps * (count >> 1) + 16, b - p->step_b[2], p->step_b[3], depth,
             steps);
        init[0] = init[1] = init[2] = init[3] = 0;
    }
}

/** What b's zero takes off the sums of four rows, -zero_b * sum (a - zero_a): init gets what is
 *  more of it than in the block before. */
static void take_zero(const mcuq_matmul_params *p, const int8_t *const row[4], int32_t *taken,
                      int32_t *init)
{
    int32_t more[4];
    for (int32_t i = 0; i < 4; i++) {
        const int32_t own = p->zero_b * (p->zero_a * p->size[4] - row_sum(row[i], p->size[4]));
        more[i] = (int32_t)((uint32_t)own - (uint32_t)taken[i]);
        taken[i] = own;
    }
    add_each(init, more, p->size[3]);
}

/** One of the batch: blocks of four rows. */
static void product(const mcuq_matmul_params *p, const mcuq_conv2d_mve_params *as,
                    const mcuq_mve_job *job, const int8_t *a, int8_t *out, int8_t *x, int32_t *init)
{
    int32_t taken[4] = {0, 0, 0, 0};
    for (int32_t left = p->size[2]; left > 0; left -= 4) {
        const int8_t *row[4] = {a, a, a, a};
        for (int32_t i = 1; i < 4; i++) {
            row[i] = row[i - 1] + ((i < left) ? p->step_a[2] : 0);
        }
        if (p->zero_b != 0) {
            take_zero(p, row, taken, init);
        }
        mcuq_mve_load_four(row[0], row[1], row[2], row[3], p->size[4], x);
        mcuq_mve_block(as, job, out, (left < 4) ? left : 4, p->step_out[2]);
        a += 4 * p->step_a[2];
        out += 4 * p->step_out[2];
    }
}

void mcuq_matmul_s8_mve(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out,
                        void *scratch)
{
    const int32_t count = p->size[3], steps = (p->size[4] + 15) / 16;
    int32_t *const init = scratch;
    int8_t *const x = (int8_t *)(init + 4 * ((count + 1) & ~1) + 4 * mcuq_mve_chunk(count));
    int8_t *const weights = x + 64 * steps;
    int8_t *const minus_shift = weights + 32 * steps * ((count + 1) >> 1);
    const mcuq_conv2d_mve_params as = {.weights = weights,
                                       .minus_shift = minus_shift,
                                       .out_c = (int16_t)count,
                                       .steps = (int16_t)steps,
                                       .out_range = {p->out_min, p->out_max}};
    const mcuq_mve_job job = mcuq_mve_first_job(&as, init);

    mcuq_mve_fill(minus_shift, -p->shift, (count + 3) & ~3);
    a += p->start_a;
    b += p->start_b;
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            pack_all(p, b + i * p->step_b[0] + j * p->step_b[1], steps, weights, init);
            product(p, &as, &job, a + i * p->step_a[0] + j * p->step_a[1],
                    out + i * p->step_out[0] + j * p->step_out[1], x, init);
        }
    }
}
