#include "policy/rego/builtin_names.h"
#include "policy/rego/safety.h"

/*
 * Every variable must be bound before it is needed. Expressions keep their order but for those that wait for a
 * variable; what can never be placed is an error. A name's `safe` flag says that it is bound here.
 */
void mark_safe(struct front *f, struct name_list *undo, struct name *n)
{
    if (n->safe)
        return;
    n->safe = true;
    LIST_ADD(f, undo, n);
}

void unmark_safe(struct name_list *undo, uint32_t down_to)
{
    while (undo->n > down_to)
        undo->at[--undo->n]->safe = false;
}

static bool all_safe(struct front *f, const struct term *t, unsigned flags)
{
    struct var_walk w = var_walk_of(f, flags);

    vars_of_term(&w, t);
    for (uint32_t i = 0; i < w.found.n; i++)
        if (!w.found.at[i]->safe)
            return false;
    return true;
}

static void add_name(struct front *f, struct name_list *l, struct name *n)
{
    LIST_ADD(f, l, n);
}

static void add_vars(struct compiler *c, const struct term *t, unsigned flags, struct name_list *out)
{
    struct var_walk w = var_walk_of(c->f, flags);

    vars_of_term(&w, t);
    for (uint32_t i = 0; i < w.found.n; i++)
        add_name(c->f, out, w.found.at[i]);
}

/* References with a safe head bind the variables of their operands. */
static void outputs_of_refs(struct compiler *c, const struct term *t, struct name_list *out)
{
    if (t->kind == TERM_REF) {
        const struct term *head = t->items.at[0];

        if (head->kind == TERM_VAR ? !head->text->safe : !all_safe(c->f, head, VARS_FOR_SAFETY))
            return;
        for (uint32_t i = 1; i < t->items.n; i++)
            add_vars(c, t->items.at[i], VARS_SKIP_REF_HEAD | VARS_FOR_SAFETY, out);
    }
    if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t))
        for (uint32_t i = t->kind == TERM_CALL ? 1 : 0; i < t->items.n; i++)
            outputs_of_refs(c, t->items.at[i], out);
}

/* ---- unification: what becomes known from what is ---- */

struct dependency {
    struct name *var;
    struct name *needs;
};

struct unifier {
    struct compiler   *c;
    struct name_list   undo; /* marked safe during this unification: its outputs */
    struct {
        struct dependency *at;
        uint32_t           n;
        uint32_t           room;
    } open;
};

enum { PATTERN_VARS = VARS_FOR_SAFETY | VARS_SKIP_REF_HEAD | VARS_SKIP_OBJECT_KEYS | VARS_SKIP_SETS };

static bool still_needs(const struct unifier *u, const struct name *var)
{
    for (uint32_t i = 0; i < u->open.n; i++)
        if (u->open.at[i].var == var && !u->open.at[i].needs->safe)
            return true;
    return false;
}

/* Also what waited for it: a variable equal to it, or a variable that all parts of a pattern make up. */
static void unified(struct unifier *u, struct name *n)
{
    if (n->safe)
        return;
    mark_safe(u->c->f, &u->undo, n);
    for (uint32_t i = 0; i < u->open.n; i++) {
        struct dependency d = u->open.at[i];

        front_step(u->c->f, 1);
        if (d.var == n)
            unified(u, d.needs);
        else if (d.needs == n && !still_needs(u, d.var))
            unified(u, d.var);
    }
}

static void all_unified(struct unifier *u, const struct term *t)
{
    struct var_walk w = var_walk_of(u->c->f, PATTERN_VARS);

    vars_of_term(&w, t);
    for (uint32_t i = 0; i < w.found.n; i++)
        unified(u, w.found.at[i]);
}

static void unify_var_with_pattern(struct unifier *u, struct name *var, const struct term *t)
{
    struct var_walk w       = var_walk_of(u->c->f, PATTERN_VARS);
    bool            waiting = false;

    if (var->safe) {
        all_unified(u, t);
        return;
    }
    vars_of_term(&w, t);
    for (uint32_t i = 0; i < w.found.n; i++)
        if (!w.found.at[i]->safe) {
            LIST_ADD(u->c->f, &u->open, (struct dependency){ var, w.found.at[i] });
            waiting = true;
        }
    if (!waiting)
        unified(u, var);
}

static bool head_is_safe(const struct unifier *u, const struct term *ref)
{
    const struct term *head = ref->items.at[0];

    return head->kind == TERM_VAR ? head->text->safe : all_safe(u->c->f, head, VARS_FOR_SAFETY);
}

static void unify_var(struct unifier *u, struct name *a, const struct term *b)
{
    if (b->kind == TERM_VAR) {
        if (b->text->safe) {
            unified(u, a);
        } else if (a->safe) {
            unified(u, b->text);
        } else {
            LIST_ADD(u->c->f, &u->open, (struct dependency){ a, b->text });
            LIST_ADD(u->c->f, &u->open, (struct dependency){ b->text, a });
        }
    } else if (b->kind == TERM_ARRAY || b->kind == TERM_OBJECT) {
        unify_var_with_pattern(u, a, b);
    } else if (b->kind != TERM_REF || head_is_safe(u, b)) {
        unified(u, a);
    }
}

static void unify(struct unifier *u, const struct term *a, const struct term *b);

static const struct term *object_member(const struct term *object, const struct term *key)
{
    for (uint32_t i = 0; i + 1 < object->items.n; i += 2)
        if (term_equal(object->items.at[i], key))
            return object->items.at[i + 1];
    return NULL;
}

static void unify_patterns(struct unifier *u, const struct term *a, const struct term *b)
{
    if (a->items.n != b->items.n)
        return;
    if (a->kind == TERM_ARRAY) {
        for (uint32_t i = 0; i < a->items.n; i++)
            unify(u, a->items.at[i], b->items.at[i]);
        return;
    }
    for (uint32_t i = 0; i + 1 < a->items.n; i += 2) {
        const struct term *other = object_member(b, a->items.at[i]);

        front_step(u->c->f, b->items.n);
        if (other)
            unify(u, a->items.at[i + 1], other);
    }
}

static void unify(struct unifier *u, const struct term *a, const struct term *b)
{
    bool a_pattern = a->kind == TERM_ARRAY || a->kind == TERM_OBJECT;
    bool b_pattern = b->kind == TERM_ARRAY || b->kind == TERM_OBJECT;

    front_step(u->c->f, 1);
    if (a->kind == TERM_VAR)
        unify_var(u, a->text, b);
    else if (b->kind == TERM_VAR)
        unify_var(u, b->text, a);
    else if (a_pattern && b_pattern && a->kind == b->kind)
        unify_patterns(u, a, b);
    else if (a_pattern && ((b->kind == TERM_REF && head_is_safe(u, b)) || term_is_comprehension(b)))
        all_unified(u, a);
    else if (b_pattern && ((a->kind == TERM_REF && head_is_safe(u, a)) || term_is_comprehension(a)))
        all_unified(u, b);
}

static void outputs_of_eq(struct compiler *c, const struct expr *e, struct name_list *out)
{
    struct unifier u = { .c = c };

    outputs_of_refs(c, e->terms.at[1], out);
    outputs_of_refs(c, e->terms.at[2], out);
    for (uint32_t i = 0; i < out->n; i++)
        mark_safe(c->f, &u.undo, out->at[i]);
    unify(&u, e->terms.at[1], e->terms.at[2]);
    for (uint32_t i = 0; i < u.undo.n; i++)
        add_name(c->f, out, u.undo.at[i]);
    unmark_safe(&u.undo, 0);
}

static void outputs_of_call(struct compiler *c, const struct expr *e, struct name_list *out)
{
    struct callee    callee = callee_of(c, e->terms.at[0]);
    struct name_list undo   = { 0 };
    bool             ready  = true;

    if (callee.kind == CALLEE_UNKNOWN)
        return;
    for (uint32_t i = 1; i < e->terms.n; i++)
        outputs_of_refs(c, e->terms.at[i], out);
    if (callee.arity + 1 >= e->terms.n || callee.flags & BUILTIN_VARIADIC)
        return;
    for (uint32_t i = 0; i < out->n; i++)
        mark_safe(c->f, &undo, out->at[i]);
    for (uint32_t i = 1; i <= callee.arity; i++)
        ready = ready && all_safe(c->f, e->terms.at[i], PATTERN_VARS);
    unmark_safe(&undo, 0);
    for (uint32_t i = callee.arity + 1; ready && i < e->terms.n; i++)
        add_vars(c, e->terms.at[i], PATTERN_VARS, out);
}

void outputs_of_expr(struct compiler *c, const struct expr *e, struct name_list *out)
{
    if (e->negated)
        return;
    for (uint32_t i = 0; i < e->with.n; i++)
        if (!e->with.at[i].names_function && !all_safe(c->f, e->with.at[i].value, VARS_FOR_SAFETY))
            return;
    if (e->kind == EXPR_TERM)
        outputs_of_refs(c, e->term, out);
    else if (e->kind == EXPR_EVERY)
        outputs_of_refs(c, e->every->domain, out);
    else if (expr_is_call_of(e, "eq") && e->terms.n == 3)
        outputs_of_eq(c, e, out);
    else if (e->kind == EXPR_CALL)
        outputs_of_call(c, e, out);
}

/* ---- placing expressions ---- */

struct waiting {
    struct expr     *expr;
    struct name_list vars;    /* must be safe, or its own output */
    struct name_list closed;  /* of its closures: must be safe */
    struct name_list outputs; /* at the last look */
    bool             placed;
    bool             dirty;
};

struct user {
    uint32_t     index;
    struct user *next;
};

static void closures_of_term(struct var_walk *w, const struct term *t)
{
    if (term_is_comprehension(t))
        vars_of_term(w, t);
    else if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t))
        for (uint32_t i = 0; i < t->items.n; i++)
            closures_of_term(w, t->items.at[i]);
}

static void closures_of_expr(struct var_walk *w, const struct expr *e)
{
    if (e->term)
        closures_of_term(w, e->term);
    for (uint32_t i = 0; i < e->terms.n; i++)
        closures_of_term(w, e->terms.at[i]);
    for (uint32_t i = 0; i < e->with.n; i++)
        closures_of_term(w, e->with.at[i].value);
    if (e->every)
        vars_of_body(w, &e->every->body);
}

static void add_user(struct compiler *c, struct name *n, uint32_t index)
{
    struct user *u = front_take(c->f, sizeof *u);

    *u      = (struct user){ index, n->mark };
    n->mark = u;
}

static struct waiting *waiting_of(struct compiler *c, const body *b)
{
    struct waiting *all = front_take(c->f, (b->n + 1) * sizeof *all);

    for (uint32_t i = 0; i < b->n; i++) {
        struct var_walk w = var_walk_of(c->f, VARS_FOR_SAFETY);

        all[i].expr  = b->at[i];
        all[i].dirty = true;
        vars_of_expr(&w, b->at[i]);
        for (uint32_t j = 0; j < w.found.n; j++)
            if (!w.found.at[j]->safe) {
                add_name(c->f, &all[i].vars, w.found.at[j]);
                add_user(c, w.found.at[j], i);
            }
    }
    /* Closures wait for the variables of this body only; others are their own. */
    for (uint32_t i = 0; i < b->n; i++) {
        struct var_walk w = { .f = c->f, .stamp = front_stamp(c->f) };

        closures_of_expr(&w, b->at[i]);
        for (uint32_t j = 0; j < w.found.n; j++)
            if (w.found.at[j]->mark && !w.found.at[j]->safe) {
                add_name(c->f, &all[i].closed, w.found.at[j]);
                add_user(c, w.found.at[j], i);
            }
    }
    return all;
}

static bool is_in(const struct name_list *l, const struct name *n)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->at[i] == n)
            return true;
    return false;
}

static bool is_ready(struct compiler *c, struct waiting *w)
{
    w->outputs.n = 0;
    outputs_of_expr(c, w->expr, &w->outputs);

    uint64_t stamp = front_stamp(c->f);
    for (uint32_t i = 0; i < w->outputs.n; i++)
        w->outputs.at[i]->stamp = stamp;
    for (uint32_t i = 0; i < w->closed.n; i++)
        if (!w->closed.at[i]->safe)
            return false;
    for (uint32_t i = 0; i < w->vars.n; i++)
        if (!w->vars.at[i]->safe && w->vars.at[i]->stamp != stamp)
            return false;
    return true;
}

static void bind_outputs(struct compiler *c, struct waiting *all, const struct waiting *w, struct name_list *undo)
{
    for (uint32_t i = 0; i < w->outputs.n; i++) {
        struct name *n = w->outputs.at[i];

        if (n->safe)
            continue;
        mark_safe(c->f, undo, n);
        for (const struct user *u = n->mark; u; u = u->next) {
            front_step(c->f, 1);
            all[u->index].dirty = true;
        }
    }
}

static void place(struct compiler *c, struct waiting *all, uint32_t n, body *out, struct name_list *undo)
{
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < n; i++) {
            if (all[i].placed || !all[i].dirty)
                continue;
            all[i].dirty = false;
            if (!is_ready(c, &all[i]))
                continue;
            all[i].placed = true;
            more          = true;
            LIST_ADD(c->f, out, all[i].expr);
            bind_outputs(c, all, &all[i], undo);
        }
        front_step(c->f, n / 64 + 1);
    }
}

/* ---- errors ---- */

static const char *in_rule(struct compiler *c, const struct rule *r)
{
    uint32_t others = 0;

    if (!r)
        return "";
    for (uint32_t i = 0; i < r->module->rules.n; i++) {
        const struct rule *o = r->module->rules.at[i];

        others += o != r && o->at.row == r->at.row && !term_equal(o->head.ref, r->head.ref);
    }
    return others ? front_printf(c->f, " in rule %s", ref_text(c->f, r->head.ref, r->head.ref->items.n)) : "";
}

struct safety {
    struct compiler   *c;
    const struct rule *rule; /* NULL for a query */
    struct name_list   named;     /* reported */
    bool               generated; /* one that has no name in the source is unsafe */
    struct location    generated_at;
};

static void unsafe(struct safety *s, struct name *n, struct location at)
{
    const struct name *shown = n->original ? n->original : n;

    if (name_is_generated(n) && !n->original) {
        if (!s->generated)
            s->generated_at = at;
        s->generated = true;
        return;
    }
    if (is_in(&s->named, n))
        return;
    add_name(s->c->f, &s->named, n);
    (void) front_error(s->c->f, at, UNSAFE_ERROR, "var %s is unsafe%s", name_is_wildcard(shown) ? "_" : shown->text,
                       in_rule(s->c, s->rule));
}

/* An unplaced expression would bind `n` if its other variables were safe: n is not where the trouble starts. */
static bool is_consequence(struct safety *s, const struct waiting *all, uint32_t n_all, const struct name *n)
{
    bool found = false;

    for (uint32_t i = 0; i < n_all && !found; i++) {
        struct name_list others = { 0 }, outputs = { 0 };

        if (all[i].placed || !is_in(&all[i].vars, n))
            continue;
        for (uint32_t j = 0; j < all[i].vars.n; j++)
            if (all[i].vars.at[j] != n)
                mark_safe(s->c->f, &others, all[i].vars.at[j]);
        outputs_of_expr(s->c, all[i].expr, &outputs);
        unmark_safe(&others, 0);
        found = is_in(&outputs, n);
    }
    return found;
}

static void report_vars(struct safety *s, const struct waiting *all, uint32_t n, bool causes_only)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct waiting *w = &all[i];

        for (uint32_t j = 0; !w->placed && j < w->vars.n + w->closed.n; j++) {
            struct name *v = j < w->vars.n ? w->vars.at[j] : w->closed.at[j - w->vars.n];

            if (v->safe || (j < w->vars.n && is_in(&w->outputs, v)))
                continue;
            if (!causes_only || !is_consequence(s, all, n, v))
                unsafe(s, v, w->expr->at);
        }
    }
}

static void report_unplaced(struct safety *s, const struct waiting *all, uint32_t n)
{
    uint32_t before = s->c->f->n_errors;

    report_vars(s, all, n, true);
    if (s->c->f->n_errors == before && !s->generated)
        report_vars(s, all, n, false);
}

/* ---- closures ---- */

static void order_body(struct safety *s, body *b);

static void order_comprehension(struct safety *s, struct comprehension *compr, struct location at)
{
    struct name_list undo = { 0 };
    struct var_walk  head = var_walk_of(s->c->f, VARS_FOR_SAFETY);
    struct var_walk  all  = { 0 };

    order_body(s, &compr->body);
    if (compr->key)
        vars_of_term(&head, compr->key);
    vars_of_term(&head, compr->value);
    all = var_walk_of(s->c->f, VARS_FOR_SAFETY);
    vars_of_body(&all, &compr->body);
    for (uint32_t i = 0; i < all.found.n; i++)
        mark_safe(s->c->f, &undo, all.found.at[i]);
    for (uint32_t i = 0; i < head.found.n; i++)
        if (!head.found.at[i]->safe)
            unsafe(s, head.found.at[i], at);
    unmark_safe(&undo, 0);
}

static void order_in_term(struct safety *s, struct term *t, struct location at)
{
    if (term_is_comprehension(t))
        order_comprehension(s, t->compr, at);
    else if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t))
        for (uint32_t i = 0; i < t->items.n; i++)
            order_in_term(s, t->items.at[i], at);
}

static void order_in_expr(struct safety *s, struct expr *e)
{
    if (e->term)
        order_in_term(s, e->term, e->at);
    for (uint32_t i = 0; i < e->terms.n; i++)
        order_in_term(s, e->terms.at[i], e->at);
    for (uint32_t i = 0; i < e->with.n; i++)
        order_in_term(s, e->with.at[i].value, e->at);
    if (e->every) {
        struct name_list undo = { 0 };

        order_in_term(s, e->every->domain, e->at);
        mark_safe(s->c->f, &undo, e->every->key->text);
        mark_safe(s->c->f, &undo, e->every->value->text);
        order_body(s, &e->every->body);
        unmark_safe(&undo, 0);
    }
}

/* Orders `b`; names that are safe on entry are safe on return, and no others. */
static void order_body(struct safety *s, body *b)
{
    struct front    *f    = s->c->f;
    struct name_list undo = { 0 };
    struct waiting  *all  = waiting_of(s->c, b);
    body             out  = { 0 };

    place(s->c, all, b->n, &out, &undo);
    for (uint32_t i = 0; i < b->n; i++) {
        for (uint32_t j = 0; j < all[i].vars.n; j++)
            all[i].vars.at[j]->mark = NULL;
        for (uint32_t j = 0; j < all[i].closed.n; j++)
            all[i].closed.at[j]->mark = NULL;
    }
    if (out.n < b->n) {
        report_unplaced(s, all, b->n);
        unmark_safe(&undo, 0);
        return;
    }
    unmark_safe(&undo, 0);
    for (uint32_t i = 0; i < out.n; i++) {
        struct var_walk w = var_walk_of(f, VARS_FOR_SAFETY);

        order_in_expr(s, out.at[i]);
        vars_of_expr(&w, out.at[i]);
        for (uint32_t j = 0; j < w.found.n; j++)
            mark_safe(f, &undo, w.found.at[j]);
    }
    unmark_safe(&undo, 0);
    *b = out;
}

static void report_generated(struct safety *s, uint32_t errors_before)
{
    if (s->generated && s->c->f->n_errors == errors_before)
        (void) front_error(s->c->f, s->generated_at, UNSAFE_ERROR, "expression is unsafe");
}

static void mark_roots(struct front *f, struct name_list *undo)
{
    mark_safe(f, undo, name_text(f, "input"));
    mark_safe(f, undo, name_text(f, "data"));
}

static void mark_args(struct front *f, struct name_list *undo, const struct rule *r)
{
    for (uint32_t i = 0; i < r->head.args.n; i++) {
        struct var_walk w = var_walk_of(f, VARS_FOR_SAFETY | VARS_SKIP_OBJECT_KEYS | VARS_SKIP_SETS);

        vars_of_term(&w, r->head.args.at[i]);
        for (uint32_t j = 0; j < w.found.n; j++)
            mark_safe(f, undo, w.found.at[j]);
    }
}

/* All variables of a head occur in the body or the arguments. */
static void heads_of_rule(struct compiler *c, struct rule *r)
{
    struct safety    s    = { .c = c, .rule = r };
    struct name_list undo = { 0 };
    struct var_walk  w    = var_walk_of(c->f, VARS_FOR_SAFETY);
    struct term     *heads[2] = { r->head.key, r->head.value };

    mark_roots(c->f, &undo);
    mark_args(c->f, &undo, r);
    vars_of_body(&w, &r->body);
    for (uint32_t i = 0; i < w.found.n; i++)
        mark_safe(c->f, &undo, w.found.at[i]);
    for (uint32_t i = 0; i < 2 + r->head.ref->items.n - 1; i++) {
        struct term    *t = i < 2 ? heads[i] : r->head.ref->items.at[i - 1];
        struct var_walk h = var_walk_of(c->f, VARS_FOR_SAFETY);

        if (!t)
            continue;
        vars_of_term(&h, t);
        for (uint32_t j = 0; j < h.found.n; j++)
            if (!h.found.at[j]->safe)
                unsafe(&s, h.found.at[j], t->at);
    }
    unmark_safe(&undo, 0);
}

static void bodies_of_rule(struct compiler *c, struct rule *r)
{
    struct safety    s      = { .c = c, .rule = r };
    struct name_list undo   = { 0 };
    uint32_t         before = c->f->n_errors;

    mark_roots(c->f, &undo);
    mark_args(c->f, &undo, r);
    order_body(&s, &r->body);
    report_generated(&s, before);
    unmark_safe(&undo, 0);
}

void pass_safety(struct compiler *c)
{
    each_rule(c, heads_of_rule);
    if (c->f->n_errors == 0)
        each_rule(c, bodies_of_rule);
}

void safety_of_query(struct compiler *c, body *b)
{
    struct safety    s      = { .c = c };
    struct name_list undo   = { 0 };
    uint32_t         before = c->f->n_errors;

    mark_roots(c->f, &undo);
    order_body(&s, b);
    report_generated(&s, before);
    unmark_safe(&undo, 0);
}
