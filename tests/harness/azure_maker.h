/*
 * A maker of test evidence, not a TEE: what a guest behind Azure's paravisor shows. A hardware report of one of the other makers
 * over the hash of JSON claims, claims that name a key, and that key's quote over the registers. [tpm.md 6.1, evidence-formats 4]
 */
#pragma once

#include "attestation/evidence/evidence_envelope.h"
#include "tests/harness/broker.h"
#include "tests/harness/tdx_maker.h"
#include "tests/harness/tpm_guest.h"

/* Signs a quote over `nonce` and says over which values: another TPM than the one made of a key pair. */
typedef void azure_quote_fn(void *owner, struct bytes nonce, struct tpm_envelope *out);

/* A guest of either kind, and what is wrong with it: each defect alone. */
struct azure_guest {
    const struct test_guest *snp;         /* one of these two */
    const struct tdx_guest  *tdx;
    const struct tpm_guest  *tpm;
    azure_quote_fn          *quote;       /* NULL: `tpm` signs */
    void                    *owner;
    EVP_PKEY                *named;       /* the key in the claims; NULL: the one that signs */
    bool                     claims_change; /* after the hardware has signed their hash */
    bool                     report_differs; /* the TDREPORT is another TD's than the quoted one */
    bool                     register_differs; /* one value beside the quote */
    const uint8_t           *report_data; /* 48 bytes of another key or nonce for the TPM; NULL: those asked for */
    const uint8_t           *user_data;   /* … for the claims */
};

static inline void azure_claims(const struct azure_guest *g, const uint8_t *report_data, struct buffer *out)
{
    static const char          DIGITS[] = "0123456789ABCDEF";
    AUTO(bn) BIGNUM           *n        = NULL;
    uint8_t                    modulus[256];
    const uint8_t             *data = g->user_data ? g->user_data : report_data;

    assert_int_equal(EVP_PKEY_get_bn_param(g->named ? g->named : g->tpm->ak, "n", &n), 1);
    assert_int_equal(BN_bn2binpad(n, modulus, sizeof modulus), sizeof modulus);
    buffer_append_text(out, "{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
    base64_append(out, BYTES_OF(modulus), BASE64_URL);
    buffer_append_text(out, "\"}],\"vm-configuration\":{\"secure-boot\":true},\"user-data\":\"");
    for (int i = 0; i < 64; i++) {
        uint8_t byte = i < 48 ? data[i] : 0;

        buffer_printf(out, "%c%c", DIGITS[byte >> 4], DIGITS[byte & 15]);
    }
    buffer_append_text(out, "\"}");
}

/* A TDREPORT whose parts agree; its MAC, which no verifier can check, is zero. [tdx.md 1.6] */
static inline void azure_td_report(const struct azure_guest *g, const uint8_t report_data[static 64], uint8_t out[static 1024])
{
    struct writer w = writer_over(out, 1024);
    struct writer info;

    memset(out, 0, 1024);
    out[0] = 0x81;
    w.len  = 128;
    put(&w, (struct bytes){ report_data, 64 });
    info     = writer_over(out, 1024);
    info.len = 512;
    put_u64le(&info, g->tdx->attributes);
    put_u64le(&info, g->tdx->xfam);
    put(&info, BYTES_OF(g->tdx->mrtd));
    put(&info, BYTES_OF(g->tdx->mrconfigid));
    put_zeros(&info, 96);
    put(&info, BYTES_OF(g->tdx->rtmr));
    out[512 + 16] ^= g->report_differs; /* MRTD */
    sha384_of((struct bytes){ out + 256, 239 }, out + 32);
    sha384_of((struct bytes){ out + 512, 512 }, out + 80);
}

static inline void azure_hcl_report(const struct azure_guest *g, const uint8_t *hardware, const struct buffer *claims, struct buffer *out)
{
    uint8_t       head[32 + 1184 + 20];
    struct writer w = writer_over(head, sizeof head);

    put(&w, bytes_of_text("HCLA"));
    put_u32le(&w, 2);
    put_u32le(&w, (uint32_t) (sizeof head + claims->len));
    put_u32le(&w, 2);
    put_zeros(&w, 16);
    put(&w, (struct bytes){ hardware, 1184 });
    put_u32le(&w, (uint32_t) (20 + claims->len));
    put_u32le(&w, 1);
    put_u32le(&w, g->snp ? 2 : 4);
    put_u32le(&w, 1);
    put_u32le(&w, (uint32_t) claims->len);
    assert_false(w.failed);
    buffer_append(out, writer_bytes(&w));
    buffer_append(out, buffer_bytes(claims));
}

/* The hardware's word on the claims, in `e`. */
static inline void azure_hardware(const struct azure_guest *g, const struct buffer *claims, uint8_t hardware[static 1184],
                                  struct evidence_envelope *e)
{
    uint8_t report_data[64] = { 0 };

    sha256_of(buffer_bytes(claims), report_data);
    memset(hardware, 0, 1184);
    if (g->snp) {
        e->kind = ENVELOPE_AZ_SNP_VTPM;
        test_report_make(g->snp, report_data, hardware);
        buffer_append(&e->snp.vek, buffer_bytes(&g->snp->root->vcek));
    } else {
        e->kind = ENVELOPE_AZ_TDX_VTPM;
        azure_td_report(g, report_data, hardware);
        tdx_guest_quote(g->tdx, report_data, &e->td_quote);
    }
}

static inline void azure_quote(const struct azure_guest *g, struct bytes nonce, struct tpm_envelope *out)
{
    uint8_t message[256], signature[TPM_GUEST_SIGNATURE_LEN];
    size_t  len;

    if (g->quote) {
        g->quote(g->owner, nonce, out);
    } else {
        len = tpm_guest_attest_message(g->tpm, nonce, message, sizeof message);
        tpm_guest_sign(g->tpm, (struct bytes){ message, len }, signature);
        buffer_append(&out->message, (struct bytes){ message, len });
        buffer_append(&out->signature, BYTES_OF(signature));
        memcpy(out->pcr, g->tpm->pcr, sizeof out->pcr);
    }
    out->pcr[4][0] ^= g->register_differs;
}

/* As kbs_evidence_fn; `owner` is a struct azure_guest. */
static inline bool azure_evidence(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json, struct err *err)
{
    const struct azure_guest                        *g      = owner;
    AUTO(evidence_envelope) struct evidence_envelope e      = { .version = 2 };
    AUTO(buffer) struct buffer                       claims = { 0 };
    uint8_t                                          hardware[1184];

    azure_claims(g, report_data, &claims);
    azure_hardware(g, &claims, hardware, &e);
    if (g->claims_change)
        memcpy(strstr(buffer_text(&claims), "true"), "null", 4);
    azure_hcl_report(g, hardware, &claims, &e.hcl_report);
    azure_quote(g, (struct bytes){ g->report_data ? g->report_data : report_data, KBS_REPORT_DATA_LEN }, &e.tpm);
    return evidence_envelope_write(&e, json, err);
}
