/*
 * ID block and ID authentication: what a vendor signs about a guest before launch. The firmware refuses a launch
 * that does not match, and puts the keys' digests into every report. [SNP-ABI 8.18, tables ID_BLOCK, ID_AUTH_INFO]
 */
#pragma once

#include "attestation/evidence/snp_report.h"

enum {
    SNP_ID_BLOCK_LEN = 96, SNP_ID_AUTH_LEN = 4096, SNP_ID_KEY_LEN = 1028, SNP_ID_SIGNATURE_LEN = 512
};

/* Views into the 96 bytes. */
struct snp_id_block {
    struct bytes raw;
    struct bytes launch_digest; /* 48 bytes */
    struct bytes family_id, image_id;
    uint32_t     guest_svn;
    uint64_t     policy;
};

/* An ECDSA P-384 key as the firmware has it: little-endian, zero-padded. */
struct snp_id_key {
    struct bytes raw; /* all 1028 bytes: the digests in a report are of these */
    struct bytes x, y; /* 72 bytes each */
};

struct snp_id_signature { struct bytes r, s; }; /* 72 bytes each, little-endian */

struct snp_id_auth {
    struct snp_id_signature block_signature; /* by id_key over the block */
    struct snp_id_key       id_key;
    bool                    has_author;
    struct snp_id_signature key_signature;   /* by author_key over id_key.raw */
    struct snp_id_key       author_key;
};

/* Both borrow from `raw`, write `out` only on success, and fail MALFORMED or UNSUPPORTED with "ID block: ...". */
FALLIBLE snp_id_block_parse(struct bytes raw, struct snp_id_block *out, struct err *err);
FALLIBLE snp_id_auth_parse(struct bytes raw, struct snp_id_auth *out, struct err *err);
