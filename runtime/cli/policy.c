/* `cloister policy`: evaluate, check and test Rego policies. */
#include "runtime/cli/policy.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "policy/rego/json.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/verb.h"

enum { MODULE_LEN_MAX = 4 << 20, JSON_LEN_MAX = 64 << 20 };

void policy_modules_free(struct policy_modules *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        buffer_free(&m->files[i]);
    m->n = 0;
}

FALLIBLE policy_modules_read(struct policy_modules *m, const char *const *paths, size_t n, struct err *err)
{
    for (size_t i = 0; i < n && i < POLICY_MODULES_MAX; i++) {
        struct buffer *file = &m->files[m->n++];

        if (!file_read(paths[i], MODULE_LEN_MAX, file, err))
            return false;
        m->texts[i] = (struct rego_text){ paths[i], buffer_bytes(file) };
    }
    return true;
}

FALLIBLE policy_json_read(struct arena *a, const char *path, struct buffer *text, struct value *out, struct err *err)
{
    bool ok = strcmp(path, "-") == 0 ? file_read_fd(STDIN_FILENO, JSON_LEN_MAX, text, err)
                                     : file_read(path, JSON_LEN_MAX, text, err);

    return (ok && json_text_read(a, buffer_bytes(text), out, err)) || contextf(err, "%s", path);
}

void policy_print_diagnostics(const struct rego_diagnostics *why, const struct err *err)
{
    if (why->n == 0) {
        (void) fprintf(stderr, "cloister: policy: %s\n", err->text);
        return;
    }
    (void) fprintf(stderr, "%u error%s occurred:%s", why->n, why->n == 1 ? "" : "s", why->n == 1 ? " " : "\n");
    for (uint32_t i = 0; i < why->n; i++) {
        const struct rego_diagnostic *d = &why->at[i];

        if (d->row > 0)
            (void) fprintf(stderr, "%s:%u: %s: %s\n", d->path, d->row, d->code, d->message);
        else
            (void) fprintf(stderr, "%s: %s\n", d->code, d->message);
    }
}

static bool query_reference_value(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err)
{
    const struct policy_user *u = user;

    (void) a;
    (void) err;
    *out = value_is(u->references, VALUE_OBJECT) ? value_get(u->references, args[0]) : value_undefined();
    if (!value_is_defined(*out))
        *out = value_null();
    return true;
}
const struct host_function policy_host_functions[1] = { { "query_reference_value", 1, query_reference_value } };

int64_t policy_now_ns(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int policy_fail(const char *command, const struct err *err)
{
    (void) fprintf(stderr, "cloister: policy %s: %s\n", command, err->text);
    return POLICY_EXIT_UNUSABLE;
}

static const struct {
    const char *name;
    const char *about;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "eval", "print what a query gives under policies, data and input", policy_eval },
    { "check", "say whether policies are well formed, and what is wrong where", policy_check },
    { "test", "run the rules whose names start with test_", policy_test },
    { "gen", "print initdata that allows exactly what a Kubernetes manifest asks for", policy_gen },
    { "set", "give a broker an attestation or resource policy", policy_remote },
    { "unset", "take one back from a broker", policy_remote },
    { "list", "print a broker's policies", policy_remote },
    { "history", "print every version of one", policy_remote },
    { "conformance", "run cases in the form of OPA's conformance suite", policy_conformance },
};

static void usage(FILE *to)
{
    (void) fputs("Usage: cloister policy COMMAND [OPTION]... [ARG]...\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void) fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].about);
    (void) fputs("\n`cloister policy COMMAND --help` shows its options.\n", to);
}

int cmd_policy(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return 0;
    }
    if (argc > 1)
        return verb_refuse("policy", argv[1], "eval, check, test, gen, set, unset, list, history or conformance; see cloister policy --help");
    usage(stderr);
    return POLICY_EXIT_UNUSABLE;
}
