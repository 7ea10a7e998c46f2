/*
 * Appraises a whole evidence envelope: each part by the appraiser of its TEE, and what ties the parts to each other,
 * to the expected report data and to the initdata. Pure, as those are. [evidence-formats.md 2 to 5, 9]
 */
#pragma once

#include "attestation/evidence/evidence_envelope.h"
#include "attestation/verifier/snp.h"
#include "attestation/verifier/tdx.h"
#include "attestation/verifier/tpm.h"
#include "base/json.h"

enum { ENVELOPE_REPORT_DATA_LEN = 64 };

/*
 * What an envelope is judged with; borrowed for the call. A kind whose part is not filled in is refused: nothing is
 * trusted unless it was configured.
 */
struct envelope_question {
    struct bytes                   report_data;   /* expected, at most 64 bytes; wider fields have zeros behind it */
    bool                           has_init_data;
    struct bytes                   init_data;     /* digest of the initdata that must be bound */
    int64_t                        now;           /* seconds since 1970, UTC */
    const struct verdict_listener *listener;      /* or NULL */
    struct {
        const struct snp_trust       *trust;
        const struct snp_chain       *chain; /* of this VEK, verified before under the same trust; or NULL */
        const struct snp_crl *const  *crls;
        size_t                        n_crls;
        const struct snp_policy      *policy; /* its report_data is ignored; its host_data too, with has_init_data */
    } snp;         /* snp, az-snp-vtpm */
    struct {
        const struct tdx_collateral *collateral;
        struct tdx_platform        **platform; /* as tdx_verify_cached has it */
        const struct tdx_policy     *policy;
    } tdx;         /* tdx, az-tdx-vtpm */
    struct {
        const struct tpm_policy *policy;
        const struct bytes      *trusted_aks; /* tpm: SubjectPublicKeyInfo, DER, of keys known to be restricted ones */
        size_t                   n_trusted_aks;
        bool                     any_ak;      /* tpm: take a key that nothing vouches for; its holder can forge all */
    } tpm;         /* az-*, tpm */
};

/* What a verification leaves behind; borrows from envelope and question. Release with AUTO(envelope_result). */
struct envelope_result {
    struct verdict     verdict;
    enum envelope_kind kind;
    struct snp_result  snp; /* its chain is worth keeping, as snp.h says */
    struct tdx_result  tdx;
    struct tpm_result  tpm;
    struct tpm_key     ak;
    struct bytes       ak_public; /* tpm: as it came */
};

void envelope_result_free(struct envelope_result *result);
static inline void auto_envelope_result(struct envelope_result *result) { envelope_result_free(result); }

/* Returns out->verdict.accepted. `out` is always written. */
bool envelope_verify(const struct evidence_envelope *envelope, const struct envelope_question *q,
                     struct envelope_result *out);

/*
 * The claims of an accepted envelope under the names of CoCo's policies, report_data and init_data among them; of
 * Azure's, with the vTPM's as `tpm`. NULL when it was refused. The caller releases it.
 */
struct json_object *envelope_claims(const struct envelope_result *result);

/* The field that an accepted envelope binds initdata in: HOST_DATA, MRCONFIGID, or PCR 8; empty when it has none. */
struct bytes envelope_init_data(const struct envelope_result *result);
/* Whether that field holds `digest`, by the rule of its kind. [evidence-formats.md 9] */
bool envelope_binds_init_data(const struct envelope_result *result, struct bytes digest);

