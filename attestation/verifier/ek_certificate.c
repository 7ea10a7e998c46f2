#include "attestation/verifier/ek_certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <string.h>

DEFINE_AUTO(x509_store, X509_STORE *, X509_STORE_free)
DEFINE_AUTO(x509_store_ctx, X509_STORE_CTX *, X509_STORE_CTX_free)

static void x509_stack_free(STACK_OF(X509) *s)
{
    sk_X509_pop_free(s, X509_free);
}
DEFINE_AUTO(x509_stack, STACK_OF(X509) *, x509_stack_free)

static const char oid_ek_use[]       = "2.23.133.8.1"; /* tcg-kp-EKCertificate */
static const char oid_manufacturer[] = "2.23.133.2.1";

/* Every certificate of a PEM text; NULL when OpenSSL cannot keep them. */
static STACK_OF(X509) *pem_stack(struct bytes text)
{
    AUTO(x509_stack) STACK_OF(X509) *stack = sk_X509_new_null();
    AUTO(bio) BIO                   *in    = text.len > 0 ? BIO_new_mem_buf(text.at, (int) text.len) : BIO_new(BIO_s_mem());
    X509                            *one;
    bool                             kept = stack && in;

    while (kept && (one = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
        kept = sk_X509_push(stack, one) > 0;
        if (!kept)
            X509_free(one);
    }
    ERR_clear_error(); /* the end of the text is an error to the reader */
    return kept ? TAKE(stack) : NULL;
}

/* OpenSSL knows the critical subjectAltName; the directoryName in it is looked at below. */
static bool chain_check(X509 *leaf, const struct ek_question *q, struct appraisal *a)
{
    AUTO(x509_store) X509_STORE         *store         = X509_STORE_new();
    AUTO(x509_store_ctx) X509_STORE_CTX *ctx           = X509_STORE_CTX_new();
    AUTO(x509_stack) STACK_OF(X509)     *roots         = pem_stack(q->roots);
    AUTO(x509_stack) STACK_OF(X509)     *intermediates = pem_stack(q->intermediates);
    bool                                 ready         = store && ctx && roots && intermediates, holds;

    for (int i = 0; ready && i < sk_X509_num(roots); i++)
        ready = X509_STORE_add_cert(store, sk_X509_value(roots, i)) == 1;
    ready = ready && X509_STORE_CTX_init(ctx, store, leaf, intermediates) == 1;
    if (ready)
        X509_STORE_CTX_set_time(ctx, 0, (time_t) q->now);
    holds = ready && X509_verify_cert(ctx) == 1;
    check(a, holds, REASON_TPM_EK_CHAIN, "EK certificate: %s",
          holds   ? "leads to a trusted manufacturer"
          : ready ? X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx))
                  : "OpenSSL cannot verify a chain");
    ERR_clear_error();
    return holds;
}

static bool has_ek_use(X509 *leaf)
{
    EXTENDED_KEY_USAGE *uses  = X509_get_ext_d2i(leaf, NID_ext_key_usage, NULL, NULL);
    bool                found = false;

    for (int i = 0; uses && i < sk_ASN1_OBJECT_num(uses); i++) {
        char oid[64];

        if (OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(uses, i), 1) > 0)
            found |= strcmp(oid, oid_ek_use) == 0;
    }
    EXTENDED_KEY_USAGE_free(uses);
    return found;
}

static bool name_has_manufacturer(const X509_NAME *name)
{
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        char oid[64];

        if (OBJ_obj2txt(oid, sizeof oid, X509_NAME_ENTRY_get_object(X509_NAME_get_entry(name, i)), 1) > 0 &&
            strcmp(oid, oid_manufacturer) == 0)
            return true;
    }
    return false;
}

/* The subjectAltName names the TPM's manufacturer in a directoryName. */
static bool has_manufacturer(X509 *leaf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool           found = false;

    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DIRNAME)
            found |= name_has_manufacturer(name->d.directoryName);
    }
    GENERAL_NAMES_free(names);
    return found;
}

bool ek_certificate_check(const struct ek_question *q, struct appraisal *a)
{
    AUTO(x509) X509     *leaf = NULL;
    AUTO(pkey) EVP_PKEY *ek   = NULL;
    const uint8_t       *at   = q->certificate.at;
    struct err           err  = { 0 };
    uint32_t             wanted_use;

    if (!check(a, q->certificate.len > 0 && q->certificate.len <= EK_CERTIFICATES_LEN_MAX &&
                      q->intermediates.len <= EK_CERTIFICATES_LEN_MAX && q->roots.len <= EK_CERTIFICATES_LEN_MAX,
               REASON_TPM_EK_FORMAT, "EK certificate: %zu bytes", q->certificate.len))
        return false;
    leaf = d2i_X509(NULL, &at, (long) q->certificate.len);
    ERR_clear_error();
    if (!check(a, leaf && at == q->certificate.at + q->certificate.len, REASON_TPM_EK_FORMAT,
               "EK certificate: one DER certificate") ||
        !chain_check(leaf, q, a))
        return false;
    wanted_use = q->ek->type == TPM_RSA ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT;
    return check(a, has_ek_use(leaf), REASON_TPM_EK_USE, "EK certificate: extended key usage %s", oid_ek_use) &&
           check(a, (X509_get_key_usage(leaf) & wanted_use) || (X509_get_key_usage(leaf) & KU_KEY_ENCIPHERMENT),
                 REASON_TPM_EK_USE, "EK certificate: key usage %#x", X509_get_key_usage(leaf)) &&
           check(a, has_manufacturer(leaf), REASON_TPM_EK_USE, "EK certificate: names a TPM manufacturer") &&
           check(a, tpm_key_of(q->ek, &ek, &err) && EVP_PKEY_eq(ek, X509_get0_pubkey(leaf)) == 1, REASON_TPM_EK_KEY,
                 "EK certificate: its key is the endorsement key");
}
