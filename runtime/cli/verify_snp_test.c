/* `cloister verify snp` as a script sees it: the exit code and one JSON object on standard output. */
#include "tests/harness/test.h"

#include "base/file.h"
#include "runtime/cli/verify.h"
#include "tests/harness/command.h"
#include "tests/harness/vectors.h"

static char *folder; /* holds ark.der, ask.der, asvk.der */
static char  paths[8][PATH_MAX];

static const char *own_path(size_t slot, const char *below)
{
    (void) snprintf(paths[slot], sizeof paths[slot], "%s/tests/vectors/amd-snp/%s", getenv("CLOISTER_SOURCE"), below); /* fits */
    return paths[slot];
}

static void put_ca(const char *name, const char *vector)
{
    AUTO(buffer) struct buffer content = own_vector(vector);
    char                       path[PATH_MAX];
    struct err                 err;

    (void) snprintf(path, sizeof path, "%s/%s", folder, name); /* fits */
    assert_true(file_write(path, buffer_bytes(&content), 0600, &err));
}

static int open_folder(void **state)
{
    struct err err;

    (void) state;
    if (!directory_make_temporary("verify-snp-test-", &folder, &err))
        return 1;
    put_ca("ark.der", "amd-snp/synthetic/ca-milan-ark.der");
    put_ca("ask.der", "amd-snp/synthetic/ca-milan-ask.der");
    put_ca("asvk.der", "amd-snp/synthetic/ca-milan-asvk.der");
    return 0;
}

static int close_folder(void **state)
{
    struct err err;
    bool       ok = directory_remove(folder, &err);

    (void) state;
    free(folder);
    return ok ? 0 : 1;
}

static void expect(const char *const *words, int code, const char *verdict, const char *reason)
{
    struct outcome                o    = command_run(verify_snp, words);
    AUTO(json) struct json_object *json = o.json;
    const char                    *text = NULL;
    struct err                     err;

    assert_int_equal(o.code, code);
    if (!verdict) {
        assert_null(json);
        return;
    }
    assert_true(json_get_text(json, "verdict", &text, &err));
    assert_string_equal(text, verdict);
    assert_true(json_get_text(json, "reason", &text, &err));
    assert_string_equal(text, reason);
}

static void accepts_what_is_genuine_and_allowed(void **state)
{
    const char *report = own_path(0, "synthetic/rep-good-v5.bin"), *vek = own_path(1, "synthetic/vcek-milan-good.der");
    const char *vlek_report = own_path(2, "synthetic/rep-good-vlek.bin"), *vlek = own_path(3, "synthetic/vlek-milan-good.der");
    const char *crl = own_path(4, "synthetic/crl-milan-clean.der");

    (void) state;
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--at", "2026-09-01T00:00:00Z", "--allow-product",
                             "Milan", NULL }, 0, "accepted", "ok");
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--at", "2026-09-01T00:00:00Z", "--allow-product",
                             "milan", "--crl", crl, "--explain", NULL }, 0, "accepted", "ok");
    expect((const char *[]){ "snp", "--report", vlek_report, "--vek", vlek, "--ca", folder, "--at", "2026-09-01T00:00:00Z",
                             "--allow-product", "Milan", NULL }, 0, "accepted", "ok");
}

static void rejects_with_a_reason(void **state)
{
    const char *report = own_path(0, "synthetic/rep-good-v5.bin"), *vek = own_path(1, "synthetic/vcek-milan-good.der");
    const char *revoked = own_path(2, "synthetic/crl-milan-ask-revoked.der"), *genoa = own_path(3, "crl/genoa-010.der");
    const char *stale = own_path(4, "synthetic/crl-milan-stale.der"), *vlek = own_path(5, "synthetic/vlek-milan-good.der");

    (void) state;
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--at", "2026-09-01T00:00:00Z", NULL }, 1,
           "rejected", "snp-product-refused");
    expect((const char *[]){ "snp", "--report", report, "--vek", vlek, "--ca", folder, "--at", "2026-09-01T00:00:00Z", NULL }, 1,
           "rejected", "snp-signer-mismatch");
    expect((const char *[]){ "snp", "--report", vek, "--vek", vek, "--ca", folder, NULL }, 1, "rejected", "snp-length");
    expect((const char *[]){ "snp", "--report", report, "--vek", report, "--ca", folder, NULL }, 1, "rejected",
           "snp-certificate-malformed");
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--at", "2060-01-01T00:00:00Z", NULL }, 1,
           "rejected", "snp-certificate-expired");
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--crl", revoked, "--at", "2026-09-01T00:00:00Z",
                             NULL }, 1, "rejected", "snp-revoked");
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--crl", genoa, NULL }, 1, "rejected",
           "snp-crl-issuer");
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--crl", stale, "--at", "2026-09-01T00:00:00Z",
                             NULL }, 1, "rejected", "snp-crl-expired");
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--root-product", "Turin", NULL }, 1, "rejected",
           "snp-root-missing");
}

/* The strict policy lists no measurement, so the file decides. */
static void judges_by_the_policy_file(void **state)
{
    const char *report = own_path(0, "synthetic/rep-good-v5.bin"), *vek = own_path(1, "synthetic/vcek-milan-good.der");
    const char *crl = own_path(2, "synthetic/crl-milan-clean.der");
    const struct { const char *text; int code; const char *verdict, *reason; } rows[] = {
        { "{\"products\":[\"Milan\"],\"measurement\":\"any\",\"report_data\":\"any\"}", 0, "accepted", "ok" },
        { "{\"products\":[\"Milan\"],\"report_data\":\"any\"}", 1, "rejected", "snp-measurement" },
        { "{\"products\":[\"Milan\"],\"measurement\":\"any\"}", 1, "rejected", "snp-report-data" },
        { "{\"measurement\":\"any\",\"report_data\":\"any\"}", 1, "rejected", "snp-product-refused" },
        { "{\"unknown\":1}", 2, NULL, NULL },
        { "no json", 2, NULL, NULL },
    };
    char       path[PATH_MAX];
    struct err err;

    (void) state;
    (void) snprintf(path, sizeof path, "%s/policy.json", folder); /* fits */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(file_write(path, bytes_of_text(rows[i].text), 0600, &err));
        expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--policy", path, "--crl", crl, "--at",
                                 "2026-09-01T00:00:00Z", NULL }, rows[i].code, rows[i].verdict, rows[i].reason);
    }
}

static void unusable_arguments_are_told_apart_from_a_verdict(void **state)
{
    const char *report = own_path(0, "synthetic/rep-good-v5.bin"), *vek = own_path(1, "synthetic/vcek-milan-good.der");

    (void) state;
    expect((const char *[]){ "snp", NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--report", report, "--ca", folder, NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--vek", vek, "--ca", folder, NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--report", "/nonexistent", "--vek", vek, "--ca", folder, NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", "/nonexistent", NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--at", "yesterday", NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--allow-product", "Rome", NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "--root-product", "Rome", NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, "operand", NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--crl", "/nonexistent", "--report", report, "--vek", vek, "--ca", folder, NULL }, 2, NULL, NULL);
    expect((const char *[]){ "snp", "--help", NULL }, 0, NULL, NULL);
}

static void a_bad_root_is_a_verdict(void **state)
{
    const char *report = own_path(0, "synthetic/rep-good-v5.bin"), *vek = own_path(1, "synthetic/vcek-milan-good.der");

    (void) state;
    put_ca("ark.der", "amd-snp/synthetic/ca-milan-ask.der");
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, NULL }, 1, "rejected", "snp-certificate-issuer");
    put_ca("ark.der", "amd-snp/synthetic/rep-good-v5.bin");
    expect((const char *[]){ "snp", "--report", report, "--vek", vek, "--ca", folder, NULL }, 1, "rejected", "snp-certificate-malformed");
    put_ca("ark.der", "amd-snp/synthetic/ca-milan-ark.der");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_is_genuine_and_allowed),
        cmocka_unit_test(rejects_with_a_reason),
        cmocka_unit_test(judges_by_the_policy_file),
        cmocka_unit_test(unusable_arguments_are_told_apart_from_a_verdict),
        cmocka_unit_test(a_bad_root_is_a_verdict),
    };

    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
