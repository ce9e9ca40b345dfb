/* mcuq_harness_fits.c: the smallest program around a model; linked to prove that it fits a board.
 */
#include "mcuq_model.h"

int main(void);

int main(void)
{
    for (;;) {
        MCUQ_MODEL_RUN();
    }
}
