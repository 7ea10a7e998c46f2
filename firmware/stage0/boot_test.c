/*
 * Real boots of stage0.bin under QEMU: the good one reaches the kernel, every other one stops before it and says why.
 * The kernel is a few bytes that print a line and switch the machine off.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "firmware/measure/kernel_hashes.h"
#include "firmware/measure/snp_launch.h"
#include "tests/harness/test.h"

enum { BOOT_TIMEOUT_MS = 60000, LINUX_TIMEOUT_MS = 240000, KERNEL_LEN = 2048, SETUP_LEN = 1024, SKIPPED = 77 };
enum { OUTPUT_MAX = 4 << 20, IMAGE_MAX = 1 << 20 };

#define ENTERED "kernel entered"

/* What the three blobs are, and the image that starts them. */
struct boot {
    struct buffer kernel, initrd, cmdline, image;
    char         *folder;
};

static void boot_free(struct boot *b)
{
    struct err err;

    buffer_free(&b->kernel);
    buffer_free(&b->initrd);
    buffer_free(&b->cmdline);
    buffer_free(&b->image);
    if (b->folder)
        assert_true(directory_remove(b->folder, &err));
    free(b->folder);
}
static inline void auto_boot(struct boot *b) { boot_free(b); }

static void store(uint8_t *at, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t) (value >> (8 * i));
}

static void make_kernel(struct buffer *out)
{
    static const uint8_t code[] = {
        0x48, 0x8d, 0x35, 0x20, 0, 0, 0,                        /* lea text(%rip), %rsi */
        0x66, 0xba, 0xf8, 0x03,                                 /* mov $0x3f8, %dx */
        0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8,         /* each byte up to zero: out */
        0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef, /* sleep state 5 */
        0x6a, 0, 0x6a, 0, 0x0f, 0x01, 0x1c, 0x24, 0x0f, 0x0b,   /* or, without that, an exception that nobody takes */
    };
    uint8_t *file = buffer_grow(out, KERNEL_LEN);

    file[0x1f1] = 1;
    store(file + 0x1f4, 4, (KERNEL_LEN - SETUP_LEN) / 16);
    store(file + 0x1fe, 2, 0xaa55);
    file[0x201] = 0x6a;
    memcpy(file + 0x202, "HdrS", 4);
    store(file + 0x206, 2, 0x20f);
    file[0x211] = 1;
    store(file + 0x22c, 4, 0x7fffffff);
    store(file + 0x230, 4, 0x200000);
    file[0x234] = 1;
    file[0x236] = 1;
    store(file + 0x238, 4, 2047);
    store(file + 0x260, 4, 0x100000);
    memcpy(file + SETUP_LEN + 0x200, code, sizeof code);
    memcpy(file + SETUP_LEN + 0x200 + sizeof code, ENTERED "\n", sizeof ENTERED + 1);
}

static void patch_image(struct boot *b, const struct kernel_hashes *hashes)
{
    struct err err;

    b->image.len = 0;
    assert_true(file_read(getenv("CLOISTER_STAGE0"), IMAGE_MAX, &b->image, &err));
    if (hashes)
        assert_true(kernel_hashes_patch(hashes, b->image.at, b->image.len, &err));
}

static struct kernel_hashes hashes_of(struct boot *b)
{
    struct kernel_hashes hashes;

    kernel_hashes_of(buffer_bytes(&b->kernel), buffer_bytes(&b->initrd), buffer_text(&b->cmdline), &hashes);
    return hashes;
}

static void boot_new(struct boot *b)
{
    struct kernel_hashes hashes;
    struct err           err;

    make_kernel(&b->kernel);
    memset(buffer_grow(&b->initrd, 5000), 'i', 5000);
    buffer_append_text(&b->cmdline, "console=ttyS0 panic=-1");
    hashes = hashes_of(b);
    patch_image(b, &hashes);
    assert_true(directory_make_temporary("stage0", &b->folder, &err));
}

static void write_file(struct boot *b, const char *name, struct buffer *content, struct buffer *path)
{
    struct err err;

    buffer_printf(path, "%s/%s", b->folder, name);
    assert_true(file_write(buffer_text(path), buffer_bytes(content), 0600, &err));
}

/* Boots, and appends what the serial port said. The machine must switch itself off. */
static void run_on(const char *machine, struct boot *b, const char *memory, int timeout_ms, struct buffer *output)
{
    static const char *const names[]                             = { "bios", "kernel", "initrd", "cmdline" };
    struct buffer           *content[]                           = { &b->image, &b->kernel, &b->initrd, &b->cmdline };
    struct buffer            path[4] = { { 0 } }, option[4] = { { 0 } };
    int                      exit_code = -1;
    struct err               err;

    for (size_t i = 0; i < 4; i++) {
        write_file(b, names[i], content[i], &path[i]);
        buffer_printf(&option[i], "name=opt/org.cloister/%s,file=%s", names[i], buffer_text(&path[i]));
    }

    const char *const argv[] = {
        "qemu-system-x86_64", "-machine", machine, "-cpu", "max", "-m", memory, "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-serial", "stdio", "-bios", buffer_text(&path[0]),
        "-fw_cfg", buffer_text(&option[1]), "-fw_cfg", buffer_text(&option[2]), "-fw_cfg", buffer_text(&option[3]), NULL };

    if (!process_run(argv, (struct bytes){ 0 }, OUTPUT_MAX, timeout_ms, output, &exit_code, &err))
        fail_msg("%s; the serial port said: %s", err.text, buffer_text(output));
    assert_int_equal(exit_code, 0);
    for (size_t i = 0; i < 4; i++) {
        buffer_free(&path[i]);
        buffer_free(&option[i]);
    }
}

/* As QEMU 10 and later offer what -kernel, -initrd and -append name: only the kernel as a file, and that unchanged. */
static void run_as_new_qemu(struct boot *b, struct buffer *output)
{
    AUTO(buffer) struct buffer bios = { 0 }, kernel = { 0 }, initrd = { 0 }, option = { 0 };
    int                        exit_code = -1;
    struct err                 err;

    write_file(b, "bios", &b->image, &bios);
    write_file(b, "kernel", &b->kernel, &kernel);
    write_file(b, "initrd", &b->initrd, &initrd);
    buffer_printf(&option, "name=etc/boot/kernel,file=%s", buffer_text(&kernel));

    const char *const argv[] = {
        "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", "64", "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-serial", "stdio", "-bios", buffer_text(&bios), "-kernel", buffer_text(&kernel),
        "-initrd", buffer_text(&initrd), "-append", buffer_text(&b->cmdline), "-fw_cfg", buffer_text(&option), NULL };

    if (!process_run(argv, (struct bytes){ 0 }, OUTPUT_MAX, BOOT_TIMEOUT_MS, output, &exit_code, &err))
        fail_msg("%s; the serial port said: %s", err.text, buffer_text(output));
    assert_int_equal(exit_code, 0);
}

static void run(struct boot *b, const char *memory, int timeout_ms, struct buffer *output)
{
    run_on("q35,accel=tcg", b, memory, timeout_ms, output);
}

static void halts_with(struct boot *b, const char *line)
{
    AUTO(buffer) struct buffer output = { 0 }, wanted = { 0 };

    run(b, "64", BOOT_TIMEOUT_MS, &output);
    buffer_printf(&wanted, "stage0: %s\r\n", line);
    if (strstr(buffer_text(&output), ENTERED) || strcmp(buffer_text(&output), buffer_text(&wanted)) != 0)
        fail_msg("wanted %s, the serial port said: %s", line, buffer_text(&output));
}

static void enters_a_kernel_whose_hashes_match(void **state)
{
    AUTO(boot) struct boot     b      = { .folder = NULL };
    AUTO(buffer) struct buffer output = { 0 };

    (void) state;
    boot_new(&b);
    run(&b, "64", BOOT_TIMEOUT_MS, &output);
    assert_string_equal(buffer_text(&output), ENTERED "\n");
}

static void enters_a_kernel_without_initrd_and_command_line(void **state)
{
    AUTO(boot) struct boot     b      = { .folder = NULL };
    AUTO(buffer) struct buffer output = { 0 };
    struct kernel_hashes       hashes;

    (void) state;
    boot_new(&b);
    b.initrd.len = b.cmdline.len = 0;
    hashes = hashes_of(&b);
    patch_image(&b, &hashes);
    run(&b, "3072", BOOT_TIMEOUT_MS, &output);
    assert_string_equal(buffer_text(&output), ENTERED "\n");
}

static void enters_what_the_options_of_qemu_10_name(void **state)
{
    AUTO(boot) struct boot     b      = { .folder = NULL };
    AUTO(buffer) struct buffer output = { 0 };

    (void) state;
    boot_new(&b);
    run_as_new_qemu(&b, &output);
    if (!strstr(buffer_text(&output), ENTERED))
        fail_msg("the serial port said: %s", buffer_text(&output));
}

static void enters_a_kernel_on_a_microvm(void **state)
{
    AUTO(boot) struct boot     b      = { .folder = NULL };
    AUTO(buffer) struct buffer output = { 0 };

    (void) state;
    boot_new(&b);
    run_on("microvm,accel=tcg,acpi=on", &b, "64", BOOT_TIMEOUT_MS, &output);
    assert_string_equal(buffer_text(&output), ENTERED "\n");
}

static void halts_when_nobody_wrote_hashes(void **state)
{
    AUTO(boot) struct boot b = { .folder = NULL };

    (void) state;
    boot_new(&b);
    patch_image(&b, NULL);
    halts_with(&b, "hash table: nobody wrote one");
}

/* The blobs in the order of the table's entries. */
static const char *const blob_names[] = { "command line", "initrd", "kernel" };
enum { CMDLINE, INITRD, KERNEL, N_BLOBS };

static uint8_t *table_of(struct boot *b)
{
    struct kernel_hashes hashes = hashes_of(b);
    uint8_t              table[KERNEL_HASHES_LEN];

    hash_table_write(&hashes, table);
    for (size_t at = 0; at + sizeof table <= b->image.len; at += 16)
        if (memcmp(b->image.at + at, table, sizeof table) == 0)
            return b->image.at + at;
    fail_msg("the image does not hold the table");
    return NULL;
}

enum mutation { BLOB_CHANGED, DIGEST_CHANGED, DIGEST_ZERO, ENTRY_MISSING, ENTRY_TWICE, ENTRY_SHORT, N_MUTATIONS };
enum { HEAD_LEN = 18, ENTRY_LEN = 50, GUID_AND_LEN = 18 };

/* What stage0 says, after the name of the blob. */
static const char *mutate(struct boot *b, size_t blob, enum mutation mutation)
{
    uint8_t *table = table_of(b), *entry = table + HEAD_LEN + ENTRY_LEN * blob;
    struct buffer *const blobs[] = { &b->cmdline, &b->initrd, &b->kernel };

    switch (mutation) {
    case BLOB_CHANGED:
        blobs[blob]->at[blobs[blob]->len - 1] ^= 1;
        return "its SHA-256 is not the measured one";
    case DIGEST_CHANGED:
        entry[GUID_AND_LEN] ^= 0x80;
        return "its SHA-256 is not the measured one";
    case DIGEST_ZERO:
        memset(entry + GUID_AND_LEN, 0, 32);
        return "a digest of zeros";
    case ENTRY_MISSING:
        memset(entry, 0, ENTRY_LEN);
        return "not this entry at its place";
    case ENTRY_TWICE:
        memcpy(entry, table + HEAD_LEN + ENTRY_LEN * ((blob + 1) % N_BLOBS), ENTRY_LEN);
        return "not this entry at its place";
    case ENTRY_SHORT:
        entry[16] = ENTRY_LEN - 1;
        return "an entry of 49 bytes";
    case N_MUTATIONS:
        break;
    }
    return "?";
}

static void halts_on_each_mutation_of_table_and_blobs(void **state)
{
    (void) state;
    for (size_t blob = 0; blob < N_BLOBS; blob++)
        for (unsigned mutation = 0; mutation < N_MUTATIONS; mutation++) {
            AUTO(boot) struct boot     b    = { .folder = NULL };
            AUTO(buffer) struct buffer line = { 0 };
            const char                *what;

            boot_new(&b);
            what = mutate(&b, blob, (enum mutation) mutation);
            buffer_printf(&line, "%s%s: %s", mutation <= DIGEST_CHANGED ? "" : "hash table: ", blob_names[blob], what);
            halts_with(&b, buffer_text(&line));
        }
}

static void halts_on_a_short_table(void **state)
{
    AUTO(boot) struct boot b = { .folder = NULL };

    (void) state;
    boot_new(&b);
    table_of(&b)[16] = HEAD_LEN + 2 * ENTRY_LEN;
    halts_with(&b, "hash table: 118 bytes, not 168");
}

static void halts_on_a_measured_file_that_is_no_kernel(void **state)
{
    AUTO(boot) struct boot b = { .folder = NULL };
    struct kernel_hashes   hashes;

    (void) state;
    boot_new(&b);
    b.kernel.at[0x202] = 'h';
    hashes = hashes_of(&b);
    patch_image(&b, &hashes);
    halts_with(&b, "kernel: not a bzImage");
}

/* Bytes that the security processor measures are what a cold start on SNP waits for. */
static void an_snp_launch_measures_24_pages_and_one_per_further_vcpu(void **state)
{
    AUTO(buffer) struct buffer image = { 0 };
    struct snp_launch_options  o     = { .direct_boot = true, .cpu_signature = 0x800f12, .guest_features = 1 };
    struct err                 err;

    (void) state;
    assert_true(file_read(getenv("CLOISTER_STAGE0"), IMAGE_MAX, &image, &err));
    o.firmware = buffer_bytes(&image);
    for (o.n_vcpus = 1; o.n_vcpus <= 4; o.n_vcpus++) {
        struct snp_measurement m;

        assert_true(snp_launch_measure(&o, NULL, &m, &err));
        assert_int_equal(launch_digest_pages(&m.digest), 24 + o.n_vcpus - 1);
    }
}

static void starts_linux(void **state)
{
    AUTO(boot) struct boot     b      = { .folder = NULL };
    AUTO(buffer) struct buffer output = { 0 };
    const char                *kernel = getenv("CLOISTER_KERNEL");
    struct kernel_hashes       hashes;
    struct err                 err;

    (void) state;
    if (!kernel || access(kernel, R_OK) != 0) {
        printf("skipped: CLOISTER_KERNEL names no kernel\n");
        skip();
    }
    boot_new(&b);
    b.kernel.len = b.initrd.len = 0;
    assert_true(file_read(kernel, 64 << 20, &b.kernel, &err));
    hashes = hashes_of(&b);
    patch_image(&b, &hashes);
    run(&b, "256", LINUX_TIMEOUT_MS, &output);
    assert_non_null(strstr(buffer_text(&output), "Command line: console=ttyS0 panic=-1"));
    assert_non_null(strstr(buffer_text(&output), "ACPI: MCFG"));
    assert_non_null(strstr(buffer_text(&output), "Unable to mount root fs")); /* there is no initrd */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enters_a_kernel_whose_hashes_match),
        cmocka_unit_test(enters_a_kernel_without_initrd_and_command_line),
        cmocka_unit_test(enters_what_the_options_of_qemu_10_name),
        cmocka_unit_test(enters_a_kernel_on_a_microvm),
        cmocka_unit_test(halts_when_nobody_wrote_hashes),
        cmocka_unit_test(halts_on_each_mutation_of_table_and_blobs),
        cmocka_unit_test(halts_on_a_short_table),
        cmocka_unit_test(halts_on_a_measured_file_that_is_no_kernel),
        cmocka_unit_test(an_snp_launch_measures_24_pages_and_one_per_further_vcpu),
        cmocka_unit_test(starts_linux),
    };

    if (system("qemu-system-x86_64 --version >/dev/null 2>&1") != 0) {
        printf("skipped: no qemu-system-x86_64\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
