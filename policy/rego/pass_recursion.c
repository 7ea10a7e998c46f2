#include "policy/rego/compile.h"

/*
 * Rules may not depend on themselves. The graph has a node for each path with rules; a reference that ends
 * above rules, or goes on with a variable, depends on all rules that it may meet. [Tarjan 1972, without recursion]
 */
struct search {
    struct compiler   *c;
    struct rule_node  *from;
    struct rule_node **stack;
    uint32_t           n_stack;
    uint32_t           n_seen;
};

static void edge(struct compiler *c, struct rule_node *from, struct rule_node *to)
{
    front_step(c->f, 1);
    if (from->n_edges == from->edges_room) {
        uint32_t room = from->edges_room ? from->edges_room * 2 : 4;

        from->edges      = front_grow(c->f, from->edges, from->n_edges * sizeof(struct rule_node *),
                                      room * sizeof(struct rule_node *));
        from->edges_room = room;
    }
    from->edges[from->n_edges++] = to;
}

/* Whatever `ref` from part `i` on may meet at or below `n`. */
static void edges_along(struct compiler *c, struct rule_node *from, struct rule_node *n, const struct term *ref, uint32_t i)
{
    if (n->rules.n > 0)
        edge(c, from, n);
    if (i >= ref->items.n) {
        for (struct rule_node *child = n->first_child; child; child = child->next_sibling)
            edge(c, from, child); /* a node without rules stands for all below it: see edges_of_inner */
        return;
    }
    if (term_is_scalar(ref->items.at[i])) {
        struct rule_node *child = node_child(c, n, ref->items.at[i]);

        if (child)
            edges_along(c, from, child, ref, i + 1);
        return;
    }
    for (struct rule_node *child = n->first_child; child; child = child->next_sibling) {
        front_step(c->f, 1);
        edges_along(c, from, child, ref, i + 1);
    }
}

static void edges_of_body(struct compiler *c, struct rule_node *from, const body *b);

static void edges_of_term(struct compiler *c, struct rule_node *from, const struct term *t)
{
    front_step(c->f, 1);
    if (t->kind == TERM_REF && ref_is_root(t, "data"))
        edges_along(c, from, c->root, t, 1);
    if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t)) {
        for (uint32_t i = 0; i < t->items.n; i++)
            edges_of_term(c, from, t->items.at[i]);
    } else if (term_is_comprehension(t)) {
        if (t->compr->key)
            edges_of_term(c, from, t->compr->key);
        edges_of_term(c, from, t->compr->value);
        edges_of_body(c, from, &t->compr->body);
    }
}

static void edges_of_body(struct compiler *c, struct rule_node *from, const body *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const struct expr *e = b->at[i];

        if (e->term)
            edges_of_term(c, from, e->term);
        for (uint32_t j = 0; j < e->terms.n; j++)
            edges_of_term(c, from, e->terms.at[j]);
        for (uint32_t j = 0; j < e->with.n; j++)
            edges_of_term(c, from, e->with.at[j].value);
        if (e->every) {
            edges_of_term(c, from, e->every->domain);
            edges_of_body(c, from, &e->every->body);
        }
    }
}

static void edges_of_node(struct compiler *c, struct rule_node *n)
{
    for (uint32_t i = 0; i < n->rules.n; i++)
        for (const struct rule *r = n->rules.at[i]; r; r = r->otherwise) {
            edges_of_body(c, n, &r->body);
            if (r->head.key)
                edges_of_term(c, n, r->head.key);
            if (r->head.value)
                edges_of_term(c, n, r->head.value);
            for (uint32_t j = 0; j < r->head.args.n; j++)
                edges_of_term(c, n, r->head.args.at[j]);
        }
    for (struct rule_node *child = n->first_child; child && n->rules.n == 0; child = child->next_sibling)
        edge(c, n, child);
}

static void edges_below(struct compiler *c, struct rule_node *n)
{
    for (struct rule_node *child = n->first_child; child; child = child->next_sibling) {
        edges_of_node(c, child);
        edges_below(c, child);
    }
}

static const char *name_of_node(struct compiler *c, const struct rule_node *n)
{
    const struct term *path = n->rules.at[0]->path;

    return ref_text(c->f, path, n->depth + 1);
}

/* The way from a rule back to itself, by breadth, through nodes with rules only in the text. */
static void report(struct compiler *c, struct rule_node *from, uint32_t component)
{
    struct rule_node **queue  = front_take(c->f, c->n_nodes * sizeof *queue + sizeof *queue);
    uint32_t          *parent = front_take(c->f, c->n_nodes * sizeof *parent + sizeof *parent);
    uint32_t           n      = 1;

    queue[0]       = from;
    from->on_stack = true;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < queue[i]->n_edges; j++) {
            struct rule_node *to = queue[i]->edges[j];

            front_step(c->f, 1);
            if (to == from) {
                const char *text = name_of_node(c, from);

                for (uint32_t k = i; k != 0; k = parent[k])
                    if (queue[k]->rules.n > 0)
                        text = front_printf(c->f, "%s -> %s", name_of_node(c, queue[k]), text);
                (void) front_error(c->f, from->rules.at[0]->at, RECURSION_ERROR, "rule %s is recursive: %s -> %s",
                                   name_of_node(c, from), name_of_node(c, from), text);
                i = n;
                break;
            }
            if (to->low == component && !to->on_stack) {
                to->on_stack = true;
                parent[n]    = i;
                queue[n++]   = to;
            }
        }
    }
    for (uint32_t i = 0; i < n; i++)
        queue[i]->on_stack = false;
}

struct step {
    struct rule_node *node;
    uint32_t          edge;
};

static void visit(struct search *s, struct step *way, uint32_t *n_way, struct rule_node *n)
{
    n->index                = n->low = ++s->n_seen;
    n->on_stack             = true;
    s->stack[s->n_stack++] = n;
    way[(*n_way)++]         = (struct step){ n, 0 };
}

/* Nodes of a strongly connected component get its root's index as `low`; alone nodes without a loop are fine. */
static void close_component(struct search *s, struct rule_node *root, struct rule_node **cyclic, uint32_t *n_cyclic)
{
    uint32_t first = s->n_stack;

    while (s->stack[first - 1] != root)
        first--;
    first--;
    bool loop = s->n_stack - first > 1;
    for (uint32_t i = 0; i < root->n_edges; i++)
        loop = loop || root->edges[i] == root;
    for (uint32_t i = first; i < s->n_stack; i++) {
        s->stack[i]->on_stack = false;
        s->stack[i]->low      = root->index;
        if (loop && s->stack[i]->rules.n > 0)
            cyclic[(*n_cyclic)++] = s->stack[i];
    }
    s->n_stack = first;
}

static void search_from(struct search *s, struct rule_node *start, struct step *way, struct rule_node **cyclic,
                        uint32_t *n_cyclic)
{
    uint32_t n_way = 0;

    visit(s, way, &n_way, start);
    while (n_way > 0) {
        struct rule_node *n = way[n_way - 1].node;

        front_step(s->c->f, 1);
        if (way[n_way - 1].edge < n->n_edges) {
            struct rule_node *to = n->edges[way[n_way - 1].edge++];

            if (to->index == 0)
                visit(s, way, &n_way, to);
            else if (to->on_stack && to->index < n->low)
                n->low = to->index;
            continue;
        }
        if (n->low == n->index)
            close_component(s, n, cyclic, n_cyclic);
        n_way--;
        if (n_way > 0 && n->on_stack && n->low < way[n_way - 1].node->low)
            way[n_way - 1].node->low = n->low;
    }
}

static void search_below(struct search *s, struct rule_node *n, struct step *way, struct rule_node **cyclic,
                         uint32_t *n_cyclic)
{
    for (struct rule_node *child = n->first_child; child; child = child->next_sibling) {
        if (child->index == 0)
            search_from(s, child, way, cyclic, n_cyclic);
        search_below(s, child, way, cyclic, n_cyclic);
    }
}

static bool stands_before(const struct rule_node *a, const struct rule_node *b)
{
    const struct location *x = &a->rules.at[0]->at;
    const struct location *y = &b->rules.at[0]->at;

    return x->file != y->file ? x->file < y->file : x->offset < y->offset;
}

void pass_recursion(struct compiler *c)
{
    uint32_t           n        = c->n_nodes + 1;
    struct search      s        = { .c = c, .stack = front_take(c->f, n * sizeof *s.stack) };
    struct step       *way      = front_take(c->f, n * sizeof *way);
    struct rule_node **cyclic   = front_take(c->f, n * sizeof *cyclic);
    uint32_t           n_cyclic = 0;

    edges_below(c, c->root);
    search_below(&s, c->root, way, cyclic, &n_cyclic);
    while (n_cyclic > 0 && c->f->n_errors < ERRORS_MAX) {
        uint32_t next = 0;

        for (uint32_t i = 1; i < n_cyclic; i++)
            if (stands_before(cyclic[i], cyclic[next]))
                next = i;
        report(c, cyclic[next], cyclic[next]->low);
        cyclic[next] = cyclic[--n_cyclic];
    }
}
