#include "tests/harness/test.h"

#include "guest/workload/request.h"

static bool read_get(const char *path, const struct workload_query *query, struct workload_request *out, struct err *err)
{
    static const struct workload_query none = { NULL, NULL, NULL };

    return workload_request_read("GET", path, query ? query : &none, (struct bytes){ 0 }, out, err);
}

static void each_path_is_its_question(void **state)
{
    struct workload_request asked;
    struct workload_query   query = { "kbs", "abc", NULL };
    struct err              err;

    (void) state;
    assert_true(read_get("/cdh/resource/default/my-key_1/v1.0", NULL, &asked, &err));
    assert_int_equal(asked.kind, WORKLOAD_RESOURCE);
    assert_string_equal(asked.resource, "kbs:///default/my-key_1/v1.0");
    assert_true(read_get("/aa/token", &query, &asked, &err));
    assert_int_equal(asked.kind, WORKLOAD_TOKEN);
    assert_true(read_get("/aa/evidence", &query, &asked, &err));
    assert_int_equal(asked.kind, WORKLOAD_EVIDENCE);
    assert_int_equal(asked.runtime_data_len, 3);
    assert_memory_equal(asked.runtime_data, "abc", 3);
    assert_true(read_get("/aa/additional-evidence", &query, &asked, &err));
    assert_int_equal(asked.kind, WORKLOAD_DEVICES);
    assert_true(read_get("/info", NULL, &asked, &err));
    assert_int_equal(asked.kind, WORKLOAD_INFO);
}

static void runtime_data_may_be_base64(void **state)
{
    struct workload_request asked;
    struct workload_query   query = { NULL, "-_8", "base64" };
    struct err              err;

    (void) state;
    assert_true(read_get("/aa/evidence", &query, &asked, &err));
    assert_int_equal(asked.runtime_data_len, 2);
    assert_memory_equal(asked.runtime_data, "\xfb\xff", 2);
}

static void refuses_one_defect_at_a_time(void **state)
{
    static const struct { const char *method, *path; struct workload_query query; enum err_kind kind; const char *why; } rows[] = {
        { "GET", "/", { 0 }, ERR_NOT_FOUND, "URL NOT FOUND" },
        { "GET", "/info/", { 0 }, ERR_NOT_FOUND, "URL NOT FOUND" },
        { "POST", "/info", { 0 }, ERR_UNSUPPORTED, "only GET" },
        { "GET", "/aa/aael", { 0 }, ERR_UNSUPPORTED, "only POST" },
        { "GET", "/aa/eventlog", { 0 }, ERR_MALFORMED, "runtime_data is missing" },
        { "GET", "/cdh/resource/a/b", { 0 }, ERR_MALFORMED, "a resource has three names: REPOSITORY/TYPE/TAG" },
        { "GET", "/cdh/resource/a/b/c/d", { 0 }, ERR_MALFORMED, "a resource has three names: REPOSITORY/TYPE/TAG" },
        { "GET", "/cdh/resource/a//c", { 0 }, ERR_MALFORMED, "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "GET", "/cdh/resource/a/../c", { 0 }, ERR_MALFORMED, "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "GET", "/cdh/resource/a/%2e%2e/c", { 0 }, ERR_MALFORMED, "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "GET", "/cdh/resource/a/b/c?x", { 0 }, ERR_MALFORMED, "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "GET", "/aa/token", { 0 }, ERR_MALFORMED, "token_type is missing" },
        { "GET", "/aa/token", { .token_type = "coco_as" }, ERR_UNSUPPORTED, "token_type: only kbs; a coco_as token is bound to no key and no nonce" },
        { "GET", "/aa/additional-evidence", { 0 }, ERR_MALFORMED, "runtime_data is missing" },
        { "HEAD", "/cdh/resource/a/b/c", { 0 }, ERR_UNSUPPORTED, "only GET" },
        { "GET", "/cdh/resource/a/b/c/", { 0 }, ERR_MALFORMED, "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "GET", "/aa/evidence", { 0 }, ERR_MALFORMED, "runtime_data is missing" },
        { "GET", "/aa/evidence", { .runtime_data = "a", .encoding = "hex" }, ERR_MALFORMED, "encoding: only base64 (URL-safe, no padding)" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct workload_request asked = { .resource = "untouched" };
        struct err              err;

        assert_false(workload_request_read(rows[i].method, rows[i].path, &rows[i].query, (struct bytes){ 0 }, &asked, &err));
        assert_string_equal(err.text, rows[i].why);
        assert_int_equal(err.kind, rows[i].kind);
        assert_string_equal(asked.resource, "untouched");
    }
}

static bool read_post(struct bytes body, struct workload_request *out, struct err *err)
{
    static const struct workload_query none = { NULL, NULL, NULL };

    return workload_request_read("POST", "/aa/aael", &none, body, out, err);
}

static void an_event_is_read_whole_or_not_at_all(void **state)
{
    static const char       text[] = "{\"domain\":\"example.org/app\",\"operation\":\"start\",\"content\":\"with \\u00e9\",\"more\":1}";
    struct workload_request asked  = { 0 };
    struct err              err;

    (void) state;
    assert_true(read_post(bytes_of_text(text), &asked, &err));
    assert_int_equal(asked.kind, WORKLOAD_MEASURE);
    assert_string_equal(asked.domain, "example.org/app");
    assert_string_equal(asked.operation, "start");
    assert_string_equal(asked.content, "with \xc3\xa9");
    for (size_t len = 0; len + 1 < sizeof text; len++) {
        AUTO(heap) uint8_t     *exact = exact_copy(text, len);
        struct workload_request none  = { .domain = "untouched" };

        assert_false(read_post((struct bytes){ exact, len }, &none, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(none.domain, "untouched");
    }
}

static void an_event_with_one_defect_is_refused_by_name(void **state)
{
    char                    large[EVENT_CONTENT_MAX + 64];
    static const struct { const char *body; enum err_kind kind; const char *why; } rows[] = {
        { "[]", ERR_MALFORMED, NULL },
        { "{\"operation\":\"o\",\"content\":\"c\"}", ERR_MALFORMED, "event: \"domain\" is missing" },
        { "{\"domain\":\"d\",\"content\":\"c\"}", ERR_MALFORMED, "event: \"operation\" is missing" },
        { "{\"domain\":\"d\",\"operation\":\"o\"}", ERR_MALFORMED, "event: \"content\" is missing" },
        { "{\"domain\":1,\"operation\":\"o\",\"content\":\"c\"}", ERR_MALFORMED, NULL },
    };
    struct workload_request asked;
    struct err              err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(read_post(bytes_of_text(rows[i].body), &asked, &err));
        assert_int_equal(err.kind, rows[i].kind);
        if (rows[i].why)
            assert_string_equal(err.text, rows[i].why);
    }
    (void) snprintf(large, sizeof large, "{\"domain\":\"d\",\"operation\":\"o\",\"content\":\"%0*d\"}", EVENT_CONTENT_MAX + 1, 0);
    assert_false(read_post(bytes_of_text(large), &asked, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "event: content: over 4096 bytes");
}

static void lengths_are_bounded(void **state)
{
    char                    path[WORKLOAD_PATH_MAX + 2], data[WORKLOAD_PATH_MAX + 2];
    struct workload_query   query = { NULL, data, NULL };
    struct workload_request asked;
    struct err              err;

    (void) state;
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    assert_false(read_get(path, NULL, &asked, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    memset(data, 'a', sizeof data);
    data[RUNTIME_DATA_MAX + 1] = 0;
    assert_false(read_get("/aa/evidence", &query, &asked, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    data[RUNTIME_DATA_MAX] = 0;
    assert_true(read_get("/aa/evidence", &query, &asked, &err));
    assert_int_equal(asked.runtime_data_len, RUNTIME_DATA_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_is_its_question),
        cmocka_unit_test(runtime_data_may_be_base64),
        cmocka_unit_test(refuses_one_defect_at_a_time),
        cmocka_unit_test(an_event_is_read_whole_or_not_at_all),
        cmocka_unit_test(an_event_with_one_defect_is_refused_by_name),
        cmocka_unit_test(lengths_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
