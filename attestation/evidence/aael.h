/*
 * Events of a guest that runs, in the form in which CoCo's attestation agent logs them (AAEL): records that continue a
 * TCG crypto-agile log, each a line "DOMAIN OPERATION CONTENT" whose digest extends a register. [cdh-aa.md 9]
 */
#pragma once

#include "attestation/evidence/tpm_hash.h"

enum {
    AAEL_TAG           = 0x4141454c,
    AAEL_DOMAIN_MAX    = 128, /* bytes, as all here */
    AAEL_OPERATION_MAX = 64,
    AAEL_CONTENT_MAX   = 4096,
};

struct aael_event {
    const char *domain, *operation; /* no white space, not empty */
    const char *content;            /* one line of UTF-8 */
};

/* Fails MALFORMED, LIMIT. */
FALLIBLE aael_check(const struct aael_event *event, struct err *err);

/*
 * Appends the record of an event.
 *
 *   index     of the register, as the log counts: 4 is RTMR3 in a CCEL; a PCR in a TPM's log
 *   digest    what the register is extended by: hash->len bytes
 *
 * Fails as aael_check, and then appends nothing.
 */
FALLIBLE aael_append(const struct aael_event *event, uint32_t index, const struct tpm_hash *hash, struct buffer *log,
                     uint8_t digest[static TPM_HASH_LEN_MAX], struct err *err);

/*
 * Appends what evidence of a TDX guest carries as "cc_eventlog": the firmware's log without its filling, or CoCo's
 * header where there is none, then our records and the mark of the end. [evidence-formats.md 3.1]
 */
void aael_continue_ccel(struct bytes firmware, struct bytes records, struct buffer *out);
