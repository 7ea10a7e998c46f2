/* `cloister policy eval` and `check`. */
#include <stdio.h>
#include <string.h>

#include "policy/rego/explain.h"
#include "policy/rego/json.h"
#include "runtime/cli/policy.h"

enum { EVAL_MEMORY = 256 << 20 };

struct eval_request {
    struct option_list policies;
    const char        *data_path;
    const char        *input_path;
    const char        *references_path;
    bool               v0;
    bool               strict;
    bool               explain;
    bool               pretty;
};

static void print_line(void *user, struct bytes line)
{
    (void) user;
    (void) fprintf(stderr, "%.*s\n", (int) line.len, (const char *) line.at);
}

static void explain(void *user, const struct eval_moment *moment)
{
    explanation_trace(((struct policy_user *) user)->explanation, moment);
}

static FALLIBLE read_documents(const struct eval_request *r, struct arena *a, struct buffer texts[3], struct value *data,
                               struct value *input, struct value *references, struct err *err)
{
    *references = value_undefined();
    *input      = value_undefined();
    *data       = value_new(a, VALUE_OBJECT, 0);
    if (!value_is_defined(*data) || !value_close(a, *data))
        return arena_ok(a, err);
    if (r->data_path && !policy_json_read(a, r->data_path, &texts[0], data, err))
        return false;
    if (!value_is(*data, VALUE_OBJECT))
        return fail_with(err, ERR_MALFORMED, "%s: data must be an object", r->data_path);
    if (r->references_path && !policy_json_read(a, r->references_path, &texts[2], references, err))
        return false;
    return !r->input_path || policy_json_read(a, r->input_path, &texts[1], input, err);
}

static FALLIBLE print_results(struct arena *a, struct value results, bool pretty, struct err *err)
{
    struct text_out   out   = text_out_new(a, VALUE_TEXT_MAX);
    struct value      text  = value_undefined();
    struct json_style style = { .pretty = pretty, .indent = "  " };

    json_text_write(&out, results, &style);
    if (!text_take(&out, &text))
        return arena_ok(a, err);
    (void) printf("%.*s\n", (int) text.len, text.text);
    return true;
}

static int fault_exit(const struct eval_fault *fault, const struct err *err)
{
    if (fault->code == EVAL_NO_ERROR) {
        (void) fprintf(stderr, "cloister: policy eval: %s\n", err->text);
    } else if (value_is(fault->file, VALUE_STRING) && fault->place.row > 0) {
        (void) fprintf(stderr, "%.*s:%u: %s: %s\n", (int) fault->file.len, fault->file.text, fault->place.row,
                       eval_code_name(fault->code), fault->text);
    } else {
        (void) fprintf(stderr, "%s: %s\n", eval_code_name(fault->code), fault->text);
    }
    return POLICY_EXIT_UNUSABLE;
}

static int evaluate(const struct eval_request *r, const char *query)
{
    AUTO(policy_modules) struct policy_modules modules  = { 0 };
    AUTO(program) struct program              *program  = NULL;
    AUTO(arena) struct arena                   memory   = arena_of(EVAL_MEMORY);
    AUTO(buffer) struct buffer                 data_text = { 0 }, input_text = { 0 }, references_text = { 0 };
    struct buffer                              texts[3] = { { 0 } };
    struct policy_user                         user     = { .explanation = NULL };
    struct rego_options                        how      = { .v0 = r->v0, .print = true, .hosts = policy_host_functions, .n_hosts = 1 };
    struct eval_options options = { .limits = EVAL_LIMITS_DEFAULT, .strict_builtin_errors = r->strict, .print = print_line };
    struct rego_diagnostics                    why      = { .n = 0 };
    struct explanation                         explanation = { 0 };
    struct eval_fault                          fault    = { 0 };
    struct value                               data, input, results;
    struct err                                 err;

    if (!policy_modules_read(&modules, r->policies.at, r->policies.n, &err))
        return policy_fail("eval", &err);
    if (!rego_prepare(modules.texts, modules.n, &query, 1, &how, &program, &why, &err)) {
        policy_print_diagnostics(&why, &err);
        return POLICY_EXIT_UNUSABLE;
    }
    bool ok         = read_documents(r, &memory, texts, &data, &input, &user.references, &err);
    data_text       = texts[0];
    input_text      = texts[1];
    references_text = texts[2];
    if (!ok)
        return policy_fail("eval", &err);
    options.now_ns = policy_now_ns();
    if (r->explain) {
        explanation_start(&explanation, modules.texts, modules.n, query, stderr);
        user.explanation = &explanation;
        options.trace    = explain;
    }
    options.user = &user;
    if (!program_eval(program, 0, input, data, &options, &memory, &results, &fault, &err))
        return fault_exit(&fault, &err);
    return print_results(&memory, results, r->pretty, &err) ? 0 : policy_fail("eval", &err);
}

int policy_eval(int argc, char **argv)
{
    struct eval_request       r       = { 0 };
    const struct option_row   rows[]  = {
        { .name = "policy", .kind = OPTION_LIST, .into = &r.policies, .value = "FILE", .help = "a module" },
        { .name = "data", .kind = OPTION_TEXT, .into = &r.data_path, .value = "FILE", .help = "JSON object that is `data`" },
        { .name = "input", .kind = OPTION_TEXT, .into = &r.input_path, .value = "FILE", .help = "JSON that is `input`; - reads standard input" },
        { .name = "reference-values", .kind = OPTION_TEXT, .into = &r.references_path, .value = "FILE", .help = "JSON object behind query_reference_value" },
        { .name = "v0", .kind = OPTION_FLAG, .into = &r.v0, .help = "the syntax before OPA 1.0" },
        { .name = "strict-builtin-errors", .kind = OPTION_FLAG, .into = &r.strict, .help = "a failing built-in function is an error, not undefined" },
        { .name = "explain", .kind = OPTION_FLAG, .into = &r.explain, .help = "say on standard error why rules are undefined" },
        { .name = "pretty", .kind = OPTION_FLAG, .into = &r.pretty, .help = "indent the output" },
    };
    const struct option_table table = { .command = "cloister policy eval", .synopsis = "[OPTION]... --policy FILE... QUERY",
        .about = "Prints the JSON array of what the query's variables can be, [] when it is undefined. Exit status: 0, or "
                 "2 after an error, which is named as OPA names it.",
        .rows = rows, .n_rows = sizeof rows / sizeof rows[0] };
    enum options_outcome      outcome;
    char                    **operands;
    size_t                    n;
    struct err                err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return policy_fail("eval", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (n != 1) {
        (void) fail_with(&err, ERR_CONFIG, "one query is wanted, %zu are given (see --help)", n);
        return policy_fail("eval", &err);
    }
    return evaluate(&r, operands[0]);
}

int policy_check(int argc, char **argv)
{
    AUTO(policy_modules) struct policy_modules modules = { 0 };
    struct rego_options       how    = { .print = true, .hosts = policy_host_functions, .n_hosts = 1 };
    struct rego_diagnostics   why    = { .n = 0 };
    const struct option_row   rows[] = {
        { .name = "v0", .kind = OPTION_FLAG, .into = &how.v0, .help = "the syntax before OPA 1.0" },
    };
    const struct option_table table = { .command = "cloister policy check", .synopsis = "[OPTION]... FILE...",
        .about = "Compiles modules and prints what is wrong with them, as OPA does. Exit status: 0, or 2.",
        .rows = rows, .n_rows = sizeof rows / sizeof rows[0] };
    enum options_outcome      outcome;
    char                    **operands;
    size_t                    n;
    struct err                err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return policy_fail("check", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (n == 0) {
        (void) fail_with(&err, ERR_CONFIG, "one FILE or more is wanted; see cloister policy check --help"); /* told next */
        return policy_fail("check", &err);
    }
    if (!policy_modules_read(&modules, (const char *const *) operands, n, &err))
        return policy_fail("check", &err);
    if (rego_check(modules.texts, modules.n, &how, &why, &err))
        return 0;
    policy_print_diagnostics(&why, &err);
    return POLICY_EXIT_UNUSABLE;
}
