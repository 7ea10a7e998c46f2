/* From the annotations of an encrypted layer to the options that open it. [OCICRYPT] */
#pragma once

#include "keys/ocicrypt/layer_options.h"
#include "keys/ocicrypt/layer_type.h"
#include "keys/ocicrypt/manifest.h"

/*
 * Gives the key encryption key named `kid` ("kbs:///REPOSITORY/TYPE/TAG"); `out` is the caller's to release.
 * Any failure is passed on.
 */
typedef bool kek_fn(void *owner, const char *kid, struct secret *out, struct err *err);

struct layer_key {
    struct layer_public  public;
    struct layer_private private;
};

static inline void auto_layer_key(struct layer_key *key) { auto_layer_private(&key->private); }

/* Fails UNSUPPORTED when the options' cipher is not the one that layers of this type have. */
FALLIBLE layer_key_fits(const struct layer_key *key, const struct layer_type *type, struct err *err);

/* The public options of the annotation, for whatever recipient. Fails MALFORMED, LIMIT, UNSUPPORTED. */
FALLIBLE layer_public_open(const struct descriptor *layer, struct layer_public *out, struct err *err);

/*
 * Tries the packets of the annotation in order; the first that opens is used, else the last failure is reported.
 *
 *   out    yours, AUTO(layer_key); written only on success
 *
 * Fails MALFORMED, LIMIT, UNSUPPORTED (no packet for our provider), UNTRUSTED (wrong key), or as `kek` fails.
 */
FALLIBLE layer_key_open(const struct descriptor *layer, kek_fn *kek, void *owner, struct layer_key *out,
                        struct err *err);
