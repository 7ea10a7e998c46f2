/*
 * From a VCEK or VLEK up to a trust root, in AMD's exact profile. There is no path building: the chain has three
 * certificates, and each has one form. [KDS 57230 2 and 3; snp.md 2.1, 2.2, 3 B and C]
 */
#pragma once

#include "attestation/evidence/snp_certificates.h"
#include "attestation/verifier/snp_certificate.h"
#include "attestation/verifier/verdict.h"

enum { SNP_ROOTS_MAX = 16 };

/*
 * A root that the relying party trusts, and the product that it stands for. A development root has the same form
 * as AMD's: ARK RSA-4096 self-signed with RSA-PSS SHA-384, keyCertSign and cRLSign, CA; below it "SEV-<Product>" or
 * "SEV-VLEK-<Product>", CA with path length 0, and the "SEV-VCEK" or "SEV-VLEK" with AMD's extensions.
 */
struct snp_root {
    const char      *name; /* for the verdict: "amd", "development"; outlives the trust */
    enum snp_product product;
    struct bytes     ark;       /* DER or PEM */
    struct bytes     ask, asvk; /* of this root, for evidence that brings none; may be empty */
};

struct snp_trust; /* parsed roots */
struct snp_chain; /* a verified chain */

/* The three AMD roots, Milan, Genoa and Turin, with their intermediates: compiled in. */
const struct snp_root *snp_amd_roots(size_t *n);

/*
 * Parses and checks roots, their self-signatures included.
 *
 *   out    yours, release with AUTO(snp_trust); outlives every chain and list made with it
 *
 * Fails UNTRUSTED or MALFORMED with the root's name; `why`, when not NULL, gets the reason.
 */
FALLIBLE snp_trust_new(const struct snp_root *roots, size_t n, struct snp_trust **out, enum verdict_reason *why,
                       struct err *err);
void snp_trust_free(struct snp_trust *trust);
DEFINE_AUTO(snp_trust, struct snp_trust *, snp_trust_free)

/* The product a root certificate's subject "ARK-<Product>" names; SNP_PRODUCT_UNKNOWN when none. */
enum snp_product snp_root_product(struct bytes ark);

/*
 * Verifies VEK, intermediate and root: everything but validity in time and revocation, which are judged per
 * report. Failures go to `a`.
 *
 *   vek      DER or PEM
 *   given    its `ask`, `asvk`, `ark` are used; an `ark` must be a root byte for byte
 *   out      yours, release with AUTO(snp_chain)
 */
FALLIBLE snp_chain_new(const struct snp_trust *trust, struct bytes vek, const struct snp_certificates *given,
                       struct snp_chain **out, struct appraisal *a);
void snp_chain_free(struct snp_chain *chain);
DEFINE_AUTO(snp_chain, struct snp_chain *, snp_chain_free)

/* Judges the validity of the three certificates at `now`. [RFC 5280 4.1.2.5] */
FALLIBLE snp_chain_valid_at(const struct snp_chain *chain, int64_t now, int64_t not_before_skew_s, struct appraisal *a);

/* What the chain certifies; borrowed from it. */
const struct snp_certificate *snp_chain_vek(const struct snp_chain *chain);
const struct snp_certificate *snp_chain_intermediate(const struct snp_chain *chain);
const struct snp_certificate *snp_chain_root(const struct snp_chain *chain);
const char      *snp_chain_root_name(const struct snp_chain *chain);
enum snp_product snp_chain_product(const struct snp_chain *chain);
bool             snp_chain_is_vlek(const struct snp_chain *chain);

EVP_PKEY *snp_chain_key(const struct snp_chain *chain); /* the VEK's; borrowed */

/* For lists: the root among `trust` whose subject is `issuer`, tried with `signed_by`; see snp_crl.c. */
bool snp_trust_find(const struct snp_trust *trust, struct bytes issuer,
                    bool (*signed_by)(const struct snp_certificate *root, EVP_PKEY *key, void *of), void *of,
                    const struct snp_certificate **root);
