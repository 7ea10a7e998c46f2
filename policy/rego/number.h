/* Rego numbers: 64-bit integers, and decimal text for everything else; integers are exact up to 4,096 bits. */
#pragma once

#include "policy/rego/value.h"

enum { NUMBER_EXPONENT_MAX = 10000, NUMBER_DIGITS_MAX = 1233, NUMBER_TEXT_MAX = 2500 };

/*
 * Reads one number in JSON syntax that fills `at`, which is borrowed. Fails MALFORMED, and LIMIT for more
 * than NUMBER_TEXT_MAX characters or an exponent beyond NUMBER_EXPONENT_MAX.
 */
FALLIBLE number_read(const char *at, size_t len, struct value *out, struct err *err);

int      number_compare(struct value a, struct value b); /* exact, in every mix of forms */
uint64_t number_hash(struct value v);

/* The text as JSON and Rego print it; `spare` has 24 bytes for integers. Borrowed from v or from spare. */
struct bytes number_text(struct value v, char spare[static 24]);

bool        number_is_integer(struct value v);            /* 2, 2.0 and 2e3 are */
bool        number_to_int64(struct value v, int64_t *out); /* false when it has a fraction or is out of range */
long double number_to_real(struct value v);

/* Exact integers as digits in base 1e9, least first. */
enum { INTEGER_LIMBS = 140 };
struct integer {
    bool     negative; /* never with n == 0 */
    uint32_t n;
    uint32_t limb[INTEGER_LIMBS];
};
bool integer_of(struct value v, struct integer *out); /* false: not an integer, or more than NUMBER_DIGITS_MAX digits */

/*
 * Results. `false` with a failed arena: memory, or an integer of more than NUMBER_DIGITS_MAX digits; division
 * by zero is the caller's to refuse. Integers stay exact; with a fraction on either side the result is rounded
 * to a 64-bit mantissa and printed with the fewest digits that give it back.
 */
FALLIBLE number_add(struct arena *a, struct value x, struct value y, struct value *out);
FALLIBLE number_subtract(struct arena *a, struct value x, struct value y, struct value *out);
FALLIBLE number_multiply(struct arena *a, struct value x, struct value y, struct value *out);
FALLIBLE number_divide(struct arena *a, struct value x, struct value y, struct value *out);
FALLIBLE number_remainder(struct arena *a, struct value x, struct value y, struct value *out); /* integers; sign of x */
FALLIBLE number_of_integer(struct arena *a, const struct integer *i, struct value *out);
FALLIBLE number_of_real(struct arena *a, long double r, struct value *out);
