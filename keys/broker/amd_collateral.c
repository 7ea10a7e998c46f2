#include "keys/broker/amd_collateral.h"

#include <string.h>

#include "attestation/collateral/kds.h"

enum { LISTS_MAX = 16 }; /* more than there are products, twice */

/* A list that was verified, and the bytes that it was made of. */
struct list {
    char           *url;
    uint8_t         digest[SHA256_LEN];
    struct snp_crl *crl;
};

struct amd_collateral {
    const struct snp_trust *trust;
    struct fetched         *fetched;
    struct list             lists[LISTS_MAX];
    size_t                  n;
};

struct amd_collateral *amd_collateral_new(const struct snp_trust *trust, struct fetched *fetched)
{
    struct amd_collateral *c = calloc(1, sizeof *c);

    if (!c)
        abort();
    c->trust   = trust;
    c->fetched = fetched;
    return c;
}

void amd_collateral_free(struct amd_collateral *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->lists[i].url);
        snp_crl_free(c->lists[i].crl);
    }
    free(c);
}

/* A report of version 2 does not name its product; an ARK that came along does. */
static enum snp_product product_of(const struct snp_report *report, struct bytes ark)
{
    return report->product != SNP_PRODUCT_UNKNOWN || ark.len == 0 ? report->product : snp_root_product(ark);
}

void amd_collateral_vcek(struct amd_collateral *c, const struct snp_report *report, int64_t now, struct outside_job *wanted,
                         struct buffer *vcek, struct buffer *why)
{
    const struct collateral_sources *sources = fetched_sources(c->fetched);
    AUTO(buffer) struct buffer       url     = { 0 };
    const struct fetched_document   *had;
    struct err                       err;

    if (!sources)
        return;
    if (!kds_vcek_url(collateral_sources_kds(sources), report, report->product, &url, &err)) {
        buffer_append_text(why, err.text);
        return;
    }
    had = fetched_find(c->fetched, buffer_text(&url), KDS_VCEK_LIFETIME_S, now, wanted, why);
    if (had)
        buffer_append(vcek, buffer_bytes(&had->body));
}

static struct list *list_of(struct amd_collateral *c, const char *url)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->lists[i].url, url) == 0)
            return &c->lists[i];
    }
    if (c->n == LISTS_MAX)
        return NULL;
    c->lists[c->n].url = strdup(url);
    if (!c->lists[c->n].url)
        abort();
    return &c->lists[c->n++];
}

/* Verified anew when other bytes were fetched; what does not verify leaves the last one that did. */
static const struct snp_crl *list_verified(struct amd_collateral *c, const struct fetched_document *had, struct buffer *why)
{
    struct list     *list = list_of(c, had->url);
    struct snp_crl  *crl  = NULL;
    uint8_t          digest[SHA256_LEN];
    struct verdict   verdict;
    struct appraisal a = appraisal_start(&verdict, NULL);

    sha256_of(buffer_bytes(&had->body), digest);
    if (!list || (list->crl && memcmp(list->digest, digest, sizeof digest) == 0))
        return list ? list->crl : NULL;
    if (!snp_crl_new(c->trust, buffer_bytes(&had->body), &crl, &a)) {
        buffer_printf(why, "%.80s: %s", had->url, verdict.detail);
        return list->crl;
    }
    snp_crl_free(list->crl);
    list->crl = crl;
    memcpy(list->digest, digest, sizeof digest);
    return crl;
}

const struct snp_crl *amd_collateral_crl(struct amd_collateral *c, const struct snp_evidence *evidence, int64_t now,
                                         struct outside_job *wanted, struct buffer *why)
{
    const struct collateral_sources *sources = fetched_sources(c->fetched);
    AUTO(buffer) struct buffer       url     = { 0 };
    const struct fetched_document   *had;
    enum snp_product                 product;
    struct snp_report                report;
    struct err                       ignored; /* what is no report is told by the verifier */

    if (!sources || !snp_report_parse(BYTES_OF(evidence->report), &report, NULL, &ignored))
        return NULL;
    product = product_of(&report, buffer_bytes(&evidence->ark));
    if (product == SNP_PRODUCT_UNKNOWN)
        return NULL;
    kds_crl_url(collateral_sources_kds(sources), product, report.signing_key == SNP_SIGNED_BY_VLEK, &url);
    had = fetched_find(c->fetched, buffer_text(&url), KDS_CRL_LIFETIME_S, now, wanted, why);
    return had ? list_verified(c, had, why) : NULL;
}
