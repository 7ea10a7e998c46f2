/* What clients of other versions, of other TEEs and with other forms of the same words get: an answer that says why. [KBS 2 to 7, 11] */
#include "tests/harness/trustee_client.h"

static void hello(struct raw_https *c, const char *version, const char *tee, struct raw_answer *out)
{
    AUTO(buffer) struct buffer body = { 0 };

    buffer_printf(&body, "{\"version\":\"%s\",\"tee\":\"%s\",\"extra-params\":" EXTRA "}", version, tee);
    struct sent s = { "POST", "/kbs/v0/auth", "application/json", NULL, NULL, GUEST_AGENT, buffer_bytes(&body) };
    send_request(c, &s, out);
}

/* CoCo's own tests look for the phrase; there is no negotiation. */
static void every_other_version_is_told_which_is_spoken(void **state)
{
    static const char *const VERSIONS[] = { "0.1.0", "0.1.1", "0.2.0", "0.3.0", "0.5.0", "1.0.0", "0.4", "v0.4.0", "0.4.0-rc1", "" };
    AUTO(raw_https) struct raw_https c = connected();

    (void) state;
    for (size_t i = 0; i < sizeof VERSIONS / sizeof *VERSIONS; i++) {
        AUTO(raw_answer) struct raw_answer answer = { 0 };
        AUTO(buffer) struct buffer         says   = { 0 };

        hello(&c, VERSIONS[i], "sample", &answer);
        buffer_printf(&says, "KBS Client Protocol Version Mismatch: expect =0.4.0 while the request is %s", VERSIONS[i]);
        assert_error(&answer, 401, "AttestationError", buffer_text(&says));
    }
}

static void every_tee_is_taken_or_named_as_not_taken(void **state)
{
    static const struct { const char *tee, *says; } ROWS[] = {
        { "snp", NULL }, { "tdx", NULL }, { "az-snp-vtpm", NULL }, { "az-tdx-vtpm", NULL }, { "tpm", NULL }, { "sample", NULL },
        { "sgx", "does not appraise evidence of sgx" }, { "cca", "evidence of cca" }, { "csv", "evidence of csv" }, { "se", "evidence of se" },
        { "hygondcu", "evidence of hygondcu" }, { "nvidia", "evidence of nvidia" }, { "nvidia-dpu", "evidence of nvidia-dpu" },
        { "dpu", "evidence of nvidia-dpu" }, { "sampledevice", "evidence of sampledevice" },
        { "SNP", "tee \"SNP\" is not a name that the protocol knows" }, { "Tdx", "tee \"Tdx\" is not a name" }, { "snp ", "tee \"snp \" is not a name" },
        { "azsnpvtpm", "tee \"azsnpvtpm\" is not a name" }, { "aztdxvtpm", "tee \"aztdxvtpm\" is not a name" }, { "", "tee \"\" is not a name" },
    };
    AUTO(raw_https) struct raw_https c = connected();

    (void) state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO(raw_answer) struct raw_answer answer = { 0 };

        hello(&c, "0.4.0", ROWS[i].tee, &answer);
        if (ROWS[i].says)
            assert_error(&answer, 401, "AttestationError", ROWS[i].says);
        else
            assert_int_equal(answer.status, 200);
    }
}

/* The guest falls back to it in silence where it finds no TEE: the answer has to say so. */
static void sample_evidence_is_refused_by_a_broker_that_is_no_test(void **state)
{
    AUTO(buffer) struct buffer more = { 0 };

    (void) state;
    buffer_printf(&more, "store = \"%s/store.db\"\n", broker.folder);
    test_broker_configure(&broker, "real.toml", buffer_text(&more));
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    broker.config = "real.toml";
    test_broker_start(&broker);
    {
        AUTO(guest) struct guest g = guest_new(false);

        challenge(&g, EXTRA);
        attest_try(&g);
        assert_error(&g.answer, 401, "AttestationError", "RCAR handshake Attest failed: evidence of TEE sample proves nothing and is not taken here");
    }
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    broker.config = NULL;
    test_broker_start(&broker);
}

static void evidence_of_devices_is_named_as_not_taken(void **state)
{
    static const struct { const char *additional, *says; } ROWS[] = {
        { "", NULL }, { "{}", NULL },
        { "{\"nvidia\":{\"evidence\":[]}}", "does not appraise devices, and here is one of nvidia" },
        { "{\"sampledevice\":{\"svn\":\"2\",\"report_data\":\"\"},\"tpm\":{}}", "one of sampledevice" },
        { "[[\"gpu\",\"x\"]]", "is not an object of devices" }, { "null", "is not an object of devices" },
        { "{", "additional evidence: JSON" }, { "x\"\\\n", "additional evidence: JSON" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO(guest) struct guest g = guest_new(false);

        g.additional = ROWS[i].additional;
        challenge(&g, EXTRA);
        attest_try(&g);
        if (ROWS[i].says)
            assert_error(&g.answer, 401, "AttestationError", ROWS[i].says);
        else
            assert_int_equal(g.answer.status, 200);
    }
}

/* The broker hashes what it read of a key, not what was sent: members that mean nothing here are of no matter. */
static void a_key_with_more_members_hashes_as_the_minimal_one(void **state)
{
    AUTO(guest) struct guest g = guest_new(false);

    (void) state;
    g.more_of_key = ",\"use\":\"enc\",\"kid\":\"1\",\"key_ops\":[\"deriveBits\"]";
    challenge(&g, EXTRA);
    attest(&g);
    get(&g, "/kbs/v0/resource/default/test/none", false);
    assert_false(g.answer.status == 200);
}

/* One defect each, against a session that waits for evidence; the same session takes the right evidence afterwards. */
static void bodies_of_other_forms_are_refused_and_the_session_stays(void **state)
{
#define KEY "{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ECDH-ES+A256KW\",\"x\":\"x\",\"y\":\"y\"}"
    static const struct { const char *body, *says; } ROWS[] = {
        { "{\"tee-pubkey\":" KEY ",\"tee-evidence\":\"{}\"}", "\"runtime-data\" is missing" }, /* 0.1.0 to 0.2.0 */
        { "{\"init_data\":null,\"runtime_data\":{},\"tee_evidence\":{}}", "\"runtime-data\" is missing" },
        { "{\"init-data\":{\"format\":\"json\",\"body\":\"{}\"},\"runtime-data\":{\"nonce\":\"n\",\"tee-pubkey\":" KEY "}}", "the format is not toml" },
        { "{\"init-data\":\"version\",\"runtime-data\":{}}", "init-data" },
        { "{\"init-data\":null,\"runtime-data\":{\"nonce\":\"n\",\"tee-pubkey\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"x\",\"y\":\"y\"}}}", "\"alg\" is missing" },
        { "{\"init-data\":null,\"runtime-data\":{\"nonce\":\"n\",\"tee-pubkey\":{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\",\"n\":\"x\",\"e\":\"AQAB\"}}}", "use EC with ECDH-ES+A256KW" },
        { "{\"init-data\":null,\"runtime-data\":{\"nonce\":\"n\",\"tee-pubkey\":{\"kty\":\"AKP\",\"alg\":\"ML-KEM-768+A192KW\",\"pub\":\"x\"}}}", "use EC with ECDH-ES+A256KW" },
        { "{\"init-data\":null,\"runtime-data\":{\"nonce\":\"n\",\"tee-pubkey\":{\"kty\":\"EC\",\"crv\":\"P-384\",\"alg\":\"ECDH-ES+A256KW\",\"x\":\"x\",\"y\":\"y\"}}}", "neither P-256 nor P-521" },
    };
    AUTO(guest) struct guest g = guest_new(false);

    (void) state;
    challenge(&g, EXTRA);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO(buffer) struct buffer body = { 0 };

        buffer_append_text(&body, ROWS[i].body);
        post(&g, "/kbs/v0/attest", &body);
        assert_error(&g.answer, 401, "AttestationError", "RCAR handshake Attest failed");
        if (!strstr(buffer_text(&g.answer.body), ROWS[i].says)) {
            AUTO(json) struct json_object *read = NULL;
            const char                    *detail;
            struct err                     err;

            assert_fine(json_read(buffer_bytes(&g.answer.body), KBS_ANSWER_MAX, &read, &err) && json_get_text(read, "detail", &detail, &err), &err);
            if (!strstr(detail, ROWS[i].says))
                fail_msg("row %zu: %s", i, detail);
        }
    }
    attest(&g);
#undef KEY
}

static void assert_members(struct json_object *of, const char *const *names)
{
    size_t n = 0;

    for (; names[n]; n++) {
        if (!json_object_object_get_ex(of, names[n], NULL))
            fail_msg("%s is not in %s", names[n], json_object_to_json_string(of));
    }
    if ((size_t) json_object_object_length(of) != n)
        fail_msg("more than is known: %s", json_object_to_json_string(of));
}

static struct json_object *part_of(const struct buffer *token, int which)
{
    AUTO(buffer) struct buffer raw  = { 0 };
    struct json_object        *read = NULL;
    const char                *at   = buffer_text((struct buffer *) (uintptr_t) token);
    struct err                 err;

    for (int i = 0; i < which; i++)
        at = strchr(at, '.') + 1;
    assert_fine(base64_read((struct bytes){ (const uint8_t *) at, strcspn(at, ".") }, BASE64_URL, &raw, &err) &&
                    json_read(buffer_bytes(&raw), KBS_ANSWER_MAX, &read, &err), &err);
    return read;
}

/* What Trustee's attestation service writes; ours stand beside under names of their own. */
static void the_token_is_laid_out_as_trustees(void **state)
{
    static const char *const HEADER[] = { "typ", "alg", "jwk", NULL }, *const JWK[] = { "alg", "x5c", "kty", "crv", "x", "y", NULL };
    static const char *const PAYLOAD[] = { "eat_profile", "iat", "ear.verifier-id", "submods", "exp", "iss", NULL };
    static const char *const CPU[] = { "ear.status", "ear.trustworthiness-vector", "ear.appraisal-policy-id", "ear.veraison.annotated-evidence",
                                       "ear.trustee.identifiers", "cloister.tee", "cloister.root", "cloister.policy", "cloister.measurement",
                                       "cloister.reason", "cloister.evidence", NULL };
    static const char *const VECTOR[] = { "instance-identity", "configuration", "executables", "file-system", "hardware", "runtime-opaque",
                                          "storage-opaque", "sourced-data", NULL };
    static const char *const EVIDENCE[] = { "init_data", "init_data_claims", "report_data", "runtime_data_claims", "sample", NULL };
    static const char *const RUNTIME[] = { "additional-evidence", "nonce", "tee-pubkey", NULL };
    AUTO(guest) struct guest       g       = guest_new(false);
    AUTO(json) struct json_object *header  = NULL, *payload = NULL;
    struct json_object            *submods, *cpu, *evidence;

    (void) state;
    challenge(&g, EXTRA);
    attest(&g);
    header  = part_of(&g.token, 0);
    payload = part_of(&g.token, 1);
    assert_members(header, HEADER);
    assert_members(json_object_object_get(header, "jwk"), JWK);
    assert_members(payload, PAYLOAD);
    assert_string_equal(json_object_get_string(json_object_object_get(payload, "eat_profile")), "tag:github.com,2024:confidential-containers/Trustee");
    submods = json_object_object_get(payload, "submods");
    cpu     = json_object_object_get(submods, "cpu0");
    assert_int_equal(json_object_object_length(submods), 1);
    assert_members(cpu, CPU);
    assert_string_equal(json_object_get_string(json_object_object_get(cpu, "ear.appraisal-policy-id")), "default");
    assert_members(json_object_object_get(cpu, "ear.trustworthiness-vector"), VECTOR);
    evidence = json_object_object_get(cpu, "ear.veraison.annotated-evidence");
    assert_members(evidence, EVIDENCE);
    assert_members(json_object_object_get(evidence, "runtime_data_claims"), RUNTIME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_other_version_is_told_which_is_spoken),
        cmocka_unit_test(every_tee_is_taken_or_named_as_not_taken),
        cmocka_unit_test(sample_evidence_is_refused_by_a_broker_that_is_no_test),
        cmocka_unit_test(evidence_of_devices_is_named_as_not_taken),
        cmocka_unit_test(a_key_with_more_members_hashes_as_the_minimal_one),
        cmocka_unit_test(bodies_of_other_forms_are_refused_and_the_session_stays),
        cmocka_unit_test(the_token_is_laid_out_as_trustees),
    };

    return cmocka_run_group_tests(tests, trustee_make, trustee_clean);
}
