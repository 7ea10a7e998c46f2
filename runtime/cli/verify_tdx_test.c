/* `cloister verify tdx` and `cloister verify tpm` as a script sees them: exit code, verdict, status and claims. */
#include "tests/harness/test.h"


#include "attestation/collateral/bundle.h"
#include "attestation/collateral/pcs.h"
#include "attestation/verifier/tdx.h"
#include "base/file.h"
#include "runtime/cli/verify.h"
#include "tests/harness/command.h"
#include "tests/harness/vectors.h"

enum { WORDS = 24 };

static char *folder;

static int open_folder(void **state)
{
    struct err err;

    (void) state;
    return directory_make_temporary("verify-test-", &folder, &err) ? 0 : 1;
}

static int close_folder(void **state)
{
    struct err err;
    bool       ok = directory_remove(folder, &err);

    (void) state;
    free(folder);
    return ok ? 0 : 1;
}

static char paths[WORDS][PATH_MAX];

static const char *own_path(size_t slot, const char *below)
{
    (void) snprintf(paths[slot], sizeof paths[slot], "%s/tests/vectors/%s", getenv("CLOISTER_SOURCE"), below); /* fits */
    return paths[slot];
}

static const char *made(const char *name, struct bytes content)
{
    struct err err;

    (void) snprintf(paths[WORDS - 1], sizeof paths[WORDS - 1], "%s/%s", folder, name); /* fits */
    assert_true(file_write(paths[WORDS - 1], content, 0600, &err));
    return paths[WORDS - 1];
}

static const char *text_of(struct json_object *json, const char *name)
{
    const char *out = NULL;
    struct err  err;

    return json_has(json, name) && json_get_text(json, name, &out, &err) ? out : "";
}

/* `reason` NULL: unusable arguments, and nothing on standard output. */
static void expect(int (*command)(int argc, char **argv), const char *const *words, const char *reason, const char *status)
{
    struct outcome                o    = command_run(command, words);
    AUTO(json) struct json_object *json = o.json;

    if (!reason) {
        assert_int_equal(o.code, VERIFY_UNUSABLE);
        assert_null(json);
        return;
    }
    if (strcmp(text_of(json, "reason"), reason) != 0)
        fail_msg("%s, wanted %s: %s", text_of(json, "reason"), reason, text_of(json, "detail"));
    assert_int_equal(o.code, strcmp(reason, "ok") == 0 ? VERIFY_ACCEPTED : VERIFY_REJECTED);
    assert_string_equal(text_of(json, "verdict"), o.code == VERIFY_ACCEPTED ? "accepted" : "rejected");
    assert_string_equal(text_of(json, "status"), status);
    assert_true(json_object_object_get(json, "claims") != NULL);
}

#define AT_2025 "2025-07-01T00:00:00Z"

/* The seven files of one specimen; `more` ends with NULL. */
static void expect_tdx(const char *at, const char *const *more, const char *reason, const char *status)
{
    const char *words[WORDS] = {
        "tdx", "--quote", own_path(0, "tdx/intel_v4/quote.bin"), "--tcb-info", own_path(1, "tdx/intel_v4/tcb_info.json"),
        "--qe-identity", own_path(2, "tdx/intel_v4/qe_identity.json"), "--issuer-chain",
        own_path(3, "tdx/intel_v4/issuer_chain.pem"), "--root-ca", own_path(4, "tdx/intel_v4/root_ca.pem"), "--root-crl",
        own_path(5, "tdx/intel_v4/root_ca_crl.der"), "--pck-crl", own_path(6, "tdx/intel_v4/pck_crl.der"), "--at", at,
    };

    for (size_t i = 0; more[i]; i++)
        words[17 + i] = more[i];
    expect(verify_tdx, words, reason, status);
}

static void a_quote_is_judged_with_its_status(void **state)
{
    (void) state;
    expect_tdx(AT_2025, (const char *[]){ NULL }, "ok", "UpToDate");
    expect_tdx(AT_2025, (const char *[]){ "--explain", NULL }, "ok", "UpToDate");
    expect_tdx("2026-07-01T00:00:00Z", (const char *[]){ NULL }, "tdx-collateral-expired", "");
    expect_tdx(AT_2025, (const char *[]){ "--quote", own_path(7, "tdx/intel_v5/quote.bin"), NULL }, "tdx-tcb-info-mismatch", "");
    expect_tdx(AT_2025, (const char *[]){ "--root-ca", own_path(7, "tdx/synthetic/root_ca.pem"), NULL },
               "tdx-bad-crl-signature", "");
    expect_tdx(AT_2025, (const char *[]){ "--event-log", own_path(7, "tpm/ccel_qemu.bin"), NULL }, "tdx-event-log-replay",
               "UpToDate");
}

static void a_policy_file_decides(void **state)
{
    (void) state;
    expect_tdx(AT_2025, (const char *[]){ "--policy", made("p", bytes_of_text("{\"mrtd\":[]}")), NULL }, "tdx-policy-mrtd", "UpToDate");
    expect_tdx(AT_2025, (const char *[]){ "--policy", made("p", bytes_of_text("{\"minimum_evaluation_number\":99}")), NULL },
               "tdx-tcb-evaluation-number", "UpToDate");
    expect_tdx(AT_2025, (const char *[]){ "--policy", made("p", bytes_of_text("{\"unknown\":1}")), NULL }, NULL, NULL);
}

static void lists_and_chain_come_in_the_forms_of_services(void **state)
{
    AUTO(buffer) struct buffer list  = own_vector("tdx/intel_v4/root_ca_crl.der"), hex = { 0 };
    AUTO(buffer) struct buffer chain = own_vector("tdx/intel_v4/issuer_chain.pem"), encoded = { 0 };

    (void) state;
    for (size_t i = 0; i < list.len; i++)
        buffer_printf(&hex, "%02x", list.at[i]);
    for (size_t i = 0; i < chain.len; i++)
        buffer_printf(&encoded, strchr(" \n+/=", chain.at[i]) ? "%%%02X" : "%c", chain.at[i]);
    expect_tdx(AT_2025, (const char *[]){ "--root-crl", made("list", buffer_bytes(&hex)), NULL }, "ok", "UpToDate");
    expect_tdx(AT_2025, (const char *[]){ "--issuer-chain", made("chain", buffer_bytes(&encoded)), NULL }, "ok", "UpToDate");
    expect_tdx(AT_2025, (const char *[]){ "--root-crl", made("list", bytes_of_text("no list")), NULL }, "tdx-bad-crl", "");
}

/* The same specimen's collateral as one file; the list of the PCK authority may be left out. */
static const char *bundle_made(const char *name, bool is_whole)
{
    static const char *const   FILES[]    = { "tdx/intel_v4/tcb_info.json", "tdx/intel_v4/qe_identity.json", "tdx/intel_v4/root_ca_crl.der",
                                              "tdx/intel_v4/pck_crl.der" };
    AUTO(buffer) struct buffer quote      = own_vector("tdx/intel_v4/quote.bin"), text = { 0 };
    struct answer              answers[4] = { { { 0 } } };
    uint8_t                    fmspc[PCS_FMSPC_LEN];
    bool                       of_platform_ca;
    struct err                 err;

    assert_true(tdx_platform_hint(buffer_bytes(&quote), fmspc, &of_platform_ca, &err));
    pcs_tcb_info_url(PCS_BASE_URL, fmspc, PCS_UPDATE_STANDARD, &answers[0].url);
    pcs_qe_identity_url(PCS_BASE_URL, PCS_UPDATE_STANDARD, &answers[1].url);
    buffer_append_text(&answers[2].url, PCS_ROOT_CRL_URL);
    pcs_pck_crl_url(PCS_BASE_URL, of_platform_ca, &answers[3].url);
    answers[0].issuer_chain = own_vector("tdx/intel_v4/issuer_chain.pem");
    for (size_t i = 0; i < 4; i++)
        answers[i].body = own_vector(FILES[i]);
    bundle_write(answers, is_whole ? 4 : 3, &text);
    for (size_t i = 0; i < 4; i++)
        answer_free(&answers[i]);
    return made(name, buffer_bytes(&text));
}

static void collateral_comes_as_one_file_too(void **state)
{
    const char *words[WORDS] = { "tdx", "--quote", own_path(0, "tdx/intel_v4/quote.bin"), "--root-ca", own_path(1, "tdx/intel_v4/root_ca.pem"),
                                 "--at", AT_2025, "--collateral" };

    (void) state;
    words[8] = bundle_made("bundle", true);
    expect(verify_tdx, words, "ok", "UpToDate");
    words[2] = own_path(0, "tdx/intel_v5/quote.bin"); /* of another platform */
    expect(verify_tdx, words, NULL, NULL);
    words[2] = own_path(0, "tdx/intel_v4/quote.bin");
    words[8] = bundle_made("bundle", false);
    expect(verify_tdx, words, NULL, NULL);
    words[9]  = "--pck-crl";
    words[10] = own_path(2, "tdx/intel_v4/pck_crl.der");
    expect(verify_tdx, words, "ok", "UpToDate");
    words[8] = made("bundle", bytes_of_text("{}"));
    expect(verify_tdx, words, NULL, NULL);
}

static void unusable_arguments_are_no_verdict(void **state)
{
    (void) state;
    expect(verify_tdx, (const char *[]){ "tdx", NULL }, NULL, NULL);
    expect(verify_tdx, (const char *[]){ "tdx", "--quote", own_path(0, "tdx/intel_v4/quote.bin"), NULL }, NULL, NULL);
    expect(verify_tpm, (const char *[]){ "tpm", NULL }, NULL, NULL);
    expect_tdx("tomorrow", (const char *[]){ NULL }, NULL, NULL);
    expect_tdx(AT_2025, (const char *[]){ "operand", NULL }, NULL, NULL);
    expect_tdx(AT_2025, (const char *[]){ "--event-log", "/nonexistent", NULL }, NULL, NULL);
    assert_int_equal(command_run(verify_tdx, (const char *[]){ "tdx", "--help", NULL }).code, 0);
    assert_int_equal(command_run(verify_tpm, (const char *[]){ "tpm", "--help", NULL }).code, 0);
}

#define NONCE "6e6f6e63652d666f722d63766d2d746573742d766563746f72732d3030303031"

static void expect_tpm(const char *const *more, const char *reason)
{
    const char *words[WORDS] = { "tpm", "--quote", own_path(0, "tpm/quote_ecc.msg"), "--signature",
                                 own_path(1, "tpm/quote_ecc.sig"), "--ak", own_path(2, "tpm/ak_ecc.tpm2b_public") };

    for (size_t i = 0; more[i]; i++)
        words[7 + i] = more[i];
    expect(verify_tpm, words, reason, "");
}

static void a_tpm_quote_is_judged(void **state)
{
    (void) state;
    expect_tpm((const char *[]){ NULL }, "ok");
    expect_tpm((const char *[]){ "--nonce", NONCE, "--event-log", own_path(3, "tpm/eventlog.bin"), "--explain", NULL }, "ok");
    expect_tpm((const char *[]){ "--nonce", "00", NULL }, "tpm-nonce");
    expect_tpm((const char *[]){ "--nonce", "0", NULL }, NULL);
    expect_tpm((const char *[]){ "--signature", own_path(3, "tpm/quote_rsapss.sig"), NULL }, "tpm-signature-scheme");
    expect_tpm((const char *[]){ "--event-log", own_path(3, "tpm/ccel_qemu.bin"), NULL }, "tpm-event-log-format");
    expect_tpm((const char *[]){ "--ak", own_path(3, "tpm/quote_ecc.sig"), NULL }, NULL);
    expect_tpm((const char *[]){ "--policy", made("p", bytes_of_text("{\"ak_names\":[]}")), NULL }, "tpm-ak-name");
}

static void pcr_values_must_be_the_quoted_ones(void **state)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    char              text[256];

    (void) state;
    (void) snprintf(text, sizeof text, "{\"sha256\":{\"0\":\"%s\"}}", zeros); /* fits */
    expect_tpm((const char *[]){ "--pcrs", made("v", bytes_of_text(text)), NULL }, "tpm-pcr-digest");
    expect_tpm((const char *[]){ "--pcrs", made("v", bytes_of_text("[]")), NULL }, "tpm-pcr-digest");
    expect_tpm((const char *[]){ "--pcrs", made("v", bytes_of_text("[\"00\"]")), NULL }, NULL);
    expect_tpm((const char *[]){ "--pcrs", made("v", bytes_of_text("{\"md5\":{}}")), NULL }, NULL);
    expect_tpm((const char *[]){ "--pcrs", made("v", bytes_of_text("{\"sha256\":{\"24\":\"\"}}")), NULL }, NULL);
    expect_tpm((const char *[]){ "--pcrs", made("v", bytes_of_text("7")), NULL }, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quote_is_judged_with_its_status),
        cmocka_unit_test(a_policy_file_decides),
        cmocka_unit_test(lists_and_chain_come_in_the_forms_of_services),
        cmocka_unit_test(collateral_comes_as_one_file_too),
        cmocka_unit_test(unusable_arguments_are_no_verdict),
        cmocka_unit_test(a_tpm_quote_is_judged),
        cmocka_unit_test(pcr_values_must_be_the_quoted_ones),
    };

    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
