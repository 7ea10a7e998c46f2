#include "tests/harness/json_vectors.h"

#include "base/text.h"
#include "keys/api/rcar.h"

static void assert_digest(const uint8_t digest[static RCAR_DIGEST_LEN], const char *hex)
{
    uint8_t    wanted[RCAR_DIGEST_LEN];
    struct err err;

    assert_true(hex_read_exact(hex, wanted, sizeof wanted, &err));
    assert_memory_equal(digest, wanted, sizeof wanted);
}

static void hashes_every_worked_case(void **state)
{
    AUTO(json) struct json_object *whole = vector_json("kbs/runtime-data-hash.json");
    struct json_object            *cases = member_of(whole, "cases");

    (void) state;
    assert_int_equal(json_object_array_length(cases), 6);
    for (size_t i = 0; i < 6; i++) {
        struct json_object  *one = json_object_array_get_idx(cases, i);
        AUTO(jwk) struct jwk key = { 0 };
        uint8_t              digest[RCAR_DIGEST_LEN];
        struct err           err;

        assert_true(jwk_read(member_of(one, "tee-pubkey"), &key, &err));
        assert_true(rcar_report_data(member_text(one, "additional_evidence"), member_text(one, "nonce"), &key, digest, &err));
        assert_digest(digest, member_text(one, "primary_sha384"));
    }
}

static void reads_the_attestation_of_the_transcript(void **state)
{
    AUTO(json) struct json_object                 *whole = vector_json("kbs/rcar-transcript-sample.json");
    AUTO(buffer) struct buffer                     body  = { 0 };
    AUTO(rcar_attestation) struct rcar_attestation a     = { 0 };
    uint8_t                                        digest[RCAR_DIGEST_LEN];
    struct err                                     err;

    (void) state;
    json_write(member_of(whole, "3_attestation"), &body);
    assert_true(rcar_attestation_read(buffer_bytes(&body), &a, &err));
    assert_null(a.initdata);
    assert_string_equal(a.nonce, member_text(member_of(whole, "2_challenge"), "nonce"));
    assert_true(rcar_report_data(a.additional, a.nonce, &a.tee_key, digest, &err));
    assert_digest(digest, member_text(whole, "3_report_data_sha384"));
}

static void reads_back_what_it_writes(void **state)
{
    AUTO(pkey) EVP_PKEY                           *key  = NULL;
    AUTO(jwk) struct jwk                           jwk  = { 0 };
    AUTO(buffer) struct buffer                     body = { 0 };
    AUTO(rcar_attestation) struct rcar_attestation a    = { 0 };
    struct err                                     err;

    (void) state;
    assert_true(jwk_generate_p256(&key, &err));
    assert_true(jwk_of_key(key, "ECDH-ES+A256KW", &jwk, &err));
    rcar_attestation_write(bytes_of_text("a = \"b\"\n"), "n/+=", &jwk, bytes_of_text("{\"svn\":\"1\"}"), &body);
    assert_true(rcar_attestation_read(buffer_bytes(&body), &a, &err));
    assert_string_equal(a.initdata, "a = \"b\"\n");
    assert_string_equal(a.nonce, "n/+=");
    assert_string_equal(a.additional, "");
    assert_true(bytes_equal(buffer_bytes(&a.tee_key.canonical), buffer_bytes(&jwk.canonical)));
    assert_string_equal(member_text(a.evidence, "svn"), "1");
}

static void refuses_each_defect_by_name(void **state)
{
    static const char *const CASES[][2] = {
        { "{}", "attestation: runtime-data: \"runtime-data\" is missing" },
        { "{\"init-data\":{\"format\":\"json\",\"body\":\"\"}}", "attestation: init-data: the format is not toml" },
        { "{\"runtime-data\":{\"nonce\":\"n\",\"tee-pubkey\":{\"kty\":\"EC\"}}}",
          "attestation: runtime-data: JWK: \"alg\" is missing" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(rcar_attestation) struct rcar_attestation a = { 0 };
        struct err                                     err;

        assert_false(rcar_attestation_read(bytes_of_text(CASES[i][0]), &a, &err));
        assert_string_equal(err.text, CASES[i][1]);
        assert_null(a.whole);
    }
}

static void takes_paths_of_three_plain_parts_only(void **state)
{
    static const char *const GOOD[] = { "a/b/c", "default/image-key/1", "_/-/0.1", "A.B/c_d/e-f" };
    static const char *const BAD[]  = { "", "a", "a/b", "a/b/", "/a/b", "a//c", "a/b/c/d", ".a/b/c", "a/../c", "a/b/..",
                                        "a/b/c?d", "a/b/%2e", "a/b/c d", "a/b/\xc3\xa9", "a/b/c/" };
    const char *path = NULL;
    struct err  err;

    (void) state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_true(rcar_path_is_valid(bytes_of_text(GOOD[i])));
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(rcar_path_is_valid(bytes_of_text(BAD[i])));
    assert_true(rcar_path_of_uri("kbs:///a/b/c", &path, &err));
    assert_string_equal(path, "a/b/c");
    assert_true(rcar_path_of_uri("kbs://host:80/a/b/c", &path, &err));
    assert_string_equal(path, "a/b/c");
    assert_false(rcar_path_of_uri("http:///a/b/c", &path, &err));
    assert_false(rcar_path_of_uri("kbs://a", &path, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_every_worked_case),
        cmocka_unit_test(reads_the_attestation_of_the_transcript),
        cmocka_unit_test(reads_back_what_it_writes),
        cmocka_unit_test(refuses_each_defect_by_name),
        cmocka_unit_test(takes_paths_of_three_plain_parts_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
