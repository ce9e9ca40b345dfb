/* RTE_Components.h: what a tool would write for the selected components. */
#define RTE_MACHINE_LEARNING_MCUQ_DIGITS
