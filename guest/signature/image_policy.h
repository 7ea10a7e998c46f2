/*
 * Which images may be used: containers-policy.json(5), transport "docker", with two requirements of our own. It is
 * looked up under the name that was asked for, never under a mirror's, and each time, whatever a cache holds.
 *
 *   insecureAcceptAnything, reject
 *   sigstoreSigned   keyData or keyDatas (base64 of PEM), keyPath or keyPaths ("kbs:///R/T/G": the broker has the PEM),
 *                    signedIdentity; ours: "floor":{"annotation":NAME,"atLeast":N}: an older signed image is refused
 *   encryptedWith    ours: {"keyId":"kbs:///R/T/G"}: every layer, under this key; without keyId: under any
 *
 * All requirements of a scope must hold. "signedBy" (OpenPGP) reads, and denies. Nothing else reads at all.
 */
#pragma once

#include "guest/signature/payload.h"

struct image_policy {
    struct json_object *document; /* owned */
};

void image_policy_free(struct image_policy *policy);
static inline void auto_image_policy(struct image_policy *policy) { image_policy_free(policy); }

/*
 * Reads and checks the whole document.
 *
 *   out    yours, AUTO(image_policy); written only on success
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for signers that are known by a certificate or a log (fulcio, pki, rekor).
 */
FALLIBLE image_policy_read(struct bytes json, struct image_policy *out, struct err *err);

/*
 * The requirements for a name, borrowed: those of the longest scope that fits, else the default.
 *
 *   reference    as asked for; NULL: an image that no registry is named for
 */
struct json_object *image_policy_requirements(const struct image_policy *policy,
                                              const struct image_reference *reference);
