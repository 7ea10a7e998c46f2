#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"
#include "policy/rego/utf8.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_PRINTING(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

/* Undefined parts come as empty sets, others as sets of one element. */
static void put_part(struct text_out *t, struct value part, uint32_t i)
{
    if (part.type != VALUE_SET)
        rego_write(t, part, false);
    else if (part.in->n == 0)
        text_put(t, "<undefined>", 11);
    else
        rego_write(t, array_at(part, i), false);
}

/* One line per combination of what the arguments may be; the first varies slowest. */
static bool print_from(struct call *c, struct value parts, uint32_t at, uint32_t *chosen)
{
    const struct eval_options *options = c->evaluation->options;
    struct text_out            t       = text_out_new(c->arena, options->limits.print_bytes);
    struct value               line;

    if (at < parts.in->n) {
        struct value part = array_at(parts, at);
        uint32_t     n    = part.type == VALUE_SET && part.in->n > 1 ? part.in->n : 1;

        for (chosen[at] = 0; chosen[at] < n; chosen[at]++)
            if (!charge(c, 1) || !print_from(c, parts, at + 1, chosen))
                return false;
        return true;
    }
    for (uint32_t i = 0; i < parts.in->n; i++) {
        if (i > 0)
            text_put_char(&t, ' ');
        put_part(&t, array_at(parts, i), chosen[i]);
    }
    if (!text_take(&t, &line))
        return false;
    if (line.len <= options->limits.print_bytes - c->evaluation->printed) {
        c->evaluation->printed += line.len;
        options->print(options->user, (struct bytes){ (const uint8_t *) line.text, line.len });
    }
    return true;
}

/* Output beyond the limit is dropped: printing never changes a result. */
bool builtin_print_line(struct call *c, const struct value *args, struct value *out)
{
    const struct eval_options *options = c->evaluation->options;
    uint32_t                   chosen[64];

    *out = value_bool(true);
    if (!options->print || args[0].type != VALUE_ARRAY || args[0].in->n > sizeof chosen / sizeof *chosen)
        return true;
    if (value_nodes(args[0]) > options->limits.print_bytes || c->evaluation->printed >= options->limits.print_bytes)
        return charge(c, 1);
    return charge(c, cost_of(args[0])) && print_from(c, args[0], 0, chosen);
}

bool builtin_print_trace(struct call *c, const struct value *args, struct value *out)
{
    return want(c, args, 0, VALUE_STRING) && give(out, value_bool(true));
}

bool builtin_opa_runtime(struct call *c, const struct value *args, struct value *out)
{
    (void) args;
    return give_new(c, VALUE_OBJECT, 0, out);
}

bool builtin_template_string(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    if (!want(c, args, 0, VALUE_ARRAY) || !charge(c, cost_of(args[0])))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++) {
        if (array_at(args[0], i).type == VALUE_SET && array_at(args[0], i).in->n > 1)
            return builtin_error(c, "template-strings must not produce multiple outputs");
        put_part(&t, array_at(args[0], i), 0);
    }
    return charge_bytes(c, t.len) && text_take(&t, out);
}

/* One verb of a format, as Go's fmt reads it. */
struct verb {
    bool     minus, plus, space, zero, sharp;
    bool     has_width, has_precision;
    int      width, precision;
    uint32_t rune;
};

struct formatter {
    struct call    *call;
    struct text_out out;
    struct value    args;
    const char     *at;
    size_t          len;
    size_t          i;
    uint32_t        next;     /* argument */
    bool            reordered;
    bool            bad_index;
};

enum { WIDTH_MAX = 1000000 };

enum argument { ARG_INT, ARG_FLOAT, ARG_TEXT };

static enum argument kind_of(struct value v)
{
    char         spare[24];
    struct bytes text;

    if (v.type != VALUE_NUMBER)
        return ARG_TEXT;
    text = number_text(v, spare);
    return memchr(text.at, '.', text.len) || memchr(text.at, 'e', text.len) || memchr(text.at, 'E', text.len) ? ARG_FLOAT : ARG_INT;
}

static const char *type_of(struct value v)
{
    enum argument kind = kind_of(v);

    return kind == ARG_TEXT ? "string" : kind == ARG_FLOAT ? "float64" : v.is_decimal ? "*big.Int" : "int";
}

/* Pads to the width, in code points. */
static void put_padded(struct formatter *f, const struct verb *v, const char *at, size_t len, bool may_zero)
{
    size_t n    = utf8_count(at, len), width = v->has_width ? (size_t) v->width : 0;
    size_t pad  = width > n ? width - n : 0;
    bool   zero = v->zero && may_zero && !v->minus;
    size_t sign = zero && len > 0 && (at[0] == '-' || at[0] == '+' || at[0] == ' ');

    if (zero) {
        text_put(&f->out, at, sign);
        text_put_fill(&f->out, '0', pad);
        text_put(&f->out, at + sign, len - sign);
        return;
    }
    if (!v->minus)
        text_put_fill(&f->out, ' ', pad);
    text_put(&f->out, at, len);
    if (v->minus)
        text_put_fill(&f->out, ' ', pad);
}

static bool text_of(struct formatter *f, struct value v, struct value *out)
{
    struct text_out t = text_for(f->call);

    if (!charge(f->call, cost_of(v)))
        return false;
    rego_write(&t, v, false);
    return text_take(&t, out);
}

/* Go's shortest form of a double; `form` is e, f or g. */
static size_t shortest(double d, char form, char *to, size_t room)
{
    char digits[40];
    int  precision = 0;

    for (; precision < 17; precision++) {
        (void) snprintf(digits, sizeof digits, "%.*e", precision, d); /* 40 bytes hold 18 digits */
        if (strtod(digits, NULL) == d)
            break;
    }

    int exponent = (int) strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (form == 'e' || (form == 'g' && (exponent < -4 || exponent >= 6)))
        return (size_t) snprintf(to, room, "%s", digits);
    return (size_t) snprintf(to, room, "%.*f", precision > exponent ? precision - exponent : 0, d);
}

static void put_float(struct formatter *f, const struct verb *v, double d)
{
    char   text[512], form = (char) (v->rune == 'v' ? 'g' : v->rune | 0x20);
    size_t n = 0;

    if (v->plus || v->space)
        n = d < 0 ? 0 : 1;
    text[0] = v->plus ? '+' : ' ';
    if (v->has_precision || form != 'g') {
        int precision = v->has_precision ? v->precision : 6;
        int wanted    = precision > 340 ? 340 : precision; /* a double has no more digits worth printing */

        if (form == 'f')
            n += (size_t) snprintf(text + n, sizeof text - n, "%.*f", wanted > 100 ? 100 : wanted, d);
        else if (form == 'e')
            n += (size_t) snprintf(text + n, sizeof text - n, "%.*e", wanted > 100 ? 100 : wanted, d);
        else
            n += (size_t) snprintf(text + n, sizeof text - n, "%.*g", wanted > 100 ? 100 : wanted, d);
    } else {
        n += shortest(d, form, text + n, sizeof text - n);
    }
    if (n >= sizeof text)
        n = sizeof text - 1;
    for (size_t i = 0; i < n && v->rune < 'a'; i++)
        text[i] = text[i] == 'e' ? 'E' : text[i];
    put_padded(f, v, text, n, true);
}

static void put_integer(struct formatter *f, const struct verb *v, struct value number, struct value digits)
{
    struct text_out t      = text_for(f->call);
    bool            minus  = digits.len > 0 && digits.text[0] == '-';
    size_t          n      = digits.len - minus;
    struct value    text;

    (void) number;
    if (minus || v->plus || v->space)
        text_put_char(&t, minus ? '-' : v->plus ? '+' : ' ');
    if (v->sharp && (v->rune == 'x' || v->rune == 'X'))
        text_put(&t, v->rune == 'x' ? "0x" : "0X", 2);
    if (v->sharp && v->rune == 'b')
        text_put(&t, "0b", 2);
    if ((v->sharp && v->rune == 'o') || v->rune == 'O')
        text_put(&t, v->rune == 'O' ? "0o" : "0", v->rune == 'O' ? 2 : 1);
    if (v->has_precision && (size_t) v->precision > n)
        text_put_fill(&t, '0', (size_t) v->precision - n);
    for (size_t i = minus; i < digits.len; i++)
        text_put_char(&t, v->rune == 'X' && digits.text[i] >= 'a' ? (char) (digits.text[i] - 32) : digits.text[i]);
    if (text_take(&t, &text))
        put_padded(f, v, text.text, text.len, !v->has_precision);
}

static void put_bad_verb(struct formatter *f, const struct verb *v, struct value arg)
{
    char         rune[4];
    struct value text;

    text_put(&f->out, "%!", 2);
    text_put(&f->out, rune, utf8_write(v->rune, rune));
    text_put_char(&f->out, '(');
    text_put(&f->out, type_of(arg), strlen(type_of(arg)));
    text_put_char(&f->out, '=');
    if (kind_of(arg) == ARG_FLOAT)
        put_float(f, &(struct verb){ .rune = 'g' }, (double) number_to_real(arg));
    else if (text_of(f, arg, &text))
        text_put(&f->out, text.text, text.len);
    text_put_char(&f->out, ')');
}

builtin_function builtin_number_format_int; /* builtins_numbers.c */

static bool digits_of(struct formatter *f, struct value arg, int64_t base, struct value *out)
{
    struct value args[] = { arg, value_int(base) };

    return builtin_number_format_int(f->call, args, out);
}

static bool put_int_verb(struct formatter *f, const struct verb *v, struct value arg)
{
    struct value digits;
    char         rune[8], text[24];
    int64_t      i;
    int64_t      base = v->rune == 'x' || v->rune == 'X' ? 16 : v->rune == 'o' || v->rune == 'O' ? 8 : v->rune == 'b' ? 2 : 10;

    switch (v->rune) {
    case 's':
        if (!arg.is_decimal) { /* only *big.Int prints itself as text */
            put_bad_verb(f, v, arg);
            return true;
        }
        __attribute__((fallthrough));
    case 'v': case 'd': case 'x': case 'X': case 'o': case 'O': case 'b':
        if (!digits_of(f, arg, base, &digits))
            return false;
        put_integer(f, v, arg, digits);
        return true;
    case 'c': case 'q':
        i = number_to_int64(arg, &i) ? i : -1;
        if (v->rune == 'q') {
            size_t n  = 1 + utf8_write(i < 0 || i > 0x10ffff ? RUNE_BAD : (uint32_t) i, rune + 1);
            rune[0]   = '\'';
            rune[n++] = '\'';
            put_padded(f, v, rune, n, false);
            return true;
        }
        put_padded(f, v, rune, utf8_write(i < 0 || i > 0x10ffff ? RUNE_BAD : (uint32_t) i, rune), false);
        return true;
    case 'U':
        i = number_to_int64(arg, &i) ? i : 0;
        put_padded(f, v, text, (size_t) snprintf(text, sizeof text, "U+%04llX", (long long) i), false);
        return true;
    default:
        put_bad_verb(f, v, arg);
        return true;
    }
}

static void put_hex_text(struct formatter *f, const struct verb *v, struct value text)
{
    const char     *digits = v->rune == 'x' ? "0123456789abcdef" : "0123456789ABCDEF";
    struct text_out t      = text_for(f->call);
    struct value    hex;

    for (uint32_t i = 0; i < text.len && !t.failed; i++)
        text_put(&t, (char[]){ digits[(uint8_t) text.text[i] >> 4], digits[text.text[i] & 15] }, 2);
    if (text_take(&t, &hex))
        put_padded(f, v, hex.text, hex.len, false);
}

static bool put_text_verb(struct formatter *f, const struct verb *v, struct value arg)
{
    struct value    text;
    struct text_out t = text_for(f->call);
    uint32_t        rune;

    if (!text_of(f, arg, &text))
        return false;
    if (v->has_precision && (v->rune == 's' || v->rune == 'v' || v->rune == 'q' || v->rune == 'x' || v->rune == 'X')) {
        size_t i = 0;

        for (int n = 0; n < v->precision && i < text.len; n++)
            i += utf8_step(text.text + i, text.len - i, &rune);
        text.len = (uint32_t) i;
    }
    switch (v->rune) {
    case 's': case 'v':
        put_padded(f, v, text.text, text.len, true);
        return true;
    case 'q':
        json_write_string(&t, (struct bytes){ (const uint8_t *) text.text, text.len }, false);
        if (!text_take(&t, &text))
            return false;
        put_padded(f, v, text.text, text.len, false);
        return true;
    case 'x': case 'X':
        put_hex_text(f, v, text);
        return true;
    default:
        put_bad_verb(f, v, arg);
        return true;
    }
}

static bool put_verb(struct formatter *f, const struct verb *v, struct value arg)
{
    if (v->rune == 'T') {
        put_padded(f, v, type_of(arg), strlen(type_of(arg)), false);
        return true;
    }
    switch (kind_of(arg)) {
    case ARG_INT:
        return put_int_verb(f, v, arg);
    case ARG_TEXT:
        return put_text_verb(f, v, arg);
    case ARG_FLOAT:
        break;
    }
    if (!isfinite((double) number_to_real(arg)))
        return put_text_verb(f, v, arg); /* beyond a double: as the text that it is, as in OPA */
    if (v->rune == 'v' || v->rune == 'g' || v->rune == 'G' || v->rune == 'e' || v->rune == 'E' || v->rune == 'f' || v->rune == 'F')
        put_float(f, v, (double) number_to_real(arg));
    else
        put_bad_verb(f, v, arg);
    return true;
}

static bool read_int(struct formatter *f, int *out)
{
    int64_t v    = 0;
    size_t  from = f->i;

    while (f->i < f->len && f->at[f->i] >= '0' && f->at[f->i] <= '9' && v <= WIDTH_MAX)
        v = v * 10 + (f->at[f->i++] - '0');
    if (v > WIDTH_MAX)
        v = WIDTH_MAX;
    *out = (int) v;
    return f->i > from;
}

/* [n]: the next argument is the n-th. */
static void read_index(struct formatter *f)
{
    const char *end = f->i < f->len && f->at[f->i] == '[' ? memchr(f->at + f->i, ']', f->len - f->i) : NULL;
    int         n;

    if (!end)
        return;
    f->reordered = true;
    f->i++;
    if (!read_int(f, &n) || f->at + f->i != end || n < 1 || (uint32_t) n > f->args.in->n)
        f->bad_index = true;
    else
        f->next = (uint32_t) n - 1;
    f->i = (size_t) (end - f->at) + 1;
}

/* A number or *: false when there is none. */
static bool read_size(struct formatter *f, int *out, bool *is_bad)
{
    int64_t v = 0;

    *is_bad = false;
    if (f->i >= f->len || f->at[f->i] != '*')
        return read_int(f, out);
    f->i++;
    *is_bad = f->next >= f->args.in->n || kind_of(array_at(f->args, f->next)) != ARG_INT ||
              !number_to_int64(array_at(f->args, f->next), &v) || v > WIDTH_MAX || v < -WIDTH_MAX;
    f->next += f->next < f->args.in->n;
    *out = (int) v;
    return true;
}

static void read_verb(struct formatter *f, struct verb *v)
{
    bool        is_bad;
    const char *flag;

    for (; f->i < f->len && f->at[f->i] && (flag = strchr("-+ 0#", f->at[f->i])); f->i++) {
        v->minus |= *flag == '-';
        v->plus |= *flag == '+';
        v->space |= *flag == ' ';
        v->zero |= *flag == '0';
        v->sharp |= *flag == '#';
    }
    read_index(f);
    v->has_width = read_size(f, &v->width, &is_bad);
    if (is_bad) {
        text_put(&f->out, "%!(BADWIDTH)", 12);
        v->has_width = false;
        v->width     = 0;
    } else if (v->width < 0) {
        v->minus = true;
        v->width = -v->width;
    }
    if (f->i < f->len && f->at[f->i] == '.') {
        f->i++;
        read_index(f);
        v->has_precision = true;
        if (!read_size(f, &v->precision, &is_bad))
            v->precision = 0;
        if (is_bad || v->precision < 0) {
            v->has_precision = false;
            v->precision     = 0;
            if (is_bad)
                text_put(&f->out, "%!(BADPREC)", 11);
        }
    }
    read_index(f);
}

static void put_complaint(struct formatter *f, const struct verb *v, const char *what)
{
    char rune[4];

    text_put(&f->out, "%!", 2);
    text_put(&f->out, rune, utf8_write(v->rune, rune));
    text_put(&f->out, what, strlen(what));
}

static bool format_one(struct formatter *f)
{
    struct verb v = { 0 };

    f->bad_index = false;
    read_verb(f, &v);
    if (f->i >= f->len) {
        text_put(&f->out, "%!(NOVERB)", 10);
        return true;
    }
    f->i += utf8_step(f->at + f->i, f->len - f->i, &v.rune);
    if (v.rune == '%') {
        text_put_char(&f->out, '%');
        return true;
    }
    if (f->bad_index) {
        put_complaint(f, &v, "(BADINDEX)");
        return true;
    }
    if (f->next >= f->args.in->n) {
        put_complaint(f, &v, "(MISSING)");
        return true;
    }
    return charge(f->call, 1 + (uint64_t) (v.width + v.precision) / 64) && put_verb(f, &v, array_at(f->args, f->next++));
}

static bool put_extra(struct formatter *f)
{
    text_put(&f->out, "%!(EXTRA ", 9);
    for (uint32_t i = f->next; i < f->args.in->n; i++) {
        struct value arg = array_at(f->args, i);

        text_put(&f->out, i > f->next ? ", " : "", i > f->next ? 2 : 0);
        text_put(&f->out, type_of(arg), strlen(type_of(arg)));
        text_put_char(&f->out, '=');
        if (!put_verb(f, &(struct verb){ .rune = 'v' }, arg))
            return false;
    }
    text_put_char(&f->out, ')');
    return true;
}

bool builtin_print_sprintf(struct call *c, const struct value *args, struct value *out)
{
    struct formatter f = { .call = c, .out = text_for(c), .args = args[1], .at = args[0].text, .len = args[0].len };

    if (!want(c, args, 0, VALUE_STRING) || !want(c, args, 1, VALUE_ARRAY) || !charge_bytes(c, args[0].len))
        return false;
    while (f.i < f.len) {
        const char *percent = memchr(f.at + f.i, '%', f.len - f.i);
        size_t      plain   = percent ? (size_t) (percent - f.at) - f.i : f.len - f.i;

        text_put(&f.out, f.at + f.i, plain);
        f.i += plain;
        if (f.i >= f.len)
            break;
        f.i++;
        if (!format_one(&f))
            return false;
    }
    if (!f.reordered && f.next < f.args.in->n && !put_extra(&f))
        return false;
    return charge_bytes(c, f.out.len) && text_take(&f.out, out);
}
