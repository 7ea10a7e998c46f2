#include <string.h>

#include "policy/rego/json.h"
#include "policy/rego/number.h"
#include "policy/rego/utf8.h"

struct parser {
    struct arena *arena;
    const char   *at;
    size_t        len;
    size_t        i;
    struct err   *err;
};

static bool wrong(const struct parser *p, const char *what)
{
    return fail_with(p->err, ERR_MALFORMED, "JSON at offset %zu: %s", p->i, what);
}

static bool out_of_memory(const struct parser *p)
{
    return fail_with(p->err, ERR_LIMIT, "JSON: limit: %s", p->arena->failed ? p->arena->failed : "memory");
}

static char peek(struct parser *p)
{
    while (p->i < p->len && (p->at[p->i] == ' ' || p->at[p->i] == '\t' || p->at[p->i] == '\n' || p->at[p->i] == '\r'))
        p->i++;
    return p->i < p->len ? p->at[p->i] : '\0';
}

static bool read_hex4(const struct parser *p, size_t from, uint32_t *out)
{
    uint32_t v = 0;

    if (p->len - from < 4)
        return false;
    for (size_t i = from; i < from + 4; i++) {
        char c = p->at[i];
        int  d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

        if (d < 0)
            return false;
        v = v << 4 | (uint32_t) d;
    }
    *out = v;
    return true;
}

/* `i` is behind the u; a pair of surrogates becomes one code point, a lone one U+FFFD, as in Go. */
static bool read_unicode_escape(struct parser *p, uint32_t *out)
{
    uint32_t low;

    if (!read_hex4(p, p->i, out))
        return wrong(p, "\\u wants four hex digits");
    p->i += 4;
    if (*out >= 0xd800 && *out < 0xdc00 && p->len - p->i >= 6 && p->at[p->i] == '\\' && p->at[p->i + 1] == 'u' &&
        read_hex4(p, p->i + 2, &low) && low >= 0xdc00 && low < 0xe000) {
        p->i += 6;
        *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
    }
    return true;
}

static bool read_escape(struct parser *p, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char              c      = p->i + 1 < p->len ? p->at[p->i + 1] : '\0';
    const char       *known  = c ? strchr(from, c) : NULL;
    uint32_t          rune;

    if (known) {
        *(*to)++ = into[known - from];
        p->i += 2;
        return true;
    }
    if (c != 'u')
        return wrong(p, "unknown escape");
    p->i += 2;
    if (!read_unicode_escape(p, &rune))
        return false;
    *to += utf8_write(rune, *to);
    return true;
}

/* Steps over text without escapes, up to a quote or a backslash. */
static bool skip_plain(struct parser *p)
{
    uint32_t rune;

    while (p->i < p->len && p->at[p->i] != '"' && p->at[p->i] != '\\') {
        uint8_t c = (uint8_t) p->at[p->i];
        size_t  n = c < 0x80 ? 1 : utf8_read(p->at + p->i, p->len - p->i, &rune);

        if (c < 0x20)
            return wrong(p, "control character in a string");
        if (n == 0)
            return wrong(p, "not UTF-8");
        p->i += n;
    }
    return p->i < p->len || wrong(p, "string without end");
}

static size_t length_to_quote(const struct parser *p)
{
    size_t i = p->i;

    while (i < p->len && p->at[i] != '"')
        i += p->at[i] == '\\' ? 2 : 1;
    return (i < p->len ? i : p->len) - p->i;
}

static bool read_escaped(struct parser *p, size_t start, struct value *out)
{
    size_t most = p->i - start + length_to_quote(p) + 4; /* unescaped text is never longer */
    char  *text = arena_text(p->arena, most), *to = text;

    if (!text)
        return out_of_memory(p);
    memcpy(to, p->at + start, p->i - start);
    to += p->i - start;
    while (p->at[p->i] == '\\') {
        if (!read_escape(p, &to))
            return false;
        size_t from = p->i;
        if (!skip_plain(p))
            return false;
        memcpy(to, p->at + from, p->i - from);
        to += p->i - from;
    }
    p->i++;
    *out = value_text(text, (size_t) (to - text));
    arena_shrink(p->arena, text, most, out->len);
    return true;
}

static bool read_string(struct parser *p, struct value *out)
{
    size_t start = ++p->i;

    if (!skip_plain(p))
        return false;
    if (p->i - start > VALUE_TEXT_MAX)
        return fail_with(p->err, ERR_LIMIT, "JSON: string of more than %d bytes", VALUE_TEXT_MAX);
    if (p->at[p->i] == '\\')
        return read_escaped(p, start, out);
    *out = value_text(p->at + start, p->i - start);
    p->i++;
    return true;
}

static bool read_number(struct parser *p, struct value *out)
{
    size_t start = p->i;

    while (p->i < p->len && p->at[p->i] != '\0' && strchr("+-.0123456789eE", p->at[p->i]))
        p->i++;
    if (number_read(p->at + start, p->i - start, out, p->err))
        return true;
    return contextf(p->err, "JSON at offset %zu", start);
}

static bool read_word(struct parser *p, const char *word, struct value v, struct value *out)
{
    size_t n = strlen(word);

    if (p->len - p->i < n || memcmp(p->at + p->i, word, n) != 0)
        return wrong(p, "unexpected character");
    p->i += n;
    *out = v;
    return true;
}

static bool read_any(struct parser *p, unsigned depth, struct value *out);

static bool read_array(struct parser *p, unsigned depth, struct value *out)
{
    struct value array = value_new(p->arena, VALUE_ARRAY, 0), element;

    if (!value_is_defined(array))
        return out_of_memory(p);
    p->i++;
    if (peek(p) == ']') {
        p->i++;
        *out = array;
        return value_close(p->arena, array) || out_of_memory(p);
    }
    for (;;) {
        if (!read_any(p, depth, &element))
            return false;
        if (!array_append(p->arena, array, element))
            return out_of_memory(p);
        char c = peek(p);
        p->i++;
        if (c == ']')
            break;
        if (c != ',') {
            p->i--;
            return wrong(p, "expected , or ]");
        }
    }
    *out = array;
    return value_close(p->arena, array) || out_of_memory(p);
}

static bool read_member(struct parser *p, unsigned depth, struct value object)
{
    struct value key, v;

    if (peek(p) != '"')
        return wrong(p, "expected a key");
    if (!read_string(p, &key))
        return false;
    if (peek(p) != ':')
        return wrong(p, "expected :");
    p->i++;
    if (!read_any(p, depth, &v))
        return false;
    return object_put(p->arena, object, key, v) || out_of_memory(p);
}

static bool read_object(struct parser *p, unsigned depth, struct value *out)
{
    struct value object = value_new(p->arena, VALUE_OBJECT, 0);

    if (!value_is_defined(object))
        return out_of_memory(p);
    p->i++;
    if (peek(p) == '}') {
        p->i++;
        *out = object;
        return value_close(p->arena, object) || out_of_memory(p);
    }
    for (;;) {
        if (!read_member(p, depth, object))
            return false;
        char c = peek(p);
        p->i++;
        if (c == '}')
            break;
        if (c != ',') {
            p->i--;
            return wrong(p, "expected , or }");
        }
    }
    *out = object;
    return value_close(p->arena, object) || out_of_memory(p);
}

static bool read_any(struct parser *p, unsigned depth, struct value *out)
{
    char c = peek(p);

    if (depth == 0)
        return fail_with(p->err, ERR_LIMIT, "JSON: nested deeper than %d", JSON_DEPTH_MAX);
    switch (c) {
    case '{':
        return read_object(p, depth - 1, out);
    case '[':
        return read_array(p, depth - 1, out);
    case '"':
        return read_string(p, out);
    case 't':
        return read_word(p, "true", value_bool(true), out);
    case 'f':
        return read_word(p, "false", value_bool(false), out);
    case 'n':
        return read_word(p, "null", value_null(), out);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return read_number(p, out);
        return wrong(p, p->i < p->len ? "unexpected character" : "unexpected end");
    }
}

FALLIBLE json_text_read(struct arena *a, struct bytes text, struct value *out, struct err *err)
{
    struct parser p = { .arena = a, .at = (const char *) text.at, .len = text.len, .err = err };
    struct value  v;

    if (!read_any(&p, JSON_DEPTH_MAX, &v))
        return false;
    (void) peek(&p); /* moves on over white space */
    if (p.i != p.len)
        return wrong(&p, "bytes behind the document");
    *out = v;
    return true;
}
