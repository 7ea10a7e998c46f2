/*
 * Where an image may be fetched: mirrors in their order, then the origin or what stands in for it.
 * [containers-registries.conf(5), version 2] Policy is never looked up by these names, but by the one asked for.
 */
#pragma once

#include "base/json.h"
#include "guest/registry/limits.h"
#include "keys/ocicrypt/reference.h"

struct registries {
    struct json_object *document; /* owned; NULL: every registry is what its name says, over HTTPS */
};

void registries_free(struct registries *registries);
static inline void auto_registries(struct registries *registries) { registries_free(registries); }

/*
 * Checks a configuration that was read from TOML: {"unqualified-search-registries":[...],"registry":[{"prefix",
 * "location","insecure","blocked","mirror-by-digest-only","mirror":[{"location","insecure","pull-from-mirror"}]}]}.
 *
 *   document_take    taken, also on failure
 *   out              yours, AUTO(registries); written only on success
 *
 * Hosts are compared without case; a trailing "/" is passed over. What is not understood is refused, since what it
 * blocks would be overlooked: schemes, tags, IPv6 literals, paths behind a wildcard, two tables for one prefix.
 *
 * Fails MALFORMED (members that are not understood included), UNSUPPORTED, LIMIT.
 */
FALLIBLE registries_read_take(struct json_object *document_take, struct registries *out, struct err *err);

struct attempt {
    char registry[REFERENCE_REGISTRY_MAX + 1];
    char repository[REFERENCE_REPOSITORY_MAX + 1];
    bool is_insecure; /* plain HTTP */
};

/*
 * The places to try, in order.
 *
 *   by_digest    what is wanted is named by its digest; some mirrors serve only such
 *
 * Fails DENIED for a blocked registry; NOT_FOUND when the name has no registry and none is configured to be searched;
 * LIMIT over ATTEMPTS_MAX; CONFIG for a location that gives no name.
 */
FALLIBLE registries_attempts(const struct registries *registries, const struct image_reference *reference,
                             bool by_digest, struct attempt attempts[static ATTEMPTS_MAX], size_t *n, struct err *err);
