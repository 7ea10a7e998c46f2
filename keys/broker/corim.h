/*
 * Reference values from a CoRIM: the reference triples of its CoMIDs, signed (COSE_Sign1) or not.
 * [draft-ietf-rats-corim 4, 5; RFC 9052 4.2]
 */
#pragma once

#include "base/json.h"
#include "base/ossl.h"

enum { CORIM_LEN_MAX = 1 << 20, CORIM_VALUES_MAX = 4096 };

struct corim {
    struct json_object *values;  /* name to list of hex digests; owned */
    int64_t             expires; /* rim-validity's not-after; 0: none */
};

void corim_free(struct corim *corim);
static inline void auto_corim(struct corim *corim) { corim_free(corim); }

/*
 * Reads an unsigned CoRIM (tag 501). An integrity register is named as attestation policies name it, where the
 * environment is AMD's SEV-SNP or Intel's TDX; a digest by the key of its measurement.
 *
 *   out    yours, AUTO(corim); written only on success
 *
 * Fails MALFORMED, LIMIT, UNSUPPORTED; UNTRUSTED when it is not yet or no longer valid at `now`.
 */
FALLIBLE corim_read(struct bytes text, int64_t now, struct corim *out, struct err *err);

/* Whether these bytes are a COSE_Sign1 (tag 18), not what is in it. */
bool corim_is_signed(struct bytes text);

/*
 * Verifies a COSE_Sign1, ES256 or EdDSA, and appends its payload, a CoRIM.
 *
 *   keys    any of them may have signed
 *   which   index of the one that did
 *
 * Fails MALFORMED, UNSUPPORTED, UNTRUSTED.
 */
FALLIBLE corim_open_signed(struct bytes text, EVP_PKEY *const *keys, size_t n_keys, struct buffer *payload, size_t *which,
                           struct err *err);
