/* The guest's evidence in the two uses that the agent has for it: to look at itself, and to show to the broker. */
#pragma once

#include "attestation/attester/attester.h"
#include "guest/agent/measurements.h"
#include "guest/init/cmdline.h"
#include "keys/client/kbs.h"

/*
 * The device of a real TEE. `out` is yours, AUTO(attester). Fails UNSUPPORTED, NOT_FOUND, OS; UNTRUSTED when the
 * kernel offers another TEE than the measured command line names.
 */
FALLIBLE evidence_open_device(enum cmdline_tee tee, struct attester **out, struct err *err);

/*
 * Appends HOST_DATA (SNP, 32 bytes) or MRCONFIGID (TDX, 48 bytes) of a fresh report of this guest. The report answers
 * to random bytes chosen here, so that it is no older than this call; its signature is for the broker to check.
 *
 * A TPM is bound to nothing at launch: there PCR 8 is extended by the SHA-256 of `initdata`, and appended is that
 * digest, once a fresh quote says that the register holds it and nothing else. What was given is told to the broker
 * so; whether it is what the owner meant, the broker knows.
 *
 *   initdata    the text as it came, not yet believed
 *
 * Fails UNTRUSTED when the report does not carry those bytes; as the attester does. Once per boot.
 */
FALLIBLE evidence_own_field(struct attester *attester, struct bytes initdata, struct buffer *field, struct err *err);

/* A kbs_evidence_fn; `owner` is the guest's struct measurements. On TDX the log is part of it. */
kbs_evidence_fn evidence_for_broker;

/*
 * Evidence over what a workload says, in a role of its own: the report data are SHA-384("cloister workload evidence",
 * a zero byte, `runtime_data`), so that it never answers to a key broker's challenge.
 */
FALLIBLE evidence_for_workload(struct measurements *measured, struct bytes runtime_data, struct buffer *json, struct err *err);

/*
 * The event log, its register and evidence over both, as one JSON object:
 *
 *   {"register","index","algorithm","value":HEX,"eventlog":BASE64,"tee","evidence":{...}}
 *
 * The report data are SHA-384("cloister runtime measurements", a zero byte, the register's value, `runtime_data`): so
 * a register of software is in evidence too.
 */
FALLIBLE evidence_of_events(struct measurements *measured, struct bytes runtime_data, struct buffer *json, struct err *err);

/* Evidence over the key that signs receipts, in the role that guest/api/receipt.h gives it. */
FALLIBLE evidence_for_receipt(struct measurements *measured, struct bytes key, struct buffer *json, struct err *err);
