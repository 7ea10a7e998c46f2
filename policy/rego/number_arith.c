#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rego/number.h"

enum { BASE = 1000000000 };

static bool too_long(struct arena *a)
{
    arena_refuse(a, "digits of an integer");
    return false;
}

static void trim(struct integer *i)
{
    while (i->n > 0 && i->limb[i->n - 1] == 0)
        i->n--;
    if (i->n == 0)
        i->negative = false;
}

static int compare_magnitudes(const struct integer *x, const struct integer *y)
{
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    for (uint32_t i = x->n; i-- > 0;)
        if (x->limb[i] != y->limb[i])
            return x->limb[i] < y->limb[i] ? -1 : 1;
    return 0;
}

/* out = |x| + |y|; false when it does not fit */
static bool add_magnitudes(const struct integer *x, const struct integer *y, struct integer *out)
{
    uint32_t n = x->n > y->n ? x->n : y->n, carry = 0;

    if (n + 1 > INTEGER_LIMBS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t sum = x->limb[i] + y->limb[i] + carry; /* limbs behind n are zero */

        carry        = sum >= BASE;
        out->limb[i] = sum - carry * BASE;
    }
    out->limb[n] = carry;
    out->n       = n + 1;
    trim(out);
    return true;
}

/* out = |x| - |y|, where |x| is not smaller */
static void subtract_magnitudes(const struct integer *x, const struct integer *y, struct integer *out)
{
    uint32_t borrow = 0;

    for (uint32_t i = 0; i < x->n; i++) {
        uint32_t less = y->limb[i] + borrow;

        borrow       = x->limb[i] < less;
        out->limb[i] = x->limb[i] + borrow * BASE - less;
    }
    out->n = x->n;
    trim(out);
}

static bool add_integers(const struct integer *x, const struct integer *y, struct integer *out)
{
    memset(out, 0, sizeof *out);
    if (x->negative == y->negative) {
        out->negative = x->negative;
        return add_magnitudes(x, y, out);
    }
    if (compare_magnitudes(x, y) < 0) {
        out->negative = y->negative;
        subtract_magnitudes(y, x, out);
    } else {
        out->negative = x->negative;
        subtract_magnitudes(x, y, out);
    }
    return true;
}

static bool multiply_integers(const struct integer *x, const struct integer *y, struct integer *out)
{
    memset(out, 0, sizeof *out);
    if (x->n + y->n > INTEGER_LIMBS)
        return false;
    for (uint32_t i = 0; i < x->n; i++) {
        uint64_t carry = 0;

        for (uint32_t j = 0; j < y->n || carry; j++) {
            uint64_t v = out->limb[i + j] + carry + (j < y->n ? (uint64_t) x->limb[i] * y->limb[j] : 0);

            out->limb[i + j] = (uint32_t) (v % BASE);
            carry            = v / BASE;
        }
    }
    out->n        = x->n + y->n;
    out->negative = x->negative != y->negative;
    trim(out);
    return true;
}

static void divide_by_limb(const struct integer *x, uint32_t d, struct integer *quotient, struct integer *rest)
{
    uint64_t left = 0;

    for (uint32_t i = x->n; i-- > 0;) {
        left              = left * BASE + x->limb[i];
        quotient->limb[i] = (uint32_t) (left / d);
        left %= d;
    }
    quotient->n   = x->n;
    rest->limb[0] = (uint32_t) left;
    rest->n       = 1;
}

/* rest = rest * BASE + limb */
static void push_limb(struct integer *rest, uint32_t limb)
{
    memmove(&rest->limb[1], &rest->limb[0], rest->n * sizeof rest->limb[0]);
    rest->limb[0] = limb;
    rest->n++;
    trim(rest);
}

/* The upper limbs as a real, in units of BASE to the `below`. */
static long double upper(const struct integer *i, uint32_t below)
{
    long double r = 0;

    for (uint32_t l = i->n; l-- > below;)
        r = r * BASE + i->limb[l];
    return r;
}

/* How often |y| goes into |rest|, where rest < BASE * |y|: estimated to within two, then tried. */
static uint32_t count_in(const struct integer *rest, const struct integer *y)
{
    uint32_t       below = y->n > 4 ? y->n - 4 : 0;
    long double    guess = upper(rest, below) / upper(y, below);
    uint32_t       low   = guess > 2 ? (uint32_t) (guess - 2) : 0, high = guess + 2 < BASE - 1 ? (uint32_t) (guess + 2) : BASE - 1;
    struct integer times, factor = { .n = 1 };

    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;

        factor.limb[0] = middle;
        if (multiply_integers(y, &factor, &times) && compare_magnitudes(&times, rest) <= 0)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Towards zero; the rest has the sign of x. y is not zero. */
static void divide_integers(const struct integer *x, const struct integer *y, struct integer *quotient, struct integer *rest)
{
    struct integer piece = { .n = 1 }, times, left;

    memset(quotient, 0, sizeof *quotient);
    memset(rest, 0, sizeof *rest);
    if (y->n == 1) {
        divide_by_limb(x, y->limb[0], quotient, rest);
    } else {
        for (uint32_t i = x->n; i-- > 0;) {
            push_limb(rest, x->limb[i]);
            piece.limb[0]     = count_in(rest, y);
            quotient->limb[i] = piece.limb[0];
            if (piece.limb[0] == 0 || !multiply_integers(y, &piece, &times))
                continue;
            memset(&left, 0, sizeof left);
            subtract_magnitudes(rest, &times, &left);
            *rest = left;
        }
        quotient->n = x->n;
    }
    quotient->negative = x->negative != y->negative;
    rest->negative     = x->negative;
    trim(quotient);
    trim(rest);
}

FALLIBLE number_of_integer(struct arena *a, const struct integer *i, struct value *out)
{
    size_t room = 2 + (size_t) i->n * 9, len = 0;
    char  *text;

    if (i->n == 0) {
        *out = value_int(0);
        return true;
    }
    if (i->n > (NUMBER_DIGITS_MAX + 8) / 9)
        return too_long(a);
    text = arena_text(a, room);
    if (!text)
        return false;
    len = (size_t) snprintf(text, room, "%s%u", i->negative ? "-" : "", i->limb[i->n - 1]);
    for (uint32_t l = i->n - 1; l-- > 0;)
        len += (size_t) snprintf(text + len, room - len, "%09u", i->limb[l]);

    struct err err;
    return number_read(text, len, out, &err) || too_long(a);
}

/*
 * The fewest digits that read back as the same 64-bit mantissa, as in 0.DIGITS e EXPONENT + 1. Up to 18 digits
 * survive the way to such a mantissa and back, so rounding to 18 finds every shorter form too.
 */
struct shortest {
    bool   negative;
    char   digits[24];
    size_t n;
    long   exponent; /* of the first digit */
};

static void shorten(long double r, struct shortest *out)
{
    char  text[40], *e; /* 40 bytes hold 21 digits */
    int   precision = 18;

    for (;; precision++) {
        (void) snprintf(text, sizeof text, "%.*Le", precision - 1, r);
        if (precision == 21 || strtold(text, NULL) == r)
            break;
    }
    e             = strchr(text, 'e');
    out->negative = text[0] == '-';
    out->exponent = strtol(e + 1, NULL, 10);
    out->n        = 0;
    for (const char *d = text + out->negative; d < e; d++)
        if (*d != '.')
            out->digits[out->n++] = *d;
    while (out->n > 1 && out->digits[out->n - 1] == '0')
        out->n--;
}

/* What Go's big.Float prints: integers written out, else a point or, far from one, an exponent. */
static size_t write_shortest(const struct shortest *s, char *text, size_t room)
{
    size_t n = s->negative;
    int    n_digits = (int) s->n, exponent = (int) s->exponent;

    text[0] = '-';
    if (exponent >= n_digits - 1) {
        memcpy(text + n, s->digits, s->n);
        memset(text + n + s->n, '0', (size_t) (exponent + 1 - n_digits));
        return n + (size_t) exponent + 1;
    }
    if (exponent >= 6 || exponent < -4)
        return n + (size_t) snprintf(text + n, room - n, "%c%s%.*se%c%02d", s->digits[0], n_digits > 1 ? "." : "", n_digits - 1,
                                     s->digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
    if (exponent < 0)
        return n + (size_t) snprintf(text + n, room - n, "0.%.*s%.*s", -exponent - 1, "0000", n_digits, s->digits);
    return n + (size_t) snprintf(text + n, room - n, "%.*s.%.*s", exponent + 1, s->digits, n_digits - 1 - exponent,
                                 s->digits + exponent + 1);
}

FALLIBLE number_of_real(struct arena *a, long double r, struct value *out)
{
    struct shortest s;
    struct err      err;
    size_t          room, n;
    char           *text;

    if (r != r || r - r != 0) { /* not a number, infinite */
        arena_refuse(a, "size of a number");
        return false;
    }
    shorten(r, &s);
    if (s.exponent > NUMBER_DIGITS_MAX || s.exponent < -NUMBER_EXPONENT_MAX) {
        arena_refuse(a, "size of a number");
        return false;
    }
    room = 64 + (s.exponent > 0 ? (size_t) s.exponent : 0);
    text = arena_text(a, room);
    if (!text)
        return false;
    n = write_shortest(&s, text, room);
    arena_shrink(a, text, room, n);
    return number_read(text, n, out, &err) || too_long(a);
}

enum operation { ADD, SUBTRACT, MULTIPLY };

static bool exact(struct arena *a, enum operation op, struct value x, struct value y, struct value *out)
{
    struct integer i, j, r;

    if (!integer_of(x, &i) || !integer_of(y, &j))
        return too_long(a);
    if (op == SUBTRACT && j.n > 0)
        j.negative = !j.negative;
    if (!(op == MULTIPLY ? multiply_integers(&i, &j, &r) : add_integers(&i, &j, &r)))
        return too_long(a);
    return number_of_integer(a, &r, out);
}

static bool are_integers(struct value x, struct value y)
{
    return number_is_integer(x) && number_is_integer(y);
}

FALLIBLE number_add(struct arena *a, struct value x, struct value y, struct value *out)
{
    int64_t sum;

    if (!x.is_decimal && !y.is_decimal && !__builtin_add_overflow(x.integer, y.integer, &sum)) {
        *out = value_int(sum);
        return true;
    }
    if (are_integers(x, y))
        return exact(a, ADD, x, y, out);
    return number_of_real(a, number_to_real(x) + number_to_real(y), out);
}

FALLIBLE number_subtract(struct arena *a, struct value x, struct value y, struct value *out)
{
    int64_t difference;

    if (!x.is_decimal && !y.is_decimal && !__builtin_sub_overflow(x.integer, y.integer, &difference)) {
        *out = value_int(difference);
        return true;
    }
    if (are_integers(x, y))
        return exact(a, SUBTRACT, x, y, out);
    return number_of_real(a, number_to_real(x) - number_to_real(y), out);
}

FALLIBLE number_multiply(struct arena *a, struct value x, struct value y, struct value *out)
{
    int64_t product;

    if (!x.is_decimal && !y.is_decimal && !__builtin_mul_overflow(x.integer, y.integer, &product)) {
        *out = value_int(product);
        return true;
    }
    if (are_integers(x, y))
        return exact(a, MULTIPLY, x, y, out);
    return number_of_real(a, number_to_real(x) * number_to_real(y), out);
}

FALLIBLE number_divide(struct arena *a, struct value x, struct value y, struct value *out)
{
    struct integer i, j, quotient, rest;

    if (!x.is_decimal && !y.is_decimal && y.integer != -1 && x.integer % y.integer == 0) {
        *out = value_int(x.integer / y.integer);
        return true;
    }
    if (are_integers(x, y) && integer_of(x, &i) && integer_of(y, &j)) {
        divide_integers(&i, &j, &quotient, &rest);
        if (rest.n == 0)
            return number_of_integer(a, &quotient, out);
    }
    return number_of_real(a, number_to_real(x) / number_to_real(y), out);
}

FALLIBLE number_remainder(struct arena *a, struct value x, struct value y, struct value *out)
{
    struct integer i, j, quotient, rest;

    if (!x.is_decimal && !y.is_decimal) {
        *out = value_int(y.integer == -1 ? 0 : x.integer % y.integer);
        return true;
    }
    if (!integer_of(x, &i) || !integer_of(y, &j))
        return too_long(a);
    divide_integers(&i, &j, &quotient, &rest);
    return number_of_integer(a, &rest, out);
}
