/*
 * Intel's collateral, verified once and used for many quotes: everything that does not depend on the quote, and
 * the PCK chain of one platform. Neither holds a time: validity is judged again for every quote. [tdx.md 2.1, 2.2]
 */
#pragma once

#include "attestation/verifier/intel_certificate.h"
#include "attestation/verifier/pck.h"
#include "attestation/verifier/pem.h"
#include "attestation/verifier/qe_identity.h"
#include "attestation/verifier/verdict.h"

struct tdx_files {
    struct bytes tcb_info, qe_identity; /* the responses of Intel's service, signature included */
    struct bytes issuer_chain;          /* PEM: TCB signer, root */
    struct bytes root_ca;               /* DER or PEM: the trust root, given by the caller, never by a peer */
    struct bytes root_crl, pck_crl;     /* DER */
};

struct tdx_collateral {
    struct buffer            root_der, root_crl_der, pck_crl_der; /* copies that the views below borrow from */
    struct pem_certificates  signer_der;
    struct intel_certificate root, signer;
    struct intel_crl         root_crl, pck_crl; /* pck_crl's signature waits for the platform's CA */
    EVP_PKEY                *root_key;
    struct tcb_info          tcb_info;
    struct qe_identity       qe_identity;
};

/* A platform's PCK chain under that collateral. */
struct tdx_platform {
    struct buffer            text; /* the PEM that it was read from */
    struct pem_certificates  der;
    struct intel_certificate leaf, ca;
    EVP_PKEY                *leaf_key;
    struct pck_extension     pck;
};

/*
 * Reads and verifies; every check is told to `a`. NULL when one failed.
 *
 *   files, chain    borrowed for the call
 */
struct tdx_collateral *tdx_collateral_new(const struct tdx_files *files, struct appraisal *a);
void                   tdx_collateral_free(struct tdx_collateral *c);
struct tdx_platform   *tdx_platform_new(struct bytes chain, const struct tdx_collateral *c, struct appraisal *a);
void                   tdx_platform_free(struct tdx_platform *p);

DEFINE_AUTO(tdx_collateral, struct tdx_collateral *, tdx_collateral_free)
DEFINE_AUTO(tdx_platform, struct tdx_platform *, tdx_platform_free)

/*
 * For which platform collateral is to be asked for: FMSPC, and which authority's PCK list. Read from the quote's own
 * certificate, which nobody has checked yet: a hint for fetching, never a fact.
 */
FALLIBLE tdx_platform_hint(struct bytes quote, uint8_t fmspc[static PCK_FMSPC_LEN], bool *is_platform_ca, struct err *err);

/* Whether documents, lists and certificates are all valid at `now`. */
bool tdx_validity_check(const struct tdx_collateral *c, const struct tdx_platform *p, int64_t now, struct appraisal *a);
