/* AMD's revocation lists: issued by the ARK, they can name ASK and ASVK. [RFC 5280 5; snp.md 2.4] */
#pragma once

#include "attestation/verifier/snp_chain.h"

enum { SNP_CRL_LEN_MAX = 1 << 20 };

struct snp_crl;

/*
 * Parses a list and verifies it with the root of `trust` that issued it. Failures go to `a`.
 *
 *   list    DER or PEM; copied
 *   out     yours, release with AUTO(snp_crl); `trust` outlives it
 */
FALLIBLE snp_crl_new(const struct snp_trust *trust, struct bytes list, struct snp_crl **out, struct appraisal *a);
void snp_crl_free(struct snp_crl *crl);
DEFINE_AUTO(snp_crl, struct snp_crl *, snp_crl_free)

bool snp_crl_is_of(const struct snp_crl *crl, const struct snp_chain *chain); /* the same root issued it */

uint64_t snp_crl_number(const struct snp_crl *crl);
int64_t  snp_crl_this_update(const struct snp_crl *crl);
int64_t  snp_crl_next_update(const struct snp_crl *crl);
bool     snp_crl_lists(const struct snp_crl *crl, struct bytes serial); /* whole serial, as the INTEGER's content */
