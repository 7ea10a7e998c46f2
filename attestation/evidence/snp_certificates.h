/*
 * The certificate table of an extended report: what the host sends along, every byte of it a hint that the
 * verifier checks. [GHCB 2.04 4.1.8.1; SNP-ABI 8.17.2.6]
 */
#pragma once

#include "base/bytes.h"

enum {
    SNP_TABLE_LEN_MAX     = 64 * 1024,
    SNP_TABLE_ENTRIES_MAX = 32,
    SNP_GUID_LEN          = 16
};

/* Views into whatever the caller holds, each DER or PEM; empty when absent. */
struct snp_certificates {
    struct bytes vcek, vlek;
    struct bytes ask;  /* the table has one entry for both: ASK for a VCEK, ASVK for a VLEK */
    struct bytes asvk; /* never set by the table */
    struct bytes ark;
    struct bytes crl;
};

/*
 * Reads a table; an empty one, and an entry of length 0, mean absent. Unknown GUIDs are skipped.
 *
 *   table    borrowed by `out`
 *   out      written only on success
 *
 * Fails MALFORMED for an entry outside the table or over its header, a repeated GUID or no terminator;
 * LIMIT over SNP_TABLE_LEN_MAX or SNP_TABLE_ENTRIES_MAX.
 */
FALLIBLE snp_certificates_parse(struct bytes table, struct snp_certificates *out, struct err *err);

/* Appends a table with the entries that are not empty: VLEK, VCEK, ASK, ARK, CRL. */
void snp_certificates_write(const struct snp_certificates *certificates, struct buffer *out);
