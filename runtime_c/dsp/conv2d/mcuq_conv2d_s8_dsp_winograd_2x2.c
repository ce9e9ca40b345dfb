/* Convolution by Winograd's F(2x2, 3x3): a tile of 2x2 outputs from 4x4 inputs with 16
 * multiplications instead of 36. In one dimension, from four inputs d and three weights g:
 *     m0 = (d0 - d2) * 2 g0              m1 = (d1 + d2) * (g0 + g1 + g2)
 *     m2 = (d2 - d1) * (g0 - g1 + g2)    m3 = (d1 - d3) * 2 g2
 *     2 y0 = m0 + m1 + m2                2 y1 = m1 - m2 - m3
 * In two dimensions it is done to columns, then to rows; everything is 4 times too large, the
 * biases too, and the shifts are greater by 2: it is exact. The inputs' sums are at most 512, the
 * weights' at most 1152: int16. The sums of products may wrap around; the outputs do not.
 *
 * For every two rows of outputs: the columns of all their inputs, and for every pair of tiles their
 * rows; then for every four channels 16 sums of products over the input channels, and the outputs.
 */
#include "mcuq_conv2d_winograd_2x2.h"
#include "mcuq_dsp.h"

enum { TILE = 2, PAIR = 4, PRODUCTS = 16, GROUP = 4, SUM_BYTES = 512 };

/* The columns' transform of four rows of `count` bytes to words [count / 2][4], inputs in int16
 * order. 36 cycles for 4 columns. count: a multiple of 4, not 0. rows: any alignment.
 * r0-r3 rows, r4-r11 data, r12 to, lr data. Frame: the end of row 0. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static void columns(MCUQ_NAKED_ARGUMENT const int8_t *const rows[4],
                               MCUQ_NAKED_ARGUMENT int16_t *to, MCUQ_NAKED_ARGUMENT int32_t count)
{
    __asm volatile("push {r3-r11, lr}\n"
                   " mov r12, r1\n"
                   " mov r4, r2\n"
                   " ldmia r0, {r0-r3}\n"
                   " add r4, r0\n"
                   " str r4, [sp]\n"
                   "1:\n"
                   " ldr r8, [r0], #4\n"
                   " ldr r9, [r1], #4\n"
                   " ldr r10, [r2], #4\n"
                   " ldr r11, [r3], #4\n"
                   " sxtb16 r4, r8\n"
                   " sxtb16 lr, r9\n"
                   " sxtb16 r6, r10\n"
                   " sxtb16 r7, r11\n"
                   " ssub16 r4, r4, r6\n"
                   " sadd16 r5, lr, r6\n"
                   " ssub16 r6, r6, lr\n"
                   " ssub16 r7, lr, r7\n"
                   " sxtb16 r8, r8, ror #8\n"
                   " sxtb16 lr, r9, ror #8\n"
                   " sxtb16 r10, r10, ror #8\n"
                   " sxtb16 r11, r11, ror #8\n"
                   " ssub16 r8, r8, r10\n"
                   " sadd16 r9, lr, r10\n"
                   " ssub16 r10, r10, lr\n"
                   " ssub16 r11, lr, r11\n"
                   " stmia r12!, {r4-r11}\n"
                   " ldr lr, [sp]\n"
                   " cmp r0, lr\n"
                   " bne 1b\n"
                   " pop {r3-r11, pc}\n");
}
#else
static void columns(const int8_t *const rows[4], int16_t *to, int32_t count)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    for (int32_t i = 0; i < count; i++) {
        const int32_t from = (i & ~3) + order[i & 3];
        const int32_t d[4] = {rows[0][from], rows[1][from], rows[2][from], rows[3][from]};
        int16_t *t = to + 8 * (i >> 1) + (i & 1);
        t[0] = (int16_t)(d[0] - d[2]);
        t[2] = (int16_t)(d[1] + d[2]);
        t[4] = (int16_t)(d[2] - d[1]);
        t[6] = (int16_t)(d[1] - d[3]);
    }
}
#endif

/* The rows' transform of a pair of tiles: words [6 columns][pitch] to [pitch][4][2 tiles].
 * 25 cycles for 6 columns of a word. pitch: a multiple of 4, not 0.
 * r0 columns 0 to 2, r1 columns 3 to 5, r2 pitch in bytes, r3 to, r4-r12 data, lr end. */
#if MCUQ_DSP_ASM
#define ROW                                                                                        \
    " ldr r10, [r0, r2]\n ldr r8, [r0, r2, lsl #1]\n ldr r12, [r1, r2]\n"                          \
    " ldr r11, [r1, r2, lsl #1]\n ldr r9, [r1], #4\n ldr r4, [r0], #4\n"                           \
    " ssub16 r5, r8, r12\n ssub16 r4, r4, r8\n sadd16 r6, r10, r8\n sadd16 r7, r9, r12\n"          \
    " ssub16 r8, r8, r10\n ssub16 r10, r10, r9\n ssub16 r11, r9, r11\n ssub16 r9, r12, r9\n"       \
    " stmia r3!, {r4-r11}\n"
MCUQ_NAKED static void tile_rows(MCUQ_NAKED_ARGUMENT const int16_t *from,
                                 MCUQ_NAKED_ARGUMENT int16_t *to, MCUQ_NAKED_ARGUMENT int32_t pitch)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " add lr, r1, r2, lsl #5\n"
                   " mov r3, r1\n"
                   " lsl r2, r2, #2\n"
                   " add r1, r2, r2, lsl #1\n"
                   " add r1, r0\n"
                   "1:\n" ROW ROW ROW ROW " cmp r3, lr\n"
                   " bne 1b\n"
                   " pop {r4-r11, pc}\n");
}
#else
static void tile_rows(const int16_t *from, int16_t *to, int32_t pitch)
{
    for (int32_t i = 0; i < 4 * pitch; i++) {
        const int32_t tile = (i >> 1) & 1;
        const int32_t word = i >> 2;
        const int16_t *d = from + 4 * tile * pitch + 2 * word + (i & 1);
        int16_t *x = to + PRODUCTS * word + (i & 3);
        x[0] = (int16_t)(d[0] - d[4 * pitch]);
        x[4] = (int16_t)(d[2 * pitch] + d[4 * pitch]);
        x[8] = (int16_t)(d[4 * pitch] - d[2 * pitch]);
        x[12] = (int16_t)(d[2 * pitch] - d[6 * pitch]);
    }
}
#endif

/* All channels of a pair of tiles; the assembly knows this layout. x: words [in_c / 2][16 products]
 * [2 tiles]. sums: [16][4 channels][2 tiles]. words: in_c / 2. out: from row to row, and from
 * column to column (which is also the number of channels), in bytes. */
typedef struct {
    const uint32_t *weights;
    const int16_t *x;
    int32_t *sums;
    int8_t *out;
    int32_t row, column, words;
} pair_job;

/* Block: 2 tiles x 4 channels, 8 accumulators, 2 + 2 operands, 2 pointers: all 14 registers. 16
 * cycles (13 instructions) for 16 MAC, which are 36 of a direct convolution. 26 more for each of
 * the 16 sums and 6 for each 8 words beyond the first 16; 530 cycles for the 32 outputs.
 * r0 x, r1 weights, r2-r9 sums (channel 0 tile 0, tile 1, channel 1 ...), r10-r12, lr operands.
 * Frame: 0 sums, 4 from the end of x to the next product, 8 end of sums, 12 how 8 words go on,
 * 16 end of x less a quarter of sums, 20 x, 24 out, 28 row, 32 column, 36 groups of channels. */
#if MCUQ_DSP_ASM
#define ANEW(sum, x, w) " smuad " sum ", " x ", " w "\n"
#define ONTO(sum, x, w) " smlad " sum ", " x ", " w ", " sum "\n"
#define STEP(multiply)                                                                             \
    " ldr r11, [r0, #4]\n ldr r10, [r0], #128\n ldr lr, [r1, #4]\n ldr r12, [r1], #8\n" multiply(  \
        "r2", "r10", "r12") multiply("r3", "r11", "r12") multiply("r4", "r10", "lr")               \
        multiply("r5", "r11", "lr") " ldrd r12, lr, [r1], #8\n" multiply("r6", "r10", "r12")       \
            multiply("r7", "r11", "r12") multiply("r8", "r10", "lr") multiply("r9", "r11", "lr")
#define STEP_4 STEP(ONTO) STEP(ONTO) STEP(ONTO) STEP(ONTO)
#define STEP_8 STEP_4 STEP_4
#define STEP_8_ANEW STEP(ANEW) STEP(ONTO) STEP(ONTO) STEP(ONTO) STEP_4
/* Four products of a tile: what its first and its second column take of them. */
#define SUMS(a, b, c, d, first, second, more)                                                      \
    " ldr r8, [r0, #" #a "]\n ldr r9, [r0, #" #b "]\n ldr r10, [r0, #" #c "]\n ldr r11, [r0, #" #d \
    "]\n" more " add " first ", r8, r9\n sub " second ", r9, r10\n"                                \
    " add " first ", " first ", r10\n sub " second ", " second ", r11\n"
#define SUMS_0(a, b, c, d) SUMS(a, b, c, d, "r4", "r5", "")
#define SUMS_1(a, b, c, d)                                                                         \
    SUMS(a, b, c, d, "r6", "r7", " add r9, r9, r2\n") " add r4, r4, r6\n add r5, r5, r7\n"
#define SUMS_2(a, b, c, d)                                                                         \
    SUMS(a, b, c, d, "r8", "r9", "")                                                               \
    " add r4, r4, r8\n sub r6, r6, r8\n add r5, r5, r9\n sub r7, r7, r9\n"
#define SUMS_3(a, b, c, d) SUMS(a, b, c, d, "r8", "r9", "") " sub r6, r6, r8\n sub r7, r7, r9\n"
/* The outputs from the sums in r4-r7, at place (r9) and a row (r8) below. */
#define OUTPUTS(place)                                                                             \
    " ldr r8, [sp, #28]\n asrs r4, r3\n asrs r5, r3\n asrs r6, r3\n asrs r7, r3\n" place           \
    " add r8, r9\n ssat r4, #8, r4\n ssat r5, #8, r5\n ssat r6, #8, r6\n ssat r7, #8, r7\n"        \
    " strb r4, [r9]\n strb r6, [r8]\n strb r5, [r9, lr]\n strb r7, [r8, lr]\n"
#define TILE_0                                                                                     \
    SUMS_0(0, 32, 64, 96)                                                                          \
    SUMS_1(128, 160, 192, 224)                                                                     \
    SUMS_2(256, 288, 320, 352) SUMS_3(384, 416, 448, 480) OUTPUTS(" mov r9, r12\n")
#define TILE_1                                                                                     \
    SUMS_0(4, 36, 68, 100)                                                                         \
    SUMS_1(132, 164, 196, 228)                                                                     \
    SUMS_2(260, 292, 324, 356) SUMS_3(388, 420, 452, 484) OUTPUTS(" add r9, r12, lr, lsl #1\n")
MCUQ_NAKED static void run_pair(MCUQ_NAKED_ARGUMENT const pair_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #40\n"
                   " ldmia r0, {r1-r7}\n"
                   " strd r4, r5, [sp, #24]\n"
                   " str r6, [sp, #32]\n"
                   " lsr r6, r6, #2\n"
                   " str r6, [sp, #36]\n"
                   " str r3, [sp]\n"
                   " lsl r4, r7, #7\n"
                   " add r5, r2, r4\n"
                   " sub r5, r5, r3, lsr #2\n"
                   " strd r5, r2, [sp, #16]\n"
                   " sub r4, #8\n"
                   " add r3, #512\n"
                   " strd r4, r3, [sp, #4]\n"
                   /* after the first 8 words: others are left, or none */
                   " adr.w r4, 3f\n"
                   " cmp r7, #8\n"
                   " it eq\n"
                   " adreq.w r4, 5f\n"
                   " orr r4, #1\n"
                   " str r4, [sp, #12]\n"
                   " mov r0, r2\n"
                   /* a sum of products */
                   "1:\n" STEP_8_ANEW " ldr pc, [sp, #12]\n"
                   ".balign 4\n"
                   "3:\n" STEP_8 " ldr r10, [sp, #16]\n"
                   " ldr r11, [sp]\n"
                   " add r10, r10, r11, lsr #2\n"
                   " cmp r0, r10\n"
                   " bne.w 3b\n"
                   ".balign 4\n"
                   "5:\n"
                   " ldmia sp, {r10-r12}\n"
                   " stmia r10!, {r2-r9}\n"
                   " sub r0, r11\n"
                   " str r10, [sp]\n"
                   " cmp r10, r12\n"
                   " bne.w 1b\n"
                   /* outputs, channel by channel */
                   " sub r0, r10, #512\n"
                   " str r0, [sp]\n"
                   " ldr r12, [sp, #24]\n"
                   " ldr lr, [sp, #32]\n"
                   "6:\n"
                   " ldrd r2, r3, [r1], #8\n" TILE_0 TILE_1 " add r0, #8\n"
                   " add r12, #1\n"
                   " cmp r3, #0\n"
                   " bge.w 6b\n"
                   " ldr r0, [sp, #20]\n"
                   " ldr r2, [sp, #36]\n"
                   " str r12, [sp, #24]\n"
                   " subs r2, #1\n"
                   " str r2, [sp, #36]\n"
                   " bne.w 1b\n"
                   " add sp, #40\n"
                   " pop {r4-r11, pc}\n");
}
#else
static int32_t half(uint32_t word, int32_t index)
{
    return (int16_t)((word >> (16 * index)) & 0xffffu);
}

static void run_tile(const pair_job *job, const uint32_t *weights, const uint32_t *head,
                     int32_t tile, int8_t *out)
{
    uint32_t rows[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}};
    for (int32_t product = 0; product < PRODUCTS; product++) {
        const int16_t *x = job->x + 4 * product + 2 * tile;
        const int32_t i = product & 3;
        uint32_t sum = (product == 5) ? head[0] : 0;
        for (int32_t word = 0; word < job->words; word++) {
            const uint32_t w = weights[GROUP * (job->words * product + word)];
            sum += (uint32_t)(x[4 * PRODUCTS * word] * half(w, 0));
            sum += (uint32_t)(x[4 * PRODUCTS * word + 1] * half(w, 1));
        }
        /* 2 y0 = m0 + m1 + m2, 2 y1 = m1 - m2 - m3, of the rows here, of the columns below */
        rows[0][product >> 2] += (i < 3) ? sum : 0;
        rows[1][product >> 2] += (i == 1) ? sum : (i > 1) ? 0u - sum : 0;
    }
    for (int32_t x = 0; x < TILE; x++) {
        const uint32_t *m = rows[x];
        const uint32_t y[2] = {m[0] + m[1] + m[2], m[1] - m[2] - m[3]};
        for (int32_t i = 0; i < TILE; i++) {
            out[i * job->row + x * job->column] =
                mcuq_requant((int32_t)y[i], head[1] & 31, -128, 127);
        }
    }
}

static void run_pair(const pair_job *job)
{
    const uint32_t *weights = job->weights;
    for (int32_t channel = 0; channel < job->column; channel++) {
        const uint32_t *head = weights + GROUP * PRODUCTS * job->words;
        for (int32_t tile = 0; tile < 2; tile++) {
            run_tile(job, weights + (channel & 3), head + 2 * (channel & 3), tile,
                     job->out + channel + TILE * tile * job->column);
        }
        if ((channel & 3) == 3) {
            weights = head + 2 * GROUP;
        }
    }
}
#endif

/* Where everything lies in scratch. row: one of padding. edge: the outputs of a pair of tiles. */
typedef struct {
    int16_t *columns, *x;
    int32_t *sums;
    int8_t *row, *edge;
    int32_t pairs;
} places;

static places divide(const mcuq_conv2d_winograd_2x2_params *p, void *scratch)
{
    const int32_t channels = p->in_c;
    places at;
    at.pairs = (p->out_w + PAIR - 1) / PAIR;
    at.columns = scratch;
    at.x = at.columns + 4 * channels * (PAIR * at.pairs + 2);
    at.sums = (int32_t *)(void *)(at.x + 2 * PRODUCTS * channels);
    at.row = (int8_t *)(at.sums + SUM_BYTES / 4);
    at.edge = at.row + p->in_w * channels;
    return at;
}

/* The transform of columns of padding, from `first` to before `end`. */
static void pad_columns(const mcuq_conv2d_winograd_2x2_params *p, int16_t *all, int32_t first,
                        int32_t end)
{
    const int32_t size = 4 * p->in_c;
    int16_t *to = all + first * size;
    for (int32_t i = 0; i < (end - first) * size; i++) {
        to[i] = (int16_t)(((i >> 1 & 3) == 1) ? 2 * p->pad_value : 0);
    }
}

/* Outputs of the pair of tiles at row y and column x that lie in the image, from at->edge. */
static void copy_edge(const mcuq_conv2d_winograd_2x2_params *p, const int8_t *edge, int32_t y,
                      int32_t x, int8_t *out)
{
    const int32_t rows = (p->out_h - y < TILE) ? 1 : TILE;
    const int32_t width = (p->out_w - x < PAIR) ? p->out_w - x : PAIR;
    for (int32_t row = 0; row < rows; row++) {
        memcpy(out + row * p->out_w * p->out_c, edge + row * PAIR * p->out_c,
               (size_t)(width * p->out_c));
    }
}

void mcuq_conv2d_s8_dsp_winograd_2x2(const mcuq_conv2d_winograd_2x2_params *p, const int8_t *in,
                                     int8_t *out, void *scratch)
{
    const places at = divide(p, scratch);
    const int32_t line = p->in_w * p->in_c;
    const int32_t width = PAIR * at.pairs + 2;
    const int32_t room = width - p->pad_left;
    const int32_t inside = (p->in_w < room) ? p->in_w : room;
    const int32_t pitch = 2 * p->in_c;
    pair_job job = {p->weights, at.x, at.sums, NULL, 0, p->out_c, p->in_c / 2};
    memset(at.row, p->pad_value, (size_t)line);
    pad_columns(p, at.columns, 0, p->pad_left);
    pad_columns(p, at.columns, p->pad_left + inside, width);
    for (int32_t y = 0; y < p->out_h; y += TILE) {
        const int8_t *rows[4];
        for (int32_t i = 0; i < 4; i++) {
            const int32_t row = y - p->pad_top + i;
            rows[i] = (row >= 0 && row < p->in_h) ? in + row * line : at.row;
        }
        columns(rows, at.columns + p->pad_left * 2 * pitch, inside * p->in_c);
        for (int32_t x = 0; x < p->out_w; x += PAIR) {
            int8_t *const to = out + (y * p->out_w + x) * p->out_c;
            const int32_t whole = y + TILE <= p->out_h && x + PAIR <= p->out_w;
            tile_rows(at.columns + x * 2 * pitch, at.x, pitch);
            job.out = whole ? to : at.edge;
            job.row = (whole ? p->out_w : PAIR) * p->out_c;
            run_pair(&job);
            if (!whole) {
                copy_edge(p, at.edge, y, x, to);
            }
        }
    }
    mcuq_dsp_clamp(out, p->out_h * p->out_w * p->out_c, p->out_min, p->out_max);
}
