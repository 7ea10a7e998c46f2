/* The attester and credential activation against a real software TPM, started and stopped by each run. */
#include "tests/harness/test.h"
#include "attestation/attester/tpm/device.h"
#include "attestation/attester/tpm/tpm_attester.h"
#include "attestation/verifier/credential.h"
#include "attestation/verifier/tpm.h"
#include "base/file.h"
#include "base/process.h"

#include <stdio.h>
#include <tss2/tss2_mu.h>

static size_t n_calls, failing; /* the call of tpm2-tss that fails, from 1; 0: none */

/* The linker puts __wrap_X in front of each X (--wrap). */
#define FAULT(name, parameters, arguments)                                                 \
    TSS2_RC __real_##name parameters;                                                      \
    TSS2_RC __wrap_##name parameters;                                                      \
    TSS2_RC __wrap_##name parameters                                                       \
    {                                                                                      \
        return ++n_calls == failing ? (TSS2_RC) TSS2_ESYS_RC_GENERAL_FAILURE : __real_##name arguments; \
    }

FAULT(Esys_Initialize, (ESYS_CONTEXT **esys_context, TSS2_TCTI_CONTEXT *tcti, TSS2_ABI_VERSION *abiVersion),
      (esys_context, tcti, abiVersion))
FAULT(Esys_TR_FromTPMPublic, (ESYS_CONTEXT *esysContext, TPM2_HANDLE tpm_handle, ESYS_TR optionalSession1,
      ESYS_TR optionalSession2, ESYS_TR optionalSession3, ESYS_TR *object),
      (esysContext, tpm_handle,
      optionalSession1, optionalSession2, optionalSession3, object))
FAULT(Esys_ReadPublic, (ESYS_CONTEXT *esysContext, ESYS_TR objectHandle, ESYS_TR shandle1, ESYS_TR shandle2,
      ESYS_TR shandle3, TPM2B_PUBLIC **outPublic, TPM2B_NAME **name, TPM2B_NAME **qualifiedName),
      (esysContext, objectHandle, shandle1, shandle2, shandle3, outPublic, name, qualifiedName))
FAULT(Esys_CreatePrimary, (ESYS_CONTEXT *esysContext, ESYS_TR primaryHandle, ESYS_TR shandle1, ESYS_TR shandle2,
      ESYS_TR shandle3, const TPM2B_SENSITIVE_CREATE *inSensitive, const TPM2B_PUBLIC *inPublic, const
      TPM2B_DATA *outsideInfo, const TPML_PCR_SELECTION *creationPCR, ESYS_TR *objectHandle, TPM2B_PUBLIC
      **outPublic, TPM2B_CREATION_DATA **creationData, TPM2B_DIGEST **creationHash, TPMT_TK_CREATION
      **creationTicket),
      (esysContext, primaryHandle, shandle1, shandle2, shandle3, inSensitive, inPublic,
      outsideInfo, creationPCR, objectHandle, outPublic, creationData, creationHash, creationTicket))
FAULT(Esys_PCR_Read, (ESYS_CONTEXT *esysContext, ESYS_TR shandle1, ESYS_TR shandle2, ESYS_TR shandle3, const
      TPML_PCR_SELECTION *pcrSelectionIn, UINT32 *pcrUpdateCounter, TPML_PCR_SELECTION **pcrSelectionOut,
      TPML_DIGEST **pcrValues),
      (esysContext, shandle1, shandle2, shandle3, pcrSelectionIn,
      pcrUpdateCounter, pcrSelectionOut, pcrValues))
FAULT(Esys_PCR_Extend, (ESYS_CONTEXT *esysContext, ESYS_TR pcrHandle, ESYS_TR shandle1, ESYS_TR shandle2,
      ESYS_TR shandle3, const TPML_DIGEST_VALUES *digests),
      (esysContext, pcrHandle, shandle1, shandle2,
      shandle3, digests))
FAULT(Esys_Quote, (ESYS_CONTEXT *esysContext, ESYS_TR signHandle, ESYS_TR shandle1, ESYS_TR shandle2, ESYS_TR
      shandle3, const TPM2B_DATA *qualifyingData, const TPMT_SIG_SCHEME *inScheme, const TPML_PCR_SELECTION
      *PCRselect, TPM2B_ATTEST **quoted, TPMT_SIGNATURE **signature),
      (esysContext, signHandle, shandle1,
      shandle2, shandle3, qualifyingData, inScheme, PCRselect, quoted, signature))
FAULT(Esys_NV_Read, (ESYS_CONTEXT *esysContext, ESYS_TR authHandle, ESYS_TR nvIndex, ESYS_TR shandle1, ESYS_TR
      shandle2, ESYS_TR shandle3, UINT16 size, UINT16 offset, TPM2B_MAX_NV_BUFFER **data),
      (esysContext,
      authHandle, nvIndex, shandle1, shandle2, shandle3, size, offset, data))
FAULT(Esys_NV_ReadPublic, (ESYS_CONTEXT *esysContext, ESYS_TR nvIndex, ESYS_TR shandle1, ESYS_TR shandle2,
      ESYS_TR shandle3, TPM2B_NV_PUBLIC **nvPublic, TPM2B_NAME **nvName),
      (esysContext, nvIndex, shandle1,
      shandle2, shandle3, nvPublic, nvName))
FAULT(Esys_StartAuthSession, (ESYS_CONTEXT *esysContext, ESYS_TR tpmKey, ESYS_TR bind, ESYS_TR shandle1, ESYS_TR
      shandle2, ESYS_TR shandle3, const TPM2B_NONCE *nonceCaller, TPM2_SE sessionType, const TPMT_SYM_DEF
      *symmetric, TPMI_ALG_HASH authHash, ESYS_TR *sessionHandle),
      (esysContext, tpmKey, bind, shandle1,
      shandle2, shandle3, nonceCaller, sessionType, symmetric, authHash, sessionHandle))
FAULT(Esys_PolicySecret, (ESYS_CONTEXT *esysContext, ESYS_TR authHandle, ESYS_TR policySession, ESYS_TR
      shandle1, ESYS_TR shandle2, ESYS_TR shandle3, const TPM2B_NONCE *nonceTPM, const TPM2B_DIGEST *cpHashA,
      const TPM2B_NONCE *policyRef, INT32 expiration, TPM2B_TIMEOUT **timeout, TPMT_TK_AUTH **policyTicket),
      (esysContext, authHandle, policySession, shandle1, shandle2, shandle3, nonceTPM, cpHashA, policyRef,
      expiration, timeout, policyTicket))
FAULT(Esys_ActivateCredential, (ESYS_CONTEXT *esysContext, ESYS_TR activateHandle, ESYS_TR keyHandle, ESYS_TR
      shandle1, ESYS_TR shandle2, ESYS_TR shandle3, const TPM2B_ID_OBJECT *credentialBlob, const
      TPM2B_ENCRYPTED_SECRET *secret, TPM2B_DIGEST **certInfo),
      (esysContext, activateHandle, keyHandle,
      shandle1, shandle2, shandle3, credentialBlob, secret, certInfo))
FAULT(Tss2_MU_TPM2B_PUBLIC_Marshal, (TPM2B_PUBLIC const *src, uint8_t buffer[], size_t buffer_size, size_t
      *offset),
      (src, buffer, buffer_size, offset))
FAULT(Tss2_MU_TPMT_SIGNATURE_Marshal, (TPMT_SIGNATURE const *src, uint8_t buffer[], size_t buffer_size, size_t
      *offset),
      (src, buffer, buffer_size, offset))

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

/* Azure's guests find the HCL report in an NV index; it is read piece by piece. */
static void an_nv_index_is_read_whole(void **state)
{
    static const TPM2B_AUTH    no_auth;
    const TPM2B_NV_PUBLIC      public = { .nvPublic = { .nvIndex = 0x01400001, .nameAlg = TPM2_ALG_SHA256,
                                                        .attributes = TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD, .dataSize = 1300 } };
    AUTO(tpm_device) struct tpm_device d = { 0 };
    AUTO(buffer) struct buffer         read = { 0 };
    ESYS_TR                            index = ESYS_TR_NONE;
    struct err                         err;

    (void) state;
    assert_true(tpm_device_open(tcti, &d, &err));
    assert_int_equal(Esys_NV_DefineSpace(d.esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth,
                                         &public, &index), TSS2_RC_SUCCESS);
    for (UINT16 at = 0; at < 1300; at = (UINT16) (at + 100)) {
        TPM2B_MAX_NV_BUFFER piece = { .size = 100 };

        memset(piece.buffer, at / 100, 100);
        assert_int_equal(Esys_NV_Write(d.esys, ESYS_TR_RH_OWNER, index, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &piece,
                                       at), TSS2_RC_SUCCESS);
    }
    assert_int_equal(Esys_TR_Close(d.esys, &index), TSS2_RC_SUCCESS);
    if (!tpm_nv_read(&d, 0x01400001, &read, &err))
        fail_msg("%s", err.text);
    assert_int_equal(read.len, 1300);
    for (size_t i = 0; i < read.len; i++)
        assert_int_equal(read.at[i], i / 100);
}

static const TPM2_HANDLE persistent = 0x81010002;

static void persistent_key_make(void)
{
    AUTO(tpm_device) struct tpm_device d  = { 0 };
    struct tpm_object                  ak = NO_TPM_OBJECT;
    ESYS_TR                            kept = ESYS_TR_NONE;
    struct err                         err;

    assert_true(tpm_device_open(tcti, &d, &err) && tpm_object_make_ak(&d, &ak, &err));
    assert_int_equal(Esys_EvictControl(d.esys, ESYS_TR_RH_OWNER, ak.handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                       persistent, &kept), TSS2_RC_SUCCESS);
    assert_int_equal(Esys_TR_Close(d.esys, &kept), TSS2_RC_SUCCESS);
    tpm_object_close(&d, &ak);
}

static bool attests(uint32_t ak_handle)
{
    const struct tpm_attester_options o = { tcti, ak_handle, 48, "/nonexistent" };
    const uint8_t                     report_data[REPORT_DATA_LEN] = { 7 }, digest[BOUND_DIGEST_LEN] = { 8 };
    AUTO(attester) struct attester   *a = NULL;
    AUTO(attested) struct attested    e = { 0 };
    struct err                        err;

    return tpm_attester_open(&o, &a, &err) && a->bind(a, digest, &err) && a->evidence(a, report_data, &e, &err);
}

static bool attests_with_a_new_key(void) { return attests(0); }
static bool attests_with_a_kept_key(void) { return attests(persistent); }

static bool activates(void)
{
    AUTO(tpm_device) struct tpm_device d  = { 0 };
    struct tpm_object                  ak = NO_TPM_OBJECT, ek = NO_TPM_OBJECT;
    AUTO(secret) struct secret         secret = { 0 }, opened = { 0 };
    AUTO(buffer) struct buffer         object = { 0 }, wrapped = { 0 };
    struct tpm_public                  ak_public, ek_public;
    uint8_t                            name[TPM_NAME_LEN_MAX];
    size_t                             len = 0;
    struct err                         err;
    bool                               done;

    if (!tpm_device_open(tcti, &d, &err))
        return false;
    done = tpm_object_make_ak(&d, &ak, &err) && tpm_object_make_ek(&d, false, &ek, &err) &&
           tpm_public_parse(buffer_bytes(&ak.public), &ak_public, &err) &&
           tpm_public_parse(buffer_bytes(&ek.public), &ek_public, &err) && secret_random(32, &secret, &err);
    if (done) {
        tpm_name_of(&ak_public, name, &len);
        done = credential_make(&ek_public, (struct bytes){ name, len }, &secret, &object, &wrapped, &err) &&
               tpm_credential_activate(&d, &ak, &ek, buffer_bytes(&object), buffer_bytes(&wrapped), &opened, &err);
    }
    tpm_object_close(&d, &ek);
    tpm_object_close(&d, &ak);
    return done;
}

/* A TPM that stops answering is an error wherever it stops: no evidence, no secret, and nothing left behind. */
static void each_failing_call_is_an_error(void **state)
{
    static bool (*const scenarios[])(void) = { attests_with_a_new_key, attests_with_a_kept_key, activates };

    (void) state;
    persistent_key_make();
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        size_t n;

        failing = 0;
        n_calls = 0;
        assert_true(scenarios[i]());
        n = n_calls;
        assert_true(n > 3);
        for (failing = 1; failing <= n; failing++) {
            n_calls = 0;
            if (scenarios[i]())
                fail_msg("scenario %zu succeeds although call %zu of %zu failed", i, failing, n);
        }
    }
    failing = 0;
    assert_true(attests_with_a_kept_key());
}

static void credentials_that_are_no_structures_are_refused(void **state)
{
    AUTO(tpm_device) struct tpm_device d    = { 0 };
    struct tpm_object                  none = NO_TPM_OBJECT;
    AUTO(secret) struct secret         out  = { 0 };
    static const uint8_t               object[] = { 0, 1, 7 }, longer[] = { 0, 1, 7, 7 }, shorter[] = { 0, 9, 7 };
    static const struct { struct bytes object, secret; } rows[] = {
        { { shorter, 3 }, { object, 3 } }, { { object, 3 }, { shorter, 3 } }, { { longer, 4 }, { object, 3 } },
        { { object, 3 }, { longer, 4 } },
    };
    struct err err;

    (void) state;
    assert_true(tpm_device_open(tcti, &d, &err));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(tpm_credential_activate(&d, &none, &none, rows[i].object, rows[i].secret, &out, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
    assert_false(tpm_pcr_extend(&d, 24, (const uint8_t[32]){ 0 }, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_verify_with_nonce_values_and_key),
        cmocka_unit_test(an_extended_register_shows_in_the_next_quote),
        cmocka_unit_test(credentials_for_a_p256_endorsement_key_activate),
        cmocka_unit_test(credentials_for_an_rsa_endorsement_key_activate),
        cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(an_nv_index_is_read_whole),
        cmocka_unit_test(credentials_that_are_no_structures_are_refused),
        cmocka_unit_test(each_failing_call_is_an_error),
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
