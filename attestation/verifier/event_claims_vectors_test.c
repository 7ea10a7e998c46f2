/* Claims of CoCo's own sample logs are, member by member, what CoCo makes of them. */
#include "tests/harness/test.h"

#include "attestation/verifier/event_claims.h"
#include "tests/harness/vectors.h"

static struct json_object *member(struct json_object *from, const char *name) { return json_object_object_get(from, name); }

/* All but one member are equal; and what CoCo's plain rule calls matching, ours does. */
static void assert_same(const char *log, size_t i, struct json_object *ours, struct json_object *cocos)
{
    static const char *const names[] = { "index", "type_name", "digests", "event", "details" };

    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (!json_object_equal(member(ours, names[k]), member(cocos, names[k])))
            fail_msg("%s[%zu]: %s: %s, CoCo's is %s", log, i, names[k], json_object_to_json_string(member(ours, names[k])),
                     json_object_to_json_string(member(cocos, names[k])));
    if (json_object_get_boolean(member(cocos, "digest_matches_event")) &&
        !json_object_get_boolean(member(ours, "digest_matches_event")))
        fail_msg("%s[%zu]: %s: event data that matches is not believed", log, i,
                 json_object_to_json_string(member(ours, "type_name")));
}

static void claims_are_those_of_coco(void **state)
{
    static const char *const logs[] = { "CCEL_AAEL_alibabacloud", "CCEL_data", "CCEL_data_csv", "CCEL_data_grub",
                                        "CCEL_data_grub_gke", "CCEL_data_ovmf" };

    (void) state;
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        char path[96], expected_path[96];

        (void) snprintf(path, sizeof path, "coco/eventlog/%s", logs[i]); /* short names */
        (void) snprintf(expected_path, sizeof expected_path, "coco/eventlog/%s_out.json", logs[i]);
        AUTO(buffer) struct buffer     raw = shared_vector(path), text = shared_vector(expected_path);
        AUTO(json) struct json_object *expected = NULL, *claims = NULL;
        struct json_object            *list = NULL;
        struct event_log               log;
        struct err                     err;

        assert_true(json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &expected, &err));
        assert_true(json_get(expected, "uefi_event_logs", json_type_array, &list, &err));
        if (!event_log_parse(buffer_bytes(&raw), EVENT_LOG_CCEL, &log, &err))
            fail_msg("%s: %s", logs[i], err.text);
        claims = event_log_claims(&log);
        assert_int_equal(json_object_array_length(claims), json_object_array_length(list));
        for (size_t k = 0; k < json_object_array_length(list); k++)
            assert_same(logs[i], k, json_object_array_get_idx(claims, k), json_object_array_get_idx(list, k));
        print_message("%-24s %zu events\n", logs[i], json_object_array_length(list));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(claims_are_those_of_coco) };

    vectors_required("coco/eventlog/CCEL_data_out.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
