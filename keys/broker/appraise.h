/*
 * From a client's evidence to proven facts: the one seam to attestation/verifier. It decides what is genuine, not what
 * may be released; see release.h.
 */
#pragma once

#include "base/json.h"
#include "keys/api/rcar.h"

/* Every TEE name that the protocol knows [KBS 3], and whether this broker appraises it. Numbers go into nonces. */
#define TEES(X)                                                                                                     \
    X(SNP, "snp", true)            X(TDX, "tdx", true)               X(AZ_SNP_VTPM, "az-snp-vtpm", true)            \
    X(AZ_TDX_VTPM, "az-tdx-vtpm", true) X(TPM, "tpm", true)          X(SGX, "sgx", false)                           \
    X(CCA, "cca", false)           X(CSV, "csv", false)              X(SE, "se", false)                             \
    X(HYGONDCU, "hygondcu", false) X(NVIDIA, "nvidia", false)        X(NVIDIA_DPU, "nvidia-dpu", false)             \
    X(SAMPLE, "sample", true)      X(SAMPLEDEVICE, "sampledevice", false)

#define TEE_ENUM(name, text, appraised) TEE_##name,
enum tee { TEES(TEE_ENUM) N_TEES };
#undef TEE_ENUM

const char *tee_name(enum tee tee);
/* Fails MALFORMED for a name that the protocol does not know, UNSUPPORTED for one that is not appraised here. */
FALLIBLE tee_by_name(const char *name, enum tee *out, struct err *err);

struct collateral_sources;
struct outside_job;

/* Nothing is trusted that is not named here. Borrowed for the call. */
struct appraiser_options {
    bool                 amd;                /* trust AMD's own roots */
    const char          *development_folder; /* of a development root to trust; NULL: none */
    struct bytes        *crls;               /* DER, of AMD's roots */
    size_t               n_crls;
    struct bytes        *vleks;              /* DER or PEM: VLEK certificates, for evidence that brings none */
    size_t               n_vleks;
    bool                 crl_required;       /* refuse AMD evidence without a fresh list */
    struct bytes         snp_policy;         /* JSON over snp_policy_strict; empty: that one */
    struct bytes         tdx_root;           /* Intel's, DER or PEM: any other is refused; empty: it is not trusted */
    struct bytes         tdx_development_root; /* of evidence made for tests; empty: none is trusted */
    struct bytes         tdx_policy;         /* JSON over tdx_policy_default; empty: that one */
    struct bytes         bundle;             /* JSON: collateral for TDX, VCEKs for SNP; empty: none */
    struct bytes         tpm_policy;         /* JSON over the strict default */
    bool                 tpm;                /* take evidence of a TPM under a key that is registered */
    bool                 tpm_any_key;        /* … under any key, which proves nothing: for tests */
    bool                 sample;             /* take evidence of TEE "sample", which anyone can make up */
    struct collateral_sources *sources;      /* NULL: no collateral is fetched; counted by the appraiser */
};

struct appraiser;

/* Fails CONFIG, or as the roots do. */
FALLIBLE appraiser_new(const struct appraiser_options *options, struct appraiser **out, struct err *err);
void     appraiser_free(struct appraiser *appraiser);
DEFINE_AUTO(appraiser, struct appraiser *, appraiser_free)

enum { FACTS_MEASUREMENT_MAX = 48, FACTS_FIELD_MAX = 48 };

/* Who vouches for the evidence. */
enum endorser { ENDORSED_BY_VENDOR, ENDORSED_BY_OPERATOR, ENDORSED_BY_DEVELOPMENT_ROOT, ENDORSED_BY_NOBODY };
const char *endorser_name(enum endorser endorser); /* "vendor", "operator", "development", "nobody" */

/* What holds of the guest, each from signed bytes; TEE "sample" signs nothing. */
struct facts {
    enum tee            tee;
    enum endorser       endorser;
    uint8_t             measurement[FACTS_MEASUREMENT_MAX];
    size_t              measurement_len; /* 0: none of its own */
    uint8_t             initdata[FACTS_FIELD_MAX]; /* the field that holds its digest */
    size_t              initdata_len;
    struct json_object *claims;          /* of this TEE, as Trustee names them [evidence-formats 2.4]; owned */
    struct json_object *initdata_claims; /* of the initdata that came along; NULL when none; owned */
    char                report_data[129]; /* hex; base64 for sample */
};

void facts_free(struct facts *facts);
static inline void auto_facts(struct facts *facts) { facts_free(facts); }

/*
 * Appraises at `now`.
 *
 *   appraiser      keeps the chains that it verified, for the next report of the same chip
 *   attestation    what the client sent; its nonce has been checked
 *   trusted_aks    of TPMs: SubjectPublicKeyInfo, DER, of keys that the operator registered
 *   out            yours, AUTO(facts); written only on success
 *
 * Fails NOT_FOUND when `wanted` has something to be fetched first; MALFORMED, UNSUPPORTED; UNTRUSTED with the verifier's reason: chain, signature, debug policy, report data
 * that is not of this nonce and key, initdata whose digest is not in the evidence.
 */
struct appraise_question {
    enum tee                       tee;
    const struct rcar_attestation *attestation;
    const struct bytes            *trusted_aks;
    size_t                         n_trusted_aks;
    int64_t                        now;
    struct outside_job            *wanted; /* gets the collateral that should be fetched first; NULL: none */
};

FALLIBLE appraise(struct appraiser *appraiser, const struct appraise_question *question, struct facts *out,
                  struct err *err);

/* Keeps what was fetched, for this and later evidence. */
void appraiser_bring(struct appraiser *appraiser, struct outside_job *job, int64_t now);
