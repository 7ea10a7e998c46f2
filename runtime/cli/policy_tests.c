/* `cloister policy test`: rules named test_… must be true. */
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "policy/rego/json.h"
#include "runtime/cli/policy.h"

enum { TESTS_MAX = 4096, TEST_MEMORY = 256 << 20 };

struct tests {
    char    *paths[TESTS_MAX];
    uint32_t n;
};

static void tests_free(struct tests *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        free(t->paths[i]);
}
static inline void auto_tests(struct tests *t) { tests_free(t); }

static void note_test(void *user, const char *path)
{
    struct tests *t    = user;
    const char   *last = strrchr(path, '.');

    if (!last || strncmp(last + 1, "test_", 5) != 0 || t->n == TESTS_MAX)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        if (strcmp(t->paths[i], path) == 0)
            return;
    t->paths[t->n] = strdup(path);
    t->n += t->paths[t->n] != NULL;
}

static void print_line(void *user, struct bytes line)
{
    (void) user;
    (void) printf("  %.*s\n", (int) line.len, (const char *) line.at);
}

static bool run_test(const struct program *p, uint32_t i, const char *path, struct value data, struct arena *memory)
{
    struct policy_user  user    = { .explanation = NULL };
    struct eval_options options = { .limits = EVAL_LIMITS_DEFAULT, .now_ns = policy_now_ns(), .print = print_line, .user = &user };
    struct eval_fault   fault   = { 0 };
    struct value        results = value_undefined();
    struct err          err;

    if (!program_eval(p, i, value_undefined(), data, &options, memory, &results, &fault, &err)) {
        (void) printf("ERROR %s: %s\n", path, err.text);
        return false;
    }
    bool passed = value_count(results) > 0;
    (void) printf("%s %s\n", passed ? "PASS" : "FAIL", path);
    return passed;
}

static int run_tests(const struct tests *tests, const struct program *program, struct value data)
{
    AUTO(arena) struct arena memory = arena_of(TEST_MEMORY);
    uint32_t                 failed = 0;

    for (uint32_t i = 0; i < tests->n; i++) {
        arena_reset(&memory);
        failed += !run_test(program, i, tests->paths[i], data, &memory);
    }
    (void) printf("%u passed, %u failed\n", tests->n - failed, failed);
    return failed > 0 ? POLICY_EXIT_NO : 0;
}

static int prepare_and_run(const struct option_list *files, const char *data_path, const struct rego_options *how)
{
    AUTO(policy_modules) struct policy_modules modules   = { 0 };
    AUTO(program) struct program              *program   = NULL;
    AUTO(tests) struct tests                   tests     = { .n = 0 };
    AUTO(arena) struct arena                   memory    = arena_of(TEST_MEMORY);
    AUTO(buffer) struct buffer                 data_text = { 0 };
    struct value                               data      = value_new(&memory, VALUE_OBJECT, 0);
    struct rego_diagnostics                    why       = { .n = 0 };
    struct err                                 err;

    if (!policy_modules_read(&modules, files->at, files->n, &err))
        return policy_fail("test", &err);
    if (!rego_each_rule(modules.texts, modules.n, how, note_test, &tests, &why, &err) ||
        !rego_prepare(modules.texts, modules.n, (const char *const *) tests.paths, tests.n, how, &program, &why, &err)) {
        policy_print_diagnostics(&why, &err);
        return POLICY_EXIT_UNUSABLE;
    }
    if (!value_close(&memory, data) || (data_path && !policy_json_read(&memory, data_path, &data_text, &data, &err)))
        return policy_fail("test", &err);
    return run_tests(&tests, program, data);
}

int policy_test(int argc, char **argv)
{
    struct rego_options       how       = { .print = true, .hosts = policy_host_functions, .n_hosts = 1 };
    const char               *data_path = NULL;
    const struct option_row   rows[]    = {
        { .name = "data", .kind = OPTION_TEXT, .into = &data_path, .value = "FILE", .help = "JSON object that is `data`" },
        { .name = "v0", .kind = OPTION_FLAG, .into = &how.v0, .help = "the syntax before OPA 1.0" },
    };
    const struct option_table table = { .command = "cloister policy test", .synopsis = "[OPTION]... FILE...",
        .about = "Evaluates every rule whose name starts with test_; each must be true. Exit status: 0, 1 when one is "
                 "not, 2 when the files do not compile.",
        .rows = rows, .n_rows = sizeof rows / sizeof rows[0] };
    enum options_outcome      outcome;
    char                    **operands;
    struct option_list        files = { .n = 0 };
    size_t                    n;
    struct err                err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return policy_fail("test", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (n == 0) {
        (void) fail_with(&err, ERR_CONFIG, "one FILE or more is wanted; see cloister policy test --help"); /* told next */
        return policy_fail("test", &err);
    }
    for (size_t i = 0; i < n && files.n < OPTION_LIST_MAX; i++)
        files.at[files.n++] = operands[i];
    return prepare_and_run(&files, data_path, &how);
}
