#include "runtime/cli/platform.h"
#include "tests/harness/test.h"

#include "base/file.h"

static char *folder;

static char *path_of(const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

static struct platform_options asked(const char *tee)
{
    return (struct platform_options){ .tee = tee, .accel = "auto", .channel = "auto", .cpu_model = "EPYC-v4", .snp_policy = DEFAULT_SNP_POLICY };
}

static struct host able(void)
{
    struct host host = { .kvm_opens = true, .has_snp = true, .has_tdx = true, .has_qemu = true, .qemu_major = 11 };

    buffer_append_text(&host.cpuinfo, "flags : svm");
    (void) buffer_text(&host.cpuinfo); /* ends it */
    return host;
}

static void fails_with(const struct platform_options *o, struct host *host, enum err_kind kind, const char *text)
{
    struct platform p = { 0 };
    struct err      err;

    assert_false(platform_choose(o, host, &p, &err));
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, text))
        fail_msg("wanted \"%s\" in: %s", text, err.text);
}

static void options_of_another_platform_are_refused(void **state)
{
    AUTO(host) struct host  host = able();
    struct platform_options o    = asked("tdx");

    (void) state;
    o.id_block = o.id_auth = "x";
    fails_with(&o, &host, ERR_CONFIG, "--id-block and --id-auth are for --tee snp, not tdx");
    o              = asked("sim");
    o.quote_socket = "/run/qgs";
    fails_with(&o, &host, ERR_CONFIG, "--quote-socket is for --tee tdx, not sim");
}

static void a_host_that_cannot_is_told_what_it_lacks(void **state)
{
    AUTO(host) struct host  host = able();
    struct platform_options o    = asked("snp");

    (void) state;
    host.has_snp = false;
    fails_with(&o, &host, ERR_UNSUPPORTED, "kvm_amd does not run with sev_snp=Y");
    o               = asked("tdx");
    host.qemu_major = 10;
    fails_with(&o, &host, ERR_UNSUPPORTED, "--tee tdx needs QEMU 10.1; this is 10.0");
}

static void tdx_is_bound_to_its_quoting_service(void **state)
{
    AUTO(host) struct host         host = able();
    AUTO(platform) struct platform p    = { 0 };
    struct platform_options        o    = asked("tdx");
    struct err                     err;

    (void) state;
    o.quote_socket = "/run/tdx-qgs/qgs.socket";
    if (!platform_choose(&o, &host, &p, &err))
        fail_msg("%s", err.text);
    assert_int_equal(p.tee, TEE_TDX);
    assert_int_equal(p.accel, ACCEL_KVM);
    assert_string_equal(p.binding.quote_socket, o.quote_socket);
}

/* An ID block of virtee's test keys: 96 bytes, and behind them the authentication. */
static void write_id_block(size_t block_len, const char *block_path, const char *auth_path)
{
    AUTO(buffer) struct buffer whole  = { 0 };
    AUTO(text) char           *corpus = NULL;
    struct err                 err;

    assert_true(asprintf(&corpus, "%s/tests/corpus/attestation_evidence_snp_id_block/virtee", getenv("CLOISTER_SOURCE")) > 0);
    if (!file_read(corpus, 1 << 16, &whole, &err))
        fail_msg("%s", err.text);
    assert_int_equal(whole.len, 96 + 4096);
    if (!file_write(block_path, (struct bytes){ whole.at, block_len }, 0644, &err) ||
        !file_write(auth_path, (struct bytes){ whole.at + 96, 4096 }, 0644, &err))
        fail_msg("%s", err.text);
}

static void an_id_block_is_read_and_checked_before_the_launch(void **state)
{
    AUTO(host) struct host         host = able();
    AUTO(text) char               *block = path_of("block"), *auth = path_of("auth");
    AUTO(platform) struct platform p     = { 0 };
    struct platform_options        o     = asked("snp");
    struct err                     err;

    (void) state;
    fails_with(&o, &host, ERR_UNSUPPORTED, "names no C-bit");
    host.c_bit             = 51;
    host.reduced_phys_bits = 5;
    o.id_block             = block;
    fails_with(&o, &host, ERR_CONFIG, "--id-block and --id-auth are wanted together");
    o.id_auth = auth;
    write_id_block(96, block, auth);
    o.snp_policy = 0x30001;
    fails_with(&o, &host, ERR_CONFIG, "--id-block is for policy 0x30000, not 0x30001");
    o.snp_policy = DEFAULT_SNP_POLICY;
    if (!platform_choose(&o, &host, &p, &err))
        fail_msg("%s", err.text);
    assert_int_equal(p.binding.id_block.len, 96);
    assert_int_equal(p.binding.id_auth.len, 4096);
    assert_true(p.binding.has_author_key);
    assert_int_equal(p.binding.c_bit, 51);
    assert_int_equal(p.binding.reduced_phys_bits, 5);
    write_id_block(95, block, auth);
    fails_with(&o, &host, ERR_MALFORMED, "--id-block");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_another_platform_are_refused),
        cmocka_unit_test(a_host_that_cannot_is_told_what_it_lacks),
        cmocka_unit_test(tdx_is_bound_to_its_quoting_service),
        cmocka_unit_test(an_id_block_is_read_and_checked_before_the_launch),
    };
    struct err err;

    if (!directory_make_temporary("platform-", &folder, &err))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!directory_remove(folder, &err))
        fprintf(stderr, "%s\n", err.text);
    free(folder);
    return failed;
}
