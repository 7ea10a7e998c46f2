#include "attestation/verifier/hcl.h"

#include <string.h>

#include "base/text.h"

enum { USER_DATA_LEN = 64, REPORT_DATA_AT_SNP = 0x50, HARDWARE_REPORT_DATA_LEN = 64 };

static const char ak_kid[] = "HCLAkPub";

/* REPORTDATA is the hash of the claims, then zeros. */
static bool claims_are_bound(const struct hcl_report *h, struct bytes report_data)
{
    uint8_t wanted[HARDWARE_REPORT_DATA_LEN] = { 0 }, digest[TPM_HASH_LEN_MAX];

    tpm_hash_of(h->hash, h->claims, (struct bytes){ 0 }, digest);
    memcpy(wanted, digest, h->hash->len);
    return bytes_equal(report_data, BYTES_OF(wanted));
}

static bool is_sha384_of(struct bytes digest, struct bytes of)
{
    uint8_t wanted[SHA384_LEN];

    sha384_of(of, wanted);
    return bytes_equal(digest, BYTES_OF(wanted));
}

/* The TDREPORT in the HCL report and the TD quote made of it are of one TD at one moment. */
static bool td_report_check(const struct hcl_report *h, const struct hcl_question *q, struct appraisal *a)
{
    struct td_report t    = { 0 };
    struct err       err  = { 0 };
    bool             read = td_report_parse(h->hardware, &t, &err);
    bool             same = read && q->td && bytes_equal(t.mrtd, q->td->mrtd);

    for (size_t i = 0; same && i < TDX_RTMRS; i++)
        same = bytes_equal(t.rtmr[i], q->td->rtmr[i]);
    return check(a, read, REASON_TPM_HCL_FORMAT, "HCL report: %s", read ? "holds a TDREPORT" : err.text) &&
           check(a, is_sha384_of(t.tcb_info_hash, t.tee_tcb_info) && is_sha384_of(t.info_hash, t.td_info),
                 REASON_TPM_HCL_BINDING, "HCL report: the TDREPORT's parts agree with its hashes") &&
           check(a, bytes_equal(t.report_data, q->report_data) && same, REASON_TPM_HCL_BINDING,
                 "HCL report: the TDREPORT is the quoted one: report data, MRTD, RTMRs");
}

static bool snp_report_check(const struct hcl_report *h, const struct hcl_question *q, struct appraisal *a)
{
    struct reader r = reader_over(h->hardware);

    take(&r, REPORT_DATA_AT_SNP);
    struct bytes report_data = take(&r, HARDWARE_REPORT_DATA_LEN);

    return check(a, !q->td && bytes_equal(report_data, q->report_data), REASON_TPM_HCL_BINDING,
                 "HCL report: its SNP report is the verified one");
}

/* The one key with the wanted kid. */
static FALLIBLE jwk_find(struct json_object *claims, struct json_object **out, struct err *err)
{
    struct json_object *keys = NULL;
    size_t              n    = 0;

    if (!json_get(claims, "keys", json_type_array, &keys, err))
        return false;
    for (size_t i = 0; i < json_object_array_length(keys); i++) {
        struct json_object *key = json_object_array_get_idx(keys, i);
        const char         *kid = NULL;

        if (!json_get_text(key, "kid", &kid, err))
            return false;
        if (strcmp(kid, ak_kid) != 0)
            continue;
        *out = key;
        n++;
    }
    return n == 1 || fail_with(err, ERR_MALFORMED, "%zu keys named %s", n, ak_kid);
}

static FALLIBLE ak_read(struct json_object *claims, EVP_PKEY **out, struct err *err)
{
    AUTO(buffer) struct buffer modulus = { 0 };
    struct json_object        *jwk     = NULL;
    const char                *kty = NULL, *e = NULL, *n = NULL;

    if (!jwk_find(claims, &jwk, err) || !json_get_text(jwk, "kty", &kty, err) || !json_get_text(jwk, "e", &e, err) ||
        !json_get_text(jwk, "n", &n, err))
        return false;
    if (strcmp(kty, "RSA") != 0 || strcmp(e, "AQAB") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "%s is not RSA with exponent 65537", ak_kid);
    if (!base64_read(bytes_of_text(n), BASE64_URL, &modulus, err))
        return context(err, ak_kid);
    if (modulus.len < 256 || modulus.len > 512)
        return fail_with(err, ERR_UNSUPPORTED, "%s has %zu bytes", ak_kid, modulus.len);
    return tpm_rsa_key_of(buffer_bytes(&modulus), 65537, out, err);
}

static bool user_data_check(struct json_object *claims, struct bytes wanted, struct appraisal *a)
{
    uint8_t     padded[USER_DATA_LEN] = { 0 }, found[USER_DATA_LEN];
    const char *hex = NULL;
    struct err  err = { 0 };
    bool        read = wanted.len <= sizeof padded && json_get_text(claims, "user-data", &hex, &err) &&
                hex_read_exact(hex, found, sizeof found, &err);

    if (read && wanted.len > 0)
        memcpy(padded, wanted.at, wanted.len);
    return check(a, read && memcmp(padded, found, sizeof padded) == 0, REASON_TPM_HCL_USER_DATA,
                 "claims: user data is the expected %zu bytes", wanted.len);
}

bool hcl_check(const struct hcl_question *q, struct tpm_key *ak, struct appraisal *a)
{
    AUTO(json) struct json_object *claims = NULL;
    struct hcl_report              h      = { 0 };
    struct err                     err    = { 0 };
    bool                           read   = hcl_report_parse(q->report, &h, &err);

    if (!check(a, read, REASON_TPM_HCL_FORMAT, "HCL report: %s", read ? "well formed" : err.text) ||
        !check(a, claims_are_bound(&h, q->report_data), REASON_TPM_HCL_BINDING,
               "hardware evidence: its report data is the hash of the claims") ||
        !(h.kind == HCL_TDX ? td_report_check(&h, q, a) : snp_report_check(&h, q, a)))
        return false;

    read = json_read(h.claims, HCL_REPORT_LEN_MAX, &claims, &err) && ak_read(claims, &ak->key, &err);
    if (!check(a, read, REASON_TPM_HCL_KEY, "claims: %s", read ? "name one attestation key" : err.text))
        return false;
    ak->is_vouched = true;
    return !q->has_user_data || user_data_check(claims, q->user_data, a);
}
