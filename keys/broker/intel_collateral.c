#include "keys/broker/intel_collateral.h"

#include <string.h>

#include "attestation/collateral/pcs.h"
#include "base/text.h"

enum { KEPT_MAX = 64 };

/* SHA-256 of the certificate "Intel SGX Root CA", DER. [tdx.md 2.1] */
static const char INTEL_ROOT[] = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";

struct kept {
    uint8_t                fmspc[PCK_FMSPC_LEN];
    bool                   of_platform_ca;
    struct tdx_collateral *collateral;
    struct tdx_platform   *platform;
};

struct intel_collateral {
    struct buffer        root;
    bool                 is_intels;
    const struct bundle *bundle;
    struct kept          at[KEPT_MAX];
    size_t               n_ever; /* the oldest gives way */
};

static bool is_intels_root(struct bytes root)
{
    AUTO(pem_certificates) struct pem_certificates all = { 0 };
    AUTO(buffer) struct buffer                     hex = { 0 };
    struct err                                     ignored; /* what is no PEM is DER */
    uint8_t                                        digest[SHA256_LEN];

    sha256_of(pem_certificates_read(root, &all, &ignored) && all.n == 1 ? buffer_bytes(&all.der[0]) : root, digest);
    hex_append(&hex, BYTES_OF(digest));
    return strcmp(buffer_text(&hex), INTEL_ROOT) == 0;
}

struct intel_collateral *intel_collateral_new(struct bytes root_ca, const struct bundle *bundle)
{
    struct intel_collateral *c = calloc(1, sizeof *c);

    if (!c)
        abort();
    buffer_append(&c->root, root_ca);
    c->bundle    = bundle;
    c->is_intels = is_intels_root(root_ca);
    return c;
}

bool intel_collateral_is_intels(const struct intel_collateral *c) { return c->is_intels; }

static void kept_free(struct kept *k)
{
    tdx_platform_free(k->platform);
    tdx_collateral_free(k->collateral);
    *k = (struct kept){ 0 };
}

void intel_collateral_free(struct intel_collateral *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < KEPT_MAX; i++)
        kept_free(&c->at[i]);
    buffer_free(&c->root);
    free(c);
}

/* The four answers of Intel's service that judge one kind of platform. */
struct answers {
    const struct answer *tcb_info, *qe_identity, *pck_crl, *root_crl;
};

static FALLIBLE answer_find(const struct bundle *bundle, struct buffer *url, const struct answer **out, struct err *err)
{
    *out = bundle ? bundle_find(bundle, buffer_text(url)) : NULL;
    return *out || fail_with(err, ERR_UNTRUSTED, "TDX: there is no collateral for this platform: %.120s is not in the bundle",
                             buffer_text(url));
}

static FALLIBLE answers_find(const struct bundle *bundle, const uint8_t fmspc[static PCK_FMSPC_LEN], bool of_platform_ca,
                             struct answers *out, struct err *err)
{
    AUTO(buffer) struct buffer tcb = { 0 }, qe = { 0 }, pck = { 0 }, root = { 0 };

    pcs_tcb_info_url(PCS_BASE_URL, fmspc, PCS_UPDATE_STANDARD, &tcb);
    pcs_qe_identity_url(PCS_BASE_URL, PCS_UPDATE_STANDARD, &qe);
    pcs_pck_crl_url(PCS_BASE_URL, of_platform_ca, &pck);
    buffer_append_text(&root, PCS_ROOT_CRL_URL);
    return answer_find(bundle, &tcb, &out->tcb_info, err) && answer_find(bundle, &qe, &out->qe_identity, err) &&
           answer_find(bundle, &pck, &out->pck_crl, err) && answer_find(bundle, &root, &out->root_crl, err);
}

static FALLIBLE collateral_load(struct intel_collateral *c, const uint8_t fmspc[static PCK_FMSPC_LEN], bool of_platform_ca,
                                struct tdx_collateral **out, struct err *err)
{
    struct answers   found;
    struct verdict   verdict;
    struct appraisal a = appraisal_start(&verdict, NULL);

    if (!answers_find(c->bundle, fmspc, of_platform_ca, &found, err))
        return false;

    const struct tdx_files files = { .tcb_info     = buffer_bytes(&found.tcb_info->body),
                                     .qe_identity  = buffer_bytes(&found.qe_identity->body),
                                     .issuer_chain = buffer_bytes(&found.tcb_info->issuer_chain),
                                     .root_ca      = buffer_bytes(&c->root),
                                     .root_crl     = buffer_bytes(&found.root_crl->body),
                                     .pck_crl      = buffer_bytes(&found.pck_crl->body) };

    *out = tdx_collateral_new(&files, &a);
    return *out || fail_with(err, ERR_UNTRUSTED, "TDX collateral: %s: %s", reason_code(verdict.reason), verdict.detail);
}

FALLIBLE intel_collateral_find(struct intel_collateral *c, struct bytes quote, const struct tdx_collateral **collateral,
                               struct tdx_platform ***platform, struct err *err)
{
    struct kept  found = { 0 };
    struct kept *into  = NULL;

    if (!tdx_platform_hint(quote, found.fmspc, &found.of_platform_ca, err))
        return false;
    for (size_t i = 0; i < KEPT_MAX && !into; i++) {
        struct kept *k = &c->at[i];

        if (k->collateral && k->of_platform_ca == found.of_platform_ca && memcmp(k->fmspc, found.fmspc, PCK_FMSPC_LEN) == 0)
            into = k;
    }
    if (!into) {
        if (!collateral_load(c, found.fmspc, found.of_platform_ca, &found.collateral, err))
            return false;
        into = &c->at[c->n_ever++ % KEPT_MAX];
        kept_free(into);
        *into = found;
    }
    *collateral = into->collateral;
    *platform   = &into->platform;
    return true;
}
