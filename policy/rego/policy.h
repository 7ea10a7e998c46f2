/*
 * Rego policies: text in, decisions out. Prepare once, evaluate as often and from as many threads as you like.
 */
#pragma once

#include "policy/rego/eval.h"

enum { REGO_MESSAGE_MAX = 512 };

struct rego_text {
    const char  *path; /* as errors name it */
    struct bytes text;
};

struct rego_options {
    bool                        v0;    /* the syntax before OPA 1.0 */
    bool                        print; /* evaluate print calls; else they are checked and dropped */
    bool                        experimental; /* allow future.keywords.and and .or, which OPA has not released */
    const struct host_function *hosts; /* outlive the policy */
    uint32_t                    n_hosts;
    size_t                      memory; /* of compiling; 0: REGO_COMPILE_MEMORY */
};

#define REGO_COMPILE_MEMORY ((size_t) 256 << 20)

/* What is wrong with a policy, named as OPA names it. */
struct rego_diagnostic {
    const char *code;
    char        path[128];
    uint32_t    row; /* 0: no place */
    uint32_t    col;
    char        message[REGO_MESSAGE_MAX];
};

enum { REGO_DIAGNOSTICS_MAX = 10 };
struct rego_diagnostics {
    struct rego_diagnostic at[REGO_DIAGNOSTICS_MAX];
    uint32_t               n;
};

/*
 * Compiles modules and queries to one program; query i of the program is queries[i]. Texts may be released
 * afterwards. Fails MALFORMED with `why` filled (err->text is its first line as OPA prints it), LIMIT when a
 * bound is reached, UNSUPPORTED for a built-in function that this engine lacks.
 */
FALLIBLE rego_prepare(const struct rego_text *modules, uint32_t n_modules, const char *const *queries, uint32_t n_queries,
                      const struct rego_options *options, struct program **out, struct rego_diagnostics *why,
                      struct err *err);

/* Checks modules alone; errors as above. */
FALLIBLE rego_check(const struct rego_text *modules, uint32_t n_modules, const struct rego_options *options,
                    struct rego_diagnostics *why, struct err *err);

/* Reads one constant term (as in tests: sets are allowed) into `a`. */
FALLIBLE rego_read_term(struct arena *a, struct bytes text, struct value *out, struct err *err);

/* Calls `visit` with the path of each rule (data.package.name), in order; default and else rules included once per rule. */
FALLIBLE rego_each_rule(const struct rego_text *modules, uint32_t n_modules, const struct rego_options *options,
                        void (*visit)(void *user, const char *path), void *user, struct rego_diagnostics *why,
                        struct err *err);
