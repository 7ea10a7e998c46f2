/*
 * The receipt of a job: what a guest says of a container that has ended, so that it can be checked later, offline, by
 * who has the TEE's roots and no trust in the host. The guest signs it with a key of its own; evidence of the guest is
 * about that key.
 *
 *   {"statement":BASE64,"signature":BASE64,"key":JWK,"tee":"snp","evidence":{…}}
 *
 * statement   JSON: version, image (its manifest's digest), exit_code, stdout and stderr ({"sha256","bytes"}), nonce,
 *             initdata and policy (digests, hex); the initdata's digest stands in the evidence too, as the owner's policy
 *             with argv and environment is in the initdata; volumes, when the container could write any: for each by name
 *             {"sha256","entries","bytes"} of what was in it then, see tree_digest.h
 * signature   ECDSA over SHA-256 of the statement's bytes, DER
 * evidence    of the TEE, as the key protocol has it; its report data are SHA-384(RECEIPT_ROLE, a zero byte, the key as
 *             canonical JSON) and zeros
 */
#pragma once

#include "base/json.h"
#include "base/ossl.h"

#define RECEIPT_ROLE    "cloister job receipt"
#define RECEIPT_VERSION "cloister-receipt-1"
#define RECEIPT_LINE    "cloister-receipt " /* in front of one in a log */

enum { RECEIPT_LEN_MAX = 1 << 20, RECEIPT_NONCE_MAX = 64, RECEIPT_REPORT_DATA_LEN = 64 };

struct receipt {
    struct json_object *statement, *evidence; /* owned */
    char                tee[8];
    uint8_t             report_data[RECEIPT_REPORT_DATA_LEN]; /* that the evidence must answer to */
};
void receipt_free(struct receipt *receipt);
static inline void auto_receipt(struct receipt *receipt) { receipt_free(receipt); }

/* The public part of a P-256 key, as canonical JSON. */
FALLIBLE receipt_key_text(EVP_PKEY *key, struct buffer *out, struct err *err);

/* A receipt as it is, or behind the last RECEIPT_LINE of a log; an empty view where there is none. Borrows. */
struct bytes receipt_find(struct bytes text);

void     receipt_report_data(struct bytes key_text, uint8_t out[static RECEIPT_REPORT_DATA_LEN]);

FALLIBLE receipt_write(struct bytes statement, EVP_PKEY *key, const char *tee, struct bytes evidence, struct buffer *out,
                       struct err *err);

/*
 * Reads a receipt and checks its signature by the key in it. What remains: that the evidence is good, and that it
 * answers to `report_data` and to the statement's initdata.
 *
 *   out    yours, AUTO(receipt); written only on success
 *
 * Fails MALFORMED, LIMIT, UNSUPPORTED for another version or kind of key; UNTRUSTED when the signature does not hold.
 */
FALLIBLE receipt_read(struct bytes text, struct receipt *out, struct err *err);
