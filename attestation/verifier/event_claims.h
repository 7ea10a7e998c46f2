/* Event logs and TPM results as claims. [evidence-formats.md 3.3, 5] */
#pragma once

#include "attestation/verifier/tpm.h"

/*
 * The events of a log that has been replayed: index, type_name, digests, event, and digest_matches_event, which says
 * whether `event` may be believed. The caller releases it.
 */
struct json_object *event_log_claims(const struct event_log *log);

/* What a genuine quote says: pcr00 to pcr23 of SHA-256, pcrs of every bank, report_data (the nonce), ak_name, clock. */
struct json_object *tpm_claims(const struct tpm_result *r);
