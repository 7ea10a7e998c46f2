#include "tests/harness/test.h"

#include "base/file.h"
#include "guest/api/message.h"
#include "runtime/shim/limits.h"
#include "runtime/shim/settings.h"

static const char whole[] = "development = true\ninitdata = \"/etc/i\"\nguest = \"/g\"\nblobs = \"/b\"\ncache = \"/c\"\ncache_max = 7\ntee = \"sim\"\naccel = \"tcg\"\n"
                            "cpus = 2\nmemory = 256\nmemory_most = 1024\nboot_timeout = 60\nkill_timeout = 7\nTypeUrl = \"cloister\"\n";

static void reads_every_key_and_has_defaults(void **state)
{
    AUTO(settings) struct settings s = { 0 }, none = { 0 };
    struct err                     err;

    (void) state;
    assert_true(settings_read(bytes_of_text(whole), &s, &err));
    assert_true(s.development);
    assert_string_equal(s.initdata, "/etc/i");
    assert_string_equal(s.guest, "/g");
    assert_string_equal(s.blobs, "/b");
    assert_string_equal(s.cache, "/c");
    assert_int_equal(s.cache_max_mib, 7);
    assert_string_equal(s.tee, "sim");
    assert_string_equal(s.accel, "tcg");
    assert_int_equal(s.cpus, 2);
    assert_int_equal(s.memory_mib, 256);
    assert_int_equal(s.memory_most_mib, 1024);
    assert_int_equal(s.boot_timeout_s, 60);
    assert_int_equal(s.kill_timeout_s, 7);
    assert_true(settings_read(bytes_of_text(""), &none, &err));
    assert_false(none.development);
    assert_null(none.initdata);
    assert_string_equal(none.tee, "auto");
    assert_int_equal(none.memory_mib, 512);
    assert_int_equal(none.kill_timeout_s, 30);
}

static void refuses_what_it_does_not_know(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } rows[] = {
        { "kernel_params = \"x\"", ERR_CONFIG, "unknown key \"kernel_params\"" },
        { "development = \"yes\"", ERR_CONFIG, "development: true or false is wanted" },
        { "initdata = \"/i\"", ERR_CONFIG, "initdata: only with development = true; else it comes with the pod" },
        { "guest = \"g\"", ERR_CONFIG, "guest: an absolute path is wanted" },
        { "cache = \"c\"", ERR_CONFIG, "cache: an absolute path is wanted" },
        { "cache_max = 0", ERR_CONFIG, "cache_max: 1 to 1073741824 is wanted" },
        { "blobs = 1", ERR_CONFIG, "blobs: a text is wanted" },
        { "tee = \"\"", ERR_CONFIG, "tee: a text is wanted" },
        { "cpus = 0", ERR_CONFIG, "cpus: 1 to 64 is wanted" },
        { "cpus = -1", ERR_CONFIG, "cpus: 1 to 64 is wanted" },
        { "memory = 63", ERR_CONFIG, "memory: 64 to 1048576 is wanted" },
        { "memory = 2048\nmemory_most = 1024", ERR_CONFIG, "memory: over memory_most" },
        { "boot_timeout = 3601", ERR_CONFIG, "boot_timeout: 1 to 3600 is wanted" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings s = { 0 };
        struct err      err;

        assert_false(settings_read(bytes_of_text(rows[i].text), &s, &err));
        assert_int_equal(err.kind, rows[i].kind);
        assert_string_equal(err.text, rows[i].why);
        assert_null(s.document);
    }
}

static void bounds_its_size_and_survives_every_truncation(void **state)
{
    AUTO(buffer) struct buffer large = { 0 };
    struct settings            s;
    struct err                 err;

    (void) state;
    memset(buffer_grow(&large, SHIM_SETTINGS_MAX + 1), '\n', SHIM_SETTINGS_MAX + 1);
    assert_false(settings_read(buffer_bytes(&large), &s, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    for (size_t len = 0; len < sizeof whole; len++) {
        AUTO(heap) uint8_t            *exact = exact_copy(whole, len);
        AUTO(settings) struct settings read  = { 0 };

        if (!settings_read((struct bytes){ exact, len }, &read, &err))
            assert_true(err.kind == ERR_MALFORMED || err.kind == ERR_CONFIG);
    }
}

static void pack_options(const char *path, const char *body, struct buffer *out)
{
    Engine__Options            options = ENGINE__OPTIONS__INIT;
    Engine__Any                any     = ENGINE__ANY__INIT;
    AUTO(buffer) struct buffer inner   = { 0 };
    char                       type[]  = "runtimeoptions.v1.Options";

    options.config_path = (char *) (uintptr_t) path;
    options.config_body = (ProtobufCBinaryData){ strlen(body), (uint8_t *) (uintptr_t) body };
    message_append(&inner, &options.base);
    any.type_url = type;
    any.value    = (ProtobufCBinaryData){ inner.len, inner.at };
    message_append(out, &any.base);
}

static void takes_them_from_the_table_or_the_file_that_an_engine_names(void **state)
{
    AUTO(buffer) struct buffer     table = { 0 }, file = { 0 }, relative = { 0 };
    AUTO(settings) struct settings a = { 0 }, b = { 0 }, c = { 0 };
    AUTO(text) char               *folder = NULL, *path = NULL;
    struct err                     err;

    (void) state;
    pack_options("", "cpus = 3\n", &table);
    assert_true(settings_from_input(buffer_bytes(&table), "id", "", &a, &err));
    assert_int_equal(a.cpus, 3);
    assert_true(directory_make_temporary("settings", &folder, &err));
    assert_true(asprintf(&path, "%s/s.toml", folder) > 0);
    assert_true(file_write(path, bytes_of_text("cpus = 4\n"), 0600, &err));
    pack_options(path, "", &file);
    assert_true(settings_from_input(buffer_bytes(&file), "id", "", &b, &err));
    assert_int_equal(b.cpus, 4);
    pack_options("s.toml", "", &relative);
    assert_false(settings_from_input(buffer_bytes(&relative), "id", "", &c, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_true(directory_remove(folder, &err));
}

static void takes_them_from_bootstrap_parameters_too(void **state)
{
    Engine__BootstrapParams        params = ENGINE__BOOTSTRAP_PARAMS__INIT;
    Engine__Extension              extension = ENGINE__EXTENSION__INIT, *all[] = { &extension };
    AUTO(buffer) struct buffer     any_text = { 0 }, wire = { 0 };
    AUTO(message) ProtobufCMessage *any = NULL;
    AUTO(settings) struct settings s = { 0 };
    char                           id[] = "6fe2f55e";
    struct err                     err;

    (void) state;
    pack_options("", "cpus = 5\n", &any_text);
    assert_true(message_read(&engine__any__descriptor, buffer_bytes(&any_text), MESSAGE_LOOSE, &any, &err));
    extension.value      = (Engine__Any *) any;
    params.instance_id   = id;
    params.extensions    = all;
    params.n_extensions  = 1;
    message_append(&wire, &params.base);
    assert_true(settings_from_input(buffer_bytes(&wire), id, "", &s, &err));
    assert_int_equal(s.cpus, 5);
}

static void options_of_another_runtime_are_named(void **state)
{
    Engine__Any     any    = ENGINE__ANY__INIT;
    char            type[] = "containerd.runc.v1.Options";
    uint8_t         body[] = { 8, 1 };
    struct settings s;
    struct err      err;

    (void) state;
    any.type_url = type;
    any.value    = (ProtobufCBinaryData){ sizeof body, body };
    assert_false(settings_from_options(&any, "", &s, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "handler options of type containerd.runc.v1.Options: runtimeoptions.v1.Options is wanted; "
                                  "leave runc's options out");
}

static void finds_the_file_of_a_handler_by_the_programs_name(void **state)
{
    static const struct { const char *program, *file; } named[] = {
        { "/usr/bin/containerd-shim-cloister-development-v2", "development.toml" },
        { "containerd-shim-cloister-a-b-2-v2", "a-b-2.toml" },
        { "/usr/bin/containerd-shim-cloister-v2", "shim.toml" },
        { "containerd-shim-cloister-v2-spy", "shim.toml" },
    };
    AUTO(settings) struct settings s      = { 0 }, none = { 0 };
    AUTO(text) char               *folder = NULL;
    char                           wanted[SETTINGS_PATH_MAX], found[SETTINGS_PATH_MAX];
    struct err                     err;

    (void) state;
    assert_true(directory_make_temporary("settings", &folder, &err));
    assert_true(settings_find_file("containerd-shim-cloister-v2", folder, found, &err));
    assert_string_equal(found, ""); /* all defaults: the file is not there */
    (void) snprintf(wanted, sizeof wanted, "%s/shim.toml", folder);
    assert_true(file_write(wanted, bytes_of_text("cpus = 7\n"), 0600, &err));
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        (void) snprintf(wanted, sizeof wanted, "%s/%s", folder, named[i].file);
        assert_true(settings_find_file(named[i].program, folder, found, &err));
        assert_string_equal(found, wanted);
    }
    assert_true(settings_from_input((struct bytes){ 0 }, "id", found, &s, &err));
    assert_int_equal(s.cpus, 7);
    (void) snprintf(wanted, sizeof wanted, "%s/development.toml", folder);
    assert_false(settings_from_input((struct bytes){ 0 }, "id", wanted, &none, &err)); /* one that is named must be there */
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_false(settings_find_file("containerd-shim-cloister-..-v2", folder, found, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "containerd-shim-cloister-..-v2: a handler's name has small letters, digits and - only");
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_key_and_has_defaults),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(bounds_its_size_and_survives_every_truncation),
        cmocka_unit_test(takes_them_from_the_table_or_the_file_that_an_engine_names),
        cmocka_unit_test(takes_them_from_bootstrap_parameters_too),
        cmocka_unit_test(finds_the_file_of_a_handler_by_the_programs_name),
        cmocka_unit_test(options_of_another_runtime_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
