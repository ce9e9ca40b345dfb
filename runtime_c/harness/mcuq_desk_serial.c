/* mcuq_desk_serial.c: the computer asks over a serial line, the board answers.
 *
 * A frame is COBS, so that a zero byte ends it and nothing else: kind, tag, body, CRC-32 of these,
 * little-endian. An answer has the tag of what was asked. The board answers what it understands
 * and is silent otherwise; the computer asks again. Whatever is asked twice is done once: data goes
 * to offsets, and 'G' goes on only from the position that it names.
 *
 *   'H'                        version, identity, steps, bytes of inputs, status, cycles known
 *   'W' offset data            (inputs, one behind the other)
 *   'G' position quiet         position, step, bytes: on to the next stop if it is the position's
 *   'R' offset count           bytes of the step's tensor
 *   'C' first                  cycles of steps from there on
 */
#include "mcuq_desk.h"

enum { VERSION = 1, DATA = 200, FRAME = DATA + 40, CRC = 4, HEAD = 2 };

/* Where the model waits, and what the computer knows of it: every stop is one position on. */
static struct {
    uint32_t position;
    int32_t step;
    const uint8_t *data;
    uint32_t bytes;
} here;

static uint8_t frame[FRAME + FRAME / 254 + 2];
static uint8_t answer[FRAME];
static uint32_t answer_length;

static uint32_t crc32(const uint8_t *data, uint32_t bytes)
{
    uint32_t crc = 0xFFFFFFFFU;
    for (uint32_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
        }
    }
    return ~crc;
}

static uint32_t word_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static void add_word(uint32_t word)
{
    for (int i = 0; i < 4; i++) {
        answer[answer_length++] = (uint8_t)(word >> (8 * i));
    }
}

static void add_bytes(const uint8_t *data, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        answer[answer_length++] = data[i];
    }
}

/* The bytes of a frame decoded in place, without its CRC; 0 if it is none. */
static uint32_t decoded(uint32_t length)
{
    uint32_t at = 0;
    uint32_t out = 0;
    while (at < length) {
        const uint32_t code = frame[at++];
        if (code == 0 || at + code - 1 > length) {
            return 0;
        }
        for (uint32_t i = 1; i < code; i++) {
            frame[out++] = frame[at++];
        }
        if (code < 255 && at < length) {
            frame[out++] = 0;
        }
    }
    const int whole = out >= HEAD + CRC && crc32(frame, out - CRC) == word_at(&frame[out - CRC]);
    return whole ? out - CRC : 0;
}

static uint32_t receive(void)
{
    uint32_t length = 0;
    for (uint8_t byte = mcuq_board_get(); byte != 0; byte = mcuq_board_get()) {
        if (length < sizeof frame) {
            frame[length] = byte;
        }
        length++;
    }
    return (length <= sizeof frame) ? decoded(length) : 0;
}

static void send(void)
{
    add_word(crc32(answer, answer_length));
    uint32_t at = 0;
    mcuq_board_put(0); /* ends what noise may have begun */
    do {
        uint32_t run = 0;
        while (at + run < answer_length && run < 254 && answer[at + run] != 0) {
            run++;
        }
        mcuq_board_put((uint8_t)(run + 1));
        for (uint32_t i = 0; i < run; i++) {
            mcuq_board_put(answer[at + i]);
        }
        at += run + (run < 254); /* the zero that the code stands for */
    } while (at <= answer_length);
    mcuq_board_put(0);
}

static uint32_t input_bytes(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < mcuq_desk_about.input_count; i++) {
        sum += mcuq_desk_about.inputs[i].bytes;
    }
    return sum;
}

static void write_inputs(uint32_t offset, const uint8_t *data, uint32_t bytes)
{
    for (uint32_t i = 0; i < mcuq_desk_about.input_count; i++) {
        const mcuq_buffer input = mcuq_desk_about.inputs[i];
        for (; bytes != 0 && offset < input.bytes; offset++, bytes--) {
            ((uint8_t *)input.data)[offset] = *data++;
        }
        offset -= (offset < input.bytes) ? offset : input.bytes;
    }
}

static void add_hello(void)
{
    add_word(VERSION);
    add_bytes(mcuq_desk_about.identity, sizeof mcuq_desk_about.identity);
    add_word(mcuq_desk_about.step_count);
    add_word(input_bytes());
    add_word(mcuq_desk_status);
}

static void add_place(void)
{
    add_word(here.position);
    add_word((uint32_t)here.step);
    add_word(here.bytes);
}

static void add_tensor(uint32_t offset, uint32_t count)
{
    if (offset < here.bytes && count <= DATA && count <= here.bytes - offset) {
        add_bytes(here.data + offset, count);
    }
}

static void add_cycles(uint32_t first)
{
    for (uint32_t i = first; i < mcuq_desk_about.step_count && i - first < DATA / 4; i++) {
        add_word(mcuq_desk_cycles[i]);
    }
}

/* Answers one frame; 1 if the model is to go on, and then that is the answer. */
static int goes_on(uint32_t length)
{
    const uint8_t *body = &frame[HEAD];
    const uint32_t bytes = length - HEAD;
    answer[0] = frame[0];
    answer[1] = frame[1];
    answer_length = HEAD;
    if (frame[0] == 'H') {
        add_hello();
    } else if (frame[0] == 'W' && bytes >= 4) {
        write_inputs(word_at(body), body + 4, bytes - 4);
    } else if (frame[0] == 'R' && bytes == 8) {
        add_tensor(word_at(body), word_at(body + 4));
    } else if (frame[0] == 'C' && bytes == 4) {
        add_cycles(word_at(body));
    } else if (frame[0] == 'G' && bytes == 5) {
        if (word_at(body) == here.position) {
            mcuq_desk_quiet = body[4];
            return 1;
        }
        add_place();
    } else {
        return 0;
    }
    send();
    return 0;
}

void mcuq_desk_stop(int32_t step, const void *data, uint32_t bytes)
{
    const int asked = here.position != 0;
    here.position++;
    here.step = step;
    here.data = data;
    here.bytes = bytes;
    if (asked) {
        add_place();
        send();
    }
    for (uint32_t length = receive(); length == 0 || !goes_on(length); length = receive()) {
    }
}
