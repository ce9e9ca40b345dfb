/* mcuq_harness_vectors.c: runs the model on every vector of in.bin (the inputs, one after another),
 * writes the outputs to out.bin and, if the model was built with MCUQ_TRACE, every step's tensor to
 * trace.bin as {uint32 step, uint32 bytes, data}. Runs on a board (semihosting) and on the host.
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
    while (status == MCUQ_EXIT_PASS && read_vector(in_file)) {
        MCUQ_MODEL_RUN();
        for (uint32_t i = 0; i < MCUQ_MODEL_OUTPUTS; i++) {
            write_all(out_file, mcuq_model_outputs[i].data, mcuq_model_outputs[i].bytes);
        }
    }
    if (mcuq_semihost_close(out_file) != 0 || mcuq_semihost_close(trace_file) != 0) {
        status = MCUQ_EXIT_FILE;
    }
    return status;
}
