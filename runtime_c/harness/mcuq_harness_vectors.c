/* mcuq_harness_vectors.c: runs the model on every vector of in.bin (the inputs, one after another),
 * writes the outputs to out.bin and, if the model was built with MCUQ_TRACE, every step's tensor to
 * trace.bin as {uint32 step, uint32 bytes, data}. Runs on a board (semihosting) and on the host.
 *
 * Of a stream, a word before each vector says which of two states it is for and what is done before
 * the step, and the state after it is traced as the step UINT32_MAX.
 */
#include "mcuq_model.h"
#include "mcuq_semihost.h"

void mcuq_trace(int step, const void *data, uint32_t bytes);
int main(void);

static int32_t trace_file;
static int status = MCUQ_EXIT_PASS;

static void write_all(int32_t file, const void *data, uint32_t bytes)
{
    if (bytes != 0 && mcuq_semihost_write(file, data, bytes) != bytes) {
        status = MCUQ_EXIT_FILE;
    }
}

void mcuq_trace(int step, const void *data, uint32_t bytes)
{
    const uint32_t header[2] = {(uint32_t)step, bytes};
    write_all(trace_file, header, sizeof header);
    write_all(trace_file, data, bytes);
}

/* What the word before a step of a stream asks for. */
enum { SLOT = 1, RESTORE = 2, RESET = 4, SAVE = 8, SNAPSHOT = 2 };

static void copy_state(uint32_t to, uint32_t from)
{
    int8_t *const a = MCUQ_MODEL_STATE_OF(to);
    const int8_t *const b = MCUQ_MODEL_STATE_OF(from);
    for (uint32_t i = 0; i < MCUQ_MODEL_STATE; i++) {
        a[i] = b[i];
    }
}

/* Reads the word, does what it asks for, and returns the slot. */
static uint32_t prepare(int32_t file)
{
    uint32_t word = 0;
    if (MCUQ_MODEL_STATE == 0 || mcuq_semihost_read(file, &word, sizeof word) != sizeof word) {
        return 0;
    }
    const uint32_t slot = word & SLOT;
    if ((word & RESTORE) != 0) {
        copy_state(slot, SNAPSHOT);
    }
    if ((word & RESET) != 0) {
        MCUQ_MODEL_RESET(slot);
    }
    if ((word & SAVE) != 0) {
        copy_state(SNAPSHOT, slot);
    }
    return slot;
}

/* 1 if a whole vector was read, else 0; a part of a vector is an error. */
static int read_vector(int32_t file)
{
    uint32_t wanted = 0;
    uint32_t got = 0;
    for (uint32_t i = 0; i < MCUQ_MODEL_INPUTS; i++) {
        wanted += mcuq_model_inputs[i].bytes;
        got += mcuq_semihost_read(file, mcuq_model_inputs[i].data, mcuq_model_inputs[i].bytes);
    }
    if (got != 0 && got != wanted) {
        status = MCUQ_EXIT_FILE;
    }
    return got != 0 && got == wanted;
}

int main(void)
{
    const int32_t in_file = mcuq_semihost_open("in.bin", MCUQ_SEMIHOST_READ);
    const int32_t out_file = mcuq_semihost_open("out.bin", MCUQ_SEMIHOST_WRITE);
    trace_file = mcuq_semihost_open("trace.bin", MCUQ_SEMIHOST_WRITE);
    if (in_file < 0 || out_file < 0 || trace_file < 0) {
        return MCUQ_EXIT_FILE;
    }
    if (mcuq_self_check() != MCUQ_EXIT_PASS) {
        return MCUQ_EXIT_SHIFT;
    }
    if (MCUQ_MODEL_OPEN() < 0) {
        return MCUQ_EXIT_BLOB;
    }
    uint32_t slot = prepare(in_file);
    while (status == MCUQ_EXIT_PASS && read_vector(in_file)) {
        MCUQ_MODEL_STEP(slot);
        if (MCUQ_MODEL_STATE != 0) {
            mcuq_trace(-1, MCUQ_MODEL_STATE_OF(slot), MCUQ_MODEL_STATE);
        }
        for (uint32_t i = 0; i < MCUQ_MODEL_OUTPUTS; i++) {
            write_all(out_file, mcuq_model_outputs[i].data, mcuq_model_outputs[i].bytes);
        }
        slot = prepare(in_file);
    }
    if (mcuq_semihost_close(out_file) != 0 || mcuq_semihost_close(trace_file) != 0) {
        status = MCUQ_EXIT_FILE;
    }
    return status;
}
