#include "policy/rego/compile.h"

#include <string.h>

enum { SLOTS_FIRST = 1024 };

static uint32_t slot_of(const struct compiler *c, const struct rule_node *of, const struct term *key)
{
    uint32_t h = (uint32_t) ((uintptr_t) of >> 4) * 2654435761u;

    h ^= key->kind == TERM_BOOLEAN ? (uint32_t) key->truth : key->kind == TERM_NULL ? 7u : key->text->hash;
    return h & (c->n_slots - 1);
}

struct rule_node *node_child(const struct compiler *c, const struct rule_node *of, const struct term *key)
{
    if (!term_is_scalar(key))
        return NULL;
    for (struct rule_node *n = c->slots[slot_of(c, of, key)]; n; n = n->hash_next)
        if (n->parent == of && term_equal(n->key, key))
            return n;
    return NULL;
}

struct rule_node *node_at(const struct compiler *c, const struct term *ref, uint32_t n_parts)
{
    struct rule_node *n = c->root;

    for (uint32_t i = 1; n && i < n_parts; i++)
        n = node_child(c, n, ref->items.at[i]);
    return n;
}

static void link_child(struct compiler *c, struct rule_node *n)
{
    uint32_t slot = slot_of(c, n->parent, n->key);

    n->hash_next   = c->slots[slot];
    c->slots[slot] = n;
}

static void rehash(struct compiler *c)
{
    struct rule_node **old   = c->slots;
    uint32_t           n_old = c->n_slots;

    c->n_slots *= 4;
    c->slots = front_take(c->f, c->n_slots * sizeof *c->slots);
    for (uint32_t i = 0; i < n_old; i++)
        for (struct rule_node *n = old[i], *next; n; n = next) {
            next = n->hash_next;
            link_child(c, n);
        }
}

struct rule_node *node_add(struct compiler *c, const struct term *ref, uint32_t n_parts)
{
    struct rule_node *n = c->root;

    for (uint32_t i = 1; i < n_parts; i++) {
        struct rule_node *child = node_child(c, n, ref->items.at[i]);

        if (!child) {
            if (c->n_nodes++ > c->n_slots)
                rehash(c);
            child         = front_take(c->f, sizeof *child);
            child->key    = ref->items.at[i];
            child->parent = n;
            child->depth  = n->depth + 1;
            if (n->last_child)
                n->last_child->next_sibling = child;
            else
                n->first_child = child;
            n->last_child    = child;
            n->has_odd_child = n->has_odd_child || child->key->kind != TERM_STRING;
            link_child(c, child);
        }
        n = child;
    }
    return n;
}

void compiler_start(struct compiler *c, struct front *f, const struct compile_options *options)
{
    *c = (struct compiler){ .f = f, .options = *options, .n_slots = SLOTS_FIRST };

    c->root  = front_take(f, sizeof *c->root);
    c->slots = front_take(f, c->n_slots * sizeof *c->slots);
}

static struct term *path_of(struct compiler *c, const struct rule *r)
{
    struct term      *path = term_new(c->f, TERM_REF, r->head.ref->at);
    const struct term *head = r->head.ref;

    for (uint32_t i = 0; i < r->module->package->items.n; i++)
        LIST_ADD(c->f, &path->items, r->module->package->items.at[i]);
    LIST_ADD(c->f, &path->items, term_string(c->f, head->items.at[0]->text, head->items.at[0]->at));
    for (uint32_t i = 1; i < head->items.n; i++)
        LIST_ADD(c->f, &path->items, head->items.at[i]);
    return path;
}

static void set_path(struct compiler *c, struct rule *r)
{
    r->path = path_of(c, r);
}

void pass_paths(struct compiler *c)
{
    each_rule(c, set_path);
}

static uint32_t scalar_prefix(const struct term *ref)
{
    uint32_t n = 1;

    while (n < ref->items.n && term_is_scalar(ref->items.at[n]))
        n++;
    return n;
}

static void check_root_names(struct compiler *c, const struct rule *r)
{
    const struct name *n = r->head.ref->items.at[0]->text;

    if (name_is(n, "input") || name_is(n, "data"))
        (void) front_error(c->f, r->at, COMPILE_ERROR, "rules must not shadow %s (use a different rule name)", n->text);
}

void pass_tree(struct compiler *c)
{
    for (uint32_t i = 0; i < c->modules.n; i++) {
        const struct module *m = c->modules.at[i];

        node_add(c, m->package, m->package->items.n)->is_package = true;
        for (uint32_t j = 0; j < m->rules.n; j++) {
            struct rule      *r    = m->rules.at[j];
            struct term      *path = path_of(c, r);
            struct rule_node *node = node_add(c, path, scalar_prefix(path));

            check_root_names(c, r);
            LIST_ADD(c->f, &node->rules, r);
        }
    }
}

/* ---- rules that cannot stand beside each other ---- */

static const char *node_name(struct compiler *c, const struct rule_node *n)
{
    struct term *ref   = term_new(c->f, TERM_REF, (struct location){ 0 });
    uint32_t     depth = n->depth + 1;

    ref->items = (struct term_list){ front_take(c->f, depth * sizeof(struct term *)), depth, depth };
    for (; n->parent; n = n->parent)
        ref->items.at[n->depth] = n->key;
    ref->items.at[0] = term_var(c->f, name_text(c->f, "data"), ref->at);
    return ref_text(c->f, ref, depth);
}

static void first_rules_below(struct compiler *c, const struct rule_node *n, const char **list)
{
    for (const struct rule_node *child = n->first_child; child; child = child->next_sibling) {
        if (child->rules.n > 0)
            *list = front_printf(c->f, "%s%s%s", *list, **list ? " " : "", node_name(c, child));
        first_rules_below(c, child, list);
    }
}

static bool has_rules_below(const struct rule_node *n)
{
    for (const struct rule_node *child = n->first_child; child; child = child->next_sibling)
        if (child->rules.n > 0 || has_rules_below(child))
            return true;
    return false;
}

struct tally {
    uint32_t n_default, n_complete, n_partial, n_multi, n_single;
    bool     ground, arities_differ;
};

static struct tally tally_of(const struct rule_node *n)
{
    struct tally t = { 0 };

    for (uint32_t i = 0; i < n->rules.n; i++) {
        const struct rule *r      = n->rules.at[i];
        bool               ground = ref_is_ground(r->head.ref);

        t.ground = t.ground || ground;
        t.n_default += r->is_default;
        t.n_multi += r->head.key != NULL;
        t.n_single += r->head.key == NULL;
        if (!r->head.key && ground)
            t.n_complete++;
        else
            t.n_partial++;
        t.arities_differ = t.arities_differ || r->head.args.n != n->rules.at[0]->head.args.n ||
                           r->head.is_function != n->rules.at[0]->head.is_function;
    }
    return t;
}

static void check_node(struct compiler *c, struct rule_node *n)
{
    struct tally    t  = tally_of(n);
    struct location at = n->rules.at[0]->at;

    if (t.ground && has_rules_below(n)) {
        const char *list = "";

        first_rules_below(c, n, &list);
        (void) front_error(c->f, at, TYPE_ERROR, "rule %s conflicts with [%s]", node_name(c, n), list);
    } else if ((t.n_multi && t.n_single) || t.arities_differ || (t.n_complete && t.n_partial)) {
        (void) front_error(c->f, at, TYPE_ERROR, "conflicting rules %s found", node_name(c, n));
    } else if (t.n_default > 1) {
        (void) front_error(c->f, at, TYPE_ERROR, "multiple default rules %s found", node_name(c, n));
    }
    if (n->is_package)
        (void) front_error(c->f, at, TYPE_ERROR, "package %s conflicts with rule %s defined at %s:%u",
                           node_name(c, n) + strlen("data."), n->key->text->text, c->f->files[at.file].path, at.row);
}

static void check_below(struct compiler *c, struct rule_node *n)
{
    for (struct rule_node *child = n->first_child; child; child = child->next_sibling) {
        front_step(c->f, 1);
        if (child->rules.n > 0)
            check_node(c, child);
        check_below(c, child);
    }
}

void pass_conflicts(struct compiler *c)
{
    check_below(c, c->root);
}
