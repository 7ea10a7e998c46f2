/* What the agent does with a TPM, against a real software TPM that each run starts and stops. */
#include "tests/harness/test.h"

#include <stdio.h>

#include "attestation/attester/tpm/tpm_attester.h"
#include "attestation/evidence/tpm_quote.h"
#include "base/file.h"
#include "base/json.h"
#include "base/ossl.h"
#include "base/process.h"
#include "base/text.h"
#include "guest/agent/evidence.h"

static struct process   swtpm;
static char            *folder, tcti[256];
static struct attester *attester;

static bool swtpm_start(void)
{
    char                   state[256], server[256], control[256];
    const char            *argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control,
                                      "--flags", "not-need-init,startup-clear", NULL };
    struct process_options o      = { .argv = argv, .dies_with_us = true };
    struct err             err;

    (void) snprintf(state, sizeof state, "dir=%s", folder); /* short names, here and below */
    (void) snprintf(server, sizeof server, "type=unixio,path=%s/tpm", folder);
    (void) snprintf(control, sizeof control, "type=unixio,path=%s/tpm.ctrl", folder);
    (void) snprintf(tcti, sizeof tcti, "swtpm:path=%s/tpm", folder);
    swtpm = NO_PROCESS;
    if (!process_start(&o, &swtpm, &err)) {
        printf("skipped: %s\n", err.text);
        return false;
    }
    (void) snprintf(control, sizeof control, "%s/tpm.ctrl", folder);
    for (int i = 0; i < 1200 && access(control, F_OK) != 0; i++)
        usleep(50000);
    return true;
}

/* The names of these two are in this order: the second needs the register as the first left it. */
static void initdata_is_bound_by_extending_register_8(void **state)
{
    AUTO(buffer) struct buffer field = { 0 };
    const struct bytes         text  = bytes_of_text("version = \"0.1.0\"\n");
    uint8_t                    digest[SHA256_LEN];
    struct err                 err;

    (void) state;
    if (!evidence_own_field(attester, text, &field, &err))
        fail_msg("%s", err.text);
    sha256_of(text, digest);
    assert_true(bytes_equal(buffer_bytes(&field), BYTES_OF(digest)));
}

static void a_register_that_someone_extended_before_is_refused(void **state)
{
    AUTO(buffer) struct buffer field = { 0 };
    struct err                 err;

    (void) state;
    assert_false(evidence_own_field(attester, bytes_of_text("other"), &field, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "own report: PCR 8 was extended by someone else");
    assert_int_equal(field.len, 0);
}

static void base64_member(struct json_object *object, const char *name, struct buffer *out)
{
    const char *text;
    struct err  err;

    if (!json_get_text(object, name, &text, &err) || !base64_read(bytes_of_text(text), BASE64_STANDARD, out, &err))
        fail_msg("%s: %s", name, err.text);
}

static void the_broker_gets_quote_values_and_key(void **state)
{
    AUTO(json) struct json_object *read = NULL;
    AUTO(buffer) struct buffer     json = { 0 }, message = { 0 }, key = { 0 };
    struct json_object            *quote, *pcrs;
    struct tpm_quote               parsed;
    struct measurements            measured = { .attester = attester };
    uint8_t                        data[KBS_REPORT_DATA_LEN];
    struct err                     err;

    (void) state;
    memset(data, 0x77, sizeof data);
    if (!evidence_for_broker(&measured, data, &json, &err) || !json_read(buffer_bytes(&json), 1 << 20, &read, &err))
        fail_msg("%s", err.text);
    assert_true(json_object_object_get_ex(read, "tpm_quote", &quote));
    base64_member(quote, "message", &message);
    assert_true(tpm_quote_parse(buffer_bytes(&message), &parsed, &err));
    assert_true(bytes_equal(parsed.extra_data, (struct bytes){ data, TPM_NONCE_OF_COCO }));
    assert_true(json_object_object_get_ex(quote, "pcrs", &pcrs));
    assert_int_equal(json_object_array_length(pcrs), TPM_PCRS);
    assert_int_equal(strlen(json_object_get_string(json_object_array_get_idx(pcrs, 23))), 64);

    base64_member(read, "ak_public", &key);
    const uint8_t *at             = key.at;
    AUTO(pkey) EVP_PKEY *openssls = d2i_PUBKEY(NULL, &at, (long) key.len);
    assert_non_null(openssls);
    assert_ptr_equal(at, key.at + key.len);
}

/* The log's replay is what the TPM signs. */
static void events_extend_register_15_of_the_quote(void **state)
{
    struct measurements            measured = { .attester = attester };
    struct aael_event              event    = { "domain", "operation", "content" };
    AUTO(attested) struct attested quoted   = { 0 };
    const uint8_t                  report_data[REPORT_DATA_LEN] = { 9 };
    struct err                     err;

    (void) state;
    assert_string_equal(measurements_register(&measured).name, "pcr15");
    for (int i = 0; i < 3; i++)
        assert_true(measurements_add(&measured, &event, false, &err));
    assert_true(attester->evidence(attester, report_data, &quoted, &err)); /* compares values with the quote itself */
    assert_memory_equal(quoted.pcrs.at + 15 * SHA256_LEN, measured.value, SHA256_LEN);
    measurements_free(&measured);
}

int main(void)
{
    const struct tpm_attester_options options = { tcti, 0, 0, "/nonexistent" };
    const struct CMUnitTest           tests[] = {
        cmocka_unit_test(initdata_is_bound_by_extending_register_8),
        cmocka_unit_test(a_register_that_someone_extended_before_is_refused),
        cmocka_unit_test(the_broker_gets_quote_values_and_key),
        cmocka_unit_test(events_extend_register_15_of_the_quote),
    };
    struct err err;
    int        failed;

    if (!directory_make_temporary("swtpm-", &folder, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (!swtpm_start())
        return 77;
    bool is_open = tpm_attester_open(&options, &attester, &err);
    for (int i = 0; i < 1200 && !is_open; i++) { /* its socket is there before it listens */
        usleep(50000);
        is_open = tpm_attester_open(&options, &attester, &err);
    }
    if (!is_open) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    attester_close(attester);
    process_kill(&swtpm);
    if (!directory_remove(folder, &err))
        fprintf(stderr, "%s\n", err.text);
    free(folder);
    return failed;
}
