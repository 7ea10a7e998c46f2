/* A layer's blob, decrypted by whoever feeds it, as the stream of its tar; its digest and its growth watched. */
#pragma once

#include "guest/image/image.h"
#include "guest/image/stream.h"
#include "keys/ocicrypt/layer_type.h"

struct inflate;

struct inflate_options {
    enum layer_packing    packing;
    struct stream         from;      /* the packed bytes */
    uint32_t              ratio;      /* see struct image_budget */
    uint32_t              window_log;
    enum digest_algorithm algorithm; /* of the diff_id */
};

FALLIBLE inflate_new(const struct inflate_options *options, struct inflate **out, struct err *err);
void     inflate_free(struct inflate *inflate);
DEFINE_AUTO(inflate, struct inflate *, inflate_free)

/* The unpacked stream. Fails MALFORMED (also for bytes behind the last frame, and a cut one), LIMIT, or as `from`. */
struct stream inflate_stream(struct inflate *inflate);

/* The digest of all that came out. Call it once, at the end of the stream. */
void     inflate_digest(struct inflate *inflate, struct digest *out);
uint64_t inflate_len(const struct inflate *inflate); /* bytes that came out so far */
