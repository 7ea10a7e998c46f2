/* Signatures as cosign keeps them beside an image in its registry, by a key. [cosign SIGNATURE_SPEC] */
#pragma once

#include "guest/signature/limits.h"
#include "keys/ocicrypt/manifest.h"

#define COSIGN_PAYLOAD_TYPE  "application/vnd.dev.cosign.simplesigning.v1+json"
#define COSIGN_ARTIFACT_TYPE "application/vnd.dev.cosign.artifact.sig.v1+json"
#define SIGSTORE_BUNDLE_TYPE "application/vnd.dev.sigstore.bundle" /* and a version: of cosign 3, not read here */

struct signature {
    struct buffer payload;   /* the bytes that were signed */
    struct buffer signature; /* as the key's algorithm makes it */
};

struct signatures {
    struct signature at[SIGNATURES_MAX];
    size_t           n;
    size_t           n_bundles; /* found beside them, and not read */
};

void signatures_free(struct signatures *signatures);
static inline void auto_signatures(struct signatures *signatures) { signatures_free(signatures); }

/* "sha256-<hex>.sig": the tag under which the signatures of a manifest are found. */
struct cosign_tag { char at[8 + 2 * SHA512_LEN + 8]; };
struct cosign_tag cosign_tag_of(const struct digest *manifest);

/*
 * The descriptor's payload, which the caller has fetched and whose digest it has checked, joins the others.
 * A layer of another type is passed over: true, and nothing is added. Fails MALFORMED, LIMIT.
 */
FALLIBLE cosign_layer_add(const struct descriptor *layer, struct bytes payload, struct signatures *signatures,
                          struct err *err);

/*
 * The digests of signature manifests in the answer of a registry's referrers API; sigstore bundles are counted, other
 * things passed over. Fails MALFORMED, LIMIT.
 */
FALLIBLE cosign_referrers_read(struct bytes json, struct digest out[static SIGNATURES_MAX], size_t *n, size_t *n_bundles,
                               struct err *err);

/* A public key in PEM: ECDSA on a NIST curve, RSA of 2048 bits or more, Ed25519. Fails MALFORMED, UNSUPPORTED. */
FALLIBLE cosign_key_read(struct bytes pem, EVP_PKEY **out, struct err *err);

/* ECDSA and RSA (PKCS #1 v1.5) over SHA-256; Ed25519. Fails UNTRUSTED. */
FALLIBLE cosign_verify(EVP_PKEY *key, const struct signature *signature, struct err *err);
