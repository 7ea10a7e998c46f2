/* What a guest shows about itself: one small interface, one source of evidence behind it per TEE and transport. */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"

enum { REPORT_DATA_LEN = 64, BOUND_DIGEST_LEN = 32 };

/*
 * Evidence as the device gave it; nothing here has been verified. Members that a TEE does not have stay empty.
 */
struct attested {
    struct buffer report;       /* snp: the 1184-byte report; tdx: the quote; tpm: TPMS_ATTEST */
    struct buffer certificates; /* snp: the certificate table that the host gave [snp.md 2.5]; may be empty */
    struct buffer event_log;    /* tdx: CCEL; tpm: the firmware's log; may be empty */
    struct buffer signature;    /* tpm: TPMT_SIGNATURE over the report */
    struct buffer public_key;   /* tpm: TPMT_PUBLIC of the attestation key */
    struct buffer pcrs;         /* tpm: the 24 values of the SHA-256 bank, ascending */
};

void attested_free(struct attested *a);
static inline void auto_attested(struct attested *a) { attested_free(a); }

/* A register of the platform that only grows while the guest runs, and that evidence shows. */
struct runtime_register {
    const char *name;  /* "rtmr3", "pcr15"; NULL: there is none */
    uint32_t    index; /* as event logs count it */
    uint16_t    hash;  /* number of its algorithm [tpm_hash.h] */
};

/*
 * A source of evidence. Implementations embed it as their first member and hand out a pointer to it.
 *
 *   tee         "snp", "tdx" or "tpm": the name that the evidence's envelope carries [evidence-formats.md 0]
 *   evidence    fills `out`, which is empty before and stays empty on failure, with evidence over the 64 bytes
 *   bind        makes a digest part of all evidence to come, for as long as the guest runs; NULL where the launch
 *               bound one already (HOST_DATA, MRCONFIGID)
 *   extend      of `runtime`, by a digest of its algorithm; NULL where that has no name
 *   close       releases the source and all it holds
 */
struct attester {
    const char *tee;
    FALLIBLE  (*evidence)(struct attester *self, const uint8_t report_data[static REPORT_DATA_LEN],
                          struct attested *out, struct err *err);
    void      (*close)(struct attester *self);
    FALLIBLE  (*bind)(struct attester *self, const uint8_t digest[static BOUND_DIGEST_LEN], struct err *err);
    FALLIBLE  (*extend)(struct attester *self, struct bytes digest, struct err *err);
    struct runtime_register runtime;
};

void attester_close(struct attester *a); /* NULL is fine */
DEFINE_AUTO(attester, struct attester *, attester_close)

/* Pads a shorter value with zeros behind it, as CoCo does. Fails LIMIT for more than 64 bytes. */
FALLIBLE report_data_pad(struct bytes value, uint8_t out[static REPORT_DATA_LEN], struct err *err);
