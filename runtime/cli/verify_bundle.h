/* A quote's collateral out of a bundle, for the commands that judge a quote offline. */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct verify_documents { /* where each goes; NULL: the caller has it */
    struct buffer *tcb_info, *qe_identity, *issuer_chain, *root_crl, *pck_crl;
};

/*
 * Reads the bundle at `path` and appends what it has for the quote's platform, in the forms that tdx_files wants.
 * Fails NOT_FOUND for the file, CONFIG for a document that is wanted and not in it, MALFORMED.
 */
FALLIBLE verify_bundle_load(const char *path, struct bytes quote, const struct verify_documents *into, struct err *err);
