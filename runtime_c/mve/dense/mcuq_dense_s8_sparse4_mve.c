#include <string.h>

#include "mcuq_dense_mve_store.h"
#include "mcuq_dense_sparse.h"
#include "mcuq_mve.h"

enum { CHUNK = 64, SPAN = 1024 };

/* Where the stored blocks are read next. */
typedef struct {
    const int8_t *weights;
    const uint8_t *index, *counts;
} place;

#if defined(__ARM_FEATURE_MVE)

/* acc = from + weights . x for `count` outputs, 1 or more; x word-aligned. 5 instructions for a
 * four of blocks (16 MAC), and 6 for an output. */
static inline void add_rows(place *at, const int8_t *x, const int32_t *from, int32_t *acc,
                            int32_t count)
{
    /* Loaded by one instruction: -O0 has no registers for so many operands. */
    struct {
        place at;
        const int32_t *from;
        int32_t *acc;
        const int32_t *end;
        const int8_t *x;
    } job = {*at, from, acc, acc + count, x};
    __asm volatile("ldm %[job], {r0-r3, r5, r6, r8}\n"
                   "1: ldrb lr, [r2], #1\n ldr r4, [r3], #4\n wls lr, lr, 3f\n"
                   "2: vldrb.u32 q1, [r1], #4\n vldrb.u8 q0, [r0], #16\n"
                   "vldrw.u32 q2, [r8, q1, uxtw #2]\n vmladava.s8 r4, q2, q0\n le lr, 2b\n"
                   "3: str r4, [r5], #4\n cmp r5, r6\n bne 1b\n"
                   "stm %[job], {r0-r2}\n"
                   :
                   : [job] "r"(&job)
                   : "q0", "q1", "q2", "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "lr", "cc",
                     "memory");
    *at = job.at;
}

#else

static void add_rows(place *at, const int8_t *x, const int32_t *from, int32_t *acc, int32_t count)
{
    for (int32_t o = 0; o < count; o++) {
        int32_t sum = from[o];
        for (int32_t blocks = 4 * *at->counts++; blocks > 0; blocks--, at->weights += 4) {
            const int8_t *const w = at->weights;
            const int8_t *const v = x + 4 * *at->index++;
            sum += w[0] * v[0] + w[1] * v[1] + w[2] * v[2] + w[3] * v[3];
        }
        acc[o] = sum;
    }
}

#endif

/* All outputs of one pixel, whose inputs are at x. */
static void run_pixel(const mcuq_sparse4_mve_params *p, const int8_t *x, int8_t *out, int32_t *acc)
{
    place at = {p->weights, p->index, p->counts};
    for (int32_t first = 0; first < p->out_len; first += CHUNK) {
        const int32_t rest = p->out_len - first;
        const int32_t count = (rest < CHUNK) ? rest : CHUNK;
        const int32_t *from = p->bias + first;
        for (int32_t begin = 0; begin < p->in_len; begin += SPAN) {
            add_rows(&at, x + begin, from, acc, count);
            from = acc;
        }
        mcuq_mve_store_outputs(p->out_range, acc, p->minus_shift + first, out + first, count);
    }
}

void mcuq_dense_s8_sparse4_mve(const mcuq_sparse4_mve_params *p, const int8_t *in, int8_t *out,
                               void *scratch)
{
    int32_t *const acc = scratch;
    int8_t *const whole = (int8_t *)(acc + ((p->out_len < CHUNK) ? p->out_len : CHUNK));
    const int32_t padded = (p->in_len + 3) & ~3;
    for (int32_t y = 0; y < p->pixels.rows; y++) {
        const int8_t *from = in + y * p->pixels.row_pitch;
        for (int32_t x = 0; x < p->pixels.columns; x++) {
            memset(whole + padded - 4, 0, 4);
            mcuq_mve_copy(whole, from, p->in_len);
            run_pixel(p, whole, out, acc);
            from += p->pixels.pixel_pitch;
            out += p->out_len;
        }
    }
}
