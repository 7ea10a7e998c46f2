/*
 * Sealed secrets: what an owner writes where a secret will stand, so that only an attested guest can put it there.
 * "sealed." and a compact JWS, ES256, over one of two statements. [CoCo sealed secrets 0.1.0; cdh-aa.md 7]
 *
 *   vault       the secret is the broker's resource `name`
 *   envelope    the secret is here, under a data key that is wrapped for a key that someone else keeps. The clouds' key
 *               services are not asked by a guest; with `provider` "kbs", which is ours, `key_id` is a resource of 32
 *               bytes and `encrypted_key` the data key, wrapped under it (RFC 3394, A256KW).
 */
#pragma once

#include "base/secret.h"
#include "base/ossl.h"

enum {
    SEALED_TEXT_MAX = 256 << 10, /* characters: a secret of 96 KiB in an envelope, twice base64 */
    SEALED_URI_MAX  = 400,       /* characters of kbs:///REPOSITORY/TYPE/TAG: three parts of KBS_PATH_SEGMENT_MAX */
    SEALED_KEK_LEN  = 32,        /* bytes of the resource that wraps the data key of an envelope */
};

enum sealed_type { SEALED_VAULT, SEALED_ENVELOPE };
enum sealed_wrap { SEALED_A256GCM, SEALED_A256CTR };

struct sealed_secret {
    enum sealed_type type;
    char             resource[SEALED_URI_MAX + 1]; /* vault: the secret; envelope: what wraps its data key */
    enum sealed_wrap wrap;                         /* this and the rest: of an envelope */
    struct buffer    encrypted_key, iv, encrypted_data;
};

void sealed_secret_free(struct sealed_secret *secret);
static inline void auto_sealed_secret(struct sealed_secret *secret) { sealed_secret_free(secret); }

/* Whether a value is one: it begins with "sealed.". */
bool sealed_secret_is(struct bytes text);

/*
 * Who says to have signed it: `kid`, a URI of the broker's, where the public key lies as a JWK. "" for the form that
 * CoCo made before 2026, which nobody signed: "sealed.fakejwsheader.PAYLOAD.fakesignature".
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for a `kid` that is not at the broker.
 */
FALLIBLE sealed_secret_signer(struct bytes text, char out[static SEALED_URI_MAX + 1], struct err *err);

/*
 * Verifies, and only then reads.
 *
 *   signer    the P-256 key of the signer whom policy trusts; NULL takes the unsigned form, and that alone
 *   out       yours, AUTO(sealed_secret); written only on success
 *
 * Fails UNTRUSTED, MALFORMED, LIMIT; UNSUPPORTED for versions, providers and algorithms that a guest cannot serve.
 */
FALLIBLE sealed_secret_read(struct bytes text, EVP_PKEY *signer, struct sealed_secret *out, struct err *err);

/*
 * Opens an envelope with the resource that it names. `out` is yours, AUTO(secret). Fails UNTRUSTED when the key is
 * another, MALFORMED when the resource is no key or lengths do not fit.
 */
FALLIBLE sealed_secret_open(const struct sealed_secret *envelope, const struct secret *kek, struct secret *out,
                            struct err *err);

/* Appends the public half of a P-256 key, the JWK that a broker keeps at `kid`. Fails UNSUPPORTED for another key. */
FALLIBLE sealed_secret_write_signer(EVP_PKEY *signer, struct buffer *out, struct err *err);

/* Appends the text of a vault's statement: the secret is the resource `name`. Fails MALFORMED for URIs. */
FALLIBLE sealed_secret_write_vault(const char *name, const char *kid, EVP_PKEY *signer, struct buffer *out,
                                   struct err *err);
/* Appends the text of an envelope around `plain`, its data key wrapped under `kek`, the resource `key_id`. A256GCM. */
FALLIBLE sealed_secret_write_envelope(const struct secret *plain, const char *key_id, const struct secret *kek,
                                      const char *kid, EVP_PKEY *signer, struct buffer *out, struct err *err);
