/* The state of one evaluation, shared by eval.c, its statements and the built-ins. */
#pragma once

#include "policy/rego/builtins.h"
#include "policy/rego/program.h"

struct segment;
struct memo;
struct cached_regex;

struct evaluation {
    const struct program      *program;
    const struct eval_options *options;
    struct arena              *arena;
    struct eval_fault         *fault;
    struct err                *err;
    uint64_t                   steps_left;
    uint64_t                   next_clock; /* steps_left at which the clock is looked at */
    int64_t                    deadline_ns;
    uint32_t                   depth;
    uint32_t                   host_calls;
    size_t                     printed;
    struct value               results;
    struct segment            *segment; /* locals of the running functions */
    struct memo              **rules;   /* remembered results of functions without arguments, by function */
    struct memo              **calls;   /* the same with arguments, by hash */
    uint32_t                   n_chains, n_calls;
    struct cached_regex      **regexes; /* builtins_regex.c: by hash of the pattern */
    uint32_t                   n_regexes;
    struct value               seeds;   /* object: what rand and uuid gave for a key, so that it stays the same */
};

/* Fills the fault; always false. */
bool fault_put(struct evaluation *e, enum eval_code code, const char *fmt, ...) PRINTF_LIKE(3);

/* Takes n steps off the budget; false with the fault when it is used up. Built-ins charge bytes / 8 and elements. */
FALLIBLE evaluation_charge(struct evaluation *e, uint64_t n);

/* What comparing, printing or copying a value costs: an eighth of a step per node. */
static inline uint64_t cost_of(struct value v) { return value_nodes(v) / 8; }

/* A function that runs. */
struct frame {
    struct evaluation             *e;
    const struct program_function *function;
    struct value                  *locals;
    struct value                   result;
    uint32_t                       pc;
};

enum next { GO_ON, LEAVE /* undefined, or a jump: go on at code.to */, STOP, FAILED };

/* What each instruction does, by code_op. */
typedef enum next statement(struct frame *f, const struct code *c);
extern statement *const statements[CODE_N_OPS];
statement op_call, op_call_dynamic, op_call_builtin, op_call_host;

/* Completes the fault (a limit, when nobody named it) and puts its place; always FAILED. */
enum next failed_at(struct frame *f, const struct code *c);

/* The value of an operand as it stands, perhaps still open. */
static inline struct value peek_at(const struct frame *f, uint32_t operand)
{
    return operand & CODE_CONSTANT ? f->e->program->constants[operand & ~CODE_CONSTANT] : f->locals[operand];
}

/* The value of an operand, closed. */
static inline bool read_at(struct frame *f, uint32_t operand, struct value *out)
{
    struct value v = peek_at(f, operand);

    *out = v;
    if (!value_is_composite(v) || !v.in->open)
        return true;
    return evaluation_charge(f->e, v.in->n / 4) && value_close(f->e->arena, v);
}

static inline enum next assign(struct frame *f, uint32_t target, struct value v)
{
    f->locals[target] = v;
    return value_is_defined(v) ? GO_ON : LEAVE;
}
