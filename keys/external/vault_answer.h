/*
 * What HashiCorp Vault answers: a secret of its KV version 2 engine, a login by AppRole, an error. Texts that are secret go
 * from the answer's bytes into locked memory; the JSON around them is read without them.
 */
#pragma once

#include "base/json.h"
#include "base/secret.h"

enum {
    VAULT_ANSWER_MAX = 256 << 10, /* bytes: a value below, in base64, and what Vault says of it */
    VAULT_VALUE_MAX  = 64 << 10,  /* bytes of one secret */
    VAULT_TOKEN_MAX  = 4 << 10,   /* characters */
    VAULT_ERROR_MAX  = 120        /* bytes of Vault's own words that reach our log */
};

/*
 * {"data":{"data":{"value":TEXT}}} or {"data":{"data":{"base64":TEXT}}}: the text's bytes, or what it stands for.
 *
 *   out    yours, AUTO(secret); written only on success
 *
 * Fails LIMIT, MALFORMED: no such member, both of them, an empty one, bad base64.
 */
FALLIBLE vault_value_read(struct bytes answer, struct secret *out, struct err *err);

/*
 * {"auth":{"client_token":TEXT,"lease_duration":SECONDS}}
 *
 *   token      yours, AUTO(secret); printable, without a zero behind it
 *   lease_s    0: it does not end
 */
FALLIBLE vault_login_read(struct bytes answer, struct secret *token, uint64_t *lease_s, struct err *err);

/* Appends the first of {"errors":[TEXT...]}, escaped and cut; nothing when there is none. */
void vault_error_append(struct bytes answer, struct buffer *out);
