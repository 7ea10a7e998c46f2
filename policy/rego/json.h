/* JSON text to values and back, and values as Rego text. Bounded depth and size. */
#pragma once

#include "policy/rego/value.h"

enum { JSON_DEPTH_MAX = 250 };

/*
 * Reads one JSON document that fills `text` (white space around it is allowed). Strict RFC 8259 and UTF-8;
 * of duplicate keys the last one wins, as in OPA. Strings without escapes and decimal numbers borrow from
 * `text`, which must outlive the value. Fails MALFORMED with the offset, LIMIT for depth, size and memory.
 */
FALLIBLE json_text_read(struct arena *a, struct bytes text, struct value *out, struct err *err);

/* Bytes that grow in an arena up to `limit`; `failed` sticks when memory or the limit is passed. */
struct text_out {
    struct arena *arena;
    char         *at;
    size_t        len;
    size_t        room;
    size_t        limit;
    bool          failed;
};

struct text_out text_out_new(struct arena *a, size_t limit);
void            text_put(struct text_out *t, const char *at, size_t len);
void            text_put_char(struct text_out *t, char c);
void            text_put_fill(struct text_out *t, char c, size_t n);
FALLIBLE        text_take(struct text_out *t, struct value *out); /* as a string value; false: the arena failed */

/* As Go's encoding/json does: keys sorted, < > & escaped when `for_html`; sets as arrays; keys that are no string as their JSON text. */
struct json_style {
    bool        for_html;
    bool        pretty;
    const char *indent; /* with pretty: text of one level */
    const char *prefix; /* with pretty: in front of each line but the first */
};
void json_text_write(struct text_out *t, struct value v, const struct json_style *style);
void json_write_string(struct text_out *t, struct bytes text, bool for_html);

/* Rego source form: {"a": 1}, {1, 2}, set(); with `quoted` false a string stands without quotes (print, sprintf %v). */
void rego_write(struct text_out *t, struct value v, bool quoted);
