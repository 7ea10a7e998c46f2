/*
 * Intel's collateral by platform: taken from an offline bundle, or fetched; verified once under the configured root, kept for
 * the next quote of the same kind of platform. Validity is judged anew for every quote.
 */
#pragma once

#include "attestation/collateral/bundle.h"
#include "attestation/verifier/tdx.h"
#include "keys/broker/fetched.h"

struct intel_collateral;

/*
 *   root_ca    DER or PEM: the trust root; copied
 *   bundle     NULL: there is none
 *   fetched    what is not in the bundle; both outlive the result
 */
struct intel_collateral *intel_collateral_new(struct bytes root_ca, const struct bundle *bundle, struct fetched *fetched);
void                     intel_collateral_free(struct intel_collateral *c);
DEFINE_AUTO(intel_collateral, struct intel_collateral *, intel_collateral_free)

/* SHA-256 of the certificate "Intel SGX Root CA", DER. [tdx.md 2.1] */
#define INTEL_ROOT_SHA256 "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"

/* Whether this certificate, DER or PEM, is Intel's own: any other is a root of tests, whatever it is called. */
bool intel_root_is_intels(struct bytes root_ca);

/* Whether the quote's own chain ends in this root: a hint by which root to judge, never a fact. */
bool intel_collateral_is_root_of(const struct intel_collateral *c, struct bytes quote);

/*
 * What this quote is to be judged by. Both belong to `c`; the platform is in and out, as tdx_verify_cached has it.
 *
 *   wanted    gets what should be fetched first, and then this fails NOT_FOUND; NULL: no more
 *
 * Fails MALFORMED for a quote that does not say its platform; UNTRUSTED when there is nothing for it, or what there is does
 * not hold.
 */
FALLIBLE intel_collateral_find(struct intel_collateral *c, struct bytes quote, const struct tdx_collateral **collateral,
                               struct tdx_platform ***platform, int64_t now, struct outside_job *wanted, struct err *err);
