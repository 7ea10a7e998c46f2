/*
 * The annotation packet of the provider `attestation-agent`: one layer's private options, wrapped with a key that
 * the key broker holds. Versions 1 and 2 ("0.1.0"). [OCICRYPT; COCO annotation packet]
 */
#pragma once

#include "base/auto.h"
#include "base/secret.h"
#include "keys/ocicrypt/limits.h"

#define ENC_KEYS_ANNOTATION      "org.opencontainers.image.enc.keys.provider.attestation-agent"
#define ENC_KEYS_PREFIX          "org.opencontainers.image.enc.keys."
#define ENC_PUBOPTS_ANNOTATION   "org.opencontainers.image.enc.pubopts"

enum wrap_type { WRAP_A256GCM, WRAP_A256CTR };

struct packet {
    char           kid[ENC_KID_MAX + 1]; /* as "kbs:///REPOSITORY/TYPE/TAG", whatever form the packet has */
    enum wrap_type wrap_type;
    uint8_t        iv[16];
    size_t         iv_len; /* 12 for GCM, 16 for CTR */
    struct buffer  wrapped; /* with GCM the last 16 bytes are the tag */
};

static inline void auto_packet(struct packet *packet) { buffer_free(&packet->wrapped); }

/*
 * Reads the JSON of one packet.
 *
 *   out    yours, AUTO(packet); written only on success
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for another version, provider or wrap type.
 */
FALLIBLE packet_read(struct bytes json, struct packet *out, struct err *err);
void     packet_write(const struct packet *packet, struct buffer *json); /* version 1: every reader knows it */

/*
 * The key id in the one form that the broker knows. Takes the odd forms in the wild too: a doubled "kbs:///", a
 * missing scheme or slash. A host in it is refused: which broker to ask is not the image's choice.
 */
FALLIBLE kid_read(struct bytes text, char out[static ENC_KID_MAX + 1], struct err *err);

/*
 * Wraps and unwraps private options. `kek` must be ENC_KEY_LEN bytes: CONFIG otherwise.
 * kek_unwrap fails UNTRUSTED when the tag does not hold: wrong key or changed packet. CTR has no tag.
 */
FALLIBLE kek_wrap(const struct secret *kek, const char *kid, enum wrap_type wrap_type, const struct secret *options,
                  struct packet *out, struct err *err);
FALLIBLE kek_unwrap(const struct secret *kek, const struct packet *packet, struct secret *options, struct err *err);
