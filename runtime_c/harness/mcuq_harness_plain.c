/* mcuq_harness_plain.c: one inference between two markers, for instruction counts and for the
 * stack's high-water mark. Reads one vector from in.bin if there is such a file (else zeros), of a
 * stream the state before it, and writes the bytes of stack that the call used (uint32) to
 * stack.bin.
 *
 * mcuq_bench_begin, mcuq_bench_end and mcuq_trace do nothing; the counting plugin knows their
 * addresses. mcuq_trace is called only if the model was built with MCUQ_TRACE.
 */
#include "mcuq_model.h"
#include "mcuq_semihost.h"

#define STACK_PAINT 0xA5C3A5C3U

extern uint32_t mcuq_stack_limit[];

void mcuq_bench_begin(void);
void mcuq_bench_end(void);
void mcuq_trace(int step, const void *data, uint32_t bytes);
uint32_t mcuq_bench(void);
int main(void);

__attribute__((noinline)) void mcuq_bench_begin(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void mcuq_bench_end(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void mcuq_trace(int step, const void *data, uint32_t bytes)
{
    __asm__ volatile("" ::"r"(step), "r"(data), "r"(bytes) : "memory");
}

static inline uintptr_t stack_pointer(void)
{
    uintptr_t value;
#if defined(__riscv)
    __asm__ volatile("mv %0, sp" : "=r"(value));
#else
    __asm__ volatile("mov %0, sp" : "=r"(value));
#endif
    return value;
}

/* Bytes of stack below this function's own frame that one inference touched. */
__attribute__((noinline)) uint32_t mcuq_bench(void)
{
    const uintptr_t top = stack_pointer();
    for (volatile uint32_t *word = mcuq_stack_limit; (uintptr_t)word < top; word++) {
        *word = STACK_PAINT;
    }
    mcuq_bench_begin();
    MCUQ_MODEL_RUN();
    mcuq_bench_end();
    const volatile uint32_t *word = mcuq_stack_limit;
    while ((uintptr_t)word < top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)(top - (uintptr_t)word);
}

int main(void)
{
    const int32_t in_file = mcuq_semihost_open("in.bin", MCUQ_SEMIHOST_READ);
    MCUQ_MODEL_RESET(0);
    if (in_file >= 0 && MCUQ_MODEL_STATE != 0) {
        (void)mcuq_semihost_read(in_file, MCUQ_MODEL_STATE_OF(0), MCUQ_MODEL_STATE);
    }
    for (uint32_t i = 0; in_file >= 0 && i < MCUQ_MODEL_INPUTS; i++) {
        (void)mcuq_semihost_read(in_file, mcuq_model_inputs[i].data, mcuq_model_inputs[i].bytes);
    }
    const uint32_t used = mcuq_bench();
    const int32_t out_file = mcuq_semihost_open("stack.bin", MCUQ_SEMIHOST_WRITE);
    const uint32_t written = mcuq_semihost_write(out_file, &used, sizeof used);
    const int closed = mcuq_semihost_close(out_file) == 0;
    return (written == sizeof used && closed) ? mcuq_self_check() : MCUQ_EXIT_FILE;
}
