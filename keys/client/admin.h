/* The administrator's side of a broker: keys and reference values. Contract: keys/api/admin.h. */
#pragma once

#include "base/json.h"
#include "base/secret.h"

struct admin_client;

struct admin_options {
    const char  *url;     /* "https://HOST[:PORT]" */
    struct bytes ca_pem;  /* the only roots that count */
    struct bytes key_pem; /* private key, Ed25519 or P-256; the caller wipes it */
};

FALLIBLE admin_client_new(const struct admin_options *options, struct admin_client **out, struct err *err);
void     admin_client_free(struct admin_client *client);
DEFINE_AUTO(admin_client, struct admin_client *, admin_client_free)

/* `uri` is "kbs:///REPOSITORY/TYPE/TAG". All fail as http_exchange and http_succeeded say. */
FALLIBLE admin_resource_put(struct admin_client *client, const char *uri, const struct secret *value, struct err *err);
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
/* The array "references"; yours, AUTO(json). */
FALLIBLE admin_references(struct admin_client *client, struct json_object **out, struct err *err);
