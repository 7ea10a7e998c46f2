#include "base/json.h"

#include <json-c/printbuf.h>
#include <string.h>

#include "base/json_packed.h"
#include "base/text.h"

/* Four hex digits of a \u escape, or -1. */
static int escape_value(struct bytes four)
{
    int value = 0;

    if (four.len < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int c = four.at[i];
        int v = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;

        if (v < 0)
            return -1;
        value = value * 16 + v;
    }
    return value;
}

/* The leading characters of the rest that `fits` has true, stepped over; how many. */
static size_t take_run(struct reader *r, const bool fits[static 256])
{
    size_t n = 0;

    while (n < r->left.len && fits[r->left.at[n]])
        n++;
    (void) take(r, n); /* all of them seen above */
    return n;
}

/* What a string holds as it is: all but controls, the quote and the backslash. */
static const bool UNESCAPED[256] = {
#define EIGHT(n) [(n)] = true, [(n) + 1] = true, [(n) + 2] = true, [(n) + 3] = true, [(n) + 4] = true, [(n) + 5] = true, \
                 [(n) + 6] = true, [(n) + 7] = true
    [0x20] = true, [0x21] = true, [0x23] = true, [0x24] = true, [0x25] = true, [0x26] = true, [0x27] = true,
    EIGHT(0x28), EIGHT(0x30), EIGHT(0x38), EIGHT(0x40), EIGHT(0x48), EIGHT(0x50), [0x58] = true, [0x59] = true, [0x5a] = true,
    [0x5b] = true, [0x5d] = true, [0x5e] = true, [0x5f] = true, EIGHT(0x60), EIGHT(0x68), EIGHT(0x70), EIGHT(0x78),
    EIGHT(0x80), EIGHT(0x88), EIGHT(0x90), EIGHT(0x98), EIGHT(0xa0), EIGHT(0xa8), EIGHT(0xb0), EIGHT(0xb8), EIGHT(0xc0),
    EIGHT(0xc8), EIGHT(0xd0), EIGHT(0xd8), EIGHT(0xe0), EIGHT(0xe8), EIGHT(0xf0), EIGHT(0xf8),
#undef EIGHT
};

/*
 * Steps over one string, `r` standing behind its opening quote. json-c would cut a name at \u0000 and replace a
 * lone surrogate, so that two different texts read as the same value: both are refused here. But for the mark in what
 * json_pack made: it stands at the start of a string that is no name.
 */
static FALLIBLE scan_string(struct reader *r, bool is_packed, struct err *err)
{
    bool wants_low = false; /* the escape before was a high surrogate */

    for (;;) {
        if (!wants_low)
            (void) take_run(r, UNESCAPED); /* how many does not matter */

        uint8_t c     = take_u8(r);
        int     value = -1;

        if (!reader_ok(r, err))
            return fail_with(err, ERR_MALFORMED, "JSON: unfinished string");
        if (c < 0x20)
            return fail_with(err, ERR_MALFORMED, "JSON: control character at offset %zu", r->offset - 1);
        if (c == '\\') {
            c = take_u8(r);
            if (c == 'u')
                value = escape_value(take(r, 4));
            if (c == 'u' && value <= 0 && !(value == 0 && is_packed))
                return fail_with(err, ERR_MALFORMED, "JSON: escape not allowed at offset %zu", r->offset);
            c = 0;
        }
        bool is_low = value >= 0xdc00 && value <= 0xdfff;

        if (is_low != wants_low)
            return fail_with(err, ERR_MALFORMED, "JSON: lone surrogate before offset %zu", r->offset);
        wants_low = value >= 0xd800 && value <= 0xdbff;
        if (c == '"')
            return true;
    }
}

static const bool DIGITS[256] = { ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true, ['4'] = true,
                                  ['5'] = true, ['6'] = true, ['7'] = true, ['8'] = true, ['9'] = true };

static bool take_if(struct reader *r, const char *any_of)
{
    if (r->left.len == 0 || r->left.at[0] == 0 || !strchr(any_of, r->left.at[0]))
        return false;
    (void) take_u8(r); /* seen above */
    return true;
}

/* Steps over one number; json-c would also take "1." and "1e". [RFC 8259 section 6] */
static FALLIBLE scan_number(struct reader *r, struct err *err)
{
    size_t start = r->offset;
    bool   is_good, starts_with_zero;

    (void) take_if(r, "-"); /* may be there */
    starts_with_zero = r->left.len > 0 && r->left.at[0] == '0';

    size_t n_digits = take_run(r, DIGITS);

    is_good = n_digits == 1 || (n_digits > 1 && !starts_with_zero);
    if (r->left.len == 0 || r->left.at[0] == ',' || r->left.at[0] == ']') /* most numbers are bytes in an array */
        return is_good || fail_with(err, ERR_MALFORMED, "JSON: not a number at offset %zu", start);
    if (take_if(r, "."))
        is_good &= take_run(r, DIGITS) > 0;
    if (take_if(r, "eE")) {
        (void) take_if(r, "+-"); /* may be there */
        is_good &= take_run(r, DIGITS) > 0;
    }
    return is_good || fail_with(err, ERR_MALFORMED, "JSON: not a number at offset %zu", start);
}

/* What stands between strings and numbers: structure, spaces, the letters of true, false and null. */
static const bool OUTSIDE[256] = {
    ['{'] = true, ['}'] = true, ['['] = true, [']'] = true, [','] = true, [' '] = true, ['\t'] = true, ['\r'] = true,
    ['\n'] = true, ['t'] = true, ['r'] = true, ['u'] = true, ['e'] = true, ['f'] = true, ['a'] = true, ['l'] = true,
    ['s'] = true, ['n'] = true,
};

/* Counts the names in the text, so that the caller can tell whether the tree lost any as duplicates. */
static FALLIBLE scan(struct bytes text, bool is_packed, size_t *n_names, struct err *err)
{
    struct reader r = reader_over(text);
    size_t        n = 0;

    while (r.left.len > 0) {
        if (r.left.at[0] == '-' || DIGITS[r.left.at[0]]) {
            if (!scan_number(&r, err))
                return false;
            continue;
        }

        uint8_t c = take_u8(&r);

        if (c == '"') {
            if (!scan_string(&r, is_packed, err))
                return false;
        } else if (c == ':') {
            n++;
        } else if (!OUTSIDE[c]) {
            return fail_with(err, ERR_MALFORMED, "JSON: unexpected character at offset %zu", r.offset - 1);
        }
    }
    *n_names = n;
    return reader_ok(&r, err);
}

static size_t count_names(struct json_object *in)
{
    size_t n = 0;

    if (json_object_is_type(in, json_type_object)) {
        json_object_object_foreach(in, name, value) {
            (void) name; /* only counted */
            n += 1 + count_names(value);
        }
    } else if (json_object_is_type(in, json_type_array)) {
        size_t len = json_object_array_length(in);

        for (size_t i = 0; i < len; i++) {
            struct json_object *one  = json_object_array_get_idx(in, i);
            enum json_type      type = json_object_get_type(one);

            if (type == json_type_object || type == json_type_array) /* most are numbers */
                n += count_names(one);
        }
    }
    return n;
}

DEFINE_AUTO(tokener, struct json_tokener *, json_tokener_free)

/* What json-c does not look at. */
static FALLIBLE text_check(struct bytes text, size_t len_max, bool is_packed, size_t *n_names, struct err *err)
{
    size_t at = 0;

    if (text.len > len_max || text.len > INT32_MAX / 2)
        return fail_with(err, ERR_LIMIT, "JSON of %zu bytes; at most %zu are allowed", text.len, len_max);
    if (!is_utf8(text))
        return fail_with(err, ERR_MALFORMED, "JSON: not UTF-8");
    if (!scan(text, is_packed, n_names, err))
        return false;
    while (at < text.len && strchr(" \t\r\n", text.at[at]))
        at++;
    return at < text.len || fail_with(err, ERR_MALFORMED, "JSON: empty");
}

/* Room at once for whatever text may come: json-c's scratch then never moves, and is wiped when it goes. */
static struct json_tokener *wiping_tokener(size_t len)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);

    if (!tokener || printbuf_memset(tokener->pb, 0, 0, (int) len + 1) < 0)
        abort();
    printbuf_reset(tokener->pb);
    return tokener;
}

static void wiped_tokener_free(struct json_tokener *tokener)
{
    explicit_bzero(tokener->pb->buf, (size_t) tokener->pb->size);
    json_tokener_free(tokener);
}

DEFINE_AUTO(wiped_tokener, struct json_tokener *, wiped_tokener_free)

void json_wipe(struct json_object *document)
{
    size_t n = json_object_is_type(document, json_type_array) ? json_object_array_length(document) : 0;

    if (json_object_is_type(document, json_type_string))
        explicit_bzero((void *) (uintptr_t) json_object_get_string(document), (size_t) json_object_get_string_len(document));
    for (size_t i = 0; i < n; i++)
        json_wipe(json_object_get(json_object_array_get_idx(document, i)));
    if (json_object_is_type(document, json_type_object)) {
        json_object_object_foreach(document, name, value) {
            (void) name;
            json_wipe(json_object_get(value));
        }
    }
    json_object_put(document);
}

static FALLIBLE text_parse_with(struct json_tokener *tokener, struct bytes text, size_t n_names, struct json_object **out,
                                struct err *err)
{
    AUTO(wiped_json) struct json_object *read = NULL;
    size_t                               end;

    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    read = json_tokener_parse_ex(tokener, (const char *) text.at, (int) text.len);
    end  = json_tokener_get_parse_end(tokener);
    if (json_tokener_get_error(tokener) == json_tokener_continue) { /* a bare word may go on: say that it ends */
        read = json_tokener_parse_ex(tokener, "", 1);
        end  = text.len;
    }
    if (json_tokener_get_error(tokener) != json_tokener_success)
        return fail_with(err, json_tokener_get_error(tokener) == json_tokener_error_depth ? ERR_LIMIT : ERR_MALFORMED,
                         "JSON: %s at offset %zu", json_tokener_error_desc(json_tokener_get_error(tokener)), end);
    for (size_t i = end; i < text.len; i++)
        if (!strchr(" \t\r\n", text.at[i]) || text.at[i] == 0)
            return fail_with(err, ERR_MALFORMED, "JSON: bytes behind the document at offset %zu", i);
    if (count_names(read) != n_names)
        return fail_with(err, ERR_MALFORMED, "JSON: a name stands twice in one object");
    *out = TAKE(read);
    return true;
}

static FALLIBLE text_parse(struct bytes text, size_t n_names, struct json_object **out, struct err *err)
{
    AUTO(tokener) struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);

    if (!tokener)
        abort();
    return text_parse_with(tokener, text, n_names, out, err);
}

FALLIBLE json_read_wiped(struct bytes text, size_t len_max, struct json_object **out, struct err *err)
{
    size_t n_names = 0;

    if (!text_check(text, len_max, false, &n_names, err))
        return false;
    AUTO(wiped_tokener) struct json_tokener *tokener = wiping_tokener(text.len);
    return text_parse_with(tokener, text, n_names, out, err);
}

FALLIBLE json_read(struct bytes text, size_t len_max, struct json_object **out, struct err *err)
{
    size_t n_names = 0;

    return text_check(text, len_max, false, &n_names, err) && text_parse(text, n_names, out, err);
}

/* A text that may hold a mark already is read as it is, and so is one that is refused: for the place of what is wrong. */
FALLIBLE json_read_packed(struct bytes text, size_t len_max, struct json_object **out, struct err *err)
{
    AUTO(buffer) struct buffer packed  = { 0 };
    size_t                     n_names = 0;

    if (text.len > len_max || !json_can_be_packed(text))
        return json_read(text, len_max, out, err);
    json_pack(text, &packed);
    return (text_check(buffer_bytes(&packed), packed.len, true, &n_names, err) &&
            text_parse(buffer_bytes(&packed), n_names, out, err)) ||
           json_read(text, len_max, out, err);
}

static void write_text(const char *text, size_t len, struct buffer *out)
{
    static const char short_ones[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\' };
    size_t            done         = 0;

    buffer_append_text(out, "\"");
    for (size_t i = 0; i < len; i++) {
        uint8_t c       = (uint8_t) text[i];
        char    escaped = c < sizeof short_ones ? short_ones[c] : 0;

        if (c >= 0x20 && !escaped)
            continue;
        buffer_append(out, (struct bytes){ (const uint8_t *) text + done, i - done });
        if (escaped)
            buffer_printf(out, "\\%c", escaped);
        else
            buffer_printf(out, "\\u%04x", (unsigned) c);
        done = i + 1;
    }
    buffer_append(out, (struct bytes){ (const uint8_t *) text + done, len - done });
    buffer_append_text(out, "\"");
}

static void write_object(struct json_object *from, struct buffer *out)
{
    const char *before = "{";

    json_object_object_foreach(from, name, value) {
        buffer_append_text(out, before);
        write_text(name, strlen(name), out);
        buffer_append_text(out, ":");
        json_write(value, out);
        before = ",";
    }
    buffer_append_text(out, *before == '{' ? "{}" : "}");
}

static void write_array(struct json_object *from, struct buffer *out)
{
    buffer_append_text(out, "[");
    for (size_t i = 0; i < json_object_array_length(from); i++) {
        buffer_append_text(out, i > 0 ? "," : "");
        json_write(json_object_array_get_idx(from, i), out);
    }
    buffer_append_text(out, "]");
}

/* Not by json-c, whose text would be in buffers of its own, which grow and are not wiped. */
void json_write(struct json_object *from, struct buffer *out)
{
    if (json_object_is_type(from, json_type_string))
        write_text(json_object_get_string(from), (size_t) json_object_get_string_len(from), out);
    else if (json_object_is_type(from, json_type_object))
        write_object(from, out);
    else if (json_object_is_type(from, json_type_array))
        write_array(from, out);
    else
        buffer_append_text(out, json_object_to_json_string_ext(from, JSON_C_TO_STRING_PLAIN)); /* no texts in these */
}

FALLIBLE json_get(struct json_object *from, const char *name, enum json_type type, struct json_object **out,
                  struct err *err)
{
    struct json_object *found = NULL;

    if (!json_object_is_type(from, json_type_object))
        return fail_with(err, ERR_MALFORMED, "\"%s\": an object is wanted around it, found %s", name,
                         json_type_to_name(json_object_get_type(from)));
    if (!json_object_object_get_ex(from, name, &found))
        return fail_with(err, ERR_MALFORMED, "\"%s\" is missing", name);
    if (json_object_get_type(found) != type)
        return fail_with(err, ERR_MALFORMED, "\"%s\": %s wanted, found %s", name, json_type_to_name(type),
                         json_type_to_name(json_object_get_type(found)));
    *out = found;
    return true;
}

FALLIBLE json_get_text(struct json_object *from, const char *name, const char **out, struct err *err)
{
    struct json_object *found = NULL;

    if (!json_get(from, name, json_type_string, &found, err))
        return false;
    *out = json_object_get_string(found);
    return true;
}

FALLIBLE json_get_u64(struct json_object *from, const char *name, uint64_t most, uint64_t *out, struct err *err)
{
    struct json_object *found = NULL;

    if (!json_get(from, name, json_type_int, &found, err))
        return false;
    if (json_object_get_int64(found) < 0 || json_object_get_uint64(found) > most)
        return fail_with(err, ERR_MALFORMED, "\"%s\": a number from 0 to %llu is wanted", name,
                         (unsigned long long) most);
    *out = json_object_get_uint64(found);
    return true;
}

bool json_has(struct json_object *from, const char *name)
{
    struct json_object *found = NULL;

    return json_object_is_type(from, json_type_object) && json_object_object_get_ex(from, name, &found) && found;
}

FALLIBLE json_only(struct json_object *from, const char *const *known, struct err *err)
{
    if (!json_object_is_type(from, json_type_object))
        return fail_with(err, ERR_MALFORMED, "not an object");
    json_object_object_foreach(from, name, value) {
        size_t i = 0;

        (void) value;
        while (known[i] && strcmp(known[i], name) != 0)
            i++;
        if (!known[i])
            return fail_with(err, ERR_MALFORMED, "unknown member \"%.60s\"", name);
    }
    return true;
}

void json_add(struct json_object *to, const char *name, struct json_object *value_take)
{
    if (json_object_object_add(to, name, value_take) != 0)
        abort();
}

void json_add_text(struct json_object *to, const char *name, const char *text)
{
    json_add(to, name, json_object_new_string(text));
}

void json_add_hex(struct json_object *to, const char *name, struct bytes b)
{
    AUTO(buffer) struct buffer hex = { 0 };

    hex_append(&hex, b);
    json_add_text(to, name, buffer_text(&hex));
}
