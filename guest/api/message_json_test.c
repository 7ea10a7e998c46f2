#include "tests/harness/test.h"

#include "base/json.h"
#include "guest/api/agent.pb-c.h"
#include "guest/api/message_json.h"

static void assert_json(const ProtobufCMessage *message, const char *wanted)
{
    AUTO(json) struct json_object *json = message_to_json(message);
    AUTO(buffer) struct buffer     text = { 0 };

    json_write(json, &text);
    assert_string_equal(buffer_text(&text), wanted);
}

static void every_field_stands_under_its_name(void **state)
{
    char                          name[] = "web", a[] = "a", b[] = "\"b\"";
    char                         *args[] = { a, b };
    Agent__SignalContainerRequest signal  = AGENT__SIGNAL_CONTAINER_REQUEST__INIT;
    Agent__ExecProcessRequest     exec    = AGENT__EXEC_PROCESS_REQUEST__INIT;
    AUTO(json) struct json_object *json   = NULL, *found = NULL;

    (void) state;
    signal.id     = name;
    signal.signal = 4294967295U;
    json          = message_to_json(&signal.base);
    assert_string_equal(json_object_get_string(json_object_object_get(json, "id")), "web");
    assert_int_equal(json_object_get_int64(json_object_object_get(json, "signal")), 4294967295);
    exec.args   = args;
    exec.n_args = 2;
    found       = message_to_json(&exec.base);
    assert_string_equal(json_object_to_json_string_ext(json_object_object_get(found, "args"), JSON_C_TO_STRING_PLAIN), "[\"a\",\"\\\"b\\\"\"]");
    assert_string_equal(json_object_get_string(json_object_object_get(found, "id")), "");
}

static void bytes_are_told_by_their_length_and_enums_by_name(void **state)
{
    Agent__ReadOutputRequest read  = AGENT__READ_OUTPUT_REQUEST__INIT;
    Agent__WriteInputRequest write = AGENT__WRITE_INPUT_REQUEST__INIT;
    uint8_t                  bytes[3] = { 1, 2, 3 };
    AUTO(json) struct json_object *asked = NULL, *sent = NULL;

    (void) state;
    read.stream = AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;
    asked       = message_to_json(&read.base);
    assert_string_equal(json_object_get_string(json_object_object_get(asked, "stream")), "OUTPUT_STREAM_STDERR");
    write.data = (ProtobufCBinaryData){ sizeof bytes, bytes };
    write.eof  = true;
    sent       = message_to_json(&write.base);
    assert_int_equal(json_object_get_int(json_object_object_get(sent, "data")), 3);
    assert_true(json_object_get_boolean(json_object_object_get(sent, "eof")));
}

static void messages_within_messages(void **state)
{
    char                       phase[] = "pull";
    Agent__TimelineEvent       event  = AGENT__TIMELINE_EVENT__INIT, *events[] = { &event };
    Agent__GetTimelineResponse answer = AGENT__GET_TIMELINE_RESPONSE__INIT;

    (void) state;
    assert_json(&answer.base, "{\"events\":[]}");
    event.phase     = phase;
    event.begin_ms  = 7;
    event.end_ms    = 1ULL << 63;
    answer.events   = events;
    answer.n_events = 1;
    assert_json(&answer.base, "{\"events\":[{\"phase\":\"pull\",\"begin_ms\":7,\"end_ms\":9223372036854775808,\"container\":\"\"}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_stands_under_its_name),
        cmocka_unit_test(bytes_are_told_by_their_length_and_enums_by_name),
        cmocka_unit_test(messages_within_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
