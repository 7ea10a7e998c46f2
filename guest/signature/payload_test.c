#include "tests/harness/test.h"

#include "guest/signature/payload.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PAYLOAD(reference, digest, type) \
    "{\"critical\":{\"identity\":{\"docker-reference\":\"" reference "\"},\"image\":{\"docker-manifest-digest\":\"" digest \
    "\"},\"type\":\"" type "\"},\"optional\":{\"version\":\"7\"}}"
#define TYPE "cosign container image signature"
#define GOOD PAYLOAD("r.example/team/app", "sha256:" HEX, TYPE)

static void reads_what_cosign_signs(void **state)
{
    AUTO(signature_payload) struct signature_payload p = { 0 };
    struct err                                       err;

    (void) state;
    if (!signature_payload_read(bytes_of_text(GOOD), &p, &err))
        fail_msg("%s", err.text);
    assert_string_equal(p.identity.repository, "team/app");
    assert_false(p.identity.has_tag);
    assert_string_equal(digest_text(&p.manifest).at, "sha256:" HEX);
    assert_non_null(p.optional);
}

static void takes_a_payload_without_claims(void **state)
{
    AUTO(signature_payload) struct signature_payload p = { 0 };
    struct err                                       err;

    (void) state;
    assert_true(signature_payload_read(
        bytes_of_text("{\"critical\":{\"identity\":{\"docker-reference\":\"a.b/c\"},\"image\":{\"docker-manifest-digest\":"
                      "\"sha256:" HEX "\"},\"type\":\"" TYPE "\"},\"optional\":null}"), &p, &err));
    assert_null(p.optional);
}

static void refuses_other_documents(void **state)
{
    static const struct { const char *json, *why; enum err_kind kind; } rows[] = {
        { "", "signature payload", ERR_MALFORMED },
        { "{}", "critical", ERR_MALFORMED },
        { "{\"critical\":{}}", "identity", ERR_MALFORMED },
        { PAYLOAD("r.example/a", "sha256:" HEX, "atomic container signature"), "of type", ERR_UNSUPPORTED },
        { PAYLOAD("r.example/a", "sha256:00", TYPE), "digest", ERR_MALFORMED },
        { PAYLOAD("r.example/A", "sha256:" HEX, TYPE), "repository", ERR_MALFORMED },
        { GOOD " ", NULL, ERR_NONE },
        { GOOD "x", "signature payload", ERR_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(signature_payload) struct signature_payload p = { 0 };
        struct err                                       err;
        bool ok = signature_payload_read(bytes_of_text(rows[i].json), &p, &err);

        if (ok != (rows[i].why == NULL) || (!ok && (err.kind != rows[i].kind || !strstr(err.text, rows[i].why))))
            fail_msg("%s: %s", rows[i].json, ok ? "was read" : err.text);
    }
}

static void every_cut_of_a_payload_is_refused(void **state)
{
    (void) state;
    for (size_t len = 0; len < sizeof GOOD - 1; len++) {
        AUTO(heap) uint8_t      *copy = exact_copy(GOOD, len);
        struct signature_payload p;
        struct err               err;

        assert_false(signature_payload_read((struct bytes){ copy, len }, &p, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void matches_names_as_the_rule_says(void **state)
{
    static const struct { const char *rule, *requested, *signed_as; bool matches; } rows[] = {
        { "{\"type\":\"matchExact\"}", "a.b/c:1", "a.b/c:1", true },
        { "{\"type\":\"matchExact\"}", "a.b/c:1", "a.b/c:2", false },
        { "{\"type\":\"matchExact\"}", "a.b/c:1", "a.b/d:1", false },
        { "{\"type\":\"matchExact\"}", "a.b/c:latest", "a.b/c", false },
        { "{\"type\":\"matchExact\"}", "a.b/c@sha256:" HEX, "a.b/c:1", false },
        { NULL, "a.b/c:1", "a.b/c:1", true },
        { NULL, "docker.io/library/c:1", "docker.io/c:1", true },
        { "{\"type\":\"matchRepository\"}", "docker.io/c:1", "index.docker.io/library/c", true }, /* as cosign names it */
        { "{\"type\":\"exactRepository\",\"dockerRepository\":\"docker.io/team/c\"}", "m.example/c:1", "index.docker.io/team/c", true },
        { NULL, "a.b/c:1", "a.b/c", false },
        { NULL, "a.b/c@sha256:" HEX, "a.b/c", true },
        { NULL, "a.b/c@sha256:" HEX, "a.b/d", false },
        { "{\"type\":\"matchRepository\"}", "a.b/c:1", "a.b/c", true },
        { "{\"type\":\"matchRepository\"}", "a.b/c:1", "x.b/c", false },
        { "{\"type\":\"exactReference\",\"dockerReference\":\"x.y/z:9\"}", "a.b/c:1", "x.y/z:9", true },
        { "{\"type\":\"exactReference\",\"dockerReference\":\"x.y/z:9\"}", "a.b/c:1", "x.y/z:8", false },
        { "{\"type\":\"exactReference\",\"dockerReference\":\"x.y/z:9\"}", "a.b/c:1", "x.y/z", false },
        { "{\"type\":\"exactRepository\",\"dockerRepository\":\"x.y/z\"}", "a.b/c:1", "x.y/z:8", true },
        { "{\"type\":\"exactRepository\",\"dockerRepository\":\"x.y/z\"}", "a.b/c:1", "x.y/zz:8", false },
        { "{\"type\":\"remapIdentity\",\"prefix\":\"m.b/x\",\"signedPrefix\":\"a.b\"}", "m.b/x/c:1", "a.b/c:1", true },
        { "{\"type\":\"remapIdentity\",\"prefix\":\"m.b/x\",\"signedPrefix\":\"a.b\"}", "m.b/xy/c:1", "a.b/c:1", false },
        { "{\"type\":\"remapIdentity\",\"prefix\":\"m.b/x\",\"signedPrefix\":\"a.b\"}", "q.b/c:1", "q.b/c:1", true },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(json) struct json_object *rule = NULL;
        struct image_reference         requested, signed_as;
        struct err                     err;

        assert_true(!rows[i].rule || json_read(bytes_of_text(rows[i].rule), 1000, &rule, &err));
        assert_true(signed_identity_check(rule, &err));
        assert_true(image_reference_read(bytes_of_text(rows[i].requested), &requested, &err) &&
                    image_reference_read(bytes_of_text(rows[i].signed_as), &signed_as, &err));
        if (signed_identity_match(rule, &requested, &signed_as, &err) != rows[i].matches)
            fail_msg("row %zu", i);
        if (!rows[i].matches)
            assert_int_equal(err.kind, ERR_DENIED);
    }
}

static void refuses_rules_that_it_does_not_understand(void **state)
{
    static const char *const rules[] = {
        "[]", "{}", "{\"type\":\"matchAll\"}", "{\"type\":\"matchExact\",\"x\":1}", "{\"type\":\"exactReference\"}",
        "{\"type\":\"exactReference\",\"dockerReference\":\"a.b/c\"}", "{\"type\":\"exactReference\",\"dockerReference\":\"\"}",
        "{\"type\":\"exactRepository\",\"dockerRepository\":\"a.b/c:1\"}", "{\"type\":\"remapIdentity\",\"prefix\":\"a\"}",
    };

    (void) state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        AUTO(json) struct json_object *rule = NULL;
        struct err                     err;

        assert_true(json_read(bytes_of_text(rules[i]), 1000, &rule, &err));
        if (signed_identity_check(rule, &err))
            fail_msg("%s was taken", rules[i]);
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_non_null(strstr(err.text, "signedIdentity"));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_cosign_signs),
        cmocka_unit_test(takes_a_payload_without_claims),
        cmocka_unit_test(refuses_other_documents),
        cmocka_unit_test(every_cut_of_a_payload_is_refused),
        cmocka_unit_test(matches_names_as_the_rule_says),
        cmocka_unit_test(refuses_rules_that_it_does_not_understand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
