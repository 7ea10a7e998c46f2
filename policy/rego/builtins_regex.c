#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"
#include "policy/rego/glob.h"
#include "policy/rego/regex.h"
#include "policy/rego/utf8.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_REGEX(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

/* Patterns made during an evaluation are compiled once each, up to a number. */
enum { CACHE_CHAINS = 64, CACHE_ENTRIES = 256, WORK_PER_STEP = 3 };

struct cached_regex {
    struct cached_regex *next;
    struct value         pattern;
    const struct regex  *re;
};

static bool compile_new(struct call *c, struct value pattern, const struct regex **out)
{
    struct err err;

    if (!charge(c, 1 + pattern.len / 4))
        return false;
    if (regex_compile(c->arena, (struct bytes){ (const uint8_t *) pattern.text, pattern.len }, out, &err))
        return true;
    if (err.kind == ERR_LIMIT) {
        arena_refuse(c->arena, "size of a regular expression");
        return false;
    }
    return builtin_error(c, "%s", err.text);
}

static bool compile(struct call *c, struct value pattern, const struct regex **out)
{
    struct evaluation    *e = c->evaluation;
    struct cached_regex **chain;

    if (!e->regexes)
        e->regexes = arena_zeroed(c->arena, CACHE_CHAINS * sizeof *e->regexes);
    if (!e->regexes)
        return false;
    chain = &e->regexes[value_hash(pattern) % CACHE_CHAINS];
    for (struct cached_regex *r = *chain; r; r = r->next) {
        if (value_equal(r->pattern, pattern)) {
            *out = r->re;
            return true;
        }
    }
    if (!compile_new(c, pattern, out))
        return false;
    if (e->n_regexes >= CACHE_ENTRIES)
        return true;

    struct cached_regex *r = arena_take(c->arena, sizeof *r);
    if (!r)
        return false;
    *r     = (struct cached_regex){ *chain, pattern, *out };
    *chain = r;
    e->n_regexes++;
    return true;
}

/* A search whose work is charged. */
struct finder {
    struct call        *call;
    const struct regex *re;
    struct value        text;
    uint32_t            n_groups;
    size_t             *slots;
};

static bool find_at(struct finder *f, size_t from, bool *found)
{
    uint64_t           budget = f->call->evaluation->steps_left * WORK_PER_STEP;
    struct regex_input in     = { f->call->arena, { (const uint8_t *) f->text.text, f->text.len }, budget };

    if (!regex_search(f->re, &in, from, f->n_groups, f->slots, found))
        return false;
    return charge(f->call, (budget - in.budget) / WORK_PER_STEP);
}

static bool finder_open(struct call *c, struct value pattern, struct value text, uint32_t n_groups, struct finder *out)
{
    *out = (struct finder){ .call = c, .text = text };
    if (!compile(c, pattern, &out->re))
        return false;
    out->n_groups = n_groups < regex_groups(out->re) ? n_groups : regex_groups(out->re);
    out->slots    = arena_take(c->arena, 2 * out->n_groups * sizeof *out->slots);
    return out->slots != NULL;
}

static bool want_two(struct call *c, const struct value *args)
{
    return want(c, args, 0, VALUE_STRING) && want(c, args, 1, VALUE_STRING);
}

bool builtin_regex_match(struct call *c, const struct value *args, struct value *out)
{
    struct finder f;
    bool          found;

    return want_two(c, args) && finder_open(c, args[0], args[1], 0, &f) && find_at(&f, 0, &found) && give(out, value_bool(found));
}

bool builtin_regex_is_valid(struct call *c, const struct value *args, struct value *out)
{
    const struct regex *re;
    bool                is_valid;

    if (args[0].type != VALUE_STRING)
        return give(out, value_bool(false));
    is_valid = compile(c, args[0], &re);
    if (!is_valid && c->fault->code != EVAL_BUILTIN_ERROR)
        return false; /* a limit is no answer */
    if (!is_valid)
        *c->fault = (struct eval_fault){ 0 };
    return give(out, value_bool(is_valid));
}

static size_t width_at(struct value text, size_t i)
{
    uint32_t rune;

    return i < text.len ? utf8_step(text.text + i, text.len - i, &rune) : 1;
}

/* The next match as Go's FindAll delivers them: an empty one right behind the last is passed over. */
struct all_matches {
    size_t at;
    size_t last_end; /* REGEX_NONE before the first */
};

static bool next_match(struct finder *f, struct all_matches *all, bool *found)
{
    while (all->at <= f->text.len) {
        if (!find_at(f, all->at, found))
            return false;
        if (!*found)
            return true;

        bool is_empty = f->slots[1] == all->at, accepted = !(is_empty && f->slots[0] == all->last_end);
        all->at       = is_empty ? all->at + width_at(f->text, all->at) : f->slots[1];
        all->last_end = f->slots[1];
        if (accepted)
            return true;
    }
    *found = false;
    return true;
}

static struct value group(const struct finder *f, uint32_t i)
{
    size_t from = f->slots[2 * i], to = f->slots[2 * i + 1];

    return from == REGEX_NONE || to == REGEX_NONE ? value_text("", 0) : value_text(f->text.text + from, to - from);
}

static bool find_all(struct call *c, const struct value *args, bool with_groups, struct value *out)
{
    struct all_matches all = { 0, REGEX_NONE };
    struct finder      f;
    int64_t            most;
    bool               found;

    if (!want_two(c, args) || !want_int(c, args, 2, &most) || !finder_open(c, args[0], args[1], with_groups ? UINT32_MAX : 1, &f) ||
        !give_new(c, VALUE_ARRAY, 0, out))
        return false;
    for (; most != 0; most--) {
        struct value one;

        if (!next_match(&f, &all, &found))
            return false;
        if (!found)
            break;
        one = group(&f, 0);
        if (with_groups) {
            one = value_new(c->arena, VALUE_ARRAY, f.n_groups);
            if (!value_is_defined(one))
                return false;
            for (uint32_t i = 0; i < f.n_groups; i++)
                if (!array_append(c->arena, one, group(&f, i)))
                    return false;
            if (!value_close(c->arena, one))
                return false;
        }
        if (!array_append(c->arena, *out, one))
            return false;
    }
    return true;
}

bool builtin_regex_find_n(struct call *c, const struct value *args, struct value *out)
{
    return find_all(c, args, false, out);
}

bool builtin_regex_find_groups_n(struct call *c, const struct value *args, struct value *out)
{
    return find_all(c, args, true, out);
}

static bool is_name_char(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';
}

/* The group that $name or ${name} at `i` (behind the $) means; n_groups: none. False: plain text. */
static bool read_reference(const struct finder *f, struct value with, size_t *i, uint32_t *out)
{
    bool         braced = *i < with.len && with.text[*i] == '{';
    size_t       from = *i + braced, to = from;
    uint32_t     number = 0;
    struct bytes name;

    while (to < with.len && is_name_char(with.text[to]))
        to++;
    if (to == from || (braced && (to >= with.len || with.text[to] != '}')))
        return false;
    name = (struct bytes){ (const uint8_t *) with.text + from, to - from };
    *i   = to + braced;
    for (size_t k = from; k < to; k++) {
        if (with.text[k] < '0' || with.text[k] > '9' || number > 1000 || (with.text[from] == '0' && to - from > 1)) {
            *out = regex_group_named(f->re, name);
            return true;
        }
        number = number * 10 + (uint32_t) (with.text[k] - '0');
    }
    *out = number;
    return true;
}

static void put_replacement(const struct finder *f, struct value with, struct text_out *t)
{
    for (size_t i = 0; i < with.len && !t->failed;) {
        uint32_t number;

        if (with.text[i] != '$') {
            text_put_char(t, with.text[i++]);
            continue;
        }
        i++;
        if (i < with.len && with.text[i] == '$') {
            text_put_char(t, '$');
            i++;
        } else if (!read_reference(f, with, &i, &number)) {
            text_put_char(t, '$');
        } else if (number < f->n_groups) {
            text_put(t, group(f, number).text, group(f, number).len);
        }
    }
}

bool builtin_regex_replace(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);
    struct finder   f;
    size_t          last = 0, at = 0;
    bool            found;

    if (!want_two(c, args) || !want(c, args, 2, VALUE_STRING) || !finder_open(c, args[1], args[0], UINT32_MAX, &f))
        return false;
    while (at <= args[0].len) {
        if (!find_at(&f, at, &found))
            return false;
        if (!found)
            break;
        text_put(&t, args[0].text + last, f.slots[0] - last);
        if (f.slots[1] > last || f.slots[0] == 0)
            put_replacement(&f, args[2], &t);
        last = f.slots[1];
        at   = at + width_at(args[0], at) > last ? at + width_at(args[0], at) : last;
        if (!charge_bytes(c, 64 + args[2].len))
            return false;
    }
    text_put(&t, args[0].text + last, args[0].len - last);
    return charge_bytes(c, t.len) && text_take(&t, out);
}

bool builtin_regex_split(struct call *c, const struct value *args, struct value *out)
{
    struct all_matches all = { 0, REGEX_NONE };
    struct finder      f;
    size_t             from = 0, end = 0;
    bool               found;

    if (!want_two(c, args) || !finder_open(c, args[0], args[1], 1, &f) || !give_new(c, VALUE_ARRAY, 0, out))
        return false;
    if (args[0].len > 0 && args[1].len == 0)
        return array_append(c->arena, *out, args[1]);
    for (;;) {
        if (!next_match(&f, &all, &found))
            return false;
        if (!found)
            break;
        end = f.slots[0];
        if (f.slots[1] != 0 && !array_append(c->arena, *out, value_text(args[1].text + from, end - from)))
            return false;
        from = f.slots[1];
    }
    return end == args[1].len || array_append(c->arena, *out, value_text(args[1].text + from, args[1].len - from));
}

static void put_quoted(struct text_out *t, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] && strchr("\\.+*?()|[]{}^$", at[i]))
            text_put_char(t, '\\');
        text_put_char(t, at[i]);
    }
}

/* Text between the delimiters is a pattern, all else stands for itself. Delimiters nest. */
static bool put_template(struct call *c, const struct value *args, struct text_out *t)
{
    struct value template = args[0];
    char         open = args[2].text[0], close = args[3].text[0];
    size_t       from = 0, inner = 0, depth = 0;

    text_put_char(t, '^');
    for (size_t i = 0; i < template.len; i++) {
        if (template.text[i] == open && depth++ == 0) {
            put_quoted(t, template.text + from, i - from);
            inner = i + 1;
        } else if (template.text[i] == close) {
            if (depth == 0)
                return builtin_error(c, "unbalanced braces in template");
            if (--depth > 0)
                continue;
            text_put_char(t, '(');
            text_put(t, template.text + inner, i - inner);
            text_put_char(t, ')');
            from = i + 1;
        }
    }
    if (depth > 0)
        return builtin_error(c, "unbalanced braces in template");
    put_quoted(t, template.text + from, template.len - from);
    text_put_char(t, '$');
    return true;
}

bool builtin_regex_template_match(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);
    struct value    pattern;
    struct finder   f;
    bool            found;

    if (!want_two(c, args) || !want(c, args, 2, VALUE_STRING) || !want(c, args, 3, VALUE_STRING))
        return false;
    if (args[2].len != 1)
        return type_error(c, "operand 3 must be a single character");
    if (args[3].len != 1)
        return type_error(c, "operand 4 must be a single character");
    return charge_bytes(c, args[0].len) && put_template(c, args, &t) && text_take(&t, &pattern) &&
           finder_open(c, pattern, args[1], 0, &f) && find_at(&f, 0, &found) && give(out, value_bool(found));
}

/* Null: no delimiter; an empty list: a dot. */
static bool read_delimiters(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    *out = value_text("", 0);
    if (args[1].type == VALUE_NULL)
        return true;
    if (!want(c, args, 1, VALUE_ARRAY))
        return false;
    for (uint32_t i = 0; i < args[1].in->n; i++) {
        struct value d = array_at(args[1], i);

        if (d.type != VALUE_STRING || utf8_count(d.text, d.len) != 1)
            return type_error(c, "operand 2 must be array of single-character strings");
        text_put(&t, d.text, d.len);
    }
    if (args[1].in->n == 0)
        text_put_char(&t, '.');
    return text_take(&t, out);
}

bool builtin_glob_match(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);
    struct value    delimiters, pattern;
    struct finder   f;
    struct err      err;
    bool            found;

    if (!want(c, args, 0, VALUE_STRING) || !read_delimiters(c, args, &delimiters) || !want(c, args, 2, VALUE_STRING) ||
        !charge_bytes(c, args[0].len))
        return false;
    if (!glob_write_regex((struct bytes){ (const uint8_t *) args[0].text, args[0].len },
                          (struct bytes){ (const uint8_t *) delimiters.text, delimiters.len }, &t, &err)) {
        if (err.kind == ERR_LIMIT) {
            arena_refuse(c->arena, "nesting of a glob");
            return false;
        }
        return builtin_error(c, "%s", err.text);
    }
    return text_take(&t, &pattern) && finder_open(c, pattern, args[2], 0, &f) && find_at(&f, 0, &found) &&
           give(out, value_bool(found));
}

bool builtin_glob_quote_meta(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    if (!want(c, args, 0, VALUE_STRING) || !charge_bytes(c, args[0].len))
        return false;
    for (uint32_t i = 0; i < args[0].len; i++) {
        if (args[0].text[i] && strchr("*?\\[]{}", args[0].text[i]))
            text_put_char(&t, '\\');
        text_put_char(&t, args[0].text[i]);
    }
    return text_take(&t, out);
}
