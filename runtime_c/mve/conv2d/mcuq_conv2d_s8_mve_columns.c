#include "mcuq_conv2d_columns_mve.h"
#include "mcuq_conv2d_columns_mve_blocks_body.h"

typedef struct {
    job blocks;
    int8_t *side; /* [4][16 * steps] pixels that wait for their block */
    int8_t *window;
    int32_t ready;  /* pixels in side */
    int32_t pitch;  /* bytes from a pixel to the next */
    int32_t column; /* bytes of a column of the window */
} state;

static void split(const mcuq_conv2d_columns_mve_params *p, int32_t *scratch, int8_t *out, state *s)
{
    const int32_t step = p->out_c;
    job *const j = &s->blocks;
    j->minus_shift = p->minus_shift;
    j->out = out;
    j->out_step[0] = j->out_step[1] = j->out_step[2] = step;
    j->rest = step & 3;
    j->bias = p->bias;
    j->weights = p->weights;
    j->acc = scratch;
    j->out_min = p->out_range[0];
    j->out_max = p->out_range[1];
    j->fours = step >> 2;
    j->acc_end = scratch + 4 * ((step + 1) & ~1);
    j->code = (p->steps > 1) ? 56 * p->steps - 60 : 0; /* the 15th step is 4 bytes shorter */
    j->steps = p->steps;
    s->side = (int8_t *)(scratch + 4 * ((step + 3) & ~3));
    s->window = s->side + ((p->last_w % 4 != 0 || p->last_w < p->out_w) ? 64 * p->steps : 16);
    s->ready = 0;
    s->column = p->kernel_h * p->in_c;
    s->pitch = p->stride_w * ((p->window_w > 0) ? s->column : p->in_c);
}

/** `count` columns of padding in a row of the window. */
static void pad_row(const mcuq_conv2d_columns_mve_params *p, int8_t *to, int32_t column,
                    int32_t count)
{
    for (int32_t c = 0; c < p->in_c && count > 0; c += 16) {
        fill(to + c, column, p->pad_value, p->in_c - c, count);
    }
}

/** Padded row `row` to its place. */
static void load_row(const mcuq_conv2d_columns_mve_params *p, const state *s, const int8_t *in,
                     int32_t row)
{
    const int32_t y = row - p->pad_top;
    int8_t *to = s->window + row * p->in_c;
    if (y < 0 || y >= p->in_h) {
        pad_row(p, to, s->column, p->window_w);
        return;
    }
    pad_row(p, to, s->column, p->pad_left);
    to += p->pad_left * s->column;
    const int8_t *from = in + y * p->in_w * p->in_c;
    for (int32_t c = 0; c < p->in_c; c += 16) {
        const int32_t bytes = (p->in_c - c > 16) ? 16 * p->copy_w : p->last_bytes;
        spread(to + c, p->together * s->column, from + c, p->together * p->in_c, p->offsets + c,
               bytes);
    }
    pad_row(p, to + p->copy_w * s->column, s->column, p->window_w - p->pad_left - p->copy_w);
}

/** Copies `count` pixels aside, and runs their block when there are four. */
static void run_aside(const mcuq_conv2d_columns_mve_params *p, state *s, const int8_t *from,
                      int32_t count)
{
    const int32_t depth = p->kernel_w * ((p->window_w > 0) ? s->column : p->in_c);
    for (; count > 0; count--, from += s->pitch) {
        mcuq_mve_copy(s->side + 16 * p->steps * s->ready, from, depth);
        if (++s->ready == 4) {
            run_blocks(&s->blocks, s->side, 16 * p->steps, 1);
            s->ready = 0;
        }
    }
}

/** One output row, whose first pixel's inputs start at x: the first pixels complete a block that
 *  the row before began; the pixels up to `in_place` may be read where they are. */
static void run_row(const mcuq_conv2d_columns_mve_params *p, state *s, const int8_t *x,
                    int32_t in_place)
{
    int32_t done = 0;
    if (s->ready != 0) {
        done = (4 - s->ready < p->out_w) ? 4 - s->ready : p->out_w;
        run_aside(p, s, x, done);
        x += done * s->pitch;
    }
    const int32_t blocks = (in_place - done) >> 2;
    if (blocks > 0) {
        run_blocks(&s->blocks, x, s->pitch, blocks);
        done += 4 * blocks;
        x += 4 * blocks * s->pitch;
    }
    if (done < p->out_w) {
        run_aside(p, s, x, p->out_w - done);
    }
}

/** The pixels that are left: fewer than four. */
static void run_last(const mcuq_conv2d_columns_mve_params *p, state *s)
{
    job *const j = &s->blocks;
    if (s->ready == 1) {
        run_pixel(j, s->side, j->out);
    } else if (s->ready > 1) {
        j->out_step[1] = (s->ready > 2) ? p->out_c : 0;
        j->out_step[2] = 0;
        run_blocks(j, s->side, 16 * p->steps, 1);
    }
}

void mcuq_conv2d_s8_mve_columns(const mcuq_conv2d_columns_mve_params *p, const int8_t *in,
                                int8_t *out, void *scratch)
{
    state s;
    int32_t loaded = 0; /* padded rows so far */
    split(p, scratch, out, &s);
    for (int32_t y = 0, top = 0; y < p->out_h; y++, top += p->stride_h) {
        const int32_t in_place = (y == p->out_h - 1) ? p->last_w : p->out_w;
        if (p->window_w == 0) {
            run_row(p, &s, in + top * p->in_w * p->in_c, in_place);
            continue;
        }
        for (loaded = (loaded < top) ? top : loaded; loaded < top + p->kernel_h; loaded++) {
            load_row(p, &s, in, loaded);
        }
        run_row(p, &s, s.window + top * p->in_c, in_place);
    }
    run_last(p, &s);
}
