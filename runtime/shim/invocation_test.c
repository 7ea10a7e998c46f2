#include "tests/harness/test.h"

#include "runtime/shim/invocation.h"
#include "runtime/shim/limits.h"

#define COUNT(words) ((int) (sizeof(words) / sizeof *(words)))

static void reads_what_engines_write(void **state)
{
    static char       program[] = "shim", ns[] = "-namespace", k8s[] = "k8s.io", address[] = "--address=/run/c.sock",
                      publish[] = "-publish-binary", binary[] = "/usr/bin/containerd", id[] = "-id", name[] = "c0ffee", debug[] = "-debug",
                      start[] = "start", bundle[] = "-bundle", path[] = "/b", delete[] = "delete", empty[] = "", plain[] = "-address";
    char             *starting[] = { program, ns, k8s, address, publish, binary, id, name, debug, start };
    char             *deleting[] = { program, ns, k8s, plain, empty, id, name, bundle, path, delete };
    struct invocation out;
    struct err        err;

    (void) state;
    assert_true(invocation_read(COUNT(starting), starting, &out, &err));
    assert_int_equal(out.action, INVOCATION_START);
    assert_string_equal(out.namespace, "k8s.io");
    assert_string_equal(out.address, "/run/c.sock");
    assert_string_equal(out.publish_binary, "/usr/bin/containerd");
    assert_string_equal(out.id, "c0ffee");
    assert_string_equal(out.bundle, "");
    assert_true(out.debug);
    assert_true(invocation_read(COUNT(deleting), deleting, &out, &err));
    assert_int_equal(out.action, INVOCATION_DELETE);
    assert_string_equal(out.bundle, "/b");
    assert_string_equal(out.address, "");
    assert_false(out.debug);
}

static void refuses(char *const *words, int n, const char *text)
{
    char             *argv[8];
    struct invocation out = { .action = INVOCATION_HELP };
    struct err        err;

    for (int i = 0; i < n; i++)
        argv[i] = words[i];
    assert_false(invocation_read(n, argv, &out, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, text);
    assert_int_equal(out.action, INVOCATION_HELP);
}

static void refuses_what_no_engine_says(void **state)
{
    static char program[] = "shim", id[] = "-id", ns[] = "-namespace", good[] = "a", start[] = "start", other[] = "destroy", odd[] = "--privileged";
    static char up[] = "../a", slash[] = "a/b", empty[] = "", dot[] = ".a", space[] = "a b";
    static char *const names[] = { up, slash, empty, dot, space };
    char        long_name[SHIM_ID_MAX + 2];

    (void) state;
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    refuses((char *[]){ program }, 1, "an action is wanted: start or delete; an engine gives it");
    refuses((char *[]){ program, other }, 2, "unknown action destroy: start, delete, sweep or features is wanted");
    refuses((char *[]){ program, odd, start }, 3, "unknown flag --privileged; see -help");
    refuses((char *[]){ program, id }, 2, "-id: a value is wanted");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        refuses((char *[]){ program, ns, good, id, names[i], start }, 6, "-id: wanted 1 to 128 letters, digits and ._-");
        refuses((char *[]){ program, ns, names[i], id, good, start }, 6, "-namespace: wanted 1 to 128 letters, digits and ._-");
    }
    refuses((char *[]){ program, ns, good, id, long_name, start }, 6, "-id: wanted 1 to 128 letters, digits and ._-");
}

static void questions_need_nothing_else(void **state)
{
    static const struct { const char *word; enum invocation_action action; } rows[] = {
        { "-info", INVOCATION_INFO },        { "-v", INVOCATION_VERSION }, { "--version", INVOCATION_VERSION },
        { "features", INVOCATION_FEATURES }, { "--help", INVOCATION_HELP },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(text) char  *word   = strdup(rows[i].word);
        char             *argv[] = { word, word };
        struct invocation out;
        struct err        err;

        assert_true(invocation_read(2, argv, &out, &err));
        assert_int_equal(out.action, rows[i].action);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_engines_write),
        cmocka_unit_test(refuses_what_no_engine_says),
        cmocka_unit_test(questions_need_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
