/*
 * Verifies a vendor's ID block and what it has to do with a report. A relying party that trusts one ID key (or one
 * author key) can accept every guest that the vendor signed, by key and GUEST_SVN, without a list of measurements.
 * [SNP-ABI 8.18; snp.md 7]
 */
#pragma once

#include "attestation/evidence/snp_id_block.h"
#include "attestation/verifier/verdict.h"

struct snp_id_facts {
    struct snp_id_block block;
    struct snp_id_auth  auth;
    uint8_t             id_key_digest[SNP_KEY_DIGEST_LEN];     /* SHA-384 of the key's 1028 bytes */
    uint8_t             author_key_digest[SNP_KEY_DIGEST_LEN]; /* zero without an author key */
};

/* Parses both and checks their signatures. `out` borrows from the bytes; failures go to `a`. */
FALLIBLE snp_id_block_verify(struct bytes block, struct bytes auth, struct snp_id_facts *out, struct appraisal *a);

/* Whether an authentic `report` is of a guest that was launched with this block. */
FALLIBLE snp_id_block_matches(const struct snp_id_facts *facts, const struct snp_report *report, struct appraisal *a);
