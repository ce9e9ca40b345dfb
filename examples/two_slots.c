/* two_slots.c: weights that are updated in the field, in two slots, with a way back.
 *
 * The model is `digits`, compiled with --weights blob. Here the slots are arrays and two versions
 * of the weights come with the program (new_weights.h, which a test makes); in a product the slots
 * are two parts of flash, write_slot programs them, and the bytes come over the air. One rule makes
 * it safe: the header is written last, so that a slot that was not written whole has no good blob.
 */
#include <string.h>

#include "digits.h"
#include "mcuq_semihost.h"
#include "new_weights.h" /* first_weights, second_weights */

int main(void);

enum { SLOTS = 2 };

static uint8_t slots[SLOTS][DIGITS_WEIGHTS_LEN] __attribute__((aligned(16)));
static int8_t arena[DIGITS_ARENA_LEN] __attribute__((aligned(8)));
static int8_t input[DIGITS_IN_X_LEN] __attribute__((aligned(4)));
static int8_t output[DIGITS_OUT_Y_LEN] __attribute__((aligned(4)));

/* The slot with the newest good weights, or -1: bad ones are as if they were not there. */
static int newest_slot(void)
{
    int32_t best = -1;
    int chosen = -1;
    for (int i = 0; i < SLOTS; i++) {
        const int32_t version = digits_open(slots[i], sizeof slots[i]);
        if (version > best) {
            best = version;
            chosen = i;
        }
    }
    return chosen;
}

/* Into the slot that is not in use; power may fail after any number of bytes. */
static void update(const uint8_t *blob, uint32_t power_fails_after)
{
    uint8_t *const slot = slots[newest_slot() == 0 ? 1 : 0];
    memset(slot, 0xFF, MCUQ_BLOB_HEADER); /* erased first: no half old, half new weights */
    for (uint32_t done = 0; done < DIGITS_WEIGHTS_LEN && done < power_fails_after; done++) {
        const uint32_t at = (done + MCUQ_BLOB_HEADER) % DIGITS_WEIGHTS_LEN; /* the header last */
        slot[at] = blob[at];
    }
}

/* The version that an inference ran on, or -1. */
static int32_t infer(void)
{
    const int slot = newest_slot();
    if (slot < 0) {
        return -1;
    }
    digits_run(slots[slot], arena, input, output);
    return digits_open(slots[slot], sizeof slots[slot]);
}

static int expect(int32_t version, const char *what)
{
    const int good = infer() == version;
    mcuq_semihost_write0(good ? "as it should: " : "WRONG: ");
    mcuq_semihost_write0(what);
    mcuq_semihost_write0("\n");
    return good;
}

int main(void)
{
    int good = expect(-1, "no weights at all");
    update(first_weights, UINT32_MAX);
    good &= expect(1, "the first weights run");
    update(second_weights, DIGITS_WEIGHTS_LEN / 2);
    good &= expect(1, "power failed during an update: the first weights run");
    update(second_weights, DIGITS_WEIGHTS_LEN - 1);
    good &= expect(1, "it failed before the last byte: the first weights run");
    update(second_weights, UINT32_MAX);
    good &= expect(2, "the second weights run");
    slots[1][DIGITS_WEIGHTS_LEN / 2] ^= 4;
    good &= expect(1, "a bit of the second weights flips: back to the first");
    slots[0][DIGITS_WEIGHTS_LEN / 3] ^= 1;
    good &= expect(-1, "and one of the first: nothing runs on bad weights");
    return good ? 0 : 1;
}
