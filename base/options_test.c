#include "base/options.h"
#include "tests/harness/test.h"

static const char        *file;
static uint64_t           cpus;
static bool               is_json;
static struct option_list env;

static const struct option_row rows[] = {
    { "file", OPTION_TEXT, &file, "FILE", "a file", 0, 0 },
    { "cpus", OPTION_NUMBER, &cpus, "N", "processors", 1, 8 },
    { "json", OPTION_FLAG, &is_json, NULL, "as JSON", 0, 0 },
    { "env", OPTION_LIST, &env, "K=V", "environment", 0, 0 },
};
static const struct option_table table = { "cloister x", "[OPTION]... IMAGE", "Does x.", rows, 4, true, NULL };

static bool parse(const char *const *words, char ***operands, size_t *n, struct err *err)
{
    static char         *argv[16];
    enum options_outcome outcome;
    int                  argc = 0;

    file    = NULL;
    cpus    = 0;
    is_json = false;
    env.n   = 0;
    for (; words[argc]; argc++)
        argv[argc] = (char *) (uintptr_t) words[argc]; /* only moved around, never written to */
    return options_parse(&table, argc, argv, &outcome, operands, n, err);
}

static void reads_both_forms_and_stops_at_the_operand(void **state)
{
    const char *const argv[] = { "x", "--file", "f", "--cpus=4", "--env", "A=1", "--env=B=2", "--json", "img", "--cpus", "9", NULL };
    char **operands;
    size_t n;
    struct err err;

    (void) state;
    assert_true(parse(argv, &operands, &n, &err));
    assert_string_equal(file, "f");
    assert_int_equal(cpus, 4);
    assert_true(is_json);
    assert_int_equal(env.n, 2);
    assert_string_equal(env.at[1], "B=2");
    assert_int_equal(n, 3);
    assert_string_equal(operands[1], "--cpus");
}

static void each_mistake_names_the_option(void **state)
{
    static const char *const bad[][4] = { { "x", "--nope", NULL }, { "x", "--file", NULL }, { "x", "--cpus", "0", NULL },
                                    { "x", "--cpus=x", NULL }, { "x", "--json=1", NULL }, { "x", "-z", NULL } };
    static const char *const why[] = { "no option --nope; see cloister x --help", "--file wants FILE; see cloister x --help",
        "--cpus: 0 is not between 1 and 8", "--cpus: \"x\" is not a number", "--json takes no value", "no option -z; see cloister x --help" };
    char **operands;
    size_t n;
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(parse(bad[i], &operands, &n, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_string_equal(err.text, why[i]);
    }
}

static void help_and_version_are_told_without_a_run(void **state)
{
    static const char *const words[] = { "--help", "-h", "--version" };
    static const char *const said[]  = { "Usage: cloister x [OPTION]... IMAGE\n", "Usage: cloister x [OPTION]... IMAGE\n", "cloister " CLOISTER_VERSION "\n" };

    (void) state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char                *argv[]  = { (char[]){ "x" }, (char[]){ "--json" }, strdup(words[i]), (char[]){ "--nope" } }, **operands;
        enum options_outcome outcome = OPTIONS_RUN;
        FILE                *kept    = stdout, *to = tmpfile();
        char                 line[128];
        size_t               n;
        struct err           err;
        bool                 ok;

        assert_non_null(to);
        stdout = to;
        ok     = options_parse(&table, 4, argv, &outcome, &operands, &n, &err);
        stdout = kept;
        assert_true(ok);
        assert_int_equal(outcome, OPTIONS_HELP_WAS_PRINTED);
        rewind(to);
        assert_non_null(fgets(line, sizeof line, to));
        assert_string_equal(line, said[i]);
        assert_int_equal(fclose(to), 0);
        free(argv[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_forms_and_stops_at_the_operand),
        cmocka_unit_test(each_mistake_names_the_option),
        cmocka_unit_test(help_and_version_are_told_without_a_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
