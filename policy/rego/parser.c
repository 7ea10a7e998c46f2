#include "policy/rego/parser_state.h"

#include <string.h>

struct bookmark mark(const struct parser *p)
{
    return (struct bookmark){ p->lexer, p->tok, p->f->n_errors, p->depth };
}

void step_back(struct parser *p, const struct bookmark *b)
{
    p->lexer       = b->lexer;
    p->tok         = b->tok;
    p->f->n_errors = b->n_errors;
    p->depth       = b->depth;
}

void advance(struct parser *p)
{
    p->tok = lexer_next(p->f, &p->lexer);
}

bool enter(struct parser *p)
{
    if (++p->depth <= NESTING_MAX)
        return true;
    front_leave(p->f, "max parsing recursion depth exceeded");
}

void leave(struct parser *p)
{
    p->depth--;
}

static bool in_ref_position(const struct parser *p)
{
    if (p->lexer.pos >= p->lexer.len)
        return false;
    char next = p->lexer.text[p->lexer.pos];
    return next == '.' || next == '[';
}

bool at_ref_keyword(const struct parser *p)
{
    return p->tok.kind >= TOKEN_AS && in_ref_position(p);
}

bool at_keyword(const struct parser *p, enum token_kind kind)
{
    return p->tok.kind == kind && !in_ref_position(p);
}

void *unexpected(struct parser *p, const char *note)
{
    if (p->tok.kind == TOKEN_ILLEGAL)
        return NULL; /* the scanner has said it */
    if (p->f->n_errors > 0) {
        const struct rego_error *last = &p->f->errors[p->f->n_errors - 1];

        if (last->row > p->tok.at.row || (last->row == p->tok.at.row && last->col >= p->tok.at.col))
            return NULL; /* the cause was noted; this is a consequence */
    }

    const char *text = token_text(p->tok.kind);
    const char *kind = p->tok.kind >= TOKEN_AS ? "keyword" : "token";
    if (note)
        return front_error(p->f, p->tok.at, PARSE_ERROR, "unexpected %s %s: %s", text, kind, note);
    return front_error(p->f, p->tok.at, PARSE_ERROR, "unexpected %s %s", text, kind);
}

static struct parser parser_over(struct front *f, uint32_t file, enum rego_version version)
{
    struct parser p = { .f = f, .lexer = lexer_over(f->files[file].text, file), .v1 = version == REGO_V1 };

    p.lexer.keywords = p.v1 ? KEYWORDS_ALL : 0;
    return p;
}

/* A dotted path of names and ["strings"], as a ref; keywords are plain words in it. */
static struct term *parse_path(struct parser *p)
{
    if (p->tok.kind != TOKEN_IDENT && p->tok.kind < TOKEN_AS)
        return unexpected(p, NULL);
    struct term *t = parse_ref(p, parse_variable(p), false);
    if (!t)
        return NULL;
    if (t->kind == TERM_VAR) {
        struct term *ref = term_new(p->f, TERM_REF, t->at);

        LIST_ADD(p->f, &ref->items, t);
        return ref;
    }
    if (t->kind != TERM_REF)
        return front_error(p->f, t->at, PARSE_ERROR, "expected path");
    for (uint32_t i = 1; i < t->items.n; i++)
        if (t->items.at[i]->kind != TERM_STRING)
            return front_error(p->f, t->items.at[i]->at, PARSE_ERROR, "unexpected token in path: expecting string");
    return t;
}

static bool parse_package(struct parser *p)
{
    if (!at_keyword(p, TOKEN_PACKAGE))
        return front_error(p->f, p->tok.at, PARSE_ERROR, "package expected");
    advance(p);
    struct term *path = parse_path(p);
    if (!path)
        return false;

    struct term *package = term_new(p->f, TERM_REF, path->at);
    LIST_ADD(p->f, &package->items, term_var(p->f, name_text(p->f, "data"), path->at));
    LIST_ADD(p->f, &package->items, term_string(p->f, path->items.at[0]->text, path->items.at[0]->at));
    for (uint32_t i = 1; i < path->items.n; i++)
        LIST_ADD(p->f, &package->items, path->items.at[i]);
    p->module->package = package;
    return true;
}

static bool import_future(struct parser *p, const struct import *i)
{
    const struct term_list *path = &i->path->items;

    if (i->alias)
        return front_error(p->f, i->at, PARSE_ERROR, "`future` imports cannot be aliased");
    if (p->imported_v1)
        return front_error(p->f, i->at, PARSE_ERROR,
                           "the `rego.v1` import implies `future.keywords`, these are therefore mutually exclusive");
    if (path->n < 2 || path->n > 3 || !name_is(path->at[1]->text, "keywords"))
        return front_error(p->f, i->at, PARSE_ERROR, "invalid import, must be `future.keywords`");
    bool is_not = path->n == 3 && name_is(path->at[2]->text, "not");
    bool is_and = path->n == 3 && name_is(path->at[2]->text, "and") && p->experimental;
    bool is_or  = path->n == 3 && name_is(path->at[2]->text, "or") && p->experimental;
    if (is_not || is_and || is_or) {
        p->not_is_closure = p->not_is_closure || is_not;
        p->has_and        = p->has_and || is_and;
        p->has_or         = p->has_or || is_or;
        return true;
    }
    p->imported_future = true;
    if (path->n == 2) {
        p->lexer.keywords = KEYWORDS_ALL;
        return true;
    }
    for (unsigned k = TOKEN_CONTAINS; k <= TOKEN_IN; k++) {
        if (name_is(path->at[2]->text, token_text((enum token_kind) k))) {
            p->lexer.keywords |= KEYWORD_BIT(k) | (k == TOKEN_EVERY ? KEYWORD_BIT(TOKEN_IN) : 0);
            return true;
        }
    }
    return front_error(p->f, i->at, PARSE_ERROR, "unexpected keyword, must be one of [contains every if in]");
}

static bool import_rego(struct parser *p, const struct import *i)
{
    if (i->path->items.n != 2 || !name_is(i->path->items.at[1]->text, "v1"))
        return front_error(p->f, i->at, PARSE_ERROR, "invalid import `%s`, must be `rego.v1`",
                           ref_text(p->f, i->path, i->path->items.n));
    if (i->alias)
        return front_error(p->f, i->at, PARSE_ERROR, "`rego` imports cannot be aliased");
    if (p->imported_future && !p->v1)
        return front_error(p->f, i->at, PARSE_ERROR,
                           "the `rego.v1` import implies `future.keywords`, these are therefore mutually exclusive");
    if (!p->v1)
        p->imported_v1 = true;
    p->v1             = true;
    p->lexer.keywords = KEYWORDS_ALL;
    return true;
}

static bool parse_alias(struct parser *p, struct import *i)
{
    advance(p);
    if (p->tok.kind != TOKEN_IDENT)
        return unexpected(p, "expected var");
    struct bookmark back  = mark(p);
    struct term    *alias = parse_variable(p);
    if (term_is_var(alias, "input") || term_is_var(alias, "data")) {
        step_back(p, &back);
        return unexpected(p, "expected var");
    }
    i->alias = alias->text;
    return true;
}

static bool last_part_is_keyword(const struct parser *p, const struct name *n)
{
    for (unsigned k = TOKEN_AS; k < TOKEN_KINDS; k++)
        if (name_is(n, token_text((enum token_kind) k)))
            return k < TOKEN_CONTAINS || p->v1;
    return false;
}

static bool parse_import(struct parser *p)
{
    struct import i = { .at = p->tok.at };

    advance(p);
    i.path = parse_path(p);
    if (!i.path)
        return false;
    if (at_keyword(p, TOKEN_AS) && !parse_alias(p, &i))
        return false;

    const struct name *root = i.path->items.at[0]->text;
    i.at.end                = p->lexer.end;
    if (name_is(root, "future"))
        return import_future(p, &i);
    if (name_is(root, "rego"))
        return import_rego(p, &i);
    if (!name_is(root, "data") && !name_is(root, "input"))
        return front_error(p->f, i.path->at, PARSE_ERROR,
                           "unexpected import path, must begin with one of: {data, future, input, rego}, got: %s "
                           "(hint: if this is unexpected, try updating OPA)", root->text);
    i.name = i.alias ? i.alias : i.path->items.at[i.path->items.n - 1]->text;
    if (!i.alias && i.path->items.n > 1 && last_part_is_keyword(p, i.name))
        return front_error(p->f, i.path->items.at[i.path->items.n - 1]->at, PARSE_ERROR,
                           "unexpected import path, must not end with a keyword, got: %s", i.name->text);
    LIST_ADD(p->f, &p->module->imports, i);
    return true;
}

/* An imported keyword counts for the token that was already read. */
static void reread_token(struct parser *p, uint32_t keywords_before)
{
    if (p->lexer.keywords == keywords_before || p->tok.kind != TOKEN_IDENT)
        return;
    for (unsigned k = TOKEN_CONTAINS; k < TOKEN_KINDS; k++)
        if (lexer_is_keyword(&p->lexer, (enum token_kind) k) && strlen(token_text((enum token_kind) k)) == p->tok.len &&
            memcmp(token_text((enum token_kind) k), p->tok.text, p->tok.len) == 0)
            p->tok.kind = (enum token_kind) k;
}

struct module *parse_module(struct front *f, uint32_t file, enum rego_version version)
{
    struct parser p = parser_over(f, file, version);

    p.experimental = f->experimental;
    p.module       = front_take(f, sizeof *p.module);
    p.module->file = file;
    advance(&p);
    if (p.tok.kind == TOKEN_EOF)
        return front_error(f, p.tok.at, PARSE_ERROR, "empty module");
    if (p.tok.kind == TOKEN_ILLEGAL || !parse_package(&p))
        return NULL;
    while (p.tok.kind != TOKEN_EOF) {
        uint32_t keywords = p.lexer.keywords;

        if (p.tok.kind == TOKEN_SEMICOLON) {
            advance(&p);
            continue;
        }
        if (!(at_keyword(&p, TOKEN_IMPORT) ? parse_import(&p) : parse_rule(&p)))
            return NULL;
        reread_token(&p, keywords);
    }
    p.module->is_v1 = p.v1;
    return p.module;
}

body *parse_query(struct front *f, uint32_t file, enum rego_version version)
{
    struct parser p = parser_over(f, file, version);
    body         *b = front_take(f, sizeof *b);

    p.lexer.keywords = KEYWORDS_ALL;
    advance(&p);
    if (p.tok.kind == TOKEN_ILLEGAL || !parse_body(&p, TOKEN_EOF, b))
        return NULL;
    return b;
}

struct term *parse_one_term(struct front *f, uint32_t file)
{
    struct parser p = parser_over(f, file, REGO_V1);

    advance(&p);
    if (p.tok.kind == TOKEN_ILLEGAL)
        return NULL;
    struct term *t = parse_expression(&p, true);
    if (t && p.tok.kind != TOKEN_EOF)
        return unexpected(&p, "expected end of term");
    return t;
}
