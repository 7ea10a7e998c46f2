#include "tests/harness/test.h"

#include "guest/signature/image_policy.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ANY "[{\"type\":\"insecureAcceptAnything\"}]"

/* Each scope's list has a length of its own, so that the test can tell which one was found. */
static const char scopes[] =
    "{\"default\":[{\"type\":\"reject\"}],\"transports\":{\"docker\":{"
    "\"\":" ANY ","
    "\"r.example\":[{\"type\":\"reject\"},{\"type\":\"reject\"}],"
    "\"r.example/team\":[{\"type\":\"reject\"},{\"type\":\"reject\"},{\"type\":\"reject\"}],"
    "\"r.example/team/app:1\":[{\"type\":\"reject\"},{\"type\":\"reject\"},{\"type\":\"reject\"},{\"type\":\"reject\"}],"
    "\"r.example/team/app@sha256:" HEX "\":[{\"type\":\"reject\"},{\"type\":\"reject\"},{\"type\":\"reject\"},"
    "{\"type\":\"reject\"},{\"type\":\"reject\"}],"
    "\"*.deep.example\":[{\"type\":\"signedBy\"},{\"type\":\"reject\"},{\"type\":\"reject\"},{\"type\":\"reject\"},"
    "{\"type\":\"reject\"},{\"type\":\"reject\"}]}}}";

static void finds_the_longest_scope(void **state)
{
    static const struct { const char *name; size_t n; } rows[] = {
        { "r.example/team/app:1", 4 }, { "r.example/team/app:2", 3 },      { "r.example/team/app@sha256:" HEX, 5 },
        { "r.example/teams/app", 2 },  { "r.example/team/app/deeper", 3 }, { "r.example/team/app:1@sha256:" HEX, 5 },
        { "a.deep.example/x", 6 },     { "a.b.deep.example/x", 6 },        { "deep.example/x", 1 },
        { "other.example/x", 1 },
    };
    AUTO(image_policy) struct image_policy policy = { 0 };
    struct err                             err;

    (void) state;
    if (!image_policy_read(bytes_of_text(scopes), &policy, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image_reference reference;

        assert_true(image_reference_read(bytes_of_text(rows[i].name), &reference, &err));
        size_t n = json_object_array_length(image_policy_requirements(&policy, &reference));

        if (n != rows[i].n)
            fail_msg("%s: %zu", rows[i].name, n);
    }
    /* an image that no registry is named for has the default, not the scope "" of registries */
    assert_string_equal(json_object_get_string(json_object_object_get(
                            json_object_array_get_idx(image_policy_requirements(&policy, NULL), 0), "type")), "reject");
}

#define OF_NO_IMAGE(scope) { "{\"default\":" ANY ",\"transports\":{\"docker\":{\"" scope "\":[{\"type\":\"reject\"}]}}}", "no image has such a name", ERR_MALFORMED }

static void refuses_policies_that_say_less_than_they_seem_to(void **state)
{
    static const struct { const char *json, *why; enum err_kind kind; } rows[] = {
        { "", "image policy", ERR_MALFORMED },
        { "[]", "\"default\"", ERR_MALFORMED },
        { "{}", "\"default\"", ERR_MALFORMED },
        { "{\"default\":[]}", "no requirements", ERR_MALFORMED },
        { "{\"default\":{}}", "a list", ERR_MALFORMED },
        { "{\"default\":[1]}", "not an object", ERR_MALFORMED },
        { "{\"default\":[{}]}", "type", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"acceptAnything\"}]}", "no such requirement", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"reject\",\"x\":1}]}", "unknown member", ERR_MALFORMED },
        { "{\"default\":" ANY ",\"transport\":{}}", "unknown member", ERR_MALFORMED },
        { "{\"default\":" ANY ",\"transports\":[]}", "transports", ERR_MALFORMED },
        { "{\"default\":" ANY ",\"transports\":{\"docker\":[]}}", "scopes", ERR_MALFORMED },
        { "{\"default\":" ANY ",\"transports\":{\"Docker\":{\"\":" ANY "}}}", "unknown member \"Docker\"", ERR_MALFORMED },
        OF_NO_IMAGE("R.example/app"), OF_NO_IMAGE("https://r.example/app"), OF_NO_IMAGE("r.example/"), OF_NO_IMAGE("r.example/App"),
        OF_NO_IMAGE("r.example/*"), OF_NO_IMAGE("*.R.example"), OF_NO_IMAGE("*.r.example/app"), OF_NO_IMAGE("*"), OF_NO_IMAGE(" r.example"),
        OF_NO_IMAGE("r.example/app:"), OF_NO_IMAGE("r.example/app@sha256:12"), OF_NO_IMAGE("r.example//app"),
        { "{\"default\":" ANY ",\"transports\":{\"docker\":{\"a\":[]}}}", "no requirements", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\"}]}", "one of keyData", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/etc/key.pub\"}]}", "a guest has no files", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/b/c\",\"keyData\":\"AA==\"}]}", "one of keyData", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"AA==\"}]}", "key data: ", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPaths\":[]}]}", "keyPaths", ERR_LIMIT },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/b/c\",\"fulcio\":{}}]}", "fulcio, pki and rekor cannot be checked here", ERR_UNSUPPORTED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/b/c\",\"rekorPublicKeyData\":\"AA==\"}]}", "a key is wanted", ERR_UNSUPPORTED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"pki\":{}}]}", "a key is wanted", ERR_UNSUPPORTED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyDatas\":[]}]}", "keyDatas: 1 to 16", ERR_LIMIT },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyDatas\":[7]}]}", "keyDatas: key data: a text", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPaths\":[\"kbs:///a/b/c\",\"/etc/x\"]}]}", "keyPaths: a key path: kbs:///", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/b/c\",\"signedIdentity\":null}]}", "null", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/b/c\",\"floor\":{\"annotation\":\"v\"}}]}", "atLeast", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"kbs:///a/b/c\",\"floor\":null}]}", "floor", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"encryptedWith\",\"keyId\":\"a/b/c\"}]}", "kbs:///", ERR_MALFORMED },
        { "{\"default\":[{\"type\":\"encryptedWith\",\"keyID\":\"kbs:///a/b/c\"}]}", "unknown member", ERR_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image_policy policy;
        struct err          err;

        if (image_policy_read(bytes_of_text(rows[i].json), &policy, &err))
            fail_msg("%s was read", rows[i].json);
        if (err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("%s: %s: %s", rows[i].json, err_kind_name(err.kind), err.text);
    }
}

static void takes_what_standard_policies_say(void **state)
{
    static const char *const scopes_of_docker[] = { "", "r.example:5000", "localhost", "localhost/team", "docker.io/library/nginx", "docker.io/team",
                                                    "r.example/app:V1.0", ("r.example/app:1@sha256:" HEX), "*.example", "*.r.example:5000", "team/app" };
    AUTO(image_policy) struct image_policy   other              = { 0 };
    struct err                               err;

    (void) state;
    for (size_t i = 0; i < sizeof scopes_of_docker / sizeof *scopes_of_docker; i++) {
        AUTO(image_policy) struct image_policy policy = { 0 };
        AUTO(buffer) struct buffer             text   = { 0 };

        buffer_printf(&text, "{\"default\":" ANY ",\"transports\":{\"docker\":{\"%s\":" ANY "}}}", scopes_of_docker[i]);
        if (!image_policy_read(buffer_bytes(&text), &policy, &err))
            fail_msg("%s: %s", scopes_of_docker[i], err.text);
    }
    /* as distributions ship it; of other transports the scopes are paths and the like */
    assert_true(image_policy_read(bytes_of_text("{\"default\":" ANY ",\"transports\":{\"docker-daemon\":{\"\":" ANY "},\"oci\":{\"/a/B\":" ANY "}}}"),
                                  &other, &err));
}

static void every_cut_of_a_policy_is_refused(void **state)
{
    (void) state;
    for (size_t len = 0; len < sizeof scopes - 1; len++) {
        AUTO(heap) uint8_t *copy = exact_copy(scopes, len);
        struct image_policy policy;
        struct err          err;

        assert_false(image_policy_read((struct bytes){ copy, len }, &policy, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_longest_scope),
        cmocka_unit_test(refuses_policies_that_say_less_than_they_seem_to),
        cmocka_unit_test(takes_what_standard_policies_say),
        cmocka_unit_test(every_cut_of_a_policy_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
