#include "tests/harness/test.h"

#include <stdio.h>

#include "keys/broker/ear.h"
#include "keys/jose/jwt.h"

enum { EXPIRES = 1000, LATE = EXPIRES + 60 }; /* a minute of leeway */

static EVP_PKEY *issuer_key, *tee_key;

/* A token that expires at EXPIRES, of the guest whose measurement ends in `n`. */
static struct buffer token_of(unsigned n)
{
    AUTO(buffer) struct buffer payload = { 0 };
    AUTO(jwk) struct jwk       jwk     = { 0 };
    struct buffer              token   = { 0 };
    struct err                 err;

    assert_true(jwk_of_key(tee_key, "ECDH-ES+A256KW", &jwk, &err));
    buffer_printf(&payload, "{\"exp\":%d,\"submods\":{\"cpu0\":{\"cloister.tee\":\"snp\",\"cloister.evidence\":\"%064x\","
                            "\"cloister.measurement\":\"%096x\",\"ear.veraison.annotated-evidence\":{\"init_data\":\"%064x\","
                            "\"runtime_data_claims\":{\"tee-pubkey\":", EXPIRES, n + 1, n, n + 2);
    buffer_append(&payload, buffer_bytes(&jwk.canonical));
    buffer_append_text(&payload, "}}}}}");
    assert_true(jwt_sign("", buffer_bytes(&payload), issuer_key, &token, &err));
    return token;
}

static void expect_guest(const struct ear *ear, unsigned n)
{
    assert_string_equal(ear->subject.tee, "snp");
    assert_ptr_equal(ear->subject.tee, ear->tee); /* views are into itself, not into what it was copied from */
    assert_ptr_equal(ear->subject.measurement.at, ear->measurement);
    assert_ptr_equal(ear->subject.initdata.at, ear->initdata);
    assert_int_equal(ear->subject.measurement.len, 48);
    assert_int_equal(ear->measurement[47], n);
    assert_int_equal(ear->evidence[31], n + 1);
    assert_int_equal(ear->initdata[31], n + 2);
    assert_int_equal(EVP_PKEY_eq(ear->tee_key.key, tee_key), 1);
    assert_true(json_has(ear->claims, "submods"));
}

static void reads_the_same_from_memory(void **state)
{
    AUTO(ear_memory) struct ear_memory *memory = ear_memory_new();
    const struct ear_issuer             issuer = { .key = issuer_key, .ears = memory };
    AUTO(buffer) struct buffer          token  = token_of(7);
    uint8_t                             digest[SHA256_LEN];
    struct err                          err;

    (void) state;
    sha256_of(buffer_bytes(&token), digest);
    for (int i = 0; i < 3; i++) {
        AUTO(ear) struct ear ear = { 0 }, kept = { 0 };

        assert_int_equal(ear_memory_find(memory, digest, &kept), i > 0);
        assert_true(ear_read(&issuer, buffer_bytes(&token), EXPIRES - 1, &ear, &err));
        expect_guest(&ear, 7);
        if (i > 0)
            expect_guest(&kept, 7);
    }
}

static void a_known_token_expires_all_the_same(void **state)
{
    AUTO(ear_memory) struct ear_memory *memory = ear_memory_new();
    const struct ear_issuer             issuer = { .key = issuer_key, .ears = memory };
    AUTO(buffer) struct buffer          token  = token_of(7);
    AUTO(ear) struct ear                early = { 0 }, late = { 0 }, again = { 0 };
    struct err                          err;

    (void) state;
    assert_true(ear_read(&issuer, buffer_bytes(&token), LATE - 1, &early, &err));
    assert_false(ear_read(&issuer, buffer_bytes(&token), LATE, &late, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "token: expired 60 s ago");
    assert_null(late.claims);
    assert_true(ear_read(&issuer, buffer_bytes(&token), LATE - 1, &again, &err)); /* refusing it did not harm what is kept */
    expect_guest(&again, 7);
}

/* A token is known by all of its characters: change any and the signature is asked again. */
static void another_token_is_not_known(void **state)
{
    AUTO(ear_memory) struct ear_memory *memory = ear_memory_new();
    const struct ear_issuer             issuer = { .key = issuer_key, .ears = memory };
    AUTO(buffer) struct buffer          token  = token_of(7);
    AUTO(ear) struct ear                good   = { 0 };
    struct err                          err;

    (void) state;
    assert_true(ear_read(&issuer, buffer_bytes(&token), 0, &good, &err));
    for (size_t i = 0; i < token.len; i++) {
        AUTO(ear) struct ear bad  = { 0 };
        uint8_t              held = token.at[i];

        token.at[i] = held == 'A' ? 'B' : 'A';
        assert_false(ear_read(&issuer, buffer_bytes(&token), 0, &bad, &err));
        token.at[i] = held;
    }
}

static void what_was_refused_is_not_kept(void **state)
{
    AUTO(ear_memory) struct ear_memory *memory = ear_memory_new();
    const struct ear_issuer             issuer = { .key = issuer_key, .ears = memory };
    const struct ear_issuer             other  = { .key = tee_key, .ears = memory };
    AUTO(buffer) struct buffer          token  = token_of(7);
    AUTO(ear) struct ear                ear = { 0 }, kept = { 0 };
    uint8_t                             digest[SHA256_LEN];
    struct err                          err;

    (void) state;
    sha256_of(buffer_bytes(&token), digest);
    assert_false(ear_read(&other, buffer_bytes(&token), 0, &ear, &err)); /* another signed it */
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_non_null(strstr(err.text, "the signature does not hold"));
    assert_false(ear_memory_find(memory, digest, &kept));
    assert_false(ear_read(&issuer, buffer_bytes(&token), LATE, &ear, &err));
    assert_false(ear_memory_find(memory, digest, &kept));
}

static void is_bounded_and_drops_what_was_used_longest_ago(void **state)
{
    AUTO(ear_memory) struct ear_memory *memory = ear_memory_new();
    const struct ear_issuer             issuer = { .key = issuer_key };
    AUTO(buffer) struct buffer          token  = token_of(7);
    AUTO(ear) struct ear                ear    = { 0 };
    uint8_t                             digest[SHA256_LEN] = { 0 };
    struct err                          err;

    (void) state;
    assert_true(ear_read(&issuer, buffer_bytes(&token), 0, &ear, &err));
    for (unsigned i = 0; i <= EARS_MAX; i++) {
        AUTO(ear) struct ear first = { 0 };
        const uint8_t        zero[SHA256_LEN] = { 0 };

        digest[0] = (uint8_t) i;
        ear_memory_add(memory, digest, EAR_TOKEN_MAX, &ear);
        assert_true(ear_memory_find(memory, zero, &first)); /* used at every turn: it stays */
    }
    for (unsigned i = 0; i <= EARS_MAX; i++) {
        AUTO(ear) struct ear kept = { 0 };

        digest[0] = (uint8_t) i;
        assert_int_equal(ear_memory_find(memory, digest, &kept), i != 1);
    }
    digest[1] = 1;
    ear_memory_add(memory, digest, EAR_TOKEN_MAX + 1, &ear);
    assert_false(ear_memory_find(memory, digest, &ear));
}

/* A token is kept when it is written, without being read: as whoever reads it would have it. */
static void what_is_written_is_kept_as_it_reads(void **state)
{
    AUTO(ear_memory) struct ear_memory *memory  = ear_memory_new();
    const struct ear_issuer             issuer  = { .key = issuer_key, .name = "i", .ears = memory }, forgetful = { .key = issuer_key };
    AUTO(json) struct json_object      *annotated = NULL, *vector = NULL, *extensions = NULL;
    AUTO(facts) struct facts            facts  = { .tee = TEE_SNP, .measurement = { 7 }, .measurement_len = 48, .initdata = { 9 },
                                                   .initdata_len = 32, .claims = json_object_new_object() };
    AUTO(rcar_attestation) struct rcar_attestation attestation = { .nonce = "n", .additional = "" };
    struct appraisal_result             result = { .status = "affirming", .policy = "p" };
    struct ear_content                  content = { .facts = &facts, .tee_key = &attestation.tee_key, .result = &result,
                                                    .evidence = { 1 }, .expires = EXPIRES };
    AUTO(buffer) struct buffer          token = { 0 };
    AUTO(ear) struct ear                kept = { 0 }, read = { 0 };
    uint8_t                             digest[SHA256_LEN];
    struct err                          err;

    (void) state;
    assert_true(jwk_of_key(tee_key, "ECDH-ES+A256KW", &attestation.tee_key, &err));
    assert_true(json_read(bytes_of_text("{\"executables\":3,\"hardware\":2}"), 64, &vector, &err));
    assert_true(json_read(bytes_of_text("{\"cloister.tee\":\"tdx\",\"x\":[1,\"\\u00e9\",null,true]}"), 64, &extensions, &err));
    result.vector     = vector;
    result.extensions = extensions;
    assert_true(ear_evidence(&facts, &attestation, &annotated, &err));
    content.annotated = annotated;
    assert_true(ear_write(&issuer, &content, &token, &err));

    sha256_of(buffer_bytes(&token), digest);
    assert_true(ear_memory_find(memory, digest, &kept));
    assert_true(ear_read(&forgetful, buffer_bytes(&token), 0, &read, &err));
    assert_true(json_object_equal(kept.claims, read.claims));
    assert_string_equal(kept.tee, "snp"); /* no policy writes over what was verified */
    assert_string_equal(kept.tee, read.tee);
    assert_true(bytes_equal(kept.subject.measurement, read.subject.measurement));
    assert_true(bytes_equal(kept.subject.initdata, read.subject.initdata));
    assert_memory_equal(kept.evidence, read.evidence, sizeof kept.evidence);
    assert_true(kept.subject.is_affirmed && read.subject.is_affirmed);
    assert_true(bytes_equal(buffer_bytes(&kept.tee_key.canonical), buffer_bytes(&read.tee_key.canonical)));
    assert_int_equal(EVP_PKEY_eq(kept.tee_key.key, read.tee_key.key), 1);
}

static void none_knows_nothing(void **state)
{
    uint8_t    digest[SHA256_LEN] = { 1 };
    struct ear ear                = { 0 };

    (void) state;
    ear_memory_add(NULL, digest, 1, &ear);
    assert_false(ear_memory_find(NULL, digest, &ear));
}

static int keys_make(void **state)
{
    struct err err;

    (void) state;
    return jwk_generate_p256(&issuer_key, &err) && jwk_generate_p256(&tee_key, &err) ? 0 : -1;
}

static int keys_free(void **state)
{
    (void) state;
    EVP_PKEY_free(issuer_key);
    EVP_PKEY_free(tee_key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_same_from_memory),
        cmocka_unit_test(a_known_token_expires_all_the_same),
        cmocka_unit_test(another_token_is_not_known),
        cmocka_unit_test(what_was_refused_is_not_kept),
        cmocka_unit_test(is_bounded_and_drops_what_was_used_longest_ago),
        cmocka_unit_test(what_is_written_is_kept_as_it_reads),
        cmocka_unit_test(none_knows_nothing),
    };

    return cmocka_run_group_tests(tests, keys_make, keys_free);
}
