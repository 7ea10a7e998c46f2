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

/* How often |y| goes into |rest|, found by halving: rest < BASE * |y|. */
static uint32_t count_in(const struct integer *rest, const struct integer *y)
{
    struct integer times, guess = { .n = 1 };
    uint32_t       low = 0, high = BASE - 1;

    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;

        guess.limb[0] = middle;
        if (multiply_integers(y, &guess, &times) && (times.negative = false, compare_magnitudes(&times, rest) <= 0))
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

/* What Go's big.Float prints: the fewest digits that read back as the same 64-bit mantissa. */
FALLIBLE number_of_real(struct arena *a, long double r, struct value *out)
{
    char       *text;
    struct err  err;
    char        digits[40];
    int         precision = 1;
    long double back;

    if (r != r || r - r != 0) { /* not a number, infinite */
        arena_refuse(a, "size of a number");
        return false;
    }
    for (;; precision++) {
        (void) snprintf(digits, sizeof digits, "%.*Le", precision - 1, r); /* 40 bytes hold 21 digits */
        back = strtold(digits, NULL);
        if (back == r || precision == 21)
            break;
    }

    char *e        = strchr(digits, 'e');
    long  exponent = strtol(e + 1, NULL, 10);
    bool  negative = digits[0] == '-';
    if (exponent > NUMBER_DIGITS_MAX || exponent < -NUMBER_EXPONENT_MAX) {
        arena_refuse(a, "size of a number");
        return false;
    }
    text = arena_text(a, NUMBER_DIGITS_MAX + 64);
    if (!text)
        return false;

    size_t n = 0, n_digits = 0;
    char   plain[24];
    for (const char *d = digits + negative; d < e; d++)
        if (*d != '.')
            plain[n_digits++] = *d;
    if (negative)
        text[n++] = '-';
    if (exponent >= (long) n_digits - 1) { /* an integer is written out */
        memcpy(text + n, plain, n_digits);
        n += n_digits;
        memset(text + n, '0', (size_t) exponent + 1 - n_digits);
        n += (size_t) exponent + 1 - n_digits;
    } else if (exponent >= 6 || exponent < -4) {
        n += (size_t) snprintf(text + n, 40, "%c%s%.*se%c%02ld", plain[0], n_digits > 1 ? "." : "", (int) n_digits - 1,
                               plain + 1, exponent < 0 ? '-' : '+', labs(exponent));
    } else if (exponent < 0) {
        n += (size_t) snprintf(text + n, 64, "0.%.*s%.*s", (int) -exponent - 1, "0000", (int) n_digits, plain);
    } else {
        n += (size_t) snprintf(text + n, 64, "%.*s.%.*s", (int) exponent + 1, plain, (int) (n_digits - 1) - (int) exponent,
                               plain + exponent + 1);
    }
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
