/* `cloister verify snp`: an SEV-SNP report against certificates, a trust root and a revocation list given as files. */
#include <stdio.h>
#include <string.h>

#include "attestation/verifier/snp_claims.h"
#include "base/file.h"
#include "base/options.h"
#include "runtime/cli/verify.h"

enum { FILE_LEN_MAX = 4 << 20 };

struct inputs {
    const char         *report_path, *vek_path, *ca_path, *crl_path, *at, *policy_path, *root_product;
    struct option_list  allow_products;
    bool                explain;
    struct buffer       report, vek, ark, ask, asvk, crl, policy_text;
    struct snp_policy_document *document;
    struct snp_policy   policy;
    enum snp_product    product; /* of the root */
    int64_t             now;
};

static void inputs_free(struct inputs *in)
{
    struct buffer *all[] = { &in->report, &in->vek, &in->ark, &in->ask, &in->asvk, &in->crl, &in->policy_text };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_free(all[i]);
    snp_policy_document_free(in->document);
}
static inline void auto_inputs(struct inputs *in) { inputs_free(in); }

/* A file of --ca; only ark.der must be there. */
static FALLIBLE ca_read(const struct inputs *in, const char *name, bool required, struct buffer *out, struct err *err)
{
    char path[4096];

    if (snprintf(path, sizeof path, "%s/%s", in->ca_path, name) >= (int) sizeof path)
        return fail_with(err, ERR_CONFIG, "--ca: path is too long");
    if (file_read(path, FILE_LEN_MAX, out, err) || (!required && err->kind == ERR_NOT_FOUND))
        return true;
    return context(err, "--ca");
}

static FALLIBLE files_load(struct inputs *in, struct err *err)
{
    const struct { const char *option, *path; struct buffer *into; bool required; } files[] = {
        { "--report", in->report_path, &in->report, true },
        { "--vek", in->vek_path, &in->vek, true },
        { "--crl", in->crl_path, &in->crl, false },
        { "--policy", in->policy_path, &in->policy_text, false },
    };

    if (!in->ca_path)
        return fail_with(err, ERR_CONFIG, "--ca is missing (see --help)");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!files[i].path && files[i].required)
            return fail_with(err, ERR_CONFIG, "%s is missing (see --help)", files[i].option);
        if (files[i].path && !file_read(files[i].path, FILE_LEN_MAX, files[i].into, err))
            return context(err, files[i].option);
    }
    if (!ca_read(in, "ark.der", true, &in->ark, err) || !ca_read(in, "ask.der", false, &in->ask, err) ||
        !ca_read(in, "asvk.der", false, &in->asvk, err))
        return false;
    verify_certificate_pick(&in->vek, VERIFY_FIRST); /* AMD and Azure send chains: VEK, intermediate, root */
    verify_certificate_pick(&in->ask, VERIFY_FIRST);
    verify_certificate_pick(&in->asvk, VERIFY_FIRST);
    verify_certificate_pick(&in->ark, VERIFY_LAST);
    return true;
}

static FALLIBLE policy_load(struct inputs *in, struct err *err)
{
    struct snp_policy strict = snp_policy_strict();

    in->policy = snp_policy_bare();
    if (in->crl_path)
        in->policy.crl = CRL_REQUIRED;
    if (in->policy_path) {
        if (!snp_policy_read(buffer_bytes(&in->policy_text), &strict, &in->document, err))
            return context(err, "--policy");
        in->policy = *snp_policy_of(in->document);
    }
    for (size_t i = 0; i < in->allow_products.n; i++) {
        enum snp_product product = snp_product_by_name(in->allow_products.at[i]);

        if (product == SNP_PRODUCT_UNKNOWN)
            return fail_with(err, ERR_CONFIG, "--allow-product \"%s\": Milan, Genoa or Turin is wanted",
                             in->allow_products.at[i]);
        in->policy.products[product] = true;
    }
    return true;
}

/* The root stands for the product that it is named after, unless the caller says otherwise. */
static FALLIBLE root_load(struct inputs *in, struct err *err)
{
    in->product = snp_root_product(buffer_bytes(&in->ark));
    if (!in->root_product)
        return true;
    in->product = snp_product_by_name(in->root_product);
    return in->product != SNP_PRODUCT_UNKNOWN ||
           fail_with(err, ERR_CONFIG, "--root-product \"%s\": Milan, Genoa or Turin is wanted", in->root_product);
}

/* The root and the list are judged like the rest: a bad one is a verdict, not a usage error. */
static bool prepare(const struct inputs *in, const struct verdict_listener *listener, struct snp_trust **trust,
                    struct snp_crl **crl, struct verdict *verdict)
{
    const struct snp_root root = { .name = "caller", .product = in->product, .ark = buffer_bytes(&in->ark) };
    struct appraisal      a    = appraisal_start(verdict, listener);
    enum verdict_reason   why  = REASON_INTERNAL;
    struct err            err;

    if (!snp_trust_new(&root, 1, trust, &why, &err))
        return check(&a, false, why, "%s", err.text);
    return !in->crl_path || in->policy.crl == CRL_OFF || snp_crl_new(*trust, buffer_bytes(&in->crl), crl, &a);
}

static int answer(const struct inputs *in)
{
    AUTO(snp_trust) struct snp_trust  *trust = NULL;
    AUTO(snp_crl) struct snp_crl      *crl   = NULL;
    AUTO(snp_result) struct snp_result result = { 0 };
    const struct verdict_listener     *listener = verify_explainer(in->explain);
    struct bytes                       vek      = buffer_bytes(&in->vek);
    const struct snp_certificates      given    = {
        .vcek = vek, .vlek = vek, .ask = buffer_bytes(&in->ask), .asvk = buffer_bytes(&in->asvk),
    };

    if (!prepare(in, listener, &trust, &crl, &result.verdict))
        return verify_answer(&result.verdict, NULL, NULL);

    const struct snp_crl *const crls[]  = { crl };
    const struct snp_request    request = {
        .report = buffer_bytes(&in->report), .certificates = &given, .trust = trust, .crls = crls, .n_crls = crl != NULL,
        .policy = &in->policy, .now = in->now, .listener = listener,
    };

    (void) snp_verify(&request, &result); /* the verdict says it */
    return verify_answer(&result.verdict, snp_status(&result), snp_claims(&result));
}

int verify_snp(int argc, char **argv)
{
    AUTO(inputs) struct inputs in     = { 0 };
    const struct option_row    rows[] = {
        { "report", OPTION_TEXT, &in.report_path, "FILE", "the attestation report, 1184 bytes", 0, 0 },
        { "vek", OPTION_TEXT, &in.vek_path, "FILE", "the VCEK or VLEK certificate, DER or PEM", 0, 0 },
        { "ca", OPTION_TEXT, &in.ca_path, "DIR", "holds ark.der, the trust root, and ask.der or asvk.der", 0, 0 },
        { "root-product", OPTION_TEXT, &in.root_product, "NAME", "the product that the root stands for, when its own "
          "name is not ARK-Milan, ARK-Genoa or ARK-Turin", 0, 0 },
        { "crl", OPTION_TEXT, &in.crl_path, "FILE", "the root's revocation list, DER or PEM; then it must be fresh", 0, 0 },
        { "at", OPTION_TEXT, &in.at, "TIME", "judge validity at this time instead of now (2026-11-23T12:00:00Z)", 0, 0 },
        { "policy", OPTION_TEXT, &in.policy_path, "FILE", "JSON: what to accept (docs/attestation.md)", 0, 0 },
        { "allow-product", OPTION_LIST, &in.allow_products, "NAME", "accept this product too: Milan, whose keys can be "
          "extracted in software, is refused by default", 0, 0 },
        { "explain", OPTION_FLAG, &in.explain, NULL, "print each check and what it compared, on standard error", 0, 0 },
    };
    const struct option_table table = {
        "cloister verify snp", "--report FILE --vek FILE --ca DIR [OPTION]...",
        "Verifies an AMD SEV-SNP attestation report and prints one JSON object. Exit code 0: accepted, 1: rejected, "
        "2: unusable arguments. Without --policy: format, chain, binding, no debugging, no migration agent, not Milan.",
        rows, sizeof rows / sizeof *rows, false, NULL };
    enum options_outcome outcome    = OPTIONS_RUN;
    char               **operands   = NULL;
    size_t               n_operands = 0;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err) ||
        (n_operands > 0 && !fail_with(&err, ERR_CONFIG, "unexpected \"%s\" (see --help)", operands[0])))
        return verify_unusable("snp", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!files_load(&in, &err) || !policy_load(&in, &err) || !root_load(&in, &err) || !verify_time(in.at, &in.now, &err))
        return verify_unusable("snp", &err);
    return answer(&in);
}
