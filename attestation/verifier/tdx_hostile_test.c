/*
 * The hostile corpus: every single-bit change and every truncation of two quotes and of everything around them, and
 * every splice of their parts. None may be accepted, and each is refused for a reason that fits where it was hurt.
 * A signature that has been verified once is remembered by key, message and signature: what a change does not touch is
 * not computed again, and whatever it touches is.
 */
#include "tests/harness/test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "attestation/verifier/instant.h"
#include "attestation/verifier/tdx.h"
#include "tests/harness/vectors.h"

/* The linker puts these in front of the verifier's own (--wrap), which have the name __real_. */
typedef bool signed_fn(EVP_PKEY *key, struct bytes message, struct bytes signature);
signed_fn __real_p256_signed, __wrap_p256_signed, __real_p256_signed_der, __wrap_p256_signed_der;
typedef FALLIBLE key_fn(struct bytes point, EVP_PKEY *like, EVP_PKEY **out, struct err *err);
key_fn __real_p256_key_of, __wrap_p256_key_of;

enum { REMEMBERED = 4096 };
static struct { bool is_set, holds; uint8_t question[SHA256_LEN]; } remembered[REMEMBERED];
static size_t n_asked, n_computed;

static void question_digest(signed_fn *form, EVP_PKEY *key, struct bytes message, struct bytes signature,
                            uint8_t out[static SHA256_LEN])
{
    AUTO(md_ctx) EVP_MD_CTX *hash  = EVP_MD_CTX_new();
    unsigned char           *point = NULL;
    size_t                   len   = EVP_PKEY_get1_encoded_public_key(key, &point);
    const size_t             sizes[] = { form == __real_p256_signed, len, message.len, signature.len };

    assert_true(len > 0 && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(hash, sizes, sizeof sizes) == 1 && EVP_DigestUpdate(hash, point, len) == 1 &&
                EVP_DigestUpdate(hash, message.at, message.len) == 1 &&
                EVP_DigestUpdate(hash, signature.at, signature.len) == 1 && EVP_DigestFinal_ex(hash, out, NULL) == 1);
    OPENSSL_free(point);
}

static bool intel_signs_anything; /* then every signature holds: what a signer would have to be believed */

static bool signed_once(signed_fn *form, EVP_PKEY *key, struct bytes message, struct bytes signature)
{
    uint8_t  question[SHA256_LEN];
    unsigned slot;

    if (intel_signs_anything)
        return true;
    question_digest(form, key, message, signature, question);
    slot = (unsigned) (question[0] << 8 | question[1]) % REMEMBERED;
    n_asked++;
    if (!remembered[slot].is_set || memcmp(remembered[slot].question, question, sizeof question) != 0) {
        remembered[slot].is_set = true;
        remembered[slot].holds  = form(key, message, signature);
        memcpy(remembered[slot].question, question, sizeof question);
        n_computed++;
    }
    return remembered[slot].holds;
}

bool __wrap_p256_signed(EVP_PKEY *key, struct bytes message, struct bytes signature)
{
    return signed_once(__real_p256_signed, key, message, signature);
}

bool __wrap_p256_signed_der(EVP_PKEY *key, struct bytes message, struct bytes signature)
{
    return signed_once(__real_p256_signed_der, key, message, signature);
}

enum { KEYS_REMEMBERED = 16 };
static struct { uint8_t point[P256_POINT_LEN]; EVP_PKEY *key; } keys[KEYS_REMEMBERED];

/* Keys of points that have been found on the curve before. */
FALLIBLE __wrap_p256_key_of(struct bytes point, EVP_PKEY *like, EVP_PKEY **out, struct err *err)
{
    size_t slot = point.len == P256_POINT_LEN ? point.at[0] % KEYS_REMEMBERED : 0;

    if (!keys[slot].key || !bytes_equal(point, BYTES_OF(keys[slot].point))) {
        EVP_PKEY *made = NULL;

        if (!__real_p256_key_of(point, like, &made, err))
            return false;
        EVP_PKEY_free(keys[slot].key);
        keys[slot].key = made;
        memcpy(keys[slot].point, point.at, P256_POINT_LEN); /* it would not be a point with another length */
    }
    *out = keys[slot].key;
    return EVP_PKEY_up_ref(*out) == 1;
}

static int keys_forget(void **state)
{
    (void) state;
    for (size_t i = 0; i < KEYS_REMEMBERED; i++)
        EVP_PKEY_free(keys[i].key);
    return 0;
}

enum part { QUOTE, TCB_INFO, QE_IDENTITY, ISSUER_CHAIN, ROOT_CA, ROOT_CRL, PCK_CRL, N_PARTS };

static const char *const part_files[N_PARTS] = { "quote.bin", "tcb_info.json", "qe_identity.json", "issuer_chain.pem",
                                                 "root_ca.pem", "root_ca_crl.der", "pck_crl.der" };

struct specimen {
    struct buffer part[N_PARTS];
    int64_t       now;
};

static const char *const folders[] = { "intel_v4", "intel_v5" };
static const char *const times[]   = { "2025-07-01T00:00:00Z", "2026-03-01T00:00:00Z" };
enum { N_SPECIMENS = 2 };

static void specimen_free(struct specimen *s)
{
    for (size_t i = 0; i < N_PARTS; i++)
        buffer_free(&s->part[i]);
}
static inline void auto_specimen(struct specimen *s) { specimen_free(s); }

static struct specimen specimen_read(size_t which)
{
    struct specimen s = { 0 };
    char            path[128];

    for (size_t i = 0; i < N_PARTS; i++) {
        (void) snprintf(path, sizeof path, "tdx/%s/%s", folders[which], part_files[i]); /* short names */
        s.part[i] = own_vector(path);
    }
    assert_true(instant_of_text(bytes_of_text(times[which]), &s.now));
    return s;
}

static struct tdx_files files_of(const struct specimen *s)
{
    return (struct tdx_files){ buffer_bytes(&s->part[TCB_INFO]), buffer_bytes(&s->part[QE_IDENTITY]),
                               buffer_bytes(&s->part[ISSUER_CHAIN]), buffer_bytes(&s->part[ROOT_CA]),
                               buffer_bytes(&s->part[ROOT_CRL]), buffer_bytes(&s->part[PCK_CRL]) };
}

static enum verdict_reason verify(const struct specimen *s)
{
    struct tdx_policy   policy;
    struct tdx_files    files = files_of(s);
    struct tdx_question q     = { &policy, s->now, NULL };
    struct tdx_result   result;

    tdx_policy_default(&policy);
    return tdx_verify(buffer_bytes(&s->part[QUOTE]), &files, &q, &result) ? REASON_OK : result.verdict.reason;
}

/* Reasons that may answer a change in one region; the rows of one region end with REASON_OK. */
struct region {
    const char         *name;
    size_t              end; /* offset behind it; 0: to the end */
    enum verdict_reason reasons[12];
};

#define CHAIN_REASONS                                                                                        \
    REASON_TDX_FORMAT, REASON_TDX_BAD_CHAIN, REASON_TDX_BAD_CERTIFICATE, REASON_TDX_UNTRUSTED_ROOT,          \
    REASON_TDX_BAD_CERT_SIGNATURE, REASON_TDX_BAD_PCK_CERT

static bool region_allows(const struct region *r, enum verdict_reason reason)
{
    for (size_t i = 0; r->reasons[i] != REASON_OK; i++)
        if (r->reasons[i] == reason)
            return true;
    return false;
}

static const struct region *region_at(const struct region *regions, size_t offset)
{
    while (regions->end != 0 && offset >= regions->end)
        regions++;
    return regions;
}

static void assert_refused(const struct region *r, size_t at, unsigned bit, enum verdict_reason reason)
{
    if (reason == REASON_OK || !region_allows(r, reason))
        fail_msg("%s: offset %zu bit %u: %s", r->name, at, bit, reason_code(reason));
}

/* Quotes are judged against collateral that was verified once, as a broker does: platforms are read when they change. */
static void every_bit_of_the_quotes_counts(void **state)
{
    (void) state;
    for (size_t which = 0; which < N_SPECIMENS; which++) {
        AUTO(specimen) struct specimen              s          = specimen_read(which);
        AUTO(tdx_platform) struct tdx_platform     *platform   = NULL;
        AUTO(tdx_collateral) struct tdx_collateral *collateral = NULL;
        struct tdx_files                            files      = files_of(&s);
        struct tdx_policy                           policy;
        struct tdx_question                         q = { &policy, s.now, NULL };
        struct tdx_result                           result;
        struct verdict                              v;
        struct appraisal                            a    = appraisal_start(&v, NULL);
        struct bytes                                whole = buffer_bytes(&s.part[QUOTE]);

        tdx_policy_default(&policy);
        collateral = tdx_collateral_new(&files, &a);
        assert_non_null(collateral);
        assert_true(tdx_verify_cached(whole, collateral, &platform, &q, &result));

        size_t body = result.quote.signed_part.len, key = body + 4 + 64, certified = key + 64 + 6;
        size_t auth = certified + 384 + 64 + 2, chain = auth + result.quote.qe_auth.len + 6;
        size_t chain_end = chain + result.quote.pck_chain.len;
        const struct region regions[] = {
            { "header and body", body, { REASON_TDX_FORMAT, REASON_TDX_BAD_QUOTE_SIGNATURE, REASON_OK } },
            { "signature length", body + 4, { REASON_TDX_FORMAT, REASON_OK } },
            { "signature", key, { REASON_TDX_BAD_QUOTE_SIGNATURE, REASON_OK } },
            { "attestation key", key + 64, { REASON_TDX_BAD_QE_REPORT_DATA, REASON_OK } },
            { "certification type and size", certified, { REASON_TDX_FORMAT, REASON_OK } },
            { "QE report and its signature", certified + 448, { REASON_TDX_BAD_QE_REPORT_SIGNATURE, REASON_OK } },
            { "authentication data length", auth, { REASON_TDX_FORMAT, REASON_OK } },
            { "authentication data", chain - 6, { REASON_TDX_BAD_QE_REPORT_DATA, REASON_OK } },
            { "chain type and size", chain, { REASON_TDX_FORMAT, REASON_OK } },
            { "PCK chain", chain_end, { CHAIN_REASONS, REASON_OK } },
            { "padding", 0, { REASON_TDX_FORMAT, REASON_OK } },
        };

        for (size_t at = 0; at < whole.len; at++) {
            const struct region *r = region_at(regions, at);

            for (unsigned bit = 0; bit < 8; bit++) {
                AUTO(tdx_platform) struct tdx_platform  *changed = NULL;
                struct tdx_platform                    **use     = at >= chain && at < chain_end + 1 ? &changed : &platform;

                s.part[QUOTE].at[at] ^= (uint8_t) (1U << bit);
                assert_refused(r, at, bit, tdx_verify_cached(whole, collateral, use, &q, &result)
                                               ? REASON_OK : result.verdict.reason);
                s.part[QUOTE].at[at] ^= (uint8_t) (1U << bit);
            }
        }
        print_message("%s: %zu changed quotes refused\n", folders[which], whole.len * 8);
        assert_true(tdx_verify_cached(whole, collateral, &platform, &q, &result));
    }
}

static const struct region collateral_regions[N_PARTS] = {
    [TCB_INFO]     = { "TCB info", 0, { REASON_TDX_BAD_COLLATERAL_FORMAT, REASON_TDX_BAD_COLLATERAL_SIGNATURE, REASON_OK } },
    [QE_IDENTITY]  = { "QE identity", 0, { REASON_TDX_BAD_COLLATERAL_FORMAT, REASON_TDX_BAD_COLLATERAL_SIGNATURE, REASON_OK } },
    [ISSUER_CHAIN] = { "issuer chain", 0, { CHAIN_REASONS, REASON_TDX_BAD_TCB_SIGNER, REASON_OK } },
    [ROOT_CA]      = { "trust root", 0, { REASON_TDX_BAD_ROOT, REASON_TDX_BAD_CERTIFICATE, REASON_OK } },
    [ROOT_CRL]     = { "root list", 0, { REASON_TDX_BAD_CRL, REASON_TDX_CRL_ISSUER_MISMATCH, REASON_TDX_BAD_CRL_SIGNATURE, REASON_OK } },
    [PCK_CRL]      = { "PCK list", 0, { REASON_TDX_BAD_CRL, REASON_TDX_CRL_ISSUER_MISMATCH, REASON_TDX_BAD_CRL_SIGNATURE, REASON_OK } },
};

static void every_bit_of_the_collateral_counts(void **state)
{
    (void) state;
    for (size_t which = 0; which < N_SPECIMENS; which++) {
        AUTO(specimen) struct specimen s = specimen_read(which);

        assert_int_equal(verify(&s), REASON_OK);
        for (enum part p = TCB_INFO; p < PCK_CRL; p++) {
            for (size_t at = 0; at < s.part[p].len; at++)
                for (unsigned bit = 0; bit < 8; bit++) {
                    s.part[p].at[at] ^= (uint8_t) (1U << bit);
                    assert_refused(&collateral_regions[p], at, bit, verify(&s));
                    s.part[p].at[at] ^= (uint8_t) (1U << bit);
                }
            print_message("%s: %zu changed %s refused\n", folders[which], s.part[p].len * 8, part_files[p]);
        }
        assert_int_equal(verify(&s), REASON_OK);
    }
}

/* The PCK list is judged with the platform, so the rest of the collateral is verified once for all its changes. */
static enum verdict_reason platform_under(struct bytes list, struct tdx_collateral *c, struct bytes chain)
{
    AUTO(tdx_platform) struct tdx_platform *platform = NULL;
    struct verdict                          v;
    struct appraisal                        a = appraisal_start(&v, NULL);
    struct err                              err;

    if (!intel_crl_read(list, &c->pck_crl, &err))
        return REASON_TDX_BAD_CRL;
    platform = tdx_platform_new(chain, c, &a);
    return platform ? REASON_OK : v.reason;
}

static void every_bit_of_the_pck_list_counts(void **state)
{
    (void) state;
    for (size_t which = 0; which < N_SPECIMENS; which++) {
        AUTO(specimen) struct specimen              s     = specimen_read(which);
        struct tdx_files                            files = files_of(&s);
        struct buffer                              *list  = &s.part[PCK_CRL];
        AUTO(tdx_collateral) struct tdx_collateral *c     = NULL;
        struct verdict                              v;
        struct appraisal                            a = appraisal_start(&v, NULL);
        struct tdx_quote                            q;
        struct err                                  err;

        assert_true(tdx_quote_parse(buffer_bytes(&s.part[QUOTE]), &q, &err));
        c = tdx_collateral_new(&files, &a);
        assert_non_null(c);
        for (size_t at = 0; at < list->len; at++)
            for (unsigned bit = 0; bit < 8; bit++) {
                list->at[at] ^= (uint8_t) (1U << bit);
                assert_refused(&collateral_regions[PCK_CRL], at, bit, platform_under(buffer_bytes(list), c, q.pck_chain));
                list->at[at] ^= (uint8_t) (1U << bit);
            }
        assert_int_equal(platform_under(buffer_bytes(list), c, q.pck_chain), REASON_OK);
        print_message("%s: %zu changed %s refused\n", folders[which], list->len * 8, part_files[PCK_CRL]);
    }
}

/* A text may lose its last line end, and a quote its padding: both mean the same without. */
static size_t shortest_whole(const struct specimen *s, enum part p)
{
    size_t len = s->part[p].len;

    if (p == QUOTE) {
        struct tdx_quote q;
        struct err       err;

        assert_true(tdx_quote_parse(buffer_bytes(&s->part[p]), &q, &err));
        return len - q.trailing.len;
    }
    while (len > 0 && p != ROOT_CRL && p != PCK_CRL && s->part[p].at[len - 1] == '\n')
        len--;
    return len;
}

static void every_truncation_is_refused(void **state)
{
    (void) state;
    for (size_t which = 0; which < N_SPECIMENS; which++) {
        AUTO(specimen) struct specimen s = specimen_read(which);

        for (enum part p = QUOTE; p < N_PARTS; p++) {
            size_t whole = s.part[p].len, shortest = shortest_whole(&s, p);

            for (s.part[p].len = 0; s.part[p].len < shortest; s.part[p].len++) {
                enum verdict_reason reason = verify(&s);

                if (p == QUOTE ? reason != REASON_TDX_FORMAT : !region_allows(&collateral_regions[p], reason))
                    fail_msg("%s cut to %zu: %s", part_files[p], s.part[p].len, reason_code(reason));
            }
            s.part[p].len = whole;
        }
        assert_int_equal(verify(&s), REASON_OK);
    }
}

/* Files of two specimens, mixed in every way: only those that are one specimen in substance are accepted. */
static void spliced_collateral_is_refused(void **state)
{
    AUTO(specimen) struct specimen one = specimen_read(0), other = specimen_read(1);
    size_t                         n_refused = 0;

    (void) state;
    for (unsigned mix = 0; mix < 1U << N_PARTS; mix++) {
        struct specimen spliced = { .now = one.now };
        bool            is_one  = true;

        for (unsigned p = 0; p < N_PARTS; p++) {
            spliced.part[p] = (mix >> p & 1 ? &other : &one)->part[p];
            is_one &= bytes_equal(buffer_bytes(&spliced.part[p]), buffer_bytes(&one.part[p]));
        }
        enum verdict_reason reason = verify(&spliced);

        if ((reason == REASON_OK) != is_one)
            fail_msg("mix %#x: %s", mix, reason_code(reason));
        n_refused += reason != REASON_OK;
    }
    print_message("%zu mixtures of files refused\n", n_refused);
    assert_true(n_refused >= 96);
}

enum piece { SIGNED, SIGNATURE, KEY, QE_REPORT, QE_SIGNATURE, QE_AUTH, CHAIN, N_PIECES };

static void pieces_of(const struct tdx_quote *q, struct bytes out[static N_PIECES])
{
    out[SIGNED]       = q->signed_part;
    out[SIGNATURE]    = q->signature;
    out[KEY]          = q->attestation_key;
    out[QE_REPORT]    = q->qe_report.whole;
    out[QE_SIGNATURE] = q->qe_report_signature;
    out[QE_AUTH]      = q->qe_auth;
    out[CHAIN]        = q->pck_chain;
}

static void quote_assemble(const struct bytes piece[static N_PIECES], struct buffer *out)
{
    size_t        certified = 384 + 64 + 2 + piece[QE_AUTH].len + 6 + piece[CHAIN].len;
    uint8_t      *room      = buffer_grow(out, piece[SIGNED].len + 4 + 134 + certified);
    struct writer w         = writer_over(room, out->len);
    struct err    err;

    put(&w, piece[SIGNED]);
    put_u32le(&w, (uint32_t) (134 + certified));
    put(&w, piece[SIGNATURE]);
    put(&w, piece[KEY]);
    put_u16le(&w, 6);
    put_u32le(&w, (uint32_t) certified);
    put(&w, piece[QE_REPORT]);
    put(&w, piece[QE_SIGNATURE]);
    put_u16le(&w, (uint16_t) piece[QE_AUTH].len);
    put(&w, piece[QE_AUTH]);
    put_u16le(&w, 5);
    put_u32le(&w, (uint32_t) piece[CHAIN].len);
    put(&w, piece[CHAIN]);
    assert_true(writer_ok(&w, &err));
}

static void spliced_quotes_are_refused(void **state)
{
    struct specimen                s[N_SPECIMENS] = { specimen_read(0), specimen_read(1) };
    struct bytes                   piece[N_SPECIMENS][N_PIECES];
    struct tdx_quote               q;
    struct err                     err;
    size_t                         n_accepted = 0;

    (void) state;
    for (size_t i = 0; i < N_SPECIMENS; i++) {
        assert_true(tdx_quote_parse(buffer_bytes(&s[i].part[QUOTE]), &q, &err));
        pieces_of(&q, piece[i]);
    }
    for (unsigned mix = 0; mix < 1U << N_PIECES; mix++)
        for (size_t under = 0; under < N_SPECIMENS; under++) {
            AUTO(buffer) struct buffer quote   = { 0 };
            struct bytes               mixed[N_PIECES];
            struct specimen            spliced = s[under];
            bool                       is_whole = true;

            for (unsigned p = 0; p < N_PIECES; p++) {
                mixed[p] = piece[mix >> p & 1][p];
                is_whole &= bytes_equal(mixed[p], piece[under][p]);
            }
            quote_assemble(mixed, &quote);
            spliced.part[QUOTE] = quote;
            assert_int_equal(verify(&spliced) == REASON_OK, is_whole);
            n_accepted += is_whole;
        }
    assert_true(n_accepted >= 2); /* the quotes themselves, so that assembling is known to work */
    for (size_t i = 0; i < N_SPECIMENS; i++)
        specimen_free(&s[i]);
}

static void replace_once(struct buffer *in, const char *old, const char *new)
{
    char *at = strstr((char *) (uintptr_t) buffer_text(in), old);

    assert_true(at && strlen(old) == strlen(new));
    memcpy(at, new, strlen(new));
}

/* A signature alone makes no document: what is signed must also be of the kind and version that is read. */
static void a_signed_document_of_another_kind_is_refused(void **state)
{
    static const struct { enum part part; const char *old, *new; enum verdict_reason reason; } rows[] = {
        { QE_IDENTITY, "\"version\":2", "\"version\":2", REASON_OK },
        { QE_IDENTITY, "\"version\":2", "\"version\":3", REASON_TDX_BAD_COLLATERAL_FORMAT },
        { QE_IDENTITY, "\"id\":\"TD_QE\"", "\"id\":\"XX_QE\"", REASON_TDX_QE_IDENTITY_MISMATCH },
        { TCB_INFO, "\"version\":3", "\"version\":2", REASON_TDX_BAD_COLLATERAL_FORMAT },
        { TCB_INFO, "\"id\":\"TDX\"", "\"id\":\"SGX\"", REASON_TDX_TCB_INFO_MISMATCH },
    };

    (void) state;
    intel_signs_anything = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(specimen) struct specimen s = specimen_read(0);
        enum verdict_reason            reason;

        replace_once(&s.part[rows[i].part], rows[i].old, rows[i].new);
        reason = verify(&s);
        if (reason != rows[i].reason)
            fail_msg("%s: %s", rows[i].new, reason_code(reason));
    }
    intel_signs_anything = false;
}

/* The same certificate with other basic constraints, in PEM; its signature is of no worth. */
static void reissue(X509 *c, const char *constraints, struct buffer *out)
{
    AUTO(pkey) EVP_PKEY *key   = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    AUTO(bio) BIO       *text  = BIO_new(BIO_s_mem());
    X509_EXTENSION      *other = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, constraints);
    char                *at    = NULL;

    X509_EXTENSION_free(X509_delete_ext(c, X509_get_ext_by_NID(c, NID_basic_constraints, -1)));
    assert_true(other && X509_add_ext(c, other, -1) == 1 && X509_sign(c, key, EVP_sha256()) > 0);
    X509_EXTENSION_free(other);
    assert_int_equal(PEM_write_bio_X509(text, c), 1);
    long len = BIO_get_mem_data(text, &at);

    buffer_append(out, (struct bytes){ (const uint8_t *) at, (size_t) len });
}

/* An authority is one, and an end entity is none, whoever signed it. */
static void constraints_make_an_authority(void **state)
{
    static const struct { enum part part; const char *constraints; enum verdict_reason reason; } rows[] = {
        { ROOT_CA, "critical,CA:FALSE", REASON_TDX_BAD_ROOT },
        { ISSUER_CHAIN, "critical,CA:FALSE", REASON_OK },
        { ISSUER_CHAIN, "critical,CA:TRUE", REASON_TDX_BAD_TCB_SIGNER },
    };

    (void) state;
    intel_signs_anything = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(specimen) struct specimen s    = specimen_read(0);
        struct buffer                 *part = &s.part[rows[i].part];
        AUTO(buffer) struct buffer     made = { 0 };
        const uint8_t                 *der  = part->at;
        AUTO(bio) BIO                 *in   = BIO_new_mem_buf(part->at, (int) part->len);
        AUTO(x509) X509               *c    = part->at[0] == '-' ? PEM_read_bio_X509(in, NULL, NULL, NULL)
                                                                 : d2i_X509(NULL, &der, (long) part->len);
        const char                    *rest = part->at[0] == '-' ? strstr(buffer_text(part) + 1, "-----BEGIN") : NULL;
        enum verdict_reason            reason;

        assert_non_null(c);
        reissue(c, rows[i].constraints, &made);
        buffer_append(&made, bytes_of_text(rest));
        buffer_free(part);
        *part  = TAKE(made);
        reason = verify(&s);
        if (reason != rows[i].reason)
            fail_msg("%s %s: %s", part_files[rows[i].part], rows[i].constraints, reason_code(reason));
    }
    intel_signs_anything = false;
}

/* The memory is used, and is not all that there is. */
static void signatures_were_computed(void **state)
{
    (void) state;
    print_message("%zu signatures asked for, %zu computed\n", n_asked, n_computed);
    assert_true(n_computed > 100000 && n_computed < n_asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_of_the_quotes_counts),
        cmocka_unit_test(every_bit_of_the_collateral_counts),
        cmocka_unit_test(every_bit_of_the_pck_list_counts),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(spliced_collateral_is_refused),
        cmocka_unit_test(spliced_quotes_are_refused),
        cmocka_unit_test(a_signed_document_of_another_kind_is_refused),
        cmocka_unit_test(constraints_make_an_authority),
        cmocka_unit_test(signatures_were_computed),
    };

    return cmocka_run_group_tests(tests, NULL, keys_forget);
}
