#include "keys/broker/appraise.h"

#include <string.h>

#include "attestation/collateral/kds.h"
#include "attestation/verifier/envelope.h"
#include "base/text.h"
#include "keys/api/development_root.h"
#include "keys/api/initdata.h"
#include "keys/api/limits.h"
#include "keys/broker/amd_collateral.h"
#include "keys/broker/initdata_claims.h"
#include "keys/broker/intel_collateral.h"
#include "keys/broker/sample_evidence.h"
#include "keys/broker/vlek_certificates.h"

enum { CRLS_MAX = 16, CHAINS_MAX = 256, NAME_SHOWN = 32 };

static const struct { const char *name; bool appraised; } TEE_ROWS[] = {
#define TEE_ROW(id, text, is_appraised) [TEE_##id] = { text, is_appraised },
    TEES(TEE_ROW)
#undef TEE_ROW
};

const char *tee_name(enum tee tee) { return TEE_ROWS[tee].name; }

static const char *const ENDORSERS[] = { [ENDORSED_BY_VENDOR] = "vendor", [ENDORSED_BY_OPERATOR] = "operator",
                                         [ENDORSED_BY_DEVELOPMENT_ROOT] = "development",
                                         [ENDORSED_BY_NOBODY] = "nobody" };

const char *endorser_name(enum endorser endorser) { return ENDORSERS[endorser]; }

FALLIBLE tee_by_name(const char *name, enum tee *out, struct err *err)
{
    AUTO(buffer) struct buffer shown = { 0 };

    for (int i = 0; i < N_TEES; i++) {
        if (strcmp(TEE_ROWS[i].name, strcmp(name, "dpu") == 0 ? "nvidia-dpu" : name) != 0)
            continue;
        if (!TEE_ROWS[i].appraised)
            return fail_with(err, ERR_UNSUPPORTED, "this broker does not appraise evidence of %s", TEE_ROWS[i].name);
        *out = (enum tee) i;
        return true;
    }
    printable_append(&shown, bytes_of_text(name), NAME_SHOWN);
    return fail_with(err, ERR_MALFORMED, "tee \"%s\" is not a name that the protocol knows", buffer_text(&shown));
}

/* A chain that was verified up to its root: two RSA-4096 signatures that need no second look. */
struct known_chain {
    uint8_t           certificates[SHA256_LEN]; /* digest of those it was verified from */
    struct snp_chain *chain;
};

struct appraiser {
    struct known_chain             known[CHAINS_MAX];
    size_t                         n_known; /* ever kept: the oldest gives way */
    struct snp_trust              *amd;         /* NULL: not trusted */
    struct snp_trust              *development; /* NULL: none configured */
    struct development_root        root;        /* what `development` was made of */
    struct snp_crl                *crls[CRLS_MAX];
    size_t                         n_crls;
    bool                           crl_required;
    struct snp_policy_document    *snp_policy; /* NULL: the strict one */
    struct intel_collateral       *intel;      /* NULL: Intel's root is not trusted */
    struct intel_collateral       *intel_development; /* NULL: no root of tests is */
    struct tdx_policy              tdx_policy;
    struct tpm_policy              tpm_policy;
    struct bundle                 *bundle;
    struct collateral_sources     *sources;    /* NULL: offline */
    struct fetched                *fetched;
    struct amd_collateral         *amd_lists;  /* that were fetched */
    struct vlek_certificates      *vleks;      /* the operator's */
    bool                           tpm, tpm_any_key;
    bool                           sample;
};

void appraiser_free(struct appraiser *appraiser)
{
    if (!appraiser)
        return;
    for (size_t i = 0; i < CHAINS_MAX; i++)
        snp_chain_free(appraiser->known[i].chain);
    for (size_t i = 0; i < appraiser->n_crls; i++)
        snp_crl_free(appraiser->crls[i]);
    snp_trust_free(appraiser->development);
    development_root_free(&appraiser->root);
    snp_policy_document_free(appraiser->snp_policy);
    amd_collateral_free(appraiser->amd_lists);
    vlek_certificates_free(appraiser->vleks);
    intel_collateral_free(appraiser->intel);
    intel_collateral_free(appraiser->intel_development);
    fetched_free(appraiser->fetched);
    collateral_sources_free(appraiser->sources);
    bundle_free(appraiser->bundle);
    snp_trust_free(appraiser->amd); /* lists and chains are of it */
    tdx_policy_free(&appraiser->tdx_policy);
    tpm_policy_free(&appraiser->tpm_policy);
    free(appraiser);
}

static FALLIBLE development_trust(struct appraiser *a, const char *folder, struct err *err)
{
    struct snp_root root = { .name = "development" };

    if (!development_root_load(folder, &a->root, err))
        return false;
    EVP_PKEY_free(a->root.vcek_key); /* a broker judges; it never signs evidence */
    a->root.vcek_key = NULL;
    root.ark         = buffer_bytes(&a->root.ark);
    root.ask         = buffer_bytes(&a->root.ask);
    root.product     = snp_root_product(root.ark);
    return snp_trust_new(&root, 1, &a->development, NULL, err);
}

static FALLIBLE policies_read(const struct appraiser_options *options, struct appraiser *a, struct err *err)
{
    struct snp_policy strict = snp_policy_strict();

    tdx_policy_default(&a->tdx_policy);
    if (options->snp_policy.len > 0 && !snp_policy_read(options->snp_policy, &strict, &a->snp_policy, err))
        return context(err, "snp_policy");
    if (options->tdx_policy.len > 0 && !tdx_policy_read(options->tdx_policy, &a->tdx_policy, err))
        return context(err, "tdx_policy");
    if (options->tpm_policy.len > 0 && !tpm_policy_read(options->tpm_policy, &a->tpm_policy, err))
        return context(err, "tpm_policy");
    return true;
}

/* A root of tests counts only under the name that says so; under it nothing is ever affirmed. */
static FALLIBLE tdx_trust(const struct appraiser_options *options, struct appraiser *a, struct err *err)
{
    struct bytes intels = options->tdx_root, tests = options->tdx_development_root;

    if (intels.len > 0 && !intel_root_is_intels(intels))
        return fail_with(err, ERR_CONFIG, "tdx_root is not Intel's SGX Root CA (SHA-256 " INTEL_ROOT_SHA256 "): "
                         "a root of tests is trusted as tdx_development_root only");
    if (tests.len > 0 && intel_root_is_intels(tests))
        return fail_with(err, ERR_CONFIG, "tdx_development_root is Intel's own root: it belongs into tdx_root");
    a->intel             = intels.len > 0 ? intel_collateral_new(intels, a->bundle, a->fetched) : NULL;
    a->intel_development = tests.len > 0 ? intel_collateral_new(tests, a->bundle, a->fetched) : NULL;
    return true;
}

FALLIBLE appraiser_new(const struct appraiser_options *options, struct appraiser **out, struct err *err)
{
    AUTO(appraiser) struct appraiser *a = calloc(1, sizeof *a);
    const struct snp_root            *roots;
    size_t                            n;

    if (!a)
        abort();
    if (options->n_crls > CRLS_MAX)
        return fail_with(err, ERR_CONFIG, "%zu revocation lists; at most %d", options->n_crls, CRLS_MAX);
    roots           = snp_amd_roots(&n);
    a->crl_required = options->crl_required;
    a->sample       = options->sample;
    a->tpm          = options->tpm || options->tpm_any_key;
    a->tpm_any_key  = options->tpm_any_key;
    a->sources      = collateral_sources_keep(options->sources);
    a->fetched      = fetched_new(a->sources);
    if (!policies_read(options, a, err) || !vlek_certificates_new(options->vleks, options->n_vleks, &a->vleks, err) ||
        (options->bundle.len > 0 && !bundle_read(options->bundle, &a->bundle, err)))
        return false;
    if (!tdx_trust(options, a, err))
        return false;
    if (options->amd && !snp_trust_new(roots, n, &a->amd, NULL, err))
        return false;
    if (a->amd)
        a->amd_lists = amd_collateral_new(a->amd, a->fetched);
    if (options->development_folder && !development_trust(a, options->development_folder, err))
        return false;
    if (!a->amd && !a->development && !a->intel && !a->intel_development && !a->tpm && !a->sample)
        return fail_with(err, ERR_CONFIG, "no root of trust is configured: nothing could ever attest");
    for (; a->amd && a->n_crls < options->n_crls; a->n_crls++) {
        struct verdict   verdict;
        struct appraisal appraisal = appraisal_start(&verdict, NULL);

        if (!snp_crl_new(a->amd, options->crls[a->n_crls], &a->crls[a->n_crls], &appraisal))
            return fail_with(err, ERR_CONFIG, "revocation list %zu: %s", a->n_crls + 1, verdict.detail);
    }
    *out = TAKE(a);
    return true;
}

void facts_free(struct facts *facts)
{
    json_object_put(facts->claims);
    json_object_put(facts->initdata_claims);
    *facts = (struct facts){ 0 };
}

/* ---- initdata that came along ---- */

/* A PCR holds the digest extended once from zero: the envelope tells, before anything is parsed. */
static FALLIBLE initdata_read_in_pcr(struct bytes text, const struct envelope_result *result, struct initdata *out,
                                     struct err *err)
{
    uint8_t digest[SHA256_LEN];

    sha256_of(text, digest);
    if (!envelope_binds_init_data(result, BYTES_OF(digest)))
        return fail_with(err, ERR_UNTRUSTED, "initdata: its digest is not the one in PCR 8");
    if (!initdata_read(text, out, err))
        return false;
    return out->algorithm == INITDATA_SHA256 ||
           fail_with(err, ERR_UNTRUSTED, "initdata: PCR 8 holds a SHA-256, the text names another algorithm");
}

static FALLIBLE initdata_check(const char *text, const struct envelope_result *result, struct facts *facts, struct err *err)
{
    AUTO(initdata) struct initdata initdata = { 0 };
    bool                           is_pcr   = result->kind != ENVELOPE_SNP && result->kind != ENVELOPE_TDX;

    if (!text)
        return true;
    if (is_pcr ? !initdata_read_in_pcr(bytes_of_text(text), result, &initdata, err)
               : !initdata_read_bound(bytes_of_text(text), (struct bytes){ facts->initdata, facts->initdata_len }, &initdata, err))
        return false;
    facts->initdata_claims = initdata_claims(&initdata);
    return true;
}

/* ---- envelopes: snp, tdx, az-snp-vtpm, az-tdx-vtpm, tpm ---- */

/*
 * Strict in all that makes a guest genuine. Measurement and HOST_DATA are not compared here: which values are expected
 * depends on what is asked for.
 */
static struct snp_policy snp_policy_for(const struct appraiser *a, bool is_development)
{
    struct snp_policy policy = a->snp_policy ? *snp_policy_of(a->snp_policy) : snp_policy_strict();

    policy.measurement.kind = FIELD_ANY;
    policy.host_data.kind   = FIELD_ANY;
    if (is_development)
        policy.crl = CRL_OFF;
    else if (!a->snp_policy)
        policy.crl = a->crl_required ? CRL_REQUIRED : CRL_WARNED;
    return policy;
}

static void certificates_digest(const struct snp_evidence *evidence, uint8_t out[static SHA256_LEN])
{
    AUTO(buffer) struct buffer all = { 0 };

    buffer_printf(&all, "%d %zu %zu %zu ", evidence->is_vlek, evidence->vek.len, evidence->ask.len, evidence->ark.len);
    buffer_append(&all, buffer_bytes(&evidence->vek));
    buffer_append(&all, buffer_bytes(&evidence->ask));
    buffer_append(&all, buffer_bytes(&evidence->ark));
    sha256_of(buffer_bytes(&all), out);
}

static const struct known_chain *chain_known(const struct appraiser *a, const uint8_t digest[static SHA256_LEN])
{
    for (size_t i = 0; i < CHAINS_MAX; i++) {
        if (a->known[i].chain && memcmp(a->known[i].certificates, digest, SHA256_LEN) == 0)
            return &a->known[i];
    }
    return NULL;
}

static void chain_keep(struct appraiser *a, const uint8_t digest[static SHA256_LEN], struct snp_chain **chain_take)
{
    struct known_chain *into = &a->known[a->n_known++ % CHAINS_MAX];

    snp_chain_free(into->chain);
    into->chain = *chain_take;
    *chain_take = NULL;
    memcpy(into->certificates, digest, SHA256_LEN);
}

/* A guest whose host gave it no certificate: the operator may have it, or AMD's service. What is not found is judged as missing. */
static void vek_add(struct appraiser *a, struct snp_evidence *evidence, int64_t now, struct outside_job *wanted, struct buffer *why)
{
    AUTO(buffer) struct buffer url    = { 0 };
    const struct answer       *answer = NULL;
    struct snp_report          report;
    struct err                 ignored;

    if (evidence->vek.len > 0 || !snp_report_parse(BYTES_OF(evidence->report), &report, NULL, &ignored))
        return;
    if (report.signing_key == SNP_SIGNED_BY_VLEK) {
        vlek_certificates_add(a->vleks, &report, evidence, why);
        return;
    }
    if (!kds_vcek_url(KDS_BASE_URL, &report, report.product, &url, &ignored))
        return;
    answer = a->bundle ? bundle_find(a->bundle, buffer_text(&url)) : NULL;
    if (answer)
        buffer_append(&evidence->vek, buffer_bytes(&answer->body));
    else if (a->amd_lists)
        amd_collateral_vcek(a->amd_lists, &report, now, wanted, &evidence->vek, why);
}

/* What `result` says, once it was accepted. */
static void facts_fill(const struct envelope_result *result, enum tee tee, enum endorser endorser, struct facts *out)
{
    struct json_object *claims      = envelope_claims(result);
    struct json_object *report_data = json_object_object_get(claims, "report_data");
    struct bytes        initdata    = envelope_init_data(result);
    struct bytes        measurement = { 0 };

    if (result->kind == ENVELOPE_SNP || result->kind == ENVELOPE_AZ_SNP_VTPM)
        measurement = result->snp.report.measurement;
    else if (result->kind == ENVELOPE_TDX || result->kind == ENVELOPE_AZ_TDX_VTPM)
        measurement = result->tdx.quote.body.mrtd;
    *out = (struct facts){ .tee = tee, .endorser = endorser, .claims = claims, .measurement_len = measurement.len,
                           .initdata_len = initdata.len };
    if (measurement.len > 0)
        memcpy(out->measurement, measurement.at, measurement.len);
    if (initdata.len > 0)
        memcpy(out->initdata, initdata.at, initdata.len);
    if (report_data)
        (void) snprintf(out->report_data, sizeof out->report_data, "%s", json_object_get_string(report_data)); /* 128 digits: fits */
    json_object_object_del(claims, "report_data"); /* both stand at the top of the policy's input [evidence-formats 7.1] */
    json_object_object_del(claims, "init_data");
}

static bool ak_is_registered(const struct evidence_envelope *envelope, const struct appraise_question *question)
{
    for (size_t i = 0; i < question->n_trusted_aks; i++) {
        if (bytes_equal(buffer_bytes(&envelope->ak_public), question->trusted_aks[i]))
            return true;
    }
    return false;
}

/* All that the parts of one envelope are judged with. */
struct judging {
    struct envelope_question q;
    struct snp_policy        snp_policy;
    const struct snp_crl    *crls[CRLS_MAX + 1]; /* the one that was fetched first */
    struct buffer            why;                /* what could not be fetched */
    uint8_t                  certificates[SHA256_LEN];
    bool                     chain_is_known;
    enum endorser            endorser;
};

static void auto_judging(struct judging *j) { buffer_free(&j->why); }

/* The operator's lists, and before them the one that was fetched for this kind of chip. */
static void crls_prepare(struct appraiser *a, const struct evidence_envelope *envelope, const struct appraise_question *question,
                         bool is_development, struct judging *j)
{
    const struct snp_crl *fetched = NULL;

    if (is_development)
        return;
    if (a->amd_lists && j->snp_policy.crl != CRL_OFF)
        fetched = amd_collateral_crl(a->amd_lists, &envelope->snp, question->now, question->wanted, &j->why);
    if (fetched)
        j->crls[j->q.snp.n_crls++] = fetched;
    for (size_t i = 0; i < a->n_crls; i++)
        j->crls[j->q.snp.n_crls++] = a->crls[i];
    j->q.snp.crls = j->crls;
}

/* Azure's evidence brings the chip's certificate alone: the root has one. */
static bool is_of_development_root(const struct appraiser *a, const struct evidence_envelope *envelope)
{
    return envelope->kind == ENVELOPE_SNP ? bytes_equal(buffer_bytes(&envelope->snp.ark), buffer_bytes(&a->root.ark))
                                          : bytes_equal(buffer_bytes(&envelope->snp.vek), buffer_bytes(&a->root.vcek));
}

static void snp_prepare(struct appraiser *a, struct evidence_envelope *envelope, const struct appraise_question *question,
                        struct judging *j)
{
    bool                      is_development = a->development && (!a->amd || is_of_development_root(a, envelope));
    const struct known_chain *known;

    if (envelope->kind == ENVELOPE_SNP)
        vek_add(a, &envelope->snp, question->now, is_development ? NULL : question->wanted, &j->why);
    certificates_digest(&envelope->snp, j->certificates);
    known             = chain_known(a, j->certificates);
    j->chain_is_known = known != NULL;
    j->snp_policy     = snp_policy_for(a, is_development);
    j->endorser       = is_development ? ENDORSED_BY_DEVELOPMENT_ROOT : ENDORSED_BY_VENDOR;
    j->q.snp.trust    = is_development ? a->development : a->amd;
    j->q.snp.chain    = known ? known->chain : NULL;
    j->q.snp.policy   = &j->snp_policy;
    crls_prepare(a, envelope, question, is_development, j);
}

static FALLIBLE tdx_prepare(struct appraiser *a, const struct evidence_envelope *envelope, const struct appraise_question *question,
                            struct judging *j, struct err *err)
{
    struct bytes quote          = buffer_bytes(&envelope->td_quote);
    bool         is_development = a->intel_development && (!a->intel || intel_collateral_is_root_of(a->intel_development, quote));

    if (!a->intel && !a->intel_development)
        return fail_with(err, ERR_UNTRUSTED, "no root of trust for TDX is configured");
    j->endorser     = is_development ? ENDORSED_BY_DEVELOPMENT_ROOT : ENDORSED_BY_VENDOR;
    j->q.tdx.policy = &a->tdx_policy;
    return intel_collateral_find(is_development ? a->intel_development : a->intel, quote, &j->q.tdx.collateral, &j->q.tdx.platform,
                                 question->now, question->wanted, err);
}

static FALLIBLE tpm_prepare(struct appraiser *a, const struct evidence_envelope *envelope,
                            const struct appraise_question *question, struct judging *j, struct err *err)
{
    if (!a->tpm)
        return fail_with(err, ERR_UNTRUSTED, "evidence of a TPM alone is not taken: tpm is not configured");
    j->q.tpm.trusted_aks   = question->trusted_aks;
    j->q.tpm.n_trusted_aks = question->n_trusted_aks;
    j->q.tpm.any_ak        = a->tpm_any_key;
    j->endorser            = ak_is_registered(envelope, question) ? ENDORSED_BY_OPERATOR : ENDORSED_BY_NOBODY;
    return true;
}

static FALLIBLE prepare(struct appraiser *a, struct evidence_envelope *envelope, const struct appraise_question *question,
                        struct judging *j, struct err *err)
{
    j->q.now        = question->now;
    j->q.tpm.policy = &a->tpm_policy;
    switch (envelope->kind) {
    case ENVELOPE_SNP:
    case ENVELOPE_AZ_SNP_VTPM:
        if (!a->amd && !a->development)
            return fail_with(err, ERR_UNTRUSTED, "no root of trust for SNP is configured");
        snp_prepare(a, envelope, question, j);
        return !question->wanted || question->wanted->n_documents == 0 || fail_with(err, ERR_NOT_FOUND, "SNP: collateral is being fetched");
    case ENVELOPE_TDX:
    case ENVELOPE_AZ_TDX_VTPM:
        return tdx_prepare(a, envelope, question, j, err);
    case ENVELOPE_TPM:
        return tpm_prepare(a, envelope, question, j, err);
    case N_ENVELOPE_KINDS:
        break;
    }
    return fail_with(err, ERR_BUG, "evidence of no kind");
}

static FALLIBLE envelope_appraise(struct appraiser *a, enum envelope_kind kind, const struct appraise_question *question,
                                  const uint8_t digest[static RCAR_DIGEST_LEN], struct facts *out, struct err *err)
{
    AUTO(evidence_envelope) struct evidence_envelope envelope = { 0 };
    AUTO(envelope_result) struct envelope_result     result   = { 0 };
    AUTO(judging) struct judging                     j = { .q = { .report_data = { digest, RCAR_DIGEST_LEN } } };

    if (!evidence_envelope_read(kind, question->attestation->evidence, &envelope, err) ||
        !prepare(a, &envelope, question, &j, err))
        return false;
    if (!envelope_verify(&envelope, &j.q, &result))
        return fail_with(err, ERR_UNTRUSTED, "%s: %s%s%.150s%s", reason_code(result.verdict.reason), result.verdict.detail,
                         j.why.len ? " (" : "", buffer_text(&j.why), j.why.len ? ")" : "");
    if (j.q.snp.trust && !j.chain_is_known)
        chain_keep(a, j.certificates, &result.snp.chain);
    facts_fill(&result, question->tee, j.endorser, out);
    if (initdata_check(question->attestation->initdata, &result, out, err))
        return true;
    facts_free(out);
    return false;
}

/* An object without devices says that there are none; any device is named, so that its guest can be told to leave it out. */
static FALLIBLE additional_check(const char *additional, struct err *err)
{
    AUTO(json) struct json_object *devices = NULL;
    AUTO(buffer) struct buffer     shown   = { 0 };

    if (additional[0] == 0)
        return true;
    if (!json_read(bytes_of_text(additional), KBS_ADDITIONAL_MAX, &devices, err))
        return context(err, "additional evidence");
    if (!json_object_is_type(devices, json_type_object))
        return fail_with(err, ERR_MALFORMED, "additional evidence is not an object of devices by their names");
    json_object_object_foreach(devices, name, ignored)
    {
        (void) ignored;
        printable_append(&shown, bytes_of_text(name), NAME_SHOWN);
        return fail_with(err, ERR_UNSUPPORTED, "additional evidence: this broker does not appraise devices, and here is one of %s", buffer_text(&shown));
    }
    return true;
}

FALLIBLE appraise(struct appraiser *appraiser, const struct appraise_question *question, struct facts *out,
                  struct err *err)
{
    const struct rcar_attestation *attestation = question->attestation;
    uint8_t                        digest[RCAR_DIGEST_LEN];
    enum envelope_kind             kind;

    if (!rcar_report_data(attestation->additional, attestation->nonce, &attestation->tee_key, digest, err))
        return false;
    if (!additional_check(attestation->additional, err))
        return false;
    if (question->tee == TEE_SAMPLE)
        return appraiser->sample ? sample_appraise(attestation, digest, out, err)
                                 : fail_with(err, ERR_UNTRUSTED, "evidence of TEE sample proves nothing and is not taken here: the guest found no TEE that it knows");
    if (!envelope_kind_by_name(tee_name(question->tee), &kind))
        return fail_with(err, ERR_UNSUPPORTED, "this broker does not appraise evidence of %s", tee_name(question->tee));
    return envelope_appraise(appraiser, kind, question, digest, out, err);
}

void appraiser_bring(struct appraiser *appraiser, struct outside_job *job, int64_t now) { fetched_bring(appraiser->fetched, job, now); }
