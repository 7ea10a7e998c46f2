/*
 * Collateral for a machine without a network: one JSON file of answers, made with bundle_write where there is one.
 * {"cloister_collateral":1,"answers":[{"url":…,"fetched":…,"expires":…,"issuer_chain":base64,"body":base64},…]}
 */
#pragma once

#include "attestation/collateral/answer.h"

enum { BUNDLE_LEN_MAX = 64 << 20, BUNDLE_ANSWERS_MAX = 4096, BUNDLE_FORMAT = 1 };

struct bundle;

/* `out` is yours, release with AUTO(bundle). Fails MALFORMED, UNSUPPORTED for another format number, LIMIT. */
FALLIBLE bundle_read(struct bytes text, struct bundle **out, struct err *err);
void     bundle_free(struct bundle *bundle);
DEFINE_AUTO(bundle, struct bundle *, bundle_free)

/* The answer to exactly this URL, borrowed; NULL when the bundle has none. */
const struct answer *bundle_find(const struct bundle *bundle, const char *url);

/* Appends the text of a bundle of these answers. */
void bundle_write(const struct answer *answers, size_t n, struct buffer *out);
