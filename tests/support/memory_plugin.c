/* memory_plugin.c: a QEMU TCG plugin (API version 1) that finds loads and stores outside what a
 * test case may touch.
 *
 * Options: ranges=FILE, out=FILE, and the addresses begin, end of two functions. ranges has a line
 * "case first end mode" per range that a case may read (mode 1), write (2) or both (3); case -1:
 * any one may. Each time execution reaches `begin` the next case starts, and until it reaches `end`
 * every access is looked up. out gets a line "case pc load|store address bytes" for the first ones
 * that no range holds, and at last "cases N accesses M".
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

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_RW = 3 };
typedef void (*translate_callback)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*execute_callback)(unsigned int cpu, void *data);
typedef void (*memory_callback)(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address,
                                void *data);
typedef void (*exit_callback)(qemu_plugin_id_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translate_callback callback);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_callback callback, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            execute_callback callback,
                                            enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, memory_callback callback,
                                      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw,
                                      void *data);
unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

enum { RANGES = 1 << 16, FAULTS = 100 };

typedef struct {
    int current; /* the case that may touch it, or -1 */
    unsigned int mode;
    uint64_t first, end;
} range;

static range ranges[RANGES];
static int range_count, current = -1, faults;
static uint64_t begin_address, end_address, accesses;
static bool checking;
static FILE *out;

static bool allowed(uint64_t first, uint64_t end, unsigned int mode)
{
    for (int i = 0; i < range_count; i++) {
        const range *r = &ranges[i];
        if ((r->current == current || r->current == -1) && (r->mode & mode) != 0 &&
            first >= r->first && end <= r->end) {
            return true;
        }
    }
    return false;
}

static void on_memory(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)cpu;
    if (!checking) {
        return;
    }
    const uint64_t bytes = (uint64_t)1 << qemu_plugin_mem_size_shift(info);
    const bool store = qemu_plugin_mem_is_store(info);
    accesses++;
    if (!allowed(address, address + bytes, store ? 2 : 1) && faults++ < FAULTS) {
        fprintf(out, "%d %" PRIx64 " %s %" PRIx64 " %" PRIu64 "\n", current,
                (uint64_t)(uintptr_t)data, store ? "store" : "load", address, bytes);
    }
}

static void on_begin(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    current++;
    checking = true;
}

static void on_end(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    checking = false;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    const size_t length = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < length; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        const uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (address == begin_address || address == end_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, address == begin_address ? on_begin : on_end, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        qemu_plugin_register_vcpu_mem_cb(insn, on_memory, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)address);
    }
}

static void finish(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    fprintf(out, "cases %d accesses %" PRIu64 "\n", current + 1, accesses);
    fclose(out);
}

static bool read_ranges(const char *path)
{
    FILE *file = fopen(path, "r");
    range *r = ranges;
    if (file == NULL) {
        return false;
    }
    while (range_count < RANGES && fscanf(file, "%d %" SCNx64 " %" SCNx64 " %u", &r->current,
                                          &r->first, &r->end, &r->mode) == 4) {
        range_count++;
        r++;
    }
    fclose(file);
    return range_count < RANGES;
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
    bool known = false;
    for (int i = 0; i < argc; i++) {
        if (option(argv[i], "out", &value)) {
            out = fopen(value, "w");
        } else if (option(argv[i], "ranges", &value)) {
            known = read_ranges(value);
        } else if (option(argv[i], "begin", &value)) {
            begin_address = strtoull(value, NULL, 0);
        } else if (option(argv[i], "end", &value)) {
            end_address = strtoull(value, NULL, 0);
        }
    }
    if (out == NULL || !known || begin_address == 0 || end_address == 0) {
        fprintf(stderr, "memory_plugin: out, ranges, begin and end are required\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
