#include <string.h>

#include "base/auto.h"
#include "policy/rego/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
    if (!claim)
        __builtin_trap();
}

/* For integers: (x + y) - y is x, and x is (x / y) * y + x % y when y divides without a rest. */
static void check_integers(struct arena *a, struct value x, struct value y)
{
    struct value sum, back, rest, quotient;

    if (!number_add(a, x, y, &sum) || !number_subtract(a, sum, y, &back))
        return;
    require(number_compare(back, x) == 0 && number_hash(back) == number_hash(x));
    if (number_compare(y, value_int(0)) == 0 || !number_remainder(a, x, y, &rest))
        return;
    if (!number_subtract(a, x, rest, &sum) || !number_divide(a, sum, y, &quotient) || !number_multiply(a, quotient, y, &back))
        return;
    require(number_compare(back, sum) == 0);
}

/* Two numbers, one per line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena a    = arena_of(1 << 20);
    const char              *text = (const char *) data;
    const uint8_t           *line = size ? memchr(data, '\n', size) : NULL;
    struct value             x, y, r;
    struct err               err;
    size_t                   n = line ? (size_t) (line - data) : 0;

    if (!line || !number_read(text, n, &x, &err) || !number_read(text + n + 1, size - n - 1, &y, &err))
        return 0;
    require(number_compare(x, y) == -number_compare(y, x));
    require(number_compare(x, y) != 0 || number_hash(x) == number_hash(y));
    if (number_is_integer(x) && number_is_integer(y))
        check_integers(&a, x, y);
    else if (number_multiply(&a, x, y, &r) && number_add(&a, r, y, &r) && number_compare(y, value_int(0)) != 0)
        (void) !number_divide(&a, x, y, &r); /* whatever it is, it is a number or a limit */
    return 0;
}
