/*
 * The way to a confidential launch, up to the hypervisor: a program that stands in for QEMU on hardware that nobody has
 * here. It writes down what it is asked for, and says what QEMU says on a host that cannot.
 */
#include "runtime/sandbox/sandbox.h"
#include "tests/harness/test.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/loop.h"
#include "base/ossl.h"
#include "base/text.h"

#define INITDATA "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"policy.json\" = \"{}\"\n"

static char *folder;

static char *path_of(const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

static void put_file(const char *name, const char *content, mode_t mode)
{
    AUTO(text) char *path = path_of(name);
    struct err       err;

    if (!file_write(path, bytes_of_text(content), mode, &err))
        fail_msg("%s", err.text);
}

/* Big enough for one, and without the table by which stage0 is told. */
static void put_firmware(void)
{
    AUTO(text) char           *path  = path_of("firmware");
    AUTO(buffer) struct buffer zeros = { 0 };
    struct err                 err;

    (void) buffer_grow(&zeros, 64 << 10);
    if (!file_write(path, buffer_bytes(&zeros), 0644, &err))
        fail_msg("%s", err.text);
}

struct outcome {
    struct loop *loop;
    bool         is_ready;
    struct err   why;
};

static void is_ready(void *owner)
{
    ((struct outcome *) owner)->is_ready = true;
}

static void has_ended(void *owner, const struct err *why)
{
    struct outcome *o = owner;

    o->why = *why;
    loop_stop(o->loop);
}

/* Launches until the double ends, and gives its arguments, one a line. */
static void launch(enum tee tee, struct vm_binding binding, struct outcome *o, struct buffer *argv)
{
    AUTO(text) char *firmware = path_of("firmware"), *kernel = path_of("kernel"), *initrd = path_of("initrd"), *out = path_of("out/argv");
    struct sandbox_options options = { .tee = tee, .accel = ACCEL_KVM, .binding = binding, .cpus = 1, .memory_mib = 64,
                                       .files = { firmware, kernel, initrd }, .append = "cloister.tee=x quiet",
                                       .initdata = bytes_of_text(INITDATA), .broker_url = "https://127.0.0.1:1",
                                       .layout = folder, .boot_timeout_ms = 60000, .console_fd = NO_FD,
                                       .ready = is_ready, .ended = has_ended, .owner = o };
    AUTO(sandbox) struct sandbox *sandbox = NULL;
    struct err                    err;

    *o = (struct outcome){ 0 };
    (void) unlink(out); /* of the launch before, perhaps as another user */
    assert_true(loop_new(&o->loop, &err));
    options.loop = o->loop;
    if (!sandbox_start(&options, &sandbox, &err) || !loop_run(o->loop, &err) || !file_read(out, 1 << 20, argv, &err))
        fail_msg("%s", err.text);
    sandbox_free(TAKE(sandbox));
    loop_free(o->loop);
}

static void has(struct buffer *argv, const char *part)
{
    if (!strstr(buffer_text(argv), part))
        fail_msg("wanted %s in\n%s", part, buffer_text(argv));
}

static void base64_of_digest(size_t len, struct buffer *out)
{
    uint8_t digest[48] = { 0 };

    sha256_of(bytes_of_text(INITDATA), digest);
    base64_append(out, (struct bytes){ digest, len }, BASE64_STANDARD);
}

static void snp_is_launched_with_the_initdatas_digest_as_host_data(void **state)
{
    const struct vm_binding    binding = { .snp_policy = 0x30000, .c_bit = 51, .reduced_phys_bits = 1, .cpu_model = "EPYC-v4" };
    AUTO(buffer) struct buffer argv = { 0 }, digest = { 0 }, wanted = { 0 };
    struct outcome             o;

    (void) state;
    launch(TEE_SNP, binding, &o, &argv);
    assert_false(o.is_ready);
    assert_string_equal(o.why.text, "boot: qemu: SEV: guest firmware hash table area is invalid");
    base64_of_digest(32, &digest);
    buffer_printf(&wanted, "\nsev-snp-guest,id=tee,cbitpos=51,reduced-phys-bits=1,policy=0x30000,kernel-hashes=on,host-data=%s\n",
                  buffer_text(&digest));
    has(&argv, buffer_text(&wanted));
    has(&argv, "\n-kernel\n/proc/self/fd/");
    has(&argv, "\n-append\ncloister.tee=x quiet\n");
    assert_null(strstr(buffer_text(&argv), "-fw_cfg"));
}

static void tdx_is_launched_with_it_as_mrconfigid(void **state)
{
    const struct vm_binding    binding = { .quote_socket = "/run/qgs.socket" };
    AUTO(buffer) struct buffer argv = { 0 }, digest = { 0 }, wanted = { 0 };
    struct outcome             o;

    (void) state;
    launch(TEE_TDX, binding, &o, &argv);
    assert_false(o.is_ready);
    base64_of_digest(48, &digest);
    buffer_printf(&wanted, "\"mrconfigid\":\"%s\",\"quote-generation-socket\":{\"type\":\"unix\",\"path\":\"/run/qgs.socket\"}}",
                  buffer_text(&digest));
    has(&argv, buffer_text(&wanted));
    has(&argv, "\nkvm,kernel-irqchip=split\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snp_is_launched_with_the_initdatas_digest_as_host_data),
        cmocka_unit_test(tdx_is_launched_with_it_as_mrconfigid),
    };
    AUTO(buffer) struct buffer script = { 0 };
    AUTO(text) char           *out    = NULL;
    struct err                 err;

    if (!directory_make_temporary("sandbox-", &folder, &err) || chmod(folder, 0755) < 0)
        return 1;
    out = path_of("out");
    if (!directory_make(out, &err) || chmod(out, 0777) < 0) /* the hypervisor is nobody where we are root */
        return 1;
    buffer_printf(&script, "#!/bin/sh\nprintf '%%s\\n' \"$@\" > %s/argv\necho 'qemu: SEV: guest firmware hash table area is invalid' >&2\nexit 1\n", out);
    put_file("qemu-system-x86_64", buffer_text(&script), 0755);
    put_firmware();
    put_file("kernel", "k", 0644);
    put_file("initrd", "i", 0644);
    (void) setenv("PATH", folder, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!directory_remove(folder, &err))
        fprintf(stderr, "%s\n", err.text);
    free(folder);
    return failed;
}
