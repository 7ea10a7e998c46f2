/*
 * Who we are to which registry: the file that `docker login` and `skopeo login` write, without its helpers.
 * [containers-auth.json(5)] {"auths":{"HOST[/PATH]":{"auth":"<base64 of USER:PASSWORD>"}}}; or with "username" and
 * "password" apart, as in an image pull secret of Kubernetes.
 */
#pragma once

#include "base/json.h"
#include "guest/registry/limits.h"

struct credentials {
    struct json_object *document; /* owned; NULL: none, every registry is asked without a name */
};

void credentials_free(struct credentials *credentials);
static inline void auto_credentials(struct credentials *credentials) { credentials_free(credentials); }

/*
 * Reads and checks the whole file.
 *
 *   out    yours, AUTO(credentials); written only on success
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for an entry that leaves the secret to a helper or is a token.
 */
FALLIBLE credentials_read(struct bytes json, struct credentials *out, struct err *err);

/*
 * "USER:PASSWORD" for a repository, appended; nothing when no entry fits. The longest entry wins: the repository
 * itself, its parents, the registry. An entry's scheme and "/v1/" or "/v2/" are passed over, and so is the case of
 * its host.
 */
void credentials_find(const struct credentials *credentials, const char *registry, const char *repository,
                      struct buffer *out);
