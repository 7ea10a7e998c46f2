#include "base/toml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/*
 * What json-c's tree cannot say: which tables were written by a header (a second header is an error), which came
 * into being by a dotted key or are inline (closed to headers). Kept in a list beside the tree.
 */
enum table_origin { TABLE_IMPLIED, TABLE_BY_HEADER, TABLE_BY_DOTTED_KEY, TABLE_INLINE, ARRAY_OF_TABLES };

struct table_note {
    struct json_object *table; /* borrowed from the tree */
    enum table_origin   origin;
};

struct toml {
    struct reader     r;
    unsigned          line;
    size_t            n_entries;
    struct table_note notes[TOML_ENTRIES_MAX];
    size_t            n_notes;
};

#define TOML_FAIL(t, ...) toml_fail(err, (t)->line, __VA_ARGS__)
static bool toml_fail(struct err *err, unsigned line, const char *fmt, ...) PRINTF_LIKE(3);
static bool toml_fail(struct err *err, unsigned line, const char *fmt, ...)
{
    char    what[160];
    va_list args;

    va_start(args, fmt);
    (void) vsnprintf(what, sizeof what, fmt, args); /* cut by design */
    va_end(args);
    return fail_with(err, ERR_MALFORMED, "TOML line %u: %s", line, what);
}

static int peek(const struct toml *t)
{
    return t->r.left.len > 0 ? t->r.left.at[0] : -1;
}

static bool starts_with(const struct toml *t, const char *text)
{
    size_t len = strlen(text);

    return t->r.left.len >= len && memcmp(t->r.left.at, text, len) == 0;
}

static bool accept(struct toml *t, const char *text)
{
    if (!starts_with(t, text))
        return false;
    (void) take(&t->r, strlen(text)); /* its presence was just checked */
    return true;
}

static void skip_blanks(struct toml *t)
{
    while (peek(t) == ' ' || peek(t) == '\t')
        (void) take_u8(&t->r); /* peeked */
}

/* Blanks, a comment, and the line end that must follow. */
static FALLIBLE end_line(struct toml *t, struct err *err)
{
    skip_blanks(t);
    if (peek(t) == '#')
        while (peek(t) >= 0 && peek(t) != '\n' && !starts_with(t, "\r\n")) {
            int c = take_u8(&t->r);

            if ((c < 0x20 && c != '\t') || c == 0x7f)
                return TOML_FAIL(t, "control character in a comment");
        }
    if (peek(t) < 0)
        return true;
    if (!accept(t, "\n") && !accept(t, "\r\n"))
        return TOML_FAIL(t, "unexpected character 0x%02x", (unsigned) peek(t));
    t->line++;
    return true;
}

/* Blanks, comments and line ends, as allowed inside arrays and between statements. */
static FALLIBLE skip_lines(struct toml *t, struct err *err)
{
    for (skip_blanks(t); peek(t) == '#' || peek(t) == '\n' || starts_with(t, "\r\n"); skip_blanks(t))
        if (!end_line(t, err))
            return false;
    return true;
}

static struct table_note *note_of(struct toml *t, const struct json_object *table)
{
    for (size_t i = 0; i < t->n_notes; i++)
        if (t->notes[i].table == table)
            return &t->notes[i];
    return NULL;
}

static FALLIBLE note(struct toml *t, struct json_object *table, enum table_origin origin, struct err *err)
{
    if (t->n_notes == TOML_ENTRIES_MAX)
        return fail_with(err, ERR_LIMIT, "TOML: more than %d tables", TOML_ENTRIES_MAX);
    t->notes[t->n_notes++] = (struct table_note){ table, origin };
    return true;
}

/* ---- strings ---- */

static void append_code_point(struct buffer *out, uint32_t c)
{
    uint8_t at[4];
    size_t  n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        at[i] = (uint8_t) (0x80 | (c & 0x3f));
    at[0] = (uint8_t) (n == 1 ? c : (0xf00U >> n & 0xff) | c);
    buffer_append(out, (struct bytes){ at, n });
}

static FALLIBLE read_code_point(struct toml *t, size_t n_digits, struct buffer *out, struct err *err)
{
    struct bytes digits = take(&t->r, n_digits);
    uint32_t     c      = 0;

    if (!reader_ok(&t->r, err))
        return TOML_FAIL(t, "unfinished escape");
    for (size_t i = 0; i < digits.len; i++) {
        int d = digits.at[i];
        int v = d >= '0' && d <= '9' ? d - '0' : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10 : -1;

        if (v < 0)
            return TOML_FAIL(t, "escape wants %zu hex digits", n_digits);
        c = c << 4 | (uint32_t) v;
    }
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) /* zero: our values end up as C text */
        return TOML_FAIL(t, "escape of U+%04X is not allowed", c);
    append_code_point(out, c);
    return true;
}

static FALLIBLE read_escape(struct toml *t, bool is_multi_line, struct buffer *out, struct err *err)
{
    static const char names[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
    int               c       = peek(t);
    const char       *at      = c > 0 ? strchr(names, c) : NULL;

    if (at) {
        (void) take_u8(&t->r); /* peeked */
        buffer_append(out, (struct bytes){ (const uint8_t *) &values[at - names], 1 });
        return true;
    }
    if (accept(t, "u"))
        return read_code_point(t, 4, out, err);
    if (accept(t, "U"))
        return read_code_point(t, 8, out, err);
    if (is_multi_line) { /* a backslash at the end of a line joins it with the next text */
        unsigned before = t->line;

        skip_blanks(t);
        while (accept(t, "\n") || accept(t, "\r\n")) {
            t->line++;
            skip_blanks(t);
        }
        if (t->line != before)
            return true;
    }
    return TOML_FAIL(t, "unknown escape");
}

/* The end of a multi-line string: up to two quotes may stand directly before the closing three. */
static bool closes(struct toml *t, const char *quote, bool is_multi_line, struct buffer *out)
{
    size_t n = 0;

    if (!is_multi_line)
        return accept(t, quote);
    if (!accept(t, quote[0] == '"' ? "\"\"\"" : "'''"))
        return false;
    for (; n < 2 && accept(t, quote); n++)
        buffer_append_text(out, quote);
    return true;
}

static FALLIBLE read_string(struct toml *t, bool may_be_multi_line, struct buffer *out, struct err *err)
{
    const char *quote         = peek(t) == '"' ? "\"" : "'";
    bool        is_multi_line = accept(t, "\"\"\"") || accept(t, "'''");

    if (is_multi_line && !may_be_multi_line)
        return TOML_FAIL(t, "a key may not be a multi-line string");
    if (!is_multi_line)
        (void) accept(t, quote); /* the caller saw it */
    if (is_multi_line && (accept(t, "\n") || accept(t, "\r\n")))
        t->line++; /* a line end directly behind the opening quotes is dropped */
    while (!closes(t, quote, is_multi_line, out)) {
        int c = peek(t);

        if (c < 0)
            return TOML_FAIL(t, "unfinished string");
        if (quote[0] == '"' && accept(t, "\\")) {
            if (!read_escape(t, is_multi_line, out, err))
                return false;
            continue;
        }
        bool is_line_end = c == '\n' || starts_with(t, "\r\n");

        if ((c < 0x20 && c != '\t' && !(is_multi_line && is_line_end)) || c == 0x7f)
            return TOML_FAIL(t, "control character 0x%02x in a string", (unsigned) c);
        t->line += c == '\n';
        if (c == '\r') /* a line end reads the same however it was written */
            (void) take_u8(&t->r);
        else
            buffer_append(out, take(&t->r, 1));
    }
    return true;
}

/* ---- keys ---- */

static bool is_bare(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static FALLIBLE read_key_part(struct toml *t, struct buffer *out, struct err *err)
{
    out->len = 0;
    if (peek(t) == '"' || peek(t) == '\'')
        return read_string(t, false, out, err);
    while (is_bare(peek(t)))
        buffer_append(out, take(&t->r, 1));
    return out->len > 0 || TOML_FAIL(t, "a key is wanted");
}

/* The table named `part` in `in`: made when missing, the last element for an array of tables. */
static FALLIBLE descend(struct toml *t, struct json_object *in, const char *part, enum table_origin made_as,
                        struct json_object **out, struct err *err)
{
    struct json_object *found = NULL;
    struct table_note  *noted;

    if (!json_object_object_get_ex(in, part, &found)) {
        if (++t->n_entries > TOML_ENTRIES_MAX)
            return fail_with(err, ERR_LIMIT, "TOML: more than %d entries", TOML_ENTRIES_MAX);
        found = json_object_new_object();
        json_add(in, part, found);
        *out = found;
        return note(t, found, made_as, err);
    }
    noted = note_of(t, found);
    if (!noted || noted->origin == TABLE_INLINE)
        return TOML_FAIL(t, "\"%s\" is a value already, not a table", part);
    if (noted->origin == ARRAY_OF_TABLES && made_as == TABLE_IMPLIED)
        found = json_object_array_get_idx(found, json_object_array_length(found) - 1);
    else if (made_as == TABLE_IMPLIED ? false : noted->origin != TABLE_BY_DOTTED_KEY)
        return TOML_FAIL(t, "\"%s\" is a table of its own; a dotted key may not add to it", part);
    *out = found;
    return true;
}

/*
 * Reads a dotted key. All parts but the last are descended into.
 *
 *   table    in: where the key starts; out: the table that the last part belongs to
 *   last     the last part
 */
static FALLIBLE read_key(struct toml *t, enum table_origin made_as, struct json_object **table, struct buffer *last,
                         struct err *err)
{
    for (unsigned depth = 1;; depth++) {
        if (!read_key_part(t, last, err))
            return false;
        skip_blanks(t);
        if (!accept(t, "."))
            return true;
        skip_blanks(t);
        if (depth == TOML_DEPTH_MAX)
            return fail_with(err, ERR_LIMIT, "TOML line %u: a key of more than %d parts", t->line, TOML_DEPTH_MAX);
        if (!descend(t, *table, buffer_text(last), made_as, table, err))
            return false;
    }
}

/* ---- values ---- */

static FALLIBLE read_value(struct toml *t, unsigned depth, struct json_object **out, struct err *err);
static FALLIBLE read_entry(struct toml *t, unsigned depth, struct json_object *table, struct err *err);

static FALLIBLE read_array(struct toml *t, unsigned depth, struct json_object **out, struct err *err)
{
    AUTO(json) struct json_object *array = json_object_new_array();

    (void) take_u8(&t->r); /* the bracket that the caller saw */
    for (;;) {
        struct json_object *value = NULL;

        if (!skip_lines(t, err))
            return false;
        if (accept(t, "]"))
            break;
        if (++t->n_entries > TOML_ENTRIES_MAX)
            return fail_with(err, ERR_LIMIT, "TOML: more than %d entries", TOML_ENTRIES_MAX);
        if (!read_value(t, depth + 1, &value, err))
            return false;
        if (json_object_array_add(array, value) != 0)
            abort();
        if (!skip_lines(t, err))
            return false;
        if (!accept(t, ",") && peek(t) != ']')
            return TOML_FAIL(t, "a comma or ] is wanted in an array");
    }
    *out = TAKE(array);
    return true;
}

static FALLIBLE read_inline_table(struct toml *t, unsigned depth, struct json_object **out, struct err *err)
{
    AUTO(json) struct json_object *table = json_object_new_object();
    size_t                         n_notes = t->n_notes; /* its inner tables are closed with it */

    (void) take_u8(&t->r); /* the brace that the caller saw */
    skip_blanks(t);
    while (!accept(t, "}")) {
        if (!read_entry(t, depth + 1, table, err))
            return false;
        skip_blanks(t);
        if (accept(t, ",")) {
            skip_blanks(t);
            if (peek(t) == '}')
                return TOML_FAIL(t, "a comma before the end of an inline table");
        } else if (peek(t) != '}') {
            return TOML_FAIL(t, "a comma or } is wanted in an inline table");
        }
    }
    t->n_notes = n_notes;
    *out       = TAKE(table);
    return true;
}

/* The digits of one integer, underscores between digits removed. [TOML 1.0.0, Integer] */
static FALLIBLE read_integer(struct toml *t, struct json_object **out, struct err *err)
{
    char   text[72];
    size_t n = 0;
    bool   was_digit = false;

    while (is_bare(peek(t)) || peek(t) == '+' || peek(t) == '.' || peek(t) == ':') {
        int c = take_u8(&t->r);

        if (c == '.' || c == ':' || n == sizeof text - 1)
            return fail_with(err, ERR_UNSUPPORTED, "TOML line %u: floats and dates are not read here", t->line);
        if (c == '_' && !(was_digit && is_bare(peek(t)) && peek(t) != '_'))
            return TOML_FAIL(t, "an underscore stands between digits only");
        was_digit = c != '_' && c != '+' && c != '-';
        if (c != '_')
            text[n++] = (char) c;
    }
    text[n] = 0;

    bool        is_signed = text[0] == '+' || text[0] == '-';
    const char *body      = text + is_signed;
    int         base      = strncmp(body, "0x", 2) == 0   ? 16
                            : strncmp(body, "0o", 2) == 0 ? 8
                            : strncmp(body, "0b", 2) == 0 ? 2 : 10;
    const char *digits    = base == 10 ? body : body + 2;
    const char *legal     = base == 16 ? "0123456789abcdefABCDEF" : base == 8 ? "01234567" : base == 2 ? "01" : "0123456789";

    if (base == 10 && n > 4 && strchr(body, '-'))
        return fail_with(err, ERR_UNSUPPORTED, "TOML line %u: floats and dates are not read here", t->line);
    if (digits[0] == 0 || strspn(digits, legal) != strlen(digits) || (is_signed && base != 10) ||
        (base == 10 && digits[0] == '0' && digits[1] != 0))
        return TOML_FAIL(t, "\"%s\" is not a value", text);
    errno = 0;

    long long value = text[0] == '-' ? strtoll(text, NULL, base) : strtoll(digits, NULL, base);

    if (errno != 0)
        return TOML_FAIL(t, "%s does not fit in 64 bits", text);
    *out = json_object_new_int64(value);
    return true;
}

static FALLIBLE read_value(struct toml *t, unsigned depth, struct json_object **out, struct err *err)
{
    if (depth > TOML_DEPTH_MAX)
        return fail_with(err, ERR_LIMIT, "TOML line %u: nested more than %d deep", t->line, TOML_DEPTH_MAX);
    if (peek(t) == '"' || peek(t) == '\'') {
        AUTO(buffer) struct buffer text = { 0 };

        if (!read_string(t, true, &text, err))
            return false;
        *out = json_object_new_string_len(buffer_text(&text), (int) text.len);
        return true;
    }
    if (peek(t) == '[')
        return read_array(t, depth, out, err);
    if (peek(t) == '{')
        return read_inline_table(t, depth, out, err);
    if (accept(t, "true") || starts_with(t, "false")) {
        *out = json_object_new_boolean(!accept(t, "false"));
        return !is_bare(peek(t)) || TOML_FAIL(t, "not a value") || (json_object_put(*out), false);
    }
    return read_integer(t, out, err);
}

static FALLIBLE read_entry(struct toml *t, unsigned depth, struct json_object *table, struct err *err)
{
    AUTO(buffer) struct buffer key   = { 0 };
    struct json_object        *value = NULL;

    if (!read_key(t, TABLE_BY_DOTTED_KEY, &table, &key, err))
        return false;
    if (json_object_object_get_ex(table, buffer_text(&key), NULL))
        return TOML_FAIL(t, "\"%s\" is defined twice", buffer_text(&key));
    if (++t->n_entries > TOML_ENTRIES_MAX)
        return fail_with(err, ERR_LIMIT, "TOML: more than %d entries", TOML_ENTRIES_MAX);
    if (!accept(t, "="))
        return TOML_FAIL(t, "= is wanted behind \"%s\"", buffer_text(&key));
    skip_blanks(t);
    if (!read_value(t, depth, &value, err))
        return false;
    json_add(table, buffer_text(&key), value);
    return true;
}

/* ---- headers ---- */

/* [table]: `in` becomes the table that following entries belong to. */
static FALLIBLE open_table(struct toml *t, struct json_object *parent, const char *name, struct json_object **in,
                           struct err *err)
{
    struct json_object *found = NULL;
    struct table_note  *noted = NULL;

    if (!json_object_object_get_ex(parent, name, &found))
        return descend(t, parent, name, TABLE_BY_HEADER, in, err);
    noted = note_of(t, found);
    if (!noted || noted->origin != TABLE_IMPLIED)
        return TOML_FAIL(t, "table \"%s\" is defined twice", name);
    noted->origin = TABLE_BY_HEADER;
    *in           = found;
    return true;
}

/* [[table]] */
static FALLIBLE open_element(struct toml *t, struct json_object *parent, const char *name, struct json_object **in,
                             struct err *err)
{
    struct json_object *array = NULL, *element;
    struct table_note  *noted;

    if (!json_object_object_get_ex(parent, name, &array)) {
        array = json_object_new_array();
        json_add(parent, name, array);
        if (!note(t, array, ARRAY_OF_TABLES, err))
            return false;
    }
    noted = note_of(t, array);
    if (!noted || noted->origin != ARRAY_OF_TABLES)
        return TOML_FAIL(t, "\"%s\" is not an array of tables", name);
    if (++t->n_entries > TOML_ENTRIES_MAX)
        return fail_with(err, ERR_LIMIT, "TOML: more than %d entries", TOML_ENTRIES_MAX);
    element = json_object_new_object();
    if (json_object_array_add(array, element) != 0)
        abort();
    *in = element;
    return note(t, element, TABLE_BY_HEADER, err);
}

static FALLIBLE read_header(struct toml *t, struct json_object *top, struct json_object **in, struct err *err)
{
    AUTO(buffer) struct buffer name       = { 0 };
    bool                       is_element = accept(t, "[[");
    struct json_object        *parent     = top;

    if (!is_element)
        (void) accept(t, "["); /* the caller saw it */
    skip_blanks(t);
    if (!read_key(t, TABLE_IMPLIED, &parent, &name, err))
        return false;
    if (!accept(t, is_element ? "]]" : "]"))
        return TOML_FAIL(t, "%s is wanted behind the table's name", is_element ? "]]" : "]");
    return is_element ? open_element(t, parent, buffer_text(&name), in, err)
                      : open_table(t, parent, buffer_text(&name), in, err);
}

static FALLIBLE read_document(struct toml *t, struct json_object *top, struct err *err)
{
    struct json_object *in = top;

    for (;;) {
        if (!skip_lines(t, err))
            return false;
        if (peek(t) < 0)
            return reader_ok(&t->r, err);
        if (peek(t) == '[' ? !read_header(t, top, &in, err) : !read_entry(t, 1, in, err))
            return false;
        if (!end_line(t, err))
            return false;
    }
}

DEFINE_AUTO(toml, struct toml *, free)

FALLIBLE toml_read(struct bytes text, struct json_object **out, struct err *err)
{
    AUTO(json) struct json_object *top = NULL;
    AUTO(toml) struct toml        *t   = NULL;

    if (text.len > TOML_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "TOML of %zu bytes; at most %d are allowed", text.len, TOML_LEN_MAX);
    if (!is_utf8(text))
        return fail_with(err, ERR_MALFORMED, "TOML: not UTF-8");
    t = calloc(1, sizeof *t);
    if (!t)
        abort();
    t->r    = reader_over(text);
    t->line = 1;
    top     = json_object_new_object();
    if (!read_document(t, top, err))
        return false;
    *out = TAKE(top);
    return true;
}

/* A literal string shows its text as it is; it has no escapes, so not every text can be one. */
static bool is_literal(const char *text, bool is_multi_line)
{
    size_t len = strlen(text);

    if (strstr(text, is_multi_line ? "'''" : "'") || (len > 0 && text[len - 1] == '\''))
        return false;
    for (const char *c = text; *c; c++)
        if (((unsigned char) *c < 0x20 && *c != '\t' && *c != '\n') || *c == 0x7f)
            return false;
    return true;
}

static void append_escaped(struct buffer *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buffer_printf(out, "\\%c", *c);
        else if (*c == '\n' || *c == '\t' || ((unsigned char) *c >= 0x20 && *c != 0x7f))
            buffer_append(out, (struct bytes){ (const uint8_t *) c, 1 });
        else
            buffer_printf(out, "\\u%04x", (unsigned) (unsigned char) *c);
    }
}

void toml_append_text(struct buffer *out, const char *text)
{
    bool is_multi_line = strchr(text, '\n') != NULL;

    if (strpbrk(text, "\"\\") && is_literal(text, is_multi_line)) {
        buffer_printf(out, is_multi_line ? "'''\n%s'''" : "'%s'", text);
        return;
    }
    buffer_append_text(out, is_multi_line ? "\"\"\"\n" : "\"");
    append_escaped(out, text);
    buffer_append_text(out, is_multi_line ? "\"\"\"" : "\"");
}
