/*
 * `cloister job verify` of a TDX guest's receipt, made here under a test root: accepted as it is, and refused with a reason
 * for each single lie. Receipts of SNP and of a TPM are made by real guests in tests/e2e/job_test.py.
 */
#include "tests/harness/test.h"

#include "attestation/evidence/evidence_envelope.h"
#include "base/text.h"
#include "guest/api/receipt.h"
#include "runtime/cli/job.h"
#include "tests/harness/command.h"
#include "tests/harness/tdx_maker.h"

enum { INITDATA_LEN = 48 };

static struct tdx_maker maker;
static char            *folder, receipt[PATH_MAX], root[PATH_MAX], collateral[PATH_MAX], other_root[PATH_MAX];

static void put_in_folder(char path[static PATH_MAX], const char *name, const struct buffer *content)
{
    struct err err;

    (void) snprintf(path, PATH_MAX, "%s/%s", folder, name); /* fits */
    assert_true(file_write(path, buffer_bytes(content), 0600, &err));
}

static void put_root(const struct tdx_maker *of, char path[static PATH_MAX], const char *name)
{
    AUTO(buffer) struct buffer pem = { 0 };

    tdx_maker_pem(of->root, &pem);
    put_in_folder(path, name, &pem);
}

static int prepare(void **state)
{
    AUTO(buffer) struct buffer        bundle = { 0 };
    AUTO(tdx_maker) struct tdx_maker  other  = tdx_maker_new(time(NULL));
    struct err                        err;

    (void) state;
    maker = tdx_maker_new(time(NULL));
    if (!directory_make_temporary("job-verify-test-", &folder, &err))
        return 1;
    const struct tdx_maker_collateral good = tdx_maker_good(&maker);

    tdx_maker_bundle(&maker, &good, &bundle);
    put_in_folder(collateral, "collateral.json", &bundle);
    put_root(&maker, root, "root.pem");
    put_root(&other, other_root, "other.pem");
    return 0;
}

static int clean(void **state)
{
    struct err err;
    bool       ok = directory_remove(folder, &err);

    (void) state;
    free(folder);
    tdx_maker_free(&maker);
    return ok ? 0 : 1;
}

/* A receipt's guest, and what is wrong with it. */
struct guest {
    uint8_t initdata; /* what its MRCONFIGID is full of, where the statement says 0x22 */
    bool    is_debugged, answers_another_key;
};

static void make_receipt(const struct guest *g)
{
    AUTO(pkey) EVP_PKEY                             *key      = EVP_EC_gen("P-256");
    AUTO(buffer) struct buffer                       key_text = { 0 }, evidence = { 0 }, statement = { 0 }, text = { 0 };
    AUTO(evidence_envelope) struct evidence_envelope e        = { .kind = ENVELOPE_TDX };
    struct tdx_guest                                 td       = tdx_guest_good(&maker);
    uint8_t                                          report_data[RECEIPT_REPORT_DATA_LEN], said[INITDATA_LEN];
    struct err                                       err;

    memset(td.mrconfigid, g->initdata, sizeof td.mrconfigid);
    td.attributes |= g->is_debugged;
    assert_true(receipt_key_text(key, &key_text, &err));
    receipt_report_data(buffer_bytes(&key_text), report_data);
    report_data[0] ^= g->answers_another_key;
    tdx_guest_quote(&td, report_data, &e.td_quote);
    assert_true(evidence_envelope_write(&e, &evidence, &err));
    memset(said, 0x22, sizeof said);
    buffer_append_text(&statement, "{\"version\":\"" RECEIPT_VERSION "\",\"image\":\"sha256:aa\",\"exit_code\":0,\"nonce\":\"00\",\"initdata\":\"");
    hex_append(&statement, BYTES_OF(said));
    buffer_append_text(&statement, "\"}");
    assert_true(receipt_write(buffer_bytes(&statement), key, "tdx", buffer_bytes(&evidence), &text, &err));
    put_in_folder(receipt, "receipt.json", &text);
}

static const struct guest GOOD = { .initdata = 0x22 };

/* `reason` NULL: accepted. */
static void expect(const char *const *words, const char *reason)
{
    struct outcome                 o    = command_run(job_verify, words);
    AUTO(json) struct json_object *json = o.json;
    const char                    *said = "";
    struct err                     err;

    assert_non_null(json);
    assert_true(json_get_text(json, "reason", &said, &err));
    assert_string_equal(said, reason ? reason : "ok");
    assert_int_equal(o.code, reason ? 1 : 0);
}

#define ASK(...) ((const char *[]){ "verify", "--root-ca", root, "--collateral", collateral, __VA_ARGS__, NULL })

static void a_td_speaks_for_its_receipt(void **state)
{
    char mrtd[2 * 48 + 1];

    (void) state;
    make_receipt(&GOOD);
    memset(mrtd, '1', sizeof mrtd - 1);
    mrtd[sizeof mrtd - 1] = '\0';
    expect(ASK(receipt), NULL);
    expect(ASK("--measurement", mrtd, "--image", "sha256:aa", "--nonce", "00", receipt), NULL);
    mrtd[0] = '2';
    expect(ASK("--measurement", mrtd, receipt), "tdx-policy-mrtd");
    expect(ASK("--nonce", "01", receipt), "receipt");
    expect(ASK("--image", "sha256:ab", receipt), "receipt");
    expect(ASK("--at", "2060-01-01T00:00:00Z", receipt), "tdx-collateral-expired");
}

static void one_lie_is_enough(void **state)
{
    (void) state;
    make_receipt(&(struct guest){ .initdata = 0x23 });
    expect(ASK(receipt), "init-data");
    make_receipt(&(struct guest){ .initdata = 0x22, .answers_another_key = true });
    expect(ASK(receipt), "tdx-policy-report-data");
    make_receipt(&(struct guest){ .initdata = 0x22, .is_debugged = true });
    expect(ASK(receipt), "tdx-policy-debug");
    make_receipt(&GOOD);
    expect((const char *[]){ "verify", "--root-ca", other_root, "--collateral", collateral, receipt, NULL }, "tdx-bad-crl-signature"); /* of the same name, another key */
}

static void what_a_td_needs_must_be_given(void **state)
{
    const char *const *const cases[] = {
        (const char *[]){ "verify", receipt, NULL },
        (const char *[]){ "verify", "--ca", folder, receipt, NULL }, /* AMD's */
        (const char *[]){ "verify", "--root-ca", root, receipt, NULL },
        (const char *[]){ "verify", "--root-ca", root, "--collateral", root, receipt, NULL },
        (const char *[]){ "verify", "--root-ca", root, "--collateral", collateral, "--measurement", "11", receipt, NULL },
        (const char *[]){ "verify", "--root-ca", root, "--collateral", collateral, "--policy", root, receipt, NULL },
        (const char *[]){ "verify", "--root-ca", root, "--collateral", collateral, receipt, receipt, NULL },
    };

    (void) state;
    make_receipt(&GOOD);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = command_run(job_verify, cases[i]);

        assert_null(o.json);
        assert_int_equal(o.code, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_td_speaks_for_its_receipt), cmocka_unit_test(one_lie_is_enough),
                                        cmocka_unit_test(what_a_td_needs_must_be_given) };

    return cmocka_run_group_tests(tests, prepare, clean);
}
