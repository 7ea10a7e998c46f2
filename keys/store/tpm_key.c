#include "keys/store/tpm_key.h"

#include <openssl/crypto.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "base/auto.h"

/* One conversation with the TPM. What is in it is flushed from the TPM at its end. */
struct tpm {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT      *esys;
    ESYS_TR            storage, session, sealed;
};

static void auto_tpm(struct tpm *t)
{
    const ESYS_TR handles[] = { t->sealed, t->session, t->storage };

    for (size_t i = 0; t->esys && i < sizeof handles / sizeof *handles; i++) {
        if (handles[i] != ESYS_TR_NONE)
            (void) Esys_FlushContext(t->esys, handles[i]); /* a resource manager does it too, when we are gone */
    }
    if (t->esys)
        Esys_Finalize(&t->esys);
    if (t->tcti)
        Tss2_TctiLdr_Finalize(&t->tcti);
}

static FALLIBLE rc_check(TSS2_RC rc, const char *what, struct err *err)
{
    return rc == TSS2_RC_SUCCESS || fail_with(err, ERR_OS, "TPM: %s: %s", what, Tss2_RC_Decode(rc));
}

/* The storage key of [TCG TPM 2.0 EK/SRK profile, template ECC_SRK]: the same at every call, on the same TPM. */
static const TPM2B_PUBLIC STORAGE = {
    .publicArea = {
        .type             = TPM2_ALG_ECC,
        .nameAlg          = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                            TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .parameters.eccDetail = { .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
                                  .scheme.scheme = TPM2_ALG_NULL, .curveID = TPM2_ECC_NIST_P256,
                                  .kdf.scheme = TPM2_ALG_NULL },
    },
};

static const TPM2B_PUBLIC SEALED = {
    .publicArea = {
        .type             = TPM2_ALG_KEYEDHASH,
        .nameAlg          = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
        .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
    },
};

/* A session salted to the storage key: whoever reads the bus sees neither the key nor what decrypts it. */
static FALLIBLE session_start(struct tpm *t, struct err *err)
{
    const TPMT_SYM_DEF aes        = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
    const TPMA_SESSION attributes = TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION;

    return rc_check(Esys_StartAuthSession(t->esys, t->storage, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
                                          TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &t->session), "start a session", err) &&
           rc_check(Esys_TRSess_SetAttributes(t->esys, t->session, attributes, attributes), "set the session up", err);
}

static FALLIBLE tpm_open(const char *tcti, struct tpm *t, struct err *err)
{
    const TPM2B_SENSITIVE_CREATE nothing = { 0 };
    const TPM2B_DATA             outside = { 0 };
    const TPML_PCR_SELECTION     pcrs    = { 0 };

    return rc_check(Tss2_TctiLdr_Initialize(tcti, &t->tcti), tcti, err) &&
           rc_check(Esys_Initialize(&t->esys, t->tcti, NULL), "begin", err) &&
           rc_check(Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nothing,
                                       &STORAGE, &outside, &pcrs, &t->storage, NULL, NULL, NULL, NULL),
                    "derive its storage key", err) &&
           session_start(t, err);
}

#define NO_TPM ((struct tpm){ .storage = ESYS_TR_NONE, .session = ESYS_TR_NONE, .sealed = ESYS_TR_NONE })

FALLIBLE tpm_key_seal(const char *tcti, const struct secret *key, struct buffer *sealed, struct err *err)
{
    AUTO(tpm) struct tpm     t       = NO_TPM;
    TPM2B_SENSITIVE_CREATE   content = { 0 };
    const TPM2B_DATA         outside = { 0 };
    const TPML_PCR_SELECTION pcrs    = { 0 };
    TPM2B_PRIVATE           *private_part = NULL;
    TPM2B_PUBLIC            *public_part  = NULL;
    uint8_t                  bytes[TPM_SEALED_MAX];
    size_t                   len = 0;
    bool                     fine;

    if (key->len > sizeof content.sensitive.data.buffer)
        return fail_with(err, ERR_BUG, "TPM: a key of %zu bytes", key->len);
    if (!tpm_open(tcti, &t, err))
        return false;
    content.sensitive.data.size = (uint16_t) key->len;
    memcpy(content.sensitive.data.buffer, key->held, key->len);
    fine = rc_check(Esys_Create(t.esys, t.storage, t.session, ESYS_TR_NONE, ESYS_TR_NONE, &content, &SEALED, &outside, &pcrs,
                                &private_part, &public_part, NULL, NULL, NULL), "seal", err);
    OPENSSL_cleanse(&content, sizeof content);
    fine = fine && rc_check(Tss2_MU_TPM2B_PUBLIC_Marshal(public_part, bytes, sizeof bytes, &len), "write", err) &&
           rc_check(Tss2_MU_TPM2B_PRIVATE_Marshal(private_part, bytes, sizeof bytes, &len), "write", err);
    Esys_Free(public_part);
    Esys_Free(private_part);
    if (fine)
        buffer_append(sealed, (struct bytes){ bytes, len });
    return fine;
}

static FALLIBLE parts_read(struct bytes sealed, TPM2B_PUBLIC *public_part, TPM2B_PRIVATE *private_part, struct err *err)
{
    size_t at = 0;

    if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(sealed.at, sealed.len, &at, public_part) != TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_PRIVATE_Unmarshal(sealed.at, sealed.len, &at, private_part) != TSS2_RC_SUCCESS || at != sealed.len)
        return fail_with(err, ERR_MALFORMED, "TPM: this is not a key that it sealed");
    return true;
}

FALLIBLE tpm_key_unseal(const char *tcti, struct bytes sealed, struct secret *out, struct err *err)
{
    AUTO(tpm) struct tpm  t            = NO_TPM;
    TPM2B_PUBLIC          public_part  = { 0 };
    TPM2B_PRIVATE         private_part = { 0 };
    TPM2B_SENSITIVE_DATA *content      = NULL;
    bool                  copied;

    if (!parts_read(sealed, &public_part, &private_part, err) || !tpm_open(tcti, &t, err))
        return false;
    if (!rc_check(Esys_Load(t.esys, t.storage, t.session, ESYS_TR_NONE, ESYS_TR_NONE, &private_part, &public_part, &t.sealed),
                  "load the sealed key", err)) {
        err->kind = ERR_UNTRUSTED; /* another TPM's, or altered */
        return false;
    }
    if (!rc_check(Esys_Unseal(t.esys, t.sealed, t.session, ESYS_TR_NONE, ESYS_TR_NONE, &content), "unseal", err))
        return false;
    copied = secret_copy((struct bytes){ content->buffer, content->size }, out, err);
    OPENSSL_cleanse(content, sizeof *content);
    Esys_Free(content);
    return copied;
}
