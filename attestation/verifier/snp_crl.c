#include "attestation/verifier/snp_crl.h"

#include "attestation/verifier/der.h"

enum { CRL_V2 = 1 };

struct snp_crl {
    struct buffer                 der;
    struct bytes                  tbs, signature, issuer;
    struct bytes                  entries; /* the content of revokedCertificates, walked once already */
    int64_t                       this_update, next_update;
    uint64_t                      number;
    const struct snp_certificate *root;
};

static const uint8_t oid_crl_number[] = { 0x55, 0x1d, 0x14 }, oid_authority_key[] = { 0x55, 0x1d, 0x23 };

/* One entry; `critical` tells whether it carries a critical extension. */
static struct bytes take_entry(struct reader *r, bool *critical)
{
    struct reader entry  = take_der_reader(r, DER_SEQUENCE);
    struct bytes  serial = take_der(&entry, DER_INTEGER);

    (void) take_der_time(&entry); /* when it was revoked does not matter: it is */
    if (entry.left.len > 0) {
        struct reader all = take_der_reader(&entry, DER_SEQUENCE);

        while (!all.failed && all.left.len > 0) {
            struct reader one = take_der_reader(&all, DER_SEQUENCE);

            (void) take_der(&one, DER_OID); /* only whether it is critical counts */
            *critical |= der_next_is(&one, DER_BOOLEAN) && take_der_bool(&one);
            (void) take_der(&one, DER_OCTET_STRING); /* likewise */
            all.failed |= one.failed || one.left.len > 0;
        }
        entry.failed |= all.failed;
    }
    r->failed |= entry.failed || entry.left.len > 0 || serial.len == 0;
    return serial;
}

static FALLIBLE entries_check(struct snp_crl *crl, struct appraisal *a)
{
    struct reader r        = reader_over(crl->entries);
    bool          critical = false;
    struct err    err;

    while (!r.failed && r.left.len > 0)
        (void) take_entry(&r, &critical); /* read again when a serial is looked for */
    return check(a, reader_done(&r, &err), REASON_SNP_CRL_MALFORMED, "CRL: entries") &&
           check(a, !critical, REASON_SNP_CRL_EXTENSION, "CRL: no entry has a critical extension");
}

/* The CRL number must be there; the key identifier may; whatever else must not be critical. [RFC 5280 5.2] */
static FALLIBLE extensions_check(struct snp_crl *crl, struct reader *all, struct appraisal *a)
{
    size_t     numbers = 0;
    struct err err;

    while (all->left.len > 0) {
        struct reader one      = take_der_reader(all, DER_SEQUENCE);
        struct bytes  oid      = take_der(&one, DER_OID);
        bool          critical = der_next_is(&one, DER_BOOLEAN) && take_der_bool(&one);
        struct reader value    = take_der_reader(&one, DER_OCTET_STRING);

        if (!reader_done(&one, &err))
            return check(a, false, REASON_SNP_CRL_MALFORMED, "CRL: extension: %s", err.text);
        if (bytes_equal(oid, BYTES_OF(oid_crl_number))) {
            crl->number = take_der_u64(&value, DER_INTEGER, UINT64_MAX);
            numbers += !value.failed && value.left.len == 0;
        } else if (critical && !bytes_equal(oid, BYTES_OF(oid_authority_key)))
            return check(a, false, REASON_SNP_CRL_EXTENSION, "CRL: unknown critical extension");
    }
    return check(a, numbers == 1, REASON_SNP_CRL_EXTENSION, "CRL: CRL numbers: %zu, wanted 1", numbers);
}

static FALLIBLE tbs_read(struct snp_crl *crl, struct appraisal *a)
{
    struct reader outer     = reader_over(crl->tbs);
    struct reader r         = take_der_reader(&outer, DER_SEQUENCE);
    uint64_t      version   = take_der_u64(&r, DER_INTEGER, UINT8_MAX);
    struct bytes  algorithm = take_der_whole(&r, DER_SEQUENCE);
    struct err    err;

    crl->issuer      = take_der_whole(&r, DER_SEQUENCE);
    crl->this_update = take_der_time(&r);
    crl->next_update = take_der_time(&r);
    if (der_next_is(&r, DER_SEQUENCE))
        crl->entries = take_der(&r, DER_SEQUENCE);

    struct reader wrapper = take_der_reader(&r, DER_CONTEXT_0);
    struct reader all     = take_der_reader(&wrapper, DER_SEQUENCE);

    if (!reader_done(&r, &err) || !reader_done(&wrapper, &err))
        return check(a, false, REASON_SNP_CRL_MALFORMED, "CRL: %s", err.text);
    return check(a, version == CRL_V2, REASON_SNP_CRL_MALFORMED, "CRL: version %llu, wanted 2 (coded 1)",
                 (unsigned long long) version) &&
           check(a, snp_algorithm_is_pss(algorithm), REASON_SNP_CRL_ALGORITHM, "CRL: algorithm in the signed part") &&
           entries_check(crl, a) && extensions_check(crl, &all, a);
}

static FALLIBLE crl_read(struct snp_crl *crl, struct appraisal *a)
{
    struct reader outer = reader_over(buffer_bytes(&crl->der));
    struct reader r     = take_der_reader(&outer, DER_SEQUENCE);
    struct err    err;

    crl->tbs               = take_der_whole(&r, DER_SEQUENCE);
    struct bytes algorithm = take_der_whole(&r, DER_SEQUENCE);
    crl->signature         = take_der_bits(&r);
    if (!reader_done(&r, &err) || !reader_done(&outer, &err))
        return check(a, false, REASON_SNP_CRL_MALFORMED, "CRL: %s", err.text);
    return check(a, snp_algorithm_is_pss(algorithm), REASON_SNP_CRL_ALGORITHM,
                 "CRL: signature algorithm, wanted RSA-PSS with SHA-384, MGF1-SHA-384, salt 48") &&
           tbs_read(crl, a);
}

static bool signed_by(const struct snp_certificate *root, EVP_PKEY *key, void *of)
{
    const struct snp_crl *crl = of;

    return root->key_use & SNP_USE_SIGN_LISTS && snp_pss_signed(key, crl->tbs, crl->signature);
}

FALLIBLE snp_crl_new(const struct snp_trust *trust, struct bytes list, struct snp_crl **out, struct appraisal *a)
{
    AUTO(snp_crl) struct snp_crl *crl = zeroed(1, sizeof *crl);
    struct err                    err;

    if (!snp_der_of(list, "X509 CRL", SNP_CRL_LEN_MAX, &crl->der, &err))
        return check(a, false, REASON_SNP_CRL_MALFORMED, "CRL: %s", err.text);
    if (!crl_read(crl, a))
        return false;

    bool found = snp_trust_find(trust, crl->issuer, signed_by, crl, &crl->root);

    if (!check(a, crl->root != NULL, REASON_SNP_CRL_ISSUER, "CRL: issuer is the subject of a trust root") ||
        !check(a, found, REASON_SNP_CRL_SIGNATURE, "CRL: signature by the trust root, which may sign lists"))
        return false;
    *out = TAKE(crl);
    return true;
}

void snp_crl_free(struct snp_crl *crl)
{
    if (!crl)
        return;
    buffer_free(&crl->der);
    free(crl);
}

bool snp_crl_is_of(const struct snp_crl *crl, const struct snp_chain *chain)
{
    return crl->root == snp_chain_root(chain);
}

uint64_t snp_crl_number(const struct snp_crl *crl)
{
    return crl->number;
}

int64_t snp_crl_this_update(const struct snp_crl *crl)
{
    return crl->this_update;
}

int64_t snp_crl_next_update(const struct snp_crl *crl)
{
    return crl->next_update;
}

bool snp_crl_lists(const struct snp_crl *crl, struct bytes serial)
{
    struct reader r        = reader_over(crl->entries);
    bool          critical = false;

    while (r.left.len > 0) {
        bool hit = bytes_equal(take_entry(&r, &critical), serial);

        hit |= r.failed; /* it was walked before: cannot be, and if it is, that is no "not listed" */
        if (hit)
            return true;
    }
    return false;
}
