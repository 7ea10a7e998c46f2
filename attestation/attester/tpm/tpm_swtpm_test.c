/* The attester and credential activation against a real software TPM, started and stopped by each run. */
#include "tests/harness/test.h"
#include "attestation/attester/tpm/device.h"
#include "attestation/attester/tpm/tpm_attester.h"
#include "attestation/verifier/credential.h"
#include "attestation/verifier/tpm.h"
#include "base/file.h"
#include "base/process.h"

#include <stdio.h>

static struct process swtpm;
static char          *folder;
static char           tcti[256];

static bool swtpm_start(void)
{
    char       state[256], server[256], control[256];
    const char *argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control,
                           "--flags", "not-need-init,startup-clear", NULL };
    struct process_options o = { .argv = argv, .dies_with_us = true };
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
    for (int i = 0; i < 1200; i++) { /* its sockets are there before it listens */
        AUTO(tpm_device) struct tpm_device d = { 0 };

        if (access(control, F_OK) == 0 && tpm_device_open(tcti, &d, &err))
            break;
        usleep(50000);
    }
    return true;
}

static struct tpm_policy strict;

static void quotes_verify_with_nonce_values_and_key(void **state)
{
    const struct tpm_attester_options o        = { tcti, 0, 48, "/nonexistent" };
    AUTO(attester) struct attester   *a        = NULL;
    AUTO(attested) struct attested    e        = { 0 };
    AUTO(tpm_key) struct tpm_key      ak       = { 0 };
    struct tpm_pcrs                   pcrs     = { 0 };
    uint8_t                           report_data[REPORT_DATA_LEN];
    struct tpm_result                 result;
    struct err                        err;

    (void) state;
    memset(report_data, 0xa5, sizeof report_data);
    if (!tpm_attester_open(&o, &a, &err) || !a->evidence(a, report_data, &e, &err))
        fail_msg("%s", err.text);
    assert_string_equal(a->tee, "tpm");
    assert_int_equal(e.pcrs.len, 24 * 32);
    assert_true(tpm_key_read(buffer_bytes(&e.public_key), &ak, &err));
    for (unsigned i = 0; i < TPM_PCRS; i++)
        assert_true(tpm_pcrs_set(&pcrs, TPM_SHA256, i, (struct bytes){ e.pcrs.at + 32 * i, 32 }));

    struct tpm_evidence shown = { buffer_bytes(&e.report), buffer_bytes(&e.signature), { 0 }, false, &pcrs };
    struct tpm_question q     = { &strict, true, { report_data, 48 }, NULL };

    if (!tpm_verify(&shown, &ak, &q, &result))
        fail_msg("%s: %s", reason_code(result.verdict.reason), result.verdict.detail);
    assert_int_equal(result.verdict.n_warnings, 0);
    q.nonce.len = 47;
    assert_false(tpm_verify(&shown, &ak, &q, &result));
    assert_int_equal(result.verdict.reason, REASON_TPM_NONCE);
}

static void an_extended_register_shows_in_the_next_quote(void **state)
{
    const struct tpm_attester_options o  = { tcti, 0, 0, "/nonexistent" };
    AUTO(attester) struct attester   *a  = NULL;
    AUTO(attested) struct attested    e  = { 0 }, later = { 0 };
    AUTO(tpm_device) struct tpm_device d = { 0 };
    const uint8_t                     report_data[REPORT_DATA_LEN] = { 1 }, digest[32] = { 2 };
    struct err                        err;

    (void) state;
    assert_true(tpm_attester_open(&o, &a, &err));
    assert_true(a->evidence(a, report_data, &e, &err));
    attester_close(TAKE(a));
    assert_true(tpm_device_open(tcti, &d, &err));
    if (!tpm_pcr_extend(&d, 8, digest, &err))
        fail_msg("%s", err.text);
    tpm_device_close(&d);
    d = (struct tpm_device){ 0 };
    assert_true(tpm_attester_open(&o, &a, &err));
    assert_true(a->evidence(a, report_data, &later, &err));
    assert_memory_equal(e.pcrs.at, later.pcrs.at, 8 * 32);
    assert_memory_not_equal(e.pcrs.at + 8 * 32, later.pcrs.at + 8 * 32, 32);
    assert_true(bytes_equal(buffer_bytes(&e.public_key), buffer_bytes(&later.public_key))); /* the same key again */
}

/* Both halves: the verifier wraps a secret in software, the TPM gives it back; with another key's name it does not. */
static void activate_with(bool is_rsa)
{
    AUTO(tpm_device) struct tpm_device d = { 0 };
    struct tpm_object                  ak = NO_TPM_OBJECT, ek = NO_TPM_OBJECT;
    struct tpm_public                  ak_public, ek_public;
    AUTO(secret) struct secret         secret = { 0 }, opened = { 0 }, nothing = { 0 };
    uint8_t                            name[TPM_NAME_LEN_MAX];
    size_t                             name_len = 0;
    struct err                         err;

    if (!tpm_device_open(tcti, &d, &err) || !tpm_object_make_ak(&d, &ak, &err) || !tpm_object_make_ek(&d, is_rsa, &ek, &err))
        fail_msg("%s", err.text);
    assert_true(tpm_public_parse(buffer_bytes(&ak.public), &ak_public, &err));
    assert_true(tpm_public_parse(buffer_bytes(&ek.public), &ek_public, &err));
    tpm_name_of(&ak_public, name, &name_len);
    assert_true(secret_random(32, &secret, &err));
    for (int forged = 0; forged < 2; forged++) {
        AUTO(buffer) struct buffer object = { 0 }, wrapped = { 0 };

        name[name_len - 1] ^= (uint8_t) forged;
        if (!credential_make(&ek_public, (struct bytes){ name, name_len }, &secret, &object, &wrapped, &err))
            fail_msg("%s", err.text);
        bool activated = tpm_credential_activate(&d, &ak, &ek, buffer_bytes(&object), buffer_bytes(&wrapped),
                                                 forged ? &nothing : &opened, &err);

        if (activated == (bool) forged)
            fail_msg("%s", activated ? "a credential for another name was activated" : err.text);
    }
    assert_true(secret_equal(&secret, &opened));
    tpm_object_close(&d, &ek);
    tpm_object_close(&d, &ak);
}

static void credentials_for_a_p256_endorsement_key_activate(void **state)
{
    (void) state;
    activate_with(false);
}

static void credentials_for_an_rsa_endorsement_key_activate(void **state)
{
    (void) state;
    activate_with(true);
}

static void says_what_is_missing(void **state)
{
    const struct tpm_attester_options nowhere = { "device:/nonexistent/tpm", 0, 0, NULL }, no_key = { tcti, 0x81010099, 0, NULL };
    AUTO(tpm_device) struct tpm_device d = { 0 };
    AUTO(buffer) struct buffer         nv = { 0 };
    struct attester                   *a  = NULL;
    struct err                         err;

    (void) state;
    assert_false(tpm_attester_open(&nowhere, &a, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_false(tpm_attester_open(&no_key, &a, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(tpm_device_open(tcti, &d, &err));
    assert_false(tpm_nv_read(&d, 0x01400001, &nv, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_verify_with_nonce_values_and_key),
        cmocka_unit_test(an_extended_register_shows_in_the_next_quote),
        cmocka_unit_test(credentials_for_a_p256_endorsement_key_activate),
        cmocka_unit_test(credentials_for_an_rsa_endorsement_key_activate),
        cmocka_unit_test(says_what_is_missing),
    };
    struct err err;
    int        failed;

    (void) setenv("TSS2_LOG", "all+none", 1); /* failures are asserted, not told twice */
    if (!secret_heap_open(&err) || !directory_make_temporary("swtpm-", &folder, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (!swtpm_start())
        return 77;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    process_kill(&swtpm);
    if (!directory_remove(folder, &err))
        fprintf(stderr, "%s\n", err.text);
    free(folder);
    return failed;
}
