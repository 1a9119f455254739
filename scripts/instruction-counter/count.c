/* A QEMU plugin that counts executed instructions, exactly.
 *
 *   -plugin count.so,out=FILE,begin=ADDRESS,end=ADDRESS[,code=ADDRESS][,range=LOW-HIGH]...
 *
 * A region lasts from the execution of the instruction at `begin` to that of the one at `end`. For each region, one
 * line in FILE: all instructions of the region, then those in each range. Addresses are those of the ELF file, in
 * hexadecimal; `code`, where the ELF's executable segment lies, serves programs that are loaded elsewhere (qemu-aarch64).
 * One virtual CPU. What QEMU counts is what the processor would execute, an IT instruction and the
 * instructions that it skips included; these are not cycles.
 *
 * Debian ships no qemu-plugin.h: what is used of the interface (version 1, QEMU 4.2 and later) is declared here.
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
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_CB_NO_REGS = 0 };
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };
typedef void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed)(unsigned int cpu, void *data);
typedef void (*ended)(qemu_plugin_id_t, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int operation, void *to, uint64_t value);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, ended, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_start_code(void);

EXPORT int qemu_plugin_version = 1;

enum { RANGES = 64 };
struct range {
    uint64_t low, high;
};
static struct range ranges[RANGES];
static size_t range_count;
/* [0]: every instruction; [1 + k]: those in range k. */
static uint64_t counts[1 + RANGES], at_begin[1 + RANGES];
static uint64_t begin_address, end_address, code_address;
static bool has_code;
static FILE *out;

/* Where the program really lies, minus where the ELF file says. */
static uint64_t displacement(void)
{
    static uint64_t known;
    static bool asked;
    if (has_code && !asked) {
        known = qemu_plugin_start_code() - code_address;
        asked = true;
    }
    return known;
}

static void begin(unsigned int cpu, void *data)
{
    (void)cpu, (void)data;
    memcpy(at_begin, counts, sizeof counts);
}

static void end(unsigned int cpu, void *data)
{
    (void)cpu, (void)data;
    for (size_t i = 0; i <= range_count; i++)
        fprintf(out, "%s%" PRIu64, i ? " " : "", counts[i] - at_begin[i]);
    fputc('\n', out);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction) - displacement();
        if (address == begin_address)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
        if (address == end_address)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, end, QEMU_PLUGIN_CB_NO_REGS, NULL);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &counts[0], 1);
        for (size_t k = 0; k < range_count; k++)
            if (ranges[k].low <= address && address < ranges[k].high)
                qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &counts[1 + k], 1);
    }
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    fclose(out);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        size_t name = value ? (size_t)(value++ - argv[i]) : 0;
        if (name == 3 && !strncmp(argv[i], "out", name)) {
            out = fopen(value, "w");
        } else if (name == 5 && !strncmp(argv[i], "begin", name)) {
            begin_address = strtoull(value, NULL, 16);
        } else if (name == 3 && !strncmp(argv[i], "end", name)) {
            end_address = strtoull(value, NULL, 16);
        } else if (name == 4 && !strncmp(argv[i], "code", name)) {
            code_address = strtoull(value, NULL, 16);
            has_code = true;
        } else if (name == 5 && !strncmp(argv[i], "range", name) && range_count < RANGES) {
            char *rest = NULL;
            ranges[range_count].low = strtoull(value, &rest, 16);
            ranges[range_count++].high = *rest == '-' ? strtoull(rest + 1, NULL, 16) : 0;
        } else {
            fprintf(stderr, "count: argument '%s' is not understood\n", argv[i]);
            return -1;
        }
    }
    if (!out || !begin_address || !end_address) {
        fprintf(stderr, "count: out, begin and end are needed\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
