#include "attestation/verifier/snp_chain.h"

#include "attestation/verifier/instant.h"

/* A parsed certificate that owns its bytes, and its key. */
struct link {
    struct buffer          der;
    struct snp_certificate c;
    EVP_PKEY              *key;
};

struct trusted_root {
    const char      *name;
    enum snp_product product;
    struct link      ark;
    struct buffer    ask, asvk; /* DER, not checked yet; may be empty */
};

struct snp_trust {
    struct trusted_root roots[SNP_ROOTS_MAX];
    size_t              n;
};

struct snp_chain {
    const struct trusted_root *root;
    struct link                intermediate, vek;
    bool                       is_vlek;
};

static void link_free(struct link *l)
{
    buffer_free(&l->der);
    EVP_PKEY_free(l->key);
    *l = (struct link){ 0 };
}

static FALLIBLE link_read(struct link *l, struct bytes given, const char *role, struct appraisal *a)
{
    struct err err;

    if (!snp_der_of(given, "CERTIFICATE", SNP_CERTIFICATE_LEN_MAX, &l->der, &err))
        return check(a, false, REASON_SNP_CERTIFICATE_MALFORMED, "%s: %s", role, err.text);
    return snp_certificate_read(buffer_bytes(&l->der), role, &l->c, a);
}

static FALLIBLE link_signed(const struct link *l, const char *role, EVP_PKEY *by, struct appraisal *a)
{
    return check(a, snp_pss_signed(by, l->c.tbs, l->c.signature), REASON_SNP_CERTIFICATE_SIGNATURE,
                 "%s: signature by its issuer", role);
}

/* Only brought into DER here: checked when a chain uses it. */
static FALLIBLE known_read(struct buffer *der, struct bytes given, const char *role, struct appraisal *a)
{
    struct err err;

    return given.len == 0 || snp_der_of(given, "CERTIFICATE", SNP_CERTIFICATE_LEN_MAX, der, &err) ||
           check(a, false, REASON_SNP_CERTIFICATE_MALFORMED, "%s: %s", role, err.text);
}

static FALLIBLE root_read(struct trusted_root *root, const struct snp_root *given, struct appraisal *a)
{
    root->name    = given->name;
    root->product = given->product;
    return known_read(&root->ask, given->ask, "ASK", a) && known_read(&root->asvk, given->asvk, "ASVK", a) &&
           link_read(&root->ark, given->ark, "ARK", a) && snp_certificate_is_root(&root->ark.c, a) &&
           snp_certificate_key(&root->ark.c, "ARK", &root->ark.key, a) &&
           link_signed(&root->ark, "ARK", root->ark.key, a);
}

FALLIBLE snp_trust_new(const struct snp_root *roots, size_t n, struct snp_trust **out, enum verdict_reason *why,
                       struct err *err)
{
    AUTO(snp_trust) struct snp_trust *trust = zeroed(1, sizeof *trust);
    struct verdict                    verdict;
    struct appraisal                  a = appraisal_start(&verdict, NULL);

    if (n == 0 || n > SNP_ROOTS_MAX)
        return fail_with(err, ERR_LIMIT, "%zu trust roots, wanted 1 to %d", n, SNP_ROOTS_MAX);
    for (; trust->n < n; trust->n++)
        if (!root_read(&trust->roots[trust->n], &roots[trust->n], &a)) {
            link_free(&trust->roots[trust->n].ark);
            buffer_free(&trust->roots[trust->n].ask);
            buffer_free(&trust->roots[trust->n].asvk);
            if (why)
                *why = verdict.reason;
            return fail_with(err, ERR_UNTRUSTED, "trust root %s: %s", roots[trust->n].name, verdict.detail);
        }
    *out = TAKE(trust);
    return true;
}

void snp_trust_free(struct snp_trust *trust)
{
    if (!trust)
        return;
    for (size_t i = 0; i < trust->n; i++) {
        link_free(&trust->roots[i].ark);
        buffer_free(&trust->roots[i].ask);
        buffer_free(&trust->roots[i].asvk);
    }
    free(trust);
}

enum snp_product snp_root_product(struct bytes ark)
{
    struct link      l = { 0 };
    struct verdict   verdict;
    struct appraisal a       = appraisal_start(&verdict, NULL);
    enum snp_product product = SNP_PRODUCT_UNKNOWN;

    if (link_read(&l, ark, "ARK", &a))
        product = snp_product_of_name(l.c.common_name, "ARK-");
    link_free(&l);
    return product;
}

bool snp_trust_find(const struct snp_trust *trust, struct bytes issuer,
                    bool (*signed_by)(const struct snp_certificate *root, EVP_PKEY *key, void *of), void *of,
                    const struct snp_certificate **root)
{
    bool found = false;

    *root = NULL;
    for (size_t i = 0; i < trust->n && !found; i++) {
        const struct trusted_root *r = &trust->roots[i];

        if (!bytes_equal(r->ark.c.subject, issuer))
            continue;
        found = signed_by(&r->ark.c, r->ark.key, of);
        *root = &r->ark.c;
    }
    return found;
}

/* The certificate among those sent and those known whose subject issued the VEK. */
static FALLIBLE intermediate_choose(struct snp_chain *chain, const struct snp_certificates *given,
                                    const struct trusted_root *root, struct appraisal *a)
{
    const struct bytes candidates[] = { given->ask, given->asvk, buffer_bytes(&root->ask), buffer_bytes(&root->asvk) };
    size_t             n            = 0;

    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        struct link l = { 0 };

        if (candidates[i].len == 0)
            continue;
        n++;
        if (!link_read(&l, candidates[i], "ASK", a)) {
            link_free(&l);
            return false;
        }
        if (bytes_equal(l.c.subject, chain->vek.c.issuer)) {
            chain->intermediate = l;
            return true;
        }
        link_free(&l);
    }
    return check(a, n > 0, REASON_SNP_INTERMEDIATE_MISSING, "no ASK or ASVK was given and none is known for this root") &&
           check(a, false, REASON_SNP_CERTIFICATE_ISSUER, "VEK: issuer is the subject of no ASK or ASVK at hand");
}

/* Every check of intermediate and VEK below one root, time and revocation apart. [snp.md 3 C] */
static FALLIBLE chain_verify(struct snp_chain *chain, const struct snp_certificates *given,
                             const struct trusted_root *root, struct appraisal *a)
{
    struct link *mid = &chain->intermediate;

    link_free(mid);
    chain->root = root;
    if (!intermediate_choose(chain, given, root, a))
        return false;
    chain->is_vlek = snp_product_of_name(mid->c.common_name, "SEV-VLEK-") != SNP_PRODUCT_UNKNOWN;

    const char *role = chain->is_vlek ? "ASVK" : "ASK";

    return snp_certificate_is_intermediate(&mid->c, chain->is_vlek, root->product, a) &&
           check(a, bytes_equal(mid->c.issuer, root->ark.c.subject), REASON_SNP_CERTIFICATE_ISSUER,
                 "%s: issuer is the ARK's subject", role) &&
           link_signed(mid, role, root->ark.key, a) &&
           snp_certificate_is_vek(&chain->vek.c, chain->is_vlek, root->product, a) &&
           snp_certificate_key(&mid->c, role, &mid->key, a) && link_signed(&chain->vek, "VEK", mid->key, a) &&
           snp_certificate_key(&chain->vek.c, "VEK", &chain->vek.key, a);
}

/* The roots that may stand above the VEK: of the product that its issuer names and, if an ARK was sent, that very one. */
static FALLIBLE roots_choose(const struct snp_trust *trust, const struct snp_chain *chain, struct bytes sent_ark,
                             const struct trusted_root *chosen[static SNP_ROOTS_MAX], size_t *n, struct appraisal *a)
{
    AUTO(buffer) struct buffer sent   = { 0 };
    struct bytes               issuer = { 0 };
    enum snp_product           product;
    size_t                     n_of_product = 0;
    struct err                 err;

    if (sent_ark.len > 0 && !snp_der_of(sent_ark, "CERTIFICATE", SNP_CERTIFICATE_LEN_MAX, &sent, &err))
        return check(a, false, REASON_SNP_CERTIFICATE_MALFORMED, "ARK: %s", err.text);
    if (!snp_common_name(chain->vek.c.issuer, &issuer))
        return check(a, false, REASON_SNP_CERTIFICATE_ISSUER, "VEK: issuer has one common name");
    product = snp_product_of_name(issuer, "SEV-");
    if (product == SNP_PRODUCT_UNKNOWN)
        product = snp_product_of_name(issuer, "SEV-VLEK-");
    if (!check(a, product != SNP_PRODUCT_UNKNOWN, REASON_SNP_CERTIFICATE_ISSUER, "VEK: issuer names the product %s",
               snp_product_name(product)))
        return false;

    *n = 0;
    for (size_t i = 0; i < trust->n; i++) {
        if (trust->roots[i].product != product)
            continue;
        n_of_product++;
        if (sent_ark.len == 0 || bytes_equal(buffer_bytes(&sent), buffer_bytes(&trust->roots[i].ark.der)))
            chosen[(*n)++] = &trust->roots[i];
    }
    return check(a, n_of_product > 0, REASON_SNP_ROOT_MISSING, "trust roots for %s: %zu", snp_product_name(product),
                 n_of_product) &&
           check(a, *n > 0, REASON_SNP_ROOT_NOT_PINNED, "an ARK was sent: %s; if so it is a trust root, byte for byte",
                 sent_ark.len > 0 ? "yes" : "no");
}

FALLIBLE snp_chain_new(const struct snp_trust *trust, struct bytes vek, const struct snp_certificates *given,
                       struct snp_chain **out, struct appraisal *a)
{
    AUTO(snp_chain) struct snp_chain *chain = zeroed(1, sizeof *chain);
    const struct trusted_root        *roots[SNP_ROOTS_MAX];
    struct verdict                    untold;
    size_t                            n = 0;

    if (!check(a, vek.len > 0, REASON_SNP_VEK_MISSING, "a VCEK or VLEK of %zu bytes", vek.len) ||
        !link_read(&chain->vek, vek, "VEK", a) || !roots_choose(trust, chain, given->ark, roots, &n, a))
        return false;

    for (size_t i = 0; i < n; i++) {
        struct appraisal quiet = appraisal_start(&untold, NULL);

        if (!chain_verify(chain, given, roots[i], i + 1 < n ? &quiet : a))
            continue;
        *out = TAKE(chain);
        return true;
    }
    return false;
}

void snp_chain_free(struct snp_chain *chain)
{
    if (!chain)
        return;
    link_free(&chain->intermediate);
    link_free(&chain->vek);
    free(chain);
}

static FALLIBLE instant_check(struct appraisal *a, bool holds, enum verdict_reason reason, const char *role,
                              const char *what, int64_t at, int64_t now)
{
    char at_text[INSTANT_TEXT_LEN + 1], now_text[INSTANT_TEXT_LEN + 1];

    if (holds && !a->listener)
        return true;
    instant_write(at, at_text);
    instant_write(now, now_text);
    return check(a, holds, reason, "%s: %s %s, judged at %s", role, what, at_text, now_text);
}

FALLIBLE snp_chain_valid_at(const struct snp_chain *chain, int64_t now, int64_t not_before_skew_s, struct appraisal *a)
{
    const struct {
        const char                   *role;
        const struct snp_certificate *c;
    } links[] = {
        { "ARK", &chain->root->ark.c },
        { chain->is_vlek ? "ASVK" : "ASK", &chain->intermediate.c },
        { chain->is_vlek ? "VLEK" : "VCEK", &chain->vek.c },
    };

    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (!instant_check(a, now >= links[i].c->not_before - not_before_skew_s, REASON_SNP_CERTIFICATE_NOT_YET,
                           links[i].role, "valid from", links[i].c->not_before, now) ||
            !instant_check(a, now <= links[i].c->not_after, REASON_SNP_CERTIFICATE_EXPIRED, links[i].role, "valid to",
                           links[i].c->not_after, now))
            return false;
    return true;
}

const struct snp_certificate *snp_chain_vek(const struct snp_chain *chain)
{
    return &chain->vek.c;
}

const struct snp_certificate *snp_chain_intermediate(const struct snp_chain *chain)
{
    return &chain->intermediate.c;
}

const struct snp_certificate *snp_chain_root(const struct snp_chain *chain)
{
    return &chain->root->ark.c;
}

const char *snp_chain_root_name(const struct snp_chain *chain)
{
    return chain->root->name;
}

enum snp_product snp_chain_product(const struct snp_chain *chain)
{
    return chain->root->product;
}

bool snp_chain_is_vlek(const struct snp_chain *chain)
{
    return chain->is_vlek;
}

EVP_PKEY *snp_chain_key(const struct snp_chain *chain)
{
    return chain->vek.key;
}
