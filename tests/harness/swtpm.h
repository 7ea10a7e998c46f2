/* A real software TPM in a process of its own, with an RSA attestation key as Azure's paravisor makes one. */
#pragma once

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "attestation/evidence/evidence_envelope.h"
#include "base/file.h"
#include "base/ossl.h"
#include "base/process.h"
#include "tests/harness/test.h"

struct swtpm {
    char              *folder;
    struct process     process;
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT      *esys;
    ESYS_TR            ak;
    EVP_PKEY          *ak_public;
};

static inline bool swtpm_connects(struct swtpm *t, const char *tcti)
{
    if (Tss2_TctiLdr_Initialize(tcti, &t->tcti) != TSS2_RC_SUCCESS)
        return false;
    if (Esys_Initialize(&t->esys, t->tcti, NULL) == TSS2_RC_SUCCESS)
        return true;
    Tss2_TctiLdr_Finalize(&t->tcti);
    return false;
}

static inline EVP_PKEY *swtpm_key_of(const TPM2B_PUBLIC_KEY_RSA *modulus)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx     = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    AUTO(bn) BIGNUM             *n       = BN_bin2bn(modulus->buffer, modulus->size, NULL);
    OSSL_PARAM_BLD              *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM                  *params;
    EVP_PKEY                    *key = NULL;

    assert_true(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 && OSSL_PARAM_BLD_push_uint(builder, OSSL_PKEY_PARAM_RSA_E, 65537) == 1);
    params = OSSL_PARAM_BLD_to_param(builder);
    assert_true(EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static inline void swtpm_make_ak(struct swtpm *t)
{
    static const TPM2B_SENSITIVE_CREATE NO_AUTH;
    static const TPM2B_DATA             NO_DATA;
    static const TPML_PCR_SELECTION     NO_PCRS;
    static const TPM2B_PUBLIC           TEMPLATE = { .publicArea = {
        .type             = TPM2_ALG_RSA,
        .nameAlg          = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH,
        .parameters.rsaDetail = { .symmetric = { .algorithm = TPM2_ALG_NULL },
                                  .scheme    = { .scheme = TPM2_ALG_RSASSA, .details.rsassa.hashAlg = TPM2_ALG_SHA256 },
                                  .keyBits   = 2048 },
    } };
    TPM2B_PUBLIC        *made = NULL;
    TPM2B_CREATION_DATA *data = NULL;
    TPM2B_DIGEST        *hash = NULL;
    TPMT_TK_CREATION    *ticket = NULL;

    assert_int_equal(Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &NO_AUTH, &TEMPLATE,
                                        &NO_DATA, &NO_PCRS, &t->ak, &made, &data, &hash, &ticket), TSS2_RC_SUCCESS);
    t->ak_public = swtpm_key_of(&made->publicArea.unique.rsa);
    Esys_Free(made);
    Esys_Free(data);
    Esys_Free(hash);
    Esys_Free(ticket);
}

/* False where there is no swtpm. */
static inline bool swtpm_start(struct swtpm *t)
{
    char       state[PATH_MAX + 8], server[PATH_MAX + 24], control[PATH_MAX + 24], tcti[PATH_MAX + 24];
    const char *argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control,
                           "--flags", "not-need-init,startup-clear", NULL };
    struct process_options o = { .argv = argv, .dies_with_us = true };
    struct err             err;

    *t = (struct swtpm){ .process = NO_PROCESS };
    if (!directory_make_temporary("swtpm-", &t->folder, &err))
        fail_msg("%s", err.text);
    (void) snprintf(state, sizeof state, "dir=%s", t->folder); /* all fit */
    (void) snprintf(server, sizeof server, "type=unixio,path=%s/tpm", t->folder);
    (void) snprintf(control, sizeof control, "type=unixio,path=%s/tpm.ctrl", t->folder);
    (void) snprintf(tcti, sizeof tcti, "swtpm:path=%s/tpm", t->folder);
    if (!process_start(&o, &t->process, &err))
        return false;
    for (int i = 0; i < 1200 && !t->esys; i++) { /* its sockets are there before it listens */
        if (access(control + strlen("type=unixio,path="), F_OK) != 0 || !swtpm_connects(t, tcti))
            usleep(50000);
    }
    assert_non_null(t->esys);
    swtpm_make_ak(t);
    return true;
}

static inline void swtpm_stop(struct swtpm *t)
{
    struct err err;

    if (t->esys) {
        (void) Esys_FlushContext(t->esys, t->ak); /* it ends with its TPM */
        Esys_Finalize(&t->esys);
        Tss2_TctiLdr_Finalize(&t->tcti);
    }
    EVP_PKEY_free(t->ak_public);
    process_kill(&t->process);
    if (t->folder && !directory_remove(t->folder, &err))
        fail_msg("%s", err.text);
    free(t->folder);
}

static inline TPML_PCR_SELECTION swtpm_selection(uint32_t pcrs)
{
    return (TPML_PCR_SELECTION){ .count = 1, .pcrSelections = { { .hash = TPM2_ALG_SHA256, .sizeofSelect = 3,
                                 .pcrSelect = { (uint8_t) pcrs, (uint8_t) (pcrs >> 8), (uint8_t) (pcrs >> 16) } } } };
}

static inline void swtpm_extend(struct swtpm *t, unsigned pcr, const uint8_t digest[static SHA256_LEN])
{
    TPML_DIGEST_VALUES values = { .count = 1, .digests = { { .hashAlg = TPM2_ALG_SHA256 } } };

    memcpy(values.digests[0].digest.sha256, digest, SHA256_LEN);
    assert_int_equal(Esys_PCR_Extend(t->esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &values), TSS2_RC_SUCCESS);
}

/* As azure_quote_fn; `owner` is a struct swtpm. */
static inline void swtpm_quote(void *owner, struct bytes nonce, struct tpm_envelope *out)
{
    struct swtpm            *t         = owner;
    const TPMT_SIG_SCHEME    the_keys  = { .scheme = TPM2_ALG_NULL };
    const TPML_PCR_SELECTION all       = swtpm_selection(0xffffff);
    TPM2B_DATA               asked     = { .size = (UINT16) nonce.len };
    TPM2B_ATTEST            *attest    = NULL;
    TPMT_SIGNATURE          *signature = NULL;

    assert_true(nonce.len <= sizeof asked.buffer);
    memcpy(asked.buffer, nonce.at, nonce.len);
    for (unsigned at = 0; at < TPM_PCRS; at += 8) {
        const TPML_PCR_SELECTION eight = swtpm_selection(0xffU << at);
        TPML_DIGEST             *got   = NULL;
        UINT32                   n_changes;
        TPML_PCR_SELECTION      *read  = NULL;

        assert_int_equal(Esys_PCR_Read(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &eight, &n_changes, &read, &got), TSS2_RC_SUCCESS);
        assert_int_equal(got->count, 8);
        for (unsigned i = 0; i < 8; i++)
            memcpy(out->pcr[at + i], got->digests[i].buffer, SHA256_LEN);
        Esys_Free(got);
        Esys_Free(read);
    }
    assert_int_equal(Esys_Quote(t->esys, t->ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &asked, &the_keys, &all, &attest, &signature), TSS2_RC_SUCCESS);
    buffer_append(&out->message, (struct bytes){ attest->attestationData, attest->size });
    buffer_append(&out->signature, (struct bytes){ signature->signature.rsassa.sig.buffer, signature->signature.rsassa.sig.size });
    Esys_Free(attest);
    Esys_Free(signature);
}
