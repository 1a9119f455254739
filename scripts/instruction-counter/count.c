/* A QEMU plugin that counts executed instructions, exactly, and knows which bytes they touched.
 *
 *   -plugin count.so,out=FILE,begin=ADDRESS,end=ADDRESS[,code=ADDRESS][,touched=FILE][,range=LOW-HIGH]...
 *
 * A region lasts from the execution of the instruction at `begin` to that of the one at `end`. For each region, one
 * line in FILE: all instructions of the region, then those in each range. `touched`: the memory that the regions have read
 * or written, one line for each stretch without a gap, its first byte and the one behind its last. Addresses are those of the ELF file, in
 * hexadecimal; `code`, where the ELF's executable segment lies, serves programs that are loaded elsewhere (qemu-aarch64).
 * One virtual CPU. What QEMU counts is what the processor would execute, an IT instruction and the
 * instructions that it skips included; these are not cycles.
 *
 * Debian ships no qemu-plugin.h: what is used of the interface is declared here, of version 1 (QEMU 4.2 to 8.2) and of version 2 (QEMU 9.0
 * and later), in which QEMU counts in memory of its own. The QEMU that loads this file has one of the two.
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
enum { QEMU_PLUGIN_MEM_RW = 3 };
typedef void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed)(unsigned int cpu, void *data);
typedef void (*accessed)(unsigned int cpu, uint32_t access, uint64_t address, void *data);
typedef void (*ended)(qemu_plugin_id_t, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed, int flags, void *data);
#define EITHER __attribute__((weak))
/* Version 1. */
EITHER void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int operation, void *to, uint64_t value);
/* Version 2. */
struct qemu_plugin_scoreboard;
typedef struct {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
} qemu_plugin_u64;
EITHER struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t);
EITHER void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *, unsigned int cpu);
EITHER void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *, int operation, qemu_plugin_u64, uint64_t value);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, accessed, int flags, int accesses, void *data);
unsigned int qemu_plugin_mem_size_shift(uint32_t access);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, ended, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_start_code(void);

EXPORT int qemu_plugin_version = 1;

/* Before QEMU looks at the version. */
__attribute__((constructor)) static void choose_version(void)
{
    if (qemu_plugin_scoreboard_new)
        qemu_plugin_version = 2;
}

enum { RANGES = 512 };
struct range {
    uint64_t low, high;
};
static struct range ranges[RANGES];
static size_t range_count;
/* [0]: every instruction; [1 + k]: those in range k. */
static uint64_t counts[1 + RANGES], at_begin[1 + RANGES];
/* Where the counts are in version 2. */
static struct qemu_plugin_scoreboard *scoreboard;
static uint64_t begin_address, end_address, code_address;
static bool has_code;
static FILE *out, *touched;

/* What the regions have touched, a bit per byte, in pages found by hashing. */
enum { PAGE = 4096, PAGES = 1 << 16 };
struct page {
    uint64_t number;
    unsigned char bits[PAGE / 8];
};
static struct page *pages[PAGES];
static bool inside;

static struct page *page_of(uint64_t address)
{
    static struct page *last;
    uint64_t number = address / PAGE;
    if (last && last->number == number)
        return last;
    for (size_t i = number, tries = 0; tries < PAGES; i++, tries++) {
        struct page **place = &pages[i % PAGES];
        if (!*place) {
            *place = calloc(1, sizeof **place);
            if (!*place)
                abort();
            (*place)->number = number;
        }
        if ((*place)->number == number)
            return last = *place;
    }
    fprintf(stderr, "count: more pages are touched than there is room for\n");
    abort();
}

static void access_memory(unsigned int cpu, uint32_t access, uint64_t address, void *data)
{
    (void)cpu, (void)data;
    uint64_t end = address + (UINT64_C(1) << qemu_plugin_mem_size_shift(access));
    for (; inside && address < end; address++)
        page_of(address)->bits[address % PAGE / 8] |= 1 << address % 8;
}

static int by_number(const void *a, const void *b)
{
    const struct page *first = *(struct page *const *)a, *second = *(struct page *const *)b;
    return (first->number > second->number) - (first->number < second->number);
}

static void write_touched(void)
{
    size_t count = 0;
    for (size_t i = 0; i < PAGES; i++)
        if (pages[i])
            pages[count++] = pages[i];
    qsort(pages, count, sizeof *pages, by_number);
    uint64_t low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        for (uint64_t k = 0; k < PAGE; k++) {
            uint64_t address = pages[i]->number * PAGE + k;
            if (!(pages[i]->bits[k / 8] >> k % 8 & 1))
                continue;
            if (address != high) {
                if (low != high)
                    fprintf(touched, "%" PRIx64 " %" PRIx64 "\n", low, high);
                low = address;
            }
            high = address + 1;
        }
    }
    if (low != high)
        fprintf(touched, "%" PRIx64 " %" PRIx64 "\n", low, high);
    fclose(touched);
}

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

static const uint64_t *counted(unsigned int cpu)
{
    return scoreboard ? qemu_plugin_scoreboard_find(scoreboard, cpu) : counts;
}

/* Adds 1 to a count whenever the instruction is executed. */
static void count(struct qemu_plugin_insn *instruction, size_t number)
{
    if (scoreboard) {
        qemu_plugin_u64 entry = { scoreboard, number * sizeof *counts };
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(instruction, QEMU_PLUGIN_INLINE_ADD_U64, entry, 1);
    } else {
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &counts[number], 1);
    }
}

static void begin(unsigned int cpu, void *data)
{
    (void)data;
    memcpy(at_begin, counted(cpu), sizeof at_begin);
    inside = true;
}

static void end(unsigned int cpu, void *data)
{
    (void)data;
    inside = false;
    for (size_t i = 0; i <= range_count; i++)
        fprintf(out, "%s%" PRIu64, i ? " " : "", counted(cpu)[i] - at_begin[i]);
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
        count(instruction, 0);
        if (touched)
            qemu_plugin_register_vcpu_mem_cb(instruction, access_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
        for (size_t k = 0; k < range_count; k++)
            if (ranges[k].low <= address && address < ranges[k].high)
                count(instruction, 1 + k);
    }
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    fclose(out);
    if (touched)
        write_touched();
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        size_t name = value ? (size_t)(value++ - argv[i]) : 0;
        if (name == 3 && !strncmp(argv[i], "out", name)) {
            out = fopen(value, "w");
        } else if (name == 7 && !strncmp(argv[i], "touched", name)) {
            touched = fopen(value, "w");
            if (!touched)
                return -1;
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
    if (qemu_plugin_version > 1)
        scoreboard = qemu_plugin_scoreboard_new(sizeof counts);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
