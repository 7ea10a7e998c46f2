/* What runs: a plan, checked and flattened to one row of instructions with jumps. Shared by program.c and eval.c. */
#pragma once

#include "policy/rego/eval.h"

enum {
    PROGRAM_LOCALS_MAX = 65535,
    PROGRAM_BLOCKS_DEEP = 512,
    PROGRAM_ARGS_MAX    = 34, /* of one call, with input and data */
    PROGRAM_CODE_MAX    = 4 << 20,
    PROGRAM_MEMORY_MAX  = 256 << 20
};

/* Statements that have no blocks keep their plan_op; the others become these. */
enum code_op {
    CODE_CALL_BUILTIN = PLAN_N_OPS,
    CODE_CALL_HOST,
    CODE_JUMP,
    CODE_SCAN_START, /* slot = iteration over a */
    CODE_SCAN_NEXT,  /* target, target2 = next of slot; else to `to` */
    CODE_WITH_ENTER, /* slot = target; target = a at path */
    CODE_WITH_LEAVE, /* target = slot */
    CODE_END,        /* of a function without a return: undefined */
    CODE_N_OPS
};

#define CODE_CONSTANT 0x80000000u /* an operand: index of a constant, else of a local */

struct code {
    uint16_t op;
    uint16_t n_path;  /* operands of the path, before the arguments */
    uint16_t n_args;
    uint16_t slot;    /* hidden local of a scan or with */
    uint32_t a, b;    /* operands; b of a call: its callee */
    uint32_t target;
    uint32_t target2; /* of calls: first operand in the pool */
    uint32_t to;      /* where an undefined statement or a jump goes on */
    uint32_t place;
};

struct program_function {
    struct value            name;
    struct value            path;
    uint32_t                start;
    uint32_t                n_slots;
    uint32_t                n_params;
    const uint32_t         *params; /* NULL: the first locals */
    bool                    is_function;
    bool                    may_repeat;
    const struct plan_name *names;
    uint32_t                place;
};

struct program {
    struct arena                memory;
    struct value               *constants;
    struct code                *code;
    uint32_t                   *operands;
    struct plan_place          *places;
    struct program_function    *functions; /* queries stand behind the functions */
    struct value               *files;
    struct value                by_path;   /* object: path (array) to function index */
    const struct host_function *hosts;
    uint32_t                    n_constants, n_code, n_operands, n_places, n_functions, n_queries, n_files, n_hosts;
};
