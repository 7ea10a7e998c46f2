#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_ENCODINGS(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char FOR_URLS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool want_text(struct call *c, const struct value *args, unsigned i)
{
    return want(c, args, i, VALUE_STRING) && charge_bytes(c, args[i].len);
}

static bool encode64(struct call *c, const struct value *args, const char *digits, bool pads, struct value *out)
{
    struct text_out t = text_for(c);

    if (!want_text(c, args, 0))
        return false;
    for (size_t i = 0; i < args[0].len && !t.failed; i += 3) {
        size_t   n = args[0].len - i < 3 ? args[0].len - i : 3;
        uint32_t v = 0;
        char     group[4];

        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (k < n ? (uint8_t) args[0].text[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            group[k] = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
        text_put(&t, group, pads ? 4 : n + 1);
    }
    return text_take(&t, out);
}

/* Go's decoder: line ends are skipped, padding is wanted when `pads`; `bad` is where it went wrong. */
static bool decode64(struct call *c, struct value text, const char *digits, bool pads, struct value *out, size_t *bad)
{
    struct text_out t = text_for(c);
    uint32_t        v = 0, n = 0;
    size_t          i;

    *bad = SIZE_MAX;
    for (i = 0; i < text.len && text.text[i] != '='; i++) {
        const char *digit = text.text[i] ? strchr(digits, text.text[i]) : NULL;

        if (text.text[i] == '\n' || text.text[i] == '\r')
            continue;
        if (!digit) {
            *bad = i;
            return false;
        }
        v = v << 6 | (uint32_t) (digit - digits);
        if (++n % 4 == 0)
            text_put(&t, (char[]){ (char) (v >> 16), (char) (v >> 8), (char) v }, 3);
    }

    uint32_t rest = n % 4, n_pads = 0;
    for (; i < text.len && (text.text[i] == '=' || text.text[i] == '\n' || text.text[i] == '\r'); i++)
        n_pads += text.text[i] == '=';
    if (i < text.len || rest == 1 || n_pads != (pads && rest ? 4 - rest : 0)) {
        *bad = i == text.len && n_pads == 0 ? i - rest : i; /* Go names the start of what is cut off */
        return false;
    }
    if (rest >= 2)
        text_put_char(&t, (char) (v >> (rest == 2 ? 4 : 10)));
    if (rest == 3)
        text_put_char(&t, (char) (v >> 2));
    return text_take(&t, out);
}

bool builtin_base64_encode(struct call *c, const struct value *args, struct value *out)
{
    return encode64(c, args, STANDARD, true, out);
}

bool builtin_base64url_encode(struct call *c, const struct value *args, struct value *out)
{
    return encode64(c, args, FOR_URLS, true, out);
}

bool builtin_base64url_encode_no_pad(struct call *c, const struct value *args, struct value *out)
{
    return encode64(c, args, FOR_URLS, false, out);
}

static bool illegal_base64(struct call *c, size_t bad)
{
    return bad != SIZE_MAX && builtin_error(c, "illegal base64 data at input byte %zu", bad);
}

bool builtin_base64_decode(struct call *c, const struct value *args, struct value *out)
{
    size_t bad;

    return want_text(c, args, 0) && (decode64(c, args[0], STANDARD, true, out, &bad) || illegal_base64(c, bad));
}

bool builtin_base64url_decode(struct call *c, const struct value *args, struct value *out)
{
    size_t bad;
    bool   pads;

    if (!want_text(c, args, 0))
        return false;
    pads = args[0].len > 0 && memchr(args[0].text, '=', args[0].len);
    return decode64(c, args[0], FOR_URLS, pads, out, &bad) || illegal_base64(c, bad);
}

bool builtin_base64_is_valid(struct call *c, const struct value *args, struct value *out)
{
    size_t       bad;
    struct value decoded;

    if (!want_text(c, args, 0))
        return false;
    if (decode64(c, args[0], STANDARD, true, &decoded, &bad))
        return give(out, value_bool(true));
    return bad != SIZE_MAX && give(out, value_bool(false));
}

bool builtin_hex_encode(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    if (!want_text(c, args, 0))
        return false;
    for (size_t i = 0; i < args[0].len && !t.failed; i++) {
        uint8_t b = (uint8_t) args[0].text[i];

        text_put(&t, (char[]){ "0123456789abcdef"[b >> 4], "0123456789abcdef"[b & 15] }, 2);
    }
    return text_take(&t, out);
}

static int hex_digit(char ch)
{
    return ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

bool builtin_hex_decode(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    if (!want_text(c, args, 0))
        return false;
    for (size_t i = 0; i < args[0].len; i++) {
        uint8_t b = (uint8_t) args[0].text[i];

        if (hex_digit((char) b) < 0)
            return b >= 0x20 && b < 0x7f ? builtin_error(c, "encoding/hex: invalid byte: U+%04X '%c'", b, b)
                                         : builtin_error(c, "encoding/hex: invalid byte: U+%04X", b);
        if (i % 2 == 1)
            text_put_char(&t, (char) (hex_digit(args[0].text[i - 1]) << 4 | hex_digit((char) b)));
    }
    if (args[0].len % 2 == 1)
        return builtin_error(c, "encoding/hex: odd length hex string");
    return text_take(&t, out);
}

bool builtin_json_marshal(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    if (!charge(c, value_nodes(args[0]) / 4))
        return false;
    json_text_write(&t, args[0], &(struct json_style){ .for_html = true });
    return charge_bytes(c, t.len) && text_take(&t, out);
}

static const char *option_text(struct call *c, struct value v)
{
    char *text = arena_text(c->arena, (size_t) v.len + 1);

    if (!text)
        return NULL;
    memcpy(text, v.text, v.len);
    text[v.len] = '\0';
    return text;
}

static bool read_style(struct call *c, struct value options, struct json_style *style)
{
    bool is_set = false;

    for (uint32_t i = 0; i < options.in->n; i++) {
        struct value key = object_key(options, i), v = object_value(options, i);
        bool         is_indent = value_is_named(key, "indent");

        if (value_is_named(key, "pretty")) {
            if (v.type != VALUE_BOOLEAN)
                return type_error(c, "operand 2 key 'pretty' failed cast to bool");
            style->pretty = v.truth;
            is_set        = true;
        } else if (is_indent || value_is_named(key, "prefix")) {
            if (v.type != VALUE_STRING)
                return type_error(c, "operand 2 key '%s' failed cast to string", is_indent ? "indent" : "prefix");
            const char **to = is_indent ? &style->indent : &style->prefix;
            *to             = option_text(c, v);
            if (!*to)
                return false;
            if (!is_set)
                style->pretty = true;
        } else {
            return key.type == VALUE_STRING
                       ? type_error(c, "operand 2 object contained unknown key \"%.*s\"", (int) key.len, key.text)
                       : type_error(c, "operand 2 object contained a key that is no string");
        }
    }
    if (is_set)
        style->pretty = object_get_text(options, "pretty").truth;
    return true;
}

bool builtin_json_marshal_with_options(struct call *c, const struct value *args, struct value *out)
{
    struct json_style style = { .for_html = true, .indent = "\t" };
    struct text_out   t     = text_for(c);

    if (!want(c, args, 1, VALUE_OBJECT) || !read_style(c, args[1], &style) || !charge(c, value_nodes(args[0]) / 4))
        return false;
    if (style.pretty && style.prefix)
        text_put(&t, style.prefix, strlen(style.prefix));
    json_text_write(&t, args[0], &style);
    return charge_bytes(c, t.len) && text_take(&t, out);
}

/* A limit inside is a limit of the evaluation, never "not valid". */
static bool read_json(struct call *c, struct value text, struct value *out, struct err *err)
{
    if (json_text_read(c->arena, (struct bytes){ (const uint8_t *) text.text, text.len }, out, err))
        return true;
    if (err->kind == ERR_LIMIT)
        arena_refuse(c->arena, "size or nesting of JSON");
    return false;
}

bool builtin_json_unmarshal(struct call *c, const struct value *args, struct value *out)
{
    struct err err;

    if (!want(c, args, 0, VALUE_STRING) || !charge(c, args[0].len / 8))
        return false;
    return read_json(c, args[0], out, &err) || (!c->arena->failed && builtin_error(c, "%s", err.text));
}

bool builtin_json_is_valid(struct call *c, const struct value *args, struct value *out)
{
    struct value v;
    struct err   err;

    if (args[0].type != VALUE_STRING)
        return give(out, value_bool(false));
    if (!charge(c, args[0].len / 8))
        return false;
    bool is_valid = read_json(c, args[0], &v, &err);
    return !c->arena->failed && give(out, value_bool(is_valid));
}

static bool is_plain(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' ||
           ch == '.' || ch == '~';
}

static void put_query(struct text_out *t, struct value text)
{
    for (size_t i = 0; i < text.len && !t->failed; i++) {
        uint8_t b = (uint8_t) text.text[i];

        if (is_plain((char) b))
            text_put_char(t, (char) b);
        else if (b == ' ')
            text_put_char(t, '+');
        else
            text_put(t, (char[]){ '%', "0123456789ABCDEF"[b >> 4], "0123456789ABCDEF"[b & 15] }, 3);
    }
}

bool builtin_urlquery_encode(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    if (!want_text(c, args, 0))
        return false;
    put_query(&t, args[0]);
    return text_take(&t, out);
}

static bool put_pair(struct call *c, struct text_out *t, struct value key, struct value v)
{
    if (v.type != VALUE_STRING)
        return type_error(c, "operand 1 must be object with string, array or set of string values");
    if (t->len > 0)
        text_put_char(t, '&');
    put_query(t, key);
    text_put_char(t, '=');
    put_query(t, v);
    return charge_bytes(c, (size_t) key.len + v.len);
}

bool builtin_urlquery_encode_object(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    if (!want(c, args, 0, VALUE_OBJECT) || !charge(c, args[0].in->n))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++) {
        struct value key = object_key(args[0], i), v = object_value(args[0], i);

        if (key.type != VALUE_STRING)
            return type_error(c, "operand 1 must be object with string keys");
        if (v.type != VALUE_ARRAY && v.type != VALUE_SET) {
            if (!put_pair(c, &t, key, v))
                return false;
            continue;
        }
        for (uint32_t k = 0; k < v.in->n; k++)
            if (!put_pair(c, &t, key, array_at(v, k)))
                return false;
    }
    return text_take(&t, out);
}

static bool decode_query(struct call *c, const char *at, size_t len, struct value *out)
{
    struct text_out t = text_for(c);

    for (size_t i = 0; i < len; i++) {
        if (at[i] != '%') {
            text_put_char(&t, at[i] == '+' ? ' ' : at[i]);
            continue;
        }
        if (len - i < 3 || hex_digit(at[i + 1]) < 0 || hex_digit(at[i + 2]) < 0)
            return builtin_error(c, "invalid URL escape \"%.*s\"", (int) (len - i < 3 ? len - i : 3), at + i);
        text_put_char(&t, (char) (hex_digit(at[i + 1]) << 4 | hex_digit(at[i + 2])));
        i += 2;
    }
    return text_take(&t, out);
}

bool builtin_urlquery_decode(struct call *c, const struct value *args, struct value *out)
{
    return want_text(c, args, 0) && decode_query(c, args[0].text, args[0].len, out);
}

static bool add_pair(struct call *c, struct value to, const char *at, size_t len)
{
    const char  *equals = memchr(at, '=', len);
    size_t       n      = equals ? (size_t) (equals - at) : len;
    struct value key, v, list;

    if (memchr(at, ';', len))
        return builtin_error(c, "invalid semicolon separator in query");
    if (!decode_query(c, at, n, &key) || !decode_query(c, equals ? equals + 1 : at + len, equals ? len - n - 1 : 0, &v))
        return false;
    list = value_get(to, key);
    if (!value_is_defined(list)) {
        list = value_new(c->arena, VALUE_ARRAY, 0);
        if (!value_is_defined(list) || !object_put(c->arena, to, key, list))
            return false;
    }
    return array_append(c->arena, list, v);
}

bool builtin_urlquery_decode_object(struct call *c, const struct value *args, struct value *out)
{
    if (!want_text(c, args, 0) || !give_new(c, VALUE_OBJECT, 0, out))
        return false;
    for (size_t from = 0; from < args[0].len;) {
        const char *amp = memchr(args[0].text + from, '&', args[0].len - from);
        size_t      to  = amp ? (size_t) (amp - args[0].text) : args[0].len;

        if (to > from && (!charge(c, 1) || !add_pair(c, *out, args[0].text + from, to - from)))
            return false;
        from = to + 1;
    }
    return true;
}
