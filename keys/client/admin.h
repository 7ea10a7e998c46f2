/* The administrator's side of a broker: keys and reference values. Contract: keys/api/admin.h. */
#pragma once

#include "base/json.h"
#include "base/secret.h"
#include "keys/api/merkle.h"

struct admin_client;

struct admin_options {
    const char  *url;     /* "https://HOST[:PORT]" */
    bool         insecure_http; /* "http://" too, on this machine; there the CA is not asked for */
    struct bytes ca_pem;  /* the only roots that count */
    struct bytes key_pem; /* private key, Ed25519 or P-256; the caller wipes it */
    struct bytes certificate_pem; /* of that key: shown to the broker, instead of tokens; empty: tokens */
    const char  *name;    /* of the administrator, for the token; NULL: the broker finds out by the key; outlives the client */
};

FALLIBLE admin_client_new(const struct admin_options *options, struct admin_client **out, struct err *err);
void     admin_client_free(struct admin_client *client);
DEFINE_AUTO(admin_client, struct admin_client *, admin_client_free)

/* `uri` is "kbs:///REPOSITORY/TYPE/TAG". All fail as http_exchange and http_succeeded say. */
FALLIBLE admin_resource_put(struct admin_client *client, const char *uri, const struct secret *value, struct err *err);
/* A secret that the broker gives to guests so many times and no more. */
FALLIBLE admin_resource_put_counted(struct admin_client *client, const char *uri, const struct secret *value,
                                    uint64_t uses, struct err *err);
FALLIBLE admin_resource_get(struct admin_client *client, const char *uri, struct secret *out, struct err *err);
FALLIBLE admin_resource_remove(struct admin_client *client, const char *uri, struct err *err);
/* The array "resources"; yours, AUTO(json). */
FALLIBLE admin_resources(struct admin_client *client, struct json_object **out, struct err *err);

struct admin_reference {
    const char *kind;     /* "measurement" or "initdata" */
    const char *tee;      /* "snp" */
    const char *value;    /* hex */
    const char *resource; /* the one URI that it counts for; NULL: all */
    uint64_t    expires;  /* seconds since 1970; 0: never */
};

FALLIBLE admin_reference_add(struct admin_client *client, const struct admin_reference *reference, uint64_t *id,
                             struct err *err);
FALLIBLE admin_reference_remove(struct admin_client *client, uint64_t id, struct err *err);
/*
 * Documents by KIND and NAME, see keys/api/admin.h.
 *
 *   expires    seconds since 1970; 0: never
 *   adds       a reference value's elements go into the list that is there
 */
struct admin_document {
    const char *kind, *name;
    struct bytes text; /* UTF-8 */
    uint64_t    expires;
    bool        adds;
};
FALLIBLE admin_document_put(struct admin_client *client, const struct admin_document *document, uint64_t *version,
                            struct err *err);
FALLIBLE admin_document_remove(struct admin_client *client, const char *kind, const char *name, struct err *err);
/* The array "documents": of a kind, or, with a name, every version of one; yours, AUTO(json). */
FALLIBLE admin_documents(struct admin_client *client, const char *kind, const char *name_or_null, struct json_object **out,
                         struct err *err);
/*
 * Appends a signed manifest of reference values, a compact JWS: who holds `key_pem` (Ed25519 or P-256) is one of the
 * broker's signers.
 *
 *   values     {name: value}
 *   expires    seconds since 1970; 0: never
 */
FALLIBLE admin_manifest_sign(struct bytes key_pem, struct json_object *values, uint64_t expires, struct buffer *out,
                             struct err *err);
/* Hands over a message of reference values as Trustee's RVPS takes it. */
FALLIBLE admin_reference_message(struct admin_client *client, struct bytes message, struct err *err);
/* The array "references"; yours, AUTO(json). */
FALLIBLE admin_references(struct admin_client *client, struct json_object **out, struct err *err);

/* What the broker's audit log was at a moment, under its signature. */
struct audit_head {
    uint64_t           at; /* seconds since 1970 */
    uint64_t           size;
    struct merkle_hash root;
};

/* Fails UNTRUSTED when the signature is not by the key that the broker publishes. */
FALLIBLE admin_audit_head(struct admin_client *client, struct audit_head *out, struct err *err);
/* The array of entries, texts, from number `from` on; the broker gives at most 1000. Yours, AUTO(json). */
FALLIBLE admin_audit_entries(struct admin_client *client, uint64_t from, struct json_object **out, struct err *err);
/* The proof that entry `index` is in the tree of `size`; not yet checked. */
FALLIBLE admin_audit_inclusion(struct admin_client *client, uint64_t index, uint64_t size, struct merkle_proof *out,
                               struct err *err);
