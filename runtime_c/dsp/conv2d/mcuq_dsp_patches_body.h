/* mcuq_dsp_patches_body.h: the inputs of a block of output pixels as int16; a part of
 * mcuq_conv2d_s8_dsp.c.
 *
 * Three pixels lie side by side: per four inputs of a pixel the even ones of each, then the odd
 * ones of each, so that one LDM loads a pair of inputs of all three.
 *
 * Parameters: none.
 */
#ifndef MCUQ_DSP_PATCHES_BODY_H
#define MCUQ_DSP_PATCHES_BODY_H

#include "mcuq_conv2d_dsp.h"
#include "mcuq_dsp.h"
#include "mcuq_dsp_image_body.h"

enum { UNIT = 12 }; /* int16 of four inputs of three pixels */

/* How the patches of three pixels lie; the assembly knows this layout. A patch is `runs` runs of
 * `words` fours and `left` bytes; `skip` bytes follow each run; `next`: from behind the first
 * patch to the one after the third; second, third: from the first patch to the others. fours,
 * rests: bytes of int16 that the fours, and the bytes left of all runs, of three patches take. */
typedef struct {
    int32_t words, runs, skip, left, next, second, third, fours, rests;
} patch_shape;

/* `count` times three patches from `a` on as int16, side by side: per four inputs the even ones of
 * each, the odd ones of each; first the fours of all runs, then what is left. Returns the end.
 * Per three patches 1 instruction a byte, 11 a run, 10 for each three bytes left and 13.
 * a: any alignment.
 * r0 to, r1-r3 patches, r4-r9 data, r10 words, r11 runs, r12 skip, lr count, or to for bytes left.
 * Frame: count, runs, left, next, fours, rests; and how the place of the bytes left goes on: 12,
 * -10, 12, 10 bytes in turn. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static int16_t *widen_patches(MCUQ_NAKED_ARGUMENT int16_t *to,
                                         MCUQ_NAKED_ARGUMENT const int8_t *a,
                                         MCUQ_NAKED_ARGUMENT int32_t count,
                                         MCUQ_NAKED_ARGUMENT const patch_shape *shape)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #32\n"
                   " ldmia r3, {r4-r12}\n"
                   " strd r2, r5, [sp]\n"
                   " strd r7, r8, [sp, #8]\n"
                   " strd r11, r12, [sp, #16]\n"
                   " add r2, r1, r9\n"
                   " add r3, r1, r10\n"
                   " mov r10, r4\n"
                   " mov r12, r6\n"
                   "0:\n"
                   " ldr r4, [sp, #16]\n"
                   " ldr r11, [sp, #4]\n"
                   " add r4, r0\n"
                   " movw r5, #0xf60c\n"
                   " movt r5, #0x0a0c\n"
                   " strd r5, r4, [sp, #24]\n"
                   "1:\n"
                   " movs lr, r10\n"
                   " beq 4f\n"
                   "3:\n"
                   " ldr r4, [r1], #4\n"
                   " ldr r5, [r2], #4\n"
                   " ldr r6, [r3], #4\n"
                   " sxtb16 r7, r4, ror #8\n"
                   " sxtb16 r8, r5, ror #8\n"
                   " sxtb16 r9, r6, ror #8\n"
                   " sxtb16 r4, r4\n"
                   " sxtb16 r5, r5\n"
                   " sxtb16 r6, r6\n"
                   " stmia r0!, {r4-r9}\n"
                   " subs lr, #1\n"
                   " bne 3b\n"
                   "4:\n"
                   " ldr r9, [sp, #8]\n"
                   " cmp r9, #0\n"
                   " beq 6f\n"
                   " ldrd r8, lr, [sp, #24]\n"
                   "5:\n"
                   " ldrsb r4, [r1], #1\n"
                   " ldrsb r5, [r2], #1\n"
                   " ldrsb r6, [r3], #1\n"
                   " strh r4, [lr]\n"
                   " strh r5, [lr, #4]\n"
                   " strh r6, [lr, #8]\n"
                   " sxtab lr, lr, r8\n"
                   " ror r8, r8, #8\n"
                   " subs r9, #1\n"
                   " bne 5b\n"
                   " strd r8, lr, [sp, #24]\n"
                   "6:\n"
                   " add r1, r12\n"
                   " add r2, r12\n"
                   " add r3, r12\n"
                   " subs r11, #1\n"
                   " bne 1b\n"
                   " ldr r4, [sp, #12]\n"
                   " ldr r5, [sp, #20]\n"
                   " ldr r6, [sp]\n"
                   " add r1, r4\n"
                   " add r2, r4\n"
                   " add r3, r4\n"
                   " add r0, r5\n"
                   " subs r6, #1\n"
                   " str r6, [sp]\n"
                   " bne 0b\n"
                   " add sp, #32\n"
                   " pop {r4-r11, pc}\n");
}
#else
static int16_t *widen_patches(int16_t *to, const int8_t *a, int32_t count, const patch_shape *shape)
{
    const int32_t run = 4 * shape->words + shape->left;
    const int32_t pitch = run + shape->skip;
    const int32_t from[3] = {0, shape->second, shape->third};
    for (int32_t i = 0; i < count; i++, a += shape->runs * pitch + shape->next) {
        for (int32_t pixel = 0; pixel < 3; pixel++) {
            int32_t rest = 4 * shape->words * shape->runs;
            for (int32_t at = 0; at < shape->runs * run; at++) {
                const int32_t row = at / run;
                const int32_t column = at - row * run;
                const int32_t input =
                    (column < 4 * shape->words) ? 4 * shape->words * row + column : rest++;
                to[UNIT * (input / 4) + 6 * (input & 1) + 2 * pixel + (input >> 1 & 1)] =
                    a[from[pixel] + row * pitch + column];
            }
        }
        to += (shape->fours + shape->rests) / 2;
    }
    return to;
}
#endif

/* The patch of the next pixel where it lies whole in the input; NULL elsewhere. */
static const int8_t *whole_patch(const mcuq_conv2d_dsp_params *p, const int8_t *in,
                                 const cursor *at)
{
    const int32_t whole = whole_pixels(p, at, 1);
    return whole ? in + (at->y * p->in_w + at->x) * p->in_c : NULL;
}

/* The next `count` pixels (1 to 3), not all in one row or not whole, as three at x. */
static int16_t *widen_three(const mcuq_conv2d_dsp_params *p, const int8_t *in, cursor *at,
                            int32_t count, int16_t *x, int8_t *patches, const patch_shape *whole)
{
    const cursor begin = *at;
    const int8_t *from[3] = {NULL, NULL, NULL};
    patch_shape shape = *whole;
    int32_t direct = 1;
    for (int32_t i = 0; i < 3; i++) {
        from[i] = (i < count) ? whole_patch(p, in, at) : from[i - 1];
        direct = direct && from[i] != NULL;
        advance(p, at, i < count);
    }
    if (!direct) {
        *at = begin;
        shape.skip = 0;
        for (int32_t i = 0; i < 3; i++) {
            from[i] = patches + 4 * p->units * ((i < count) ? i : count - 1);
            if (i < count) {
                gather(p, in, at->y, at->x, patches + 4 * p->units * i);
                advance(p, at, 1);
            }
        }
    }
    shape.second = (int32_t)(from[1] - from[0]);
    shape.third = (int32_t)(from[2] - from[0]);
    return widen_patches(x, from[0], 1, &shape);
}

/* The next `count` pixels at x; patches: three of 4 * units bytes, for patches that have to be
 * gathered. */
static void widen_block(const mcuq_conv2d_dsp_params *p, const int8_t *in, cursor *at,
                        int32_t count, int16_t *x, int8_t *patches)
{
    const int32_t step = p->stride_w * p->in_c;
    const int32_t fours = 2 * UNIT * (p->run >> 2) * p->runs;
    const int32_t rests = 2 * UNIT * p->units - fours;
    const patch_shape whole = {p->run >> 2, p->runs,  p->whole_skip, p->run & 3, p->whole_next,
                               step,        2 * step, fours,         rests};
    while (count > 0) {
        const int32_t threes = whole_pixels(p, at, count) / 3;
        if (threes > 0) {
            x = widen_patches(x, in + (at->y * p->in_w + at->x) * p->in_c, threes, &whole);
            advance(p, at, 3 * threes);
            count -= 3 * threes;
        } else {
            x = widen_three(p, in, at, (count < 3) ? count : 3, x, patches, &whole);
            count -= 3;
        }
    }
}

/* The same where the patches are the input's pixels themselves, one after the other: every third
 * pixel is a run of one long patch, the pixels between are those of the other two. */
static void widen_pixels(const mcuq_conv2d_dsp_params *p, const int8_t *in, int32_t count,
                         int16_t *x)
{
    const int32_t size = p->in_c;
    const int32_t threes = count / 3;
    const int32_t left = count - 3 * threes;
    patch_shape shape = {p->units, threes, 2 * size, 0, 0, size, 2 * size, 0, 0};
    if (threes > 0) {
        shape.fours = 2 * UNIT * p->units * threes;
        x = widen_patches(x, in, 1, &shape);
    }
    if (left > 0) {
        shape.runs = 1;
        shape.second = (left > 1) ? size : 0;
        shape.third = shape.second;
        (void)widen_patches(x, in + 3 * threes * size, 1, &shape);
    }
}

#endif
