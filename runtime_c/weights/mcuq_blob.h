/* mcuq_blob.h: weights apart from code, one block of bytes that can lie anywhere.
 *
 *    0  "MCQW"
 *    4  uint32 format, MCUQ_BLOB_FORMAT
 *    8  uint32 length, of all of it
 *   12  uint32 CRC-32 (IEEE 802.3) of all of it, these four bytes taken as zeros
 *   16  16 bytes: a digest of the code that may use it, its constants, its kernels, its buffers
 *   32  uint32 version, below 2^31, which whoever makes the weights counts
 *   36  28 bytes: the model's name, cut or filled with zeros
 *   64  the arrays of one step behind those of another, each at a multiple of 16 bytes
 */
#ifndef MCUQ_BLOB_H
#define MCUQ_BLOB_H

#include <stdint.h>

enum { MCUQ_BLOB_FORMAT = 1, MCUQ_BLOB_HEADER = 64, MCUQ_BLOB_ALIGN = 16 };

/* What is wrong with a blob. */
enum {
    MCUQ_BLOB_NONE = -1,         /* no address */
    MCUQ_BLOB_MISALIGNED = -2,   /* not at a multiple of 16 bytes */
    MCUQ_BLOB_CUT = -3,          /* fewer bytes than it needs */
    MCUQ_BLOB_NO_BLOB = -4,      /* does not begin as one */
    MCUQ_BLOB_OTHER_FORMAT = -5, /* of another version of mcuq */
    MCUQ_BLOB_OTHER_MODEL = -6,  /* of a model of another name */
    MCUQ_BLOB_OTHER_CODE = -7,   /* of this model, but made for other code */
    MCUQ_BLOB_DAMAGED = -8       /* its length or its CRC is wrong */
};

/** What a blob must be. */
typedef struct {
    uint8_t code[16];
    char name[28];
    uint32_t length;
} mcuq_blob_params;

/** The version of a good blob, 0 or more, else one of the errors above. Reads no byte behind the
 *  first `length` of them, and none behind what `wanted` says. */
int32_t mcuq_blob_check(const mcuq_blob_params *wanted, const void *blob, uint32_t length);

#endif
