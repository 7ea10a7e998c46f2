#include "keys/broker/vlek_certificates.h"

#include <string.h>

#include "attestation/verifier/snp_certificate.h"

struct vlek {
    struct buffer    der;
    enum snp_product product;
    struct snp_tcb   tcb;
};

struct vlek_certificates {
    struct vlek at[VLEKS_MAX];
    size_t      n;
};

void vlek_certificates_free(struct vlek_certificates *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n; i++)
        buffer_free(&v->at[i].der);
    free(v);
}

static FALLIBLE vlek_read(struct bytes given, struct vlek *out, struct err *err)
{
    struct verdict         verdict;
    struct appraisal       a = appraisal_start(&verdict, NULL);
    struct snp_certificate c = { 0 };
    struct bytes           issuer;

    if (!snp_der_of(given, "CERTIFICATE", SNP_CERTIFICATE_LEN_MAX, &out->der, err))
        return false;
    if (!snp_certificate_read(buffer_bytes(&out->der), "VLEK", &c, &a))
        return fail_with(err, ERR_CONFIG, "%s", verdict.detail);
    out->product = snp_common_name(c.issuer, &issuer) ? snp_product_of_name(issuer, "SEV-VLEK-") : SNP_PRODUCT_UNKNOWN;
    if (out->product == SNP_PRODUCT_UNKNOWN || !snp_certificate_is_vek(&c, true, out->product, &a))
        return fail_with(err, ERR_CONFIG, "it is no VLEK");
    out->tcb = c.vek.tcb;
    return true;
}

FALLIBLE vlek_certificates_new(const struct bytes *given, size_t n, struct vlek_certificates **out, struct err *err)
{
    AUTO(vlek_certificates) struct vlek_certificates *v = zeroed(1, sizeof *v);

    if (n > VLEKS_MAX)
        return fail_with(err, ERR_CONFIG, "%zu VLEK certificates; at most %d", n, VLEKS_MAX);
    for (v->n = 0; v->n < n;) {
        struct vlek *into = &v->at[v->n++]; /* counted first: then it is freed */

        if (!vlek_read(given[v->n - 1], into, err))
            return contextf(err, "VLEK certificate %zu", v->n);
    }
    *out = TAKE(v);
    return true;
}

void vlek_certificates_add(const struct vlek_certificates *v, const struct snp_report *report, struct snp_evidence *evidence, struct buffer *why)
{
    for (size_t i = 0; v && i < v->n; i++) {
        const struct vlek *one = &v->at[i];

        if ((report->product != SNP_PRODUCT_UNKNOWN && report->product != one->product) || !snp_tcb_equal(&one->tcb, &report->reported_tcb))
            continue;
        buffer_append(&evidence->vek, buffer_bytes(&one->der));
        evidence->is_vlek = true;
        return;
    }
    buffer_append_text(why, "the report is signed by a VLEK: its certificate comes from the host, else from snp_vleks; AMD's service has none");
}
