#include "policy/rego/compile.h"

/*
 * One walk does what OPA calls resolving references and rewriting local variables: a name that a body
 * declares becomes a unique generated variable, a name of a rule or import becomes the reference it means.
 */
enum occurrence { OCC_LATER, OCC_SEEN, OCC_ASSIGNED, OCC_DECLARED, OCC_ARG };

struct binding {
    struct name    *name;
    struct name    *renamed; /* NULL: not (yet) declared */
    enum occurrence occurrence;
    uint32_t        level;
    struct binding *outer;     /* of the same name */
    struct binding *in_frame;  /* the frame's list */
};

struct scope {
    struct compiler *c;
    struct front    *f;
    struct binding  *frame; /* bindings of the innermost frame */
    uint32_t         level;
};

static struct binding *binding_add(struct scope *s, struct name *n, enum occurrence occurrence)
{
    struct binding *b = front_take(s->f, sizeof *b);

    *b       = (struct binding){ n, NULL, occurrence, s->level, n->mark, s->frame };
    n->mark  = b;
    s->frame = b;
    return b;
}

static struct binding *frame_push(struct scope *s)
{
    struct binding *saved = s->frame;

    s->frame = NULL;
    s->level++;
    return saved;
}

static void frame_pop(struct scope *s, struct binding *saved)
{
    for (struct binding *b = s->frame; b; b = b->in_frame)
        b->name->mark = b->outer;
    s->frame = saved;
    s->level--;
}

static struct binding *binding_here(const struct scope *s, const struct name *n)
{
    struct binding *b = n->mark;

    return b && b->level == s->level ? b : NULL;
}

static void declare(struct scope *s, struct term *var, enum occurrence occurrence)
{
    static const char *const texts[][2] = {
        [OCC_SEEN]     = { "var", "referenced above" },
        [OCC_ASSIGNED] = { "var", "assigned above" },
        [OCC_DECLARED] = { "var", "declared above" },
        [OCC_ARG]      = { "arg", "redeclared" },
    };
    struct name    *n = var->text;
    struct binding *b = binding_here(s, n);

    if (name_is_wildcard(n))
        return;
    if (b && b->occurrence != OCC_LATER) {
        (void) front_error(s->f, var->at, COMPILE_ERROR, "%s %s %s", texts[b->occurrence][0], n->text,
                           texts[b->occurrence][1]);
        return;
    }
    if (!b)
        b = binding_add(s, n, occurrence);
    b->occurrence        = occurrence;
    b->renamed           = name_generated(s->f);
    b->renamed->original = n;
    var->text            = b->renamed;
}

/* What a use of `n` means: a declared local, a rule or import, or a variable of this body. */
static struct name *local_of(const struct name *n, bool *may_be_global)
{
    *may_be_global = true;
    for (struct binding *b = n->mark; b; b = b->outer) {
        if (b->renamed)
            return b->renamed;
        if (b->occurrence == OCC_LATER)
            *may_be_global = false;
    }
    return NULL;
}

static void walk_term(struct scope *s, struct term **at);
static void walk_body(struct scope *s, body *b);

static void walk_list(struct scope *s, struct term_list *l, uint32_t from)
{
    for (uint32_t i = from; i < l->n; i++)
        walk_term(s, &l->at[i]);
}

static void mark_seen(struct scope *s, struct name *n)
{
    struct binding *b = binding_here(s, n);

    if (!b)
        (void) binding_add(s, n, OCC_SEEN);
    else if (b->occurrence == OCC_LATER)
        b->occurrence = OCC_SEEN;
}

static bool is_root_name(const struct name *n)
{
    return name_is(n, "data") || name_is(n, "input");
}

/* The head of a reference: `at` is replaced by the longer reference when the name stands for one. */
static void walk_ref_head(struct scope *s, struct term *ref)
{
    struct term *head = ref->items.at[0];
    bool         may_be_global;

    if (head->kind != TERM_VAR) {
        walk_term(s, &ref->items.at[0]);
        return;
    }
    if (is_root_name(head->text) || name_is_wildcard(head->text))
        return;
    struct name *local = local_of(head->text, &may_be_global);
    if (local) {
        head->text = local;
        return;
    }
    const struct term *global = may_be_global ? head->text->global : NULL;
    if (!global) {
        mark_seen(s, head->text);
        return;
    }
    struct term_list longer = { 0 };
    for (uint32_t i = 0; i < global->items.n; i++) {
        struct term *part = term_copy(s->f, global->items.at[i]);

        part->at = head->at;
        LIST_ADD(s->f, &longer, part);
    }
    for (uint32_t i = 1; i < ref->items.n; i++)
        LIST_ADD(s->f, &longer, ref->items.at[i]);
    ref->items = longer;
}

static void walk_var(struct scope *s, struct term **at)
{
    struct term *t = *at;
    bool         may_be_global;

    if (name_is_wildcard(t->text))
        return;
    struct name *local = local_of(t->text, &may_be_global);
    if (local) {
        t->text = local;
    } else if (may_be_global && t->text->global) {
        struct term *ref = term_copy(s->f, t->text->global);

        ref->at = t->at;
        for (uint32_t i = 0; i < ref->items.n; i++)
            ref->items.at[i]->at = t->at;
        *at = ref;
    } else {
        mark_seen(s, t->text);
    }
}

/* A local variable cannot be called; anything else is a rule, an import or a built-in. */
static void walk_operator(struct scope *s, struct term *operator)
{
    struct term *head = operator->items.at[0];
    bool         may_be_global;

    if (operator->kind != TERM_REF || head->kind != TERM_VAR || is_root_name(head->text))
        return;
    if (local_of(head->text, &may_be_global)) {
        (void) front_error(s->f, operator->at, COMPILE_ERROR, "called function %s shadowed", head->text->text);
        return;
    }
    if (may_be_global && head->text->global)
        walk_ref_head(s, operator);
}

static void walk_comprehension(struct scope *s, struct comprehension *compr)
{
    struct binding *saved = frame_push(s);

    walk_body(s, &compr->body);
    if (compr->key)
        walk_term(s, &compr->key);
    walk_term(s, &compr->value);
    frame_pop(s, saved);
}

static void walk_expr(struct scope *s, struct expr *e);

static void walk_term(struct scope *s, struct term **at)
{
    struct term *t = *at;

    front_step(s->f, 1);
    if (t->kind == TERM_VAR) {
        walk_var(s, at);
    } else if (t->kind == TERM_REF) {
        walk_list(s, &t->items, 1);
        walk_ref_head(s, t);
    } else if (t->kind == TERM_CALL) {
        walk_operator(s, t->items.at[0]);
        walk_list(s, &t->items, 1);
    } else if (term_is_collection(t)) {
        walk_list(s, &t->items, 0);
    } else if (term_is_comprehension(t)) {
        walk_comprehension(s, t->compr);
    } else if (t->kind == TERM_TEMPLATE) {
        for (uint32_t i = 0; i < t->parts.n; i++)
            walk_expr(s, t->parts.at[i]);
    }
}

static void walk_with(struct scope *s, struct expr *e)
{
    for (uint32_t i = 0; i < e->with.n; i++) {
        struct term *target = e->with.at[i].target;

        if (target->kind == TERM_VAR)
            walk_var(s, &e->with.at[i].target);
        else
            walk_ref_head(s, target);
        walk_term(s, &e->with.at[i].value);
    }
}

/* The left side of :=, all of whose variables are new. */
static void declare_pattern(struct scope *s, struct term *t)
{
    if (t->kind == TERM_VAR) {
        declare(s, t, OCC_ASSIGNED);
    } else if (t->kind == TERM_ARRAY) {
        for (uint32_t i = 0; i < t->items.n; i++)
            declare_pattern(s, t->items.at[i]);
    } else if (t->kind == TERM_OBJECT) {
        for (uint32_t i = 1; i < t->items.n; i += 2)
            declare_pattern(s, t->items.at[i]);
        for (uint32_t i = 0; i < t->items.n; i += 2)
            walk_term(s, &t->items.at[i]);
    } else if (t->kind == TERM_REF && t->items.n == 1) {
        (void) front_error(s->f, t->at, COMPILE_ERROR, "variables must not shadow %s (use a different variable name)",
                           t->items.at[0]->text->text);
    } else if (!term_is_scalar(t)) {
        (void) front_error(s->f, t->at, COMPILE_ERROR, "cannot assign to %s",
                           t->kind == TERM_REF ? "ref" : t->kind == TERM_CALL ? "call" : t->kind == TERM_SET ? "set"
                                                                                     : "comprehension");
    }
}

static void walk_assignment(struct scope *s, struct expr *e)
{
    if (e->negated) {
        (void) front_error(s->f, e->at, COMPILE_ERROR, "cannot assign vars inside negated expression");
        return;
    }
    walk_with(s, e);
    walk_term(s, &e->terms.at[2]);
    declare_pattern(s, e->terms.at[1]);
    e->terms.at[0] = term_operator(s->f, "eq", e->terms.at[0]->at);
}

/* Declares what unification with an element can bind. */
static void declare_outputs(struct scope *s, struct term *t)
{
    if (t->kind == TERM_VAR)
        declare(s, t, OCC_DECLARED);
    else if (t->kind == TERM_ARRAY)
        for (uint32_t i = 0; i < t->items.n; i++)
            declare_outputs(s, t->items.at[i]);
    else if (t->kind == TERM_OBJECT)
        for (uint32_t i = 0; i < t->items.n; i++) {
            if (i % 2 == 1)
                declare_outputs(s, t->items.at[i]);
            else
                walk_term(s, &t->items.at[i]);
        }
    else
        walk_term(s, &t);
}

/* some k, v in xs: v = xs[k] with new variables. */
static void walk_some_in(struct scope *s, struct expr *e)
{
    struct term_list *call  = &e->terms.at[0]->items;
    struct term      *value = call->at[call->n - 2];
    struct term      *in    = call->at[call->n - 1];
    struct term      *key   = call->n == 4 ? call->at[1] : term_var(s->f, name_generated(s->f), e->at);

    walk_with(s, e);
    walk_term(s, &in);
    if (call->n == 4)
        declare_outputs(s, key);
    if (value->kind == TERM_REF || value->kind == TERM_CALL || value->kind == TERM_SET || term_is_comprehension(value) ||
        value->kind == TERM_TEMPLATE)
        walk_term(s, &value);
    else
        declare_outputs(s, value);

    struct term *ref = in;
    if (in->kind != TERM_REF) {
        ref = term_new(s->f, TERM_REF, in->at);
        LIST_ADD(s->f, &ref->items, in);
    }
    LIST_ADD(s->f, &ref->items, key);
    e->kind  = EXPR_CALL;
    e->terms = (struct term_list){ 0 };
    LIST_ADD(s->f, &e->terms, term_operator(s->f, "eq", e->at));
    LIST_ADD(s->f, &e->terms, value);
    LIST_ADD(s->f, &e->terms, ref);
}

static void walk_every(struct scope *s, struct expr *e)
{
    walk_term(s, &e->every->domain);
    struct binding *saved = frame_push(s);
    if (e->every->key)
        declare(s, e->every->key, OCC_DECLARED);
    else
        e->every->key = term_var(s->f, name_generated(s->f), e->at);
    declare(s, e->every->value, OCC_DECLARED);
    walk_body(s, &e->every->body);
    frame_pop(s, saved);
    walk_with(s, e);
}

static void walk_expr(struct scope *s, struct expr *e)
{
    if (e->kind == EXPR_EVERY) {
        walk_every(s, e);
    } else if (e->kind == EXPR_SOME) {
        walk_some_in(s, e);
    } else if (expr_is_call_of(e, "assign") && e->terms.n == 3) {
        walk_assignment(s, e);
    } else if (e->kind == EXPR_CALL) {
        walk_operator(s, e->terms.at[0]);
        walk_list(s, &e->terms, 1);
        walk_with(s, e);
    } else {
        walk_term(s, &e->term);
        walk_with(s, e);
    }
}

static void note_later(struct scope *s, const struct term *t)
{
    if (t->kind == TERM_VAR && !name_is_wildcard(t->text)) {
        if (!binding_here(s, t->text))
            (void) binding_add(s, t->text, OCC_LATER);
    } else if (t->kind == TERM_ARRAY || t->kind == TERM_OBJECT) {
        for (uint32_t i = t->kind == TERM_OBJECT ? 1 : 0; i < t->items.n; i += t->kind == TERM_OBJECT ? 2 : 1)
            note_later(s, t->items.at[i]);
    }
}

/* Names that the body declares somewhere never mean rules or imports in it. */
static void note_declarations(struct scope *s, const body *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const struct expr *e = b->at[i];

        if (e->kind == EXPR_SOME && e->terms.at[0]->kind == TERM_CALL) {
            const struct term_list *call = &e->terms.at[0]->items;

            for (uint32_t j = 1; j + 1 < call->n; j++)
                note_later(s, call->at[j]);
        } else if (e->kind == EXPR_SOME) {
            for (uint32_t j = 0; j < e->terms.n; j++)
                note_later(s, e->terms.at[j]);
        } else if (expr_is_call_of(e, "assign") && e->terms.n == 3) {
            note_later(s, e->terms.at[1]);
        }
    }
}

static void walk_body(struct scope *s, body *b)
{
    body kept = { 0 };

    note_declarations(s, b);
    for (uint32_t i = 0; i < b->n; i++) {
        struct expr *e = b->at[i];

        if (e->kind == EXPR_SOME && e->terms.at[0]->kind != TERM_CALL) {
            for (uint32_t j = 0; j < e->terms.n; j++)
                declare(s, e->terms.at[j], OCC_DECLARED);
            continue;
        }
        walk_expr(s, e);
        LIST_ADD(s->f, &kept, e);
    }
    if (kept.n == 0 && b->n > 0)
        LIST_ADD(s->f, &kept, expr_of_term(s->f, term_bool(s->f, true, b->at[0]->at)));
    *b = kept;
}

static void declare_args(struct scope *s, struct term *t)
{
    if (t->kind == TERM_VAR) {
        struct binding *b = binding_here(s, t->text);

        if (name_is_wildcard(t->text))
            return;
        if (b)
            t->text = b->renamed; /* the same name twice: the arguments must be equal */
        else
            declare(s, t, OCC_ARG);
    } else if (t->kind == TERM_ARRAY || t->kind == TERM_OBJECT || t->kind == TERM_SET) {
        for (uint32_t i = 0; i < t->items.n; i++)
            declare_args(s, t->items.at[i]);
    } else if (t->kind == TERM_REF && t->items.n == 1 && t->items.at[0]->kind == TERM_VAR &&
               is_root_name(t->items.at[0]->text)) {
        (void) front_error(s->f, t->at, COMPILE_ERROR, "args must not shadow %s (use a different variable name)",
                           t->items.at[0]->text->text);
    } else if (!term_is_scalar(t)) {
        walk_term(s, &t);
    }
}

static void locals_of_rule(struct compiler *c, struct rule *r)
{
    struct scope    s     = { .c = c, .f = c->f };
    struct binding *saved = frame_push(&s);

    for (uint32_t i = 0; i < r->head.args.n; i++)
        declare_args(&s, r->head.args.at[i]);
    walk_body(&s, &r->body);
    if (r->head.key)
        walk_term(&s, &r->head.key);
    if (r->head.value)
        walk_term(&s, &r->head.value);
    walk_list(&s, &r->head.ref->items, 1);
    frame_pop(&s, saved);
}

/* Names of rules in any module of the package, then imports, which win. */
static void set_globals(struct compiler *c, const struct module *m, bool set)
{
    for (uint32_t i = 0; i < c->modules.n; i++) {
        const struct module *other = c->modules.at[i];

        if (!term_equal(other->package, m->package))
            continue;
        for (uint32_t j = 0; j < other->rules.n; j++) {
            struct name *n = other->rules.at[j]->head.ref->items.at[0]->text;

            if (set && !n->global) {
                struct term *ref = term_copy(c->f, m->package);

                LIST_ADD(c->f, &ref->items, term_string(c->f, n, ref->at));
                n->global = ref;
            } else if (!set) {
                n->global = NULL;
            }
        }
    }
    for (uint32_t i = 0; i < m->imports.n; i++)
        m->imports.at[i].name->global = set && !is_root_name(m->imports.at[i].name) ? m->imports.at[i].path : NULL;
}

static void duplicate_imports(struct compiler *c, const struct module *m)
{
    for (uint32_t i = 0; m->is_v1 && i < m->imports.n; i++)
        for (uint32_t j = 0; j < i; j++) {
            front_step(c->f, 1);
            if (m->imports.at[i].name == m->imports.at[j].name) {
                (void) front_error(c->f, m->imports.at[i].at, COMPILE_ERROR, "import must not shadow import %s",
                                   ref_text(c->f, m->imports.at[j].path, m->imports.at[j].path->items.n));
                break;
            }
        }
}

void pass_locals(struct compiler *c)
{
    for (uint32_t i = 0; i < c->modules.n; i++) {
        struct module *m = c->modules.at[i];

        duplicate_imports(c, m);
        set_globals(c, m, true);
        for (uint32_t j = 0; j < m->rules.n; j++)
            for (struct rule *r = m->rules.at[j]; r; r = r->otherwise)
                locals_of_rule(c, r);
        set_globals(c, m, false);
    }
}

void locals_of_query(struct compiler *c, body *b)
{
    struct scope    s     = { .c = c, .f = c->f };
    struct binding *saved = frame_push(&s);

    walk_body(&s, b);
    frame_pop(&s, saved);
}
