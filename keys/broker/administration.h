/*
 * What administrators do: resources, reference values, policies, bindings. Contracts: keys/api/admin.h, and the calls of
 * Trustee's own client [KBS 12]. Each function serves one route; the caller has been authenticated, and is asked here
 * what it may do to what.
 */
#pragma once

#include "keys/broker/call.h"

FALLIBLE resource_put(struct call *call, struct err *err);
FALLIBLE resource_remove(struct call *call, struct err *err);
FALLIBLE resource_list(struct call *call, struct err *err);
FALLIBLE resource_read(struct call *call, struct err *err);

FALLIBLE reference_list(struct call *call, struct err *err);
FALLIBLE reference_add(struct call *call, struct err *err);
FALLIBLE reference_remove(struct call *call, struct err *err);

/* documents.c: KIND/NAME of attestation-policy, resource-policy, reference-value, binding */
FALLIBLE documents_list(struct call *call, struct err *err);
FALLIBLE document_put(struct call *call, struct err *err);
FALLIBLE document_remove(struct call *call, struct err *err);
FALLIBLE document_history(struct call *call, struct err *err);

/* audit_calls.c */
FALLIBLE audit_head(struct call *call, struct err *err);
FALLIBLE audit_entries(struct call *call, struct err *err);
FALLIBLE audit_inclusion(struct call *call, struct err *err);
FALLIBLE audit_consistency(struct call *call, struct err *err);

/* trustee_calls.c: as kbs-client makes them [KBS 12] */
FALLIBLE trustee_attestation_policy_set(struct call *call, struct err *err);
FALLIBLE trustee_resource_policy_set(struct call *call, struct err *err);
FALLIBLE trustee_resource_policy_list(struct call *call, struct err *err);
FALLIBLE trustee_reference_value_register(struct call *call, struct err *err);
FALLIBLE trustee_reference_value_get(struct call *call, struct err *err);
FALLIBLE trustee_reference_values_get(struct call *call, struct err *err);

/* Checks what it is and who may, stores it and audits it: documents.c. `expires` 0: never. */
FALLIBLE document_store(struct call *call, enum document_kind kind, const char *name, struct bytes text, int64_t expires,
                        struct err *err);
