/* mcuq_count.c: a QEMU TCG plugin (API version 1) that counts executed instructions by address.
 *
 * Options: out=FILE, begin=ADDRESS, end=ADDRESS and, optionally, mark=ADDRESS (all of functions).
 * Counting starts when execution reaches `begin`. Each time it reaches `mark` or `end`, one
 * section "step" with a line "address count taken" per executed address is written, and the
 * counters start again from zero; after `end` nothing is counted until `begin` is reached again.
 * `taken` is how often execution went on elsewhere than at the next address (branches, returns).
 * The instruction at `begin`, `mark` or `end` itself counts toward the section that it opens.
 *
 * With from=ADDRESS, to=ADDRESS, line=BYTES, code=LINES and data=LINES, flash lies between the two
 * addresses and is read in lines, of which two caches hold so many, the least recently used one
 * going first (one line is what was read last). A section then has a line "misses next jump data":
 * how often code went on to a line that was not held, jumped to one, and data was read from one.
 *
 * QEMU's header is packaged by few distributions, so the functions used are declared here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define SLOTS (1u << 18) /* addresses of one image; a power of two */
#define MOST_LINES 4096

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_RW = 3 }; /* QEMU 7.2 takes one for the other */
typedef void (*translate_callback)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*execute_callback)(unsigned int cpu, void *data);
typedef void (*exit_callback)(qemu_plugin_id_t id, void *data);
typedef void (*memory_callback)(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address,
                                void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translate_callback callback);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_callback callback, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, execute_callback callback,
                                          enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            execute_callback callback,
                                            enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
                                                enum qemu_plugin_op op, void *counter,
                                                uint64_t increment);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, memory_callback callback,
                                      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw,
                                      void *data);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

typedef struct {
    uint64_t address; /* plus one, so that zero means free */
    uint64_t count;
    uint64_t taken;
} slot;

/* A translated block: only its last instruction can jump. */
typedef struct {
    uint64_t start, end;
    slot *last;
} block_info;

/* The lines that a cache holds, the one that was used last first. */
typedef struct {
    uint64_t held[MOST_LINES];
    uint64_t lines;
} cache;

static bool counting;
static cache code_cache, data_cache;
static uint64_t flash_from, flash_to, line_bytes;
static uint64_t code_line; /* that instructions were fetched from last */
static uint64_t next_misses, jump_misses, data_misses;
static const block_info *previous;
static slot slots[SLOTS];
static FILE *out;
static uint64_t begin_address, end_address, mark_address;

static void fail(const char *reason)
{
    fprintf(stderr, "mcuq_count: %s\n", reason);
    exit(1);
}

static slot *slot_of(uint64_t address)
{
    uint32_t index = (uint32_t)((address >> 1) * 2654435761u) & (SLOTS - 1);
    for (uint32_t probes = 0; probes < SLOTS; probes++) {
        slot *s = &slots[index];
        if (s->address == 0) {
            s->address = address + 1;
        }
        if (s->address == address + 1) {
            return s;
        }
        index = (index + 1) & (SLOTS - 1);
    }
    fail("too many addresses");
    return NULL;
}

static void clear(void)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        slots[i].count = 0;
        slots[i].taken = 0;
    }
    next_misses = jump_misses = data_misses = 0;
}

/* Whether a line was held; it is from now on. */
static bool hits(cache *c, uint64_t line)
{
    uint64_t at = 0;
    while (at + 1 < c->lines && c->held[at] != line) {
        at++;
    }
    const bool found = c->held[at] == line;
    memmove(&c->held[1], &c->held[0], at * sizeof c->held[0]);
    c->held[0] = line;
    return found;
}

static void forget(cache *c)
{
    memset(c->held, 0xff, sizeof c->held);
}

static bool in_flash(uint64_t address)
{
    return line_bytes != 0 && address >= flash_from && address < flash_to;
}

static void fetch(uint64_t start, uint64_t end)
{
    if (!in_flash(start)) {
        return;
    }
    for (uint64_t line = start / line_bytes; line <= (end - 1) / line_bytes; line++) {
        if (line != code_line && !hits(&code_cache, line)) {
            *(line == code_line + 1 ? &next_misses : &jump_misses) += 1;
        }
        code_line = line;
    }
}

static void on_load(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)cpu;
    (void)data;
    if (counting && !qemu_plugin_mem_is_store(info) && in_flash(address) &&
        !hits(&data_cache, address / line_bytes)) {
        data_misses++;
    }
}

static void write_section(void)
{
    fprintf(out, "step\n");
    if (line_bytes != 0) {
        fprintf(out, "misses %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", next_misses, jump_misses,
                data_misses);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (slots[i].count != 0) {
            fprintf(out, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", slots[i].address - 1,
                    slots[i].count, slots[i].taken);
        }
    }
}

static void on_begin(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    clear();
    forget(&code_cache);
    forget(&data_cache);
    counting = true;
}

static void on_mark(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    if (counting) {
        write_section();
        clear();
    }
}

static void on_end(unsigned int cpu, void *data)
{
    on_mark(cpu, data);
    counting = false;
}

static void on_block(unsigned int cpu, void *data)
{
    (void)cpu;
    const block_info *block = data;
    if (counting && previous != NULL && block->start != previous->end) {
        previous->last->taken++;
    }
    if (counting) {
        fetch(block->start, block->end);
    }
    previous = block;
}

static void watch(struct qemu_plugin_tb *block)
{
    const size_t length = qemu_plugin_tb_n_insns(block);
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(block, length - 1);
    block_info *info = malloc(sizeof *info); /* QEMU may run the block until it ends */
    if (info == NULL) {
        fail("out of memory");
        return;
    }
    info->start = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, 0));
    info->end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);
    info->last = slot_of(qemu_plugin_insn_vaddr(last));
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, QEMU_PLUGIN_CB_NO_REGS, info);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    const size_t length = qemu_plugin_tb_n_insns(block);
    watch(block);
    for (size_t i = 0; i < length; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        const uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (address == begin_address || address == end_address || address == mark_address) {
            const execute_callback callback = (address == begin_address) ? on_begin
                                              : (address == end_address) ? on_end
                                                                         : on_mark;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                                                   &slot_of(address)->count, 1);
        if (line_bytes != 0) {
            qemu_plugin_register_vcpu_mem_cb(insn, on_load, QEMU_PLUGIN_CB_NO_REGS,
                                             QEMU_PLUGIN_MEM_RW, NULL);
        }
    }
}

static void finish(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    if (fclose(out) != 0) {
        fail("the counts could not be written");
    }
}

static bool option(const char *text, const char *key, const char **value)
{
    const size_t length = strlen(key);
    if (strncmp(text, key, length) != 0 || text[length] != '=') {
        return false;
    }
    *value = text + length + 1;
    return true;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    const char *value;
    mark_address = UINT64_MAX;
    for (int i = 0; i < argc; i++) {
        if (option(argv[i], "out", &value)) {
            out = fopen(value, "w");
        } else if (option(argv[i], "begin", &value)) {
            begin_address = strtoull(value, NULL, 0);
        } else if (option(argv[i], "end", &value)) {
            end_address = strtoull(value, NULL, 0);
        } else if (option(argv[i], "mark", &value)) {
            mark_address = strtoull(value, NULL, 0);
        } else if (option(argv[i], "from", &value)) {
            flash_from = strtoull(value, NULL, 0);
        } else if (option(argv[i], "to", &value)) {
            flash_to = strtoull(value, NULL, 0);
        } else if (option(argv[i], "line", &value)) {
            line_bytes = strtoull(value, NULL, 0);
        } else if (option(argv[i], "code", &value)) {
            code_cache.lines = strtoull(value, NULL, 0);
        } else if (option(argv[i], "data", &value)) {
            data_cache.lines = strtoull(value, NULL, 0);
        }
    }
    if (code_cache.lines > MOST_LINES || data_cache.lines > MOST_LINES) {
        fprintf(stderr, "mcuq_count: a cache has too many lines\n");
        return 1;
    }
    if (out == NULL || begin_address == 0 || end_address == 0) {
        fprintf(stderr, "mcuq_count: out, begin and end are required\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
