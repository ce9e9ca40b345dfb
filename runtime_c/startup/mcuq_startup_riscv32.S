/* mcuq_startup_riscv32.S: reset and traps of RV32 cores, machine mode only. */

    .option arch, +zicsr
    .section .vectors, "ax"
    .globl mcuq_reset
    .type mcuq_reset, @function
mcuq_reset:
    csrci mstatus, 8 /* MIE: a debugger may start here behind another program */
    .option push
    .option norelax /* gp is what relaxation would use */
    la gp, __global_pointer$
    .option pop
    la sp, mcuq_stack_top
    la t0, trap
    csrw mtvec, t0
    call mcuq_start

/* Nobody listens to the ebreak of semihosting (0x00100073, cause 3): step over it, answer -1 in
 * a0, and remember. Anything else is a real fault. */
    .section .text.trap, "ax"
    .balign 4
    .type trap, @function
trap:
    csrr t0, mcause
    li t1, 3
    bne t0, t1, 1f
    csrr t0, mepc
    lw t1, 0(t0)
    li t2, 0x00100073
    bne t1, t2, 1f
    addi t0, t0, 4
    csrw mepc, t0
    la t0, mcuq_semihost_present
    sw zero, 0(t0)
    li a0, -1
    mret
1:
    csrr a0, mepc
    j mcuq_fault
