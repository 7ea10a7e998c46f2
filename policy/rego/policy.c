#include "policy/rego/policy.h"

#include "policy/rego/number.h"
#include "policy/rego/planner.h"

#include <stdio.h>
#include <string.h>

static void copy_errors(const struct front *f, struct rego_diagnostics *why)
{
    why->n = 0;
    for (uint32_t i = 0; i < f->n_errors && why->n < REGO_DIAGNOSTICS_MAX; i++) {
        const struct rego_error *e = &f->errors[i];
        struct rego_diagnostic  *d = &why->at[why->n++];

        d->code = e->code;
        d->row  = e->row;
        d->col  = e->col;
        (void) snprintf(d->path, sizeof d->path, "%s", e->path);          /* cut when long */
        (void) snprintf(d->message, sizeof d->message, "%s", e->message); /* cut when long */
    }
}

static bool refuse(const struct front *f, struct rego_diagnostics *why, struct err *err)
{
    copy_errors(f, why);

    const struct rego_diagnostic *d    = &why->at[0];
    enum err_kind                 kind = strcmp(d->code, LIMIT_ERROR) == 0                 ? ERR_LIMIT
                                         : strcmp(d->code, UNSUPPORTED_BUILTIN_ERROR) == 0 ? ERR_UNSUPPORTED
                                                                                           : ERR_MALFORMED;
    if (d->row == 0)
        return fail_with(err, kind, "%s: %s", d->code, d->message);
    return fail_with(err, kind, "%s:%u: %s: %s", d->path, d->row, d->code, d->message);
}

struct request {
    const struct rego_text    *modules;
    uint32_t                   n_modules;
    const char *const         *queries;
    uint32_t                   n_queries;
    const struct rego_options *options;
};

static void add_sources(struct front *f, const struct request *r)
{
    f->files = front_take(f, (r->n_modules + r->n_queries + 1) * sizeof *f->files);
    for (uint32_t i = 0; i < r->n_modules; i++)
        f->files[f->n_files++] = (struct source_file){ r->modules[i].path, r->modules[i].text };
    for (uint32_t i = 0; i < r->n_queries; i++)
        f->files[f->n_files++] = (struct source_file){ "query", bytes_of_text(r->queries[i]) };
    for (uint32_t i = 0; i < f->n_files; i++) {
        if (f->files[i].text.len > SOURCE_MAX)
            front_leave(f, "source size");
        f->tokens_most += TOKENS_PER_BYTE * f->files[i].text.len;
    }
}

static bool parse_modules(struct compiler *c, const struct request *r)
{
    for (uint32_t i = 0; i < r->n_modules; i++) {
        struct module *m = parse_module(c->f, i, c->options.version);

        if (!m)
            return false;
        LIST_ADD(c->f, &c->modules, m);
    }
    return true;
}

static bool plan_queries(struct compiler *c, const struct request *r, struct plan *plan)
{
    for (uint32_t i = 0; i < r->n_queries; i++) {
        body *query = parse_query(c->f, r->n_modules + i, c->options.version);

        if (!query || !compile_query(c, query))
            return false;
        plan_query(c, plan, r->queries[i], query);
    }
    return true;
}

/* The one place that a limit of the front end returns to. */
static bool compile_request(struct front *f, const struct request *r, struct compiler *c, struct plan *plan)
{
    struct compile_options options = { .version = r->options->v0 ? REGO_V0 : REGO_V1, .print = r->options->print };

    if (setjmp(f->out) != 0)
        return false;
    if (r->n_modules > SOURCES_MAX)
        front_leave(f, "number of modules");
    struct host_name *hosts = front_take(f, (r->options->n_hosts + 1) * sizeof *hosts);
    for (uint32_t i = 0; i < r->options->n_hosts; i++)
        hosts[i] = (struct host_name){ r->options->hosts[i].name, r->options->hosts[i].n_args };
    options.hosts   = hosts;
    options.n_hosts = r->options->n_hosts;
    plan->hosts     = r->options->hosts;
    plan->n_hosts   = r->options->n_hosts;
    f->experimental = r->options->experimental;
    compiler_start(c, f, &options);
    add_sources(f, r);
    return parse_modules(c, r) && compile_modules(c) && plan_queries(c, r, plan);
}

static FALLIBLE prepare(const struct request *r, struct program **out, struct rego_diagnostics *why, struct err *err)
{
    AUTO(arena) struct arena memory = arena_of(r->options->memory ? r->options->memory : REGO_COMPILE_MEMORY);
    struct plan              plan   = plan_over(&memory);
    struct front             front;
    struct compiler          compiler = { 0 };

    why->n = 0;
    front_start(&front, &memory);
    if (!compile_request(&front, r, &compiler, &plan))
        return refuse(&front, why, err);
    if (!out)
        return true;
    return program_new(&plan, out, err);
}

FALLIBLE rego_prepare(const struct rego_text *modules, uint32_t n_modules, const char *const *queries, uint32_t n_queries,
                      const struct rego_options *options, struct program **out, struct rego_diagnostics *why,
                      struct err *err)
{
    struct request r = { modules, n_modules, queries, n_queries, options };

    return prepare(&r, out, why, err);
}

FALLIBLE rego_check(const struct rego_text *modules, uint32_t n_modules, const struct rego_options *options,
                    struct rego_diagnostics *why, struct err *err)
{
    struct request r = { modules, n_modules, NULL, 0, options };

    return prepare(&r, NULL, why, err);
}

static bool visit_rules(struct front *f, const struct request *r, struct compiler *c,
                        void (*visit)(void *user, const char *path), void *user)
{
    struct compile_options options = { .version = r->options->v0 ? REGO_V0 : REGO_V1 };

    if (setjmp(f->out) != 0)
        return false;
    compiler_start(c, f, &options);
    add_sources(f, r);
    if (!parse_modules(c, r))
        return false;
    pass_paths(c);
    for (uint32_t i = 0; i < c->modules.n; i++)
        for (uint32_t j = 0; j < c->modules.at[i]->rules.n; j++) {
            const struct term *path = c->modules.at[i]->rules.at[j]->path;

            visit(user, ref_text(f, path, path->items.n));
        }
    return true;
}

FALLIBLE rego_each_rule(const struct rego_text *modules, uint32_t n_modules, const struct rego_options *options,
                        void (*visit)(void *user, const char *path), void *user, struct rego_diagnostics *why,
                        struct err *err)
{
    AUTO(arena) struct arena memory   = arena_of(REGO_COMPILE_MEMORY);
    struct request           r        = { modules, n_modules, NULL, 0, options };
    struct compiler          compiler = { 0 };
    struct front             front;

    why->n = 0;
    front_start(&front, &memory);
    return visit_rules(&front, &r, &compiler, visit, user) || refuse(&front, why, err);
}

static FALLIBLE value_from(struct arena *a, const struct term *t, struct value *out, struct err *err);

static FALLIBLE collection_from(struct arena *a, const struct term *t, struct value *out, struct err *err)
{
    enum value_type type = t->kind == TERM_ARRAY ? VALUE_ARRAY : t->kind == TERM_SET ? VALUE_SET : VALUE_OBJECT;
    struct value    v    = value_new(a, type, t->items.n);
    bool            ok   = value_is_defined(v);

    for (uint32_t i = 0; ok && i < t->items.n; i++) {
        struct value item, member;

        if (!value_from(a, t->items.at[i], &item, err))
            return false;
        if (type == VALUE_OBJECT && !value_from(a, t->items.at[++i], &member, err))
            return false;
        ok = type == VALUE_ARRAY ? array_append(a, v, item) : type == VALUE_SET ? set_add(a, v, item) : object_put(a, v, item, member);
    }
    if (!ok || !value_close(a, v))
        return arena_ok(a, err);
    *out = v;
    return true;
}

static FALLIBLE value_from(struct arena *a, const struct term *t, struct value *out, struct err *err)
{
    if (t->kind == TERM_NULL)
        *out = value_null();
    else if (t->kind == TERM_BOOLEAN)
        *out = value_bool(t->truth);
    else if (t->kind == TERM_NUMBER)
        return number_read(t->text->text, t->text->len, out, err);
    else if (t->kind == TERM_STRING)
        *out = value_text(t->text->text, t->text->len);
    else if (term_is_collection(t))
        return collection_from(a, t, out, err);
    else
        return fail_with(err, ERR_MALFORMED, "term is not constant");
    return true;
}

static const struct term *read_term(struct front *f, struct bytes text)
{
    if (setjmp(f->out) != 0)
        return NULL;
    f->files    = front_take(f, sizeof *f->files);
    f->files[0] = (struct source_file){ "term", text };
    f->n_files  = 1;
    f->tokens_most += TOKENS_PER_BYTE * text.len;
    return parse_one_term(f, 0);
}

FALLIBLE rego_read_term(struct arena *a, struct bytes text, struct value *out, struct err *err)
{
    struct front front;

    front_start(&front, a);
    if (text.len > SOURCE_MAX)
        return fail_with(err, ERR_LIMIT, "term of %zu bytes", text.len);
    const struct term *t = read_term(&front, text);
    if (!t)
        return fail_with(err, ERR_MALFORMED, "%s: %s", front.errors[0].code, front.errors[0].message);
    return value_from(a, t, out, err);
}
