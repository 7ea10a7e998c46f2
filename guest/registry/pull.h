/*
 * The keeper's side of the fetcher: the places where an image may be, each as a source of blobs, and documents that
 * are named by a tag. Nothing here is verified: image_unpack and the signature policy do that.
 */
#pragma once

#include "guest/api/call.h"
#include "guest/image/image.h"
#include "guest/registry/fetcher.h"
#include "guest/registry/limits.h"

enum { PULL_TIMEOUT_MS = 600000 }; /* of one read: all tries with their pauses */

struct pull_config {
    struct bytes registries;  /* registries.conf as JSON; empty: none */
    struct bytes credentials; /* auth.json; empty: none */
    struct bytes ca_pem;
    const char  *https_proxy, *http_proxy, *no_proxy; /* NULL: none */
    uint32_t     parallel;   /* 0: as many as there may be */
    uint32_t     backoff_ms; /* 0: the usual */
    uint32_t     patience_s; /* likewise */
};

/* Once for a fetcher. Fails as what it is given to read is wrong. */
FALLIBLE pull_configure(struct ttrpc_client *fetcher, const struct pull_config *config, struct err *err);

struct pull;

struct pull_origin {
    struct pull *pull;
    uint32_t     number;
    char        *name; /* "HOST[:PORT]/REPOSITORY"; owned */
};

struct pull {
    struct ttrpc_client *fetcher; /* borrowed */
    struct pull_origin   origins[ATTEMPTS_MAX];
    size_t               n_origins;
};

/* Asks where `name` may be; at least one place. `out` is not to be copied; AUTO(pull). */
FALLIBLE pull_open(struct ttrpc_client *fetcher, const char *name, struct pull *out, struct err *err);
void     pull_close(struct pull *pull);
static inline void auto_pull(struct pull *pull) { pull_close(pull); }

struct image_source pull_source(struct pull_origin *origin);

/*
 * A whole document, appended; nobody has checked it.
 *
 *   object    a tag or a digest; of FETCHER__KIND__KIND_REFERRERS: what is referred to
 */
FALLIBLE pull_document(struct pull_origin *origin, Fetcher__Kind kind, const char *object, struct buffer *out,
                       struct err *err);

/* What the tag names, in the first place that has it. */
FALLIBLE pull_resolve(struct pull *pull, const char *tag, struct digest *out, struct err *err);

/* The layers that will be read from this place, in order: their transfers may begin. Best effort. */
void pull_expect(struct pull_origin *origin, const struct manifest *manifest);
