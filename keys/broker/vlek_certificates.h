/*
 * VLEK certificates that the operator keeps, for guests whose host hands them none. AMD gives a VLEK to the cloud provider that
 * asked for it and to nobody else, so that there is no service to fetch one from. [snp.md 2.3]
 */
#pragma once

#include "attestation/evidence/snp_evidence.h"
#include "attestation/evidence/snp_report.h"

enum { VLEKS_MAX = 16 };

struct vlek_certificates;

/*
 * Reads certificates, each DER or PEM; what they are good for is judged with the evidence, as if they had come along.
 *
 * Fails CONFIG for more than VLEKS_MAX, and with the number of what is no VLEK.
 */
FALLIBLE vlek_certificates_new(const struct bytes *given, size_t n, struct vlek_certificates **out, struct err *err);
void     vlek_certificates_free(struct vlek_certificates *v);
DEFINE_AUTO(vlek_certificates, struct vlek_certificates *, vlek_certificates_free)

/* The one of the report's product and REPORTED_TCB into evidence that has none; or `why` there is nothing, appended. */
void vlek_certificates_add(const struct vlek_certificates *v, const struct snp_report *report, struct snp_evidence *evidence, struct buffer *why);
