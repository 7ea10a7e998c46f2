/* The image configuration: what to run, as whom, and the digests of the unpacked layers. [OCI-IMAGE config] */
#pragma once

#include "base/json.h"
#include "keys/ocicrypt/digest.h"
#include "keys/ocicrypt/limits.h"

struct text_list {
    const char **at; /* n texts, then NULL: fit to be an argv or an environment */
    size_t       n;
};

struct image_config {
    struct json_object *document; /* owns what the rest borrows */
    const char         *os, *architecture;
    const char         *user;        /* as written: "", "uid", "uid:gid", "name", "name:group", ... */
    const char         *working_dir; /* "" or absolute */
    const char         *stop_signal; /* "" or as "SIGTERM" or "15" */
    struct text_list    env;         /* "NAME=value" */
    struct text_list    entrypoint, cmd;
    struct digest      *diff_ids; /* of the plain, uncompressed tar of each layer, bottom first */
    size_t              n_diff_ids;
};

/*
 * Reads the JSON text of a config blob.
 *
 *   out    yours, AUTO(image_config); written only on success
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED when rootfs.type is not "layers".
 */
FALLIBLE image_config_read(struct bytes text, struct image_config *out, struct err *err);

void image_config_free(struct image_config *config);
static inline void auto_image_config(struct image_config *config) { image_config_free(config); }
