#include "tests/harness/test.h"

#include <stdio.h>

#include "base/file.h"
#include "guest/container/limits.h"
#include "guest/container/oci.h"

#define IMAGE_HEAD "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":"

static bool compose(const char *image_text, const struct oci_request *like, struct buffer *json, struct err *err)
{
    AUTO(image_config) struct image_config image   = { 0 };
    AUTO(buffer) struct buffer             text    = { 0 };
    struct user                            root    = { .home = "/root" };
    struct oci_request                     request = *like;

    buffer_printf(&text, IMAGE_HEAD "%s}", image_text);
    if (!image_config_read(buffer_bytes(&text), &image, err))
        fail_msg("%s", err->text);
    request.id    = "web";
    request.root  = "/run/containers/web/rootfs";
    request.image = &image;
    request.user  = like->user ? like->user : &root;
    request.hostname = "web";
    AUTO(json) struct json_object *process = NULL;
    return oci_compose(&request, json, &process, err);
}

/* A member by its path, "process.args.0"; the document is parsed anew, as crun will. */
static void expect(const struct buffer *json, const char *path, const char *wanted)
{
    AUTO(json) struct json_object *document = NULL;
    struct json_object            *at;
    AUTO(text) char               *parts = strdup(path);
    struct err                     err;

    if (!json_read(buffer_bytes(json), 1 << 20, &document, &err))
        fail_msg("%s", err.text);
    at = document;
    for (char *part = strtok(parts, "/"); part; part = strtok(NULL, "/"))
        at = json_object_is_type(at, json_type_array) ? json_object_array_get_idx(at, (size_t) atoi(part))
                                                      : json_object_object_get(at, part);
    assert_string_equal(json_object_to_json_string_ext(at, JSON_C_TO_STRING_NOSLASHESCAPE), wanted);
}

static void the_whole_document_is_as_reviewed(void **state)
{
    AUTO(buffer) struct buffer    json = { 0 }, golden = { 0 };
    AUTO(json) struct json_object *composed = NULL, *reviewed = NULL;
    AUTO(text) char              *path = NULL;
    struct user                app  = { .uid = 1000, .gid = 1001, .groups = { 10, 44 }, .n_groups = 2, .home = "/home/app" };
    struct oci_request         like = { .user = &app };
    struct err                 err;

    (void) state;
    assert_true(compose("{\"Entrypoint\":[\"/bin/app\"],\"Cmd\":[\"serve\"],\"Env\":[\"A=1\"],\"WorkingDir\":\"/srv\"}", &like,
                        &json, &err));
    assert_non_null(getenv("CLOISTER_SOURCE"));
    assert_true(asprintf(&path, "%s/tests/golden/guest_container_oci/config.json", getenv("CLOISTER_SOURCE")) > 0);
    if (!file_read(path, 1 << 20, &golden, &err))
        fail_msg("%s", err.text);
    assert_true(json_read(buffer_bytes(&json), 1 << 20, &composed, &err));
    assert_true(json_read(buffer_bytes(&golden), 1 << 20, &reviewed, &err));
    if (!json_object_equal(composed, reviewed)) {
        (void) fprintf(stderr, "composed: %s\n", json_object_to_json_string(composed));
        fail_msg("config.json is not the reviewed one");
    }
}

static void arguments_replace_the_command_but_not_the_entry_point(void **state)
{
    static char                one[] = "one", two[] = "two";
    char *const                args[]  = { one, two };
    AUTO(buffer) struct buffer plain = { 0 }, replaced = { 0 }, bare = { 0 };
    struct oci_request         none = { 0 }, with = { .args = args, .n_args = 2 };
    struct err                 err;

    (void) state;
    assert_true(compose("{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"]}", &none, &plain, &err));
    expect(&plain, "process/args", "[\"/e\",\"c\"]");
    assert_true(compose("{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"]}", &with, &replaced, &err));
    expect(&replaced, "process/args", "[\"/e\",\"one\",\"two\"]");
    assert_true(compose("{\"Cmd\":[\"c\"]}", &with, &bare, &err));
    expect(&bare, "process/args", "[\"one\",\"two\"]");
}

static void the_requests_environment_is_stronger(void **state)
{
    static char                a[] = "A=new", path[] = "PATH=/x", aa[] = "AA=y";
    char *const                env[] = { a, path, aa };
    AUTO(buffer) struct buffer plain = { 0 }, added = { 0 };
    struct oci_request         none = { 0 }, with = { .env = env, .n_env = 3 };
    struct err                 err;

    (void) state;
    assert_true(compose("{\"Cmd\":[\"c\"],\"Env\":[\"A=old\",\"B=2\"]}", &none, &plain, &err));
    expect(&plain, "process/env",
           "[\"A=old\",\"B=2\",\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"HOME=/root\"]");
    assert_true(compose("{\"Cmd\":[\"c\"],\"Env\":[\"A=old\",\"B=2\",\"HOME=/h\"]}", &with, &added, &err));
    expect(&added, "process/env", "[\"B=2\",\"HOME=/h\",\"A=new\",\"PATH=/x\",\"AA=y\"]");
}

static void root_has_few_capabilities_and_others_none(void **state)
{
    struct user                app = { .uid = 5, .home = "/" };
    AUTO(buffer) struct buffer as_root = { 0 }, as_app = { 0 };
    struct oci_request         none = { 0 }, with = { .user = &app };
    struct err                 err;

    (void) state;
    assert_true(compose("{\"Cmd\":[\"c\"]}", &none, &as_root, &err));
    expect(&as_root, "process/capabilities/effective",
           "[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FSETID\",\"CAP_FOWNER\",\"CAP_SETGID\",\"CAP_SETUID\",\"CAP_SETPCAP\","
           "\"CAP_NET_BIND_SERVICE\",\"CAP_KILL\",\"CAP_SETFCAP\"]");
    assert_true(compose("{\"Cmd\":[\"c\"]}", &with, &as_app, &err));
    expect(&as_app, "process/capabilities/effective", "[]");
    expect(&as_app, "process/capabilities/permitted", "[]");
    expect(&as_app, "process/capabilities/ambient", "[]");
    expect(&as_app, "process/noNewPrivileges", "true");
}

static void volumes_are_bound_last_and_files_cannot_be_written(void **state)
{
    const struct volumes       volumes = { .files = { { "/e/f", { 0 }, 0 } }, .n_files = 1, .directories = { { "/e", "v" }, { "/r", "v", .read_only = true }, { "/s", "v", .sub_path = "a/b" } },
                                               .n_directories = 3, .trees = { { "/t", 1, 0 } }, .n_trees = 1, .termination_log = "/dev/termination-log" };
    const struct volume_places places  = { "/run/c/files", "/run/_volumes", "/run/_subs-c" };
    AUTO(buffer) struct buffer json    = { 0 };
    struct oci_request         with    = { .volumes = &volumes, .places = &places };
    struct err                 err;

    (void) state;
    assert_true(compose("{\"Cmd\":[\"c\"]}", &with, &json, &err));
    expect(&json, "mounts/7", "{\"destination\":\"/e\",\"type\":\"bind\",\"source\":\"/run/_volumes/v\","
                              "\"options\":[\"bind\",\"rw\",\"nosuid\",\"nodev\"]}");
    expect(&json, "mounts/8", "{\"destination\":\"/r\",\"type\":\"bind\",\"source\":\"/run/_volumes/v\","
                              "\"options\":[\"bind\",\"ro\",\"nosuid\",\"nodev\"]}");
    expect(&json, "mounts/9", "{\"destination\":\"/s\",\"type\":\"bind\",\"source\":\"/run/_subs-c/2\","
                              "\"options\":[\"bind\",\"rw\",\"nosuid\",\"nodev\"]}");
    expect(&json, "mounts/10", "{\"destination\":\"/t\",\"type\":\"bind\",\"source\":\"/run/c/files/volume-0\","
                              "\"options\":[\"bind\",\"ro\",\"nosuid\",\"nodev\",\"noexec\"]}");
    expect(&json, "mounts/12", "{\"destination\":\"/dev/termination-log\",\"type\":\"bind\",\"source\":\"/run/c/files/termination-log\","
                               "\"options\":[\"bind\",\"rw\",\"nosuid\",\"nodev\"]}");
    expect(&json, "mounts/11", "{\"destination\":\"/e/f\",\"type\":\"bind\",\"source\":\"/run/c/files/0\","
                              "\"options\":[\"bind\",\"ro\",\"nosuid\",\"nodev\",\"noexec\"]}");
}

static void processes_are_its_own_unless_a_path_says_whose(void **state)
{
    AUTO(buffer) struct buffer alone = { 0 }, shared = { 0 };
    struct oci_request         none  = { 0 }, with = { .processes = "/proc/77/ns/pid" };
    struct err                 err;

    (void) state;
    assert_true(compose("{\"Cmd\":[\"c\"]}", &none, &alone, &err) && compose("{\"Cmd\":[\"c\"]}", &with, &shared, &err));
    expect(&alone, "linux/namespaces/0", "{\"type\":\"pid\"}");
    expect(&shared, "linux/namespaces/0", "{\"type\":\"pid\",\"path\":\"/proc/77/ns/pid\"}");
    expect(&shared, "linux/namespaces/1", "{\"type\":\"ipc\"}");
}

static void a_persistent_volume_is_written_unless_policy_says_no(void **state)
{
    const struct volumes       volumes = { .disks = { { "/d", "data", false }, { "/in", "in", true } }, .n_disks = 2 };
    AUTO(buffer) struct buffer json    = { 0 };
    struct oci_request         with    = { .volumes = &volumes, .places = &(struct volume_places){ "/run/c/files", "/run/_volumes", "/run/_subs-c" } };
    struct err                 err;

    (void) state;
    assert_true(compose("{\"Cmd\":[\"c\"]}", &with, &json, &err));
    expect(&json, "mounts/7", "{\"destination\":\"/d\",\"type\":\"bind\",\"source\":\"/run/volumes/data\","
                              "\"options\":[\"bind\",\"rw\",\"nosuid\",\"nodev\"]}");
    expect(&json, "mounts/8", "{\"destination\":\"/in\",\"type\":\"bind\",\"source\":\"/run/volumes/in\","
                              "\"options\":[\"bind\",\"ro\",\"nosuid\",\"nodev\"]}");
}

static void a_later_process_differs_where_it_is_said(void **state)
{
    static char                id[] = "id", a[] = "A=new", b[] = "B=1", bad[] = "=x";
    char *const                args[] = { id }, *const env[] = { a, b }, *const wrong[] = { bad };
    const struct user          app    = { .uid = 7, .gid = 8, .groups = { 9 }, .n_groups = 1 };
    AUTO(json) struct json_object *process = NULL;
    AUTO(buffer) struct buffer plain = { 0 }, other = { 0 };
    struct err                 err;

    (void) state;
    assert_true(json_read(bytes_of_text("{\"terminal\":false,\"args\":[\"x\"],\"env\":[\"A=old\",\"PATH=/bin\"],\"cwd\":\"/\",\"user\":{\"uid\":0},\"capabilities\":1}"), 1000, &process, &err));
    assert_true(oci_compose_exec(process, &(struct oci_exec){ args, 1, true }, &plain, &err));
    expect(&plain, "env", "[\"A=old\",\"PATH=/bin\"]");
    expect(&plain, "user", "{\"uid\":0}");
    expect(&plain, "capabilities", "1");
    expect(&plain, "terminal", "true");
    assert_true(oci_compose_exec(process, &(struct oci_exec){ args, 1, .user = &app, .cwd = "/srv", .env = env, .n_env = 2 }, &other, &err));
    expect(&other, "args", "[\"id\"]");
    expect(&other, "env", "[\"PATH=/bin\",\"A=new\",\"B=1\"]");
    expect(&other, "cwd", "\"/srv\"");
    expect(&other, "user", "{\"uid\":7,\"gid\":8,\"umask\":18,\"additionalGids\":[9]}");
    expect(&other, "capabilities/effective", "[]"); /* as for any user that is not root */
    assert_false(oci_compose_exec(process, &(struct oci_exec){ args, 1, .cwd = "srv" }, &other, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(oci_compose_exec(process, &(struct oci_exec){ args, 1, .env = wrong, .n_env = 1 }, &other, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void refuses(const char *image_text, const struct oci_request *like, enum err_kind kind, const char *why)
{
    AUTO(buffer) struct buffer json = { 0 };
    struct err                 err;

    assert_false(compose(image_text, like, &json, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, why);
    assert_int_equal(json.len, 0);
}

static void refuses_what_it_cannot_run(void **state)
{
    static char        no_name[] = "=x", no_value[] = "X", empty[] = "";
    char              *bad1[] = { no_name }, *bad2[] = { no_value }, *bad3[] = { empty };
    struct oci_request none   = { 0 };

    (void) state;
    refuses("{}", &none, ERR_CONFIG, "neither the image nor the request names a command");
    refuses("{\"Cmd\":[\"\"]}", &none, ERR_CONFIG, "neither the image nor the request names a command");
    refuses("{}", &(struct oci_request){ .args = bad3, .n_args = 1 }, ERR_CONFIG,
            "neither the image nor the request names a command");
    refuses("{\"Cmd\":[\"c\"]}", &(struct oci_request){ .env = bad1, .n_env = 1 }, ERR_MALFORMED,
            "environment entry 0: wanted NAME=VALUE");
    refuses("{\"Cmd\":[\"c\"]}", &(struct oci_request){ .env = bad2, .n_env = 1 }, ERR_MALFORMED,
            "environment entry 0: wanted NAME=VALUE");
}

static void bounds_arguments(void **state)
{
    static char                x[] = "x";
    AUTO(buffer) struct buffer long_text = { 0 };
    char                      *many[CONTAINER_ARGS_MAX + 1];
    char                      *one[1];

    (void) state;
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = x;
    refuses("{}", &(struct oci_request){ .args = many, .n_args = CONTAINER_ARGS_MAX + 1 }, ERR_LIMIT,
            "over 4096 strings of arguments or environment");
    memset(buffer_grow(&long_text, CONTAINER_TEXT_MAX), 'x', CONTAINER_TEXT_MAX);
    (void) buffer_text(&long_text);
    one[0] = (char *) long_text.at;
    refuses("{}", &(struct oci_request){ .args = one, .n_args = 1 }, ERR_LIMIT,
            "an argument or environment entry over 131072 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_document_is_as_reviewed),
        cmocka_unit_test(arguments_replace_the_command_but_not_the_entry_point),
        cmocka_unit_test(the_requests_environment_is_stronger),
        cmocka_unit_test(root_has_few_capabilities_and_others_none),
        cmocka_unit_test(volumes_are_bound_last_and_files_cannot_be_written),
        cmocka_unit_test(processes_are_its_own_unless_a_path_says_whose),
        cmocka_unit_test(a_persistent_volume_is_written_unless_policy_says_no),
        cmocka_unit_test(a_later_process_differs_where_it_is_said),
        cmocka_unit_test(refuses_what_it_cannot_run),
        cmocka_unit_test(bounds_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
