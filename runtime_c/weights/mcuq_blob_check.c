#include "mcuq_blob.h"
#include "mcuq_weights.h"

enum { FORMAT = 4, LENGTH = 8, CRC = 12, CODE = 16, VERSION = 32, NAME = 36, PART = 64 };

/* The remainders of the 16 values of half a byte. */
static const uint32_t halves[16] = {
    0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U,
    0x4DB26158U, 0x5005713CU, 0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU,
    0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU,
};

static uint32_t word_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static int same(const uint8_t *found, const void *wanted, uint32_t bytes)
{
    uint32_t differ = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        differ |= (uint32_t)found[i] ^ ((const uint8_t *)wanted)[i];
    }
    return differ == 0;
}

static uint32_t crc_byte(uint32_t crc, uint32_t byte)
{
    crc ^= byte;
    crc = (crc >> 4) ^ halves[crc & 15U];
    return (crc >> 4) ^ halves[crc & 15U];
}

/* In parts of 64 bytes, as a hook that reads external flash has room for. */
static uint32_t crc_of(const void *blob, uint32_t length)
{
    uint32_t crc = 0xFFFFFFFFU;
    for (uint32_t at = 0; at < length; at += PART) {
        const uint32_t bytes = (length - at < PART) ? length - at : PART;
        const uint8_t *const part = MCUQ_WEIGHTS_READ(blob, at, bytes);
        for (uint32_t i = 0; i < bytes; i++) {
            const int own = at == 0 && i >= CRC && i < CODE;
            crc = crc_byte(crc, own ? 0U : part[i]);
        }
    }
    return ~crc;
}

static int32_t check_header(const mcuq_blob_params *wanted, const uint8_t *header)
{
    if (!same(header, "MCQW", FORMAT)) {
        return MCUQ_BLOB_NO_BLOB;
    }
    if (word_at(header + FORMAT) != MCUQ_BLOB_FORMAT) {
        return MCUQ_BLOB_OTHER_FORMAT;
    }
    if (!same(header + NAME, wanted->name, sizeof wanted->name)) {
        return MCUQ_BLOB_OTHER_MODEL;
    }
    if (!same(header + CODE, wanted->code, sizeof wanted->code)) {
        return MCUQ_BLOB_OTHER_CODE;
    }
    const int whole = word_at(header + LENGTH) == wanted->length && header[VERSION + 3] < 128;
    return whole ? (int32_t)word_at(header + VERSION) : MCUQ_BLOB_DAMAGED;
}

int32_t mcuq_blob_check(const mcuq_blob_params *wanted, const void *blob, uint32_t length)
{
    if (blob == 0) {
        return MCUQ_BLOB_NONE;
    }
    if (length < MCUQ_BLOB_HEADER) {
        return MCUQ_BLOB_CUT;
    }
    const uint8_t *const header = MCUQ_WEIGHTS_READ(blob, 0, MCUQ_BLOB_HEADER);
    if ((uintptr_t)header % MCUQ_BLOB_ALIGN != 0) {
        return MCUQ_BLOB_MISALIGNED;
    }
    const uint32_t crc = word_at(header + CRC);
    const int32_t version = check_header(wanted, header);
    if (version < 0) {
        return version;
    }
    if (length < wanted->length) {
        return MCUQ_BLOB_CUT;
    }
    return (crc_of(blob, wanted->length) == crc) ? version : MCUQ_BLOB_DAMAGED;
}
