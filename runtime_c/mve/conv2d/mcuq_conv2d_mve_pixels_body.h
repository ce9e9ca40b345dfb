/* mcuq_conv2d_mve_pixels_body.h: convolution in blocks of four pixels with Helium (MVE); a part
 * of the kernels that keep weights as bytes or as codes.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_MVE_BLOCK: a twin of mcuq_mve_block for other data; left undefined: that one
 */
#ifndef MCUQ_CONV2D_MVE_PIXELS_BODY_H
#define MCUQ_CONV2D_MVE_PIXELS_BODY_H

#include "mcuq_conv2d_mve.h"
#include "mcuq_mve.h"

#if !defined(MCUQ_MVE_BLOCK)
#define MCUQ_MVE_BLOCK mcuq_mve_block
#endif

#if defined(__ARM_FEATURE_MVE)

/** The inputs of one pixel to x, where its vectors lie 64 bytes apart: `count` vectors. */
static inline int8_t *load_run(const int8_t *from, int32_t count, int8_t *x)
{
    __asm volatile("dls lr, %[count]\n"
                   "1: vldrb.u8 q0, [%[from]], #16\n vstrb.8 q0, [%[x]], #64\n le lr, 1b\n"
                   : [from] "+&r"(from), [x] "+&r"(x)
                   : [count] "r"(count)
                   : "q0", "lr", "memory");
    return x;
}

/** As load_run, by 16-bit offsets: two gathers of 8 bytes a vector. */
static inline void gather_run(const int8_t *from, const uint16_t *taps, int32_t count, int8_t *x)
{
    __asm volatile("dls lr, %[count]\n"
                   "1: vldrh.u16 q0, [%[taps]], #16\n vldrh.u16 q1, [%[taps]], #16\n"
                   "vldrb.u16 q2, [%[from], q0]\n vldrb.u16 q3, [%[from], q1]\n"
                   "vstrb.16 q3, [%[x], #8]\n vstrb.16 q2, [%[x]], #64\n le lr, 1b\n"
                   : [taps] "+&r"(taps), [x] "+&l"(x)
                   : [from] "r"(from), [count] "r"(count)
                   : "q0", "q1", "q2", "q3", "lr", "memory");
}

/** As load_run, of four pixels `pitch` bytes apart: 9 instructions for 4 vectors. */
static inline int8_t *load_runs(const int8_t *from, int32_t pitch, int32_t count, int8_t *x)
{
    const int8_t *b = from + pitch;
    const int8_t *c = b + pitch;
    const int8_t *d = c + pitch;
    __asm volatile("dls lr, %[count]\n"
                   "1: vldrb.u8 q0, [%[a]], #16\n vldrb.u8 q1, [%[b]], #16\n"
                   "vldrb.u8 q2, [%[c]], #16\n vldrb.u8 q3, [%[d]], #16\n"
                   "vstrb.8 q0, [%[x]], #16\n vstrb.8 q1, [%[x]], #16\n"
                   "vstrb.8 q2, [%[x]], #16\n vstrb.8 q3, [%[x]], #16\n le lr, 1b\n"
                   : [a] "+&r"(from), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [x] "+&r"(x)
                   : [count] "r"(count)
                   : "q0", "q1", "q2", "q3", "lr", "memory");
    return x;
}

/** As gather_run, of four pixels `pitch` bytes apart: 20 instructions for 4 vectors. */
static inline void gather_runs(const int8_t *from, int32_t pitch, const uint16_t *taps,
                               int32_t count, int8_t *x)
{
    const int8_t *const b = from + pitch;
    const int8_t *const c = b + pitch;
    const int8_t *const d = c + pitch;
    __asm volatile("dls lr, %[count]\n"
                   "1: vldrh.u16 q0, [%[taps]], #16\n vldrh.u16 q1, [%[taps]], #16\n"
                   "vldrb.u16 q2, [%[a], q0]\n vldrb.u16 q3, [%[a], q1]\n"
                   "vldrb.u16 q4, [%[b], q0]\n vldrb.u16 q5, [%[b], q1]\n"
                   "vstrb.16 q2, [%[x]], #8\n vstrb.16 q3, [%[x]], #8\n"
                   "vstrb.16 q4, [%[x]], #8\n vstrb.16 q5, [%[x]], #8\n"
                   "vldrb.u16 q2, [%[c], q0]\n vldrb.u16 q3, [%[c], q1]\n"
                   "vldrb.u16 q4, [%[d], q0]\n vldrb.u16 q5, [%[d], q1]\n"
                   "vstrb.16 q2, [%[x]], #8\n vstrb.16 q3, [%[x]], #8\n"
                   "vstrb.16 q4, [%[x]], #8\n vstrb.16 q5, [%[x]], #8\n le lr, 1b\n"
                   : [taps] "+&r"(taps), [x] "+&l"(x)
                   : [a] "r"(from), [b] "h"(b), [c] "h"(c), [d] "h"(d), [count] "h"(count)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "lr", "memory");
}

#else

static inline int8_t *load_run(const int8_t *from, int32_t count, int8_t *x)
{
    for (int32_t i = 0; i < count; i++, x += 64) {
        memcpy(x, from + 16 * i, 16);
    }
    return x;
}

static inline void gather_run(const int8_t *from, const uint16_t *taps, int32_t count, int8_t *x)
{
    for (int32_t k = 0; k < 16 * count; k++) {
        x[k / 16 * 64 + k % 16] = from[taps[k]];
    }
}

static inline int8_t *load_runs(const int8_t *from, int32_t pitch, int32_t count, int8_t *x)
{
    for (int32_t i = 0; i < 4; i++) {
        load_run(from + i * pitch, count, x + 16 * i);
    }
    return x + 64 * count;
}

static inline void gather_runs(const int8_t *from, int32_t pitch, const uint16_t *taps,
                               int32_t count, int8_t *x)
{
    for (int32_t i = 0; i < 4; i++) {
        gather_run(from + i * pitch, taps, count, x + 16 * i);
    }
}

#endif

/** Copies the input rows first, first + dilation_h, ... that the window holds; those outside the
 *  input are padding. The columns of padding were filled before. */
static void load_window(const mcuq_conv2d_mve_params *p, const int8_t *in, int32_t first,
                        int8_t *window)
{
    const int32_t dilation = (p->window_rows == p->kernel_h) ? p->dilation_h : 1;
    const int32_t pitch = p->window_w * p->in_c;
    const int32_t room = p->window_w - p->pad_left;
    const int32_t bytes = ((room < p->in_w) ? room : p->in_w) * p->in_c;
    window += p->pad_left * p->in_c;
    for (int32_t i = 0; i < p->window_rows; i++) {
        const int32_t y = first + i * dilation;
        if (y >= 0 && y < p->in_h) {
            mcuq_mve_copy(window, in + y * p->in_w * p->in_c, bytes);
        } else {
            mcuq_mve_fill(window, p->pad_value, bytes);
        }
        window += pitch;
    }
}

/** The inputs of one output pixel, or of four that neighbour each other. */
static void load_pixels(const mcuq_conv2d_mve_params *p, const int8_t *from, int four, int8_t *x)
{
    const int32_t next = p->stride_w * p->in_c;
    if (p->taps != 0 && four) {
        gather_runs(from, next, p->taps, p->steps, x);
        return;
    }
    if (p->taps != 0) {
        gather_run(from, p->taps, p->steps, x);
        return;
    }
    const int32_t joined = (p->dilation_w == 1) ? p->kernel_w : 1;
    const int32_t pitch = p->window_w * p->in_c;
    const int32_t row_step = (p->window_rows == p->kernel_h) ? 1 : p->dilation_h;
    for (int32_t y = 0; y < p->kernel_h; y++) {
        for (int32_t kx = 0; kx < p->kernel_w; kx += joined) {
            const int8_t *const run = from + kx * p->dilation_w * p->in_c;
            const int32_t count = joined * p->in_c / 16;
            x = four ? load_runs(run, next, count, x) : load_run(run, count, x);
        }
        from += row_step * pitch;
    }
}

/** As load_pixels, straight from the input: up to four pixels of a row, `left` remain in it. */
static void load_direct(const mcuq_conv2d_mve_params *p, const int8_t *in, int32_t left, int8_t *x)
{
    int32_t step1 = p->stride_w * p->in_c;
    int32_t step2 = step1;
    int32_t step3 = step1;
    if (left < 4) {
        step2 = (left > 2) ? step1 : 0;
        step1 = (left > 1) ? step1 : 0;
        step3 = 0;
    }
    mcuq_mve_load_four(in, in + step1, in + step1 + step2, in + step1 + step2 + step3, p->in_c, x);
}

/** Where the inputs of output row y start: in the input itself, or in the window, which is loaded
 *  for each row, or once if it holds all rows. */
static const int8_t *row_start(const mcuq_conv2d_mve_params *p, const int8_t *in, int32_t y,
                               int8_t *window)
{
    if (p->window_rows == 0) {
        return in + y * p->stride_h * p->in_w * p->in_c;
    }
    if (p->window_rows != p->kernel_h && y > 0) {
        return window + y * p->stride_h * p->window_w * p->in_c;
    }
    load_window(p, in, y * p->stride_h - p->pad_top, window);
    return window;
}

/* All output channels of p, whose pixels lie `pitch` bytes apart in out. */
static inline void run_conv2d(const mcuq_conv2d_mve_params *p, const int8_t *in, int8_t *out,
                              int32_t *scratch, int32_t pitch)
{
    const mcuq_mve_job job = mcuq_mve_first_job(p, scratch);
    int8_t *const x = (int8_t *)scratch + ((const int8_t *)job.x - (const int8_t *)scratch);
    int8_t *const window = x + 64 * p->steps;
    const int direct = p->window_rows == 0;
    int32_t ready = 0; /* pixels in x */
    mcuq_mve_init(p->bias, p->out_c, scratch);
    mcuq_mve_fill(window, p->pad_value, p->window_rows * p->window_w * p->in_c);
    for (int32_t y = 0; y < p->out_h; y++) {
        const int8_t *from = row_start(p, in, y, window);
        for (int32_t left = p->out_w; left > 0;) {
            int32_t taken = (left < 4) ? left : 4;
            if (direct) {
                load_direct(p, from, left, x);
            } else {
                taken = (ready == 0 && left >= 4) ? 4 : 1;
                load_pixels(p, from, taken == 4, x + 16 * ready);
            }
            from += taken * p->stride_w * p->in_c;
            left -= taken;
            ready += taken;
            if (ready == 4 || (left == 0 && (direct || y == p->out_h - 1))) {
                MCUQ_MVE_BLOCK(p, &job, out, ready, pitch);
                out += ready * pitch;
                ready = 0;
            }
        }
    }
}

#endif
