#include "policy/rego/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(const char *at, size_t len, size_t from)
{
    size_t i = from;

    while (i < len && is_digit(at[i]))
        i++;
    return i - from;
}

/* Length of the number at the start of `at`, 0 when there is none. */
static size_t json_syntax(const char *at, size_t len, bool *plain)
{
    size_t i = len > 0 && at[0] == '-', n = count_digits(at, len, i);

    *plain = true;
    if (n == 0 || (n > 1 && at[i] == '0'))
        return 0;
    i += n;
    if (i < len && at[i] == '.') {
        n      = count_digits(at, len, i + 1);
        *plain = false;
        if (n == 0)
            return 0;
        i += 1 + n;
    }
    if (i < len && (at[i] == 'e' || at[i] == 'E')) {
        size_t sign = i + 1 < len && (at[i + 1] == '+' || at[i + 1] == '-');

        n      = count_digits(at, len, i + 1 + sign);
        *plain = false;
        if (n == 0)
            return 0;
        i += 1 + sign + n;
    }
    return i;
}

static bool read_int64(const char *at, size_t len, int64_t *out)
{
    bool    negative = at[0] == '-';
    int64_t v        = 0;

    if (negative && at[1] == '0')
        return false; /* -0 keeps its text */
    for (size_t i = negative; i < len; i++) {
        int digit = at[i] - '0';

        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, digit, &v))
            return false;
    }
    if (negative) {
        *out = v;
        return true;
    }
    return !__builtin_sub_overflow(0, v, out);
}

/* Sign, digits without leading and trailing zeros, and where the point is: 0.DIGITS times ten to `exponent`. */
struct decimal {
    bool        negative;
    const char *at; /* digits, perhaps with a point among them */
    size_t      n;  /* digits only; 0 for zero */
    int64_t     exponent;
};

static int64_t exponent_of(const char *at, size_t len)
{
    bool    negative = len > 0 && at[0] == '-';
    int64_t e        = 0;

    for (size_t i = len > 0 && !is_digit(at[0]); i < len; i++)
        if (e <= INT32_MAX)
            e = e * 10 + (at[i] - '0');
    return negative ? -e : e;
}

static struct decimal decimal_of_text(const char *at, size_t len)
{
    struct decimal d         = { .negative = len > 0 && at[0] == '-' };
    size_t         i         = d.negative, significant = 0;
    bool           has_point = false;

    for (; i < len && at[i] != 'e' && at[i] != 'E'; i++) {
        if (at[i] == '.') {
            has_point = true;
            continue;
        }
        if (d.n == 0 && at[i] == '0') {
            d.exponent -= has_point;
            continue;
        }
        if (d.n == 0)
            d.at = at + i;
        d.n++;
        if (at[i] != '0')
            significant = d.n;
        d.exponent += !has_point;
    }
    d.n = significant;
    if (i < len)
        d.exponent += exponent_of(at + i + 1, len - i - 1);
    if (d.n == 0)
        d = (struct decimal){ 0 };
    return d;
}

FALLIBLE number_read(const char *at, size_t len, struct value *out, struct err *err)
{
    bool    plain;
    int64_t i;

    if (len == 0 || json_syntax(at, len, &plain) != len)
        return fail_with(err, ERR_MALFORMED, "not a number: %.*s", (int) (len < 40 ? len : 40), at);
    if (len > NUMBER_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "number of %zu characters, at most %d", len, NUMBER_TEXT_MAX);
    if (plain && read_int64(at, len, &i)) {
        *out = value_int(i);
        return true;
    }

    const char *e = plain ? NULL : memchr(at, 'e', len);
    if (!plain && !e)
        e = memchr(at, 'E', len);
    if (e) {
        int64_t exponent = exponent_of(e + 1, len - (size_t) (e + 1 - at));

        if (exponent > NUMBER_EXPONENT_MAX || exponent < -NUMBER_EXPONENT_MAX)
            return fail_with(err, ERR_LIMIT, "exponent of a number beyond %d", NUMBER_EXPONENT_MAX);
    }
    *out = (struct value){ .type = VALUE_NUMBER, .is_decimal = true, .len = (uint32_t) len, .text = at };
    return true;
}

struct bytes number_text(struct value v, char spare[static 24])
{
    if (v.is_decimal)
        return (struct bytes){ (const uint8_t *) v.text, v.len };

    int n = snprintf(spare, 24, "%lld", (long long) v.integer);
    return (struct bytes){ (const uint8_t *) spare, (size_t) n };
}

static struct decimal decimal_of(struct value v, char spare[static 24])
{
    struct bytes t = number_text(v, spare);

    return decimal_of_text((const char *) t.at, t.len);
}

/* The next digit, stepping over the point. */
static char next_digit(const char **at)
{
    if (**at == '.')
        (*at)++;
    return *(*at)++;
}

static int compare_magnitudes(struct decimal a, struct decimal b)
{
    if (a.n == 0 || b.n == 0)
        return (a.n > 0) - (b.n > 0);
    if (a.exponent != b.exponent)
        return a.exponent < b.exponent ? -1 : 1;
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        char x = next_digit(&a.at), y = next_digit(&b.at);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.n > b.n) - (a.n < b.n);
}

int number_compare(struct value x, struct value y)
{
    char           spare_x[24], spare_y[24];
    struct decimal a = decimal_of(x, spare_x), b = decimal_of(y, spare_y);

    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    return a.negative ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
}

uint64_t number_hash(struct value v)
{
    char           spare[24];
    struct decimal d = decimal_of(v, spare);
    uint64_t       h = (uint64_t) d.exponent * 2 + d.negative;

    for (size_t i = 0; i < d.n; i++)
        h = h * 31 + (uint8_t) next_digit(&d.at);
    return h;
}

bool number_is_integer(struct value v)
{
    char           spare[24];
    struct decimal d;

    if (!v.is_decimal)
        return true;
    d = decimal_of(v, spare);
    return d.n == 0 || d.exponent >= (int64_t) d.n;
}

bool number_to_int64(struct value v, int64_t *out)
{
    struct decimal d;
    char           spare[24];
    int64_t        r = 0;

    if (!v.is_decimal) {
        *out = v.integer;
        return true;
    }
    d = decimal_of(v, spare);
    if (d.n > 0 && (d.exponent < (int64_t) d.n || d.exponent > 19))
        return false;
    for (int64_t i = 0; i < d.exponent; i++) {
        int digit = i < (int64_t) d.n ? next_digit(&d.at) - '0' : 0;

        if (__builtin_mul_overflow(r, 10, &r) || __builtin_sub_overflow(r, digit, &r))
            return false;
    }
    if (d.negative)
        *out = r;
    return d.negative || !__builtin_sub_overflow(0, r, out);
}

bool integer_of(struct value v, struct integer *out)
{
    char           spare[24];
    struct decimal d = decimal_of(v, spare);

    memset(out, 0, sizeof *out);
    if (d.n == 0)
        return true;
    if (d.exponent < (int64_t) d.n || d.exponent > NUMBER_DIGITS_MAX)
        return false;
    out->negative = d.negative;
    out->n        = (uint32_t) (d.exponent + 8) / 9;
    for (int64_t i = d.exponent - 1; i >= 0; i--) { /* i: power of ten of the digit */
        char      c = d.exponent - 1 - i < (int64_t) d.n ? next_digit(&d.at) : '0';
        uint32_t *l = &out->limb[i / 9];

        *l = *l * 10 + (uint32_t) (c - '0');
    }
    return true;
}

static long double long_to_real(struct value v)
{
    char text[NUMBER_TEXT_MAX + 1];

    memcpy(text, v.text, v.len);
    text[v.len] = '\0';
    return strtold(text, NULL);
}

long double number_to_real(struct value v)
{
    char text[128];

    if (!v.is_decimal)
        return (long double) v.integer;
    if (v.len >= sizeof text)
        return long_to_real(v);
    memcpy(text, v.text, v.len);
    text[v.len] = '\0';
    return strtold(text, NULL);
}
