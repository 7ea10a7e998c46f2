#include "policy/rego/explain.h"

#include "policy/rego/json.h"

#include <string.h>

enum { VALUE_SHOWN_MAX = 200, EXPLAIN_MEMORY = 1 << 20 };

void explanation_start(struct explanation *e, const struct rego_text *modules, uint32_t n_modules, const char *query, FILE *to)
{
    *e = (struct explanation){ .modules = modules, .n_modules = n_modules, .query = query, .to = to };
}

/* Statements that a person wrote something for; the others are how the plan is built. */
static bool is_told(enum plan_op op)
{
    return op == PLAN_DOT || op == PLAN_DOT_BASE || op == PLAN_EQUAL || op == PLAN_NOT_EQUAL || op == PLAN_CALL ||
           op == PLAN_NOT || op == PLAN_CALL_DYNAMIC || (op == PLAN_SCAN);
}

static bool told_before(struct explanation *e, const struct eval_moment *m)
{
    uint64_t key = ((uint64_t) (uintptr_t) m->function.text << 20) ^ ((uint64_t) m->place.file << 48) ^
                   ((uint64_t) m->place.row << 12) ^ m->place.col;

    for (uint32_t i = 0; i < e->n_seen; i++)
        if (e->seen[i] == key)
            return true;
    if (e->n_seen == EXPLAIN_SEEN_MAX)
        return true;
    e->seen[e->n_seen++] = key;
    return false;
}

static struct bytes source_of(const struct explanation *e, const struct eval_moment *m)
{
    for (uint32_t i = 0; i < e->n_modules; i++)
        if (value_is_named(m->file, e->modules[i].path))
            return e->modules[i].text;
    return bytes_of_text(e->query);
}

static struct bytes line_of(struct bytes text, uint32_t row)
{
    const uint8_t *at  = text.at;
    const uint8_t *end = text.at + text.len;

    for (uint32_t i = 1; i < row && at < end; i++) {
        const uint8_t *newline = memchr(at, '\n', (size_t) (end - at));

        at = newline ? newline + 1 : end;
    }
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    const uint8_t *stop = at < end ? memchr(at, '\n', (size_t) (end - at)) : NULL;
    stop                = stop ? stop : end;
    while (stop > at && (stop[-1] == '\r' || stop[-1] == ' '))
        stop--;
    return (struct bytes){ at, (size_t) (stop - at) };
}

static void put_value(FILE *to, const char *what, struct value v)
{
    AUTO(arena) struct arena memory = arena_of(EXPLAIN_MEMORY);
    struct text_out          out    = text_out_new(&memory, EXPLAIN_MEMORY / 4);
    struct value             text   = value_undefined();

    if (!value_is_defined(v)) {
        (void) fprintf(to, "%s undefined", what);
        return;
    }
    if (value_is_composite(v) && v.in->open)
        return; /* still being built */
    rego_write(&out, v, true);
    if (!text_take(&out, &text))
        text = value_of_text("(long)");
    (void) fprintf(to, "%s %.*s%s", what, text.len > VALUE_SHOWN_MAX ? VALUE_SHOWN_MAX : (int) text.len, text.text,
                   text.len > VALUE_SHOWN_MAX ? "..." : "");
}

static void put_operands(FILE *to, const struct eval_moment *m)
{
    if (m->op == PLAN_EQUAL) {
        put_value(to, ":", m->a);
        put_value(to, " is not", m->b);
    } else if (m->op == PLAN_DOT || m->op == PLAN_DOT_BASE) {
        put_value(to, ": no", m->b);
        put_value(to, " in", m->a);
    } else if (m->op == PLAN_NOT_EQUAL) {
        put_value(to, ":", m->a);
    } else if (m->op == PLAN_NOT) {
        (void) fputs(": what is negated holds", to);
    } else if (m->op == PLAN_CALL || m->op == PLAN_CALL_DYNAMIC) {
        (void) fputs(": the call is undefined", to);
    } else {
        (void) fputs(": nothing to iterate", to);
    }
}

void explanation_trace(void *user, const struct eval_moment *m)
{
    struct explanation *e = user;

    if (m->event != EVAL_UNDEFINED || !is_told(m->op) || m->place.row == 0 || m->depth > EXPLAIN_DEPTH_MAX ||
        told_before(e, m))
        return;
    struct bytes line = line_of(source_of(e, m), m->place.row);
    (void) fprintf(e->to, "%.*s:%u: %.*s: `%.*s`", value_is(m->file, VALUE_STRING) ? (int) m->file.len : 0,
                   value_is(m->file, VALUE_STRING) ? m->file.text : "", m->place.row, (int) m->function.len,
                   m->function.text, (int) line.len, (const char *) line.at);
    put_operands(e->to, m);
    (void) fputc('\n', e->to);
}
