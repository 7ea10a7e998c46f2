/*
 * Intel's collateral by platform: taken from an offline bundle, verified once under the configured root, kept for the next
 * quote of the same kind of platform. Validity is judged anew for every quote.
 */
#pragma once

#include "attestation/collateral/bundle.h"
#include "attestation/verifier/tdx.h"

struct intel_collateral;

/*
 *   root_ca    DER or PEM: the trust root; copied
 *   bundle     NULL: there is none, and every quote is refused; outlives the result
 */
struct intel_collateral *intel_collateral_new(struct bytes root_ca, const struct bundle *bundle);
void                     intel_collateral_free(struct intel_collateral *c);
DEFINE_AUTO(intel_collateral, struct intel_collateral *, intel_collateral_free)

/* Whether the root is Intel's own: else it is a development root, whatever it is called. */
bool intel_collateral_is_intels(const struct intel_collateral *c);

/*
 * What this quote is to be judged by. Both belong to `c`; the platform is in and out, as tdx_verify_cached has it.
 *
 * Fails MALFORMED for a quote that does not say its platform; UNTRUSTED when the bundle has nothing for it, or what it
 * has does not hold.
 */
FALLIBLE intel_collateral_find(struct intel_collateral *c, struct bytes quote, const struct tdx_collateral **collateral,
                               struct tdx_platform ***platform, struct err *err);
