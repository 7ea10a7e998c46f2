#include "keys/broker/appraise.h"

#include <string.h>

#include "attestation/verifier/snp.h"
#include "base/text.h"
#include "base/toml.h"
#include "keys/api/development_root.h"
#include "keys/api/initdata.h"
#include "attestation/evidence/snp_evidence.h"

enum { CRLS_MAX = 16, CHAINS_MAX = 256 };

static const struct { const char *name; bool appraised; } TEE_ROWS[] = {
#define TEE_ROW(id, text, is_appraised) [TEE_##id] = { text, is_appraised },
    TEES(TEE_ROW)
#undef TEE_ROW
};

const char *tee_name(enum tee tee) { return TEE_ROWS[tee].name; }

static const char *const ENDORSERS[] = { [ENDORSED_BY_VENDOR] = "vendor", [ENDORSED_BY_DEVELOPMENT_ROOT] = "development",
                                         [ENDORSED_BY_NOBODY] = "nobody" };

const char *endorser_name(enum endorser endorser) { return ENDORSERS[endorser]; }

FALLIBLE tee_by_name(const char *name, enum tee *out, struct err *err)
{
    for (int i = 0; i < N_TEES; i++) {
        if (strcmp(TEE_ROWS[i].name, name) != 0)
            continue;
        if (!TEE_ROWS[i].appraised)
            return fail_with(err, ERR_UNSUPPORTED, "this broker does not appraise evidence of %s", TEE_ROWS[i].name);
        *out = (enum tee) i;
        return true;
    }
    return fail_with(err, ERR_MALFORMED, "tee is not a name that the protocol knows");
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
    snp_trust_free(appraiser->amd);
    snp_trust_free(appraiser->development);
    development_root_free(&appraiser->root);
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
    if (options->amd && !snp_trust_new(roots, n, &a->amd, NULL, err))
        return false;
    if (options->development_folder && !development_trust(a, options->development_folder, err))
        return false;
    if (!a->amd && !a->development && !a->sample)
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

/* aa.toml and cdh.toml become JSON where they parse, as Trustee has them. [evidence-formats 7.1] */
static void initdata_claims(const struct initdata *initdata, struct json_object **out)
{
    struct json_object *claims = json_object_new_object();

    json_object_object_foreach(initdata->entries, name, value)
    {
        AUTO(json) struct json_object *parsed = NULL;
        struct err                     ignored; /* text that is no TOML stays text */
        bool                           is_toml = strcmp(name, "aa.toml") == 0 || strcmp(name, "cdh.toml") == 0;

        if (is_toml && toml_read(bytes_of_text(json_object_get_string(value)), &parsed, &ignored))
            json_add(claims, name, TAKE(parsed));
        else
            json_add(claims, name, json_object_get(value));
    }
    *out = claims;
}

static FALLIBLE initdata_check(const char *text, struct facts *facts, struct err *err)
{
    AUTO(initdata) struct initdata initdata = { 0 };

    if (!text)
        return true;
    if (!initdata_read_bound(bytes_of_text(text), (struct bytes){ facts->initdata, facts->initdata_len }, &initdata, err))
        return false;
    initdata_claims(&initdata, &facts->initdata_claims);
    return true;
}

/* ---- snp ---- */

static struct json_object *snp_claims(const struct snp_report *r)
{
    struct json_object *c = json_object_new_object();
    const struct { const char *name; bool value; } flags[] = {
        { "policy_smt_allowed", r->policy & SNP_POLICY_SMT },
        { "policy_migrate_ma", r->policy & SNP_POLICY_MIGRATE_MA },
        { "policy_debug_allowed", r->policy & SNP_POLICY_DEBUG },
        { "policy_single_socket", r->policy & SNP_POLICY_SINGLE_SOCKET },
        { "platform_tsme_enabled", r->platform_info & SNP_PLATFORM_TSME },
        { "platform_smt_enabled", r->platform_info & SNP_PLATFORM_SMT },
    };
    const struct { const char *name; int value; } numbers[] = {
        { "policy_abi_major", SNP_POLICY_ABI_MAJOR(r->policy) },
        { "policy_abi_minor", SNP_POLICY_ABI_MINOR(r->policy) },
        { "reported_tcb_bootloader", r->reported_tcb.bootloader },
        { "reported_tcb_tee", r->reported_tcb.tee },
        { "reported_tcb_snp", r->reported_tcb.snp },
        { "reported_tcb_microcode", r->reported_tcb.microcode },
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_add(c, numbers[i].name, json_object_new_int(numbers[i].value));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        json_add(c, flags[i].name, json_object_new_boolean(flags[i].value));
    json_add_hex(c, "measurement", r->measurement);
    json_add_hex(c, "chip_id", r->chip_id);
    return c;
}

static void snp_facts(const struct snp_report *r, bool is_development, struct facts *out)
{
    AUTO(buffer) struct buffer hex = { 0 };

    *out = (struct facts){ .tee             = TEE_SNP,
                           .endorser        = is_development ? ENDORSED_BY_DEVELOPMENT_ROOT : ENDORSED_BY_VENDOR,
                           .measurement_len = r->measurement.len,
                           .initdata_len    = r->host_data.len };
    memcpy(out->measurement, r->measurement.at, r->measurement.len);
    memcpy(out->initdata, r->host_data.at, r->host_data.len);
    out->claims = snp_claims(r);
    for (size_t i = 0; i < r->report_data.len; i++)
        buffer_printf(&hex, "%02x", (unsigned) r->report_data.at[i]);
    memcpy(out->report_data, buffer_text(&hex), sizeof out->report_data);
}

/*
 * Strict in all that makes a guest genuine. Measurement and HOST_DATA are not compared here: which values are expected
 * depends on what is asked for.
 */
static struct snp_policy snp_policy_for(const struct appraiser *a, bool is_development, const struct bytes *report_data)
{
    struct snp_policy policy = snp_policy_strict();

    policy.measurement.kind = FIELD_ANY;
    policy.host_data.kind   = FIELD_ANY;
    policy.report_data      = (struct field_rule){ .kind = FIELD_LISTED, .at = report_data, .n = 1 };
    policy.crl              = is_development ? CRL_OFF : a->crl_required ? CRL_REQUIRED : CRL_WARNED;
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

/* Verifies with the chain known for these certificates, else from the bytes up, and keeps the chain then. */
static bool snp_verify_known(struct appraiser *a, const struct snp_evidence *evidence, const struct snp_request *request,
                             struct snp_result *result)
{
    struct known_chain *into;
    uint8_t             digest[SHA256_LEN];

    certificates_digest(evidence, digest);
    for (size_t i = 0; i < CHAINS_MAX; i++) {
        if (a->known[i].chain && memcmp(a->known[i].certificates, digest, sizeof digest) == 0)
            return snp_verify_with_chain(request, a->known[i].chain, result);
    }
    if (!snp_verify(request, result))
        return false;
    into = &a->known[a->n_known++ % CHAINS_MAX];
    snp_chain_free(into->chain);
    into->chain = TAKE(result->chain);
    memcpy(into->certificates, digest, sizeof digest);
    return true;
}

static FALLIBLE snp_appraise_evidence(struct appraiser *a, const struct rcar_attestation *attestation,
                                      const uint8_t report_data[static SNP_REPORT_DATA_LEN], int64_t now,
                                      struct facts *out, struct err *err)
{
    AUTO(snp_evidence) struct snp_evidence evidence = { 0 };
    AUTO(snp_result) struct snp_result     result   = { 0 };
    struct bytes                           expected = { report_data, SNP_REPORT_DATA_LEN };
    struct snp_certificates                certificates;
    struct snp_policy                      policy;
    bool                                   is_development;

    if (!snp_evidence_read(attestation->evidence, &evidence, err))
        return false;
    certificates = (struct snp_certificates){
        .vcek = evidence.is_vlek ? (struct bytes){ 0 } : buffer_bytes(&evidence.vek),
        .vlek = evidence.is_vlek ? buffer_bytes(&evidence.vek) : (struct bytes){ 0 },
        .ask  = buffer_bytes(&evidence.ask),
        .ark  = buffer_bytes(&evidence.ark),
    };
    if (!a->amd && !a->development)
        return fail_with(err, ERR_UNTRUSTED, "no root of trust for SNP is configured");
    is_development = a->development && (!a->amd || bytes_equal(buffer_bytes(&evidence.ark), buffer_bytes(&a->root.ark)));
    policy         = snp_policy_for(a, is_development, &expected);

    struct snp_request request = { .report       = BYTES_OF(evidence.report),
                                   .certificates = &certificates,
                                   .trust        = is_development ? a->development : a->amd,
                                   .crls         = (const struct snp_crl *const *) a->crls,
                                   .n_crls       = is_development ? 0 : a->n_crls,
                                   .policy       = &policy,
                                   .now          = now };
    if (!snp_verify_known(a, &evidence, &request, &result))
        return fail_with(err, ERR_UNTRUSTED, "%s: %s", reason_code(result.verdict.reason), result.verdict.detail);
    snp_facts(&result.report, is_development, out);
    return true;
}

/* ---- sample: a stand-in that proves nothing [evidence-formats 1] ---- */

static FALLIBLE sample_appraise_evidence(const struct rcar_attestation *attestation,
                                         const uint8_t digest[static RCAR_DIGEST_LEN], struct facts *out,
                                         struct err *err)
{
    static const char          LAUNCH_DIGEST[] = "abcde"; /* what Trustee's verifier always says */
    AUTO(buffer) struct buffer given           = { 0 };
    struct json_object        *claims, *version;
    const char                *svn, *report_data;

    if (!json_get_text(attestation->evidence, "svn", &svn, err) ||
        !json_get_text(attestation->evidence, "report_data", &report_data, err))
        return context(err, "sample evidence");
    if (strlen(report_data) > 2 * RCAR_DIGEST_LEN || !base64_read(bytes_of_text(report_data), BASE64_STANDARD, &given, err) ||
        !bytes_equal(buffer_bytes(&given), (struct bytes){ digest, RCAR_DIGEST_LEN }))
        return fail_with(err, ERR_UNTRUSTED, "sample evidence: REPORT_DATA is different");
    *out = (struct facts){ .tee = TEE_SAMPLE, .endorser = ENDORSED_BY_NOBODY, .measurement_len = sizeof LAUNCH_DIGEST - 1,
                           .initdata_len = SNP_HOST_DATA_LEN };
    memcpy(out->measurement, LAUNCH_DIGEST, sizeof LAUNCH_DIGEST - 1);
    (void) snprintf(out->report_data, sizeof out->report_data, "%s", report_data); /* 64 characters: fits */
    claims  = json_object_new_object();
    version = json_object_new_object();
    json_add_text(claims, "svn", svn);
    json_add_text(claims, "report_data", report_data);
    json_add_text(claims, "launch_digest", LAUNCH_DIGEST);
    json_add(version, "major", json_object_new_int(1));
    json_add(version, "minor", json_object_new_int(4));
    json_add(claims, "platform_version", version);
    json_add(claims, "debug", json_object_new_boolean(false));
    json_add_hex(claims, "measurement", (struct bytes){ out->measurement, out->measurement_len });
    out->claims = claims;
    return true;
}

/* Nothing binds its initdata: the digest of what was sent stands where a TEE's field would. */
static FALLIBLE sample_initdata(const char *text, struct facts *facts, struct err *err)
{
    AUTO(initdata) struct initdata initdata = { 0 };

    if (!text)
        return true;
    if (!initdata_read(bytes_of_text(text), &initdata, err))
        return false;
    initdata_fit(&initdata, facts->initdata, facts->initdata_len);
    return true;
}

FALLIBLE appraise(struct appraiser *appraiser, enum tee tee, const struct rcar_attestation *attestation,
                  int64_t now, struct facts *out, struct err *err)
{
    AUTO(facts) struct facts facts = { 0 };
    uint8_t                  report_data[SNP_REPORT_DATA_LEN] = { 0 }; /* the digest, then zeros [KBS 6.4] */

    if (!rcar_report_data(attestation->additional, attestation->nonce, &attestation->tee_key, report_data, err))
        return false;
    if (attestation->additional[0] != 0)
        return fail_with(err, ERR_UNSUPPORTED, "this broker does not appraise additional evidence");
    if (tee == TEE_SAMPLE && appraiser->sample) {
        if (!sample_appraise_evidence(attestation, report_data, &facts, err) ||
            !sample_initdata(attestation->initdata, &facts, err))
            return false;
    } else if (tee == TEE_SNP) {
        if (!snp_appraise_evidence(appraiser, attestation, report_data, now, &facts, err))
            return false;
    } else {
        return fail_with(err, ERR_UNSUPPORTED, "this broker does not appraise evidence of %s", tee_name(tee));
    }
    if (!initdata_check(attestation->initdata, &facts, err))
        return false;
    *out = TAKE(facts);
    return true;
}
