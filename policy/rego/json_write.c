#include <stdio.h>
#include <string.h>

#include "policy/rego/json.h"
#include "policy/rego/number.h"
#include "policy/rego/utf8.h"

struct text_out text_out_new(struct arena *a, size_t limit)
{
    return (struct text_out){ .arena = a, .limit = limit };
}

static bool make_room(struct text_out *t, size_t n)
{
    if (t->failed)
        return false;
    if (n <= t->room - t->len)
        return true;
    if (n > t->limit - t->len) {
        arena_refuse(t->arena, "bytes of one string");
        t->failed = true;
        return false;
    }

    size_t room = t->room ? t->room * 2 : 64;
    if (room < t->len + n)
        room = t->len + n;
    char *at = arena_text(t->arena, room);
    if (!at) {
        t->failed = true;
        return false;
    }
    if (t->len > 0)
        memcpy(at, t->at, t->len);
    t->at   = at;
    t->room = room;
    return true;
}

void text_put(struct text_out *t, const char *at, size_t len)
{
    if (len == 0 || !make_room(t, len))
        return;
    memcpy(t->at + t->len, at, len);
    t->len += len;
}

void text_put_char(struct text_out *t, char c)
{
    text_put(t, &c, 1);
}

void text_put_fill(struct text_out *t, char c, size_t n)
{
    if (n == 0 || !make_room(t, n))
        return;
    memset(t->at + t->len, c, n);
    t->len += n;
}

bool text_take(struct text_out *t, struct value *out)
{
    if (t->failed)
        return false;
    if (t->at)
        arena_shrink(t->arena, t->at, t->room, t->len);
    *out = value_text(t->at ? t->at : "", t->len);
    return true;
}

static void put_unicode_escape(struct text_out *t, uint32_t rune)
{
    char escape[8];
    int  n = snprintf(escape, sizeof escape, "\\u%04x", rune & 0xffff);

    text_put(t, escape, (size_t) n);
}

static void put_escaped(struct text_out *t, uint32_t rune)
{
    static const char from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
    const char       *known  = rune < 0x80 && rune > 0 ? strchr(from, (int) rune) : NULL;

    if (known) {
        text_put_char(t, '\\');
        text_put_char(t, into[known - from]);
    } else {
        put_unicode_escape(t, rune);
    }
}

static bool wants_escape(uint32_t rune, bool for_html)
{
    if (rune < 0x20 || rune == '"' || rune == '\\')
        return true;
    return for_html && (rune == '<' || rune == '>' || rune == '&' || rune == 0x2028 || rune == 0x2029);
}

static void put_string(struct text_out *t, const char *at, size_t len, bool for_html)
{
    size_t   plain = 0;
    uint32_t rune;

    text_put_char(t, '"');
    for (size_t i = 0, n; i < len; i += n) {
        rune = (uint8_t) at[i];
        n    = rune < 0x80 ? 1 : utf8_step(at + i, len - i, &rune);
        if (!wants_escape(rune, for_html) && !(rune == RUNE_BAD && n == 1))
            continue;
        text_put(t, at + plain, i - plain);
        put_escaped(t, rune);
        plain = i + n;
    }
    text_put(t, at + plain, len - plain);
    text_put_char(t, '"');
}

void json_write_string(struct text_out *t, struct bytes text, bool for_html)
{
    put_string(t, (const char *) text.at, text.len, for_html);
}

static void put_scalar(struct text_out *t, struct value v)
{
    char         spare[24];
    struct bytes n;

    if (v.type == VALUE_NUMBER) {
        n = number_text(v, spare);
        text_put(t, (const char *) n.at, n.len);
    } else if (v.type == VALUE_BOOLEAN) {
        text_put(t, v.truth ? "true" : "false", v.truth ? 4 : 5);
    } else if (v.type == VALUE_NULL) {
        text_put(t, "null", 4);
    } else {
        text_put(t, "<undefined>", 11);
    }
}

static void put_line(struct text_out *t, const struct json_style *style, unsigned level)
{
    if (!style->pretty)
        return;
    text_put_char(t, '\n');
    if (style->prefix)
        text_put(t, style->prefix, strlen(style->prefix));
    for (unsigned i = 0; i < level; i++)
        text_put(t, style->indent, strlen(style->indent));
}

static void put_json(struct text_out *t, struct value v, const struct json_style *style, unsigned level);

/* The object under text keys: what is no string becomes its JSON text. The arena fails when it is full. */
static struct value with_text_keys(struct text_out *t, struct value v)
{
    struct value to = value_new(t->arena, VALUE_OBJECT, 0);

    for (uint32_t i = 0; value_is_defined(to) && i < v.in->n; i++) {
        struct text_out inner = text_out_new(t->arena, t->limit);
        struct value    key;

        if (object_key(v, i).type == VALUE_STRING)
            text_put(&inner, object_key(v, i).text, object_key(v, i).len);
        else
            json_text_write(&inner, object_key(v, i), &(struct json_style){ 0 });
        if (!text_take(&inner, &key) || !object_put(t->arena, to, key, object_value(v, i)))
            return value_undefined();
    }
    return value_is_defined(to) && value_close(t->arena, to) ? to : value_undefined();
}

static bool has_text_keys(struct value v)
{
    return v.in->n == 0 || (object_key(v, 0).type == VALUE_STRING && object_key(v, v.in->n - 1).type == VALUE_STRING);
}

static void put_json_members(struct text_out *t, struct value v, const struct json_style *style, unsigned level)
{
    for (uint32_t i = 0; i < v.in->n && !t->failed; i++) {
        if (i > 0)
            text_put_char(t, ',');
        put_line(t, style, level + 1);
        if (v.type == VALUE_OBJECT) {
            put_string(t, object_key(v, i).text, object_key(v, i).len, style->for_html);
            text_put_char(t, ':');
            if (style->pretty)
                text_put_char(t, ' ');
        }
        put_json(t, v.type == VALUE_OBJECT ? object_value(v, i) : array_at(v, i), style, level + 1);
    }
    if (v.in->n > 0)
        put_line(t, style, level);
}

static void put_json(struct text_out *t, struct value v, const struct json_style *style, unsigned level)
{
    if (v.type == VALUE_STRING) {
        put_string(t, v.text, v.len, style->for_html);
    } else if (v.type == VALUE_OBJECT && !has_text_keys(v)) {
        struct value texts = with_text_keys(t, v);

        if (value_is_defined(texts))
            put_json(t, texts, style, level);
        else
            t->failed = true;
    } else if (value_is_composite(v)) {
        text_put_char(t, v.type == VALUE_OBJECT ? '{' : '[');
        put_json_members(t, v, style, level);
        text_put_char(t, v.type == VALUE_OBJECT ? '}' : ']');
    } else {
        put_scalar(t, v);
    }
}

void json_text_write(struct text_out *t, struct value v, const struct json_style *style)
{
    put_json(t, v, style, 0);
}

static void put_rego_members(struct text_out *t, struct value v)
{
    for (uint32_t i = 0; i < v.in->n && !t->failed; i++) {
        if (i > 0)
            text_put(t, ", ", 2);
        if (v.type == VALUE_OBJECT) {
            rego_write(t, object_key(v, i), true);
            text_put(t, ": ", 2);
        }
        rego_write(t, v.type == VALUE_OBJECT ? object_value(v, i) : array_at(v, i), true);
    }
}

void rego_write(struct text_out *t, struct value v, bool quoted)
{
    if (v.type == VALUE_STRING) {
        if (quoted)
            put_string(t, v.text, v.len, false);
        else
            text_put(t, v.text, v.len);
    } else if (v.type == VALUE_SET && v.in->n == 0) {
        text_put(t, "set()", 5);
    } else if (value_is_composite(v)) {
        text_put_char(t, v.type == VALUE_ARRAY ? '[' : '{');
        put_rego_members(t, v);
        text_put_char(t, v.type == VALUE_ARRAY ? ']' : '}');
    } else {
        put_scalar(t, v);
    }
}
