/* A QEMU (TCG) plugin that counts the guest's instructions.
 *
 * The guest calls getpriority(0x5157, tag), which the kernel refuses without doing anything; each such call appends a
 * line "tag count" to the file given as out=FILE, count being the instructions run since the start. The difference of
 * two lines is what ran between two calls. The last line, "total count", is written when the guest ends. All threads are counted together, without locks: run one.
 *
 * No package ships qemu-plugin.h, so what is used of version 1 of its interface (QEMU 6.0 to 8.2) is declared here.
 *
 *   cc -O2 -shared -fPIC count_instructions.c -o count.so
 *   qemu-aarch64 -cpu cortex-a72 -plugin ./count.so,out=counts.txt program
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
enum { GETPRIORITY_AARCH64 = 141, MAGIC = 0x5157, INLINE_ADD_U64 = 0 };

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter, uint64_t add);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id id,
                                                 void (*callback)(plugin_id, unsigned, int64_t, uint64_t, uint64_t,
                                                                  uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                                  uint64_t));

extern void qemu_plugin_register_atexit_cb(plugin_id id, void (*callback)(plugin_id, void *), void *data);

EXPORT int qemu_plugin_version = 1;

static uint64_t n_instructions;
static FILE *out;

/* A block of instructions is translated once; QEMU then adds its length to the counter whenever it runs. */
static void on_translation(plugin_id id, struct qemu_plugin_tb *tb) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &n_instructions, qemu_plugin_tb_n_insns(tb));
}

static void on_syscall(plugin_id id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                       uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)cpu, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == GETPRIORITY_AARCH64 && a1 == MAGIC) {
        fprintf(out, "%llu %llu\n", (unsigned long long)a2, (unsigned long long)n_instructions);
        fflush(out);
    }
}

static void at_exit(plugin_id id, void *data) {
    (void)id, (void)data;
    fprintf(out, "total %llu\n", (unsigned long long)n_instructions);
    fflush(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    if (argc == 1 && strncmp(argv[0], "out=", 4) == 0) {
        out = fopen(argv[0] + 4, "w");
    }
    if (out == NULL) {
        fprintf(stderr, "count_instructions: out=FILE is missing or cannot be written\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
