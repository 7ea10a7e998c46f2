/* From modules to a plan: OPA's compiler passes in OPA's order, without its static type checker. [OPA compile] */
#pragma once

#include "policy/rego/ast.h"
#include "policy/rego/parser.h"
#include "policy/rego/plan.h"

/* Where rules live: keyed by the constant leading parts of their path. */
struct rule_node {
    struct term      *key; /* a scalar; NULL at the root, `data` */
    struct rule_node *parent;
    struct rule_node *first_child;
    struct rule_node *last_child;
    struct rule_node *next_sibling;
    struct rule_node *hash_next;
    struct rule_list  rules;
    bool              is_package;
    bool              has_odd_child; /* one whose key is no string: rules below belong to this path */
    uint32_t          depth;
    uint32_t          index;   /* for the recursion check: order of visit, 0 not visited */
    uint32_t          low;
    bool              on_stack;
    struct rule_node **edges;
    uint32_t          n_edges;
    uint32_t          edges_room;
};

struct host_name {
    const char *name;
    uint32_t    n_args;
};

struct compile_options {
    enum rego_version       version;
    bool                    print; /* keep print calls; else they are checked and dropped */
    const struct host_name *hosts; /* functions of the embedding program, called like built-ins */
    uint32_t                n_hosts;
};

struct compiler {
    struct front          *f;
    struct compile_options options;
    struct module_list     modules;
    struct rule_node      *root; /* `data` */
    struct rule_node     **slots; /* hash of (parent, key) */
    uint32_t               n_slots;
    uint32_t               n_nodes;
};

/* What a call's operator names. */
enum callee_kind { CALLEE_UNKNOWN, CALLEE_RULE, CALLEE_BUILTIN, CALLEE_HOST };
struct callee {
    enum callee_kind  kind;
    uint32_t          arity;
    unsigned          flags; /* enum builtin_flag */
    struct rule_node *node;  /* CALLEE_RULE */
    uint32_t          host;  /* CALLEE_HOST: index */
};

/* Each pass notes errors in c->f; the driver stops behind a pass that did. */
void compiler_start(struct compiler *c, struct front *f, const struct compile_options *options);
void pass_paths(struct compiler *c);       /* rule paths, and names that must not be taken */
void pass_locals(struct compiler *c);      /* names to rules and imports, declared variables to unique ones */
void pass_templates(struct compiler *c);
void pass_print(struct compiler *c);
void pass_hoist_calls(struct compiler *c); /* nested calls, indirect references */
void pass_hoist_heads(struct compiler *c); /* what comprehension and rule heads must evaluate, with values */
void pass_tree(struct compiler *c);        /* rules into c->root */
void pass_conflicts(struct compiler *c);
void pass_with(struct compiler *c);        /* targets of with */
void pass_functions(struct compiler *c);   /* unknown functions, arity, deprecated */
void pass_safety(struct compiler *c);      /* also orders every body */
void pass_hoist_refs(struct compiler *c);  /* references and comprehensions as operands; == to = */
void pass_recursion(struct compiler *c);

FALLIBLE compile_modules(struct compiler *c);      /* all of the above; false with errors noted */
FALLIBLE compile_query(struct compiler *c, body *query); /* the same for one query, after the modules */

/* The passes on one body, for queries and for each other. */
void locals_of_query(struct compiler *c, body *b);
void templates_of_body(struct compiler *c, body *b);
void print_of_body(struct compiler *c, body *b);
void hoist_calls_of_body(struct compiler *c, body *b);
void hoist_heads_of_body(struct compiler *c, body *b);
void with_of_body(struct compiler *c, body *b);
void functions_of_body(struct compiler *c, body *b, bool is_v1);
void safety_of_query(struct compiler *c, body *b);
void hoist_refs_of_body(struct compiler *c, body *b);

struct rule_node *node_child(const struct compiler *c, const struct rule_node *of, const struct term *key);
struct rule_node *node_at(const struct compiler *c, const struct term *ref, uint32_t n_parts); /* NULL when none */
struct rule_node *node_add(struct compiler *c, const struct term *ref, uint32_t n_parts);
struct callee     callee_of(const struct compiler *c, const struct term *operator);

/* Variables of a term or expression, each once, in order of appearance. */
enum var_flag {
    VARS_SKIP_CLOSURES    = 1,
    VARS_SKIP_REF_HEAD    = 2,
    VARS_SKIP_OPERATOR    = 4, /* heads of call operators */
    VARS_SKIP_OBJECT_KEYS = 8,
    VARS_SKIP_SETS        = 16
};
enum { VARS_FOR_SAFETY = VARS_SKIP_CLOSURES | VARS_SKIP_OPERATOR };
struct name_list {
    struct name **at;
    uint32_t      n;
    uint32_t      room;
};
struct var_walk {
    struct front    *f;
    unsigned         flags;
    uint64_t         stamp; /* names with this stamp are in the list already */
    struct name_list found;
};
struct var_walk var_walk_of(struct front *f, unsigned flags);
void            vars_of_term(struct var_walk *w, const struct term *t);
void            vars_of_expr(struct var_walk *w, const struct expr *e);
void            vars_of_body(struct var_walk *w, const body *b);

/* For each rule and else branch: calls visit(c, rule). */
void each_rule(struct compiler *c, void (*visit)(struct compiler *c, struct rule *r));
bool needs_eval(const struct term *t); /* holds a reference, call or comprehension */
