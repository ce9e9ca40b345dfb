#include "mcuq_signal.h"

#include <limits.h>

typedef struct {
    int32_t left, right, top, bottom;
} mcuq_box;

static int32_t at(const int8_t *data, int32_t wide, int32_t place)
{
    const int16_t *halves = (const int16_t *)(const void *)data;
    return wide ? halves[place] : data[place];
}

/* Sides in the order of the input's axes; of a center box twice the numbers. */
static mcuq_box box_at(const mcuq_nms_params *p, const int8_t *boxes, int32_t number)
{
    const int32_t place = p->box_start + number * p->box_step;
    int32_t v[4];

    for (int32_t i = 0; i < 4; i++) {
        v[i] = at(boxes, p->wide_boxes, place + i * p->box_apart) - p->zero;
    }
    if (p->center) {
        return (mcuq_box){2 * v[0] - v[2], 2 * v[0] + v[2], 2 * v[1] - v[3], 2 * v[1] + v[3]};
    }
    return (mcuq_box){v[0] < v[2] ? v[0] : v[2], v[0] < v[2] ? v[2] : v[0],
                      v[1] < v[3] ? v[1] : v[3], v[1] < v[3] ? v[3] : v[1]};
}

static int64_t area_of(const mcuq_box *b)
{
    return (int64_t)(b->right - b->left) * (b->bottom - b->top);
}

static int overlap(const mcuq_nms_params *p, const mcuq_box *a, const mcuq_box *b)
{
    const mcuq_box both = {
        a->left > b->left ? a->left : b->left, a->right < b->right ? a->right : b->right,
        a->top > b->top ? a->top : b->top, a->bottom < b->bottom ? a->bottom : b->bottom};
    const int64_t first = area_of(a), second = area_of(b), shared = area_of(&both);

    if (both.right <= both.left || both.bottom <= both.top || first <= 0 || second <= 0) {
        return 0;
    }
    return shared * (1 << 24) > p->iou * (first + second - shared);
}

/* The box after the one with the score `value` at `before`: the next score, of equal ones the first
 * behind it; -1 if none counts. */
static int32_t next_of(const mcuq_nms_params *p, const int8_t *scores, int32_t value,
                       int32_t before)
{
    int32_t best = -1, top = p->score - 1;

    for (int32_t i = 0, place = 0; i < p->boxes; i++, place += p->score_step) {
        const int32_t found = at(scores, p->wide_scores, place);
        if (found > top && (found < value || (found == value && i > before))) {
            top = found;
            best = i;
        }
    }
    return best;
}

void mcuq_nms_s16(const mcuq_nms_params *p, const int8_t *boxes, const int8_t *scores, int8_t *out)
{
    int16_t *to = (int16_t *)(void *)out;
    int16_t *const end = to + 3 * p->classes * p->most;

    for (int32_t c = 0; c < p->classes; c++) {
        const int8_t *const own =
            scores + (p->score_start + c * p->score_apart) * (p->wide_scores ? 2 : 1);
        int16_t *const first = to;
        int32_t value = INT_MAX, number = -1;

        while (to < first + 3 * p->most && (number = next_of(p, own, value, number)) >= 0) {
            const mcuq_box box = box_at(p, boxes, number);
            const int16_t *kept = first;
            value = at(own, p->wide_scores, number * p->score_step);
            while (kept < to) {
                const mcuq_box other = box_at(p, boxes, kept[2]);
                if (overlap(p, &box, &other)) {
                    break;
                }
                kept += 3;
            }
            if (kept == to) {
                to[0] = 0;
                to[1] = (int16_t)c;
                to[2] = (int16_t)number;
                to += 3;
            }
        }
    }
    while (to < end) {
        *to++ = -1;
    }
}
