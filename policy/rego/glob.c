#include "policy/rego/glob.h"

#include <stdio.h>
#include <string.h>

#include "policy/rego/utf8.h"

struct glob {
    const char      *at;
    size_t           len;
    size_t           i;
    unsigned         depth;
    struct bytes     delimiters;
    struct text_out *out;
    struct err      *err;
};

enum { GLOB_DEPTH_MAX = 100 };

static void put_text(struct glob *g, const char *text)
{
    text_put(g->out, text, strlen(text));
}

static void put_rune(struct glob *g, uint32_t rune)
{
    char escaped[16];

    text_put(g->out, escaped, (size_t) snprintf(escaped, sizeof escaped, "\\x{%x}", rune));
}

static uint32_t next_rune(struct glob *g)
{
    uint32_t rune;

    g->i += utf8_step(g->at + g->i, g->len - g->i, &rune);
    return rune;
}

static void put_other_than_delimiters(struct glob *g)
{
    uint32_t rune;

    if (g->delimiters.len == 0) {
        put_text(g, ".");
        return;
    }
    put_text(g, "[^");
    for (size_t i = 0; i < g->delimiters.len;) {
        i += utf8_step((const char *) g->delimiters.at + i, g->delimiters.len - i, &rune);
        put_rune(g, rune);
    }
    put_text(g, "]");
}

/* [abc], [!a-z]; g->i is behind the bracket */
static bool put_class(struct glob *g)
{
    bool any = false;

    put_text(g, "[");
    if (g->i < g->len && (g->at[g->i] == '!' || g->at[g->i] == '^')) {
        put_text(g, "^");
        g->i++;
    }
    while (g->i < g->len && (g->at[g->i] != ']' || !any)) {
        if (g->at[g->i] == '-' && any && g->i + 1 < g->len && g->at[g->i + 1] != ']') {
            put_text(g, "-");
            g->i++;
        }
        if (g->i < g->len && g->at[g->i] == '\\' && g->i + 1 < g->len)
            g->i++;
        put_rune(g, next_rune(g));
        any = true;
    }
    if (g->i >= g->len)
        return fail_with(g->err, ERR_MALFORMED, "glob: [ without ]");
    g->i++;
    put_text(g, "]");
    return true;
}

static void put_stars(struct glob *g)
{
    bool super = false;

    for (; g->i < g->len && g->at[g->i] == '*'; g->i++)
        super = true;
    if (super)
        put_text(g, ".*");
    else {
        put_other_than_delimiters(g);
        put_text(g, "*");
    }
}

static bool put_one(struct glob *g)
{
    char c = g->at[g->i];

    switch (c) {
    case '*':
        g->i++;
        put_stars(g);
        return true;
    case '?':
        g->i++;
        put_other_than_delimiters(g);
        return true;
    case '[':
        g->i++;
        return put_class(g);
    case '{':
        if (++g->depth > GLOB_DEPTH_MAX)
            return fail_with(g->err, ERR_LIMIT, "glob: braces nested deeper than %d", GLOB_DEPTH_MAX);
        g->i++;
        put_text(g, "(?:");
        return true;
    case '}':
        if (g->depth == 0)
            break;
        g->depth--;
        g->i++;
        put_text(g, ")");
        return true;
    case ',':
        if (g->depth == 0)
            break;
        g->i++;
        put_text(g, "|");
        return true;
    case '\\':
        g->i += g->i + 1 < g->len;
        break;
    default:
        break;
    }
    put_rune(g, next_rune(g));
    return true;
}

FALLIBLE glob_write_regex(struct bytes pattern, struct bytes delimiters, struct text_out *out, struct err *err)
{
    struct glob g = { .at = (const char *) pattern.at, .len = pattern.len, .delimiters = delimiters, .out = out, .err = err };

    put_text(&g, "(?s)\\A(?:");
    while (g.i < g.len)
        if (!put_one(&g))
            return false;
    if (g.depth > 0)
        return fail_with(err, ERR_MALFORMED, "glob: { without }");
    put_text(&g, ")\\z");
    return true;
}
