/*
 * Every decision, in typed fields, into the store's append-only log. An entry is written in the same transaction as what
 * it tells of, and so is durable before the answer leaves.
 */
#pragma once

#include "keys/broker/release.h"

/* The guest that a decision is about. */
struct audit_guest {
    const struct release_subject *subject;
    struct bytes                  evidence; /* SHA-256 of the attestation as it was sent */
    const char                   *policy;   /* that decided, with its version: "default_cpu#3" */
};

/* These two append the entry to `out`: it is added by store_audit_add when the turn writes. */
void audit_attested(int64_t now, const struct audit_guest *guest, const char *reason_or_null, struct buffer *out);
void audit_attestation_refused(int64_t now, struct bytes evidence, const char *reason, struct buffer *out);

FALLIBLE audit_key_released(struct store *store, int64_t now, const struct audit_guest *guest, const char *path,
                            struct err *err);
/* What was released was not sent after all. */
FALLIBLE audit_key_undelivered(struct store *store, int64_t now, struct bytes evidence, const char *path, const char *reason,
                               struct err *err);
FALLIBLE audit_key_denied(struct store *store, int64_t now, const struct audit_guest *guest, const char *path,
                          const char *reason, struct err *err);

/* A guest brought the volume of this key to its next epoch. */
FALLIBLE audit_epoch_advanced(struct store *store, int64_t now, const struct audit_guest *guest, const char *path, uint64_t epoch,
                              struct err *err);

/* What the administrator `who` did: "put", "read", "remove", "expect", "forget"...; to a path, a name or a number. */
FALLIBLE audit_administered(struct store *store, int64_t now, const char *who, const char *action, const char *subject,
                            struct err *err);
