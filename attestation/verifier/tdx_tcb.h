/* How good a TD's platform, TDX module and quoting enclave are, by Intel's levels. [TDX-DCAP 4.1.2.3; tdx.md 2.7] */
#pragma once

#include "attestation/verifier/qe_identity.h"

struct tdx_tcb {
    enum tcb_status    platform, module, qe; /* of the launch; module is UpToDate where its version has no identity */
    bool               has_module;
    struct tcb_outcome launch;  /* converged */
    bool               has_current;
    struct tcb_outcome current; /* of the module that runs now (body 1.5) */
    enum tcb_status    status;  /* the answer */
};

struct tdx_svns {
    struct bytes launch;  /* TEE_TCB_SVN */
    struct bytes current; /* TEE_TCB_SVN2; empty in a body 1.0 */
    uint16_t     qe;      /* ISVSVN of the QE report */
};

/* The identity of the TDX module that TEE_TCB_SVN names, or the nameless one; NULL when TCB info has none. */
const struct tdx_module *tdx_module_find(const struct tcb_info *info, struct bytes tee_tcb_svn);

/*
 * Converges the levels that apply.
 *
 *   svn     the quote's SVNs
 *
 * Fails UNTRUSTED when no level fits.
 */
FALLIBLE tdx_tcb_evaluate(const struct tcb_info *info, const struct qe_identity *qe, const struct pck_extension *pck,
                          const struct tdx_svns *svn, struct tdx_tcb *out, struct err *err);
