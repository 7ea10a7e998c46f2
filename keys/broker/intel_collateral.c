#include "keys/broker/intel_collateral.h"

#include <string.h>

#include "attestation/collateral/pcs.h"
#include "base/text.h"

enum { KEPT_MAX = 64 };

struct kept {
    uint8_t                fmspc[PCK_FMSPC_LEN];
    bool                   of_platform_ca;
    int64_t                expires_at; /* then it is looked for again */
    struct tdx_collateral *collateral;
    struct tdx_platform   *platform;
};

struct intel_collateral {
    struct buffer        root; /* DER */
    const struct bundle *bundle;
    struct fetched      *fetched;
    struct kept          at[KEPT_MAX];
    size_t               n_ever; /* the oldest gives way */
};

static void root_decode(struct bytes root, struct buffer *der)
{
    AUTO(pem_certificates) struct pem_certificates all = { 0 };
    struct err                                     ignored; /* what is no PEM is DER */

    buffer_append(der, pem_certificates_read(root, &all, &ignored) && all.n == 1 ? buffer_bytes(&all.der[0]) : root);
}

bool intel_root_is_intels(struct bytes root_ca)
{
    AUTO(buffer) struct buffer der = { 0 }, hex = { 0 };
    uint8_t                    digest[SHA256_LEN];

    root_decode(root_ca, &der);
    sha256_of(buffer_bytes(&der), digest);
    hex_append(&hex, BYTES_OF(digest));
    return strcmp(buffer_text(&hex), INTEL_ROOT_SHA256) == 0;
}

struct intel_collateral *intel_collateral_new(struct bytes root_ca, const struct bundle *bundle, struct fetched *fetched)
{
    struct intel_collateral *c = calloc(1, sizeof *c);

    if (!c)
        abort();
    root_decode(root_ca, &c->root);
    c->bundle  = bundle;
    c->fetched = fetched;
    return c;
}

bool intel_collateral_is_root_of(const struct intel_collateral *c, struct bytes quote)
{
    AUTO(pem_certificates) struct pem_certificates chain = { 0 };
    struct tdx_quote                               parsed;
    struct err                                     ignored; /* what is no quote is told by the verifier */

    return tdx_quote_parse(quote, &parsed, &ignored) && pem_certificates_read(parsed.pck_chain, &chain, &ignored) && chain.n > 0 &&
           bytes_equal(buffer_bytes(&chain.der[chain.n - 1]), buffer_bytes(&c->root));
}

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
    struct bytes  tcb_info, issuer_chain, qe_identity, pck_crl, root_crl;
    struct buffer root_decoded; /* a PCCS gives it in hex */
    int64_t       expires_at;   /* of the first that is not fresh any more; INT64_MAX: of a bundle */
};

static void auto_answers(struct answers *a) { buffer_free(&a->root_decoded); }

/* One of them: as `official` in the bundle, else fetched from `url`. */
struct sought {
    const char *official, *url;
    struct bytes *body, *issuer_chain;
};

static FALLIBLE answer_find(struct intel_collateral *c, const struct sought *s, int64_t now, struct outside_job *wanted,
                            struct answers *out, struct err *err)
{
    const struct answer           *bundled = c->bundle ? bundle_find(c->bundle, s->official) : NULL;
    const struct fetched_document *had;
    AUTO(buffer) struct buffer     why = { 0 };

    if (bundled) {
        *s->body = buffer_bytes(&bundled->body);
        if (s->issuer_chain)
            *s->issuer_chain = buffer_bytes(&bundled->issuer_chain);
        return true;
    }
    had = fetched_find(c->fetched, s->url, PCS_LIFETIME_S, now, wanted, &why);
    if (had) {
        *s->body = buffer_bytes(&had->body);
        if (s->issuer_chain)
            *s->issuer_chain = buffer_bytes(&had->issuer_chain);
        if (had->expires_at < out->expires_at)
            out->expires_at = had->expires_at;
        return true;
    }
    if (wanted && wanted->n_documents > 0)
        return true; /* told by the caller, when all is known that is wanted */
    if (why.len > 0)
        return fail_with(err, ERR_UNTRUSTED, "TDX: collateral of this platform could not be fetched: %.180s", buffer_text(&why));
    return fail_with(err, ERR_UNTRUSTED, "TDX: there is no collateral for this platform: %.120s is not in the bundle%s", s->official,
                     fetched_sources(c->fetched) ? "" : ", and collateral_hosts is not set");
}

/* Of Intel's service it has an address of its own; a PCCS gives it, in hex, beside the rest. */
static void root_crl_url(const char *base, struct buffer *out)
{
    if (strcmp(base, PCS_BASE_URL) == 0)
        buffer_append_text(out, PCS_ROOT_CRL_URL);
    else
        buffer_printf(out, "%s/sgx/certification/v4/rootcacrl", base);
}

static void root_crl_decode(struct answers *out)
{
    struct err ignored; /* what is no hex is DER already */

    if (hex_read(out->root_crl, &out->root_decoded, &ignored))
        out->root_crl = buffer_bytes(&out->root_decoded);
}

static void urls_write(const char *base, const uint8_t fmspc[static PCK_FMSPC_LEN], bool of_platform_ca, struct buffer out[static 4])
{
    pcs_tcb_info_url(base, fmspc, PCS_UPDATE_STANDARD, &out[0]);
    pcs_qe_identity_url(base, PCS_UPDATE_STANDARD, &out[1]);
    pcs_pck_crl_url(base, of_platform_ca, &out[2]);
    root_crl_url(base, &out[3]);
}

static FALLIBLE answers_find(struct intel_collateral *c, const uint8_t fmspc[static PCK_FMSPC_LEN], bool of_platform_ca, int64_t now,
                             struct outside_job *wanted, struct answers *out, struct err *err)
{
    const struct collateral_sources *sources     = fetched_sources(c->fetched);
    struct buffer                    official[4] = { { 0 } }, urls[4] = { { 0 } };
    struct bytes                    *bodies[4]   = { &out->tcb_info, &out->qe_identity, &out->pck_crl, &out->root_crl };
    bool                             found       = true;

    urls_write(PCS_BASE_URL, fmspc, of_platform_ca, official);
    urls_write(sources ? collateral_sources_pcs(sources) : PCS_BASE_URL, fmspc, of_platform_ca, urls);
    for (size_t i = 0; i < 4 && found; i++) {
        struct sought s = { buffer_text(&official[i]), buffer_text(&urls[i]), bodies[i], i == 0 ? &out->issuer_chain : NULL };

        found = answer_find(c, &s, now, wanted, out, err);
    }
    for (size_t i = 0; i < 4; i++) {
        buffer_free(&official[i]);
        buffer_free(&urls[i]);
    }
    if (found && wanted && wanted->n_documents > 0)
        return fail_with(err, ERR_NOT_FOUND, "TDX: collateral is being fetched");
    if (found)
        root_crl_decode(out);
    return found;
}

static FALLIBLE collateral_load(struct intel_collateral *c, struct kept *k, int64_t now, struct outside_job *wanted, struct err *err)
{
    AUTO(answers) struct answers found = { .expires_at = INT64_MAX };
    struct verdict               verdict;
    struct appraisal             a = appraisal_start(&verdict, NULL);

    if (!answers_find(c, k->fmspc, k->of_platform_ca, now, wanted, &found, err))
        return false;

    const struct tdx_files files = { .tcb_info     = found.tcb_info,
                                     .qe_identity  = found.qe_identity,
                                     .issuer_chain = found.issuer_chain,
                                     .root_ca      = buffer_bytes(&c->root),
                                     .root_crl     = found.root_crl,
                                     .pck_crl      = found.pck_crl };

    k->expires_at = found.expires_at;
    k->collateral = tdx_collateral_new(&files, &a);
    return k->collateral || fail_with(err, ERR_UNTRUSTED, "TDX collateral: %s: %s", reason_code(verdict.reason), verdict.detail);
}

static struct kept *kept_find(struct intel_collateral *c, const struct kept *like)
{
    for (size_t i = 0; i < KEPT_MAX; i++) {
        struct kept *k = &c->at[i];

        if (k->collateral && k->of_platform_ca == like->of_platform_ca && memcmp(k->fmspc, like->fmspc, PCK_FMSPC_LEN) == 0)
            return k;
    }
    return NULL;
}

FALLIBLE intel_collateral_find(struct intel_collateral *c, struct bytes quote, const struct tdx_collateral **collateral,
                               struct tdx_platform ***platform, int64_t now, struct outside_job *wanted, struct err *err)
{
    struct kept  fresh = { 0 };
    struct kept *into;

    if (!tdx_platform_hint(quote, fresh.fmspc, &fresh.of_platform_ca, err))
        return false;
    into = kept_find(c, &fresh);
    if (!into || now >= into->expires_at) {
        if (collateral_load(c, &fresh, now, wanted, err)) {
            into = into ? into : &c->at[c->n_ever++ % KEPT_MAX];
            kept_free(into);
            *into = fresh;
        } else if (!into || err->kind == ERR_NOT_FOUND) { /* else the old one serves, by its own dates */
            return false;
        }
    }
    *collateral = into->collateral;
    *platform   = &into->platform;
    return true;
}
