#include "mcuq_mve.h"

#if defined(__ARM_FEATURE_MVE)

/* clang-format off */
/** A column of inputs lies in q6 or q7; q0 q2 q4 hold the taps of the first channel, q1 q3 q5 those
 *  of the second. PIXEL_i(x, w, v): the two products of pixel i. */
#define COLUMN(x) "vldrb.u8 q" #x ", [r1], #16\n"
#define TAP(w, v) "vldrb.u8 q" #w ", [r9], #16\n vldrb.u8 q" #v ", [r9], #16\n"
#define PRODUCT(acc, x, w) "vmladava.s8 " acc ", q" #x ", q" #w "\n"
#define PIXEL_0(x, w, v) PRODUCT("r0", x, w) PRODUCT("r8", x, v)
#define PIXEL_1(x, w, v) PRODUCT("r2", x, w) PRODUCT("r10", x, v)
#define PIXEL_2(x, w, v) PRODUCT("r4", x, w) PRODUCT("r12", x, v)
#define PIXEL_3(x, w, v) PRODUCT("r6", x, w) PRODUCT("lr", x, v)

/** Stride 1: 6 columns and 6 weight vectors for 24 VMLADAVA, 0.102 instructions per MAC. */
#define SEGMENT_STRIDE_1 \
    TAP(0, 1) COLUMN(6) PIXEL_0(6, 0, 1) \
    TAP(2, 3) COLUMN(7) PIXEL_0(7, 2, 3) PIXEL_1(7, 0, 1) \
    TAP(4, 5) COLUMN(6) PIXEL_0(6, 4, 5) PIXEL_1(6, 2, 3) PIXEL_2(6, 0, 1) \
    COLUMN(7) PIXEL_1(7, 4, 5) PIXEL_2(7, 2, 3) PIXEL_3(7, 0, 1) \
    COLUMN(6) PIXEL_2(6, 4, 5) PIXEL_3(6, 2, 3) \
    COLUMN(7) PIXEL_3(7, 4, 5)

/** Stride 2: 9 columns, 0.109 instructions per MAC. */
#define SEGMENT_STRIDE_2 \
    TAP(0, 1) COLUMN(6) PIXEL_0(6, 0, 1) \
    TAP(2, 3) COLUMN(7) PIXEL_0(7, 2, 3) \
    TAP(4, 5) COLUMN(6) PIXEL_0(6, 4, 5) PIXEL_1(6, 0, 1) \
    COLUMN(7) PIXEL_1(7, 2, 3) \
    COLUMN(6) PIXEL_1(6, 4, 5) PIXEL_2(6, 0, 1) \
    COLUMN(7) PIXEL_2(7, 2, 3) \
    COLUMN(6) PIXEL_2(6, 4, 5) PIXEL_3(6, 0, 1) \
    COLUMN(7) PIXEL_3(7, 2, 3) \
    COLUMN(6) PIXEL_3(6, 4, 5)
/* clang-format on */

/** A segment (16 channels of a window row) is known by its address. */
static inline uint32_t place(const int8_t *segment, const int8_t *window)
{
    (void)window;
    return (uint32_t)(uintptr_t)segment;
}

/** All segments of all pairs of channels; 3 instructions a segment and 6 a pair beside the
 * products. r1 column, r3 segments, r5 init, r7 the segments' end, r9 weights, r11 acc. */
#define DOT(segment)                                                                               \
    __asm volatile(MCUQ_MVE_LOAD_JOB "push {r0, r1, r7, lr}\n mov r7, r3\n"                        \
                                     "1: ldmia r5!, " MCUQ_MVE_ACC "\n ldr r3, [sp, #4]\n"         \
                                     "2: ldr r1, [r3], #4\n" segment "cmp r3, r7\n bne 2b\n"       \
                                     "stmia r11!, " MCUQ_MVE_ACC                                   \
                                     "\n ldr r0, [sp]\n cmp r11, r0\n bne 1b\n"                    \
                                     "pop {r0, r1, r7, lr}\n"                                      \
                   : "+&r"(at)                                                                     \
                   :                                                                               \
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", MCUQ_MVE_CLOBBERS)

/** acc = init + weights . window for 4 pixels of a row and an even number of channels. */
static inline void dot(const mcuq_mve_job *job, const int8_t *window, int32_t stride)
{
    register const mcuq_mve_job *at __asm("r0") = job;
    (void)window;
    if (stride == 1) {
        DOT(SEGMENT_STRIDE_1);
    } else {
        DOT(SEGMENT_STRIDE_2);
    }
}

#else

/** A segment is known by its offset: a pointer need not fit 32 bits here. */
static inline uint32_t place(const int8_t *segment, const int8_t *window)
{
    return (uint32_t)(segment - window);
}

static inline void dot(const mcuq_mve_job *job, const int8_t *window, int32_t stride)
{
    const uint32_t *const segments = job->x;
    const int32_t count = (int32_t)((const uint32_t *)job->x_end - segments);
    for (int32_t i = 0; i < job->acc_end - job->acc; i++) {
        int32_t sum = job->init[i];
        for (int32_t segment = 0; segment < count; segment++) {
            const int8_t *const row =
                job->weights + ((i / 8 * count + segment) * 6 + i / 4 % 2) * 16;
            const int8_t *const from = window + segments[segment] + 16 * stride * (i % 4);
            for (int32_t k = 0; k < 48; k++) {
                sum += row[k / 16 * 32 + k % 16] * from[k];
            }
        }
        job->acc[i] = sum;
    }
}

#endif

typedef struct {
    mcuq_mve_job job; /* x and x_end: the segments */
    uint32_t *segments;
    int8_t *window;
    int32_t groups;      /* of 16 input channels */
    int32_t group_bytes; /* of one group in a window row */
} state;

static state split(const mcuq_conv2d_mve_params *p, int32_t *scratch)
{
    state s;
    s.groups = p->in_c / 16;
    s.group_bytes = 16 * p->window_w;
    s.job = mcuq_mve_first_job(p, scratch);
    s.segments = (uint32_t *)(s.job.acc + 4 * mcuq_mve_chunk(p->out_c));
    s.job.x_end = s.segments + p->kernel_h * s.groups;
    s.window = (int8_t *)(s.segments + p->kernel_h * s.groups);
    return s;
}

/** Input row y, or padding, to one row of the window: [group][pixel][16]. */
static void load_row(const mcuq_conv2d_mve_params *p, const state *s, const int8_t *in, int32_t y,
                     int8_t *row)
{
    const int32_t room = p->window_w - p->pad_left;
    const int32_t count = (room < p->in_w) ? room : p->in_w;
    row += 16 * p->pad_left;
    for (int32_t g = 0; g < s->groups; g++) {
        if (y >= 0 && y < p->in_h) {
            mcuq_mve_copy_vectors(row, in + y * p->in_w * p->in_c + 16 * g, p->in_c, count);
        } else {
            mcuq_mve_fill(row, p->pad_value, 16 * count);
        }
        row += s->group_bytes;
    }
}

/** The segments of the window at column x: kernel_h rows from slot `first` on, around. */
static void aim(const mcuq_conv2d_mve_params *p, const state *s, int32_t first, int32_t x)
{
    uint32_t *to = s->segments;
    const int8_t *const end = s->window + p->kernel_h * s->groups * s->group_bytes;
    const int8_t *from = s->window + first * s->groups * s->group_bytes;
    for (int32_t i = 0; i < p->kernel_h * s->groups; i++) {
        *to++ = place(from + 16 * p->stride_w * x, s->window);
        from += s->group_bytes;
        from = (from == end) ? s->window : from;
    }
}

/** All output channels of four pixels. */
static void run_block(const mcuq_conv2d_mve_params *p, const state *s, int8_t *out, int32_t valid)
{
    const mcuq_mve_job *now = &s->job;
    mcuq_mve_job next;
    for (int32_t at = 0; at < p->out_c;) {
        dot(now, s->window, p->stride_w);
        mcuq_mve_store_block(p, s->job.acc, at, out, valid, p->out_c);
        at += MCUQ_MVE_CHUNK;
        if (at < p->out_c) {
            next = mcuq_mve_job_at(p, &s->job, at);
            now = &next;
        }
    }
}

void mcuq_conv2d_s8_mve_3wide(const mcuq_conv2d_mve_params *p, const int8_t *in, int8_t *out,
                              void *scratch)
{
    const state s = split(p, scratch);
    const int32_t row_bytes = s.groups * s.group_bytes;
    int32_t loaded = 0; /* padded input rows so far: row r lies in slot r % kernel_h of the ring */
    mcuq_mve_init(p->bias, p->out_c, scratch);
    mcuq_mve_fill(s.window, p->pad_value, p->kernel_h * row_bytes);
    for (int32_t y = 0, top = 0; y < p->out_h; y++, top += p->stride_h) {
        for (loaded = (loaded < top) ? top : loaded; loaded < top + p->kernel_h; loaded++) {
            int8_t *const row = s.window + loaded % p->kernel_h * row_bytes;
            load_row(p, &s, in, loaded - p->pad_top, row);
        }
        for (int32_t x = 0; x < p->out_w; x += 4) {
            const int32_t left = p->out_w - x;
            const int32_t valid = (left < 4) ? left : 4;
            aim(p, &s, top % p->kernel_h, x);
            run_block(p, &s, out, valid);
            out += valid * p->out_c;
        }
    }
}
