#include "mcuq_conv2d_block.h"
#include "mcuq_pair.h"
#include "mcuq_requant.h"

/* Where the window of an output pixel starts in the input; may lie outside. */
typedef struct {
    int32_t y, x;
} place;

/* x[0], x[2], ... = the pairs of a[i] and b[i], x[1], x[3], ... = those of c[i] and d[i]. */
static uint32_t *merge(const int8_t *const from[4], uint32_t *x, int32_t count)
{
    const int8_t *const a = from[0] + count;
    const int8_t *const b = from[1] + count;
    const int8_t *const c = from[2] + count;
    const int8_t *const d = from[3] + count;
    for (int32_t i = -count; i != 0; i++) {
        x[0] = mcuq_pair(a[i], b[i]);
        x[1] = mcuq_pair(c[i], d[i]);
        x += 2;
    }
    return x;
}

static int inside(int32_t at, int32_t span, int32_t size)
{
    return at >= 0 && at + span <= size;
}

/* The taps of one kernel row, one position at a time: some lie outside and read `pad`. */
static uint32_t *merge_edge(const mcuq_conv2d_block_params *p, const int8_t *in, const place at[4],
                            int32_t down, const int8_t *pad, uint32_t *x)
{
    for (int32_t k = 0; k < p->kernel_w; k++) {
        const int8_t *from[4];
        for (int32_t i = 0; i < 4; i++) {
            const int32_t row = at[i].y + down;
            const int32_t column = at[i].x + k * p->dilation_w;
            const int within = inside(row, 1, p->in_h) && inside(column, 1, p->in_w);
            from[i] = within ? in + (row * p->in_w + column) * p->in_c : pad;
        }
        x = merge(from, x, p->in_c);
    }
    return x;
}

/* The inputs of four output pixels as pair words, kernel row by kernel row. */
static void gather(const mcuq_conv2d_block_params *p, const int8_t *in, const place at[4],
                   const int8_t *pad, uint32_t *x)
{
    int whole = p->dilation_w == 1 || p->kernel_w == 1;
    for (int32_t i = 0; i < 4; i++) {
        whole = whole && inside(at[i].x, p->kernel_w, p->in_w) &&
                inside(at[i].y, (p->kernel_h - 1) * p->dilation_h + 1, p->in_h);
    }
    for (int32_t k = 0; k < p->kernel_h; k++) {
        const int32_t down = k * p->dilation_h;
        if (whole) {
            const int8_t *from[4];
            for (int32_t i = 0; i < 4; i++) {
                from[i] = in + ((at[i].y + down) * p->in_w + at[i].x) * p->in_c;
            }
            x = merge(from, x, p->kernel_w * p->in_c);
        } else {
            x = merge_edge(p, in, at, down, pad, x);
        }
    }
}

/* Adds the weights that the groups could not hold. */
static const uint8_t *add_extra(const uint8_t *extra, const uint32_t *x, int32_t sum[4])
{
    for (int32_t count = *extra++; count > 0; count--) {
        x += 2 * extra[0];
        const uint32_t weight = (uint32_t)(int8_t)extra[1];
        for (int32_t i = 0; i < 2; i++) {
            const uint32_t a = x[i] * weight;
            const uint32_t high = mcuq_pair_high(a);
            sum[2 * i] += (int32_t)(a - (high << 16));
            sum[2 * i + 1] += (int32_t)high;
        }
        extra += 2;
    }
    return extra;
}

/* All output channels of `count` pixels. */
static void run_block(const mcuq_conv2d_block_params *p, const uint32_t *x, int32_t count,
                      int8_t *out)
{
    const int8_t *weights = p->weights;
    const uint8_t *extra = p->extra;
    const int32_t low = p->out_min;
    const int32_t high = p->out_max;
    for (int32_t o = 0; o < p->out_c; o++) {
        int32_t sum[4];
        mcuq_pair_4x1(weights, x, p->taps, sum);
        if (extra != 0) {
            extra = add_extra(extra, x, sum);
        }
        const int32_t bias = p->bias[o];
        const int shift = p->shift[o];
        int8_t *y = out + o;
        for (int32_t i = 0; i < count; i++) {
            *y = mcuq_requant(sum[i] + bias, shift, low, high);
            y += p->out_c;
        }
        weights += p->taps;
    }
}

void mcuq_conv2d_s8_block(const mcuq_conv2d_block_params *p, const int8_t *in, int8_t *out,
                          void *scratch)
{
    uint32_t *const x = scratch;
    int8_t *const pad = (int8_t *)(x + 2 * p->taps);
    const int32_t left = -p->pad_left;
    const int32_t end = left + p->out_w * p->stride_w;
    place next = {-p->pad_top, left};
    for (int32_t i = 0; i < p->in_c; i++) {
        pad[i] = p->pad_value;
    }
    for (int32_t pixels = p->out_h * p->out_w; pixels > 0; pixels -= 4) {
        const int32_t count = (pixels < 4) ? pixels : 4;
        place at[4];
        for (int32_t i = 0; i < 4; i++) {
            at[i] = (i < count) ? next : at[0];
            next.x += p->stride_w;
            if (next.x == end) {
                next.x = left;
                next.y += p->stride_h;
            }
        }
        gather(p, in, at, pad, x);
        run_block(p, x, count, out);
        out += 4 * p->out_c;
    }
}
