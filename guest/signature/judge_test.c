#include "tests/harness/test.h"

#include <openssl/pem.h>

#include "base/text.h"
#include "guest/signature/judge.h"

#define NAME "r.example/team/app"

/* An owner with a key at the broker, and a registry that keeps signatures. */
struct rig {
    EVP_PKEY     *owner, *stranger;
    struct digest image;
    struct { EVP_PKEY *by; const char *name, *optional; bool is_of_another; } kept[4];
    size_t        n_kept;
    int           n_asked;
    size_t        n_bundles;
    bool          registry_fails;
};

static bool give_key(void *owner, const char *kid, struct buffer *pem, struct err *err)
{
    struct rig    *r   = owner;
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    char          *at;

    if (strcmp(kid, "kbs:///a/sig/owner") != 0)
        return fail_with(err, ERR_NOT_FOUND, "no such resource");
    assert_int_equal(PEM_write_bio_PUBKEY(bio, r->owner), 1);
    long len = BIO_get_mem_data(bio, &at);

    buffer_append(pem, (struct bytes){ (const uint8_t *) at, (size_t) len });
    return true;
}

static void sign(const struct rig *r, size_t i, struct signature *out)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx    = EVP_MD_CTX_new();
    struct digest            digest = r->image;
    size_t                   len    = 256;

    digest.value[0] ^= r->kept[i].is_of_another;
    buffer_printf(&out->payload, "{\"critical\":{\"identity\":{\"docker-reference\":\"%s\"},\"image\":"
                                 "{\"docker-manifest-digest\":\"%s\"},\"type\":\"cosign container image signature\"},"
                                 "\"optional\":%s}", r->kept[i].name, digest_text(&digest).at,
                  r->kept[i].optional ? r->kept[i].optional : "null");
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, r->kept[i].by), 1);
    assert_int_equal(EVP_DigestSign(ctx, buffer_grow(&out->signature, len), &len, out->payload.at, out->payload.len), 1);
    out->signature.len = len;
}

static bool give_signatures(void *owner, const struct digest *manifest, struct signatures *out, struct err *err)
{
    struct rig *r = owner;

    r->n_asked++;
    assert_true(digest_equal(manifest, &r->image));
    for (size_t i = 0; i < r->n_kept; i++)
        sign(r, i, &out->at[out->n++]);
    out->n_bundles = r->n_bundles;
    return !r->registry_fails || fail_with(err, ERR_TIMEOUT, "the registry is silent");
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    r->owner    = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    r->stranger = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    digest_of(bytes_of_text("an image"), DIGEST_SHA256, &r->image);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    EVP_PKEY_free(r->owner);
    EVP_PKEY_free(r->stranger);
    free(r);
    return 0;
}

/* NULL policy: none. Returns the failure's text, or "" for an image that may be used. */
static const char *judged(struct rig *r, const char *requirements, const char *name, bool is_pinned,
                          struct image_verdict *verdict)
{
    static struct err                      err;
    AUTO(image_policy) struct image_policy policy = { 0 };
    AUTO(buffer) struct buffer             text   = { 0 };
    struct image_reference                 reference;
    struct image_verdict                   unused;
    struct image_case of = { .requested = name ? &reference : NULL, .manifest = r->image, .is_pinned = is_pinned,
                             .key = give_key, .signatures = give_signatures, .owner = r };

    r->n_asked = 0;
    assert_true(!name || image_reference_read(bytes_of_text(name), &reference, &err));
    if (requirements) {
        buffer_printf(&text, "{\"default\":%s}", requirements);
        if (!image_policy_read(buffer_bytes(&text), &policy, &err))
            fail_msg("%s", err.text);
    }
    err = (struct err){ 0 };
    if (image_judge(requirements ? &policy : NULL, &of, verdict ? verdict : &unused, &err))
        return "";
    if (!r->registry_fails && !strstr(err.text, "no such resource"))
        assert_int_equal(err.kind, ERR_DENIED);
    return err.text;
}

static void assert_says(const char *text, const char *part)
{
    if (part ? !strstr(text, part) : text[0] != '\0')
        fail_msg("\"%s\" does not say \"%s\"", text, part ? part : "");
}

#define SIGNED "[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/sig/owner\",\"signedIdentity\":{\"type\":\"matchRepository\"}}]"

static void without_a_policy_only_a_digest_is_good_enough(void **state)
{
    assert_says(judged(*state, NULL, NAME ":1", false, NULL), "a tag may name anything");
    assert_says(judged(*state, NULL, NAME ":1", true, NULL), NULL);
    assert_says(judged(*state, NULL, NULL, true, NULL), NULL);
}

static void the_owners_word_counts(void **state)
{
    assert_says(judged(*state, "[{\"type\":\"insecureAcceptAnything\"}]", NAME ":1", false, NULL), NULL);
    assert_says(judged(*state, "[{\"type\":\"reject\"}]", NAME ":1", true, NULL), "rejects");
    assert_says(judged(*state, "[{\"type\":\"insecureAcceptAnything\"},{\"type\":\"reject\"}]", NAME ":1", true, NULL), "rejects");
    assert_says(judged(*state, "[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\"}]", NAME ":1", true, NULL), "OpenPGP");
}

/* The owner's key in each form that a policy may have it in, with a stranger's beside it where there may be several. */
static void a_key_may_be_given_in_each_form(void **state)
{
    struct rig                *r     = *state;
    AUTO(buffer) struct buffer pem   = { 0 }, owner = { 0 }, stranger = { 0 };
    struct err                 err;

    assert_true(give_key(r, "kbs:///a/sig/owner", &pem, &err));
    base64_append(&owner, buffer_bytes(&pem), BASE64_STANDARD);
    EVP_PKEY *real = r->owner;
    r->owner = r->stranger;
    pem.len  = 0;
    assert_true(give_key(r, "kbs:///a/sig/owner", &pem, &err));
    base64_append(&stranger, buffer_bytes(&pem), BASE64_STANDARD);
    r->owner   = real;
    r->kept[0].by   = real;
    r->kept[0].name = NAME;
    r->n_kept       = 1;
    const struct { const char *keys, *one, *two, *says; } rows[] = {
        { "\"keyPath\":\"kbs:///a/sig/owner\"", "", "", NULL },
        { "\"keyPaths\":[\"kbs:///a/sig/owner\",\"kbs:///a/sig/owner\"]", "", "", NULL },
        { "\"keyPaths\":[\"kbs:///a/sig/owner\",\"kbs:///a/sig/gone\"]", "", "", "no such resource" },
        { "\"keyData\":\"%s\"", buffer_text(&owner), "", NULL },
        { "\"keyData\":\"%s\"", buffer_text(&stranger), "", "no signature by the wanted key (1 found)" },
        { "\"keyDatas\":[\"%s\",\"%s\"]", buffer_text(&stranger), buffer_text(&owner), NULL },
        { "\"keyDatas\":[\"%s\",\"%s\"]", buffer_text(&stranger), buffer_text(&stranger), "no signature by the wanted key (1 found)" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer keys = { 0 }, text = { 0 };

        for (const char *c = rows[i].keys; *c; c++) {
            if (*c != '%')
                buffer_append(&keys, (struct bytes){ (const uint8_t *) c, 1 });
            else
                buffer_append_text(&keys, strchr(rows[i].keys, '%') == c++ ? rows[i].one : rows[i].two); /* %s */
        }
        buffer_printf(&text, "[{\"type\":\"sigstoreSigned\",%s,\"signedIdentity\":{\"type\":\"matchRepository\"}}]", buffer_text(&keys));
        assert_says(judged(r, buffer_text(&text), NAME ":1", false, NULL), rows[i].says);
    }
}

/* What cosign 3 writes unless it is told otherwise. */
static void says_that_a_bundle_is_not_read(void **state)
{
    struct rig *r = *state;

    r->n_bundles = 2;
    assert_says(judged(r, SIGNED, NAME ":1", false, NULL), "(0 found, and 2 sigstore bundles, which are not read: cosign sign --new-bundle-format=false)");
}

static void one_good_signature_is_enough_among_strangers(void **state)
{
    struct rig *r = *state;

    assert_says(judged(r, SIGNED, NAME ":1", true, NULL), "no signature by the wanted key (0 found)");
    r->kept[0].by = r->stranger;
    r->kept[0].name = NAME;
    r->n_kept = 1;
    assert_says(judged(r, SIGNED, NAME ":1", true, NULL), "no signature by the wanted key (1 found)");
    r->kept[1].by = r->owner;
    r->kept[1].name = NAME;
    r->n_kept = 2;
    assert_says(judged(r, SIGNED, NAME ":1", false, NULL), NULL);
    assert_int_equal(r->n_asked, 1);
    assert_says(judged(r, SIGNED, "r.example/other/app:1", false, NULL), "signed as r.example/team/app, wanted as r.example/other/app");
    assert_says(judged(r, SIGNED, NULL, true, NULL), "without a name");
    r->kept[1].is_of_another = true;
    assert_says(judged(r, SIGNED, NAME ":1", true, NULL), "of another image");
}

static void both_of_two_signers_must_have_signed(void **state)
{
    struct rig                *r    = *state;
    AUTO(bio) BIO             *bio  = BIO_new(BIO_s_mem());
    AUTO(buffer) struct buffer text = { 0 };
    char                      *pem;

    assert_int_equal(PEM_write_bio_PUBKEY(bio, r->stranger), 1);
    long len = BIO_get_mem_data(bio, &pem);

    buffer_printf(&text, "%.*s,{\"type\":\"sigstoreSigned\",\"keyData\":\"", (int) sizeof SIGNED - 2, SIGNED);
    base64_append(&text, (struct bytes){ (const uint8_t *) pem, (size_t) len }, BASE64_STANDARD);
    buffer_append_text(&text, "\",\"signedIdentity\":{\"type\":\"matchRepository\"}}]");
    r->kept[0].by = r->owner;
    r->kept[0].name = r->kept[1].name = NAME;
    r->n_kept = 1;
    assert_says(judged(r, buffer_text(&text), NAME ":1", false, NULL), "no signature by the wanted key");
    r->kept[1].by = r->stranger;
    r->n_kept = 2;
    assert_says(judged(r, buffer_text(&text), NAME ":1", false, NULL), NULL);
    assert_int_equal(r->n_asked, 1); /* fetched once for both */
}

static void an_older_signed_image_is_below_the_floor(void **state)
{
    static const struct { const char *optional, *says; } rows[] = {
        { NULL, "does not claim" },
        { "{}", "does not claim" },
        { "{\"version\":12}", "does not claim" },
        { "{\"version\":\"11\"}", "below the floor" },
        { "{\"version\":\"12\"}", NULL },
        { "{\"version\":\"100\"}", NULL },
        { "{\"version\":\"12x\"}", "below the floor" },
        { "{\"version\":\"-13\"}", "below the floor" },
        { "{\"version\":\"\"}", "below the floor" },
        { "{\"version\":\"99999999999999999999\"}", "below the floor" },
    };
    static const char floor[] = "[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/sig/owner\",\"signedIdentity\":"
                                "{\"type\":\"matchRepository\"},\"floor\":{\"annotation\":\"version\",\"atLeast\":12}}]";
    struct rig       *r       = *state;

    r->kept[0].by = r->owner;
    r->kept[0].name = NAME;
    r->n_kept = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        r->kept[0].optional = rows[i].optional;
        assert_says(judged(r, floor, NAME ":1", false, NULL), rows[i].says);
    }
}

static void wants_the_key_but_does_not_take_encryption_for_a_signature(void **state)
{
    static const char    one[]  = "[{\"type\":\"encryptedWith\",\"keyId\":\"kbs:///a/b/c\"}]";
    static const char    any[]  = "[{\"type\":\"encryptedWith\"}]";
    static const char    two[]  = "[{\"type\":\"encryptedWith\",\"keyId\":\"kbs:///a/b/c\"},"
                                  "{\"type\":\"encryptedWith\",\"keyId\":\"kbs:///a/b/d\"}]";
    struct image_verdict verdict = { 0 };

    assert_says(judged(*state, one, NAME ":1", true, &verdict), NULL);
    assert_true(verdict.must_be_encrypted);
    assert_string_equal(verdict.required_kid, "kbs:///a/b/c");
    assert_says(judged(*state, any, NAME ":1", true, &verdict), NULL);
    assert_true(verdict.must_be_encrypted);
    assert_string_equal(verdict.required_kid, "");
    assert_says(judged(*state, two, NAME ":1", true, &verdict), "two keys");
    assert_says(judged(*state, one, NAME ":1", false, &verdict), "does not vouch");
}

static void passes_on_what_fails_on_the_way(void **state)
{
    struct rig *r = *state;

    r->registry_fails = true;
    assert_says(judged(r, SIGNED, NAME ":1", true, NULL), "image policy: signatures: the registry is silent");
    r->registry_fails = false;
    assert_says(judged(r, "[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/sig/none\"}]", NAME ":1", true, NULL),
                "public key: no such resource");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(without_a_policy_only_a_digest_is_good_enough),
        TEST(the_owners_word_counts),
        TEST(a_key_may_be_given_in_each_form),
        TEST(says_that_a_bundle_is_not_read),
        TEST(one_good_signature_is_enough_among_strangers),
        TEST(both_of_two_signers_must_have_signed),
        TEST(an_older_signed_image_is_below_the_floor),
        TEST(wants_the_key_but_does_not_take_encryption_for_a_signature),
        TEST(passes_on_what_fails_on_the_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
