/* Shared by the planner's files; nobody else includes it. */
#pragma once

#include "policy/rego/planner.h"

enum { FUNCTIONS_MAX = 1 << 17 };

/* What a variable stands for in the function that is planned: a local, or a constant. */
struct bound {
    struct name        *name;
    struct plan_operand operand;
    struct bound       *hidden; /* what the name stood for before */
};

struct bound_list {
    struct bound **at;
    uint32_t       n;
    uint32_t       room;
};

/* How a function is called where `with` replaces it: by another function, or by a value kept in data. */
struct mock {
    struct name   *target;   /* text of the operator */
    bool           by_value; /* at data["$with"][target] */
    struct callee  callee;   /* else */
    struct term   *operator;
};

struct mock_list {
    struct mock *at;
    uint32_t     n;
    uint32_t     room;
};

struct node_list {
    struct rule_node **at;
    uint32_t           n;
    uint32_t           room;
};

/* Functions are planned once for each set of replacements under which they are called. */
struct world {
    struct mock_list mocks;
    struct node_list hidden; /* rules below these give way to replaced data */
    uint32_t         index;
    struct world    *next;
};

/* A function that was called for, and perhaps is not planned yet. */
struct wanted {
    struct rule_node *node;
    struct world     *world;
    uint32_t          index; /* in the plan */
    struct wanted    *next;  /* in the row of work */
    struct wanted    *same;  /* hash chain */
};

enum { WANTED_SLOTS = 4096 };

struct planner {
    struct compiler    *c;
    struct front       *f;
    struct plan        *plan;
    struct plan_block  *curr;
    struct bound_list   bound;
    struct world       *world;
    struct world       *worlds;
    uint32_t            n_worlds;
    struct plan_operand input; /* locals that hold the documents here */
    struct plan_operand data;
    uint32_t            n_locals;
    uint32_t            most_locals;
    struct plan_place   place;
    struct plan_name   *names;
    struct wanted      *first, *last;
    struct wanted      *slots[WANTED_SLOTS];
    uint32_t            n_functions;
};

struct plan_stmt   *emit(struct planner *p, enum plan_op op);
uint32_t            new_local(struct planner *p);
struct plan_operand string_constant(struct planner *p, struct name *n);
struct plan_operand value_constant(struct planner *p, struct value v);
struct plan_operand constant_of(struct planner *p, const struct term *t); /* t is constant */
struct value        value_of_term(struct planner *p, const struct term *t);
void                set_place(struct planner *p, struct location at);
void                emit_break(struct planner *p, uint32_t depth);
struct plan_stmt   *emit_blocks(struct planner *p, enum plan_op op, struct plan_block *first);

void name_bind(struct planner *p, struct name *n, struct plan_operand operand);
bool bound_operand(const struct planner *p, const struct name *n, struct plan_operand *out);
void unbind(struct planner *p, uint32_t down_to);
bool has_unseen(struct planner *p, const struct term *t);

void                plan_body(struct planner *p, const body *b);
struct plan_operand plan_term(struct planner *p, const struct term *t);
void                plan_unify(struct planner *p, const struct term *a, const struct term *b);
void                plan_unify_operand(struct planner *p, struct plan_operand a, const struct term *b);
struct plan_operand plan_ref(struct planner *p, const struct term *ref);
struct plan_operand plan_operand_ref(struct planner *p, struct plan_operand source, const struct term *ref, uint32_t i, bool in_data);
void                plan_call(struct planner *p, const struct expr *e);
void                plan_with(struct planner *p, const struct expr *e);
void                plan_expr(struct planner *p, const struct expr *e);
void                plan_plain_expr(struct planner *p, const struct expr *e); /* without its negation and with */

/* The topmost node with rules owns all rules below it: one function gives their document. */
bool                owns_rules(const struct rule_node *n);
bool                is_hidden(const struct world *w, const struct rule_node *n); /* it, or a node above it */
uint32_t            function_of(struct planner *p, struct rule_node *n, struct world *w);
void                plan_function_of(struct planner *p, const struct wanted *w);
struct world       *world_with(struct planner *p, const struct mock_list *mocks, const struct node_list *hidden);
struct plan_operand emit_call(struct planner *p, uint32_t function);
