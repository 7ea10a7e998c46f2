/*
 * A maker of test evidence, not a TEE: TD quotes, PCK chains and collateral in Intel's formats under a root of its own, which
 * says what it is. Nothing trusts that root but who is told to by `tdx_development_root`, or by `cloister verify tdx --root-ca`.
 * [tdx.md 1, 2]
 */
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attestation/collateral/bundle.h"
#include "attestation/collateral/pcs.h"
#include "base/ossl.h"
#include "base/text.h"
#include "tests/harness/test.h"

enum { TDX_MAKER_QUOTE_MAX = 16 << 10, TDX_MAKER_BODY_LEN = 584, TDX_MAKER_DAY = 86400, TDX_MAKER_MR_LEN = 48, TDX_MAKER_ROOT_SERIAL = 1,
       TDX_MAKER_CA_SERIAL, TDX_MAKER_LEAF_SERIAL, TDX_MAKER_SIGNER_SERIAL };

static const uint8_t TDX_MAKER_FMSPC[PCS_FMSPC_LEN] = { 0x00, 0x7e, 0x57, 0x00, 0x00, 0x00 };
static const uint8_t TDX_MAKER_QE_SIGNER[32]        = { 0x7e, 0x57 };

struct tdx_maker {
    EVP_PKEY *root_key, *ca_key, *leaf_key, *signer_key, *attestation_key;
    X509     *root, *ca, *leaf, *signer;
    int64_t   now;
};

static inline void tdx_maker_free(struct tdx_maker *m)
{
    EVP_PKEY *keys[] = { m->root_key, m->ca_key, m->leaf_key, m->signer_key, m->attestation_key };
    X509     *certificates[] = { m->root, m->ca, m->leaf, m->signer };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        EVP_PKEY_free(keys[i]);
    for (size_t i = 0; i < sizeof certificates / sizeof *certificates; i++)
        X509_free(certificates[i]);
    *m = (struct tdx_maker){ 0 };
}
static inline void auto_tdx_maker(struct tdx_maker *m) { tdx_maker_free(m); }

/* ---- DER by hand: the one extension that OpenSSL does not know ---- */

static inline void tdx_maker_der(struct buffer *out, uint8_t tag, struct bytes content)
{
    const uint8_t head[] = { tag, 0x82, (uint8_t) (content.len >> 8), (uint8_t) content.len };

    if (content.len < 0x80)
        buffer_append(out, (struct bytes){ (const uint8_t[]){ tag, (uint8_t) content.len }, 2 });
    else if (content.len < 0x100)
        buffer_append(out, (struct bytes){ (const uint8_t[]){ tag, 0x81, (uint8_t) content.len }, 3 });
    else
        buffer_append(out, BYTES_OF(head));
    buffer_append(out, content);
}

/* SEQUENCE { OID 1.2.840.113741.1.13.1.`number`[.`second`], value } */
static inline void tdx_maker_entry(struct buffer *out, uint8_t number, uint8_t second, uint8_t tag, struct bytes value)
{
    const uint8_t              oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, number, second };
    AUTO(buffer) struct buffer one   = { 0 };

    tdx_maker_der(&one, 0x06, (struct bytes){ oid, second ? sizeof oid : sizeof oid - 1 });
    tdx_maker_der(&one, tag, value);
    tdx_maker_der(out, 0x30, buffer_bytes(&one));
}

/* What a PCK certificate says of its platform: every component at 5, PCESVN 13. [tdx.md 2.3] */
static inline void tdx_maker_platform(struct buffer *out)
{
    static const uint8_t       SIXTEEN[16] = { 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5 }, PCEID[2] = { 0 }, PCESVN = 13, STANDARD = 1, YES = 0xff;
    AUTO(buffer) struct buffer all = { 0 }, tcb = { 0 }, configuration = { 0 };

    for (uint8_t i = 0; i < 16; i++)
        tdx_maker_entry(&tcb, 2, (uint8_t) (i + 1), 0x02, (struct bytes){ &SIXTEEN[i], 1 });
    tdx_maker_entry(&tcb, 2, 17, 0x02, (struct bytes){ &PCESVN, 1 });
    tdx_maker_entry(&tcb, 2, 18, 0x04, BYTES_OF(SIXTEEN));
    for (uint8_t i = 1; i <= 3; i++)
        tdx_maker_entry(&configuration, 7, i, 0x01, (struct bytes){ &YES, 1 });
    tdx_maker_entry(&all, 1, 0, 0x04, BYTES_OF(SIXTEEN)); /* PPID */
    tdx_maker_entry(&all, 2, 0, 0x30, buffer_bytes(&tcb));
    tdx_maker_entry(&all, 3, 0, 0x04, BYTES_OF(PCEID));
    tdx_maker_entry(&all, 4, 0, 0x04, BYTES_OF(TDX_MAKER_FMSPC));
    tdx_maker_entry(&all, 5, 0, 0x0a, (struct bytes){ &STANDARD, 1 });
    tdx_maker_entry(&all, 6, 0, 0x04, BYTES_OF(SIXTEEN)); /* platform instance */
    tdx_maker_entry(&all, 7, 0, 0x30, buffer_bytes(&configuration));
    tdx_maker_der(out, 0x30, buffer_bytes(&all));
}

/* ---- certificates and lists ---- */

static inline void tdx_maker_extension(X509 *certificate, X509 *issuer, const char *name, const char *value)
{
    X509V3_CTX      ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    e = X509V3_EXT_nconf(NULL, &ctx, name, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(certificate, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* Unsigned yet. `issuer` NULL: itself. */
static inline X509 *tdx_maker_certificate(const char *cn, long serial, EVP_PKEY *key, X509 *issuer, bool is_ca, int64_t now)
{
    const char *const parts[][2] = { { "CN", cn }, { "O", "Cloister test root: protects nothing" }, { "C", "US" } };
    X509             *made       = X509_new();
    time_t            from       = (time_t) now - TDX_MAKER_DAY;

    assert_non_null(made);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(made), parts[i][0], MBSTRING_ASC,
                                                    (const unsigned char *) parts[i][1], -1, -1, 0), 1);
    issuer = issuer ? issuer : made;
    assert_int_equal(X509_set_version(made, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(made), serial), 1);
    assert_int_equal(X509_set_issuer_name(made, X509_get_subject_name(issuer)), 1);
    assert_non_null(X509_time_adj_ex(X509_getm_notBefore(made), 0, 0, &from));
    assert_non_null(X509_time_adj_ex(X509_getm_notAfter(made), 3650, 0, &from));
    assert_int_equal(X509_set_pubkey(made, key), 1);
    tdx_maker_extension(made, issuer, "keyUsage", is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature,nonRepudiation");
    tdx_maker_extension(made, issuer, "basicConstraints", is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    tdx_maker_extension(made, issuer, "subjectKeyIdentifier", "hash");
    tdx_maker_extension(made, issuer, "authorityKeyIdentifier", "keyid:always");
    return made;
}

static inline void tdx_maker_sgx_extension(X509 *leaf)
{
    AUTO(buffer) struct buffer value  = { 0 };
    ASN1_OBJECT               *object = OBJ_txt2obj("1.2.840.113741.1.13.1", 1);
    ASN1_OCTET_STRING         *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION            *e;

    tdx_maker_platform(&value);
    assert_int_equal(ASN1_OCTET_STRING_set(octets, value.at, (int) value.len), 1);
    e = X509_EXTENSION_create_by_OBJ(NULL, object, 0, octets);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(leaf, e, -1), 1);
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(object);
}

static inline struct tdx_maker tdx_maker_new(int64_t now)
{
    struct tdx_maker m = { EVP_EC_gen("P-256"), EVP_EC_gen("P-256"), EVP_EC_gen("P-256"), EVP_EC_gen("P-256"), EVP_EC_gen("P-256"),
                           NULL, NULL, NULL, NULL, now };

    m.root   = tdx_maker_certificate("Intel SGX Root CA", TDX_MAKER_ROOT_SERIAL, m.root_key, NULL, true, now);
    m.ca     = tdx_maker_certificate("Intel SGX PCK Platform CA", TDX_MAKER_CA_SERIAL, m.ca_key, m.root, true, now);
    m.leaf   = tdx_maker_certificate("Intel SGX PCK Certificate", TDX_MAKER_LEAF_SERIAL, m.leaf_key, m.ca, false, now);
    m.signer = tdx_maker_certificate("Intel SGX TCB Signing", TDX_MAKER_SIGNER_SERIAL, m.signer_key, m.root, false, now);
    tdx_maker_sgx_extension(m.leaf);
    assert_true(X509_sign(m.root, m.root_key, EVP_sha256()) > 0 && X509_sign(m.ca, m.root_key, EVP_sha256()) > 0 &&
                X509_sign(m.leaf, m.ca_key, EVP_sha256()) > 0 && X509_sign(m.signer, m.root_key, EVP_sha256()) > 0);
    return m;
}

static inline void tdx_maker_pem(X509 *certificate, struct buffer *out)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    char          *at;
    long           len;

    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    len = BIO_get_mem_data(bio, &at);
    buffer_append(out, (struct bytes){ (const uint8_t *) at, (size_t) len });
}

/* A revocation list, DER; `revoked` is a serial number, 0: none. */
static inline void tdx_maker_crl(X509 *issuer, EVP_PKEY *key, long revoked, int64_t issued, int64_t next, struct buffer *out)
{
    AUTO(x509_crl) X509_CRL *crl  = X509_CRL_new();
    ASN1_TIME               *from = ASN1_TIME_set(NULL, (time_t) issued), *to = ASN1_TIME_set(NULL, (time_t) next);
    const char *const        extensions[][2] = { { "authorityKeyIdentifier", "keyid:always" }, { "crlNumber", "1" } };
    X509V3_CTX               ctx;
    unsigned char           *der = NULL;
    int                      len;

    assert_int_equal(X509_CRL_set_version(crl, 1), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, from), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(crl, to), 1);
    if (revoked) {
        X509_REVOKED *one    = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();

        assert_true(ASN1_INTEGER_set(serial, revoked) == 1 && X509_REVOKED_set_serialNumber(one, serial) == 1 &&
                    X509_REVOKED_set_revocationDate(one, from) == 1 && X509_CRL_add0_revoked(crl, one) == 1);
        ASN1_INTEGER_free(serial);
    }
    X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
    for (size_t i = 0; i < 2; i++) {
        ASN1_INTEGER   *number = ASN1_INTEGER_new();
        X509_EXTENSION *e;

        assert_int_equal(ASN1_INTEGER_set(number, 1), 1);
        e = i == 0 ? X509V3_EXT_nconf(NULL, &ctx, extensions[i][0], extensions[i][1]) : X509V3_EXT_i2d(NID_crl_number, 0, number);
        assert_non_null(e);
        assert_int_equal(X509_CRL_add_ext(crl, e, -1), 1);
        X509_EXTENSION_free(e);
        ASN1_INTEGER_free(number);
    }
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    len = i2d_X509_CRL(crl, &der);
    assert_true(len > 0);
    buffer_append(out, (struct bytes){ der, (size_t) len });
    OPENSSL_free(der);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
}

/* ---- signed documents ---- */

/* r and s, 32 bytes each, big endian. */
static inline void tdx_maker_sign(EVP_PKEY *key, struct bytes over, uint8_t out[static 64])
{
    AUTO(md_ctx) EVP_MD_CTX   *md = EVP_MD_CTX_new();
    AUTO(ecdsa_sig) ECDSA_SIG *sig;
    uint8_t                    der[80];
    const unsigned char       *at  = der;
    size_t                     len = sizeof der;

    assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(md, der, &len, over.at, over.len), 1);
    sig = d2i_ECDSA_SIG(NULL, &at, (long) len);
    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32), 32);
}

static inline void tdx_maker_document(const struct tdx_maker *m, const char *name, const struct buffer *body, struct buffer *out)
{
    uint8_t signature[64];

    tdx_maker_sign(m->signer_key, buffer_bytes(body), signature);
    buffer_printf(out, "{\"%s\":", name);
    buffer_append(out, buffer_bytes(body));
    buffer_append_text(out, ",\"signature\":\"");
    hex_append(out, BYTES_OF(signature));
    buffer_append_text(out, "\"}");
}

static inline void tdx_maker_date(int64_t at, char out[static 32])
{
    time_t    t = (time_t) at;
    struct tm tm;

    assert_non_null(gmtime_r(&t, &tm));
    assert_true(strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
}

/* What collateral says, and until when: one member changed is one defect. */
struct tdx_maker_collateral {
    const char *tcb_status;    /* of every level of the platform; "UpToDate" */
    int64_t     documents_end; /* nextUpdate of TCB info and QE identity */
    int64_t     lists_end;     /* nextUpdate of both revocation lists */
    long        revoked_leaf;  /* a serial on the PCK list; 0: none */
};

static inline struct tdx_maker_collateral tdx_maker_good(const struct tdx_maker *m)
{
    return (struct tdx_maker_collateral){ "UpToDate", m->now + 30 * TDX_MAKER_DAY, m->now + 30 * TDX_MAKER_DAY, 0 };
}

static inline void tdx_maker_components(struct buffer *out, const char *name)
{
    buffer_printf(out, "\"%s\":[", name);
    for (int i = 0; i < 16; i++)
        buffer_printf(out, "%s{\"svn\":%d}", i ? "," : "", i == 1 && name[0] == 't' ? 0 : 5); /* TDX: a module of version 0 */
    buffer_append_text(out, "]");
}

static inline void tdx_maker_tcb_info(const struct tdx_maker *m, const struct tdx_maker_collateral *c, struct buffer *out)
{
    AUTO(buffer) struct buffer body = { 0 };
    char                       from[32], to[32];

    tdx_maker_date(m->now - TDX_MAKER_DAY, from);
    tdx_maker_date(c->documents_end, to);
    buffer_printf(&body, "{\"id\":\"TDX\",\"version\":3,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\",\"fmspc\":\"", from, to);
    hex_append(&body, BYTES_OF(TDX_MAKER_FMSPC));
    buffer_append_text(&body, "\",\"pceId\":\"0000\",\"tcbType\":0,\"tcbEvaluationDataNumber\":17,\"tdxModule\":{\"mrsigner\":\"");
    hex_append(&body, BYTES_OF(((const uint8_t[TDX_MAKER_MR_LEN]){ 0 })));
    buffer_append_text(&body, "\",\"attributes\":\"0000000000000000\",\"attributesMask\":\"ffffffffffffffff\"},\"tcbLevels\":[{\"tcb\":{");
    tdx_maker_components(&body, "sgxtcbcomponents");
    buffer_append_text(&body, ",\"pcesvn\":13,");
    tdx_maker_components(&body, "tdxtcbcomponents");
    buffer_printf(&body, "},\"tcbDate\":\"%s\",\"tcbStatus\":\"%s\"}]}", from, c->tcb_status);
    tdx_maker_document(m, "tcbInfo", &body, out);
}

static inline void tdx_maker_qe_identity(const struct tdx_maker *m, const struct tdx_maker_collateral *c, struct buffer *out)
{
    AUTO(buffer) struct buffer body = { 0 };
    char                       from[32], to[32];

    tdx_maker_date(m->now - TDX_MAKER_DAY, from);
    tdx_maker_date(c->documents_end, to);
    buffer_printf(&body, "{\"id\":\"TD_QE\",\"version\":2,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\",\"tcbEvaluationDataNumber\":17,"
                         "\"miscselect\":\"00000000\",\"miscselectMask\":\"ffffffff\",\"attributes\":\"11000000000000000000000000000000\","
                         "\"attributesMask\":\"fbffffffffffffff0000000000000000\",\"mrsigner\":\"", from, to);
    hex_append(&body, BYTES_OF(TDX_MAKER_QE_SIGNER));
    buffer_printf(&body, "\",\"isvprodid\":2,\"tcbLevels\":[{\"tcb\":{\"isvsvn\":4},\"tcbDate\":\"%s\",\"tcbStatus\":\"UpToDate\"}]}", from);
    tdx_maker_document(m, "enclaveIdentity", &body, out);
}

/* What Intel's service, or a PCCS at `base`, would say of this platform: four answers, answer_free() each. */
static inline void tdx_maker_answers(const struct tdx_maker *m, const struct tdx_maker_collateral *c, const char *base, struct answer answers[static 4])
{
    pcs_tcb_info_url(base, TDX_MAKER_FMSPC, PCS_UPDATE_STANDARD, &answers[0].url);
    pcs_qe_identity_url(base, PCS_UPDATE_STANDARD, &answers[1].url);
    pcs_pck_crl_url(base, true, &answers[2].url);
    if (strcmp(base, PCS_BASE_URL) == 0)
        buffer_append_text(&answers[3].url, PCS_ROOT_CRL_URL);
    else
        buffer_printf(&answers[3].url, "%s/sgx/certification/v4/rootcacrl", base);
    tdx_maker_tcb_info(m, c, &answers[0].body);
    tdx_maker_pem(m->signer, &answers[0].issuer_chain);
    tdx_maker_pem(m->root, &answers[0].issuer_chain);
    tdx_maker_qe_identity(m, c, &answers[1].body);
    tdx_maker_crl(m->ca, m->ca_key, c->revoked_leaf, m->now - TDX_MAKER_DAY, c->lists_end, &answers[2].body);
    tdx_maker_crl(m->root, m->root_key, 0, m->now - TDX_MAKER_DAY, c->lists_end, &answers[3].body);
}

/* The bundle that `collateral` names. */
static inline void tdx_maker_bundle(const struct tdx_maker *m, const struct tdx_maker_collateral *c, struct buffer *out)
{
    struct answer answers[4] = { { { 0 } } };

    tdx_maker_answers(m, c, PCS_BASE_URL, answers);
    bundle_write(answers, 4, out);
    for (size_t i = 0; i < 4; i++)
        answer_free(&answers[i]);
}

/* ---- quotes ---- */

/* A TD and what is wrong with it. */
struct tdx_guest {
    const struct tdx_maker *maker;
    uint64_t                attributes, xfam;
    uint8_t                 mrtd[TDX_MAKER_MR_LEN], mrconfigid[TDX_MAKER_MR_LEN], rtmr[4][TDX_MAKER_MR_LEN];
    uint8_t                 component;        /* each of TEE_TCB_SVN but the module's version; 5 */
    bool                    breaks_signature; /* one bit of the quote's */
    bool                    breaks_key;       /* an attestation key that the QE report does not name */
};

static inline struct tdx_guest tdx_guest_good(const struct tdx_maker *m)
{
    struct tdx_guest g = { .maker = m, .attributes = 1ULL << 28 /* SEPT_VE_DISABLE */, .xfam = 0x602e7, .component = 5 };

    memset(g.mrtd, 0x11, sizeof g.mrtd);
    memset(g.mrconfigid, 0x22, sizeof g.mrconfigid);
    memset(g.rtmr[1], 0x31, sizeof g.rtmr[1]);
    memset(g.rtmr[2], 0x32, sizeof g.rtmr[2]);
    return g;
}

static inline void tdx_guest_body(const struct tdx_guest *g, const uint8_t report_data[static 64], struct writer *w)
{
    for (int i = 0; i < 16; i++)
        put_u8(w, i == 1 ? 0 : g->component); /* TEE_TCB_SVN: a module of version 0 */
    put_zeros(w, 48 + 48 + 8);                /* MRSEAM, MRSIGNERSEAM, SEAMATTRIBUTES */
    put_u64le(w, g->attributes);
    put_u64le(w, g->xfam);
    put(w, BYTES_OF(g->mrtd));
    put(w, BYTES_OF(g->mrconfigid));
    put_zeros(w, 48 + 48); /* MROWNER, MROWNERCONFIG */
    put(w, BYTES_OF(g->rtmr));
    put(w, (struct bytes){ report_data, 64 });
}

static inline void tdx_maker_point(EVP_PKEY *key, uint8_t out[static 64])
{
    uint8_t point[65];
    size_t  len = 0;

    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof point, &len), 1);
    assert_int_equal(len, sizeof point);
    memcpy(out, point + 1, 64);
}

/* The quoting enclave's report: its data is the hash of the attestation key. [tdx.md 1.5, 2.6] */
static inline void tdx_maker_qe_report(const uint8_t key[static 64], struct writer *w)
{
    uint8_t digest[SHA256_LEN];

    sha256_of((struct bytes){ key, 64 }, digest);
    put_zeros(w, 48);
    put_u64le(w, 0x15); /* attributes */
    put_zeros(w, 8 + 32 + 32);
    put(w, BYTES_OF(TDX_MAKER_QE_SIGNER));
    put_zeros(w, 96);
    put_u16le(w, 2); /* ISVPRODID */
    put_u16le(w, 4); /* ISVSVN */
    put_zeros(w, 60);
    put(w, BYTES_OF(digest));
    put_zeros(w, 32);
}

/* A quote of version 4. Appends it. */
static inline void tdx_guest_quote(const struct tdx_guest *g, const uint8_t report_data[static 64], struct buffer *out)
{
    static const uint8_t VENDOR[16] = { 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07 };
    AUTO(buffer) struct buffer chain = { 0 };
    uint8_t       quote[TDX_MAKER_QUOTE_MAX], signature[64], key[64], *qe;
    struct writer w = writer_over(quote, sizeof quote);

    tdx_maker_pem(g->maker->leaf, &chain);
    tdx_maker_pem(g->maker->ca, &chain);
    tdx_maker_pem(g->maker->root, &chain);
    put_u16le(&w, 4);
    put_u16le(&w, 2);
    put_u32le(&w, 0x81);
    put_zeros(&w, 4);
    put(&w, BYTES_OF(VENDOR));
    put_zeros(&w, 20);
    tdx_guest_body(g, report_data, &w);
    assert_int_equal(w.len, 48 + TDX_MAKER_BODY_LEN);
    tdx_maker_sign(g->maker->attestation_key, writer_bytes(&w), signature);
    signature[63] ^= g->breaks_signature;
    tdx_maker_point(g->maker->attestation_key, key);
    put_u32le(&w, (uint32_t) (134 + 384 + 64 + 2 + 6 + chain.len));
    put(&w, BYTES_OF(signature));
    put(&w, BYTES_OF(key));
    put_u16le(&w, 6);
    put_u32le(&w, (uint32_t) (384 + 64 + 2 + 6 + chain.len));
    qe = quote + w.len;
    key[0] ^= g->breaks_key;
    tdx_maker_qe_report(key, &w);
    tdx_maker_sign(g->maker->leaf_key, (struct bytes){ qe, 384 }, signature);
    put(&w, BYTES_OF(signature));
    put_u16le(&w, 0);
    put_u16le(&w, 5);
    put_u32le(&w, (uint32_t) chain.len);
    put(&w, buffer_bytes(&chain));
    assert_false(w.failed);
    buffer_append(out, writer_bytes(&w));
}
