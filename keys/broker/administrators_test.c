#include "tests/harness/test.h"

#include <openssl/pem.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/broker/administrators.h"
#include "keys/jose/jwt.h"

enum { NOW = 1000000 };

static char     *folder;
static EVP_PKEY *ann_key, *ben_key;

static void store_public(const char *name, EVP_PKEY *key)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    char           path[4096];
    char          *at;
    long           len;
    struct err     err;

    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    len = BIO_get_mem_data(bio, &at);
    (void) snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_true(file_write(path, (struct bytes){ (const uint8_t *) at, (size_t) len }, 0644, &err));
}

static int make(void **state)
{
    struct err err;

    (void) state;
    ann_key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ben_key = EVP_EC_gen("P-256");
    if (!ann_key || !ben_key || !directory_make_temporary("administrators-", &folder, &err))
        return 1;
    store_public("ann.pub", ann_key);
    store_public("ben.pub", ben_key);
    return 0;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    EVP_PKEY_free(ann_key);
    EVP_PKEY_free(ben_key);
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

#define ANN "[[administrator]]\nname = \"ann\"\nkey = \"ann.pub\"\nroles = [\"admin\"]\ntenants = [\"*\"]\n"
#define BEN "[[administrator]]\nname = \"ben\"\nkey = \"ben.pub\"\nroles = [\"keys\", \"auditor\"]\ntenants = [\"acme\", \"lab\"]\n"
#define CRT "[[administrator]]\nname = \"ci\"\nroles = [\"reference\"]\ntenants = [\"*\"]\ncertificate_sha256 = " \
            "\"0101010101010101010101010101010101010101010101010101010101010101\"\n"
#define SIG "[[signer]]\nname = \"build\"\nkey = \"ann.pub\"\n"

static struct administrators *read_fine(const char *toml)
{
    struct administrators *a = NULL;
    struct err             err;

    if (!administrators_read(bytes_of_text(toml), folder, &a, &err))
        fail_msg("%s", err.text);
    return a;
}

static bool calls(const struct administrators *a, EVP_PKEY *key, const char *payload, struct caller *out, struct err *err)
{
    AUTO(buffer) struct buffer token = { 0 };

    assert_true(jwt_sign("", bytes_of_text(payload), key, &token, err));
    return administrators_by_token(a, buffer_bytes(&token), NOW, out, err);
}

static void a_token_is_its_administrators_by_key(void **state)
{
    AUTO(administrators) struct administrators *a    = read_fine(ANN BEN CRT);
    AUTO(caller) struct caller                  ann  = { 0 }, ben = { 0 };
    struct err                                  err;

    (void) state;
    assert_true(calls(a, ann_key, "{\"exp\":1000100}", &ann, &err));
    assert_string_equal(caller_name(&ann), "ann");
    assert_true(calls(a, ben_key, "{\"exp\":1000100,\"sub\":\"ben\",\"iat\":1000000,\"nbf\":1000030}", &ben, &err));
    assert_string_equal(caller_name(&ben), "ben");
}

static void refuses_tokens_that_are_not(void **state)
{
    static const struct { bool is_other; const char *payload, *text; } CASES[] = {
        { false, "{\"exp\":1000000}", "the administrator's token has expired: do the clocks of both machines agree?" },
        { false, "{}", "\"exp\" is missing" },
        { false, "{\"exp\":\"x\"}", NULL },
        { false, "{\"exp\":1000301}", "the administrator's token lives longer than 300 s" },
        { false, "{\"exp\":1000100,\"iat\":999000}", "the administrator's token lives longer than 300 s" },
        { false, "{\"exp\":1000100,\"iat\":1000061}", "the administrator's token lives longer than 300 s" },
        { false, "{\"exp\":1000100,\"nbf\":1000061}", "token: not valid before 61 s from now" },
        { false, "{\"exp\":1000100,\"role\":\"root\"}", "the token's role is none that this broker knows" },
        { false, "{\"exp\":1000100,\"role\":7}", NULL },
        { false, "{\"exp\":1000100,\"sub\":\"ben\"}", NULL },
        { false, "{\"exp\":1000100,\"sub\":\"ci\"}", "that administrator has a certificate, not a token" },
        { true, "{\"exp\":1000100}", NULL },
        { true, "{\"exp\":1000100,\"sub\":\"ann\"}", NULL },
    };
    AUTO(administrators) struct administrators *a     = read_fine(ANN BEN CRT);
    AUTO(pkey) EVP_PKEY                        *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct caller caller = { 0 };
        struct err    err;

        if (calls(a, CASES[i].is_other ? other : ann_key, CASES[i].payload, &caller, &err))
            fail_msg("taken: %s", CASES[i].payload);
        if (CASES[i].text)
            assert_string_equal(err.text, CASES[i].text);
        assert_null(caller.who);
    }
}

static void nobody_is_known_by_default(void **state)
{
    AUTO(administrators) struct administrators *a = read_fine("");
    struct caller                               caller = { 0 };
    struct err                                  err;

    (void) state;
    assert_false(calls(a, ann_key, "{\"exp\":1000100}", &caller, &err));
    assert_string_equal(err.text, "there is no administrator with a key");
    assert_false(caller_may(&caller, MAY_LIST, "", &err));
    assert_false(caller_sees(&caller, "acme/key/1"));
}

static void a_certificate_is_its_administrators(void **state)
{
    AUTO(administrators) struct administrators *a = read_fine(ANN CRT);
    uint8_t                                     fingerprint[SHA256_LEN];
    struct caller                               caller = { 0 };
    struct err                                  err;

    (void) state;
    memset(fingerprint, 1, sizeof fingerprint);
    assert_true(administrators_by_certificate(a, fingerprint, &caller, &err));
    assert_string_equal(caller_name(&caller), "ci");
    assert_true(caller_may(&caller, MAY_REFERENCE, NULL, &err));
    memset(fingerprint, 0, sizeof fingerprint); /* what a missing member would be */
    assert_false(administrators_by_certificate(a, fingerprint, &caller, &err));
}

static void roles_and_tenants_bound_what_one_may(void **state)
{
    AUTO(administrators) struct administrators *a   = read_fine(ANN BEN);
    AUTO(caller) struct caller                  ben = { 0 }, ann = { 0 };
    struct err                                  err;

    (void) state;
    assert_true(calls(a, ben_key, "{\"exp\":1000100}", &ben, &err));
    assert_true(caller_may(&ben, MAY_PUT, "acme/key/1", &err));
    assert_true(caller_may(&ben, MAY_PUT, "lab", &err));
    assert_false(caller_may(&ben, MAY_PUT, "acme2/key/1", &err));
    assert_string_equal(err.text, "ben may not put or remove resources of tenant acme2/key/1");
    assert_false(caller_may(&ben, MAY_PUT, "acm", &err));
    assert_false(caller_may(&ben, MAY_PUT, NULL, &err));
    assert_string_equal(err.text, "ben may not put or remove resources of all tenants");
    assert_false(caller_may(&ben, MAY_READ, "acme/key/1", &err));
    assert_string_equal(err.text, "ben may not read secrets");
    assert_false(caller_may(&ben, MAY_POLICY, "acme", &err));
    assert_true(caller_may(&ben, MAY_LIST, "", &err));
    assert_false(caller_may(&ben, MAY_AUDIT, NULL, &err)); /* the log is of all tenants */
    assert_true(calls(a, ann_key, "{\"exp\":1000100,\"role\":\"reader\"}", &ann, &err));
    assert_true(caller_may(&ann, MAY_READ, "acme/key/1", &err)); /* a token may say less than its administrator may */
    assert_false(caller_may(&ann, MAY_PUT, "acme/key/1", &err));
}

static void the_one_of_admin_key_may_do_everything(void **state)
{
    AUTO(administrators) struct administrators *a      = NULL;
    AUTO(caller) struct caller                  caller = { 0 };
    struct err                                  err;

    (void) state;
    assert_true(administrators_one(ann_key, &a, &err));
    assert_true(calls(a, ann_key, "{\"iat\":1000000,\"nbf\":1000000,\"exp\":1007200}", &caller, &err)); /* as kbs-client makes them */
    for (int i = 0; i < N_PERMISSIONS; i++)
        assert_true(caller_may(&caller, (enum permission) i, NULL, &err));
}

static void names_what_is_wrong_with_the_file(void **state)
{
    static const struct { const char *toml, *text; } CASES[] = {
        { ANN ANN, "administrator \"ann\" stands there twice" },
        { "admin = 1\n", "there is no key \"admin\"" },
        { "[[administrator]]\nname = \"x\"\nroles = [\"root\"]\n",
          "administrator \"x\": \"root\" is no role; there are admin, keys, reader, policy, reference, auditor" },
        { "[[administrator]]\nname = \"x\"\nroles = []\n", "administrator \"x\": no role is given" },
        { "[[administrator]]\nname = \"x\"\nroles = [\"keys\"]\ntenants = []\n",
          "administrator \"x\": no tenant is given; \"*\" is all of them" },
        { "[[administrator]]\nname = \"x\"\nroles = [\"keys\"]\ntenants = [\"a/b\"]\n",
          "administrator \"x\": tenants: at most 64 repositories, without a slash, or \"*\"" },
        { "[[administrator]]\nname = \"x\"\nroles = [\"keys\"]\ntenants = [\"a\"]\n",
          "administrator \"x\": neither key nor certificate_sha256 is given" },
        { "[[administrator]]\nname = \"x\"\nroles = [\"keys\"]\ntenants = [\"a\"]\ncertificate_sha256 = \"00\"\n",
          "administrator \"x\": certificate_sha256 is not 64 hex digits" },
        { "[[administrator]]\nname = \"x\"\nrole = \"keys\"\n", "administrator \"x\": there is no key \"role\"" },
        { "[[administrator]]\nname = \"\"\n", "a name of 1 to 64 characters is wanted" },
        { ANN "token_seconds = 3\n", "administrator \"ann\": token_seconds is less than 10" },
        { "[[signer]]\nname = \"x\"\n", "signer \"x\": \"key\" is missing" },
        { "reference_signatures = 1\n", NULL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct administrators *a = NULL;
        struct err             err;

        if (administrators_read(bytes_of_text(CASES[i].toml), folder, &a, &err))
            fail_msg("taken: %s", CASES[i].toml);
        if (CASES[i].text)
            assert_string_equal(err.text, CASES[i].text);
        assert_null(a);
    }
}

static void knows_signers_of_reference_values(void **state)
{
    AUTO(administrators) struct administrators *a = read_fine("reference_signatures = true\n" SIG);
    const char                                 *name;

    (void) state;
    assert_true(administrators_want_signatures(a));
    assert_int_equal(administrators_n_signers(a), 1);
    assert_int_equal(EVP_PKEY_eq(administrators_signer(a, 0, &name), ann_key), 1);
    assert_string_equal(name, "build");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_its_administrators_by_key),
        cmocka_unit_test(refuses_tokens_that_are_not),
        cmocka_unit_test(nobody_is_known_by_default),
        cmocka_unit_test(a_certificate_is_its_administrators),
        cmocka_unit_test(roles_and_tenants_bound_what_one_may),
        cmocka_unit_test(the_one_of_admin_key_may_do_everything),
        cmocka_unit_test(names_what_is_wrong_with_the_file),
        cmocka_unit_test(knows_signers_of_reference_values),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
