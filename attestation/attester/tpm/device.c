#include "attestation/attester/tpm/device.h"

#include <openssl/crypto.h>
#include <string.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

enum { PCRS = 24, PCRS_PER_READ = 8, NV_LEN_MAX = 16 * 1024, NV_CHUNK = 512 };

static void esys_free(void *p)
{
    Esys_Free(p);
}
#define DEFINE_ESYS_AUTO(kind, type) DEFINE_AUTO(kind, type *, esys_free)
DEFINE_ESYS_AUTO(tpm_public_2b, TPM2B_PUBLIC)
DEFINE_ESYS_AUTO(tpm_creation, TPM2B_CREATION_DATA)
DEFINE_ESYS_AUTO(tpm_digest, TPM2B_DIGEST)
DEFINE_ESYS_AUTO(tpm_ticket, TPMT_TK_CREATION)
DEFINE_ESYS_AUTO(tpm_digests, TPML_DIGEST)
DEFINE_ESYS_AUTO(tpm_selection_list, TPML_PCR_SELECTION)
DEFINE_ESYS_AUTO(tpm_attest_2b, TPM2B_ATTEST)
DEFINE_ESYS_AUTO(tpm_signature_any, TPMT_SIGNATURE)
DEFINE_ESYS_AUTO(tpm_nv_public, TPM2B_NV_PUBLIC)
DEFINE_ESYS_AUTO(tpm_nv_buffer, TPM2B_MAX_NV_BUFFER)

bool err_tpm(struct err *err, TSS2_RC rc, const char *what)
{
    return fail_with(err, ERR_OS, "%s: %s", what, Tss2_RC_Decode(rc));
}

FALLIBLE tpm_device_open(const char *tcti, struct tpm_device *out, struct err *err)
{
    struct tpm_device d  = { 0 };
    TSS2_RC           rc = Tss2_TctiLdr_Initialize(tcti ? tcti : "device:/dev/tpmrm0", &d.tcti);

    if (rc != TSS2_RC_SUCCESS)
        return fail_with(err, ERR_NOT_FOUND, "no TPM at %s: %s", tcti ? tcti : "/dev/tpmrm0", Tss2_RC_Decode(rc));
    rc = Esys_Initialize(&d.esys, d.tcti, NULL);
    if (rc != TSS2_RC_SUCCESS) {
        tpm_device_close(&d);
        return err_tpm(err, rc, "start tpm2-tss");
    }
    *out = d;
    return true;
}

void tpm_device_close(struct tpm_device *d)
{
    if (d->esys)
        Esys_Finalize(&d->esys);
    if (d->tcti)
        Tss2_TctiLdr_Finalize(&d->tcti);
}

/* Keeps the marshalled public area, which is what a verifier reads. */
static FALLIBLE public_keep(const TPM2B_PUBLIC *public, struct tpm_object *o, struct err *err)
{
    uint8_t raw[sizeof *public];
    size_t  len = 0;
    TSS2_RC rc  = Tss2_MU_TPM2B_PUBLIC_Marshal(public, raw, sizeof raw, &len);

    if (rc != TSS2_RC_SUCCESS)
        return err_tpm(err, rc, "write public area");
    buffer_append(&o->public, (struct bytes){ raw, len });
    return true;
}

FALLIBLE tpm_object_at(struct tpm_device *d, TPM2_HANDLE persistent, struct tpm_object *out, struct err *err)
{
    AUTO(tpm_public_2b) TPM2B_PUBLIC *public = NULL;
    struct tpm_object                 o      = { .is_persistent = true };
    TSS2_RC                           rc;

    rc = Esys_TR_FromTPMPublic(d->esys, persistent, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &o.handle);
    if (rc != TSS2_RC_SUCCESS)
        return fail_with(err, ERR_NOT_FOUND, "no key at %#x: %s", persistent, Tss2_RC_Decode(rc));
    rc = Esys_ReadPublic(d->esys, o.handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS)
        err_tpm(err, rc, "read public area");
    if (rc != TSS2_RC_SUCCESS || !public_keep(public, &o, err)) {
        tpm_object_close(d, &o);
        return false;
    }
    *out = o;
    return true;
}

static FALLIBLE primary_make(struct tpm_device *d, ESYS_TR hierarchy, const TPM2B_PUBLIC *template, struct tpm_object *out,
                             struct err *err)
{
    static const TPM2B_SENSITIVE_CREATE no_auth;
    static const TPM2B_DATA             no_data;
    static const TPML_PCR_SELECTION     no_pcrs;
    AUTO(tpm_public_2b) TPM2B_PUBLIC       *public   = NULL;
    AUTO(tpm_creation) TPM2B_CREATION_DATA *creation = NULL;
    AUTO(tpm_digest) TPM2B_DIGEST          *digest   = NULL;
    AUTO(tpm_ticket) TPMT_TK_CREATION      *ticket   = NULL;
    struct tpm_object                       o        = NO_TPM_OBJECT;
    TSS2_RC                                 rc;

    rc = Esys_CreatePrimary(d->esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, template, &no_data,
                            &no_pcrs, &o.handle, &public, &creation, &digest, &ticket);
    if (rc != TSS2_RC_SUCCESS)
        return err_tpm(err, rc, "make primary key");
    if (!public_keep(public, &o, err)) {
        tpm_object_close(d, &o);
        return false;
    }
    *out = o;
    return true;
}

FALLIBLE tpm_object_make_ak(struct tpm_device *d, struct tpm_object *out, struct err *err)
{
    static const TPM2B_PUBLIC template = { .publicArea = {
        .type             = TPM2_ALG_ECC,
        .nameAlg          = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_FIXEDTPM |
                            TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH,
        .parameters.eccDetail = { .symmetric = { .algorithm = TPM2_ALG_NULL },
                                  .scheme    = { .scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
                                  .curveID   = TPM2_ECC_NIST_P256,
                                  .kdf       = { .scheme = TPM2_ALG_NULL } },
    } };

    return primary_make(d, ESYS_TR_RH_OWNER, &template, out, err) || context(err, "attestation key");
}

/* PolicySecret(TPM_RH_ENDORSEMENT) [TCG-EK B.3] */
#define EK_POLICY { .size = 32, .buffer = {                                                                       \
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,               \
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa } }
#define EK_ATTRIBUTES (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |         \
                       TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)
#define EK_SYMMETRIC { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB }

FALLIBLE tpm_object_make_ek(struct tpm_device *d, bool is_rsa, struct tpm_object *out, struct err *err)
{
    static const TPM2B_PUBLIC rsa = { .publicArea = {
        .type = TPM2_ALG_RSA, .nameAlg = TPM2_ALG_SHA256, .objectAttributes = EK_ATTRIBUTES, .authPolicy = EK_POLICY,
        .parameters.rsaDetail = { .symmetric = EK_SYMMETRIC, .scheme = { .scheme = TPM2_ALG_NULL }, .keyBits = 2048 },
        .unique.rsa = { .size = 256 },
    } };
    static const TPM2B_PUBLIC ecc = { .publicArea = {
        .type = TPM2_ALG_ECC, .nameAlg = TPM2_ALG_SHA256, .objectAttributes = EK_ATTRIBUTES, .authPolicy = EK_POLICY,
        .parameters.eccDetail = { .symmetric = EK_SYMMETRIC, .scheme = { .scheme = TPM2_ALG_NULL },
                                  .curveID = TPM2_ECC_NIST_P256, .kdf = { .scheme = TPM2_ALG_NULL } },
        .unique.ecc = { .x = { .size = 32 }, .y = { .size = 32 } },
    } };

    return primary_make(d, ESYS_TR_RH_ENDORSEMENT, is_rsa ? &rsa : &ecc, out, err) || context(err, "endorsement key");
}

void tpm_object_close(struct tpm_device *d, struct tpm_object *o)
{
    if (o->handle != ESYS_TR_NONE && o->is_persistent)
        (void) Esys_TR_Close(d->esys, &o->handle); /* frees our side only */
    else if (o->handle != ESYS_TR_NONE)
        (void) Esys_FlushContext(d->esys, o->handle); /* the resource manager flushes what is left */
    o->handle = ESYS_TR_NONE;
    buffer_free(&o->public);
}

static TPML_PCR_SELECTION selection_of(uint32_t pcrs)
{
    TPML_PCR_SELECTION s = { .count = 1 };

    s.pcrSelections[0] = (TPMS_PCR_SELECTION){ .hash = TPM2_ALG_SHA256, .sizeofSelect = 3 };
    for (unsigned i = 0; i < 3; i++)
        s.pcrSelections[0].pcrSelect[i] = (uint8_t) (pcrs >> (8 * i));
    return s;
}

/* The TPM answers with at most eight values at a time. */
FALLIBLE tpm_pcrs_read(struct tpm_device *d, struct buffer *out, struct err *err)
{
    for (unsigned first = 0; first < PCRS; first += PCRS_PER_READ) {
        const TPML_PCR_SELECTION                       asked  = selection_of(0xffU << first);
        AUTO(tpm_selection_list) TPML_PCR_SELECTION   *given  = NULL;
        AUTO(tpm_digests) TPML_DIGEST                 *values = NULL;
        UINT32                                         counter;
        TSS2_RC rc = Esys_PCR_Read(d->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &asked, &counter, &given, &values);

        if (rc != TSS2_RC_SUCCESS)
            return err_tpm(err, rc, "read PCRs");
        if (values->count != PCRS_PER_READ)
            return fail_with(err, ERR_UNSUPPORTED, "TPM has no full SHA-256 bank: %u of %d PCRs", values->count,
                             PCRS_PER_READ);
        for (unsigned i = 0; i < PCRS_PER_READ; i++) {
            if (values->digests[i].size != 32)
                return fail_with(err, ERR_MALFORMED, "PCR %u has %u bytes", first + i, values->digests[i].size);
            buffer_append(out, (struct bytes){ values->digests[i].buffer, 32 });
        }
    }
    return true;
}

FALLIBLE tpm_pcr_extend(struct tpm_device *d, unsigned pcr, const uint8_t digest[static 32], struct err *err)
{
    TPML_DIGEST_VALUES values = { .count = 1 };
    TSS2_RC            rc;

    values.digests[0].hashAlg = TPM2_ALG_SHA256;
    memcpy(values.digests[0].digest.sha256, digest, 32);
    if (pcr >= PCRS)
        return fail_with(err, ERR_CONFIG, "no PCR %u", pcr);
    rc = Esys_PCR_Extend(d->esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &values);
    return rc == TSS2_RC_SUCCESS || err_tpm(err, rc, "extend PCR");
}

FALLIBLE tpm_quote_make(struct tpm_device *d, const struct tpm_object *ak, struct bytes nonce, struct buffer *message,
                        struct buffer *signature, struct err *err)
{
    const TPMT_SIG_SCHEME                    the_keys = { .scheme = TPM2_ALG_NULL };
    const TPML_PCR_SELECTION                 all      = selection_of(0xffffff);
    AUTO(tpm_attest_2b) TPM2B_ATTEST        *attest   = NULL;
    AUTO(tpm_signature_any) TPMT_SIGNATURE  *made     = NULL;
    TPM2B_DATA                               qualifying = { .size = (UINT16) nonce.len };
    uint8_t                                  raw[sizeof *made];
    size_t                                   len = 0;
    TSS2_RC                                  rc;

    if (nonce.len > sizeof qualifying.buffer)
        return fail_with(err, ERR_LIMIT, "nonce of %zu bytes", nonce.len);
    if (nonce.len > 0)
        memcpy(qualifying.buffer, nonce.at, nonce.len);
    rc = Esys_Quote(d->esys, ak->handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &qualifying, &the_keys, &all,
                    &attest, &made);
    if (rc != TSS2_RC_SUCCESS)
        return err_tpm(err, rc, "quote");
    rc = Tss2_MU_TPMT_SIGNATURE_Marshal(made, raw, sizeof raw, &len);
    if (rc != TSS2_RC_SUCCESS)
        return err_tpm(err, rc, "write signature");
    buffer_append(message, (struct bytes){ attest->attestationData, attest->size });
    buffer_append(signature, (struct bytes){ raw, len });
    return true;
}

static FALLIBLE nv_read_chunks(struct tpm_device *d, ESYS_TR index, size_t size, struct buffer *out, struct err *err)
{
    for (size_t at = 0; at < size;) {
        AUTO(tpm_nv_buffer) TPM2B_MAX_NV_BUFFER *chunk = NULL;
        size_t                                   n     = size - at < NV_CHUNK ? size - at : NV_CHUNK;
        TSS2_RC rc = Esys_NV_Read(d->esys, ESYS_TR_RH_OWNER, index, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                  (UINT16) n, (UINT16) at, &chunk);

        if (rc != TSS2_RC_SUCCESS)
            return err_tpm(err, rc, "read NV index");
        if (chunk->size != n)
            return fail_with(err, ERR_MALFORMED, "NV index gave %u of %zu bytes", chunk->size, n);
        buffer_append(out, (struct bytes){ chunk->buffer, n });
        at += n;
    }
    return true;
}

FALLIBLE tpm_nv_read(struct tpm_device *d, TPM2_HANDLE index, struct buffer *out, struct err *err)
{
    AUTO(tpm_nv_public) TPM2B_NV_PUBLIC *public = NULL;
    ESYS_TR                              handle = ESYS_TR_NONE;
    bool                                 done;
    TSS2_RC rc = Esys_TR_FromTPMPublic(d->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle);

    if (rc != TSS2_RC_SUCCESS)
        return fail_with(err, ERR_NOT_FOUND, "no NV index %#x: %s", index, Tss2_RC_Decode(rc));
    rc   = Esys_NV_ReadPublic(d->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL);
    done = rc == TSS2_RC_SUCCESS || err_tpm(err, rc, "read NV public area");
    if (done && public->nvPublic.dataSize > NV_LEN_MAX)
        done = fail_with(err, ERR_LIMIT, "NV index of %u bytes", public->nvPublic.dataSize);
    done = done && nv_read_chunks(d, handle, public->nvPublic.dataSize, out, err);
    (void) Esys_TR_Close(d->esys, &handle); /* frees our side only */
    return done;
}

/* An EK may be used after PolicySecret of the endorsement hierarchy, whose authorization is empty in a guest. */
static FALLIBLE ek_session_open(struct tpm_device *d, ESYS_TR *out, struct err *err)
{
    const TPMT_SYM_DEF symmetric = { .algorithm = TPM2_ALG_NULL };
    TSS2_RC            rc;

    rc = Esys_StartAuthSession(d->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
                               TPM2_SE_POLICY, &symmetric, TPM2_ALG_SHA256, out);
    if (rc != TSS2_RC_SUCCESS)
        return err_tpm(err, rc, "start policy session");
    rc = Esys_PolicySecret(d->esys, ESYS_TR_RH_ENDORSEMENT, *out, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
                           NULL, NULL, 0, NULL, NULL);
    if (rc == TSS2_RC_SUCCESS)
        return true;
    (void) Esys_FlushContext(d->esys, *out); /* the failure before it is what counts */
    *out = ESYS_TR_NONE;
    return err_tpm(err, rc, "satisfy the endorsement key's policy");
}

FALLIBLE tpm_credential_activate(struct tpm_device *d, const struct tpm_object *ak, const struct tpm_object *ek,
                                 struct bytes id_object, struct bytes encrypted_secret, struct secret *out,
                                 struct err *err)
{
    AUTO(tpm_digest) TPM2B_DIGEST *opened  = NULL;
    TPM2B_ID_OBJECT                object  = { 0 };
    TPM2B_ENCRYPTED_SECRET         wrapped = { 0 };
    ESYS_TR                        session = ESYS_TR_NONE;
    size_t                         at = 0, at_secret = 0;
    TSS2_RC                        rc;
    bool                           copied;

    if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(id_object.at, id_object.len, &at, &object) != TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(encrypted_secret.at, encrypted_secret.len, &at_secret, &wrapped) !=
            TSS2_RC_SUCCESS || at != id_object.len || at_secret != encrypted_secret.len)
        return fail_with(err, ERR_MALFORMED, "credential");
    if (!ek_session_open(d, &session, err))
        return false;
    rc = Esys_ActivateCredential(d->esys, ak->handle, ek->handle, ESYS_TR_PASSWORD, session, ESYS_TR_NONE, &object,
                                 &wrapped, &opened);
    if (rc != TSS2_RC_SUCCESS) {
        (void) Esys_FlushContext(d->esys, session); /* the failure before it is what counts */
        return fail_with(err, ERR_UNTRUSTED, "activate credential: %s", Tss2_RC_Decode(rc));
    }
    copied = secret_copy((struct bytes){ opened->buffer, opened->size }, out, err);
    OPENSSL_cleanse(opened->buffer, sizeof opened->buffer);
    return copied;
}
