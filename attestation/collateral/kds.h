/* URLs of AMD's key distribution service. [KDS 57230 4; snp.md 2.3] */
#pragma once

#include "attestation/evidence/snp_report.h"

#define KDS_BASE_URL "https://kdsintf.amd.com"

enum { KDS_VCEK_LIFETIME_S = 30 * 86400, KDS_CHAIN_LIFETIME_S = 30 * 86400, KDS_CRL_LIFETIME_S = 86400 };

/*
 * Appends the URL. `base` is KDS_BASE_URL or a mirror's. The VCEK is that of the report's chip at its REPORTED_TCB;
 * `product` is needed for version 2 reports, which do not tell Milan from Genoa, and must not contradict the report.
 *
 * Fails UNSUPPORTED for a report that is signed by a VLEK (which only the cloud has), or masks its chip, or names no
 * product.
 */
FALLIBLE kds_vcek_url(const char *base, const struct snp_report *report, enum snp_product product, struct buffer *out,
                      struct err *err);
void kds_chain_url(const char *base, enum snp_product product, bool of_vlek, struct buffer *out); /* ASK or ASVK, then ARK */
void kds_crl_url(const char *base, enum snp_product product, bool of_vlek, struct buffer *out);
