#include "tests/harness/test.h"

#include "base/json.h"
#include "base/log.h"

static void assert_line(const char *pairs, const char *wanted)
{
    AUTO(buffer) struct buffer     line = { 0 };
    AUTO(json) struct json_object *read = NULL;
    struct err                     err;

    log_json_line(&line, 1700000000, "broker", "info", "answered", pairs);
    assert_string_equal(buffer_text(&line), wanted);
    if (!json_read((struct bytes){ line.at, line.len - 1 }, line.len, &read, &err))
        fail_msg("%s", err.text);
}

#define HEAD "{\"time\":\"2023-11-14T22:13:20Z\",\"level\":\"info\",\"program\":\"broker\",\"event\":\"answered\""

static void has_a_member_for_each_key(void **state)
{
    (void) state;
    assert_line("", HEAD "}\n");
    assert_line("method=GET path=/a/b us=12", HEAD ",\"method\":\"GET\",\"path\":\"/a/b\",\"us\":\"12\"}\n");
    assert_line("why=\"two words\" status=401", HEAD ",\"why\":\"two words\",\"status\":\"401\"}\n");
}

static void keeps_quotes_and_backslashes_apart_from_its_own(void **state)
{
    (void) state;
    assert_line("why=\"\"exp\" is missing\"", HEAD ",\"why\":\"\\\"exp\\\" is missing\"}\n");
    assert_line("path=\\x0a\",\"level\":\"error", HEAD ",\"path\":\"\\\\x0a\\\",\\\"level\\\":\\\"error\"}\n");
    assert_line("why=\"not closed", HEAD ",\"why\":\"not closed\"}\n");
    assert_line("no pair at all", HEAD ",\"text\":\"no pair at all\"}\n");
    assert_line("a=\x01\xff", HEAD ",\"a\":\"\\u0001\\u00ff\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_a_member_for_each_key),
        cmocka_unit_test(keeps_quotes_and_backslashes_apart_from_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
