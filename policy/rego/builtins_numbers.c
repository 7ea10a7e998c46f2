#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_NUMBERS(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

typedef bool arithmetic(struct arena *a, struct value x, struct value y, struct value *out);

/* Long integers cost by the product of their lengths, fractions a fixed sum. */
static bool charge_digits(struct call *c, struct value x, struct value y)
{
    uint64_t n = x.is_decimal || y.is_decimal ? 64 + (uint64_t) (x.is_decimal ? x.len : 20) * (y.is_decimal ? y.len : 20) / 128 : 0;

    return n == 0 || charge(c, n);
}

static bool calculate(struct call *c, const struct value *args, arithmetic *operation, struct value *out)
{
    if (!want(c, args, 0, VALUE_NUMBER) || !want(c, args, 1, VALUE_NUMBER) || !charge_digits(c, args[0], args[1]))
        return false;
    return operation(c->arena, args[0], args[1], out);
}

bool builtin_number_plus(struct call *c, const struct value *args, struct value *out)
{
    return calculate(c, args, number_add, out);
}

bool builtin_number_mul(struct call *c, const struct value *args, struct value *out)
{
    return calculate(c, args, number_multiply, out);
}

static bool take_away(struct call *c, struct value x, struct value y, struct value *out)
{
    if (!charge(c, x.in->n) || !charge(c, cost_of(x)) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (uint32_t i = 0; i < x.in->n; i++)
        if (!set_has(y, array_at(x, i)) && !set_add(c->arena, *out, array_at(x, i)))
            return false;
    return true;
}

bool builtin_number_minus(struct call *c, const struct value *args, struct value *out)
{
    if (args[0].type == VALUE_SET && args[1].type == VALUE_SET)
        return take_away(c, args[0], args[1], out);
    if (args[0].type == VALUE_SET)
        return want(c, args, 1, VALUE_SET);
    if (args[0].type == VALUE_NUMBER)
        return want(c, args, 1, VALUE_NUMBER) && calculate(c, args, number_subtract, out);
    return want_one_of(c, args, 0, 0, "number, set");
}

bool builtin_number_div(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_NUMBER) || !want(c, args, 1, VALUE_NUMBER))
        return false;
    if (number_compare(args[1], value_int(0)) == 0)
        return builtin_error(c, "divide by zero");
    return calculate(c, args, number_divide, out);
}

bool builtin_number_rem(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_NUMBER) || !want(c, args, 1, VALUE_NUMBER))
        return false;
    if (!number_is_integer(args[0]) || !number_is_integer(args[1]))
        return builtin_error(c, "modulo on floating-point number");
    if (number_compare(args[1], value_int(0)) == 0)
        return builtin_error(c, "modulo by zero");
    return calculate(c, args, number_remainder, out);
}

bool builtin_number_abs(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_NUMBER))
        return false;
    *out = args[0];
    if (number_compare(args[0], value_int(0)) >= 0)
        return true;
    return number_subtract(c->arena, value_int(0), args[0], out);
}

static bool to_whole(struct call *c, const struct value *args, long double (*rounded)(long double), struct value *out)
{
    if (!want(c, args, 0, VALUE_NUMBER))
        return false;
    if (number_is_integer(args[0])) {
        struct integer i;

        if (!args[0].is_decimal || !integer_of(args[0], &i))
            return give(out, args[0]);
        return number_of_integer(c->arena, &i, out);
    }
    return number_of_real(c->arena, rounded(number_to_real(args[0])), out);
}

bool builtin_number_ceil(struct call *c, const struct value *args, struct value *out)
{
    return to_whole(c, args, ceill, out);
}

bool builtin_number_floor(struct call *c, const struct value *args, struct value *out)
{
    return to_whole(c, args, floorl, out);
}

bool builtin_number_round(struct call *c, const struct value *args, struct value *out)
{
    return to_whole(c, args, roundl, out); /* half away from zero */
}

static bool compare(struct call *c, const struct value *args, int *out)
{
    uint64_t cost = cost_of(args[0]) < cost_of(args[1]) ? cost_of(args[0]) : cost_of(args[1]);

    if (cost > 0 && !charge(c, cost))
        return false;
    *out = value_compare(args[0], args[1]);
    return true;
}

#define COMPARISON(name, operator)                                                           \
    bool builtin_compare_##name(struct call *c, const struct value *args, struct value *out) \
    {                                                                                        \
        int order;                                                                           \
                                                                                             \
        return compare(c, args, &order) && give(out, value_bool(order operator 0));          \
    }
COMPARISON(equal, ==)
COMPARISON(neq, !=)
COMPARISON(gt, >)
COMPARISON(gte, >=)
COMPARISON(lt, <)
COMPARISON(lte, <=)

/* Two's complement of any length, as bits in 32-bit words, least first, sign in `negative`. */
enum { WORDS = 130 };
struct binary {
    bool     negative;
    uint32_t word[WORDS];
};

static void double_and_add(uint32_t *word, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;

    for (int i = 0; i < WORDS; i++) {
        carry += (uint64_t) word[i] * factor;
        word[i] = (uint32_t) carry;
        carry >>= 32;
    }
}

static void flip(struct binary *b)
{
    uint64_t carry = 1;

    for (int i = 0; i < WORDS; i++) {
        carry += (uint32_t) ~b->word[i];
        b->word[i] = (uint32_t) carry;
        carry >>= 32;
    }
}

static bool binary_of(struct call *c, struct value v, struct binary *out)
{
    struct integer i;

    memset(out, 0, sizeof *out);
    if (!v.is_decimal) {
        uint64_t u    = (uint64_t) v.integer;
        out->negative = v.integer < 0;
        if (out->negative)
            memset(out->word, 0xff, sizeof out->word);
        out->word[0] = (uint32_t) u;
        out->word[1] = (uint32_t) (u >> 32);
        return true;
    }
    if (!integer_of(v, &i) || !charge(c, i.n)) {
        arena_refuse(c->arena, "digits of an integer");
        return false;
    }
    for (uint32_t l = i.n; l-- > 0;)
        double_and_add(out->word, 1000000000, i.limb[l]);
    out->negative = i.negative;
    if (i.negative)
        flip(out);
    return true;
}

static bool value_of_binary(struct call *c, struct binary *b, struct value *out)
{
    struct integer i = { 0 };

    b->negative = b->word[WORDS - 1] >> 31;
    i.negative  = b->negative;
    if (b->negative)
        flip(b);
    for (int top = WORDS; top > 0;) {
        uint64_t rest = 0;

        if (b->word[top - 1] == 0) {
            top--;
            continue;
        }
        if (i.n >= INTEGER_LIMBS) {
            arena_refuse(c->arena, "digits of an integer");
            return false;
        }
        for (int w = top; w-- > 0;) {
            rest       = rest << 32 | b->word[w];
            b->word[w] = (uint32_t) (rest / 1000000000);
            rest %= 1000000000;
        }
        i.limb[i.n++] = (uint32_t) rest;
    }
    if (i.n == 0)
        i.negative = false;
    return number_of_integer(c->arena, &i, out);
}

enum bits { BITS_AND, BITS_OR, BITS_XOR };

static bool combine(struct call *c, const struct value *args, enum bits how, struct value *out)
{
    struct binary x, y;

    if (!want_integer(c, args, 0) || !want_integer(c, args, 1))
        return false;
    if (!args[0].is_decimal && !args[1].is_decimal) {
        int64_t a = args[0].integer, b = args[1].integer;

        return give(out, value_int(how == BITS_AND ? a & b : how == BITS_OR ? a | b : a ^ b));
    }
    if (!binary_of(c, args[0], &x) || !binary_of(c, args[1], &y))
        return false;
    for (int i = 0; i < WORDS; i++)
        x.word[i] = how == BITS_AND ? x.word[i] & y.word[i] : how == BITS_OR ? x.word[i] | y.word[i] : x.word[i] ^ y.word[i];
    return value_of_binary(c, &x, out);
}

bool builtin_bits_and(struct call *c, const struct value *args, struct value *out)
{
    return combine(c, args, BITS_AND, out);
}

bool builtin_bits_or(struct call *c, const struct value *args, struct value *out)
{
    return combine(c, args, BITS_OR, out);
}

bool builtin_bits_xor(struct call *c, const struct value *args, struct value *out)
{
    return combine(c, args, BITS_XOR, out);
}

bool builtin_bits_negate(struct call *c, const struct value *args, struct value *out)
{
    return want_integer(c, args, 0) && number_subtract(c->arena, value_int(-1), args[0], out);
}

static bool want_shift(struct call *c, const struct value *args, int64_t *out)
{
    if (!want_integer(c, args, 0) || !want_int(c, args, 1, out))
        return false;
    if (*out < 0)
        return type_error(c, "operand 2 must be an unsigned integer number but got a negative integer");
    return true;
}

bool builtin_bits_lsh(struct call *c, const struct value *args, struct value *out)
{
    struct integer shift = { .n = 1, .limb = { 1 } };
    int64_t        count;
    struct value   factor;

    if (!want_shift(c, args, &count))
        return false;
    if (count > 4096) {
        arena_refuse(c->arena, "bits of a shift");
        return false;
    }

    struct binary power = { 0 };
    power.word[count / 32] = 1u << (count % 32);
    (void) shift;
    return charge(c, (uint64_t) count / 8) && value_of_binary(c, &power, &factor) &&
           number_multiply(c->arena, args[0], factor, out);
}

bool builtin_bits_rsh(struct call *c, const struct value *args, struct value *out)
{
    struct binary x;
    int64_t       count;

    if (!want_shift(c, args, &count) || !binary_of(c, args[0], &x))
        return false;
    if (count >= WORDS * 32)
        return give(out, value_int(x.negative ? -1 : 0));

    uint32_t fill = x.negative ? UINT32_MAX : 0;
    int      by = (int) (count / 32), rest = (int) (count % 32);
    for (int i = 0; i < WORDS; i++) {
        uint64_t low = i + by < WORDS ? x.word[i + by] : fill, high = i + by + 1 < WORDS ? x.word[i + by + 1] : fill;

        x.word[i] = (uint32_t) ((high << 32 | low) >> rest);
    }
    return value_of_binary(c, &x, out);
}

static bool format_in_base(struct call *c, struct value v, uint32_t base, struct value *out)
{
    struct binary b;
    char          digits[WORDS * 32 + 2];
    size_t        n = sizeof digits;

    if (!binary_of(c, v, &b))
        return false;
    if (b.negative)
        flip(&b);
    for (int top = WORDS; top > 0;) {
        uint64_t rest = 0;

        if (b.word[top - 1] == 0) {
            top--;
            continue;
        }
        for (int w = top; w-- > 0;) {
            rest      = rest << 32 | b.word[w];
            b.word[w] = (uint32_t) (rest / base);
            rest %= base;
        }
        digits[--n] = "0123456789abcdef"[rest];
    }
    if (n == sizeof digits)
        digits[--n] = '0';
    if (b.negative)
        digits[--n] = '-';

    struct text_out t = text_for(c);
    text_put(&t, digits + n, sizeof digits - n);
    return text_take(&t, out);
}

bool builtin_number_format_int(struct call *c, const struct value *args, struct value *out)
{
    struct value whole = args[0];
    int64_t      base;

    if (!want(c, args, 0, VALUE_NUMBER) || !want(c, args, 1, VALUE_NUMBER))
        return false;
    if (!number_to_int64(args[1], &base) || (base != 2 && base != 8 && base != 10 && base != 16))
        return type_error(c, "operand 2 must be one of {2, 8, 10, 16}");
    if (!number_is_integer(whole) && !number_of_real(c->arena, floorl(number_to_real(whole)), &whole))
        return false;
    return format_in_base(c, whole, (uint32_t) base, out);
}

static bool range(struct call *c, const struct value *args, int64_t step, struct value *out)
{
    int64_t from, to;

    if (!want_int(c, args, 0, &from) || !want_int(c, args, 1, &to))
        return false;

    uint64_t span = from <= to ? (uint64_t) to - (uint64_t) from : (uint64_t) from - (uint64_t) to;
    uint64_t n    = span / (uint64_t) step;
    if (n >= VALUE_ELEMENTS_MAX) {
        arena_refuse(c->arena, "elements of one collection");
        return false;
    }
    if (!charge(c, n) || !give_new(c, VALUE_ARRAY, n + 1, out))
        return false;
    for (uint64_t i = 0; i <= n; i++) {
        int64_t v = from <= to ? from + (int64_t) (i * (uint64_t) step) : from - (int64_t) (i * (uint64_t) step);

        if (!array_append(c->arena, *out, value_int(v)))
            return false;
    }
    return true;
}

bool builtin_numbers_range(struct call *c, const struct value *args, struct value *out)
{
    return range(c, args, 1, out);
}

bool builtin_numbers_range_step(struct call *c, const struct value *args, struct value *out)
{
    int64_t step;

    if (!want_integer(c, args, 0) || !want_integer(c, args, 1) || !want_int(c, args, 2, &step))
        return false;
    if (step <= 0)
        return builtin_error(c, "step must be a positive integer");
    return range(c, args, step, out);
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* Go's decimal syntax made JSON's: no plus, no leading zeros, digits on both sides of the point. */
static bool canonical(const char *at, size_t len, struct text_out *t)
{
    size_t i = len > 0 && (at[0] == '+' || at[0] == '-'), from, n;

    if (i > 0 && at[0] == '-')
        text_put_char(t, '-');
    for (from = i; i < len && is_digit(at[i]);)
        i++;
    n = i - from;
    while (n > 1 && at[from] == '0') {
        from++;
        n--;
    }
    if (n == 0 && !(i + 1 < len && at[i] == '.' && is_digit(at[i + 1])))
        return false;
    text_put(t, n > 0 ? at + from : "0", n > 0 ? n : 1);
    if (i < len && at[i] == '.') {
        for (from = ++i; i < len && is_digit(at[i]);)
            i++;
        if (i > from) {
            text_put_char(t, '.');
            text_put(t, at + from, i - from);
        }
    }
    text_put(t, at + i, len - i); /* an exponent, judged by number_read */
    return true;
}

/* Spellings of infinities and of what is no number, which Go's parser would take. */
static bool is_not_finite(struct value text)
{
    static const char *const words[] = { "inf", "infinity", "nan" };
    size_t                   sign    = text.len > 0 && (text.text[0] == '+' || text.text[0] == '-');

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (text.len - sign == strlen(words[i]) && strncasecmp(text.text + sign, words[i], text.len - sign) == 0)
            return true;
    return false;
}

static bool parse_number(struct call *c, struct value text, struct value *out)
{
    struct text_out t = text_for(c);
    struct value    canon;
    struct err      err;

    if (!charge_bytes(c, text.len))
        return false;
    if (is_not_finite(text))
        return type_error(c, "operand 1 must be valid number string but got %.*s", (int) text.len, text.text);
    if (!canonical(text.text, text.len, &t))
        return builtin_error(c, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax", (int) (text.len < 100 ? text.len : 100), text.text);
    if (!text_take(&t, &canon))
        return false;
    if (number_read(canon.text, canon.len, out, &err)) {
        long double r = out->is_decimal ? number_to_real(*out) : 0;

        return (r <= DBL_MAX && r >= -DBL_MAX) ||
               builtin_error(c, "strconv.ParseFloat: parsing \"%.*s\": value out of range", (int) (text.len < 100 ? text.len : 100), text.text);
    }
    if (err.kind == ERR_LIMIT) {
        arena_refuse(c->arena, "size of a number");
        return false;
    }
    return builtin_error(c, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax", (int) (text.len < 100 ? text.len : 100), text.text);
}

bool builtin_number_to_number(struct call *c, const struct value *args, struct value *out)
{
    switch ((enum value_type) args[0].type) {
    case VALUE_NULL:
        return give(out, value_int(0));
    case VALUE_BOOLEAN:
        return give(out, value_int(args[0].truth));
    case VALUE_NUMBER:
        return give(out, args[0]);
    case VALUE_STRING:
        return parse_number(c, args[0], out);
    case VALUE_UNDEFINED:
    case VALUE_ARRAY:
    case VALUE_OBJECT:
    case VALUE_SET:
        break;
    }
    return want_one_of(c, args, 0, 0, "null, boolean, number, string");
}

bool builtin_set_and(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_SET) || !want(c, args, 1, VALUE_SET))
        return false;
    if (!charge(c, args[0].in->n) || !charge(c, cost_of(args[0])) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (set_has(args[1], array_at(args[0], i)) && !set_add(c->arena, *out, array_at(args[0], i)))
            return false;
    return true;
}

bool builtin_set_or(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_SET) || !want(c, args, 1, VALUE_SET))
        return false;
    if (!charge(c, (uint64_t) args[0].in->n + args[1].in->n) || !charge(c, cost_of(args[1])))
        return false;
    *out = value_reopened(c->arena, args[0]);
    if (!value_is_defined(*out))
        return false;
    for (uint32_t i = 0; i < args[1].in->n; i++)
        if (!set_add(c->arena, *out, array_at(args[1], i)))
            return false;
    return true;
}
