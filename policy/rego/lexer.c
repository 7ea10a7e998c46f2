#include "policy/rego/lexer.h"

#include <string.h>

#define TOKEN_TEXT(name, text) [name] = text,
static const char *const texts[] = { TOKENS(TOKEN_TEXT) };
#undef TOKEN_TEXT

const char *token_text(enum token_kind kind)
{
    return texts[kind];
}

struct lexer lexer_over(struct bytes text, uint32_t file)
{
    struct lexer l = { .text = (const char *) text.at, .len = (uint32_t) text.len, .row = 1, .col = 1, .file = file };

    if (l.len >= 3 && memcmp(l.text, "\xef\xbb\xbf", 3) == 0)
        l.pos = 3;
    return l;
}

static int at(const struct lexer *l, uint32_t ahead)
{
    return ahead < l->len - l->pos ? (uint8_t) l->text[l->pos + ahead] : -1;
}

/* Moves over one byte; continuation bytes of UTF-8 do not count as columns. */
static void step(struct lexer *l)
{
    uint8_t c = (uint8_t) l->text[l->pos++];

    if (c == '\n') {
        l->row++;
        l->col = 1;
    } else if ((c & 0xc0) != 0x80) {
        l->col++;
    }
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static struct location place(const struct lexer *l)
{
    return (struct location){ .file = l->file, .row = l->row, .col = l->col, .offset = l->pos, .end = l->pos };
}

static void finish(struct lexer *l, struct token *t)
{
    t->at.end = l->pos;
    t->text   = l->text + t->at.offset;
    t->len    = l->pos - t->at.offset;
}

static void illegal(struct front *f, struct token *t, const char *why)
{
    t->kind = TOKEN_ILLEGAL;
    (void) front_error(f, t->at, PARSE_ERROR, "%s", why);
}

static void skip_space(struct lexer *l, struct token *t)
{
    for (;;) {
        int c = at(l, 0);

        if (c == '#') {
            while (at(l, 0) >= 0 && at(l, 0) != '\n')
                step(l);
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            t->newline_before = t->newline_before || c == '\n';
            step(l);
        } else {
            return;
        }
        t->space_before = true;
    }
}

/* Length of the well-formed UTF-8 sequence at `s`, 0 when it is none. */
static uint32_t utf8_length(const char *s, uint32_t left)
{
    const uint8_t *b = (const uint8_t *) s;
    uint32_t       n = b[0] < 0x80 ? 1 : b[0] >= 0xc2 && b[0] < 0xe0 ? 2 : b[0] >= 0xe0 && b[0] < 0xf0 ? 3
                     : b[0] >= 0xf0 && b[0] < 0xf5                   ? 4
                                                                     : 0;

    if (n == 0 || n > left)
        return 0;
    for (uint32_t i = 1; i < n; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] >= 0xa0) || (b[0] == 0xf0 && b[1] < 0x90) ||
        (b[0] == 0xf4 && b[1] >= 0x90))
        return 0;
    return n;
}

static bool step_rune(struct lexer *l)
{
    uint32_t n = utf8_length(l->text + l->pos, l->len - l->pos);

    for (uint32_t i = 0; i < n; i++)
        step(l);
    return n > 0;
}

static bool escape_is_good(const struct lexer *l, bool in_template)
{
    int c = at(l, 1);

    if (c == 'u')
        return is_hex(at(l, 2)) && is_hex(at(l, 3)) && is_hex(at(l, 4)) && is_hex(at(l, 5));
    return c > 0 && (strchr("\"\\/bfnrt", c) || (in_template && c == '{'));
}

/* Behind the opening quote; moves to behind the closing one. */
static void scan_string(struct front *f, struct lexer *l, struct token *t)
{
    t->kind = TOKEN_STRING;
    for (;;) {
        int c = at(l, 0);

        if (c < 0 || c == '\n') {
            illegal(f, t, "non-terminated string");
            return;
        }
        if (c == '"') {
            step(l);
            return;
        }
        if (c < 0x20) {
            illegal(f, t, "illegal string literal");
            return;
        }
        if (c == '\\') {
            if (!escape_is_good(l, false)) {
                illegal(f, t, "illegal escape sequence");
                return;
            }
            step(l);
            step(l);
        } else if (!step_rune(l)) {
            illegal(f, t, "illegal utf-8 character");
            return;
        }
    }
}

static void scan_raw_string(struct front *f, struct lexer *l, struct token *t)
{
    t->kind = TOKEN_RAW_STRING;
    while (at(l, 0) != '`') {
        if (at(l, 0) < 0) {
            illegal(f, t, "non-terminated string");
            return;
        }
        if (!step_rune(l)) {
            illegal(f, t, "illegal utf-8 character");
            return;
        }
    }
    step(l);
}

/* A piece of a template, up to and with the { or the closing quote. */
static void scan_template(struct front *f, struct lexer *l, struct token *t, bool raw)
{
    t->raw = raw;
    for (;;) {
        int c = at(l, 0);

        if (c < 0 || (!raw && c == '\n')) {
            illegal(f, t, "non-terminated string");
            return;
        }
        if (c == '{' || c == (raw ? '`' : '"')) {
            t->kind = c == '{' ? TOKEN_TEMPLATE_PART : TOKEN_TEMPLATE_END;
            step(l);
            return;
        }
        if (c == '\\' && raw) {
            step(l);
            if (at(l, 0) == '{')
                step(l);
        } else if (c == '\\') {
            if (!escape_is_good(l, true)) {
                illegal(f, t, "illegal escape sequence");
                return;
            }
            step(l);
            step(l);
        } else if ((c < 0x20 && !raw) || !step_rune(l)) {
            illegal(f, t, "illegal string literal");
            return;
        }
    }
}

static void scan_digits(struct lexer *l)
{
    while (is_digit(at(l, 0)))
        step(l);
}

/* JSON number syntax without the sign; leading zeros are refused by the parser, which words it. */
static void scan_number(struct front *f, struct lexer *l, struct token *t)
{
    t->kind = TOKEN_NUMBER;
    scan_digits(l);
    if (at(l, 0) == '.') {
        step(l);
        if (!is_digit(at(l, 0))) {
            illegal(f, t, "expected fraction");
            return;
        }
        scan_digits(l);
    }
    if (at(l, 0) == 'e' || at(l, 0) == 'E') {
        step(l);
        if (at(l, 0) == '+' || at(l, 0) == '-')
            step(l);
        if (!is_digit(at(l, 0))) {
            illegal(f, t, "expected exponent");
            return;
        }
        scan_digits(l);
    }
    if (is_letter(at(l, 0)))
        illegal(f, t, "illegal number format");
}

bool lexer_is_keyword(const struct lexer *l, enum token_kind kind)
{
    return kind >= TOKEN_AS && (kind < TOKEN_CONTAINS || (l->keywords & KEYWORD_BIT(kind)));
}

static void scan_word(struct lexer *l, struct token *t)
{
    t->kind = TOKEN_IDENT;
    while (is_letter(at(l, 0)) || is_digit(at(l, 0)))
        step(l);

    uint32_t len = l->pos - t->at.offset;
    for (unsigned k = TOKEN_AS; k < TOKEN_KINDS; k++)
        if (strlen(texts[k]) == len && memcmp(texts[k], l->text + t->at.offset, len) == 0 &&
            lexer_is_keyword(l, (enum token_kind) k))
            t->kind = (enum token_kind) k;
}

static enum token_kind symbol_pair(int a, int b)
{
    static const struct {
        char            text[3];
        enum token_kind kind;
    } pairs[] = {
        { "==", TOKEN_EQUAL }, { ":=", TOKEN_ASSIGN }, { "!=", TOKEN_NEQ }, { ">=", TOKEN_GTE }, { "<=", TOKEN_LTE },
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (pairs[i].text[0] == a && pairs[i].text[1] == b)
            return pairs[i].kind;
    return TOKEN_ILLEGAL;
}

static void scan_symbol(struct front *f, struct lexer *l, struct token *t)
{
    static const struct {
        char            text;
        enum token_kind kind;
    } singles[] = {
        { '[', TOKEN_LBRACKET }, { ']', TOKEN_RBRACKET }, { '{', TOKEN_LBRACE }, { '}', TOKEN_RBRACE },
        { '(', TOKEN_LPAREN },   { ')', TOKEN_RPAREN },   { ',', TOKEN_COMMA },  { ':', TOKEN_COLON },
        { '+', TOKEN_ADD },      { '-', TOKEN_SUB },      { '*', TOKEN_MUL },    { '/', TOKEN_QUO },
        { '%', TOKEN_REM },      { '&', TOKEN_AND },      { '|', TOKEN_OR },     { '=', TOKEN_UNIFY },
        { '>', TOKEN_GT },       { '<', TOKEN_LT },       { '.', TOKEN_DOT },    { ';', TOKEN_SEMICOLON },
    };

    t->kind = symbol_pair(at(l, 0), at(l, 1));
    if (t->kind != TOKEN_ILLEGAL) {
        step(l);
        step(l);
        return;
    }
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++)
        if (singles[i].text == at(l, 0))
            t->kind = singles[i].kind;
    if (t->kind == TOKEN_ILLEGAL) {
        illegal(f, t, "illegal token");
        if (!step_rune(l))
            step(l);
        return;
    }
    step(l);
}

static struct token started(struct front *f, struct lexer *l)
{
    struct token t = { 0 };

    if (++f->tokens > f->tokens_most)
        front_leave(f, "tokens");
    l->end = l->pos;
    return t;
}

struct token lexer_next(struct front *f, struct lexer *l)
{
    struct token t = started(f, l);

    skip_space(l, &t);
    t.at  = place(l);
    int c = at(l, 0);
    if (c < 0) {
        t.kind = TOKEN_EOF;
    } else if (is_letter(c)) {
        scan_word(l, &t);
    } else if (is_digit(c)) {
        scan_number(f, l, &t);
    } else if (c == '"') {
        step(l);
        scan_string(f, l, &t);
    } else if (c == '`') {
        step(l);
        scan_raw_string(f, l, &t);
    } else if (c == '$' && (at(l, 1) == '"' || at(l, 1) == '`')) {
        bool raw = at(l, 1) == '`';

        step(l);
        step(l);
        scan_template(f, l, &t, raw);
    } else {
        scan_symbol(f, l, &t);
    }
    finish(l, &t);
    return t;
}

struct token lexer_template(struct front *f, struct lexer *l, bool raw)
{
    struct token t = started(f, l);

    t.at = place(l);
    scan_template(f, l, &t, raw);
    finish(l, &t);
    return t;
}

static uint32_t hex4(const char *s)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        uint32_t c = (uint8_t) s[i];
        v          = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static size_t put_rune(char *to, uint32_t rune)
{
    if (rune < 0x80) {
        to[0] = (char) rune;
        return 1;
    }
    size_t n = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, rune >>= 6)
        to[i] = (char) (0x80 | (rune & 0x3f));
    to[0] = (char) ((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | rune);
    return n;
}

/* Reads \uXXXX at s, with its low surrogate when one follows; a lone surrogate becomes U+FFFD, as in Go. */
static uint32_t unicode_escape(const char **s, const char *end)
{
    uint32_t rune = hex4(*s + 2);

    *s += 6;
    if (rune < 0xd800 || rune > 0xdfff)
        return rune;
    if (rune < 0xdc00 && end - *s >= 6 && (*s)[0] == '\\' && (*s)[1] == 'u') {
        uint32_t low = hex4(*s + 2);

        if (low >= 0xdc00 && low <= 0xdfff) {
            *s += 6;
            return 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

static char plain_escape(char c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default:  return c;
    }
}

static bool escapes_apply(const struct token *t, const char *s, const char *end)
{
    if (*s != '\\' || s + 1 == end || t->kind == TOKEN_RAW_STRING)
        return false;
    return !t->raw || s[1] == '{';
}

struct name *token_string(struct front *f, const struct token *t)
{
    bool        opens = t->text[0] == '$';
    bool        piece = t->kind == TOKEN_TEMPLATE_PART || t->kind == TOKEN_TEMPLATE_END;
    const char *s     = t->text + (opens ? 2 : piece ? 0 : 1);
    const char *end   = t->text + t->len - 1;
    char       *to    = front_take(f, (size_t) (end - s) + 1);
    size_t      len   = 0;

    while (s < end) {
        if (!escapes_apply(t, s, end)) {
            to[len++] = *s++;
        } else if (s[1] == 'u') {
            len += put_rune(to + len, unicode_escape(&s, end));
        } else {
            to[len++] = plain_escape(s[1]);
            s += 2;
        }
    }
    return name_of(f, to, len);
}
