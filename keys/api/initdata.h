/*
 * Initdata: the per-VM configuration, as TOML, whose digest stands in HOST_DATA (SNP) or MRCONFIGID (TDX).
 * [KATA 2.4]; the digest is over the bytes exactly as delivered.
 */
#pragma once

#include "base/json.h"
#include "keys/api/limits.h"

enum initdata_algorithm { INITDATA_SHA256, INITDATA_SHA384, INITDATA_SHA512 };

enum { INITDATA_DIGEST_MAX = 64 };

struct initdata {
    struct json_object     *entries; /* the table [data]: names to texts; owned */
    enum initdata_algorithm algorithm;
    uint8_t                 digest[INITDATA_DIGEST_MAX];
    size_t                  digest_len; /* 32, 48 or 64 */
};

void initdata_free(struct initdata *initdata);
static inline void auto_initdata(struct initdata *initdata) { initdata_free(initdata); }

/*
 * Reads the TOML text.
 *
 *   out    yours, AUTO(initdata); written only on success
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for a version or an algorithm that we do not know.
 */
FALLIBLE initdata_read(struct bytes text, struct initdata *out, struct err *err);

/*
 * Reads the text only if one of its digests, fitted, is `field`: nothing is parsed before that.
 *
 *   field    HOST_DATA or MRCONFIGID of the caller's own fresh report
 *
 * Fails UNTRUSTED when no digest, or not the one of the algorithm that the text names, is in the field.
 */
FALLIBLE initdata_read_bound(struct bytes text, struct bytes field, struct initdata *out, struct err *err);

/* The text of an entry such as "aa.toml", borrowed; NULL when there is none. */
const char *initdata_entry(const struct initdata *initdata, const char *name);

/* The digest as a TEE field holds it: cut at `len`, or zero-padded to it. */
void initdata_fit(const struct initdata *initdata, uint8_t *field, size_t len);

/* Where to attest, from aa.toml [token_configs.kbs]. */
struct initdata_broker {
    char          url[KBS_INITDATA_URL_MAX + 1];
    struct buffer ca_pem; /* owned; never empty: a broker without a pinned CA is not trusted */
};

static inline void auto_initdata_broker(struct initdata_broker *b) { buffer_free(&b->ca_pem); }

/* Fails MALFORMED, LIMIT; NOT_FOUND when aa.toml, the url or the certificate is missing. */
FALLIBLE initdata_broker(const struct initdata *initdata, struct initdata_broker *out, struct err *err);

/* One entry of a document to write. */
struct initdata_entry {
    const char *name;
    const char *text;
};

/* Appends a document; the text holds `entries` in order. */
void initdata_write(enum initdata_algorithm algorithm, const struct initdata_entry *entries, size_t n,
                    struct buffer *out);
/* Appends aa.toml for a broker. */
void initdata_write_broker(const char *url, const char *ca_pem, struct buffer *out);

/*
 * The block image: "initdata", u64le length, gzip, zero padding to 512 bytes.
 *
 *   text    appended; at most KBS_INITDATA_TEXT_MAX bytes, whatever the gzip stream claims
 *
 * Fails MALFORMED, LIMIT.
 */
FALLIBLE initdata_disk_read(struct bytes disk, struct buffer *text, struct err *err);
FALLIBLE initdata_disk_write(struct bytes text, struct buffer *disk, struct err *err); /* the same bytes each time */

/* What a pod's annotation holds: base64 of the same gzip. `text` is appended to; on failure it may hold a part. Fails MALFORMED, LIMIT. */
FALLIBLE initdata_annotation_read(const char *base64, struct buffer *text, struct err *err);

/* How many bytes of the disk initdata_disk_read wants, from its first 16; 0 when they are no initdata. */
size_t initdata_disk_len(struct bytes first);
