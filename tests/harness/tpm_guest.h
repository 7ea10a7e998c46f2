/* A TPM made of a key pair: quotes as a real one signs them, over PCR values that the test chooses. [TPM-P2 10.12.8] */
#pragma once

#include <openssl/rsa.h>
#include <string.h>

#include "base/ossl.h"
#include "base/text.h"
#include "tests/harness/test.h"

enum { TPM_GUEST_PCRS = 24 };

struct tpm_guest {
    EVP_PKEY *ak;
    uint8_t   pcr[TPM_GUEST_PCRS][SHA256_LEN];
};

static inline struct tpm_guest tpm_guest_new(void)
{
    struct tpm_guest g = { .ak = EVP_RSA_gen(2048) };

    assert_non_null(g.ak);
    memset(g.pcr[11], 0xbb, SHA256_LEN);
    return g;
}

static inline void auto_tpm_guest(struct tpm_guest *g) { EVP_PKEY_free(g->ak); }

/* TPM2_PCR_Extend */
static inline void tpm_guest_extend(struct tpm_guest *g, unsigned pcr, const uint8_t digest[static SHA256_LEN])
{
    uint8_t both[2 * SHA256_LEN];

    memcpy(both, g->pcr[pcr], SHA256_LEN);
    memcpy(both + SHA256_LEN, digest, SHA256_LEN);
    sha256_of(BYTES_OF(both), g->pcr[pcr]);
}

/* Standard base64 of the key, as "trusted_aks" and the evidence have it. */
static inline void tpm_guest_ak(const struct tpm_guest *g, struct buffer *out)
{
    unsigned char *der = NULL;
    int            len = i2d_PUBKEY(g->ak, &der);

    assert_true(len > 0);
    base64_append(out, (struct bytes){ der, (size_t) len }, BASE64_STANDARD);
    OPENSSL_free(der);
}

static inline size_t tpm_guest_attest_message(const struct tpm_guest *g, struct bytes nonce, uint8_t *at, size_t room)
{
    struct writer w = writer_over(at, room);
    uint8_t       digest[SHA256_LEN];

    sha256_of(BYTES_OF(g->pcr), digest);
    put_u32be(&w, 0xff544347); /* TPM_GENERATED_VALUE */
    put_u16be(&w, 0x8018);     /* TPM_ST_ATTEST_QUOTE */
    put_u16be(&w, 2 + SHA256_LEN);
    put_u16be(&w, 0x000b);
    put_zeros(&w, SHA256_LEN);
    put_u16be(&w, (uint16_t) nonce.len);
    put(&w, nonce);
    put_zeros(&w, 8 + 4 + 4);
    put_u8(&w, 1); /* the clock is safe */
    put_zeros(&w, 8);
    put_u32be(&w, 1);
    put_u16be(&w, 0x000b);
    put_u8(&w, 3);
    put_u8(&w, 0xff);
    put_u8(&w, 0xff);
    put_u8(&w, 0xff);
    put_u16be(&w, SHA256_LEN);
    put(&w, BYTES_OF(digest));
    assert_false(w.failed);
    return w.len;
}

enum { TPM_GUEST_SIGNATURE_LEN = 256 };

/* RSASSA with SHA-256 over `message`. */
static inline void tpm_guest_sign(const struct tpm_guest *g, struct bytes message, uint8_t signature[static TPM_GUEST_SIGNATURE_LEN])
{
    AUTO(md_ctx) EVP_MD_CTX *md  = EVP_MD_CTX_new();
    size_t                   len = TPM_GUEST_SIGNATURE_LEN;

    assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, g->ak), 1);
    assert_int_equal(EVP_DigestSign(md, signature, &len, message.at, message.len), 1);
    assert_int_equal(len, TPM_GUEST_SIGNATURE_LEN);
}

/* Appends the evidence of TEE "tpm" over the first 32 bytes of `report_data`. */
static inline void tpm_guest_evidence(const struct tpm_guest *g, const uint8_t *report_data, struct buffer *json)
{
    uint8_t message[256], signature[6 + TPM_GUEST_SIGNATURE_LEN] = { 0x00, 0x14, 0x00, 0x0b, 0x01, 0x00 }; /* RSASSA, SHA-256 */
    size_t  message_len = tpm_guest_attest_message(g, (struct bytes){ report_data, SHA256_LEN }, message, sizeof message);

    tpm_guest_sign(g, (struct bytes){ message, message_len }, signature + 6);
    buffer_append_text(json, "{\"tpm_quote\":{\"signature\":\"");
    base64_append(json, BYTES_OF(signature), BASE64_STANDARD);
    buffer_append_text(json, "\",\"message\":\"");
    base64_append(json, (struct bytes){ message, message_len }, BASE64_STANDARD);
    buffer_append_text(json, "\",\"pcrs\":[");
    for (int i = 0; i < TPM_GUEST_PCRS; i++) {
        buffer_append_text(json, i ? ",\"" : "\"");
        hex_append(json, BYTES_OF(g->pcr[i]));
        buffer_append_text(json, "\"");
    }
    buffer_append_text(json, "]},\"ak_public\":\"");
    tpm_guest_ak(g, json);
    buffer_append_text(json, "\"}");
}
