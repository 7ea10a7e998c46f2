/*
 * Prepared policies and their evaluation. A program is immutable and may be used by any number of threads
 * at once; an evaluation keeps all it makes in the caller's arena and stops at stated limits with an error.
 */
#pragma once

#include "base/auto.h"
#include "policy/rego/plan.h"

/* OPA's names of run-time errors; a limit is never any of OPA's, and nothing in a policy can catch it. */
#define EVAL_CODES(X)                                \
    X(EVAL_NO_ERROR,         "")                     \
    X(EVAL_CONFLICT_ERROR,   "eval_conflict_error")  \
    X(EVAL_TYPE_ERROR,       "eval_type_error")      \
    X(EVAL_BUILTIN_ERROR,    "eval_builtin_error")   \
    X(EVAL_CANCEL_ERROR,     "eval_cancel_error")    \
    X(EVAL_INTERNAL_ERROR,   "eval_internal_error")  \
    X(EVAL_WITH_MERGE_ERROR, "eval_with_merge_error") \
    X(EVAL_LIMIT_ERROR,      "eval_limit_error")
#define EVAL_ENUM(name, text) name,
enum eval_code { EVAL_CODES(EVAL_ENUM) };
#undef EVAL_ENUM
const char *eval_code_name(enum eval_code code);

struct eval_fault {
    enum eval_code    code;
    struct plan_place place;
    struct value      file;      /* of `place`; undefined when not known; belongs to the program */
    char              text[400]; /* OPA's message, without code and place */
};

struct eval_limits {
    uint64_t steps;       /* statements, elements visited, and what built-ins charge */
    uint32_t depth;       /* calls within calls */
    uint32_t host_calls;
    size_t   print_bytes; /* further output is dropped */
    int64_t  time_ms;     /* a backstop; 0: none */
};
extern const struct eval_limits EVAL_LIMITS_DEFAULT;

/*
 * A function of the embedding program, called as a built-in. `out` undefined: the call is undefined.
 * False is an error of the evaluation, whatever the mode: the caller must deny.
 */
struct host_function {
    const char *name;
    uint32_t    n_args;
    bool (*call)(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err);
};

/* What a trace sees. `locals` are those of the running function, for the names in `names`. */
enum eval_event { EVAL_ENTER, EVAL_LEAVE, EVAL_UNDEFINED };
struct eval_moment {
    enum eval_event         event;
    enum plan_op            op;       /* UNDEFINED: the statement that was */
    struct value            function; /* name, or of the query */
    struct plan_place       place;
    struct value            file;
    struct value            a, b;     /* UNDEFINED: operands of the statement, where it has any; LEAVE: a is the result */
    const struct value     *locals;
    const struct plan_name *names;
    unsigned                depth;
};

struct eval_options {
    struct eval_limits limits;
    bool               strict_builtin_errors;
    int64_t            now_ns; /* what time.now_ns gives */
    void              *user;   /* for the calls below and for host functions */
    void (*print)(void *user, struct bytes line);                      /* may be NULL */
    void (*trace)(void *user, const struct eval_moment *moment);       /* may be NULL */
};

struct program;

/* Checks every index of the plan and copies what it needs: plan and its arena may be released afterwards. */
FALLIBLE program_new(const struct plan *plan, struct program **out, struct err *err);
void     program_free(struct program *p);
DEFINE_AUTO(program, struct program *, program_free)
bool     program_find_query(const struct program *p, const char *name, uint32_t *out);
size_t   program_memory(const struct program *p); /* bytes held */

/*
 * Evaluates one query.
 *
 *   input, data   closed; input may be undefined; both outlive the call and the use of `results`
 *   memory        everything made on the way; not reset by this function
 *   results       array of what the query added (for a planned query: objects from variable to value)
 *   fault         code, place and message when it fails
 *
 * Fails DENIED never: an error of the policy is MALFORMED, a limit LIMIT, a failing host function its own kind;
 * err->text is "code: message".
 */
FALLIBLE program_eval(const struct program *p, uint32_t query, struct value input, struct value data,
                      const struct eval_options *options, struct arena *memory, struct value *results,
                      struct eval_fault *fault, struct err *err);
