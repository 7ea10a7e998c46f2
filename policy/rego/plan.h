/*
 * The plan of a compiled policy, modelled on OPA's IR: functions made of blocks made of statements over
 * numbered locals. A planner (or plan_json_read) fills it; program_new checks it and turns it into what runs.
 *
 * Blocks of a function run in order. A block is left early when a statement is undefined; control then goes on
 * behind the block. `Break n` leaves n + 1 blocks. A Scan block left early goes on with the next element, a Not
 * block left early makes the Not succeed, a With block left early makes the With undefined (as does its end
 * not being reached). Local 0 is input, local 1 is data, in every function and every query.
 */
#pragma once

#include "policy/rego/value.h"

/*   name          a, b: operands · target: local written or changed · see also the fields of plan_stmt */
#define PLAN_OPS(X)                                                                       \
    X(ARRAY_APPEND)       /* target array gets a */                                       \
    X(ASSIGN)             /* target = a, also when that is not defined (AssignVar, AssignInt, Make{Null,Number*}) */ \
    X(ASSIGN_ONCE)        /* target = a; conflict when target has a different value */    \
    X(BLOCK)              /* blocks, in order */                                          \
    X(BREAK)              /* depth */                                                     \
    X(CALL)               /* target = callee(args); undefined when that is */             \
    X(CALL_DYNAMIC)       /* target = function at path, found at run time, (args) */      \
    X(DOT)                /* target = a[b] */                                             \
    X(DOT_BASE)           /* the same in a reference that starts at data: a number also finds the key of its text */ \
    X(EQUAL)              /* a == b */                                                    \
    X(NOT_EQUAL)          /* a != b */                                                    \
    X(IS_ARRAY) X(IS_OBJECT) X(IS_SET)                      /* a */                       \
    X(IS_DEFINED) X(IS_UNDEFINED)                           /* a */                       \
    X(LEN)                /* target = number of elements (code points, for strings) of a */ \
    X(MAKE_ARRAY) X(MAKE_OBJECT) X(MAKE_SET)                /* target, empty */           \
    X(NOP)                                                                                \
    X(NOT)                /* blocks (one) must be undefined */                            \
    X(OBJECT_INSERT)      /* target[a] = b */                                             \
    X(OBJECT_INSERT_ONCE) /* target[a] = b; conflict when it has a different value */     \
    X(OBJECT_MERGE)       /* target = a laid over b, recursively (a: base data, b: rules) */ \
    X(RESET)              /* target = undefined */                                        \
    X(RESULT_ADD)         /* a is one result of the query */                              \
    X(RETURN)             /* the function's value is a */                                 \
    X(SCAN)               /* for each element of a: key local = target, value local = target2, blocks (one) */ \
    X(SET_ADD)            /* target set gets a */                                         \
    X(WITH)               /* target with path replaced by a (undefined a: undefined), in blocks (one) */
#define PLAN_ENUM(name) PLAN_##name,
enum plan_op { PLAN_OPS(PLAN_ENUM) PLAN_N_OPS };
#undef PLAN_ENUM

/* A local, or a ground value of the plan (strings, numbers, folded literals, true and false). */
struct plan_operand {
    bool     is_constant;
    uint32_t index;
};
static inline struct plan_operand plan_local(uint32_t local) { return (struct plan_operand){ false, local }; }
static inline struct plan_operand plan_constant(uint32_t index) { return (struct plan_operand){ true, index }; }

struct plan_place {
    uint32_t file; /* index into plan.files; 0 with row 0: unknown */
    uint32_t row;
    uint32_t col;
};

enum plan_callee { PLAN_FUNCTION, PLAN_BUILTIN, PLAN_HOST };

struct plan_stmt {
    enum plan_op         op;
    struct plan_operand  a, b;
    uint32_t             target;
    uint32_t             target2;   /* SCAN: local of the value */
    uint32_t             depth;     /* BREAK */
    enum plan_callee     callee;    /* CALL */
    uint32_t             index;     /* CALL: of the function, built-in or host function */
    uint32_t             n_path;    /* CALL_DYNAMIC: operands of the path; WITH: string constants */
    uint32_t             n_args;    /* CALL, CALL_DYNAMIC */
    struct plan_operand *path;
    struct plan_operand *args;
    struct plan_block   *blocks;    /* a chain by `next` */
    struct plan_place    place;     /* of the expression it comes from */
    struct plan_stmt    *next;
};

struct plan_block {
    struct plan_stmt  *first, *last;
    struct plan_block *next;
};

struct plan_name { /* a local that a person would know, for traces */
    uint32_t          local;
    struct value      name;
    const struct plan_name *next;
};

struct plan_function {
    struct value       name;      /* unique, "data.pkg.rule"; shown in errors and traces */
    struct value       path;      /* array of strings that CALL_DYNAMIC looks up; undefined: cannot be found so */
    uint32_t           n_params;  /* with input and data */
    const uint32_t    *params;    /* their locals, starting with 0 and 1; NULL: 0 … n_params - 1 */
    uint32_t           result;    /* local that an ASSIGN_ONCE conflict is about (else any local) */
    uint32_t           n_locals;
    bool               is_function; /* declared with arguments: decides the text of a conflict */
    bool               may_repeat; /* do not remember results (they depend on more than the arguments) */
    struct plan_block *blocks;
    struct plan_name  *names;
    struct plan_place  place;
};

struct plan_query {
    struct value       name;
    uint32_t           n_locals;
    struct plan_block *blocks;
    struct plan_name  *names;
};

struct host_function; /* eval.h */

/* Tables grow by the functions below. `memory` is the arena that holds all of it; it is sticky when full. */
struct plan {
    struct arena               *memory;
    struct value               *constants;
    struct plan_function       *functions;
    struct plan_query          *queries;
    struct value               *files;
    uint32_t                    n_constants, n_functions, n_queries, n_files;
    uint32_t                    constants_room, functions_room, queries_room, files_room;
    const struct host_function *hosts; /* borrowed; callee index PLAN_HOST */
    uint32_t                    n_hosts;
    struct plan_stmt            spare; /* what plan_emit and plan_block_new return when memory is full */
    struct plan_block           spare_block;
};

struct plan plan_over(struct arena *memory);

/* Indexes; 0 when memory is full, which plan_ok tells. A pointer into a table holds until the table grows. */
uint32_t plan_add_constant(struct plan *p, struct value v); /* closed, in `memory` or longer lived; not merged with equal ones */
uint32_t plan_add_function(struct plan *p, struct plan_function f);
uint32_t plan_add_query(struct plan *p, struct plan_query q);
uint32_t plan_add_file(struct plan *p, struct value name);

/* Never NULL: a full arena gives spare parts that are not run. */
struct plan_block   *plan_block_new(struct plan *p);
struct plan_stmt    *plan_emit(struct plan *p, struct plan_block *in, enum plan_op op);
struct plan_operand *plan_operands(struct plan *p, uint32_t n); /* NULL when full */
void                 plan_name_local(struct plan *p, struct plan_name **names, uint32_t local, struct value name);

FALLIBLE plan_ok(const struct plan *p, struct err *err); /* ERR_LIMIT when memory was full at any time */
