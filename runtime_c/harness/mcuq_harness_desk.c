/* mcuq_harness_desk.c: runs the model on a board whenever the computer says so, and times steps. */
#include "mcuq_cycles.h"
#include "mcuq_desk.h"
#include "mcuq_model.h"

void mcuq_trace(int step, const void *data, uint32_t bytes);
int main(void);

const mcuq_desk_model mcuq_desk_about = {
    MCUQ_MODEL_IDENTITY,
    mcuq_model_inputs,
    MCUQ_MODEL_INPUTS,
    MCUQ_MODEL_STEPS,
};
volatile uint32_t mcuq_desk_quiet;
volatile uint32_t mcuq_desk_status;
volatile uint32_t mcuq_desk_cycles[MCUQ_MODEL_STEPS + 1];

static uint32_t begin;
static uint32_t overhead; /* of the call below, and of the counter itself */

__attribute__((weak)) void mcuq_board_init(void)
{
}

__attribute__((noinline)) void mcuq_trace(int step, const void *data, uint32_t bytes)
{
    const uint32_t spent = mcuq_cycles_now() - begin;
    mcuq_desk_cycles[step] = (spent > overhead) ? spent - overhead : 0;
    if (!mcuq_desk_quiet) {
        mcuq_desk_stop(step, data, bytes);
    }
    begin = mcuq_cycles_now();
}

static void calibrate(void)
{
    mcuq_desk_quiet = 1;
    for (int i = 0; i < 2; i++) {
        begin = mcuq_cycles_now();
        mcuq_trace(MCUQ_MODEL_STEPS, 0, 0);
        mcuq_trace(MCUQ_MODEL_STEPS, 0, 0);
    }
    overhead = mcuq_desk_cycles[MCUQ_MODEL_STEPS];
    mcuq_desk_quiet = 0;
}

int main(void)
{
    mcuq_board_init();
    mcuq_cycles_start();
    calibrate();
    mcuq_desk_status = (uint32_t)mcuq_self_check();
    for (;;) {
        mcuq_desk_stop(MCUQ_DESK_READY, 0, 0);
        begin = mcuq_cycles_now();
        MCUQ_MODEL_RUN();
    }
}
