#include "tests/harness/test.h"

#include "runtime/shim/process_spec.h"

struct reading {
    struct json_object *document;
    struct process_spec spec;
};

static void auto_reading(struct reading *r)
{
    process_spec_free(&r->spec);
    json_object_put(r->document);
}

static void read_all(const char *text, struct reading *out)
{
    AUTO(heap) uint8_t *exact = exact_copy(text, strlen(text));
    struct err          err;

    if (!process_spec_read((struct bytes){ exact, strlen(text) }, &out->document, &out->spec, &err))
        fail_msg("%s", err.text);
}

static void an_engines_process_is_read(void **state)
{
    AUTO(reading) struct reading r = { 0 };

    (void) state;
    read_all("{\"args\":[\"a\",\"\"],\"env\":[\"A=1\"],\"cwd\":\"/srv\",\"terminal\":true,\"user\":{\"uid\":4294967295,\"gid\":7,\"umask\":18},"
             "\"noNewPrivileges\":true,\"rlimits\":[]}", &r);
    assert_int_equal(r.spec.n_args, 2);
    assert_string_equal(r.spec.args[1], "");
    assert_int_equal(r.spec.n_env, 1);
    assert_string_equal(r.spec.cwd, "/srv");
    assert_true(r.spec.terminal && r.spec.has_user);
    assert_int_equal(r.spec.uid, UINT32_MAX);
    assert_int_equal(r.spec.gid, 7);
}

static void what_is_not_said_is_no_wish(void **state)
{
    AUTO(reading) struct reading r = { 0 };

    (void) state;
    read_all("{\"args\":[\"a\"]}", &r);
    assert_true(r.spec.n_env == 0 && !r.spec.terminal && !r.spec.has_user && !r.spec.cwd);
}

static void one_defect_is_named(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *says; } rows[] = {
        { "", ERR_MALFORMED, "process: JSON: empty" },
        { "[]", ERR_MALFORMED, "process: not an object" },
        { "{}", ERR_MALFORMED, "process: no args" },
        { "{\"args\":[]}", ERR_MALFORMED, "process: no args" },
        { "{\"args\":[\"a\",null]}", ERR_MALFORMED, "process: args: entry 1 is not a string" },
        { "{\"args\":[\"a\"],\"terminal\":1}", ERR_MALFORMED, "process: \"terminal\": boolean wanted, found int" },
        { "{\"args\":[\"a\"],\"cwd\":[]}", ERR_MALFORMED, "process: \"cwd\": string wanted, found array" },
        { "{\"args\":[\"a\"],\"user\":\"0\"}", ERR_MALFORMED, "process: \"user\": object wanted, found string" },
        { "{\"args\":[\"a\"],\"user\":{\"uid\":\"0\"}}", ERR_MALFORMED, "process: \"uid\": int wanted, found string" },
        { "{\"args\":[\"a\"],\"user\":{\"uid\":-1}}", ERR_MALFORMED, "process: user: uid: no number of a user or group" },
        { "{\"args\":[\"a\"],\"user\":{\"uid\":0,\"gid\":4294967296}}", ERR_MALFORMED, "process: user: gid: no number of a user or group" },
        { "{\"args\":[\"a\"],\"capabilities\":{\"bounding\":[\"CAP_NET_ADMIN\"]}}", ERR_UNSUPPORTED,
          "capabilities: CAP_NET_ADMIN: no container of a guest has it; take it out of what is added" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(heap) uint8_t    *exact = exact_copy(rows[i].text, strlen(rows[i].text));
        AUTO(reading) struct reading r = { 0 };
        struct err             err;

        assert_false(process_spec_read((struct bytes){ exact, strlen(rows[i].text) }, &r.document, &r.spec, &err));
        assert_string_equal(err.text, rows[i].says);
        assert_int_equal(err.kind, rows[i].kind);
        assert_null(r.document); /* out is written only on success */
        assert_null(r.spec.args);
    }
}

/* What a later process asks the guest for, beside argv, which it always has. */
static void asks(const char *container, const char *exec, const char *user, const char *cwd, const char *env)
{
    AUTO(reading) struct reading   of_container = { 0 }, of_exec = { 0 };
    AUTO(process_room) struct process_room room = { .env = NULL };
    Agent__ExecProcessRequest      request = AGENT__EXEC_PROCESS_REQUEST__INIT;
    AUTO(buffer) struct buffer     texts   = { 0 };

    read_all(container, &of_container);
    read_all(exec, &of_exec);
    process_spec_ask(&of_container.spec, &of_exec.spec, &room, &request);
    assert_string_equal(request.user, user);
    assert_string_equal(request.cwd, cwd);
    for (size_t i = 0; i < request.n_env; i++)
        buffer_printf(&texts, "%s;", request.env[i]);
    assert_string_equal(buffer_text(&texts), env);
    assert_int_equal(request.n_args, of_exec.spec.n_args);
    assert_string_equal(request.args[0], of_exec.spec.args[0]);
    assert_int_equal(request.terminal, of_exec.spec.terminal);
}

/* What engines copy from the container is the guest's own affair: asked for, policy would have to list it. */
static void a_later_process_asks_for_what_is_not_its_containers(void **state)
{
    static const char container[] = "{\"args\":[\"a\"],\"env\":[\"A=1\",\"B=2\"],\"cwd\":\"/srv\",\"user\":{\"uid\":5,\"gid\":6}}";

    (void) state;
    asks(container, "{\"args\":[\"x\"],\"env\":[\"A=1\",\"B=2\"],\"cwd\":\"/srv\",\"user\":{\"uid\":5,\"gid\":6}}", "", "", "");
    asks(container, "{\"args\":[\"x\"],\"terminal\":true}", "", "", "");
    asks(container, "{\"args\":[\"x\"],\"env\":[\"B=2\",\"A=2\",\"C=\"],\"cwd\":\"\"}", "", "", "A=2;C=;");
    asks(container, "{\"args\":[\"x\"],\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":6}}", "0:6", "/", "");
    asks(container, "{\"args\":[\"x\"],\"user\":{\"uid\":5,\"gid\":4294967295}}", "5:4294967295", "", "");
    asks("{\"args\":[\"a\"]}", "{\"args\":[\"x\"],\"cwd\":\"/\",\"user\":{}}", "", "", ""); /* nothing said: root, in / */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_engines_process_is_read),
        cmocka_unit_test(what_is_not_said_is_no_wish),
        cmocka_unit_test(one_defect_is_named),
        cmocka_unit_test(a_later_process_asks_for_what_is_not_its_containers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
