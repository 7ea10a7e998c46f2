/*
 * What an attestation policy makes of evidence that is genuine: an AR4SI trust vector and extensions for the token.
 * A policy is Rego of package `policy`, rules `trust_claims` and `extensions`, stored as ID_CLASS ("default_cpu"); a
 * broker starts with policy/broker/attestation_cpu.rego. [evidence-formats 7; draft-ietf-rats-ar4si 2.3]
 */
#pragma once

#include "base/json.h"
#include "keys/broker/policy_engine.h"
#include "keys/store/store.h"

#define APPRAISAL_POLICY_ID "default"

enum { POLICY_VERSION_MAX = 96 };

struct appraisal_request {
    struct store         *store;
    struct policy_engine *engine;
    const char           *id;        /* of the policy; NULL: APPRAISAL_POLICY_ID, which is built in until one is stored */
    const char           *tee_class; /* "cpu" */
    const char           *tee;       /* "snp" */
    struct bytes          measurement; /* as registered: see release.h */
    const char           *root;      /* who vouches: "vendor", "development", "nobody" */
    struct json_object   *evidence;  /* the input: claims by TEE, report_data, runtime_data_claims, init_data... */
    int64_t               now;
};

struct appraisal_result {
    struct json_object *vector;     /* name to number, in the order of AR4SI; owned */
    const char         *status;     /* "none", "affirming", "warning", "contraindicated" */
    struct json_object *extensions; /* name to value, to stand beside the vector; owned */
    char                policy[POLICY_VERSION_MAX]; /* "default_cpu#3" */
};

void appraisal_result_free(struct appraisal_result *result);
static inline void auto_appraisal_result(struct appraisal_result *r) { appraisal_result_free(r); }

/*
 * Evaluates the policy in force.
 *
 *   out    yours, AUTO(appraisal_result); written only on success
 *
 * Fails CONFIG when the policy does not compile, fails, or gives what is no trust vector: an unknown name, a number that
 * is no integer of 8 bits, no object at all. OS when the store cannot tell.
 */
FALLIBLE appraisal_policy_apply(const struct appraisal_request *request, struct appraisal_result *out, struct err *err);

/* Whether a policy ID_CLASS is stored. Fails OS. */
FALLIBLE appraisal_policy_is_stored(struct store *store, const char *id, const char *tee_class, int64_t now, bool *out, struct err *err);

/* Whether `text` compiles as an attestation policy. Fails MALFORMED with its place, LIMIT. */
FALLIBLE appraisal_policy_check(struct policy_engine *engine, struct bytes text, struct err *err);

/*
 * Reads what a policy gave; for the fuzz target, and as above.
 *
 *   trust_claims, extensions    JSON texts; extensions may be empty
 */
FALLIBLE appraisal_result_read(struct bytes trust_claims, struct bytes extensions, struct appraisal_result *out,
                               struct err *err);
