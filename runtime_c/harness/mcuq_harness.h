/* mcuq_harness.h: what the test images of one model share. Test code, never part of a model.
 *
 * Each harness file includes the generated mcuq_model.h, which includes this file, holds the
 * model's buffers and defines MCUQ_MODEL_RUN(), one inference on them.
 */
#ifndef MCUQ_HARNESS_H
#define MCUQ_HARNESS_H

#include <stdint.h>

/** An input or output of the model. */
typedef struct {
    void *data;
    uint32_t bytes;
} mcuq_buffer;

/* Exit codes of a test image; 125 (MCUQ_EXIT_FAULT) comes from the startup code. Those above 100
 * are no emulator's own.
 */
enum {
    MCUQ_EXIT_PASS = 0,
    MCUQ_EXIT_WRONG = 1,   /* selftest: an output differs */
    MCUQ_EXIT_FILE = 103,  /* a file could not be opened, or was not written or read in full */
    MCUQ_EXIT_SHIFT = 104, /* >> of a negative number does not keep the sign on this compiler */
    MCUQ_EXIT_BLOB = 105   /* the weights are not for this code */
};

/** 0, or MCUQ_EXIT_SHIFT where the one assumption that C leaves to the compiler does not hold. */
static inline int mcuq_self_check(void)
{
    static volatile const int32_t values[3] = {-1, -5, INT32_MIN};
    const int good =
        (values[0] >> 31) == -1 && (values[1] >> 1) == -3 && (values[2] >> 8) == -8388608;
    return good ? MCUQ_EXIT_PASS : MCUQ_EXIT_SHIFT;
}

#endif
