/* What the parts of `cloister policy` share; nobody else includes it. */
#pragma once

#include "base/bytes.h"
#include "base/options.h"
#include "policy/rego/policy.h"

enum { POLICY_EXIT_NO = 1, POLICY_EXIT_UNUSABLE = 2 };
enum { POLICY_MODULES_MAX = OPTION_LIST_MAX };

/* Modules read from files. */
struct policy_modules {
    struct rego_text texts[POLICY_MODULES_MAX];
    struct buffer    files[POLICY_MODULES_MAX];
    uint32_t         n;
};
FALLIBLE policy_modules_read(struct policy_modules *m, const char *const *paths, size_t n, struct err *err);
void     policy_modules_free(struct policy_modules *m);
static inline void auto_policy_modules(struct policy_modules *m) { policy_modules_free(m); }

/* JSON from a file into `a`, borrowing from `text`; "-" is standard input. */
FALLIBLE policy_json_read(struct arena *a, const char *path, struct buffer *text, struct value *out, struct err *err);
void     policy_print_diagnostics(const struct rego_diagnostics *why, const struct err *err); /* as OPA prints them */
int64_t  policy_now_ns(void);
int      policy_fail(const char *command, const struct err *err); /* prints one line, gives the exit status */

/* The function query_reference_value of attestation policies, over a JSON object given on the command line. */
extern const struct host_function policy_host_functions[1];
struct policy_user { /* what eval_options.user points to in these commands */
    struct value references; /* undefined: every reference value is null */
    void        *explanation;
};

int policy_eval(int argc, char **argv);
int policy_check(int argc, char **argv);
int policy_test(int argc, char **argv);
int policy_conformance(int argc, char **argv);
int policy_gen(int argc, char **argv);
int policy_remote(int argc, char **argv); /* set, unset, list, history */
