/* Endorsement key certificates: which manufacturer says that a key is inside one of its TPMs. [TCG-EK 3.2; tpm.md 5] */
#pragma once

#include "attestation/verifier/tpm_key.h"
#include "attestation/verifier/verdict.h"

enum { EK_CERTIFICATES_LEN_MAX = 256 * 1024 };

struct ek_question {
    struct bytes             certificate;   /* DER, as NV index 0x01c00002 and its like hold it */
    struct bytes             intermediates; /* PEM, sent by whoever; may be empty */
    struct bytes             roots;         /* PEM, trusted by the caller */
    const struct tpm_public *ek;
    int64_t                  now;
};

/*
 * Checks chain, use and key; every check is told to `a`. Returns whether all held. A chain to a vTPM's local
 * authority proves a software TPM, and nothing about who runs it.
 */
bool ek_certificate_check(const struct ek_question *q, struct appraisal *a);
